/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the configuration share and nobody else sees. */
#ifndef NAVALISD_CONFIG_IMPL_H
#define NAVALISD_CONFIG_IMPL_H

#include "config.h"

/* How many there are of a section. */
__u32 config_items(const struct config *c, enum config_section s);

/* Where it begins. */
int config_line(const struct config *c, enum config_section s, __u32 item);

/* «6rd home»; returns label. */
const char *config_label(const struct config *c, enum config_section s, __u32 item,
			 char label[CONFIG_LABEL]);

static inline bool config_is_local(const struct sixin4_config *in, __be32 local)
{
	for (__u32 i = 0; i < in->n_locals; i++)
		if (in->local[i] == local)
			return true;
	return false;
}

/* The part of the policy that no time is in; p is zeroed. 0, or -ENOMEM. */
int config_fill(const struct config *c, struct nav_config *p);

#endif
