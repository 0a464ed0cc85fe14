/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What 6to4, 6rd, 6in4 and in part HG48 share: IPv6 right behind an IPv4 header (RFC 4213 3), and
 * the native side of their packets.
 *
 * Each mechanism answers two questions in a header of its own, with R_NONE or the reason to refuse:
 *   X_out: to which IPv4 endpoint does a native packet go, from which one, and may it?
 *   X_in:  is a packet that came over IPv4 from where it says, and may it go where it wants?
 * What they do not ask: whether a packet goes from one tunnel into another (tunnels_cross,
 * tunnels_native), its length and its hop limit.
 */
#ifndef NAVALIS_PROTO41_H
#define NAVALIS_PROTO41_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include "csum.h"
#include "cursor.h"
#include "policy.h"
#include "tunnels.h"

#define PROTO41_MTU_MIN 1280 /* RFC 4213 3.2; the default */
#define PROTO41_MTU_MAX 1480 /* of Ethernet's 1500; more needs what a static tunnel does not know */
#define PROTO41_TTL 64

/* The first half of an address as a number. */
PURE __u64 in6_top(const struct in6_addr *a)
{
	return __builtin_bswap64(load64(a));
}

/* 0000::/16 holds nothing that could be routed (RFC 3964 5.3.2). */
PURE bool in6_low(const struct in6_addr *a)
{
	return !(HOST32(a->s6_addr32[0]) >> 16);
}

/* Not this network, loopback, multicast or reserved; private ones may be (RFC 5969 4). */
PURE bool addr4_unicast(__be32 addr)
{
	__u32 net = HOST32(addr) >> 24;

	return net && net != 127 && net < 224;
}

/*
 * The IPv6 packet behind an IPv4 or UDP header whose payload is payload_len bytes long; what
 * follows it is padding (RFC 4213 3.6). Returns R_NONE with *ip6 set and c behind the IPv6 header,
 * or why not.
 */
PURE enum reason proto41_payload(struct cur *c, __u32 payload_len, const struct ipv6hdr **ip6)
{
	const struct ipv6hdr *h = NULL;

	if (payload_len >= sizeof(*h))
		h = cur_take(c, sizeof(*h));
	if (!h || h->version != 6)
		return R_INNER_NOT_IP6;
	if (sizeof(*h) + HOST16(h->payload_len) > payload_len)
		return R_INNER_LENGTH;
	*ip6 = h;
	return R_NONE;
}

PURE __u8 ip6_class(const struct ipv6hdr *ip6)
{
	return (__u8)(ip6->priority << 4 | ip6->flow_lbl[0] >> 4);
}

/*
 * The outer header. len: of the IPv6 packet; id: repeats no sooner than that of any packet (RFC
 * 6864 4.3). The congestion bits that a receiver merges (policy_ecn) are 0 unless the class is
 * copied: RFC 6040 calls that the compatibility mode.
 */
PURE void proto41_header(struct iphdr *ip, const volatile struct tunnel_link *link,
			 const struct outer4 *to, const struct ipv6hdr *ip6, __u32 len, __be16 id)
{
	const __u8 tos = link->copy_class ? ip6_class(ip6) : 0;
	const __be16 first = BE16(0x4500 | tos), tot_len = BE16(sizeof(*ip) + len);
	const __be16 frag = BE16(link->df ? 0x4000 : 0);
	const __be16 ttl_proto = BE16(PROTO41_TTL << 8 | IPPROTO_IPV6);
	__u64 sum = csum_add32(csum_add32(0, to->src.addr), to->dst.addr);

	sum = csum_add16(csum_add16(sum, first), tot_len);
	sum = csum_add16(csum_add16(sum, id), frag);
	sum = csum_add16(sum, ttl_proto);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = tot_len;
	ip->id = id;
	ip->frag_off = frag;
	ip->ttl = PROTO41_TTL;
	ip->protocol = IPPROTO_IPV6;
	ip->check = (NAV_FORCE __sum16)(__u16)~csum_fold(sum);
	ip->saddr = to->src.addr;
	ip->daddr = to->dst.addr;
}

/*
 * The native source and destination of a packet. Unlike the Teredo relay's, they may be Teredo
 * addresses: hosts behind 6to4, 6rd and 6in4 reach those through a relay that may be anywhere.
 */
PURE enum reason proto41_native_src(const volatile struct nav_config *cfg,
				    const struct nav_own *own, const struct in6_addr *src)
{
	if (in6_low(src))
		return R_SRC_UNSPECIFIED;
	if (teredo_is(src))
		return policy_served(cfg, src) ? R_NONE : R_SRC_NOT_SERVED;
	return policy_native_src(cfg, own, src);
}

PURE enum reason proto41_native_dst(const volatile struct nav_config *cfg,
				    const struct nav_own *own, const struct in6_addr *dst)
{
	if (in6_low(dst))
		return R_DST_UNSPECIFIED;
	if (teredo_is(dst))
		return policy_served(cfg, dst) ? R_NONE : R_DST_NOT_SERVED;
	return policy_native_dst(cfg, own, dst);
}

/* Inner sources that no tunnel brings, whatever is behind it (RFC 4213 3.6, RFC 6324 3.3). */
PURE enum reason proto41_inner_src(const struct nav_own *own, const struct in6_addr *src)
{
	enum addr6_kind kind = addr6_kind(src);

	if (in6_low(src))
		return R_SRC_UNSPECIFIED;
	if (kind == ADDR6_MULTICAST)
		return R_SRC_MULTICAST;
	if (kind == ADDR6_LINK_LOCAL)
		return R_SRC_LINK_LOCAL;
	if (kind == ADDR6_SITE)
		return R_SRC_SITE;
	return policy_embeds_own(own, kind, src) ? R_SRC_OWN_TUNNEL : R_NONE;
}

/* The same of a source that is known not to belong to the tunnel, under the name that says most. */
PURE enum reason proto41_strange_src(const struct nav_own *own, const struct in6_addr *src)
{
	enum reason r = proto41_inner_src(own, src);

	return r == R_NONE ? R_SRC_NOT_TUNNEL : r;
}

#endif
