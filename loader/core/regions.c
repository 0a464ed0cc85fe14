// SPDX-License-Identifier: GPL-2.0-or-later
/* From prefixes that lie in each other to regions that lie side by side. */
#include <errno.h>
#include <stdlib.h>

#include "core/regions.h"

static int by_place(const void *a, const void *b)
{
	const struct region_route *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (int)x->len - (int)y->len;
}

static __u64 last_of(const struct region_route *r)
{
	return r->len == REGION_KEY_BITS ? r->key : r->key | ~0ULL >> r->len;
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

/* The prefixes around the present key, outermost first. */
struct nest {
	struct region_route open[REGION_KEY_BITS + 2];
	__u32 depth;
};

/* Leaves all prefixes that end before the key; or all but the outermost. */
static int leave(struct nest *n, const struct region_route *next, struct regions *ret)
{
	int err = 0;

	while (!err && n->depth > 1) {
		const __u64 last = last_of(&n->open[n->depth - 1]);

		if (next && next->key <= last)
			break;
		n->depth--;
		if (last != ~0ULL)
			err = begin(ret, last + 1, n->open[n->depth - 1].hop);
	}
	return err;
}

static int enter(struct nest *n, const struct region_route *r, struct regions *ret)
{
	struct region_route *inmost = &n->open[n->depth - 1];
	const bool above = inmost->above || r->above;

	if (n->depth == 1 || inmost->key != r->key || inmost->len != r->len) {
		inmost = &n->open[n->depth++];
		*inmost = *r;
	}
	inmost->above = above;
	if (above || inmost->hop != r->hop)
		inmost->hop = 0;
	return begin(ret, r->key, inmost->hop);
}

int regions_of_routes(struct region_route *route, __u32 n, struct regions *ret)
{
	struct nest nest = { .depth = 1 }; /* all addresses: where no route leads, the kernel says so */
	int err;

	*ret = (struct regions){ 0 };
	err = begin(ret, 0, 0);
	if (n) /* else there may be no array at all */
		qsort(route, n, sizeof(*route), by_place);
	for (__u32 i = 0; i < n && !err; i++) {
		err = leave(&nest, &route[i], ret);
		if (!err)
			err = enter(&nest, &route[i], ret);
	}
	return err ? err : leave(&nest, NULL, ret);
}
