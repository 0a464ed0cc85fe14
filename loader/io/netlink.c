// SPDX-License-Identifier: GPL-2.0-or-later
/* rtnetlink, through libmnl: the talk itself, what is notified, routes and sysctls. */
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/netlink-impl.h"

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
				RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
				1 << (RTNLGRP_IPV6_RULE - 1));
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

struct nlmsghdr *netlink_message(struct netlink *nl, void *buf, __u16 type, __u16 flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	return h;
}

/*
 * Not mnl_cb_run(): it gives up in the middle of a dump that something changed meanwhile, and the
 * rest of that dump then is in the way of every later request. A dump that is a moment old is as
 * good; what changed is notified.
 */
int netlink_talk(struct netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *data)
{
	__u8 buf[NETLINK_BUFFER * 4] __attribute__((aligned(NLMSG_ALIGNTO)));
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

int netlink_dump(struct netlink *nl, __u16 type, __u8 family, mnl_cb_t cb, void *data)
{
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = netlink_message(nl, buf, type, NLM_F_DUMP);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt)); /* as long as struct ndmsg */

	rt->rtm_family = family;
	return netlink_talk(nl, h, cb, data);
}

/*
 * Packets wait in the TUN's own ring, which drops what it has no room for: a queue in front of it
 * never holds any, and costs 200 ns a packet.
 */
static int no_queue(struct netlink *nl, __u32 ifindex)
{
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = netlink_message(nl, buf, RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct tcmsg *tc = mnl_nlmsg_put_extra_header(h, sizeof(*tc));
	int err;

	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = TC_H_ROOT;
	mnl_attr_put_strz(h, TCA_KIND, "noqueue");
	err = netlink_talk(nl, h, NULL, NULL);
	return err == -EOPNOTSUPP ? 0 : err; /* a kernel without queueing disciplines */
}

int netlink_tun_up(struct netlink *nl, const char *tun, __u32 mtu, struct error *e)
{
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = netlink_message(nl, buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	struct nlattr *spec, *inet6;
	int err;

	ifi->ifi_index = (int)if_nametoindex(tun);
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	/* without it the kernel would solicit routers and report groups through the TUN */
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	err = netlink_talk(nl, h, NULL, NULL);
	if (!err)
		err = no_queue(nl, if_nametoindex(tun));
	if (err)
		return error_set(e, err, "TUN device %s cannot be set up: %s", tun, strerror(-err));
	return 0;
}

/* What the kernel delivers to this host itself; an address brings some along. */
static bool is_local_route(const struct nlmsghdr *h)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	return (h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE) &&
	       rt->rtm_family == AF_INET6 && (rt->rtm_type == RTN_LOCAL || rt->rtm_type == RTN_ANYCAST);
}

enum nav_hops netlink_regions(const struct netlink *nl, enum region_family family,
			      const struct regions **ret)
{
	*ret = &nl->routes[family].regions;
	return nl->routes[family].by;
}

#define SETTLE_MS 100 /* by then it has happened: the kernel announces some changes before it makes them */

static const __u8 families[REGION_FAMILIES] = { AF_INET, AF_INET6 };

/*
 * Of one family, or of both. Whatever is notified is reason enough: with an address or a link routes
 * come and go that are not. Where there are too many routes, the next one does not make them few.
 * A stream of routes does not put the next look at them off for ever.
 */
static void forget_routes(struct netlink *nl, __u8 family, bool is_route)
{
	const __u64 settled = now_ms() + SETTLE_MS;

	for (int i = 0; i < REGION_FAMILIES; i++) {
		struct routes *r = &nl->routes[i];

		if (r->by == HOPS_MANY_ROUTES || family == families[!i])
			continue;
		if ((r->by != HOPS_UNKNOWN || !is_route) && nl->gateways.due_ms < settled)
			nl->gateways.due_ms = settled;
		r->by = HOPS_UNKNOWN;
		nl->gateways.stale = true;
	}
}

/*
 * Well early: anybody asks once a second, or a little later, and a next hop that XDP has asked for by
 * then by a destination that has lost its route is the wrong one for others. The next look is when it
 * has ended, unless a router has announced it again: within 10 ms of its end the kernel says of it
 * what it says of one that lasts.
 */
#define EXPIRES_MS 2000

static void forget_expiring(struct netlink *nl)
{
	for (int i = 0; i < REGION_FAMILIES; i++) {
		const __u64 end = nl->routes[i].end_ms;

		if (nl->routes[i].by != HOPS_BY_ROUTE || now_ms() + EXPIRES_MS < end)
			continue;
		forget_routes(nl, families[i], true);
		if (nl->gateways.due_ms < end + SETTLE_MS)
			nl->gateways.due_ms = end + SETTLE_MS;
	}
}

int netlink_drain(struct netlink *nl)
{
	__u8 buf[NETLINK_BUFFER * 4] __attribute__((aligned(NLMSG_ALIGNTO)));
	int changed = 0, left;
	ssize_t n;

	forget_expiring(nl);
	while ((n = mnl_socket_recvfrom(nl->watch, buf, sizeof(buf))) > 0) {
		left = (int)n;
		for (struct nlmsghdr *h = (void *)buf; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left)) {
			const struct rtgenmsg *any = mnl_nlmsg_get_payload(h);

			gateways_hear(&nl->gateways, h);
			forget_routes(nl, any->rtgen_family, h->nlmsg_type == RTM_NEWROUTE ||
				      h->nlmsg_type == RTM_DELROUTE);
			if (is_local_route(h) || h->nlmsg_type == RTM_NEWADDR ||
			    h->nlmsg_type == RTM_DELADDR)
				changed |= NETLINK_ADDRESSES;
			else if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
				changed |= NETLINK_LINKS;
		}
	}
	if (n < 0 && errno != EAGAIN) { /* some are lost or too long, and so may be anything */
		nl->gateways.stale = true;
		forget_routes(nl, AF_UNSPEC, false);
		changed = NETLINK_ADDRESSES | NETLINK_LINKS;
	}
	return changed | (nl->gateways.grown ? NETLINK_GATEWAYS : 0);
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
