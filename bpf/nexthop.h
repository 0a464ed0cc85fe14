/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a packet goes next: the kernel's routes and neighbours, remembered for a moment.
 *
 * bpf_fib_lookup() is the largest single cost of all (IPv6 213 ns, IPv4 90), a hit in these caches
 * takes 2 to 5. They belong to one CPU each, have one place for each hash, and believe an entry
 * for at most a second (cfg.nexthop_life), so that they stay right with no help from the daemon.
 * Failures are not kept: what the kernel resolves is then used at once.
 *
 * The key is the destination alone. Source-based rules of the operator see the packet that filled
 * the entry: no matter for IPv4, where the source is always ours.
 */
#ifndef NAVALIS_BPF_NEXTHOP_H
#define NAVALIS_BPF_NEXTHOP_H

#include "parse.h"

struct nexthop {
	__u32 ifindex; /* a NIC's, or a VLAN interface's; 0: nothing here */
	__u32 made;    /* coarse units */
	__u16 mtu;
	__u16 n_tags;  /* found in the map tagged, by ifindex: not to make this entry larger */
	__u8 mac[2 * ETH_ALEN]; /* as an Ethernet header begins: destination, source */
};

struct nexthop4 {
	__be32 dst;
	/*
	 * The IPv4 ID of the next packet (RFC 6864 4.3): a counter for each group of destinations,
	 * in a cache line that is hot anyway. It outlives the entry.
	 */
	__u32 ident;
	struct nexthop hop;
};

struct nexthop6 {
	struct in6_addr dst;
	struct nexthop hop;
};

#define NEXTHOP4_BITS 10 /* every client is another destination */
#define NEXTHOP6_BITS 8

MAP(nexthops4, PERCPU_ARRAY, 0, 1 << NEXTHOP4_BITS, __u32, struct nexthop4);
MAP(nexthops6, PERCPU_ARRAY, 0, 1 << NEXTHOP6_BITS, __u32, struct nexthop6);

static __always_inline bool nexthop_fresh(const struct nexthop *h, __u64 units)
{
	return h->ifindex && (__u32)units - h->made < cfg.nexthop_life;
}

/* Frames that are redirected to any other device may vanish without a word. */
static __always_inline bool is_our_nic(__u32 ifindex)
{
	for (__u32 i = 0; i < NAV_NICS && i < cfg.n_nics; i++)
		if (cfg.nic[i] == ifindex)
			return true;
	return false;
}

/*
 * Asks the kernel. False when it does not forward this packet, does not know the neighbour, or
 * sends it through a device that is none of ours; *h is then as before. The forwarding sysctl that
 * counts is the one of q's family on the interface that the packet came from.
 */
static __always_inline bool nexthop_ask(const struct frame *f, struct bpf_fib_lookup *q,
					struct nexthop *h)
{
	const struct nav_tags *tags;
	__u32 out;

	q->ifindex = f->in;
	if (bpf_fib_lookup(f->ctx, q, sizeof(*q), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return false;
	out = q->ifindex;
	tags = bpf_map_lookup_elem(&tagged, &out);
	if (!is_our_nic(tags ? tags->nic : out))
		return false;
	h->ifindex = out;
	h->made = (__u32)f->units;
	h->mtu = q->mtu_result;
	h->n_tags = tags ? (tags->tag[1].proto ? 2 : 1) : 0;
	__builtin_memcpy(h->mac, q->dmac, ETH_ALEN);
	__builtin_memcpy(h->mac + ETH_ALEN, q->smac, ETH_ALEN);
	return true;
}

/* For a packet of len bytes to dst, or NULL. */
static __always_inline struct nexthop4 *nexthop4(const struct frame *f, __be32 dst, __u32 len)
{
	/* a keyed hash: clients do not choose whom they push out of the cache */
	__u32 n = RAW32(dst) * (__u32)cfg.seed.k[1] >> (32 - NEXTHOP4_BITS);
	struct nexthop4 *e = bpf_map_lookup_elem(&nexthops4, &n);
	struct bpf_fib_lookup q = {
		.family = 2, /* AF_INET */
		.l4_protocol = IPPROTO_UDP,
		.tot_len = (__u16)len,
		.ipv4_src = cfg.service.addr,
		.ipv4_dst = dst,
	};

	if (!e)
		return NULL;
	if (e->dst == dst && nexthop_fresh(&e->hop, f->units))
		return len <= e->hop.mtu ? e : NULL;
	if (!nexthop_ask(f, &q, &e->hop))
		return NULL;
	e->dst = dst;
	return e;
}

static __always_inline struct nexthop6 *nexthop6(const struct frame *f, const struct ipv6hdr *ip6,
						 __u32 len)
{
	const struct in6_addr *dst = &ip6->daddr;
	__u64 mix = (load64(dst) ^ load64(dst->s6_addr + 8)) * cfg.seed.k[1];
	__u32 n = (__u32)(mix >> (64 - NEXTHOP6_BITS));
	struct nexthop6 *e = bpf_map_lookup_elem(&nexthops6, &n);
	struct bpf_fib_lookup q = {
		.family = 10, /* AF_INET6 */
		.l4_protocol = ip6->nexthdr,
		.tot_len = (__u16)len,
	};

	if (!e)
		return NULL;
	if (in6_equal(&e->dst, dst) && nexthop_fresh(&e->hop, f->units))
		return len <= e->hop.mtu ? e : NULL;
	__builtin_memcpy(q.ipv6_src, &ip6->saddr, sizeof(q.ipv6_src));
	__builtin_memcpy(q.ipv6_dst, dst, sizeof(q.ipv6_dst));
	if (!nexthop_ask(f, &q, &e->hop))
		return NULL;
	e->dst = *dst;
	return e;
}

#endif
