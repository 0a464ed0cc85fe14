// SPDX-License-Identifier: GPL-2.0-or-later
/* What the slow path does with packets of 6to4, 6rd and 6in4: each verdict, and what is sent where. */
#include "unit.h"
#include "core/transit.h"
#include "navalis/conflict.h"
#include "navalis/hg48.h"
#include "navalis/icmp6.h"
#include "navalis/sixbed4.h"

#define OURS "8.0.2.1"      /* 6to4 */
#define BR "8.0.2.2"        /* 6rd */
#define LOCAL "8.0.2.3"     /* 6in4 */
#define REMOTE "8.0.9.3"
#define NATIVE "2a00:f::7"
#define SITE4 "8.0.9.1"
#define SITE "2002:800:901:1::1"
#define CE4 "10.100.100.1"  /* V42 */
#define CE "2a01:db8:6464:100::1"
#define BEHIND "2a02:5::9"  /* 6in4 */

struct fixture {
	struct nav_config policy;
	struct host host;
	struct prefix6 local6;
	struct sixin4_table *in4;
	struct transit *transit;
	struct relay_time now;
	struct transit_out out;
	__u8 pkt[2048] __attribute__((aligned(8)));
};

static struct prefix6 pfx(const char *addr, __u32 len)
{
	return (struct prefix6){ in6(addr), len };
}

static int setup(void **st)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sixin4_tunnel tunnel[] = {
		{ .local = in4(LOCAL), .remote = in4(REMOTE), .id = 0, .n_prefixes = 2,
		  .prefix = { pfx("2a02:5::", 48), pfx("2a02:1::", 48) }, .link = { .mtu = 1480 } },
		{ .local = in4(LOCAL), .remote = in4("8.0.9.4"), .id = 1, .n_prefixes = 1,
		  .prefix = { pfx("2a02:3::", 48) }, .link = { .mtu = 1280 } },
	};
	struct nav_config *p;
	struct tunnels all;

	assert_non_null(f);
	p = &f->policy;
	p->sixto4 = (struct sixto4_config){ in4(OURS), in4(OURS), .link = { .mtu = 1280 } };
	p->sixrd[p->n_sixrd++] = (struct sixrd_domain){ pfx("2a01:db8::", 32), in4("10.0.0.0"), 8, in4(BR),
							.link = { 1480, 1, 1, 0 } };
	p->sixin4 = (struct sixin4_config){ 1, { in4(LOCAL) } };
	p->refused = (struct addr4_set){ .n = 1, .range = { { 0x0a000000, 0x0affffff } } };
	all = (struct tunnels){ .sixto4 = &p->sixto4, .sixrd = p->sixrd, .n_sixrd = 1 };
	assert_true(tunnels_add_prefixes(&p->tunnels, &all));
	f->local6 = pfx("2a00:1::1", 128);
	f->host = (struct host){ .local6 = &f->local6, .n_local6 = 1, .source = in6("2a00:1::1") };
	f->host.own.v4.n = 1;
	f->host.own.v4.range[0] = (struct addr4_range){ HOST32(in4(OURS)), HOST32(in4(LOCAL)) };
	f->now = (struct relay_time){ 1000000, 4000 };
	assert_int_equal(sixin4_table_new(tunnel, 2, &f->in4), 0);
	assert_int_equal(transit_new(p, &f->host, 1, &f->transit), 0);
	transit_set(f->transit, 2, 3, 5);
	transit_set_sixin4(f->transit, f->in4);
	*st = f;
	return 0;
}

static int teardown(void **st)
{
	struct fixture *f = *st;

	transit_free(f->transit);
	sixin4_table_free(f->in4);
	free(f);
	return 0;
}

/* An IPv6 packet with so many bytes of payload behind the outer header, if there is to be one. */
static struct ipv6hdr *inner(struct fixture *f, const char *src, const char *dst, __u8 kind, size_t payload)
{
	struct ipv6hdr *ip6 = (void *)(f->pkt + 20);

	memset(f->pkt, 0, sizeof(f->pkt));
	ip6->version = 6;
	ip6->payload_len = BE16(payload);
	ip6->nexthdr = kind;
	ip6->hop_limit = 9;
	ip6->saddr = in6(src);
	ip6->daddr = in6(dst);
	for (size_t i = 0; i < payload; i++)
		f->pkt[60 + i] = (__u8)(i * 7);
	return ip6;
}

static size_t inner_len(const struct fixture *f)
{
	return 40 + HOST16(((const struct ipv6hdr *)(f->pkt + 20))->payload_len);
}

static enum reason from_native(struct fixture *f)
{
	transit_from_native(f->transit, f->pkt + 20, inner_len(f), f->now, &f->out);
	return f->out.reason;
}

