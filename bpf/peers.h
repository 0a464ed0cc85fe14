/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proven clients: finding them, and the two marks that this program leaves on them. table.h has
 * the rules that reader and writer keep.
 */
#ifndef NAVALIS_BPF_PEERS_H
#define NAVALIS_BPF_PEERS_H

#include "maps.h"

struct peer {
	__u32 *stamp;               /* in its map */
	__u32 seen;                 /* what it was when we looked */
	const struct client *entry; /* in the table; NULL: in the map of remapped ones */
	struct endpoint4 endpoint;  /* where the client is */
};

/* Is it in this place, or has the place been given away while we looked? Then what was read is another's. */
static __always_inline bool peer_is_at(struct peer *p, struct client *c, __u64 id, __be32 server)
{
	if (!client_is(c, id, server))
		return false;
	p->entry = c;
	p->stamp = &c->stamp;
	p->seen = READ_ONCE(c->stamp);
	return client_is(c, id, server);
}

static __always_inline bool table_guess(struct peer *p, __u64 hash, int which, __u64 id, __be32 server)
{
	__u32 n = table_place(hash, which, cfg.buckets);
	struct bucket *b = bpf_map_lookup_elem(&clients, &n);

	return b && peer_is_at(p, bucket_guess(b, id), id, server);
}

#define LOOKS 6

/*
 * The slot of a client that is not where it was guessed to be, plus one, and below that its stamp; 0: it
 * is nowhere. Others have its identity and other servers, or it moved: only a look while nobody moved
 * says that it is not there. A function of its own: the verifier walks it once.
 */
__attribute__((noinline)) __u64 table_search(__u64 id, __be32 server)
{
	const __u64 hash = table_hash(&cfg.seed, id, server);
	const struct nav_daemon *d = THE_ONLY(daemon);
	__u32 moving = 0, seen;

	for (int i = 0; d && i < LOOKS * TABLE_PLACES; i++) {
		__u32 n = table_place(hash, i % TABLE_PLACES, cfg.buckets);
		struct bucket *b = bpf_map_lookup_elem(&clients, &n);
		struct client *c;

		if (i % TABLE_PLACES == 0)
			moving = READ_ONCE(d->moving);
		c = b ? bucket_find(b, id, server) : NULL;
		seen = c ? READ_ONCE(c->stamp) : 0;
		if (c && client_is(c, id, server))
			return ((__u64)n * BUCKET_CLIENTS + (__u64)(c - b->client) + 1) << 32 | seen;
		if (i % TABLE_PLACES == TABLE_PLACES - 1 && !(moving & 1) && READ_ONCE(d->moving) == moving)
			break;
	}
	return 0;
}

static __always_inline bool table_found(struct peer *p, __u64 id, __be32 server)
{
	const __u64 found = table_search(id, server);
	const __u64 slot = (found >> 32) - 1;
	__u32 n = (__u32)(slot / BUCKET_CLIENTS);
	struct bucket *b = found ? bpf_map_lookup_elem(&clients, &n) : NULL;

	if (!b)
		return false;
	p->entry = &b->client[slot % BUCKET_CLIENTS];
	p->stamp = &b->client[slot % BUCKET_CLIENTS].stamp;
	p->seen = (__u32)found;
	return true;
}

/* One cache line, or two side by side, nearly always: a third of a hash map's cost with a million clients. */
static __always_inline bool table_look(struct peer *p, __u64 id, __be32 server)
{
	const __u64 hash = table_hash(&cfg.seed, id, server);

	return table_guess(p, hash, 0, id, server) || table_guess(p, hash, 1, id, server) ||
	       table_guess(p, hash, 2, id, server) || table_found(p, id, server);
}

static __always_inline bool peer_in_table(struct peer *p, const struct in6_addr *addr)
{
	if (!table_look(p, teredo_id(addr), teredo_server(addr)))
		return false;
	/* from the address, not from the table: no race can send to another client */
	p->endpoint = teredo_mapped(addr);
	return true;
}

/* Behind a symmetric NAT, which gives it another endpoint towards us than its address says. */
static __always_inline bool peer_remapped(struct peer *p, const struct in6_addr *addr)
{
	struct in6_addr key = *addr;

	/* twice: the daemon replaces an element as a whole */
	for (int turn = 0; turn < 2; turn++) {
		struct remapped *m = bpf_map_lookup_elem(&remapped, &key);

		if (!m)
			return false;
		p->entry = NULL;
		p->stamp = &m->stamp;
		p->seen = READ_ONCE(m->stamp);
		p->endpoint = m->endpoint;
		/* a deleted one's memory is the next one's at once: was this ours, before and after? */
		if (bpf_map_lookup_elem(&remapped, &key) == m && endpoint4_equal(p->endpoint, m->endpoint))
			return true;
	}
	return false;
}

static __always_inline bool peer_young(const struct peer *p, __u32 now)
{
	return stamp_young(p->seen, now, cfg.life);
}

/*
 * Stamps a client that has moved, until the stamp is seen where it is. A function of its own, which
 * keeps this rare case out of what the verifier walks and the hot path carries.
 */
__attribute__((noinline)) int table_heard(__u64 id, __be32 server, __u32 now)
{
	struct peer p = {};

	for (int tries = 0; tries < 4; tries++) {
		if (!table_found(&p, id, server) || stamp_age(p.seen, now) <= 0)
			break;
		__sync_val_compare_and_swap(p.stamp, p.seen, now);
	}
	return 0;
}

/*
 * Heard of now. Written only when the unit changed: a store that dirties a cold line costs up to
 * 60 ns, and other CPUs the line. Only over the stamp that was this client's: its slot may be
 * another's by now; or over that stamp with a mark that somebody has made meanwhile. And then looked
 * at again, for the client may have moved away before; if it is there still, its mover finds the
 * stamp.
 */
static __always_inline void peer_heard(const struct peer *p, const struct in6_addr *addr, __u32 now)
{
	__u32 old;

	if (stamp_age(p->seen, now) <= 0)
		return;
	old = __sync_val_compare_and_swap(p->stamp, p->seen, now);
	if (p->entry) {
		if (old != p->seen || !client_is(p->entry, teredo_id(addr), teredo_server(addr)))
			table_heard(teredo_id(addr), teredo_server(addr), now);
	} else if (old == (p->seen ^ STAMP_SENT)) {
		__sync_val_compare_and_swap(p->stamp, old, now);
	}
}

/* Sent to after a long silence: the daemon asks it to prove itself again before its time is up. */
static __always_inline void peer_sent(const struct peer *p, __u32 now)
{
	if (!(p->seen & STAMP_SENT) && stamp_age(p->seen, now) >= (__s32)cfg.reproof)
		__sync_val_compare_and_swap(p->stamp, p->seen, p->seen | STAMP_SENT);
}

#endif
