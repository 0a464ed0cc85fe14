/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many packets the slow path is given. Each costs it a microsecond where this program takes a
 * tenth: without a limit a flood of unproven clients would take the whole CPU.
 */
#ifndef NAVALIS_BPF_SLOWPATH_H
#define NAVALIS_BPF_SLOWPATH_H

#include "maps.h"

MAP(meters, PERCPU_ARRAY, 0, METER_MAX, __u32, struct meter);

/* Takes a packet's token. The clock is in ticks: coarse units would let through bursts. */
static __always_inline bool slowpath_takes(__u32 class)
{
	struct meter *m = bpf_map_lookup_elem(&meters, &class);

	return m && class < METER_MAX && meter_take(m, &cfg.meter[class], bpf_jiffies64());
}

#endif
