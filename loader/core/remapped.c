// SPDX-License-Identifier: GPL-2.0-or-later
/* Clients behind symmetric NATs: the map, and the notes beside it. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "core/remapped.h"

/* The client is the first thing in a note, so that a bare address serves as one to look for. */
static int order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in6_addr));
}

struct remap_note *remaps_note(const struct remaps *r, const struct in6_addr *client)
{
	struct remap_note *const *found = tfind(client, &r->notes, order);

	return found ? *found : NULL;
}

static int note(struct remaps *r, const struct in6_addr *client, const struct proof *proof)
{
	struct remap_note *new = malloc(sizeof(*new));

	if (!new)
		return -ENOMEM;
	*new = (struct remap_note){ *client, *proof, false };
	if (!tsearch(new, &r->notes, order)) {
		free(new);
		return -ENOMEM;
	}
	r->n++;
	return 0;
}

static void unnote(struct remaps *r, const struct in6_addr *client)
{
	struct remap_note *gone = remaps_note(r, client);

	if (!gone)
		return;
	tdelete(gone, &r->notes, order);
	free(gone);
	r->n--;
}

int remaps_init(struct remaps *r, const struct remap_ops *map, __u64 ms,
		void (*visit)(void *data, const struct remapped *m), void *data)
{
	const struct proof proof = proof_new(ms);
	struct in6_addr at, *after = NULL;
	struct remapped m;
	int err = 0;

	*r = (struct remaps){ .map = *map };
	while (!err && remaps_next(r, after, &at, &m)) {
		err = note(r, &at, &proof);
		visit(data, &m);
		after = &at;
	}
	return err;
}

void remaps_release(struct remaps *r)
{
	tdestroy(r->notes, free);
	r->notes = NULL;
}

bool remaps_find(const struct remaps *r, const struct in6_addr *client, struct remapped *ret)
{
	return r->n && r->map.find(r->map.data, client, ret);
}

int remaps_set(struct remaps *r, const struct in6_addr *client, const struct remapped *m,
	       const struct proof *proof)
{
	struct remap_note *known = remaps_note(r, client);
	int err = known ? 0 : note(r, client, proof);

	if (err)
		return err;
	err = r->map.set(r->map.data, client, m);
	if (err && !known)
		unnote(r, client);
	if (!err && known) {
		known->proof = *proof;
		known->sent = false;
	}
	return err;
}

void remaps_stamp(struct remaps *r, const struct in6_addr *client, struct remapped *m, __u32 now)
{
	struct remap_note *note;

	if (!stamp_age(m->stamp, now))
		return;
	m->stamp = now;
	r->map.set(r->map.data, client, m);
	note = remaps_note(r, client);
	if (note)
		note->sent = false;
}

void remaps_remove(struct remaps *r, const struct in6_addr *client)
{
	r->map.remove(r->map.data, client);
	unnote(r, client);
}

bool remaps_next(const struct remaps *r, const struct in6_addr *after, struct in6_addr *client,
		 struct remapped *ret)
{
	return r->map.next(r->map.data, after, client, ret);
}
