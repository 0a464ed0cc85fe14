/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 6to4, 6rd and 6in4: IPv6 right behind an IPv4 header. What they decide is in the headers of the
 * same names in include/navalis/.
 */
#ifndef NAVALIS_BPF_PROTO41_H
#define NAVALIS_BPF_PROTO41_H

#include <navalis/demux.h>
#include <navalis/icmp6.h>
#include "tunnel.h"

/* Does any of them take packets to this address? */
static __always_inline bool proto41_at(__be32 addr)
{
	if (sixto4_takes(&cfg.sixto4, addr))
		return true;
	for (__u32 i = 0; i < SIXRD_DOMAINS && i < cfg.n_sixrd; i++)
		if (cfg.sixrd[i].br == addr)
			return true;
	for (__u32 i = 0; i < SIXIN4_LOCALS && i < cfg.sixin4.n_locals; i++)
		if (cfg.sixin4.local[i] == addr)
			return true;
	return false;
}

/* ---- in ------------------------------------------------------------------------------------- */

STEP int sixto4_decap(void)
{
	const struct tunnel_packet *t = THE_ONLY(tunnel_packet);

	if (!cfg.sixto4.local || !t)
		return R_NOT_OURS;
	return sixto4_in(&cfg, &cfg.sixto4, NULL, t->came.src.addr, t->came.dst.addr, &t->src,
			 &t->dst);
}

STEP int sixrd_decap(__u32 number)
{
	const struct tunnel_packet *t = THE_ONLY(tunnel_packet);

	if (!cfg.n_sixrd || number >= SIXRD_DOMAINS || !t)
		return R_NOT_OURS;
	return sixrd_in(&cfg, &cfg.sixrd[number], NULL, t->came.src.addr, t->came.dst.addr,
			&t->src, &t->dst);
}

/* A packet from one site of the domain to another turns round here (RFC 5969 8). */
STEP int sixrd_turns(__u32 number)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const volatile struct sixrd_domain *d;
	enum reason r;

	if (!cfg.n_sixrd || number >= SIXRD_DOMAINS || !t)
		return R_NOT_OURS;
	d = &cfg.sixrd[number];
	r = sixrd_turn(d, NULL, &t->dst, &t->to);
	if (r == R_NOT_OURS)
		return R_NONE;
	tunnel_link(t, &d->link);
	t->onward = ONWARD_PROTO41;
	t->verdict = R_BOUNCED;
	t->put = IP4_LEN;
	return r;
}

STEP int sixin4_decap(void)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct sixin4_tunnel *tunnel;
	struct sixin4_key key;

	if (!cfg.sixin4.n_locals || !t)
		return R_NOT_OURS;
	key = (struct sixin4_key){ t->came.dst.addr, t->came.src.addr };
	tunnel = bpf_map_lookup_elem(&sixin4, &key);
	if (!tunnel)
		return R_NO_TUNNEL;
	t->carrier = CARRIER_SIXIN4 + tunnel->id;
	return sixin4_in(&cfg, tunnel, NULL, t->came.src.addr, t->came.dst.addr, &t->src,
			 &t->dst);
}

/* Without a sign: BPF cannot divide otherwise. */
static __always_inline __u32 sixrd_number(const volatile struct sixrd_domain *d)
{
	return (__u32)((const volatile __u8 *)d - (const volatile __u8 *)cfg.sixrd) / sizeof(*d);
}

/* Of whom is the packet, and what does that one say of it? */
static __always_inline enum reason proto41_ask(struct tunnel_packet *t, struct demux *who)
{
	const struct sixin4_key key = { t->came.dst.addr, t->came.src.addr };
	const struct sixin4_tunnel *found =
		cfg.sixin4.n_locals ? bpf_map_lookup_elem(&sixin4, &key) : NULL;
	enum reason r = demux_proto41(found, cfg.sixrd, cfg.n_sixrd, &cfg.sixto4, &cfg.sixin4,
				      t->came.dst.addr, &t->src, who);

	if (r != R_NONE)
		return r;
	switch (who->tunnel) {
	case TUNNEL_SIXIN4:
		return SAID(sixin4_decap());
	case TUNNEL_SIXRD:
		t->carrier = CARRIER_SIXRD + sixrd_number(who->domain);
		return SAID(sixrd_decap(sixrd_number(who->domain)));
	default:
		t->carrier = CARRIER_SIXTO4;
		return SAID(sixto4_decap());
	}
}

