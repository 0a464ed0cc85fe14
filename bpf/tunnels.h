/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is not the Teredo relay's: to which of the other mechanisms does it belong?
 */
#ifndef NAVALIS_BPF_TUNNELS_H
#define NAVALIS_BPF_TUNNELS_H

#include "proto41.h"

STEP int tunnels_from_ip4(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct iphdr *ip;
	struct frame f;
	struct cur c;
	enum reason r;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_OURS;
	ip = cur_take(&c, sizeof(*ip));
	if (!ip || ip->version != 4 || ip->protocol != IPPROTO_IPV6 || !proto41_at(ip->daddr))
		return R_NOT_OURS;
	r = parse_ip4(ip, f.len - f.l2);
	if (r != R_NONE)
		return r;
	t->came = (struct outer4){ .src.addr = ip->saddr, .dst.addr = ip->daddr };
	t->tos = ip->tos;
	t->payload_len = HOST16(ip->tot_len) - IP4_LEN;
	return proto41_decap(t, c);
}

STEP int tunnels_from_ip6(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct ipv6hdr *ip6;
	struct frame f;
	struct cur c;

	if (!tunnels_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_OURS;
	ip6 = cur_take(&c, sizeof(*ip6));
	if (!ip6 || ip6->version != 6)
		return R_NOT_OURS;
	tunnel_inner(t, ip6);
	return proto41_encap(t);
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
	r = (enum reason)judge(f->ctx);
	if (r == R_NONE)
		r = (enum reason)(t->onward == ONWARD_NATIVE ? tunnel_hop6(f->ctx) :
							      tunnel_hop4(f->ctx));
	if (r == R_NONE)
		r = (enum reason)(t->onward == ONWARD_NATIVE ? tunnel_to_native(f->ctx) :
							      tunnel_to_proto41(f->ctx));
	f->out = t->out;
	return r;
}

#endif
