// SPDX-License-Identifier: GPL-2.0-or-later
/* rtnetlink, through libmnl. */
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "io/netlink.h"

#define BUFFER 8192
#define LOOK_SHARE 1000  /* looking at all routes takes one part in so many of the time at most */
#define LOOK_AGAIN 60000 /* ms after a look that failed */

/* The gateways of routes through our NICs, as far as they are known. */
struct gateways {
	__u32 ifindex[NAV_NICS + NAV_VLANS], n_ifindex;
	struct nav_neigh neigh[NAV_NEIGHS];
	__u32 n;
	bool grown;   /* since they were last managed */
	bool stale;   /* to be collected anew */
	__u64 due_ms; /* not before this time, CLOCK_MONOTONIC */
};

struct netlink {
	struct mnl_socket *ask, *watch;
	unsigned seq;
	struct gateways gateways;
};

static struct mnl_socket *socket_open(unsigned groups)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		s = NULL;
	}
	return s;
}

int netlink_new(struct netlink **ret, struct error *e)
{
	struct netlink *nl = calloc(1, sizeof(*nl));

	if (!nl)
		return error_set(e, -ENOMEM, "out of memory");
	nl->ask = socket_open(0);
	nl->watch = socket_open(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
	if (!nl->ask || !nl->watch) {
		netlink_free(nl);
		return error_set(e, -errno, "netlink socket: %s", strerror(errno));
	}
	fcntl(mnl_socket_get_fd(nl->watch), F_SETFL, O_NONBLOCK);
	*ret = nl;
	return 0;
}

struct netlink *netlink_free(struct netlink *nl)
{
	if (nl) {
		if (nl->ask)
			mnl_socket_close(nl->ask);
		if (nl->watch)
			mnl_socket_close(nl->watch);
		free(nl);
	}
	return NULL;
}

int netlink_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->watch);
}

static struct nlmsghdr *message(struct netlink *nl, void *buf, __u16 type, __u16 flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	return h;
}

/*
 * Sends, and gives each answer to cb (NULL: wait for the acknowledgement). 0 or negative errno.
 *
 * Not mnl_cb_run(): it gives up in the middle of a dump that something changed meanwhile, and the
 * rest of that dump then is in the way of every later request. A dump that is a moment old is as
 * good; what changed is notified.
 */
static int talk(struct netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *data)
{
	__u8 buf[BUFFER * 4] __attribute__((aligned(NLMSG_ALIGNTO)));
	__u32 seq = h->nlmsg_seq;

	if (mnl_socket_sendto(nl->ask, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl->ask, buf, sizeof(buf));
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (h = (void *)buf; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != seq)
				continue;
			/* both begin with the number of the error */
			if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE)
				return mnl_nlmsg_get_payload_len(h) < sizeof(int) ?
					       0 : *(int *)mnl_nlmsg_get_payload(h);
			if (h->nlmsg_type >= NLMSG_MIN_TYPE && cb)
				cb(h, data);
		}
	}
}

static int dump(struct netlink *nl, __u16 type, __u8 family, mnl_cb_t cb, void *data)
{
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, type, NLM_F_DUMP);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt)); /* as long as struct ndmsg */

	rt->rtm_family = family;
	return talk(nl, h, cb, data);
}

int netlink_tun_up(struct netlink *nl, const char *tun, struct error *e)
{
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	struct nlattr *spec, *inet6;
	int err;

	ifi->ifi_index = (int)if_nametoindex(tun);
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_u32(h, IFLA_MTU, TEREDO_MTU);
	/* without it the kernel would solicit routers and report groups through the TUN */
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	err = talk(nl, h, NULL, NULL);
	if (err)
		return error_set(e, err, "TUN device %s cannot be set up: %s", tun, strerror(-err));
	return 0;
}

static const struct in6_addr teredo_prefix = { .s6_addr32 = { BE32(TEREDO_PREFIX) } };

