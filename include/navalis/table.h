/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of proven clients: layout, hash, look-up and age. loader/core/table.c is its writer.
 *
 * Buckets of four entries fill one cache line each; a client lives in one of three buckets. The table
 * is the value of a pinned, mmapable BPF array, so that it outlives the daemon and can be scanned
 * without a system call.
 *
 * THE PAGE: who writes what, in which order, and what happens when something ends or begins.
 *
 *   id, server   the daemon alone. To insert: server, stamp, then id (release). To remove: id = 0.
 *                To move: write the new place as for an insert, clear the old id, full barrier, and
 *                carry over a later stamp from the old place.
 *   stamp        XDP and the daemon, by compare-and-swap over what they have read: a later time on
 *                reception; the bit «sent» is set by both and cleared by the daemon.
 *   proof        the daemon alone, in memory of its own beside the table; it moves with its client.
 *
 * To read: id and server, then stamp, then id and server once more: a slot given to another client
 * in between counts as a miss. A reader that finds nothing looks again if somebody was moved meanwhile,
 * which the daemon counts at the beginning and the end of each move.
 * To stamp: swap, then read again, until the stamp stands where the client is.
 *
 * What that holds, and the count of tests/bpf/stress.c that is 0 after a minute on all CPUs:
 *
 *   wrong     Never a packet with another client's endpoint: it comes from the packet's own address
 *             and not from the table.
 *   missed    Never a live client missed: one that is moved is found in one of its places, unless
 *             somebody is moved in each of six looks of one reader, and it itself each time to where
 *             the reader has just been. That packet takes the slow path, where there are no races: the daemon knows the client.
 *   lost      A stamp stays until a later one comes. If the swap was before the mover's barrier,
 *             the mover carries it over; if after, XDP finds the id gone and stamps again. Between
 *             the last two stores of a move the client may look older: its packets take the slow
 *             path at worst.
 *   strange   No stamp and no mark that was meant for a slot's earlier owner: that one's stamp is
 *             not there to be swapped. If both had the same, to the bit, the new owner passes for
 *             heard once more, and is forgotten 30 s later at most.
 *
 * Not held, since nothing needs it: a mark made while its client moves may be lost (the next packet
 * makes it again), and a client heard in the moment of its removal is removed (it proves itself
 * again). The test is for CPUs that keep loads in order. On others (arm64) a reader may see the
 * stamp of a slot's earlier owner: a packet takes the other path, or a stamp comes with the packet
 * after it; a swap over it fails.
 *
 * Clients behind symmetric NATs are elements of a hash map. The daemon inserts and deletes them, and
 * replaces the whole element, with the present time in it, of one that proves itself anew or whose
 * packet comes its way; it never puts back a time that it has read. XDP stamps and marks by the same
 * swap. The kernel gives the memory of a deleted element to the next
 * one at once, under a reader's eyes: so XDP looks up and reads a second time, and another element,
 * or another endpoint, is a miss. «wrong» and «strange» count for them, too.
 *
 * When something ends or begins (tests/netns/ has the tests):
 *
 * start      the array is made, all zero, and pinned; its seed and clock lie in the map meta, which
 *            is pinned last: whoever finds meta finds all maps. The lock of the instance, held for
 *            life, makes the daemon the only writer
 * kill -9    the array stays with its pin and with the attached program. Entries age and die by
 *            their stamp; no new ones come. A move may be cut short: the client then stands in two
 *            of its buckets, and XDP finds and stamps the one in the first; or it stands in its new
 *            place, and a stamp of that very moment is not carried over
 * restart    the daemon checks the layout of every map (another one is refused, not converted), maps
 *            the same memory, clears copies in later buckets, and goes on. Proofs count as given anew
 * reload     another program over the same array; policy_client() is asked again for every entry
 * upgrade    a restart of another build with the same layout; bpf_link_update() loses no packet
 * NIC loss   its link dies with it; the array does not notice. The program comes back with the NIC
 * detach     links first, then pins: with the last reference the memory goes
 */
#ifndef NAVALIS_TABLE_H
#define NAVALIS_TABLE_H

#include "bytes.h"

