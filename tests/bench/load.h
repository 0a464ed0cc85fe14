/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the load generator (load.bpf.c) is told, and what it tells: one struct each in its .bss.
 */
#ifndef NAVALIS_BENCH_LOAD_H
#define NAVALIS_BENCH_LOAD_H

#include <navalis/bytes.h>

#define HEADERS_MAX 90 /* Ethernet, IPv4, UDP, IPv6, UDP */

/* A frame of which only the client is missing, and the sums of what is in it. */
struct template {
	__u8 head[96];
	__u32 ip_sum;    /* of the outer IPv4 header */
	__u32 outer_sum; /* of the outer UDP datagram: its inner packet counts as csum_lco() */
	__u32 inner_sum; /* of the inner UDP datagram with its pseudo-header */
};

struct load {
	struct template decap, encap;
	__u32 out4, out6;      /* where decap's and encap's frames are sent from: ifindex */
	__u32 clients;         /* of each frame one of so many, at random */
	__u32 hosts;           /* native ones */
	__u64 random;
};

/* Of one CPU. */
struct sunk {
	__u64 packets, bytes;
	__u64 answered; /* bubbles */
};

#endif
