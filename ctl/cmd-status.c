// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl status. JSON: {"instance","daemon":{"alive","pid","version","for_ms","longest_us"},
 * "laboratory","cone_prefixes","service" or null,"service_here","mechanisms":[as of tunnels, 6in4 in one row] or
 * null,"config":{"for_ms","reloads","refused_ms" or null},"nics":[{"name","state",
 * "mode","shared","frags","strips_tags","prog_id","rx","verdicts","balanced"}…],"next_hops":{"ipv4","ipv6"},"clients":{"live","aged",
 * "remapped","max"},"pending","silent","weak","queue_bytes","forwarded":{"xdp":{"decap","encap"},"daemon":{…}},
 * "slow_path":{"rx","verdicts","balanced"},"rates":{"decap","encap"},"drops":[{"reason","packets"}…]}
 */
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define SAMPLE_US 500000
#define TOP 5

/* One look at all counters. */
struct look {
	__u64 rx[NAV_NICS], verdicts[NAV_NICS];
	__u64 slow_rx, slow_verdicts;
	__u64 xdp_decap, xdp_encap;
	__u64 reason[R_MAX]; /* of all NICs and the daemon */
};

static void look(const struct maps *m, struct look *l)
{
	static struct nav_count count[NAV_COUNTERS];
	const struct nav_daemon *d = &m->daemon;

	*l = (struct look){ .slow_rx = d->rx_tun.packets + d->rx_udp.packets +
					 d->rx_proto41.packets };
	for (__u32 r = 0; r < R_MAX; r++) {
		l->reason[r] = d->count[r].packets;
		if (reason_info[r].verdict != ACTION_NOTE)
			l->slow_verdicts += d->count[r].packets;
	}
	for (__u32 n = 0; n < d->n_nics; n++) {
		maps_count(m, n, count);
		l->rx[n] = count[NAV_RX].packets;
		for (__u32 r = 0; r < R_MAX; r++) {
			l->verdicts[n] += count[NAV_COUNT_OF(r)].packets;
			l->reason[r] += count[NAV_COUNT_OF(r)].packets;
		}
		l->xdp_decap += count[NAV_COUNT_OF(R_DECAP)].packets;
		l->xdp_encap += count[NAV_COUNT_OF(R_ENCAP)].packets;
	}
}

/*
 * Counted in before the verdict, and read in that order, too: what arrives while we read shows as
 * more verdicts than packets. Less than none is lost, more than that is not in flight.
 */
static bool balanced(__u64 rx, __u64 verdicts, bool alive)
{
	return alive ? verdicts + 1024 >= rx : verdicts >= rx;
}

struct states {
	__u32 live, aged, remapped;
};

static struct states count_states(const struct maps *m)
{
	__u32 now = stamp_of(nav_units(&m->meta.clock, m->now_ns));
	struct states s = { .remapped = m->daemon.remapped };

	for (__u32 i = 0; i < m->meta.buckets; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++) {
			const __u64 word = m->clients[i].word[k];

			if (!word)
				continue;
			if (stamp_young(word, now, m->daemon.life))
				s.live++;
			else
				s.aged++;
		}
	return s;
}

static __u64 since_ms(const struct maps *m)
{
	const struct nav_daemon *d = &m->daemon;
	__u64 then = m->alive ? d->started_ns : d->stopped_ns ? d->stopped_ns : d->seen_ns;

	return (m->now_ns - then) / 1000000;
}

/* Indices of the drops with most packets, most first. */
static int top_drops(const struct look *l, __u32 *top)
{
	int n = 0;

	for (__u32 r = 0; r < R_MAX; r++) {
		int i;

		if (reason_info[r].verdict != ACTION_DROP || !l->reason[r])
			continue;
		for (i = n; i > 0 && l->reason[top[i - 1]] < l->reason[r]; i--)
			if (i < TOP)
				top[i] = top[i - 1];
		if (i < TOP) {
			top[i] = r;
			if (n < TOP)
				n++;
		}
	}
	return n;
}

static const char *nic_state(const struct nav_nic *nic)
{
	return !nic->ifindex ? "gone" : nic->down ? "down" : "up";
}

/* How XDP knows next hops: by enum nav_hops, and when there is no daemon to follow the routes. */
static const struct {
	const char *name, *text;
} hops_info[] = {
	[HOPS_UNKNOWN] = { "changing", "for each destination (routes are changing)" },
	[HOPS_BY_ROUTE] = { "route", "by route" },
	[HOPS_RULES] = { "rules", "for each destination (policy routing rules)" },
	[HOPS_MANY_ROUTES] = { "many_routes", "for each destination (too many routes)" },
	[HOPS_NO_GATEWAY] = { "no_gateway", "for each destination (no route to a single gateway by these NICs)" },
	{ "no_daemon", "for each destination (no daemon follows the routes)" },
};

