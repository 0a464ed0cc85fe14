// SPDX-License-Identifier: GPL-2.0-or-later
/* The 6bed4 router against vectors made by hand from the drafts. */
#include "packets.h"
#include "navalis/sixbed4.h"

#define RS "6000000000103aff00000000000000000000000000000000ff02000000000000000000000000000285007aae000000000101000000000001"
#define RS_W0 "6000000000103afffe800000000000000000000000000001ff02000000000000000000000000000285007c2c000000000101000000000001"
#define RA "6000000000303afffe800000000000000000000000000000ff02000000000000000000000000000186004cbb0018ffffffffffffffffffff030472c0ffffffffffffffff0000000020010db8bed40001c800714dd39ac000"
#define RA_50000 "6000000000303afffe800000000000000000000000000000ff02000000000000000000000000000186005d050018ffffffffffffffffffff030472c0ffffffffffffffff0000000020010db8bed40001c800714dc350c000"
#define RA_RETRACT "6000000000503afffe800000000000000000000000000000ff02000000000000000000000000000186002da80018ffffffffffffffffffff030472c000000000000000000000000020010db8bed40001c800714dc350c000030472c0ffffffffffffffff0000000020010db8bed40001c800714dd39ac000"
#define NS "6000000000203aff20010db8bed40001c800714dd39ac001fe8000000000000000000000000000008700ea0600000000fe80000000000000000000000000000001019ad3cb00714d"
#define NA "6000000000203afffe80000000000000000000000000000020010db8bed40001c800714dd39ac00188008be3c000000020010db8bed400019088000164be40000201be6491880001"
#define ECHO "6000000000113a4020010db8bed40001c800714dd39ac00120010db800060000000000000000000280008e426bed00013662656434206c6162"
#define RA_W1 "6000000000303afffe800000000000000000000000000000fe8000000000000098d3cbfffe00714d860078060018ffffffffffffffffffff030440c0ffffffffffffffff0000000020010db8bed400010000000000000000"

static const char *const vectors[] = { RS, RS_W0, RA, RA_50000, RA_RETRACT, NS, NA, ECHO, RA_W1 };
#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

#define PEER ep("203.0.113.77", 54170)

static struct sixbed4_config router(__u8 format)
{
	struct in6_addr prefix = in6("2001:db8:bed4:1::");

	return (struct sixbed4_config){
		.service = ep("145.136.0.1", format == SIXBED4_W1 ? SIXBED4_PORT_W1 : SIXBED4_PORT),
		.prefix = load64(&prefix), .mtu = SIXBED4_MTU, .format = format,
	};
}

static enum reason take(const struct sixbed4_config *cfg, const struct packet *p, struct endpoint4 outer,
			bool deep, struct sixbed4_in *in)
{
	struct cur c = exactly(p);

	memset(in, 0, sizeof(*in));
	return sixbed4_in(cfg, &refusing, outer, c, (__u32)p->len, deep, in);
}

/* Both forms agree, but for what the common one leaves to the other. */
static void expect_in(const struct packet *p, struct endpoint4 outer, enum reason want)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct sixbed4_in in;

	expect_reason(take(&cfg, p, outer, false, &in), want);
	expect_reason(take(&cfg, p, outer, true, &in), want);
}

static void expect_odd(const struct packet *p, enum reason fast, enum reason deep)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct sixbed4_in in;

	expect_reason(take(&cfg, p, PEER, false, &in), fast);
	expect_reason(take(&cfg, p, PEER, true, &in), deep);
}

static void put_dst(struct packet *p, const char *dst)
{
	struct in6_addr a = in6(dst);

	memcpy(p->b + 24, &a, 16);
}

static void put_src(struct packet *p, const char *src)
{
	struct in6_addr a = in6(src);

	memcpy(p->b + 8, &a, 16);
}

/* ---- addresses */

static void sixbed4_5_addresses_are_the_table(void **st)
{
	static const struct {
		const char *v4;
		__u16 port, lanip;
		const char *w2, *w1;
	} v[] = {
		{ "192.0.2.13", 49166, 1, "2001:db8:bed4:1:c000:20d:c00e:1", "2001:db8:bed4:1:cc0:c0ff:fe00:20d" },
		{ "203.0.113.77", 54170, 1, "2001:db8:bed4:1:c800:714d:d39a:c001", "2001:db8:bed4:1:98d3:cbff:fe00:714d" },
		{ "198.51.100.255", 65535, 16383, "2001:db8:bed4:1:c433:64ff:ffff:bfff", NULL },
		{ "1.2.3.4", 1024, 0, "2001:db8:bed4:1:2:304:400:4000", "2001:db8:bed4:1:204:1ff:fe02:304" },
		{ "145.136.0.1", 25790, 0, "2001:db8:bed4:1:9088:1:64be:4000", "2001:db8:bed4:1:bc64:91ff:fe88:1" },
		{ "254.255.0.1", 4097, 256, "2001:db8:bed4:1:fcff:1:1001:8100", NULL },
	};
	const __u64 prefix = router(SIXBED4_W2).prefix;

	(void)st;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct endpoint4 at = ep(v[i].v4, v[i].port), other = at;
		struct in6_addr w2 = in6(v[i].w2), got = sixbed4_addr(prefix, sixbed4_pack(SIXBED4_W2, at, v[i].lanip));

		assert_memory_equal(&got, &w2, 16);
		assert_true(endpoint4_equal(sixbed4_unpack(SIXBED4_W2, sixbed4_low(&w2)), at));
		assert_true(sixbed4_names(SIXBED4_W2, sixbed4_low(&w2), at));
		other.port ^= BE16(1);
		assert_false(sixbed4_names(SIXBED4_W2, sixbed4_low(&w2), other));
		got = sixbed4_addr(prefix, sixbed4_pack(SIXBED4_W1, at, 0));
		assert_int_equal(sixbed4_names(SIXBED4_W1, sixbed4_low(&got), at), v[i].w1 != NULL);
		assert_true(endpoint4_equal(sixbed4_unpack(SIXBED4_W1, sixbed4_low(&got)), at));
		if (v[i].w1) {
			struct in6_addr w1 = in6(v[i].w1);

			assert_memory_equal(&got, &w1, 16);
		}
	}
	assert_true(sixbed4_pack(SIXBED4_W2, PEER, 0) == 0xc800714dd39ac000);
	assert_true(sixbed4_pack(SIXBED4_W2, ep("192.0.2.13", 49166), 0) == 0xc000020dc00e0000);
	assert_true(sixbed4_mask(SIXBED4_W2) == 0xffffffffffffc000);
}

