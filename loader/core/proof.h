/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proofs of proven clients: when one was given last, and when to ask for the next (RFC 4380 5.2.6).
 *
 * A stamp cannot say it: whoever can forge an outer source could keep a mapping young for ever that
 * nobody answers from. In the daemon's own memory, beside the table and the map.
 */
#ifndef NAVALISD_PROOF_H
#define NAVALISD_PROOF_H

#include "navalis/bytes.h"

#define PROOF_MS 256 /* the unit of all that follows */

struct proof {
	__u16 given;      /* wraps after 4.6 hours */
	__u16 asked : 13; /* last; wraps after 34 minutes */
	__u16 asks : 3;   /* since then, without an answer */
};

_Static_assert(sizeof(struct proof) == 4, "one for each slot of the table");

/*
 * Everyone proves himself again: asked from 5 minutes after the last proof on, each client at a
 * moment of its own, and without an answer out after 10.
 */
#define PROOF_DUE (300000 / PROOF_MS)
#define PROOF_SPREAD (75000 / PROOF_MS)
#define PROOF_LIFE (600000 / PROOF_MS)

/* The least time between two questions, by what they are asked for. */
#define PAUSE_DUE (75000 / PROOF_MS)
#define PAUSE_IN_USE (2560 / PROOF_MS) /* 4 times between 20 and 30 s of silence */
#define PAUSE_ICMP (8192 / PROOF_MS)

#define PROOF_ASKS 4                      /* without an answer, and then not for … */
#define PROOF_SILENCE (300000 / PROOF_MS)

static inline __u16 proof_time(__u64 ms)
{
	return (__u16)(ms / PROOF_MS);
}

/* Of one that is new, or was taken over from an earlier daemon: it may be asked at once. */
static inline struct proof proof_new(__u64 ms)
{
	return (struct proof){ proof_time(ms), (__u16)(proof_time(ms) - PAUSE_DUE) & 0x1fff, 0 };
}

/* The pauses go on: whoever provokes questions gets no more of them for being answered. */
static inline void proof_given(struct proof *p, __u64 ms)
{
	p->given = proof_time(ms);
	p->asks = 0;
}

/* May it be asked now? Then this counts as done. */
static inline bool proof_ask(struct proof *p, __u16 pause, __u64 ms)
{
	const __u16 since = (__u16)(proof_time(ms) - p->asked) & 0x1fff;

	if (since < pause || (p->asks == PROOF_ASKS && since < PROOF_SILENCE))
		return false;
	p->asks = p->asks == PROOF_ASKS ? 1 : p->asks + 1;
	p->asked = proof_time(ms) & 0x1fff;
	return true;
}

enum proof_due {
	PROOF_NOT_DUE,
	PROOF_IS_DUE,
	PROOF_OVERDUE, /* it has not answered for too long */
};

/* mix: any hash of the client, so that those of one restart or one server are not asked at once. */
static inline enum proof_due proof_due(const struct proof *p, __u32 mix, __u64 ms)
{
	const __u16 age = (__u16)(proof_time(ms) - p->given);

	if (age >= PROOF_LIFE)
		return PROOF_OVERDUE;
	return age >= PROOF_DUE + mix % PROOF_SPREAD ? PROOF_IS_DUE : PROOF_NOT_DUE;
}

#endif
