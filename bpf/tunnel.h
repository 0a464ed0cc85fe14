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

#include <navalis/icmp6.h>
#include <navalis/teredo-server.h>
#include "decap.h"
#include "encap.h"

/* Where a packet goes on to. */
enum onward {
	ONWARD_NATIVE,
	ONWARD_PROTO41,
	ONWARD_UDP,
	ONWARD_ANSWER, /* an advertisement, back to where it was asked for */
	ONWARD_RELAY,  /* over UDP as it came */
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
	__be16 check;             /* of UDP */

	/* what is decided */
	__u32 sixbed4, server;    /* the listener or address to ask, plus one; 0: none */
	__u32 hg48;               /* HG48 is to be asked; then the slot of its endpoint, plus one */
	enum onward onward;
	enum reason verdict;      /* when it is sent on so */
	__u32 off, put;           /* outer bytes that come off, and those that go on */
	struct outer4 to;         /* the ends of a new outer header */
	struct tunnel_link link;  /* and how that looks */
	__u32 carrier;            /* enum carrier */
	__u8 ecn;                 /* congestion bits of the IPv6 packet from here on */
	__u8 checksum;            /* of UDP, is to be made from the inner one; else it is sent as 0 */
	__u16 pad;
	__u64 seen;               /* when the endpoint of HG48 was last heard of, or sent to */
	__u64 nonce;              /* and the other indications of the Teredo server */
	__u8 auth, origin;
	struct nexthop hop;
	__u32 out;                /* slot of the NIC */
};

/* One that is being made: too large for the stack. */
MAP(advertisements, PERCPU_ARRAY, 0, 1, __u32, struct nd_ra);
MAP(tunnel_packet, PERCPU_ARRAY, 0, 1, __u32, struct tunnel_packet);

/* By enum carrier: sized by the loader, not pinned. */
MAP(carried, PERCPU_ARRAY, 0, 1, __u32, struct carried);

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

/* To native IPv6: so many bytes in front of the packet come off. */
static __always_inline void tunnel_strips(struct tunnel_packet *t, const struct ipv6hdr *ip6, __u32 off)
{
	tunnel_inner(t, ip6);
	t->off = off;
	t->onward = ONWARD_NATIVE;
	t->verdict = R_DECAP;
}

/* What is asked of one that its mechanism lets out. c stands behind the IPv6 header. */
static __always_inline enum reason tunnel_inside(struct tunnel_packet *t, struct cur c, const struct ipv6hdr *ip6)
{
	const int ecn = policy_ecn(t->tos, t->class);

	if (ecn < 0)
		return R_ECN_CONGESTED;
	t->ecn = (__u8)ecn;
	return ip6_inside(c, ip6, false);
}

static __always_inline void tunnel_link(struct tunnel_packet *t, const volatile struct tunnel_link *l)
{
	t->link.mtu = l->mtu;
	t->link.df = l->df;
	t->link.copy_class = l->copy_class;
}

/* Per CPU, so that a plain addition does. */
static __always_inline void tunnel_count(struct nav_count *c, __u32 len)
{
	c->packets++;
	c->bytes += len;
}

/* It has its new headers: the verdict. */
static __always_inline int tunnel_sent(struct tunnel_packet *t, const struct way *way)
{
	__u32 carrier = t->carrier;
	struct carried *c = bpf_map_lookup_elem(&carried, &carrier);

	t->out = way->out;
	if (c && t->off && t->onward != ONWARD_ANSWER)
		tunnel_count(&c->in, t->len);
	if (c && t->put)
		tunnel_count(&c->out, t->len);
	return t->verdict;
}

#define OUTER_MAX (IP4_LEN + UDP_LEN + TEREDO_AUTH_LEN + TEREDO_ORIGIN_LEN)

/* The next hop of an outer header. */
STEP int tunnel_hop4(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct nexthop *hop;
	struct frame f;
	struct cur c;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	hop = nexthop4(&f, t->onward == ONWARD_PROTO41 ? IPPROTO_IPV6 : IPPROTO_UDP, t->to.src.addr,
		       t->to.dst.addr, t->put + t->len, IP4_LEN + PROTO41_MTU_MAX);
	if (!hop)
		return R_NO_NEXT_HOP_OUT;
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
	__u32 off;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	off = t->off;
	barrier_var(off);
	if (off > OUTER_MAX)
		return R_NOT_LINEAR;
	c.pos += off;
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
	return tunnel_sent(t, &way);
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
	struct way way = {};
	struct frame f;
	struct cur c;
	__u16 *id;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	id = encap_id(t->to.dst.addr);
	if (!id || !way_of(&way, &t->hop))
		return R_NO_NEXT_HOP_OUT;
	if (!frame_change(&f, &way, t->off, t->len, IP4_LEN, BE16(ETH_P_IP), &c))
		return R_NO_ROOM;
	h = cur_make(&c, sizeof(*h));
	if (!h)
		return R_NO_ROOM;
	decap_hop(&h->ip6, t->ecn);
	proto41_header(&h->ip, &t->link, &t->to, &h->ip6, t->len, encap_next(id));
	return tunnel_sent(t, &way);
}

