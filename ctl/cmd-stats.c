// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl stats: every counter under a name that does not change, WHERE_REASON_packets and
 * _bytes; and of each mechanism beside the Teredo relay, which the daemon knows, KIND_in_packets and so
 * on, KIND.NAME_… where its section has a name. JSON: {"interval_s" or null,"counters":{NAME: number…},"rates":{NAME: number…} or null}
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "ctl.h"

/* All counters at one moment, in the order in which they are printed. */
struct stats {
	__u64 at_ns;
	__u32 n_nics;
	char name[NAV_NICS + 1][16]; /* the last: the daemon */
	struct nav_count rx[NAV_NICS + 1], count[NAV_NICS + 1][R_MAX];
	struct json_object *mechanisms; /* the daemon's answer; NULL: there is none */
};

static void read_stats(const struct maps *m, struct stats *s)
{
	static struct nav_count of_nic[NAV_COUNTERS];
	__u32 n = m->daemon.n_nics;

	memset(s, 0, sizeof(*s));
	s->at_ns = m->now_ns;
	s->n_nics = n;
	for (__u32 i = 0; i < n; i++) {
		maps_count(m, i, of_nic);
		snprintf(s->name[i], sizeof(s->name[i]), "%s", m->daemon.nic[i].name);
		s->rx[i] = of_nic[NAV_RX];
		memcpy(s->count[i], of_nic + NAV_COUNT_OF(0), sizeof(s->count[i]));
	}
	strcpy(s->name[n], "daemon");
	s->rx[n].packets = m->daemon.rx_tun.packets + m->daemon.rx_udp.packets +
			   m->daemon.rx_proto41.packets;
	s->rx[n].bytes = m->daemon.rx_tun.bytes + m->daemon.rx_udp.bytes +
			 m->daemon.rx_proto41.bytes;
	memcpy(s->count[n], m->daemon.count, sizeof(s->count[n]));
}

/* Where figures go: to the two objects, or without them to the terminal. */
struct sink {
	struct json_object *counters, *rates;
	double seconds; /* 0: no rates */
};

static void put(struct sink *to, const char *where, const char *what, const char *unit, __u64 now,
		__u64 then)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s_%s", where, what, unit);
	for (char *c = name + strlen(where); *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (to->counters)
		json_object_object_add(to->counters, name, json_object_new_uint64(now - then));
	else
		printf("%s %llu", name, (unsigned long long)(now - then));
	if (to->rates)
		json_object_object_add(to->rates, name,
				       json_object_new_double((double)(now - then) / to->seconds));
	else if (!to->counters && to->seconds > 0)
		printf(" %.1f", (double)(now - then) / to->seconds);
	if (!to->counters)
		putchar('\n');
}

static void put_count(struct sink *to, const char *where, const char *what,
		      const struct nav_count *now, const struct nav_count *then)
{
	put(to, where, what, "packets", now->packets, then->packets);
	put(to, where, what, "bytes", now->bytes, then->bytes);
}

/* The rows of the mechanisms; NULL behind the last. */
static struct json_object *row_at(const struct stats *s, size_t i)
{
	struct json_object *list = json_object_object_get(s->mechanisms, "mechanisms");

	return list && i < json_object_array_length(list) ? json_object_array_get_idx(list, i) : NULL;
}

static struct nav_count row_count(struct json_object *row, const char *way)
{
	return (struct nav_count){ mechanism_count(row, way, "packets"), mechanism_count(row, way, "bytes") };
}

/* The bounds are for the compiler: names are short. */
static struct text row_name(struct json_object *row)
{
	const struct text256 name = mechanism_word(row, "name");
	struct text t;

	snprintf(t.s, sizeof(t.s), "%.15s%s%.15s", mechanism_word(row, "kind").s, *name.s ? "." : "", name.s);
	return t;
}

static void put_row(struct sink *to, struct json_object *now, struct json_object *then)
{
	static const char *const ways[] = { "in", "out" };

	for (int i = 0; i < 2; i++) {
		const struct nav_count n = row_count(now, ways[i]), t = row_count(then, ways[i]);

		put_count(to, row_name(now).s, ways[i], &n, &t);
	}
}

