// SPDX-License-Identifier: GPL-2.0-or-later
/* explain: every kind of verdict, of every mechanism, and the facts beside them. */
#include "unit.h"
#include "core/explain.h"
#include "navalis/conflict.h"
#include "navalis/sixbed4.h"

#define OURS "192.31.196.7"

static const struct nav_clock clock_of_test = { .tick_ns = 4000000,
						.shift = 6 }; /* units of 256 ms */
static struct nav_config cfg;
static struct host host;
static struct prefix6 local6 = { .len = 128 };
static struct sixin4_tunnel tunnel[2];
static struct sixin4_table *in4_table;
static struct explain_world world;
static struct explained got;

static void range(struct addr4_set *s, const char *first, const char *last)
{
	s->range[s->n++] = (struct addr4_range){ HOST32(in4(first)), HOST32(in4(last)) };
}

static struct prefix6 pfx(const char *addr, __u32 len)
{
	return (struct prefix6){ in6(addr), len };
}

/* Teredo alone: what every instance has. */
static int only_teredo(void **st)
{
	(void)st;
	memset(&cfg, 0, sizeof(cfg));
	memset(&host, 0, sizeof(host));
	cfg.service = ep(OURS, 3545);
	cfg.mtu = 1280;
	cfg.life = 117;
	range(&cfg.refused, "10.0.0.0", "10.255.255.255");
	range(&cfg.refused, "198.18.7.0", "198.18.7.255"); /* benchmarking */
	range(&cfg.refused, "203.1.1.0", "203.1.1.255");   /* the operator's */
	range(&host.own.v4, OURS, OURS);
	local6.addr = in6("2a00:1::1");
	host.local6 = &local6;
	host.n_local6 = 1;
	world = (struct explain_world){
		.cfg = &cfg, .host = &host, .clock = &clock_of_test, .now = 100000, .xdp = true
	};
	return 0;
}

/* In force as they are now. */
static void use_tunnels(void)
{
	sixin4_table_free(in4_table);
	assert_int_equal(sixin4_table_new(tunnel, 2, &in4_table), 0);
	world.in4 = in4_table;
}

static int all_mechanisms(void **st)
{
	static const struct tunnel_link link = { .mtu = 1480 };
	struct tunnels t = {
		.sixto4 = &cfg.sixto4, .sixrd = cfg.sixrd, .n_sixrd = 2, .hg48 = &cfg.hg48
	};

	only_teredo(st);
	cfg.server.addr[0] = in4("192.31.197.1");
	cfg.sixto4 =
		(struct sixto4_config){ .local = in4(OURS), .source = in4(OURS), .link = link };
	cfg.n_sixrd = 2;
	cfg.sixrd[0] = (struct sixrd_domain){ pfx("2a00:6::", 32), in4("10.0.0.0"), 8,
					      in4("10.9.9.9"), .link = link };
	cfg.sixrd[1] = (struct sixrd_domain){ pfx("2a00:7::", 32), 0, 0, in4("192.31.196.9"),
					      .link = link };
	cfg.sixin4 = (struct sixin4_config){ 1, { in4("192.31.196.8") } };
	tunnel[0] = (struct sixin4_tunnel){ .local = in4("192.31.196.8"),
					    .remote = in4("192.0.3.3"),
					    .id = 1,
					    .n_prefixes = 1,
					    .prefix = { pfx("2a00:4::", 48) },
					    .link = link };
	tunnel[1] = (struct sixin4_tunnel){ .local = in4("192.31.196.8"),
					    .remote = in4("192.0.3.4"),
					    .id = 2,
					    .n_prefixes = 1,
					    .prefix = { pfx("2a00:4:4::", 48) },
					    .link = link };
	cfg.sixbed4[0] = (struct sixbed4_config){ .service = ep(OURS, SIXBED4_PORT),
						  .mtu = 1280,
						  .prefix = load64(in6("2a00:b4::").s6_addr),
						  .min_port = 1024 };
	cfg.hg48 = (struct hg48_config){ .prefix = in6("fd00:48::"),
					 .service = ep(OURS, 4848),
					 .min_port = 1024,
					 .window_packets = 3,
					 .link = link };
	assert_true(tunnels_add_prefixes(&cfg.tunnels, &t));
	use_tunnels();
	return 0;
}

static int no_mechanism(void **st)
{
	(void)st;
	in4_table = sixin4_table_free(in4_table);
	return 0;
}

/* ---- what was said --------------------------------------------------------------------------- */

static void explain(const char *address)
{
	struct in6_addr a;

	memset(&got, 0xee, sizeof(got));
	if (inet_pton(AF_INET6, address, &a) == 1)
		explain_address6(&world, &a, &got);
	else
		explain_address4(&world, in4(address), &got);
	assert_true(got.n && got.n <= EXPLAIN_LINES);
	for (__u32 i = 0; i < got.n; i++) {
		assert_true(got.line[i].text[0] &&
			    strlen(got.line[i].text) < sizeof(got.line[i].text) - 1);
		assert_true(got.line[i].about != EXPLAIN_ADDRESS || got.line[i].reason == R_NONE);
	}
}

