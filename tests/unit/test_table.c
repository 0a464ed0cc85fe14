// SPDX-License-Identifier: GPL-2.0-or-later
/* The writer of the table of proven clients, and a reader beside it. */
#include <pthread.h>

#include "unit.h"
#include "core/table.h"

#define BUCKETS 4098

static const struct table_seed seed = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };
static struct bucket memory[BUCKETS];

static __u64 id_of(__u32 i)
{
	return (__u64)(~i) << 32 | 0x63bf0000 | (i & 0xfff);
}

static void fill(struct table *t, __u32 n)
{
	struct client *c;

	for (__u32 i = 1; i <= n; i++)
		assert_int_equal(table_insert(t, id_of(i), i & 3, stamp_of(i), &c), 0);
}

static void holds_what_was_inserted_at_80_percent(void **st)
{
	__u32 n = BUCKETS * BUCKET_CLIENTS * 8 / 10;
	struct client *c;
	struct table t;

	(void)st;
	memset(memory, 0, sizeof(memory));
	assert_int_equal(table_init(&t, memory, BUCKETS, &seed, n, 0), 0);
	fill(&t, n);
	assert_int_equal(t.n, n);
	for (__u32 i = 1; i <= n; i++) {
		c = table_find(&t, id_of(i), i & 3);
		assert_non_null(c);
		assert_int_equal(c->stamp, stamp_of(i));
		assert_null(table_find(&t, id_of(i), 4));
	}
	assert_int_equal(table_insert(&t, id_of(n + 1), 0, 0, &c), -ENOSPC);
	assert_int_equal(table_insert(&t, id_of(5), 5 & 3, stamp_of(99), &c), -EEXIST);
	assert_int_equal(table_find(&t, id_of(5), 5 & 3)->stamp, stamp_of(99));
	for (__u32 i = 1; i <= n; i++)
		table_remove(&t, table_find(&t, id_of(i), i & 3));
	assert_int_equal(t.n, 0);
	for (__u32 i = 0; i < BUCKETS; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++)
			assert_int_equal(memory[i].client[k].id, 0);
	table_release(&t);
}

static void a_restart_finds_everything_and_clears_half_a_move(void **st)
{
	struct table t, again;
	struct client *c;
	__u64 h;

	(void)st;
	memset(memory, 0, sizeof(memory));
	assert_int_equal(table_init(&t, memory, BUCKETS, &seed, 10000, 0), 0);
	fill(&t, 5000);
	c = table_find(&t, id_of(7), 3);
	h = table_hash(&seed, id_of(7), 3);
	for (int k = 0; k < BUCKET_CLIENTS; k++)
		if (!memory[table_place(h, 1, t.buckets)].client[k].id) {
			memory[table_place(h, 1, t.buckets)].client[k] = *c;
			break;
		}
	assert_int_equal(table_init(&again, memory, BUCKETS, &seed, 10000, 0), 0);
	assert_int_equal(again.n, 5000);
	table_release(&t);
	table_release(&again);
}

static void proofs_move_with_their_clients(void **st)
{
	__u32 n = 64 * BUCKET_CLIENTS * 9 / 10, placed = 0;
	struct client *c;
	struct table t;

	(void)st;
	memset(memory, 0, sizeof(memory));
	assert_int_equal(table_init(&t, memory, 64, &seed, n, 0), 0);
	for (__u32 i = 1; i <= n; i++) {
		if (table_insert(&t, id_of(i), i & 3, 0, &c))
			continue;
		*table_proof(&t, c) = (struct proof){ (__u16)i, (__u16)~i & 0x1fff, i & 7 };
		placed++;
	}
	assert_true(t.moves > 10);
	for (__u32 i = 1; i <= n; i++) {
		c = table_find(&t, id_of(i), i & 3);
		if (!c)
			continue;
		placed--;
		assert_int_equal(table_proof(&t, c)->given, i);
		assert_int_equal(table_proof(&t, c)->asked, (__u16)~i & 0x1fff);
		assert_int_equal(table_proof(&t, c)->asks, i & 7);
	}
	assert_int_equal(placed, 0);
	table_release(&t);
}

