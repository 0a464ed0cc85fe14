/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 6in4: configured tunnels (RFC 4213 3). The caller has found the tunnel: by the pair of outer
 * addresses of a packet that came over IPv4, by the prefix of a native one's destination.
 */
#ifndef NAVALIS_SIXIN4_H
#define NAVALIS_SIXIN4_H

#include "proto41.h"

/* What it is found by. */
struct sixin4_key {
	__be32 local, remote;
};

/* In the data path: a prefix behind a tunnel as the key of a longest-prefix map. */
struct sixin4_prefix {
	__u32 len;
	struct in6_addr addr;
};

PURE bool sixin4_has(const volatile struct sixin4_tunnel *t, const struct in6_addr *a)
{
	for (__u32 i = 0; i < SIXIN4_PREFIXES && i < t->n_prefixes; i++)
		if (prefix6_has(&t->prefix[i], a))
			return true;
	return false;
}

/* RFC 4213 3.7. */
PURE struct in6_addr sixin4_link_local(__be32 v4)
{
	return (struct in6_addr){ .s6_addr32 = { BE32(0xfe800000), 0, 0, v4 } };
}

/* Between the ends themselves: to our link-local address, or to its solicited-node group. */
PURE bool sixin4_to_end(const volatile struct sixin4_tunnel *t, const struct in6_addr *dst)
{
	const struct in6_addr end = sixin4_link_local(t->local);
	const struct in6_addr group = { .s6_addr32 = {
		BE32(0xff020000), 0, BE32(1), BE32(0xff000000) | (t->local & BE32(0x00ffffff)),
	} };

	return in6_equal(dst, &end) || in6_equal(dst, &group);
}

PURE enum reason sixin4_out(const volatile struct nav_config *cfg,
			    const volatile struct sixin4_tunnel *t, const struct nav_own *own,
			    const struct in6_addr *src, const struct in6_addr *dst,
			    struct outer4 *to)
{
	enum reason r;

	if (!sixin4_has(t, dst))
		return R_NOT_OURS;
	if (sixin4_has(t, src))
		return R_SRC_TUNNEL;
	r = proto41_native_src(cfg, own, src);
	if (r != R_NONE)
		return r;
	if (t->remote == t->local || own_has4(own, t->remote)) /* an address that came later */
		return R_CLIENT_OURS;
	*to = (struct outer4){ .src.addr = t->local, .dst.addr = t->remote };
	return R_NONE;
}

/* RFC 4213 3.6. */
PURE enum reason sixin4_in(const volatile struct nav_config *cfg,
			   const volatile struct sixin4_tunnel *t, const struct nav_own *own,
			   __be32 outer_src, __be32 outer_dst, const struct in6_addr *src,
			   const struct in6_addr *dst)
{
	if (outer_dst != t->local || outer_src != t->remote)
		return R_NO_TUNNEL;
	if (outer_src == outer_dst || own_has4(own, outer_src))
		return R_OUTER_OURS;
	if (addr6_kind(src) == ADDR6_LINK_LOCAL && sixin4_to_end(t, dst)) /* 3.8: MUST answer */
		return R_TUNNEL_LOCAL;
	if (!sixin4_has(t, src)) {
		enum reason r = t->any_source ? proto41_inner_src(own, src) :
						proto41_strange_src(own, src);

		if (r != R_NONE)
			return r;
	}
	if (sixin4_has(t, dst))
		return R_DST_TUNNEL;
	return proto41_native_dst(cfg, own, dst);
}

#endif