/* Is there a line about it with such words in it? Returns its reason, or R_MAX + 1. */
static enum reason said(enum explain_about about, const char *words)
{
	for (__u32 i = 0; i < got.n; i++)
		if (got.line[i].about == about && strstr(got.line[i].text, words))
			return got.line[i].reason;
	return R_MAX + 1;
}

static void expect_fact(const char *words)
{
	if (said(EXPLAIN_ADDRESS, words) != R_NONE)
		fail_msg("not said: «%s», but «%s»…", words, got.line[0].text);
}

static void expect(enum explain_about about, const char *words, enum reason reason)
{
	const enum reason r = said(about, words);

	if (r > R_MAX)
		fail_msg("not said: «%s»", words);
	expect_reason(r, reason);
}

/* The first verdict each way: a packet with nothing wrong but the address. */
static void expect_first(enum reason to, enum reason from)
{
	expect(EXPLAIN_TO, "", to);
	expect(EXPLAIN_FROM, "", from);
}

static const char *teredo_at(const char *server, const char *mapped, __u16 port)
{
	static char text[INET6_ADDRSTRLEN];
	const struct in6_addr a = teredo_addr(in4(server), BE16(0x24c7), ep(mapped, port));

	assert_non_null(inet_ntop(AF_INET6, &a, text, sizeof(text)));
	return text;
}

#define CLIENT teredo_at("8.0.1.1", "8.0.9.9", 40000)

/* ---- Teredo ---------------------------------------------------------------------------------- */

static void a_client_never_heard_of_is_punched_to(void **st)
{
	(void)st;
	explain(CLIENT);
	assert_string_equal(got.mechanism, "Teredo");
	assert_true(endpoint4_equal(got.at, ep("8.0.9.9", 40000)));
	assert_true(got.has_peer &&
		    in6_equal(&got.peer,
			      &(struct in6_addr){ .s6_addr = { 0x20, 1, 0xd, 0xb8, [15] = 1 } }));
	expect_fact("server 8.0.1.1, mapped to 8.0.9.9:40000");
	expect_fact("nothing was heard of it");
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
	world.now = 5; /* a stamp of 0 would be young */
	explain(CLIENT);
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
	expect(EXPLAIN_TO, "a bubble through 8.0.1.1:3544", R_UNPROVEN_OUT);
	expect(EXPLAIN_FROM, "challenged by a bubble through 8.0.1.1:3544", R_UNPROVEN_IN);
	expect(EXPLAIN_FROM, "anywhere but 8.0.9.9:40000", R_SRC_MISMATCH);
}

static void a_proven_client_is_forwarded(void **st)
{
	(void)st;
	world.client = (struct explain_client){ .known = true,
						.at = ep("8.0.9.9", 40000),
						.stamp = stamp_of(world.now - 20),
						.has_proof = true,
						.proof_ms = 61300 };
	explain(CLIENT);
	expect_first(R_ENCAP, R_DECAP);
	expect_fact("proven: heard 5.1 s ago, valid for 24.8 s more");
	expect_fact("last proof was 61.3 s ago");
	expect(EXPLAIN_TO, "goes to 8.0.9.9:40000, by XDP", R_ENCAP);
	world.xdp = false;
	explain(CLIENT);
	expect(EXPLAIN_TO, "goes to 8.0.9.9:40000, by the daemon", R_ENCAP);
	world.client.stamp = stamp_of(world.now + 1) | STAMP_SENT; /* another CPU's clock */
	explain(CLIENT);
	expect_fact("heard 0.0 s ago, valid for 29.9 s more");
	world.client.stamp = stamp_of(world.now - 117);
	explain(CLIENT);
	expect_fact("proven once, but last heard 29.9 s ago");
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
	world.client.stamp = stamp_of(world.now - 116); /* the last moment */
	explain(CLIENT);
	expect_first(R_ENCAP, R_DECAP);
}

static void a_remapped_client_is_elsewhere(void **st)
{
	(void)st;
	world.client = (struct explain_client){ .known = true,
						.remapped = true,
						.at = ep("8.0.9.9", 50001),
						.stamp = stamp_of(world.now) };
	explain(CLIENT);
	expect_fact("symmetric NAT: towards this relay it is at 8.0.9.9:50001");
	expect(EXPLAIN_TO, "goes to 8.0.9.9:50001", R_ENCAP);
	expect(EXPLAIN_FROM, "anywhere but 8.0.9.9:50001", R_SRC_MISMATCH);
	assert_true(endpoint4_equal(got.at, ep("8.0.9.9", 50001)));
	assert_int_equal(said(EXPLAIN_ADDRESS, "last proof"), R_MAX + 1);
}

