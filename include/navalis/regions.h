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

#define REGION_BITS 8
#define REGIONS (1 << REGION_BITS)
#define REGION_HOPS 64 /* numbers of next hops; 0: ask for each destination */

enum region_family {
	REGIONS_IP4,
	REGIONS_IP6,
	REGION_FAMILIES,
};

#define REGION_BLOCK_BITS 12
#define REGION_SEARCH 0xff /* several regions meet in a block */

struct regions {
	__u32 n;              /* 0: nothing is known */
	__u32 version;        /* numbers of hops mean nothing under another one; never 0 */
	__u64 first[REGIONS]; /* key of a region's first address; rising, from 0 on */
	__u8 hop[REGIONS];
	/* the same by the first bits of keys, since most blocks lie in one region: 10 ns less than a search */
	__u8 block[1 << REGION_BLOCK_BITS];
};

/* Of one family. Not written in place: the set that is not in force, then now. */
struct nav_routes {
	__u64 until; /* coarse units: when navalisd's word ends; 0: it has taken it back */
	__u32 now;   /* which set is in force */
	__u32 pad;
	struct regions set[2];
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

PURE __u32 region_block(const struct regions *r, __u64 key)
{
	__u64 block = key >> (REGION_KEY_BITS - REGION_BLOCK_BITS);

	/* the compiler knows that it is small, and would leave out the mask that tells the verifier so */
	__asm__("" : "+r"(block));
	return r->block[block & ((1 << REGION_BLOCK_BITS) - 1)];
}

/* The number of a key's next hop. */
PURE __u32 region_hop(const struct regions *r, __u64 key)
{
	__u32 lo = 0, hi = r->n;

	/* the last region that begins at or before the key; the bound is for the verifier */
	for (int i = 0; i < REGION_BITS && hi - lo > 1; i++) {
		__u32 mid = (lo + hi) / 2;

		if (r->first[mid & (REGIONS - 1)] <= key)
			lo = mid;
		else
			hi = mid;
	}
	return r->n ? r->hop[lo & (REGIONS - 1)] : 0;
}

#endif
