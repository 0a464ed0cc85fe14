// SPDX-License-Identifier: GPL-2.0-or-later
/* The Teredo server (RFC 4380 5.3) in the slow path. */
#include "core/transit-impl.h"

/* To native IPv6, which a server does for clients that test their way to it. */
static void forward(struct transit *t, const struct teredo_request *q, const struct datagram_in *d,
		    struct transit_out *out)
{
	const __u32 len = sizeof(q->ip6) + HOST16(q->ip6.payload_len);
	struct passage p = { .ip6 = (void *)q->packet, .len = len };

	if (out->reason == R_HOP_LIMIT_IN) {
		transit_error(t, out, R_HOP_LIMIT_IN, ICMP6_TIME_EXCEEDED, 0, &p, d->now);
		return;
	}
	memcpy(t->answer, q->packet, len); /* behind indications it is not aligned */
	p = passage_of(t->answer);
	out->reason = policy_native_dst(t->policy, &t->host->own, &p.ip6->daddr);
	if (out->reason == R_NONE)
		out->reason = transit_enter(t, TUNNEL_TEREDO, 0, d->tos, &p);
	if (out->reason == R_NONE)
		transit_write(out, R_DECAP, p.ip6, p.len);
}

void server_came(struct transit *t, __u32 at, struct datagram_in *d, struct transit_out *out)
{
	const struct teredo_server_config *cfg = &t->policy->server;
	struct refuse4 refused = transit_refused(t);
	struct cur c = { d->pkt, d->pkt + d->len };
	struct teredo_request q = { 0 };
	enum reason r;
	int n = 0;

	refused.self = &t->host->self; /* what says so by a NIC the kernel drops */
	out->reason = teredo_server_in(cfg, &refused, d->from, at, c, d->len, true, &q);
	switch (out->reason) {
	case R_SOLICITED:
		r = transit_may_advertise(t, q.to.addr, d->now);
		if (r != R_NONE) {
			out->reason = r;
			return;
		}
		n = teredo_server_build_ra(t->answer, sizeof(t->answer), cfg, d->from, &q);
		break;
	case R_SERVER_RELAYED:
		n = teredo_server_build_relayed(t->answer, sizeof(t->answer), d->from, &q);
		break;
	case R_SERVER_LOCAL:
		n = icmp6_echo_reply(t->answer, sizeof(t->answer), q.packet,
				     sizeof(q.ip6) + HOST16(q.ip6.payload_len));
		break;
	case R_NONE:
	case R_HOP_LIMIT_IN:
		forward(t, &q, d, out);
		return;
	default:
		return;
	}
	out->head = teredo_indications_len(&q);
	out->port = PORT_SERVER + q.from;
	out->to.dst = q.to;
	if (n > 0)
		transit_send(out, out->reason, t->answer, (__u32)n);
}
