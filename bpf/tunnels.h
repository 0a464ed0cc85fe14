/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is not the Teredo relay's: to which of the other mechanisms does it belong?
 */
#ifndef NAVALIS_BPF_TUNNELS_H
#define NAVALIS_BPF_TUNNELS_H

#include "hg48.h"
#include "proto41.h"
#include "sixbed4.h"
#include "teredo-server.h"

/* Whom nothing is sent to or believed from, for refuse4.h. */
STEP int refuse4_search(__be32 addr)
{
	if (!udp_any())
		return REFUSAL_NONE;
	if (own_has4(NULL, addr))
		return REFUSAL_OURS;
	return addr4_set_has(&cfg.refused, addr) ? REFUSAL_LISTED : REFUSAL_NONE;
}

static __always_inline bool udp_at(__be32 addr)
{
	return (sixbed4_any() && sixbed4_at(addr)) || server_at(addr) ||
	       (hg48_any() && cfg.hg48.service.addr == addr);
}

/* c stands behind an IPv4 header that is right. */
static __always_inline enum reason udp_decap(struct tunnel_packet *t, struct cur c)
{
	const __u32 len = t->payload_len;
	const struct udphdr *udp = len < UDP_LEN ? NULL : cur_take(&c, sizeof(*udp));
	__u32 which;

	if (!udp)
		return R_UDP_LENGTH;
	t->came.src.port = udp->source;
	t->came.dst.port = udp->dest;
	which = sixbed4_listener(t->came.dst);
	if (which < SIXBED4_LISTENERS) {
		t->sixbed4 = which + 1;
		t->carrier = CARRIER_SIXBED4 + which;
	} else if (server_at(t->came.dst.addr) && udp->dest == BE16(TEREDO_SERVER_PORT)) {
		t->server = t->came.dst.addr == cfg.server.addr[0] ? 1 : 2;
		t->carrier = CARRIER_SERVER;
	} else if (hg48_at(t->came.dst)) {
		t->hg48 = 1;
		t->carrier = CARRIER_HG48;
	} else {
		return R_NOT_OURS;
	}
	if (HOST16(udp->len) < UDP_LEN || HOST16(udp->len) > len)
		return R_UDP_LENGTH;
	t->payload_len = HOST16(udp->len) - UDP_LEN;
	t->check = udp->check;
	return R_NONE;
}

/*
 * Advertisements are longer than what asks for them, and who asks may be forged: an IPv4 address is
 * sent so many. Addresses that meet in a place take it from each other, each time with a fresh meter:
 * a flood from many keeps nobody from an answer, and none of them is sent much.
 */
#define ADVERTISED_BITS 12

struct advertised {
	__be32 addr;
	__u32 pad;
	struct meter meter;
};

MAP(advertised, PERCPU_ARRAY, 0, 1 << ADVERTISED_BITS, __u32, struct advertised);

STEP int may_advertise(__be32 addr)
{
	__u32 place = RAW32(addr) * (__u32)cfg.seed.k[1] >> (32 - ADVERTISED_BITS);
	struct advertised *a = bpf_map_lookup_elem(&advertised, &place);

	if (!udp_any() || !a)
		return R_NOT_OURS;
	if (a->addr != addr)
		*a = (struct advertised){ .addr = addr };
	return meter_take(&a->meter, &cfg.advertise, bpf_jiffies64()) ? R_NONE : R_LIMIT_CLIENT;
}

/* What the steps above have found out whose it is: not asked by them, to keep the stack low. */
static __always_inline enum reason tunnels_ask(struct xdp_md *ctx, struct tunnel_packet *t)
{
	const __u32 which = t->sixbed4 - 1;
	enum reason r;

	if (server_any() && t->server) {
		r = SAID(server_decap(ctx, t->server - 1));
		if (r == R_SOLICITED) {
			r = SAID(may_advertise(t->came.src.addr));
			return r == R_NONE ? SAID(server_advertise()) : r;
		}
		return r == R_NONE && t->onward == ONWARD_NATIVE ? MAY_LEAVE(teredo, 0, &t->dst) : r;
	}
	if (hg48_any() && t->hg48 && t->onward == ONWARD_NATIVE) {
		r = SAID(hg48_decap(ctx));
		return r == R_NONE ? MAY_LEAVE(hg48, 0, &t->dst) : r;
	}
	if (!sixbed4_any() || !t->sixbed4)
		return R_NONE;
	r = SAID(sixbed4_decap(ctx, which));
	if (r == R_SOLICITED) {
		r = SAID(may_advertise(t->came.src.addr));
		return r == R_NONE ? SAID(sixbed4_advertise(which)) : r;
	}
	return r == R_NONE && t->onward == ONWARD_NATIVE ? MAY_LEAVE(sixbed4, which, &t->dst) : r;
}

