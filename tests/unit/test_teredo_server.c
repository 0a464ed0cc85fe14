// SPDX-License-Identifier: GPL-2.0-or-later
/* The Teredo server against the vectors of protocols/vectors.py, and section 5.3 of RFC 4380 rule by rule. */
#include "packets.h"
#include "navalis/teredo-server.h"

#define RS_WINDOWS "6000000000083afffe800000000000000000fffffffffffeff02000000000000000000000000000285007d3800000000"
#define RS_CONE "6000000000083afffe800000000000008000fffffffffffeff0200000000000000000000000000028500fd3700000000"
#define RS_MIREDO "6000000000083afffe800000000000000000ffffffffffffff02000000000000000000000000000285007d3700000000"
#define RS_XP_CONE "6000000000083afffe80000000000000800054455245444fff0200000000000000000000000000028500125d00000000"
#define RS_XP "6000000000083afffe80000000000000000054455245444fff0200000000000000000000000000028500925d00000000"
#define AUTH "000100006aeec3b12888429100"
#define ORIGIN "000063bff6010203"
#define V20_PAYLOAD AUTH RS_WINDOWS
#define RA_V21 "6000000000303afffe800000000000008000f227bec91c87fe800000000000000000fffffffffffe86009f560000000000000000000007d003044040ffffffffffffffff00000000200100004136e3780000000000000000"
#define RA_V22 "6000000000383afffe800000000000008000f227bec91c87fe800000000000000000fffffffffffe8600954d0000000000000000000007d003044040ffffffffffffffff00000000200100004136e37800000000000000000501000000000500"
#define RA_V23 AUTH ORIGIN RA_V21
#define BUBBLE_V24 "6000000000003b40fe80000000000000123456789abcdef0200100004136e37824c763bff6010203"
#define ORIGIN_V25 "0000f2263fe03bf8"
#define BUBBLE_V26 "6000000000003b40200100004136e37824c763bff6010203fe80000000000000123456789abcdef0"
#define BUBBLE_V35 "6000000000003b01200100004136e37824c763bff6010203ff020000000000000000000000000001"
#define ECHO_V36 "6000000000103a3d20010db8000100000000000000000007200100004136e37824c763bff60102038000f64f04d200016162636465666768"
#define TCP_V38 "6281234500210639200100004136e37824c763bff601020320010db80001000000000000000000070050005000000001000000025018020088f600000102030405060708090a0b0c0d"
#define ECHO_V40 "6000000000103a80200100004136e37824c763bff601020320010db80001000000000000000000078000f2fe000000006aeec3b128884291"

static const char *const vectors[] = { V20_PAYLOAD, RS_WINDOWS, RS_CONE, RS_MIREDO, RS_XP, RS_XP_CONE, RA_V23, RA_V22,
				       BUBBLE_V24, ORIGIN_V25 BUBBLE_V24, BUBBLE_V26, BUBBLE_V35, ECHO_V36, TCP_V38,
				       ECHO_V40, AUTH ORIGIN BUBBLE_V24 };
#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

#define CLIENT ep("9.254.253.252", 40000)
#define RELAY ep("192.31.196.7", 3545)

static struct teredo_server_config server(__u16 mtu)
{
	return (struct teredo_server_config){ .addr = { in4("65.54.227.120"), in4("65.54.227.121") },
					      .relay_max = TEREDO_SERVER_ICMP_MAX, .mtu = mtu };
}

static enum reason take(const struct packet *p, struct endpoint4 outer, __u32 at, bool deep, struct teredo_request *q)
{
	static const struct addr4_set self = { .n = 1, .range = { { 0x08080808, 0x08080808 } } };
	const struct refuse4 sets = { refusing.listed, refusing.own, deep ? &self : NULL };
	const struct teredo_server_config cfg = server(0);
	struct cur c = exactly(p);

