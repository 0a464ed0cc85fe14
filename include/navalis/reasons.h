/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reasons of reasons.def as an enum and as tables.
 */
#ifndef NAVALIS_REASONS_H
#define NAVALIS_REASONS_H

#include "bytes.h"

enum reason {
#define R(name, action, meter, section, text) R_##name,
#include "reasons.def"
#undef R
	R_MAX,
	R_NONE = R_MAX, /* no verdict yet: go on */
};

enum reason_action {
	ACTION_FORWARD,
	ACTION_PASS,
	ACTION_DROP,
	ACTION_NOTE,
};

/* Classes of passed packets, each with a limit of its own, so that none starves another. */
enum nav_meter {
	METER_NONE,
	METER_BUBBLE, /* answering bubbles: what proves clients */
	METER_IN,     /* data from unproven clients */
	METER_OUT,    /* native packets to unproven clients */
	METER_KNOWN,  /* from where it says, as all that proven clients send to this host itself */
	METER_ODD,    /* what only the kernel can handle: errors to be answered, fragments, options */
	METER_MAX,
};

#endif