static void an_unproven_client_in_each_state(void **st)
{
	(void)st;
	world.client =
		(struct explain_client){ .state = PEER_PROBE, .bubbles = 2, .since_ms = 2100 };
	explain(CLIENT);
	expect_fact("2 bubbles sent, no answer yet, for 2.1 s");
	expect_first(R_QUEUED, R_UNPROVEN_IN);
	world.client.kept = true;
	explain(CLIENT);
	expect_fact("one packet waits for it");
	expect_first(R_QUEUE_FULL, R_UNPROVEN_IN);
	world.client = (struct explain_client){ .state = PEER_QUIET, .bubbles = 3 };
	explain(CLIENT);
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
	world.client =
		(struct explain_client){ .state = PEER_SILENT, .bubbles = 4, .since_ms = 60000 };
	explain(CLIENT);
	expect_fact("silent, it answered none of 4 bubbles; for 60.0 s");
	expect_first(R_SILENT, R_UNPROVEN_IN);
	cfg.admission_rfc = 1;
	world.client = (struct explain_client){ .state = PEER_WEAK, .since_ms = 300 };
	explain(CLIENT);
	expect_fact("admission = rfc; heard 0.3 s ago");
	expect_first(R_ENCAP, R_DECAP);
	expect(EXPLAIN_FROM, "asks for no proof", R_DECAP);
}

static void a_client_whose_cone_bit_is_believed(void **st)
{
	const struct prefix4 net = { in4("8.0.9.0"), 24 };
	struct in6_addr a = in6(CLIENT);
	char cone[INET6_ADDRSTRLEN];

	(void)st;
	a.s6_addr[8] |= 0x80;
	inet_ntop(AF_INET6, &a, cone, sizeof(cone));
	explain(cone);
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
	world.cone = (struct cone_prefixes){ &net, 1 };
	explain(CLIENT);
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
	explain(cone);
	expect(EXPLAIN_TO, "at once: its cone bit is believed", R_ENCAP);
	expect_first(R_ENCAP, R_UNPROVEN_IN);
	world.client = (struct explain_client){ .state = PEER_WEAK, .since_ms = 300 };
	explain(cone);
	expect_fact("cone_prefixes; heard 0.3 s ago");
	expect_first(R_ENCAP, R_DECAP);
}

static void a_client_that_is_refused(void **st)
{
	(void)st;
	explain(teredo_at("8.0.1.1", "10.1.1.1", 40000));
	expect_first(R_CLIENT_REFUSED, R_CLIENT_REFUSED);
	expect_fact("10.1.1.1 is refused: private use");
	explain(teredo_at("203.1.1.7", "8.0.9.9", 40000));
	expect_first(R_SERVER_REFUSED, R_SERVER_REFUSED);
	expect_fact("203.1.1.7 is refused: «refuse» of the configuration");
	explain(teredo_at("8.0.1.1", "8.0.9.9", 0));
	expect_first(R_CLIENT_PORT, R_CLIENT_PORT);
	explain(teredo_at("8.0.1.1", OURS, 40000));
	expect_first(R_CLIENT_OURS, R_CLIENT_OURS);
	expect_fact(OURS " is this host's own");
	explain(teredo_at("8.0.1.1", "192.168.1.1", 40000)); /* a laboratory's list is empty */
	expect_fact("192.168.1.1 is private use, which this configuration does not refuse");
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
}

static void the_other_end_is_one_that_is_served(void **st)
{
	(void)st;
	cfg.n_served = 1;
	cfg.served[0] = pfx("2a00:f::", 64);
	explain(CLIENT);
	assert_true(in6_equal(&got.peer,
			      &(struct in6_addr){ .s6_addr = { 0x2a, 0, 0, 0xf, [15] = 1 } }));
	expect_first(R_UNPROVEN_OUT, R_UNPROVEN_IN);
	cfg.served[0] = pfx("2a00:1::1", 128); /* this host alone */
	explain(CLIENT);
	assert_true(in6_equal(&got.peer, &local6.addr));
	expect_first(R_UNPROVEN_OUT, R_DST_LOCAL);
	cfg.served[0] = pfx("fd00::", 16);
	explain(CLIENT);
	expect_first(R_SRC_SITE, R_DST_SITE);
}

