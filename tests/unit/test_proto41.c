// SPDX-License-Identifier: GPL-2.0-or-later
/* What 6to4, 6rd and 6in4 share, all of them together, and HG48: the vectors V44 to V46. */
#include "proto41.h"

/* ---- what they share */

/* V45: a 6rd loopback probe. */
#define PROBE                                                                                      \
	"6000000000003b4020010db864640100000000000000000120010db8646401000000000000000001"

static enum reason payload(const __u8 *p, size_t n, __u32 len)
{
	const struct ipv6hdr *ip6 = NULL;
	struct cur c = { p, p + n };
	enum reason r = proto41_payload(&c, len, &ip6);

	assert_true((r == R_NONE) == (ip6 != NULL));
	if (ip6) {
		assert_ptr_equal(ip6, p);
		assert_ptr_equal(c.pos, p + 40);
		assert_true(40U + HOST16(ip6->payload_len) <= len);
	}
	return r;
}

static void rfc4213_3_6_length_is_the_inner_one(void **st)
{
	__u8 p[64] __attribute__((aligned(8))) = { 0 };

	(void)st;
	unhex(PROBE, p);
	assert_int_equal(payload(p, 40, 40), R_NONE);
	assert_int_equal(payload(p, 64, 64), R_NONE); /* padding behind it */
	for (__u32 n = 0; n < 40; n++) {
		expect_reason(payload(p, n, n), R_INNER_NOT_IP6);
		expect_reason(payload(p, n, 40), R_INNER_NOT_IP6);
		expect_reason(payload(p, 40, n), R_INNER_NOT_IP6);
	}
	p[5] = 20;
	assert_int_equal(payload(p, 60, 60), R_NONE);
	expect_reason(payload(p, 60, 59), R_INNER_LENGTH);
	for (int bit = 0; bit < 8 * 40; bit++) { /* only the version and the length are looked at */
		p[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		if (bit < 4)
			expect_reason(payload(p, 64, 64), R_INNER_NOT_IP6);
		else if (bit >= 32 && bit < 48 && 40 + (p[4] << 8 | p[5]) > 64)
			expect_reason(payload(p, 64, 64), R_INNER_LENGTH);
		else
			assert_int_equal(payload(p, 64, 64), R_NONE);
		p[bit / 8] ^= (__u8)(0x80 >> bit % 8);
	}
}

/* A whole IPv4 packet of protocol 41: is its header what proto41_header() makes? */
static void check_header(const char *hex, const struct tunnel_link *link)
{
	__u8 p[128] __attribute__((aligned(8))), got[20] __attribute__((aligned(8)));
	size_t n = unhex(hex, p);
	const struct iphdr *ip = (const struct iphdr *)p;
	struct outer4 to = { .src.addr = ip->saddr, .dst.addr = ip->daddr };

	proto41_header((struct iphdr *)got, link, &to, (struct ipv6hdr *)(p + 20), (__u32)n - 20,
		       ip->id);
	assert_memory_equal(got, p, 20);
	assert_int_equal(csum_fold(csum_ip4(got)), 0xffff);
}

static void headers_are_those_of_v44_and_v45(void **st)
{
	static const struct tunnel_link plain = { .mtu = 1280 };
	static const struct tunnel_link rd = { .mtu = 1480, .df = 1, .copy_class = 1 };
	struct ipv6hdr ip6 = { .version = 6, .priority = 0xb, .flow_lbl = { 0x9f } };
	struct outer4 to = { .src.addr = in4("10.0.0.1"), .dst.addr = in4("10.100.100.1") };
	struct iphdr ip;

	(void)st;
	check_header("45000044000000004029ee6fc01fc40709fefdfc6000000000083a3f20010db8000100000000000000000007"
		     "200209fefdfc00010000000000000001810028fb00010001", &plain);
	check_header("4500003c00000000402902340a6464010a000001" PROBE, &plain);
	proto41_header(&ip, &rd, &to, &ip6, 1480, BE16(0x1234)); /* RFC 5969 9, 9.1 */
	assert_int_equal(ip.tos, 0xb9);
	assert_int_equal(ip.frag_off, BE16(0x4000));
	assert_int_equal(ip.tot_len, BE16(1500));
	assert_int_equal(ip.id, BE16(0x1234));
	assert_int_equal(csum_fold(csum_ip4(&ip)), 0xffff);
	proto41_header(&ip, &plain, &to, &ip6, 1280, 0);
	assert_int_equal(ip.tos, 0);
	assert_int_equal(ip.frag_off, 0);
}

static void native_sides_may_be_teredo_and_have_to_be_served(void **st)
{
	struct in6_addr teredo = in6("2001:0:4136:e378:24c7:63bf:f601:203"), a = in6("2a00::1");

	(void)st;
	assert_int_equal(proto41_native_src(&cfg, &own, &teredo), R_NONE);
	assert_int_equal(proto41_native_dst(&cfg, &own, &teredo), R_NONE);
	assert_int_equal(proto41_native_src(&cfg, &own, &a), R_NONE);
	cfg.served[cfg.n_served++] = pfx("2001:db8::/32");
	expect_reason(proto41_native_src(&cfg, &own, &teredo), R_SRC_NOT_SERVED);
	expect_reason(proto41_native_dst(&cfg, &own, &teredo), R_DST_NOT_SERVED);
	expect_reason(proto41_native_src(&cfg, &own, &a), R_SRC_NOT_SERVED);
	expect_reason(proto41_native_dst(&cfg, &own, &a), R_DST_NOT_SERVED);
	cfg.n_served = 0;
}

/* ---- all of them together */

static void rfc3964_6_1_most_specific_match_decides(void **st)
{
	struct sixin4_tunnel t = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	struct sixto4_config c = relay_config();
	struct sixin4_config in4c = { .n_locals = 1, .local = { in4("192.31.196.9") } };
	struct sixrd_domain d[3] = {
		domain("2001:db8::/32", "10.0.0.0", 8, BR4),
		domain("2a01:e30::/28", "0.0.0.0", 0, BR4),
		domain("2a02::/32", "10.0.0.0", 8, "10.9.9.9"),
	};
	struct in6_addr a = in6(CE6), b = in6("2a01:e35::1"), far = in6(FAR6);
	struct demux m;

	(void)st;
	assert_int_equal(demux_proto41(&t, d, 3, &c, &in4c, d[0].br, &a, &m), R_NONE);
	assert_int_equal(m.tunnel, TUNNEL_SIXIN4);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[0].br, &a, &m), R_NONE);
	assert_int_equal(m.tunnel, TUNNEL_SIXRD);
	assert_ptr_equal(m.domain, &d[0]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[0].br, &b, &m), R_NONE);
	assert_ptr_equal(m.domain, &d[1]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[2].br, &b, &m), R_NONE);
	assert_ptr_equal(m.domain, &d[2]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[0].br, &far, &m), R_NONE);
	assert_ptr_equal(m.domain, &d[0]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, c.local, &a, &m), R_NONE);
	assert_int_equal(m.tunnel, TUNNEL_SIXTO4);
	assert_null(m.domain);
	expect_reason(demux_proto41(NULL, d, 3, &c, &in4c, t.local, &a, &m), R_NO_TUNNEL);
	expect_reason(demux_proto41(NULL, d, 2, &c, &in4c, d[2].br, &a, &m), R_NOT_OURS);
	assert_int_equal(m.tunnel, TUNNEL_NONE);
}

