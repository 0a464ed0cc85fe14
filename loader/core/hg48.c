// SPDX-License-Identifier: GPL-2.0-or-later
/* The gateway of HG48 in the slow path. */
#include <stdlib.h>

#include "core/hg48.h"
#include "core/transit-impl.h"

#define SOURCES 1024

struct hg48_table {
	struct hg48_entry *entry;
	__u32 slots, n, swept;
	__u32 unheard; /* of n: those that never answered */
	struct table_seed seed;
	struct meter source[SOURCES]; /* native prefixes share them by hash, which can only be stricter */
};

int hg48_table_new(struct hg48_entry *entry, __u32 max_peers, const struct table_seed *seed,
		   struct hg48_table **ret)
{
	struct hg48_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->entry = entry;
	t->slots = HG48_SLOTS(max_peers);
	t->seed = *seed;
	for (__u32 i = 0; i < t->slots; i++) {
		t->n += !!entry[i].key;
		t->unheard += entry[i].key && !entry[i].peer.heard;
	}
	*ret = t;
	return 0;
}

struct hg48_table *hg48_table_free(struct hg48_table *t)
{
	free(t);
	return NULL;
}

struct hg48_peer *hg48_table_find(struct hg48_table *t, const struct hg48_config *cfg, struct endpoint4 at)
{
	struct hg48_entry *e = &t->entry[hg48_place(cfg, &t->seed, at)];

	for (int i = 0; i < HG48_PLACES; i++)
		if (e[i].key == hg48_key(at))
			return &e[i].peer;
	return NULL;
}

static struct meter *meter_of(struct hg48_table *t, __u64 source)
{
	return &t->source[table_hash(&t->seed, source, 0) % SOURCES];
}

struct hg48_peer *hg48_table_add(struct hg48_table *t, const struct hg48_config *cfg,
				 struct endpoint4 at, __u64 source, __u64 now, enum reason *why)
{
	struct hg48_entry *e = &t->entry[hg48_place(cfg, &t->seed, at)], *end = e + HG48_PLACES;
	struct hg48_peer *known = hg48_table_find(t, cfg, at);
	struct meter fresh = { 0 };

	*why = R_NONE;
	if (known)
		return known;
	*why = hg48_admit(cfg, source ? meter_of(t, source) : &fresh, t->n, source ? t->unheard : 0, now);
	if (*why != R_NONE)
		return NULL;
	while (e < end && e->key && hg48_live(cfg, &e->peer, now))
		e++;
	if (e == end) {
		*why = R_TABLE_FULL;
		return NULL;
	}
	t->n += !e->key;
	t->unheard += !e->key || e->peer.heard;
	__atomic_store_n(&e->key, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* before its times are another's */
	e->peer = (struct hg48_peer){ 0 };
	__atomic_store_n(&e->key, hg48_key(at), __ATOMIC_RELEASE);
	return &e->peer;
}

void hg48_table_heard(struct hg48_table *t, struct hg48_peer *p, __u64 now)
{
	t->unheard -= !p->heard;
	hg48_heard(p, now);
}

void hg48_table_sweep(struct hg48_table *t, const struct hg48_config *cfg, __u32 parts, __u64 now)
{
	for (__u32 i = 0; i <= t->slots / parts; i++, t->swept = (t->swept + 1) % t->slots) {
		struct hg48_entry *e = &t->entry[t->swept];

		if (e->key && !hg48_live(cfg, &e->peer, now)) {
			e->key = 0;
			t->n--;
			t->unheard -= !e->peer.heard;
		}
	}
}

void hg48_table_count(const struct hg48_table *t, const struct hg48_config *cfg, __u64 now,
		      __u32 *confirmed, __u32 *unconfirmed)
{
	*confirmed = *unconfirmed = 0;
	for (const struct hg48_entry *e = t->entry; e < t->entry + t->slots; e++)
		if (e->key && hg48_confirmed(cfg, &e->peer, now))
			++*confirmed;
		else if (e->key && hg48_live(cfg, &e->peer, now))
			++*unconfirmed;
}

/* ---- packets ----------------------------------------------------------------------------------- */

static __u64 time_of(struct relay_time now)
{
	return hg48_time(now.units);
}

enum reason hg48_ask_out(struct transit *t, const struct passage *p, struct transit_out *out)
{
	const struct nav_config *cfg = t->policy;

	out->port = PORT_HG48;
	return hg48_out(cfg, &cfg->hg48, &t->host->own, &p->ip6->saddr, &p->ip6->daddr, &out->to);
}

/* The last question, since it uses up what an unconfirmed endpoint is given. */
enum reason hg48_spend(struct transit *t, const struct passage *p, struct endpoint4 to,
		       struct relay_time now)
{
	const struct hg48_config *cfg = &t->policy->hg48;
	enum reason why;
	struct hg48_peer *peer =
		hg48_table_add(t->hg48, cfg, to, load64(&p->ip6->saddr), time_of(now), &why);

	return peer ? hg48_may_send(cfg, peer, time_of(now)) : why;
}

void hg48_came(struct transit *t, struct datagram_in *d, struct transit_out *out)
{
	const struct nav_config *cfg = t->policy;
	const struct hg48_config *hg = &cfg->hg48;
	struct cur c = { d->pkt, d->pkt + d->len };
	const struct ipv6hdr *ip6;
	struct hg48_peer *peer;
	struct passage p;

	out->reason = hg48_payload(&c, d->len, &ip6);
	if (out->reason != R_NONE)
		return;
	p = passage_of(d->pkt);
	out->reason = hg48_in(cfg, hg, &t->host->own, d->from, hg->service, &ip6->saddr, &ip6->daddr);
	if (out->reason == R_NONE)
		out->reason = hg48_may_enter(hg, hg48_table_find(t->hg48, hg, d->from), time_of(d->now));
	if (out->reason == R_NONE)
		out->reason = transit_enter(t, TUNNEL_HG48, 0, d->tos, &p);
	if (out->reason != R_NONE)
		return;
	peer = hg48_table_add(t->hg48, hg, d->from, 0, time_of(d->now), &out->reason);
	if (!peer)
		return;
	hg48_table_heard(t->hg48, peer, time_of(d->now));
	transit_write(out, R_DECAP, p.ip6, p.len);
}
