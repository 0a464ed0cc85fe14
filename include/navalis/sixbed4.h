/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 6bed4, the router: addresses, what a datagram or a native packet asks for, and the
 * advertisements.
 *
 * Two formats of the address: W2 of draft-vanrein-6bed4-00 to -04, and W1 of the draft of 2012,
 * which enum sixbed4_format describes. The router keeps no state: who a peer is, its address says.
 */
#ifndef NAVALIS_SIXBED4_H
#define NAVALIS_SIXBED4_H

#include "icmp6.h"
#include "refuse4.h"

#define SIXBED4_PORT    25790 /* W2 */
#define SIXBED4_PORT_W1 25788
#define SIXBED4_MTU     1280

/* ---- addresses ------------------------------------------------------------------------------ */

/* The last 8 bytes of an address as a number. */
PURE __u64 sixbed4_low(const struct in6_addr *a)
{
	return HOST64(load64(a->s6_addr + 8));
}

PURE bool sixbed4_is(const volatile struct sixbed4_config *cfg, const struct in6_addr *a)
{
	return load64(a) == cfg->prefix;
}

/* The bits of the lower half that name an endpoint: those that the peer does not choose. */
PURE __u64 sixbed4_mask(__u8 format)
{
	return format == SIXBED4_W1 ? 0xffffff0000ffffff : 0xffffffffffffc000;
}

/* The lower half for an endpoint; lanip is W2's, at most 14 bits. */
PURE __u64 sixbed4_pack(__u8 format, struct endpoint4 at, __u16 lanip)
{
	const __u64 v4 = HOST32(at.addr), port = HOST16(at.port);

	if (format == SIXBED4_W1) /* ff:fe as EUI-64 has it, and the universal bit turned over */
		return ((port & 0xff) ^ 2) << 56 | (port >> 8) << 48 | (v4 >> 24) << 40 |
		       0xfffeULL << 24 | (v4 & 0xffffff);
	return (v4 & 0xfcffffff) << 32 | port << 16 | (v4 >> 24 & 3) << 14 | lanip;
}

/* The endpoint in a lower half that is not opaque. */
PURE struct endpoint4 sixbed4_unpack(__u8 format, __u64 low)
{
	if (format == SIXBED4_W1)
		return (struct endpoint4){
			.addr = BE32((low >> 40 & 0xff) << 24 | (low & 0xffffff)),
			.port = BE16((low >> 48 & 0xff) << 8 | ((low >> 56) ^ 2)),
		};
	return (struct endpoint4){ .addr = BE32((low >> 32 & 0xfcffffff) | (low >> 14 & 3) << 24),
				   .port = BE16(low >> 16 & 0xffff) };
}

/* With these bits set it is no peer's: universal and group in W2; group, an odd port, in W1. */
PURE bool sixbed4_opaque(__u8 format, __u64 low)
{
	return low >> 56 & (format == SIXBED4_W1 ? 1 : 3);
}

PURE struct in6_addr sixbed4_addr(__u64 prefix, __u64 low)
{
	return (struct in6_addr){ .s6_addr32 = { WIRE32(prefix), WIRE32(prefix >> 32),
						 BE32(low >> 32), BE32(low) } };
}

/* fe80::, and what is behind it. */
#define SIXBED4_LINK ((__u64)0x80fe)

PURE struct in6_addr sixbed4_ours(const volatile struct sixbed4_config *cfg)
{
	struct endpoint4 at = { .addr = cfg->service.addr, .port = cfg->service.port };

	return sixbed4_addr(cfg->prefix, sixbed4_pack(cfg->format, at, 0));
}

/* Does this lower half name the outer source? An odd port cannot be told in W1. */
PURE bool sixbed4_names(__u8 format, __u64 low, struct endpoint4 outer)
{
	return !((low ^ sixbed4_pack(format, outer, 0)) & sixbed4_mask(format)) &&
	       !sixbed4_opaque(format, low);
}

/* Addresses at which the router itself is: lanip 0 of anybody in W2, and fe80::. */
PURE bool sixbed4_is_ours(const volatile struct sixbed4_config *cfg, const struct in6_addr *a)
{
	const struct endpoint4 at = { .addr = cfg->service.addr, .port = cfg->service.port };
	const __u64 low = sixbed4_low(a), own = sixbed4_pack(cfg->format, at, 0);

	if (load64(a) == SIXBED4_LINK)
		return !low || low == own;
	return sixbed4_is(cfg, a) && (low == own || (cfg->format == SIXBED4_W2 && !(low & 0x3fff) &&
						     !sixbed4_opaque(SIXBED4_W2, low)));
}

/* ---- the two questions ---------------------------------------------------------------------- */

/*
 * Which endpoint does this address under the prefix name, and may anything be sent there?
 * R_NONE with *to, or why not.
 */
