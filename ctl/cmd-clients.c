// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl clients. JSON: {"clients":[{"address","server","endpoint","flags","cone","age_ms",
 * "state","remapped"}…],"schema"}, streamed: memory does not grow with the table, unless it is
 * sorted.
 */
#include <bpf/bpf.h>
#include <stdlib.h>

#include "ctl.h"

/* One client as it is shown. */
struct shown {
	struct in6_addr addr;
	struct endpoint4 at;
	__u64 age_ms;
	bool live, remapped;
};

typedef int order(const struct shown *a, const struct shown *b);

struct listing {
	const struct ctl *c;
	const struct maps *maps;
	/* which */
	struct net4 server, address;
	struct in6_addr client;
	bool one_client; /* found by its hash */
	const char *state;
	/* how */
	const char *field;
	order *sort;
	bool reverse;
	unsigned long limit, n_shown;
	/* collected, to be sorted */
	struct shown *list;
	size_t n, size;
	bool no_memory;
};

static const char *const fields[] = { "endpoint", "server", "flags", "age", "state", NULL };
#define ALLOWED_FIELDS "endpoint, server, flags, age or state"

/* ---- the orders to sort by ------------------------------------------------------------------- */

static int compare(__u64 a, __u64 b)
{
	return a < b ? -1 : a > b;
}

static int by_address(const struct shown *a, const struct shown *b)
{
	return memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

static int by_server(const struct shown *a, const struct shown *b)
{
	int d = compare(HOST32(teredo_server(&a->addr)), HOST32(teredo_server(&b->addr)));

	return d ? d : by_address(a, b);
}

static int by_endpoint(const struct shown *a, const struct shown *b)
{
	int d = compare(HOST32(a->at.addr), HOST32(b->at.addr));

	if (!d)
		d = compare(HOST16(a->at.port), HOST16(b->at.port));
	return d ? d : by_address(a, b);
}

static int by_age(const struct shown *a, const struct shown *b)
{
	int d = compare(a->age_ms, b->age_ms);

	return d ? d : by_address(a, b);
}

static int by_state(const struct shown *a, const struct shown *b)
{
	int d = compare(!a->live, !b->live);

	return d ? d : by_address(a, b);
}

static const char *const order_names[] = { "address", "server", "endpoint", "age", "state", NULL };
#define ALLOWED_ORDERS "address, server, endpoint, age or state"
static order *const orders[] = { by_address, by_server, by_endpoint, by_age, by_state };

static int in_order(const void *a, const void *b, void *data)
{
	const struct listing *l = data;

	return l->reverse ? l->sort(b, a) : l->sort(a, b);
}

/* ---- showing --------------------------------------------------------------------------------- */

static void show_field(const struct shown *s, const char *field)
{
	printf("%s\t", text_in6(&s->addr).s);
	if (!strcmp(field, "endpoint"))
		puts(text_endpoint(s->at).s);
	else if (!strcmp(field, "server"))
		puts(text_in4(teredo_server(&s->addr)).s);
	else if (!strcmp(field, "flags"))
		printf("%04x\n", HOST16(teredo_flags(&s->addr)));
	else if (!strcmp(field, "age"))
		printf("%.1f\n", (double)s->age_ms / 1000);
	else
		puts(s->live ? "live" : "aged");
}

static void show(struct listing *l, const struct shown *s)
{
	unsigned flags = HOST16(teredo_flags(&s->addr));
	const char *state = s->live ? "live" : "aged";

	if (l->c->json) {
		printf("%s\n{\"address\":\"%s\",\"server\":\"%s\",\"endpoint\":\"%s\",\"flags\":%u,"
		       "\"cone\":%s,\"age_ms\":%llu,\"state\":\"%s\",\"remapped\":%s}",
		       l->n_shown ? "," : "", text_in6(&s->addr).s,
		       text_in4(teredo_server(&s->addr)).s, text_endpoint(s->at).s, flags,
		       flags & TEREDO_FLAG_CONE ? "true" : "false", (unsigned long long)s->age_ms,
		       state, s->remapped ? "true" : "false");
	} else if (l->field) {
		show_field(s, l->field);
	} else {
		if (!l->n_shown)
			printf("%-39s %-15s %-21s %-5s %6s  %s\n", "CLIENT", "SERVER", "NAT ENDPOINT",
			       "FLAGS", "AGE", "STATE");
		printf("%-39s %-15s %-21s %04x%s %6s  %s%s\n", text_in6(&s->addr).s,
		       text_in4(teredo_server(&s->addr)).s, text_endpoint(s->at).s, flags,
		       flags & TEREDO_FLAG_CONE ? "C" : " ", text_age(s->age_ms).s, state,
		       s->remapped ? ", symmetric NAT" : "");
	}
	l->n_shown++;
}

static bool wanted(const struct listing *l, const struct shown *s)
{
	return net4_has(&l->server, teredo_server(&s->addr)) && net4_has(&l->address, s->at.addr) &&
	       (!l->state || !strcmp(l->state, s->live ? "live" : "aged"));
}

static bool collect(struct listing *l, const struct shown *s)
{
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 1024;
		struct shown *more = realloc(l->list, size * sizeof(*more));

		if (!more) {
			l->no_memory = true;
			return false;
		}
		l->list = more;
		l->size = size;
	}
	l->list[l->n++] = *s;
	return true;
}

