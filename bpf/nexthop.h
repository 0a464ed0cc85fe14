/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a packet goes next: the kernel's routes and neighbours, remembered for a moment.
 *
 * bpf_fib_lookup() is the largest single cost of all (IPv6 213 ns, IPv4 90), a hit in these caches
 * takes 2 to 5. They belong to one CPU each and believe an entry for at most a second
 * (cfg.nexthop_life), so that they stay right with no help from the daemon. Failures are not kept:
 * what the kernel resolves is then used at once.
 *
 * An entry is for all destinations of one numbered next hop where navalis/regions.h knows it; else for
 * one destination, in one place for each hash. Source-based rules of the
 * operator have no numbers, and see the packet that filled the entry: no matter for IPv4, where the
 * source is always ours.
 */
#ifndef NAVALIS_BPF_NEXTHOP_H
#define NAVALIS_BPF_NEXTHOP_H

#include "parse.h"

struct nexthop {
	__u32 ifindex; /* a NIC's, or a VLAN interface's; 0: nothing here */
	__u32 made;    /* coarse units */
	__u16 mtu;
	__u8 n_tags;   /* found in the map tagged, by ifindex: not to make this entry larger */
	__u8 slot;     /* of the NIC */
	__u32 macs[3]; /* as an Ethernet header begins: destination, source */
};

struct nexthop_entry {
	__u64 key[2]; /* the destination, or of a numbered one its number with the version */
	struct nexthop hop;
};

#define NEXTHOP_BITS 10
#define NEXTHOPS (REGION_HOPS + (1 << NEXTHOP_BITS)) /* by number, then by hash */

MAP(nexthops4, PERCPU_ARRAY, 0, NEXTHOPS, __u32, struct nexthop_entry);
MAP(nexthops6, PERCPU_ARRAY, 0, NEXTHOPS, __u32, struct nexthop_entry);

/* What the kernel is asked, and says: not on the stack, where it would be the largest thing of all. */
struct nexthop_question {
	struct bpf_fib_lookup q;
	struct nexthop hop;
};

MAP(nexthop_questions, PERCPU_ARRAY, 0, 1, __u32, struct nexthop_question);

/* A place in a cache, and what makes its entry the wanted one. */
struct nexthop_place {
	__u32 n;
	__u64 key[2];
};

static __always_inline bool nexthop_fresh(const struct nexthop *h, __u64 units)
{
	return h->ifindex && (__u32)units - h->made < cfg.nexthop_life;
}