static struct hg48_config hg_config(void)
{
	return (struct hg48_config){
		.prefix = in6("fd4a:6b8c:2d10:1::"),
		.service = { .addr = in4("192.31.196.7"), .port = BE16(3546) },
		.life = 120000,
		.window = 10000,
		.window_packets = 3,
		.max_peers = 100,
		.fresh = { .per_unit = 20 * METER_SCALE / 1000, .burst = 20 },
		.min_port = 1024,
		.link = { .mtu = 1280 },
	};
}

static void packets_of_one_tunnel_do_not_leave_by_another(void **st)
{
	struct sixin4_tunnel one = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	struct sixin4_tunnel two = tunnel("8.1.1.2", 2, "2001:db8:200::/48");
	struct sixrd_domain d[2] = { domain("2a01:e30::/28", "0.0.0.0", 0, BR4),
				     domain("2a02::/32", "10.0.0.0", 8, "10.9.9.9") };
	struct sixto4_config c = relay_config();
	struct hg48_config hg = hg_config();
	struct tunnels all = { .sixto4 = &c, .sixrd = d, .n_sixrd = 2, .hg48 = &hg };
	static const struct sixto4_config no_to4;
	static const struct hg48_config no_hg;
	struct tunnels off = { .sixto4 = &no_to4, .hg48 = &no_hg }, empty = { 0 };
	struct prefix6 teredo = pfx("2001::/32");
	struct tunnel_prefixes p = { 0 };
	const struct {
		const char *dst;
		enum tunnel tunnel;
		__u32 id;
	} to[] = {
		{ "2001:0:4136:e378:24c7:63bf:f601:203", TUNNEL_TEREDO, 0 },
		{ HOST6, TUNNEL_SIXTO4, 0 },
		{ "2a01:e35::1", TUNNEL_SIXRD, 0 },
		{ "2a02::1", TUNNEL_SIXRD, 1 },
		{ "2001:db8:100::1", TUNNEL_SIXIN4, 1 },
		{ "2001:db8:200::1", TUNNEL_SIXIN4, 2 },
		{ "fd4a:6b8c:2d10:1:0:f601:203:63bf", TUNNEL_HG48, 0 },
	};
	struct in6_addr native = in6(FAR6);

	(void)st;
	assert_true(tunnels_add_prefix(&p, TUNNEL_TEREDO, 0, &teredo));
	assert_true(tunnels_add_prefixes(&p, &all));
	assert_int_equal(p.n, 5);
	assert_true(tunnels_add_prefixes(&p, &off));
	assert_true(tunnels_add_prefixes(&p, &empty));
	assert_int_equal(p.n, 5); /* what is not configured has none */
	for (size_t f = 0; f < SIZE(to); f++) {
		const enum tunnel from = to[f].tunnel;

		assert_int_equal(tunnels_cross(&p, from, to[f].id, &native, NULL), R_NONE);
		for (size_t i = 0; i < SIZE(to); i++) {
			const struct in6_addr dst = in6(to[i].dst);
			const struct sixin4_tunnel *t = to[i].tunnel != TUNNEL_SIXIN4 ? NULL :
							to[i].id == 1		      ? &one :
											&two;
			bool hairpin = i == f && from == TUNNEL_SIXRD;

			if (hairpin)
				assert_int_equal(tunnels_cross(&p, from, to[f].id, &dst, t), R_NONE);
			else
				expect_reason(tunnels_cross(&p, from, to[f].id, &dst, t), R_DST_TUNNEL);
			/* the operator's word is for one way, and not for the way back */
			p.cross = TUNNEL_CROSS(to[i].tunnel, from);
			if (to[i].tunnel != from)
				expect_reason(tunnels_cross(&p, from, to[f].id, &dst, t), R_DST_TUNNEL);
			p.cross = TUNNEL_CROSS(from, to[i].tunnel);
			assert_int_equal(tunnels_cross(&p, from, to[f].id, &dst, t),
					 i == f && !hairpin ? R_DST_TUNNEL : R_NONE);
			p.cross = 0;
		}
	}
	/* a native source: with that of somebody behind this host alone it is forged, or has crossed over */
	assert_int_equal(tunnels_native(&p, TUNNEL_SIXTO4, &native, NULL), R_NONE);
	for (size_t i = 0; i < SIZE(to); i++) {
		const struct in6_addr src = in6(to[i].dst);
		const struct sixin4_tunnel *t = to[i].tunnel == TUNNEL_SIXIN4 ? &one : NULL;

		if (to[i].tunnel == TUNNEL_TEREDO || to[i].tunnel == TUNNEL_SIXTO4) {
			assert_int_equal(tunnels_native(&p, TUNNEL_SIXIN4, &src, t), R_NONE);
			continue;
		}
		expect_reason(tunnels_native(&p, TUNNEL_SIXTO4, &src, t), R_SRC_TUNNEL);
		p.cross = TUNNEL_CROSS(to[i].tunnel, TUNNEL_SIXTO4);
		assert_int_equal(tunnels_native(&p, TUNNEL_SIXTO4, &src, t), R_NONE);
		expect_reason(tunnels_native(&p, TUNNEL_TEREDO, &src, t), R_SRC_TUNNEL);
		p.cross = 0;
	}
	while (p.n < TUNNEL_PREFIXES)
		assert_true(tunnels_add_prefix(&p, TUNNEL_TEREDO, 0, &teredo));
	assert_false(tunnels_add_prefix(&p, TUNNEL_TEREDO, 0, &teredo));
	assert_false(tunnels_add_prefixes(&p, &all));
}