/* With a relay beside it, and alone: then the relays of others are where its clients' packets go. */
static void the_teredo_server(void **st)
{
	static const char bubble[] = "a relay's bubble, by the Teredo server";

	(void)st;
	cfg.server.addr[0] = in4("8.0.1.1");
	cfg.server.addr[1] = in4("8.0.1.2");
	cfg.server.relay_max = 88;
	explain(CLIENT);
	expect_fact("its server is the one of this instance");
	explain(teredo_at("8.0.7.7", "8.0.9.9", 40000));
	assert_int_equal(said(EXPLAIN_ADDRESS, "its server is"), R_MAX + 1);
	for (int alone = 0; alone < 2; alone++) {
		if (alone)
			cfg.service.addr = 0;
		explain(CLIENT);
		assert_string_equal(got.mechanism, alone ? "native" : "Teredo");
		expect(EXPLAIN_TO, bubble, R_SERVER_RELAYED);
		expect(EXPLAIN_FROM, "from 8.0.9.9:40000 to native IPv6, by the Teredo server", R_DECAP);
		explain(teredo_at("8.0.7.7", "8.0.9.9", 40000)); /* another's client */
		expect(EXPLAIN_TO, bubble, R_SERVER_NOT_OURS);
		expect(EXPLAIN_FROM, "by the Teredo server", R_DECAP);
		explain(teredo_at("8.0.1.1", "10.1.1.1", 40000));
		expect(EXPLAIN_TO, bubble, R_CLIENT_REFUSED);
		expect(EXPLAIN_FROM, "by the Teredo server", R_OUTER_REFUSED);
		explain(teredo_at("8.0.1.1", OURS, 40000));
		expect(EXPLAIN_TO, bubble, R_CLIENT_OURS);
		expect(EXPLAIN_FROM, "by the Teredo server", R_OUTER_OURS);
		explain("8.0.9.9");
		expect(EXPLAIN_TO, "a client of the Teredo server there", R_SERVER_RELAYED);
		expect(EXPLAIN_FROM, "a solicitation to the Teredo server", R_SOLICITED);
		explain("10.1.1.1");
		expect(EXPLAIN_TO, "a client of the Teredo server there", R_CLIENT_REFUSED);
		expect(EXPLAIN_FROM, "a solicitation to the Teredo server", R_OUTER_REFUSED);
		explain("fe80::8000:f227:f7ff:fefe"); /* its own */
		expect(EXPLAIN_TO, "out of the Teredo server", R_SERVER_LOCAL);
		explain("2a00:1::1");
		expect(EXPLAIN_TO, "out of the Teredo server", R_DST_LOCAL);
	}
	cfg.n_served = 1;
	cfg.served[0] = pfx("fd00::", 16); /* the other end that is chosen is in it */
	explain(CLIENT);
	expect(EXPLAIN_FROM, "by the Teredo server", R_DST_SITE);
	cfg.served[0] = pfx("2a00:1::1", 128);
	explain(CLIENT);
	expect(EXPLAIN_FROM, "by the Teredo server", R_DST_LOCAL);
}

/* ---- native ---------------------------------------------------------------------------------- */

static void a_native_address_and_teredo(void **st)
{
	static const struct {
		const char *address, *mechanism;
		enum reason to, from;
	} v[] = {
		{ "2a00:f::7", "native", R_DECAP, R_ENCAP },
		{ "::1", "native", R_DST_UNSPECIFIED, R_SRC_UNSPECIFIED },
		{ "ff02::1", "native", R_DST_MULTICAST, R_SRC_MULTICAST },
		{ "fe80::1", "native", R_DST_LINK_LOCAL, R_SRC_LINK_LOCAL },
		{ "fd00::1", "native", R_DST_SITE, R_SRC_SITE },
		{ "2002:c01f:c407::1", "native", R_DST_OWN_TUNNEL, R_SRC_OWN_TUNNEL },
		{ "2a00:f::200:5efe:c01f:c407", "native", R_DST_OWN_TUNNEL, R_SRC_OWN_TUNNEL },
		{ "2a00:1::1", "host", R_DST_LOCAL, R_ENCAP },
	};

	(void)st;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		explain(v[i].address);
		assert_string_equal(got.mechanism, v[i].mechanism);
		assert_false(got.has_peer || got.at.addr);
		expect(EXPLAIN_TO, "out of Teredo", v[i].to);
		expect(EXPLAIN_FROM, "into Teredo", v[i].from);
	}
	expect_fact("local_services = no");
	assert_int_equal(said(EXPLAIN_ADDRESS, "of this host in it"), R_MAX + 1);
	explain("2002:c01f:c407::1");
	expect_fact("it has an IPv4 address of this host in it");
	cfg.local_services = 1;
	explain("2a00:1::1");
	expect_fact("local_services = yes");
	expect_first(R_DECAP, R_ENCAP);
	cfg.n_served = 1;
	cfg.served[0] = pfx("2a00:f::", 64);
	explain("2a00:f::7");
	expect_fact("in one of the served prefixes");
	expect_first(R_DECAP, R_ENCAP);
	explain("2a00:e::7");
	expect_fact("in none of the served prefixes");
	expect_first(R_DST_NOT_SERVED, R_SRC_NOT_SERVED);
}

static void what_no_mechanism_here_serves_is_native(void **st)
{
	(void)st;
	explain("2002:808:808::1");
	assert_string_equal(got.mechanism, "native");
	expect_fact("6to4 address, but this instance is no 6to4 relay");
	expect_first(R_DECAP, R_ENCAP);
	cfg.service.addr = 0;
	cfg.hg48.service = ep(OURS, 4848);
	explain(CLIENT);
	assert_string_equal(got.mechanism, "native");
	expect_fact("this instance is no Teredo relay");
	assert_int_equal(got.n, 3);
	expect(EXPLAIN_FROM, "into HG48", R_ENCAP); /* another's relay may have let it in */
}

