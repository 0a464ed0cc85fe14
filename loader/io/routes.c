// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's routes, as far as they are simple: a prefix that leads to one gateway by one of our
 * NICs gets the number of that gateway, whatever else there is none: the kernel is asked then.
 */
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "io/netlink-impl.h"

#define ROUTES_MAX 8192 /* of one family; a table of the whole Internet has far more regions than fit */

static bool has_mtu(const struct nlattr *metrics)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, metrics)
		if (mnl_attr_get_type(a) == RTAX_MTU)
			return true;
	return false;
}

/* 0: no number is left. */
static __u8 number_of(struct routes *r, const struct nav_neigh *hop)
{
	for (__u32 i = 1; i < r->n_hops; i++)
		if (neigh_same(&r->hop[i], hop))
			return (__u8)i;
	if (!r->n_hops)
		r->n_hops = 1; /* number 0 is nobody's */
	if (r->n_hops == REGION_HOPS)
		return 0;
	r->hop[r->n_hops] = *hop;
	return (__u8)r->n_hops++;
}

/*
 * The next hop of a route that has exactly one, and nothing that would make it other than the rest.
 * expires: in so many 1/100 s; unchanged if it never does, negative if it has.
 */
static bool simple(const struct nlmsghdr *h, const __u32 *nics, __u32 n_nics, struct nav_neigh *hop,
		   __s32 *expires)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const size_t len = rt->rtm_family == AF_INET ? 4 : 16;
	const struct rta_cacheinfo *info;
	const struct nlattr *a;
	bool gateway = false, ours = false;

	if (rt->rtm_type != RTN_UNICAST || rt->rtm_tos || rt->rtm_src_len ||
	    (rt->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)))
		return false;
	*hop = (struct nav_neigh){ .family = rt->rtm_family };
	mnl_attr_for_each(a, h, sizeof(*rt)) {
		switch (mnl_attr_get_type(a)) {
		case RTA_GATEWAY:
			gateway = mnl_attr_get_payload_len(a) >= len;
			if (gateway)
				memcpy(&hop->addr, mnl_attr_get_payload(a), len);
			break;
		case RTA_OIF:
			hop->ifindex = mnl_attr_get_u32(a);
			break;
		case RTA_METRICS:
			if (has_mtu(a))
				return false;
			break;
		case RTA_CACHEINFO:
			info = mnl_attr_get_payload(a);
			if (mnl_attr_get_payload_len(a) >= sizeof(*info))
				*expires = info->rta_expires;
			break;
		case RTA_VIA:
		case RTA_MULTIPATH:
		case RTA_ENCAP:
		case RTA_NH_ID: /* what it stands for can change without a word about the route */
			return false;
		}
	}
	for (__u32 i = 0; i < n_nics; i++)
		ours |= nics[i] == hop->ifindex;
	return gateway && ours;
}

/* Prefixes that keys are too short for make the key they lie in one to ask about. */
static void set_prefix(struct region_route *r, __u8 family, __u8 len, const void *dst)
{
	__u64 key = family == AF_INET ? region_key4(*(const __be32 *)dst) : region_key6(dst);

	r->len = len < REGION_KEY_BITS ? len : REGION_KEY_BITS;
	if (len > r->len)
		r->hop = 0;
	r->key = r->len ? key >> (REGION_KEY_BITS - r->len) << (REGION_KEY_BITS - r->len) : 0;
}

static __u32 table_of(const struct nlmsghdr *h)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(*rt))
		if (mnl_attr_get_type(a) == RTA_TABLE)
			return mnl_attr_get_u32(a);
	return rt->rtm_table;
}

void routes_hear(struct routes *r, const struct nlmsghdr *h, const __u32 *nics, __u32 n_nics)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const __u8 nowhere[16] = { 0 };
	const void *dst = nowhere;
	const __u32 table = table_of(h);
	struct nav_neigh hop;
	const struct nlattr *a;
	struct region_route *new;
	__s32 expires = 0;
	__u64 end;

	if ((rt->rtm_flags & RTM_F_CLONED) ||
	    (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL && table != RT_TABLE_DEFAULT))
		return;
	if (r->n == ROUTES_MAX) {
		r->many = true;
		return;
	}
	if (!r->route)
		r->route = malloc(ROUTES_MAX * sizeof(*r->route));
	if (!r->route) {
		r->many = true;
		return;
	}
	mnl_attr_for_each(a, h, sizeof(*rt))
		if (mnl_attr_get_type(a) == RTA_DST &&
		    mnl_attr_get_payload_len(a) >= (rt->rtm_family == AF_INET ? 4 : 16))
			dst = mnl_attr_get_payload(a);
	new = &r->route[r->n++];
	new->above = table != RT_TABLE_MAIN;
	new->hop = !new->above && simple(h, nics, n_nics, &hop, &expires) && expires >= 0 ?
			   number_of(r, &hop) : 0;
	end = now_ms() + 10 * (__u64)expires;
	if (new->hop && expires && end < r->end_ms)
		r->end_ms = end;
	set_prefix(new, rt->rtm_family, rt->rtm_dst_len, dst);
}

/* Any rule but those that every host has may choose a table by what a prefix does not tell. */
static int on_rule(const struct nlmsghdr *h, void *data)
{
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	__u32 table = rule->table;
	bool plain = rule->action == FR_ACT_TO_TBL && !rule->src_len && !rule->dst_len && !rule->tos &&
		     !(rule->flags & FIB_RULE_INVERT);

	mnl_attr_for_each(a, h, sizeof(*rule)) {
		switch (mnl_attr_get_type(a)) {
		case FRA_TABLE:
			table = mnl_attr_get_u32(a);
			break;
		case FRA_SUPPRESS_PREFIXLEN:
			plain &= mnl_attr_get_u32(a) == UINT32_MAX;
			break;
		case FRA_PRIORITY:
		case FRA_PROTOCOL:
			break;
		default:
			plain = false;
		}
	}
	plain &= table == RT_TABLE_MAIN || table == RT_TABLE_LOCAL || table == RT_TABLE_DEFAULT;
	*(bool *)data |= !plain;
	return MNL_CB_OK;
}

int routes_conclude(struct netlink *nl, __u8 family, struct routes *r, int err)
{
	bool rules = false;

	if (!err)
		err = netlink_dump(nl, RTM_GETRULE, family, on_rule, &rules);
	if (!err)
		r->by = r->many || regions_of_routes(r->route, r->n, &r->regions) ? HOPS_MANY_ROUTES :
			rules ? HOPS_RULES : r->n_hops ? HOPS_BY_ROUTE : HOPS_NO_GATEWAY;
	free(r->route);
	r->route = NULL;
	return err;
}