/* ---- HG48 */

#define BOB4 "9.254.253.252"
#define BOB6 "fd4a:6b8c:2d10:1:0:f601:203:63bf"

static void hg48_5_2_addresses_are_v46(void **st)
{
	static const struct {
		const char *v4, *v6;
		__u16 port;
	} v[] = {
		{ BOB4, BOB6, 40000 },
		{ "192.0.2.45", "fd4a:6b8c:2d10:1:0:3fff:fdd2:8acf", 30000 },
	};
	struct hg48_config hg = hg_config();

	(void)st;
	for (size_t i = 0; i < SIZE(v); i++) {
		struct in6_addr a = in6(v[i].v6), got = hg48_addr(&hg, ep(v[i].v4, v[i].port));

		assert_memory_equal(&got, &a, 16);
		assert_true(endpoint4_equal(hg48_endpoint(&a), ep(v[i].v4, v[i].port)));
		for (int bit = 0; bit < 128; bit++) {
			a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
			assert_true(hg48_has(&hg, &a) == (bit >= 80));
			assert_true(endpoint4_equal(hg48_endpoint(&a), ep(v[i].v4, v[i].port)) == (bit < 80));
			a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		}
	}
}

static enum reason hg_payload(const char *hex)
{
	static __u8 buf[128] __attribute__((aligned(8)));
	size_t n = unhex(hex, buf);
	struct cur c = { buf, buf + n };
	const struct ipv6hdr *ip6;