static int route(struct netlink *nl, __u16 todo, __u8 type, __u32 ifindex, __u32 metric)
{
	char buf[BUFFER];
	__u16 flags = todo == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nlmsghdr *h = message(nl, buf, todo, NLM_F_ACK | flags);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));

	*rt = (struct rtmsg){ .rtm_family = AF_INET6, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = NAV_RTPROT, .rtm_type = type };
	mnl_attr_put(h, RTA_DST, sizeof(teredo_prefix), &teredo_prefix);
	mnl_attr_put_u32(h, RTA_PRIORITY, metric);
	if (ifindex)
		mnl_attr_put_u32(h, RTA_OIF, ifindex);
	return talk(nl, h, NULL, NULL);
}

/* Where 2001::/32 with our metric leads. */
static int on_holder(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	bool prefix = false, metric = false;
	__u32 oif = 0, *holder = data;

	mnl_attr_for_each(a, h, sizeof(*rt)) {
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			prefix = in6_equal(mnl_attr_get_payload(a), &teredo_prefix);
			break;
		case RTA_PRIORITY:
			metric = mnl_attr_get_u32(a) == NAV_ROUTE_METRIC;
			break;
		case RTA_OIF:
			oif = mnl_attr_get_u32(a);
			break;
		}
	}
	if (rt->rtm_dst_len == 32 && rt->rtm_table == RT_TABLE_MAIN && prefix && metric)
		*holder = oif;
	return MNL_CB_OK;
}

int netlink_blackhole(struct netlink *nl, struct error *e)
{
	int err = route(nl, RTM_NEWROUTE, RTN_BLACKHOLE, 0, NAV_BLACKHOLE_METRIC);

	if (!err || err == -EEXIST)
		return !err;
	return error_set(e, err, "route blackhole 2001::/32: %s", strerror(-err));
}

void netlink_blackhole_undo(struct netlink *nl)
{
	route(nl, RTM_DELROUTE, RTN_BLACKHOLE, 0, NAV_BLACKHOLE_METRIC);
}

/* A stranger's route is not replaced: another relay would starve without a word. */
int netlink_route(struct netlink *nl, const char *tun, struct error *e)
{
	__u32 ifindex = if_nametoindex(tun), holder = 0;
	char name[IF_NAMESIZE] = "?";
	int err = route(nl, RTM_NEWROUTE, RTN_UNICAST, ifindex, NAV_ROUTE_METRIC);

	if (!err)
		return 0;
	if (err != -EEXIST)
		return error_set(e, err, "route 2001::/32 to %s: %s (is IPv6 switched off?)", tun,
				 strerror(-err));
	dump(nl, RTM_GETROUTE, AF_INET6, on_holder, &holder);
	if (holder == ifindex)
		return 0;
	if_indextoname(holder, name);
	return error_set(e, err, "2001::/32 leads to %s already: stop the relay that it belongs to, or "
			 "ip -6 route del 2001::/32 dev %s metric %u", name, name, NAV_ROUTE_METRIC);
}

/* What is found while a dump goes on; on an error the daemon's own stays as it is. */
struct finding {
	struct host host;
	struct prefix4 *v4;
	__u32 n_v4;
	__be32 service;
	bool failed;
};

/* A list grows by doubling, whenever its length is a power of two. */
static void *one_more(void *list, __u32 n, size_t size, struct finding *f)
{
	void *grown = n & (n - 1) ? list : reallocarray(list, n ? 2 * n : 1, size);

	f->failed |= !grown;
	return grown ? grown : list;
}

static void add4(struct finding *f, __be32 addr)
{
	f->v4 = one_more(f->v4, f->n_v4, sizeof(*f->v4), f);
	if (!f->failed)
		f->v4[f->n_v4++] = (struct prefix4){ addr, 32 };
}

static int on_address(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	const bool usable = !(ifa->ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
	struct finding *f = data;
	struct in6_addr *source = &f->host.source;
	const struct in6_addr *local = NULL; /* where there is none, the address; else that is the other end's */
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(*ifa)) {
		const __u8 type = (__u8)mnl_attr_get_type(a);
		const void *addr = mnl_attr_get_payload(a);

		if (ifa->ifa_family == AF_INET && type == IFA_LOCAL)
			f->host.has_service |= mnl_attr_get_u32(a) == f->service;
		if (ifa->ifa_family == AF_INET && (type == IFA_LOCAL || type == IFA_BROADCAST))
			add4(f, mnl_attr_get_u32(a));
		else if (ifa->ifa_family == AF_INET6 && (type == IFA_LOCAL || (type == IFA_ADDRESS && !local)))
			local = addr;
	}
	if (local && usable && addr6_kind(local) == ADDR6_GLOBAL && addr6_kind(source) == ADDR6_UNSPECIFIED)
		memcpy(source, local, sizeof(*source));
	return MNL_CB_OK;
}