STEP int tunnels_from_ip4(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct iphdr *ip;
	struct frame f;
	struct cur c;
	enum reason r;
	bool udp;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_OURS;
	ip = cur_take(&c, sizeof(*ip));
	if (!ip || ip->version != 4)
		return R_NOT_OURS;
	udp = ip->protocol == IPPROTO_UDP;
	if (!(udp ? udp_at(ip->daddr) : ip->protocol == IPPROTO_IPV6 && proto41_at(ip->daddr)))
		return R_NOT_OURS;
	r = parse_ip4(ip, f.len - f.l2);
	if (r != R_NONE)
		return r;
	t->came.src.addr = ip->saddr;
	t->came.dst.addr = ip->daddr;
	t->tos = ip->tos;
	t->payload_len = HOST16(ip->tot_len) - IP4_LEN;
	return udp ? udp_decap(t, c) : proto41_decap(t, c);
}

STEP int tunnels_from_ip6(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct ipv6hdr *ip6;
	struct frame f;
	struct cur c;
	enum tunnel to = TUNNEL_SIXBED4;
	enum reason r;
	__u32 which;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_OURS;
	ip6 = cur_take(&c, sizeof(*ip6));
	if (!ip6 || ip6->version != 6)
		return R_NOT_OURS;
	tunnel_inner(t, ip6);
	t->ecn = t->class & 3;
	which = sixbed4_behind(&t->dst);
	t->carrier = CARRIER_SIXBED4 + which;
	if (hg48_any() && hg48_has(&cfg.hg48, &t->dst)) {
		to = TUNNEL_HG48;
		t->carrier = CARRIER_HG48;
	} else if (which >= SIXBED4_LISTENERS) {
		return proto41_encap(t);
	}
	if (t->len > f.len - f.l2)
		return R_NATIVE_LENGTH;
	r = SAID(to == TUNNEL_HG48 ? hg48_encap(ctx) : sixbed4_encap(ctx, which));
	return r == R_NONE ? may_enter(to, &t->src) : r;
}

static __always_inline enum reason tunnels_send(struct xdp_md *ctx, enum onward onward)
{
	enum reason r = SAID(onward == ONWARD_NATIVE ? tunnel_hop6(ctx) : tunnel_hop4(ctx));

	if (r != R_NONE)
		return r;
	switch (onward) {
	case ONWARD_NATIVE:
		return SAID(tunnel_to_native(ctx));
	case ONWARD_PROTO41:
		return SAID(tunnel_to_proto41(ctx));
	case ONWARD_UDP:
		return SAID(tunnel_to_udp(ctx));
	case ONWARD_RELAY:
		return SAID(server_relay(ctx));
	default:
		return SAID(tunnel_answer(ctx));
	}
}

static __always_inline enum reason tunnels(struct frame *f, int (*judge)(struct xdp_md *ctx))
{
	struct tunnel_packet *t;
	enum reason r;

	if (!tunnels_any())
		return R_NOT_OURS;
	t = THE_ONLY(tunnel_packet);
	if (!t)
		return R_NOT_OURS;
	*t = (struct tunnel_packet){
		.units = f->units, .frame_len = f->len, .l2 = f->l2, .in = f->in,
	};
	r = SAID(judge(f->ctx));
	if (r == R_NONE)
		r = tunnels_ask(f->ctx, t);
	if (r == R_NONE && hg48_any())
		hg48_stamp(t);
	if (r == R_NONE)
		r = tunnels_send(f->ctx, t->onward);
	f->out = t->out == f->slot ? BACK : t->out;
	return r;
}

#endif