	return hg48_payload(&c, (__u32)n, &ip6);
}

static void hg48_5_3_payloads(void **st)
{
	(void)st;
	assert_int_equal(hg_payload(PROBE), R_NONE);
	assert_int_equal(hg_payload(PROBE "0104a1b2c3d4"), R_NONE);
	expect_reason(hg_payload(""), R_KEEPALIVE);
	expect_reason(hg_payload("00"), R_INNER_NOT_IP6);
	expect_reason(hg_payload("0000feaefefdfcfb" PROBE), R_INNER_NOT_IP6); /* no indications */
}

static enum reason hg_out(const struct hg48_config *hg, const char *src, const char *dst,
			  struct outer4 *to)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return hg48_out(&cfg, hg, &own, &s, &d, to);
}

static enum reason hg_in(const struct hg48_config *hg, struct endpoint4 from, const char *src,
			 const char *dst)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return hg48_in(&cfg, hg, &own, from, ep("192.31.196.7", 3546), &s, &d);
}

static void hg48_5_5_towards_endpoints(void **st)
{
	struct hg48_config hg = hg_config();
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(hg_out(&hg, NATIVE, BOB6, &to), R_NONE);
	assert_true(endpoint4_equal(to.src, ep("192.31.196.7", 3546)));
	assert_true(endpoint4_equal(to.dst, ep(BOB4, 40000)));
	expect_reason(hg_out(&hg, NATIVE, "fd4a:6b8c:2d10:1:1:f601:203:63bf", &to), R_NOT_OURS);
	expect_reason(hg_out(&hg, BOB6, BOB6, &to), R_SRC_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++)
		expect_reason(hg_out(&hg, insane[i].addr, BOB6, &to), insane[i].src);
	for (size_t i = 0; i < SIZE(refused4); i++)
		expect_reason(hg_out(&hg, NATIVE, text6(hg48_addr(&hg, ep(refused4[i], 40000))), &to),
			      R_CLIENT_REFUSED);
	expect_reason(hg_out(&hg, NATIVE, text6(hg48_addr(&hg, ep("192.31.196.7", 40000))), &to), R_CLIENT_OURS);
	expect_reason(hg_out(&hg, NATIVE, text6(hg48_addr(&hg, ep("192.31.196.8", 40000))), &to), R_CLIENT_OURS);
	for (hg.min_port = 1024;; hg.min_port = 0) {
		static const __u16 ports[] = { 0, 53, 1023, 1024, 3543, 3544, 3545, 65535 };

		for (size_t i = 0; i < SIZE(ports); i++) {
			bool bad = !ports[i] || ports[i] == 3544 || ports[i] < hg.min_port;
			const char *dst = text6(hg48_addr(&hg, ep(BOB4, ports[i])));

			if (bad)
				expect_reason(hg_out(&hg, NATIVE, dst, &to), R_ENDPOINT_PORT);
			else
				assert_int_equal(hg_out(&hg, NATIVE, dst, &to), R_NONE);
		}
		if (!hg.min_port)
			break;
	}
	hg.service.addr = 0;
	expect_reason(hg_out(&hg, NATIVE, BOB6, &to), R_NOT_OURS);
}

