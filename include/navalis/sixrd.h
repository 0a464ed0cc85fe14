/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 6rd (RFC 5969) as a border relay.
 *
 * Addresses:  6rd prefix n | the low o bits of an IPv4 address | subnet and interface
 * The domain's IPv4 addresses have their first v4_len bits in common, o = 32 - v4_len, n + o <= 64
 * as Linux has it. n and o need not be whole bytes, so all is done on the first 64 bits as one
 * number. The IPv4 addresses may be private: they mean something inside the domain only.
 */
#ifndef NAVALIS_SIXRD_H
#define NAVALIS_SIXRD_H

#include "proto41.h"

/* How many bits of an IPv4 address are in a delegated prefix, and how long that is. */
PURE __u32 sixrd_v4_bits(const volatile struct sixrd_domain *d)
{
	return 32 - d->v4_len;
}

PURE __u32 sixrd_len(const volatile struct sixrd_domain *d)
{
	return d->prefix.len + sixrd_v4_bits(d);
}

/* The 6rd prefix as in6_top(). */
PURE __u64 sixrd_top(const volatile struct sixrd_domain *d)
{
	return (__u64)HOST32(d->prefix.addr.s6_addr32[0]) << 32 |
	       HOST32(d->prefix.addr.s6_addr32[1]);
}

/* As many ones at the end as an IPv4 address has bits in a prefix. */
PURE __u32 sixrd_v4_mask(const volatile struct sixrd_domain *d)
{
	return (__u32)((1ULL << sixrd_v4_bits(d)) - 1);
}

PURE bool sixrd_has(const volatile struct sixrd_domain *d, const struct in6_addr *a)
{
	return !((in6_top(a) ^ sixrd_top(d)) >> (64 - d->prefix.len));
}

/* Where an address of the domain is: the customer edge's IPv4 address. */
PURE __be32 sixrd_v4(const volatile struct sixrd_domain *d, const struct in6_addr *a)
{
	return d->v4 | BE32((__u32)(in6_top(a) >> (64 - sixrd_len(d))) & sixrd_v4_mask(d));
}

/* The prefix that a customer edge makes of its IPv4 address. */
PURE struct prefix6 sixrd_delegated(const volatile struct sixrd_domain *d, __be32 v4)
{
	__u64 top = sixrd_top(d) | (__u64)(HOST32(v4) & sixrd_v4_mask(d)) << (64 - sixrd_len(d));

	return (struct prefix6){
		.addr.s6_addr32 = { BE32((__u32)(top >> 32)), BE32((__u32)top) },
		.len = sixrd_len(d),
	};
}

/* Of the domain's IPv4 addresses: only they have a delegated prefix. */
PURE bool sixrd_has4(const volatile struct sixrd_domain *d, __be32 v4)
{
	return (HOST32(v4) & ~sixrd_v4_mask(d)) == HOST32(d->v4);
}

/* An IPv4 address whose customer edge may exist: in the domain, and no relay (RFC 5969 12). */
PURE bool sixrd_customer(const volatile struct sixrd_domain *d, __be32 v4)
{
	if (!sixrd_has4(d, v4) || !addr4_unicast(v4) ||
	    HOST32(v4) >> 8 == 0xc05863) /* 6to4 relays: 192.88.99.0/24 */
		return false;
	for (__u32 i = 0; i < SIXRD_RELAYS && i < d->n_relays; i++)
		if (d->relay[i] == v4)
			return false;
	return true;
}

PURE bool sixrd_ours(const volatile struct sixrd_domain *d, const struct nav_own *own, __be32 v4)
{
	return v4 == d->br || own_has4(own, v4);
}

/*
 * From one site of the domain to another through the relay, or back to the same: after sixrd_in has
 * said yes. A customer edge tests its relay with a packet from its own address to its own address,
 * so that is no attack (RFC 5969 8).
 */
