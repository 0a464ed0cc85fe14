/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whom no tunnel packet is sent to or believed from: the refused list, and this host itself.
 */
#ifndef NAVALIS_REFUSE4_H
#define NAVALIS_REFUSE4_H

#include "addr4.h"

enum refusal {
	REFUSAL_NONE,
	REFUSAL_LISTED, /* not global unicast, or on the operator's list */
	REFUSAL_OURS,   /* an address of this host, or a broadcast address of its networks */
};

struct refuse4 {
	const volatile struct addr4_set *listed;
	const struct addr4_set *own; /* NULL: not known */
	const struct addr4_set *self; /* of those: its own unicast addresses, from which its own packets come. NULL: none does here */
};

/*
 * The XDP program has one of each set and searches them in a function of its own, which takes the
 * address alone: the verifier would else follow a frozen list of 1024 ranges down every branch,
 * and go on from each leaf through all that comes behind.
 */
#ifdef __bpf__
int refuse4_search(__be32 addr); /* enum refusal; the program defines it, noinline */
#endif

PURE enum refusal refuse4(const struct refuse4 *sets, __be32 addr)
{
#ifdef __bpf__
	(void)sets;
	return (enum refusal)refuse4_search(addr);
#else
	if (sets->own && addr4_set_has(sets->own, addr))
		return REFUSAL_OURS;
	return addr4_set_has(sets->listed, addr) ? REFUSAL_LISTED : REFUSAL_NONE;
#endif
}

/* What comes from one of this host's own addresses, and not by a NIC. */
PURE bool refuse4_is_self(const struct refuse4 *sets, __be32 addr)
{
#ifdef __bpf__
	(void)sets, (void)addr;
	return false;
#else
	return sets->self && addr4_set_has(sets->self, addr);
#endif
}

#ifndef __bpf__

/* Which of the built-in blocks an address is in, or NULL. */
static inline const char *refused4_block(__be32 addr)
{
	static const struct {
		__u32 net, len;
		const char *text;
	} list[] = {
#define REFUSED4(a, b, x, d, len, text) { (__u32)a << 24 | b << 16 | x << 8 | d, len, text },
#include "refused4.def"
#undef REFUSED4
	};

	for (__u32 i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (!((HOST32(addr) ^ list[i].net) >> (32 - list[i].len)))
			return list[i].text;
	return NULL;
}

#endif

#endif
