// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl decode ADDRESS. JSON: {"address","kind", and for Teredo "server","flags","cone",
 * "endpoint","refused"; for 6to4 and ISATAP "ipv4"}
 */
#include <arpa/inet.h>

#include "ctl.h"
#include "navalis/refuse4.h"

struct lines {
	struct json_object *json; /* NULL: print */
};

static void line(struct lines *l, const char *name, const char *value)
{
	if (l->json)
		json_object_object_add(l->json, name, json_object_new_string(value));
	else
		printf("%-9s %s\n", name, value);
}

static void ipv4_line(struct lines *l, const char *name, __be32 addr)
{
	const char *why = refused4_block(addr);
	char text[128];

	if (l->json || !why)
		line(l, name, text_in4(addr).s);
	if (why && !l->json) {
		snprintf(text, sizeof(text), "%s: refused, %s", text_in4(addr).s, why);
		line(l, name, text);
	}
}

static void flags_line(struct lines *l, unsigned flags)
{
	char text[96];

	if (l->json) {
		json_object_object_add(l->json, "flags", json_object_new_int((int)flags));
		json_object_object_add(l->json, "cone", json_object_new_boolean(flags & TEREDO_FLAG_CONE));
		return;
	}
	snprintf(text, sizeof(text), "%04x%s%s%s, random bits %03x", flags,
		 flags & TEREDO_FLAG_CONE ? ", cone (ignored: RFC 5991)" : "",
		 flags & 0x4000 ? ", reserved bit set" : "",
		 flags & 0x0300 ? ", U or G bit set" : "",
		 (flags & 0x3c00) >> 2 | (flags & 0xff));
	line(l, "flags", text);
}

static void teredo_lines(struct lines *l, const struct in6_addr *a)
{
	struct endpoint4 at = teredo_mapped(a);
	const char *why = refused4_block(at.addr), *server_why = refused4_block(teredo_server(a));

	ipv4_line(l, "server", teredo_server(a));
	flags_line(l, HOST16(teredo_flags(a)));
	line(l, "endpoint", text_endpoint(at).s);
	if (why)
		line(l, "refused", why);
	else if (server_why)
		line(l, "refused", "its server");
	else if (!at.port)
		line(l, "refused", "port 0");
}

int cmd_decode(struct ctl *c)
{
	static const char *const kinds[] = {
		[ADDR6_GLOBAL] = "native global",
		[ADDR6_UNSPECIFIED] = "unspecified, loopback or IPv4-mapped",
		[ADDR6_MULTICAST] = "multicast",
		[ADDR6_LINK_LOCAL] = "link-local",
		[ADDR6_SITE] = "unique local or site-local",
		[ADDR6_TEREDO] = "Teredo client (RFC 4380)",
		[ADDR6_SIXTO4] = "6to4 (RFC 3056)",
	};
	struct lines l = { NULL };
	struct in6_addr a;
	enum addr6_kind kind;

	if (c->argc != 1)
		return ctl_fail(c, EXIT_USAGE, "decode wants one IPv6 address");
	if (inet_pton(AF_INET6, c->argv[0], &a) != 1)
		return ctl_fail(c, EXIT_USAGE, "«%s» is not an IPv6 address", c->argv[0]);
	if (c->json)
		l.json = json_object_new_object();
	kind = addr6_kind(&a);
	line(&l, "address", text_in6(&a).s);
	line(&l, "kind", kinds[kind]);
	if (kind == ADDR6_TEREDO)
		teredo_lines(&l, &a);
	else if (kind == ADDR6_SIXTO4)
		ipv4_line(&l, "ipv4", addr6_sixto4_v4(&a));
	else if (addr6_is_isatap(&a))
		ipv4_line(&l, "ipv4", a.s6_addr32[3]);
	else if (kind == ADDR6_LINK_LOCAL && a.s6_addr16[5] == BE16((__u16)~TEREDO_SERVER_PORT))
		line(&l, "server", text_in4(~a.s6_addr32[3]).s);
	return l.json ? ctl_print_json(l.json) : EXIT_DONE;
}