/* Each bit of the lower half, turned over: named no more, unless it is the peer's own to choose. */
static void sixbed4_5_every_bit_of_the_endpoint_counts(void **st)
{
	(void)st;
	for (__u8 format = SIXBED4_W2; format <= SIXBED4_W1; format++) {
		const __u64 low = sixbed4_pack(format, PEER, 0), own = ~sixbed4_mask(format);

		assert_int_equal(__builtin_popcountll(own), format == SIXBED4_W2 ? 14 : 16);
		for (int bit = 0; bit < 64; bit++)
			assert_int_equal(sixbed4_names(format, low ^ 1ULL << bit, PEER), own >> bit & 1);
	}
}

/* ---- solicitations */

static void sixbed4_6_solicitation_is_answered_with_the_vector(void **st)
{
	struct sixbed4_config cfg = router(SIXBED4_W2);
	struct packet p = packet(RS);
	struct sixbed4_in in;
	struct in6_addr dst;
	struct nd_ra ra;
	__u8 buf[256];

	(void)st;
	expect_in(&p, PEER, R_SOLICITED);
	assert_int_equal(take(&cfg, &p, PEER, true, &in), R_SOLICITED);
	assert_true(endpoint4_equal(in.to, PEER));
	expect_bytes(buf, sixbed4_build_ra(buf, sizeof(buf), &cfg, PEER, &in.ip6->saddr, NULL, &in.nonce), RA);
	dst = sixbed4_ra_dst(&cfg, PEER, &in.ip6->saddr);
	sixbed4_ra(&ra, &cfg, PEER, &dst);
	memset(buf, 0, sizeof(buf));
	nd_ra_put(buf + 1, &ra, ND_RA_LEN); /* at any alignment */
	expect_bytes(buf + 1, ND_RA_LEN, RA);
	assert_int_equal(buf[1 + ND_RA_LEN], 0);
	expect_bytes(buf, sixbed4_build_ra(buf, sizeof(buf), &cfg, ep("203.0.113.77", 50000), NULL, NULL, NULL),
		     RA_50000);

	/* a link-local source is answered to, every other through ff02::1 */
	p = packet(RS_W0);
	expect_in(&p, PEER, R_SOLICITED);
	dst = in6("fe80::1");
	assert_int_equal(take(&cfg, &p, PEER, true, &in), R_SOLICITED);
	sixbed4_build_ra(buf, sizeof(buf), &cfg, PEER, &in.ip6->saddr, NULL, NULL);
	assert_memory_equal(buf + 24, &dst, 16);
	put_src(&p, "2001:db8:77::1");
	resum(&p);
	expect_in(&p, PEER, R_SOLICITED);
	assert_int_equal(take(&cfg, &p, PEER, true, &in), R_SOLICITED);
	expect_bytes(buf, sixbed4_build_ra(buf, sizeof(buf), &cfg, PEER, &in.ip6->saddr, NULL, NULL), RA);
}

static void sixbed4_6_bad_solicitations_are_not_answered(void **st)
{
	struct packet p;

	(void)st;
	p = packet(RS), p.b[7] = 254;
	expect_in(&p, PEER, R_ND_BAD);
	p = packet(RS), p.b[43] = 0xaf; /* checksum 7aaf */
	expect_in(&p, PEER, R_ND_BAD);
	p = packet(RS), p.b[41] = 1, resum(&p);
	expect_in(&p, PEER, R_ND_BAD);
	p = packet(RS), p.len = 44, p.b[5] = 4, resum(&p);
	expect_in(&p, PEER, R_ND_BAD);
	p = packet(RS), p.b[49] = 0, resum(&p);
	expect_odd(&p, R_SOLICITED_ODD, R_ND_BAD);
	p = packet(RS), p.b[49] = 2, resum(&p);
	expect_odd(&p, R_SOLICITED_ODD, R_ND_BAD);
	p = packet(RS), grow(&p, "0501"), resum(&p); /* an option that ends too early */
	expect_odd(&p, R_SOLICITED_ODD, R_ND_BAD);
	p = packet(RS), grow(&p, "05"), resum(&p);
	expect_odd(&p, R_SOLICITED_ODD, R_ND_BAD);
	p = packet(RS);
	expect_in(&p, ep("10.1.2.3", 4444), R_OUTER_REFUSED);
	expect_in(&p, ep("203.0.113.77", 0), R_OUTER_REFUSED);
	expect_in(&p, ep("8.8.8.8", 4444), R_OUTER_OURS);
	expect_in(&p, ep("145.136.0.1", 25790), R_OUTER_OURS);
}

