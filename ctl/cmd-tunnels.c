// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl tunnels: the mechanisms beside the Teredo relay, each configured tunnel by itself. JSON:
 *   {"mechanisms":[{"kind","name","tunnels","xdp","local":[…],"missing":[…],"prefixes":[…],
 *   "options":[…],"source","remote","mtu","in":{"packets","bytes"},"out",
 *   "peers":{"confirmed","unconfirmed","max"} or null}…]}
 */
#include "ctl.h"

#define PATIENCE_S 5

int mechanisms_ask(const struct ctl *c, bool as_one, struct json_object **result)
{
	static const struct member members[] = { { "mechanisms", json_type_array }, { 0 } };
	struct json_object *request = control_request("mechanisms");

	if (as_one)
		json_object_object_add(request, "as_one", json_object_new_boolean(true));
	return control_order(c, request, PATIENCE_S, members, result);
}

struct text256 mechanism_word(struct json_object *row, const char *name)
{
	const char *word = json_object_get_string(json_object_object_get(row, name));
	struct text256 t;

	snprintf(t.s, sizeof(t.s), "%s", word ? word : "");
	return t;
}

struct text256 mechanism_list(struct json_object *row, const char *name)
{
	struct json_object *list = json_object_object_get(row, name);
	struct text256 t = { "" };
	size_t n = 0;

	if (!json_object_is_type(list, json_type_array))
		return t;
	for (size_t i = 0; i < json_object_array_length(list) && n < sizeof(t.s); i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(list, i));

		n += (size_t)snprintf(t.s + n, sizeof(t.s) - n, "%s%s", i ? " " : "", s ? s : "");
	}
	return t;
}

__u64 mechanism_count(struct json_object *row, const char *way, const char *unit)
{
	return json_object_get_uint64(
		json_object_object_get(json_object_object_get(row, way), unit));
}

static void print_count(struct json_object *row, const char *way)
{
	printf(" %12llu %15llu", (unsigned long long)mechanism_count(row, way, "packets"),
	       (unsigned long long)mechanism_count(row, way, "bytes"));
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static void print_row(struct json_object *row)
{
	const struct text256 missing = mechanism_list(row, "missing");

	printf("%-15s %-13s %-21s %-15s %4s", or_dash(mechanism_word(row, "name").s),
	       mechanism_word(row, "kind").s, or_dash(mechanism_list(row, "local").s),
	       or_dash(mechanism_word(row, "remote").s), or_dash(mechanism_word(row, "mtu").s));
	print_count(row, "in");
	print_count(row, "out");
	printf("  %s", or_dash(mechanism_list(row, "prefixes").s));
	if (*missing.s)
		printf("; NOT on this host: %s", missing.s);
	putchar('\n');
}

int cmd_tunnels(struct ctl *c)
{
	struct json_object *result, *list;
	int code;

	if (c->argc)
		return ctl_fail(c, EXIT_USAGE, "tunnels takes nothing, not «%s»", c->argv[0]);
	code = mechanisms_ask(c, false, &result);
	if (code)
		return code;
	if (c->json)
		return ctl_print_json(result);
	list = json_object_object_get(result, "mechanisms");
	printf("%-15s %-13s %-21s %-15s %4s %12s %15s %12s %15s  %s\n", "NAME", "KIND", "LOCAL",
	       "REMOTE", "MTU", "PACKETS IN", "BYTES IN", "PACKETS OUT", "BYTES OUT", "PREFIXES");
	for (size_t i = 0; i < json_object_array_length(list); i++)
		print_row(json_object_array_get_idx(list, i));
	json_object_put(result);
	return EXIT_DONE;
}
