// SPDX-License-Identifier: GPL-2.0-or-later
/* navalis.conf as the policy of the data path, and what differs between two of them. */
#include "unit.h"

#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "navalis/conflict.h"
#include "navalis/sixbed4.h"

#define OFF "[navalis]\nmode = off\n"
#define TEREDO "[teredo]\nservice = 8.0.0.1\n"
#define SERVER "[teredo-server]\nprimary = 8.0.0.2\n"
#define SIXTO4 "[6to4]\nlocal = 8.0.0.4\n"
#define SIXRD "[6rd home]\nprefix = 2a00:100::/32\nborder_relay = 8.0.0.3\n"
#define SIXIN4 "[6in4 a]\nlocal = 8.0.0.5\nremote = 9.0.0.7\nprefixes = 2a00:200::/48\n"
#define SIXRD_B "[6rd b]\nprefix = 2a00:101::/32\nborder_relay = 8.0.0.13\n"
#define SIXBED4 "[6bed4]\nservice = 8.0.0.6\nprefix = 2a00:300:0:1::/64\n"
#define SIXBED4_OLD "[6bed4 old]\nservice = 8.0.0.6\nprefix = fd00:1::/64\nformat = 2012\n"
#define HG48 "[hg48]\nservice = 8.0.0.7\nprefix = fd4a:6b8c:2d10:1::/80\n"

/* Ticks of 4 ms, coarse units of 16 ms. */
static const struct nav_clock ticks = { .tick_ns = 4000000, .shift = 2 };

static struct config *load(const char *text)
{
	struct config *c = NULL;
	char path[32];
	const struct config_source from = { .path = path };
	int fd = memfd_create("navalis.conf", 0);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(config_load(&from, stderr, &c), 0);
	close(fd);
	return c;
}

static struct nav_config *policy_of(const struct config *c)
{
	struct nav_config *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_int_equal(config_policy(c, &ticks, p), 0);
	return p;
}

static struct nav_config *policy(const char *text)
{
	struct config *c = load(text);
	struct nav_config *p = policy_of(c);

	free(c);
	return p;
}

static struct prefix6 net6(const char *addr, __u32 len)
{
	return (struct prefix6){ in6(addr), len };
}

static bool prefix_is(const struct prefix6 *p, const char *addr, __u32 len)
{
	const struct prefix6 want = net6(addr, len);

	return !memcmp(p, &want, sizeof(want));
}

static void what_is_not_configured_is_zero(void **st)
{
	static const struct nav_config none;
	struct nav_config *p = policy(OFF TEREDO), *q = policy(OFF SIXRD);
	const size_t from = offsetof(struct nav_config, server), to = offsetof(struct nav_config, tunnels);

	(void)st;
	assert_memory_equal((char *)p + from, (const char *)&none + from, to - from);
	assert_int_equal(p->tunnels.n, 1);
	assert_true(endpoint4_equal(p->service, ep("8.0.0.1", 3545)));
	assert_true(endpoint4_equal(q->service, (struct endpoint4){ 0 }));
	assert_int_equal(q->tunnels.n, 1);
	assert_int_equal(q->tunnels.of[0].tunnel, TUNNEL_SIXRD);
	free(p);
	free(q);
}

static void server_addresses(void **st)
{
	struct nav_config *p = policy(OFF SERVER);
	struct nav_config *q = policy(OFF SERVER "secondary = 9.9.9.9\nrelay_max = 200\nmtu_option = no\n");
	const struct teredo_server_config bare = { { in4("8.0.0.2"), in4("8.0.0.3") }, 88, 1280, 0 };
	const struct teredo_server_config full = { { in4("8.0.0.2"), in4("9.9.9.9") }, 200, 0, 0 };

	(void)st;
	assert_memory_equal(&p->server, &bare, sizeof(bare));
	assert_memory_equal(&q->server, &full, sizeof(full));
	free(p);
	free(q);
}

static void advertisements_are_limited_in_ticks(void **st)
{
	struct nav_config *p = policy(OFF SERVER);
	struct nav_config *q = policy(OFF "bubbles_per_client_address = 0\n" TEREDO);
	struct meter m = { 0 };
	__u32 taken = 0;

	(void)st;
	for (__u64 now = 1; now <= 60 * 1000000000ULL / ticks.tick_ns; now++) /* a minute */
		taken += meter_take(&m, &p->advertise, now);
	assert_in_range(taken, 61 * 20, 65 * 20);
	assert_true(!q->advertise.per_unit && !q->advertise.burst);
	free(p);
	free(q);
}