	memset(q, 0, sizeof(*q));
	return teredo_server_in(&cfg, &sets, outer, at, c, (__u32)p->len, deep, q);
}

static void expect_odd(const struct packet *p, struct endpoint4 outer, enum reason fast, enum reason deep)
{
	struct teredo_request q;

	expect_reason(take(p, outer, 0, false, &q), fast);
	expect_reason(take(p, outer, 0, true, &q), deep);
}

static void expect_in(const struct packet *p, struct endpoint4 outer, enum reason want)
{
	expect_odd(p, outer, want, want);
}

static void put(struct packet *p, size_t at, const char *address)
{
	struct in6_addr a = in6(address);

	memcpy(p->b + at, &a, 16);
}

#define SRC 8
#define DST 24

/* ---- indications */

static void rfc4380_5_1_1_indications(void **st)
{
	struct packet p;

	(void)st;
	/* V11, V12 */
	assert_memory_equal(&(__u64){ teredo_origin(ep("1.2.3.4", 337)) }, packet("0000feaefefdfcfb").b, 8);
	assert_memory_equal(&(__u64){ teredo_origin(CLIENT) }, packet(ORIGIN).b, 8);

	p = packet(AUTH ORIGIN RS_WINDOWS); /* V14 */
	expect_in(&p, CLIENT, R_SOLICITED);
	p = packet(ORIGIN RS_WINDOWS);
	expect_in(&p, CLIENT, R_SOLICITED);
	p = packet(ORIGIN AUTH RS_WINDOWS); /* the other order */
	expect_in(&p, CLIENT, R_INDICATION);
	p = packet(AUTH AUTH RS_WINDOWS);
	expect_in(&p, CLIENT, R_INDICATION);
	p = packet(ORIGIN ORIGIN RS_WINDOWS);
	expect_in(&p, CLIENT, R_INDICATION);
	p = packet("00020000" RS_WINDOWS);
	expect_in(&p, CLIENT, R_INNER_NOT_IP6);
	p = packet("");
	expect_in(&p, CLIENT, R_INNER_NOT_IP6);
	p = packet(RS_WINDOWS), p.len--;
	expect_in(&p, CLIENT, R_INNER_LENGTH);
}

static void rfc4380_5_2_2_authentication_of_any_length(void **st)
{
	const struct teredo_server_config cfg = server(0);
	const __u64 nonce = load64(packet("6aeec3b128884291").b);
	struct teredo_request q;
	struct packet p, key = { .len = 0 };
	__u8 buf[256];

	(void)st;
	p = packet("00010514" "636c69656e" "00112233445566778899aabbccddeeff00112233"
		   "6aeec3b128884291" "00" RS_WINDOWS);
	expect_odd(&p, CLIENT, R_INDICATION_ODD, R_SOLICITED);
	assert_int_equal(take(&p, CLIENT, 0, true, &q), R_SOLICITED);
	assert_true(q.auth && q.nonce == nonce);
	/* the nonce comes back, the identifier and a value for it do not */
	expect_bytes(buf, teredo_server_build_ra(buf, sizeof(buf), &cfg, CLIENT, &q), RA_V23);

	/* one of both is enough; and what the UDP header does not hold is not read, though it is there */
	p = packet("00010004" "00112233" "6aeec3b128884291" "00" RS_WINDOWS);
	expect_odd(&p, CLIENT, R_INDICATION_ODD, R_SOLICITED);
	p = packet("00010400" "00112233" "6aeec3b128884291" "00" RS_WINDOWS);
	expect_odd(&p, CLIENT, R_INDICATION_ODD, R_SOLICITED);
	for (__u32 n = 0; n < p.len; n++) {
		struct cur c = exactly(&p);

		memset(&q, 0, sizeof(q));
		assert_int_not_equal(teredo_server_in(&cfg, &refusing, CLIENT, 0, c, n, true, &q), R_SOLICITED);
		if (n >= TEREDO_AUTH_LEN && n < TEREDO_AUTH_LEN + 4)
			expect_reason(teredo_server_in(&cfg, &refusing, CLIENT, 0, c, n, true, &q), R_INDICATION);
	}

	/* longest of both, and each place where it may be cut */
	memset(key.b, 0xab, 4 + 510);
	key.b[0] = 0, key.b[1] = 1, key.b[2] = 255, key.b[3] = 255;
	memcpy(key.b + 4 + 510, packet("6aeec3b12888429100" RS_WINDOWS).b, 9 + 48);
	key.len = 4 + 510 + 9 + 48;
	assert_int_equal(take(&key, CLIENT, 0, true, &q), R_SOLICITED);
	assert_true(q.nonce == nonce);
	for (p = key; p.len; ) {
		p.len--;
		expect_reason(take(&p, CLIENT, 0, true, &q), p.len < 13 && p.len >= 2 ? R_INDICATION :
							     p.len < 2		   ? R_INNER_NOT_IP6 :
							     p.len < 523	   ? R_INDICATION :
							     p.len < 563	   ? R_INNER_NOT_IP6 :
										     R_INNER_LENGTH);
	}
}

