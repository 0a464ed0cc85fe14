// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of configured tunnels. */
#include <stdlib.h>

#include "core/sixin4.h"

static __u32 slot_of(const struct sixin4_table *t, struct sixin4_key key)
{
	__u64 h = ((__u64)RAW32(key.local) << 32 | RAW32(key.remote)) * 0x9e3779b97f4a7c15ULL;

	return (__u32)(h >> 32) & t->mask;
}

static int by_address(const void *a, const void *b)
{
	const struct sixin4_route *x = a, *y = b;

	return memcmp(&x->prefix.addr, &y->prefix.addr, sizeof(x->prefix.addr));
}

static void add(struct sixin4_table *t, const struct sixin4_tunnel *tunnel)
{
	__u32 i = slot_of(t, (struct sixin4_key){ tunnel->local, tunnel->remote });

	while (t->slot[i])
		i = (i + 1) & t->mask;
	t->slot[i] = tunnel;
	for (__u32 k = 0; k < tunnel->n_prefixes; k++)
		t->prefix[t->n_prefixes++] = (struct sixin4_route){ tunnel->prefix[k], tunnel };
}

int sixin4_table_new(const struct sixin4_tunnel *tunnel, __u32 n, struct sixin4_table **ret)
{
	struct sixin4_table *t = calloc(1, sizeof(*t));
	__u32 slots = 2;

	while (slots < 2 * n)
		slots *= 2;
	if (!t)
		return -ENOMEM;
	t->mask = slots - 1;
	t->tunnel = calloc(n + 1, sizeof(*t->tunnel));
	t->slot = calloc(slots, sizeof(*t->slot));
	t->prefix = calloc((size_t)n * SIXIN4_PREFIXES + 1, sizeof(*t->prefix));
	if (!t->tunnel || !t->slot || !t->prefix) {
		sixin4_table_free(t);
		return -ENOMEM;
	}
	for (; t->n < n; t->n++) {
		t->tunnel[t->n] = tunnel[t->n];
		add(t, &t->tunnel[t->n]);
	}
	qsort(t->prefix, t->n_prefixes, sizeof(*t->prefix), by_address);
	*ret = t;
	return 0;
}

struct sixin4_table *sixin4_table_free(struct sixin4_table *t)
{
	if (t) {
		free(t->tunnel);
		free(t->slot);
		free(t->prefix);
		free(t);
	}
	return NULL;
}

const struct sixin4_tunnel *sixin4_between(const struct sixin4_table *t, struct sixin4_key key)
{
	const struct sixin4_tunnel *found;

	if (!t)
		return NULL;
	for (__u32 i = slot_of(t, key); (found = t->slot[i]); i = (i + 1) & t->mask)
		if (found->local == key.local && found->remote == key.remote)
			return found;
	return NULL;
}

/* Of prefixes that do not overlap it can only be the last that does not begin behind the address. */
const struct sixin4_tunnel *sixin4_behind(const struct sixin4_table *t, const struct in6_addr *a)
{
	__u32 lo = 0, hi = t ? t->n_prefixes : 0;

	while (lo < hi) {
		__u32 mid = lo + (hi - lo) / 2;

		if (memcmp(&t->prefix[mid].prefix.addr, a, sizeof(*a)) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && prefix6_has(&t->prefix[lo - 1].prefix, a) ? t->prefix[lo - 1].tunnel : NULL;
}
