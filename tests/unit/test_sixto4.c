// SPDX-License-Identifier: GPL-2.0-or-later
/* 6to4: the vectors V41, and each line of the check tables that it obeys. */
#include "proto41.h"

static void rfc3056_2_addresses_are_v41(void **st)
{
	static const struct {
		const char *v4, *site;
	} v[] = {
		{ "192.1.2.3", "2002:c001:203::" },
		{ HOST4, "2002:9fe:fdfc::" },
		{ "192.88.99.1", "2002:c058:6301::" },
	};

	(void)st;
	for (size_t i = 0; i < SIZE(v); i++) {
		struct in6_addr want = in6(v[i].site), got = sixto4_addr(in4(v[i].v4));

		assert_memory_equal(&got, &want, 16);
		assert_true(sixto4_is(&got));
		assert_int_equal(addr6_sixto4_v4(&got), in4(v[i].v4));
	}
	assert_false(sixto4_is(&(struct in6_addr){ .s6_addr = { 0x20, 0x03 } }));
}

static enum reason to4_out(const struct sixto4_config *c, const char *src, const char *dst,
			   struct outer4 *to)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixto4_out(&cfg, c, &own, &s, &d, to);
}

static enum reason to4_in(const struct sixto4_config *c, const char *outer_src,
			  const char *outer_dst, const char *src, const char *dst)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixto4_in(&cfg, c, &own, in4(outer_src), in4(outer_dst), &s, &d);
}

static void rfc3964_5_1_encapsulating(void **st)
{
	struct sixto4_config c = relay_config();
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(to4_out(&c, NATIVE, HOST6, &to), R_NONE); /* V44 */
	expect_outer(&to, "192.31.196.7", HOST4);
	c.source = in4("192.88.99.1");
	assert_int_equal(to4_out(&c, NATIVE, HOST6, &to), R_NONE);
	expect_outer(&to, "192.88.99.1", HOST4);

	for (size_t i = 0; i < SIZE(insane); i++)
		expect_reason(to4_out(&c, insane[i].addr, HOST6, &to), insane[i].src);
	expect_reason(to4_out(&c, "2002:808:808::1", HOST6, &to), R_SRC_SIXTO4);
	expect_reason(to4_out(&c, NATIVE, "2001:db8:2::1", &to), R_NOT_OURS); /* native to native */
	expect_reason(to4_out(&c, NATIVE, "2003::1", &to), R_NOT_OURS);
	expect_reason(to4_out(&c, NATIVE, "2002:c01f:c407::1", &to), R_CLIENT_OURS);
	expect_reason(to4_out(&c, NATIVE, "2002:c01f:c409::1", &to), R_CLIENT_OURS);
	expect_reason(to4_out(&c, NATIVE, "2002:c01f:c4ff::1", &to), R_CLIENT_OURS);
	for (size_t i = 0; i < SIZE(refused4); i++)
		expect_reason(to4_out(&c, NATIVE, text6(sixto4_addr(in4(refused4[i]))), &to),
			      R_CLIENT_REFUSED);
	for (size_t i = 0; i < SIZE(good4); i++) {
		assert_int_equal(to4_out(&c, NATIVE, text6(sixto4_addr(in4(good4[i]))), &to), R_NONE);
		expect_outer(&to, "192.88.99.1", good4[i]);
	}
	c.local = 0;
	expect_reason(to4_out(&c, NATIVE, HOST6, &to), R_NOT_OURS);
}

static void rfc3964_5_2_decapsulating(void **st)
{
	struct sixto4_config c = relay_config();
	const char *us = "192.31.196.7";

	(void)st;
	assert_int_equal(to4_in(&c, HOST4, us, HOST6, NATIVE), R_NONE);
	/* outer addresses */
	expect_reason(to4_in(&c, HOST4, "192.31.196.8", HOST6, NATIVE), R_NOT_OURS);
	expect_reason(to4_in(&c, us, us, HOST6, NATIVE), R_OUTER_OURS);
	expect_reason(to4_in(&c, "192.31.196.9", us, HOST6, NATIVE), R_OUTER_OURS);
	expect_reason(to4_in(&c, "192.31.196.255", us, HOST6, NATIVE), R_OUTER_OURS);
	for (size_t i = 0; i < SIZE(refused4); i++)
		expect_reason(to4_in(&c, refused4[i], us, text6(sixto4_addr(in4(refused4[i]))), NATIVE),
			      R_OUTER_REFUSED);
	for (size_t i = 0; i < SIZE(good4); i++)
		assert_int_equal(to4_in(&c, good4[i], us, text6(sixto4_addr(in4(good4[i]))), NATIVE),
				 R_NONE);
	/* inner addresses */
	for (size_t i = 0; i < SIZE(insane); i++) {
		if (strncmp(insane[i].addr, "2002", 4))
			expect_reason(to4_in(&c, HOST4, us, insane[i].addr, NATIVE), insane[i].src);
		expect_reason(to4_in(&c, HOST4, us, HOST6, insane[i].addr), insane[i].dst);
	}
	/* 6to4 to native: V4(src6) is src4 */
	expect_reason(to4_in(&c, "9.254.253.253", us, HOST6, NATIVE), R_SRC_MISMATCH);
	expect_reason(to4_in(&c, HOST4, us, "2002:c01f:c407::1", NATIVE), R_SRC_MISMATCH);
	/* native to native, and native to 6to4, which only a site takes */
	expect_reason(to4_in(&c, HOST4, us, "2001:db8:2::1", NATIVE), R_SRC_NOT_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, "2001:db8:2::1", HOST6), R_SRC_NOT_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, "2001:0:4136:e378:0:63bf:f601:203", NATIVE), R_SRC_NOT_TUNNEL);
	/* 6to4 to 6to4: only to the relay itself, under the address that the packet came to */
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:808:808::1"), R_DST_SIXTO4);
	expect_reason(to4_in(&c, HOST4, us, HOST6, HOST6), R_DST_SIXTO4);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c01f:c407::"), R_TUNNEL_LOCAL);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c01f:c408::"), R_DST_OWN_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c01f:c407::2"), R_DST_OWN_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c058:6301::"), R_DST_SIXTO4);
	c.local = 0;
	expect_reason(to4_in(&c, HOST4, "0.0.0.0", HOST6, NATIVE), R_NOT_OURS);
}

