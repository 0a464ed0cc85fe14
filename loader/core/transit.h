/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mechanisms beside the Teredo relay: what to do with a packet that goes into a tunnel of
 * theirs, or comes out of one. Pure, as the relay is: each call says what the caller has to send.
 */
#ifndef NAVALISD_TRANSIT_H
#define NAVALISD_TRANSIT_H

#include "core/host.h"
#include "core/relay.h"
#include "core/sixin4.h"

/* Where packets come from IPv4, and are sent to it. */
enum port {
	PORT_PROTO41,
	PORT_SIXBED4,
	PORT_SIXBED4_LAST = PORT_SIXBED4 + SIXBED4_LISTENERS - 1,
	PORT_SERVER,
	PORT_SERVER_2,
	PORT_HG48,
	PORT_MAX,
};

enum transit_act {
	TRANSIT_NOTHING,
	TRANSIT_WRITE, /* pkt to the TUN */
	TRANSIT_SEND,  /* pkt from a port to the endpoint to.dst */
};

struct transit_out {
	enum reason reason; /* the verdict on the packet that came */
	enum transit_act act;
	bool error;         /* pkt is an ICMPv6 error about that packet: sending it changes no verdict, */
	bool unreachable;   /* but is counted if it says so */
	enum port port;
	struct outer4 to;
	const volatile struct tunnel_link *link; /* of PORT_PROTO41: how the outer header looks */
	__u32 carrier;      /* that a packet sent on came by or goes into (enum carrier) */
	const void *pkt;    /* in the packet that came; else valid until the next call */
	size_t len;
	__u32 head;         /* bytes of it that stand before the IPv6 packet */
};

struct transit;

/* The pointers are the caller's and outlive it; what they point to may change between calls. */
int transit_new(const struct nav_config *policy, const struct host *host, __u64 seed, struct transit **ret);
struct transit *transit_free(struct transit *t);

/* In a second: ICMPv6 errors of each kind, router advertisements to one IPv4 address and to all; 0: no limit. */
void transit_set(struct transit *t, __u32 errors, __u32 to_one, __u32 to_all);

/* Other tunnels of 6in4 from now on (NULL: none); they stay the caller's. */
void transit_set_sixin4(struct transit *t, const struct sixin4_table *in4);

/*
 * The endpoints of HG48, in memory that XDP may share (navalis/hg48.h); without them there is no HG48.
 * To be called once. 0 or -ENOMEM.
 */
struct hg48_entry;
int transit_set_hg48(struct transit *t, struct hg48_entry *peers, const struct table_seed *seed);

/* The endpoint of a UDP port; address 0: it is not configured. */
struct endpoint4 transit_endpoint(const struct nav_config *policy, enum port port);

/* A prefix that is routed to the TUN. */
struct tun_route {
	struct prefix6 prefix;
	__u32 mtu;      /* the longest packet that may go there: the kernel says so to senders */
	bool blackhole; /* this start has made the one behind it (io/tunroute.h) */
};

/* All of them, the Teredo relay's too; ret has room for TUN_ROUTES(in4). Returns how many. */
#define TUN_ROUTES(in4) (TUNNEL_PREFIXES + 1 + ((in4) ? (in4)->n_prefixes : 0))
__u32 transit_routes(const struct nav_config *policy, const struct sixin4_table *in4,
		     struct tun_route *ret);

/* An IPv6 packet from the TUN. R_NOT_OURS: not to any of these tunnels. */
void transit_from_native(struct transit *t, const void *pkt, size_t len, struct relay_time now,
			 struct transit_out *out);

/* A whole IPv4 packet of protocol 41. pkt may be changed (ECN bits, hop limit). */
void transit_from_proto41(struct transit *t, void *pkt, size_t len, struct relay_time now,
			  struct transit_out *out);

/* A UDP payload that came to a port from an IPv4 endpoint. pkt may be changed (ECN bits, hop limit). */
void transit_from_udp(struct transit *t, enum port port, void *pkt, size_t len, struct endpoint4 from,
		      __u8 tos, struct relay_time now, struct transit_out *out);

/* Forgets what is out of date in one of so many parts of all state. */
void transit_sweep(struct transit *t, __u32 parts, struct relay_time now);

/* How many endpoints of HG48 have proven that they want packets, and how many are only sent some. */
void transit_hg48_peers(const struct transit *t, struct relay_time now, __u32 *confirmed,
			__u32 *unconfirmed);

/*
 * An ICMPv4 destination unreachable about a packet that we sent by a port, of which it quotes the first
 * len bytes: of protocol 41 from the IPv4 header on, else the UDP payload, which went to the endpoint
 * to. mtu: of the link that it did not fit, or 0 where the code is another or the router does not say
 * (RFC 1191 5). Leads to an error to its sender, or to nothing.
 */
void transit_icmp4(struct transit *t, enum port port, struct endpoint4 to, const void *quote, size_t len,
		   __u8 code, __u32 mtu, struct relay_time now, struct transit_out *out);

#endif