static void outer(struct fixture *f, const char *src, const char *dst, __u8 tos)
{
	struct iphdr *ip = (void *)f->pkt;

	*ip = (struct iphdr){ .version = 4, .ihl = 5, .tos = tos, .ttl = 64, .protocol = 41,
			      .tot_len = BE16(20 + inner_len(f)), .saddr = in4(src), .daddr = in4(dst) };
}

static enum reason from_ipv4(struct fixture *f, const char *src, const char *dst)
{
	outer(f, src, dst, 0);
	transit_from_proto41(f->transit, f->pkt, 20 + inner_len(f), f->now, &f->out);
	return f->out.reason;
}

static void expect_sent(const struct fixture *f, const char *src, const char *dst, __u32 mtu)
{
	assert_int_equal(f->out.act, TRANSIT_SEND);
	assert_int_equal(f->out.port, PORT_PROTO41);
	assert_false(f->out.error);
	assert_int_equal(f->out.to.src.addr, in4(src));
	assert_int_equal(f->out.to.dst.addr, in4(dst));
	assert_int_equal(f->out.link->mtu, mtu);
}

static void expect_whole(const struct fixture *f)
{
	assert_ptr_equal(f->out.pkt, f->pkt + 20);
	assert_int_equal(f->out.len, inner_len(f));
}

/* An ICMPv6 error about the packet, to its source, by way of the TUN. */
static void expect_error(const struct fixture *f, __u8 type, __u8 code, __u32 word)
{
	const __u8 *p = f->out.pkt;
	struct cur all = { p + 40, p + f->out.len };
	__be32 be = BE32(word);
	struct ipv6hdr ip6;

	assert_int_equal(f->out.act, TRANSIT_WRITE);
	assert_true(f->out.error);
	memcpy(&ip6, p, sizeof(ip6));
	assert_int_equal(p[40], type);
	assert_int_equal(p[41], code);
	assert_memory_equal(p + 44, &be, 4);
	assert_memory_equal(&ip6.saddr, &f->host.source, 16);
	assert_memory_equal(&ip6.daddr, f->pkt + 28, 16);
	assert_true(icmp6_sum_right(all, &ip6));
	assert_memory_equal(p + 48, f->pkt + 20, f->out.len - 48);
}

/* ---- into a tunnel */

static void a_native_packet_goes_to_the_endpoint_that_its_destination_names(void **st)
{
	static const struct {
		const char *dst, *from, *to;
		__u32 mtu;
	} v[] = {
		{ SITE, OURS, SITE4, 1280 },      { CE, BR, CE4, 1480 },
		{ BEHIND, LOCAL, REMOTE, 1480 },  { "2a02:1::1", LOCAL, REMOTE, 1480 },
		{ "2a02:3:0:1::", LOCAL, "8.0.9.4", 1280 },
	};
	struct fixture *f = *st;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		inner(f, NATIVE, v[i].dst, 17, v[i].mtu - 40);
		expect_reason(from_native(f), R_ENCAP);
		expect_sent(f, v[i].from, v[i].to, v[i].mtu);
		expect_whole(f);
	}
}

static void rfc4213_3_2_a_longer_packet_is_too_big(void **st)
{
	struct fixture *f = *st;

	inner(f, NATIVE, SITE, 17, 1241);
	expect_reason(from_native(f), R_TOO_BIG);
	expect_error(f, 2, 0, 1280);
	inner(f, NATIVE, CE, 17, 1441);
	expect_reason(from_native(f), R_TOO_BIG);
	expect_error(f, 2, 0, 1480);
	expect_reason(from_native(f), R_TOO_BIG); /* the third in this second */
	assert_int_equal(f->out.act, TRANSIT_NOTHING);
	f->now.ms += 1000;
	expect_reason(from_native(f), R_TOO_BIG);
	expect_error(f, 2, 0, 1480);
}

