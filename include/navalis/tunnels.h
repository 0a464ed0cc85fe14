/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mechanisms beside the Teredo relay: what is configured of each, and which of them a packet
 * may go from and to. Plain data of a fixed size: for read-only data and maps.
 *
 * Addresses and ports are as on the wire. In prefixes the bits beyond the length are 0.
 */
#ifndef NAVALIS_TUNNELS_H
#define NAVALIS_TUNNELS_H

#include "addr4.h"
#include "addr6.h"
#include "meter.h"
#include "reasons.h"

enum tunnel {
	TUNNEL_NONE, /* native IPv6 */
	TUNNEL_TEREDO,
	TUNNEL_SIXBED4,
	TUNNEL_SIXTO4,
	TUNNEL_SIXRD,
	TUNNEL_SIXIN4,
	TUNNEL_HG48,
	TUNNEL_MAX,
};

/* The two ends of the outer packet. Ports are 0 in protocol 41. */
struct outer4 {
	struct endpoint4 src, dst;
};

/* How the outer packet looks. */
struct tunnel_link {
	__u32 mtu;       /* longest IPv6 packet, 1280..1480 */
	__u8 df;         /* «do not fragment»: where the source is anycast (RFC 5969 9.1) */
	__u8 copy_class; /* outer type of service is the inner traffic class (RFC 5969 9); else 0 */
	__u16 pad;
};

/* 6to4: a unicast relay (RFC 3056), or one that only sends the replies of its own host. */
#define SIXTO4_SENDERS 8

struct sixto4_config {
	__be32 local;     /* packets to it are for the relay; 0: there is no 6to4 */
	__be32 source;    /* of what it sends: local, or 192.88.99.1 if filters allow it */
	__u8 anycast;     /* packets to 192.88.99.1, too, are for it; off by default (RFC 7526 5) */
	__u8 return_only; /* never decapsulates, and sends for the senders alone (RFC 6343 4.5) */
	__u16 pad;
	__u32 n_senders;
	struct prefix6 sender[SIXTO4_SENDERS]; /* this host's own addresses, or its site */
	struct tunnel_link link;
};

/* 6rd: what a border relay shares with the customer edges of one domain (RFC 5969 7). */
#define SIXRD_DOMAINS 8
#define SIXRD_RELAYS 4

struct sixrd_domain {
	struct prefix6 prefix; /* of 1..64 bits; with 32 - v4_len more at most 64 */
	__be32 v4;             /* what the addresses of all customer edges begin with */
	__u32 v4_len;          /* IPv4MaskLen: so many bits of it, 0..32 */
	__be32 br;             /* the border relay's address, maybe anycast */
	__u32 n_relays;
	__be32 relay[SIXRD_RELAYS]; /* other relays of ours: never customers (RFC 5969 12) */
	struct tunnel_link link;
};

/* 6in4: one configured tunnel (RFC 4213 3). */
#define SIXIN4_PREFIXES 4

struct sixin4_tunnel {
	__be32 local, remote;
	__u32 id;          /* tells tunnels from each other */
	__u32 n_prefixes;
	struct prefix6 prefix[SIXIN4_PREFIXES]; /* what is behind it; global, or unique local */
	__u8 any_source;   /* accepts inner sources outside the prefixes, too (RFC 4213 3.6) */
	__u8 pad[7];
	struct tunnel_link link;
};

/* Addresses that some tunnel of 6in4 ends at: strangers are refused there by name. */
#define SIXIN4_LOCALS 8

struct sixin4_config {
	__u32 n_locals;
	__be32 local[SIXIN4_LOCALS];
};

/* HG48: the home-grown scheme (hg48.h), as a gateway. Times in a unit of the caller's. */
struct hg48_config {
	struct in6_addr prefix;    /* fd…, 80 bits, the last 16 of them 0 */
	struct endpoint4 service;  /* the gateway; address 0: there is no HG48 */
	__u32 life;                /* an endpoint is known so long after its last packet: 120 s */
	__u32 window;              /* one that has not answered is sent … in so much time: 10 s */
	__u32 window_packets;      /* … so many packets: 3 */
	__u32 max_peers;
	struct meter_rate fresh;   /* new endpoints for one native /64: 20 a second */
	__u16 min_port;            /* host order; lower ports are not sent to: 1024 */
	__u8 unsolicited;          /* strangers may begin */
	__u8 pad;
	struct tunnel_link link;   /* MTU 1280, DF 0 */
};

/* 6bed4: one listener. The formats: of draft-vanrein-6bed4-04, and of 2012. */
#define SIXBED4_LISTENERS 2
#define SIXBED4_ROUTES  10 /* told to peers: as many as the reference router takes */