static void hg48_5_6_from_endpoints(void **st)
{
	struct hg48_config hg = hg_config();
	struct in6_addr src = in6(BOB6), dst = in6(NATIVE);
	struct endpoint4 bob = ep(BOB4, 40000), us = hg.service;

	(void)st;
	assert_int_equal(hg_in(&hg, bob, BOB6, NATIVE), R_NONE);
	expect_reason(hg_in(&hg, ep(BOB4, 40001), BOB6, NATIVE), R_SRC_MISMATCH);
	expect_reason(hg_in(&hg, ep("9.254.253.253", 40000), BOB6, NATIVE), R_SRC_MISMATCH);
	expect_reason(hg_in(&hg, bob, "2001:db8::1", NATIVE), R_SRC_NOT_TUNNEL);
	expect_reason(hg_in(&hg, bob, BOB6, "fd4a:6b8c:2d10:1:0:3fff:fdd2:8acf"), R_DST_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++) {
		expect_reason(hg_in(&hg, bob, insane[i].addr, NATIVE), insane[i].src);
		expect_reason(hg_in(&hg, bob, BOB6, insane[i].addr), insane[i].dst);
	}
	for (size_t i = 0; i < SIZE(refused4); i++) {
		struct endpoint4 e = ep(refused4[i], 40000);

		expect_reason(hg_in(&hg, e, text6(hg48_addr(&hg, e)), NATIVE), R_OUTER_REFUSED);
	}
	expect_reason(hg_in(&hg, us, text6(hg48_addr(&hg, us)), NATIVE), R_OUTER_OURS);
	expect_reason(hg_in(&hg, ep("192.31.196.9", 5000), text6(hg48_addr(&hg, us)), NATIVE), R_OUTER_OURS);
	expect_reason(hg_in(&hg, ep(BOB4, 53), text6(hg48_addr(&hg, ep(BOB4, 53))), NATIVE), R_ENDPOINT_PORT);
	us.port = BE16(3547);
	expect_reason(hg48_in(&cfg, &hg, &own, bob, us, &src, &dst), R_NOT_OURS);
	us = ep("192.31.196.8", 3546);
	expect_reason(hg48_in(&cfg, &hg, &own, bob, us, &src, &dst), R_NOT_OURS);
	for (int bit = 0; bit < 128; bit++) { /* every bit of the source counts */
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		assert_int_not_equal(hg48_in(&cfg, &hg, &own, bob, hg.service, &src, &dst), R_NONE);
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
	}
}

