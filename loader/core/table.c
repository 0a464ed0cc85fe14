// SPDX-License-Identifier: GPL-2.0-or-later
/* Insert, remove and move in the table of proven clients. */
#include "core/table.h"

#define MOVES 128 /* at 80 % load a dozen is plenty; a chain that long means a full table */
#define NOWHERE (~0ULL)

static __u64 *word_of(const struct table *t, __u64 slot)
{
	return &t->bucket[slot / BUCKET_CLIENTS].word[slot % BUCKET_CLIENTS];
}

static __u64 load(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static __u64 slot_of(const struct table *t, const struct client *c)
{
	return (__u64)(c - t->client);
}

static __u64 hash_of(const struct table *t, const struct client *c)
{
	return table_hash(&t->seed, c->id, c->server);
}

static __u32 random_of(struct table *t, __u32 n)
{
	t->random = t->random * 1664525 + 1013904223;
	return (__u32)((__u64)t->random * n >> 32);
}

/* From home, or beside it, to the far one: a walk that stays between two buckets soon ends. And back. */
static __u32 other_bucket(struct table *t, __u64 slot, __u32 bucket)
{
	const __u64 hash = hash_of(t, &t->client[slot]);
	const __u32 far = table_place(hash, 2, t->buckets);

	return bucket == far ? table_place(hash, (int)random_of(t, 2), t->buckets) : far;
}

static __u64 free_slot(const struct table *t, __u32 bucket)
{
	for (__u64 slot = (__u64)bucket * BUCKET_CLIENTS; slot < ((__u64)bucket + 1) * BUCKET_CLIENTS; slot++)
		if (!load(word_of(t, slot)))
			return slot;
	return NOWHERE;
}

static void publish(struct table *t, __u64 slot, const struct client *c, __u64 word)
{
	t->client[slot] = *c;
	__atomic_store_n(word_of(t, slot), word, __ATOMIC_RELEASE);
}

static __u64 clear(struct table *t, __u64 slot)
{
	return __atomic_exchange_n(word_of(t, slot), 0, __ATOMIC_SEQ_CST);
}

static bool newer(__u64 a, __u64 b)
{
	return stamp_age(b, a) > 0;
}

struct client *table_at(const struct table *t, __u64 slot)
{
	return load(word_of(t, slot)) ? &t->client[slot] : NULL;
}

__u32 table_seen(const struct table *t, const struct client *c)
{
	return (__u32)(load(word_of(t, slot_of(t, c))) & STAMP_MASK);
}

/*
 * New place first, so that a reader finds the client in one of the two at any moment. What XDP
 * stamped at the old place until it was cleared is carried over: whoever stamps later finds that
 * the client has gone, and stamps it where it is.
 */
static void move(struct table *t, __u64 from, __u64 to)
{
	publish(t, to, &t->client[from], load(word_of(t, from)));
	table_stamp(t, &t->client[to], (__u32)(clear(t, from) & STAMP_MASK));
}

static void move_or_let_go(struct table *t, __u64 from, __u64 to)
{
	__atomic_add_fetch(&t->moves, 1, __ATOMIC_SEQ_CST);
	if (t->moving)
		__atomic_add_fetch(t->moving, 1, __ATOMIC_SEQ_CST);
	if (!t->leaves || !t->leaves(t->data, &t->client[from]))
		move(t, from, to);
	if (t->moving)
		__atomic_add_fetch(t->moving, 1, __ATOMIC_SEQ_CST);
}

/*
 * Frees a slot of a bucket by moving clients to others of their buckets. A random walk forward only
 * notes the path; the moves then run from its end back, so that nobody is ever without a place.
 */
static __u64 make_room(struct table *t, __u32 bucket)
{
	__u64 path[MOVES], hole;
	int n = 0;

	while ((hole = free_slot(t, bucket)) == NOWHERE) {
		__u64 slot;

		if (n == MOVES)
			return NOWHERE;
		slot = (__u64)bucket * BUCKET_CLIENTS + random_of(t, BUCKET_CLIENTS);
		/* a walk that comes back to a slot would move it twice: give that walk up */
		for (int i = 0; i < n; i++)
			if (path[i] == slot)
				return NOWHERE;
		path[n++] = slot;
		bucket = other_bucket(t, slot, bucket);
	}
	while (n--) {
		move_or_let_go(t, path[n], hole);
		hole = path[n];
	}
	return hole;
}

/* Is a word there for no reason? A copy of another one, or its identity is another's. */
static bool is_stray(const struct table *t, __u64 slot)
{
	const struct client *c = &t->client[slot];

	return !word_is(load(word_of(t, slot)), table_mark(&t->seed, hash_of(t, c))) ||
	       table_find(t, c->id, c->server) != c;
}

void table_init(struct table *t, struct bucket *memory, struct client *identities, __u32 buckets,
		const struct table_seed *seed, __u32 max, __u64 ms)
{
	*t = (struct table){ .bucket = memory, .client = identities, .buckets = buckets, .max = max, .seed = *seed };
	for (__u64 slot = 0; slot < (__u64)buckets * BUCKET_CLIENTS; slot++) {
		if (!load(word_of(t, slot)))
			continue;
		if (is_stray(t, slot)) {
			clear(t, slot);
			continue;
		}
		*table_proof(&t->client[slot]) = proof_new(ms);
		t->n++;
	}
}

struct client *table_find(const struct table *t, __u64 id, __be32 server)
{
	const __u64 hash = table_hash(&t->seed, id, server), mark = table_mark(&t->seed, hash);

	for (int which = 0; which < TABLE_PLACES; which++) {
		const __u32 n = table_place(hash, which, t->buckets);

		for (__u32 k = 0; k < BUCKET_CLIENTS; k++) {
			struct client *c = &t->client[(__u64)n * BUCKET_CLIENTS + k];

			if (word_is(load(&t->bucket[n].word[k]), mark) && c->id == id && c->server == server)
				return c;
		}
	}
	return NULL;
}

int table_insert(struct table *t, __u64 id, __be32 server, __u32 stamp, struct client **ret)
{
	const struct client new = { .id = id, .server = server };
	const __u64 hash = table_hash(&t->seed, id, server);
	struct client *c = table_find(t, id, server);
	__u64 slot = NOWHERE;

	if (c) {
		table_stamp(t, c, stamp);
		*ret = c;
		return -EEXIST;
	}
	if (t->n >= t->max)
		return -ENOSPC;
	for (int which = 0; slot == NOWHERE && which < TABLE_PLACES; which++)
		slot = free_slot(t, table_place(hash, which, t->buckets));
	for (int tries = 0; slot == NOWHERE && tries < 8; tries++)
		slot = make_room(t, table_place(hash, tries % TABLE_PLACES, t->buckets));
	if (slot == NOWHERE)
		return -ENOSPC;
	publish(t, slot, &new, table_mark(&t->seed, hash) | stamp);
	t->n++;
	*ret = &t->client[slot];
	return 0;
}

void table_settle(struct table *t, __u32 bucket)
{
	for (__u32 k = 0; k < BUCKET_CLIENTS; k++) {
		const __u64 slot = (__u64)bucket * BUCKET_CLIENTS + k;
		__u64 hash, hole = NOWHERE;

		if (!table_at(t, slot))
			continue;
		hash = hash_of(t, &t->client[slot]);
		for (int which = 0; hole == NOWHERE && which < TABLE_PLACES; which++) {
			const __u32 better = table_place(hash, which, t->buckets);

			if (better == bucket)
				break;
			hole = free_slot(t, better);
		}
		if (hole != NOWHERE)
			move_or_let_go(t, slot, hole);
	}
}

void table_remove(struct table *t, struct client *c)
{
	clear(t, slot_of(t, c));
	t->n--;
}

void table_stamp(struct table *t, const struct client *c, __u32 stamp)
{
	__u64 *word = word_of(t, slot_of(t, c)), old = load(word);

	while (newer(stamp, old) &&
	       !__atomic_compare_exchange_n(word, &old, (old & ~STAMP_MASK) | stamp, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void table_mark_sent(struct table *t, const struct client *c, bool sent)
{
	__u64 *word = word_of(t, slot_of(t, c)), old = load(word);

	__atomic_compare_exchange_n(word, &old, sent ? old | STAMP_SENT : old & ~(__u64)STAMP_SENT,
				    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