PURE enum reason sixbed4_target(const volatile struct sixbed4_config *cfg,
				const struct refuse4 *sets, const struct in6_addr *a,
				struct endpoint4 *to)
{
	const __u64 low = sixbed4_low(a);
	const __u8 format = cfg->format;

	if (sixbed4_opaque(format, low))
		return R_SIXBED4_OPAQUE;
	if (sixbed4_is_ours(cfg, a))
		return R_SIXBED4_LOCAL;
	*to = sixbed4_unpack(format, low);
	if (!to->port || HOST16(to->port) < cfg->min_port)
		return R_CLIENT_PORT;
	if (!to->addr) /* whatever the list says: a laboratory's is empty */
		return R_CLIENT_REFUSED;
	if (to->addr == cfg->service.addr)
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

/*
 * A native packet: to which endpoint? c stands behind its header ip6; when deep, its
 * whole payload can be read. Returns R_NONE with *to set, R_NOT_OURS, or why not. Its source has
 * also to pass policy_native_src().
 */
PURE enum reason sixbed4_out(const volatile struct sixbed4_config *cfg, const struct refuse4 *sets,
			     struct cur c, const struct ipv6hdr *ip6, bool deep,
			     struct endpoint4 *to)
{
	enum reason r;

	if (!sixbed4_is(cfg, &ip6->daddr))
		return R_NOT_OURS;
	r = sixbed4_target(cfg, sets, &ip6->daddr, to);
	if (r != R_NONE)
		return r;
	r = ip6_inside(c, ip6, deep);
	if (r != R_NONE)
		return r;
	switch (addr6_kind(&ip6->saddr)) {
	case ADDR6_UNSPECIFIED:
		return R_SRC_UNSPECIFIED;
	case ADDR6_MULTICAST:
		return R_SRC_MULTICAST;
	case ADDR6_LINK_LOCAL:
		return R_SRC_LINK_LOCAL;
	default:
		break;
	}
	if (sixbed4_is(cfg, &ip6->saddr))
		return R_SIXBED4_SRC_PEER;
	if (ip6->hop_limit <= 1)
		return R_HOP_LIMIT_OUT;
	return sizeof(*ip6) + HOST16(ip6->payload_len) > cfg->mtu ? R_TOO_BIG : R_NONE;
}

/* What a datagram from IPv4 holds, and where an answer to it, or the packet itself, is to go. */
struct sixbed4_in {
	const struct ipv6hdr *ip6;
	struct endpoint4 to;
	struct nd_nonce nonce; /* of a solicitation, when deep */
};

/* The IPv6 packet of a datagram: it, and nothing else. */
PURE enum reason sixbed4_payload(struct cur *c, __u32 payload_len, const struct ipv6hdr **ip6)
{
	const struct ipv6hdr *h;

	if (!payload_len)
		return R_KEEPALIVE;
	h = payload_len < sizeof(*h) ? NULL : cur_take(c, sizeof(*h));
	if (!h || h->version != 6)
		return R_INNER_NOT_IP6;
	/* length 0 before hop-by-hop options would be a jumbogram */
	if (sizeof(*h) + HOST16(h->payload_len) != payload_len || (!h->payload_len && !h->nexthdr))
		return R_INNER_LENGTH;
	*ip6 = h;
	return R_NONE;
}

#ifndef __bpf__

/*
 * A neighbour solicitation to be answered: from a peer that is where its source says,
 * for an address of ours. c stands behind the IPv6 header.
 */
PURE enum reason sixbed4_solicited(const volatile struct sixbed4_config *cfg, struct cur c,
				   const struct ipv6hdr *ip6)
{
	const __u16 len = HOST16(ip6->payload_len);
	const struct cur all = { c.pos, c.pos + len };
	struct nd_nonce none;
	struct in6_addr target;

	if ((len != 24 && len != 32) || c.pos[1] || !icmp6_sum_right(all, ip6) ||
	    nd_options((struct cur){ c.pos + 24, all.end }, &none) != R_NONE)
		return R_ND_BAD;
	memcpy(&target, c.pos + 8, sizeof(target));
	return sixbed4_is_ours(cfg, &target) ? R_SIXBED4_NS : R_ND_FORWARD;
}

#endif

/* Neighbour discovery to the router: all of it ends here. c stands behind the IPv6 header. */
PURE enum reason sixbed4_discovery(const volatile struct sixbed4_config *cfg,
				   struct endpoint4 outer, struct cur c, __u8 type, bool deep,
				   struct sixbed4_in *in)
{
	const struct ipv6hdr *ip6 = in->ip6;

