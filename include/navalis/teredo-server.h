/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Teredo server (RFC 4380 5.3): what a datagram to it asks for, and what it answers. No state.
 */
#ifndef NAVALIS_TEREDO_SERVER_H
#define NAVALIS_TEREDO_SERVER_H

#include "icmp6.h"
#include "refuse4.h"
#include "teredo.h"

#define TEREDO_SERVER_ICMP_MAX 88   /* what Miredo's server relays of ICMPv6 */
#define TEREDO_RETRANS_MS      2000 /* told to clients, as Miredo's server does */
#define TEREDO_AUTH_LEN        13 /* of an authentication indication without identifier and value */
#define TEREDO_ORIGIN_LEN      8

/* What a datagram asks for. The IPv6 header is a copy: an indication of 13 bytes leaves it
 * unaligned. */
struct teredo_request {
	union {
		struct ipv6hdr ip6;
		word64 word[5];
	};
	const __u8 *packet;  /* where it is */
	__u32 len;           /* of packet and trailers, bytes: all that is sent on to a client */
	__u32 from;          /* index of the address of ours that the answer leaves by */
	struct endpoint4 to; /* and where it goes */
	__u64 nonce;         /* of the authentication indication, in memory order */
	bool auth;           /* there was one */
	bool origin;         /* an origin indication of the outer source goes in front */
};

/* ---- indications (section 5.1.1) ------------------------------------------------------------ */

/* The origin indication of an endpoint, as it lies in memory. */
PURE __u64 teredo_origin(struct endpoint4 at)
{
	return (__u64)(__u16)~RAW16(at.port) << 16 | (__u64)~RAW32(at.addr) << 32;
}

/* TEREDO_AUTH_LEN bytes: the nonce comes back, the key, if there was one, is not known here
 * (5.3.2). */
PURE void teredo_put_auth(void *to, __u64 nonce)
{
	__u8 *p = to;

	p[0] = 0;
	p[1] = 1;
	p[2] = 0; /* length of the identifier */
	p[3] = 0; /* length of the authentication value */
	store64(p + 4, nonce);
	p[12] = 0; /* confirmation */
}

/* An authentication indication at c, of len bytes, if there is one. */
PURE enum reason teredo_take_auth(struct cur *c, __u32 *len, bool deep, struct teredo_request *q)
{
	struct cur at = *c;
	const __u8 *p = *len < TEREDO_AUTH_LEN ? NULL : cur_take(&at, TEREDO_AUTH_LEN);

	if (!p || p[0] != 0 || p[1] != 1)
		return R_NONE;
	q->auth = true;
	if (!p[2] && !p[3]) {
		q->nonce = load64(p + 4);
		*c = at;
		*len -= TEREDO_AUTH_LEN;
		return R_NONE;
	}
#ifndef __bpf__
	if (deep) {
		const __u32 key = (__u32)p[2] + p[3], all = TEREDO_AUTH_LEN + key;

		if (all > *len || !cur_take(c, all))
			return R_INDICATION;
		q->nonce = load64(p + 4 + key);
		*len -= all;
		return R_NONE;
	}
#endif
	(void)deep;
	return R_INDICATION_ODD;
}

/* An origin indication, if there is one: of no use to a server, which knows better. */
PURE void teredo_take_origin(struct cur *c, __u32 *len)
{
	struct cur at = *c;
	const __u8 *p = *len < TEREDO_ORIGIN_LEN ? NULL : cur_take(&at, TEREDO_ORIGIN_LEN);

	if (p && !p[0] && !p[1]) {
		*c = at;
		*len -= TEREDO_ORIGIN_LEN;
	}
}

/*
 * What a datagram holds: authentication, origin, each at most once and in this order, and an IPv6
 * packet that may have trailers. Leaves c behind the IPv6 header.
 */