#define HOPS_LAST (sizeof(hops_info) / sizeof(*hops_info) - 1)

static __u32 hops_of(const struct maps *m, enum region_family family)
{
	const __u32 hops = m->daemon.hops[family];

	return m->alive && hops < HOPS_LAST ? hops : HOPS_LAST;
}

static bool has_xdp(const struct nav_daemon *d)
{
	for (__u32 i = 0; i < d->n_nics; i++)
		if (d->nic[i].mode != NAV_MODE_OFF)
			return true;
	return false;
}

static void print_hops(const struct maps *m)
{
	const __u32 ip4 = hops_of(m, REGIONS_IP4), ip6 = hops_of(m, REGIONS_IP6);

	if (ip4 == ip6)
		printf("next hops %s\n", hops_info[ip4].text);
	else
		printf("next hops IPv4 %s, IPv6 %s\n", hops_info[ip4].text, hops_info[ip6].text);
}

static struct json_object *pair(__u64 decap, __u64 encap)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "decap", json_object_new_uint64(decap));
	json_object_object_add(o, "encap", json_object_new_uint64(encap));
	return o;
}

static struct json_object *balance(__u64 rx, __u64 verdicts, bool alive)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "rx", json_object_new_uint64(rx));
	json_object_object_add(o, "verdicts", json_object_new_uint64(verdicts));
	json_object_object_add(o, "balanced", json_object_new_boolean(balanced(rx, verdicts, alive)));
	return o;
}

static int print_json(const struct ctl *c, const struct maps *m, const struct look *l,
		      const struct states *s, const double rate[2], struct json_object *mechanisms)
{
	struct json_object *o = json_object_new_object(), *sub = json_object_new_object(), *list;
	const struct nav_daemon *d = &m->daemon;
	__u32 top[TOP];
	int n = top_drops(l, top);

	json_object_object_add(o, "instance", json_object_new_string(c->instance));
	json_object_object_add(sub, "alive", json_object_new_boolean(m->alive));
	json_object_object_add(sub, "pid", json_object_new_int64(d->pid));
	json_object_object_add(sub, "version", json_object_new_string(d->version));
	json_object_object_add(sub, "for_ms", json_object_new_uint64(since_ms(m)));
	json_object_object_add(sub, "longest_us", json_object_new_uint64(d->longest_ns / 1000));
	json_object_object_add(o, "daemon", sub);
	json_object_object_add(o, "laboratory", json_object_new_boolean(d->laboratory));
	json_object_object_add(o, "cone_prefixes", json_object_new_int64(d->cone_prefixes));
	json_object_object_add(o, "service", !d->service.addr ? NULL :
			       json_object_new_string(text_endpoint(d->service).s));
	json_object_object_add(o, "service_here", json_object_new_boolean(!d->service_gone));
	sub = json_object_new_object();
	json_object_object_add(sub, "for_ms", json_object_new_uint64((m->now_ns - d->loaded_ns) / 1000000));
	json_object_object_add(sub, "reloads", json_object_new_int64(d->reloads));
	json_object_object_add(sub, "refused_ms", !d->refused_ns ? NULL :
			       json_object_new_uint64((m->now_ns - d->refused_ns) / 1000000));
	json_object_object_add(o, "config", sub);
	list = json_object_new_array();
	for (__u32 i = 0; i < d->n_nics; i++) {
		sub = balance(l->rx[i], l->verdicts[i], true);
		json_object_object_add(sub, "name", json_object_new_string(d->nic[i].name));
		json_object_object_add(sub, "state", json_object_new_string(nic_state(&d->nic[i])));
		json_object_object_add(sub, "mode", json_object_new_string(mode_name(d->nic[i].mode)));
		json_object_object_add(sub, "shared", json_object_new_boolean(d->nic[i].shared));
		json_object_object_add(sub, "frags", json_object_new_boolean(d->nic[i].frags));
		json_object_object_add(sub, "strips_tags", json_object_new_boolean(d->nic[i].strips));
		json_object_object_add(sub, "prog_id", json_object_new_int64(d->nic[i].prog_id));
		json_object_array_add(list, sub);
	}
	json_object_object_add(o, "nics", list);
	sub = json_object_new_object();
	json_object_object_add(sub, "ipv4", json_object_new_string(hops_info[hops_of(m, REGIONS_IP4)].name));
	json_object_object_add(sub, "ipv6", json_object_new_string(hops_info[hops_of(m, REGIONS_IP6)].name));
	json_object_object_add(o, "next_hops", sub);
	sub = json_object_new_object();
	json_object_object_add(sub, "live", json_object_new_int64(s->live));
	json_object_object_add(sub, "aged", json_object_new_int64(s->aged));
	json_object_object_add(sub, "remapped", json_object_new_int64(s->remapped));
	json_object_object_add(sub, "max", json_object_new_int64(d->max_clients));
	json_object_object_add(o, "clients", sub);
	json_object_object_add(o, "mechanisms", json_object_get(mechanisms));
	json_object_object_add(o, "pending", json_object_new_int64(d->pending));
	json_object_object_add(o, "silent", json_object_new_int64(d->silent));
	json_object_object_add(o, "weak", json_object_new_int64(d->weak));
	json_object_object_add(o, "queue_bytes", json_object_new_int64(d->queue_bytes));
	sub = json_object_new_object();
	json_object_object_add(sub, "xdp", pair(l->xdp_decap, l->xdp_encap));
	json_object_object_add(sub, "daemon", pair(d->count[R_DECAP].packets, d->count[R_ENCAP].packets));
	json_object_object_add(o, "forwarded", sub);
	json_object_object_add(o, "slow_path", balance(l->slow_rx, l->slow_verdicts, m->alive));
	sub = json_object_new_object();
	json_object_object_add(sub, "decap", json_object_new_double(rate[0]));
	json_object_object_add(sub, "encap", json_object_new_double(rate[1]));
	json_object_object_add(o, "rates", sub);
	list = json_object_new_array();
	for (int i = 0; i < n; i++) {
		sub = json_object_new_object();
		json_object_object_add(sub, "reason", json_object_new_string(reason_info[top[i]].name));
		json_object_object_add(sub, "packets", json_object_new_uint64(l->reason[top[i]]));
		json_object_array_add(list, sub);
	}
	json_object_object_add(o, "drops", list);
	return ctl_print_json(o);
}

