// SPDX-License-Identifier: GPL-2.0-or-later
/* Rate limits and caps, for each key. */
#include <stdint.h>
#include <stdlib.h>

#include "core/limits.h"

struct limiter {
	struct meter_rate rate;
	__u64 seed;
	__u32 slots;
	struct meter meter[];
};

struct caps {
	__u64 seed;
	__u32 slots, most;
	__u16 held[];
};

static __u32 slot_of(__u64 key, __u64 seed, __u32 slots)
{
	key = (key ^ seed) * (seed | 1);
	key = (key ^ key >> 32) * 0x9e3779b97f4a7c15ULL;
	return (__u32)((key >> 32) * slots >> 32);
}

int limiter_new(__u32 per_second, __u32 slots, __u64 seed, struct limiter **ret)
{
	struct limiter *l = calloc(1, sizeof(*l) + slots * sizeof(l->meter[0]));

	if (!l)
		return -ENOMEM;
	limiter_set(l, per_second);
	l->seed = seed;
	l->slots = slots;
	*ret = l;
	return 0;
}

void limiter_set(struct limiter *l, __u32 per_second)
{
	/* tokens a millisecond; rounded up, so that a small rate is never none */
	l->rate.per_unit = (__u32)(((__u64)per_second * METER_SCALE + 999) / 1000);
	l->rate.burst = per_second;
}

struct limiter *limiter_free(struct limiter *l)
{
	free(l);
	return NULL;
}

bool limiter_take(struct limiter *l, __u64 key, __u64 now_ms)
{
	return meter_take(&l->meter[slot_of(key, l->seed, l->slots)], &l->rate, now_ms);
}

int caps_new(__u32 most, __u32 slots, __u64 seed, struct caps **ret)
{
	struct caps *c = calloc(1, sizeof(*c) + slots * sizeof(c->held[0]));

	if (!c)
		return -ENOMEM;
	c->seed = seed;
	c->slots = slots;
	c->most = most;
	*ret = c;
	return 0;
}

struct caps *caps_free(struct caps *c)
{
	free(c);
	return NULL;
}

void caps_set(struct caps *c, __u32 most)
{
	c->most = most;
}

bool caps_full(const struct caps *c, __u64 key)
{
	return c->most && c->held[slot_of(key, c->seed, c->slots)] >= c->most;
}

void caps_add(struct caps *c, __u64 key)
{
	__u16 *held = &c->held[slot_of(key, c->seed, c->slots)];

	if (*held < UINT16_MAX)
		++*held;
}

void caps_remove(struct caps *c, __u64 key)
{
	__u16 *held = &c->held[slot_of(key, c->seed, c->slots)];

	if (*held)
		--*held;
}
