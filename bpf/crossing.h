/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From one tunnel into another: only where the operator lets it (tunnels.h in include/navalis/). What
 * lies behind a configured tunnel is in a map.
 */
#ifndef NAVALIS_BPF_CROSSING_H
#define NAVALIS_BPF_CROSSING_H

#include <navalis/sixin4.h>
#include "maps.h"

/* A function of its own: the verifier walks it once. */
#define STEP __attribute__((noinline))

/* Configured tunnels and their packets: sized and filled by the loader, not pinned. */
MAP(sixin4, HASH, 0, 1, struct sixin4_key, struct sixin4_tunnel);
MAP(sixin4_prefixes, LPM_TRIE, BPF_F_NO_PREALLOC, 1, struct sixin4_prefix, struct sixin4_key);

static __always_inline bool proto41_any(void)
{
	return cfg.sixto4.local || cfg.n_sixrd || cfg.sixin4.n_locals;
}

static __always_inline bool sixbed4_any(void)
{
	return cfg.sixbed4[0].service.addr || cfg.sixbed4[1].service.addr;
}

static __always_inline bool server_any(void)
{
	return cfg.server.addr[0];
}

static __always_inline bool hg48_any(void)
{
	return cfg.hg48.service.addr;
}

static __always_inline bool udp_any(void)
{
	return sixbed4_any() || server_any() || hg48_any();
}

static __always_inline bool tunnels_any(void)
{
	return proto41_any() || udp_any();
}

/*
 * Is there anything to cross into? Two loads, on the way of every packet of the relay's. One prefix is
 * that of the only mechanism, whose own question says whether its packets may turn round.
 */
static __always_inline bool crossings_any(void)
{
	return cfg.tunnels.n > 1 || cfg.sixin4.n_locals;
}

/* The tunnel of 6in4 that an address is behind, or NULL. */
static __always_inline const struct sixin4_tunnel *sixin4_behind(const struct in6_addr *a)
{
	struct sixin4_prefix whole = { 128, *a };
	struct sixin4_key *key;

	if (!cfg.sixin4.n_locals)
		return NULL;
	key = bpf_map_lookup_elem(&sixin4_prefixes, &whole);
	return key ? bpf_map_lookup_elem(&sixin4, key) : NULL;
}

PURE struct in6_addr in6_of(__u64 first, __u64 last)
{
	struct in6_addr a;

	store64(&a, first);
	store64(a.s6_addr + 8, last);
	return a;
}

/*
 * May what came out of a tunnel go to an address? That in two words, for it may be in a packet. A
 * function for each kind: older verifiers lose the bound of a number that is not a constant.
 */
#define CROSSING(name, on, kind)                                                                   \
	STEP int name(__u32 id, __u64 first, __u64 last)                                           \
	{                                                                                          \
		const struct in6_addr dst = in6_of(first, last);                                   \
                                                                                                   \
		if (!(on))                                                                         \
			return R_NONE;                                                             \
		return tunnels_cross(&cfg.tunnels, kind, id, &dst, sixin4_behind(&dst));           \
	}

CROSSING(teredo_crosses, crossings_any(), TUNNEL_TEREDO)
CROSSING(sixbed4_crosses, sixbed4_any(), TUNNEL_SIXBED4)
CROSSING(sixto4_crosses, cfg.sixto4.local, TUNNEL_SIXTO4)
CROSSING(sixrd_crosses, cfg.n_sixrd, TUNNEL_SIXRD)
CROSSING(sixin4_crosses, cfg.sixin4.n_locals, TUNNEL_SIXIN4)
CROSSING(hg48_crosses, hg48_any(), TUNNEL_HG48)

/* What a step returns: the compiler knows its bounds, and would keep them from the verifier. */
#define SAID(step)                                                                                 \
	({                                                                                         \
		int said_ = (step);                                                                \
		barrier_var(said_);                                                                \
		(enum reason)said_;                                                                \
	})

#define MAY_LEAVE(kind, id, dst) SAID(kind##_crosses(id, load64(dst), load64((dst)->s6_addr + 8)))

/* May what came from native IPv6, with this source, go into a tunnel of this kind? */
STEP int crossing_in(__u32 to, __u64 first, __u64 last)
{
	const struct in6_addr src = in6_of(first, last);

	return crossings_any() ? tunnels_native(&cfg.tunnels, to & 31, &src, sixin4_behind(&src)) : R_NONE;
}

static __always_inline enum reason may_enter(enum tunnel to, const struct in6_addr *src)
{
	return crossings_any() ? SAID(crossing_in(to, load64(src), load64(src->s6_addr + 8))) : R_NONE;
}

#endif
