// SPDX-License-Identifier: GPL-2.0-or-later
/* Routes to the TUN. */
#include <net/if.h>
#include <stdlib.h>

#include "io/netlink-impl.h"
#include "io/tunroute.h"
#include "navalis/text.h"

/*
 * All that is behind the TUN is behind one next hop, which nobody need be: without it each client is a
 * neighbour of the host's, in a table that has room for a thousand. With 20,000 that costs 900 ns a packet.
 */
static const struct in6_addr next_hop = { .s6_addr32 = { BE32(0xfe800000), 0, 0, BE32(1) } };

/* mtu: 0 where there is none, as in blackholes. */
static int ask(struct netlink *nl, __u16 todo, __u16 flags, const struct prefix6 *to, __u32 ifindex,
	       __u32 mtu)
{
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = netlink_message(nl, buf, todo, NLM_F_ACK | flags);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	struct nlattr *metrics;

	*rt = (struct rtmsg){ .rtm_family = AF_INET6, .rtm_dst_len = (__u8)to->len,
			      .rtm_table = RT_TABLE_MAIN, .rtm_protocol = NAV_RTPROT,
			      .rtm_type = ifindex ? RTN_UNICAST : RTN_BLACKHOLE };
	mnl_attr_put(h, RTA_DST, sizeof(to->addr), &to->addr);
	mnl_attr_put_u32(h, RTA_PRIORITY, ifindex ? NAV_ROUTE_METRIC : NAV_BLACKHOLE_METRIC);
	if (ifindex) {
		mnl_attr_put_u32(h, RTA_OIF, ifindex);
		mnl_attr_put(h, RTA_GATEWAY, sizeof(next_hop), &next_hop);
	}
	if (mtu) { /* locked: the kernel looks at the device's own otherwise */
		metrics = mnl_attr_nest_start(h, RTA_METRICS);
		mnl_attr_put_u32(h, RTAX_LOCK, 1 << RTAX_MTU);
		mnl_attr_put_u32(h, RTAX_MTU, mtu);
		mnl_attr_nest_end(h, metrics);
	}
	return netlink_talk(nl, h, NULL, NULL);
}

/* ---- what is there ----------------------------------------------------------------------------- */

/* A route of the table main with one of our metrics. */
struct found {
	struct prefix6 prefix;
	__u32 oif; /* 0: a blackhole */
	bool ours; /* by its protocol */
};

struct finding {
	struct found *route;
	__u32 n;
	bool failed;
};

static int on_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct found new = { .prefix.len = rt->rtm_dst_len, .ours = rt->rtm_protocol == NAV_RTPROT };
	struct finding *f = data;
	__u32 metric = 0;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(*rt)) {
		if (mnl_attr_get_type(a) == RTA_DST)
			memcpy(&new.prefix.addr, mnl_attr_get_payload(a), sizeof(new.prefix.addr));
		else if (mnl_attr_get_type(a) == RTA_PRIORITY)
			metric = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == RTA_OIF && rt->rtm_type == RTN_UNICAST)
			new.oif = mnl_attr_get_u32(a);
	}
	if (rt->rtm_table != RT_TABLE_MAIN || (metric != NAV_ROUTE_METRIC && metric != NAV_BLACKHOLE_METRIC))
		return MNL_CB_OK;
	if (!(f->n & (f->n - 1))) { /* the list grows by doubling */
		void *grown = reallocarray(f->route, f->n ? 2 * f->n : 1, sizeof(new));

		f->failed |= !grown;
		f->route = grown ? grown : f->route;
	}
	if (!f->failed)
		f->route[f->n++] = new;
	return MNL_CB_OK;
}

/* protocol: 0 for all; the kernel picks, for the table may hold a million routes. */
static struct finding find(struct netlink *nl, __u8 protocol)
{
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = netlink_message(nl, buf, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	int fd = mnl_socket_get_fd(nl->ask), on = 1, off = 0;
	struct finding f = { 0 };

	*rt = (struct rtmsg){ .rtm_family = AF_INET6, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = protocol };
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	f.failed = netlink_talk(nl, h, on_route, &f) || f.failed;
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &off, sizeof(off));
	return f;
}