static void a_native_address_and_each_mechanism(void **st)
{
	static const char *const names[] = { "Teredo",
					     "6bed4 (" OURS ":25790)",
					     "6to4",
					     "6rd (2a00:6::/32)",
					     "6rd (2a00:7::/32)",
					     "the configured tunnels (6in4)",
					     "HG48" };
	const size_t n = sizeof(names) / sizeof(names[0]);
	char words[80];

	(void)st;
	explain("2a00:f::7");
	for (size_t i = 0; i < n; i++) {
		snprintf(words, sizeof(words), "out of %s", names[i]);
		expect(EXPLAIN_TO, words, R_DECAP);
		snprintf(words, sizeof(words), "into %s", names[i]);
		expect(EXPLAIN_FROM, words, R_ENCAP);
	}
	expect(EXPLAIN_TO, "out of the Teredo server", R_DECAP);
	assert_int_equal(got.n, 1 + 2 * n + 1);
	cfg.sixto4.return_only = 1;
	explain("2a00:f::7");
	expect(EXPLAIN_TO, "out of 6to4", R_RETURN_ONLY);
	expect(EXPLAIN_FROM, "into 6to4", R_SRC_NOT_HOST);
	cfg.sixto4.n_senders = 1;
	cfg.sixto4.sender[0] = pfx("2a00:f::", 64);
	explain("2a00:f::7");
	expect(EXPLAIN_FROM, "into 6to4", R_ENCAP);
	explain("0:1::1"); /* what protocol 41 calls low and Teredo does not */
	expect(EXPLAIN_TO, "out of 6rd", R_DST_UNSPECIFIED);
	expect(EXPLAIN_FROM, "into HG48", R_SRC_UNSPECIFIED);
}

/* ---- the other mechanisms -------------------------------------------------------------------- */

static void sixto4_sites(void **st)
{
	(void)st;
	explain("2002:808:808::1");
	assert_string_equal(got.mechanism, "6to4");
	assert_true(endpoint4_equal(got.at, ep("8.8.8.8", 0)));
	expect_fact("6to4 site at 8.8.8.8; its relay here is " OURS);
	expect_fact("longer than 1480 bytes");
	expect_first(R_ENCAP, R_DECAP);
	expect(EXPLAIN_TO, "goes to 8.8.8.8 (protocol 41)", R_ENCAP);
	expect(EXPLAIN_FROM, "anywhere but 8.8.8.8", R_SRC_MISMATCH);
	explain("2002:a01:101::1");
	expect_fact("10.1.1.1 is refused: private use");
	expect(EXPLAIN_TO, "is not sent to 10.1.1.1", R_CLIENT_REFUSED);
	expect_first(R_CLIENT_REFUSED, R_OUTER_REFUSED);
	explain("2002:c01f:c407::1");
	expect_first(R_CLIENT_OURS, R_OUTER_OURS);
	cfg.sixto4.return_only = 1;
	explain("2002:808:808::1");
	expect_fact("which only sends");
	expect_first(R_SRC_NOT_HOST, R_RETURN_ONLY);
	cfg.sixto4.n_senders = 1;
	cfg.sixto4.sender[0] = pfx("2a00:1::", 64);
	explain("2002:808:808::1"); /* as from one that it sends for */
	assert_true(in6_equal(&got.peer, &local6.addr));
	expect_first(R_ENCAP, R_RETURN_ONLY);
}

static void sixrd_customers(void **st)
{
	(void)st;
	explain("2a00:6:0102:0300::1"); /* 10.1.2.3, private to the domain */
	assert_string_equal(got.mechanism, "6rd");
	expect_fact(
		"6rd customer at 10.1.2.3 with 2a00:6:102:300::/56; its border relay is 10.9.9.9");
	expect_first(R_ENCAP, R_DECAP);
	expect(EXPLAIN_FROM, "anywhere but 10.1.2.3", R_SRC_MISMATCH);
	assert_int_equal(said(EXPLAIN_ADDRESS, "refused"), R_MAX + 1); /* by others; a domain does not ask */
	explain("2a00:6:909:900::1"); /* the relay's own */
	expect_first(R_CLIENT_OURS, R_OUTER_OURS);
	explain("2a00:7:c058:6301::1"); /* a 6to4 relay is no customer */
	expect_fact("192.88.99.1 is 6to4 relay anycast");
	expect_first(R_CLIENT_REFUSED, R_OUTER_REFUSED);
	cfg.sixrd[0].n_relays = 1;
	cfg.sixrd[0].relay[0] = in4("10.1.2.3");
	explain("2a00:6:102:300::1");
	expect_first(R_CLIENT_REFUSED, R_OUTER_REFUSED);
}

static void sixin4_tunnels(void **st)
{
	(void)st;
	explain("2a00:4::1");
	assert_string_equal(got.mechanism, "6in4");
	expect_fact("configured tunnel 192.31.196.8 - 192.0.3.3");
	expect_first(R_ENCAP, R_DECAP);
	expect(EXPLAIN_FROM, "has no tunnel", R_NO_TUNNEL);
	explain("2a00:4:4::1"); /* not the other one */
	assert_int_equal(got.at.addr, in4("192.0.3.4"));
	tunnel[1].remote = in4(OURS);
	use_tunnels();
	explain("2a00:4:4::1");
	expect_first(R_CLIENT_OURS, R_OUTER_OURS);
}

