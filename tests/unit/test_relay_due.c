// SPDX-License-Identifier: GPL-2.0-or-later
/* What falls due, and how often a client is asked: bubbles, re-proofs and expiry. */
#include "relay.h"

static int bubbles_in(struct fixture *f, __u64 ms, bool traffic)
{
	int n = 0;

	for (; ms; ms -= 50) {
		pass_ms(f, 50);
		while (relay_next(f->relay, f->now, &f->out))
			n += !!(f->out.act & RELAY_BUBBLE);
		if (traffic) {
			native_to(f, client());
			n += !!(f->out.act & RELAY_BUBBLE);
		}
	}
	return n;
}

static void rfc4380_5_2_6_four_bubbles_in_300_s(void **st)
{
	struct fixture *f = *st;

	native_to(f, client());
	assert_int_equal(bubbles_in(f, 1900, true), 0);
	assert_int_equal(bubbles_in(f, 200, true), 1);
	assert_int_equal(bubbles_in(f, 5800, true), 2);
	assert_int_equal(bubbles_in(f, 250000, true), 0);
	expect_reason(native_to(f, client()), R_SILENT);
	assert_int_equal(f->out.act, RELAY_UNREACHABLE);
	assert_int_equal(bubbles_in(f, 60000, true), 4);
}

static void rfc4380_5_2_6_lone_packets_count_towards_the_four(void **st)
{
	struct fixture *f = *st;
	int n = 0;

	for (int i = 0; i < 3; i++) {
		native_to(f, client());
		n += !!(f->out.act & RELAY_BUBBLE);
		n += bubbles_in(f, 9000, false);
	}
	assert_int_equal(n, 3);
	n += bubbles_in(f, 100000, true);
	assert_int_equal(n, 4);
}

static void rfc4380_5_4_1_no_repeat_without_traffic_and_the_kept_packet_is_answered(void **st)
{
	struct fixture *f = *st;
	bool stale = false;

	native_to(f, client());
	for (int i = 0; i < 200 && !stale; i++) {
		pass_ms(f, 50);
		while (relay_next(f->relay, f->now, &f->out)) {
			assert_false(f->out.act & RELAY_BUBBLE);
			if (f->out.reason == R_QUEUE_STALE) {
				expect_reason(f->out.reason, R_QUEUE_STALE);
				assert_int_equal(f->out.act, RELAY_UNREACHABLE);
				assert_int_equal(f->out.len, 60);
				stale = true;
			}
		}
	}
	assert_true(stale);
	assert_int_equal(relay_gauges(f->relay).peers.queue_bytes, 0);
}

static void a_silent_client_that_speaks_is_asked_again(void **st)
{
	struct fixture *f = *st;

	native_to(f, client());
	bubbles_in(f, 20000, true);
	expect_reason(native_to(f, client()), R_SILENT);
	expect_reason(udp_from(f, client(), "2a00:f::7", ep(CLIENT, PORT)), R_QUEUED);
	assert_true(f->out.act & RELAY_BUBBLE);
}

static void client_in_use_proves_itself_again_before_its_time(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();
	int asked = 0;

	answer(f, c, ep(CLIENT, PORT), "");
	pass_ms(f, 21000);
	expect_reason(native_to(f, c), R_ENCAP);
	relay_sweep(f->relay, 1);
	while (relay_next(f->relay, f->now, &f->out))
		if (f->out.reason == R_REPROOF) {
			expect_reason(f->out.reason, R_REPROOF);
			assert_int_equal(f->out.act, RELAY_BUBBLE);
			asked++;
		}
	assert_int_equal(asked, 1);
	assert_false(table_find(&f->table, teredo_id(&c), teredo_server(&c))->stamp & STAMP_SENT);
	/* the bubble is lost; traffic goes on, so another follows, and without it none */
	pass_ms(f, 2600);
	relay_sweep(f->relay, 1);
	while (relay_next(f->relay, f->now, &f->out))
		assert_false(f->out.act & RELAY_BUBBLE);
	native_to(f, c);
	relay_sweep(f->relay, 1);
	while (relay_next(f->relay, f->now, &f->out))
		asked += !!(f->out.act & RELAY_BUBBLE);
	assert_int_equal(asked, 2);
	expect_reason(answer(f, c, ep(CLIENT, PORT), ""), R_PROVEN);
	assert_int_equal(relay_gauges(f->relay).peers.pending, 0);
	pass_ms(f, 29000);
	expect_reason(native_to(f, c), R_ENCAP);
	pass_ms(f, 2000);
	relay_sweep(f->relay, 1);
	while (relay_next(f->relay, f->now, &f->out))
		if (f->out.reason == R_EXPIRED)
			expect_reason(f->out.reason, R_EXPIRED);
	assert_int_equal(f->table.n, 0);
	expect_reason(native_to(f, c), R_QUEUED);
}

