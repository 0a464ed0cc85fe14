/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon asks of the kernel's network: devices, routes, addresses, neighbours. */
#ifndef NAVALISD_NETLINK_H
#define NAVALISD_NETLINK_H

#include "log.h"
#include "navalis/abi.h"

struct netlink;

int netlink_new(struct netlink **ret, struct error *e);
struct netlink *netlink_free(struct netlink *nl);

/* Readable when addresses, links or routes changed; netlink_drain() empties it. */
int netlink_fd(const struct netlink *nl);
void netlink_drain(struct netlink *nl);

/* MTU 1280, no addresses of its own, up. */
int netlink_tun_up(struct netlink *nl, const char *tun, struct error *e);

/* 2001::/32 to the TUN, and to nowhere behind it. */
int netlink_routes(struct netlink *nl, const char *tun, struct error *e);

/*
 * This host's addresses. The broadcast addresses of its IPv4 networks count as its own: nothing
 * that embeds one is to be sent to either (RFC 4380 5.2.4).
 */
int netlink_own(struct netlink *nl, struct nav_own *own);

/*
 * Asks the kernel to keep the gateways of all routes through these NICs resolved, so that XDP finds
 * their addresses with no daemon to help. ret: which, at most NAV_NEIGHS. Returns how many.
 */
__u32 netlink_manage_gateways(struct netlink *nl, const __u32 *ifindex, __u32 n,
			      struct nav_neigh *ret);

/* bpf_fib_lookup() and the slow path both need forwarding; says which sysctl is off. */
int netlink_forwarding(const char *interface, struct error *e);

#endif