static void sixbed4_6_unusual_solicitations_are_the_slow_paths(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct packet p = packet(RS), answer = { .len = 0 };
	struct sixbed4_in in;

	(void)st;
	p.len = 48, p.b[5] = 8, resum(&p); /* no option at all: common */
	expect_in(&p, PEER, R_SOLICITED);
	p = packet(RS), grow(&p, "0e01a1b2c3d4e5f6" "0501000000000500"), resum(&p);
	expect_odd(&p, R_SOLICITED_ODD, R_SOLICITED);
	assert_int_equal(take(&cfg, &p, PEER, true, &in), R_SOLICITED);
	answer.len = (size_t)sixbed4_build_ra(answer.b, sizeof(answer.b), &cfg, PEER, &in.ip6->saddr, NULL, &in.nonce);
	assert_int_equal(answer.len, 96);
	expect_bytes(answer.b + 88, 8, "0e01a1b2c3d4e5f6");
	assert_true(icmp6_sum_right((struct cur){ answer.b + 40, answer.b + 96 }, (struct ipv6hdr *)answer.b));
	/* the nonce alone, in the place of the link-layer address */
	p = packet(RS), p.b[48] = ND_OPT_NONCE, resum(&p);
	expect_odd(&p, R_SOLICITED_ODD, R_SOLICITED);
}

static void sixbed4_6_routes_retraction_and_room(void **st)
{
	struct sixbed4_config cfg = router(SIXBED4_W2);
	const struct in6_addr old = sixbed4_addr(cfg.prefix, sixbed4_pack(SIXBED4_W2, ep("203.0.113.77", 50000), 1));
	__u8 buf[1024], *tight;

	(void)st;
	expect_bytes(buf, sixbed4_build_ra(buf, sizeof(buf), &cfg, PEER, NULL, &old, NULL), RA);
	cfg.retract = 1;
	expect_bytes(buf, sixbed4_build_ra(buf, sizeof(buf), &cfg, PEER, NULL, &old, NULL), RA_RETRACT);
	cfg.n_routes = 2;
	cfg.route[0] = (struct prefix6){ in6("2001:db8:6::"), 48 };
	cfg.route[1] = (struct prefix6){ in6("fd00::"), 16 };
	assert_int_equal(sixbed4_build_ra(buf, sizeof(buf), &cfg, PEER, NULL, &old, NULL), 184);
	expect_bytes(buf + 120, 64, "03043000ffffffffffffffff0000000020010db8000600000000000000000000"
				    "03041000ffffffffffffffff00000000fd000000000000000000000000000000");
	assert_true(icmp6_sum_right((struct cur){ buf + 40, buf + 184 }, (struct ipv6hdr *)buf));
	for (size_t size = 0; size < 184; size++) {
		tight = malloc(size ? size : 1);
		assert_int_equal(sixbed4_build_ra(tight, size, &cfg, PEER, NULL, &old, NULL), -ENOBUFS);
		free(tight);
	}
}

/* XDP may see less of a datagram than its UDP header says: then the slow path decides. */
static void doubt_about_a_split_frame_is_no_verdict(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	const struct packet p = packet(RS);
	struct sixbed4_in in;

	(void)st;
	for (size_t n = 41; n < p.len; n++) {
		struct packet split = p;
		struct cur c;

		split.len = n;
		c = exactly(&split);
		expect_reason(sixbed4_in(&cfg, &refusing, PEER, c, (__u32)p.len, false, &in), R_NOT_LINEAR);
	}
}

/* Services: what pretends to come from one would have it spoken to. */
static void low_ports_are_not_answered_either(void **st)
{
	struct sixbed4_config cfg = router(SIXBED4_W2);
	struct packet rs = packet(RS), echo = packet(ECHO);
	struct sixbed4_in in;

	(void)st;
	cfg.min_port = 1024;
	expect_reason(take(&cfg, &rs, ep("203.0.113.77", 1023), true, &in), R_OUTER_REFUSED);
	expect_reason(take(&cfg, &echo, ep("203.0.113.77", 53), true, &in), R_OUTER_REFUSED);
	expect_reason(take(&cfg, &rs, ep("203.0.113.77", 1024), true, &in), R_SOLICITED);
	cfg.min_port = 53;
	expect_reason(take(&cfg, &rs, ep("203.0.113.77", 53), true, &in), R_SOLICITED);
	expect_reason(take(&cfg, &rs, ep("203.0.113.77", 52), true, &in), R_OUTER_REFUSED);
}

/* ---- data */

