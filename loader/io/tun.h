/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The TUN of the slow path: a device that outlives the daemon. */
#ifndef NAVALISD_TUN_H
#define NAVALISD_TUN_H

#include "log.h"

/*
 * Makes the device, or takes over the one that an earlier daemon left. Returns a non-blocking file
 * descriptor that gives and takes one IPv6 packet a call, or negative errno with a sentence.
 */
int tun_open(const char *name, struct error *e);

/* From now on the device outlives the descriptor, or not. */
int tun_keep(int fd, bool keep);
bool tun_lasts(int fd);

#endif