/* False: that is enough. */
static bool take(struct listing *l, const struct in6_addr *addr, struct endpoint4 at, __u32 stamp,
		 bool remapped)
{
	__u32 now = stamp_of(nav_units(&l->maps->meta.clock, l->maps->now_ns));
	__s32 age = stamp_age(stamp, now);
	struct shown s = { *addr, at, nav_ms_of_units(&l->maps->meta.clock, age > 0 ? (__u64)age : 0),
			   stamp_young(stamp, now, l->maps->daemon.life), remapped };

	if (!wanted(l, &s))
		return true;
	if (l->sort)
		return collect(l, &s);
	show(l, &s);
	return l->n_shown < l->limit;
}

static void walk_remapped(struct listing *l)
{
	struct in6_addr key, *from = NULL;
	__u32 left = l->maps->meta.buckets; /* when a key goes meanwhile, it begins anew */
	struct remapped r;

	while (left-- && !bpf_map_get_next_key(l->maps->remapped, from, &key)) {
		from = &key;
		if (!bpf_map_lookup_elem(l->maps->remapped, &key, &r) &&
		    !take(l, &key, r.endpoint, r.stamp, true))
			return;
	}
}

/* A slot as table.h wants it read. False: it is empty, or was given to another client meanwhile. */
static bool read_slot(const struct client *slot, struct in6_addr *addr, __u32 *stamp)
{
	__u64 id = __atomic_load_n(&slot->id, __ATOMIC_ACQUIRE);
	__be32 server = WIRE32(__atomic_load_n((NAV_FORCE const __u32 *)&slot->server, __ATOMIC_RELAXED));

	*stamp = __atomic_load_n(&slot->stamp, __ATOMIC_RELAXED);
	*addr = teredo_addr_of(id, server);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return id && client_is(slot, id, server);
}

static void walk(struct listing *l)
{
	struct in6_addr addr;
	__u32 stamp;

	for (__u32 i = 0; i < l->maps->meta.buckets; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++)
			if (read_slot(&l->maps->clients[i].client[k], &addr, &stamp) &&
			    !take(l, &addr, teredo_mapped(&addr), stamp, false))
				return;
	walk_remapped(l);
}

static bool take_from_table(struct listing *l)
{
	const __be32 server = teredo_server(&l->client);
	const __u64 hash = table_hash(&l->maps->meta.seed, teredo_id(&l->client), server);
	struct in6_addr addr;
	__u32 stamp;

	for (int which = 0; which < TABLE_PLACES; which++) {
		const struct bucket *b = &l->maps->clients[table_place(hash, which, l->maps->meta.buckets)];

		for (int k = 0; k < BUCKET_CLIENTS; k++)
			if (read_slot(&b->client[k], &addr, &stamp) && in6_equal(&addr, &l->client)) {
				take(l, &addr, teredo_mapped(&addr), stamp, false);
				return true;
			}
	}
	return false;
}

#define LOOKS 1000 /* a daemon that died in the middle of a move has left the count odd */

static __u32 moving(const struct listing *l)
{
	return __atomic_load_n(&l->maps->page->moving, __ATOMIC_SEQ_CST);
}

