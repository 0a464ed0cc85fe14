/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many writes in one system call: io_uring, as little of it as that takes. */
#ifndef NAVALISD_RING_H
#define NAVALISD_RING_H

#include "io/udp.h"

struct ring;

/* NULL where the kernel has none, or a sandbox forbids it. */
struct ring *ring_new(void);
struct ring *ring_free(struct ring *r);

/*
 * Each is one write to fd, in this order; to is not looked at. At most SOCKET4_BATCH of them. r is NULL: with a
 * system call for each.
 */
void ring_write(struct ring *r, int fd, struct sending *batch, int n);

#endif