/* Two mechanisms at one IPv4 address: the configured tunnel has its packets, whatever is inside. */
static void demultiplexing_is_that_of_the_data_path(void **st)
{
	(void)st;
	tunnel[0].local = in4(OURS);
	tunnel[0].remote = in4("8.8.8.8");
	use_tunnels();
	explain("2002:808:808::1");
	expect_first(R_ENCAP, R_SRC_NOT_TUNNEL);
	tunnel[0].local = in4("192.31.196.8");
	use_tunnels();
	cfg.sixrd[1].br = in4(OURS);
	explain("2002:808:808::1");
	expect_first(R_ENCAP, R_SRC_NOT_TUNNEL);
}

static void sixbed4_peers(void **st)
{
	const __u64 prefix = cfg.sixbed4[0].prefix;
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	(void)st;
#define PEER(at, lanip)                                                 \
	(a = sixbed4_addr(prefix, sixbed4_pack(SIXBED4_W2, at, lanip)), \
	 explain(inet_ntop(AF_INET6, &a, text, sizeof(text))))
	PEER(ep("8.0.9.9", 40000), 5);
	assert_string_equal(got.mechanism, "6bed4");
	expect_fact("6bed4 peer at 8.0.9.9:40000; its router is " OURS ":25790");
	expect_first(R_ENCAP, R_DECAP);
	expect(EXPLAIN_FROM, "anywhere else", R_SIXBED4_MOVED);
	PEER(ep("10.1.1.1", 40000), 5);
	expect_first(R_CLIENT_REFUSED, R_OUTER_REFUSED);
	PEER(ep("8.0.9.9", 53), 5);
	expect(EXPLAIN_TO, "", R_CLIENT_PORT);
	PEER(ep(OURS, 40000), 5);
	expect_first(R_CLIENT_OURS, R_OUTER_OURS);
	PEER(ep("8.0.9.9", 40000), 0);
	expect(EXPLAIN_TO, "", R_SIXBED4_LOCAL);
	explain("fe80::"); /* the router's, too */
	expect(EXPLAIN_TO, "out of 6bed4", R_SIXBED4_LOCAL);
	expect(EXPLAIN_TO, "out of 6to4", R_DST_LINK_LOCAL);
	cfg.sixbed4[1] = cfg.sixbed4[0]; /* a second one, whose peers may reach those of the first */
	cfg.sixbed4[1].prefix = load64(in6("2a00:b5::").s6_addr);
	cfg.tunnels.of[cfg.tunnels.n++] =
		(struct tunnel_prefix){ pfx("2a00:b4::", 64), TUNNEL_SIXBED4, 0 };
	cfg.tunnels.cross = TUNNEL_CROSS(TUNNEL_SIXBED4, TUNNEL_SIXBED4);
	cfg.n_served = 1;
	cfg.served[0] = pfx("2a00:b4::", 64);
	a = sixbed4_addr(cfg.sixbed4[1].prefix, sixbed4_pack(SIXBED4_W2, ep("8.0.9.9", 40000), 5));
	explain(inet_ntop(AF_INET6, &a, text, sizeof(text)));
	expect(EXPLAIN_FROM, "", R_DECAP);
	cfg.tunnels.cross = 0;
	explain(text);
	expect(EXPLAIN_FROM, "", R_DST_TUNNEL);
	cfg.n_served = 0;
	explain("2a00:b4::303:0:0:1");
	expect_fact("names no endpoint");
	expect(EXPLAIN_TO, "sent nowhere", R_SIXBED4_OPAQUE);
	expect(EXPLAIN_FROM, "from anywhere does not go on", R_OUTER_REFUSED);
#undef PEER
}

static void hg48_endpoints(void **st)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	(void)st;
#define AT(at) (a = hg48_addr(&cfg.hg48, at), explain(inet_ntop(AF_INET6, &a, text, sizeof(text))))
	AT(ep("8.0.9.9", 40000));
	assert_string_equal(got.mechanism, "HG48");
	expect_fact("HG48 endpoint at 8.0.9.9:40000; its gateway is " OURS ":4848");
	expect_first(R_ENCAP, R_DECAP);
	expect(EXPLAIN_TO, "more than 3 of them", R_UNCONFIRMED);
	expect(EXPLAIN_FROM, "if something was sent to it lately", R_DECAP);
	expect(EXPLAIN_FROM, "if nothing was", R_UNSOLICITED);
	cfg.hg48.unsolicited = 1;
	AT(ep("8.0.9.9", 40000));
	assert_int_equal(said(EXPLAIN_FROM, "if nothing was"), R_MAX + 1);
	assert_int_equal(said(EXPLAIN_FROM, "if something was"), R_MAX + 1);
	AT(ep("8.0.9.9", 53));
	expect_first(R_ENDPOINT_PORT, R_ENDPOINT_PORT);
	AT(ep("203.1.1.1", 40000));
	expect_first(R_CLIENT_REFUSED, R_OUTER_REFUSED);
