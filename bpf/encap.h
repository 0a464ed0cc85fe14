/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From native IPv6 to UDP/IPv4 (RFC 4380 5.4.1).
 */
#ifndef NAVALIS_BPF_ENCAP_H
#define NAVALIS_BPF_ENCAP_H

#include "crossing.h"
#include "ethernet.h"
#include "nexthop.h"
#include "own.h"
#include "parse.h"
#include "peers.h"

/* Everything that is decided before the first byte is written. */
struct encap {
	struct endpoint4 to;
	__u16 *id; /* the IPv4 ID of the next packet */
	struct way way;
	__u32 len;     /* of the IPv6 packet */
	bool checksum; /* outer; else it is sent as 0, «none» */
};

/* Why a client is not to be sent to at all; else it is worth a bubble. A function of its own, so */
/* that the verifier walks the search of 1024 ranges twice and not once for each way to get here. */
__attribute__((noinline)) int encap_stranger(__be32 server, __u32 port_and_flags, __be32 obf_addr)
{
	const struct in6_addr client = { .s6_addr32 = { BE32(TEREDO_PREFIX), server,
							port_and_flags, obf_addr } };
	enum reason r = policy_client(&cfg, NULL, &client);

	return r == R_NONE ? R_UNPROVEN_OUT : r;
}

/*
 * Can the outer checksum be had from the inner one (csum_lco)? It must exist and cover all that
 * follows the IPv6 header: no extension header, no truncated transport header, and no bytes
 * behind an inner UDP datagram (RFC 9868 puts options there). c stands behind the IPv6 header.
 */
static __always_inline bool encap_sums(struct cur c, const struct ipv6hdr *ip6)
{
	const __u16 len = HOST16(ip6->payload_len);
	const struct udphdr *udp;

	switch (ip6->nexthdr) {
	case IPPROTO_TCP:
		return len >= 20;
	case IPPROTO_ICMPV6:
		return len >= 4;
	case IPPROTO_UDP:
		udp = len < sizeof(*udp) ? NULL : cur_take(&c, sizeof(*udp));
		return udp && udp->check && udp->len == ip6->payload_len;
	}
	return false;
}

/* RFC 6864 4.3: a counter of each CPU for each group of destinations, all in a few hot cache lines. */
#define IDENT_BITS 10

struct idents {
	__u16 next[1 << IDENT_BITS];
};

MAP(idents, PERCPU_ARRAY, 0, 1, __u32, struct idents);

static __always_inline __u16 *encap_id(__be32 dst)
{
	struct idents *ids = THE_ONLY(idents);

	return ids ? &ids->next[RAW32(dst) * (__u32)cfg.seed.k[1] >> (32 - IDENT_BITS)] : NULL;
}

/* The CPUs count from starts far apart: they do not give one ID twice in a while. */
static __always_inline __be16 encap_next(__u16 *id)
{
	return BE16((*id)++ + bpf_get_smp_processor_id() * 0x9e37);
}

static __always_inline enum reason encap_decide(struct encap *e, struct frame *f, struct cur c)
{
	const __u64 present = f->len - f->l2;
	const struct ipv6hdr *ip6 = cur_take(&c, sizeof(*ip6));
	const struct in6_addr *dst;
	const struct nexthop *hop;
	struct peer peer = {};
	enum reason r;

	if (!cfg.service.addr || !ip6 || ip6->version != 6 || !teredo_is(&ip6->daddr))
		return R_NOT_OURS;
	dst = &ip6->daddr;
	e->len = sizeof(*ip6) + HOST16(ip6->payload_len);
	if (e->len > present)
		return R_NATIVE_LENGTH;
	r = policy_native_src(&cfg, NULL, &ip6->saddr);
	if (r == R_NONE)
		r = may_enter(TUNNEL_TEREDO, &ip6->saddr);
	if (r != R_NONE)
		return r;
	if (!(peer_in_table(&peer, dst) || peer_remapped(&peer, dst)) ||
	    !peer_young(&peer, f->now))
		return (enum reason)encap_stranger(dst->s6_addr32[1], dst->s6_addr32[2],
						   dst->s6_addr32[3]);
	e->to = peer.endpoint;
	if (e->len > cfg.mtu)
		return R_TOO_BIG;
	if (ip6->hop_limit <= 1)
		return R_HOP_LIMIT_OUT;
	e->checksum = encap_sums(c, ip6);
	if (!e->checksum && !cfg.checksum_zero)
		return R_NEEDS_CHECKSUM;
	hop = nexthop4(f, IPPROTO_UDP, 0, e->to.addr, IP4_LEN + UDP_LEN + e->len,
		       cfg.mtu + IP4_LEN + UDP_LEN);
	e->id = encap_id(e->to.addr);
	if (!hop || !e->id || !way_of(&e->way, hop))
		return R_NO_NEXT_HOP_OUT;
	peer_sent(&peer, f->now);
	return R_NONE;
}

