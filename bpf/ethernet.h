/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Ethernet header with up to two VLAN tags (802.1Q, 802.1ad), on the way in and out.
 *
 * Frames to another MAC address are somebody else's: a NIC that listens to all of them (tcpdump, a
 * bridge) would have us take another relay's packets. So is a tag that no VLAN interface of this
 * host stands for. Where the NIC takes tags off itself (ethtool: rx-vlan-offload), nobody sees them
 * here: navalisd warns of it.
 */
#ifndef NAVALIS_BPF_ETHERNET_H
#define NAVALIS_BPF_ETHERNET_H

#include "nexthop.h"
#include "parse.h"

#define VLAN_ID 0x0fff

/* In words: struct ethhdr is packed, and would be read and written byte by byte (5 ns). */
struct ether {
	__u16 macs[6]; /* destination, source */
	__be16 proto;
};

_Static_assert(sizeof(struct ether) == ETH_HLEN, "no padding");

static __always_inline bool is_tag(__be16 proto)
{
	return proto == BE16(ETH_P_8021Q) || proto == BE16(ETH_P_8021AD);
}

/* A tag behind the one that proto announced; proto then is what it announces itself. */
static __always_inline bool take_tag(struct cur *c, struct frame *f, __be16 *proto,
				     struct nav_tag *tag)
{
	const __be16 *t = cur_take(c, 4);

	if (!t)
		return false;
	*tag = (struct nav_tag){ *proto, t[0] & BE16(VLAN_ID) };
	*proto = t[1];
	f->l2 += 4;
	return true;
}

/* Leaves c behind the header. False: it is not for us to look at. */
static __always_inline bool parse_ethernet(struct cur *c, struct frame *f, __be16 *proto)
{
	const struct ether *eth = cur_take(c, sizeof(*eth));
	struct nav_tags tags = {};
	const struct nav_port *port;

	if (!eth)
		return false;
	*proto = eth->proto;
	f->l2 = sizeof(*eth);
	if (is_tag(*proto)) {
		tags.nic = f->ctx->ingress_ifindex;
		if (!take_tag(c, f, proto, &tags.tag[0]) ||
		    (is_tag(*proto) && !take_tag(c, f, proto, &tags.tag[1])))
			return false;
		port = bpf_map_lookup_elem(&vlans, &tags);
	} else {
		port = bpf_map_lookup_elem(&ports, &f->slot);
	}
	if (!port || !nav_port_has(port, mac_word(eth->macs)))
		return false;
	f->in = port->ifindex;
	return true;
}

/* Where a packet leaves: decided before the first byte of it is written. */
struct way {
	const struct nexthop *hop; /* NULL: nowhere */
	__u32 out;                 /* slot of the NIC */
	__u32 l2;                  /* length of the new Ethernet header */
	struct nav_tag tag[2];
};

static __always_inline bool way_of(struct way *w, const struct nexthop *hop)
{
	const struct nav_tags *tags;

	w->hop = hop;
	w->out = hop->slot;
	w->l2 = ETH_HLEN;
	if (!hop->n_tags)
		return true;
	tags = bpf_map_lookup_elem(&tagged, &hop->ifindex);
	if (!tags)
		return false;
	w->l2 += hop->n_tags > 1 ? 8 : 4;
	w->tag[0] = tags->tag[0];
	w->tag[1] = tags->tag[1];
	return true;
}

static __always_inline bool put_tag(struct cur *c, __be16 id, __be16 proto)
{
	__be16 *t = cur_make(c, 4);

	if (!t)
		return false;
	t[0] = id;
	t[1] = proto;
	return true;
}

/* Leaves c behind the header. */
static __always_inline bool put_ethernet(struct cur *c, const struct way *w, __be16 proto)
{
	struct ether *eth = cur_make(c, sizeof(*eth));
	__u32 *macs = (void *)eth;

	if (!eth)
		return false;
	macs[0] = w->hop->macs[0];
	macs[1] = w->hop->macs[1];
	macs[2] = w->hop->macs[2];
	if (w->l2 == ETH_HLEN) {
		eth->proto = proto;
		return true;
	}
	eth->proto = w->tag[0].proto;
	if (w->l2 == ETH_HLEN + 4)
		return put_tag(c, w->tag[0].id, proto);
	return put_tag(c, w->tag[0].id, w->tag[1].proto) && put_tag(c, w->tag[1].id, proto);
}

/*
 * Lets the frame go on as another: of what follows its Ethernet header, off bytes come off, the next
 * len bytes stay, and put bytes go in front of them, behind a new header. Leaves c there.
 */
static __always_inline bool frame_change(const struct frame *f, const struct way *w, __u32 off,
					 __u32 len, __u32 put, __be16 proto, struct cur *c)
{
	if (!frame_trim(f, f->l2 + off + len) ||
	    bpf_xdp_adjust_head(f->ctx, (int)(f->l2 + off - put - w->l2)))
		return false;
	*c = frame_cursor(f);
	return put_ethernet(c, w, proto);
}

#endif