static void rfc7526_5_anycast_is_off_until_wanted(void **st)
{
	struct sixto4_config c = relay_config();
	const __u32 n = cfg.refused.n;

	(void)st;
	expect_reason(to4_in(&c, HOST4, "192.88.99.1", HOST6, NATIVE), R_NOT_OURS);
	c.anycast = 1;
	assert_int_equal(to4_in(&c, HOST4, "192.88.99.1", HOST6, NATIVE), R_NONE);
	assert_int_equal(to4_in(&c, HOST4, "192.31.196.7", HOST6, NATIVE), R_NONE);
	expect_reason(to4_in(&c, HOST4, "192.88.99.1", HOST6, "2002:c058:6301::"), R_TUNNEL_LOCAL);
	expect_reason(to4_in(&c, HOST4, "192.88.99.2", HOST6, NATIVE), R_NOT_OURS);
	expect_reason(to4_in(&c, "192.88.99.1", "192.88.99.1", "2002:c058:6301::1", NATIVE), R_OUTER_REFUSED);
	/* in a laboratory, too, where nothing is refused */
	cfg.refused.n = 0;
	expect_reason(to4_in(&c, "192.88.99.1", "192.31.196.7", "2002:c058:6301::1", NATIVE), R_OUTER_REFUSED);
	expect_reason(to4_out(&c, NATIVE, "2002:c058:6301::1", &(struct outer4){ 0 }), R_CLIENT_REFUSED);
	cfg.refused.n = n;
}

static void rfc6343_4_5_return_relay_only_sends_and_only_its_own(void **st)
{
	struct sixto4_config c = relay_config();
	struct outer4 to = { 0 };

	(void)st;
	c.return_only = 1;
	expect_reason(to4_out(&c, NATIVE, HOST6, &to), R_SRC_NOT_HOST);
	c.sender[c.n_senders++] = pfx("2001:db8:1::6/128");
	c.sender[c.n_senders++] = pfx("2001:db8:1::7/128");
	assert_int_equal(to4_out(&c, NATIVE, HOST6, &to), R_NONE);
	expect_outer(&to, "192.31.196.7", HOST4);
	expect_reason(to4_out(&c, "2001:db8:1::8", HOST6, &to), R_SRC_NOT_HOST);
	expect_reason(to4_out(&c, "2002:808:808::1", HOST6, &to), R_SRC_SIXTO4);
	expect_reason(to4_out(&c, NATIVE, "2002:a00:1::1", &to), R_CLIENT_REFUSED);
	expect_reason(to4_in(&c, HOST4, "192.31.196.7", HOST6, NATIVE), R_RETURN_ONLY);
	expect_reason(to4_in(&c, "10.0.0.1", "192.31.196.7", "2001:db8::1", "ff02::1"), R_RETURN_ONLY);
}

/* Whatever one bit is wrong of a genuine packet's addresses, it is not believed, or is another's. */
static void each_bit_of_a_6to4_source_counts(void **st)
{
	struct sixto4_config c = relay_config();
	struct in6_addr src = in6(HOST6), dst = in6(NATIVE);

	(void)st;
	for (int bit = 0; bit < 48; bit++) {
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		assert_int_not_equal(sixto4_in(&cfg, &c, &own, in4(HOST4), c.local, &src, &dst), R_NONE);
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
	}
	for (int bit = 0; bit < 32; bit++)
		assert_int_not_equal(sixto4_in(&cfg, &c, &own, in4(HOST4) ^ 1U << bit, c.local, &src, &dst),
				     R_NONE);
	assert_int_equal(sixto4_in(&cfg, &c, &own, in4(HOST4), c.local, &src, &dst), R_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3056_2_addresses_are_v41),
		cmocka_unit_test(rfc3964_5_1_encapsulating),
		cmocka_unit_test(rfc3964_5_2_decapsulating),
		cmocka_unit_test(rfc7526_5_anycast_is_off_until_wanted),
		cmocka_unit_test(rfc6343_4_5_return_relay_only_sends_and_only_its_own),
		cmocka_unit_test(each_bit_of_a_6to4_source_counts),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
