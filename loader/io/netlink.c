// SPDX-License-Identifier: GPL-2.0-or-later
/* rtnetlink, through libmnl. */
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/netlink.h"

struct netlink {
	struct mnl_socket *ask, *watch;
	unsigned seq;
};

#define BUFFER 8192

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

void netlink_drain(struct netlink *nl)
{
	char buf[BUFFER];

	while (mnl_socket_recvfrom(nl->watch, buf, sizeof(buf)) > 0)
		;
}

static struct nlmsghdr *message(struct netlink *nl, void *buf, __u16 type, __u16 flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	return h;
}

/* Sends, and gives each answer to cb (NULL: wait for the acknowledgement). 0 or negative errno. */
static int talk(struct netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *data)
{
	char buf[BUFFER * 4];
	unsigned port = mnl_socket_get_portid(nl->ask);
	ssize_t n;
	int run = MNL_CB_OK;

	if (mnl_socket_sendto(nl->ask, h, h->nlmsg_len) < 0)
		return -errno;
	while (run == MNL_CB_OK) {
		n = mnl_socket_recvfrom(nl->ask, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		run = mnl_cb_run(buf, (size_t)n, h->nlmsg_seq, port, cb, data);
	}
	return run < 0 ? -errno : 0;
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

static int route(struct netlink *nl, __u8 type, const char *dev, __u32 metric)
{
	const struct in6_addr prefix = { .s6_addr32 = { BE32(TEREDO_PREFIX) } };
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));

	*rt = (struct rtmsg){ .rtm_family = AF_INET6, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = NAV_RTPROT, .rtm_type = type };
	mnl_attr_put(h, RTA_DST, sizeof(prefix), &prefix);
	mnl_attr_put_u32(h, RTA_PRIORITY, metric);
	if (dev)
		mnl_attr_put_u32(h, RTA_OIF, if_nametoindex(dev));
	return talk(nl, h, NULL, NULL);
}

int netlink_routes(struct netlink *nl, const char *tun, struct error *e)
{
	int err = route(nl, RTN_BLACKHOLE, NULL, NAV_BLACKHOLE_METRIC);

	if (!err)
		err = route(nl, RTN_UNICAST, tun, NAV_ROUTE_METRIC);
	if (err)
		return error_set(e, err, "route 2001::/32 to %s: %s (is IPv6 switched off?)", tun,
				 strerror(-err));
	return 0;
}

static void add4(struct nav_own *own, __be32 addr)
{
	for (__u32 i = 0; i < own->n4; i++)
		if (own->v4[i] == addr)
			return;
	if (own->n4 < NAV_OWN)
		own->v4[own->n4++] = addr;
}

static int on_address(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	struct nav_own *own = data;
	const struct nlattr *a;
	__u8 type;

	mnl_attr_for_each(a, h, sizeof(*ifa)) {
		type = mnl_attr_get_type(a);
		if (ifa->ifa_family == AF_INET && (type == IFA_LOCAL || type == IFA_BROADCAST))
			add4(own, mnl_attr_get_u32(a));
		else if (ifa->ifa_family == AF_INET6 && type == IFA_ADDRESS && own->n6 < NAV_OWN)
			memcpy(&own->v6[own->n6++], mnl_attr_get_payload(a), sizeof(own->v6[0]));
	}
	return MNL_CB_OK;
}

int netlink_own(struct netlink *nl, struct nav_own *own)
{
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, RTM_GETADDR, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
	memset(own, 0, sizeof(*own));
	return talk(nl, h, on_address, own);
}

struct gateways {
	const __u32 *ifindex;
	__u32 n_ifindex, n;
	struct nav_neigh *neigh;
};

static void add_gateway(struct gateways *g, __u32 ifindex, __u32 family, const struct nlattr *via)
{
	struct nav_neigh new = { .ifindex = ifindex, .family = family };
	bool ours = false;

	memcpy(&new.addr, mnl_attr_get_payload(via), family == AF_INET ? 4 : 16);
	for (__u32 i = 0; i < g->n_ifindex; i++)
		ours |= g->ifindex[i] == ifindex;
	for (__u32 i = 0; i < g->n; i++)
		ours &= memcmp(&g->neigh[i], &new, sizeof(new)) != 0;
	if (ours && g->n < NAV_NEIGHS)
		g->neigh[g->n++] = new;
}

static int on_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *a, *via = NULL;
	__u32 oif = 0;

	mnl_attr_for_each(a, h, sizeof(*rt)) {
		if (mnl_attr_get_type(a) == RTA_GATEWAY)
			via = a;
		else if (mnl_attr_get_type(a) == RTA_OIF)
			oif = mnl_attr_get_u32(a);
	}
	if (via && oif)
		add_gateway(data, oif, rt->rtm_family, via);
	return MNL_CB_OK;
}

static int manage(struct netlink *nl, const struct nav_neigh *n)
{
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct ndmsg *nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));

	*nd = (struct ndmsg){ .ndm_family = (__u8)n->family, .ndm_ifindex = (int)n->ifindex };
	mnl_attr_put(h, NDA_DST, n->family == AF_INET ? 4 : 16, &n->addr);
	mnl_attr_put_u32(h, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return talk(nl, h, NULL, NULL);
}

/* One that the operator made permanent stays his. */
static int on_neigh(const struct nlmsghdr *h, void *data)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	struct gateways *g = data;
	const struct nlattr *a;

	if (!(nd->ndm_state & NUD_PERMANENT))
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*nd)) {
		if (mnl_attr_get_type(a) != NDA_DST)
			continue;
		for (__u32 i = 0; i < g->n; i++)
			if (g->neigh[i].ifindex == (__u32)nd->ndm_ifindex &&
			    g->neigh[i].family == nd->ndm_family &&
			    !memcmp(&g->neigh[i].addr, mnl_attr_get_payload(a),
				    mnl_attr_get_payload_len(a)))
				g->neigh[i--] = g->neigh[--g->n];
	}
	return MNL_CB_OK;
}

static void dump(struct netlink *nl, __u16 type, __u8 family, mnl_cb_t cb, void *data)
{
	char buf[BUFFER];
	struct nlmsghdr *h = message(nl, buf, type, NLM_F_DUMP);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt)); /* as long as struct ndmsg */

	rt->rtm_family = family;
	talk(nl, h, cb, data);
}

__u32 netlink_manage_gateways(struct netlink *nl, const __u32 *ifindex, __u32 n,
			      struct nav_neigh *ret)
{
	struct gateways g = { .ifindex = ifindex, .n_ifindex = n, .neigh = ret };
	__u32 kept = 0;

	dump(nl, RTM_GETROUTE, AF_INET, on_route, &g);
	dump(nl, RTM_GETROUTE, AF_INET6, on_route, &g);
	dump(nl, RTM_GETNEIGH, AF_UNSPEC, on_neigh, &g);
	for (__u32 i = 0; i < g.n; i++)
		if (!manage(nl, &ret[i]))
			ret[kept++] = ret[i];
	return kept;
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
