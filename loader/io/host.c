// SPDX-License-Identifier: GPL-2.0-or-later
/* The addresses of this host. */
#include <stdlib.h>

#include "config.h"
#include "io/netlink-impl.h"

struct list4 {
	struct prefix4 *of;
	__u32 n;
};

/* What is found while a dump goes on; on an error the daemon's own stays as it is. */
struct finding {
	struct host host;
	struct list4 own, self;
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

static void add4(struct finding *f, struct list4 *list, __be32 addr)
{
	list->of = one_more(list->of, list->n, sizeof(*list->of), f);
	if (!f->failed)
		list->of[list->n++] = (struct prefix4){ addr, 32 };
}

/* The addresses of a network that are nobody's: its first, which old hosts take for a broadcast, and its last. */
static void add_ends(struct finding *f, __be32 addr, __u8 len)
{
	const __u32 hosts = len ? ~0U >> len : ~0U;

	if (len < 31) { /* RFC 3021 */
		add4(f, &f->own, addr & ~BE32(hosts));
		add4(f, &f->own, addr | BE32(hosts));
	}
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

		if (ifa->ifa_family == AF_INET && type == IFA_LOCAL) {
			f->host.has_service |= WIRE32(mnl_attr_get_u32(a)) == f->service;
			add4(f, &f->self, WIRE32(mnl_attr_get_u32(a)));
		}
		if (ifa->ifa_family == AF_INET && (type == IFA_LOCAL || type == IFA_BROADCAST))
			add4(f, &f->own, WIRE32(mnl_attr_get_u32(a)));
		else if (ifa->ifa_family == AF_INET && type == IFA_ADDRESS)
			add_ends(f, WIRE32(mnl_attr_get_u32(a)), ifa->ifa_prefixlen);
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
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = netlink_message(nl, buf, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	int fd = mnl_socket_get_fd(nl->ask), on = 1, off = 0, err;

	rt->rtm_family = AF_INET6;
	rt->rtm_table = RT_TABLE_LOCAL;
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	err = netlink_talk(nl, h, on_local, f);
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &off, sizeof(off));
	return err;
}

/* What there is no room for is left out, and is no error. */
static int build(struct finding *f, const struct list4 *list, struct addr4_set *set)
{
	int err = addr4_set_build(list->of, list->n, set);

	f->host.own_is_cut |= err == -ENOSPC;
	return err == -ENOSPC ? 0 : err;
}

int netlink_host(struct netlink *nl, __be32 service, struct host *host)
{
	char buf[NETLINK_BUFFER];
	struct nlmsghdr *h = netlink_message(nl, buf, RTM_GETADDR, NLM_F_DUMP);
	struct finding f = { .service = service };
	int err;

	mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
	err = netlink_talk(nl, h, on_address, &f);
	if (!err)
		err = dump_local(nl, &f);
	if (!err && f.failed)
		err = -ENOMEM;
	if (!err)
		err = build(&f, &f.own, &f.host.own.v4);
	if (!err)
		err = build(&f, &f.self, &f.host.self);
	free(f.own.of);
	free(f.self.of);
	free(err ? f.host.local6 : host->local6);
	if (!err)
		*host = f.host;
	return err;
}
