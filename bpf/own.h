/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host's IPv4 addresses, for policy.h.
 */
#ifndef NAVALIS_BPF_OWN_H
#define NAVALIS_BPF_OWN_H

#include <navalis/policy.h>
#include "maps.h"

/* A function of its own: the verifier walks the search once, and few packets come here. */
__attribute__((noinline)) int own_search4(__be32 addr)
{
	const struct nav_own *set = THE_ONLY(own);

	return set && addr4_set_has(&set->v4, addr);
}

#endif
