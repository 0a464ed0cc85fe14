// SPDX-License-Identifier: GPL-2.0-or-later
/* 6rd: the vectors V42 and V43, and each line of the check tables that it obeys. */
#include "proto41.h"

static void rfc5969_4_prefixes_are_v42(void **st)
{
	static const struct {
		const char *prefix, *net;
		__u32 v4_len;
		const char *v4, *delegated;
	} v[] = {
		{ "2001:db8::/32", "10.0.0.0", 8, "10.100.100.1", "2001:db8:6464:100::/56" },
		{ "2001:db8::/32", "10.0.0.0", 8, "10.0.0.1", "2001:db8:0:100::/56" },
		{ "2001:db8::/32", "0.0.0.0", 0, "192.0.2.33", "2001:db8:c000:221::/64" },
		{ "2a01:e30::/28", "0.0.0.0", 0, "82.224.1.2", "2a01:e35:2e00:1020::/60" },
		{ "2001:db8:4000::/35", "198.51.100.0", 24, "198.51.100.77", "2001:db8:49a0::/43" },
	};

	(void)st;
	for (size_t i = 0; i < SIZE(v); i++) {
		struct sixrd_domain d = domain(v[i].prefix, v[i].net, v[i].v4_len, "10.0.0.1");
		struct prefix6 want = pfx(v[i].delegated), got = sixrd_delegated(&d, in4(v[i].v4));
		struct in6_addr last = want.addr;

		assert_true(sixrd_valid(&d));
		assert_memory_equal(&got, &want, sizeof(got));
		for (__u32 bit = want.len; bit < 128; bit++)
			last.s6_addr[bit / 8] |= (__u8)(0x80 >> bit % 8);
		assert_int_equal(sixrd_v4(&d, &want.addr), in4(v[i].v4));
		assert_int_equal(sixrd_v4(&d, &last), in4(v[i].v4));
		assert_true(sixrd_has(&d, &last));
	}
}

/* Against arithmetic on single bits, for every pair of lengths. */
static void rfc5969_4_every_length_both_ways(void **st)
{
	(void)st;
	srand(5969);
	for (__u32 n = 1; n <= 64; n++)
		for (__u32 len = 0; len <= 32; len++) {
			struct sixrd_domain d = { .prefix.len = n, .v4_len = len };
			struct in6_addr a = { 0 };
			__u32 v4 = (__u32)rand() << 16 ^ (__u32)rand();
			struct prefix6 got;

			for (__u32 bit = 0; bit < n; bit++)
				if (rand() & 0x100)
					d.prefix.addr.s6_addr[bit / 8] |= (__u8)(0x80 >> bit % 8);
			d.v4 = len ? BE32(v4 & ~0U << (32 - len)) : 0;
			assert_true(sixrd_valid(&d) == (n + 32 - len <= 64));
			if (!sixrd_valid(&d))
				continue;
			a = d.prefix.addr;
			for (__u32 bit = 0; bit < 32 - len; bit++)
				if (v4 & 1U << (31 - len - bit))
					a.s6_addr[(n + bit) / 8] |= (__u8)(0x80 >> (n + bit) % 8);
			got = sixrd_delegated(&d, BE32(v4));
			assert_int_equal(got.len, n + 32 - len);
			assert_memory_equal(&got.addr, &a, 16);
			a.s6_addr[15] = 1;
			assert_int_equal(sixrd_v4(&d, &a), BE32(v4));
			assert_true(sixrd_has(&d, &a));
			for (__u32 bit = 0; bit < 128; bit++) {
				a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
				assert_true(sixrd_has(&d, &a) == (bit >= n));
				assert_true((sixrd_v4(&d, &a) == BE32(v4)) == (bit < n || bit >= got.len));
				a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
			}
		}
}