static void nothing_is_sent_for_whom_a_mechanism_refuses(void **st)
{
	static const struct {
		const char *src, *dst;
		enum reason reason;
	} v[] = {
		{ NATIVE, "2a02:4::1", R_NOT_OURS },
		{ NATIVE, "2a02::1", R_NOT_OURS },
		{ NATIVE, "2002:a00:1::1", R_CLIENT_REFUSED },
		{ NATIVE, "2002:800:201::1", R_CLIENT_OURS },
		{ "2002:808:808::1", SITE, R_SRC_SIXTO4 },
		{ "fe80::1", SITE, R_SRC_LINK_LOCAL },
		{ "fd00::1", BEHIND, R_SRC_SITE },
		{ "2a01:db8:6465:100::1", CE, R_SRC_TUNNEL },
		{ "2a02:1::1", BEHIND, R_SRC_TUNNEL },
		/* behind this host alone: forged, unless it may cross */
		{ CE, SITE, R_SRC_TUNNEL },
		{ BEHIND, SITE, R_SRC_TUNNEL },
		{ BEHIND, "2a02:3::1", R_SRC_TUNNEL },
		{ BEHIND, CE, R_SRC_TUNNEL },
	};
	struct fixture *f = *st;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		inner(f, v[i].src, v[i].dst, 17, 8);
		expect_reason(from_native(f), v[i].reason);
		assert_int_equal(f->out.act, TRANSIT_NOTHING);
	}
	inner(f, NATIVE, SITE, 17, 8);
	transit_from_native(f->transit, f->pkt + 20, 47, f->now, &f->out);
	expect_reason(f->out.reason, R_NATIVE_LENGTH);
	transit_from_native(f->transit, f->pkt + 20, 39, f->now, &f->out);
	expect_reason(f->out.reason, R_NOT_OURS);

	f->policy.tunnels.cross = TUNNEL_CROSS(TUNNEL_SIXIN4, TUNNEL_SIXTO4);
	inner(f, BEHIND, SITE, 17, 8);
	expect_reason(from_native(f), R_ENCAP);
	inner(f, BEHIND, CE, 17, 8);
	expect_reason(from_native(f), R_SRC_TUNNEL);
}

/* ---- out of a tunnel */

static const struct {
	const char *from, *to, *src, *other; /* outer; an inner source of the tunnel, and one that is not */
	enum reason reason;                  /* to refuse the other one */
} genuine[] = {
	{ SITE4, OURS, SITE, "2002:800:902:1::1", R_SRC_MISMATCH },
	{ CE4, BR, CE, "2a01:db8:6465:100::1", R_SRC_MISMATCH },
	{ REMOTE, LOCAL, BEHIND, "2a02:3::1", R_SRC_NOT_TUNNEL },
};
#define N_GENUINE (sizeof(genuine) / sizeof(genuine[0]))

static void a_genuine_packet_goes_to_native_ipv6(void **st)
{
	struct fixture *f = *st;

	for (size_t i = 0; i < N_GENUINE; i++) {
		inner(f, genuine[i].src, NATIVE, 17, 100);
		expect_reason(from_ipv4(f, genuine[i].from, genuine[i].to), R_DECAP);
		assert_int_equal(f->out.act, TRANSIT_WRITE);
		assert_false(f->out.error);
		expect_whole(f);
		inner(f, genuine[i].other, NATIVE, 17, 100);
		expect_reason(from_ipv4(f, genuine[i].from, genuine[i].to), genuine[i].reason);
		assert_int_equal(f->out.act, TRANSIT_NOTHING);
	}
}

static void it_is_refused_by_name(void **st)
{
	static const __u8 routing_0[] = { 17, 0, 0, 1, 0, 0, 0, 0 };
	struct fixture *f = *st;

	for (size_t i = 0; i < N_GENUINE; i++) {
		const char *src = genuine[i].src, *from = genuine[i].from, *to = genuine[i].to;

		inner(f, src, "2a00:1::1", 17, 8);
		expect_reason(from_ipv4(f, from, to), R_DST_LOCAL);
		f->policy.local_services = 1;
		inner(f, src, "2a00:1::1", 17, 8);
		expect_reason(from_ipv4(f, from, to), R_DECAP);
		f->policy.local_services = 0;

		inner(f, src, NATIVE, 43, 16); /* RFC 5095 */
		memcpy(f->pkt + 60, routing_0, sizeof(routing_0));
		expect_reason(from_ipv4(f, from, to), R_INNER_ROUTING);
		inner(f, src, NATIVE, 58, 24);
		f->pkt[60] = ND_NEIGHBOR_SOLICIT;
		expect_reason(from_ipv4(f, from, to), R_ND_FORWARD);

		inner(f, src, NATIVE, 17, 8)->version = 4;
		expect_reason(from_ipv4(f, from, to), R_INNER_NOT_IP6);
		inner(f, src, NATIVE, 17, 8);
		outer(f, from, to, 0);
		transit_from_proto41(f->transit, f->pkt, 67, f->now, &f->out);
		expect_reason(f->out.reason, R_INNER_LENGTH);

		inner(f, src, "2a02:3::1", 17, 8);
		expect_reason(from_ipv4(f, from, to), R_DST_TUNNEL);
		inner(f, src, NATIVE, 17, 8); /* from the wrong end */
		expect_reason(from_ipv4(f, OURS, to), i == 2 ? R_NO_TUNNEL : R_OUTER_OURS);
	}
	inner(f, SITE, NATIVE, 17, 8);
	expect_reason(from_ipv4(f, SITE4, "8.0.2.9"), R_NOT_OURS);
	expect_reason(from_ipv4(f, "10.0.0.1", OURS), R_OUTER_REFUSED);
	inner(f, BEHIND, SITE, 17, 8);
	expect_reason(from_ipv4(f, REMOTE, LOCAL), R_DST_TUNNEL);
	f->policy.tunnels.cross = TUNNEL_CROSS(TUNNEL_SIXIN4, TUNNEL_SIXTO4);
	expect_reason(from_ipv4(f, REMOTE, LOCAL), R_DECAP);
}