static void rfc3056_sixto4(void **st)
{
	struct nav_config *p = policy(OFF SIXTO4);
	struct nav_config *q = policy(OFF SIXTO4 "source = 192.88.99.1\nreturn_only = yes\n"
				      "sends_for = 2a00:1::/32 2a00:2::/48\nmtu = 1400\n");
	struct nav_config *r = policy(OFF SIXTO4 "anycast = yes\n");

	(void)st;
	assert_int_equal(p->sixto4.local, in4("8.0.0.4"));
	assert_int_equal(p->sixto4.source, in4("8.0.0.4"));
	assert_int_equal(p->sixto4.link.mtu, 1280);
	assert_false(p->sixto4.anycast || p->sixto4.return_only || p->sixto4.n_senders || p->sixto4.link.df);
	assert_int_equal(q->sixto4.source, in4("192.88.99.1"));
	assert_true(q->sixto4.return_only);
	assert_int_equal(q->sixto4.n_senders, 2);
	assert_true(prefix_is(&q->sixto4.sender[1], "2a00:2::", 48));
	assert_int_equal(q->sixto4.link.mtu, 1400);
	assert_true(r->sixto4.anycast && !r->sixto4.return_only);
	free(p);
	free(q);
	free(r);
}

static void rfc5969_sixrd(void **st)
{
	struct nav_config *p = policy(
		OFF SIXRD "[6rd b]\nprefix = 2a00:1e0::/28\nipv4_prefix = 10.0.0.0/8\nborder_relay = 10.0.0.1\n"
			  "other_relays = 10.0.0.2 10.0.0.3\nmtu = 1480\ndf = yes\ncopy_class = no\n");
	const struct sixrd_domain *d = p->sixrd;

	(void)st;
	assert_int_equal(p->n_sixrd, 2);
	assert_true(prefix_is(&d[0].prefix, "2a00:100::", 32));
	assert_true(!d[0].v4 && !d[0].v4_len && d[0].br == in4("8.0.0.3") && !d[0].n_relays);
	assert_true(d[0].link.mtu == 1280 && !d[0].link.df && d[0].link.copy_class);
	assert_true(prefix_is(&d[1].prefix, "2a00:1e0::", 28));
	assert_true(d[1].v4 == in4("10.0.0.0") && d[1].v4_len == 8 && d[1].br == in4("10.0.0.1"));
	assert_true(d[1].n_relays == 2 && d[1].relay[1] == in4("10.0.0.3"));
	assert_true(d[1].link.mtu == 1480 && d[1].link.df && !d[1].link.copy_class);
	free(p);
}

static void rfc4213_sixin4(void **st)
{
	struct config *c = load(OFF SIXIN4 "[6in4 b]\nlocal = 8.0.0.5\nremote = 9.0.0.8\nprefixes = fd00:1::/32\n"
					   "prefixes = 2a00:201::/48\nany_source = yes\nmtu = 1480\n"
					   "[6in4 c]\nlocal = 8.0.0.6\nremote = 9.0.0.7\nprefixes = 2a00:202::/48\n");
	struct nav_config *p = policy_of(c);

	(void)st;
	assert_int_equal(c->n_sixin4, 3);
	assert_string_equal(c->sixin4_named[1].name, "b");
	assert_int_equal(c->sixin4_named[1].line, 7);
	for (__u32 i = 0; i < 3; i++)
		assert_int_equal(c->sixin4[i].id, i);
	assert_true(c->sixin4[1].local == in4("8.0.0.5") && c->sixin4[1].remote == in4("9.0.0.8"));
	assert_int_equal(c->sixin4[1].n_prefixes, 2);
	assert_true(prefix_is(&c->sixin4[1].prefix[1], "2a00:201::", 48));
	assert_true(c->sixin4[1].any_source && c->sixin4[1].link.mtu == 1480);
	assert_true(!c->sixin4[0].any_source && c->sixin4[0].link.mtu == 1280);
	assert_int_equal(p->sixin4.n_locals, 2); /* each once */
	assert_true(p->sixin4.local[0] == in4("8.0.0.5") && p->sixin4.local[1] == in4("8.0.0.6"));
	assert_int_equal(p->tunnels.n, 0); /* they are in a map */
	free(c);
	free(p);
}

