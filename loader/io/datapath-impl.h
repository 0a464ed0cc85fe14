/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What datapath.c and attach.c share and nobody else sees. */
#ifndef NAVALISD_DATAPATH_IMPL_H
#define NAVALISD_DATAPATH_IMPL_H

#include "io/datapath.h"
#include "navalis.skel.h"

enum pinned_map {
#define P(id, name) id,
	NAV_PINNED(P)
#undef P
	N_PINNED
};

enum tunnel_map {
	SIXIN4,
	SIXIN4_BEHIND,
	CARRIED,
	TUNNEL_MAPS,
};

struct datapath {
	char folder[64];
	int lock;
	int map[N_PINNED]; /* -1: not open */
	int tunnels[TUNNEL_MAPS]; /* of the program; -1: not there */
	int hg48;      /* the map of its endpoints; -1: there is none */
	__u32 max_hg48;
	struct hg48_entry *hg48_peers;
	struct nav_meta meta;
	struct bucket *buckets;
	struct client *identities;
	struct nav_daemon *daemon;
	struct nav_routes *routes;

	/* what the last start or reload came to */
	enum nav_mode mode;
	bool shared; /* through libxdp's dispatcher */

	bool fresh;  /* its maps are this start's, and go with it if it does not come to its end */
	bool behind; /* NICs have gone, come, or lost the program since it was attached */
};

/* A program object that uses the maps that are open, or else makes them when it is loaded. */
int datapath_open_object(struct datapath *d, bool xdp, struct navalis_bpf **ret, struct error *e);

/* The maps of these tunnels, each of them -1 where it has nothing to hold, and all after an error. */
int datapath_make_tunnels(const struct config *c, int ret[TUNNEL_MAPS], struct error *e);
void datapath_drop_tunnels(int maps[TUNNEL_MAPS]);

/* Why a program was not loaded. Returns err. */
int datapath_load_error(int err, struct error *e);

#endif
