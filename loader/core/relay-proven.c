// SPDX-License-Identifier: GPL-2.0-or-later
/* Proven clients: where one is found, who may become one, and what they hold. */
#include "core/limits.h"
#include "core/relay-impl.h"

/* Keys are in host memory order. */
void relay_hold(struct relay *r, __be32 addr, bool hold)
{
	__u32 key = RAW32(addr), net = key & 0xffffff;

	if (hold) {
		caps_add(r->per_address, key);
		caps_add(r->per_net, net);
	} else {
		caps_remove(r->per_address, key);
		caps_remove(r->per_net, net);
	}
}

static enum reason caps_allow(struct relay *r, __be32 addr)
{
	__u32 key = RAW32(addr);

	if (caps_full(r->per_address, key))
		return R_CAP_ADDRESS;
	return caps_full(r->per_net, key & 0xffffff) ? R_CAP_NET : R_NONE;
}

void relay_hold_table(struct relay *r)
{
	for (__u64 slot = 0; slot < (__u64)r->table->buckets * BUCKET_CLIENTS; slot++) {
		const struct client *c = table_at(r->table, slot);

		if (c) {
			const struct in6_addr a = teredo_addr_of(c->id, c->server);

			relay_hold(r, teredo_mapped(&a).addr, true);
		}
	}
}

bool relay_find(struct relay *r, const struct in6_addr *addr, __u32 now, struct proven *p)
{
	p->entry = table_find(r->table, teredo_id(addr), teredo_server(addr));
	p->at = teredo_mapped(addr);
	if (p->entry && stamp_young(table_seen(r->table, p->entry), now, r->policy->life))
		return true;
	if (!remaps_find(&r->remaps, addr, &p->remap))
		return false;
	p->entry = NULL;
	p->at = p->remap.endpoint;
	return stamp_young(p->remap.stamp, now, r->policy->life);
}

void relay_stamp(struct relay *r, const struct in6_addr *addr, struct proven *p, __u32 now)
{
	if (p->entry)
		table_stamp(r->table, p->entry, now);
	else
		remaps_stamp(&r->remaps, addr, &p->remap, now);
}

void relay_mark_sent(struct relay *r, const struct in6_addr *addr, struct proven *p, __u32 now)
{
	const __u64 stamp = p->entry ? table_seen(r->table, p->entry) : p->remap.stamp;

	if ((stamp & STAMP_SENT) || stamp_age(stamp, now) < (__s32)r->policy->reproof)
		return;
	if (p->entry) {
		table_mark_sent(r->table, p->entry, true);
	} else {
		struct remap_note *note = remaps_note(&r->remaps, addr);

		if (note)
			note->sent = true;
	}
}

void relay_drop_client(struct relay *r, struct client *c)
{
	struct in6_addr addr = teredo_addr_of(c->id, c->server);

	relay_hold(r, teredo_mapped(&addr).addr, false);
	table_remove(r->table, c);
}

void relay_drop_remapped(struct relay *r, const struct in6_addr *client, const struct remapped *m)
{
	relay_hold(r, m->endpoint.addr, false);
	remaps_remove(&r->remaps, client);
}

/* ---- admission -------------------------------------------------------------------------------- */

/*
 * Where a client is known to be, proven however long ago, and its proof with the one that it has
 * just given.
 */
struct place {
	struct client *entry;
	struct remapped remap;
	bool remapped;
	struct proof proof;
};

static struct place place_of(struct relay *r, const struct in6_addr *client, __u64 ms)
{
	struct place p = { .entry = table_find(r->table, teredo_id(client), teredo_server(client)) };
	struct remap_note *note = remaps_note(&r->remaps, client);

	p.remapped = note && remaps_find(&r->remaps, client, &p.remap);
	p.proof = p.entry ? *table_proof(p.entry) : p.remapped ? note->proof : proof_new(ms);
	proof_given(&p.proof, ms);
	return p;
}

static void place_hold(struct relay *r, const struct in6_addr *client, const struct place *p, bool hold)
{
	if (p->entry)
		relay_hold(r, teredo_mapped(client).addr, hold);
	if (p->remapped)
		relay_hold(r, p->remap.endpoint.addr, hold);
}

static bool place_is_at(const struct place *p, const struct in6_addr *client, __be32 addr)
{
	return (p->entry && teredo_mapped(client).addr == addr) ||
	       (p->remapped && p->remap.endpoint.addr == addr);
}

/* Behind a symmetric NAT: another endpoint towards us than towards its server. */
static enum reason put_into_map(struct relay *r, const struct in6_addr *client,
				struct endpoint4 from, const struct place *was, struct relay_time now)
{
	const struct remapped m = { from, stamp_of(now.units) };

	/* the endpoint that was seen has to pass what the embedded one did */
	if (addr4_set_has(&r->policy->refused, from.addr) || own_has4(&r->host->own, from.addr))
		return R_CLIENT_REFUSED;
	if (remaps_set(&r->remaps, client, &m, &was->proof))
		return R_TABLE_FULL;
	if (was->entry)
		table_remove(r->table, was->entry);
	return R_PROVEN;
}

static enum reason put_into_table(struct relay *r, const struct in6_addr *client,
				  const struct place *was, struct relay_time now)
{
	struct client *c;
	int err = table_insert(r->table, teredo_id(client), teredo_server(client),
			       stamp_of(now.units), &c);

	if (err == -ENOSPC)
		return R_TABLE_FULL;
	*table_proof(c) = was->proof;
	if (was->remapped)
		remaps_remove(&r->remaps, client);
	return R_PROVEN;
}

enum reason relay_admit(struct relay *r, const struct in6_addr *client, struct endpoint4 from,
			struct relay_time now)
{
	const struct place was = place_of(r, client, now.ms);
	enum reason reason;

	place_hold(r, client, &was, false);
	reason = place_is_at(&was, client, from.addr) ? R_NONE : caps_allow(r, from.addr);
	if (reason == R_NONE)
		reason = teredo_src_matches(client, from) ?
				 put_into_table(r, client, &was, now) :
				 put_into_map(r, client, from, &was, now);
	if (reason == R_PROVEN)
		relay_hold(r, from.addr, true);
	else
		place_hold(r, client, &was, true);
	return reason;
}
