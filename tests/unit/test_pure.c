// SPDX-License-Identifier: GPL-2.0-or-later
/* The pure protocol code against the vectors of protocols/vectors.py, and against libsodium. */
#include <sodium.h>

#include "unit.h"
#include "core/cookie.h"
#include "navalis/csum.h"
#include "navalis/icmp6.h"

static void rfc4380_4_addresses_decode_and_encode(void **st)
{
	static const struct {
		const char *address, *server, *client;
		__u16 flags, port;
	} v[] = {
		{ "2001:0:1117:34fa:1027:374b:e1fc:f635", "17.23.52.250", "30.3.9.202", 0x1027, 51380 },
		{ "2001:0:cb00:7178:0:efff:3fff:fdfe", "203.0.113.120", "192.0.2.1", 0, 4096 },
		{ "2001:0:c633:6476:0:dfff:3fff:fdf5", "198.51.100.118", "192.0.2.10", 0, 8192 },
		{ "2001:0:cb00:7178:0:f000:39cc:9b89", "203.0.113.120", "198.51.100.118", 0, 4095 },
		{ "2001:0:cb00:7178:0:efff:39cc:9b89", "203.0.113.120", "198.51.100.118", 0, 4096 },
		{ "2001:0:8ac3:9ddd:0:7ffa:ad80:3464", "138.195.157.221", "82.127.203.155", 0, 32773 },
		{ "2001:0:4136:e378:8000:63bf:3fff:fdd2", "65.54.227.120", "192.0.2.45", 0x8000, 40000 },
		{ "2001:0:4136:e378:24c7:63bf:f601:203", "65.54.227.120", "9.254.253.252", 0x24c7, 40000 },
	};

	(void)st;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct in6_addr a = in6(v[i].address), b, c;

		assert_true(teredo_is(&a));
		assert_int_equal(teredo_server(&a), in4(v[i].server));
		assert_int_equal(HOST16(teredo_flags(&a)), v[i].flags);
		assert_true(endpoint4_equal(teredo_mapped(&a), ep(v[i].client, v[i].port)));
		b = teredo_addr(in4(v[i].server), BE16(v[i].flags), ep(v[i].client, v[i].port));
		c = teredo_addr_of(teredo_id(&a), teredo_server(&a));
		assert_memory_equal(&a, &b, 16);
		assert_memory_equal(&a, &c, 16);
	}
	assert_false(teredo_is(&(struct in6_addr){ .s6_addr = { 0x20, 0x01, 0x0d, 0xb8 } }));
}

/* V9, and what RFC 6890 adds, under the list that is built in; V8, by which it is made, is none of them. */
static void rfc4380_5_2_4_what_is_never_sent_to(void **st)
{
	static const struct {
		const char *address;
		enum reason want;
	} v[] = {
		{ "2001:0:4136:e378:24c7:63bf:f601:203", R_NONE },
		{ "2001:0:4136:e378:0:63bf:ffff:ffff", R_CLIENT_REFUSED }, /* 0.0.0.0 */
		{ "2001:0:4136:e378:0:63bf:f5ff:fffe", R_CLIENT_REFUSED }, /* 10.0.0.1 */
		{ "2001:0:4136:e378:0:63bf:80ff:fffe", R_CLIENT_REFUSED }, /* 127.0.0.1 */
		{ "2001:0:4136:e378:0:63bf:5601:fefe", R_CLIENT_REFUSED }, /* 169.254.1.1 */
		{ "2001:0:4136:e378:0:63bf:53ef:fffe", R_CLIENT_REFUSED }, /* 172.16.0.1 */
		{ "2001:0:4136:e378:0:63bf:3f57:fefe", R_CLIENT_REFUSED }, /* 192.168.1.1 */
		{ "2001:0:4136:e378:0:63bf:3fa7:9cfe", R_CLIENT_REFUSED }, /* 192.88.99.1 */
		{ "2001:0:4136:e378:0:63bf:1fff:ff02", R_CLIENT_REFUSED }, /* 224.0.0.253 */
		{ "2001:0:4136:e378:0:63bf:0:0", R_CLIENT_REFUSED },       /* 255.255.255.255 */
		{ "2001:0:4136:e378:0:63bf:fff:fffe", R_CLIENT_REFUSED },  /* 240.0.0.1 */
		{ "2001:0:4136:e378:0:63bf:9bbf:fffe", R_CLIENT_REFUSED }, /* 100.64.0.1 */
		{ "2001:0:4136:e378:0:63bf:39ed:fffe", R_CLIENT_REFUSED }, /* 198.18.0.1 */
		{ "2001:0:4136:e378:0:ffff:f601:203", R_CLIENT_PORT },     /* port 0 */
		{ "2001:0:a00:1:0:63bf:f601:203", R_SERVER_REFUSED },      /* server 10.0.0.1 */
	};
	static const struct {
		__u32 net, len;
	} blocks[] = {
#define REFUSED4(a, b, c, d, len, what) { (__u32)(a) << 24 | (b) << 16 | (c) << 8 | (d), len },
#include "navalis/refused4.def"
#undef REFUSED4
	};
	static struct nav_config cfg;
	static struct nav_own own;
	struct in6_addr a;

	(void)st;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		cfg.refused.range[cfg.refused.n++] =
			(struct addr4_range){ blocks[i].net, blocks[i].net | ~0U >> blocks[i].len };
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		a = in6(v[i].address);
		expect_reason(policy_client(&cfg, &own, &a), v[i].want);
	}
}

