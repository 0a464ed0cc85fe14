// SPDX-License-Identifier: GPL-2.0-or-later
/* Walks over all clients, proven or not, that forget some of them. */
#include "core/relay-impl.h"

/* One that is served without proof is, after a change, no longer to be. */
static bool weak_no_more(const struct relay *r, const struct peer *peer)
{
	return peer->state == PEER_WEAK && !r->policy->admission_rfc &&
	       !cone_believed(&r->cone, &peer->addr);
}

static bool walk_peer(void *data, struct peer *peer)
{
	struct relay *r = data;

	if (weak_no_more(r, peer) ||
	    r->walk->match(r->walk->data, &peer->addr, teredo_mapped(&peer->addr)))
		peers_remove(r->peers, peer);
	return true;
}

static bool walk_client(struct relay *r, struct relay_walk *w, struct client *c)
{
	struct in6_addr addr = teredo_addr_of(c->id, c->server);

	if (!c->id || !w->match(w->data, &addr, teredo_mapped(&addr)))
		return false;
	w->n++;
	if (!w->dry_run)
		relay_drop_client(r, c);
	return !w->dry_run;
}

/* One that the walk has not come to would not be met in its new place, if that lies behind. */
static bool leaves(void *data, struct client *c)
{
	struct relay *r = data;

	return !r->walk->dry_run && walk_client(r, r->walk, c);
}

static bool walk_remapped(struct relay *r, struct relay_walk *w)
{
	const bool first = addr6_kind(&w->remapped) == ADDR6_UNSPECIFIED;
	struct in6_addr client;
	struct remapped m;

	if (!remaps_next(&r->remaps, first ? NULL : &w->remapped, &client, &m))
		return false;
	if (w->match(w->data, &client, m.endpoint)) {
		w->n++;
		if (!w->dry_run) {
			relay_drop_remapped(r, &client, &m);
			return true; /* the one before it is where the walk goes on */
		}
	}
	w->remapped = client;
	return true;
}

/*
 * Who becomes a proven client meanwhile goes from the peers to the table, or from there to the map:
 * always ahead of the walk.
 */
bool relay_walk(struct relay *r, struct relay_walk *w, __u32 steps)
{
	struct table *t = r->table;

	r->walk = w;
	t->leaves = leaves;
	t->data = r;
	if (!w->peers_done) {
		w->peers_done = w->dry_run || !peers_some(r->peers, w->peer, steps, walk_peer, r);
		w->peer += steps;
		return true;
	}
	for (; steps && w->bucket < t->buckets; steps--, w->bucket++)
		for (int k = 0; k < BUCKET_CLIENTS; k++)
			walk_client(r, w, &t->bucket[w->bucket].client[k]);
	while (steps--)
		if (!walk_remapped(r, w)) {
			t->leaves = NULL;
			return false;
		}
	return true;
}

static bool not_admitted(void *data, const struct in6_addr *client, struct endpoint4 at)
{
	const struct relay *r = data;

	return policy_client(r->policy, &r->host->own, client) != R_NONE ||
	       addr4_set_has(&r->policy->refused, at.addr);
}

struct relay_walk relay_enforcement(struct relay *r)
{
	return (struct relay_walk){ .match = not_admitted, .data = r };
}

void relay_each_unproven(struct relay *r, bool (*visit)(void *data, struct peer *peer), void *data)
{
	peers_each(r->peers, visit, data);
}
