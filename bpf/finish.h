/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of every packet: the only place that counts and picks the XDP action.
 */
#ifndef NAVALIS_BPF_FINISH_H
#define NAVALIS_BPF_FINISH_H

#include "parse.h"
#include "slowpath.h"

static const struct {
	__u8 action, meter;
} verdict[R_MAX] = {
#define R(name, action, meter, section, text) { ACTION_##action, METER_##meter },
#include <navalis/reasons.def>
#undef R
};

/* What a packet is called that its class has no room for: in the same order as the classes. */
#define OVER(class) (R_OVER_BUBBLE + (class) - METER_BUBBLE)
_Static_assert(OVER(METER_ODD) == R_OVER_ODD && METER_ODD + 1 == METER_MAX, "reasons.def");

static __always_inline int finish(const struct frame *f, enum reason reason)
{
	__u32 r = reason, class;

	if (r >= R_MAX) /* for the verifier */
		return XDP_ABORTED;
	switch (verdict[r].action) {
	case ACTION_FORWARD:
		count(f, NAV_COUNT_OF(r));
		/* by slot: from an ifindex the kernel searches the device, in a call of its own */
		return f->out == BACK ? XDP_TX : (int)bpf_redirect_map(&nics, f->out, 0);
	case ACTION_PASS:
		class = verdict[r].meter;
		if (class != METER_NONE && class < METER_MAX && !slowpath_takes(class)) {
			count(f, NAV_COUNT_OF(OVER(class)));
			return XDP_DROP;
		}
		count(f, NAV_COUNT_OF(r));
		return XDP_PASS;
	default:
		count(f, NAV_COUNT_OF(r));
		return XDP_DROP;
	}
}

#endif
