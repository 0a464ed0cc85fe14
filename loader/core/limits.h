/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often, and how many: rate limits for each key, and caps on the clients of one network.
 * Memory is fixed at the start. Keys share slots by a keyed hash: a collision can only be stricter.
 */
#ifndef NAVALISD_LIMITS_H
#define NAVALISD_LIMITS_H

#include "navalis/meter.h"

/* A token bucket for each key: a native /64, a client's IPv4, a server. */
struct limiter;

/* per_second packets and as many at once for one key; 0: no limit. */
int limiter_new(__u32 per_second, __u32 slots, __u64 seed, struct limiter **ret);
struct limiter *limiter_free(struct limiter *l);

/* Another rate, from now on. */
void limiter_set(struct limiter *l, __u32 per_second);

/* Takes one token of a key's at now_ms. */
bool limiter_take(struct limiter *l, __u64 key, __u64 now_ms);

/* How many hold a place, for each key. */
struct caps;

/* At most `most` (0: no cap) for each key. */
int caps_new(__u32 most, __u32 slots, __u64 seed, struct caps **ret);
struct caps *caps_free(struct caps *c);

/* Another cap; who holds a place keeps it. */
void caps_set(struct caps *c, __u32 most);

bool caps_full(const struct caps *c, __u64 key);
void caps_add(struct caps *c, __u64 key);
void caps_remove(struct caps *c, __u64 key);

#endif
