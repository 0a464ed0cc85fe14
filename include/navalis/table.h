/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of proven clients: layout, hash, look-up and age. loader/core/table.c is its writer.
 *
 * A client is one word: a mark that only this relay can compute from his address, and when he was
 * heard of. Eight words are a bucket and fill a cache line; a client lives in one of three buckets. Who
 * he is, to the bit, stands in a second array, slot for slot, for all that is not a packet's way: a
 * packet brings the address itself. Both are values of pinned, mmapable BPF arrays, so that they
 * outlive the daemon and can be scanned without a system call.
 *
 * THE PAGE: who writes what, in which order, and what happens when something ends or begins.
 *
 *   identity     the daemon alone, before the word that goes with it. It stays when the client goes.
 *   word         the daemon: all of it, in one store, to insert and (0) to remove. XDP and the daemon:
 *                the stamp in it, by compare-and-swap over what they have read: a later time on
 *                reception; the bit «sent» is set by both and cleared by the daemon.
 *   a move       the daemon: the new place as for an insert; then the old word is exchanged for 0, and a
 *                later stamp that it had is carried over.
 *   proof        the daemon alone, in 4 bytes of the identity; it moves with its client.
 *
 * To read: the word, once. A reader that finds nothing looks again if somebody was moved meanwhile,
 * which the daemon counts at the beginning and the end of each move. To read an identity: word,
 * identity, and whether the word has its mark.
 * To stamp: swap; if the word was another by then, look again where the client is.
 *
 * What that holds, and the count of tests/bpf/stress.c that is 0 after a minute on all CPUs:
 *
 *   wrong     Never a packet with another client's endpoint: it comes from the packet's own address
 *             and not from the table.
 *   missed    Never a live client missed: one that is moved is found in one of its places, unless
 *             somebody is moved in each of six looks of one reader, and it itself each time to where
 *             the reader has just been. That packet takes the slow path, where there are no races: the daemon knows the client.
 *   lost      A stamp stays until a later one comes. If the swap was before the mover's exchange,
 *             the mover carries it over; if after, it fails, and XDP stamps where the client is by
 *             then. Between the last two steps of a move the client may look older: its packets take
 *             the slow path at worst.
 *   strange   No stamp and no mark that was meant for a slot's earlier owner: his word is not there
 *             to be swapped.
 *
 * A mark has 39 bits that depend on a secret, and a packet is compared with 24 words at most, of which
 * most are free or of another time: an unproven address passes for a proven client with a chance of
 * 1 in 2^34. Of a million forged packets a second one passes in five hours. What it gains is that it
 * goes on: to the endpoint that its own address names, or from there.
 *
 * Not held, since nothing needs it: a mark made while its client moves may be lost (the next packet
 * makes it again), and a client heard in the moment of its removal is removed (it proves itself
 * again).
 *
 * Clients behind symmetric NATs are elements of a hash map. The daemon inserts and deletes them, and
 * replaces the whole element, with the present time in it, of one that proves itself anew or whose
 * packet comes its way; it never puts back a time that it has read. XDP stamps and marks by the same
 * swap. The kernel gives the memory of a deleted element to the next
 * one at once, under a reader's eyes: so XDP looks up and reads a second time, and another element,
 * or another endpoint, is a miss. «wrong» and «strange» count for them, too; if both had the same
 * stamp, to the bit, the new owner passes for heard once more, and is forgotten 30 s later at most.
 *
 * When something ends or begins (tests/netns/ has the tests):
 *
 * start      the arrays are made, all zero, and pinned; seed and clock lie in the map meta, which
 *            is pinned last: whoever finds meta finds all maps. The lock of the instance, held for
 *            life, makes the daemon the only writer
 * kill -9    the arrays stay with their pins and with the attached program. Entries age and die by
 *            their stamp; no new ones come. A move may be cut short: the client then stands in two
 *            of its buckets, and XDP finds and stamps the one in the first; or it stands in its new
 *            place, and a stamp of that very moment is not carried over
 * restart    the daemon checks the layout of every map (another one is refused, not converted), maps
 *            the same memory, clears copies in later buckets and words without their identity, and
 *            goes on. Proofs count as given anew
 * reload     another program over the same arrays; policy_client() is asked again for every entry
 * upgrade    a restart of another build with the same layout; bpf_link_update() loses no packet
 * NIC loss   its link dies with it; the arrays do not notice. The program comes back with the NIC
 * detach     links first, then pins: with the last reference the memory goes
 */