/* And may it leave that tunnel for where it wants? */
static __always_inline enum reason proto41_leaves(const struct tunnel_packet *t, const struct demux *who)
{
	enum reason r;
	__u32 number;

	switch (who->tunnel) {
	case TUNNEL_SIXIN4:
		return MAY_LEAVE(sixin4, t->carrier - CARRIER_SIXIN4, &t->dst);
	case TUNNEL_SIXRD:
		number = sixrd_number(who->domain);
		r = MAY_LEAVE(sixrd, number, &t->dst);
		return r == R_NONE ? SAID(sixrd_turns(number)) : r;
	default:
		return MAY_LEAVE(sixto4, 0, &t->dst);
	}
}

/* c stands behind the outer header, which is right. */
static __always_inline enum reason proto41_decap(struct tunnel_packet *t, struct cur c)
{
	const struct ipv6hdr *ip6;
	enum reason r = proto41_payload(&c, t->payload_len, &ip6);
	struct demux who;

	if (r != R_NONE)
		return r;
	tunnel_strips(t, ip6, IP4_LEN);
	r = proto41_ask(t, &who);
	if (r == R_NONE)
		r = tunnel_inside(t, c, ip6);
	if (r == R_NONE)
		r = proto41_leaves(t, &who);
	if (r != R_NONE)
		return r;
	if (t->hop_limit <= 1)
		return R_HOP_LIMIT_IN;
	return t->onward == ONWARD_PROTO41 && t->len > t->link.mtu ? R_TOO_BIG : R_NONE;
}

/* ---- out ------------------------------------------------------------------------------------ */

STEP int sixto4_encap(void)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);

	if (!cfg.sixto4.local || !t)
		return R_NOT_OURS;
	tunnel_link(t, &cfg.sixto4.link);
	return sixto4_out(&cfg, &cfg.sixto4, NULL, &t->src, &t->dst, &t->to);
}

STEP int sixrd_encap(__u32 number)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);

	if (!cfg.n_sixrd || number >= SIXRD_DOMAINS || !t)
		return R_NOT_OURS;
	tunnel_link(t, &cfg.sixrd[number].link);
	return sixrd_out(&cfg, &cfg.sixrd[number], NULL, &t->src, &t->dst, &t->to);
}

STEP int sixin4_encap(void)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct sixin4_tunnel *tunnel;

	if (!cfg.sixin4.n_locals || !t)
		return R_NOT_OURS;
	tunnel = sixin4_behind(&t->dst);
	if (!tunnel)
		return R_NOT_OURS;
	t->carrier = CARRIER_SIXIN4 + tunnel->id;
	tunnel_link(t, &tunnel->link);
	return sixin4_out(&cfg, tunnel, NULL, &t->src, &t->dst, &t->to);
}

static __always_inline bool proto41_number(const struct in6_addr *dst, __u32 *number)
{
	for (__u32 i = 0; i < SIXRD_DOMAINS && i < cfg.n_sixrd; i++)
		if (sixrd_has(&cfg.sixrd[i], dst)) {
			*number = i;
			return true;
		}
	return false;
}

/* A native packet. */
static __always_inline enum reason proto41_encap(struct tunnel_packet *t)
{
	enum tunnel to = TUNNEL_SIXIN4;
	__u32 number;
	enum reason r;

	t->onward = ONWARD_PROTO41;
	t->verdict = R_ENCAP;
	t->put = IP4_LEN;
	if (cfg.sixto4.local && sixto4_is(&t->dst)) {
		to = TUNNEL_SIXTO4;
		t->carrier = CARRIER_SIXTO4;
		r = SAID(sixto4_encap());
	} else if (proto41_number(&t->dst, &number)) {
		to = TUNNEL_SIXRD;
		t->carrier = CARRIER_SIXRD + number;
		r = SAID(sixrd_encap(number));
	} else {
		r = SAID(sixin4_encap());
	}
	if (r == R_NOT_OURS)
		return r;
	if (t->len > t->frame_len - t->l2)
		return R_NATIVE_LENGTH;
	if (r == R_NONE)
		r = may_enter(to, &t->src);
	if (r != R_NONE)
		return r;
	if (t->len > t->link.mtu)
		return R_TOO_BIG;
	if (!t->nexthdr) /* hop-by-hop options are for routers to look at (RFC 8200 4.3): the kernel does */
		return R_INNER_EXTENSION;
	return t->hop_limit <= 1 ? R_HOP_LIMIT_OUT : R_NONE;
}

#endif
