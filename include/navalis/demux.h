/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which mechanism does a packet of protocol 41 belong to? Nothing in it says so: the most specific
 * match decides, configured tunnel, then 6rd domain, then 6to4 (RFC 3964 6.1 advises an IPv4
 * address for each).
 */
#ifndef NAVALIS_DEMUX_H
#define NAVALIS_DEMUX_H

#include "sixin4.h"
#include "sixrd.h"
#include "sixto4.h"

struct demux {
	enum tunnel tunnel;                         /* to ask X_in of */
	const volatile struct sixrd_domain *domain; /* of TUNNEL_SIXRD */
};

/*
 * found: the tunnel of 6in4 that has these outer addresses, or NULL. Among the 6rd domains of one
 * border relay's address the inner source decides; if it is in none, the first may say why not.
 */
PURE enum reason demux_proto41(const struct sixin4_tunnel *found,
			       const volatile struct sixrd_domain *domain, __u32 n_domains,
			       const volatile struct sixto4_config *to4,
			       const volatile struct sixin4_config *in4, __be32 outer_dst,
			       const struct in6_addr *src, struct demux *ret)
{
	*ret = (struct demux){ .tunnel = TUNNEL_SIXIN4 };
	if (found)
		return R_NONE;

	for (__u32 i = 0; i < SIXRD_DOMAINS && i < n_domains; i++) {
		if (domain[i].br != outer_dst)
			continue;
		ret->tunnel = TUNNEL_SIXRD;
		if (!ret->domain || sixrd_has(&domain[i], src))
			ret->domain = &domain[i];
	}
	if (ret->domain)
		return R_NONE;

	ret->tunnel = TUNNEL_SIXTO4;
	if (sixto4_takes(to4, outer_dst))
		return R_NONE;

	ret->tunnel = TUNNEL_NONE;
	for (__u32 i = 0; i < SIXIN4_LOCALS && i < in4->n_locals; i++)
		if (in4->local[i] == outer_dst)
			return R_NO_TUNNEL;
	return R_NOT_OURS;
}

#endif