static void sixbed4_listeners(void **st)
{
	struct nav_config *p = policy(OFF SIXBED4 "routes = 2a00::/16 2a01::/17\nmin_port = 0\nretract = yes\n"
						  "mtu = 1472\n" SIXBED4_OLD);
	const struct sixbed4_config *b = p->sixbed4;
	const struct in6_addr one = in6("2a00:300:0:1::"), two = in6("fd00:1::");

	(void)st;
	assert_true(endpoint4_equal(b[0].service, ep("8.0.0.6", SIXBED4_PORT)));
	assert_true(sixbed4_is(&b[0], &one) && !sixbed4_is(&b[0], &two));
	assert_true(b[0].format == SIXBED4_W2 && b[0].retract);
	assert_true(b[0].mtu == 1472 && !b[0].min_port && b[0].n_routes == 2);
	assert_true(prefix_is(&b[0].route[1], "2a01::", 17));
	assert_true(endpoint4_equal(b[1].service, ep("8.0.0.6", SIXBED4_PORT_W1)));
	assert_true(sixbed4_is(&b[1], &two) && b[1].format == SIXBED4_W1 && b[1].mtu == 1280);
	assert_true(b[1].min_port == 1024 && !b[1].retract && !b[1].n_routes);
	free(p);
}

static void hg48_in_coarse_units(void **st)
{
	struct nav_config *p = policy(OFF HG48);
	struct nav_config *q = policy(OFF HG48 "life = 30\nwindow = 1\nwindow_packets = 9\nnew_per_source = 0\n"
					       "max_peers = 7\nmin_port = 1\nunsolicited = yes\n");
	struct meter m = { 0 };
	const struct in6_addr prefix = in6("fd4a:6b8c:2d10:1::");
	__u32 taken = 0;

	(void)st;
	assert_true(endpoint4_equal(p->hg48.service, ep("8.0.0.7", 3546)));
	assert_memory_equal(&p->hg48.prefix, &prefix, sizeof(prefix));
	assert_int_equal(p->hg48.life, 120000 / 16);
	assert_int_equal(p->hg48.window, 10000 / 16);
	assert_int_equal(p->hg48.window_packets, 3);
	assert_int_equal(p->hg48.max_peers, 16384);
	assert_true(p->hg48.min_port == 1024 && !p->hg48.unsolicited && p->hg48.link.mtu == HG48_MTU);
	for (__u64 now = 1; now <= 60 * 1000 / 16; now++) /* a minute, asked in each unit: 20 a second */
		taken += hg48_admit(&p->hg48, &m, 0, 0, now) == R_NONE;
	assert_in_range(taken, 60 * 20, 62 * 20);
	assert_int_equal(q->hg48.life, 30000 / 16);
	assert_int_equal(q->hg48.window, 1000 / 16);
	assert_true(q->hg48.window_packets == 9 && q->hg48.max_peers == 7 && q->hg48.min_port == 1 && q->hg48.unsolicited);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(hg48_admit(&q->hg48, &m, 0, 0, 1), R_NONE);
	free(p);
	free(q);
}

/* Which tunnel is an address behind, and may a packet go there? */
static void tunnels_and_crossings(void **st)
{
	static const struct {
		const char *addr;
		enum tunnel tunnel;
		__u32 id;
	} at[] = {
		{ "2001:0:800:2::1", TUNNEL_TEREDO, 0 },    { "2a00:300:0:1::1", TUNNEL_SIXBED4, 0 },
		{ "fd00:1::1", TUNNEL_SIXBED4, 1 },         { "2002:900:7::1", TUNNEL_SIXTO4, 0 },
		{ "2a00:100:1::1", TUNNEL_SIXRD, 0 },       { "2a00:101:1::1", TUNNEL_SIXRD, 1 },
		{ "fd4a:6b8c:2d10:1::1", TUNNEL_HG48, 0 },  { "2a00:400::1", TUNNEL_NONE, 7 },
	};
	struct nav_config *p = policy(
		OFF "cross = 6rd:6bed4 6rd:6rd\ncross = 6in4:teredo\n" TEREDO SERVER SIXTO4 SIXRD SIXIN4 SIXBED4
		SIXBED4_OLD HG48 SIXRD_B);
	const struct tunnel_prefixes *t = &p->tunnels;

	(void)st;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct in6_addr a = in6(at[i].addr);
		__u32 id = 7;

		assert_int_equal(tunnels_of(t, &a, NULL, &id), at[i].tunnel);
		assert_int_equal(id, at[i].id);
		for (enum tunnel from = TUNNEL_TEREDO; from < TUNNEL_MAX; from++) {
			const bool may = at[i].tunnel == TUNNEL_NONE ||
					 (from == TUNNEL_SIXRD && (at[i].tunnel == TUNNEL_SIXBED4 || at[i].tunnel == TUNNEL_SIXRD)) ||
					 (from == TUNNEL_SIXIN4 && at[i].tunnel == TUNNEL_TEREDO);

			expect_reason(tunnels_cross(t, from, 99, &a, NULL), may ? R_NONE : R_DST_TUNNEL);
		}
	}
	free(p);
}

