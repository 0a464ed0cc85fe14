/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IPv4 endpoints and sets of IPv4 addresses.
 */
#ifndef NAVALIS_ADDR4_H
#define NAVALIS_ADDR4_H

#include "bytes.h"

struct endpoint4 {
	__be32 addr;
	__be16 port;
	__u16 pad;
};

_Static_assert(sizeof(struct endpoint4) == 8, "ABI");

PURE bool endpoint4_equal(struct endpoint4 a, struct endpoint4 b)
{
	return a.addr == b.addr && a.port == b.port;
}

/* A prefix; bits beyond its length are 0. */
struct prefix4 {
	__be32 addr;
	__u32 len; /* 0..32 */
};

PURE bool prefix4_has(const struct prefix4 *p, __be32 addr)
{
	return !p->len || !((HOST32(addr) ^ HOST32(p->addr)) >> (32 - p->len));
}

/*
 * A set of addresses as disjoint ranges in rising order, both ends included, host order. One set
 * is 8 KiB; it lies in the program's read-only data, so that a reload replaces it as a whole.
 */
#define ADDR4_SET_BITS 10
#define ADDR4_SET_MAX (1 << ADDR4_SET_BITS)

struct addr4_range {
	__u32 first, last;
};

struct addr4_set {
	__u32 n; /* <= ADDR4_SET_MAX */
	__u32 pad;
	struct addr4_range range[ADDR4_SET_MAX];
};

PURE bool addr4_set_has(const volatile struct addr4_set *set, __be32 addr)
{
	__u32 a = HOST32(addr), lo = 0, hi = set->n;

	/* the first range that does not end before a; the bound is for the verifier */
	for (int i = 0; i <= ADDR4_SET_BITS && lo < hi; i++) {
		__u32 mid = (lo + hi) / 2;

		if (set->range[mid & (ADDR4_SET_MAX - 1)].last < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < set->n && set->range[lo & (ADDR4_SET_MAX - 1)].first <= a;
}

#endif
