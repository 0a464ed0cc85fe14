// SPDX-License-Identifier: GPL-2.0-or-later
/* What the relay does with a packet: the proven, the unproven, and the limits on them. */
#include "relay.h"

static void rfc4380_5_4_1_first_packet_is_kept_and_a_bubble_goes_to_the_server(void **st)
{
	struct fixture *f = *st;
	struct in6_addr want = client();
	struct ipv6hdr b;

	expect_reason(native_to(f, client()), R_QUEUED);
	assert_int_equal(f->out.act, RELAY_BUBBLE);
	assert_true(endpoint4_equal(f->out.bubble_to, ep(SERVER, 3544)));
	memcpy(&b, f->out.bubble, 40);
	assert_true(teredo_is_bubble(&b));
	assert_memory_equal(&b.daddr, &want, 16);
	assert_true(teredo_cookie_right(&f->keys, f->policy.bubble_prefix, &b.daddr, &b.saddr,
					cookie_slot(f->now.units)));
	expect_reason(native_to(f, client()), R_QUEUE_FULL);
	assert_int_equal(f->out.act, 0);
}

static void rfc4380_5_4_2_answer_proves_and_frees_the_kept_packet(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();

	native_to(f, c);
	expect_reason(answer(f, c, ep(CLIENT, PORT), ""), R_PROVEN);
	assert_int_equal(f->out.act, RELAY_KEPT_SEND);
	assert_int_equal(f->out.kept_len, 60);
	assert_true(endpoint4_equal(f->out.to, ep(CLIENT, PORT)));
	expect_reason(native_to(f, c), R_ENCAP);
	assert_int_equal(f->out.act, RELAY_SEND);
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT)), R_DECAP);
	assert_int_equal(f->out.act, RELAY_WRITE);
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT + 1)), R_SRC_MISMATCH);
}

/* What is behind another tunnel of this host is not native, unless the operator lets packets cross. */
static void clients_and_other_tunnels_are_apart(void **st)
{
	static const struct sixin4_tunnel tunnel = { .n_prefixes = 1 };
	struct sixin4_tunnel behind = tunnel;
	struct sixin4_table *in4;
	struct fixture *f = *st;
	struct in6_addr c = client();

	behind.prefix[0] = (struct prefix6){ in6("2a00:f::"), 64 };
	assert_int_equal(sixin4_table_new(&behind, 1, &in4), 0);
	native_to(f, c);
	answer(f, c, ep(CLIENT, PORT), "");
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT)), R_DECAP);
	expect_reason(udp_from(f, c, "2002:909:909::1", ep(CLIENT, PORT)), R_DECAP);
	expect_reason(native_to(f, c), R_ENCAP);
	relay_set_sixin4(f->relay, in4);
	f->policy.tunnels.of[f->policy.tunnels.n++] =
		(struct tunnel_prefix){ { in6("2002::"), 16 }, TUNNEL_SIXTO4, 0 };
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT)), R_DST_TUNNEL);
	expect_reason(udp_from(f, c, "2002:909:909::1", ep(CLIENT, PORT)), R_DST_TUNNEL);
	expect_reason(native_to(f, c), R_SRC_TUNNEL);
	f->policy.tunnels.cross = TUNNEL_CROSS(TUNNEL_TEREDO, TUNNEL_SIXIN4) |
				  TUNNEL_CROSS(TUNNEL_SIXIN4, TUNNEL_TEREDO);
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT)), R_DECAP);
	expect_reason(udp_from(f, c, "2002:909:909::1", ep(CLIENT, PORT)), R_DST_TUNNEL);
	expect_reason(native_to(f, c), R_ENCAP);
	f->policy.service.addr = 0; /* no relay at all */
	expect_reason(native_to(f, c), R_NOT_OURS);
	sixin4_table_free(in4);
}