static void rfc6040_4_2_congestion_marks_are_merged(void **st)
{
	struct fixture *f = *st;

	for (size_t i = 0; i < N_GENUINE; i++) {
		inner(f, genuine[i].src, NATIVE, 17, 8);
		outer(f, genuine[i].from, genuine[i].to, 3);
		transit_from_proto41(f->transit, f->pkt, 68, f->now, &f->out);
		expect_reason(f->out.reason, R_ECN_CONGESTED);
		inner(f, genuine[i].src, NATIVE, 17, 8)->flow_lbl[0] = 0x2f; /* ECT(0) */
		outer(f, genuine[i].from, genuine[i].to, 3);
		transit_from_proto41(f->transit, f->pkt, 68, f->now, &f->out);
		expect_reason(f->out.reason, R_DECAP);
		assert_int_equal(f->pkt[21], 0x3f);
	}
}

static void padding_behind_the_packet_is_cut_off(void **st)
{
	struct fixture *f = *st;

	inner(f, SITE, NATIVE, 17, 8);
	outer(f, SITE4, OURS, 0);
	transit_from_proto41(f->transit, f->pkt, 20 + 48 + 5, f->now, &f->out);
	expect_reason(f->out.reason, R_DECAP);
	assert_int_equal(f->out.len, 48);
}

static void rfc5969_8_packets_turn_round_between_sites_of_a_domain(void **st)
{
	static const char *const to[] = { CE, "2a01:db8:6465:100::1" };
	static const char *const to4[] = { CE4, "10.100.101.1" };
	struct fixture *f = *st;

	for (int i = 0; i < 2; i++) {
		inner(f, CE, to[i], 59, 0);
		expect_reason(from_ipv4(f, CE4, BR), R_BOUNCED);
		expect_sent(f, BR, to4[i], 1480);
		expect_whole(f);
		assert_int_equal(f->pkt[27], 8); /* a hop */
	}
	inner(f, CE, to[1], 17, 8)->hop_limit = 1;
	expect_reason(from_ipv4(f, CE4, BR), R_HOP_LIMIT_IN);
	expect_error(f, 3, 0, 0);
	inner(f, CE, to[1], 17, 1441);
	expect_reason(from_ipv4(f, CE4, BR), R_TOO_BIG);
	expect_error(f, 2, 0, 1480);
	inner(f, CE, "2a01:db8:0:200::1", 17, 8); /* 8.0.2.2 is 10.0.2.2 there: a customer's */
	expect_reason(from_ipv4(f, CE4, BR), R_BOUNCED);
	f->policy.sixrd[0].v4 = in4("8.0.0.0");
	inner(f, "2a01:db8:9:100::1", "2a01:db8:2:200::1", 17, 8); /* the relay's own */
	expect_reason(from_ipv4(f, "8.0.9.1", BR), R_DST_OWN_TUNNEL);
}

static void rfc6343_4_5_the_return_relay_never_decapsulates(void **st)
{
	struct fixture *f = *st;

	f->policy.sixto4.return_only = 1;
	f->policy.sixto4.n_senders = 1;
	f->policy.sixto4.sender[0] = pfx("2a00:f::", 64);
	inner(f, SITE, NATIVE, 17, 8);
	expect_reason(from_ipv4(f, SITE4, OURS), R_RETURN_ONLY);
	assert_int_equal(f->out.act, TRANSIT_NOTHING);
	inner(f, NATIVE, SITE, 17, 8);
	expect_reason(from_native(f), R_ENCAP);
	inner(f, "2a00:e::1", SITE, 17, 8);
	expect_reason(from_native(f), R_SRC_NOT_HOST);
}

/* ---- to the relay itself */

static void echo(struct fixture *f, const char *src, const char *dst)
{
	inner(f, src, dst, 58, 16);
	f->pkt[60] = ICMP6_ECHO_REQUEST;
	f->pkt[61] = 0;
	icmp6_seal(f->pkt + 20);
}

