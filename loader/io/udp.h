/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The UDP socket of the service endpoint. */
#ifndef NAVALISD_UDP_H
#define NAVALISD_UDP_H

#include "log.h"
#include "navalis/addr4.h"

#define UDP_BATCH 64
/*
 * A packet of 1280 bytes, and trailers. Not a power of two, or all packets of a batch would share a few
 * sets of the cache: 30 ns a packet.
 */
#define UDP_PAYLOAD 2112

struct datagram {
	__u8 *payload; /* the batch's; may be written */
	size_t len;
	struct endpoint4 from;
	__u8 tos;
};

struct udp;

/* Bound, non-blocking, DF off. warning gets a sentence (else is empty) when the buffer is small. */
int udp_new(struct endpoint4 service, struct udp **ret, struct error *warning, struct error *e);
struct udp *udp_free(struct udp *u);
int udp_fd(const struct udp *u);

/* Up to UDP_BATCH datagrams, valid until the next call. Returns how many, or negative errno. */
int udp_receive(struct udp *u, struct datagram **batch);

/* Datagrams that the socket's buffer had no room for, since the last call. */
__u32 udp_overflows(struct udp *u);

/* 0 or negative errno. */
int udp_send(struct udp *u, struct endpoint4 to, const void *payload, size_t len);

struct sending {
	struct endpoint4 to;
	const void *payload;
	size_t len;
	int err; /* 0 or negative errno: what came of it */
};

/* At most UDP_BATCH of them at once. */
void udp_send_batch(struct udp *u, struct sending *batch, int n);

/*
 * The next ICMPv4 error about a datagram of ours: to whom it went, and what the error quotes of its
 * payload. 1, or 0 when there is none.
 */
struct udp_error {
	struct endpoint4 to;
	__u8 type, code;
	size_t len;
	__u8 quote[256];
};
int udp_error(struct udp *u, struct udp_error *ret);

#endif
