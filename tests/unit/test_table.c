// SPDX-License-Identifier: GPL-2.0-or-later
/* The writer of the table of proven clients, and a reader beside it. */
#include <pthread.h>

#include "unit.h"
#include "core/table.h"

#define BUCKETS 2050
#define SMALL 32

static const struct table_seed seed = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };
static struct bucket memory[BUCKETS];
static struct client identities[BUCKETS * BUCKET_CLIENTS];

static __u64 id_of(__u32 i)
{
	return (__u64)(~i) << 32 | 0x63bf0000 | (i & 0xfff);
}

static void init(struct table *t, __u32 buckets, __u32 max)
{
	memset(memory, 0, sizeof(memory));
	memset(identities, 0, sizeof(identities));
	table_init(t, memory, identities, buckets, &seed, max, 0);
}

static struct client *find(const struct table *t, __u32 i)
{
	return table_find(t, id_of(i), i & 3);
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
	init(&t, BUCKETS, n);
	fill(&t, n);
	assert_int_equal(t.n, n);
	for (__u32 i = 1; i <= n; i++) {
		c = find(&t, i);
		assert_non_null(c);
		assert_int_equal(table_seen(&t, c), stamp_of(i));
		assert_null(table_find(&t, id_of(i), 4));
	}
	assert_int_equal(table_insert(&t, id_of(n + 1), 0, 0, &c), -ENOSPC);
	assert_int_equal(table_insert(&t, id_of(5), 5 & 3, stamp_of(99), &c), -EEXIST);
	assert_int_equal(table_seen(&t, find(&t, 5)), stamp_of(99));
	for (__u32 i = 1; i <= n; i++)
		table_remove(&t, find(&t, i));
	assert_int_equal(t.n, 0);
	for (__u32 i = 0; i < BUCKETS; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++)
			assert_int_equal(memory[i].word[k], 0);
}

/* A writer was ended in the middle: of a move, or of an insert into a slot that was another's before. */
static void a_restart_finds_everything_and_clears_what_was_not_finished(void **st)
{
	struct table t, again;
	__u32 beside, k = 0;
	__u64 *word;

	(void)st;
	init(&t, BUCKETS, 10000);
	fill(&t, 5000);
	beside = table_place(table_hash(&seed, id_of(7), 3), 1, t.buckets);
	while (memory[beside].word[k])
		k++;
	assert_true(k < BUCKET_CLIENTS);
	identities[beside * BUCKET_CLIENTS + k] = *find(&t, 7);
	memory[beside].word[k] = table_mark(&seed, table_hash(&seed, id_of(7), 3)) | stamp_of(7);
	find(&t, 9)->server++;
	word = &memory[0].word[0] + (find(&t, 8) - identities);
	table_init(&again, memory, identities, BUCKETS, &seed, 10000, 0);
	assert_int_equal(again.n, 4999);
	assert_non_null(find(&again, 7));
	assert_int_equal(memory[beside].word[k], 0);
	assert_null(find(&again, 9));
	assert_int_equal(*word & STAMP_MASK, stamp_of(8));
}

static void proofs_move_with_their_clients(void **st)
{
	__u32 n = SMALL * BUCKET_CLIENTS * 9 / 10, placed = 0;
	struct client *c;
	struct table t;

	(void)st;
	init(&t, SMALL, n);
	for (__u32 i = 1; i <= n; i++) {
		if (table_insert(&t, id_of(i), i & 3, 0, &c))
			continue;
		*table_proof(c) = (struct proof){ (__u16)i, (__u16)~i & 0x1fff, i & 7 };
		placed++;
	}
	assert_true(t.moves > 10);
	for (__u32 i = 1; i <= n; i++) {
		c = find(&t, i);
		if (!c)
			continue;
		placed--;
		assert_int_equal(table_proof(c)->given, i);
		assert_int_equal(table_proof(c)->asked, (__u16)~i & 0x1fff);
		assert_int_equal(table_proof(c)->asks, i & 7);
	}
	assert_int_equal(placed, 0);
}

static __u32 guests(const struct table *t)
{
	__u32 n = 0;

	for (__u32 slot = 0; slot < t->buckets * BUCKET_CLIENTS; slot++) {
		const struct client *c = table_at(t, slot);

		n += c && table_place(table_hash(&seed, c->id, c->server), 0, t->buckets) != slot / BUCKET_CLIENTS;
	}
	return n;
}

static void guests_go_home_when_there_is_room(void **st)
{
	__u32 n = BUCKETS * BUCKET_CLIENTS * 9 / 10, before;
	struct table t;

	(void)st;
	init(&t, BUCKETS, n);
	fill(&t, n);
	for (__u32 i = 1; i <= n; i += 3)
		table_remove(&t, find(&t, i));
	before = guests(&t);
	for (__u32 b = 0; b < BUCKETS; b++)
		table_settle(&t, b);
	assert_true(before > n / 20 && guests(&t) < before / 2);
	for (__u32 i = 1; i <= n; i++) {
		const struct client *c = find(&t, i);

		assert_int_equal(!c, i % 3 == 1);
		assert_true(!c || table_seen(&t, c) == stamp_of(i));
	}
}

