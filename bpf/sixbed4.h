/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 6bed4, the router: native both ways, from peer to peer, and the answers to solicitations. What it
 * decides is in include/navalis/sixbed4.h.
 */
#ifndef NAVALIS_BPF_SIXBED4_H
#define NAVALIS_BPF_SIXBED4_H

#include <navalis/sixbed4.h>
#include "tunnel.h"

static __always_inline bool sixbed4_at(__be32 addr)
{
	for (int i = 0; i < SIXBED4_LISTENERS; i++)
		if (cfg.sixbed4[i].service.addr && cfg.sixbed4[i].service.addr == addr)
			return true;
	return false;
}

/* Which listener takes datagrams to this endpoint? None: SIXBED4_LISTENERS. */
static __always_inline __u32 sixbed4_listener(struct endpoint4 to)
{
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++)
		if (cfg.sixbed4[i].service.addr && cfg.sixbed4[i].service.addr == to.addr &&
		    cfg.sixbed4[i].service.port == to.port)
			return i;
	return SIXBED4_LISTENERS;
}

static __always_inline bool sixbed4_sums(struct tunnel_packet *t, struct cur c,
					 const struct ipv6hdr *ip6)
{
	t->checksum = encap_sums(c, ip6);
	return t->checksum || cfg.checksum_zero;
}

static __always_inline enum reason sixbed4_goes(struct tunnel_packet *t, const volatile struct sixbed4_config *s,
						enum onward onward, struct endpoint4 to, enum reason verdict)
{
	t->onward = onward;
	t->to.src.addr = s->service.addr;
	t->to.src.port = s->service.port;
	t->to.dst = to;
	t->put = IP4_LEN + UDP_LEN;
	t->verdict = verdict;
	return R_NONE;
}

/* Makes the advertisement. */
STEP int sixbed4_advertise(__u32 which)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct nd_ra *made = THE_ONLY(advertisements), ra;
	const volatile struct sixbed4_config *s;
	struct in6_addr dst;

	if (!sixbed4_any() || which >= SIXBED4_LISTENERS || !t || !made)
		return R_NOT_OURS;
	s = &cfg.sixbed4[which];
	if (s->n_routes) /* more than fits a frame of one size */
		return R_SOLICITED_ODD;
	dst = sixbed4_ra_dst(s, t->came.src, &t->src);
	sixbed4_ra(&ra, s, t->came.src, &dst);
	nd_ra_put(made, &ra, ND_RA_LEN_MTU);
	t->len = ND_RA_LEN;
	return sixbed4_goes(t, s, ONWARD_ANSWER, t->came.src, R_SOLICITED);
}

STEP int sixbed4_decap(struct xdp_md *ctx, __u32 which)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const volatile struct sixbed4_config *s;
	struct sixbed4_in in = {};
	struct frame f;
	struct cur c;
	enum reason r;
	int ecn;

	if (!sixbed4_any() || which >= SIXBED4_LISTENERS || !t || !tunnel_frame(&f, &c, ctx, t) ||
	    !cur_take(&c, IP4_LEN + UDP_LEN))
		return R_NOT_OURS;
	s = &cfg.sixbed4[which];
	r = sixbed4_in(s, NULL, t->came.src, c, t->payload_len, false, &in);
	if (!in.ip6 || (r != R_NONE && r != R_BOUNCED && r != R_SOLICITED))
		return r;
	tunnel_inner(t, in.ip6);
	t->off = IP4_LEN + UDP_LEN;
	if (r == R_SOLICITED)
		return R_SOLICITED;
	if (r != R_BOUNCED) {
		r = policy_native_dst(&cfg, NULL, &t->dst);
		if (r != R_NONE)
			return r;
	}
	ecn = policy_ecn(t->tos, t->class);
	if (ecn < 0)
		return R_ECN_CONGESTED;
	t->ecn = (__u8)ecn;
	if (r == R_BOUNCED) {
		if (!cur_take(&c, sizeof(*in.ip6)) || !sixbed4_sums(t, c, in.ip6))
			return R_NEEDS_CHECKSUM;
		return sixbed4_goes(t, s, ONWARD_UDP, in.to, R_BOUNCED);
	}
	t->onward = ONWARD_NATIVE;
	t->verdict = R_DECAP;
	return R_NONE;
}

STEP int sixbed4_encap(struct xdp_md *ctx, __u32 which)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const volatile struct sixbed4_config *s;
	const struct ipv6hdr *ip6;
	struct endpoint4 to = {};
	struct frame f;
	struct cur c;
	enum reason r;

	if (!sixbed4_any() || which >= SIXBED4_LISTENERS || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_OURS;
	ip6 = cur_take(&c, sizeof(*ip6));
	if (!ip6)
		return R_NOT_OURS;
	s = &cfg.sixbed4[which];
	r = sixbed4_out(s, NULL, c, ip6, false, &to);
	if (r != R_NONE)
		return r;
	r = policy_native_src(&cfg, NULL, &t->src);
	if (r != R_NONE)
		return r;
	if (!sixbed4_sums(t, c, ip6))
		return R_NEEDS_CHECKSUM;
	return sixbed4_goes(t, s, ONWARD_UDP, to, R_ENCAP);
}

/* The listener whose peers an address is one of. */
static __always_inline __u32 sixbed4_behind(const struct in6_addr *a)
{
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++)
		if (cfg.sixbed4[i].service.addr && sixbed4_is(&cfg.sixbed4[i], a))
			return i;
	return SIXBED4_LISTENERS;
}

#endif