/* ---- solicitations */

static void rfc4380_5_3_2_solicitation_is_answered_with_v21_to_v23(void **st)
{
	struct teredo_server_config cfg = server(0);
	struct packet p = packet(V20_PAYLOAD);
	struct teredo_request q;
	struct nd_ra ra;
	__u8 buf[256], *tight;

	(void)st;
	for (int deep = 0; deep < 2; deep++) {
		assert_int_equal(take(&p, CLIENT, 1, deep, &q), R_SOLICITED);
		assert_int_equal(q.from, 1); /* asked at the secondary address without a cone bit */
		assert_true(endpoint4_equal(q.to, CLIENT));
		expect_bytes(buf, teredo_server_build_ra(buf, sizeof(buf), &cfg, CLIENT, &q), RA_V23);
	}
	for (size_t size = 0; size < 109; size++) {
		tight = malloc(size ? size : 1);
		assert_int_equal(teredo_server_build_ra(tight, size, &cfg, CLIENT, &q), -ENOBUFS);
		free(tight);
	}
	assert_int_equal(teredo_server_ra(&ra, &cfg, &q.ip6.saddr), ND_RA_LEN);
	memset(buf, 0, sizeof(buf));
	nd_ra_put(buf + 21, &ra, ND_RA_LEN);
	expect_bytes(buf + 21, ND_RA_LEN, RA_V21);
	assert_int_equal(buf[21 + ND_RA_LEN], 0);
	cfg.mtu = 1280;
	assert_int_equal(teredo_server_build_ra(buf, sizeof(buf), &cfg, CLIENT, &q), 117);
	expect_bytes(buf, 21, AUTH ORIGIN);
	expect_bytes(buf + 21, 96, RA_V22);

	p = packet(RS_WINDOWS); /* no nonce, none back */
	assert_int_equal(take(&p, CLIENT, 0, false, &q), R_SOLICITED);
	assert_int_equal(teredo_indications_len(&q), 8);
	cfg.mtu = 0;
	expect_bytes(buf, teredo_server_build_ra(buf, sizeof(buf), &cfg, CLIENT, &q), ORIGIN RA_V21);
}

static void rfc5991_3_2_cone_bit_is_answered_from_the_other_address(void **st)
{
	static const struct {
		const char *hex;
		__u32 other;
	} v[] = { { RS_WINDOWS, 0 }, { RS_CONE, 1 }, { RS_MIREDO, 0 }, { RS_XP_CONE, 1 }, { RS_XP, 0 } };
	struct teredo_request q;

	(void)st;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		for (__u32 at = 0; at < 2; at++) {
			struct packet p = packet(v[i].hex);

			assert_int_equal(take(&p, CLIENT, at, false, &q), R_SOLICITED);
			assert_int_equal(q.from, at ^ v[i].other);
			assert_int_equal(take(&p, CLIENT, at, true, &q), R_SOLICITED);
			assert_int_equal(q.from, at ^ v[i].other);
		}
}

