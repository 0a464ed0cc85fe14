/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libxdp's dispatcher: other XDP programs on the same NIC. It takes freplace (Linux 5.10, and not in
 * every kernel), and looks programs up by number, which takes CAP_SYS_ADMIN. What it attaches
 * outlives us through its own pins, below /sys/fs/bpf/xdp.
 */
#ifndef NAVALISD_DISPATCHER_H
#define NAVALISD_DISPATCHER_H

#include "log.h"
#include "navalis/abi.h"

struct bpf_object;

/*
 * Puts the program «navalis» of an object, opened and not loaded, behind a NIC's dispatcher, in front
 * of or behind others as their priorities say (ours is libxdp's usual one, 50). *id: its number.
 * -EOPNOTSUPP: libxdp could only have attached it alone, and did not.
 */
int dispatcher_put(struct bpf_object *obj, const char *nic, __u32 ifindex, enum nav_mode mode,
		   __u32 *id, struct error *e);

/* Takes programs of ours from a NIC's dispatcher, all but this one (0: all). Returns how many. */
int dispatcher_remove(__u32 ifindex, __u32 but);

/* Takes one out. */
void dispatcher_remove_one(__u32 ifindex, __u32 id);

#endif
