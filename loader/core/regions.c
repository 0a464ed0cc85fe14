// SPDX-License-Identifier: GPL-2.0-or-later
/* From prefixes that lie in each other to regions that lie side by side. */
#include <stdlib.h>

#include "core/regions.h"

#define KEY_END (1ULL << REGION_KEY_BITS)

static int by_place(const void *a, const void *b)
{
	const struct region_route *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (int)x->len - (int)y->len;
}

static __u64 end_of(const struct region_route *r)
{
	return r->key + (KEY_END >> r->len);
}

/* From that key on it is hop. A region that would be empty is replaced, one like its neighbour left out. */
static int begin(struct regions *r, __u64 key, __u8 hop)
{
	if (r->n && r->first[r->n - 1] == key)
		r->n--;
	if (r->n && r->hop[r->n - 1] == hop)
		return 0;
	if (r->n == REGIONS)
		return -E2BIG;
	r->first[r->n] = key;
	r->hop[r->n++] = hop;
	return 0;
}

int regions_of_routes(struct region_route *route, __u32 n, struct regions *ret)
{
	const struct region_route everything = { 0, 0, 0 }; /* where no route leads, the kernel says so */
	struct region_route open[REGION_KEY_BITS + 2];      /* prefixes around the present key, outermost first */
	__u32 depth = 1;
	int err;

	*ret = (struct regions){ 0 };
	open[0] = everything;
	err = begin(ret, 0, 0);
	qsort(route, n, sizeof(*route), by_place);
	for (__u32 i = 0; i <= n && !err; i++) {
		const __u64 at = i < n ? route[i].key : KEY_END;

		while (!err && depth > 1 && end_of(&open[depth - 1]) <= at) {
			const __u64 end = end_of(&open[--depth]);

			if (end < KEY_END)
				err = begin(ret, end, open[depth - 1].hop);
		}
		if (i == n || err)
			break;
		if (depth > 1 && open[depth - 1].key == at && open[depth - 1].len == route[i].len) {
			if (open[depth - 1].hop != route[i].hop)
				open[depth - 1].hop = 0;
		} else {
			open[depth++] = route[i];
		}
		err = begin(ret, at, open[depth - 1].hop);
	}
	return err;
}
