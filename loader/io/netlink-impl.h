/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What netlink.c, gateways.c, routes.c, host.c and links.c share and nobody else sees. */
#ifndef NAVALISD_NETLINK_IMPL_H
#define NAVALISD_NETLINK_IMPL_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "core/regions.h"
#include "io/netlink.h"

#define NETLINK_BUFFER 8192 /* of a request */

/* The gateways of routes through our NICs, as far as they are known. */
struct gateways {
	__u32 ifindex[NAV_NICS + NAV_VLANS], n_ifindex;
	struct nav_neigh neigh[NAV_NEIGHS];
	__u32 n;
	bool grown;   /* since they were last managed */
	bool stale;   /* to be collected anew */
	__u64 due_ms; /* not before this time, CLOCK_MONOTONIC */
};

/* The routes of one family while they are read, and what came of it. */
struct routes {
	struct region_route *route; /* while they are read */
	__u32 n;
	bool many; /* more than there is room for */
	struct nav_neigh hop[REGION_HOPS];
	__u32 n_hops;
	__u64 end_ms; /* when the first of them expires, of which the kernel says nothing for a while */
	enum nav_hops by;
	struct regions regions; /* if they are by route */
};

struct netlink {
	struct mnl_socket *ask, *watch;
	unsigned seq;
	struct gateways gateways;
	struct routes routes[REGION_FAMILIES];
};

/* A request in buf, without its payload. */
struct nlmsghdr *netlink_message(struct netlink *nl, void *buf, __u16 type, __u16 flags);

/* Sends, and gives each answer to cb (NULL: wait for the acknowledgement). 0 or negative errno. */
int netlink_talk(struct netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *data);

/* Everything of a type and an address family. */
int netlink_dump(struct netlink *nl, __u16 type, __u8 family, mnl_cb_t cb, void *data);

__u64 now_ms(void); /* CLOCK_MONOTONIC */

bool neigh_same(const struct nav_neigh *a, const struct nav_neigh *b);

/* A route of a dump. nics: those that packets may leave by. */
void routes_hear(struct routes *r, const struct nlmsghdr *h, const __u32 *nics, __u32 n_nics);

/* After all of them: makes the regions, unless reading them failed (err). 0 or negative errno. */
int routes_conclude(struct netlink *nl, __u8 family, struct routes *r, int err);

/* A notification, of whatever kind. */
void gateways_hear(struct gateways *g, const struct nlmsghdr *h);

#endif