/* 9.254.253.252 is an address of this host: what leads back to it by another tunnel, and what only looks like it. */
static void rfc6324_3_3_addresses_that_lead_back_here(void **st)
{
	static const struct {
		const char *address;
		bool ours;
	} v[] = {
		{ "2002:9fe:fdfc::1", true },		{ "2002:9fe:fdfd::1", false },
		{ "2a00::5efe:9fe:fdfc", true },	{ "2a00::5efe:9fe:fdfd", false },
		{ "2a00::200:5efe:9fe:fdfc", true },	{ "2a00::200:5efe:9fe:fdfd", false },
		{ "2a00::100:5efe:9fe:fdfc", false },	{ "2a00::5eff:9fe:fdfc", false },
		{ "2a00::9fe:fdfc", false },
	};
	static struct nav_config cfg;
	static struct nav_own own;
	const __u32 here = HOST32(in4("9.254.253.252"));
	struct in6_addr a;

	(void)st;
	own.v4.range[own.v4.n++] = (struct addr4_range){ here, here };
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		a = in6(v[i].address);
		expect_reason(policy_native_dst(&cfg, &own, &a), v[i].ours ? R_DST_OWN_TUNNEL : R_NONE);
		expect_reason(policy_native_src(&cfg, &own, &a), v[i].ours ? R_SRC_OWN_TUNNEL : R_NONE);
	}
	a = in6("2001:0:4136:e378:24c7:63bf:f601:203");
	expect_reason(policy_client(&cfg, &own, &a), R_CLIENT_OURS);
	a.s6_addr[15] ^= 1;
	expect_reason(policy_client(&cfg, &own, &a), R_NONE);
}

/* V26, without its IPv4 and UDP headers; V28 to V34 behind it. */
#define BUBBLE "6000000000003b40200100004136e37824c763bff6010203fe80000000000000123456789abcdef0"

static enum reason parse(const char *hex, const struct ipv6hdr **ip6, struct cur *rest)
{
	static __u8 buf[256] __attribute__((aligned(8)));
	size_t n = unhex(hex, buf);

	*rest = (struct cur){ buf, buf + n };
	return teredo_payload(rest, (__u32)n, ip6);
}

