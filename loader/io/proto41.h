/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The raw socket of protocol 41: 6to4, 6rd and 6in4. */
#ifndef NAVALISD_PROTO41_H
#define NAVALISD_PROTO41_H

#include "io/socket4.h"
#include "navalis/proto41.h"

struct proto41 {
	struct socket4 *socket; /* NULL: no mechanism needs it */
	__u16 id;               /* of the last packet that had to be divided */
};

/* Needs CAP_NET_RAW, which may then go. The socket is the caller's to free, after a failure too. */
int proto41_open(struct proto41 *p, struct error *e);

/* An IPv6 packet behind an outer header. 0 or negative errno. */
int proto41_send(struct proto41 *p, const volatile struct tunnel_link *link, const struct outer4 *to,
		 const void *pkt, size_t len);

#endif
