/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Teredo server: solicitations answered in place, and bubbles and ICMPv6 sent on to clients. What
 * it decides is in include/navalis/teredo-server.h.
 */
#ifndef NAVALIS_BPF_TEREDO_SERVER_H
#define NAVALIS_BPF_TEREDO_SERVER_H

#include "tunnel.h"

static __always_inline bool server_at(__be32 addr)
{
	return server_any() && (addr == cfg.server.addr[0] || addr == cfg.server.addr[1]);
}

static __always_inline void server_sends(struct tunnel_packet *t, const struct teredo_request *q,
					 enum onward onward, enum reason verdict)
{
	t->to.src.addr = q->from & 1 ? cfg.server.addr[1] : cfg.server.addr[0];
	t->to.src.port = BE16(TEREDO_SERVER_PORT);
	t->to.dst = q->to;
	t->auth = q->auth;
	t->origin = q->origin;
	t->nonce = q->nonce;
	t->put = IP4_LEN + UDP_LEN + teredo_indications_len(q);
	t->onward = onward;
	t->verdict = verdict;
}

/* To native IPv6: what stands before and behind the packet comes off. */
static __always_inline enum reason server_strips(struct tunnel_packet *t)
{
	const enum reason r = policy_native_dst(&cfg, NULL, &t->dst);
	const int ecn = policy_ecn(t->tos, t->class);

	if (r == R_NONE && ecn < 0)
		return R_ECN_CONGESTED;
	t->ecn = (__u8)ecn;
	t->onward = ONWARD_NATIVE;
	t->verdict = R_DECAP;
	return r;
}

/* What is asked for: not on the stack. */
MAP(server_requests, PERCPU_ARRAY, 0, 1, __u32, struct teredo_request);

/* at: which of the two addresses. */
STEP int server_decap(struct xdp_md *ctx, __u32 at)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct teredo_request *q = THE_ONLY(server_requests);
	struct frame f;
	struct cur c;
	enum reason r;

	if (!server_any() || at > 1 || !t || !q || !tunnel_frame(&f, &c, ctx, t) ||
	    !cur_take(&c, IP4_LEN + UDP_LEN))
		return R_NOT_OURS;
	*q = (struct teredo_request){ .len = 0 };
	r = teredo_server_in(&cfg.server, NULL, t->came.src, at, c, t->payload_len, false, q);
	if (r != R_SOLICITED && r != R_SERVER_RELAYED && r != R_NONE)
		return r;
	tunnel_inner(t, &q->ip6);
	t->off = IP4_LEN + UDP_LEN + t->payload_len - q->len;
	if (r == R_SOLICITED) {
		server_sends(t, q, ONWARD_ANSWER, R_SOLICITED);
		return R_SOLICITED;
	}
	if (r == R_NONE)
		return server_strips(t);
	/* trailers and all; the sum of what is behind an indication would have to be taken apart */
	if (q->len != t->payload_len || !t->check)
		return R_NEEDS_CHECKSUM;
	t->len = q->len;
	server_sends(t, q, ONWARD_RELAY, R_SERVER_RELAYED);
	return R_NONE;
}

/* Makes the advertisement. */
STEP int server_advertise(void)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct nd_ra *made = THE_ONLY(advertisements), ra;

	if (!server_any() || !t || !made)
		return R_NOT_OURS;
	t->len = teredo_server_ra(&ra, &cfg.server, &t->src);
	nd_ra_put(made, &ra, ND_RA_LEN_MTU);
	return R_NONE;
}

/* Sends a packet on to a client as it is, with an origin indication or none in front of it. */
STEP int server_relay(struct xdp_md *ctx)
{
	struct tunnel_packet *t = THE_ONLY(tunnel_packet);
	struct udp_headers *h;
	struct way way = {};
	struct frame f;
	struct cur c;
	void *origin;
	__u64 sum;
	__u16 *id;

	if (!server_any() || !t || !tunnel_frame(&f, &c, ctx, t))
		return R_NOT_LINEAR;
	id = encap_id(t->to.dst.addr);
	if (!id || !way_of(&way, &t->hop))
		return R_NO_NEXT_HOP_OUT;
	if (!frame_change(&f, &way, t->off, t->len, t->put, BE16(ETH_P_IP), &c))
		return R_NO_ROOM;
	h = cur_make(&c, sizeof(*h));
	if (!h)
		return R_NO_ROOM;
	/* of the packet alone: what the sum that came says, less the headers that came */
	sum = csum_udp4_head(t->came.src.addr, t->came.dst.addr, t->came.src.port, t->came.dst.port,
			     BE16(UDP_LEN + t->len));
	sum = (__u16)~csum_fold(csum_add16(sum, t->check));
	if (t->origin) {
		origin = cur_make(&c, TEREDO_ORIGIN_LEN);
		if (!origin)
			return R_NO_ROOM;
		store64(origin, teredo_origin(t->came.src));
		sum = csum_add64(sum, teredo_origin(t->came.src));
	}
	encap_ip4(&h->ip, &t->to, t->put + t->len - IP4_LEN - UDP_LEN, encap_next(id));
	encap_udp(&h->udp, &t->to, t->put + t->len - IP4_LEN - UDP_LEN, true, sum);
	return tunnel_sent(t, &way);
}

#endif