#undef AT
}

/* The other end is behind a tunnel itself. */
static void between_tunnels_only_what_is_opened(void **st)
{
	(void)st;
	cfg.n_served = 1;
	cfg.served[0] = pfx("2a00:4::", 32); /* 6in4 */
	explain("2002:808:808::1");
	expect_first(R_SRC_TUNNEL, R_DST_TUNNEL);
	cfg.tunnels.cross = TUNNEL_CROSS(TUNNEL_SIXIN4, TUNNEL_SIXTO4);
	explain("2002:808:808::1");
	expect_first(R_ENCAP, R_DST_TUNNEL);
	cfg.tunnels.cross = TUNNEL_CROSS(TUNNEL_SIXTO4, TUNNEL_SIXIN4);
	explain("2002:808:808::1");
	expect_first(R_SRC_TUNNEL, R_DECAP);
	explain(CLIENT);
	expect_first(R_SRC_TUNNEL, R_DST_TUNNEL);
}

static bool goes(enum explain_about about, enum reason onward, enum reason unproven)
{
	const enum reason r = said(about, "");

	return r == onward || r == unproven;
}

/* With all ways open it is the mechanisms that say which of them leads anywhere. */
static void ways_that_may_be_opened_are_those_that_lead_on(void **st)
{
	static const struct {
		enum tunnel tunnel;
		const char *at;
	} end[] = {
		{ TUNNEL_TEREDO, "2001:0:800:101:24c7:63bf:f7ff:f6f6" },
		{ TUNNEL_TEREDO, "2001:0:800:101:24c7:63bf:f7ff:f5f5" },
		{ TUNNEL_SIXBED4, "2a00:b4::800:909:9c40:5" },
		{ TUNNEL_SIXBED4, "2a00:b5::800:909:9c40:5" },
		{ TUNNEL_SIXTO4, "2002:800:909::1" },
		{ TUNNEL_SIXTO4, "2002:800:a0a::1" },
		{ TUNNEL_SIXRD, "2a00:6:102:300::1" },
		{ TUNNEL_SIXRD, "2a00:7:800:909::1" },
		{ TUNNEL_SIXIN4, "2a00:4:1::1" },
		{ TUNNEL_SIXIN4, "2a00:4:4::1" },
		{ TUNNEL_HG48, "fd00:48::f6f6:f7ff:63bf" },
		{ TUNNEL_HG48, "fd00:48::f5f5:f7ff:63bf" },
	};
	const struct prefix6 more[] = { pfx("2001::", 32), pfx("2a00:b4::", 64), pfx("2a00:b5::", 64) };
	const size_t n = sizeof(end) / sizeof(end[0]);
	__u32 led = 0;

	(void)st;
	cfg.sixbed4[1] = cfg.sixbed4[0];
	cfg.sixbed4[1].prefix = load64(&more[2].addr);
	tunnel[0].prefix[0] = pfx("2a00:4:1::", 48);
	use_tunnels();
	tunnels_add_prefix(&cfg.tunnels, TUNNEL_TEREDO, 0, &more[0]);
	tunnels_add_prefix(&cfg.tunnels, TUNNEL_SIXBED4, 0, &more[1]);
	tunnels_add_prefix(&cfg.tunnels, TUNNEL_SIXBED4, 1, &more[2]);
	cfg.tunnels.cross = ~0ULL;
	cfg.n_served = 1;
	for (size_t i = 0; i < n; i++)
		for (size_t k = i % 2 ? 0 : 1; k < n; k += 2) { /* to the other one of each kind */
			bool leads;

			cfg.served[0] = pfx(end[k].at, 128);
			explain(end[i].at);
			leads = goes(EXPLAIN_FROM, R_DECAP, R_UNPROVEN_IN);
			cfg.served[0] = pfx(end[i].at, 128);
			explain(end[k].at);
			leads = leads && goes(EXPLAIN_TO, R_ENCAP, R_UNPROVEN_OUT);
			if (leads != tunnels_may_cross(end[i].tunnel, end[k].tunnel))
				fail_msg("from %s to %s: %d", end[i].at, end[k].at, leads);
			led += leads;
		}
	assert_int_equal(led, 2 * 21);
}

/* ---- IPv4 ------------------------------------------------------------------------------------ */

