/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The running daemon: the relay between its TUN and its socket, in one event loop. */
#ifndef NAVALISD_DAEMON_H
#define NAVALISD_DAEMON_H

#include "config.h"
#include "log.h"

struct daemon;

/*
 * Sets up everything, attaches, and is ready to run. On error what was new is gone again. The
 * configuration becomes the daemon's, on error, too; where it was read from stays the caller's.
 */
int daemon_new(const struct config_source *from, struct config *c, struct daemon **ret, struct error *e);
struct daemon *daemon_free(struct daemon *d);

/* Until SIGTERM or SIGINT. Proven clients go on being served by XDP afterwards. */
int daemon_run(struct daemon *d);

#endif