static void rfc4380_5_3_2_server_link_local_is_v10(void **st)
{
	const struct teredo_server_config cfg = { .addr = { in4("40.84.25.60"), in4("40.84.25.61") } };
	const struct in6_addr want = in6("fe80::8000:f227:d7ab:e6c3"), got = teredo_server_link(&cfg);

	(void)st;
	assert_memory_equal(&got, &want, 16);
}

static void rfc4380_5_3_1_bad_solicitations_are_not_answered(void **st)
{
	struct packet p;

	(void)st;
	p = packet(RS_WINDOWS), p.b[7] = 254;
	expect_in(&p, CLIENT, R_ND_BAD);
	p = packet(RS_WINDOWS), p.b[43] ^= 1;
	expect_in(&p, CLIENT, R_ND_BAD);
	p = packet(RS_WINDOWS), p.b[41] = 1, resum(&p);
	expect_in(&p, CLIENT, R_ND_BAD);
	p = packet(RS_WINDOWS), p.len = 47, p.b[5] = 7, resum(&p);
	expect_in(&p, CLIENT, R_ND_BAD);
	p = packet(RS_WINDOWS), grow(&p, "0500000000000000"), resum(&p);
	expect_odd(&p, CLIENT, R_SOLICITED_ODD, R_ND_BAD);
	p = packet(RS_WINDOWS), grow(&p, "01010000000000010501000000000500"), resum(&p);
	expect_odd(&p, CLIENT, R_SOLICITED_ODD, R_SOLICITED);
	p = packet(RS_WINDOWS), grow(&p, "0101000000000001"), resum(&p);
	expect_in(&p, CLIENT, R_SOLICITED);
	/* not from a link-local address, not to all routers: no solicitation to a server */
	p = packet(RS_WINDOWS), put(&p, SRC, "2001:db8::1"), resum(&p);
	expect_in(&p, CLIENT, R_SERVER_NOT_OURS);
	p = packet(RS_WINDOWS), put(&p, SRC, "2001:0:4136:e378:24c7:63bf:f601:203"), resum(&p);
	expect_in(&p, CLIENT, R_DST_MULTICAST);
	p = packet(RS_WINDOWS), put(&p, DST, "ff02::1"), resum(&p);
	expect_in(&p, CLIENT, R_SERVER_NOT_OURS);
	p = packet(RS_WINDOWS), p.len += 6; /* a trailer is none of its own */
	expect_in(&p, CLIENT, R_SOLICITED);
}

/* ---- what is sent on */

static void rfc4380_5_3_1_bubble_is_sent_on_with_its_origin(void **st)
{
	static const char *const trailers[] = { "", "0104a1b2c3d4", "03080000c0a8010a0c02", "040400000000", "0502d431",
						"41020000", "81020000", "010900" };
	struct teredo_request q;
	char hex[512];
	__u8 buf[256];

	(void)st;
	for (size_t i = 0; i < sizeof(trailers) / sizeof(trailers[0]); i++) { /* V24 to V25, with V28 to V34 */
		struct packet p;

		snprintf(hex, sizeof(hex), BUBBLE_V24 "%s", trailers[i]);
		p = packet(hex);
		for (int deep = 0; deep < 2; deep++) {
			expect_reason(take(&p, RELAY, 1, deep, &q), R_SERVER_RELAYED);
			assert_true(endpoint4_equal(q.to, CLIENT));
			assert_int_equal(q.from, 0); /* to whichever address it came */
			snprintf(hex, sizeof(hex), ORIGIN_V25 BUBBLE_V24 "%s", trailers[i]);
			expect_bytes(buf, teredo_server_build_relayed(buf, sizeof(buf), RELAY, &q), hex);
			for (size_t size = 0; size < 8 + p.len; size++)
				assert_int_equal(teredo_server_build_relayed(buf, size, RELAY, &q), -ENOBUFS);
		}
	}
}