static void nothing_puts_back_an_older_time(void **st)
{
	const __u32 last = STAMP_MASK >> 1; /* of the units that fit */
	struct client *c;
	struct table t;

	(void)st;
	init(&t, SMALL, 1);
	assert_int_equal(table_insert(&t, id_of(1), 1, stamp_of(last - 1), &c), 0);
	table_mark_sent(&t, c, true);
	assert_int_equal(table_seen(&t, c), stamp_of(last - 1) | STAMP_SENT);
	table_mark_sent(&t, c, false);
	assert_int_equal(table_seen(&t, c), stamp_of(last - 1));
	table_stamp(&t, c, stamp_of(last));
	assert_int_equal(table_seen(&t, c), stamp_of(last));
	table_stamp(&t, c, stamp_of(last - 1));
	assert_int_equal(table_seen(&t, c), stamp_of(last));
	table_stamp(&t, c, stamp_of((__u64)last + 2)); /* it wraps */
	assert_int_equal(table_seen(&t, c), stamp_of(1));
	table_stamp(&t, c, stamp_of(last));
	assert_int_equal(table_seen(&t, c), stamp_of(1));
	assert_ptr_equal(find(&t, 1), c);
}

static void ages_have_a_sign_and_wrap(void **st)
{
	const __u64 mark = table_mark(&seed, 12345);

	(void)st;
	assert_int_equal(stamp_age(stamp_of(5), stamp_of(7)), 2);
	assert_int_equal(stamp_age(stamp_of(7), stamp_of(5)), -2);
	assert_int_equal(stamp_age(stamp_of(5) | STAMP_SENT, stamp_of(7)), 2);
	assert_int_equal(stamp_age(stamp_of(5), stamp_of(7) | STAMP_SENT), 2);
	assert_int_equal(stamp_age(stamp_of((1 << 22) - 1), stamp_of(1 << 22)), 1);
	assert_int_equal(stamp_age(mark | stamp_of(5), stamp_of(7)), 2);
	assert_int_equal(stamp_age(stamp_of(0), stamp_of((1 << 21) - 1)), (1 << 21) - 1);
	assert_true(stamp_young(mark | stamp_of(5), stamp_of(14), 10));
	assert_false(stamp_young(mark | stamp_of(5), stamp_of(15), 10));
}

static void a_word_is_told_from_any_other(void **st)
{
	struct bucket b = { 0 };
	__u64 marks[BUCKET_CLIENTS];

	(void)st;
	for (__u32 k = 0; k < BUCKET_CLIENTS; k++) {
		marks[k] = table_mark(&seed, table_hash(&seed, id_of(k + 1), 1));
		assert_int_equal(marks[k] & STAMP_MASK, 0);
		assert_int_equal(marks[k] >> 63, 0);
		assert_false(word_is(0, marks[k]));
		b.word[k] = marks[k] | (k & 1 ? STAMP_MASK : 0);
	}
	for (__u32 k = 0; k < BUCKET_CLIENTS; k++) {
		assert_int_equal(bucket_guess(&b, marks[k]), k);
		for (int bit = 0; bit < 64; bit++)
			assert_int_equal(word_is(b.word[k] ^ 1ULL << bit, marks[k]), bit < STAMP_BITS);
	}
	for (__u32 k = 0; k < BUCKET_CLIENTS; k++) { /* one that is not there */
		b.word[k] ^= 1ULL << (STAMP_BITS + 1 + 4 * k);
		assert_false(word_is(b.word[bucket_guess(&b, marks[k])], marks[k]));
	}
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
		__u64 h = table_hash(&seed, id_of(i), i & 3), mark = table_mark(&seed, h);
		__u32 moves = __atomic_load_n(&t->moves, __ATOMIC_SEQ_CST);
		bool found = false;

		for (int turn = 0; turn < 2 * TABLE_PLACES && !found; turn++) {
			const struct bucket *b = &memory[table_place(h, turn % TABLE_PLACES, t->buckets)];

			found = word_is(__atomic_load_n(&b->word[bucket_guess(b, mark)], __ATOMIC_ACQUIRE), mark);
		}
		if (!found && __atomic_load_n(&t->moves, __ATOMIC_SEQ_CST) == moves)
			missed++;
	}
	return NULL;
}

static void nobody_is_missed_while_clients_move(void **st)
{
	__u32 n = SMALL * BUCKET_CLIENTS * 9 / 10; /* so full that most inserts move somebody */
	__u32 guest[GUESTS] = { 0 };
	pthread_t reader;
	struct table t;

	(void)st;
	init(&t, SMALL, n);
	fill(&t, STANDING);
	done = 0;
	missed = 0;
	assert_int_equal(pthread_create(&reader, NULL, read_clients, &t), 0);
	for (__u32 i = 0; i < 1000000; i++) { /* always new ones, so that somebody has to move */
		__u32 *k = &guest[i % GUESTS];
		struct client *c = find(&t, *k);

		if (c)
			table_remove(&t, c);
		*k = 1000 + i;
		table_insert(&t, id_of(*k), *k & 3, 0, &c);
	}
	done = 1;
	pthread_join(reader, NULL);
	assert_int_equal(missed, 0);
	assert_true(t.moves > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_was_inserted_at_80_percent),
		cmocka_unit_test(a_restart_finds_everything_and_clears_what_was_not_finished),
		cmocka_unit_test(proofs_move_with_their_clients),
		cmocka_unit_test(guests_go_home_when_there_is_room),
		cmocka_unit_test(nothing_puts_back_an_older_time),
		cmocka_unit_test(ages_have_a_sign_and_wrap),
		cmocka_unit_test(a_word_is_told_from_any_other),
		cmocka_unit_test(nobody_is_missed_while_clients_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
