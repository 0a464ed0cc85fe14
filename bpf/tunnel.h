/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all mechanisms beside the Teredo relay share: the packet that they decide about, and sending
 * it on, to native IPv6 or into a tunnel.
 *
 * Their steps are functions of their own, so that the verifier walks each once, and each begins with
 * a question to the frozen configuration, so that what is off is dead code. Between them the packet
 * is described in a map and not on the stack, of which the relay leaves little; all by value, since a
 * pointer into a packet is worth nothing in another function.
 */
#ifndef NAVALIS_BPF_TUNNEL_H
#define NAVALIS_BPF_TUNNEL_H

#include "decap.h"
#include "encap.h"

/* Where a packet goes on to. */
enum onward {
	ONWARD_NATIVE,
	ONWARD_PROTO41,
};

struct tunnel_packet {
	/* as it arrived */
	__u64 units, frame_len;
	__u32 l2, in;             /* as in struct frame */
	struct outer4 came;       /* over IPv4: the ends of its outer header */
	__u32 payload_len;        /* behind that */
	struct in6_addr src, dst; /* of the IPv6 packet */
	__u32 len;                /* of all of it */
	__u8 tos, class, hop_limit, nexthdr;

	/* what is decided */
	enum onward onward;
	__u32 off;                /* outer bytes that come off */
	struct outer4 to;         /* the ends of a new outer header */
	struct tunnel_link link;  /* and how that looks */
	__u32 counted;            /* the tunnel of 6in4, plus one; 0: none */
	__u8 ecn;                 /* congestion bits of the IPv6 packet from here on */
	__u8 turns;               /* comes out of a tunnel and goes back into it */
	__u16 pad;
	struct nexthop hop;
	__u32 out;                /* the NIC */
};

MAP(tunnel_packet, PERCPU_ARRAY, 0, 1, __u32, struct tunnel_packet);

/* A frame as the steps need it, and a cursor behind its Ethernet header. */
static __always_inline bool tunnel_frame(struct frame *f, struct cur *c, struct xdp_md *ctx,
					 const struct tunnel_packet *t)
{
	*f = (struct frame){
		.ctx = ctx, .len = t->frame_len, .units = t->units, .l2 = t->l2, .in = t->in,
	};
	barrier_var(f->l2);
	if (f->l2 > ETH_HLEN + 2 * 4)
		return false;
	*c = frame_cursor(f);
	c->pos += f->l2;
	return true;
}

static __always_inline void tunnel_inner(struct tunnel_packet *t, const struct ipv6hdr *ip6)
{
	t->src = ip6->saddr;
	t->dst = ip6->daddr;
	t->len = sizeof(*ip6) + HOST16(ip6->payload_len);
	t->class = ip6_class(ip6);
	t->hop_limit = ip6->hop_limit;
	t->nexthdr = ip6->nexthdr;
}

static __always_inline void tunnel_link(struct tunnel_packet *t, const volatile struct tunnel_link *l)
{
	t->link.mtu = l->mtu;
	t->link.df = l->df;
	t->link.copy_class = l->copy_class;
}

static __always_inline struct sixin4_counts *tunnel_counts(const struct tunnel_packet *t)
{
	__u32 id = t->counted - 1;

	return cfg.sixin4.n_locals && t->counted ? bpf_map_lookup_elem(&sixin4_counts, &id) : NULL;
}

/* Per CPU, so that a plain addition does. */
static __always_inline void tunnel_count(struct nav_count *c, __u32 len)
{
	c->packets++;
	c->bytes += len;
}

/* The next hop of an outer header. */
STEP int tunnel_hop4(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct nexthop *hop;
	struct frame f;
	struct cur c;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	hop = nexthop4(&f, IPPROTO_IPV6, t->to.src.addr, t->to.dst.addr, IP4_LEN + t->len,
		       IP4_LEN + PROTO41_MTU_MAX);
	if (!hop)
		return t->turns ? R_NO_NEXT_HOP_IN : R_NO_NEXT_HOP_OUT;
	t->hop = *hop;
	return R_NONE;
}

/* And of what is stripped. For this host itself, too, there is none: the kernel delivers to the daemon. */
STEP int tunnel_hop6(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct nexthop *hop;
	const struct ipv6hdr *ip6;
	struct frame f;
	struct cur c;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t) || !cur_take(&c, IP4_LEN))
		return R_NOT_LINEAR;
	ip6 = cur_take(&c, sizeof(*ip6));
	hop = ip6 ? nexthop6(&f, ip6, t->len, PROTO41_MTU_MAX) : NULL;
	if (!hop)
		return R_NO_NEXT_HOP_IN;
	t->hop = *hop;
	return R_NONE;
}

/* Strips the outer header. */
STEP int tunnel_to_native(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct sixin4_counts *n;
	struct ipv6hdr *ip6;
	struct way way = {};
	struct frame f;
	struct cur c;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	if (!way_of(&way, &t->hop))
		return R_NO_NEXT_HOP_IN;
	if (!frame_change(&f, &way, t->off, t->len, 0, BE16(ETH_P_IPV6), &c))
		return R_NO_ROOM;
	ip6 = cur_make(&c, sizeof(*ip6));
	if (!ip6)
		return R_NO_ROOM;
	decap_hop(ip6, t->ecn);
	t->out = way.out;
	n = tunnel_counts(t);
	if (n)
		tunnel_count(&n->in, t->len);
	return R_DECAP;
}

struct proto41_headers {
	struct iphdr ip;
	struct ipv6hdr ip6;
};

/* Puts an outer header of protocol 41 in front, where there may have been another one. */
STEP int tunnel_to_proto41(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct proto41_headers *h;
	struct sixin4_counts *n;
	struct way way = {};
	struct frame f;
	struct cur c;
	__u16 *id;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	id = encap_id(t->to.dst.addr);
	if (!id || !way_of(&way, &t->hop))
		return t->turns ? R_NO_NEXT_HOP_IN : R_NO_NEXT_HOP_OUT;
	if (!frame_change(&f, &way, t->off, t->len, IP4_LEN, BE16(ETH_P_IP), &c))
		return R_NO_ROOM;
	h = cur_make(&c, sizeof(*h));
	if (!h)
		return R_NO_ROOM;
	decap_hop(&h->ip6, t->ecn);
	proto41_header(&h->ip, &t->link, &t->to, &h->ip6, t->len, encap_next(id));
	t->out = way.out;
	n = tunnel_counts(t);
	if (n)
		tunnel_count(&n->out, t->len);
	return t->turns ? R_BOUNCED : R_ENCAP;
}

#endif