static bool same(const struct prefix6 *a, const struct prefix6 *b)
{
	return a->len == b->len && in6_equal(&a->addr, &b->addr);
}

/* ---- making ------------------------------------------------------------------------------------ */

/* A stranger's route is not replaced: another relay would starve without a word. */
static int take_over(struct netlink *nl, const struct tun_route *r, __u32 ifindex, struct error *e)
{
	struct finding f = find(nl, 0);
	char name[IF_NAMESIZE] = "?";
	__u32 holder = 0;

	for (__u32 i = 0; i < f.n; i++)
		if (f.route[i].oif && same(&f.route[i].prefix, &r->prefix))
			holder = f.route[i].oif;
	free(f.route);
	if (holder == ifindex)
		return ask(nl, RTM_NEWROUTE, NLM_F_REPLACE, &r->prefix, ifindex, r->mtu);
	if_indextoname(holder, name);
	return error_set(e, -EEXIST, "%s leads to %s already: stop the relay that it belongs to, or "
			 "ip -6 route del %s dev %s metric %u", text_prefix(&r->prefix).s, name,
			 text_prefix(&r->prefix).s, name, NAV_ROUTE_METRIC);
}

int tunroute_make(struct netlink *nl, const char *tun, const struct tun_route *route, __u32 n,
		  struct error *e)
{
	const __u32 ifindex = if_nametoindex(tun);
	int err = 0;

	for (__u32 i = 0; i < n && !err; i++) {
		const struct tun_route *r = &route[i];

		err = ask(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &r->prefix, ifindex, r->mtu);
		if (err == -EEXIST)
			err = take_over(nl, r, ifindex, e);
		else if (err)
			error_set(e, err, "route %s to %s: %s (is IPv6 switched off?)",
				  text_prefix(&r->prefix).s, tun, strerror(-err));
	}
	return err;
}

int tunroute_blackholes(struct netlink *nl, struct tun_route *route, __u32 n, struct error *e)
{
	for (__u32 i = 0; i < n; i++) {
		int err = ask(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route[i].prefix, 0, 0);

		route[i].blackhole = !err;
		if (err && err != -EEXIST) {
			tunroute_undo(nl, route, i);
			return error_set(e, err, "route blackhole %s: %s", text_prefix(&route[i].prefix).s,
					 strerror(-err));
		}
	}
	return 0;
}

void tunroute_undo(struct netlink *nl, const struct tun_route *route, __u32 n)
{
	for (__u32 i = 0; i < n; i++)
		if (route[i].blackhole)
			ask(nl, RTM_DELROUTE, 0, &route[i].prefix, 0, 0);
}

static bool is_wanted(const struct prefix6 *p, const struct tun_route *route, __u32 n)
{
	for (__u32 i = 0; i < n; i++)
		if (same(&route[i].prefix, p))
			return true;
	return false;
}

/* Another instance may have it now. */
static bool leads_elsewhere(const struct finding *f, const struct prefix6 *p, __u32 ifindex)
{
	for (__u32 i = 0; i < f->n; i++)
		if (f->route[i].oif && f->route[i].oif != ifindex && same(&f->route[i].prefix, p))
			return true;
	return false;
}

void tunroute_prune(struct netlink *nl, const char *tun, const struct tun_route *route, __u32 n)
{
	const __u32 ifindex = if_nametoindex(tun);
	struct finding f = find(nl, NAV_RTPROT);

	for (__u32 i = 0; i < f.n; i++) {
		const struct found *r = &f.route[i];

		if (r->oif != ifindex || is_wanted(&r->prefix, route, n))
			continue;
		ask(nl, RTM_DELROUTE, 0, &r->prefix, ifindex, 0);
		if (!leads_elsewhere(&f, &r->prefix, ifindex))
			ask(nl, RTM_DELROUTE, 0, &r->prefix, 0, 0);
	}
	free(f.route);
}
