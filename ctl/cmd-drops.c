// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl drops. JSON: {"reasons":[{"reason","action","section","meaning","packets","bytes",
 * "where":{NIC or "daemon": packets}}…],"schema"}
 */
#include <stdlib.h>

#include "ctl.h"

struct row {
	__u32 reason;
	struct nav_count total, nic[NAV_NICS];
};

static int by_packets(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->total.packets > y->total.packets ? -1 : x->total.packets < y->total.packets;
}

static void gather(const struct maps *m, struct row *row)
{
	static struct nav_count of_nic[NAV_COUNTERS];

	for (__u32 r = 0; r < R_MAX; r++) {
		row[r] = (struct row){ .reason = r };
		row[r].total = m->daemon.count[r];
	}
	for (__u32 n = 0; n < m->daemon.n_nics; n++) {
		maps_count(m, n, of_nic);
		for (__u32 r = 0; r < R_MAX; r++) {
			row[r].nic[n] = of_nic[NAV_COUNT_OF(r)];
			row[r].total.packets += row[r].nic[n].packets;
			row[r].total.bytes += row[r].nic[n].bytes;
		}
	}
	qsort(row, R_MAX, sizeof(*row), by_packets);
}

static struct json_object *json_row(const struct maps *m, const struct row *row)
{
	const struct reason_info *i = &reason_info[row->reason];
	struct json_object *o = json_object_new_object(), *where = json_object_new_object();

	json_object_object_add(o, "reason", json_object_new_string(i->name));
	json_object_object_add(o, "action", json_object_new_string(i->action));
	json_object_object_add(o, "section", json_object_new_string(i->section));
	json_object_object_add(o, "meaning", json_object_new_string(i->text));
	json_object_object_add(o, "packets", json_object_new_uint64(row->total.packets));
	json_object_object_add(o, "bytes", json_object_new_uint64(row->total.bytes));
	for (__u32 n = 0; n < m->daemon.n_nics; n++)
		json_object_object_add(where, m->daemon.nic[n].name,
				       json_object_new_uint64(row->nic[n].packets));
	json_object_object_add(where, "daemon",
			       json_object_new_uint64(m->daemon.count[row->reason].packets));
	json_object_object_add(o, "where", where);
	return o;
}

static void print_row(const struct maps *m, const struct row *row)
{
	const struct reason_info *i = &reason_info[row->reason];

	printf("%-16s %-7s %10llu", i->name, i->action, (unsigned long long)row->total.packets);
	for (__u32 n = 0; n < m->daemon.n_nics; n++)
		printf(" %10llu", (unsigned long long)row->nic[n].packets);
	printf(" %10llu  %s", (unsigned long long)m->daemon.count[row->reason].packets, i->text);
	if (strcmp(i->section, "-"))
		printf(" (%s%s)", reason_document(i->section), i->section);
	putchar('\n');
}

int cmd_drops(struct ctl *c)
{
	bool all = c->argc == 1 && !strcmp(c->argv[0], "--all");
	struct json_object *list = NULL, *o;
	struct row row[R_MAX];
	struct maps m;
	int code;

	if (c->argc && !all)
		return ctl_fail(c, EXIT_USAGE, "drops knows --all alone, not «%s»", c->argv[0]);
	code = maps_open(c, &m);
	if (code)
		return code;
	gather(&m, row);
	if (c->json) {
		list = json_object_new_array();
	} else {
		printf("%-16s %-7s %10s", "REASON", "ACTION", "PACKETS");
		for (__u32 n = 0; n < m.daemon.n_nics; n++)
			printf(" %10s", m.daemon.nic[n].name);
		printf(" %10s  MEANING\n", "daemon");
	}
	for (__u32 r = 0; r < R_MAX && (all || row[r].total.packets); r++) {
		if (c->json)
			json_object_array_add(list, json_row(&m, &row[r]));
		else
			print_row(&m, &row[r]);
	}
	maps_close(&m);
	if (!c->json)
		return EXIT_DONE;
	o = json_object_new_object();
	json_object_object_add(o, "reasons", list);
	return ctl_print_json(o);
}
