/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon may do after its start: capabilities that it needs, and nothing to be gained by exec. */
#ifndef NAVALISD_PRIVILEGES_H
#define NAVALISD_PRIVILEGES_H

#include "log.h"

/* Checks for CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; says which are missing. */
int privileges_check(struct error *e);

/* Drops all others, CAP_NET_RAW too. */
int privileges_drop(bool keep_admin, struct error *e);

#endif
