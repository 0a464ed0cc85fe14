/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cursor over received bytes: the only way in which a packet is read.
 */
#ifndef NAVALIS_CURSOR_H
#define NAVALIS_CURSOR_H

#include "bytes.h"

struct cur {
	const __u8 *pos;
	const __u8 *end; /* one past the last byte that may be read */
};

/*
 * The BPF verifier knows bounds only in the form «pos + n > end», which C leaves undefined
 * past the end of an object; userspace asks for the difference instead.
 */
#ifdef __bpf__
#define CUR_SHORT(p, n, e) ((p) + (n) > (e))
#else
#define CUR_SHORT(p, n, e) ((size_t)((e) - (p)) < (size_t)(n))
#endif

/* Takes n bytes (a constant in BPF). Returns where they begin, or NULL when fewer are left. */
PURE const void *cur_take(struct cur *c, __u32 n)
{
	const __u8 *p = c->pos;

	if (CUR_SHORT(p, n, c->end))
		return NULL;
	c->pos = p + n;
	return p;
}

/* Bytes left. */
PURE __u64 cur_left(const struct cur *c)
{
	return (__u64)(c->end - c->pos);
}

#endif
