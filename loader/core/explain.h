/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this relay would do with a packet to an address and with one from it, and why: the same
 * functions are asked that decide on packets. Pure.
 */
#ifndef NAVALISD_EXPLAIN_H
#define NAVALISD_EXPLAIN_H

#include "core/cone.h"
#include "core/host.h"
#include "core/peers.h"
#include "core/sixin4.h"

/* What is known of a Teredo client beside its address. Zero: nothing. */
struct explain_client {
	bool known, remapped; /* in the table of proven clients, of any age; in the map of remapped
				 ones */
	struct endpoint4 at;  /* where it is, if known */
	__u32 stamp;	      /* of its last packet, if known */
	bool has_proof;
	__u64 proof_ms; /* since it last proved itself; up to 4.6 hours */

	enum peer_state state; /* else; PEER_STAY or PEER_NONE: never heard of */
	__u8 bubbles;
	bool kept;	/* a packet waits for it */
	__u64 since_ms; /* in this state */
};

/* All pointers are the caller's. */
struct explain_world {
	const struct nav_config *cfg;
	const struct host *host;
	struct cone_prefixes cone;
	const struct nav_clock *clock;
	const struct sixin4_table *in4; /* NULL: there are none */
	struct explain_client client;	/* of the address that is asked about */
	__u64 now;			/* coarse units */
	bool xdp;			/* the program is on some NIC */
};

enum explain_about {
	EXPLAIN_ADDRESS, /* what the address is */
	EXPLAIN_TO,	 /* a packet to it */
	EXPLAIN_FROM,	 /* a packet from it */
};

/* One stage. */
struct explain_line {
	enum explain_about about;
	enum reason reason; /* the verdict; R_NONE: there is none here, a fact alone */
	char text[160];
};

/*
 * 6rd domains, listeners of 6bed4 and five others, in both directions; of an IPv4 address, for each
 * local end of 6in4 a tunnel, in both directions, or why there is none; what it is of ours; and facts.
 */
#define EXPLAIN_LINES \
	(2 * (SIXRD_DOMAINS + SIXBED4_LISTENERS + 5) + 3 * SIXIN4_LOCALS + SIXRD_DOMAINS + 16)

struct explained {
	const char *mechanism;
	struct endpoint4 at; /* IPv4 endpoint that the address is behind; address 0: none. Port 0:
				protocol 41 */
	bool has_peer;
	struct in6_addr peer; /* the native address that is taken for the other end */
	__u32 n;
	struct explain_line line[EXPLAIN_LINES];
};

void explain_address6(const struct explain_world *w, const struct in6_addr *a,
		      struct explained *ret);
void explain_address4(const struct explain_world *w, __be32 a, struct explained *ret);

#endif