PURE enum reason teredo_request(struct cur *c, __u32 len, bool deep, struct teredo_request *q)
{
	enum reason r = teredo_take_auth(c, &len, deep, q);
	const __u8 *p;

	if (r != R_NONE)
		return r;
	teredo_take_origin(c, &len);
	p = len < 2 ? NULL : cur_take(c, 2);
	if (p && !p[0] && p[1] <= 1)
		return R_INDICATION;
	if (!p || p[0] >> 4 != 6 || len < sizeof(q->ip6))
		return R_INNER_NOT_IP6;
	if (!cur_take(c, sizeof(q->ip6) - 2))
		return R_NOT_LINEAR;
	for (int i = 0; i < 5; i++)
		q->word[i] = load64(p + 8 * i);
	if (sizeof(q->ip6) + HOST16(q->ip6.payload_len) > len)
		return R_INNER_LENGTH;
	q->packet = p;
	q->len = len;
	return R_NONE;
}

/* ---- the decision (sections 5.3.1, 5.3.2) --------------------------------------------------- */

/* fe80:: and the identifier that the server's address would have as a client's, cone bit set
 * (5.3.2). */
PURE struct in6_addr teredo_server_link(const volatile struct teredo_server_config *cfg)
{
	return (struct in6_addr){ .s6_addr32 = { BE32(0xfe800000), 0,
						 BE32((__u32)TEREDO_FLAG_CONE << 16 |
						      (TEREDO_SERVER_PORT ^ 0xffff)),
						 ~cfg->addr[0] } };
}

PURE bool teredo_server_is_link(const volatile struct teredo_server_config *cfg,
				const struct in6_addr *a)
{
	const struct in6_addr link = teredo_server_link(cfg);

	return a->s6_addr32[0] == link.s6_addr32[0] && a->s6_addr32[1] == link.s6_addr32[1] &&
	       a->s6_addr32[2] == link.s6_addr32[2] && a->s6_addr32[3] == link.s6_addr32[3];
}

/* Sending to one of these would be talking to ourselves, for ever. */
PURE bool teredo_server_at(const volatile struct teredo_server_config *cfg, struct endpoint4 at)
{
	return at.port == BE16(TEREDO_SERVER_PORT) &&
	       (at.addr == cfg->addr[0] || at.addr == cfg->addr[1]);
}

PURE bool teredo_all_routers(const struct in6_addr *a)
{
	return a->s6_addr32[0] == BE32(0xff020000) && !a->s6_addr32[1] && !a->s6_addr32[2] &&
	       a->s6_addr32[3] == BE32(2);
}

/* May anything be sent to the client that a Teredo address names? */
PURE enum reason teredo_server_target(const volatile struct teredo_server_config *cfg,
				      const struct refuse4 *sets, const struct in6_addr *client,
				      struct endpoint4 *to)
{
	*to = teredo_mapped(client);
	if (!to->port ||
	    (to->addr == teredo_server(client) && to->port == BE16(TEREDO_SERVER_PORT)))
		return R_CLIENT_PORT;
	if (!to->addr)
		return R_CLIENT_REFUSED;
	if (to->addr == cfg->addr[0] || to->addr == cfg->addr[1])
		return R_CLIENT_OURS;
	switch (refuse4(sets, to->addr)) {
	case REFUSAL_NONE:
		return R_NONE;
	case REFUSAL_OURS:
		return R_CLIENT_OURS;
	default:
		return R_CLIENT_REFUSED;
	}
}

/* Rules 5 to 7 of section 5.3.1: who may have something sent on? */
PURE enum reason teredo_server_source(const volatile struct teredo_server_config *cfg,
				      struct endpoint4 outer, const struct ipv6hdr *ip6)
{
	switch (addr6_kind(&ip6->saddr)) {
	case ADDR6_TEREDO:
		return teredo_src_matches(&ip6->saddr, outer) ? R_NONE : R_SRC_MISMATCH;
	case ADDR6_UNSPECIFIED:
		return R_SRC_UNSPECIFIED;
	case ADDR6_MULTICAST:
		return R_SRC_MULTICAST;
	default: /* a relay: its bubbles may come from link-local addresses */
		return teredo_is(&ip6->daddr) && teredo_server(&ip6->daddr) == cfg->addr[0]
			       ? R_NONE
			       : R_SERVER_NOT_OURS;
	}
}

