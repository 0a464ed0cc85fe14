/* SPDX-License-Identifier: GPL-2.0-or-later */
/* navalis.conf: parsed, checked, printed, and as the policy of the data path. */
#ifndef NAVALISD_CONFIG_H
#define NAVALISD_CONFIG_H

#include <stdio.h>

#include "navalis/abi.h"

struct prefix4 {
	__be32 addr;
	__u32 len;
};

#define CONFIG_REFUSE 1000

enum choice { CHOICE_NO, CHOICE_YES, CHOICE_TRY };

struct config {
	char instance[16], tun[16];
	char interfaces[NAV_NICS][16];
	__u32 n_interfaces;
	__u32 mode;      /* enum nav_mode */
	__u32 dispatcher; /* enum choice */
	__u32 log_level; /* enum log_level */
	__u32 laboratory, local_services, checksum_zero, admission_rfc, behind_nat;
	__u32 slow_path_rate;
	struct prefix6 serve[NAV_SERVED];
	__u32 n_serve;
	struct prefix4 refuse[CONFIG_REFUSE];
	__u32 n_refuse;
	struct endpoint4 service;
	__u64 bubble_source; /* first 8 bytes, as in memory */
	__u32 max_clients, clients_per_address, clients_per_net, pending, queue_bytes;
	__u32 new_clients, new_per_source, bubbles_per_client, bubbles_per_server, unreachables;
};

/* Where a configuration comes from, at the start and with each reload. */
struct config_source {
	const char *path;
	const char *instance; /* its name, which the file cannot change; NULL: the file's */
};

/*
 * Reads a file. Each error is written to errors as «FILE:LINE: sentence», all of them, not only the
 * first. Returns 0 with *ret (to be freed by free()), or negative errno.
 */
int config_load(const struct config_source *from, FILE *errors, struct config **ret);

/* The effective configuration, in the form that config_load() reads. */
void config_print(const struct config *c, FILE *out);

/* Which keys differ. */
#define CONFIG_KEYS 64
struct config_changes {
	const char *name[CONFIG_KEYS];
	__u32 n;
	const char *restart; /* the first of them that only a restart can change, or NULL */
};

int config_compare(const struct config *a, const struct config *b, struct config_changes *ch);

/* Fills what does not depend on NICs and the table; -ENOSPC: too many refused prefixes. */
int config_policy(const struct config *c, const struct nav_clock *clock, struct nav_config *policy);

/* Makes a set of disjoint, sorted ranges from prefixes; -ENOSPC when they are too many. */
int addr4_set_build(const struct prefix4 *prefix, __u32 n, struct addr4_set *set);

#endif
