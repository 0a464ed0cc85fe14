/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Teredo relay (RFC 4380 5.4, RFC 5991): what to do with a packet, and what falls due. Pure: no
 * socket, no clock; each call says what the caller has to send.
 */
#ifndef NAVALISD_RELAY_H
#define NAVALISD_RELAY_H

#include "core/cone.h"
#include "core/host.h"
#include "core/peers.h"
#include "core/remapped.h"
#include "core/sixin4.h"
#include "core/table.h"
#include "navalis/policy.h"

/* The present, on both clocks that the relay uses; both monotonic. */
struct relay_time {
	__u64 ms;
	__u64 units; /* coarse units, navalis/abi.h */
};

/* What the caller has to do, beside counting reason. Sending errors are the caller's to count. */
#define RELAY_SEND 1        /* pkt to the UDP endpoint to */
#define RELAY_WRITE 2       /* pkt to the TUN */
#define RELAY_BUBBLE 4      /* bubble to the UDP endpoint bubble_to: an indirect one */
#define RELAY_DIRECT 8      /* bubble to the UDP endpoint direct_to */
#define RELAY_UNREACHABLE 16 /* address unreachable about pkt to its source */
#define RELAY_KEPT_SEND 32  /* kept to the UDP endpoint to; counted as R_DEQUEUED */
#define RELAY_KEPT_WRITE 64 /* kept to the TUN; the same */

struct relay_out {
	enum reason reason; /* the verdict, or what happened; R_NONE: nothing to count */
	int act;            /* RELAY_ flags */
	const void *pkt;    /* in the packet that came; else valid until the next call */
	size_t len;
	const void *kept;   /* the packet that waited for this one; valid until the next call */
	size_t kept_len;
	struct endpoint4 to;
	struct endpoint4 bubble_to, direct_to;
	__u8 bubble[sizeof(struct ipv6hdr)];
};

struct relay_settings {
	__u32 pending, queue_bytes; /* fixed at the start */
	__u32 clients_per_address, clients_per_net;
	__u32 new_per_second, new_per_source, bubbles_per_client, bubbles_per_server;
	__u32 unreachables_per_second;
	struct cone_prefixes cone; /* the caller's, until others are set */
	bool behind_nat; /* the relay itself: direct bubbles open its own NAT, 5.4.1 */
};

struct relay;

/*
 * All pointers are the caller's and outlive the relay: policy and host may change between calls;
 * keys holds valid keys at any time. seed: random.
 */
int relay_new(const struct nav_config *policy, const struct host *host, struct table *table,
	      const struct cookie_keys *keys, const struct remap_ops *remap,
	      const struct relay_settings *settings, __u64 seed, struct relay_time now,
	      struct relay **ret);
struct relay *relay_free(struct relay *r);

/* Other settings from now on, but for the fixed ones. */
void relay_set(struct relay *r, const struct relay_settings *settings);

/* The tunnels of 6in4 from now on, that no packet of a client goes into unasked; NULL: none. */
void relay_set_sixin4(struct relay *r, const struct sixin4_table *in4);

/* An IPv6 packet from the TUN. R_NOT_OURS: not to a Teredo client. */
void relay_from_native(struct relay *r, const void *pkt, size_t len, struct relay_time now,
		       struct relay_out *out);

/* A UDP payload from an IPv4 endpoint. pkt may be changed (the inner ECN bits). */
void relay_from_udp(struct relay *r, void *pkt, size_t len, struct endpoint4 from, __u8 tos,
		    struct relay_time now, struct relay_out *out);

/*
 * An ICMPv4 error about a datagram of ours to an endpoint, quoting the first len bytes of its
 * payload. Only ever leads to a bubble, and to nothing where it quotes less than the inner header.
 */
void relay_icmp4(struct relay *r, struct endpoint4 to, const void *quote, size_t len,
		 struct relay_time now, struct relay_out *out);

/*
 * What falls due: call until it returns false, or the time that the caller has for it is over. A
 * call is some 10 us of work; out may say that there is nothing to do for the caller.
 * relay_sweep: one of so many parts of all clients is to be looked through, beside what is left.
 */
bool relay_next(struct relay *r, struct relay_time now, struct relay_out *out);
void relay_sweep(struct relay *r, __u32 parts);

/*
 * A walk over all clients that forgets those, proven or not, that match wants gone (at: where it
 * is). In steps, between which packets have their turn; no other walk may begin meanwhile. Zero at
 * its start, but for match, data and dry_run.
 */
struct relay_walk {
	bool (*match)(void *data, const struct in6_addr *client, struct endpoint4 at);
	void *data;
	bool dry_run;    /* only counts */
	__u32 n;         /* proven ones that matched */

	bool peers_done; /* where it is: among the unproven, then in the table, then in the map */
	__u32 peer, bucket;
	struct in6_addr remapped;
};

/* Goes on for so many of them; false: it is at its end. w stays where it is until then. */
bool relay_walk(struct relay *r, struct relay_walk *w, __u32 steps);

/* A walk that forgets those whom a changed policy no longer admits. */
struct relay_walk relay_enforcement(struct relay *r);

/* Calls visit for each client that is not proven, until it returns false. */
void relay_each_unproven(struct relay *r, bool (*visit)(void *data, struct peer *peer), void *data);

struct relay_gauges {
	struct peers_gauges peers;
	__u32 remapped;
};
struct relay_gauges relay_gauges(const struct relay *r);

#endif