static void hg48_5_5_three_packets_until_it_answers(void **st)
{
	struct hg48_config hg = hg_config();
	struct hg48_peer p = { 0 };
	__u64 now = 1000;

	(void)st;
	for (int window = 0; window < 3; window++, now += 10000) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(hg48_may_send(&hg, &p, now + (__u64)i), R_NONE);
		expect_reason(hg48_may_send(&hg, &p, now + 3), R_UNCONFIRMED);
		expect_reason(hg48_may_send(&hg, &p, now + 9999), R_UNCONFIRMED);
	}
	assert_int_equal(hg48_may_enter(&hg, &p, now), R_NONE);
	assert_false(hg48_confirmed(&hg, &p, now));
	hg48_heard(&p, now);
	assert_true(hg48_confirmed(&hg, &p, now));
	for (int i = 0; i < 100; i++)
		assert_int_equal(hg48_may_send(&hg, &p, now + 120000), R_NONE);
	/* 120 s after the last valid reception, however much is sent */
	assert_true(hg48_confirmed(&hg, &p, now + 120000));
	assert_false(hg48_confirmed(&hg, &p, now + 120001));
	for (int i = 0; i < 3; i++)
		assert_int_equal(hg48_may_send(&hg, &p, now + 120001), R_NONE);
	expect_reason(hg48_may_send(&hg, &p, now + 120001), R_UNCONFIRMED);
	/* another CPU is a little behind */
	hg48_heard(&p, now + 200000);
	assert_true(hg48_confirmed(&hg, &p, now + 199999));
}

static void hg48_5_6_nobody_enters_uninvited(void **st)
{
	struct hg48_config hg = hg_config();
	struct hg48_peer p = { 0 };

	(void)st;
	expect_reason(hg48_may_enter(&hg, NULL, 1000), R_UNSOLICITED);
	expect_reason(hg48_may_enter(&hg, &p, 1000), R_UNSOLICITED);
	assert_false(hg48_live(&hg, &p, 1000));
	assert_int_equal(hg48_may_send(&hg, &p, 1000), R_NONE);
	assert_int_equal(hg48_may_enter(&hg, &p, 11000), R_NONE); /* while its window is open */
	assert_true(hg48_live(&hg, &p, 11000));
	assert_false(hg48_live(&hg, &p, 11001));
	expect_reason(hg48_may_enter(&hg, &p, 11001), R_UNSOLICITED);
	hg48_heard(&p, 121000);
	assert_int_equal(hg48_may_enter(&hg, &p, 241000), R_NONE);
	assert_true(hg48_live(&hg, &p, 241000));
	assert_false(hg48_live(&hg, &p, 241001));
	expect_reason(hg48_may_enter(&hg, &p, 241001), R_UNSOLICITED);
	hg.unsolicited = 1;
	assert_int_equal(hg48_may_enter(&hg, NULL, 1000), R_NONE);
}

static void hg48_5_5_new_endpoints_are_rationed(void **st)
{
	struct hg48_config hg = hg_config();
	struct meter m = { 0 };

	(void)st;
	for (int i = 0; i < 20; i++)
		assert_int_equal(hg48_admit(&hg, &m, 0, 0, 5000), R_NONE);
	expect_reason(hg48_admit(&hg, &m, 0, 0, 5000), R_LIMIT_SOURCE);
	expect_reason(hg48_admit(&hg, &m, 100, 0, 6000), R_TABLE_FULL);
	assert_int_equal(hg48_admit(&hg, &m, 99, 0, 6000), R_NONE);
	/* whom nobody has heard of leaves room for the others */
	expect_reason(hg48_admit(&hg, &m, 50, 50, 7000), R_TABLE_FULL);
	assert_int_equal(hg48_admit(&hg, &m, 50, 49, 7000), R_NONE);
	hg.max_peers = 1;
	assert_int_equal(hg48_admit(&hg, &m, 0, 0, 7000), R_NONE);
}

/* ---- what is refused at the start */

struct world {
	struct sixto4_config to4;
	struct sixrd_domain rd[2];
	struct sixin4_tunnel in4[2];
	struct hg48_config hg;
	struct endpoint4 udp;
	struct tunnel_prefixes prefixes;
	struct tunnels all;
};