static void put_stats(struct sink *to, const struct stats *now, const struct stats *then)
{
	struct json_object *row;

	for (__u32 i = 0; i <= now->n_nics; i++) {
		put_count(to, now->name[i], "rx", &now->rx[i], &then->rx[i]);
		for (__u32 r = 0; r < R_MAX; r++)
			put_count(to, now->name[i], reason_info[r].name, &now->count[i][r],
				  &then->count[i][r]);
	}
	for (size_t i = 0; (row = row_at(now, i)); i++)
		put_row(to, row, row_at(then, i));
}

/* Another mechanism than there was, or one that has carried less. */
static bool row_began_anew(struct json_object *now, struct json_object *then)
{
	return !now || !then || strcmp(row_name(now).s, row_name(then).s) ||
	       row_count(now, "in").packets < row_count(then, "in").packets ||
	       row_count(now, "out").packets < row_count(then, "out").packets;
}

/* A detach, or a daemon that began at zero, in between: differences would be nonsense. */
static bool began_anew(const struct stats *now, const struct stats *then)
{
	if (memcmp(then->name, now->name, sizeof(now->name)))
		return true;
	for (__u32 i = 0; i <= now->n_nics; i++) {
		if (now->rx[i].packets < then->rx[i].packets)
			return true;
		for (__u32 r = 0; r < R_MAX; r++)
			if (now->count[i][r].packets < then->count[i][r].packets)
				return true;
	}
	for (size_t i = 0; row_at(now, i) || row_at(then, i); i++)
		if (row_began_anew(row_at(now, i), row_at(then, i)))
			return true;
	return false;
}

static int look(struct ctl *c, struct stats *s)
{
	struct ctl quiet = *c;
	struct maps m;
	int code = maps_open(c, &m);

	if (code)
		return code;
	read_stats(&m, s);
	quiet.quiet = true;
	if (m.alive)
		mechanisms_ask(&quiet, false, &s->mechanisms);
	maps_close(&m);
	return EXIT_DONE;
}

static bool parse_seconds(const char *text, double *ret)
{
	char *end;

	if (strspn(text, "0123456789.") != strlen(text))
		return false;
	*ret = strtod(text, &end);
	return end != text && !*end && *ret >= 0.01 && *ret <= 86400;
}

static void pause_for(double seconds)
{
	struct timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

int cmd_stats(struct ctl *c)
{
	static const struct option known[] = {
		{ "--interval", "a number of seconds from 0.01 to 86400" },
		{ NULL, NULL },
	};
	static struct stats then, now;
	struct sink to = { 0 };
	struct json_object *o;
	double wait = 0;
	int code;

	if (c->argc &&
	    (c->argc < 2 || strcmp(c->argv[0], "--interval") || !parse_seconds(c->argv[1], &wait)))
		return ctl_fail_option(c, c->argv[0], c->argc > 1 ? c->argv[1] : NULL, known);
	if (c->argc > 2)
		return ctl_fail(c, EXIT_USAGE, "«%s» is one word too many", c->argv[2]);
	code = look(c, &now);
	if (!code && wait > 0) {
		then = now;
		pause_for(wait);
		code = look(c, &now);
		to.seconds = (double)(now.at_ns - then.at_ns) / 1e9; /* it may have become later */
		if (!code && began_anew(&now, &then))
			return ctl_fail(
				c, EXIT_FAILED,
				"the counters or the NICs are others than at the beginning");
	}
	if (code)
		return code;
	if (c->json) {
		to.counters = json_object_new_object();
		to.rates = wait > 0 ? json_object_new_object() : NULL;
	}
	put_stats(&to, &now, &then);
	if (!c->json)
		return EXIT_DONE;
	o = json_object_new_object();
	json_object_object_add(o, "interval_s",
			       wait > 0 ? json_object_new_double(to.seconds) : NULL);
	json_object_object_add(o, "counters", to.counters);
	json_object_object_add(o, "rates", to.rates);
	return ctl_print_json(o);
}