	if (type == ND_ROUTER_SOLICIT)
		return nd_solicitation(c, ip6, deep, &in->nonce);
	if (type != ND_NEIGHBOR_SOLICIT)
		return R_ND_FORWARD;
	if (ip6->hop_limit != ND_HOP_LIMIT)
		return R_ND_BAD;
	if (!sixbed4_is(cfg, &ip6->saddr) ||
	    !sixbed4_names(cfg->format, sixbed4_low(&ip6->saddr), outer))
		return R_SRC_MISMATCH;
#ifndef __bpf__
	if (deep)
		return sixbed4_solicited(cfg, c, ip6);
#endif
	return R_SIXBED4_NS;
}

/*
 * A datagram to the service endpoint. c stands at the UDP payload, which is payload_len bytes long;
 * when deep, all of them can be read. Returns
 *   R_NONE           genuine, for native IPv6: what policy_native_dst() lets pass is stripped and
 *                    routed
 *   R_BOUNCED        genuine, for the peer at in->to
 *   R_SOLICITED      to be answered with an advertisement to in->to, the outer source
 *   R_SIXBED4_MOVED  to be dropped, and answered with a corrective advertisement to in->to
 *   R_SIXBED4_NS     to be answered with a neighbour advertisement to in->to
 *   R_SIXBED4_LOCAL  for the router itself, genuine: an echo request is to be answered to in->to
 *   R_HOP_LIMIT_IN, R_TOO_BIG   genuine, but in->to is owed an ICMPv6 error
 * or why it is dropped, or left to the slow path. in->ip6 is set in all the cases listed.
 */
PURE enum reason sixbed4_in(const volatile struct sixbed4_config *cfg, const struct refuse4 *sets,
			    struct endpoint4 outer, struct cur c, __u32 payload_len, bool deep,
			    struct sixbed4_in *in)
{
	const struct ipv6hdr *ip6;
	struct endpoint4 peer;
	bool bounce;
	enum refusal refusal;
	enum reason r;
	__u64 low;
	int type;

	r = sixbed4_payload(&c, payload_len, &ip6);
	if (r != R_NONE)
		return r;
	in->ip6 = ip6;
	in->to = outer;
	refusal = outer.addr == cfg->service.addr ? REFUSAL_OURS : refuse4(sets, outer.addr);
	if (refusal == REFUSAL_OURS)
		return R_OUTER_OURS;
	if (refusal != REFUSAL_NONE || !outer.addr || !outer.port ||
	    HOST16(outer.port) < cfg->min_port)
		return R_OUTER_REFUSED;

	type = icmp6_type(c, ip6);
	if (type >= 0 && nd_is((__u8)type))
		return sixbed4_discovery(cfg, outer, c, (__u8)type, deep, in);
	switch (addr6_kind(&ip6->daddr)) {
	case ADDR6_MULTICAST:
		return R_DST_MULTICAST;
	case ADDR6_UNSPECIFIED:
		return R_DST_UNSPECIFIED;
	default:
		break;
	}
	if (!sixbed4_is(cfg, &ip6->saddr))
		return R_SRC_NOT_TEREDO;
	low = sixbed4_low(&ip6->saddr);
	if (!sixbed4_names(cfg->format, low, outer))
		return sixbed4_opaque(cfg->format, low) ? R_SRC_MISMATCH : R_SIXBED4_MOVED;

	if (sixbed4_is_ours(cfg, &ip6->daddr))
		return R_SIXBED4_LOCAL;
	if (addr6_kind(&ip6->daddr) == ADDR6_LINK_LOCAL)
		return R_DST_LINK_LOCAL;
	bounce = sixbed4_is(cfg, &ip6->daddr);
	if (bounce) {
		r = sixbed4_target(cfg, sets, &ip6->daddr, &peer);
		if (r != R_NONE)
			return r;
		/* an echo service there would send it round until its hops are used up */
		if (endpoint4_equal(peer, outer))
			return R_DST_TUNNEL;
	}
	r = ip6_inside(c, ip6, deep);
	if (r != R_NONE)
		return r;
	if (ip6->hop_limit <= 1)
		return R_HOP_LIMIT_IN;
	if (payload_len > cfg->mtu)
		return R_TOO_BIG;
	if (!bounce)
		return R_NONE;
	in->to = peer;
	return R_BOUNCED;
}

/* ---- advertisements ------------------------------------------------------------------------- */

/* The prefix of a peer that is at an endpoint. */
PURE struct nd_prefix sixbed4_prefix(const volatile struct sixbed4_config *cfg, struct endpoint4 at,
				     __be32 lifetime)
{
	const bool w1 = cfg->format == SIXBED4_W1;
	struct in6_addr p = sixbed4_addr(cfg->prefix, w1 ? 0 : sixbed4_pack(SIXBED4_W2, at, 0));

	return nd_prefix(&p, w1 ? 64 : 114, ND_PREFIX_ONLINK | ND_PREFIX_AUTO, lifetime);
}

/*
 * Whom an advertisement is addressed to. asked: source of the solicitation, or NULL for a
 * corrective one, which peers take from ff02::1 alone. A W1 peer reads its lower half from here; it
 * is also told so, by the lowest bit of the first byte, that its port is odd and of no use.
 */
PURE struct in6_addr sixbed4_ra_dst(const volatile struct sixbed4_config *cfg, struct endpoint4 at,
				    const struct in6_addr *asked)
{
	if (cfg->format == SIXBED4_W1)
		return sixbed4_addr(SIXBED4_LINK, sixbed4_pack(SIXBED4_W1, at, 0));
	if (asked && addr6_kind(asked) == ADDR6_LINK_LOCAL)
		return *asked;
	return (struct in6_addr){ .s6_addr = { 0xff, 2, [15] = 1 } };
}

/* Without routes, retraction and nonce: the ND_RA_LEN bytes that XDP sends. dst: sixbed4_ra_dst().
 */
PURE void sixbed4_ra(struct nd_ra *ra, const volatile struct sixbed4_config *cfg,
		     struct endpoint4 at, const struct in6_addr *dst)
{
	const struct in6_addr src = { .s6_addr = { 0xfe, 0x80 } }; /* exactly, or peers drop it */

