// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl reload, flush, pending: what only the daemon can do or know. JSON:
 *   reload   {"changed":[KEY…],"generation"}
 *   flush    {"flushed","dry_run"}
 *   pending  {"pending":[{"address","state","bubbles","for_ms","kept_bytes"}…],"truncated"}
 */
#include "ctl.h"

#define PATIENCE_S 5
#define ORDER_S 30 /* all clients are looked at, after other orders; the verifier reads a program, drivers swap it in */

static struct json_object *get(struct json_object *o, const char *name)
{
	return json_object_object_get(o, name);
}

int cmd_reload(struct ctl *c)
{
	static const struct member members[] = { { "changed", json_type_array },
						 { "generation", json_type_int },
						 { 0 } };
	struct json_object *result, *changed;
	size_t n;
	int code;

	if (c->argc)
		return ctl_fail(c, EXIT_USAGE, "reload takes nothing, not «%s»", c->argv[0]);
	code = control_order(c, control_request("reload"), ORDER_S, members, &result);
	if (code)
		return code;
	if (c->json)
		return ctl_print_json(result);
	changed = get(result, "changed");
	n = json_object_array_length(changed);
	printf("reloaded: %zu key%s changed", n, n == 1 ? "" : "s");
	for (size_t i = 0; i < n; i++)
		printf("%s %s", i ? "," : ":", json_object_get_string(json_object_array_get_idx(changed, i)));
	putchar('\n');
	json_object_put(result);
	return EXIT_DONE;
}

int cmd_flush(struct ctl *c)
{
	static const struct option known[] = {
		{ "--server", ALLOWED_NET4 },	{ "--address", ALLOWED_NET4 },
		{ "--client", ALLOWED_CLIENT }, { "--all", NULL },
		{ "--dry-run", NULL },		{ NULL, NULL },
	};
	static const struct member members[] = { { "flushed", json_type_int },
						 { "dry_run", json_type_boolean },
						 { 0 } };
	struct json_object *request = control_request("flush"), *result;
	bool filter = false;
	int code;

	for (int i = 0; i < c->argc; i++) {
		const char *name = c->argv[i], *value = i + 1 < c->argc ? c->argv[i + 1] : NULL;
		struct net4 net;
		struct in6_addr a;

		if (!strcmp(name, "--all")) {
			filter = true;
			json_object_object_add(request, "all", json_object_new_boolean(true));
		} else if (!strcmp(name, "--dry-run")) {
			json_object_object_add(request, "dry_run", json_object_new_boolean(true));
		} else if (value && (((!strcmp(name, "--server") || !strcmp(name, "--address")) &&
				      input_net4(value, &net)) ||
				     (!strcmp(name, "--client") && input_client(value, &a)))) {
			filter = true;
			json_object_object_add(request, name + 2, json_object_new_string(value));
			i++;
		} else {
			json_object_put(request);
			return ctl_fail_option(c, name, value, known);
		}
	}
	if (!filter) {
		json_object_put(request);
		return ctl_fail(c, EXIT_USAGE,
				"flush wants a filter (--server, --address, --client), or --all");
	}
	code = control_order(c, request, ORDER_S, members, &result);
	if (code)
		return code;
	if (c->json)
		return ctl_print_json(result);
	printf("%s%lld proven clients\n",
	       json_object_get_boolean(get(result, "dry_run")) ? "would forget " : "forgot ",
	       (long long)json_object_get_int64(get(result, "flushed")));
	json_object_put(result);
	return EXIT_DONE;
}

int cmd_pending(struct ctl *c)
{
	static const struct member members[] = { { "pending", json_type_array },
						 { "truncated", json_type_boolean },
						 { 0 } };
	struct json_object *result, *list;
	int code;

	if (c->argc)
		return ctl_fail(c, EXIT_USAGE, "pending takes nothing, not «%s»", c->argv[0]);
	code = control_order(c, control_request("pending"), PATIENCE_S, members, &result);
	if (code)
		return code;
	if (c->json)
		return ctl_print_json(result);
	list = get(result, "pending");
	if (json_object_array_length(list))
		printf("%-39s %-6s %7s %7s %5s\n", "CLIENT", "STATE", "BUBBLES", "FOR", "KEPT");
	else
		puts("nobody is pending");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		printf("%-39s %-6s %7d %7s %5d\n", json_object_get_string(get(o, "address")),
		       json_object_get_string(get(o, "state")), json_object_get_int(get(o, "bubbles")),
		       text_age((__u64)json_object_get_int64(get(o, "for_ms"))).s,
		       json_object_get_int(get(o, "kept_bytes")));
	}
	if (json_object_get_boolean(get(result, "truncated")))
		puts("and more");
	json_object_put(result);
	return EXIT_DONE;
}