static void print_balance(const char *name, __u64 rx, __u64 verdicts, bool alive)
{
	printf("  %-15s %12llu in, %12llu verdicts: %s\n", name, (unsigned long long)rx,
	       (unsigned long long)verdicts, balanced(rx, verdicts, alive) ? "ok" : "DOES NOT BALANCE");
}

static void print_nic(const struct nav_daemon *d, const struct nav_nic *nic)
{
	if (!nic->ifindex) {
		printf("NIC       %s: GONE; XDP will be back with it\n", nic->name);
		return;
	}
	printf("NIC       %s: %sXDP %s%s%s%s\n", nic->name, nic->down ? "DOWN, " : "", mode_name(nic->mode),
	       nic->frags ? ", frames in several buffers" : nic->shared ? ", behind a dispatcher" : "",
	       d->mode_wanted == NAV_MODE_AUTO && nic->mode == NAV_MODE_GENERIC ?
		       ", for lack of native mode: several times slower" : "",
	       nic->strips ? "; TAKES VLAN TAGS OFF (ethtool -K rxvlan off)" : "");
}

static const char *label(const char *kind)
{
	return strcmp(kind, "teredo-server") ? kind : "server";
}

static void print_carried(struct json_object *row)
{
	printf("; %llu packets in, %llu out",
	       (unsigned long long)mechanism_count(row, "in", "packets"),
	       (unsigned long long)mechanism_count(row, "out", "packets"));
	if (json_object_object_get(row, "peers"))
		printf("; %llu endpoints confirmed, %llu not, at most %llu",
		       (unsigned long long)mechanism_count(row, "peers", "confirmed"),
		       (unsigned long long)mechanism_count(row, "peers", "unconfirmed"),
		       (unsigned long long)mechanism_count(row, "peers", "max"));
}

static void print_mechanism(struct json_object *row)
{
	const struct text256 kind = mechanism_word(row, "kind"), name = mechanism_word(row, "name"),
			     source = mechanism_word(row, "source"),
			     local = mechanism_list(row, "local"),
			     prefixes = mechanism_list(row, "prefixes"),
			     options = mechanism_list(row, "options"),
			     missing = mechanism_list(row, "missing");

	printf("%-9s ", label(kind.s));
	if (!strcmp(kind.s, "6in4"))
		printf("%s configured, at ", mechanism_word(row, "tunnels").s);
	else
		printf("%s%s%s%s", name.s, *name.s ? ": " : "", prefixes.s, *prefixes.s ? " at " : "");
	printf("%s", local.s);
	if (*source.s && strcmp(source.s, local.s))
		printf(", source %s", source.s);
	if (*options.s)
		printf(", %s", options.s);
	printf(", by %s", json_object_get_boolean(json_object_object_get(row, "xdp")) ?
				  "XDP" : "the daemon alone");
	print_carried(row);
	if (*missing.s)
		printf("; NOT on this host: %s (ip address add)", missing.s);
	putchar('\n');
}

