/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A token bucket. Time and rate share a unit that the caller chooses (XDP: ticks; daemon: ms).
 */
#ifndef NAVALIS_METER_H
#define NAVALIS_METER_H

#include "bytes.h"

struct meter {
	__u64 filled; /* when tokens was last brought up to date */
	__u64 tokens; /* in 1/METER_SCALE of a packet */
};

#define METER_SCALE 1024

struct meter_rate {
	__u32 per_unit; /* tokens added in one unit of time, in 1/METER_SCALE of a packet; 0: no limit */
	__u32 burst;    /* packets the bucket holds */
};

/* Takes one packet's token. False when there is none. A zeroed meter starts full. */
PURE bool meter_take(struct meter *m, const volatile struct meter_rate *rate, __u64 now)
{
	__u64 per_unit = rate->per_unit, full = (__u64)rate->burst * METER_SCALE;
	__u64 passed = now - m->filled;

	if (!per_unit)
		return true;
	if (passed) {
		/* compared before it is multiplied, so that a long pause cannot overflow */
		if (!m->filled || passed > full / per_unit)
			m->tokens = full;
		else
			m->tokens += passed * per_unit;
		if (m->tokens > full)
			m->tokens = full;
		m->filled = now;
	}
	if (m->tokens < METER_SCALE)
		return false;
	m->tokens -= METER_SCALE;
	return true;
}

#endif
