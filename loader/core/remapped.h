/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proven clients behind symmetric NATs, which are not where their addresses say (RFC 6081 5.2.4).
 *
 * Endpoint and stamp lie in a map of the data path, whose entries can only be replaced as a whole,
 * while XDP may stamp one at any moment. So the daemon never puts a stamp back that it has read: it
 * writes the present or nothing, and keeps what it has to remember itself in a note beside the entry.
 */
#ifndef NAVALISD_REMAPPED_H
#define NAVALISD_REMAPPED_H

#include "core/proof.h"
#include "navalis/abi.h"

/* The map, which lives with the data path. */
struct remap_ops {
	bool (*find)(void *data, const struct in6_addr *client, struct remapped *ret);
	int (*set)(void *data, const struct in6_addr *client, const struct remapped *r);
	void (*remove)(void *data, const struct in6_addr *client);
	/* The client behind `after` (NULL: the first) in an order of the map's own. */
	bool (*next)(void *data, const struct in6_addr *after, struct in6_addr *client,
		     struct remapped *ret);
	void *data;
};

struct remap_note {
	struct in6_addr client;
	struct proof proof;
	bool sent; /* the daemon sent to it after a long silence, as STAMP_SENT says it of XDP */
};

struct remaps {
	struct remap_ops map;
	void *notes; /* a tree of tsearch(3) */
	__u32 n;
};

/* Takes over what is in the map; visit is called for each. 0 or -ENOMEM. */
int remaps_init(struct remaps *r, const struct remap_ops *map, __u64 ms,
		void (*visit)(void *data, const struct remapped *m), void *data);
void remaps_release(struct remaps *r);

/* Heard of now. */
void remaps_stamp(struct remaps *r, const struct in6_addr *client, struct remapped *m, __u32 now);

bool remaps_find(const struct remaps *r, const struct in6_addr *client, struct remapped *ret);

/* NULL: there is no such client. Valid until it is removed. */
struct remap_note *remaps_note(const struct remaps *r, const struct in6_addr *client);

/* A new entry in place of the old one, if there was one. 0, or negative errno: all is as it was. */
int remaps_set(struct remaps *r, const struct in6_addr *client, const struct remapped *m,
	       const struct proof *proof);
void remaps_remove(struct remaps *r, const struct in6_addr *client);

/* See remap_ops. */
bool remaps_next(const struct remaps *r, const struct in6_addr *after, struct in6_addr *client,
		 struct remapped *ret);

#endif
