// SPDX-License-Identifier: GPL-2.0-or-later
/* The state machine of unproven clients. */
#include <stdlib.h>

#include "core/peers.h"

#define REMEMBERED 4 /* times as many as pending */

TAILQ_HEAD(peer_list, peer);
LIST_HEAD(peer_chain, peer);

struct peers {
	struct peer *slab;
	struct peer_list unused, probe, remembered, weak; /* the last three: oldest first */
	struct peer_chain *chain;
	__u32 chain_mask;
	__u64 seed;
	struct peer *scan; /* where peers_due() goes on among the probes */
	__u64 scanned_ms;

	__u8 *places;
	__u32 *unused_place; /* a stack */
	__u32 n_places, n_unused;
	__u32 pending, max_pending, n_remembered, n_weak;
};

/* RFC 4380 5.4.1 and 5.2.6, with the cookie that comes back in a bubble as the only proof. */
static const struct {
	enum peer_state next;
	int act;
} rules[PEER_STATE_MAX][PEER_EVENT_MAX] = {
	[PEER_NONE] = {
		[EV_NATIVE]    = { PEER_PROBE, PEER_BUBBLE | PEER_KEEP },
		[EV_DATA]      = { PEER_PROBE, PEER_BUBBLE | PEER_KEEP },
		[EV_WEAK]      = { PEER_WEAK, PEER_BUBBLE | PEER_SERVE },
		[EV_CONE]      = { PEER_WEAK, PEER_SERVE },
	},
	[PEER_PROBE] = {
		[EV_NATIVE]    = { PEER_STAY, PEER_WANT | PEER_KEEP },
		[EV_DATA]      = { PEER_STAY, PEER_WANT | PEER_KEEP },
		[EV_WEAK]      = { PEER_WEAK, PEER_SERVE },
		[EV_CONE]      = { PEER_WEAK, PEER_SERVE },
		[EV_REPEAT]    = { PEER_STAY, PEER_BUBBLE },
		[EV_GIVE_UP]   = { PEER_QUIET, PEER_FAILED },
		[EV_EXHAUSTED] = { PEER_SILENT, PEER_FAILED },
		[EV_PROVEN]    = { PEER_NONE, 0 },
	},
	[PEER_QUIET] = {
		[EV_NATIVE]    = { PEER_PROBE, PEER_BUBBLE | PEER_KEEP },
		[EV_DATA]      = { PEER_PROBE, PEER_FRESH | PEER_BUBBLE | PEER_KEEP },
		[EV_WEAK]      = { PEER_WEAK, PEER_FRESH | PEER_BUBBLE | PEER_SERVE },
		[EV_CONE]      = { PEER_WEAK, PEER_FRESH | PEER_SERVE },
		[EV_FORGET]    = { PEER_NONE, 0 },
		[EV_PROVEN]    = { PEER_NONE, 0 },
	},
	[PEER_SILENT] = {
		[EV_NATIVE]    = { PEER_STAY, PEER_REFUSE },
		[EV_DATA]      = { PEER_PROBE, PEER_FRESH | PEER_BUBBLE | PEER_KEEP },
		[EV_WEAK]      = { PEER_WEAK, PEER_FRESH | PEER_BUBBLE | PEER_SERVE },
		[EV_CONE]      = { PEER_WEAK, PEER_FRESH | PEER_SERVE },
		[EV_FORGET]    = { PEER_NONE, 0 },
		[EV_PROVEN]    = { PEER_NONE, 0 },
	},
	[PEER_WEAK] = {
		[EV_NATIVE]    = { PEER_STAY, PEER_SERVE },
		[EV_DATA]      = { PEER_WEAK, PEER_SERVE },
		[EV_WEAK]      = { PEER_WEAK, PEER_SERVE },
		[EV_CONE]      = { PEER_STAY, PEER_SERVE },
		[EV_REPEAT]    = { PEER_STAY, PEER_BUBBLE },
		[EV_FORGET]    = { PEER_NONE, 0 },
		[EV_PROVEN]    = { PEER_NONE, 0 },
	},
};