static void rfc5969_7_bounds_of_a_domain(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, "10.0.0.1");

	(void)st;
	assert_true(sixrd_valid(&d));
	d.v4 = in4("10.0.0.1"); /* host bits */
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8:0:1::/33", "10.0.0.0", 8, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::1/33", "10.0.0.0", 8, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/33", "0.0.0.0", 0, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/64", "10.0.0.1", 32, "10.0.0.1");
	assert_true(sixrd_valid(&d));
	d = domain("2001:db8::/65", "10.0.0.1", 32, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("::/0", "0.0.0.0", 0, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/32", "10.0.0.0", 33, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/32", "10.0.0.0", 8, "10.0.0.1");
	d.n_relays = SIXRD_RELAYS;
	assert_true(sixrd_valid(&d));
	d.n_relays = SIXRD_RELAYS + 1;
	assert_false(sixrd_valid(&d));
}

static void rfc5969_7_1_1_dhcp_option_is_v43(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, "10.0.0.1");
	__u8 want[24], got[24];

	(void)st;
	unhex("d416082020010db80000000000000000000000000a000001", want);
	assert_int_equal(sixrd_build_dhcp(got, 24, &d), 24);
	assert_memory_equal(got, want, 24);
	assert_int_equal(sixrd_build_dhcp(got, 23, &d), -ENOBUFS);
}

static enum reason rd_out(const struct sixrd_domain *d, const char *src, const char *dst,
			  struct outer4 *to)
{
	struct in6_addr s = in6(src), t = in6(dst);

	return sixrd_out(&cfg, d, &own, &s, &t, to);
}

static enum reason rd_in(const struct sixrd_domain *d, const char *outer_src, const char *outer_dst,
			 const char *src, const char *dst)
{
	struct in6_addr s = in6(src), t = in6(dst);

	return sixrd_in(&cfg, d, &own, in4(outer_src), in4(outer_dst), &s, &t);
}

static void rfc5969_9_2_from_customer_edges(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, BR4);

	(void)st;
	d.relay[d.n_relays++] = in4("10.0.0.2");
	assert_int_equal(rd_in(&d, CE4, BR4, CE6, FAR6), R_NONE);
	expect_reason(rd_in(&d, CE4, "10.0.0.3", CE6, FAR6), R_NOT_OURS);
	expect_reason(rd_in(&d, "10.100.100.2", BR4, CE6, FAR6), R_SRC_MISMATCH);
	expect_reason(rd_in(&d, CE4, BR4, "2001:db9::1", FAR6), R_SRC_NOT_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++) {
		if (strncmp(insane[i].addr, "2001:db8:", 9)) {
			expect_reason(rd_in(&d, CE4, BR4, insane[i].addr, FAR6), insane[i].src);
			expect_reason(rd_in(&d, CE4, BR4, CE6, insane[i].addr), insane[i].dst);
		}
	}
	/* outer sources that are no customers, 12 */
	expect_reason(rd_in(&d, BR4, BR4, "2001:db8:0:100::1", FAR6), R_OUTER_OURS);
	expect_reason(rd_in(&d, "192.31.196.7", BR4, CE6, FAR6), R_OUTER_OURS);
	expect_reason(rd_in(&d, "10.0.0.2", BR4, "2001:db8:0:200::1", FAR6), R_OUTER_REFUSED);
	expect_reason(rd_in(&d, "11.100.100.1", BR4, CE6, FAR6), R_OUTER_REFUSED);
	/* to the relay's own delegated prefix: its subnet-router anycast address alone, 12 */
	expect_reason(rd_in(&d, CE4, BR4, CE6, "2001:db8:0:100::"), R_TUNNEL_LOCAL);
	expect_reason(rd_in(&d, CE4, BR4, CE6, "2001:db8:0:100::1"), R_DST_OWN_TUNNEL);
	expect_reason(rd_in(&d, CE4, BR4, CE6, "2001:db8:0:1ff::"), R_DST_OWN_TUNNEL);
	/* a relay outside the domain's IPv4 prefix has none: that one is a customer's */
	d = domain("2001:db8::/32", "10.0.0.0", 8, "192.31.196.1");
	assert_int_equal(rd_in(&d, CE4, "192.31.196.1", CE6, "2001:db8:1fc4:100::"), R_NONE);
	/* a domain of public addresses, where this host has one, too */
	d = domain("2001:db8::/32", "0.0.0.0", 0, "8.8.8.8");
	assert_int_equal(rd_in(&d, "192.0.2.33", "8.8.8.8", "2001:db8:c000:221::1", FAR6), R_NONE);
	expect_reason(rd_in(&d, "192.0.2.33", "8.8.8.8", "2001:db8:c000:221::1", "2001:db8:c01f:c407::1"),
		      R_DST_OWN_TUNNEL);
	for (size_t i = 0; i < 3; i++) {
		static const char *const bad[][2] = { { "127.0.0.1", "2001:db8:7f00:1::1" },
						      { "224.0.0.1", "2001:db8:e000:1::1" },
						      { "192.88.99.9", "2001:db8:c058:6309::1" } };

		expect_reason(rd_in(&d, bad[i][0], "8.8.8.8", bad[i][1], FAR6), R_OUTER_REFUSED);
	}
}

