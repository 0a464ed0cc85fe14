/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the relay share and nobody else sees. Sections are those of RFC 4380. */
#ifndef NAVALISD_RELAY_IMPL_H
#define NAVALISD_RELAY_IMPL_H

#include "core/relay.h"

struct relay {
	const struct nav_config *policy;
	const struct host *host;
	struct table *table;
	const struct cookie_keys *keys;
	const struct sixin4_table *in4;
	struct remaps remaps;

	struct peers *peers;
	struct caps *per_address, *per_net;
	struct limiter *fresh, *per_source, *per_client, *per_server, *unreachable;

	struct cone_prefixes cone;
	bool behind_nat;
	__u8 flushed[PEER_PACKET]; /* a kept packet on its way out */

	/* relay-due.c */
	__u32 sweep, sweep_left;  /* next bucket; how many more in this round */
	__u32 turn;               /* which of SETTLED_ONE_OF buckets are settled */
	struct in6_addr remap_at; /* the same for remapped clients: the last one looked at */
	__u32 remap_left;

	/* relay-walk.c */
	struct relay_walk *walk; /* the one that is under way, or was last */
};

static inline void relay_refuse(struct relay_out *out, enum reason reason)
{
	out->reason = reason;
	out->act = 0;
}

/* ---- relay-proven.c --------------------------------------------------------------------------- */

/* Where a proven client was found, and where it is. */
struct proven {
	struct client *entry; /* NULL: in the map of remapped clients */
	struct remapped remap;
	struct endpoint4 at;
};

/* Is this client proven, and young? In the table, or behind a symmetric NAT. */
bool relay_find(struct relay *r, const struct in6_addr *addr, __u32 now, struct proven *p);

void relay_stamp(struct relay *r, const struct in6_addr *addr, struct proven *p, __u32 now);

/* As XDP does it: sent to after a long silence, the client is to prove itself again. */
void relay_mark_sent(struct relay *r, const struct in6_addr *addr, struct proven *p, __u32 now);

/* Of the caps, held by every client in table and map: by where it is. */
void relay_hold(struct relay *r, __be32 addr, bool hold);

/* Once, by those that are in the table at the start. */
void relay_hold_table(struct relay *r);

void relay_drop_client(struct relay *r, struct client *c);
void relay_drop_remapped(struct relay *r, const struct in6_addr *client, const struct remapped *m);

/*
 * Puts a client into the table, or into the map when its NAT gave it another endpoint towards us;
 * never into both, for it is where it proved itself last. The new place first: it is never nowhere.
 * It does not count against the caps itself, and lower caps than before do not turn it out.
 */
enum reason relay_admit(struct relay *r, const struct in6_addr *client, struct endpoint4 from,
			struct relay_time now);

/* ---- relay-unproven.c ------------------------------------------------------------------------- */

/* An indirect one; at: where the client is to be found directly. */
void relay_put_bubble(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
		      struct relay_time now, struct relay_out *out);

/* The packet that was kept for this one's client goes with it. */
void relay_put_kept(struct relay *r, struct peer *peer, struct relay_out *out);

/*
 * A packet to (EV_NATIVE, EV_CONE) or from (EV_DATA, EV_WEAK) a client that is not proven. R_NONE:
 * it is served all the same.
 */
void relay_unproven(struct relay *r, const struct in6_addr *client, enum peer_event ev,
		    const struct in6_addr *native, const void *pkt, size_t len,
		    struct relay_time now, struct relay_out *out);

/*
 * Asks a proven client to prove itself again. The limits on new clients are not asked, and no place
 * among the unproven is needed: a flood of those must not cost a proven one its life. 5.2.6 is
 * proof_ask()'s to hold.
 */
bool relay_ask(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
	       struct proof *proof, __u16 pause, struct relay_time now, struct relay_out *out);

#endif