/* Summed from the values and not from memory: reading back what was just stored stalls for 4 ns. */
static __always_inline void encap_ip4(struct iphdr *ip, const struct outer4 *to, __u32 len, __be16 id)
{
	const __be16 first = BE16(0x4500), tot_len = BE16(IP4_LEN + UDP_LEN + len);
	const __be16 ttl_proto = BE16(64 << 8 | IPPROTO_UDP);
	const __be32 src = to->src.addr, dst = to->dst.addr;
	__u64 sum = (__u64)RAW16(first) + RAW16(tot_len) + RAW16(id) + RAW16(ttl_proto);

	sum = csum_add32(csum_add32(sum, src), dst);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = 0; /* ECN 00: the compatibility mode of RFC 6040 4.1 */
	ip->tot_len = tot_len;
	ip->id = id;
	ip->frag_off = 0; /* DF is not to be set, 5.1.2 */
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->check = (NAV_FORCE __be16)(__u16)~csum_fold(sum);
	ip->saddr = src;
	ip->daddr = dst;
}

/* len: of the payload, and inner its sum; without checksum it is sent as 0. */
static __always_inline void encap_udp(struct udphdr *udp, const struct outer4 *to, __u32 len,
				      bool checksum, __u64 inner)
{
	const __be16 all = BE16(UDP_LEN + len);
	__u64 sum = csum_udp4_head(to->src.addr, to->dst.addr, to->src.port, to->dst.port, all);

	udp->source = to->src.port;
	udp->dest = to->dst.port;
	udp->len = all;
	udp->check = checksum ? csum_udp(sum + inner) : 0;
}

/* What stands behind the new Ethernet header: taken at once, so that the bounds are checked once. */
struct encap_headers {
	struct iphdr ip;
	struct udphdr udp;
	struct ipv6hdr ip6;
};

_Static_assert(sizeof(struct encap_headers) == IP4_LEN + UDP_LEN + 40, "no padding");

static __always_inline enum reason encap_rewrite(struct frame *f, const struct encap *e)
{
	const struct outer4 to = {
		.src = { .addr = cfg.service.addr, .port = cfg.service.port },
		.dst = e->to,
	};
	struct encap_headers *h;
	struct cur c;
	__u64 head;

	if (!frame_change(f, &e->way, 0, e->len, IP4_LEN + UDP_LEN, BE16(ETH_P_IP), &c))
		return R_NO_ROOM;
	h = cur_make(&c, sizeof(*h));
	if (!h)
		return R_NO_ROOM;

	head = load64(&h->ip6) - (1ULL << 56); /* the hop limit is the last of the 8 bytes */
	h->ip6.hop_limit = (__u8)(head >> 56);
	encap_ip4(&h->ip, &to, e->len, encap_next(e->id));
	encap_udp(&h->udp, &to, e->len, e->checksum, csum_lco(head));
	f->out = e->way.out;
	return R_ENCAP;
}

static __always_inline enum reason encap(struct frame *f, struct cur c)
{
	struct encap e = {};
	enum reason r = encap_decide(&e, f, c);

	/* the ID is for the verifier, which cannot know what encap_stranger() never returns */
	return r == R_NONE && e.id ? encap_rewrite(f, &e) : r;
}

#endif
