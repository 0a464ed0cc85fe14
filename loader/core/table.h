/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The writer of the table of proven clients (navalis/table.h says who writes what, and when).
 * One writer only; the memory is the caller's: the mapped BPF arrays, or a test's.
 */
#ifndef NAVALISD_TABLE_H
#define NAVALISD_TABLE_H

#include "core/proof.h"
#include "navalis/table.h"

struct table {
	struct bucket *bucket; /* not owned, nor is this: */
	struct client *client; /* one for each slot, in the same order */
	__u32 buckets;
	__u32 n, max;          /* clients now, and at most */
	struct table_seed seed;
	__u32 random;          /* picks the client that is moved */
	__u32 moves;           /* begun so far */
	__u32 *moving;         /* for readers beside us: odd while one is moved. Not owned; NULL: there are none */
	/* Asked before a client is moved; true: it has been removed instead. NULL: nobody asks. */
	bool (*leaves)(void *data, struct client *c);
	void *data;
};

/*
 * Takes over what the memory holds already, and counts it. A client whose move was cut short by the
 * end of an earlier writer stands in two of its buckets: the second copy is cleared. All proofs count
 * as given now.
 */
void table_init(struct table *t, struct bucket *memory, struct client *identities, __u32 buckets,
		const struct table_seed *seed, __u32 max, __u64 ms);

/* The client, of any age, or NULL. Valid until the next insert, remove or settle. */
struct client *table_find(const struct table *t, __u64 id, __be32 server);

/*
 * 0, or -EEXIST (stamped only), or -ENOSPC when max is reached or no move makes room. *ret: the
 * client, whose proof is the caller's to set.
 */
int table_insert(struct table *t, __u64 id, __be32 server, __u32 stamp, struct client **ret);

/* The client of a slot (counted over all buckets), or NULL. */
struct client *table_at(const struct table *t, __u64 slot);

/* When a client was heard of, and whether it is marked as sent to: a stamp. */
__u32 table_seen(const struct table *t, const struct client *c);

static inline struct proof *table_proof(struct client *c)
{
	return (struct proof *)&c->proof;
}

/*
 * Brings those clients of a bucket home, or nearer to it, for whom there is room by now. XDP looks
 * there first: after some time of coming and going many would cost it a cache miss more.
 */
void table_settle(struct table *t, __u32 bucket);

void table_remove(struct table *t, struct client *c);

/* The client was heard at that time; a later stamp stays. */
void table_stamp(struct table *t, const struct client *c, __u32 stamp);

/* Sets or clears STAMP_SENT; leaves alone a stamp that somebody else changed meanwhile. */
void table_mark_sent(struct table *t, const struct client *c, bool sent);

#endif
