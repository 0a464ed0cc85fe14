// SPDX-License-Identifier: GPL-2.0-or-later
/* What falls due: of clients that are not proven, and of the proven, who are looked through by and by. */
#include "core/limits.h"
#include "core/relay-impl.h"

/* Looked at in one step of housekeeping: some 10 us each, when there is nothing to do. */
#define BUCKETS_A_STEP 256
#define REMAPPED_A_STEP 8 /* two system calls each: */
#define SETTLED_ONE_OF 16 /* buckets in each sweep: clients stay for minutes */
#define SLOWER 4          /* so a sweep of all takes so many times longer */

static bool peer_due(struct relay *r, struct relay_time now, struct relay_out *out)
{
	enum peer_event ev;
	struct peer *peer;
	int act;

	if (!peers_due(r->peers, now.ms, &peer, &ev))
		return false;
	*out = (struct relay_out){ .reason = R_NONE };
	act = peers_step(r->peers, peer, NULL, ev, now.ms, &peer);
	if (act & PEER_BUBBLE)
		relay_put_bubble(r, &peer->addr, teredo_mapped(&peer->addr), now, out);
	if ((act & PEER_FAILED) && peer->kept) {
		out->reason = R_QUEUE_STALE;
		memcpy(r->flushed, peer->kept, peer->kept_len);
		out->pkt = r->flushed;
		out->len = peer->kept_len;
		if (!peer->kept_inbound && limiter_take(r->unreachable, 0, now.ms))
			out->act |= RELAY_UNREACHABLE;
		peers_drop_kept(r->peers, peer);
	}
	return true;
}

/* A moment of its own for each client's re-proof. */
static __u32 mix_of(const struct in6_addr *client)
{
	return (RAW32(client->s6_addr32[2]) ^ RAW32(client->s6_addr32[3])) * 0x9e3779b1U >> 16;
}

/*
 * What the stamp and the proof of a client in the table or the map ask for; sent: it was sent to
 * after a long silence. True: out says so, and *gone whether it is to be removed.
 */
static bool look_after(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
		       __u32 stamp, bool sent, struct proof *proof, struct relay_time now,
		       struct relay_out *out, bool *gone)
{
	enum proof_due due = proof_due(proof, mix_of(client), now.ms);

	*gone = !stamp_young(stamp, stamp_of(now.units), r->policy->life);
	if (!*gone && !sent && due == PROOF_NOT_DUE)
		return false; /* nearly all of them */
	*out = (struct relay_out){ .reason = R_EXPIRED };
	if (*gone)
		return true;
	out->reason = R_UNPROVED;
	*gone = due == PROOF_OVERDUE;
	if (*gone)
		return true;
	out->reason = R_REPROOF;
	if (sent && relay_ask(r, client, at, proof, PAUSE_IN_USE, now, out))
		return true;
	return due == PROOF_IS_DUE && relay_ask(r, client, at, proof, PAUSE_DUE, now, out);
}

static bool sweep_bucket(struct relay *r, struct bucket *b, struct relay_time now,
			 struct relay_out *out)
{
	for (struct client *c = b->client; c < b->client + BUCKET_CLIENTS; c++) {
		struct in6_addr addr;
		bool gone;
		__u32 seen;

		if (!c->id)
			continue;
		addr = teredo_addr_of(c->id, c->server);
		seen = __atomic_load_n(&c->stamp, __ATOMIC_RELAXED);
		if (!look_after(r, &addr, teredo_mapped(&addr), seen, seen & STAMP_SENT,
				table_proof(r->table, c), now, out, &gone))
			continue;
		if (gone)
			relay_drop_client(r, c);
		else if (seen & STAMP_SENT)
			table_mark_sent(c, false);
		return true;
	}
	return false;
}

static bool sweep_remapped(struct relay *r, struct relay_time now, struct relay_out *out)
{
	const bool first = addr6_kind(&r->remap_at) == ADDR6_UNSPECIFIED;
	struct remap_note *note;
	struct in6_addr client;
	struct remapped m;
	bool gone, hit;

	if (!remaps_next(&r->remaps, first ? NULL : &r->remap_at, &client, &m)) {
		r->remap_at = in6addr_any; /* from the beginning again */
		if (first)
			r->remap_left = 0;
		return false;
	}
	r->remap_left--;
	note = remaps_note(&r->remaps, &client);
	if (note && stamp_age(m.stamp, stamp_of(now.units)) < (__s32)r->policy->reproof)
		note->sent = false; /* XDP has heard of it */
	hit = note && look_after(r, &client, m.endpoint, m.stamp, note->sent || m.stamp & STAMP_SENT,
				 &note->proof, now, out, &gone);
	if (hit && gone) { /* the one before it is where the walk goes on */
		relay_drop_remapped(r, &client, &m);
		return true;
	}
	if (hit)
		note->sent = false; /* the stamp's own mark is XDP's: it is gone with the answer */
	r->remap_at = client;
	return hit;
}

void relay_sweep(struct relay *r, __u32 parts)
{
	const __u32 buckets = r->sweep_left + r->table->buckets / parts + 1,
		    remapped = r->remap_left + r->remaps.n / (parts * SLOWER) + 16;

	/* what is left of the last round is added, but nobody is looked at twice in one */
	r->sweep_left = buckets < r->table->buckets ? buckets : r->table->buckets;
	r->remap_left = remapped < r->remaps.n ? remapped : r->remaps.n;
}

bool relay_next(struct relay *r, struct relay_time now, struct relay_out *out)
{
	if (peer_due(r, now, out))
		return true;
	for (int i = 0; r->sweep_left && i < BUCKETS_A_STEP; i++) {
		/* the same bucket again after a hit: it may hold another */
		if (sweep_bucket(r, &r->table->bucket[r->sweep], now, out))
			return true;
		/* not while a walk is under way, which would meet one twice that is moved ahead of it */
		if (!r->table->leaves && r->sweep % SETTLED_ONE_OF == r->turn)
			table_settle(r->table, &r->table->bucket[r->sweep]);
		if (++r->sweep == r->table->buckets) {
			r->sweep = 0;
			r->turn = (r->turn + 1) % SETTLED_ONE_OF;
		}
		r->sweep_left--;
	}
	for (int i = 0; !r->sweep_left && r->remap_left && i < REMAPPED_A_STEP; i++)
		if (sweep_remapped(r, now, out))
			return true;
	*out = (struct relay_out){ .reason = R_NONE };
	return r->sweep_left || r->remap_left;
}
