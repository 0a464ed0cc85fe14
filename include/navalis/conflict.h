/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asked once, before anything starts: is each mechanism configured so that its arithmetic holds,
 * and can no two of them send packets into each other? What is found is for people to read.
 */
#ifndef NAVALIS_CONFLICT_H
#define NAVALIS_CONFLICT_H

#include "hg48.h"
#include "sixin4.h"
#include "sixrd.h"
#include "sixto4.h"

struct conflict_side {
	enum tunnel tunnel;
	__u32 id; /* number of the 6rd domain, sixin4_tunnel.id, else 0 */
};

struct conflict {
	const char *what;
	struct conflict_side a, b; /* b.tunnel is TUNNEL_NONE where one alone is at fault */
};

/* All that is configured; pointers may be NULL for what is not. */
struct tunnels {
	const struct sixto4_config *sixto4;
	const struct sixrd_domain *sixrd;
	__u32 n_sixrd;
	const struct sixin4_tunnel *sixin4;
	__u32 n_sixin4;
	const struct hg48_config *hg48;
	const struct tunnel_prefixes *prefixes; /* of all mechanisms but 6in4 */
	const struct endpoint4 *udp;            /* UDP endpoints of the other mechanisms */
	__u32 n_udp;
	const volatile struct nav_config *cfg;  /* for the addresses that are never sent to */
	const struct nav_own *own;
};

/* Appends; false when there is no room left. */
PURE bool tunnels_add_prefix(struct tunnel_prefixes *t, enum tunnel tunnel, __u32 id,
			     const struct prefix6 *prefix)
{
	if (t->n >= TUNNEL_PREFIXES)
		return false;
	t->of[t->n++] = (struct tunnel_prefix){ *prefix, tunnel, id };
	return true;
}

/*
 * Can a packet go this way at all, once it is open? Teredo addresses are nothing that Teredo or 6bed4
 * would carry on or take for native, nor are 6to4 addresses to 6to4, and HG48's are unique local.
 */
PURE bool tunnels_may_cross(enum tunnel from, enum tunnel to)
{
	if (from == TUNNEL_HG48 || to == TUNNEL_HG48)
		return false;
	if (from == TUNNEL_TEREDO || (to == TUNNEL_TEREDO && from == TUNNEL_SIXBED4))
		return to != TUNNEL_TEREDO && to != TUNNEL_SIXBED4;
	return from != TUNNEL_SIXTO4 || to != TUNNEL_SIXTO4;
}

/* The prefixes of 6to4, 6rd and HG48. */
static inline bool tunnels_add_prefixes(struct tunnel_prefixes *to, const struct tunnels *t)
{
	static const struct prefix6 sixto4 = { .addr.s6_addr = { 0x20, 0x02 }, .len = 16 };

	if (t->sixto4 && t->sixto4->local && !tunnels_add_prefix(to, TUNNEL_SIXTO4, 0, &sixto4))
		return false;
	for (__u32 i = 0; i < t->n_sixrd; i++)
		if (!tunnels_add_prefix(to, TUNNEL_SIXRD, i, &t->sixrd[i].prefix))
			return false;
	if (t->hg48 && t->hg48->service.addr) {
		struct prefix6 p = { .addr = t->hg48->prefix, .len = 80 };

		return tunnels_add_prefix(to, TUNNEL_HG48, 0, &p);
	}
	return true;
}

PURE bool prefix6_overlap(const struct prefix6 *a, const struct prefix6 *b)
{
	return a->len <= b->len ? prefix6_has(a, &b->addr) : prefix6_has(b, &a->addr);
}

/* No bits beyond its length. */
PURE bool prefix6_valid(const struct prefix6 *p)
{
	if (p->len > 128)
		return false;
	for (__u32 bit = p->len; bit < 128; bit++)
		if (p->addr.s6_addr[bit / 8] & 0x80 >> bit % 8)
			return false;
	return true;
}

/* Inside 2000::/3, and apart from the prefixes that say of themselves what they are. */
PURE bool prefix6_global(const struct prefix6 *p)
{
	static const struct prefix6 known[] = {
		{ .addr.s6_addr = { 0x20, 0x02 }, .len = 16 }, /* 6to4 */
		{ .addr.s6_addr = { 0x20, 0x01 }, .len = 32 }, /* Teredo */
	};

	return p->len >= 3 && p->addr.s6_addr[0] >> 5 == 1 && !prefix6_overlap(p, &known[0]) &&
	       !prefix6_overlap(p, &known[1]);
}

