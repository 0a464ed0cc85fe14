// SPDX-License-Identifier: GPL-2.0-or-later
/* 6in4: each line of the check tables that it obeys. */
#include "proto41.h"

static enum reason in4_in(const struct sixin4_tunnel *t, const char *outer_src, const char *outer_dst,
			  const char *src, const char *dst)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixin4_in(&cfg, t, &own, in4(outer_src), in4(outer_dst), &s, &d);
}

static enum reason in4_out(const struct sixin4_tunnel *t, const char *src, const char *dst,
			   struct outer4 *to)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixin4_out(&cfg, t, &own, &s, &d, to);
}

static void rfc4213_3_6_configured_tunnels(void **st)
{
	struct sixin4_tunnel t = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	const char *us = "192.31.196.9", *site = "2001:db8:100::5";
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(in4_in(&t, "8.1.1.1", us, site, FAR6), R_NONE);
	expect_reason(in4_in(&t, "8.1.1.2", us, site, FAR6), R_NO_TUNNEL);
	expect_reason(in4_in(&t, "8.1.1.1", "192.31.196.8", site, FAR6), R_NO_TUNNEL);
	/* with the ingress filter, and without */
	expect_reason(in4_in(&t, "8.1.1.1", us, "2001:db8:101::5", FAR6), R_SRC_NOT_TUNNEL);
	for (t.any_source = 0; t.any_source < 2; t.any_source++)
		for (size_t i = 0; i < SIZE(insane); i++) {
			expect_reason(in4_in(&t, "8.1.1.1", us, insane[i].addr, FAR6), insane[i].src);
			expect_reason(in4_in(&t, "8.1.1.1", us, site, insane[i].addr), insane[i].dst);
		}
	t.any_source = 1;
	assert_int_equal(in4_in(&t, "8.1.1.1", us, "2001:db8:101::5", FAR6), R_NONE);
	/* nothing turns round */
	expect_reason(in4_in(&t, "8.1.1.1", us, site, "2001:db8:100::6"), R_DST_TUNNEL);
	/* any of its prefixes, and unique local ones between sites */
	t.any_source = 0;
	t.prefix[t.n_prefixes++] = pfx("fd00:1::/32");
	assert_int_equal(in4_in(&t, "8.1.1.1", us, "fd00:1::5", FAR6), R_NONE);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fd00:2::5", FAR6), R_SRC_SITE);

	assert_int_equal(in4_out(&t, FAR6, site, &to), R_NONE);
	expect_outer(&to, us, "8.1.1.1");
	assert_int_equal(in4_out(&t, FAR6, "fd00:1::5", &to), R_NONE);
	expect_reason(in4_out(&t, FAR6, "2001:db8:101::5", &to), R_NOT_OURS);
	expect_reason(in4_out(&t, "2001:db8:100::6", site, &to), R_SRC_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++)
		expect_reason(in4_out(&t, insane[i].addr, site, &to), insane[i].src);
	/* the remote endpoint has become an address of this host */
	t.remote = in4("192.31.196.8");
	expect_reason(in4_out(&t, FAR6, site, &to), R_CLIENT_OURS);
	expect_reason(in4_in(&t, "192.31.196.8", us, site, FAR6), R_OUTER_OURS);
}

static void rfc4213_3_8_the_ends_talk_to_each_other(void **st)
{
	struct sixin4_tunnel t = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	struct in6_addr end = sixin4_link_local(in4("192.31.196.7")), want = in6("fe80::c01f:c407");
	const char *us = "192.31.196.9";

	(void)st;
	assert_memory_equal(&end, &want, 16);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "fe80::c01f:c409"), R_TUNNEL_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "ff02::1:ff1f:c409"), R_TUNNEL_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "fe80::c01f:c407"), R_SRC_LINK_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "ff02::1"), R_SRC_LINK_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "2001:db8:100::1", "fe80::c01f:c409"), R_DST_LINK_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.2", us, "fe80::801:101", "fe80::c01f:c409"), R_NO_TUNNEL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4213_3_6_configured_tunnels),
		cmocka_unit_test(rfc4213_3_8_the_ends_talk_to_each_other),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