static void rfc6343_4_2_1_the_relay_says_that_it_lives(void **st)
{
	static const char *const end[] = { "2002:800:201::", "2a01:db8:0:200::", "fe80::800:203" };
	struct fixture *f = *st;

	f->policy.sixrd[0].v4 = in4("8.0.0.0");
	for (int i = 0; i < 3; i++) {
		const char *src = i == 2 ? "fe80::800:903" : i ? "2a01:db8:9:100::1" : SITE;
		const char *from = i == 2 ? REMOTE : i ? "8.0.9.1" : SITE4;
		const char *to = i == 2 ? LOCAL : i ? BR : OURS;
		struct in6_addr a = in6(end[i]), b = in6(src);
		const __u8 *p;

		if (i == 1) /* 10.0.2.2 with the bits of the relay */
			a = in6("2a01:db8:2:200::");
		echo(f, src, end[i]);
		memcpy(f->pkt + 44, &a, 16);
		icmp6_seal(f->pkt + 20);
		expect_reason(from_ipv4(f, from, to), R_TUNNEL_LOCAL);
		expect_sent(f, to, from, i == 0 ? 1280 : 1480);
		p = f->out.pkt;
		assert_int_equal(p[40], ICMP6_ECHO_REPLY);
		assert_memory_equal(p + 8, &a, 16);
		assert_memory_equal(p + 24, &b, 16);
		f->pkt[62] ^= 1; /* a wrong checksum */
		expect_reason(from_ipv4(f, from, to), R_TUNNEL_LOCAL);
		assert_int_equal(f->out.act, TRANSIT_NOTHING);
	}
}

static void solicit(struct fixture *f, const char *dst)
{
	struct in6_addr end = in6("fe80::800:203");

	inner(f, "fe80::800:903", dst, 58, 24)->hop_limit = 255;
	memset(f->pkt + 60, 0, 8);
	f->pkt[60] = ND_NEIGHBOR_SOLICIT;
	memcpy(f->pkt + 68, &end, 16);
	icmp6_seal(f->pkt + 20);
}

static void rfc4213_3_8_neighbour_unreachability_is_answered(void **st)
{
	struct in6_addr end = in6("fe80::800:203"), peer = in6("fe80::800:903");
	struct fixture *f = *st;
	const __u8 *p;

	for (int group = 0; group < 2; group++) {
		solicit(f, group ? "ff02::1:ff00:203" : "fe80::800:203");
		expect_reason(from_ipv4(f, REMOTE, LOCAL), R_TUNNEL_LOCAL);
		expect_sent(f, LOCAL, REMOTE, 1480);
		p = f->out.pkt;
		assert_int_equal(f->out.len, 64); /* no link-layer address */
		assert_int_equal(p[7], 255);
		assert_int_equal(p[40], ND_NEIGHBOR_ADVERT);
		assert_int_equal(p[44], 0xc0);
		assert_memory_equal(p + 8, &end, 16);
		assert_memory_equal(p + 24, &peer, 16);
		assert_memory_equal(p + 48, &end, 16);
	}
	solicit(f, "fe80::800:203");
	f->pkt[61] = 1; /* a code */
	icmp6_seal(f->pkt + 20);
	expect_reason(from_ipv4(f, REMOTE, LOCAL), R_TUNNEL_LOCAL);
	assert_int_equal(f->out.act, TRANSIT_NOTHING);
	solicit(f, "fe80::800:203");
	f->pkt[62] ^= 1; /* a wrong checksum */
	expect_reason(from_ipv4(f, REMOTE, LOCAL), R_TUNNEL_LOCAL);
	assert_int_equal(f->out.act, TRANSIT_NOTHING);
	solicit(f, "fe80::800:203");
	f->pkt[27] = 254;
	expect_reason(from_ipv4(f, REMOTE, LOCAL), R_TUNNEL_LOCAL);
	assert_int_equal(f->out.act, TRANSIT_NOTHING);
	solicit(f, "fe80::800:203");
	f->pkt[83] ^= 1; /* somebody else is sought */
	icmp6_seal(f->pkt + 20);
	expect_reason(from_ipv4(f, REMOTE, LOCAL), R_TUNNEL_LOCAL);
	assert_int_equal(f->out.act, TRANSIT_NOTHING);
}

/* ---- ICMPv4 */

static enum reason icmp4(struct fixture *f, const char *src, const char *dst, __u8 code, __u32 mtu, size_t len)
{
	outer(f, src, dst, 0);
	transit_icmp4(f->transit, PORT_PROTO41, ep(dst, 0), f->pkt, len, code, mtu, f->now, &f->out);
	return f->out.reason;
}

