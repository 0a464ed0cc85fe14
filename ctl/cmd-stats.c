// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl stats: every counter under a name that does not change, WHERE_REASON_packets and _bytes.
 * JSON: {"interval_s" or null,"counters":{NAME: number…}}
 */
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"

/* All counters at one moment, in the order in which they are printed. */
struct stats {
	__u32 n_nics;
	char name[NAV_NICS + 1][16]; /* the last: the daemon */
	struct nav_count rx[NAV_NICS + 1], count[NAV_NICS + 1][R_MAX];
};

static void read_stats(const struct maps *m, struct stats *s)
{
	static struct nav_count of_nic[NAV_COUNTERS];
	__u32 n = m->daemon.n_nics;

	memset(s, 0, sizeof(*s));
	s->n_nics = n;
	for (__u32 i = 0; i < n; i++) {
		maps_count(m, i, of_nic);
		snprintf(s->name[i], sizeof(s->name[i]), "%s", m->daemon.nic[i].name);
		s->rx[i] = of_nic[NAV_RX];
		memcpy(s->count[i], of_nic + NAV_COUNT_OF(0), sizeof(s->count[i]));
	}
	strcpy(s->name[n], "daemon");
	s->rx[n].packets = m->daemon.rx_tun.packets + m->daemon.rx_udp.packets;
	s->rx[n].bytes = m->daemon.rx_tun.bytes + m->daemon.rx_udp.bytes;
	memcpy(s->count[n], m->daemon.count, sizeof(s->count[n]));
}

static void put(struct json_object *o, const char *where, const char *what, const char *unit, __u64 v)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s_%s", where, what, unit);
	for (char *c = name + strlen(where); *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (o)
		json_object_object_add(o, name, json_object_new_uint64(v));
	else
		printf("%s %llu\n", name, (unsigned long long)v);
}

static void put_count(struct json_object *o, const char *where, const char *what,
		      const struct nav_count *now, const struct nav_count *then)
{
	put(o, where, what, "packets", now->packets - then->packets);
	put(o, where, what, "bytes", now->bytes - then->bytes);
}

static void put_stats(struct json_object *o, const struct stats *now, const struct stats *then)
{
	for (__u32 i = 0; i <= now->n_nics; i++) {
		put_count(o, now->name[i], "rx", &now->rx[i], &then->rx[i]);
		for (__u32 r = 0; r < R_MAX; r++)
			put_count(o, now->name[i], reason_info[r].name, &now->count[i][r], &then->count[i][r]);
	}
}

static int look(struct ctl *c, struct stats *s)
{
	struct maps m;
	int code = maps_open(c, &m);

	if (!code) {
		read_stats(&m, s);
		maps_close(&m);
	}
	return code;
}

int cmd_stats(struct ctl *c)
{
	static const char *const names[] = { "--interval", NULL };
	static struct stats then, now;
	struct json_object *o, *counters;
	double seconds = 0;
	int code;

	if (c->argc) {
		if (c->argc == 2 && !strcmp(c->argv[0], "--interval"))
			seconds = atof(c->argv[1]);
		if (seconds <= 0 || seconds > 86400)
			return ctl_fail_option(c, c->argv[0], c->argc > 1 ? c->argv[1] : NULL, names);
	}
	code = look(c, &now);
	if (!code && seconds > 0) {
		then = now;
		usleep((useconds_t)(seconds * 1e6));
		code = look(c, &now);
		if (!code && memcmp(then.name, now.name, sizeof(now.name)))
			return ctl_fail(c, EXIT_FAILED, "the NICs changed meanwhile");
	}
	if (code)
		return code;
	if (!c->json) {
		put_stats(NULL, &now, &then);
		return EXIT_DONE;
	}
	o = json_object_new_object();
	counters = json_object_new_object();
	put_stats(counters, &now, &then);
	json_object_object_add(o, "interval_s", seconds > 0 ? json_object_new_double(seconds) : NULL);
	json_object_object_add(o, "counters", counters);
	return ctl_print_json(o);
}