static void rfc4380_5_3_1_rules_in_their_order(void **st)
{
	struct packet p;

	(void)st;
	/* 2: before the outer source is looked at */
	p = packet(TCP_V38);
	expect_in(&p, CLIENT, R_SERVER_KIND);
	expect_in(&p, ep("10.0.0.1", 40000), R_SERVER_KIND);
	p = packet(BUBBLE_V24), grow(&p, "00"); /* no next header, yet something follows */
	expect_in(&p, RELAY, R_SERVER_KIND);
	p = packet(ECHO_V36), p.len = 40, p.b[5] = 0;
	expect_in(&p, RELAY, R_SERVER_KIND);
	/* 3: before the solicitation is looked at */
	p = packet(RS_WINDOWS);
	expect_in(&p, ep("192.168.4.31", 3074), R_OUTER_REFUSED);
	expect_in(&p, ep("224.0.0.253", 3544), R_OUTER_REFUSED);
	expect_in(&p, ep("9.254.253.252", 0), R_OUTER_REFUSED);
	p.b[43] ^= 1;
	expect_in(&p, ep("192.168.4.31", 3074), R_OUTER_REFUSED);
	/* 5: a Teredo source is where it says, or nowhere, even on the way to a client of ours */
	p = packet(ECHO_V40);
	expect_in(&p, CLIENT, R_NONE);
	expect_in(&p, ep("9.254.253.252", 40001), R_SRC_MISMATCH);
	expect_in(&p, ep("9.254.253.251", 40000), R_SRC_MISMATCH);
	p = packet(BUBBLE_V26), put(&p, DST, "2001:0:4136:e378:24c7:63bf:f601:203");
	expect_in(&p, RELAY, R_SRC_MISMATCH);
	/* 6: others only to clients of this server */
	p = packet(ECHO_V36);
	expect_in(&p, RELAY, R_SERVER_RELAYED);
	p = packet(ECHO_V36), put(&p, DST, "2001:0:4136:e379:24c7:63bf:f601:203"); /* the secondary address */
	expect_in(&p, RELAY, R_SERVER_NOT_OURS);
	p = packet(ECHO_V36), put(&p, DST, "2001:0:a00:1:24c7:63bf:f601:203");
	expect_in(&p, RELAY, R_SERVER_NOT_OURS);
	p = packet(ECHO_V36), put(&p, DST, "2001:db8:4136:e378:24c7:63bf:f601:203");
	expect_in(&p, RELAY, R_SERVER_NOT_OURS);
	p = packet(ECHO_V36), put(&p, SRC, "::1");
	expect_in(&p, RELAY, R_SRC_UNSPECIFIED);
	p = packet(ECHO_V36), put(&p, SRC, "ff02::1");
	expect_in(&p, RELAY, R_SRC_MULTICAST);
	p = packet(ECHO_V36), put(&p, SRC, "2002:c01f:c407::1"); /* 6to4 */
	expect_in(&p, RELAY, R_SERVER_RELAYED);
}