/* As table.h wants it: only a look while nobody was moved says that it is not there. */
static void look_up(struct listing *l)
{
	__u32 before, after = moving(l);
	struct remapped r;

	for (int i = 0; i < LOOKS; i++) {
		before = after;
		if (take_from_table(l))
			return;
		after = moving(l);
		if (before == after && !(before & 1))
			break;
	}
	if (!bpf_map_lookup_elem(l->maps->remapped, &l->client, &r))
		take(l, &l->client, r.endpoint, r.stamp, true);
}

static void show_sorted(struct listing *l)
{
	qsort_r(l->list, l->n, sizeof(*l->list), in_order, l);
	for (size_t i = 0; i < l->n && l->n_shown < l->limit; i++)
		show(l, &l->list[i]);
}

/* ---- options --------------------------------------------------------------------------------- */

static int index_of(const char *word, const char *const *list)
{
	for (int i = 0; list[i]; i++)
		if (!strcmp(list[i], word))
			return i;
	return -1;
}

/* One option with its value; false: it is not understood. */
static bool option(struct listing *l, const char *name, const char *value)
{
	if (!strcmp(name, "--limit")) {
		l->limit = strtoul(value, NULL, 10);
		return strlen(value) < 10 && strspn(value, "0123456789") == strlen(value) &&
		       l->limit;
	}
	if (!strcmp(name, "--server"))
		return input_net4(value, &l->server);
	if (!strcmp(name, "--address"))
		return input_net4(value, &l->address);
	if (!strcmp(name, "--client"))
		return l->one_client = input_client(value, &l->client);
	if (!strcmp(name, "--state")) {
		l->state = value;
		return !strcmp(value, "live") || !strcmp(value, "aged");
	}
	if (!strcmp(name, "--sort") && index_of(value, order_names) >= 0) {
		l->sort = orders[index_of(value, order_names)];
		return true;
	}
	return false;
}

static int options(struct ctl *c, struct listing *l)
{
	static const struct option known[] = {
		{ "--server", ALLOWED_NET4 },
		{ "--address", ALLOWED_NET4 },
		{ "--client", ALLOWED_CLIENT },
		{ "--state", "live or aged" },
		{ "--sort", ALLOWED_ORDERS },
		{ "--reverse", NULL },
		{ "--limit", "a number from 1 to 999999999" },
		{ NULL, NULL },
	};

	for (int i = 0; i < c->argc; i++) {
		const char *name = c->argv[i], *value = i + 1 < c->argc ? c->argv[i + 1] : NULL;

		if (*name != '-') {
			if (index_of(name, fields) < 0)
				return ctl_fail(c, EXIT_USAGE,
						"no field «%s»: " ALLOWED_FIELDS " is allowed here",
						name);
			if (l->field || c->json)
				return ctl_fail(
					c, EXIT_USAGE,
					c->json ? "--json shows all fields: %s goes without it"
						: "one field at a time: %s is too many",
					name);
			l->field = fields[index_of(name, fields)];
		} else if (!strcmp(name, "--reverse")) {
			l->reverse = true;
		} else if (value && option(l, name, value)) {
			i++;
		} else {
			return ctl_fail_option(c, name, value, known);
		}
	}
	/* one is shown when it has been found, not before */
	if ((l->reverse || l->one_client) && !l->sort)
		l->sort = by_address;
	return EXIT_DONE;
}

int cmd_clients(struct ctl *c)
{
	struct listing l = { .c = c, .limit = ~0UL };
	struct maps m;
	int code = options(c, &l);

	if (!code)
		code = maps_open(c, &m);
	if (code)
		return code;
	l.maps = &m;
	if (c->json && !l.sort)
		fputs("{\"clients\":[", stdout);
	if (l.one_client)
		look_up(&l);
	else
		walk(&l);
	maps_close(&m);
	if (l.no_memory) {
		free(l.list);
		return ctl_fail(c, EXIT_FAILED,
				"not enough memory to sort: leave --sort and --reverse out");
	}
	if (l.one_client && !l.n)
		return ctl_fail(c, EXIT_NOT_FOUND, "%s is no proven client%s", text_in6(&l.client).s,
				l.state || l.server.mask || l.address.mask ?
					" that the other filters fit" : "");
	if (c->json && l.sort)
		fputs("{\"clients\":[", stdout);
	if (l.sort)
		show_sorted(&l);
	free(l.list);
	if (c->json)
		printf("],\"schema\":%d}\n", JSON_SCHEMA);
	else if (!l.n_shown && !l.field)
		puts("no clients");
	return EXIT_DONE;
}