/* Frames that are redirected to any other device may vanish without a word. NAV_NICS: none of ours. */
static __always_inline __u32 nic_slot(__u32 ifindex)
{
	for (__u32 i = 0; i < NAV_NICS && i < cfg.n_nics; i++)
		if (cfg.nic[i] == ifindex)
			return i;
	return NAV_NICS;
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
	__u32 out, slot;

	q->ifindex = f->in;
	if (bpf_fib_lookup(f->ctx, q, sizeof(*q), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return false;
	out = q->ifindex;
	tags = bpf_map_lookup_elem(&tagged, &out);
	slot = nic_slot(tags ? tags->nic : out);
	if (slot == NAV_NICS)
		return false;
	h->ifindex = out;
	h->made = (__u32)f->units;
	h->mtu = q->mtu_result;
	h->slot = (__u8)slot;
	h->n_tags = tags ? (tags->tag[1].proto ? 2 : 1) : 0;
	__builtin_memcpy(h->macs, q->dmac, ETH_ALEN);
	__builtin_memcpy((__u8 *)h->macs + ETH_ALEN, q->smac, ETH_ALEN);
	return true;
}

/* What a packet is for: IPv6, or where ip6 is NULL an IPv4 destination. */
struct nexthop_target {
	const struct ipv6hdr *ip6;
	__be32 src4, dst4; /* source 0: the Teredo service */
	__u8 proto4;
	__u64 key[2]; /* the destination as two words, or that of IPv4 and the source */
	__u64 region; /* and as a key of regions */
	__u32 len;
	__u32 wide;   /* MTU that is enough for all packets, or nearly all */
};

/* A keyed hash: nobody chooses whom he pushes out of the cache. */
static __always_inline struct nexthop_place nexthop_single(__u64 a, __u64 b)
{
	const __u64 mix = (a ^ b) * cfg.seed.k[1];

	return (struct nexthop_place){ REGION_HOPS + (__u32)(mix >> (64 - NEXTHOP_BITS)), { a, b } };
}

/*
 * The region that a search found last, for each sixteenth of a family's addresses, and its next hop.
 * Nearly all packets find theirs here, in 4 ns where a search and the caches take 20.
 */
#define MEMO_BITS 4

struct nexthop_memo {
	__u64 first, span; /* keys of the region */
	__u32 now;         /* of struct nav_routes, when it was searched for */
	__u32 number;      /* of the hop, or 0 */
	struct nexthop hop;
};

struct nexthop_memos {
	struct nexthop_memo of[REGION_FAMILIES][1 << MEMO_BITS];
};

MAP(memos, PERCPU_ARRAY, 0, 1, __u32, struct nexthop_memos);

static __always_inline struct nexthop_memo *nexthop_memo(__u32 family, __u64 key)
{
	struct nexthop_memos *m = THE_ONLY(memos);
	/* IPv6: not the very first bits, which are the same nearly everywhere */
	__u64 part = key >> (family == REGIONS_IP4 ? 60 : 56);

	barrier_var(part); /* the compiler knows that it is small, and would leave out what tells the verifier so */
	return m ? &m->of[family & 1][part & ((1 << MEMO_BITS) - 1)] : NULL;
}

static __always_inline bool nexthop_memo_is(const struct nexthop_memo *m, __u32 now, __u64 key)
{
	return m->now == now && key - m->first <= m->span;
}

/* Makes the memo of a key's region. A function of its own: the verifier walks the search once. */
__attribute__((noinline)) int nexthop_search(__u32 family, __u64 key)
{
	struct nexthop_memo *m = nexthop_memo(family, key);
	const struct nav_routes *r = bpf_map_lookup_elem(&routes, &family);
	const struct regions *set;
	__u32 region;

	if (!m || !r)
		return 0;
	m->now = READ_ONCE(r->now);
	set = &r->set[m->now & 1];
	region = region_of(set, key);
	m->first = set->first[region];
	m->span = region_span(set, region);
	/* a set that is written anew while it is read is not in force any more */
	m->number = READ_ONCE(r->now) == m->now ? region_hop(set, region) : 0;
	m->hop.ifindex = 0;
	return 0;
}

/* A hop's number, with what makes it unique. */
static __always_inline struct nexthop_place nexthop_numbered(const struct nexthop_memo *m)
{
	return (struct nexthop_place){ m->number & (REGION_HOPS - 1), { (__u64)m->now << 32 | m->number, 0 } };
}

static __always_inline bool nexthop_is(const struct nexthop_entry *e, const struct nexthop_place *p,
				       __u64 units)
{
	return e->key[0] == p->key[0] && e->key[1] == p->key[1] && nexthop_fresh(&e->hop, units);
}

static __always_inline struct bpf_fib_lookup nexthop_query4(const struct nexthop_target *t)
{
	return (struct bpf_fib_lookup){
		.family = 2, /* AF_INET */
		.l4_protocol = t->proto4,
		.tot_len = (__u16)t->len,
		.ipv4_src = t->src4 ? t->src4 : cfg.service.addr,
		.ipv4_dst = t->dst4,
	};
}

static __always_inline struct bpf_fib_lookup nexthop_query6(const struct ipv6hdr *ip6, __u32 len)
{
	struct bpf_fib_lookup q = {
		.family = 10, /* AF_INET6 */
		.l4_protocol = ip6->nexthdr,
		.tot_len = (__u16)len,
	};

	__builtin_memcpy(q.ipv6_src, &ip6->saddr, sizeof(q.ipv6_src));
	__builtin_memcpy(q.ipv6_dst, &ip6->daddr, sizeof(q.ipv6_dst));
	return q;
}

/*
 * The next hop, or NULL. An entry for many destinations is not made from one towards which the kernel
 * knows a narrow path: a forged ICMP error would narrow it for all.
 */
static __always_inline const struct nexthop *
nexthop_find(void *map, const struct frame *f, const struct nexthop_target *t, __u32 family)
{
	const struct nav_routes *r = bpf_map_lookup_elem(&routes, &family);
	struct nexthop_memo *m = nexthop_memo(family, t->region);
	struct nexthop_entry *e;
	struct nexthop_place p;
	struct nexthop_question *ask;
	bool vouched;

	if (!r || !m)
		return NULL;
	vouched = READ_ONCE(r->until) > f->units;
	if (vouched) {
		if (!nexthop_memo_is(m, READ_ONCE(r->now), t->region))
			nexthop_search(family, t->region);
		else if (nexthop_fresh(&m->hop, f->units))
			return t->len <= m->hop.mtu ? &m->hop : NULL;
	}
	p = vouched && m->number ? nexthop_numbered(m) : nexthop_single(t->key[0], t->key[1]);
	e = bpf_map_lookup_elem(map, &p.n);
	if (!e)
		return NULL;
	if (!nexthop_is(e, &p, f->units)) {
		ask = THE_ONLY(nexthop_questions);
		if (!ask)
			return NULL;
		ask->q = t->ip6 ? nexthop_query6(t->ip6, t->len) : nexthop_query4(t);
		if (!nexthop_ask(f, &ask->q, &ask->hop))
			return NULL;
		if (p.n < REGION_HOPS && ask->hop.mtu < t->wide) {
			p = nexthop_single(t->key[0], t->key[1]);
			e = bpf_map_lookup_elem(map, &p.n);
			if (!e)
				return NULL;
		}
		e->key[0] = p.key[0];
		e->key[1] = p.key[1];
		e->hop = ask->hop;
	}
	if (p.n < REGION_HOPS)
		m->hop = e->hop;
	return t->len <= e->hop.mtu ? &e->hop : NULL;
}

static __always_inline const struct nexthop *nexthop4(const struct frame *f, __u8 proto, __be32 src,
						      __be32 dst, __u32 len, __u32 wide)
{
	const struct nexthop_target t = {
		.src4 = src,
		.dst4 = dst,
		.proto4 = proto,
		.key = { RAW32(dst), RAW32(src) },
		.region = region_key4(dst),
		.len = len,
		.wide = wide,
	};

	return nexthop_find(&nexthops4, f, &t, REGIONS_IP4);
}

static __always_inline const struct nexthop *nexthop6(const struct frame *f, const struct ipv6hdr *ip6,
						      __u32 len, __u32 wide)
{
	const struct in6_addr *dst = &ip6->daddr;
	const struct nexthop_target t = {
		.ip6 = ip6,
		.key = { load64(dst), load64(dst->s6_addr + 8) },
		.region = region_key6(dst),
		.len = len,
		.wide = wide,
	};

	return nexthop_find(&nexthops6, f, &t, REGIONS_IP6);
}

#endif