int peers_new(__u32 pending, __u32 queue_bytes, __u64 seed, struct peers **ret)
{
	__u32 n = pending * (2 + REMEMBERED), chains = 64;
	struct peers *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	while (chains < n)
		chains *= 2;
	p->n_places = p->n_unused = queue_bytes / PEER_PACKET;
	p->slab = calloc(n, sizeof(*p->slab));
	p->chain = calloc(chains, sizeof(*p->chain));
	p->places = calloc(p->n_places + 1, PEER_PACKET);
	p->unused_place = calloc(p->n_places + 1, sizeof(*p->unused_place));
	if (!p->slab || !p->chain || !p->places || !p->unused_place) {
		peers_free(p);
		return -ENOMEM;
	}
	p->chain_mask = chains - 1;
	p->max_pending = pending;
	p->seed = seed | 1;
	TAILQ_INIT(&p->unused);
	TAILQ_INIT(&p->probe);
	TAILQ_INIT(&p->remembered);
	TAILQ_INIT(&p->weak);
	for (__u32 i = 0; i < n; i++)
		TAILQ_INSERT_TAIL(&p->unused, &p->slab[i], list);
	for (__u32 i = 0; i < p->n_places; i++)
		p->unused_place[i] = i;
	*ret = p;
	return 0;
}

struct peers *peers_free(struct peers *p)
{
	if (p) {
		free(p->slab);
		free(p->chain);
		free(p->places);
		free(p->unused_place);
		free(p);
	}
	return NULL;
}

static struct peer_chain *chain_of(struct peers *p, const struct in6_addr *a)
{
	__u64 h = (load64(a) ^ p->seed) * p->seed;

	h = (h ^ h >> 32 ^ load64(a->s6_addr + 8)) * 0x9e3779b97f4a7c15ULL;
	return &p->chain[h >> 32 & p->chain_mask];
}

struct peer *peers_find(struct peers *p, const struct in6_addr *addr)
{
	struct peer *peer;

	LIST_FOREACH(peer, chain_of(p, addr), hash)
		if (in6_equal(&peer->addr, addr))
			return peer;
	return NULL;
}

/* Takes a peer out of the list of its state. */
static void leave(struct peers *p, struct peer *peer)
{
	if (p->scan == peer)
		p->scan = TAILQ_NEXT(peer, list);
	if (peer->state == PEER_PROBE) {
		TAILQ_REMOVE(&p->probe, peer, list);
		p->pending--;
	} else if (peer->state == PEER_WEAK) {
		TAILQ_REMOVE(&p->weak, peer, list);
		p->n_weak--;
	} else {
		TAILQ_REMOVE(&p->remembered, peer, list);
		p->n_remembered--;
	}
}

static void enter(struct peers *p, struct peer *peer, enum peer_state state, __u64 now_ms)
{
	peer->state = state;
	peer->since_ms = now_ms;
	if (state == PEER_PROBE) {
		TAILQ_INSERT_TAIL(&p->probe, peer, list);
		p->pending++;
	} else if (state == PEER_WEAK) {
		TAILQ_INSERT_TAIL(&p->weak, peer, list);
		p->n_weak++;
	} else {
		TAILQ_INSERT_TAIL(&p->remembered, peer, list);
		p->n_remembered++;
	}
}

static struct peer *add(struct peers *p, const struct in6_addr *addr, enum peer_state state,
			__u64 now_ms)
{
	struct peer *peer = TAILQ_FIRST(&p->unused);

	TAILQ_REMOVE(&p->unused, peer, list);
	*peer = (struct peer){ .addr = *addr };
	LIST_INSERT_HEAD(chain_of(p, addr), peer, hash);
	enter(p, peer, state, now_ms);
	return peer;
}

int peers_step(struct peers *p, struct peer *peer, const struct in6_addr *addr, enum peer_event ev,
	       __u64 now_ms, struct peer **ret)
{
	enum peer_state state = peer ? peer->state : PEER_NONE, next = rules[state][ev].next;
	int act = rules[state][ev].act;

	*ret = peer;
	if (!peer && next == PEER_STAY)
		return 0;
	if ((next == PEER_PROBE && p->pending == p->max_pending) ||
	    (next == PEER_WEAK && state != PEER_WEAK && p->n_weak == p->max_pending))
		return -ENOBUFS;
	if (next == PEER_NONE) {
		peers_remove(p, peer);
		*ret = NULL;
		return act;
	}
	if (!peer) {
		*ret = peer = add(p, addr, next, now_ms);
	} else if (next != PEER_STAY) {
		leave(p, peer);
		enter(p, peer, next, now_ms);
	}
	if (act & PEER_FRESH)
		peer->bubbles = 0;
	if (act & PEER_WANT)
		peer->wanted = true;
	if (act & PEER_BUBBLE) {
		peer->bubbles++;
		peer->bubble_ms = now_ms;
		peer->wanted = false;
	}
	return act;
}

