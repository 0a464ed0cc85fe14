// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl explain ADDRESS: what navalisd would do with packets, and why. JSON:
 *   {"address","mechanism","endpoint","peer","lines":[{"about","verdict","reason","section","meaning","text"}…]}
 */
#include <arpa/inet.h>

#include "ctl.h"

#define PATIENCE_S 5

static const char *word(struct json_object *o, const char *name)
{
	return json_object_get_string(json_object_object_get(o, name));
}

static void print_line(struct json_object *o)
{
	const char *verdict = word(o, "verdict"), *section = word(o, "section"),
		   *text = word(o, "text");

	if (!verdict) {
		printf("  %s\n", text ? text : "");
		return;
	}
	printf("  %-8s %s\n", verdict, text ? text : "");
	printf("  %-8s %s: %s", "", word(o, "reason"), word(o, "meaning"));
	if (section && strcmp(section, "-"))
		printf(" (%s%s)", reason_document(section), section);
	putchar('\n');
}

/* The lines about one thing, under its heading. */
static void print_lines(struct json_object *lines, const char *about, const char *heading)
{
	bool first = true;

	for (size_t i = 0; i < json_object_array_length(lines); i++) {
		struct json_object *o = json_object_array_get_idx(lines, i);
		const char *is = word(o, "about");

		if (!is || strcmp(is, about))
			continue;
		if (first)
			puts(heading);
		first = false;
		print_line(o);
	}
}

static void print_explained(struct json_object *result)
{
	struct json_object *lines = json_object_object_get(result, "lines");
	const char *peer = word(result, "peer");
	char heading[128];

	print_lines(lines, "address", word(result, "address"));
	snprintf(heading, sizeof(heading), "a packet to it%s%s", peer ? ", as from " : "",
		 peer ? peer : "");
	print_lines(lines, "to", heading);
	snprintf(heading, sizeof(heading), "a packet from it%s%s", peer ? ", as to " : "",
		 peer ? peer : "");
	print_lines(lines, "from", heading);
}

int cmd_explain(struct ctl *c)
{
	static const struct member members[] = { { "address", json_type_string },
						 { "mechanism", json_type_string },
						 { "lines", json_type_array },
						 { 0 } };
	struct json_object *request, *result;
	struct in6_addr a;
	int code;

	if (c->argc != 1)
		return ctl_fail(c, EXIT_USAGE, "explain wants one address, of IPv6 or IPv4");
	if (inet_pton(AF_INET6, c->argv[0], &a) != 1 && inet_pton(AF_INET, c->argv[0], &a) != 1)
		return ctl_fail(c, EXIT_USAGE, "«%s» is neither an IPv6 nor an IPv4 address",
				c->argv[0]);
	request = control_request("explain");
	json_object_object_add(request, "address", json_object_new_string(c->argv[0]));
	code = control_order(c, request, PATIENCE_S, members, &result);
	if (code)
		return code;
	if (c->json)
		return ctl_print_json(result);
	print_explained(result);
	json_object_put(result);
	return EXIT_DONE;
}
