/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon asks of the kernel's network: devices, routes, addresses, neighbours. */
#ifndef NAVALISD_NETLINK_H
#define NAVALISD_NETLINK_H

#include "core/host.h"
#include "io/datapath.h"
#include "log.h"

struct netlink;

int netlink_new(struct netlink **ret, struct error *e);
struct netlink *netlink_free(struct netlink *nl);

/* What changed. */
#define NETLINK_ADDRESSES 1
#define NETLINK_LINKS 2
#define NETLINK_GATEWAYS 4 /* there are new ones, or some may be gone */

/* Readable when addresses, links or routes changed; netlink_drain() empties it and says which. */
int netlink_fd(const struct netlink *nl);
int netlink_drain(struct netlink *nl);

/*
 * Routes are gone, so gateways may be too, and netlink_manage_gateways() may look at all routes now:
 * a full Internet table takes it a second, and a small one no time.
 */
bool netlink_gateways_due(const struct netlink *nl);

/* With this MTU, no addresses of its own, up. */
int netlink_tun_up(struct netlink *nl, const char *tun, __u32 mtu, struct error *e);

/* Fills in all of it anew; its old list is freed. 0, or negative errno: it is as it was. */
int netlink_host(struct netlink *nl, __be32 service, struct host *host);

/*
 * Sets mtu, down and strips of each NIC, and finds the VLAN interfaces above them, one tag or two.
 * 0, or negative errno: all is as it was.
 */
int netlink_links(struct netlink *nl, struct nav_nic *nic, __u32 n, struct nav_links *ret);

/*
 * Asks the kernel to keep the gateways of all routes through these NICs resolved, so that XDP finds
 * their addresses with no daemon to help. list: those that are kept already, by an earlier daemon
 * too; it becomes those that are kept now, and what is no gateway any more is let go. Returns how
 * many, at most NAV_NEIGHS. All routes are looked at the first time, when the NICs change, and when
 * netlink_gateways_due(); of a new one the notifications tell, for a router may have a million routes.
 */
__u32 netlink_manage_gateways(struct netlink *nl, const __u32 *ifindex, __u32 n,
			      struct nav_neigh *list, __u32 n_list);

/*
 * How the routes of a family are known, as netlink_manage_gateways() last found them; *ret is set
 * where it is by route, and stays the caller's to read until the next call of that.
 */
enum nav_hops netlink_regions(const struct netlink *nl, enum region_family family,
			      const struct regions **ret);

/* bpf_fib_lookup() and the slow path both need forwarding; says which sysctl is off. */
int netlink_forwarding(const char *interface, struct error *e);

#endif
