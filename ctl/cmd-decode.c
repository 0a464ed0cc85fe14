// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl decode: what an address says by itself, or when somebody says how it was made. JSON:
 * {"address","kind", and for Teredo "server","flags","cone","endpoint","refused"; for 6bed4
 * "netid","router","endpoint","lanip","refused"; for HG48 "endpoint","refused"; for 6to4, ISATAP
 * and 6rd "ipv4", for 6to4 and 6rd "site"}
 */
#include <arpa/inet.h>

#include "ctl.h"
#include "navalis/hg48.h"
#include "navalis/sixbed4.h"
#include "navalis/sixrd.h"
#include "navalis/sixto4.h"

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
		 flags & TEREDO_FLAG_CONE ? ", cone (ignored unless in cone_prefixes)" : "",
		 flags & 0x4000 ? ", reserved bit set" : "",
		 flags & 0x0300 ? ", U or G bit set" : "",
		 (flags & 0x3c00) >> 2 | (flags & 0xff));
	line(l, "flags", text);
}

/* Why nothing is sent to an endpoint. */
static void endpoint_lines(struct lines *l, struct endpoint4 at, const char *also)
{
	const char *why = refused4_block(at.addr);

	line(l, "endpoint", text_endpoint(at).s);
	if (why || also || !at.port)
		line(l, "refused", why ? why : also ? also : "port 0");
}

static void teredo_lines(struct lines *l, const struct in6_addr *a)
{
	ipv4_line(l, "server", teredo_server(a));
	flags_line(l, HOST16(teredo_flags(a)));
	endpoint_lines(l, teredo_mapped(a), refused4_block(teredo_server(a)) ? "its server" : NULL);
}

static void number_line(struct lines *l, const char *name, unsigned value, const char *format)
{
	char text[16];

	if (l->json) {
		json_object_object_add(l->json, name, json_object_new_int((int)value));
		return;
	}
	snprintf(text, sizeof(text), format, value);
	line(l, name, text);
}

/* fc64::/16 | network 16 | router's IPv4 32: what 6bed4 peers call the local prefix. */
static bool is_sixbed4(const struct in6_addr *a)
{
	return a->s6_addr16[0] == BE16(0xfc64);
}

static void sixbed4_lines(struct lines *l, __u8 format, const struct in6_addr *a)
{
	const __u64 low = sixbed4_low(a);

	if (is_sixbed4(a)) {
		number_line(l, "netid", HOST16(a->s6_addr16[1]), "%x");
		ipv4_line(l, "router", a->s6_addr32[1]);
	}
	if (sixbed4_opaque(format, low)) {
		if (l->json)
			json_object_object_add(l->json, "endpoint", NULL);
		else
			line(l, "endpoint", "none: a universal or group bit is set");
		return;
	}
	endpoint_lines(l, sixbed4_unpack(format, low), NULL);
	if (format == SIXBED4_W2)
		number_line(l, "lanip", (unsigned)(low & 0x3fff), low & 0x3fff ? "%u" : "%u, the router's own");
}

static void site_line(struct lines *l, const struct prefix6 *site)
{
	line(l, "site", text_prefix(site).s);
}

static void sixto4_lines(struct lines *l, const struct in6_addr *a)
{
	const __be32 v4 = addr6_sixto4_v4(a);
	const struct prefix6 site = { sixto4_addr(v4), 48 };

	ipv4_line(l, "ipv4", v4);
	site_line(l, &site);
}

static void sixrd_lines(struct lines *l, const struct sixrd_domain *d, const struct in6_addr *a)
{
	const __be32 v4 = sixrd_v4(d, a);
	const struct prefix6 site = sixrd_delegated(d, v4);

	line(l, "ipv4", text_in4(v4).s);
	site_line(l, &site);
}

/* What nothing in the address says. */
struct how {
	const char *as;             /* NULL: what it says itself */
	struct sixrd_domain domain; /* prefix.len 0: none */
};

