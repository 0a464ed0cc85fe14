/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UDP sockets: that of the service endpoint, and one for each of the other mechanisms in UDP. */
#ifndef NAVALISD_UDP_H
#define NAVALISD_UDP_H

#include "io/socket4.h"

/* Bound, DF off. warning gets a sentence (else is empty) when the buffer is small. */
int udp_new(struct endpoint4 service, struct socket4 **ret, struct error *warning, struct error *e);

/* 0 or negative errno. */
int udp_send(struct socket4 *s, struct endpoint4 to, const void *payload, size_t len);

struct sending {
	struct endpoint4 to;
	const void *payload;
	size_t len;
	int err; /* 0 or negative errno: what came of it */
};

/* At most SOCKET4_BATCH of them at once. */
void udp_send_batch(struct socket4 *s, struct sending *batch, int n);

#endif