	nd_ra_begin(ra, &src, dst, ND_RA_LEN);
	ra->flags = 0x18; /* preference low; peers drop it if the last bit is set */
	ra->lifetime = BE16(0xffff);
	ra->reachable = ND_FOREVER;
	ra->retrans = ND_FOREVER;
	ra->prefix = sixbed4_prefix(cfg, at, ND_FOREVER);
	nd_ra_end(ra);
}

#ifndef __bpf__

/*
 * The whole advertisement. old: the source of the packet that it corrects, or NULL; asked: the
 * source of the solicitation, or NULL. Returns the bytes written or -ENOBUFS.
 */
PURE int sixbed4_build_ra(void *buf, size_t size, const volatile struct sixbed4_config *cfg,
			  struct endpoint4 at, const struct in6_addr *asked,
			  const struct in6_addr *old, const struct nd_nonce *nonce)
{
	const struct in6_addr dst = sixbed4_ra_dst(cfg, at, asked);
	const int head = offsetof(struct nd_ra, prefix);
	struct nd_prefix p;
	struct nd_ra ra;
	int len;

	sixbed4_ra(&ra, cfg, at, &dst);
	len = nd_append(buf, 0, size, &ra, (size_t)head);
	if (old && cfg->retract && cfg->format == SIXBED4_W2) { /* peers take the last */
		p = sixbed4_prefix(cfg, sixbed4_unpack(SIXBED4_W2, sixbed4_low(old)), 0);
		len = nd_append(buf, len, size, &p, sizeof(p));
	}
	len = nd_append(buf, len, size, &ra.prefix, sizeof(ra.prefix));
	for (__u32 i = 0; i < cfg->n_routes && i < SIXBED4_ROUTES; i++) {
		struct in6_addr to;

		for (int k = 0; k < 4; k++)
			to.s6_addr32[k] = cfg->route[i].addr.s6_addr32[k];
		p = nd_prefix(&to, (__u8)cfg->route[i].len, 0, ND_FOREVER);
		len = nd_append(buf, len, size, &p, sizeof(p));
	}
	if (nonce && nonce->len)
		len = nd_append(buf, len, size, nonce->option, nonce->len);
	return nd_finish(buf, len);
}

/* The answer to a neighbour solicitation, whichever of our addresses it asked for. */
PURE int sixbed4_build_na(void *buf, size_t size, const volatile struct sixbed4_config *cfg,
			  const struct in6_addr *dst)
{
	const __u32 v4 = HOST32(cfg->service.addr), port = HOST16(cfg->service.port);
	struct {
		struct ipv6hdr ip6;
		__u8 icmp[8];
		struct in6_addr target;
		__u8 link[8]; /* the port lies the other way round here, in every format */
	} na = {
		.ip6 = { .version = 6, .nexthdr = IPPROTO_ICMPV6, .hop_limit = ND_HOP_LIMIT },
		.icmp = { ND_NEIGHBOR_ADVERT, [4] = 0xc0 }, /* from a router, solicited */
		.target = sixbed4_ours(cfg),
		.link = { ND_OPT_LINK_TARGET, 1, (__u8)port, (__u8)(port >> 8), (__u8)(v4 >> 24),
			  (__u8)(v4 >> 16), (__u8)(v4 >> 8), (__u8)v4 },
	};

	na.ip6.saddr.s6_addr32[0] = BE32(0xfe800000);
	na.ip6.daddr = *dst;
	return nd_finish(buf, nd_append(buf, 0, size, &na, sizeof(na)));
}

#endif /* !__bpf__ */

#endif