/* ---- conflicts that only a host that knows its addresses can see ------------------------------- */

static void own_addresses_are_asked_later(void **st)
{
	struct config *c = load(OFF SIXRD SIXIN4);
	struct nav_config *p = policy_of(c);
	struct nav_own *own = calloc(1, sizeof(*own));
	const struct prefix4 ours = { in4("9.0.0.7"), 32 };
	char sentence[CONFIG_SENTENCE];
	int line;

	(void)st;
	assert_false(config_conflict(c, p, NULL, sentence, &line));
	assert_false(config_conflict(c, p, own, sentence, &line));
	assert_int_equal(addr4_set_build(&ours, 1, &own->v4), 0);
	assert_true(config_conflict(c, p, own, sentence, &line));
	assert_string_equal(sentence, "[6in4 a]: the tunnel's remote endpoint is this host");
	assert_int_equal(line, 6);
	free(own);
	free(p);
	free(c);
}

/* ---- comparing --------------------------------------------------------------------------------- */

static struct config_changes changes(const char *before, const char *after)
{
	struct config *a = load(before), *b = load(after);
	struct config_changes ch;

	assert_int_equal(config_compare(a, b, &ch), 0);
	free(a);
	free(b);
	return ch;
}

/* One change, which can be made by a reload; or cannot. */
static void expect_change(const char *before, const char *after, const char *name, bool restart)
{
	const struct config_changes ch = changes(before, after);

	assert_int_equal(ch.n, 1);
	assert_string_equal(ch.name[0], name);
	assert_string_equal(ch.restart, restart ? name : "");
}

static void what_changes_with_a_reload(void **st)
{
	(void)st;
	assert_int_equal(changes(OFF SIXRD SIXIN4, OFF SIXIN4 SIXRD).n, 0); /* wherever they stand */
	assert_int_equal(changes(OFF SIXRD SIXRD_B, OFF SIXRD_B SIXRD).n, 0);
	expect_change(OFF SIXRD SIXRD_B, OFF SIXRD_B "mtu = 1300\n" SIXRD, "6rd b: mtu", false);
	assert_int_equal(changes(OFF SIXBED4, OFF SIXBED4 "format = draft-04\n").n, 0);
	expect_change(OFF TEREDO, OFF "cross = 6rd:6in4\n" TEREDO, "cross", false);
	expect_change(OFF TEREDO, OFF TEREDO "behind_nat = yes\n", "behind_nat", false);
	expect_change(OFF SERVER, OFF SERVER "relay_max = 90\n", "teredo-server: relay_max", false);
	expect_change(OFF SIXTO4, OFF SIXTO4 "anycast = yes\n", "6to4: anycast", false);
	expect_change(OFF SIXRD, OFF SIXRD "df = yes\n", "6rd home: df", false);
	expect_change(OFF SIXRD SIXIN4, OFF SIXIN4 "mtu = 1300\n" SIXRD, "6in4 a: mtu", false);
	expect_change(OFF SIXBED4, OFF SIXBED4 "min_port = 1\n", "6bed4: min_port", false);
	expect_change(OFF HG48, OFF HG48 "life = 60\n", "hg48: life", false);
	/* tunnels come and go */
	expect_change(OFF SIXTO4, OFF SIXTO4 SIXIN4, "[6in4 a]", false);
	expect_change(OFF SIXTO4 SIXIN4, OFF SIXTO4, "[6in4 a]", false);
	expect_change(OFF SIXIN4, OFF SIXIN4 SIXTO4, "[6to4]", false);
	expect_change(OFF TEREDO SIXRD, OFF TEREDO, "[6rd home]", false);
}

