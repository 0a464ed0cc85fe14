/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The XDP program and the pinned maps: made, adopted, attached, replaced. */
#ifndef NAVALISD_DATAPATH_H
#define NAVALISD_DATAPATH_H

#include "config.h"
#include "core/relay.h"
#include "log.h"
#include <navalis/hg48.h>
#include <navalis/sixin4.h>

struct datapath;

/*
 * Takes the lock of the instance, then opens its maps: those that an earlier daemon left, when
 * they are of this layout, else new ones. Nothing is attached yet.
 */
int datapath_new(const struct config *c, struct datapath **ret, struct error *e);

/*
 * Lets go of everything; the pinned maps and programs stay and work on. Maps that datapath_new() made
 * and no datapath_attach() has put to use are taken away.
 */
struct datapath *datapath_free(struct datapath *d);

/*
 * Loads the program for this policy and attaches it to the configured NICs, or replaces the one
 * that runs there. All or nothing: after an error the NICs are as before. warning says why they got
 * generic mode, where they did for lack of a better one. With mode = off an attached program goes.
 * The programs share the maps of the tunnels of 6in4, which no earlier ones do.
 */
int datapath_attach(struct datapath *d, const struct config *c, const struct nav_config *policy,
		    struct error *warning, struct error *e);

/*
 * Writes to the daemon's page which of the configured NICs are there (else ifindex 0), and which of
 * them are without the program: mode off. A link dies with its device, and somebody may detach it.
 * Returns whether datapath_restore() is to be called.
 */
bool datapath_look(struct datapath *d, const struct config *c);

/*
 * Attaches to the NICs that are there, in the mode that is in force: those that have the program
 * already are never without it. After an error they are as before, and the next look asks for it again.
 */
int datapath_restore(struct datapath *d, const struct config *c, const struct nav_config *policy,
		     struct error *e);

/* In shared memory. */
struct bucket *datapath_buckets(struct datapath *d);
struct client *datapath_identities(struct datapath *d);
struct nav_daemon *datapath_daemon(struct datapath *d);
const struct nav_meta *datapath_meta(const struct datapath *d);

/* HG48_SLOTS() of them, in memory shared with XDP; NULL: there is no HG48. */
struct hg48_entry *datapath_hg48(struct datapath *d);

/*
 * Vouches for these regions for the next two seconds, or for none (NULL). To be called each second,
 * and at once when they are known no more.
 */
void datapath_set_regions(struct datapath *d, enum region_family family, const struct regions *regions,
			  __u64 units);

/* What XDP has carried since the last datapath_attach(), by enum carrier. */
int datapath_get_carried(const struct datapath *d, __u32 carrier, struct carried *ret);

int datapath_set_own(struct datapath *d, const struct nav_own *own);
int datapath_get_cookies(struct datapath *d, struct cookie_keys *keys);
int datapath_set_cookies(struct datapath *d, const struct cookie_keys *keys);

/* Our NICs by their slots, and the VLAN interfaces above them: ifindex[i] stands for tags[i]. */
struct nav_links {
	struct nav_port nic[NAV_NICS]; /* ifindex 0: not there */
	struct nav_port vlan[NAV_VLANS];
	struct nav_tags tags[NAV_VLANS];
	__u32 ifindex[NAV_VLANS];
	__u32 n_vlans;
};

void datapath_set_links(struct datapath *d, const struct nav_links *links);

/* The map of remapped clients, for the relay; data is the datapath. */
struct remap_ops datapath_remap(struct datapath *d);

#endif
