/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From UDP/IPv4 to native IPv6 (RFC 4380 5.4.2).
 */
#ifndef NAVALIS_BPF_DECAP_H
#define NAVALIS_BPF_DECAP_H

#include <navalis/icmp6.h>
#include "crossing.h"
#include "ethernet.h"
#include "nexthop.h"
#include "own.h"
#include "parse.h"
#include "peers.h"

/* Everything that is decided before the first byte is written. */
struct decap {
	struct way way;
	__u32 len; /* of the IPv6 packet */
	__u8 ecn;  /* its congestion bits from here on */
};

/*
 * c stands behind the IPv6 header. A fragment header itself is common, and hides nothing; the slow
 * path walks the others.
 */
static __always_inline enum reason decap_extensions(struct cur c, const struct ipv6hdr *ip6)
{
	const bool fragment = ip6->nexthdr == 44;
	const __u8 *ext; /* next header, length, routing type */

	if (!fragment && !ip6_extends(ip6->nexthdr))
		return R_NONE;
	ext = HOST16(ip6->payload_len) < 8 ? NULL : cur_take(&c, 8);
	if (!ext)
		return R_INNER_EXTENSION;
	if (fragment)
		return ext[0] == 44 || ip6_extends(ext[0]) ? R_INNER_EXTENSION : R_NONE;
	return ip6->nexthdr == 43 && ext[2] == 0 ? R_INNER_ROUTING : R_INNER_EXTENSION;
}

/* An answer to a bubble of ours proves its client; the daemon writes it down. */
static __always_inline enum reason decap_bubble(const struct frame *f, const struct ipv6hdr *ip6)
{
	const struct cookie_keys *keys = THE_ONLY(cookies);

	if (!teredo_is(&ip6->saddr))
		return R_SRC_NOT_TEREDO;
	if (keys && teredo_cookie_right(keys, cfg.bubble_prefix, &ip6->saddr, &ip6->daddr,
					cookie_slot(f->units)))
		return R_BUBBLE;
	return cfg.admission_rfc ? R_UNPROVEN_IN : R_BUBBLE_COOKIE;
}

/* Is the packet from where its source says, and has that been proven lately? */
static __always_inline enum reason decap_source(struct peer *p, const struct frame *f,
						const struct in6_addr *src, struct endpoint4 outer)
{
	if (!teredo_is(src))
		return R_SRC_NOT_TEREDO;
	if (teredo_src_matches(src, outer)) {
		if (!peer_in_table(p, src))
			return R_UNPROVEN_IN;
	} else if (!peer_remapped(p, src) || !endpoint4_equal(p->endpoint, outer)) {
		return R_SRC_MISMATCH;
	}
	return peer_young(p, f->now) ? R_NONE : R_UNPROVEN_IN;
}

static __always_inline enum reason decap_decide(struct decap *d, struct frame *f, struct cur c)
{
	const struct ipv6hdr *ip6;
	const struct nexthop *hop;
	struct datagram gram = {};
	struct peer peer = {};
	enum reason r;
	int ecn;

	r = parse_datagram(&c, f->len - f->l2, &gram);
	if (r != R_NONE)
		return r;
	r = teredo_payload(&c, gram.payload_len, &ip6);
	if (r != R_NONE)
		return r;
	if (teredo_is_bubble(ip6))
		return decap_bubble(f, ip6);
	r = decap_source(&peer, f, &ip6->saddr, gram.src);
	if (r != R_NONE)
		return r;
	peer_heard(&peer, &ip6->saddr, f->now); /* wherever the packet wants to go, 5.4.2 */

	ecn = policy_ecn(gram.tos, ip6->flow_lbl[0] >> 4);
	if (ecn < 0)
		return R_ECN_CONGESTED;
	d->ecn = (__u8)ecn;
	r = decap_extensions(c, ip6);
	if (r != R_NONE)
		return r;
	r = policy_native_dst(&cfg, NULL, &ip6->daddr);
	if (r == R_NONE && crossings_any())
		r = MAY_LEAVE(teredo, 0, &ip6->daddr);
	if (r != R_NONE)
		return r;
	if (ip6->hop_limit <= 1)
		return R_HOP_LIMIT_IN;

	d->len = sizeof(*ip6) + HOST16(ip6->payload_len);
	hop = nexthop6(f, ip6, d->len, cfg.mtu);
	/* for this host itself, too, there is none: the kernel delivers to the daemon */
	return hop && way_of(&d->way, hop) ? R_NONE : R_NO_NEXT_HOP_IN;
}

/* What the relay itself changes. */
static __always_inline void decap_hop(struct ipv6hdr *ip6, __u8 ecn)
{
	ip6->hop_limit--;
	if ((ip6->flow_lbl[0] >> 4 & 3) != ecn)
		ip6->flow_lbl[0] = (__u8)((ip6->flow_lbl[0] & ~0x30) | ecn << 4);
}

static __always_inline enum reason decap_rewrite(struct frame *f, const struct decap *d)
{
	struct ipv6hdr *ip6;
	struct cur c;

	if (!frame_change(f, &d->way, IP4_LEN + UDP_LEN, d->len, 0, BE16(ETH_P_IPV6), &c))
		return R_NO_ROOM;
	ip6 = cur_make(&c, sizeof(*ip6));
	if (!ip6)
		return R_NO_ROOM;

	decap_hop(ip6, d->ecn);
	f->out = d->way.out;
	return R_DECAP;
}

static __always_inline enum reason decap(struct frame *f, struct cur c)
{
	struct decap d = {};
	enum reason r = decap_decide(&d, f, c);

	return r == R_NONE ? decap_rewrite(f, &d) : r;
}

#endif
