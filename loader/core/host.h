/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This host, as far as packets are about it. */
#ifndef NAVALISD_HOST_H
#define NAVALISD_HOST_H

#include "navalis/abi.h"

struct host {
	struct nav_own own;      /* shared with the data path */
	struct addr4_set self;   /* of those, less the ends of networks: what it sends from */
	struct prefix6 *local6;  /* what the kernel delivers to this host itself: addresses, anycast */
	__u32 n_local6;          /* addresses, prefixes that were made local; owned by whoever fills it */
	struct in6_addr source;  /* of ICMPv6 errors; unspecified: there is none */
	bool has_service;        /* the service address is one of its own */
	bool own_is_cut;         /* it has more IPv4 addresses than struct nav_own has room for */
};

static inline bool host_has6(const struct host *h, const struct in6_addr *a)
{
	const __u64 net = load64(a);

	for (const struct prefix6 *p = h->local6; p < h->local6 + h->n_local6; p++) {
		/* nearly all of them, and in another /64: seen at once, a list of 12 costs 10 ns, not 90 */
		if (p->len >= 64 && load64(&p->addr) != net)
			continue;
		if (prefix6_has(p, a))
			return true;
	}
	return false;
}

#endif