static void sixbed4_7_1_genuine_packet_goes_native(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct packet p = packet(ECHO);
	struct sixbed4_in in;

	(void)st;
	expect_in(&p, PEER, R_NONE);
	assert_int_equal(take(&cfg, &p, PEER, false, &in), R_NONE);
	assert_int_equal(in.ip6->hop_limit, 64); /* nothing is written */
	p.b[22] ^= 0x3f, p.b[23] ^= 0xff; /* any lanip */
	expect_in(&p, PEER, R_NONE);
}

static void sixbed4_7_1_refusals_by_name(void **st)
{
	struct packet p = { .len = 0 };

	(void)st;
	expect_in(&p, PEER, R_KEEPALIVE);
	p = packet(ECHO), p.b[0] = 0xe5; /* RoHC */
	expect_in(&p, PEER, R_INNER_NOT_IP6);
	p = packet(ECHO), p.b[0] = 0x40;
	expect_in(&p, PEER, R_INNER_NOT_IP6);
	p = packet(ECHO), p.len++;
	expect_in(&p, PEER, R_INNER_LENGTH);
	p = packet(ECHO), p.len--;
	expect_in(&p, PEER, R_INNER_LENGTH);
	p = packet(ECHO), p.len = 40, p.b[4] = p.b[5] = p.b[6] = 0; /* jumbogram */
	expect_in(&p, PEER, R_INNER_LENGTH);
	p.b[6] = 59;
	expect_in(&p, PEER, R_NONE);
	p = packet(RA);
	expect_in(&p, PEER, R_ND_FORWARD);
	p = packet(NA);
	expect_in(&p, PEER, R_ND_FORWARD);
	p = packet(ECHO), p.b[40] = ND_REDIRECT;
	expect_in(&p, PEER, R_ND_FORWARD);
	p = packet(ECHO), put_dst(&p, "ff0e::1");
	expect_in(&p, PEER, R_DST_MULTICAST);
	p = packet(ECHO), put_dst(&p, "::ffff:8.8.8.8");
	expect_in(&p, PEER, R_DST_UNSPECIFIED);
	p = packet(ECHO), put_dst(&p, "fe80::1");
	expect_in(&p, PEER, R_DST_LINK_LOCAL);
	p = packet(ECHO), p.b[21] = 0x9b; /* another port */
	expect_in(&p, PEER, R_SIXBED4_MOVED);
	p = packet(ECHO), put_src(&p, "2001:db8:77:0:c800:714d:d39a:c001");
	expect_in(&p, PEER, R_SRC_NOT_TEREDO);
	p = packet(ECHO), put_src(&p, "fe80::c800:714d:d39a:c001");
	expect_in(&p, PEER, R_SRC_NOT_TEREDO);
	p = packet(ECHO), p.b[16] = 0xca;
	expect_in(&p, PEER, R_SRC_MISMATCH);
	p = packet(ECHO), p.b[7] = 1;
	expect_in(&p, PEER, R_HOP_LIMIT_IN);
	p.b[7] = 0;
	expect_in(&p, PEER, R_HOP_LIMIT_IN);
	p = packet(ECHO), p.len = 1281, p.b[4] = 0x04, p.b[5] = 0xd9;
	expect_in(&p, PEER, R_TOO_BIG);
	p.len--, p.b[5]--;
	expect_in(&p, PEER, R_NONE);
}

static void sixbed4_7_1_bounce_to_another_peer(void **st)
{
	struct sixbed4_config cfg = router(SIXBED4_W2);
	static const struct {
		const char *dst;
		enum reason want;
	} v[] = {
		{ "2001:db8:bed4:1:c000:20d:c00e:1", R_BOUNCED },
		{ "2001:db8:bed4:1:0:0:115c:1", R_CLIENT_REFUSED },    /* 0.0.0.0:4444 */
		{ "2001:db8:bed4:1:c000:2c8:0:1", R_CLIENT_PORT },     /* 192.0.2.200:0 */
		{ "2001:db8:bed4:1:800:1:115c:8001", R_CLIENT_REFUSED }, /* 10.0.0.1 */
		{ "2001:db8:bed4:1:e000:1:115c:1", R_CLIENT_REFUSED },  /* 224.0.0.1 */
		{ "2001:db8:bed4:1:9088:1:64be:4001", R_CLIENT_OURS },  /* the router, lanip 1 */
		{ "2001:db8:bed4:1:808:808:115c:1", R_CLIENT_OURS },    /* 8.8.8.8 */
		{ "2001:db8:bed4:1:c800:714d:d39a:c001", R_DST_TUNNEL }, /* the sender */
		{ "2001:db8:bed4:1:c800:714d:d39a:d002", R_DST_TUNNEL }, /* and his neighbour */
		{ "2001:db8:bed4:1:c100:20d:c00e:1", R_SIXBED4_OPAQUE },
		{ "2001:db8:bed4:1:c200:20d:c00e:1", R_SIXBED4_OPAQUE },
		{ "2001:db8:bed4:1:c200:20d:c00e:0", R_SIXBED4_OPAQUE },
		{ "2001:db8:bed4:1:c000:20d:c00e:0", R_SIXBED4_LOCAL }, /* lanip 0 of anybody */
		{ "2001:db8:bed4:1:9088:1:64be:4000", R_SIXBED4_LOCAL },
		{ "2001:db8:bed4:1::", R_SIXBED4_LOCAL },
		{ "fe80::", R_SIXBED4_LOCAL },
		{ "fe80::9088:1:64be:4000", R_SIXBED4_LOCAL },
	};
	struct sixbed4_in in;
	struct packet p;

	(void)st;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		p = packet(ECHO), put_dst(&p, v[i].dst);
		expect_in(&p, PEER, v[i].want);
	}
	p = packet(ECHO), put_dst(&p, v[0].dst);
	assert_int_equal(take(&cfg, &p, PEER, false, &in), R_BOUNCED);
	assert_true(endpoint4_equal(in.to, ep("192.0.2.13", 49166)));
	p.b[7] = 1; /* the error is the sender's */
	assert_int_equal(take(&cfg, &p, PEER, false, &in), R_HOP_LIMIT_IN);
	assert_true(endpoint4_equal(in.to, PEER));

	p = packet(ECHO), put_dst(&p, v[0].dst);
	cfg.min_port = 49166;
	assert_int_equal(take(&cfg, &p, PEER, false, &in), R_BOUNCED);
	cfg.min_port = 49167;
	expect_reason(take(&cfg, &p, PEER, false, &in), R_CLIENT_PORT);
	/* port 0 is nobody, whatever the lowest one is */
	cfg.min_port = 0;
	p = packet(ECHO), put_dst(&p, "2001:db8:bed4:1::11");
	expect_reason(take(&cfg, &p, PEER, false, &in), R_CLIENT_PORT);
	/* 0.0.0.0 is nobody even where no list forbids it */
	p = packet(ECHO), put_dst(&p, v[1].dst);
	expect_reason(sixbed4_in(&cfg, &laboratory, PEER, exactly(&p), (__u32)p.len, true, &in), R_CLIENT_REFUSED);
	p = packet(ECHO), put_dst(&p, v[3].dst);
	assert_int_equal(sixbed4_in(&cfg, &laboratory, PEER, exactly(&p), (__u32)p.len, true, &in), R_BOUNCED);
}

