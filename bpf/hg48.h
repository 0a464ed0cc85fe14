/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway of HG48: what goes to and comes from endpoints that have answered lately. Strangers are
 * dropped; whoever has been sent to and not answered is the slow path's, which counts what he is given.
 * What it decides is in include/navalis/hg48.h.
 */
#ifndef NAVALIS_BPF_HG48_H
#define NAVALIS_BPF_HG48_H

#include <navalis/hg48.h>
#include "tunnel.h"

/* Sized and pinned by the loader. */
MAP(hg48_peers, ARRAY, BPF_F_MMAPABLE, 1, __u32, struct hg48_entry);

static __always_inline bool hg48_at(struct endpoint4 to)
{
	return hg48_any() && cfg.hg48.service.addr == to.addr && cfg.hg48.service.port == to.port;
}

/* Why the endpoint at the other end is not served here, as far as is known of it; R_NONE: it has answered lately. */
static __always_inline enum reason hg48_judge(const struct tunnel_packet *t, const struct hg48_peer *known)
{
	const __u64 now = hg48_time(t->units);
	enum reason r;

	if (known && hg48_confirmed(&cfg.hg48, known, now))
		return R_NONE;
	if (t->onward == ONWARD_UDP)
		return R_UNCONFIRMED_OUT;
	r = hg48_may_enter(&cfg.hg48, known, now);
	return r == R_NONE ? R_UNCONFIRMED_IN : r;
}

/* The same of the table, where it is written down whose times those are. */
STEP int hg48_ask(void)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct endpoint4 at;
	__u32 first, n;

	if (!hg48_any() || !t)
		return R_NOT_OURS;
	at = t->onward == ONWARD_UDP ? t->to.dst : t->came.src;
	first = hg48_place(&cfg.hg48, &cfg.seed, at);
	for (__u32 i = 0; i < HG48_PLACES; i++) {
		struct hg48_peer seen = {};
		struct hg48_entry *e;

		barrier_var(first); /* or the compiler counts in n, whose end the verifier does not know */
		n = first + i;
		e = bpf_map_lookup_elem(&hg48_peers, &n);
		if (!e || READ_ONCE(e->key) != hg48_key(at))
			continue;
		seen.sent = READ_ONCE(e->peer.sent);
		seen.heard = READ_ONCE(e->peer.heard);
		if (READ_ONCE(e->key) != hg48_key(at)) /* those were of the slot's next owner */
			break;
		t->hg48 = n + 1;
		t->seen = t->onward == ONWARD_UDP ? seen.sent : seen.heard;
		return hg48_judge(t, &seen);
	}
	return hg48_judge(t, NULL);
}

/* Heard of, or sent to, now: over what was there when it was looked at, and only when the unit changed. */
static __always_inline void hg48_stamp(const struct tunnel_packet *t)
{
	const __u64 now = hg48_time(t->units);
	__u32 n = t->hg48 - 1;
	struct hg48_entry *e;

	if (!t->hg48 || t->seen >= now)
		return;
	e = bpf_map_lookup_elem(&hg48_peers, &n);
	if (e)
		__sync_val_compare_and_swap(t->onward == ONWARD_UDP ? &e->peer.sent : &e->peer.heard,
					    t->seen, now);
}

STEP int hg48_decap(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct ipv6hdr *ip6;
	struct frame f;
	struct cur c;
	enum reason r;

	if (!hg48_any() || !t || !tunnel_frame(&f, &c, ctx, t) || !cur_take(&c, IP4_LEN + UDP_LEN))
		return R_NOT_OURS;
	r = hg48_payload(&c, t->payload_len, &ip6);
	if (r != R_NONE)
		return r;
	tunnel_strips(t, ip6, IP4_LEN + UDP_LEN);
	r = hg48_in(&cfg, &cfg.hg48, NULL, t->came.src, t->came.dst, &t->src, &t->dst);
	if (r == R_NONE)
		r = SAID(hg48_ask());
	if (r == R_NONE)
		r = tunnel_inside(t, c, ip6);
	if (r != R_NONE)
		return r;
	return t->hop_limit <= 1 ? R_HOP_LIMIT_IN : R_NONE;
}

STEP int hg48_encap(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	const struct ipv6hdr *ip6;
	struct frame f;
	struct cur c;
	enum reason r;

	if (!hg48_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_OURS;
	ip6 = cur_take(&c, sizeof(*ip6));
	if (!ip6)
		return R_NOT_OURS;
	t->onward = ONWARD_UDP;
	t->verdict = R_ENCAP;
	t->put = IP4_LEN + UDP_LEN;
	r = hg48_out(&cfg, &cfg.hg48, NULL, &t->src, &t->dst, &t->to);
	if (r != R_NONE)
		return r;
	if (t->len > cfg.hg48.link.mtu)
		return R_TOO_BIG;
	if (t->hop_limit <= 1)
		return R_HOP_LIMIT_OUT;
	r = SAID(hg48_ask());
	if (r != R_NONE)
		return r;
	t->checksum = encap_sums(c, ip6);
	return t->checksum || cfg.checksum_zero ? R_NONE : R_NEEDS_CHECKSUM;
}

#endif