static void rfc6081_4_1_forged_bubbles_and_bad_trailers_prove_nothing(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();

	native_to(f, c);
	relay_from_udp(f->relay, f->pkt, packet(f, c, in6("fe80::1"), IP6_NEXT_NONE, 0), ep(CLIENT, PORT), 0,
		       f->now, &f->out);
	expect_reason(f->out.reason, R_BUBBLE_COOKIE);
	expect_reason(answer(f, c, ep(CLIENT, PORT), "41020000"), R_BUBBLE_TRAILER);
	expect_reason(answer(f, client_of("10.0.0.1", 9), ep("10.0.0.1", 9), ""), R_CLIENT_REFUSED);
	expect_reason(answer(f, c, ep("10.0.0.1", 9), ""), R_CLIENT_REFUSED);
	assert_int_equal(f->table.n, 0);
	assert_false(f->has_remapped);
}

static void rfc6081_5_2_4_symmetric_nat_is_followed_by_a_right_cookie_alone(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();

	expect_reason(udp_from(f, c, "2a00:f::7", ep("8.0.9.10", 1)), R_SRC_MISMATCH);
	native_to(f, c);
	expect_reason(answer(f, c, ep("8.0.9.10", 1), ""), R_PROVEN);
	expect_reason(native_to(f, c), R_ENCAP);
	assert_true(endpoint4_equal(f->out.to, ep("8.0.9.10", 1)));
	expect_reason(udp_from(f, c, "2a00:f::7", ep("8.0.9.10", 1)), R_DECAP);
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT)), R_SRC_MISMATCH);
}

static void rfc4380_5_4_2_unknown_client_that_sends_data_is_challenged(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();

	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT)), R_QUEUED);
	assert_int_equal(f->out.act, RELAY_BUBBLE);
	expect_reason(answer(f, c, ep(CLIENT, PORT), ""), R_PROVEN);
	assert_int_equal(f->out.act, RELAY_KEPT_WRITE);
	assert_int_equal(f->out.kept_len, 60);
}

static void rfc4380_5_4_1_behind_nat_sends_direct_bubbles_too(void **st)
{
	struct relay_settings set = defaults();
	struct fixture *f;

	(void)st;
	set.behind_nat = true;
	f = make(set, 100);
	expect_reason(native_to(f, client()), R_QUEUED);
	assert_int_equal(f->out.act, RELAY_BUBBLE | RELAY_DIRECT);
	assert_true(endpoint4_equal(f->out.bubble_to, ep(SERVER, 3544)));
	assert_true(endpoint4_equal(f->out.direct_to, ep(CLIENT, PORT)));
	expect_reason(answer(f, client(), ep(CLIENT, PORT), ""), R_PROVEN);
	teardown((void **)&f);
}

static enum reason plain_bubble(struct fixture *f, struct in6_addr src, struct endpoint4 at)
{
	relay_from_udp(f->relay, f->pkt, packet(f, src, in6("2a00:f::7"), IP6_NEXT_NONE, 0), at, 0, f->now, &f->out);
	return f->out.reason;
}

static void rfc4380_5_4_2_admission_rfc_serves_unproven_clients(void **st)
{
	struct endpoint4 at = ep(CLIENT, PORT);
	struct in6_addr c = client();
	struct fixture *f = *st;
	enum reason forgotten;

	f->policy.admission_rfc = 1;
	/* data from the right endpoint is forwarded, and the client asked for a proof */
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, 1)), R_SRC_MISMATCH);
	expect_reason(udp_from(f, c, "2a00:f::7", at), R_DECAP);
	assert_int_equal(f->out.act, RELAY_WRITE | RELAY_BUBBLE);
	expect_reason(native_to(f, c), R_ENCAP);
	assert_int_equal(f->out.act, RELAY_SEND);
	assert_true(endpoint4_equal(f->out.to, at));
	expect_reason(udp_from(f, c, "fd00::1", at), R_DST_SITE);
	assert_int_equal(f->table.n, 0); /* never where XDP would find it */
	assert_int_equal(relay_gauges(f->relay).peers.weak, 1);
	/* 30 s after its last packet it is nobody again */
	pass_ms(f, 29000);
	expect_reason(udp_from(f, c, "2a00:f::7", at), R_DECAP);
	pass_ms(f, 29000);
	housekeeping(f, &forgotten);
	expect_reason(native_to(f, c), R_ENCAP);
	pass_ms(f, 2000);
	housekeeping(f, &forgotten);
	expect_reason(native_to(f, c), R_QUEUED);
	/* a bubble of any kind is enough, and frees what was kept */
	expect_reason(plain_bubble(f, c, ep(CLIENT, 1)), R_SRC_MISMATCH);
	expect_reason(plain_bubble(f, c, at), R_WEAK);
	assert_int_equal(f->out.act, RELAY_KEPT_SEND);
	assert_int_equal(f->out.kept_len, 60);
	/* the right one makes it a proven client */
	expect_reason(answer(f, c, at, ""), R_PROVEN);
	assert_int_equal(f->table.n, 1);
	assert_int_equal(relay_gauges(f->relay).peers.weak, 0);
	expect_reason(plain_bubble(f, c, at), R_WEAK);
	assert_int_equal(relay_gauges(f->relay).peers.weak, 0);
	expect_reason(udp_from(f, client_of("10.0.0.1", 9), "2a00:f::7", ep("10.0.0.1", 9)), R_CLIENT_REFUSED);
}

