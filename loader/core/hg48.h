/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The endpoints that the gateway of HG48 knows. Memory is fixed at the start: one has its place in
 * a few slots, of those that are forgotten the first.
 */
#ifndef NAVALISD_HG48_H
#define NAVALISD_HG48_H

#include "navalis/hg48.h"

struct hg48_table;

/*
 * entry: HG48_SLOTS(max_peers) of them, which stay the caller's, with those that an earlier daemon
 * left there. 0 or -ENOMEM.
 */
int hg48_table_new(struct hg48_entry *entry, __u32 max_peers, const struct table_seed *seed,
		   struct hg48_table **ret);
struct hg48_table *hg48_table_free(struct hg48_table *t);

/* NULL: it is not known. */
struct hg48_peer *hg48_table_find(struct hg48_table *t, const struct hg48_config *cfg, struct endpoint4 at);

/*
 * The same; one that is not known becomes so, for a packet from this native /64 (source; 0: for one
 * that came from the endpoint itself, which no budget is asked for). NULL with the reason if not.
 */
struct hg48_peer *hg48_table_add(struct hg48_table *t, const struct hg48_config *cfg,
				 struct endpoint4 at, __u64 source, __u64 now, enum reason *why);

/* A packet that may enter came from it. */
void hg48_table_heard(struct hg48_table *t, struct hg48_peer *p, __u64 now);

/* Forgets those of one of so many parts whose time is over; the next part with the next call. */
void hg48_table_sweep(struct hg48_table *t, const struct hg48_config *cfg, __u32 parts, __u64 now);

/* How many there are now that have answered, and that have not. */
void hg48_table_count(const struct hg48_table *t, const struct hg48_config *cfg, __u64 now,
		      __u32 *confirmed, __u32 *unconfirmed);

#endif