/* The echo request again, with an extension header before it. */
static struct packet extended(__u8 first, const char *headers)
{
	struct packet e = packet(ECHO), p = e;

	p.len = 40;
	p.b[6] = first;
	grow(&p, headers);
	memcpy(p.b + p.len, e.b + 40, e.len - 40);
	p.len += e.len - 40;
	p.b[5] = (__u8)(p.len - 40);
	return p;
}

static void sixbed4_13_extension_headers_hide_nothing(void **st)
{
	struct packet p;

	(void)st;
	p = extended(0, "3a00010400000000");
	expect_odd(&p, R_INNER_EXTENSION, R_NONE);
	p.b[48] = ND_NEIGHBOR_ADVERT;
	expect_odd(&p, R_INNER_EXTENSION, R_ND_FORWARD);
	p = extended(60, "3a01010c0000000000000000000000000000"); /* destination options, 16 bytes */
	p.b[56] = ND_REDIRECT;
	expect_odd(&p, R_INNER_EXTENSION, R_ND_FORWARD);
	p = extended(51, "3a0200000000000000000000000000000000"); /* authentication: another unit of length */
	p.b[56] = ND_REDIRECT;
	expect_odd(&p, R_INNER_EXTENSION, R_ND_FORWARD);
	p = extended(44, "3a00000000000001"), p.b[48] = ND_ROUTER_ADVERT; /* fragment */
	expect_odd(&p, R_INNER_EXTENSION, R_ND_FORWARD);
	p.b[42] = 1; /* a later one, which begins with such a byte */
	expect_odd(&p, R_INNER_EXTENSION, R_NONE);
	p = extended(44, "1100000100000001");
	expect_in(&p, PEER, R_NONE);
	p = extended(43, "3a00000000000000");
	expect_in(&p, PEER, R_INNER_ROUTING);
	p = extended(0, "2b00010400000000" "3a00000000000000");
	expect_odd(&p, R_INNER_EXTENSION, R_INNER_ROUTING);
	p = extended(43, "3a00040000000000"); /* segment routing */
	expect_odd(&p, R_INNER_EXTENSION, R_NONE);
	p = extended(0, "3aff010400000000"); /* longer than the packet */
	expect_odd(&p, R_INNER_EXTENSION, R_NONE);
}

/* ---- neighbour solicitations */

static void sixbed4_8_neighbour_solicitation_is_answered_with_the_vector(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct sixbed4_in in;
	struct packet p = packet(NS);
	__u8 buf[128];

	(void)st;
	expect_in(&p, PEER, R_SIXBED4_NS);
	assert_int_equal(take(&cfg, &p, PEER, true, &in), R_SIXBED4_NS);
	expect_bytes(buf, sixbed4_build_na(buf, sizeof(buf), &cfg, &in.ip6->saddr), NA);
	for (size_t size = 0; size < 72; size++)
		assert_int_equal(sixbed4_build_na(buf, size, &cfg, &in.ip6->saddr), -ENOBUFS);
	p.len = 64, p.b[5] = 24, resum(&p);
	expect_in(&p, PEER, R_SIXBED4_NS);
	p = packet(NS), p.b[7] = 254;
	expect_in(&p, PEER, R_ND_BAD);
	p = packet(NS), p.b[41] = 1, resum(&p);
	expect_odd(&p, R_SIXBED4_NS, R_ND_BAD);
	p = packet(NS), p.b[43] ^= 1;
	expect_odd(&p, R_SIXBED4_NS, R_ND_BAD);
	p = packet(NS), p.b[65] = 0, resum(&p);
	expect_odd(&p, R_SIXBED4_NS, R_ND_BAD);
	p = packet(NS), grow(&p, "0e01a1b2c3d4e5f6"), resum(&p);
	expect_odd(&p, R_SIXBED4_NS, R_ND_BAD);
	p = packet(NS), p.b[48] = 0x20, resum(&p); /* somebody else's address */
	expect_odd(&p, R_SIXBED4_NS, R_ND_FORWARD);
	p = packet(NS), p.b[21] ^= 1, resum(&p);
	expect_in(&p, PEER, R_SRC_MISMATCH);
	p = packet(NS), put_src(&p, "fe80::1"), resum(&p);
	expect_in(&p, PEER, R_SRC_MISMATCH);
}