static void weak_clients_have_their_own_limit(void **st)
{
	struct fixture *f = *st;

	f->policy.admission_rfc = 1;
	answer(f, client(), ep(CLIENT, PORT), "");
	for (__u16 i = 1; i <= 64; i++)
		expect_reason(udp_from(f, client_of("8.0.9.10", i), "2a00:f::7", ep("8.0.9.10", i)), R_DECAP);
	expect_reason(udp_from(f, client_of("8.0.9.10", 65), "2a00:f::7", ep("8.0.9.10", 65)), R_PENDING_FULL);
	expect_reason(native_to(f, client_of("8.0.9.10", 66)), R_QUEUED);
	expect_reason(native_to(f, client()), R_ENCAP);
}

/* A client with the cone bit; RFC 4380 5.4.1 case 2 where the relay's operator wants it. */
static struct in6_addr cone_client(const char *addr)
{
	struct in6_addr a = client_of(addr, PORT);

	a.s6_addr[8] |= 0x80;
	return a;
}

static struct fixture *make_cone(__u32 n)
{
	static struct prefix4 net[2];
	struct relay_settings set = defaults();

	net[0] = (struct prefix4){ in4("8.0.9.0"), 24 };
	net[1] = (struct prefix4){ in4("8.0.10.7"), 32 };
	set.cone = (struct cone_prefixes){ net, n };
	return make(set, 100);
}

static void rfc5991_3_2_nobody_s_cone_bit_is_believed_by_default(void **st)
{
	struct fixture *f = *st;

	expect_reason(native_to(f, cone_client(CLIENT)), R_QUEUED);
	assert_int_equal(f->out.act, RELAY_BUBBLE);
}

static void rfc4380_5_4_1_case_2_cone_prefixes_are_sent_to_at_once(void **st)
{
	struct in6_addr c = cone_client(CLIENT), known = cone_client("8.0.10.7");
	struct endpoint4 at = ep(CLIENT, PORT);
	struct fixture *f = make_cone(2);
	enum reason forgotten;

	(void)st;
	/* nobody else: without the bit, outside the prefixes, refused; and none that was not sent
	 * to */
	expect_reason(native_to(f, client()), R_QUEUED);
	expect_reason(native_to(f, cone_client("8.0.10.8")), R_QUEUED);
	expect_reason(native_to(f, cone_client("10.0.0.1")), R_CLIENT_REFUSED);
	expect_reason(udp_from(f, c, "2a00:f::7", at), R_QUEUED);
	assert_int_equal(f->out.act, RELAY_BUBBLE);
	/* the rest at once, and without a bubble; what waits for the answer to one goes along */
	expect_reason(native_to(f, known), R_ENCAP);
	assert_int_equal(f->out.act, RELAY_SEND);
	assert_true(endpoint4_equal(f->out.to, ep("8.0.10.7", PORT)));
	expect_reason(native_to(f, c), R_ENCAP);
	assert_int_equal(f->out.act, RELAY_SEND | RELAY_KEPT_WRITE);
	assert_true(endpoint4_equal(f->out.to, at));
	/* and what they answer goes on, from where their address says; never a proof for XDP */
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, 1)), R_SRC_MISMATCH);
	expect_reason(udp_from(f, c, "2a00:f::7", at), R_DECAP);
	assert_int_equal(f->out.act, RELAY_WRITE);
	expect_reason(udp_from(f, c, "fd00::1", at), R_DST_SITE);
	expect_reason(native_to(f, c), R_ENCAP);
	assert_int_equal(f->table.n, 0);
	/* 30 s after its last packet it is nobody again, whatever is sent to it */
	pass_ms(f, 29000);
	expect_reason(udp_from(f, c, "2a00:f::7", at), R_DECAP);
	pass_ms(f, 29000);
	expect_reason(native_to(f, c), R_ENCAP);
	pass_ms(f, 1001);
	housekeeping(f, &forgotten);
	expect_reason(udp_from(f, c, "2a00:f::7", at), R_QUEUED);
	teardown((void **)&f);
}