/*
 * A datagram to port 3544 of addr[at], checked in the order of section 5.3.1. c stands at the UDP
 * payload, which is payload_len bytes long; when deep, all of them can be read. q begins as zeros.
 * Returns
 *   R_SOLICITED       answer with an advertisement to q->to, from addr[q->from]
 *   R_SERVER_RELAYED  send q->len bytes at q->packet on to q->to, after an origin indication if
 *                     q->origin
 *   R_SERVER_LOCAL    an echo request to be answered to q->to, from addr[q->from]
 *   R_NONE            for native IPv6, without trailers: what policy_native_dst() lets pass is routed
 *   R_HOP_LIMIT_IN    the same, but it is owed Time Exceeded
 * or why it is dropped, or left to the slow path.
 */
PURE enum reason teredo_server_in(const volatile struct teredo_server_config *cfg,
				  const struct refuse4 *sets, struct endpoint4 outer, __u32 at,
				  struct cur c, __u32 payload_len, bool deep,
				  struct teredo_request *q)
{
	const struct ipv6hdr *ip6 = &q->ip6;
	enum reason r = teredo_request(&c, payload_len, deep, q);
	enum refusal refusal;
	struct nd_nonce nonce;
	int type;

	if (r != R_NONE)
		return r;
	type = icmp6_type(c, ip6);
	if (type < 0 && !teredo_is_bubble(ip6))
		return ip6->nexthdr == IPPROTO_ICMPV6 && ip6->payload_len ? R_NOT_LINEAR
									  : R_SERVER_KIND;

	/* a relay on this host has another port: it is no stranger */
	refusal = refuse4(sets, outer.addr);
	if (teredo_server_at(cfg, outer) || (refusal == REFUSAL_OURS && !refuse4_is_self(sets, outer.addr)))
		return R_OUTER_OURS;
	if (refusal == REFUSAL_LISTED || !outer.addr || !outer.port)
		return R_OUTER_REFUSED;

	q->to = outer;
	q->from = at;
	if (type == ND_ROUTER_SOLICIT && teredo_all_routers(&ip6->daddr) &&
	    addr6_kind(&ip6->saddr) == ADDR6_LINK_LOCAL) {
		/* the cone bit asks for an answer from the other address, RFC 5991 3.2 */
		q->from = at ^ (ip6->saddr.s6_addr[8] >> 7);
		q->origin = true;
		return nd_solicitation(c, ip6, deep, &nonce);
	}
	r = teredo_server_source(cfg, outer, ip6);
	if (r != R_NONE)
		return r;

	if (teredo_server_is_link(cfg, &ip6->daddr))
		return type == ICMP6_ECHO_REQUEST ? R_SERVER_LOCAL : R_SERVER_KIND;
	switch (addr6_kind(&ip6->daddr)) {
	case ADDR6_UNSPECIFIED:
		return R_DST_UNSPECIFIED;
	case ADDR6_MULTICAST:
		return R_DST_MULTICAST;
	case ADDR6_LINK_LOCAL:
		return R_DST_LINK_LOCAL;
	case ADDR6_SITE:
		return R_DST_SITE;
	default:
		break;
	}
	if (type >= 0 && nd_is((__u8)type))
		return R_ND_FORWARD;
	if (q->len - sizeof(*ip6) > cfg->relay_max)
		return R_SERVER_SIZE;
	if (!teredo_is(&ip6->daddr))
		return ip6->hop_limit <= 1 ? R_HOP_LIMIT_IN : R_NONE;
	r = teredo_server_target(cfg, sets, &ip6->daddr, &q->to);
	if (r != R_NONE)
		return r;
	/* an echo service there would return for ever what costs no hop */
	if (endpoint4_equal(q->to, outer))
		return R_DST_TEREDO;
	q->from = 0; /* where the client's NAT has a hole */
	q->origin = teredo_server(&ip6->daddr) == cfg->addr[0];
	return R_SERVER_RELAYED;
}