/* ---- native packets */

static enum reason out(const struct sixbed4_config *cfg, const struct packet *p, bool deep, struct endpoint4 *to)
{
	struct cur c = exactly(p);
	const struct ipv6hdr *ip6 = cur_take(&c, sizeof(*ip6));

	return sixbed4_out(cfg, &refusing, c, ip6, deep, to);
}

static void expect_out(const struct packet *p, enum reason want)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct endpoint4 to;

	expect_reason(out(&cfg, p, false, &to), want);
	expect_reason(out(&cfg, p, true, &to), want);
}

static struct packet native(void)
{
	struct packet p = packet(ECHO);

	put_src(&p, "2001:db8:6::2");
	put_dst(&p, "2001:db8:bed4:1:c800:714d:d39a:c001");
	resum(&p);
	return p;
}

static void sixbed4_7_2_native_packet_goes_where_its_destination_says(void **st)
{
	struct sixbed4_config cfg = router(SIXBED4_W2);
	struct packet p = native();
	struct endpoint4 to;

	(void)st;
	expect_out(&p, R_NONE);
	assert_int_equal(out(&cfg, &p, false, &to), R_NONE);
	assert_true(endpoint4_equal(to, PEER));
	put_dst(&p, "2001:db8:bed4:2:c800:714d:d39a:c001");
	expect_out(&p, R_NOT_OURS);
	p = native(), put_dst(&p, "2001:db8:bed4:1:0:0:115c:1");
	expect_out(&p, R_CLIENT_REFUSED);
	p = native(), put_dst(&p, "2001:db8:bed4:1:c000:2c8:0:1");
	expect_out(&p, R_CLIENT_PORT);
	p = native(), put_dst(&p, "2001:db8:bed4:1:ca00:714d:d39a:c001");
	expect_out(&p, R_SIXBED4_OPAQUE);
	p = native(), put_dst(&p, "2001:db8:bed4:1:c800:714d:d39a:c000");
	expect_out(&p, R_SIXBED4_LOCAL);
	p = native(), put_dst(&p, "2001:db8:bed4:1:c0a8:1:115c:1");
	expect_out(&p, R_CLIENT_REFUSED);
	p = native(), p.b[40] = ND_ROUTER_ADVERT;
	expect_out(&p, R_ND_FORWARD);
	p = native(), put_src(&p, "ff0e::1");
	expect_out(&p, R_SRC_MULTICAST);
	p = native(), put_src(&p, "::");
	expect_out(&p, R_SRC_UNSPECIFIED);
	p = native(), put_src(&p, "fe80::1");
	expect_out(&p, R_SRC_LINK_LOCAL);
	p = native(), put_src(&p, "2001:db8:bed4:1:c000:20d:c00e:1");
	expect_out(&p, R_SIXBED4_SRC_PEER);
	p = native(), p.b[7] = 1;
	expect_out(&p, R_HOP_LIMIT_OUT);
	p = native(), p.len = 1281, p.b[4] = 0x04, p.b[5] = 0xd9;
	expect_out(&p, R_TOO_BIG);
	p.len--, p.b[5]--;
	expect_out(&p, R_NONE);
	p = native(), put_dst(&p, "2001:db8:bed4:1::11");
	expect_out(&p, R_CLIENT_PORT);
	cfg.min_port = 0;
	expect_reason(out(&cfg, &p, false, &to), R_CLIENT_PORT);
}

/* ---- W1 */