static __u32 guests(const struct table *t)
{
	__u32 n = 0;

	for (__u32 b = 0; b < t->buckets; b++)
		for (int k = 0; k < BUCKET_CLIENTS; k++) {
			const struct client *c = &memory[b].client[k];

			n += c->id && table_place(table_hash(&seed, c->id, c->server), 0, t->buckets) != b;
		}
	return n;
}

static void guests_go_home_when_there_is_room(void **st)
{
	__u32 n = BUCKETS * BUCKET_CLIENTS * 2 / 3, before;
	struct table t;

	(void)st;
	memset(memory, 0, sizeof(memory));
	assert_int_equal(table_init(&t, memory, BUCKETS, &seed, n, 0), 0);
	fill(&t, n);
	for (__u32 i = 1; i <= n; i += 3)
		table_remove(&t, table_find(&t, id_of(i), i & 3));
	before = guests(&t);
	for (__u32 b = 0; b < BUCKETS; b++)
		table_settle(&t, &memory[b]);
	assert_true(before > n / 20 && guests(&t) < before / 2);
	for (__u32 i = 1; i <= n; i++) {
		const struct client *c = table_find(&t, id_of(i), i & 3);

		assert_int_equal(!c, i % 3 == 1);
		assert_true(!c || c->stamp == stamp_of(i));
	}
	table_release(&t);
}

static void nothing_puts_back_an_older_time(void **st)
{
	struct client c = { .id = 1, .stamp = stamp_of(5) };

	(void)st;
	table_mark_sent(&c, true);
	assert_int_equal(c.stamp, stamp_of(5) | STAMP_SENT);
	table_mark_sent(&c, false);
	assert_int_equal(c.stamp, stamp_of(5));
	table_stamp(&c, stamp_of(6));
	assert_int_equal(c.stamp, stamp_of(6));
	table_stamp(&c, stamp_of(5));
	assert_int_equal(c.stamp, stamp_of(6));
}

/*
 * A reader as XDP is one: all of these must be found at any moment while others come, move and go.
 * Unlike XDP a thread may be put to sleep in the middle of a look-up, and a client may then move
 * there and back; so only look-ups count in which no move began.
 */
#define STANDING 184
#define GUESTS 40
static volatile int done;
static unsigned long missed;

static void *read_clients(void *data)
{
	struct table *t = data;

	for (__u32 i = 1; !done; i = i % STANDING + 1) {
		__u64 h = table_hash(&seed, id_of(i), i & 3);
		__u32 moves = __atomic_load_n(&t->moves, __ATOMIC_SEQ_CST);
		struct client *c = NULL;

		for (int turn = 0; turn < 2 * TABLE_PLACES && !c; turn++)
			c = bucket_find(&memory[table_place(h, turn % TABLE_PLACES, t->buckets)], id_of(i), i & 3);
		if (!c && __atomic_load_n(&t->moves, __ATOMIC_SEQ_CST) == moves)
			missed++;
	}
	return NULL;
}

static void nobody_is_missed_while_clients_move(void **st)
{
	__u32 n = 64 * BUCKET_CLIENTS * 9 / 10; /* so full that most inserts move somebody */
	__u32 guest[GUESTS] = { 0 };
	pthread_t reader;
	struct table t;

	(void)st;
	memset(memory, 0, sizeof(memory));
	assert_int_equal(table_init(&t, memory, 64, &seed, n, 0), 0);
	fill(&t, STANDING);
	done = 0;
	missed = 0;
	assert_int_equal(pthread_create(&reader, NULL, read_clients, &t), 0);
	for (__u32 i = 0; i < 1000000; i++) { /* always new ones, so that somebody has to move */
		__u32 *k = &guest[i % GUESTS];
		struct client *c = table_find(&t, id_of(*k), *k & 3);

		if (c)
			table_remove(&t, c);
		*k = 1000 + i;
		table_insert(&t, id_of(*k), *k & 3, 0, &c);
	}
	done = 1;
	pthread_join(reader, NULL);
	assert_int_equal(missed, 0);
	assert_true(t.moves > 1000);
	table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_was_inserted_at_80_percent),
		cmocka_unit_test(a_restart_finds_everything_and_clears_half_a_move),
		cmocka_unit_test(proofs_move_with_their_clients),
		cmocka_unit_test(guests_go_home_when_there_is_room),
		cmocka_unit_test(nothing_puts_back_an_older_time),
		cmocka_unit_test(nobody_is_missed_while_clients_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