/* About a datagram. */
static enum reason icmp4_udp(struct fixture *f, enum port port, struct endpoint4 to, __u8 code, size_t len)
{
	transit_icmp4(f->transit, port, to, f->pkt + 20, len, code, 0, f->now, &f->out);
	return f->out.reason;
}

static void rfc4213_3_4_senders_hear_of_icmpv4_errors(void **st)
{
	struct fixture *f = *st;

	inner(f, NATIVE, SITE, 17, 100);
	expect_reason(icmp4(f, OURS, SITE4, 1, 0, 160), R_ICMP4_MATCHED);
	expect_error(f, 1, 3, 0);
	expect_reason(icmp4(f, OURS, SITE4, 1, 0, 60), R_ICMP4_MATCHED);
	expect_reason(icmp4(f, OURS, SITE4, 1, 0, 59), R_ICMP4_IGNORED);
	expect_reason(icmp4(f, OURS, "8.0.9.2", 1, 0, 160), R_ICMP4_IGNORED);
	expect_reason(icmp4(f, BR, SITE4, 1, 0, 160), R_ICMP4_IGNORED);
	f->now.ms += 1000;
	expect_reason(icmp4(f, OURS, SITE4, 4, 1400, 160), R_ICMP4_IGNORED); /* DF was not set */
	inner(f, NATIVE, CE, 17, 100);
	expect_reason(icmp4(f, BR, CE4, 4, 1400, 160), R_ICMP4_MATCHED);
	expect_error(f, 2, 0, 1380);
	expect_reason(icmp4(f, BR, CE4, 4, 600, 160), R_ICMP4_MATCHED);
	expect_error(f, 2, 0, 1280);
	f->now.ms += 1000;
	expect_reason(icmp4(f, BR, CE4, 4, 0, 160), R_ICMP4_MATCHED); /* of a router that does not know of RFC 1191 */
	expect_error(f, 2, 0, 1280);
	inner(f, NATIVE, SITE, 17, 100);
	expect_reason(icmp4(f, OURS, SITE4, 4, 0, 160), R_ICMP4_IGNORED);
	inner(f, NATIVE, "2a04::1", 17, 100);
	expect_reason(icmp4(f, BR, CE4, 1, 0, 160), R_ICMP4_IGNORED);
}

static void native_senders_hear_of_icmpv4_errors_about_datagrams(void **st)
{
	static struct hg48_entry entry[HG48_SLOTS(4)];
	const struct table_seed seed = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };
	const struct endpoint4 at = ep("8.0.9.1", 4000), other = ep("8.0.9.1", 4001);
	const struct prefix6 bed = pfx("2a00:6bed::", 64), hg = pfx("fd4a:6b8c:2d10:1::", 80);
	struct fixture *f = *st;
	struct nav_config *p = &f->policy;
	struct in6_addr peer;
	char dst[INET6_ADDRSTRLEN];

	p->sixbed4[0] = (struct sixbed4_config){ .service = ep(OURS, 25790), .prefix = load64(&bed.addr),
						 .mtu = 1280, .min_port = 1024 };
	p->hg48 = (struct hg48_config){ .prefix = hg.addr, .service = ep(OURS, 3546), .life = 100, .window = 10,
					.window_packets = 3, .max_peers = 4, .min_port = 1024,
					.link = { .mtu = 1280 } };
	assert_true(tunnels_add_prefix(&p->tunnels, TUNNEL_SIXBED4, 0, &bed));
	assert_true(tunnels_add_prefix(&p->tunnels, TUNNEL_HG48, 0, &hg));
	memset(entry, 0, sizeof(entry));
	assert_int_equal(transit_set_hg48(f->transit, entry, &seed), 0);

	peer = sixbed4_addr(p->sixbed4[0].prefix, sixbed4_pack(SIXBED4_W2, at, 1));
	inet_ntop(AF_INET6, &peer, dst, sizeof(dst));
	inner(f, NATIVE, dst, 17, 100);
	expect_reason(icmp4_udp(f, PORT_SIXBED4, at, 3, 140), R_ICMP4_MATCHED);
	expect_error(f, 1, 3, 0);
	expect_reason(icmp4_udp(f, PORT_SIXBED4, at, 3, 148), R_ICMP4_MATCHED); /* a router has added 8 bytes */
	assert_int_equal(f->out.len, 48 + 140);
	expect_reason(icmp4_udp(f, PORT_SIXBED4, at, 3, 39), R_ICMP4_IGNORED);
	expect_reason(icmp4_udp(f, PORT_SIXBED4, other, 3, 140), R_ICMP4_IGNORED);
	expect_reason(icmp4_udp(f, PORT_HG48, at, 3, 140), R_ICMP4_IGNORED);
	expect_reason(icmp4_udp(f, PORT_SERVER, at, 3, 140), R_ICMP4_IGNORED);
	expect_reason(icmp4_udp(f, PORT_SIXBED4, at, 4, 140), R_ICMP4_IGNORED); /* DF is never set */
	expect_reason(icmp4(f, OURS, "8.0.9.1", 3, 0, 160), R_ICMP4_IGNORED); /* that is UDP's */
	inner(f, CE, dst, 17, 100); /* from one tunnel nothing leaves by another */
	expect_reason(icmp4_udp(f, PORT_SIXBED4, at, 3, 140), R_ICMP4_IGNORED);
	for (size_t kind = 0; kind < 256; kind++) { /* of which no more is quoted */
		inner(f, NATIVE, dst, (__u8)kind, 1200);
		f->pkt[62] = 0; /* a routing header that would be refused; behind the quote */
		expect_reason(icmp4_udp(f, PORT_SIXBED4, at, 3, 40), R_ICMP4_MATCHED);
		expect_reason(icmp4(f, OURS, "8.0.9.1", 3, 0, 60), R_ICMP4_IGNORED);
	}

	f->now.ms += 1000;
	peer = hg48_addr(&p->hg48, at);
	inet_ntop(AF_INET6, &peer, dst, sizeof(dst));
	inner(f, NATIVE, dst, 17, 100);
	expect_reason(icmp4_udp(f, PORT_HG48, at, 3, 140), R_ICMP4_IGNORED); /* nothing was sent there */
	expect_reason(from_native(f), R_ENCAP);
	expect_reason(icmp4_udp(f, PORT_HG48, at, 3, 140), R_ICMP4_MATCHED);
	expect_error(f, 1, 3, 0);
	expect_reason(icmp4_udp(f, PORT_HG48, other, 3, 140), R_ICMP4_IGNORED);
	expect_reason(icmp4_udp(f, PORT_HG48, at, 3, 140), R_ICMP4_MATCHED);
	expect_reason(icmp4_udp(f, PORT_HG48, at, 3, 140), R_ICMP4_MATCHED); /* the third in a second: nobody is told */
	assert_int_equal(f->out.act, TRANSIT_NOTHING);
	expect_reason(from_native(f), R_ENCAP);
	expect_reason(from_native(f), R_ENCAP);
	expect_reason(from_native(f), R_UNCONFIRMED); /* which is true, and told all the same */
	expect_error(f, 1, 3, 0);
}