/* Data goes on all the time, as a forger could send it; only bubbles count as a proof. */
static void everyone_proves_itself_again_within_ten_minutes(void **st)
{
	struct endpoint4 at[] = { ep(CLIENT, PORT), ep("8.0.9.10", 1) };
	struct in6_addr c = client();
	struct fixture *f = *st;
	enum reason forgotten;

	for (int symmetric = 0; symmetric < 2; symmetric++) {
		int asked = 0;

		answer(f, c, at[symmetric], "");
		for (int s = 0; s < 300; s++) {
			pass_ms(f, 1000);
			expect_reason(udp_from(f, c, "2a00:f::7", at[symmetric]), R_DECAP);
			assert_int_equal(housekeeping(f, &forgotten), 0);
		}
		for (int s = 0; s < 76; s++) {
			pass_ms(f, 1000);
			udp_from(f, c, "2a00:f::7", at[symmetric]);
			asked += housekeeping(f, &forgotten);
		}
		assert_int_equal(asked, 1);
		expect_reason(answer(f, c, at[symmetric], ""), R_PROVEN);
		asked = 0;
		for (int s = 0; s < 599; s++) {
			pass_ms(f, 1000);
			expect_reason(udp_from(f, c, "2a00:f::7", at[symmetric]), R_DECAP);
			asked += housekeeping(f, &forgotten);
			assert_true(forgotten == R_NONE);
		}
		assert_in_range(asked, 3, 4);
		pass_ms(f, 2000);
		housekeeping(f, &forgotten);
		expect_reason(forgotten, R_UNPROVED);
		assert_int_equal(f->table.n + relay_gauges(f->relay).remapped, 0);
		assert_true(native_to(f, c) != R_ENCAP);
		pass_ms(f, 600000);
		housekeeping(f, &forgotten);
	}
}

static void symmetric_client_in_use_proves_itself_again_before_its_time(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();
	enum reason forgotten;
	__u32 seen;

	answer(f, c, ep("8.0.9.10", 1), "");
	assert_int_equal(relay_gauges(f->relay).remapped, 1);
	pass_ms(f, 21000);
	expect_reason(native_to(f, c), R_ENCAP);
	assert_int_equal(housekeeping(f, &forgotten), 1);
	assert_int_equal(housekeeping(f, &forgotten), 0);
	pass_ms(f, 2600);
	assert_int_equal(housekeeping(f, &forgotten), 0);
	f->remapped.stamp |= STAMP_SENT; /* as XDP says it */
	seen = f->remapped.stamp;
	assert_int_equal(housekeeping(f, &forgotten), 1);
	assert_int_equal(f->remapped.stamp, seen); /* never written back */
	pass_ms(f, 9400);
	assert_int_equal(housekeeping(f, &forgotten), 0);
	expect_reason(forgotten, R_EXPIRED);
	assert_int_equal(relay_gauges(f->relay).remapped, 0);
	assert_false(f->has_remapped);
}

/* Not answered, a client in use is asked four times between 20 and 30 s, and is then unknown. */
static void rfc4380_5_2_6_re_proofs_keep_to_four(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();
	enum reason forgotten;
	int asked = 0;

	answer(f, c, ep(CLIENT, PORT), "");
	for (int i = 0; i < 31 * 20; i++) {
		pass_ms(f, 50);
		if (table_find(&f->table, teredo_id(&c), in4(SERVER)))
			native_to(f, client());
		asked += housekeeping(f, &forgotten);
	}
	assert_in_range(asked, 3, 4);
	assert_int_equal(f->table.n, 0);
}

static void re_proof_needs_no_place_among_the_unproven(void **st)
{
	struct relay_settings set = defaults();
	struct fixture *f;
	struct in6_addr c = client();
	enum reason forgotten;

	(void)st;
	set.pending = 1;
	set.bubbles_per_server = set.bubbles_per_client = 1;
	f = make(set, 100);
	answer(f, c, ep(CLIENT, PORT), "");
	pass_ms(f, 21000);
	native_to(f, client_of("8.0.9.10", 1));
	expect_reason(native_to(f, client_of("8.0.9.11", 1)), R_LIMIT_SERVER);
	expect_reason(native_to(f, c), R_ENCAP);
	assert_int_equal(housekeeping(f, &forgotten), 1);
	teardown((void **)&f);
}