enum sixbed4_format {
	SIXBED4_W2, /* IPv4 6 bits | 00 | IPv4 last 24 | port 16 | IPv4 bits 6, 7 | lanip 14 */
	SIXBED4_W1, /* EUI-64 of the six bytes port, low byte first, and IPv4 */
};

struct sixbed4_config {
	struct endpoint4 service; /* where peers find us; wire order; address 0: switched off */
	__u64 prefix;             /* the /64, first 8 bytes of addresses, as they lie in memory */
	__u16 mtu;                /* of the tunnel, bytes of IPv6; both ways */
	__u16 min_port;           /* host order: peers have no lower ports; 0 never is one */
	__u8 format;              /* enum sixbed4_format */
	__u8 retract;             /* 1: corrections take the old prefix back (drafts 1 to 3) */
	__u16 pad;
	__u32 n_routes;
	struct prefix6 route[SIXBED4_ROUTES]; /* told to peers; length 16..128 */
	__u32 pad2;
};

_Static_assert(sizeof(struct sixbed4_config) == 32 + 20 * SIXBED4_ROUTES, "no hidden padding");

/* The Teredo server (RFC 4380 5.3). */
struct teredo_server_config {
	__be32 addr[2];  /* primary, secondary; port 3544 of both; primary 0: switched off */
	__u16 relay_max; /* bytes behind the IPv6 header of what is sent on, trailers included */
	__u16 mtu;       /* told to clients in an MTU option; 0: no such option, as Microsoft's */
	__u32 pad;
};

_Static_assert(sizeof(struct teredo_server_config) == 16, "no hidden padding");

/*
 * What lies behind tunnels, and where a packet that came out of one may go on into another. The
 * configured tunnels (6in4) are too many for a list: they are in a map, and who asks has looked
 * there.
 */
#define TUNNEL_PREFIXES 24

struct tunnel_prefix {
	struct prefix6 prefix;
	__u32 tunnel; /* enum tunnel */
	__u32 id;     /* which of its kind: number of the 6rd domain or 6bed4 listener, else 0 */
};

struct tunnel_prefixes {
	__u64 cross; /* the ways that the operator has opened: TUNNEL_CROSS() */
	__u32 n, pad;
	struct tunnel_prefix of[TUNNEL_PREFIXES];
};

/* Bits, and no array: the verifier refuses an index that was itself read from a map. */
#define TUNNEL_CROSS(from, to) (1ULL << ((from) * 8 + (to)))
_Static_assert(TUNNEL_MAX <= 8, "one bit for each way");

/* Which tunnel an address is behind. in4: the one of 6in4, or NULL. */
PURE enum tunnel tunnels_of(const volatile struct tunnel_prefixes *t, const struct in6_addr *a,
			    const volatile struct sixin4_tunnel *in4, __u32 *id)
{
	if (in4) {
		*id = in4->id;
		return TUNNEL_SIXIN4;
	}
	for (__u32 i = 0; i < TUNNEL_PREFIXES && i < t->n; i++)
		if (prefix6_has(&t->of[i].prefix, a)) {
			*id = t->of[i].id;
			return (enum tunnel)t->of[i].tunnel;
		}
	return TUNNEL_NONE;
}

/*
 * May a packet that came by tunnel number id of a kind go on to dst, which is behind to or behind no
 * tunnel of 6in4? Two 6rd sites of one domain meet at their relay (RFC 5969 8); nobody else turns
 * round in the tunnel that he came by.
 */
PURE enum reason tunnels_cross(const volatile struct tunnel_prefixes *t, enum tunnel from, __u32 id,
			       const struct in6_addr *dst, const volatile struct sixin4_tunnel *to)
{
	__u32 to_id = 0;
	enum tunnel kind = tunnels_of(t, dst, to, &to_id);

	if (kind == TUNNEL_NONE)
		return R_NONE;
	if (kind == from && to_id == id)
		return from == TUNNEL_SIXRD ? R_NONE : R_DST_TUNNEL;
	return t->cross & TUNNEL_CROSS(from, kind) ? R_NONE : R_DST_TUNNEL;
}

/*
 * The same from the other side: may a packet that arrives from native IPv6 go into a tunnel of this
 * kind? What is behind 6rd, 6in4 and HG48 is behind this host alone: with such a source it has
 * crossed over, or it is forged. Teredo, 6bed4 and 6to4 addresses come by relays of others, too.
 */
PURE enum reason tunnels_native(const volatile struct tunnel_prefixes *t, enum tunnel to,
				const struct in6_addr *src,
				const volatile struct sixin4_tunnel *from)
{
	__u32 id;
	enum tunnel kind = tunnels_of(t, src, from, &id);

	if (kind != TUNNEL_SIXRD && kind != TUNNEL_SIXIN4 && kind != TUNNEL_HG48)
		return R_NONE;
	return t->cross & TUNNEL_CROSS(kind, to) ? R_NONE : R_SRC_TUNNEL;
}

#endif