static void sixbed4_15_w1(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W1);
	struct packet p = packet(RS);
	struct sixbed4_in in;
	struct endpoint4 to;
	__u8 buf[256];

	(void)st;
	assert_int_equal(take(&cfg, &p, PEER, false, &in), R_SOLICITED);
	expect_bytes(buf, sixbed4_build_ra(buf, sizeof(buf), &cfg, PEER, &in.ip6->saddr, NULL, NULL), RA_W1);
	/* an odd port is told by the group bit of the destination, and its packets never pass */
	sixbed4_build_ra(buf, sizeof(buf), &cfg, ep("203.0.113.77", 54171), &in.ip6->saddr, NULL, NULL);
	assert_int_equal(buf[32], 0x99);

	p = packet(ECHO), put_src(&p, "2001:db8:bed4:1:98d3:cbff:fe00:714d");
	expect_reason(take(&cfg, &p, PEER, true, &in), R_NONE);
	p.b[19] = 0x12, p.b[20] = 0x34; /* the peer's own hosts */
	expect_reason(take(&cfg, &p, PEER, true, &in), R_NONE);
	p.b[17] ^= 1;
	expect_reason(take(&cfg, &p, PEER, true, &in), R_SIXBED4_MOVED);
	p = packet(ECHO), put_src(&p, "2001:db8:bed4:1:99d3:cbff:fe00:714d");
	expect_reason(take(&cfg, &p, ep("203.0.113.77", 54171), true, &in), R_SRC_MISMATCH);

	p = packet(ECHO), put_src(&p, "2001:db8:bed4:1:98d3:cbff:fe00:714d");
	put_dst(&p, "2001:db8:bed4:1:cc0:c0ff:fe00:20d");
	expect_reason(take(&cfg, &p, PEER, true, &in), R_BOUNCED);
	assert_true(endpoint4_equal(in.to, ep("192.0.2.13", 49166)));
	put_dst(&p, "2001:db8:bed4:1:bc64:91ff:fe88:1"), p.b[24 + 8] = 0xbe; /* 25788 is 64bc: be */
	expect_reason(take(&cfg, &p, PEER, true, &in), R_SIXBED4_LOCAL);
	put_dst(&p, "2001:db8:bed4:1:dc0:c0ff:fe00:20d");
	expect_reason(take(&cfg, &p, PEER, true, &in), R_SIXBED4_OPAQUE);
	put_dst(&p, "2001:db8:bed4:1:200:c0ff:fe00:20d"); /* port 0 */
	expect_reason(take(&cfg, &p, PEER, true, &in), R_CLIENT_PORT);

	p = native(), put_dst(&p, "2001:db8:bed4:1:98d3:cbff:fe00:714d");
	expect_reason(out(&cfg, &p, true, &to), R_NONE);
	assert_true(endpoint4_equal(to, PEER));
}

/* ---- what the router says itself */

static void sixbed4_11_errors_and_echo_replies(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	const struct in6_addr us = sixbed4_ours(&cfg), peer = in6("2001:db8:bed4:1:c800:714d:d39a:c001");
	struct packet p = packet(ECHO), big = { .len = 1400 };
	__u8 buf[2048] __attribute__((aligned(8)));
	struct ipv6hdr *ip6 = (void *)buf;

	(void)st;
	assert_int_equal(icmp6_error(buf, sizeof(buf), &us, ICMP6_TIME_EXCEEDED, 0, 0, p.b, p.len), 48 + p.len);
	assert_memory_equal(&ip6->saddr, &us, 16);
	assert_memory_equal(&ip6->daddr, &peer, 16);
	expect_bytes(buf + 40, 2, "0300");
	assert_memory_equal(buf + 48, p.b, p.len);
	assert_true(icmp6_sum_right((struct cur){ buf + 40, buf + 48 + p.len }, ip6));
	assert_int_equal(icmp6_error(buf, 47 + p.len, &us, ICMP6_TIME_EXCEEDED, 0, 0, p.b, p.len), -ENOBUFS);
	p.b[40] = ICMP6_TIME_EXCEEDED;
	assert_int_equal(icmp6_error(buf, sizeof(buf), &us, ICMP6_TIME_EXCEEDED, 0, 0, p.b, p.len), 0);
	p.b[40] = ND_REDIRECT;
	assert_int_equal(icmp6_error(buf, sizeof(buf), &us, ICMP6_TIME_EXCEEDED, 0, 0, p.b, p.len), 0);
	assert_int_equal(icmp6_error(buf, sizeof(buf), &us, ICMP6_TIME_EXCEEDED, 0, 0, p.b, 40), 0);
	p = packet(ECHO), put_dst(&p, "ff02::1");
	assert_int_equal(icmp6_error(buf, sizeof(buf), &us, ICMP6_TIME_EXCEEDED, 0, 0, p.b, p.len), 0);
	p = packet(ECHO), put_src(&p, "::");
	assert_int_equal(icmp6_error(buf, sizeof(buf), &us, ICMP6_TIME_EXCEEDED, 0, 0, p.b, p.len), 0);

	/* V39 of vectors.py: 1232 bytes quoted */
	unhex("6000000005501"
	      "13e20010db8000100000000000000000007200100004136e37824c763bff601020303e807d00550", big.b);
	big.b[46] = 0, big.b[47] = 0;
	{
		const struct in6_addr src = in6("2001:db8:ffff::1");
		__u64 sum = csum_bytes(0, big.b + 8, 32) + RAW16(BE16(1360)) + RAW16(BE16(IPPROTO_UDP));
		__be16 c = csum_udp(csum_bytes(sum, big.b + 40, 1360));

		memcpy(big.b + 46, &c, 2);
		assert_int_equal(icmp6_error(buf, sizeof(buf), &src, ICMP6_PACKET_TOO_BIG, 0, BE32(1280), big.b, 1400), 1280);
	}
	expect_bytes(buf, 48, "6000000004d83a4020010db8ffff0000000000000000000120010db80001000000000000000000070200274500000500");

	p = packet(ECHO), put_dst(&p, "fe80::"), resum(&p);
	assert_int_equal(icmp6_echo_reply(buf, sizeof(buf), p.b, p.len), p.len);
	assert_memory_equal(&ip6->daddr, &peer, 16);
	assert_memory_equal(&ip6->saddr, p.b + 24, 16);
	assert_int_equal(ip6->hop_limit, 64);
	expect_bytes(buf + 40, 2, "8100");
	assert_memory_equal(buf + 44, p.b + 44, p.len - 44);
	assert_true(icmp6_sum_right((struct cur){ buf + 40, buf + p.len }, ip6));
	assert_int_equal(icmp6_echo_reply(buf, p.len - 1, p.b, p.len), -ENOBUFS);
	p.b[43] ^= 1;
	assert_int_equal(icmp6_echo_reply(buf, sizeof(buf), p.b, p.len), 0);
	p = packet(ECHO), p.b[40] = ICMP6_ECHO_REPLY, resum(&p);
	assert_int_equal(icmp6_echo_reply(buf, sizeof(buf), p.b, p.len), 0);
	for (size_t n = 0; n < p.len; n++)
		assert_int_equal(icmp6_echo_reply(buf, sizeof(buf), p.b, n), 0);
}

