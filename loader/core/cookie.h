/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the keys of the bubbles' cookies turn (teredo.h). */
#ifndef NAVALISD_COOKIE_H
#define NAVALISD_COOKIE_H

#include "navalis/teredo.h"

/* Which of the two keys has to be made anew for a slot, and for which turn; -1: none. */
static inline int cookie_key_due(const struct cookie_keys *keys, __u32 slot, __u32 *turn)
{
	__u32 now = slot / COOKIE_SLOTS_PER_KEY;

	if (keys->made_for[now & 1] != now) {
		*turn = now;
		return now & 1;
	}
	/* the other one still serves the slot before the turn; two slots later it may go */
	if (slot % COOKIE_SLOTS_PER_KEY >= 2 && keys->made_for[(now + 1) & 1] != now + 1) {
		*turn = now + 1;
		return (now + 1) & 1;
	}
	return -1;
}

#endif