static void rfc4380_5_3_destinations(void **st)
{
	static const struct {
		const char *dst;
		enum reason want;
	} v[] = {
		{ "ff02::1", R_DST_MULTICAST },
		{ "ff02::2", R_DST_MULTICAST }, /* but no solicitation */
		{ "fe80::1", R_DST_LINK_LOCAL },
		{ "fe80::8000:f227:bec9:1c87", R_SERVER_LOCAL },
		{ "fe80::8000:f227:bec9:1c86", R_DST_LINK_LOCAL }, /* not the secondary one's */
		{ "::1", R_DST_UNSPECIFIED },
		{ "fd00::1", R_DST_SITE },
		{ "2001:db8:1::7", R_NONE },
		{ "2001:0:4136:e378:0:63bf:3fff:fdd2", R_SERVER_RELAYED }, /* 192.0.2.45 */
		/* V9 */
		{ "2001:0:4136:e378:0:63bf:ffff:ffff", R_CLIENT_REFUSED }, /* 0.0.0.0 */
		{ "2001:0:4136:e378:0:63bf:f5ff:fffe", R_CLIENT_REFUSED }, /* 10.0.0.1 */
		{ "2001:0:4136:e378:0:63bf:80ff:fffe", R_CLIENT_REFUSED }, /* 127.0.0.1 */
		{ "2001:0:4136:e378:0:63bf:53ef:fffe", R_CLIENT_REFUSED }, /* 172.16.0.1 */
		{ "2001:0:4136:e378:0:63bf:3f57:fefe", R_CLIENT_REFUSED }, /* 192.168.1.1 */
		{ "2001:0:4136:e378:0:63bf:1fff:ff02", R_CLIENT_REFUSED }, /* 224.0.0.253 */
		{ "2001:0:4136:e378:0:63bf:0:0", R_CLIENT_REFUSED },       /* 255.255.255.255 */
		{ "2001:0:4136:e378:0:ffff:f601:203", R_CLIENT_PORT },     /* port 0 */
		{ "2001:0:4136:e378:0:f227:bec9:1c87", R_CLIENT_PORT },    /* the server's own endpoint */
		{ "2001:0:4136:e378:0:f227:bec9:1c86", R_CLIENT_OURS },    /* its other one */
		{ "2001:0:1:2:0:f227:bec9:1c87", R_CLIENT_OURS },
		{ "2001:0:4136:e378:0:63bf:f7f7:f7f7", R_CLIENT_OURS },    /* 8.8.8.8 */
	};
	struct teredo_request q;
	struct packet p;

	(void)st;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		p = packet(ECHO_V40), put(&p, DST, v[i].dst);
		expect_in(&p, CLIENT, v[i].want);
	}
	/* a client of another server gets it without an origin: it would not know whose */
	p = packet(ECHO_V40), put(&p, DST, "2001:0:4136:e379:0:63bf:3fff:fdd2");
	assert_int_equal(take(&p, CLIENT, 0, false, &q), R_SERVER_RELAYED);
	assert_false(q.origin);
	p = packet(ECHO_V40), put(&p, DST, "2001:0:4136:e378:0:63bf:3fff:fdd2");
	assert_int_equal(take(&p, CLIENT, 0, false, &q), R_SERVER_RELAYED);
	assert_true(q.origin);
	/* 0.0.0.0 and the server's own are nobody even where no list forbids them */
	{
		const struct teredo_server_config cfg = server(0);

		p = packet(ECHO_V40), put(&p, DST, v[9].dst);
		memset(&q, 0, sizeof(q));
		expect_reason(teredo_server_in(&cfg, &laboratory, CLIENT, 0, exactly(&p), (__u32)p.len, true, &q),
			      R_CLIENT_REFUSED);
	}
	/* the way to native IPv6 costs a hop, the way to a client does not */
	p = packet(ECHO_V40), p.b[7] = 1;
	expect_in(&p, CLIENT, R_HOP_LIMIT_IN);
	p = packet(ECHO_V36), p.b[7] = 0;
	expect_in(&p, RELAY, R_SERVER_RELAYED);
	/* only echoes end at the server itself */
	p = packet(ECHO_V40), put(&p, DST, "fe80::8000:f227:bec9:1c87"), p.b[40] = ICMP6_ECHO_REPLY;
	expect_in(&p, CLIENT, R_SERVER_KIND);
	p = packet(ECHO_V40), p.b[40] = ND_NEIGHBOR_SOLICIT;
	expect_in(&p, CLIENT, R_ND_FORWARD);
	p = packet(ECHO_V36), p.b[40] = ND_REDIRECT;
	expect_in(&p, RELAY, R_ND_FORWARD);
}

