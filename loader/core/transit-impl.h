/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What transit.c and the files of the mechanisms share and nobody else sees. */
#ifndef NAVALISD_TRANSIT_IMPL_H
#define NAVALISD_TRANSIT_IMPL_H

#include "core/hg48.h"
#include "core/limits.h"
#include "core/transit.h"
#include "navalis/demux.h"
#include "navalis/icmp6.h"
#include "navalis/sixbed4.h"
#include "navalis/teredo-server.h"

struct transit {
	const struct nav_config *policy;
	const struct host *host;
	const struct sixin4_table *in4;
	struct hg48_table *hg48; /* NULL: there is no HG48 */
	struct limiter *unreachable, *too_big, *exceeded;
	struct limiter *told; /* of what ICMPv4 says */
	struct limiter *to_one, *to_all; /* advertisements */
	__u8 answer[2048] __attribute__((aligned(8)));
};

/* A packet on its way. */
struct passage {
	struct ipv6hdr *ip6; /* all of it can be read, and no more is sent on */
	struct cur rest;     /* what follows the header */
	__u32 len;
};

/* A UDP payload. */
struct datagram_in {
	__u8 *pkt;
	__u32 len;
	struct endpoint4 from;
	__u8 tos;
	struct relay_time now;
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
		   __u32 word, const struct passage *p, struct relay_time now);

/*
 * Asked of a packet that is genuine and wants to native IPv6, or into another tunnel: merges the
 * congestion marks. R_NONE: it is written to the TUN.
 */
enum reason transit_enter(struct transit *t, enum tunnel from, __u32 id, __u8 tos, struct passage *p);

/* The same of one for a host on this side, whatever its address. */
enum reason transit_enter_local(struct transit *t, __u8 tos, struct passage *p);

/* May the advertisement be sent to this address? R_NONE, or why not. */
enum reason transit_may_advertise(struct transit *t, __be32 addr, struct relay_time now);

/* Who is asked for; this host, whose errors go to all, as one of those who are served. */
static inline const struct in6_addr *transit_source(const struct transit *t, const struct passage *p)
{
	const bool own = t->policy->n_served && in6_equal(&p->ip6->saddr, &t->host->source);

	return own ? &t->policy->served[0].addr : &p->ip6->saddr;
}

static inline struct refuse4 transit_refused(const struct transit *t)
{
	return (struct refuse4){ &t->policy->refused, &t->host->own.v4, NULL };
}

/* ---- sixbed4.c */

/* The two questions, to the listener number id. */
enum reason sixbed4_ask_out(struct transit *t, __u32 id, const struct passage *p, struct transit_out *out);
void sixbed4_came(struct transit *t, __u32 id, struct datagram_in *d, struct transit_out *out);

/* An echo request from native IPv6 to the router's address among its peers. */
void sixbed4_answer_native(struct transit *t, const struct passage *p, struct transit_out *out);

/* ---- hg48.c */

enum reason hg48_ask_out(struct transit *t, const struct passage *p, struct transit_out *out);
enum reason hg48_spend(struct transit *t, const struct passage *p, struct endpoint4 to,
		       struct relay_time now);
void hg48_came(struct transit *t, struct datagram_in *d, struct transit_out *out);

/* ---- server.c */

/* at: which of its two addresses. */
void server_came(struct transit *t, __u32 at, struct datagram_in *d, struct transit_out *out);

#endif