static void cone_prefixes_are_within_the_limits_of_new_clients(void **st)
{
	struct fixture *f = make_cone(1);
	struct relay_settings set = defaults();
	const struct prefix4 net = { in4("8.0.9.0"), 24 };

	(void)st;
	set.cone = (struct cone_prefixes){ &net, 1 };
	set.new_per_second = 1;
	relay_set(f->relay, &set);
	expect_reason(native_to(f, cone_client(CLIENT)), R_ENCAP);
	expect_reason(native_to(f, cone_client("8.0.9.10")), R_LIMIT_PEERS);
	expect_reason(native_to(f, cone_client(CLIENT)), R_ENCAP);
	teardown((void **)&f);
}

static void whose_cone_bit_is_believed_no_more_is_forgotten(void **st)
{
	const struct relay_settings none = defaults();
	struct in6_addr c = cone_client(CLIENT);
	struct fixture *f = make_cone(1);
	struct relay_walk walk;

	(void)st;
	expect_reason(native_to(f, c), R_ENCAP);
	relay_set(f->relay, &none);
	walk = relay_enforcement(f->relay);
	while (relay_walk(f->relay, &walk, 1000))
		;
	expect_reason(udp_from(f, c, "2a00:f::7", ep(CLIENT, PORT)), R_QUEUED);
	expect_reason(native_to(f, c), R_QUEUE_FULL);
	assert_int_equal(relay_gauges(f->relay).peers.weak, 0);
	teardown((void **)&f);
}

/* A client is where it proved itself last, for data both ways; the table and the map never both have it. */
static void rfc6081_5_2_4_the_last_proof_says_where_a_client_is(void **st)
{
	struct endpoint4 home = ep(CLIENT, PORT), away = ep("8.0.9.10", 1);
	struct relay_settings set = defaults();
	struct in6_addr c = client();
	struct fixture *f;

	(void)st;
	set.clients_per_address = set.clients_per_net = 1;
	f = make(set, 100);
	for (int i = 0; i < 3; i++) {
		expect_reason(answer(f, c, away, ""), R_PROVEN);
		assert_int_equal(f->table.n, 0);
		assert_int_equal(relay_gauges(f->relay).remapped, 1);
		expect_reason(native_to(f, c), R_ENCAP);
		assert_true(endpoint4_equal(f->out.to, away));
		expect_reason(udp_from(f, c, "2a00:f::7", away), R_DECAP);
		expect_reason(udp_from(f, c, "2a00:f::7", home), R_SRC_MISMATCH);
		expect_reason(answer(f, client_of("8.0.9.10", 7), ep("8.0.9.10", 7), ""), R_CAP_ADDRESS);

		expect_reason(answer(f, c, home, ""), R_PROVEN);
		assert_int_equal(f->table.n, 1);
		assert_int_equal(relay_gauges(f->relay).remapped, 0);
		assert_false(f->has_remapped);
		expect_reason(native_to(f, c), R_ENCAP);
		assert_true(endpoint4_equal(f->out.to, home));
		expect_reason(udp_from(f, c, "2a00:f::7", home), R_DECAP);
		expect_reason(udp_from(f, c, "2a00:f::7", away), R_SRC_MISMATCH);
		expect_reason(answer(f, client_of(CLIENT, 7), ep(CLIENT, 7), ""), R_CAP_ADDRESS);
		/* only its port differs */
		expect_reason(answer(f, c, ep(CLIENT, PORT + 1), ""), R_PROVEN);
		expect_reason(answer(f, client_of(CLIENT, 7), ep(CLIENT, 7), ""), R_CAP_ADDRESS);
		expect_reason(answer(f, c, home, ""), R_PROVEN);
	}
	/* where it may not go it does not, and still counts where it is */
	expect_reason(answer(f, client_of("8.0.77.1", 1), ep("8.0.77.1", 1), ""), R_PROVEN);
	expect_reason(answer(f, c, ep("8.0.77.1", 2), ""), R_CAP_ADDRESS);
	expect_reason(answer(f, client_of(CLIENT, 7), ep(CLIENT, 7), ""), R_CAP_ADDRESS);
	expect_reason(udp_from(f, c, "2a00:f::7", home), R_DECAP);
	assert_int_equal(flush(f, is_client, &c, false), 1);
	expect_reason(answer(f, client_of(CLIENT, 7), ep(CLIENT, 7), ""), R_PROVEN);
	teardown((void **)&f);
}