static void what_needs_a_restart(void **st)
{
	(void)st;
	expect_change(OFF TEREDO, OFF "[teredo]\nservice = 8.0.0.1:1\n", "service", true);
	expect_change(OFF SERVER "secondary = 8.0.0.9\n", OFF SERVER, "teredo-server: secondary", true);
	expect_change(OFF "[6bed4 x]\nprefix = fd00:1::/64\nservice = 8.0.0.6\n",
		      OFF "[6bed4 x]\nprefix = fd00:1::/64\nservice = 8.0.0.9\n", "6bed4 x: service", true);
	assert_string_equal(changes(OFF SIXBED4, OFF SIXBED4 "format = 2012\n").restart, "6bed4: service");
	expect_change(OFF HG48, OFF HG48 "max_peers = 5\n", "hg48: max_peers", true);
	/* a socket comes or goes, or is another's */
	assert_string_equal(changes(OFF SIXBED4 SIXBED4_OLD, OFF SIXBED4_OLD SIXBED4).restart, "[6bed4]");
	assert_string_equal(changes(OFF SIXBED4 SIXBED4_OLD, OFF SIXBED4_OLD).restart, "[6bed4]");
	assert_int_equal(changes(OFF SIXBED4 SIXBED4_OLD, OFF SIXRD SIXBED4 SIXBED4_OLD).n, 1);
	expect_change(OFF SIXRD, OFF SIXRD TEREDO, "[teredo]", true);
	expect_change(OFF SIXRD TEREDO, OFF SIXRD, "[teredo]", true);
	expect_change(OFF SIXRD, OFF SIXRD SERVER, "[teredo-server]", true);
	expect_change(OFF SIXRD, OFF SIXRD SIXBED4, "[6bed4]", true);
	expect_change(OFF SIXRD HG48, OFF SIXRD, "[hg48]", true);
	/* that of protocol 41 is opened at the start, if anything needs it */
	expect_change(OFF TEREDO, OFF TEREDO SIXRD, "[6rd home]", true);
	expect_change(OFF TEREDO, OFF TEREDO SIXTO4, "[6to4]", true);
	expect_change(OFF TEREDO, OFF TEREDO SIXIN4, "[6in4 a]", true);
}

/* More than are kept by name are still counted. */
static void many_changes(void **st)
{
	char *before = NULL, *after = NULL;
	size_t size;
	FILE *f = open_memstream(&before, &size), *g = open_memstream(&after, &size);
	struct config_changes ch;

	(void)st;
	fputs(OFF SIXTO4, f);
	fputs(OFF SIXTO4, g);
	for (int i = 0; i < 200; i++) {
		fprintf(f, "[6in4 t%d]\nlocal = 8.0.0.5\nremote = 9.0.0.%d\nprefixes = 2a00:%x::/48\n", i, i, i);
		fprintf(g, "[6in4 t%d]\nlocal = 8.0.0.5\nremote = 9.0.1.%d\nprefixes = 2a00:%x::/48\n", i, i, i);
	}
	fclose(f);
	fclose(g);
	ch = changes(before, after);
	assert_int_equal(ch.n, 200);
	assert_string_equal(ch.name[CONFIG_CHANGES - 1], "6in4 t63: remote");
	free(before);
	free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_configured_is_zero),
		cmocka_unit_test(server_addresses),
		cmocka_unit_test(advertisements_are_limited_in_ticks),
		cmocka_unit_test(rfc3056_sixto4),
		cmocka_unit_test(rfc5969_sixrd),
		cmocka_unit_test(rfc4213_sixin4),
		cmocka_unit_test(sixbed4_listeners),
		cmocka_unit_test(hg48_in_coarse_units),
		cmocka_unit_test(tunnels_and_crossings),
		cmocka_unit_test(own_addresses_are_asked_later),
		cmocka_unit_test(what_changes_with_a_reload),
		cmocka_unit_test(what_needs_a_restart),
		cmocka_unit_test(many_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