/* A route of the table local. */
static int on_local(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct prefix6 new = { .len = rt->rtm_dst_len };
	struct finding *f = data;
	const struct nlattr *a;

	if (rt->rtm_type != RTN_LOCAL && rt->rtm_type != RTN_ANYCAST)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*rt))
		if (mnl_attr_get_type(a) == RTA_DST)
			memcpy(&new.addr, mnl_attr_get_payload(a), sizeof(new.addr));
	f->host.local6 = one_more(f->host.local6, f->host.n_local6, sizeof(new), f);
	if (!f->failed)
		f->host.local6[f->host.n_local6++] = new;
	return MNL_CB_OK;
}

/* The kernel picks the table: the others may hold a million routes. */
static int dump_local(struct netlink *nl, struct finding *f)
{
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	int fd = mnl_socket_get_fd(nl->ask), on = 1, off = 0, err;

	rt->rtm_family = AF_INET6;
	rt->rtm_table = RT_TABLE_LOCAL;
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	err = talk(nl, h, on_local, f);
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &off, sizeof(off));
	return err;
}

int netlink_host(struct netlink *nl, __be32 service, struct host *host)
{
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, RTM_GETADDR, NLM_F_DUMP);
	struct finding f = { .service = service };
	int err;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
	err = talk(nl, h, on_address, &f);
	if (!err)
		err = dump_local(nl, &f);
	if (!err && f.failed)
		err = -ENOMEM;
	if (!err) {
		err = addr4_set_build(f.v4, f.n_v4, &f.host.own.v4);
		f.host.own_is_cut = err == -ENOSPC;
		err = f.host.own_is_cut ? 0 : err;
	}
	free(f.v4);
	free(err ? f.host.local6 : host->local6);
	if (!err)
		*host = f.host;
	return err;
}

static bool same_neigh(const struct nav_neigh *a, const struct nav_neigh *b)
{
	return a->ifindex == b->ifindex && a->family == b->family && in6_equal(&a->addr, &b->addr);
}

static bool has_neigh(const struct nav_neigh *list, __u32 n, const struct nav_neigh *one)
{
	while (n--)
		if (same_neigh(&list[n], one))
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

/* What the kernel delivers to this host itself; an address brings some along. */
static bool is_local_route(const struct nlmsghdr *h)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	return (h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE) &&
	       rt->rtm_family == AF_INET6 && (rt->rtm_type == RTN_LOCAL || rt->rtm_type == RTN_ANYCAST);
}

static __u64 now_ms(void)
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

int netlink_drain(struct netlink *nl)
{
	__u8 buf[BUFFER * 4] __attribute__((aligned(NLMSG_ALIGNTO)));
	int changed = 0, left;
	ssize_t n;

	while ((n = mnl_socket_recvfrom(nl->watch, buf, sizeof(buf))) > 0) {
		left = (int)n;
		for (struct nlmsghdr *h = (void *)buf; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left)) {
			nl->gateways.stale |= nl->gateways.n && loses_routes(h);
			if (is_local_route(h))
				changed |= NETLINK_ADDRESSES;
			else if (h->nlmsg_type == RTM_NEWROUTE)
				on_route(h, &nl->gateways);
			else if (h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_DELADDR)
				changed |= NETLINK_ADDRESSES;
			else if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
				changed |= NETLINK_LINKS;
		}
	}
	if (n < 0 && errno == ENOBUFS) { /* some are lost, and so may be anything */
		nl->gateways.stale = true;
		changed = NETLINK_ADDRESSES | NETLINK_LINKS;
	}
	return changed | (nl->gateways.grown ? NETLINK_GATEWAYS : 0);
}

static struct nlmsghdr *neigh_message(struct netlink *nl, void *buf, __u16 type, __u16 flags,
				      const struct nav_neigh *n)
{
	struct nlmsghdr *h = message(nl, buf, type, flags | NLM_F_ACK);
	struct ndmsg *nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));

	*nd = (struct ndmsg){ .ndm_family = (__u8)n->family, .ndm_ifindex = (int)n->ifindex };
	mnl_attr_put(h, NDA_DST, n->family == AF_INET ? 4 : 16, &n->addr);
	return h;
}