/* Puts outer headers of IPv4 and UDP in front. */
STEP int tunnel_to_udp(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct encap_headers *h;
	struct way way = {};
	struct frame f;
	struct cur c;
	__u64 head;
	__u16 *id;

	if (!udp_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	id = encap_id(t->to.dst.addr);
	if (!id || !way_of(&way, &t->hop))
		return R_NO_NEXT_HOP_OUT;
	if (!frame_change(&f, &way, t->off, t->len, IP4_LEN + UDP_LEN, BE16(ETH_P_IP), &c))
		return R_NO_ROOM;
	h = cur_make(&c, sizeof(*h));
	if (!h)
		return R_NO_ROOM;
	head = load64(&h->ip6) - (1ULL << 56);
	head = (head & ~(0x30ULL << 8)) | (__u64)t->ecn << 12;
	store64(&h->ip6, head);
	encap_ip4(&h->ip, &t->to, t->len, encap_next(id));
	encap_udp(&h->udp, &t->to, t->len, t->checksum, csum_lco(head));
	return tunnel_sent(t, &way);
}

struct udp_headers {
	struct iphdr ip;
	struct udphdr udp;
};

/* The indications of the Teredo server in front of an advertisement. */
static __always_inline bool put_indications(struct cur *c, const struct tunnel_packet *t)
{
	void *at;

	if (t->auth) {
		at = cur_make(c, TEREDO_AUTH_LEN);
		if (!at)
			return false;
		teredo_put_auth(at, t->nonce);
	}
	if (t->origin) {
		at = cur_make(c, TEREDO_ORIGIN_LEN);
		if (!at)
			return false;
		store64(at, teredo_origin(t->came.src));
	}
	return true;
}

/* len: a constant. */
static __always_inline bool put_advertisement(struct cur *c, const struct nd_ra *ra, __u64 head, __u32 len)
{
	void *at = cur_make(c, len);

	if (!at)
		return false;
	nd_ra_put(at, ra, len);
	store64(at, head);
	return true;
}

/*
 * Sends the advertisement instead of the frame. What that grows or shrinks by, it does at its
 * beginning: a driver has room there, and not always at the end.
 */
STEP int tunnel_answer(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct nd_ra *ra = THE_ONLY(advertisements);
	struct teredo_request q = {};
	struct udp_headers *h;
	struct way way = {};
	struct frame f;
	struct cur c;
	__u64 head;
	__u16 *id;

	if (!udp_any() || !t || !ra || !tunnel_frame(&f, &c, ctx, t) ||
	    (__u64)(ctx->data_end - ctx->data) != f.len)
		return R_NOT_LINEAR;
	id = encap_id(t->to.dst.addr);
	if (!id || !way_of(&way, &t->hop))
		return R_NO_NEXT_HOP_OUT;
	if (bpf_xdp_adjust_head(ctx, (int)((__u32)f.len - (way.l2 + t->put + t->len))))
		return R_NO_ROOM;
	c = frame_cursor(&f);
	if (!put_ethernet(&c, &way, BE16(ETH_P_IP)))
		return R_NO_ROOM;
	h = cur_make(&c, sizeof(*h));
	if (!h)
		return R_NO_ROOM;
	/* made here: clang 14 loses the constant first word on its way through the map */
	head = 0x60 | (__u64)RAW16(BE16(t->len - sizeof(struct ipv6hdr))) << 32 |
	       (__u64)IPPROTO_ICMPV6 << 48 | (__u64)ND_HOP_LIMIT << 56;
	if (server_any() && !put_indications(&c, t))
		return R_NO_ROOM;
	if (!(t->len == ND_RA_LEN ? put_advertisement(&c, ra, head, ND_RA_LEN) :
				    put_advertisement(&c, ra, head, ND_RA_LEN_MTU)))
		return R_NO_ROOM;
	q.auth = t->auth;
	q.origin = t->origin;
	q.nonce = t->nonce;
	encap_ip4(&h->ip, &t->to, t->put + t->len - IP4_LEN - UDP_LEN, encap_next(id));
	encap_udp(&h->udp, &t->to, t->put + t->len - IP4_LEN - UDP_LEN, true,
		  teredo_indications_sum(&q, t->came.src, csum_lco(head)));
	return tunnel_sent(t, &way);
}

#endif
