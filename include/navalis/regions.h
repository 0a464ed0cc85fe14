/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's routes as regions of addresses whose packets all leave by one next hop.
 *
 * With them the XDP program asks the kernel once a second for each next hop; without, for each
 * destination (IPv6 213 ns, IPv4 90), which with many clients or many native hosts is each packet.
 * navalisd makes them (loader/core/regions.c) and vouches for them for two seconds at a time; it takes
 * its word back as soon as it hears of a change. Where they say nothing, or nobody vouches any more,
 * the kernel is asked for each destination, as if there were none.
 */
#ifndef NAVALIS_REGIONS_H
#define NAVALIS_REGIONS_H

#include "bytes.h"

#define REGION_BITS 13 /* each tunnel of 6in4 makes two for each of its prefixes */
#define REGIONS (1 << REGION_BITS)
#define REGION_HOPS 64 /* numbers of next hops; 0: ask for each destination */

enum region_family {
	REGIONS_IP4,
	REGIONS_IP6,
	REGION_FAMILIES,
};

struct regions {
	__u32 n; /* 0: nothing is known */
	__u32 pad;
	__u64 first[REGIONS]; /* key of a region's first address; rising, from 0 on */
	__u8 hop[REGIONS];
};

/* Of one family. Not written in place: the set that is not in force, then now. */
struct nav_routes {
	__u64 until; /* coarse units: when navalisd's word ends; 0: it has taken it back */
	__u32 now;   /* one more with each change: the numbers of hops mean nothing under another one */
	__u32 pad;
	struct regions set[2]; /* by now & 1: the one in force */
};

/* The first 64 bits of an IPv6 address, and the 32 of an IPv4 address at their top. */
#define REGION_KEY_BITS 64

PURE __u64 region_key4(__be32 addr)
{
	return (__u64)HOST32(addr) << 32;
}

PURE __u64 region_key6(const void *addr)
{
	return __builtin_bswap64(load64(addr));
}

/* The region of a key: the last one that begins at or before it. */
PURE __u32 region_of(const struct regions *r, __u64 key)
{
	__u32 lo = 0, hi = r->n;

	/* the bound is for the verifier */
	for (int i = 0; i < REGION_BITS && hi - lo > 1; i++) {
		__u32 mid = (lo + hi) / 2;

		if (r->first[mid & (REGIONS - 1)] <= key)
			lo = mid;
		else
			hi = mid;
	}
	return lo & (REGIONS - 1);
}

/* How far a region's last key is from its first. */
PURE __u64 region_span(const struct regions *r, __u32 region)
{
	const __u64 next = region + 1 < r->n ? r->first[(region + 1) & (REGIONS - 1)] : 0;

	return next - 1 - r->first[region & (REGIONS - 1)];
}

/* The number of a region's next hop. */
PURE __u32 region_hop(const struct regions *r, __u32 region)
{
	return r->n ? r->hop[region & (REGIONS - 1)] : 0;
}

#endif