static struct world *world(void)
{
	static struct world w;

	w = (struct world){
		.to4 = relay_config(),
		.rd = { domain("2a01:e30::/28", "0.0.0.0", 0, "192.31.196.8"),
			domain("2a02:100::/32", "10.0.0.0", 8, "10.0.0.1") },
		.in4 = { tunnel("8.1.1.1", 1, "2001:db8:100::/48"),
			 tunnel("8.1.1.2", 2, "2001:db8:200::/48") },
		.hg = hg_config(),
		.udp = ep("192.31.196.7", 3545),
	};
	w.all = (struct tunnels){ &w.to4, w.rd, 2, w.in4, 2, &w.hg, &w.prefixes, &w.udp, 1, &cfg, &own };
	return &w;
}

static bool conflicts(struct world *w, struct conflict *c)
{
	struct prefix6 teredo = pfx("2001::/32");

	w->prefixes.n = 0;
	assert_true(tunnels_add_prefix(&w->prefixes, TUNNEL_TEREDO, 0, &teredo));
	assert_true(tunnels_add_prefixes(&w->prefixes, &w->all));
	return tunnels_conflict(&w->all, c);
}

static void expect_conflict(struct world *w, const char *what, enum tunnel a, __u32 a_id,
			    enum tunnel b, __u32 b_id)
{
	struct conflict c = { 0 };

	assert_true(conflicts(w, &c));
	if (!strstr(c.what, what))
		assert_string_equal(c.what, what);
	assert_int_equal(c.a.tunnel, a);
	assert_int_equal(c.a.id, a_id);
	assert_int_equal(c.b.tunnel, b);
	assert_int_equal(c.b.id, b_id);
}

/* Sets one thing wrong in a world that is all right. */
#define WRONG(change, what, ...)                                                                   \
	do {                                                                                       \
		struct world *w = world();                                                         \
		change;                                                                            \
		expect_conflict(w, what, __VA_ARGS__);                                             \
	} while (0)
#define ALONE(kind, id) TUNNEL_##kind, id, TUNNEL_NONE, 0

