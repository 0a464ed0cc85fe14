/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 6to4 (RFC 3056) as a relay, with the checks of RFC 3964 5 and RFC 6324 3; and the return relay
 * (RFC 6343 4.5): a server that sends its own replies to 2002::/16 itself.
 *
 * Addresses:  2002 | IPv4 in clear 32 | subnet 16 | interface 64
 *
 * A relay is between 6to4 and native IPv6 and nothing else. Of the branches of RFC 3964 5.1 and 5.2
 * it needs two, «6to4 to native» inward and «native to 6to4» outward; the others are a 6to4
 * router's, and the one that takes native sources from any outer source (a site's, whose return
 * relays are not known) is the hole that a relay does not have.
 */
#ifndef NAVALIS_SIXTO4_H
#define NAVALIS_SIXTO4_H

#include "proto41.h"

#define SIXTO4_ANYCAST 0xc0586301 /* 192.88.99.1 (RFC 3068, deprecated by RFC 7526) */

PURE bool sixto4_is(const struct in6_addr *a)
{
	return HOST32(a->s6_addr32[0]) >> 16 == 0x2002;
}

/* The first address of a site; a relay's own where the IPv4 address is the relay's. */
PURE struct in6_addr sixto4_addr(__be32 v4)
{
	return (struct in6_addr){ .s6_addr32 = {
		BE32(0x20020000 | HOST32(v4) >> 16),
		BE32(HOST32(v4) << 16),
	} };
}

PURE bool sixto4_sends_for(const volatile struct sixto4_config *to4, const struct in6_addr *src)
{
	for (__u32 i = 0; i < SIXTO4_SENDERS && i < to4->n_senders; i++)
		if (prefix6_has(&to4->sender[i], src))
			return true;
	return false;
}

/* RFC 3964 5.1. The next hop, whose address has the IPv4 destination in it, is the final one. */
PURE enum reason sixto4_out(const volatile struct nav_config *cfg,
			    const volatile struct sixto4_config *to4, const struct nav_own *own,
			    const struct in6_addr *src, const struct in6_addr *dst,
			    struct outer4 *to)
{
	__be32 v4 = addr6_sixto4_v4(dst);
	enum reason r;

	if (!to4->local || !sixto4_is(dst))
		return R_NOT_OURS;
	r = proto41_native_src(cfg, own, src);
	if (r != R_NONE)
		return r;
	if (sixto4_is(src))
		return R_SRC_SIXTO4;
	if (to4->return_only && !sixto4_sends_for(to4, src))
		return R_SRC_NOT_HOST;
	if (v4 == to4->local || own_has4(own, v4))
		return R_CLIENT_OURS;
	if (v4 == BE32(SIXTO4_ANYCAST) || addr4_set_has(&cfg->refused, v4))
		return R_CLIENT_REFUSED;
	*to = (struct outer4){ .src.addr = to4->source, .dst.addr = v4 };
	return R_NONE;
}

PURE bool sixto4_takes(const volatile struct sixto4_config *to4, __be32 outer_dst)
{
	return to4->local &&
	       (outer_dst == to4->local || (to4->anycast && outer_dst == BE32(SIXTO4_ANYCAST)));
}

/* RFC 3964 5.2. */
PURE enum reason sixto4_in(const volatile struct nav_config *cfg,
			   const volatile struct sixto4_config *to4, const struct nav_own *own,
			   __be32 outer_src, __be32 outer_dst, const struct in6_addr *src,
			   const struct in6_addr *dst)
{
	struct in6_addr relay = sixto4_addr(outer_dst);
	enum reason r;

	if (!sixto4_takes(to4, outer_dst))
		return R_NOT_OURS;
	if (to4->return_only)
		return R_RETURN_ONLY;
	if (outer_src == to4->local || own_has4(own, outer_src))
		return R_OUTER_OURS;
	if (outer_src == BE32(SIXTO4_ANYCAST) || addr4_set_has(&cfg->refused, outer_src))
		return R_OUTER_REFUSED;
	if (!sixto4_is(src))
		return proto41_strange_src(own, src);
	if (addr6_sixto4_v4(src) != outer_src)
		return R_SRC_MISMATCH;
	if (in6_equal(dst, &relay)) /* to the relay itself: so Windows asks whether it lives */
		return R_TUNNEL_LOCAL;
	r = proto41_native_dst(cfg, own, dst);
	if (r != R_NONE)
		return r;
	return sixto4_is(dst) ? R_DST_SIXTO4 : R_NONE;
}

#endif
