// SPDX-License-Identifier: GPL-2.0-or-later
/* Bubbles; and clients that are not proven, with the packets that wait for them (5.4.1, 5.4.2). */
#include "core/limits.h"
#include "core/relay-impl.h"

#define WEAK_PAUSE_MS 75000 /* between two chances of a weak client to become a proven one */

void relay_put_bubble(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
		      struct relay_time now, struct relay_out *out)
{
	struct in6_addr src;
	__u64 cookie = teredo_cookie(r->keys, client, cookie_slot(now.units));

	memcpy(src.s6_addr, &r->policy->bubble_prefix, 8);
	memcpy(src.s6_addr + 8, &cookie, 8);
	teredo_build_bubble(out->bubble, sizeof(out->bubble), &src, client);
	out->bubble_to = (struct endpoint4){ teredo_server(client), BE16(TEREDO_SERVER_PORT), 0 };
	out->act |= RELAY_BUBBLE;
	if (r->behind_nat) {
		out->direct_to = at;
		out->act |= RELAY_DIRECT;
	}
}

/* The limits on bubbles; nobody's budget is spent on what another limit refuses afterwards. */
static enum reason may_bubble(struct relay *r, const struct in6_addr *client, bool fresh,
			      const struct in6_addr *native, __u64 ms)
{
	if (native && !limiter_take(r->per_source, load64(native), ms))
		return R_LIMIT_SOURCE;
	if (!limiter_take(r->per_client, RAW32(client->s6_addr32[3]), ms))
		return R_LIMIT_CLIENT;
	if (!limiter_take(r->per_server, RAW32(teredo_server(client)), ms))
		return R_LIMIT_SERVER;
	if (fresh && !limiter_take(r->fresh, 0, ms))
		return R_LIMIT_PEERS;
	return R_NONE;
}

/* Would this event send a bubble? Only then are the limits asked. */
static bool starts_probe(const struct peer *peer, enum peer_event ev)
{
	if (!peer)
		return true;
	return peer->state == PEER_QUIET || (peer->state == PEER_SILENT && ev != EV_NATIVE);
}

void relay_put_kept(struct relay *r, struct peer *peer, struct relay_out *out)
{
	if (!peer->kept)
		return;
	memcpy(r->flushed, peer->kept, peer->kept_len);
	out->kept = r->flushed;
	out->kept_len = peer->kept_len;
	out->act |= peer->kept_inbound ? RELAY_KEPT_WRITE : RELAY_KEPT_SEND;
	peers_drop_kept(r->peers, peer);
}

void relay_unproven(struct relay *r, const struct in6_addr *client, enum peer_event ev,
		    const struct in6_addr *native, const void *pkt, size_t len,
		    struct relay_time now, struct relay_out *out)
{
	struct peer *peer = peers_find(r->peers, client);
	enum reason reason;
	int act;

	if (starts_probe(peer, ev)) {
		reason = may_bubble(r, client, !peer, native, now.ms);
		if (reason != R_NONE) {
			relay_refuse(out, reason);
			return;
		}
	}
	act = peers_step(r->peers, peer, client, ev, now.ms, &peer);
	if (act < 0) {
		relay_refuse(out, R_PENDING_FULL);
		return;
	}
	if (act & PEER_REFUSE) {
		relay_refuse(out, R_SILENT);
		if (limiter_take(r->unreachable, 0, now.ms))
			out->act = RELAY_UNREACHABLE;
		out->pkt = pkt;
		out->len = len;
		return;
	}
	if (act & PEER_BUBBLE)
		relay_put_bubble(r, client, teredo_mapped(client), now, out);
	if (act & PEER_SERVE) {
		out->to = teredo_mapped(client);
		relay_put_kept(r, peer, out);
		if (ev == EV_WEAK && now.ms - peer->bubble_ms >= WEAK_PAUSE_MS &&
		    may_bubble(r, client, false, NULL, now.ms) == R_NONE &&
		    peers_step(r->peers, peer, client, EV_REPEAT, now.ms, &peer) & PEER_BUBBLE)
			relay_put_bubble(r, client, out->to, now, out);
		out->reason = R_NONE;
		return;
	}
	out->reason = (act & PEER_KEEP) && peers_keep(r->peers, peer, pkt, len, ev == EV_DATA) ?
			      R_QUEUED :
			      R_QUEUE_FULL;
}

bool relay_ask(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
	       struct proof *proof, __u16 pause, struct relay_time now, struct relay_out *out)
{
	if (!proof_ask(proof, pause, now.ms))
		return false;
	relay_put_bubble(r, client, at, now, out);
	return true;
}