static void rfc4380_5_4_2_destinations_of_clients(void **st)
{
	static const struct {
		const char *dst;
		enum reason want;
	} v[] = {
		{ "::1", R_DST_UNSPECIFIED }, { "ff02::1", R_DST_MULTICAST }, { "fe80::1", R_DST_LINK_LOCAL },
		{ "fd00::1", R_DST_SITE }, { "2001:0:800:101::1", R_DST_TEREDO }, { "2002:800:201::1", R_DST_OWN_TUNNEL },
		{ "2a00:1::1", R_DST_LOCAL }, { "2a00:77::beef", R_DST_LOCAL }, { "2a00:f::1", R_DECAP },
	};
	struct fixture *f = *st;
	struct in6_addr c = client();

	answer(f, c, ep(CLIENT, PORT), "");
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		expect_reason(udp_from(f, c, v[i].dst, ep(CLIENT, PORT)), v[i].want);
	f->policy.local_services = 1;
	expect_reason(udp_from(f, c, "2a00:1::1", ep(CLIENT, PORT)), R_DECAP);
}

static void rfc5095_routing_header_0_is_found_behind_others(void **st)
{
	static const struct {
		__u8 first;
		const char *headers;
		enum reason want;
	} chain[] = {
		/* an atomic fragment, a first and a second one; an authentication header of 16 bytes */
		{ 44, "2b00000000000001" "3b00000000000000", R_INNER_ROUTING },
		{ 44, "2b00000100000001" "3b00000000000000", R_INNER_ROUTING },
		{ 44, "2b00000900000001" "3b00000000000000", R_DECAP },
		{ 51, "2b02000000000001" "0000000000000002" "3b00000000000000", R_INNER_ROUTING },
		{ 51, "2b02000000000001" "0000000000000002" "3b00040000000000", R_DECAP },
		{ 44, "3300000000000001" "2b02000000000001" "0000000000000002" "3b00000000000000", R_INNER_ROUTING },
		{ 51, "2bff000000000001" "3b00000000000000", R_DECAP }, /* longer than the packet */
		{ 43, "3bff000000000000", R_INNER_ROUTING }, /* that, too: as in XDP */
	};
	struct fixture *f = *st;
	size_t len = packet(f, client(), in6("2a00:f::7"), 60, 40);

	answer(f, client(), ep(CLIENT, PORT), "");
	len = packet(f, client(), in6("2a00:f::7"), 60, 40);
	memcpy(f->pkt + 40, "\x2b\x00\x01\x04\x00\x00\x00\x00", 8);
	memcpy(f->pkt + 48, "\x3b\x00\x00\x00\x00\x00\x00\x00", 8);
	relay_from_udp(f->relay, f->pkt, len, ep(CLIENT, PORT), 0, f->now, &f->out);
	expect_reason(f->out.reason, R_INNER_ROUTING);
	f->pkt[50] = 4;
	relay_from_udp(f->relay, f->pkt, len, ep(CLIENT, PORT), 0, f->now, &f->out);
	expect_reason(f->out.reason, R_DECAP);
	relay_from_udp(f->relay, f->pkt, len, ep(CLIENT, PORT), 3, f->now, &f->out);
	expect_reason(f->out.reason, R_ECN_CONGESTED);
	for (size_t i = 0; i < sizeof(chain) / sizeof(chain[0]); i++) {
		len = packet(f, client(), in6("2a00:f::7"), chain[i].first, 40);
		unhex(chain[i].headers, f->pkt + 40);
		relay_from_udp(f->relay, f->pkt, len, ep(CLIENT, PORT), 0, f->now, &f->out);
		expect_reason(f->out.reason, chain[i].want);
	}
}