/* MTFL-SA-0603, and its use as a relay for anything. */
static void server_neither_talks_to_itself_nor_amplifies(void **st)
{
	struct packet p;

	(void)st;
	for (int i = 0; i < 2; i++) {
		struct endpoint4 own = ep(i ? "65.54.227.121" : "65.54.227.120", 3544);

		p = packet(BUBBLE_V24);
		expect_in(&p, own, R_OUTER_OURS);
		p = packet(RS_WINDOWS);
		expect_in(&p, own, R_OUTER_OURS);
	}
	/* a relay on the same host is no stranger, unless it speaks from outside */
	p = packet(BUBBLE_V24);
	expect_in(&p, ep("65.54.227.120", 3545), R_SERVER_RELAYED);
	expect_odd(&p, ep("8.8.8.8", 3545), R_OUTER_OURS, R_SERVER_RELAYED);
	expect_in(&p, ep("8.8.9.255", 3545), R_OUTER_OURS);

	p = packet(ECHO_V36), p.len = 40 + 88, p.b[5] = 88;
	expect_in(&p, RELAY, R_SERVER_RELAYED);
	p.len++, p.b[5]++;
	expect_in(&p, RELAY, R_SERVER_SIZE);
	p.b[5]--; /* as a trailer it is no better */
	expect_in(&p, RELAY, R_SERVER_SIZE);
	p = packet(BUBBLE_V24), p.len = 40 + 89;
	expect_in(&p, RELAY, R_SERVER_SIZE);
	p = packet(ECHO_V40), p.len = 40 + 89, p.b[5] = 89;
	expect_in(&p, CLIENT, R_SERVER_SIZE);
}

/* An echo service (RFC 862) at the client's port: it would send back for ever what no hop limit counts. */
static void server_sends_nothing_back_to_where_it_came_from(void **st)
{
	struct packet p;

	(void)st;
	p = packet(ECHO_V36);
	expect_in(&p, RELAY, R_SERVER_RELAYED);
	expect_in(&p, CLIENT, R_DST_TEREDO);
	p = packet(ECHO_V40);
	memcpy(p.b + DST, p.b + SRC, 16);
	expect_in(&p, CLIENT, R_DST_TEREDO);
}

/* The UDP checksums of V23 and V25. */
static void outer_sum_of_answers_without_a_look_at_their_payload(void **st)
{
	const struct teredo_server_config cfg = server(0);
	const __be32 from = cfg.addr[0], to = CLIENT.addr;
	const __be16 port = BE16(3544), at = CLIENT.port;
	struct packet p = packet(V20_PAYLOAD);
	struct teredo_request q;
	struct nd_ra ra;
	__u64 sum;

	(void)st;
	assert_int_equal(take(&p, CLIENT, 0, false, &q), R_SOLICITED);
	teredo_server_ra(&ra, &cfg, &q.ip6.saddr);
	sum = csum_udp4_head(from, to, port, at, BE16(8 + 109));
	assert_int_equal(csum_udp(sum + teredo_indications_sum(&q, CLIENT, csum_lco(load64(&ra.ip6)))), BE16(0x0491));

	p = packet(BUBBLE_V24);
	assert_int_equal(take(&p, RELAY, 0, false, &q), R_SERVER_RELAYED);
	sum = csum_udp4_head(from, to, port, at, BE16(8 + 48));
	assert_int_equal(csum_udp(sum + teredo_indications_sum(&q, RELAY, csum_bytes(0, p.b, 40))), BE16(0x7965));
}