static void mechanisms_that_could_loop_are_named(void **st)
{
	struct world *ok = world();
	struct tunnels none = { .cfg = &cfg, .own = &own };
	struct conflict c;

	(void)st;
	assert_false(conflicts(ok, &c));
	assert_false(tunnels_conflict(&none, &c));
	ok->rd[1].br = ok->rd[0].br; /* the inner source tells domains apart */
	assert_false(conflicts(ok, &c));
	ok->in4[1].n_prefixes = SIXIN4_PREFIXES;
	ok->in4[1].prefix[1] = pfx("fd00:1::/32");
	ok->in4[1].prefix[2] = pfx("2001:db8:300::/48");
	ok->in4[1].prefix[3] = pfx("2001:db8:400::/48");
	assert_false(conflicts(ok, &c));
	ok->in4[1].prefix[1] = pfx("fc00::/7");
	ok->all.hg48 = NULL;
	assert_false(conflicts(ok, &c));

	WRONG(w->to4.local = in4("10.0.0.7"), "not a global one", ALONE(SIXTO4, 0));
	WRONG(w->to4.local = in4("192.88.99.1"), "not a global one", ALONE(SIXTO4, 0));
	WRONG(w->to4.source = in4("8.8.8.8"), "neither the relay's", ALONE(SIXTO4, 0));
	WRONG(w->to4.return_only = 1, "nobody to send for", ALONE(SIXTO4, 0));
	WRONG((w->to4.return_only = w->to4.n_senders = w->to4.anycast = 1), "accepts nothing", ALONE(SIXTO4, 0));
	WRONG(w->to4.link.mtu = 1279, "MTU", ALONE(SIXTO4, 0));
	WRONG(w->to4.link.mtu = 1481, "MTU", ALONE(SIXTO4, 0));

	WRONG(w->rd[1].v4_len = 33, "longer than 64", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("2002:a00::/24"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("2001::/24"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("2000::/3"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("fd00::/16"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].br = in4("224.0.0.1"), "not unicast", ALONE(SIXRD, 1));
	WRONG(w->rd[1].link.mtu = 9000, "MTU", ALONE(SIXRD, 1));

	WRONG(w->in4[1].local = 0, "not unicast", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = in4("255.255.255.255"), "not unicast", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = w->in4[1].local, "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].local = w->in4[1].remote, "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = in4("192.31.196.255"), "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = w->rd[1].br, "is this host", ALONE(SIXIN4, 2));
	WRONG((w->to4.local = w->to4.source = w->in4[1].remote), "is this host", ALONE(SIXIN4, 2));
	WRONG(w->hg.service.addr = w->in4[1].remote, "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].n_prefixes = 0, "no prefix", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].n_prefixes = SIXIN4_PREFIXES + 1, "or too many", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("2001:db8:200::1/48"), "beyond its length", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0].len = 129, "beyond its length", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("::/0"), "neither global", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("2002:808:808::/48"), "neither global", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("fe80::/64"), "neither global", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].link.mtu = 0, "MTU", ALONE(SIXIN4, 2));

	WRONG(w->hg.prefix.s6_addr[0] = 0xfc, "begin with fd", ALONE(HG48, 0));
	WRONG(w->hg.prefix.s6_addr[9] = 1, "behind the first 64", ALONE(HG48, 0));
	WRONG(w->hg.service.port = 0, "no port", ALONE(HG48, 0));
	WRONG(w->udp = w->hg.service, "another mechanism's", ALONE(HG48, 0));
	WRONG(w->hg.link.mtu = 1480, "1280", ALONE(HG48, 0));
	WRONG(w->hg.link.df = 1, "1280", ALONE(HG48, 0));

	WRONG(w->in4[1].id = 1, "one number", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 1);
	WRONG(w->in4[1].remote = w->in4[0].remote, "same endpoints", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->in4[1].prefix[0] = pfx("2001:db8:100:5::/64"), "overlap", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->in4[1].prefix[0] = pfx("2001:db8::/32"), "overlap", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->rd[1].br = w->to4.local, "same IPv4 address", TUNNEL_SIXTO4, 0, TUNNEL_SIXRD, 1);
	WRONG((w->to4.anycast = 1, w->rd[1].br = in4("192.88.99.1")), "same IPv4 address", TUNNEL_SIXTO4, 0,
	      TUNNEL_SIXRD, 1);
	WRONG(w->in4[0].local = w->rd[0].br, "customer edge", TUNNEL_SIXIN4, 1, TUNNEL_SIXRD, 0);
	WRONG(w->rd[1].prefix = pfx("2a01:e31::/32"), "overlap", TUNNEL_SIXRD, 0, TUNNEL_SIXRD, 1);
	WRONG(w->in4[1].prefix[0] = pfx("2a02:100:5::/48"), "overlap", TUNNEL_SIXRD, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->in4[1].prefix[0] = pfx("fd4a:6b8c:2d10::/48"), "overlap", TUNNEL_HG48, 0, TUNNEL_SIXIN4, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4213_3_6_length_is_the_inner_one),
		cmocka_unit_test(headers_are_those_of_v44_and_v45),
		cmocka_unit_test(native_sides_may_be_teredo_and_have_to_be_served),
		cmocka_unit_test(rfc3964_6_1_most_specific_match_decides),
		cmocka_unit_test(packets_of_one_tunnel_do_not_leave_by_another),
		cmocka_unit_test(hg48_5_2_addresses_are_v46),
		cmocka_unit_test(hg48_5_3_payloads),
		cmocka_unit_test(hg48_5_5_towards_endpoints),
		cmocka_unit_test(hg48_5_6_from_endpoints),
		cmocka_unit_test(hg48_5_5_three_packets_until_it_answers),
		cmocka_unit_test(hg48_5_6_nobody_enters_uninvited),
		cmocka_unit_test(hg48_5_5_new_endpoints_are_rationed),
		cmocka_unit_test(mechanisms_that_could_loop_are_named),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