static void limits_name_themselves(void **st)
{
	struct relay_settings limits = defaults();
	struct fixture *f = NULL;
	struct in6_addr other = client_of(CLIENT, 1);

	(void)st;
	limits.new_per_second = 1, f = make(limits, 100);
	expect_reason(native_to(f, client()), R_QUEUED);
	expect_reason(native_to(f, other), R_LIMIT_PEERS);
	teardown((void **)&f);
	limits = defaults(), limits.new_per_source = 1, f = make(limits, 100);
	expect_reason(native_to(f, client()), R_QUEUED);
	expect_reason(native_to(f, other), R_LIMIT_SOURCE);
	teardown((void **)&f);
	limits = defaults(), limits.bubbles_per_client = 1, f = make(limits, 100);
	expect_reason(native_to(f, client()), R_QUEUED);
	expect_reason(native_to(f, other), R_LIMIT_CLIENT);
	teardown((void **)&f);
	limits = defaults(), limits.bubbles_per_server = 1, f = make(limits, 100);
	expect_reason(native_to(f, client()), R_QUEUED);
	expect_reason(native_to(f, client_of("8.0.9.10", 1)), R_LIMIT_SERVER);
	teardown((void **)&f);
	limits = defaults(), limits.pending = 1, f = make(limits, 100);
	expect_reason(native_to(f, client()), R_QUEUED);
	expect_reason(native_to(f, other), R_PENDING_FULL);
	teardown((void **)&f);
	limits = defaults(), limits.clients_per_address = 1, f = make(limits, 100);
	expect_reason(answer(f, client(), ep(CLIENT, PORT), ""), R_PROVEN);
	expect_reason(answer(f, other, ep(CLIENT, 1), ""), R_CAP_ADDRESS);
	expect_reason(answer(f, client(), ep(CLIENT, PORT), ""), R_PROVEN);
	/* behind symmetric NATs it is where they are that counts, whatever their addresses say */
	expect_reason(answer(f, client_of("8.0.10.1", 1), ep("8.0.10.2", 1), ""), R_PROVEN);
	expect_reason(answer(f, client_of("8.0.11.1", 1), ep("8.0.10.2", 2), ""), R_CAP_ADDRESS);
	teardown((void **)&f);
	/* a reload with lower ones keeps whoever is there */
	limits = defaults(), f = make(limits, 100);
	expect_reason(answer(f, client(), ep(CLIENT, PORT), ""), R_PROVEN);
	expect_reason(answer(f, other, ep(CLIENT, 1), ""), R_PROVEN);
	limits.clients_per_address = limits.clients_per_net = 1;
	relay_set(f->relay, &limits);
	expect_reason(answer(f, client(), ep(CLIENT, PORT), ""), R_PROVEN);
	expect_reason(answer(f, client_of(CLIENT, 2), ep(CLIENT, 2), ""), R_CAP_ADDRESS);
	teardown((void **)&f);
	limits = defaults(), limits.clients_per_net = 1, f = make(limits, 100);
	expect_reason(answer(f, client(), ep(CLIENT, PORT), ""), R_PROVEN);
	expect_reason(answer(f, client_of("8.0.9.200", 1), ep("8.0.9.200", 1), ""), R_CAP_NET);
	expect_reason(answer(f, client_of("8.0.10.9", 1), ep("8.0.10.9", 1), ""), R_PROVEN);
	teardown((void **)&f);
	f = make(defaults(), 1);
	expect_reason(answer(f, client(), ep(CLIENT, PORT), ""), R_PROVEN);
	expect_reason(answer(f, other, ep(CLIENT, 1), ""), R_TABLE_FULL);
	teardown((void **)&f);
}