/* ---- advertisements (section 5.3.2) --------------------------------------------------------- */

/* The IPv6 packet. Returns its length, ND_RA_LEN or, with an MTU, ND_RA_LEN_MTU. */
PURE __u32 teredo_server_ra(struct nd_ra *ra, const volatile struct teredo_server_config *cfg,
			    const struct in6_addr *dst)
{
	const struct in6_addr src = teredo_server_link(cfg);
	const struct in6_addr prefix = { .s6_addr32 = { BE32(TEREDO_PREFIX), cfg->addr[0] } };
	const __u32 len = cfg->mtu ? ND_RA_LEN_MTU : ND_RA_LEN;

	nd_ra_begin(ra, &src, dst, len);
	ra->retrans = BE32(TEREDO_RETRANS_MS);
	ra->prefix = nd_prefix(&prefix, 64, ND_PREFIX_AUTO, ND_FOREVER);
	if (cfg->mtu) {
		ra->mtu.type = ND_OPT_MTU;
		ra->mtu.units = 1;
		ra->mtu.mtu = BE32(cfg->mtu);
	}
	nd_ra_end(ra);
	return len;
}

/* Bytes of indications in front of an answer. */
PURE __u32 teredo_indications_len(const struct teredo_request *q)
{
	return (q->auth ? TEREDO_AUTH_LEN : 0) + (q->origin ? TEREDO_ORIGIN_LEN : 0);
}

/*
 * What an answer adds to the sum of the outer datagram: its indications, and inner, the sum of the
 * IPv6 packet behind them (csum_lco() of an advertisement).
 */
PURE __u64 teredo_indications_sum(const struct teredo_request *q, struct endpoint4 outer,
				  __u64 inner)
{
	__u64 sum = q->origin ? csum_add64(inner, teredo_origin(outer)) : inner;

	if (!q->auth)
		return sum;
	/* behind 13 bytes high and low bytes change places (RFC 1071 2 B) */
	sum = __builtin_bswap16(csum_fold(sum));
	return csum_add64(csum_add16(sum, BE16(1)), q->nonce);
}

#ifndef __bpf__

/* The whole UDP payload of the answer to a solicitation. Returns the bytes written or -ENOBUFS. */
PURE int teredo_server_build_ra(void *buf, size_t size,
				const volatile struct teredo_server_config *cfg,
				struct endpoint4 outer, const struct teredo_request *q)
{
	__u8 *p = buf;
	struct nd_ra ra;
	__u32 len = teredo_server_ra(&ra, cfg, &q->ip6.saddr), heads = teredo_indications_len(q);

	if (size < heads + len)
		return -ENOBUFS;
	if (q->auth)
		teredo_put_auth(p, q->nonce);
	store64(p + heads - TEREDO_ORIGIN_LEN, teredo_origin(outer));
	nd_ra_put(p + heads, &ra, len);
	return (int)(heads + len);
}

/* The UDP payload of what is sent on to a client. Returns the bytes written or -ENOBUFS. */
PURE int teredo_server_build_relayed(void *buf, size_t size, struct endpoint4 outer,
				     const struct teredo_request *q)
{
	const __u32 heads = q->origin ? TEREDO_ORIGIN_LEN : 0;
	__u8 *p = buf;

	if (size < heads + q->len)
		return -ENOBUFS;
	if (q->origin)
		store64(p, teredo_origin(outer));
	memcpy(p + heads, q->packet, q->len);
	return (int)(heads + q->len);
}

#endif /* !__bpf__ */

#endif
