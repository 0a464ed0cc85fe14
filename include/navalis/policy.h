/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decisions that the XDP program and the slow path take alike: may this packet pass?
 *
 * All of them return R_NONE, or the reason to drop. Configuration is volatile because in BPF it is
 * read-only data that the loader fills in before the verifier sees it.
 */
#ifndef NAVALIS_POLICY_H
#define NAVALIS_POLICY_H

#include "abi.h"

#ifdef __bpf__
int own_search4(__be32 addr); /* the program defines it: it has one set, and looks it up for the few that ask */
#endif

PURE bool own_has4(const struct nav_own *own, __be32 addr)
{
#ifdef __bpf__
	(void)own;
	return own_search4(addr);
#else
	return own && addr4_set_has(&own->v4, addr);
#endif
}

/* An address that some automatic tunnel of this host would take back (RFC 6324 3). */
PURE bool policy_embeds_own(const struct nav_own *own, enum addr6_kind kind,
			    const struct in6_addr *a)
{
	if (kind == ADDR6_SIXTO4)
		return own_has4(own, addr6_sixto4_v4(a));
	return addr6_is_isatap(a) && own_has4(own, a->s6_addr32[3]);
}

PURE bool policy_served(const volatile struct nav_config *cfg, const struct in6_addr *a)
{
	if (!cfg->n_served)
		return true;
	for (__u32 i = 0; i < NAV_SERVED && i < cfg->n_served; i++)
		if (prefix6_has(&cfg->served[i], a))
			return true;
	return false;
}

/* Where a client's packet wants to go (RFC 4380 5.4.2, RFC 6324 3). */
PURE enum reason policy_native_dst(const volatile struct nav_config *cfg, const struct nav_own *own,
				   const struct in6_addr *dst)
{
	enum addr6_kind kind = addr6_kind(dst);

	switch (kind) {
	case ADDR6_UNSPECIFIED:
		return R_DST_UNSPECIFIED;
	case ADDR6_MULTICAST:
		return R_DST_MULTICAST;
	case ADDR6_LINK_LOCAL:
		return R_DST_LINK_LOCAL;
	case ADDR6_SITE:
		return R_DST_SITE;
	case ADDR6_TEREDO:
		return R_DST_TEREDO;
	case ADDR6_GLOBAL:
	case ADDR6_SIXTO4:
		break;
	}
	if (policy_embeds_own(own, kind, dst))
		return R_DST_OWN_TUNNEL;
	return policy_served(cfg, dst) ? R_NONE : R_DST_NOT_SERVED;
}

/* Where a native packet says that it comes from. */
PURE enum reason policy_native_src(const volatile struct nav_config *cfg, const struct nav_own *own,
				   const struct in6_addr *src)
{
	enum addr6_kind kind = addr6_kind(src);

	switch (kind) {
	case ADDR6_UNSPECIFIED:
		return R_SRC_UNSPECIFIED;
	case ADDR6_MULTICAST:
		return R_SRC_MULTICAST;
	case ADDR6_LINK_LOCAL:
		return R_SRC_LINK_LOCAL;
	case ADDR6_SITE:
		return R_SRC_SITE;
	case ADDR6_TEREDO:
		return R_SRC_TEREDO;
	case ADDR6_GLOBAL:
	case ADDR6_SIXTO4:
		break;
	}
	if (policy_embeds_own(own, kind, src))
		return R_SRC_OWN_TUNNEL;
	return policy_served(cfg, src) ? R_NONE : R_SRC_NOT_SERVED;
}

/*
 * May anything be sent towards this Teredo address? (5.2.4, 5.4.1, RFC 6324.) Asked before a client
 * becomes known, and again of every client when the configuration changes: one in the table has
 * passed it.
 */
PURE enum reason policy_client(const volatile struct nav_config *cfg, const struct nav_own *own,
			       const struct in6_addr *client)
{
	struct endpoint4 mapped = teredo_mapped(client);
	__be32 server = teredo_server(client);

	if (addr4_set_has(&cfg->refused, mapped.addr))
		return R_CLIENT_REFUSED;
	if (addr4_set_has(&cfg->refused, server))
		return R_SERVER_REFUSED;
	if (!mapped.port || (mapped.addr == server && mapped.port == BE16(TEREDO_SERVER_PORT)))
		return R_CLIENT_PORT;
	if (own_has4(own, mapped.addr))
		return R_CLIENT_OURS;
	return R_NONE;
}

/*
 * Outer and inner congestion marks on decapsulation (RFC 6040 4.2). Returns the inner ECN bits to
 * forward, or -1 when the packet has to be dropped.
 */
PURE int policy_ecn(__u8 outer_tos, __u8 inner)
{
	__u8 outer = outer_tos & 3;

	inner &= 3;
	if (outer == 3)
		return inner ? 3 : -1;
	if (outer == 1 && inner == 2)
		return 1;
	return inner;
}

#endif
