// SPDX-License-Identifier: GPL-2.0-or-later
/* The look at all routes; and their gateways, which the kernel is asked to keep resolved. */
#include <linux/neighbour.h>
#include <net/if.h>
#include <time.h>

#include "io/netlink-impl.h"

#define LOOK_SHARE 1000  /* looking at all routes takes one part in so many of the time at most */
#define LOOK_AGAIN 60000 /* ms after a look that failed */

bool neigh_same(const struct nav_neigh *a, const struct nav_neigh *b)
{
	return a->ifindex == b->ifindex && a->family == b->family && in6_equal(&a->addr, &b->addr);
}

static bool has_neigh(const struct nav_neigh *list, __u32 n, const struct nav_neigh *one)
{
	while (n--)
		if (neigh_same(&list[n], one))
			return true;
	return false;
}

static void add_gateway(struct gateways *g, __u32 ifindex, __u32 family, const void *addr)
{
	struct nav_neigh new = { .ifindex = ifindex, .family = family };
	bool ours = false;

	for (__u32 i = 0; i < g->n_ifindex; i++)
		ours |= g->ifindex[i] == ifindex;
	if (!ours || (family != AF_INET && family != AF_INET6))
		return;
	memcpy(&new.addr, addr, family == AF_INET ? 4 : 16);
	if (has_neigh(g->neigh, g->n, &new))
		return;
	if (g->n == NAV_NEIGHS) { /* perhaps of some that are none any more */
		g->stale = true;
		return;
	}
	g->neigh[g->n++] = new;
	g->grown = true;
}

/* RTA_GATEWAY is of the route's family, RTA_VIA names its own (IPv4 by way of an IPv6 router). */
static void add_hop(struct gateways *g, __u32 ifindex, __u8 family, const struct nlattr *a)
{
	const struct rtvia *via = mnl_attr_get_payload(a);
	size_t len = mnl_attr_get_payload_len(a);

	if (mnl_attr_get_type(a) == RTA_GATEWAY && len >= (family == AF_INET ? 4U : 16U))
		add_gateway(g, ifindex, family, via);
	else if (mnl_attr_get_type(a) == RTA_VIA && len >= sizeof(*via) + 4 &&
		 (via->rtvia_family == AF_INET || len >= sizeof(*via) + 16))
		add_gateway(g, ifindex, via->rtvia_family, via->rtvia_addr);
}

static void add_multipath(struct gateways *g, __u8 family, const struct nlattr *multipath)
{
	const struct rtnexthop *nh = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);
	const struct nlattr *a;

	for (; RTNH_OK(nh, left); left -= RTNH_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh))
		for (a = (const void *)RTNH_DATA(nh);
		     mnl_attr_ok(a, (const char *)nh + nh->rtnh_len - (const char *)a);
		     a = mnl_attr_next(a))
			add_hop(g, (__u32)nh->rtnh_ifindex, family, a);
}

static int on_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *a, *via = NULL;
	__u32 oif = 0;

	mnl_attr_for_each(a, h, sizeof(*rt)) {
		switch (mnl_attr_get_type(a)) {
		case RTA_GATEWAY:
		case RTA_VIA:
			via = a;
			break;
		case RTA_OIF:
			oif = mnl_attr_get_u32(a);
			break;
		case RTA_MULTIPATH:
			add_multipath(data, rt->rtm_family, a);
			break;
		}
	}
	if (via && oif)
		add_hop(data, oif, rt->rtm_family, via);
	return MNL_CB_OK;
}

__u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000 + (__u64)t.tv_nsec / 1000000;
}

bool netlink_gateways_due(const struct netlink *nl)
{
	return nl->gateways.stale && now_ms() >= nl->gateways.due_ms;
}

/*
 * Can a gateway have lost its last route? One that is replaced by another is not named, and the IPv4
 * routes that go with an address or an interface are not notified at all.
 */
static bool loses_routes(const struct nlmsghdr *h)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);

	switch (h->nlmsg_type) {
	case RTM_DELROUTE:
	case RTM_DELADDR:
	case RTM_DELLINK:
		return true;
	case RTM_NEWROUTE:
		return h->nlmsg_flags & NLM_F_REPLACE;
	case RTM_NEWLINK:
		return !(ifi->ifi_flags & IFF_UP);
	}
	return false;
}

void gateways_hear(struct gateways *g, const struct nlmsghdr *h)
{
	g->stale |= g->n && loses_routes(h);
	if (h->nlmsg_type == RTM_NEWROUTE)
		on_route(h, g);
}