static void errors_of_this_host_reach_peers_whoever_is_served(void **st)
{
	static const char *const to[] = { SITE, CE, "2a02:5::9" };
	struct fixture *f = *st;

	f->policy.n_served = 1;
	f->policy.served[0] = pfx("2a00:f::", 64);
	for (size_t i = 0; i < sizeof(to) / sizeof(*to); i++) {
		inner(f, "2a00:1::1", to[i], 58, 8);
		expect_reason(from_native(f), R_ENCAP);
		inner(f, "2a00:1::2", to[i], 58, 8);
		expect_reason(from_native(f), R_SRC_NOT_SERVED);
	}
}

/* ---- UDP: advertisements, and a port that nothing is configured for */

static void advertisements_are_limited_to_one_address_and_in_all(void **st)
{
	struct fixture *f = *st;
	const struct {
		const char *from;
		enum reason reason;
	} asks[] = {
		{ "8.0.9.1", R_SOLICITED }, { "8.0.9.1", R_SOLICITED }, { "8.0.9.1", R_SOLICITED },
		{ "8.0.9.1", R_LIMIT_CLIENT }, /* which spends nothing of the others' */
		{ "8.0.9.2", R_SOLICITED }, { "8.0.9.3", R_SOLICITED }, { "8.0.9.4", R_LIMIT_PEERS },
	};

	f->policy.sixbed4[0] = (struct sixbed4_config){
		.service = ep(OURS, 25790), .prefix = 0x0300032aULL, .mtu = 1280, .min_port = 1024,
	};
	for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++) {
		struct ipv6hdr *rs = inner(f, "fe80::1", "ff02::2", 58, 8);

		rs->hop_limit = 255;
		memcpy(f->pkt + 60, "\x85\0\0\0\0\0\0", 8);
		icmp6_seal(rs);
		transit_from_udp(f->transit, PORT_SIXBED4, f->pkt + 20, 48, ep(asks[i].from, 4000), 0, f->now, &f->out);
		expect_reason(f->out.reason, asks[i].reason);
		assert_int_equal(f->out.act, asks[i].reason == R_SOLICITED ? TRANSIT_SEND : TRANSIT_NOTHING);
	}
}