static void forged_floods_never_displace_the_proven(void **st)
{
	struct fixture *f = *st;
	struct in6_addr c = client();
	__u32 x = 1;

	answer(f, c, ep(CLIENT, PORT), "");
	for (int i = 0; i < 200000; i++) {
		struct in6_addr forged;

		x = x * 1664525 + 1013904223;
		forged = teredo_addr(x ^ 0x01010101, BE16(x), (struct endpoint4){ x * 7, BE16(x >> 8), 0 });
		native_to(f, forged);
		udp_from(f, forged, "2a00:f::7", teredo_mapped(&forged));
		if (i % 1000 == 0)
			pass_ms(f, 50);
		while (relay_next(f->relay, f->now, &f->out))
			;
	}
	expect_reason(native_to(f, c), R_ENCAP);
	assert_int_equal(f->table.n, 1);
	assert_true(relay_gauges(f->relay).peers.pending <= 64);
	assert_true(relay_gauges(f->relay).peers.queue_bytes <= 8 * PEER_PACKET);
}

static void rfc4443_2_4_errors_about_errors_are_not_sent(void **st)
{
	struct fixture *f = *st;
	__u8 buf[ICMP6_ERROR_MAX] __attribute__((aligned(8)));
	struct in6_addr src = in6("2a00:1::1");
	size_t len = packet(f, in6("2a00:f::7"), client(), 58, 1240);

	f->pkt[40] = 128;
	assert_int_equal(icmp6_error(buf, sizeof(buf), &src, 1, 3, 0, f->pkt, len), 1280);
	assert_int_equal(buf[40], 1);
	assert_int_equal(buf[41], 3);
	assert_memory_equal(buf + 48, f->pkt, 1232);
	assert_memory_equal(buf + 8, &src, 16);
	f->pkt[40] = 1;
	assert_int_equal(icmp6_error(buf, sizeof(buf), &src, 1, 3, 0, f->pkt, len), 0);
	f->pkt[40] = 137;
	assert_int_equal(icmp6_error(buf, sizeof(buf), &src, 1, 3, 0, f->pkt, len), 0);
	len = packet(f, in6("ff02::1"), client(), 17, 20);
	assert_int_equal(icmp6_error(buf, sizeof(buf), &src, 1, 3, 0, f->pkt, len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4380_5_4_1_first_packet_is_kept_and_a_bubble_goes_to_the_server),
		T(rfc4380_5_4_2_answer_proves_and_frees_the_kept_packet),
		T(clients_and_other_tunnels_are_apart),
		T(rfc6081_4_1_forged_bubbles_and_bad_trailers_prove_nothing),
		T(rfc6081_5_2_4_symmetric_nat_is_followed_by_a_right_cookie_alone),
		T(rfc4380_5_4_2_unknown_client_that_sends_data_is_challenged),
		cmocka_unit_test(rfc4380_5_4_1_behind_nat_sends_direct_bubbles_too),
		T(rfc4380_5_4_2_admission_rfc_serves_unproven_clients),
		T(weak_clients_have_their_own_limit),
		T(rfc5991_3_2_nobody_s_cone_bit_is_believed_by_default),
		cmocka_unit_test(rfc4380_5_4_1_case_2_cone_prefixes_are_sent_to_at_once),
		cmocka_unit_test(cone_prefixes_are_within_the_limits_of_new_clients),
		cmocka_unit_test(whose_cone_bit_is_believed_no_more_is_forgotten),
		cmocka_unit_test(rfc6081_5_2_4_the_last_proof_says_where_a_client_is),
		T(rfc4380_5_4_2_destinations_of_clients),
		T(rfc5095_routing_header_0_is_found_behind_others),
		cmocka_unit_test(limits_name_themselves),
		T(forged_floods_never_displace_the_proven),
		T(rfc4443_2_4_errors_about_errors_are_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
