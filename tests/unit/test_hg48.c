// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of the endpoints that the gateway of HG48 knows. */
#include "unit.h"
#include "core/hg48.h"

static const struct table_seed seed = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };

static void endpoints_are_forgotten_and_not_too_many(void **st)
{
	const struct hg48_config cfg = { .life = 100, .window = 10, .window_packets = 3, .max_peers = 1000,
					 .fresh = { METER_SCALE, 2 } };
	static struct hg48_entry entry[HG48_SLOTS(1000)];
	struct hg48_table *t;
	struct hg48_peer *p, *q;
	enum reason why;
	__u32 n = 0;

	(void)st;
	assert_int_equal(hg48_table_new(entry, cfg.max_peers, &seed, &t), 0);
	assert_null(hg48_table_find(t, &cfg, ep("8.0.9.1", 4000)));
	p = hg48_table_add(t, &cfg, ep("8.0.9.1", 4000), 1, 50, &why);
	assert_non_null(p);
	p->sent = 50;
	assert_ptr_equal(hg48_table_add(t, &cfg, ep("8.0.9.1", 4000), 1, 51, &why), p);
	assert_ptr_equal(hg48_table_find(t, &cfg, ep("8.0.9.1", 4000)), p);
	assert_null(hg48_table_find(t, &cfg, ep("8.0.9.1", 4001)));
	q = hg48_table_add(t, &cfg, ep("8.0.9.2", 4000), 1, 50, &why);
	assert_non_null(q);
	q->sent = 295;
	assert_null(hg48_table_add(t, &cfg, ep("8.0.9.3", 4000), 1, 50, &why)); /* the third at once */
	expect_reason(why, R_LIMIT_SOURCE);
	hg48_table_sweep(t, &cfg, 1, 60);
	assert_non_null(hg48_table_find(t, &cfg, ep("8.0.9.1", 4000)));
	hg48_table_sweep(t, &cfg, 1, 61);
	assert_null(hg48_table_find(t, &cfg, ep("8.0.9.1", 4000)));
	assert_ptr_equal(hg48_table_find(t, &cfg, ep("8.0.9.2", 4000)), q);
	for (__u32 i = 0; i < 4000; i++) {
		p = hg48_table_add(t, &cfg, (struct endpoint4){ BE32(0x09000000 + i), BE16(4000), 0 }, 0, 300, &why);
		n += p != NULL;
		if (p)
			hg48_table_heard(t, p, 300);
		else
			expect_reason(why, R_TABLE_FULL);
	}
	assert_in_range(n, 950, 999); /* with the one that is there */
	hg48_table_free(t);
	assert_int_equal(hg48_table_new(entry, cfg.max_peers, &seed, &t), 0); /* they are in the caller's memory */
	assert_ptr_equal(hg48_table_find(t, &cfg, ep("8.0.9.2", 4000)), q);
	assert_null(hg48_table_add(t, &cfg, ep("8.0.9.1", 4000), 0, 300, &why));
	expect_reason(why, R_TABLE_FULL);
	for (__u32 i = 0; i < 32; i++)
		hg48_table_sweep(t, &cfg, 32, 401);
	for (__u32 i = 0; i < 4000; i++)
		assert_null(hg48_table_find(t, &cfg, (struct endpoint4){ BE32(0x09000000 + i), BE16(4000), 0 }));
	assert_non_null(hg48_table_add(t, &cfg, ep("8.0.9.1", 4000), 0, 401, &why));
	hg48_table_free(t);
}

/* A flood in the names of others: room stays for those that answer, and what was asked for ends soon. */
static void unheard_endpoints_hold_half_of_the_table_for_a_window(void **st)
{
	const struct hg48_config cfg = { .life = 100, .window = 10, .window_packets = 3, .max_peers = 100 };
	static struct hg48_entry entry[HG48_SLOTS(100)];
	struct hg48_table *t;
	struct hg48_peer *p;
	enum reason why;
	__u32 n = 0, confirmed, unconfirmed;

	(void)st;
	assert_int_equal(hg48_table_new(entry, cfg.max_peers, &seed, &t), 0);
	for (int round = 0; round < 3; round++) {
		const __u64 now = 50 + 11 * (__u64)round;

		hg48_table_sweep(t, &cfg, 1, now); /* nobody has answered: all of the round before are over */
		n = 0;
		for (__u32 i = 0; i < 1000; i++) {
			p = hg48_table_add(t, &cfg, (struct endpoint4){ BE32(0x09000000 + i), BE16(4000), 0 }, i + 1,
					   now, &why);
			if (p && p->sent != now)
				n += hg48_may_send(&cfg, p, now) == R_NONE;
		}
		assert_int_equal(n, 50);
	}
	/* one that answers makes room for another; one that comes by itself has room, too */
	p = hg48_table_find(t, &cfg, ep("9.0.0.0", 4000));
	assert_non_null(p);
	hg48_table_heard(t, p, 75);
	hg48_table_heard(t, p, 75);
	p = hg48_table_add(t, &cfg, ep("8.0.9.2", 4000), 1, 75, &why);
	assert_non_null(p);
	p->sent = 75;
	assert_null(hg48_table_add(t, &cfg, ep("8.0.9.3", 4000), 1, 75, &why));
	expect_reason(why, R_TABLE_FULL);
	p = hg48_table_add(t, &cfg, ep("8.0.9.4", 4000), 0, 75, &why);
	assert_non_null(p);
	hg48_table_heard(t, p, 75);
	hg48_table_free(t);
	assert_int_equal(hg48_table_new(entry, cfg.max_peers, &seed, &t), 0); /* another daemon counts the same */
	assert_null(hg48_table_add(t, &cfg, ep("8.0.9.3", 4000), 1, 75, &why));
	expect_reason(why, R_TABLE_FULL);
	hg48_table_count(t, &cfg, 75, &confirmed, &unconfirmed);
	assert_int_equal(confirmed, 2);
	assert_int_equal(unconfirmed, 50);
	hg48_table_sweep(t, &cfg, 1, 100); /* those that have answered stay */
	hg48_table_count(t, &cfg, 100, &confirmed, &unconfirmed);
	assert_int_equal(confirmed, 2);
	assert_int_equal(unconfirmed, 0);
	hg48_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_are_forgotten_and_not_too_many),
		cmocka_unit_test(unheard_endpoints_hold_half_of_the_table_for_a_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