static void rfc4380_5_1_1_payloads(void **st)
{
	const struct ipv6hdr *ip6;
	char cut[sizeof(BUBBLE)];
	struct cur rest;

	(void)st;
	expect_reason(parse("0000feaefefdfcfb" BUBBLE, &ip6, &rest), R_INDICATION);
	expect_reason(parse("000100006aeec3b12888429100" BUBBLE, &ip6, &rest), R_INDICATION);
	expect_reason(parse("0000", &ip6, &rest), R_INDICATION);
	expect_reason(parse("00", &ip6, &rest), R_INNER_NOT_IP6);
	expect_reason(parse("", &ip6, &rest), R_INNER_NOT_IP6);
	assert_int_equal(parse(BUBBLE, &ip6, &rest), R_NONE);
	assert_true(teredo_is_bubble(ip6));
	assert_int_equal(cur_left(&rest), 0);
	for (size_t n = 0; n < sizeof(BUBBLE) - 1; n += 2) {
		strcpy(cut, BUBBLE);
		cut[n] = '\0';
		expect_reason(parse(cut, &ip6, &rest), R_INNER_NOT_IP6);
	}
}

static void rfc6081_4_1_trailers(void **st)
{
	static const struct {
		const char *hex;
		enum reason want;
	} v[] = {
		{ "0104a1b2c3d4", R_NONE }, { "03080000c0a8010a0c02", R_NONE }, { "040400000000", R_NONE },
		{ "040401000000", R_NONE }, /* V30b */
		{ "0502d431", R_NONE }, { "41020000", R_BUBBLE_TRAILER }, { "81020000", R_NONE },
		{ "010900", R_NONE }, { "0104a1b2c3d47f00", R_BUBBLE_TRAILER }, { "7f", R_NONE }, { "", R_NONE },
	};
	const struct ipv6hdr *ip6;
	char hex[256];
	struct cur rest;

	(void)st;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		snprintf(hex, sizeof(hex), BUBBLE "%s", v[i].hex);
		assert_int_equal(parse(hex, &ip6, &rest), R_NONE);
		expect_reason(teredo_trailers(rest), v[i].want);
	}
}

static void rfc4380_5_2_6_bubble_is_v24(void **st)
{
	struct in6_addr src = in6("fe80::1234:5678:9abc:def0"), dst = in6("2001:0:4136:e378:24c7:63bf:f601:203");
	__u8 want[40], got[40];

	(void)st;
	unhex("6000000000003b40fe80000000000000123456789abcdef0200100004136e37824c763bff6010203", want);
	assert_int_equal(teredo_build_bubble(got, 40, &src, &dst), 40);
	assert_memory_equal(got, want, 40);
	assert_int_equal(teredo_build_bubble(got, 39, &src, &dst), -ENOBUFS);
}

/* A whole IPv4 packet: its header sum, and the outer UDP sum from the headers alone. */
static void check_lco(const char *hex)
{
	__u8 p[256] __attribute__((aligned(8)));
	size_t n = unhex(hex, p);
	__be16 sport, dport, len, want;
	__be32 src, dst;
	__u64 sum;

	assert_true(n > 48);
	assert_int_equal(csum_fold(csum_ip4(p)), 0xffff);
	memcpy(&src, p + 12, 4), memcpy(&dst, p + 16, 4);
	memcpy(&sport, p + 20, 2), memcpy(&dport, p + 22, 2), memcpy(&len, p + 24, 2);
	memcpy(&want, p + 26, 2);
	sum = csum_udp4_head(src, dst, sport, dport, len);
	assert_int_equal(csum_udp(csum_bytes(sum, p + 28, n - 28)), want);
	assert_int_equal(csum_udp(sum + csum_lco(load64(p + 28))), want);
}

static void local_checksum_offload_is_v36_to_v38(void **st)
{
	(void)st;
	check_lco("45000054123400004011dc43c01fc40709fefdfc0dd99c4000402f2f6000000000103a3d20010db8000100000000"
		  "000000000007200100004136e37824c763bff60102038000f64f04d200016162636465666768");
	check_lco("45000065000000004011ee6609fefdfcc01fc4079c400dd900513d176281234500210639200100004136e37824c763"
		  "bff601020320010db80001000000000000000000070050005000000001000000025018020088f60000010203040506"
		  "0708090a0b0c0d");
}

