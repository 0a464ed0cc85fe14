/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the load generator (load.bpf.c) is told and what it tells, in its .bss.
 */
#ifndef NAVALIS_BENCH_LOAD_H
#define NAVALIS_BENCH_LOAD_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <navalis/tunnels.h>
#include <navalis/teredo-server.h>

#define HEADERS_MAX 104

/* A frame of which only the client is missing, and the sums of what is in it. */
struct template {
	__u8 head[HEADERS_MAX];
	__u32 ip_sum;    /* of the outer IPv4 header */
	__u32 outer_sum; /* of the outer UDP datagram: its inner packet counts as csum_lco() */
	__u32 inner_sum; /* of the inner UDP datagram with its pseudo-header */
};

/* What Windows asks a Teredo server with. */
struct solicitation {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__u8 auth[TEREDO_AUTH_LEN];
	struct ipv6hdr ip6;
	__u8 icmp[ND_RS_LEN];
} __attribute__((packed, aligned(2)));

_Static_assert(sizeof(struct solicitation) <= HEADERS_MAX, "templates");

/* What a paced run mixes. */
enum kind {
	KIND_DECAP,    /* of a proven client, with the time in it */
	KIND_ENCAP,    /* to one, with the time in it */
	KIND_NEW,      /* to a client of which the relay has not heard, each only once, with the time in it */
	KIND_STRANGER, /* native, to some Teredo address that nobody answers for */
	KIND_FORGED,   /* a proven client's address from another endpoint */
	KIND_UNPROVEN, /* from the endpoint of an unproven client */
	KIND_BUBBLE,   /* with a cookie that is none */
	KINDS,
};

struct load {
	struct template decap, encap, bubble, solicit;
	__u32 out4, out6;      /* where frames of the two sides are sent from: ifindex */
	__u32 clients;         /* each frame is of one of so many, at random */
	__u32 hosts;           /* native ones */
	__u64 random;

	/* of paced runs */
	__u64 pause_ns;        /* between two frames; 0: as fast as the window lets */
	__u64 next_ns;
	__u32 window;          /* new clients that have not answered yet, at most; 0: any number */
	__u32 share[KINDS];    /* of 256, added up: a frame is of the first kind above its random number */
	__u64 sent[KINDS];
	__u64 got[KINDS];      /* of those with the time in them */
	__u64 answered;        /* bubbles */
};

/* What is counted where it ends. */
enum sink {
	SINK_4,       /* all that arrives on a side */
	SINK_6,
	SINK_ANSWERS, /* advertisements, each with the nonce and the origin of a solicitation */
	SINKS,
};

/* Of one CPU. */
struct sunk {
	__u64 packets, bytes;
};

/* How long frames with the time in them were on their way: eight classes for each power of two of ns. */
#define DELAYS 512
#define DELAY_SHIFT 3

/* Lies at the beginning of the inner payload. */
struct mark {
	__u32 magic;
	__u32 kind;
	__u64 sent_ns; /* CLOCK_MONOTONIC */
} __attribute__((packed, aligned(2)));

#define MARK_MAGIC 0x6d61726b

#endif
