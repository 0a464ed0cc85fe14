/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cone bit, as far as anybody wants it believed (RFC 4380 5.4.1 case 2, RFC 5991 3.2): a client
 * of these prefixes that has it set is sent to at once.
 */
#ifndef NAVALISD_CONE_H
#define NAVALISD_CONE_H

#include "navalis/teredo.h"

struct cone_prefixes {
	const struct prefix4 *prefix;
	__u32 n; /* 0: nobody is believed */
};

static inline bool cone_believed(const struct cone_prefixes *c, const struct in6_addr *client)
{
	if (c->n && HOST16(teredo_flags(client)) & TEREDO_FLAG_CONE)
		for (__u32 i = 0; i < c->n; i++)
			if (prefix4_has(&c->prefix[i], teredo_mapped(client).addr))
				return true;
	return false;
}

#endif
