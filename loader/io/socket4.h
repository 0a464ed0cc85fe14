/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the sockets in IPv4 have in common, UDP and raw: batches, overflows, ICMPv4 errors. */
#ifndef NAVALISD_SOCKET4_H
#define NAVALISD_SOCKET4_H

#include "log.h"
#include "navalis/addr4.h"

#define SOCKET4_BATCH 64
/*
 * A packet of 1500 bytes (RFC 4213 3.6) behind an IPv4 header with options, and trailers. Not a power of
 * two, or all packets of a batch would share a few sets of the cache: 30 ns a packet.
 */
#define SOCKET4_PACKET 2112
#define SOCKET4_BUFFER (8 << 20) /* asked for; the kernel takes it twice */

struct datagram {
	__u8 *payload; /* the batch's; may be written. From a raw socket with its IPv4 header, and whole */
	size_t len;
	struct endpoint4 from; /* port 0 from a raw socket */
	__u8 tos;              /* of UDP */
};

struct socket4;

/* Non-blocking; its errors are read with what they quote. what: its name in a sentence. */
int socket4_new(int type, int protocol, const char *what, struct socket4 **ret, struct error *e);
struct socket4 *socket4_free(struct socket4 *s);
int socket4_fd(const struct socket4 *s);

/* 0 or negative errno, with a sentence. */
int socket4_set(struct socket4 *s, int option, int value, struct error *e);

/* Up to SOCKET4_BATCH of them, valid until the next call. Returns how many, or negative errno. */
int socket4_receive(struct socket4 *s, struct datagram **batch);

/* Those that the socket's buffer had no room for, since the last call. */
__u32 socket4_overflows(struct socket4 *s);

/*
 * The next ICMPv4 error about what we sent: to whom that went, and what the error quotes of it, of UDP the
 * payload. 1, or 0 when there is none.
 */
struct socket4_error {
	struct endpoint4 to;
	__u8 type, code;
	__u32 mtu; /* of a fragmentation that was needed, else 0 */
	size_t len;
	__u8 quote[1280];
};
int socket4_error(struct socket4 *s, struct socket4_error *ret);

#endif