static struct nlmsghdr *neigh_message(struct netlink *nl, void *buf, __u16 type, __u16 flags,
				      const struct nav_neigh *n)
{
	struct nlmsghdr *h = netlink_message(nl, buf, type, flags | NLM_F_ACK);
	struct ndmsg *nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));

	*nd = (struct ndmsg){ .ndm_family = (__u8)n->family, .ndm_ifindex = (int)n->ifindex };
	mnl_attr_put(h, NDA_DST, n->family == AF_INET ? 4 : 16, &n->addr);
	return h;
}

static int manage(struct netlink *nl, const struct nav_neigh *n)
{
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = neigh_message(nl, buf, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n);

	mnl_attr_put_u32(h, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return netlink_talk(nl, h, NULL, NULL);
}

static void forget(struct netlink *nl, const struct nav_neigh *n)
{
	char buf[NETLINK_BUFFER];

	netlink_talk(nl, neigh_message(nl, buf, RTM_DELNEIGH, 0, n), NULL, NULL);
}

/* Neighbours that the operator made permanent stay his. */
struct permanent {
	const struct nav_neigh *list;
	__u32 n;
	bool is[NAV_NEIGHS];
};

static int on_neigh(const struct nlmsghdr *h, void *data)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	struct nav_neigh one = { .ifindex = (__u32)nd->ndm_ifindex, .family = nd->ndm_family };
	struct permanent *p = data;
	const struct nlattr *a;

	if (!(nd->ndm_state & NUD_PERMANENT))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*nd))
		if (mnl_attr_get_type(a) == NDA_DST && mnl_attr_get_payload_len(a) <= sizeof(one.addr))
			memcpy(&one.addr, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	for (__u32 i = 0; i < p->n; i++)
		p->is[i] |= neigh_same(&p->list[i], &one);
	return MNL_CB_OK;
}

static struct permanent permanent(struct netlink *nl, const struct nav_neigh *list, __u32 n)
{
	struct permanent p = { .list = list, .n = n };

	if (n)
		netlink_dump(nl, RTM_GETNEIGH, AF_UNSPEC, on_neigh, &p);
	return p;
}

struct look {
	struct gateways *gateways;
	struct routes *routes;
};

static int on_looked(const struct nlmsghdr *h, void *data)
{
	struct look *look = data;

	routes_hear(look->routes, h, look->gateways->ifindex, look->gateways->n_ifindex);
	return on_route(h, look->gateways);
}

static int look_at_family(struct netlink *nl, struct gateways *found, __u8 family, struct routes *routes)
{
	struct look look = { found, routes };

	*routes = (struct routes){ .end_ms = UINT64_MAX };
	return routes_conclude(nl, family, routes,
			       netlink_dump(nl, RTM_GETROUTE, family, on_looked, &look));
}

/* If the kernel does not tell, the gateways that were known stay. */
static void collect(struct netlink *nl)
{
	struct gateways found = nl->gateways;
	__u64 began = now_ms(), ended;
	bool failed;

	found.n = 0;
	failed = look_at_family(nl, &found, AF_INET, &nl->routes[REGIONS_IP4]);
	failed |= look_at_family(nl, &found, AF_INET6, &nl->routes[REGIONS_IP6]);
	ended = now_ms();
	if (!failed) {
		found.stale = false; /* even if there are too many of them */
		nl->gateways = found;
	}
	nl->gateways.due_ms = ended + (failed ? LOOK_AGAIN : (ended - began) * LOOK_SHARE);
}

__u32 netlink_manage_gateways(struct netlink *nl, const __u32 *ifindex, __u32 n,
			      struct nav_neigh *list, __u32 n_list)
{
	struct gateways *g = &nl->gateways;
	struct nav_neigh managed[NAV_NEIGHS];
	struct permanent p;
	__u32 n_managed = 0;

	if (n != g->n_ifindex || memcmp(ifindex, g->ifindex, n * sizeof(*ifindex))) {
		memcpy(g->ifindex, ifindex, n * sizeof(*ifindex));
		g->n_ifindex = n;
		g->due_ms = 0;
		g->stale = true;
	}
	if (netlink_gateways_due(nl))
		collect(nl);
	g->grown = false;
	p = permanent(nl, g->neigh, g->n);
	for (__u32 i = 0; i < g->n; i++) /* again and again: one goes when its NIC goes down */
		if (!p.is[i] && !manage(nl, &g->neigh[i]))
			managed[n_managed++] = g->neigh[i];
	p = permanent(nl, list, n_list);
	for (__u32 i = 0; i < n_list; i++)
		if (!p.is[i] && !has_neigh(managed, n_managed, &list[i]))
			forget(nl, &list[i]);
	memcpy(list, managed, n_managed * sizeof(*list));
	return n_managed;
}
