/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proven clients: finding them, and the two marks that this program leaves on them. table.h has
 * the rules that reader and writer keep.
 */
#ifndef NAVALIS_BPF_PEERS_H
#define NAVALIS_BPF_PEERS_H

#include "maps.h"

struct peer {
	__u64 *word;               /* in its map: table.h; of a remapped one the stamp alone */
	__u64 seen;                /* what it was when we looked */
	bool in_table;             /* and not in the map of remapped ones */
	struct endpoint4 endpoint; /* where the client is */
};

/* Fourteen of fifteen, of a full table. That the others are a function call away could not be measured. */
static __always_inline bool table_at_home(struct peer *p, __u64 hash, __u64 mark)
{
	__u32 n = table_place(hash, 0, cfg.buckets);
	struct bucket *b = bpf_map_lookup_elem(&clients, &n);

	if (!b)
		return false;
	p->word = &b->word[bucket_guess(b, mark)];
	p->seen = READ_ONCE(*p->word);
	return word_is(p->seen, mark);
}

#define LOOKS 6

/*
 * The slot of a client that is not at home, plus one, and below that its stamp; 0: it is nowhere. It
 * may have moved: only a look while nobody moved says that it is not there. A function of its own: the
 * verifier walks it once.
 */
__attribute__((noinline)) __u64 table_search(__u64 hash, __u64 mark)
{
	const struct nav_daemon *d = THE_ONLY(daemon);
	__u32 moving = 0;

	for (int i = 0; d && i < LOOKS * TABLE_PLACES; i++) {
		__u32 n = table_place(hash, i % TABLE_PLACES, cfg.buckets), k;
		struct bucket *b = bpf_map_lookup_elem(&clients, &n);
		__u64 seen;

		if (i % TABLE_PLACES == 0)
			moving = READ_ONCE(d->moving);
		if (!b) /* for the verifier */
			return 0;
		k = bucket_guess(b, mark);
		seen = READ_ONCE(b->word[k]);
		if (word_is(seen, mark))
			return ((__u64)n * BUCKET_CLIENTS + k + 1) << 32 | (seen & STAMP_MASK);
		if (i % TABLE_PLACES == TABLE_PLACES - 1 && !(moving & 1) && READ_ONCE(d->moving) == moving)
			break;
	}
	return 0;
}

static __always_inline bool table_found(struct peer *p, __u64 hash, __u64 mark)
{
	const __u64 found = table_search(hash, mark);
	const __u64 slot = (found >> 32) - 1;
	__u32 n = (__u32)(slot / BUCKET_CLIENTS);
	struct bucket *b = found ? bpf_map_lookup_elem(&clients, &n) : NULL;

	if (!b)
		return false;
	p->word = &b->word[slot % BUCKET_CLIENTS];
	p->seen = mark | (found & STAMP_MASK);
	return true;
}

/* One cache line, or two side by side, nearly always: less than a third of a hash map's cost with a million clients. */
static __always_inline bool peer_in_table(struct peer *p, const struct in6_addr *addr)
{
	const __u64 hash = table_hash(&cfg.seed, teredo_id(addr), teredo_server(addr));
	const __u64 mark = table_mark(&cfg.seed, hash);

	if (!table_at_home(p, hash, mark) && !table_found(p, hash, mark))
		return false;
	p->in_table = true;
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
		p->in_table = false;
		p->word = &m->stamp;
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
	const __u64 hash = table_hash(&cfg.seed, id, server), mark = table_mark(&cfg.seed, hash);
	struct peer p = {};

	for (int tries = 0; tries < 4; tries++) {
		if (!table_found(&p, hash, mark) || stamp_age(p.seen, now) <= 0)
			break;
		if (__sync_val_compare_and_swap(p.word, p.seen, word_heard(p.seen, now)) == p.seen)
			break;
	}
	return 0;
}

/*
 * Heard of now. Written only when the unit changed: a store that dirties a cold line costs up to
 * 60 ns, and other CPUs the line. Only over the word that was this client's: its slot may be
 * another's by now, and the client elsewhere; or over that stamp with a mark that somebody has made
 * meanwhile.
 */
static __always_inline void peer_heard(const struct peer *p, const struct in6_addr *addr, __u32 now)
{
	__u64 old;

	if (stamp_age(p->seen, now) <= 0)
		return;
	old = __sync_val_compare_and_swap(p->word, p->seen, word_heard(p->seen, now));
	if (old == p->seen)
		return;
	if (p->in_table)
		table_heard(teredo_id(addr), teredo_server(addr), now);
	else if (old == (p->seen ^ STAMP_SENT))
		__sync_val_compare_and_swap(p->word, old, (__u64)now);
}

/* Sent to after a long silence: the daemon asks it to prove itself again before its time is up. */
static __always_inline void peer_sent(const struct peer *p, __u32 now)
{
	if (!(p->seen & STAMP_SENT) && stamp_age(p->seen, now) >= (__s32)cfg.reproof)
		__sync_val_compare_and_swap(p->word, p->seen, p->seen | STAMP_SENT);
}

#endif
