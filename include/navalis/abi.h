/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the XDP program, navalisd, navalisctl and the tests share in memory: the configuration in
 * the program's read-only data, and the values of the pinned maps.
 *
 * A change of any of these structs raises NAV_ABI; a folder of another number is refused.
 */
#ifndef NAVALIS_ABI_H
#define NAVALIS_ABI_H

#include "addr4.h"
#include "addr6.h"
#include "meter.h"
#include "reasons.h"
#include "regions.h"
#include "table.h"
#include "teredo.h"
#include "tunnels.h"

#define NAV_ABI 7
#define NAV_MAGIC 0x6e617661 /* «nava» */

/* Where an instance is, by its name. The folder of pins is 0700. */
#define NAV_RUN "/run/navalis"
#define NAV_SOCKET NAV_RUN "/%s.sock"
#define NAV_LOCK NAV_RUN "/%s.lock"
#define NAV_BPFFS "/sys/fs/bpf"
#define NAV_FOLDER NAV_BPFFS "/%s"
#define NAV_NETNS "/proc/self/ns/net"

/*
 * The maps in the folder: what a value is, and who writes it. Beside them link_N, the pinned
 * bpf_link of NIC slot N, and prog_N, the program that it runs: what an attach that fails goes back to.
 */
#define NAV_PINNED(P)                                                                              \
	P(META, meta)         /* struct nav_meta, one value: made with the folder, read only */    \
	P(CLIENTS, clients)   /* struct bucket, mmapable array: by navalisd, stamped by XDP */     \
	P(IDENTITIES, identities) /* struct client, the same, for each word: by navalisd */        \
	P(REMAPPED, remapped) /* struct remapped, hash: clients behind symmetric NATs */           \
	P(COOKIES, cookies)   /* struct cookie_keys, one value: teredo.h; by navalisd */           \
	P(OWN, own)           /* struct nav_own, one value: this host's addresses; by navalisd */  \
	P(PORTS, ports)       /* struct nav_port, array: by NIC slot; by navalisd */               \
	P(VLANS, vlans)       /* struct nav_port, hash: by a NIC and its tags; by navalisd */      \
	P(TAGGED, tagged)     /* struct nav_tags, hash: the other way round, by ifindex */         \
	P(ROUTES, routes)     /* struct nav_routes, mmapable array of families: by navalisd */      \
	P(COUNTERS, counters) /* struct nav_counts, per CPU, array: by NIC slot; by XDP */          \
	P(DAEMON, daemon)     /* struct nav_daemon, one value, mmapable: navalisd's own figures */

/* Pinned, too, where HG48 is configured: struct hg48_entry, mmapable array: by navalisd, stamped by XDP. */
#define NAV_HG48 "hg48_peers"

#define NAV_NICS 8    /* NICs of one instance */
#define NAV_SERVED 16 /* served prefixes */
#define NAV_MACS 4    /* of one interface: its own, and those of macvlan interfaces above it (VRRP) */
#define NAV_VLANS 256 /* VLAN interfaces above our NICs */
#define NAV_NEIGHS 64 /* next hops that the kernel is asked to keep resolved */

#define NAV_RTPROT 110                 /* «protocol» of the routes that navalisd makes: n */
#define NAV_ROUTE_METRIC 1024          /* 2001::/32 to the TUN */
#define NAV_BLACKHOLE_METRIC 0x7fffffff /* the same to nowhere, for when the TUN is not there */

/* How the clock of all stamps is made of the kernel's ticks; the same until the next boot. */
struct nav_clock {
	__u64 tick_ns;    /* length of a tick (1/HZ) */
	__s64 offset_ns;  /* CLOCK_MONOTONIC - jiffies64 * tick_ns */
	__u32 shift;      /* a coarse unit is 2^shift ticks */
	__u32 pad;
};

/* Coarse units at a time of CLOCK_MONOTONIC in ns. */
PURE __u64 nav_units(const struct nav_clock *c, __u64 mono_ns)
{
	return (mono_ns - (__u64)c->offset_ns) / c->tick_ns >> c->shift;
}

/* Whole coarse units in a time, rounded down: an age below it is surely younger. */
PURE __u32 nav_units_of_ms(const struct nav_clock *c, __u32 ms)
{
	return (__u32)((__u64)ms * 1000000 / (c->tick_ns << c->shift));
}