static void rfc4213_3_4_icmp_error_asks_again_and_never_deletes(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();

	answer(f, c, ep(CLIENT, PORT), "");
	packet(f, in6("2a00:f::7"), c, 17, 20);
	relay_icmp4(f->relay, ep(CLIENT, PORT), f->pkt, 40, f->now, &f->out);
	expect_reason(f->out.reason, R_ICMP4_MATCHED);
	assert_int_equal(f->out.act, RELAY_BUBBLE);
	relay_icmp4(f->relay, ep(CLIENT, PORT), f->pkt, 40, f->now, &f->out);
	expect_reason(f->out.reason, R_ICMP4_MATCHED);
	assert_int_equal(f->out.act, 0); /* one is on its way */
	relay_icmp4(f->relay, ep(CLIENT, PORT), f->pkt, 39, f->now, &f->out);
	expect_reason(f->out.reason, R_ICMP4_IGNORED);
	relay_icmp4(f->relay, ep(CLIENT, PORT + 1), f->pkt, 40, f->now, &f->out);
	expect_reason(f->out.reason, R_ICMP4_IGNORED);
	relay_icmp4(f->relay, ep("8.0.9.10", PORT), f->pkt, 0, f->now, &f->out);
	expect_reason(f->out.reason, R_ICMP4_IGNORED);
	expect_reason(native_to(f, c), R_ENCAP);
}

/* Whoever forges ICMPv4 errors and the client's data makes us ask no more than if it were silent. */
static void rfc4380_5_2_6_icmp_errors_keep_to_four_in_300_s(void **st)
{
	struct endpoint4 at[] = { ep(CLIENT, PORT), ep("8.0.9.10", 1) };
	struct fixture *f = *st;
	struct in6_addr c = client();

	for (int symmetric = 0; symmetric < 2; symmetric++) {
		int asked = 0;

		expect_reason(answer(f, c, at[symmetric], ""), R_PROVEN);
		for (int s = 0; s < 290; s++) {
			pass_ms(f, 1000);
			udp_from(f, c, "2a00:f::7", at[symmetric]);
			packet(f, in6("2a00:f::7"), c, 17, 20);
			relay_icmp4(f->relay, at[symmetric], f->pkt, 40, f->now, &f->out);
			asked += !!(f->out.act & RELAY_BUBBLE);
		}
		assert_int_equal(asked, 4);
		/* answers free the number, but not the pauses */
		asked = 0;
		for (int s = 0; s < 80; s++) {
			pass_ms(f, 1000);
			answer(f, c, at[symmetric], "");
			packet(f, in6("2a00:f::7"), c, 17, 20);
			relay_icmp4(f->relay, at[symmetric], f->pkt, 40, f->now, &f->out);
			asked += !!(f->out.act & RELAY_BUBBLE);
		}
		assert_in_range(asked, 8, 10);
	}
	/* nor does a client that is now here and now there begin anew */
	for (int i = 0, asked = 0; i < 80; i++) {
		pass_ms(f, 1000);
		expect_reason(answer(f, c, at[i & 1], ""), R_PROVEN);
		packet(f, in6("2a00:f::7"), c, 17, 20);
		relay_icmp4(f->relay, at[i & 1], f->pkt, 40, f->now, &f->out);
		asked += !!(f->out.act & RELAY_BUBBLE);
		assert_true(asked <= 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4380_5_2_6_four_bubbles_in_300_s),
		T(rfc4380_5_2_6_lone_packets_count_towards_the_four),
		T(rfc4380_5_4_1_no_repeat_without_traffic_and_the_kept_packet_is_answered),
		T(a_silent_client_that_speaks_is_asked_again),
		T(client_in_use_proves_itself_again_before_its_time),
		T(everyone_proves_itself_again_within_ten_minutes),
		T(symmetric_client_in_use_proves_itself_again_before_its_time),
		T(rfc4380_5_2_6_re_proofs_keep_to_four),
		cmocka_unit_test(re_proof_needs_no_place_among_the_unproven),
		T(rfc4213_3_4_icmp_error_asks_again_and_never_deletes),
		T(rfc4380_5_2_6_icmp_errors_keep_to_four_in_300_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