static void a_port_of_a_mechanism_that_is_off_takes_nothing(void **st)
{
	struct fixture *f = *st;

	inner(f, NATIVE, NATIVE, 17, 8);
	transit_from_udp(f->transit, PORT_HG48, f->pkt + 20, 48, ep("8.0.9.1", 4000), 0, f->now, &f->out);
	expect_reason(f->out.reason, R_NOT_OURS);
	assert_int_equal(transit_endpoint(&f->policy, PORT_PROTO41).addr, 0);
	for (enum port port = PORT_SIXBED4; port < PORT_MAX; port++)
		assert_int_equal(transit_endpoint(&f->policy, port).addr, 0);
}

/* ---- routes, and the table of tunnels */

static void each_prefix_has_a_route_with_its_mtu(void **st)
{
	static const struct {
		const char *addr;
		__u32 len, mtu;
	} v[] = { { "2001::", 32, 1280 }, { "2002::", 16, 1280 }, { "2a01:db8::", 32, 1480 },
		  { "2a02:1::", 48, 1480 }, { "2a02:3::", 48, 1280 }, { "2a02:5::", 48, 1480 } };
	struct fixture *f = *st;
	struct tun_route route[TUN_ROUTES(f->in4)];

	assert_int_equal(transit_routes(&f->policy, f->in4, route), 5);
	f->policy.service = ep("8.0.2.1", 3545);
	f->policy.mtu = 1280;
	assert_int_equal(transit_routes(&f->policy, f->in4, route), 6);
	for (int i = 0; i < 6; i++) {
		struct in6_addr a = in6(v[i].addr);

		assert_memory_equal(&route[i].prefix.addr, &a, 16);
		assert_int_equal(route[i].prefix.len, v[i].len);
		assert_int_equal(route[i].mtu, v[i].mtu);
	}
}

static void many_tunnels_are_found_by_their_ends_and_by_what_is_behind_them(void **st)
{
	enum { N = 1000 };
	struct sixin4_tunnel *t = calloc(N, sizeof(*t));
	struct sixin4_table *table;
	struct in6_addr a = in6("2a03::");

	(void)st;
	assert_non_null(t);
	for (__u32 i = 0; i < N; i++) {
		t[i] = (struct sixin4_tunnel){ .local = in4(LOCAL), .remote = BE32(0x09000000 + i * 7), .id = i,
					       .n_prefixes = 1 };
		a.s6_addr32[1] = BE32((i * 37 % N) << 16);
		t[i].prefix[0] = (struct prefix6){ a, 48 };
	}
	assert_int_equal(sixin4_table_new(t, N, &table), 0);
	for (__u32 i = 0; i < N; i++) {
		a = t[i].prefix[0].addr;
		a.s6_addr[15] = 1;
		assert_int_equal(sixin4_behind(table, &a)->id, i);
		a.s6_addr[5] |= 1; /* another /48 if they are not next to each other: never another's */
		assert_int_equal(sixin4_between(table, (struct sixin4_key){ t[i].local, t[i].remote })->id, i);
		assert_null(sixin4_between(table, (struct sixin4_key){ t[i].remote, t[i].local }));
		assert_null(sixin4_between(table, (struct sixin4_key){ t[i].local, t[i].remote ^ BE32(1U << 20) }));
	}
	a = in6("2a02:ffff::");
	assert_null(sixin4_behind(table, &a));
	a = in6("2a03:0:3e8::");
	assert_null(sixin4_behind(table, &a));
	assert_null(sixin4_behind(NULL, &a));
	sixin4_table_free(table);
	free(t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_native_packet_goes_to_the_endpoint_that_its_destination_names),
		T(rfc4213_3_2_a_longer_packet_is_too_big),
		T(nothing_is_sent_for_whom_a_mechanism_refuses),
		T(a_genuine_packet_goes_to_native_ipv6),
		T(it_is_refused_by_name),
		T(rfc6040_4_2_congestion_marks_are_merged),
		T(padding_behind_the_packet_is_cut_off),
		T(rfc5969_8_packets_turn_round_between_sites_of_a_domain),
		T(rfc6343_4_5_the_return_relay_never_decapsulates),
		T(rfc6343_4_2_1_the_relay_says_that_it_lives),
		T(rfc4213_3_8_neighbour_unreachability_is_answered),
		T(rfc4213_3_4_senders_hear_of_icmpv4_errors),
		T(native_senders_hear_of_icmpv4_errors_about_datagrams),
		T(errors_of_this_host_reach_peers_whoever_is_served),
		T(advertisements_are_limited_to_one_address_and_in_all),
		T(a_port_of_a_mechanism_that_is_off_takes_nothing),
		T(each_prefix_has_a_route_with_its_mtu),
		cmocka_unit_test(many_tunnels_are_found_by_their_ends_and_by_what_is_behind_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