PURE __u64 nav_ms_of_units(const struct nav_clock *c, __u64 units)
{
	return units * (c->tick_ns << c->shift) / 1000000;
}

/* Argument of the program read_clock, which fills it in: both clocks at one moment. */
struct nav_clock_reading {
	__u64 ticks;   /* jiffies64, which user space cannot read */
	__u64 mono_ns; /* CLOCK_MONOTONIC */
};

struct nav_meta {
	__u32 magic, abi;
	__u32 buckets;   /* of the table */
	__u32 reasons;   /* R_MAX of the writer */
	struct nav_clock clock;
	struct table_seed seed;
};

/* Where a client behind a symmetric NAT really is; the stamp is as in table.h. */
struct remapped {
	struct endpoint4 endpoint;
	__u64 stamp;
};

/*
 * This host's IPv4 addresses, and the first and last ones of its networks: nothing that embeds one
 * is to be sent to either (RFC 4380 5.2.4). Not written in one step: a reader may for a moment see
 * a mixture, which is why XDP only ever uses them to name a drop that the slow path would decide on
 * as well.
 */
struct nav_own {
	struct addr4_set v4;
};

/* A VLAN tag as it lies in the frame: ETH_P_8021Q or ETH_P_8021AD, and the identifier alone. */
struct nav_tag {
	__be16 proto, id;
};

/* What a VLAN interface stands for: its NIC, and its tags from the outermost on; unused ones are 0. */
struct nav_tags {
	__u32 nic;
	struct nav_tag tag[2];
};

/* Whose frames are ours: the kernel, too, takes those alone that are addressed to the interface. */
struct nav_port {
	__u64 mac[NAV_MACS]; /* mac_word(); unused ones repeat the first */
	__u32 ifindex, pad;
};

PURE bool nav_port_has(const struct nav_port *p, __u64 mac)
{
	_Static_assert(NAV_MACS == 4, "one term for each");

	return mac == p->mac[0] || mac == p->mac[1] || mac == p->mac[2] || mac == p->mac[3];
}

/* One counter of the XDP program. */
struct nav_count {
	__u64 packets, bytes;
};

/* Of a NIC: what came in, then one for each reason. */
#define NAV_RX 0
#define NAV_COUNT_OF(reason) (1 + (reason))
#define NAV_COUNTERS (1 + R_MAX)

struct nav_counts {
	struct nav_count of[NAV_COUNTERS];
};

/*
 * What the mechanisms beside the relay have carried: IPv6 packets that came out of one and went on, and
 * those that were sent into it. A row for each that may be configured, and one for each tunnel of 6in4.
 */
struct carried {
	struct nav_count in, out;
};

enum carrier {
	CARRIER_SERVER,
	CARRIER_SIXTO4,
	CARRIER_HG48,
	CARRIER_SIXBED4,
	CARRIER_SIXRD = CARRIER_SIXBED4 + SIXBED4_LISTENERS,
	CARRIER_SIXIN4 = CARRIER_SIXRD + SIXRD_DOMAINS,
};

/* Rodata of the XDP program, and the policy of the slow path: the same struct, the same decisions. */
struct nav_config {
	/* Teredo relay */
	struct endpoint4 service;  /* the one address and port of bubbles and data, 5.4 */
	__u64 bubble_prefix;       /* first 8 bytes of our bubbles' source */
	__u32 mtu;                 /* of the tunnel */
	__u32 life;                /* coarse units that a client stays valid */
	__u32 reproof;             /* coarse units of silence after which a client in use is asked again */
	__u8 admission_rfc;        /* 5.4.2 to the letter: unproven clients are served, by the daemon only */
	__u8 checksum_zero;        /* send outer checksum 0 where it cannot be derived */
	__u8 local_services;       /* Teredo clients may reach this host's own addresses */
	__u8 frags;                /* frames may lie in several buffers: jumbo frames */

	/* whatever the mechanism */
	__u32 n_served;            /* 0: the whole of native IPv6 */
	struct prefix6 served[NAV_SERVED];
	struct addr4_set refused;  /* never sent to, never believed */