PURE bool conflict_is(struct conflict *ret, const char *what, struct conflict_side a,
		      struct conflict_side b)
{
	*ret = (struct conflict){ what, a, b };
	return true;
}

PURE const char *conflict_link(const struct tunnel_link *link)
{
	return link->mtu < PROTO41_MTU_MIN || link->mtu > PROTO41_MTU_MAX ?
		       "the MTU is not between 1280 and 1480" :
		       NULL;
}

static inline const char *conflict_sixto4(const struct tunnels *t)
{
	const struct sixto4_config *to4 = t->sixto4;

	if (!addr4_unicast(to4->local) || to4->local == BE32(SIXTO4_ANYCAST) ||
	    addr4_set_has(&t->cfg->refused, to4->local))
		return "the IPv4 address of the 6to4 relay is not a global one";
	if (to4->source != to4->local && to4->source != BE32(SIXTO4_ANYCAST))
		return "the source of 6to4 packets is neither the relay's address nor 192.88.99.1";
	if (to4->n_senders > SIXTO4_SENDERS || (to4->return_only && !to4->n_senders))
		return "the return relay has nobody to send for";
	if (to4->return_only && to4->anycast)
		return "the return relay accepts nothing, 192.88.99.1 not either";
	return conflict_link(&to4->link);
}

static inline const char *conflict_sixrd(const struct sixrd_domain *d)
{
	if (!sixrd_valid(d))
		return "the 6rd prefix and the bits of an IPv4 address are longer than 64, "
		       "or have bits beyond their length";
	if (!prefix6_global(&d->prefix))
		return "the 6rd prefix is not global, or has to do with 2002::/16 or 2001::/32";
	if (!addr4_unicast(d->br))
		return "the border relay's address is not unicast";
	return conflict_link(&d->link);
}

static inline const char *conflict_sixin4(const struct tunnels *t, const struct sixin4_tunnel *c)
{
	static const struct prefix6 ula = { .addr.s6_addr = { 0xfc }, .len = 7 };
	__be32 r = c->remote;

	if (!addr4_unicast(c->local) || !addr4_unicast(r))
		return "an endpoint of the tunnel is not unicast";
	if (r == c->local || own_has4(t->own, r) || (t->sixto4 && r == t->sixto4->local) ||
	    (t->hg48 && r == t->hg48->service.addr))
		return "the tunnel's remote endpoint is this host";
	for (__u32 i = 0; i < t->n_sixrd; i++)
		if (r == t->sixrd[i].br)
			return "the tunnel's remote endpoint is this host";
	if (!c->n_prefixes || c->n_prefixes > SIXIN4_PREFIXES)
		return "the tunnel has no prefix behind it, or too many";
	for (__u32 i = 0; i < c->n_prefixes; i++) {
		const struct prefix6 *p = &c->prefix[i];

		if (!prefix6_valid(p))
			return "a prefix behind the tunnel has bits beyond its length";
		if (!prefix6_global(p) && !(p->len >= 7 && prefix6_has(&ula, &p->addr)))
			return "a prefix behind the tunnel is neither global nor unique local, "
			       "or has to do with 2002::/16 or 2001::/32";
	}
	return conflict_link(&c->link);
}

static inline const char *conflict_hg48(const struct tunnels *t)
{
	const struct hg48_config *hg = t->hg48;

	if (hg->prefix.s6_addr[0] != 0xfd || hg->prefix.s6_addr32[3] || hg->prefix.s6_addr32[2])
		return "the HG48 prefix does not begin with fd, or has bits behind the first 64";
	if (!addr4_unicast(hg->service.addr) || !hg->service.port)
		return "the HG48 gateway has no address or no port";
	for (__u32 i = 0; i < t->n_udp; i++)
		if (endpoint4_equal(t->udp[i], hg->service))
			return "the HG48 gateway's address and port are another mechanism's";
	if (hg->link.mtu != HG48_MTU || hg->link.df)
		return "the MTU of HG48 is 1280, without «do not fragment»";
	return NULL;
}