static void ipv4_addresses(void **st)
{
	(void)st;
	explain("8.0.9.9");
	assert_string_equal(got.mechanism, "ipv4");
	expect_fact("neither refused nor an address of this host");
	expect(EXPLAIN_TO, "a Teredo client", R_ENCAP);
	expect(EXPLAIN_TO, "a 6bed4 peer", R_ENCAP);
	expect(EXPLAIN_TO, "an HG48 endpoint", R_ENCAP);
	expect(EXPLAIN_TO, "2002:800:909::/48, 6to4", R_ENCAP);
	expect(EXPLAIN_FROM, "2002:800:909::/48, 6to4", R_DECAP);
	expect(EXPLAIN_TO, "2a00:7:800:909::/64, 6rd", R_ENCAP);
	assert_int_equal(said(EXPLAIN_TO, "2a00:6:"), R_MAX + 1); /* not in that domain */
	expect(EXPLAIN_FROM, "protocol 41 to 192.31.196.8", R_NO_TUNNEL);
	explain("10.1.2.3");
	expect_fact("10.1.2.3 is refused: private use");
	expect(EXPLAIN_TO, "a Teredo client", R_CLIENT_REFUSED);
	expect(EXPLAIN_TO, "a 6bed4 peer", R_CLIENT_REFUSED);
	expect(EXPLAIN_FROM, "6to4", R_OUTER_REFUSED);
	expect(EXPLAIN_TO, "2a00:6:102:300::/56, 6rd", R_ENCAP); /* a domain's are private */
	explain("192.0.3.3");
	expect(EXPLAIN_FROM, "2a00:4::/48, 6in4", R_DECAP);
	assert_int_equal(said(EXPLAIN_FROM, "2a00:4:4::/48"), R_MAX + 1); /* that tunnel has another end */
	assert_int_equal(said(EXPLAIN_FROM, "protocol 41 to"), R_MAX + 1);
	explain(OURS);
	expect_fact("this host's own");
	expect_fact("the Teredo relay's service address: UDP port 3545");
	expect_fact("the 6bed4 router's address: UDP port 25790");
	expect_fact("the 6to4 relay's address");
	expect_fact("the HG48 gateway's address: UDP port 4848");
	expect(EXPLAIN_TO, "a Teredo client", R_CLIENT_OURS);
	expect(EXPLAIN_FROM, "6to4", R_OUTER_OURS);
	explain("192.31.197.1");
	expect_fact("an address of the Teredo server: UDP port 3544");
	explain("10.9.9.9");
	expect_fact("the border relay of 2a00:6::/32");
	explain("192.31.196.8");
	expect_fact("the end of configured tunnels");
	cfg.sixto4.return_only = 1;
	cfg.sixto4.n_senders = 1;
	cfg.sixto4.sender[0] = pfx("fd00:1::", 64);
	explain("8.0.9.9"); /* the sender is the other end of 6to4 alone */
	expect(EXPLAIN_TO, "6to4", R_SRC_SITE);
	expect(EXPLAIN_TO, "6rd", R_ENCAP);
}

static void ipv4_addresses_where_there_is_teredo_alone(void **st)
{
	(void)st;
	explain("8.0.9.9");
	assert_int_equal(got.n, 2);
	expect(EXPLAIN_TO, "a Teredo client, once it is proven, there", R_ENCAP);
	explain("0.0.0.0"); /* what is not configured is at no address */
	assert_int_equal(got.n, 2);
	expect_fact("0.0.0.0 is this network, which this configuration does not refuse");
}

/* All ends of all tunnels at one address, and every list full: the last line is there, too. */
static void ipv4_address_of_which_there_is_most_to_say(void **st)
{
	char last[64];

	(void)st;
	cfg.server.addr[0] = in4(OURS);
	cfg.sixbed4[1] = cfg.sixbed4[0];
	cfg.n_sixrd = SIXRD_DOMAINS;
	for (int i = 0; i < SIXRD_DOMAINS; i++) {
		cfg.sixrd[i] = cfg.sixrd[1];
		cfg.sixrd[i].br = in4(OURS);
	}
	cfg.sixin4.n_locals = SIXIN4_LOCALS;
	for (int i = 0; i < SIXIN4_LOCALS; i++)
		cfg.sixin4.local[i] = in4("192.31.196.8") + BE32(i);
	cfg.sixin4.local[0] = in4(OURS);
	snprintf(last, sizeof(last), "protocol 41 to 192.31.196.%d", 8 + SIXIN4_LOCALS - 1);
	explain(OURS);
	expect(EXPLAIN_FROM, last, R_NO_TUNNEL);
}

#define T(f) cmocka_unit_test_setup(f, only_teredo)
#define A(f) cmocka_unit_test_setup_teardown(f, all_mechanisms, no_mechanism)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_client_never_heard_of_is_punched_to),
		T(a_proven_client_is_forwarded),
		T(a_remapped_client_is_elsewhere),
		T(an_unproven_client_in_each_state),
		T(a_client_whose_cone_bit_is_believed),
		T(a_client_that_is_refused),
		T(the_other_end_is_one_that_is_served),
		T(the_teredo_server),
		T(a_native_address_and_teredo),
		T(what_no_mechanism_here_serves_is_native),
		A(a_native_address_and_each_mechanism),
		A(sixto4_sites),
		A(sixrd_customers),
		A(sixin4_tunnels),
		A(demultiplexing_is_that_of_the_data_path),
		A(sixbed4_peers),
		A(hg48_endpoints),
		A(between_tunnels_only_what_is_opened),
		A(ways_that_may_be_opened_are_those_that_lead_on),
		A(ipv4_addresses),
		A(ipv4_address_of_which_there_is_most_to_say),
		T(ipv4_addresses_where_there_is_teredo_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
