/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes regions (navalis/regions.h) of routes. No I/O.
 */
#ifndef NAVALISD_REGIONS_H
#define NAVALISD_REGIONS_H

#include <stdbool.h>

#include "navalis/regions.h"

struct region_route {
	__u64 key; /* of the prefix, all other bits 0 */
	__u8 len;  /* of the prefix in the key, <= REGION_KEY_BITS */
	__u8 hop;  /* 0: the kernel is to be asked about each destination in it */
	bool above; /* the same of all that lies in it: a table that longer prefixes of others do not beat */
};

/*
 * The longest prefix decides, and of two alike with other hops neither. Sorts the routes.
 * 0 with ret set, or -E2BIG when it takes more regions than there may be.
 */
int regions_of_routes(struct region_route *route, __u32 n, struct regions *ret);

#endif
