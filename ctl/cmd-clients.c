// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl clients. JSON: {"clients":[{"address","server","endpoint","flags","cone","age_ms",
 * "state","remapped"}…],"schema"}, streamed: memory does not grow with the table.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>

#include "ctl.h"

struct filter {
	__be32 server, net, mask;
	const char *state, *field;
	unsigned long limit, shown;
};

struct shown {
	struct in6_addr addr;
	struct endpoint4 at;
	__u32 stamp;
	bool remapped;
};

static const char *const fields[] = { "endpoint", "server", "flags", "age", "state", NULL };

static const char *state_of(const struct maps *m, __u32 stamp)
{
	__u32 now = stamp_of(nav_units(&m->meta.clock, m->now_ns));

	return stamp_young(stamp, now, m->daemon.life) ? "live" : "aged";
}

static __u64 age_ms(const struct maps *m, __u32 stamp)
{
	__s32 age = stamp_age(stamp, stamp_of(nav_units(&m->meta.clock, m->now_ns)));

	return nav_ms_of_units(&m->meta.clock, age > 0 ? (__u64)age : 0);
}

static void show_field(const struct maps *m, const struct shown *s, const char *field)
{
	printf("%s\t", text_in6(&s->addr).s);
	if (!strcmp(field, "endpoint"))
		puts(text_endpoint(s->at).s);
	else if (!strcmp(field, "server"))
		puts(text_in4(teredo_server(&s->addr)).s);
	else if (!strcmp(field, "flags"))
		printf("%04x\n", HOST16(teredo_flags(&s->addr)));
	else if (!strcmp(field, "age"))
		printf("%.1f\n", (double)age_ms(m, s->stamp) / 1000);
	else
		puts(state_of(m, s->stamp));
}

static void show(const struct ctl *c, const struct maps *m, struct filter *f, const struct shown *s)
{
	unsigned flags = HOST16(teredo_flags(&s->addr));
	const char *state = state_of(m, s->stamp);

	if (f->shown >= f->limit || (f->server && teredo_server(&s->addr) != f->server) ||
	    (s->at.addr & f->mask) != f->net || (f->state && strcmp(f->state, state)))
		return;
	if (f->field) {
		show_field(m, s, f->field);
	} else if (c->json) {
		printf("%s\n{\"address\":\"%s\",\"server\":\"%s\",\"endpoint\":\"%s\",\"flags\":%u,"
		       "\"cone\":%s,\"age_ms\":%llu,\"state\":\"%s\",\"remapped\":%s}",
		       f->shown ? "," : "", text_in6(&s->addr).s,
		       text_in4(teredo_server(&s->addr)).s, text_endpoint(s->at).s, flags,
		       flags & TEREDO_FLAG_CONE ? "true" : "false",
		       (unsigned long long)age_ms(m, s->stamp), state, s->remapped ? "true" : "false");
	} else {
		if (!f->shown)
			printf("%-39s %-15s %-21s %-5s %6s  %s\n", "CLIENT", "SERVER", "NAT ENDPOINT",
			       "FLAGS", "AGE", "STATE");
		printf("%-39s %-15s %-21s %04x%s %6s  %s%s\n", text_in6(&s->addr).s,
		       text_in4(teredo_server(&s->addr)).s, text_endpoint(s->at).s, flags,
		       flags & TEREDO_FLAG_CONE ? "C" : " ", text_age(age_ms(m, s->stamp)).s, state,
		       s->remapped ? ", symmetric NAT" : "");
	}
	f->shown++;
}

static void walk(const struct ctl *c, const struct maps *m, struct filter *f)
{
	struct in6_addr key, *from = NULL;
	struct remapped r;

	for (__u32 i = 0; i < m->meta.buckets && f->shown < f->limit; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++) {
			const struct client *e = &m->clients[i].client[k];
			struct shown s = { teredo_addr_of(e->id, e->server), { 0 }, e->stamp, false };

			s.at = teredo_mapped(&s.addr);
			if (e->id)
				show(c, m, f, &s);
		}
	while (f->shown < f->limit && !bpf_map_get_next_key(m->remapped, from, &key)) {
		from = &key;
		if (!bpf_map_lookup_elem(m->remapped, &key, &r)) {
			struct shown s = { key, r.endpoint, r.stamp, true };

			show(c, m, f, &s);
		}
	}
}

static bool parse_net(char *text, struct filter *f)
{
	char *slash = strchr(text, '/');
	int len = 32;

	if (slash) {
		*slash++ = '\0';
		len = atoi(slash);
	}
	if (len < 0 || len > 32 || inet_pton(AF_INET, text, &f->net) != 1)
		return false;
	f->mask = len ? BE32(~0U << (32 - len)) : 0;
	f->net &= f->mask;
	return true;
}

static int options(struct ctl *c, struct filter *f)
{
	static const char *const names[] = { "--server", "--address", "--state", "--limit", NULL };

	for (int i = 0; i < c->argc; i++) {
		char *name = c->argv[i], *value;

		if (*name != '-') {
			for (const char *const *p = fields; *p; p++)
				if (!strcmp(*p, name))
					f->field = *p;
			if (!f->field)
				return ctl_fail(c, EXIT_USAGE, "no field «%s»: did you mean «%s»?", name,
						nearest(name, fields));
			continue;
		}
		value = i + 1 < c->argc ? c->argv[i + 1] : NULL;
		if (!strcmp(name, "--limit") && value && atol(value) > 0)
			f->limit = strtoul(value, NULL, 10);
		else if (!strcmp(name, "--server") && value && inet_pton(AF_INET, value, &f->server) == 1)
			;
		else if (!strcmp(name, "--address") && value && parse_net(value, f))
			;
		else if (!strcmp(name, "--state") && value &&
			 (!strcmp(value, "live") || !strcmp(value, "aged")))
			f->state = value;
		else
			return ctl_fail(c, EXIT_USAGE, "%s %s: not understood; did you mean «%s»? "
					"(navalisctl clients --help)", name, value ? value : "",
					nearest(name, names));
		i++;
	}
	return EXIT_DONE;
}

int cmd_clients(struct ctl *c)
{
	struct filter f = { .limit = ~0UL };
	struct maps m;
	int code = options(c, &f);

	if (!code)
		code = maps_open(c, &m);
	if (code)
		return code;
	if (c->json)
		fputs("{\"clients\":[", stdout);
	walk(c, &m, &f);
	if (c->json)
		printf("],\"schema\":%d}\n", JSON_SCHEMA);
	else if (!f.shown && !f.field)
		puts("no clients");
	maps_close(&m);
	return EXIT_DONE;
}