PURE enum reason sixrd_turn(const volatile struct sixrd_domain *d, const struct nav_own *own,
			    const struct in6_addr *dst, struct outer4 *to)
{
	__be32 v4 = sixrd_v4(d, dst);

	if (!sixrd_has(d, dst))
		return R_NOT_OURS;
	if (sixrd_ours(d, own, v4)) /* the relay's own prefix leads nowhere, RFC 5969 12 */
		return R_CLIENT_OURS;
	if (!sixrd_customer(d, v4))
		return R_CLIENT_REFUSED;
	*to = (struct outer4){ .src.addr = d->br, .dst.addr = v4 };
	return R_NONE;
}

/* RFC 5969 7.2, 9.2. */
PURE enum reason sixrd_out(const volatile struct nav_config *cfg,
			   const volatile struct sixrd_domain *d, const struct nav_own *own,
			   const struct in6_addr *src, const struct in6_addr *dst,
			   struct outer4 *to)
{
	enum reason r;

	if (!sixrd_has(d, dst))
		return R_NOT_OURS;
	if (sixrd_has(d, src)) /* those come by the tunnel */
		return R_SRC_TUNNEL;
	r = proto41_native_src(cfg, own, src);
	return r == R_NONE ? sixrd_turn(d, own, dst, to) : r;
}

/* RFC 5969 9.2. R_NONE may also mean a packet to another site of the domain: for sixrd_turn. */
PURE enum reason sixrd_in(const volatile struct nav_config *cfg,
			  const volatile struct sixrd_domain *d, const struct nav_own *own,
			  __be32 outer_src, __be32 outer_dst, const struct in6_addr *src,
			  const struct in6_addr *dst)
{
	struct prefix6 mine = sixrd_delegated(d, d->br);

	if (outer_dst != d->br)
		return R_NOT_OURS;
	if (sixrd_ours(d, own, outer_src))
		return R_OUTER_OURS;
	if (!sixrd_customer(d, outer_src))
		return R_OUTER_REFUSED;
	if (!sixrd_has(d, src))
		return proto41_strange_src(own, src);
	if (sixrd_v4(d, src) != outer_src)
		return R_SRC_MISMATCH;
	if (!sixrd_has(d, dst))
		return proto41_native_dst(cfg, own, dst);
	/* subnet-router anycast: may be asked whether it lives */
	if (in6_equal(dst, &mine.addr) && sixrd_has4(d, d->br))
		return R_TUNNEL_LOCAL;
	return sixrd_ours(d, own, sixrd_v4(d, dst)) ? R_DST_OWN_TUNNEL : R_NONE;
}

#ifndef __bpf__

/* Numbers that the arithmetic above holds for. */
PURE bool sixrd_valid(const volatile struct sixrd_domain *d)
{
	struct in6_addr rest = { .s6_addr32 = { 0, 0, d->prefix.addr.s6_addr32[2],
						d->prefix.addr.s6_addr32[3] } };

	return d->prefix.len >= 1 && d->v4_len <= 32 && d->prefix.len <= 64 && sixrd_len(d) <= 64 &&
	       !load64(rest.s6_addr + 8) &&
	       (d->prefix.len == 64 || !(sixrd_top(d) << d->prefix.len)) &&
	       !(HOST32(d->v4) & sixrd_v4_mask(d)) && d->n_relays <= SIXRD_RELAYS;
}

/* What DHCPv4 tells customer edges, option 212 (RFC 5969 7.1.1). Returns its length or -ENOBUFS. */
#define SIXRD_DHCP_LEN 24

PURE int sixrd_build_dhcp(void *buf, size_t size, const struct sixrd_domain *d)
{
	__u8 *p = buf;

	if (size < SIXRD_DHCP_LEN)
		return -ENOBUFS;
	p[0] = 212;
	p[1] = SIXRD_DHCP_LEN - 2;
	p[2] = (__u8)d->v4_len;
	p[3] = (__u8)d->prefix.len;
	memcpy(p + 4, &d->prefix.addr, 16);
	memcpy(p + 20, &d->br, 4);
	return SIXRD_DHCP_LEN;
}

#endif /* !__bpf__ */

#endif