static void print_mechanisms(struct json_object *list)
{
	if (!list)
		puts("tunnels   which there are besides, only the daemon knows");
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		print_mechanism(json_object_array_get_idx(list, i));
}

static void print_text(const struct ctl *c, const struct maps *m, const struct look *l,
		       const struct states *s, const double rate[2], struct json_object *mechanisms)
{
	const struct nav_daemon *d = &m->daemon;
	__u32 top[TOP];
	int n = top_drops(l, top);

	printf("instance  %s: daemon ", c->instance);
	if (m->alive)
		printf("%s alive, pid %u, for %s\n", d->version, d->pid, text_age(since_ms(m)).s);
	else
		printf("DEAD: nobody home for %s; proven clients are forwarded while they speak\n",
		       text_age(since_ms(m)).s);
	if (d->laboratory)
		puts("LABORATORY: the built-in list of refused IPv4 prefixes is OFF");
	if (d->cone_prefixes)
		printf("CONE BIT  believed of clients in %u IPv4 prefixes\n", d->cone_prefixes);
	if (d->service.addr)
		printf("service   %s%s\n", text_endpoint(d->service).s,
		       d->service_gone ? ": GONE from this host (ip address add)" : "");
	print_mechanisms(mechanisms);
	printf("config    loaded %s ago", text_age((m->now_ns - d->loaded_ns) / 1000000).s);
	if (d->refused_ns)
		printf("; a reload was REFUSED %s ago: see the log",
		       text_age((m->now_ns - d->refused_ns) / 1000000).s);
	putchar('\n');
	printf("busy      with one thing for %.1f ms at most: so long has what came to the daemon waited\n",
	       (double)d->longest_ns / 1e6);
	for (__u32 i = 0; i < d->n_nics; i++)
		print_nic(d, &d->nic[i]);
	if (has_xdp(d))
		print_hops(m);
	if (d->service.addr) {
		printf("clients   %u live, %u aged, %u behind symmetric NATs; at most %u\n", s->live, s->aged,
		       s->remapped, d->max_clients);
		printf("pending   %u being punched to, %u silent, %u weak, %u bytes kept\n", d->pending,
		       d->silent, d->weak, d->queue_bytes);
	}
	printf("forwarded XDP: %llu to native IPv6, %llu from there; daemon: %llu and %llu\n",
	       (unsigned long long)l->xdp_decap, (unsigned long long)l->xdp_encap,
	       (unsigned long long)d->count[R_DECAP].packets,
	       (unsigned long long)d->count[R_ENCAP].packets);
	printf("rates     %s packets/s to native IPv6, %s from there\n", text_rate(rate[0]).s,
	       text_rate(rate[1]).s);
	puts("drops");
	for (int i = 0; i < n; i++)
		printf("  %-15s %12llu  %s\n", reason_info[top[i]].name,
		       (unsigned long long)l->reason[top[i]], reason_info[top[i]].text);
	if (!n)
		puts("  none");
	puts("balance");
	for (__u32 i = 0; i < d->n_nics; i++)
		print_balance(d->nic[i].name, l->rx[i], l->verdicts[i], true);
	print_balance("slow path", l->slow_rx, l->slow_verdicts, m->alive);
}

int cmd_status(struct ctl *c)
{
	bool rates = !(c->argc == 1 && !strcmp(c->argv[0], "--no-rates"));
	struct json_object *result = NULL, *mechanisms = NULL;
	struct ctl quiet = *c;
	struct look first, second;
	double rate[2] = { 0 };
	struct states s;
	struct maps m;
	int code;

	if (c->argc && rates)
		return ctl_fail(c, EXIT_USAGE, "status knows --no-rates alone, not «%s»", c->argv[0]);
	code = maps_open(c, &m);
	if (code)
		return code;
	look(&m, &first);
	if (rates) {
		maps_close(&m);
		usleep(SAMPLE_US);
		code = maps_open(c, &m);
		if (code)
			return code;
		look(&m, &second);
		rate[0] = (double)(second.reason[R_DECAP] - first.reason[R_DECAP]) * 1e6 / SAMPLE_US;
		rate[1] = (double)(second.reason[R_ENCAP] - first.reason[R_ENCAP]) * 1e6 / SAMPLE_US;
		first = second;
	}
	s = count_states(&m);
	quiet.quiet = true;
	if (m.alive && !mechanisms_ask(&quiet, true, &result))
		mechanisms = json_object_object_get(result, "mechanisms");
	if (c->json)
		print_json(c, &m, &first, &s, rate, mechanisms);
	else
		print_text(c, &m, &first, &s, rate, mechanisms);
	json_object_put(result);
	maps_close(&m);
	return m.alive ? EXIT_DONE : EXIT_NO_DAEMON;
}
