/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients that are not proven: who is being punched to, who stays silent, and what is kept for them.
 *
 * A fixed slab: peers in PROBE up to `pending`, weak ones as many, the remembered ones (QUIET, SILENT)
 * up to four times as many, one kept packet each out of a fixed number of 1280-byte places. Full
 * means refusal; the known are never displaced by the new. No clock and no I/O: a step returns what
 * to do.
 */
#ifndef NAVALISD_PEERS_H
#define NAVALISD_PEERS_H

#include <sys/queue.h>

#include "navalis/teredo.h"

enum peer_state {
	PEER_STAY,   /* in the table of rules: no change */
	PEER_NONE,   /* unknown */
	PEER_PROBE,  /* a bubble is on its way */
	PEER_QUIET,  /* no answer, but fewer than four bubbles: the next packet may try again */
	PEER_SILENT, /* four bubbles without an answer: refused until it is forgotten or speaks */
	PEER_WEAK,   /* served without proof (admission = rfc, cone_prefixes), while it speaks */
	PEER_STATE_MAX,
};

enum peer_event {
	EV_NATIVE,    /* a native packet for it */
	EV_DATA,      /* a packet from it, with the right outer source but no proof */
	EV_WEAK,      /* the same, where that is enough to be served */
	EV_CONE,      /* a native packet for one whose cone bit is believed */
	EV_REPEAT,    /* time for another bubble */
	EV_GIVE_UP,   /* no answer in time */
	EV_EXHAUSTED, /* the same, after the last bubble */
	EV_FORGET,    /* remembered for long enough, or weak and silent for too long */
	EV_PROVEN,    /* its bubble came with the right cookie */
	PEER_EVENT_MAX,
};

/* What a step asks for. */
#define PEER_BUBBLE 1 /* send it one */
#define PEER_KEEP 2   /* keep this packet, if there is room */
#define PEER_WANT 4   /* traffic goes on: the next repeat may be sent */
#define PEER_REFUSE 8 /* drop this packet: address unreachable */
#define PEER_FAILED 16 /* the kept packet gets its answer: address unreachable */
#define PEER_FRESH 32 /* it spoke: the count of bubbles starts anew */
#define PEER_SERVE 64 /* forward this packet, and one that is kept */

#define PEER_PACKET 1280

struct peer {
	struct in6_addr addr;
	enum peer_state state;
	__u8 bubbles;       /* since it last answered */
	bool wanted;
	bool kept_inbound;  /* the kept packet came from the client */
	__u16 kept_len;
	__u8 *kept;         /* one of the slab's places, or NULL */
	__u64 since_ms;     /* in this state; PEER_WEAK: since its last packet */
	__u64 bubble_ms;    /* last bubble */
	TAILQ_ENTRY(peer) list;
	LIST_ENTRY(peer) hash;
};

struct peers;

int peers_new(__u32 pending, __u32 queue_bytes, __u64 seed, struct peers **ret);
struct peers *peers_free(struct peers *p);

struct peer *peers_find(struct peers *p, const struct in6_addr *addr);

/*
 * One event for a peer; peer is NULL for one that is not known yet (addr then names it). Returns the
 * PEER_ actions to perform, or -ENOBUFS when a new one finds no place. *ret: the peer, NULL when it is gone.
 * A kept packet of a peer that leaves PROBE stays with it until peers_drop_kept().
 */
int peers_step(struct peers *p, struct peer *peer, const struct in6_addr *addr, enum peer_event ev,
	       __u64 now_ms, struct peer **ret);

/* Keeps a copy. False: one is kept already, it is too long, or every place is taken. */
bool peers_keep(struct peers *p, struct peer *peer, const void *pkt, size_t len, bool inbound);
void peers_drop_kept(struct peers *p, struct peer *peer);

/* Forgets a peer and what is kept for it; NULL is fine. */
void peers_remove(struct peers *p, struct peer *peer);

/* The next event that is due, or false. Each is to be given to peers_step() before the next call. */
bool peers_due(struct peers *p, __u64 now_ms, struct peer **peer, enum peer_event *ev);

/* Calls visit for each peer, which may remove it, until it returns false. */
void peers_each(struct peers *p, bool (*visit)(void *data, struct peer *peer), void *data);

/* The same for `n` places of the slab from `at` on. False: there are none behind them. */
bool peers_some(struct peers *p, __u32 at, __u32 n, bool (*visit)(void *data, struct peer *peer), void *data);

struct peers_gauges {
	__u32 pending, max_pending, silent, weak, queue_bytes, max_queue_bytes;
};
struct peers_gauges peers_gauges(const struct peers *p);

#endif