static void local_checksum_offload_is_the_full_sum(void **st)
{
	__u8 p[40 + 1240] __attribute__((aligned(8)));

	(void)st;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		struct ipv6hdr *h = (void *)p;
		__u16 len = (__u16)(8 + rand() % 1233);
		__be16 c = 0, ulen = BE16(8 + 40 + len);
		__u64 sum;

		for (int i = 0; i < 40 + len; i++)
			p[i] = (__u8)(rand() >> 7);
		h->version = 6;
		h->payload_len = BE16(len);
		h->nexthdr = IPPROTO_UDP;
		memcpy(p + 46, &c, 2);
		sum = csum_bytes(0, &h->saddr, 32) + RAW16(BE16(len)) + RAW16(BE16(IPPROTO_UDP));
		c = csum_udp(csum_bytes(sum, p + 40, len));
		memcpy(p + 46, &c, 2);
		sum = csum_udp4_head(1, 2, 3, 4, ulen);
		assert_int_equal(csum_udp(sum + csum_lco(load64(h))), csum_udp(csum_bytes(sum, p, 40 + len)));
	}
}

static void rfc768_sum_of_zero_is_sent_as_ffff(void **st)
{
	__u8 p[10];
	__u64 sum = csum_udp4_head(in4("9.254.253.252"), in4("192.31.196.7"), BE16(40000), BE16(3545), BE16(10));

	(void)st;
	unhex("9c400dd9000affffc99e", p); /* V47 */
	assert_int_equal(csum_udp(csum_bytes(sum, p + 8, 2)), BE16(0xffff));
}

/* Behind an IPv6 header with this next header: what the daemon says, and what XDP does. */
static void expect_inside(__u8 nexthdr, const char *hex, enum reason deep, enum reason fast)
{
	struct ipv6hdr h = { .version = 6, .nexthdr = nexthdr };
	__u8 *p, buf[128];
	size_t n = unhex(hex, buf);

	p = malloc(n ? n : 1); /* not one byte more: for the sanitizer */
	assert_non_null(p);
	memcpy(p, buf, n);
	h.payload_len = BE16((__u16)n);
	expect_reason(ip6_inside((struct cur){ p, p + n }, &h, true), deep);
	expect_reason(ip6_inside((struct cur){ p, p + n }, &h, false), fast);
	free(p);
}

#define ADVERT "86000000" "0000000000000000"

