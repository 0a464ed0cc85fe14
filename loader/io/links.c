// SPDX-License-Identifier: GPL-2.0-or-later
/* Our NICs as they are, and the interfaces above them. */
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/netlink-impl.h"

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
			v.tag.proto = WIRE16(mnl_attr_get_u16(a));
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
	err = netlink_dump(nl, RTM_GETLINK, AF_UNSPEC, on_link, &l);
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
