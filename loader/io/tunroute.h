/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The routes of what is behind tunnels: to the TUN, and behind them to nowhere. */
#ifndef NAVALISD_TUNROUTE_H
#define NAVALISD_TUNROUTE_H

#include "core/transit.h"
#include "io/netlink.h"

/*
 * Each prefix to the TUN, with its MTU; what an earlier daemon left is taken over. They go with a
 * TUN that does not last. -EEXIST: one is somebody else's.
 */
int tunroute_make(struct netlink *nl, const char *tun, const struct tun_route *route, __u32 n,
		  struct error *e);

/*
 * The same prefixes to nowhere, behind the other routes: nothing leaks to a default route when those
 * are gone. Marks the ones that were not there; tunroute_undo() takes these away again.
 */
int tunroute_blackholes(struct netlink *nl, struct tun_route *route, __u32 n, struct error *e);
void tunroute_undo(struct netlink *nl, const struct tun_route *route, __u32 n);

/* Takes away both routes of prefixes that are none any more: what an earlier daemon left, or a reload. */
void tunroute_prune(struct netlink *nl, const char *tun, const struct tun_route *route, __u32 n);

#endif