static int manage(struct netlink *nl, const struct nav_neigh *n)
{
	char buf[BUFFER];
	struct nlmsghdr *h = neigh_message(nl, buf, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n);

	mnl_attr_put_u32(h, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return talk(nl, h, NULL, NULL);
}

static void forget(struct netlink *nl, const struct nav_neigh *n)
{
	char buf[BUFFER];

	talk(nl, neigh_message(nl, buf, RTM_DELNEIGH, 0, n), NULL, NULL);
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
		p->is[i] |= same_neigh(&p->list[i], &one);
	return MNL_CB_OK;
}

static struct permanent permanent(struct netlink *nl, const struct nav_neigh *list, __u32 n)
{
	struct permanent p = { .list = list, .n = n };

	if (n)
		dump(nl, RTM_GETNEIGH, AF_UNSPEC, on_neigh, &p);
	return p;
}

/* If the kernel does not tell, those that were known stay. */
static void collect(struct netlink *nl)
{
	struct gateways found = nl->gateways;
	__u64 began = now_ms(), ended;
	int err;

	found.n = 0;
	err = dump(nl, RTM_GETROUTE, AF_INET, on_route, &found);
	if (!err)
		err = dump(nl, RTM_GETROUTE, AF_INET6, on_route, &found);
	ended = now_ms();
	if (!err) {
		found.stale = false; /* even if there are too many of them */
		nl->gateways = found;
	}
	nl->gateways.due_ms = ended + (err ? LOOK_AGAIN : (ended - began) * LOOK_SHARE);
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

/* ---- links --------------------------------------------------------------------------------- */

/* Those of the host's links that matter, with the interface below each, which may be another one. */
struct links {
	struct nav_nic nic[NAV_NICS];
	__u32 n_nics;
	__u64 nic_mac[NAV_NICS];
	struct one_vlan {
		__u32 ifindex, below;
		struct nav_tag tag;
		__u64 mac;
	} vlan[NAV_VLANS];
	struct one_macvlan {
		__u32 below;
		__u64 mac;
	} macvlan[NAV_VLANS];
	__u32 n_vlans, n_macvlans;
};

static void add_vlan(struct links *l, struct one_vlan v, const struct nlattr *data)
{
	const struct nlattr *a;

	if (l->n_vlans == NAV_VLANS)
		return;
	mnl_attr_for_each_nested(a, data) {
		if (mnl_attr_get_type(a) == IFLA_VLAN_ID)
			v.tag.id = BE16(mnl_attr_get_u16(a));
		else if (mnl_attr_get_type(a) == IFLA_VLAN_PROTOCOL)
			v.tag.proto = mnl_attr_get_u16(a); /* in network order already */
	}
	l->vlan[l->n_vlans++] = v;
}

static void add_upper(struct links *l, __u32 ifindex, __u32 below, __u64 mac, const struct nlattr *info)
{
	const struct nlattr *a, *data = NULL;
	const char *kind = "";

	mnl_attr_for_each_nested(a, info) {
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			kind = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	if (!strcmp(kind, "vlan") && data)
		add_vlan(l, (struct one_vlan){ .ifindex = ifindex, .below = below, .mac = mac }, data);
	else if (!strcmp(kind, "macvlan") && l->n_macvlans < NAV_VLANS)
		l->macvlan[l->n_macvlans++] = (struct one_macvlan){ below, mac };
}

static int on_link(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	const struct nlattr *a, *info = NULL;
	struct links *l = data;
	bool foreign = !(ifi->ifi_flags & IFF_UP); /* the kernel takes no frames for those either */
	__u32 below = 0, mtu = 0;
	__u64 mac = 0;

	mnl_attr_for_each(a, h, sizeof(*ifi)) {
		if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			info = a;
		else if (mnl_attr_get_type(a) == IFLA_LINK_NETNSID) /* what it is above is in another namespace */
			foreign = true;
		else if (mnl_attr_get_type(a) == IFLA_MTU)
			mtu = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == IFLA_LINK)
			below = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == IFLA_ADDRESS && mnl_attr_get_payload_len(a) == 6)
			mac = mac_word(mnl_attr_get_payload(a));
	}
	for (__u32 i = 0; i < l->n_nics; i++)
		if (l->nic[i].ifindex == (__u32)ifi->ifi_index) {
			l->nic[i].down = (ifi->ifi_flags & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING);
			l->nic[i].mtu = mtu;
			l->nic_mac[i] = mac;
		}
	if (info && below && !foreign)
		add_upper(l, (__u32)ifi->ifi_index, below, mac, info);
	return MNL_CB_OK;
}

static struct nav_port port_of(const struct links *l, __u32 ifindex, __u64 mac)
{
	struct nav_port p = { .mac = { mac, mac, mac, mac }, .ifindex = ifindex };
	__u32 n = 1;

	for (__u32 i = 0; i < l->n_macvlans && n < NAV_MACS; i++)
		if (l->macvlan[i].below == ifindex)
			p.mac[n++] = l->macvlan[i].mac;
	return p;
}

static bool strips_tags(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GFLAGS };
	struct ifreq ifr = { .ifr_data = (char *)&value };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool strips;

	if (s < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	strips = !ioctl(s, SIOCETHTOOL, &ifr) && (value.data & ETH_FLAG_RXVLAN);
	close(s);
	return strips;
}

static struct nav_nic *nic_of(struct nav_nic *nic, __u32 n, __u32 ifindex)
{
	for (__u32 i = 0; i < n; i++)
		if (nic[i].ifindex == ifindex)
			return &nic[i];
	return NULL;
}

static const struct one_vlan *vlan_of(const struct links *l, __u32 ifindex)
{
	for (__u32 i = 0; i < l->n_vlans; i++)
		if (l->vlan[i].ifindex == ifindex)
			return &l->vlan[i];
	return NULL;
}

static void put_vlan(struct links *l, const struct one_vlan *inner, struct nav_links *ret)
{
	const struct one_vlan *outer = vlan_of(l, inner->below);
	const __u32 below = outer ? outer->below : inner->below, n = ret->n_vlans;
	struct nav_nic *on = nic_of(l->nic, l->n_nics, below);

	if (!on)
		return;
	on->strips = strips_tags(on->name);
	ret->ifindex[n] = inner->ifindex;
	ret->vlan[n] = port_of(l, inner->ifindex, inner->mac);
	ret->tags[n] = (struct nav_tags){
		below, { outer ? outer->tag : inner->tag, outer ? inner->tag : (struct nav_tag){ 0 } },
	};
	ret->n_vlans++;
}

int netlink_links(struct netlink *nl, struct nav_nic *nic, __u32 n, struct nav_links *ret)
{
	struct links l = { .n_nics = n };
	int err;

	memcpy(l.nic, nic, n * sizeof(*nic));
	err = dump(nl, RTM_GETLINK, AF_UNSPEC, on_link, &l);
	if (err)
		return err;
	*ret = (struct nav_links){ .n_vlans = 0 };
	for (__u32 i = 0; i < n; i++) {
		l.nic[i].strips = 0;
		if (l.nic[i].ifindex)
			ret->nic[i] = port_of(&l, l.nic[i].ifindex, l.nic_mac[i]);
	}
	for (__u32 i = 0; i < l.n_vlans; i++)
		put_vlan(&l, &l.vlan[i], ret);
	memcpy(nic, l.nic, n * sizeof(*nic));
	return 0;
}

static bool sysctl_is_1(const char *path)
{
	char c = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool one = fd >= 0 && read(fd, &c, 1) == 1 && c == '1';

	if (fd >= 0)
		close(fd);
	return one;
}

int netlink_forwarding(const char *interface, struct error *e)
{
	static const char *const family[] = { "ipv4", "ipv6" };
	const char *const where[] = { "all", interface };
	char path[96];

	for (int f = 0; f < 2; f++)
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/forwarding",
				 family[f], where[i]);
			if (*where[i] && !sysctl_is_1(path))
				return error_set(e, -EHOSTUNREACH,
						 "forwarding is off: sysctl -w net.%s.conf.%s.forwarding=1",
						 family[f], where[i]);
		}
	return 0;
}
