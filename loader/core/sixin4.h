/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configured tunnels (6in4), however many: found by the two ends of an outer packet, or by what
 * is behind them. Made from the configuration; a reload makes another one.
 */
#ifndef NAVALISD_SIXIN4_H
#define NAVALISD_SIXIN4_H

#include "navalis/sixin4.h"

struct sixin4_table {
	__u32 n, n_prefixes, mask;
	struct sixin4_tunnel *tunnel;
	const struct sixin4_tunnel **slot; /* hash by both ends; mask + 1 of them, half of them free */
	struct sixin4_route {
		struct prefix6 prefix;
		const struct sixin4_tunnel *tunnel;
	} *prefix; /* in rising order */
};

/* Copies the tunnels, whose prefixes do not overlap (conflict.h). 0 or -ENOMEM. */
int sixin4_table_new(const struct sixin4_tunnel *tunnel, __u32 n, struct sixin4_table **ret);
struct sixin4_table *sixin4_table_free(struct sixin4_table *t);

/* The tunnel between these ends, or NULL. */
const struct sixin4_tunnel *sixin4_between(const struct sixin4_table *t, struct sixin4_key key);

/* The tunnel that an address is behind, or NULL. */
const struct sixin4_tunnel *sixin4_behind(const struct sixin4_table *t, const struct in6_addr *a);

#endif