#ifndef NAVALIS_TABLE_H
#define NAVALIS_TABLE_H

#include "bytes.h"

/* Who has a slot; the first two are his whole Teredo address (teredo.h). Nothing where it is free. */
struct client {
	__u64 id;      /* last 8 bytes of the address as on the wire */
	__be32 server; /* bytes 4..7 of the address */
	__u32 proof;   /* navalisd's: struct proof */
};

/* A word: «sent», 22 bits of coarse time, the mark; the highest bit is 0. Free: 0. */
#define STAMP_BITS 23
#define STAMP_MASK ((1ULL << STAMP_BITS) - 1)

#define BUCKET_CLIENTS 8

struct bucket {
	__u64 word[BUCKET_CLIENTS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct client) == 16, "ABI: an identity");
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

/* What tells a client's words from others'. Never 0, and not to be had from outside. */
PURE __u64 table_mark(const volatile struct table_seed *seed, __u64 hash)
{
	return (hash * seed->k[2] & ~(1ULL << 63 | STAMP_MASK)) | 1ULL << STAMP_BITS;
}

PURE bool word_is(__u64 word, __u64 mark)
{
	return !((word ^ mark) >> STAMP_BITS);
}

/* n if so, else 0. Without a branch. */
PURE __u32 word_at(const __u64 *word, __u64 mark, __u32 n)
{
	__s64 minus = (__s64)((*(const volatile __u64 *)word ^ mark) - (1ULL << STAMP_BITS));

	__asm__("" : "+r"(minus)); /* the compiler knows what this means, and would make it a branch */
	return (__u32)(minus >> 63) & n;
}

/*
 * Where in a bucket a client is, if it is there. Computed: the place is anybody's guess, and a branch
 * that guesses wrong costs 5 ns, and what was done meanwhile.
 */
PURE __u32 bucket_guess(const struct bucket *b, __u64 mark)
{
	__u32 k = word_at(&b->word[1], mark, 1) | word_at(&b->word[2], mark, 2) |
		  word_at(&b->word[3], mark, 3) | word_at(&b->word[4], mark, 4) |
		  word_at(&b->word[5], mark, 5) | word_at(&b->word[6], mark, 6) |
		  word_at(&b->word[7], mark, 7);

	_Static_assert(BUCKET_CLIENTS == 8, "one term for each");
	__asm__("" : "+r"(k)); /* the compiler knows its bounds, and would keep them from the verifier of 6.1 */
	return k & (BUCKET_CLIENTS - 1);
}

/*
 * Coarse time: units of 2^shift ticks, 22 bits of them, which wrap after 12 days: the daemon clears what
 * is old long before. Ages are signed, since another CPU may have stamped an entry one unit ahead of
 * the reader's clock. A stamp may have the rest of its word above it.
 */
PURE __u32 stamp_of(__u64 units)
{
	return (__u32)(units << 1 & STAMP_MASK);
}

PURE __s32 stamp_age(__u64 stamp, __u64 now)
{
	const __u32 past = (__u32)(now & ~1ULL) - (__u32)(stamp & ~1ULL);

	return (__s32)(past << (32 - STAMP_BITS)) >> (33 - STAMP_BITS);
}

PURE bool stamp_young(__u64 stamp, __u64 now, __u32 life)
{
	return stamp_age(stamp, now) < (__s32)life;
}

/* The same word at another time, and not marked as sent to. */
PURE __u64 word_heard(__u64 word, __u32 now)
{
	return (word & ~STAMP_MASK) | now;
}

#endif
