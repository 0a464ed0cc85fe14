/* SPDX-License-Identifier: GPL-2.0-or-later */
/* navalis.conf: parsed, checked, printed, and as the policy of the data path. */
#ifndef NAVALISD_CONFIG_H
#define NAVALISD_CONFIG_H

#include <stdio.h>

#include "navalis/abi.h"

#define CONFIG_REFUSE 1000
#define CONFIG_CONE 64
#define CONFIG_SIXIN4 512
#define CONFIG_LABEL 48 /* bytes of «[6rd NAME]» or «6rd NAME: key» */

enum choice { CHOICE_NO, CHOICE_YES, CHOICE_TRY };

enum config_section {
#define SECTION(section, ...) CONFIG_##section,
#define SECTIONS(section, ...) CONFIG_##section,
#include "config.def"
	CONFIG_SECTIONS,
};

/* Of a section that may come several times. */
struct config_named {
	char name[16]; /* may be empty */
	int line;      /* where it begins */
};

/* Packets from one mechanism may go on by another: enum tunnel. */
struct config_crossing {
	__u8 from, to;
};

struct config {
	int line[CONFIG_SECTIONS]; /* where one that comes once begins; 0: there is none, its mechanism is off */
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
	struct prefix4 cone[CONFIG_CONE];
	__u32 n_cone;
	struct config_crossing cross[TUNNEL_MAX * TUNNEL_MAX];
	__u32 n_cross;
	struct endpoint4 service; /* address 0: there is no Teredo relay */
	__u64 bubble_source; /* first 8 bytes, as in memory */
	__u32 max_clients, clients_per_address, clients_per_net, pending, queue_bytes;
	__u32 new_clients, new_per_source, bubbles_per_client, bubbles_per_server, unreachables;
	__u32 advertisements;

	/* the other mechanisms; those that are off have their defaults here, and are 0 in the policy */
	struct teredo_server_config server;
	struct sixto4_config sixto4;
	struct sixrd_domain sixrd[SIXRD_DOMAINS];
	__u32 n_sixrd;
	struct config_named sixrd_named[SIXRD_DOMAINS];
	struct sixin4_tunnel sixin4[CONFIG_SIXIN4]; /* id: index */
	__u32 n_sixin4;
	struct config_named sixin4_named[CONFIG_SIXIN4];
	struct sixbed4_config sixbed4[SIXBED4_LISTENERS];
	__u32 n_sixbed4;
	struct config_named sixbed4_named[SIXBED4_LISTENERS];
	struct hg48_config hg48; /* but for what is in seconds */
	__u32 hg48_life, hg48_window, hg48_fresh;
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

/*
 * What differs: «key» of [navalis] and [teredo], «6rd home: key» of others, «[6rd home]» where a
 * section came or went.
 */
#define CONFIG_CHANGES 64
struct config_changes {
	char name[CONFIG_CHANGES][CONFIG_LABEL]; /* the first of them */
	__u32 n;                                 /* how many there are of all */
	char restart[CONFIG_LABEL]; /* the first that only a restart can change; empty: none */
};

int config_compare(const struct config *a, const struct config *b, struct config_changes *ch);

/*
 * Fills what does not depend on NICs and the table, of a zeroed policy; 0, or -ENOMEM. Times are in
 * coarse units, HG48's too. The tunnels of 6in4 are not in it.
 */
int config_policy(const struct config *c, const struct nav_clock *clock, struct nav_config *policy);

/* Are there any packets of protocol 41 to receive? A reload cannot open the socket for them. */
bool config_proto41(const struct config *c);

/*
 * Is a mechanism configured so that it cannot work, or two so that they send packets into each
 * other? True with a sentence, and with the line of the section that it is about. own: this host's
 * addresses, or NULL where they are not known yet. policy: of config_policy().
 */
#define CONFIG_SENTENCE 256
bool config_conflict(const struct config *c, const struct nav_config *policy,
		     const struct nav_own *own, char sentence[CONFIG_SENTENCE], int *line);

/* Makes a set of disjoint, sorted ranges from prefixes; -ENOSPC when they are too many. */
int addr4_set_build(const struct prefix4 *prefix, __u32 n, struct addr4_set *set);

#endif