/* XDP may see less of a datagram than its UDP header says: then the slow path decides. */
static void doubt_about_a_split_frame_is_no_verdict(void **st)
{
	const struct teredo_server_config cfg = server(0);
	const struct packet p = packet(V20_PAYLOAD);
	struct teredo_request q;

	(void)st;
	for (size_t n = 15; n < p.len; n++) {
		struct packet split = p;
		struct cur c;

		split.len = n;
		c = exactly(&split);
		memset(&q, 0, sizeof(q));
		expect_reason(teredo_server_in(&cfg, &refusing, CLIENT, 0, c, (__u32)p.len, false, &q), R_NOT_LINEAR);
	}
}

/* ---- sweeps */

static bool is_answered(enum reason r)
{
	return r == R_NONE || r == R_SOLICITED || r == R_SERVER_RELAYED || r == R_SERVER_LOCAL;
}

static void each_truncation_is_refused(void **st)
{
	struct teredo_request q;

	(void)st;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct packet whole = packet(vectors[i]);

		for (size_t n = 0; n < whole.len; n++)
			for (int deep = 0; deep < 2; deep++) {
				struct packet cut = whole;

				cut.len = n;
				assert_false(is_answered(take(&cut, CLIENT, 0, deep, &q)));
				assert_false(is_answered(take(&cut, RELAY, 0, deep, &q)));
			}
	}
}

static void each_bit_flip_is_survived(void **st)
{
	struct endpoint4 from[] = { CLIENT, RELAY };
	int passed = 0;

	(void)st;
	for (size_t i = 0; i < VECTORS; i++) {
		const struct packet whole = packet(vectors[i]);

		for (size_t bit = 0; bit < whole.len * 8; bit++)
			for (int k = 0; k < 4; k++) {
				struct packet p = whole;
				struct teredo_request q;
				enum reason r;
				__u8 buf[256];

				p.b[bit / 8] ^= (__u8)(0x80 >> bit % 8);
				r = take(&p, from[k / 2], 0, k & 1, &q);
				if (!is_answered(r))
					continue;
				passed++;
				assert_int_equal(q.ip6.version, 6);
				assert_true(q.ip6.nexthdr == IPPROTO_ICMPV6 || teredo_is_bubble(&q.ip6));
				assert_true(q.packet + 40 + HOST16(q.ip6.payload_len) <= q.packet + q.len);
				if (teredo_is(&q.ip6.saddr))
					assert_true(teredo_src_matches(&q.ip6.saddr, from[k / 2]));
				else
					assert_true(r == R_SOLICITED || teredo_server(&q.ip6.daddr) == in4("65.54.227.120"));
				if (r == R_SERVER_RELAYED)
					assert_true(teredo_server_build_relayed(buf, sizeof(buf), from[k / 2], &q) > 0);
			}
	}
	assert_true(passed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4380_5_1_1_indications),
		cmocka_unit_test(rfc4380_5_2_2_authentication_of_any_length),
		cmocka_unit_test(rfc4380_5_3_2_solicitation_is_answered_with_v21_to_v23),
		cmocka_unit_test(rfc5991_3_2_cone_bit_is_answered_from_the_other_address),
		cmocka_unit_test(rfc4380_5_3_2_server_link_local_is_v10),
		cmocka_unit_test(rfc4380_5_3_1_bad_solicitations_are_not_answered),
		cmocka_unit_test(rfc4380_5_3_1_bubble_is_sent_on_with_its_origin),
		cmocka_unit_test(rfc4380_5_3_1_rules_in_their_order),
		cmocka_unit_test(rfc4380_5_3_destinations),
		cmocka_unit_test(server_neither_talks_to_itself_nor_amplifies),
		cmocka_unit_test(server_sends_nothing_back_to_where_it_came_from),
		cmocka_unit_test(outer_sum_of_answers_without_a_look_at_their_payload),
		cmocka_unit_test(doubt_about_a_split_frame_is_no_verdict),
		cmocka_unit_test(each_truncation_is_refused),
		cmocka_unit_test(each_bit_flip_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