	/* the data path */
	__u32 n_nics;
	__u32 nic[NAV_NICS];       /* ifindex; the slot is the index */
	__u32 buckets;             /* of the table */
	__u32 clock_shift;
	struct table_seed seed;
	__u32 nexthop_life;        /* coarse units that a next hop is believed without asking again */
	struct meter_rate meter[METER_MAX]; /* of each CPU; unit: a tick */
	struct meter_rate advertise;        /* to one IPv4 address; the same */

	/* the other mechanisms; what is not configured is all zero */
	struct teredo_server_config server;
	struct sixbed4_config sixbed4[SIXBED4_LISTENERS];
	struct sixto4_config sixto4;
	__u32 n_sixrd;
	struct sixrd_domain sixrd[SIXRD_DOMAINS];
	struct sixin4_config sixin4; /* the tunnels themselves are in maps */
	struct hg48_config hg48;     /* in coarse units */
	struct tunnel_prefixes tunnels;
};

/* A NIC as navalisd last saw it. */
struct nav_nic {
	char name[16];
	__u32 ifindex; /* 0: not there */
	__u32 prog_id; /* 0: not attached */
	__u32 mode;    /* enum nav_mode; what came of it */
	__u32 mtu;
	__u8 frags;    /* its program takes frames in several buffers */
	__u8 down;     /* no carrier, or switched off */
	__u8 strips;   /* it takes VLAN tags off where there are VLAN interfaces */
	__u8 shared;   /* behind libxdp's dispatcher, with other programs */
};

enum nav_mode {
	NAV_MODE_OFF,
	NAV_MODE_NATIVE,
	NAV_MODE_GENERIC,
	NAV_MODE_AUTO, /* only as a wish */
};

/* How XDP knows the next hops of one family of addresses (regions.h). */
enum nav_hops {
	HOPS_UNKNOWN,     /* at this moment */
	HOPS_BY_ROUTE,
	HOPS_RULES,       /* policy routing rules: one destination at a time */
	HOPS_MANY_ROUTES, /* more than there is room for: the same */
	HOPS_NO_GATEWAY,  /* no route leads to a single gateway by a NIC of ours: the same */
};

/* navalisd's figures, for navalisctl, which reads them also when it is dead. */
struct nav_daemon {
	__u32 pid;
	__u32 n_nics;
	__u64 started_ns;   /* CLOCK_MONOTONIC */
	__u64 seen_ns;      /* written each second while alive */
	__u64 stopped_ns;   /* of an orderly stop; 0: none */
	__u64 longest_ns;   /* since the start: what one event took, and all others waited */
	__u64 loaded_ns;    /* when the configuration was loaded that is in force */
	__u64 refused_ns;   /* when a reload was refused since then; 0: none was */
	__u32 reloads;      /* since the start */
	__u32 service_gone; /* the service address is not on this host */
	__u64 netns;        /* inode of the network namespace that routes, TUN and NICs are in */
	char version[32];
	struct nav_nic nic[NAV_NICS];
	char tun[16];
	__u32 n_neighs;
	struct nav_neigh {
		__u32 ifindex, family; /* AF_INET, AF_INET6 */
		struct in6_addr addr;  /* IPv4 in the first four bytes */
	} neigh[NAV_NEIGHS];
	__u32 hops[REGION_FAMILIES]; /* enum nav_hops */
	__u32 moving; /* clients of the table: counts up when one begins to be moved, and when it is done */
	__u32 mode_wanted;  /* enum nav_mode */
	__u32 laboratory;   /* the refused lists are off */
	__u32 cone_prefixes; /* how many there are, whose clients are sent to without proof */

	/* gauges */
	__u32 clients;      /* in the table, any age */
	__u32 max_clients;
	__u32 remapped;
	__u32 pending;      /* being punched to */
	__u32 max_pending;
	__u32 silent;       /* known not to answer */
	__u32 weak;         /* served without proof: admission = rfc */
	__u32 queue_bytes;
	__u32 max_queue_bytes;
	__u32 life;         /* coarse units */
	struct endpoint4 service;

	/* counters of the slow path: packets read from TUN and sockets, and the reasons */
	struct nav_count rx_tun, rx_udp, rx_proto41;
	struct nav_count count[R_MAX];
};

#endif