static void rfc5969_7_2_to_customer_edges(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, BR4);
	struct outer4 to = { 0 };

	(void)st;
	d.relay[d.n_relays++] = in4("10.0.0.2");
	assert_int_equal(rd_out(&d, FAR6, CE6, &to), R_NONE); /* private, but the domain's */
	expect_outer(&to, BR4, CE4);
	expect_reason(rd_out(&d, FAR6, "2001:db9::1", &to), R_NOT_OURS);
	expect_reason(rd_out(&d, "fe80::1", "2001:db9::1", &to), R_NOT_OURS); /* whoever it is from */
	expect_reason(rd_out(&d, CE6, CE6, &to), R_SRC_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++)
		if (strncmp(insane[i].addr, "2001:db8:", 9))
			expect_reason(rd_out(&d, insane[i].addr, CE6, &to), insane[i].src);
	expect_reason(rd_out(&d, FAR6, "2001:db8:0:100::1", &to), R_CLIENT_OURS);
	expect_reason(rd_out(&d, FAR6, "2001:db8:0:100::", &to), R_CLIENT_OURS);
	expect_reason(rd_out(&d, FAR6, "2001:db8:0:200::1", &to), R_CLIENT_REFUSED);
	d = domain("2a01:e30::/28", "0.0.0.0", 0, "8.8.8.8");
	assert_int_equal(rd_out(&d, FAR6, "2a01:e35:2e00:1020::1", &to), R_NONE);
	expect_outer(&to, "8.8.8.8", "82.224.1.2");
	expect_reason(rd_out(&d, FAR6, "2a01:e3c:1fc:4070::1", &to), R_CLIENT_OURS);
	expect_reason(rd_out(&d, FAR6, "2a01:e37:f000:10::1", &to), R_CLIENT_REFUSED); /* 127.0.0.1 */
	expect_reason(rd_out(&d, FAR6, "2a01:e30:0:10::1", &to), R_CLIENT_REFUSED);    /* 0.0.0.1 */
	expect_reason(rd_out(&d, FAR6, "2a01:e3f:ffff:fff0::1", &to), R_CLIENT_REFUSED); /* broadcast */
}

static void rfc5969_8_loopback_test_turns_round(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, BR4);
	struct in6_addr ce = in6(CE6), other = in6("2001:db8:102:300::1"), us = in6("2001:db8:0:100::1");
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(rd_in(&d, CE4, BR4, CE6, CE6), R_NONE); /* V45 */
	assert_int_equal(sixrd_turn(&d, &own, &ce, &to), R_NONE);
	expect_outer(&to, BR4, CE4);
	assert_int_equal(sixrd_turn(&d, &own, &other, &to), R_NONE);
	expect_outer(&to, BR4, "10.1.2.3");
	expect_reason(sixrd_turn(&d, &own, &us, &to), R_CLIENT_OURS);
	other = in6(FAR6);
	expect_reason(sixrd_turn(&d, &own, &other, &to), R_NOT_OURS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc5969_4_prefixes_are_v42),
		cmocka_unit_test(rfc5969_4_every_length_both_ways),
		cmocka_unit_test(rfc5969_7_bounds_of_a_domain),
		cmocka_unit_test(rfc5969_7_1_1_dhcp_option_is_v43),
		cmocka_unit_test(rfc5969_9_2_from_customer_edges),
		cmocka_unit_test(rfc5969_7_2_to_customer_edges),
		cmocka_unit_test(rfc5969_8_loopback_test_turns_round),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
