// SPDX-License-Identifier: GPL-2.0-or-later
/* Walks over all clients. */
#include "relay.h"

static void flush_forgets_whom_it_names_and_nobody_else(void **st)
{
	struct in6_addr c = client(), other = client_of("8.0.9.10", 1), third = client_of("8.0.9.11", 1);
	struct fixture *f = *st;

	answer(f, c, ep(CLIENT, PORT), "");
	answer(f, other, ep("8.0.9.77", 5), "");
	native_to(f, third);
	assert_int_equal(flush(f, is_client, &c, true), 1);
	assert_int_equal(f->table.n, 1);
	assert_int_equal(flush(f, is_client, &c, false), 1);
	assert_int_equal(f->table.n, 0);
	assert_int_equal(flush(f, is_client, &other, false), 1);
	assert_false(f->has_remapped);
	assert_int_equal(relay_gauges(f->relay).peers.pending, 1);
	flush(f, is_client, &third, false);
	assert_int_equal(relay_gauges(f->relay).peers.pending, 0);
	assert_int_equal(relay_gauges(f->relay).peers.queue_bytes, 0);
}

static void a_changed_policy_drops_whom_it_refuses(void **st)
{
	struct fixture *f = *st;

	answer(f, client(), ep(CLIENT, PORT), "");
	answer(f, client_of("8.1.0.1", 1), ep("8.1.0.1", 1), "");
	f->policy.refused.range[0] = (struct addr4_range){ 0x08010000, 0x0801ffff };
	assert_int_equal(walk(f, relay_enforcement(f->relay)), 1);
	assert_int_equal(f->table.n, 1);
}

static bool odd(void *data, const struct in6_addr *client, struct endpoint4 at)
{
	(void)data, (void)client;
	return HOST16(at.port) & 1;
}

/* New clients push those that a walk has not come to yet behind its back: it meets them all the same. */
static void a_walk_meets_those_that_are_moved_meanwhile(void **st)
{
	struct fixture *f = *st;
	struct relay_walk w = { .match = odd };
	__u32 moves, left = 0;
	struct client *c;

	f->table.max = 64 * BUCKET_CLIENTS;
	for (__u16 i = 1; f->table.n < 216; i++) {
		struct in6_addr a = client_of("8.1.0.1", i);

		table_insert(&f->table, teredo_id(&a), teredo_server(&a), stamp_of(f->now.units), &c);
	}
	moves = f->table.moves;
	for (__u16 i = 2000; relay_walk(f->relay, &w, 1);)
		for (int k = 0; w.bucket && k < 4; k++, i += 2) {
			struct in6_addr a = client_of("8.1.0.1", i);

			table_insert(&f->table, teredo_id(&a), teredo_server(&a), stamp_of(f->now.units), &c);
		}
	assert_true(f->table.moves > moves + 10);
	for (__u32 i = 0; i < 64 * BUCKET_CLIENTS; i++) {
		struct in6_addr a;

		c = &f->memory[i / BUCKET_CLIENTS].client[i % BUCKET_CLIENTS];
		a = teredo_addr_of(c->id, c->server);
		left += c->id && odd(NULL, &a, teredo_mapped(&a));
	}
	assert_int_equal(left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(flush_forgets_whom_it_names_and_nobody_else),
		T(a_changed_policy_drops_whom_it_refuses),
		T(a_walk_meets_those_that_are_moved_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
