/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The raw socket of protocol 41: 6to4, 6rd and 6in4. */
#ifndef NAVALISD_PROTO41_H
#define NAVALISD_PROTO41_H

#include "log.h"
#include "navalis/proto41.h"

#define PROTO41_BATCH 64
#define PROTO41_PACKET 2112 /* an IPv4 header with options, 1500 bytes of IPv6 (RFC 4213 3.6), padding */

struct proto41_packet {
	__u8 *ip; /* the batch's; may be written. Whole, for the kernel has put fragments together */
	size_t len;
};

struct proto41;

/* Non-blocking. Needs CAP_NET_RAW, which may then go. */
int proto41_new(struct proto41 **ret, struct error *e);
struct proto41 *proto41_free(struct proto41 *p);
int proto41_fd(const struct proto41 *p);

/* Up to PROTO41_BATCH packets, valid until the next call. Returns how many, or negative errno. */
int proto41_receive(struct proto41 *p, struct proto41_packet **batch);

/* Packets that the socket's buffer had no room for, since the last call. */
__u32 proto41_overflows(struct proto41 *p);

/* An IPv6 packet behind an outer header. 0 or negative errno. */
int proto41_send(struct proto41 *p, const volatile struct tunnel_link *link, const struct outer4 *to,
		 const void *pkt, size_t len);

/* The next ICMPv4 error about a packet of ours: 1, or 0 when there is none. */
struct proto41_error {
	__u8 type, code;
	__u32 mtu;        /* of a fragmentation that was needed, else 0 */
	size_t len;
	__u8 quote[1280]; /* from the outer header on */
};
int proto41_error(struct proto41 *p, struct proto41_error *ret);

#endif
