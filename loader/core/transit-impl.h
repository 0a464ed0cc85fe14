/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What transit.c and the files of the mechanisms share and nobody else sees. */
#ifndef NAVALISD_TRANSIT_IMPL_H
#define NAVALISD_TRANSIT_IMPL_H

#include "core/limits.h"
#include "core/transit.h"
#include "navalis/demux.h"
#include "navalis/icmp6.h"

struct transit {
	const struct nav_config *policy;
	const struct host *host;
	const struct sixin4_table *in4;
	struct limiter *unreachable, *too_big, *exceeded;
	__u8 answer[2048] __attribute__((aligned(8)));
};

/* A packet on its way. */
struct passage {
	struct ipv6hdr *ip6; /* all of it can be read, and no more is sent on */
	struct cur rest;     /* what follows the header */
	__u32 len;
};

/* An IPv6 packet whose bytes are all there. */
static inline struct passage passage_of(void *ip6)
{
	struct passage p = { .ip6 = ip6 };
	const __u8 *rest = (const __u8 *)(p.ip6 + 1);

	p.rest = (struct cur){ rest, rest + HOST16(p.ip6->payload_len) };
	p.len = (__u32)sizeof(*p.ip6) + HOST16(p.ip6->payload_len);
	return p;
}

/* The verdict, and pkt is to be written to the TUN or sent. */
void transit_write(struct transit_out *out, enum reason reason, const void *pkt, __u32 len);
void transit_send(struct transit_out *out, enum reason reason, const void *pkt, __u32 len);

/*
 * The verdict, and its sender hears why, unless too many do. The kernel finds the way to him, through
 * a tunnel too.
 */
void transit_error(struct transit *t, struct transit_out *out, enum reason reason, __u8 type,
		   __u32 word, const struct passage *p, __u64 now_ms);

/*
 * Asked of a packet that is genuine and wants to native IPv6, or into another tunnel: merges the
 * congestion marks. R_NONE: it is written to the TUN.
 */
enum reason transit_enter(struct transit *t, enum tunnel from, __u32 id, __u8 tos, struct passage *p);

#endif