/* ---- sweeps */

static bool is_answered(enum reason r)
{
	return r == R_NONE || r == R_BOUNCED || r == R_NOT_OURS || r == R_SOLICITED || r == R_SIXBED4_NS ||
	       r == R_SIXBED4_LOCAL || r == R_SIXBED4_MOVED;
}

static void each_truncation_is_refused(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct sixbed4_in in;
	struct endpoint4 to;

	(void)st;
	for (size_t i = 0; i < VECTORS; i++) {
		struct packet whole = packet(vectors[i]), cut = whole;

		for (size_t n = 0; n < whole.len; n++) {
			cut.len = n;
			for (int deep = 0; deep < 2; deep++) {
				enum reason r = take(&cfg, &cut, PEER, deep, &in);

				assert_string_equal(reason_name(r), !n	? "KEEPALIVE" :
								    n < 40 ? "INNER_NOT_IP6" :
									     "INNER_LENGTH");
			}
			/* the same, but with a length that is right again */
			if (n >= 40) {
				cut.b[4] = (__u8)((n - 40) >> 8), cut.b[5] = (__u8)(n - 40);
				for (int deep = 0; deep < 2; deep++) {
					enum reason r = take(&cfg, &cut, PEER, deep, &in);

					/* genuine, if not whole: the echo, and the solicitation without its message */
					assert_true(!is_answered(r) || (r == R_NONE && i == 7) ||
						    (i == 5 && (n == 40 ? r == R_SIXBED4_LOCAL : r == R_SIXBED4_NS && !deep)));
					out(&cfg, &cut, deep, &to);
				}
				cut = whole;
			}
		}
	}
}

/* One bit turned over: what still passes has an intact source and lengths; nothing reads too far. */
static void each_bit_flip_is_survived(void **st)
{
	const struct sixbed4_config cfg = router(SIXBED4_W2);
	struct sixbed4_in in;
	struct endpoint4 to;
	int passed = 0;

	(void)st;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct packet whole = packet(vectors[i]);

		for (size_t bit = 0; bit < whole.len * 8; bit++)
			for (int deep = 0; deep < 2; deep++) {
				struct packet p = whole;
				enum reason r;

				p.b[bit / 8] ^= (__u8)(0x80 >> bit % 8);
				r = take(&cfg, &p, PEER, deep, &in);
				if (r == R_NONE || r == R_BOUNCED) {
					assert_int_equal(p.b[0] >> 4, 6);
					assert_int_equal(p.b[4] << 8 | p.b[5], p.len - 40);
					assert_true(bit < 8 * 8 || bit >= 22 * 8 + 2);
					assert_true(p.b[7] > 1);
					passed++;
				}
				/* the checksum covers all of a solicitation but what only its carriers read */
				if (r == R_SOLICITED)
					assert_true(bit >= 4 && bit < 32);
				if (r == R_SIXBED4_NS && deep)
					assert_true(bit >= 4 && bit < 32);
				if (p.b[0] >> 4 == 6)
					out(&cfg, &p, false, &to);
			}
	}
	assert_true(passed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sixbed4_5_addresses_are_the_table),
		cmocka_unit_test(sixbed4_5_every_bit_of_the_endpoint_counts),
		cmocka_unit_test(sixbed4_6_solicitation_is_answered_with_the_vector),
		cmocka_unit_test(sixbed4_6_bad_solicitations_are_not_answered),
		cmocka_unit_test(sixbed4_6_unusual_solicitations_are_the_slow_paths),
		cmocka_unit_test(sixbed4_6_routes_retraction_and_room),
		cmocka_unit_test(doubt_about_a_split_frame_is_no_verdict),
		cmocka_unit_test(low_ports_are_not_answered_either),
		cmocka_unit_test(sixbed4_7_1_genuine_packet_goes_native),
		cmocka_unit_test(sixbed4_7_1_refusals_by_name),
		cmocka_unit_test(sixbed4_7_1_bounce_to_another_peer),
		cmocka_unit_test(sixbed4_13_extension_headers_hide_nothing),
		cmocka_unit_test(sixbed4_8_neighbour_solicitation_is_answered_with_the_vector),
		cmocka_unit_test(sixbed4_7_2_native_packet_goes_where_its_destination_says),
		cmocka_unit_test(sixbed4_15_w1),
		cmocka_unit_test(sixbed4_11_errors_and_echo_replies),
		cmocka_unit_test(each_truncation_is_refused),
		cmocka_unit_test(each_bit_flip_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
