// SPDX-License-Identifier: GPL-2.0-or-later
/* The 6bed4 router (draft-vanrein-6bed4-04) in the slow path: all answers, and what is forwarded. */
#include "core/transit-impl.h"

/*
 * The kernel has taken the hop that the packet pays, so that 1 is enough here; how long it may be is
 * asked of all tunnels alike.
 */
enum reason sixbed4_ask_out(struct transit *t, __u32 id, const struct passage *p, struct transit_out *out)
{
	const struct refuse4 refused = transit_refused(t);
	enum reason r = sixbed4_out(&t->policy->sixbed4[id], &refused, p->rest, p->ip6, true, &out->to.dst);

	out->port = PORT_SIXBED4 + id;
	if (r == R_NONE || r == R_HOP_LIMIT_OUT || r == R_TOO_BIG)
		return policy_native_src(t->policy, &t->host->own, transit_source(t, p));
	return r;
}

void sixbed4_answer_native(struct transit *t, const struct passage *p, struct transit_out *out)
{
	int n = icmp6_echo_reply(t->answer, sizeof(t->answer), p->ip6, p->len);

	if (n > 0)
		transit_write(out, R_SIXBED4_LOCAL, t->answer, (__u32)n);
}

static void answer(struct transit *t, struct transit_out *out, int n)
{
	if (n > 0)
		transit_send(out, out->reason, t->answer, (__u32)n);
}

static void advertise(struct transit *t, const struct sixbed4_config *cfg, const struct sixbed4_in *in,
		      struct relay_time now, struct transit_out *out)
{
	const struct in6_addr *src = &in->ip6->saddr, *old = out->reason == R_SIXBED4_MOVED ? src : NULL;
	const enum reason r = transit_may_advertise(t, in->to.addr, now);

	if (r == R_NONE)
		answer(t, out, sixbed4_build_ra(t->answer, sizeof(t->answer), cfg, in->to, old ? NULL : src,
						old, &in->nonce));
	else
		out->reason = r;
}

/* Genuine: to native IPv6, or to another peer. */
static void forward(struct transit *t, __u32 id, const struct datagram_in *d, struct passage *p,
		    struct transit_out *out)
{
	const bool bounced = out->reason == R_BOUNCED;

	if (bounced)
		out->reason = transit_enter_local(t, d->tos, p);
	else
		out->reason = policy_native_dst(t->policy, &t->host->own, &p->ip6->daddr);
	if (!bounced && out->reason == R_NONE)
		out->reason = transit_enter(t, TUNNEL_SIXBED4, id, d->tos, p);
	if (out->reason != R_NONE)
		return;
	if (bounced) {
		p->ip6->hop_limit--;
		transit_send(out, R_BOUNCED, p->ip6, p->len);
	} else {
		transit_write(out, R_DECAP, p->ip6, p->len);
	}
}

void sixbed4_came(struct transit *t, __u32 id, struct datagram_in *d, struct transit_out *out)
{
	const struct sixbed4_config *cfg = &t->policy->sixbed4[id];
	const struct refuse4 refused = transit_refused(t);
	struct cur c = { d->pkt, d->pkt + d->len };
	struct sixbed4_in in = { 0 };
	struct passage p;

	out->reason = sixbed4_in(cfg, &refused, d->from, c, d->len, true, &in);
	if (!in.ip6)
		return;
	p = passage_of(d->pkt);
	out->to.dst = in.to;
	switch (out->reason) {
	case R_SOLICITED:
	case R_SIXBED4_MOVED:
		advertise(t, cfg, &in, d->now, out);
		break;
	case R_SIXBED4_NS:
		answer(t, out, sixbed4_build_na(t->answer, sizeof(t->answer), cfg, &p.ip6->saddr));
		break;
	case R_SIXBED4_LOCAL:
		answer(t, out, icmp6_echo_reply(t->answer, sizeof(t->answer), p.ip6, p.len));
		break;
	case R_HOP_LIMIT_IN:
		transit_error(t, out, R_HOP_LIMIT_IN, ICMP6_TIME_EXCEEDED, 0, &p, d->now);
		break;
	case R_TOO_BIG:
		transit_error(t, out, R_TOO_BIG, ICMP6_PACKET_TOO_BIG, cfg->mtu, &p, d->now);
		break;
	case R_NONE:
	case R_BOUNCED:
		forward(t, id, d, &p, out);
		break;
	default:
		break;
	}
}