bool peers_keep(struct peers *p, struct peer *peer, const void *pkt, size_t len, bool inbound)
{
	if (peer->kept || len > PEER_PACKET || !p->n_unused)
		return false;
	peer->kept = p->places + (size_t)p->unused_place[--p->n_unused] * PEER_PACKET;
	peer->kept_len = (__u16)len;
	peer->kept_inbound = inbound;
	memcpy(peer->kept, pkt, len);
	return true;
}

void peers_drop_kept(struct peers *p, struct peer *peer)
{
	if (!peer->kept)
		return;
	p->unused_place[p->n_unused++] = (__u32)((peer->kept - p->places) / PEER_PACKET);
	peer->kept = NULL;
}

void peers_remove(struct peers *p, struct peer *peer)
{
	if (!peer)
		return;
	peers_drop_kept(p, peer);
	leave(p, peer);
	LIST_REMOVE(peer, hash);
	peer->state = PEER_NONE;
	TAILQ_INSERT_TAIL(&p->unused, peer, list);
}

bool peers_due(struct peers *p, __u64 now_ms, struct peer **peer, enum peer_event *ev)
{
	struct peer *head = TAILQ_FIRST(&p->probe), *old = TAILQ_FIRST(&p->remembered),
		    *weak = TAILQ_FIRST(&p->weak);

	if (head && now_ms - head->since_ms >= TEREDO_GIVE_UP_MS) {
		*peer = head;
		*ev = head->bubbles >= TEREDO_BUBBLES ? EV_EXHAUSTED : EV_GIVE_UP;
		return true;
	}
	if (old && (now_ms - old->since_ms >= TEREDO_BUBBLES_MS ||
		    p->n_remembered > REMEMBERED * p->max_pending - p->max_pending)) {
		/* at three quarters the oldest memory goes, so that a probe always finds a place to end */
		*peer = old;
		*ev = EV_FORGET;
		return true;
	}
	if (weak && now_ms - weak->since_ms >= TEREDO_LIFE_MS) {
		*peer = weak;
		*ev = EV_FORGET;
		return true;
	}
	if (p->scanned_ms != now_ms) {
		p->scanned_ms = now_ms;
		p->scan = head;
	}
	while (p->scan) {
		struct peer *s = p->scan;

		p->scan = TAILQ_NEXT(s, list);
		if (s->wanted && s->bubbles < TEREDO_BUBBLES &&
		    now_ms - s->bubble_ms >= TEREDO_BUBBLE_MS) {
			*peer = s;
			*ev = EV_REPEAT;
			return true;
		}
	}
	return false;
}

void peers_each(struct peers *p, bool (*visit)(void *data, struct peer *peer), void *data)
{
	struct peer_list *const lists[] = { &p->probe, &p->weak, &p->remembered };
	struct peer *peer, *next;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (peer = TAILQ_FIRST(lists[i]); peer; peer = next) {
			next = TAILQ_NEXT(peer, list);
			if (!visit(data, peer))
				return;
		}
}

bool peers_some(struct peers *p, __u32 at, __u32 n, bool (*visit)(void *data, struct peer *peer), void *data)
{
	const __u32 all = p->max_pending * (2 + REMEMBERED);

	for (; n && at < all; n--, at++)
		if (p->slab[at].state > PEER_NONE && !visit(data, &p->slab[at]))
			return false;
	return at < all;
}

struct peers_gauges peers_gauges(const struct peers *p)
{
	return (struct peers_gauges){
		.pending = p->pending,
		.max_pending = p->max_pending,
		.silent = p->n_remembered,
		.weak = p->n_weak,
		.queue_bytes = (p->n_places - p->n_unused) * PEER_PACKET,
		.max_queue_bytes = p->n_places * PEER_PACKET,
	};
}
