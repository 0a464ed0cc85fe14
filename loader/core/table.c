// SPDX-License-Identifier: GPL-2.0-or-later
/* Insert, remove and move in the table of proven clients. */
#include <stdlib.h>

#include "core/table.h"

#define MOVES 128 /* at 80 % load a dozen is plenty; a chain that long means a full table */

static struct bucket *bucket_at(const struct table *t, __u64 hash, int which)
{
	return &t->bucket[table_place(hash, which, t->buckets)];
}

static __u32 random_of(struct table *t, __u32 n)
{
	t->random = t->random * 1664525 + 1013904223;
	return (__u32)((__u64)t->random * n >> 32);
}

/* From home, or beside it, to the far one: a walk that stays between two buckets soon ends. And back. */
static struct bucket *other_bucket(struct table *t, const struct client *c, const struct bucket *b)
{
	const __u64 hash = table_hash(&t->seed, c->id, c->server);
	struct bucket *far = bucket_at(t, hash, 2);

	return b == far ? bucket_at(t, hash, (int)random_of(t, 2)) : far;
}

static struct client *free_slot(struct bucket *b)
{
	for (int i = 0; i < BUCKET_CLIENTS; i++)
		if (!b->client[i].id)
			return &b->client[i];
	return NULL;
}

static void publish(struct client *c, __u64 id, __be32 server, __u32 stamp)
{
	c->server = server;
	__atomic_store_n(&c->stamp, stamp, __ATOMIC_RELAXED);
	__atomic_store_n(&c->id, id, __ATOMIC_RELEASE);
}

static void clear(struct client *c)
{
	__atomic_store_n(&c->id, 0, __ATOMIC_RELEASE);
}

struct proof *table_proof(const struct table *t, const struct client *c)
{
	return &t->proof[c - &t->bucket->client[0]];
}

static bool newer(__u32 a, __u32 b)
{
	return stamp_age(b, a) > 0;
}

/*
 * New place first, so that a reader finds the client in one of the two at any moment. What XDP
 * stamped at the old place is carried over after that is cleared: whoever stamps later finds that
 * the client has gone, and stamps it again where it is.
 */
static void move(struct table *t, struct client *from, struct client *to)
{
	*table_proof(t, to) = *table_proof(t, from);
	publish(to, from->id, from->server, __atomic_load_n(&from->stamp, __ATOMIC_RELAXED));
	clear(from);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	table_stamp(to, __atomic_load_n(&from->stamp, __ATOMIC_RELAXED));
}

static void move_or_let_go(struct table *t, struct client *from, struct client *to)
{
	__atomic_add_fetch(&t->moves, 1, __ATOMIC_SEQ_CST);
	if (t->moving)
		__atomic_add_fetch(t->moving, 1, __ATOMIC_SEQ_CST);
	if (!t->leaves || !t->leaves(t->data, from))
		move(t, from, to);
	if (t->moving)
		__atomic_add_fetch(t->moving, 1, __ATOMIC_SEQ_CST);
}

/*
 * Frees a slot of b by moving clients to others of their buckets. A random walk forward only notes the
 * path; the moves then run from its end back, so that nobody is ever without a place.
 */
static struct client *make_room(struct table *t, struct bucket *b)
{
	struct client *path[MOVES], *hole;
	int n = 0;

	while (!(hole = free_slot(b))) {
		struct client *c;

		if (n == MOVES)
			return NULL;
		c = &b->client[random_of(t, BUCKET_CLIENTS)];
		/* a walk that comes back to a slot would move it twice: give that walk up */
		for (int i = 0; i < n; i++)
			if (path[i] == c)
				return NULL;
		path[n++] = c;
		b = other_bucket(t, c, b);
	}
	while (n--) {
		move_or_let_go(t, path[n], hole);
		hole = path[n];
	}
	return hole;
}

int table_init(struct table *t, struct bucket *memory, __u32 buckets,
	       const struct table_seed *seed, __u32 max, __u64 ms)
{
	*t = (struct table){ .bucket = memory, .buckets = buckets, .max = max, .seed = *seed };
	t->proof = malloc((size_t)buckets * BUCKET_CLIENTS * sizeof(*t->proof));
	if (!t->proof)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)buckets * BUCKET_CLIENTS; i++)
		t->proof[i] = proof_new(ms);
	for (struct bucket *b = memory; b < memory + buckets; b++)
		for (struct client *c = b->client; c < b->client + BUCKET_CLIENTS; c++) {
			if (!c->id)
				continue;
			if (table_find(t, c->id, c->server) != c)
				clear(c);
			else
				t->n++;
		}
	return 0;
}

void table_release(struct table *t)
{
	free(t->proof);
	t->proof = NULL;
}

struct client *table_find(const struct table *t, __u64 id, __be32 server)
{
	const __u64 hash = table_hash(&t->seed, id, server);
	struct client *c = NULL;

	for (int which = 0; !c && which < TABLE_PLACES; which++)
		c = bucket_find(bucket_at(t, hash, which), id, server);
	return c;
}

int table_insert(struct table *t, __u64 id, __be32 server, __u32 stamp, struct client **ret)
{
	const __u64 hash = table_hash(&t->seed, id, server);
	struct client *c = table_find(t, id, server);

	if (c) {
		table_stamp(c, stamp);
		*ret = c;
		return -EEXIST;
	}
	if (t->n >= t->max)
		return -ENOSPC;
	for (int which = 0; !c && which < TABLE_PLACES; which++)
		c = free_slot(bucket_at(t, hash, which));
	for (int tries = 0; !c && tries < 8; tries++)
		c = make_room(t, bucket_at(t, hash, tries % TABLE_PLACES));
	if (!c)
		return -ENOSPC;
	publish(c, id, server, stamp);
	t->n++;
	*ret = c;
	return 0;
}

void table_settle(struct table *t, struct bucket *b)
{
	for (struct client *c = b->client; c < b->client + BUCKET_CLIENTS; c++) {
		const __u64 hash = table_hash(&t->seed, c->id, c->server);
		struct client *hole = NULL;

		for (int which = 0; c->id && !hole && which < TABLE_PLACES; which++) {
			struct bucket *better = bucket_at(t, hash, which);

			if (better == b)
				break;
			hole = free_slot(better);
		}
		if (hole)
			move_or_let_go(t, c, hole);
	}
}

void table_remove(struct table *t, struct client *c)
{
	clear(c);
	t->n--;
}

void table_stamp(struct client *c, __u32 stamp)
{
	__u32 old = __atomic_load_n(&c->stamp, __ATOMIC_RELAXED);

	while (newer(stamp, old) &&
	       !__atomic_compare_exchange_n(&c->stamp, &old, stamp, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

void table_mark_sent(struct client *c, bool sent)
{
	__u32 old = __atomic_load_n(&c->stamp, __ATOMIC_RELAXED);

	__atomic_compare_exchange_n(&c->stamp, &old, sent ? old | STAMP_SENT : old & ~STAMP_SENT,
				    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