/* One IPv4 address for two mechanisms that take packets from anybody (RFC 3964 6.1). */
static inline bool conflict_addresses(const struct tunnels *t, struct conflict *ret)
{
	for (__u32 i = 0; i < t->n_sixrd; i++) {
		const struct sixrd_domain *d = &t->sixrd[i];
		const struct conflict_side rd = { TUNNEL_SIXRD, i };

		if (t->sixto4 && sixto4_takes(t->sixto4, d->br))
			return conflict_is(ret, "6to4 and 6rd have the same IPv4 address",
					   (struct conflict_side){ TUNNEL_SIXTO4, 0 }, rd);
		for (__u32 k = 0; k < t->n_sixin4; k++)
			if (t->sixin4[k].local == d->br && sixrd_customer(d, t->sixin4[k].remote))
				return conflict_is(
					ret,
					"the tunnel's remote endpoint may be a customer edge of 6rd, "
					"at the same IPv4 address",
					(struct conflict_side){ TUNNEL_SIXIN4, t->sixin4[k].id },
					rd);
	}
	return false;
}

static inline bool conflict_pair(const struct sixin4_tunnel *a, const struct sixin4_tunnel *b,
				 struct conflict *ret)
{
	const struct conflict_side x = { TUNNEL_SIXIN4, a->id }, y = { TUNNEL_SIXIN4, b->id };

	if (a->id == b->id)
		return conflict_is(ret, "two tunnels have one number", x, y);
	if (a->local == b->local && a->remote == b->remote)
		return conflict_is(ret, "two tunnels have the same endpoints", x, y);
	for (__u32 i = 0; i < a->n_prefixes; i++)
		for (__u32 k = 0; k < b->n_prefixes; k++)
			if (prefix6_overlap(&a->prefix[i], &b->prefix[k]))
				return conflict_is(ret, "the prefixes overlap", x, y);
	return false;
}

static inline bool conflict_prefixes(const struct tunnels *t, struct conflict *ret)
{
	for (__u32 i = 0; t->prefixes && i < t->prefixes->n; i++) {
		const struct tunnel_prefix *p = &t->prefixes->of[i];
		const struct conflict_side x = { p->tunnel, p->id };

		for (__u32 k = 0; k < i; k++) {
			const struct tunnel_prefix *q = &t->prefixes->of[k];
			const struct conflict_side y = { q->tunnel, q->id };

			if (prefix6_overlap(&p->prefix, &q->prefix))
				return conflict_is(ret, "the prefixes overlap", y, x);
		}
		for (__u32 k = 0; k < t->n_sixin4; k++) {
			const struct conflict_side y = { TUNNEL_SIXIN4, t->sixin4[k].id };

			for (__u32 m = 0; m < t->sixin4[k].n_prefixes; m++)
				if (prefix6_overlap(&p->prefix, &t->sixin4[k].prefix[m]))
					return conflict_is(ret, "the prefixes overlap", x, y);
		}
	}
	return false;
}

/* False when all is well; else *ret says what is wrong first. */
static inline bool tunnels_conflict(const struct tunnels *t, struct conflict *ret)
{
	const struct conflict_side none = { TUNNEL_NONE, 0 };
	const char *what;

	if (t->sixto4 && t->sixto4->local && (what = conflict_sixto4(t)))
		return conflict_is(ret, what, (struct conflict_side){ TUNNEL_SIXTO4, 0 }, none);
	for (__u32 i = 0; i < t->n_sixrd; i++)
		if ((what = conflict_sixrd(&t->sixrd[i])))
			return conflict_is(ret, what, (struct conflict_side){ TUNNEL_SIXRD, i },
					   none);
	for (__u32 i = 0; i < t->n_sixin4; i++)
		if ((what = conflict_sixin4(t, &t->sixin4[i])))
			return conflict_is(ret, what,
					   (struct conflict_side){ TUNNEL_SIXIN4, t->sixin4[i].id },
					   none);
	if (t->hg48 && t->hg48->service.addr && (what = conflict_hg48(t)))
		return conflict_is(ret, what, (struct conflict_side){ TUNNEL_HG48, 0 }, none);

	for (__u32 i = 0; i < t->n_sixin4; i++)
		for (__u32 k = 0; k < i; k++)
			if (conflict_pair(&t->sixin4[k], &t->sixin4[i], ret))
				return true;
	return conflict_addresses(t, ret) || conflict_prefixes(t, ret);
}

#endif