static void rfc3964_4_1_1_discovery_hides_behind_no_header(void **st)
{
	(void)st;
	expect_inside(58, ADVERT, R_ND_FORWARD, R_ND_FORWARD);
	expect_inside(58, "80000000", R_NONE, R_NONE);
	expect_inside(58, "", R_NONE, R_NONE);
	expect_inside(44, "3a00000100000007" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	/* what is reserved in a fragment header is no length */
	expect_inside(44, "3a05000100000007" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	expect_inside(44, "3aff000700000007" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	expect_inside(44, "3a00000900000007" ADVERT, R_NONE, R_INNER_EXTENSION); /* a later one: data */
	expect_inside(44, "3a00010100000007" ADVERT, R_NONE, R_INNER_EXTENSION);
	expect_inside(60, "3a00010400000000" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	expect_inside(60, "3a01010c000000000000000000000000" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	expect_inside(51, "3a04000000000000" "00000000000000000000000000000000" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	expect_inside(60, "2c00010400000000" "3c00000100000007" "3a00010400000000" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	expect_inside(43, "3b00000000000000", R_INNER_ROUTING, R_INNER_ROUTING);
	expect_inside(60, "2b00010400000000" "3b00000000000000", R_INNER_ROUTING, R_INNER_EXTENSION);
	expect_inside(43, "3a00020000000000" ADVERT, R_ND_FORWARD, R_INNER_EXTENSION);
	/* cut off, where nobody can read on */
	expect_inside(60, "3a000104000000", R_NONE, R_INNER_EXTENSION);
	expect_inside(44, "3a", R_NONE, R_INNER_EXTENSION);
	expect_inside(60, "3a01010400000000", R_NONE, R_INNER_EXTENSION);
	expect_inside(60, "3a00010400000000" "3c", R_NONE, R_INNER_EXTENSION);
	expect_inside(60, "3a00010400000000", R_NONE, R_INNER_EXTENSION);
	expect_inside(6, "00", R_NONE, R_NONE);
}

static void siphash_is_libsodiums(void **st)
{
	__u8 key[16], in[24], want[8];
	struct siphash_key k;
	__u64 w[3], got;

	(void)st;
	for (int i = 0; i < 2000; i++) {
		randombytes_buf(key, sizeof(key));
		randombytes_buf(in, sizeof(in));
		memcpy(&k, key, 16);
		memcpy(w, in, 24);
		crypto_shorthash_siphash24(want, in, sizeof(in), key);
		got = siphash_24bytes(&k, w[0], w[1], w[2]);
		assert_memory_equal(&got, want, 8);
	}
}

static void cookies_hold_for_two_slots_and_one_client(void **st)
{
	struct in6_addr a = in6("2001:0:4136:e378:24c7:63bf:f601:203"), b = in6("2001:0:4136:e378:24c7:63bf:f601:204");
	__u64 prefix = load64(in6("fe80::").s6_addr);
	struct cookie_keys keys;
	struct in6_addr src = in6("fe80::");

	(void)st;
	randombytes_buf(&keys, sizeof(keys));
	for (__u32 slot = 60; slot < 70; slot++) { /* across a turn of the keys */
		__u64 c = teredo_cookie(&keys, &a, slot);

		memcpy(src.s6_addr + 8, &c, 8);
		assert_int_equal(src.s6_addr[8] & 3, 0);
		assert_true(teredo_cookie_right(&keys, prefix, &a, &src, slot));
		assert_true(teredo_cookie_right(&keys, prefix, &a, &src, slot + 1));
		assert_false(teredo_cookie_right(&keys, prefix, &a, &src, slot + 2));
		assert_false(teredo_cookie_right(&keys, prefix, &a, &src, slot - 1));
		assert_false(teredo_cookie_right(&keys, prefix, &b, &src, slot));
		assert_false(teredo_cookie_right(&keys, prefix + 1, &a, &src, slot));
		src.s6_addr[15] ^= 1;
		assert_false(teredo_cookie_right(&keys, prefix, &a, &src, slot));
	}
}

static void cookie_keys_turn_in_time(void **st)
{
	struct cookie_keys keys = { .made_for = { ~0U, ~0U } };
	__u32 turn;

	(void)st;
	for (__u32 slot = 1000; slot < 1300; slot++) {
		int before = 0, i;

		while ((i = cookie_key_due(&keys, slot, &turn)) >= 0) {
			keys.made_for[i] = turn;
			before++;
		}
		/* never the one that the slot before still needs */
		if (slot > 1000 && slot % COOKIE_SLOTS_PER_KEY == 0)
			assert_int_equal(before, 0);
		assert_int_equal(keys.made_for[slot / COOKIE_SLOTS_PER_KEY & 1], slot / COOKIE_SLOTS_PER_KEY);
	}
}

static void meter_fills_and_empties(void **st)
{
	struct meter_rate rate = { .per_unit = METER_SCALE / 2, .burst = 4 }, none = { 0 };
	struct meter m = { 0 };

	(void)st;
	for (int i = 0; i < 4; i++)
		assert_true(meter_take(&m, &rate, 100));
	assert_false(meter_take(&m, &rate, 100));
	assert_false(meter_take(&m, &rate, 101));
	assert_true(meter_take(&m, &rate, 102));
	assert_false(meter_take(&m, &rate, 102));
	for (int i = 0; i < 4; i++) /* a pause that would overflow a product */
		assert_true(meter_take(&m, &rate, ~0ULL));
	assert_false(meter_take(&m, &rate, ~0ULL));
	assert_true(meter_take(&m, &none, 0));
}

static void stamps_wrap_and_may_come_from_the_future(void **st)
{
	(void)st;
	assert_int_equal(stamp_age(stamp_of(100), stamp_of(217)), 117);
	assert_int_equal(stamp_age(stamp_of(100) | STAMP_SENT, stamp_of(217)), 117);
	assert_int_equal(stamp_age(stamp_of(0x7ffffff0), stamp_of(0x80000010ULL)), 32);
	assert_true(stamp_young(stamp_of(101), stamp_of(100), 117));
	assert_true(stamp_young(stamp_of(100), stamp_of(216), 117));
	assert_false(stamp_young(stamp_of(100), stamp_of(217), 117));
}

static void addr4_set_finds_the_edges(void **st)
{
	static struct addr4_set s;

	(void)st;
	assert_false(addr4_set_has(&s, in4("1.2.3.4")));
	for (s.n = 0; s.n < ADDR4_SET_MAX; s.n++)
		s.range[s.n] = (struct addr4_range){ s.n * 1000 + 10, s.n * 1000 + 20 };
	for (__u32 i = 0; i < ADDR4_SET_MAX; i++) {
		assert_false(addr4_set_has(&s, BE32(i * 1000 + 9)));
		assert_true(addr4_set_has(&s, BE32(i * 1000 + 10)));
		assert_true(addr4_set_has(&s, BE32(i * 1000 + 20)));
		assert_false(addr4_set_has(&s, BE32(i * 1000 + 21)));
	}
	assert_false(addr4_set_has(&s, 0xffffffff));
}

static void prefix6_of_every_length(void **st)
{
	struct in6_addr a = in6("2a00:1234:5678:9abc:def0:1357:9bdf:2468");

	(void)st;
	for (__u32 len = 0; len <= 128; len++) {
		struct prefix6 p = { .addr = a, .len = len };

		for (__u32 bit = len; bit < 128; bit++)
			p.addr.s6_addr[bit / 8] &= (__u8)~(0x80 >> bit % 8);
		assert_true(prefix6_has(&p, &a));
		if (len) {
			p.addr.s6_addr[(len - 1) / 8] ^= (__u8)(0x80 >> (len - 1) % 8);
			assert_false(prefix6_has(&p, &a));
		}
	}
}

static void rfc6040_4_2_table(void **st)
{
	static const int want[4][4] = { { 0, 1, 2, 3 }, { 0, 1, 1, 3 }, { 0, 1, 2, 3 }, { -1, 3, 3, 3 } };

	(void)st;
	for (int outer = 0; outer < 4; outer++)
		for (int inner = 0; inner < 4; inner++)
			assert_int_equal(policy_ecn((__u8)(0xb8 | outer), (__u8)inner), want[outer][inner]);
}

static void the_clock_counts_whole_units(void **st)
{
	struct nav_clock c = { .tick_ns = 4000000, .offset_ns = -1000, .shift = 6 };

	(void)st;
	assert_int_equal(nav_units_of_ms(&c, 30000), 117);
	assert_int_equal(nav_units(&c, 256000000 - 1001), 0);
	assert_int_equal(nav_units(&c, 256000000), 1);
	assert_int_equal(nav_ms_of_units(&c, 117), 29952);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4380_4_addresses_decode_and_encode),
		cmocka_unit_test(rfc4380_5_2_4_what_is_never_sent_to),
		cmocka_unit_test(rfc6324_3_3_addresses_that_lead_back_here),
		cmocka_unit_test(rfc4380_5_1_1_payloads),
		cmocka_unit_test(rfc6081_4_1_trailers),
		cmocka_unit_test(rfc4380_5_2_6_bubble_is_v24),
		cmocka_unit_test(local_checksum_offload_is_v36_to_v38),
		cmocka_unit_test(local_checksum_offload_is_the_full_sum),
		cmocka_unit_test(rfc768_sum_of_zero_is_sent_as_ffff),
		cmocka_unit_test(rfc3964_4_1_1_discovery_hides_behind_no_header),
		cmocka_unit_test(siphash_is_libsodiums),
		cmocka_unit_test(cookies_hold_for_two_slots_and_one_client),
		cmocka_unit_test(cookie_keys_turn_in_time),
		cmocka_unit_test(meter_fills_and_empties),
		cmocka_unit_test(stamps_wrap_and_may_come_from_the_future),
		cmocka_unit_test(addr4_set_finds_the_edges),
		cmocka_unit_test(prefix6_of_every_length),
		cmocka_unit_test(rfc6040_4_2_table),
		cmocka_unit_test(the_clock_counts_whole_units),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