/* One proven client; the two words are its whole Teredo address (teredo.h). */
struct client {
	__u64 id;      /* last 8 bytes of the address as on the wire; 0: free (never a valid address) */
	__be32 server; /* bytes 4..7 of the address */
	__u32 stamp;   /* time of the last reception in coarse units << 1, and STAMP_SENT */
};

#define BUCKET_CLIENTS 4

struct bucket {
	struct client client[BUCKET_CLIENTS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct client) == 16, "ABI: one slot of the table");
_Static_assert(sizeof(struct bucket) == 64, "ABI: one cache line");

/* Set when a packet went to a client that has been silent for long: ask it to prove itself again. */
#define STAMP_SENT 1U

/* The secret that decides who shares a bucket; made once for each table. All words are odd. */
struct table_seed {
	__u64 k[3];
};

/* Two 32-bit halves choose the buckets: the high one the home, and the last step leaves that as it is. */
PURE __u64 table_hash(const volatile struct table_seed *seed, __u64 id, __be32 server)
{
	__u64 h = (id ^ seed->k[0]) * seed->k[1] + RAW32(server) * seed->k[2];

	h ^= h >> 32;
	h *= seed->k[1];
	return h ^ h >> 32;
}

/*
 * A client's buckets, out of any even number: its home, the neighbour of that, and a far one. Beyond
 * the caches memory takes 170 ns, and the line beside one that has just come 20: so the neighbour takes
 * who finds no room at home, and only a hundredth go far. A multiplication, where a mask would want a
 * power of two, and with it up to twice the memory.
 */
#define TABLE_PLACES 3

PURE __u32 table_place(__u64 hash, int which, __u32 buckets)
{
	const __u64 half = which == 2 ? (__u32)hash : hash >> 32;

	return (__u32)(half * buckets >> 32) ^ (which == 1);
}

PURE bool client_is(const struct client *c, __u64 id, __be32 server)
{
	return *(const volatile __u64 *)&c->id == id && c->server == server;
}

/* 1 if so, without a branch. */
PURE __u32 client_is_not(const struct client *c, __u64 id)
{
	const __u64 differ = *(const volatile __u64 *)&c->id ^ id;
	__u64 minus = -differ;

	__asm__("" : "+r"(minus)); /* the compiler knows what this means, and would make it a branch */
	return (__u32)((differ | minus) >> 63);
}

/*
 * Where in a bucket a client is, if it is there and nobody else has its identity. Computed: the place
 * is anybody's guess, and a branch that guesses wrong costs 5 ns.
 */
PURE struct client *bucket_guess(struct bucket *b, __u64 id)
{
	const __u32 not1 = client_is_not(&b->client[1], id), not2 = client_is_not(&b->client[2], id);
	const __u32 not3 = client_is_not(&b->client[3], id);

	_Static_assert(BUCKET_CLIENTS == 4, "one term for each");
	return &b->client[(6 - not1 - 2 * not2 - 3 * not3) & (BUCKET_CLIENTS - 1)];
}

/* The bucket's entry for a client, or NULL. Not a loop: the verifier cannot follow its pointer. */
PURE struct client *bucket_find(struct bucket *b, __u64 id, __be32 server)
{
	_Static_assert(BUCKET_CLIENTS == 4, "one line for each");

	if (client_is(&b->client[0], id, server))
		return &b->client[0];
	if (client_is(&b->client[1], id, server))
		return &b->client[1];
	if (client_is(&b->client[2], id, server))
		return &b->client[2];
	if (client_is(&b->client[3], id, server))
		return &b->client[3];
	return NULL;
}

/*
 * Coarse time: units of 2^shift ticks, 31 bits of them, which wrap after years. Ages are signed,
 * since another CPU may have stamped an entry one unit ahead of the reader's clock.
 */
PURE __u32 stamp_of(__u64 units)
{
	return (__u32)units << 1;
}

PURE __s32 stamp_age(__u32 stamp, __u32 now)
{
	return (__s32)((now & ~STAMP_SENT) - (stamp & ~STAMP_SENT)) >> 1;
}

PURE bool stamp_young(__u32 stamp, __u32 now, __u32 life)
{
	return stamp_age(stamp, now) < (__s32)life;
}

#endif