/* V6/LEN, or V6/LEN,V4/LEN: the prefix, and what the domain's IPv4 addresses have in common. */
static bool parse_domain(const char *text, struct sixrd_domain *d)
{
	const char *comma = strchr(text, ',');
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "%.*s", comma ? (int)(comma - text) : (int)strlen(text), text);
	return input_prefix(AF_INET6, prefix, &d->prefix.addr, &d->prefix.len) &&
	       (!comma || (strchr(comma, '/') && input_prefix(AF_INET, comma + 1, &d->v4, &d->v4_len))) &&
	       sixrd_valid(d);
}

static const struct option known[] = {
	{ "--as", "6bed4, 6bed4-2012 or hg48" },
	{ "--domain", "a prefix of 6rd, or one and an IPv4 network, as 2001:db8::/40,10.0.0.0/8, that together "
		      "make prefixes of at most 64 bits," },
	{ NULL, NULL },
};

static int parse(struct ctl *c, struct in6_addr *a, struct how *how)
{
	const char *address = NULL;

	for (int i = 0; i < c->argc; i++) {
		const char *name = c->argv[i], *value = i + 1 < c->argc ? c->argv[i + 1] : NULL;

		if (*name != '-') {
			if (address)
				return ctl_fail(c, EXIT_USAGE, "decode wants one IPv6 address");
			address = name;
			continue;
		}
		if (!strcmp(name, "--as") && value &&
		    (!strcmp(value, "6bed4") || !strcmp(value, "6bed4-2012") || !strcmp(value, "hg48")))
			how->as = value;
		else if (strcmp(name, "--domain") || !value || !parse_domain(value, &how->domain))
			return ctl_fail_option(c, name, value, known);
		i++;
	}
	if (!address)
		return ctl_fail(c, EXIT_USAGE, "decode wants one IPv6 address");
	if (inet_pton(AF_INET6, address, a) != 1)
		return ctl_fail(c, EXIT_USAGE, "«%s» is not an IPv6 address", address);
	if (how->as && how->domain.prefix.len)
		return ctl_fail(c, EXIT_USAGE, "--as and --domain are two ways to read an address: one of them");
	if (how->domain.prefix.len && !sixrd_has(&how->domain, a))
		return ctl_fail(c, EXIT_USAGE, "%s is not in that domain", address);
	return EXIT_DONE;
}

static void as_told(struct lines *l, const struct in6_addr *a, const struct how *how)
{
	if (how->domain.prefix.len) {
		line(l, "kind", "6rd (RFC 5969)");
		sixrd_lines(l, &how->domain, a);
	} else if (!strcmp(how->as, "hg48")) {
		line(l, "kind", "HG48");
		endpoint_lines(l, hg48_endpoint(a), NULL);
	} else {
		line(l, "kind", "6bed4 peer");
		sixbed4_lines(l, how->as[5] ? SIXBED4_W1 : SIXBED4_W2, a);
	}
}

static void by_itself(struct lines *l, const struct in6_addr *a)
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
	const enum addr6_kind kind = addr6_kind(a);

	if (is_sixbed4(a)) {
		line(l, "kind", "6bed4 peer (fc64::/16)");
		sixbed4_lines(l, SIXBED4_W2, a);
		return;
	}
	line(l, "kind", kinds[kind]);
	if (kind == ADDR6_TEREDO)
		teredo_lines(l, a);
	else if (kind == ADDR6_SIXTO4)
		sixto4_lines(l, a);
	else if (addr6_is_isatap(a))
		ipv4_line(l, "ipv4", a->s6_addr32[3]);
	else if (kind == ADDR6_LINK_LOCAL && a->s6_addr16[5] == BE16((__u16)~TEREDO_SERVER_PORT))
		line(l, "server", text_in4(~a->s6_addr32[3]).s);
}

int cmd_decode(struct ctl *c)
{
	struct lines l = { NULL };
	struct how how = { NULL };
	struct in6_addr a;
	int code = parse(c, &a, &how);

	if (code)
		return code;
	if (c->json)
		l.json = json_object_new_object();
	line(&l, "address", text_in6(&a).s);
	if (how.as || how.domain.prefix.len)
		as_told(&l, &a, &how);
	else
		by_itself(&l, &a);
	return l.json ? ctl_print_json(l.json) : EXIT_DONE;
}
