// SPDX-License-Identifier: GPL-2.0-or-later
/* One value of navalis.conf, or one item of a list: read, and printed. */
#include <ctype.h>
#include <stdlib.h>

#include "config-impl.h"
#include "log.h"
#include "navalis/input.h"
#include "navalis/proto41.h"
#include "navalis/sixbed4.h"

_Static_assert(offsetof(struct sixrd_domain, v4_len) ==
		       offsetof(struct sixrd_domain, v4) + offsetof(struct prefix4, len),
	       "PREFIX4");

struct words {
	const char *word;
	__u32 value;
};
static const struct words flags[] = { { "no", 0 }, { "yes", 1 }, { NULL, 0 } };
static const struct words choices[] = { { "no", CHOICE_NO }, { "yes", CHOICE_YES }, { "try", CHOICE_TRY },
					{ NULL, 0 } };
static const struct words admissions[] = { { "strict", 0 }, { "rfc", 1 }, { NULL, 0 } };
static const struct words modes[] = { { "auto", NAV_MODE_AUTO }, { "native", NAV_MODE_NATIVE },
				      { "generic", NAV_MODE_GENERIC }, { "off", NAV_MODE_OFF },
				      { NULL, 0 } };
static const struct words levels[] = { { "err", LOG_LEVEL_ERR }, { "warning", LOG_LEVEL_WARNING },
				       { "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG },
				       { NULL, 0 } };
static const struct words formats[] = { { "draft-04", SIXBED4_W2 }, { "2012", SIXBED4_W1 }, { NULL, 0 } };
static const struct words mtu_options[] = { { "no", 0 }, { "yes", TEREDO_MTU }, { NULL, 0 } };
static const struct words tunnels[] = { { "teredo", TUNNEL_TEREDO }, { "6bed4", TUNNEL_SIXBED4 },
					{ "6to4", TUNNEL_SIXTO4 }, { "6rd", TUNNEL_SIXRD },
					{ "6in4", TUNNEL_SIXIN4 }, { "hg48", TUNNEL_HG48 },
					{ NULL, 0 } };

const struct value_form value_forms[] = {
	[FLAG] = { flags, "yes or no", NULL, 0 },
	[CHOICE] = { choices, "no, yes or try", NULL, 0 },
	[NAME] = { NULL, "1 to 15 letters, digits, - or _", NULL, 0 },
	[MODE] = { modes, "auto, native, generic or off", NULL, 0 },
	[LEVEL] = { levels, "err, warning, info or debug", NULL, 0 },
	[ADMISSION] = { admissions, "strict or rfc", NULL, 0 },
	[FORMAT] = { formats, "draft-04 or 2012", NULL, 0 },
	[MTU_OPTION] = { mtu_options, "yes or no", NULL, 0 },
	[ADDRESS4] = { NULL, "an IPv4 address of a host, as 192.0.2.1,", NULL, 0 },
	[PREFIX4] = { NULL, "an IPv4 prefix with no bit set behind its length, as 198.51.100.0/24,", NULL, 0 },
	[SOURCE64] = { NULL, "link-local, or an IPv6 prefix of length 64", NULL, 0 },
	[INTERFACES] = { NULL, "names of interfaces", "interfaces", 8 },
	[ADDRESSES4] = { NULL, "IPv4 addresses of hosts, as 192.0.2.1,", "addresses", 8 },
	[PREFIXES4] = { NULL, "IPv4 prefixes with no bit set behind their length, as 198.51.100.0/24", "prefixes", 8 },
	[PREFIXES6] = { NULL, "IPv6 prefixes with no bit set behind their length, as 2001:db8::/32", "prefixes", 3 },
	[CROSSINGS] = { NULL, "FROM:TO, each of them teredo, 6bed4, 6to4, 6rd, 6in4 or hg48,", "crossings", 8 },
};

/* Numbers are as wide as they are in the policy. */
static void store(void *member, size_t size, __u32 value)
{
	if (size == sizeof(__u8))
		*(__u8 *)member = (__u8)value;
	else if (size == sizeof(__u16))
		*(__u16 *)member = (__u16)value;
	else
		*(__u32 *)member = value;
}

static __u32 fetch(const void *member, size_t size)
{
	return size == sizeof(__u8)  ? *(const __u8 *)member :
	       size == sizeof(__u16) ? *(const __u16 *)member :
				       *(const __u32 *)member;
}

static bool parse_number(const char *text, __u32 min, __u32 max, __u32 *ret)
{
	char *end;
	unsigned long v;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return false;
	*ret = (__u32)v;
	return true;
}

static bool parse_word(const struct words *w, const char *text, __u32 *ret)
{
	for (; w->word; w++)
		if (!strcmp(w->word, text)) {
			*ret = w->value;
			return true;
		}
	return false;
}

/* None that no host has; a private one may be translated one to one, as clouds do. */
static bool parse_address4(const char *text, __be32 *ret)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1 || !addr4_unicast(addr.s_addr))
		return false;
	*ret = addr.s_addr;
	return true;
}

/* port: where none is given. */
static bool parse_endpoint(char *text, __u32 port, struct endpoint4 *ret)
{
	char *colon = strchr(text, ':');
	__be32 addr;

	if (colon) {
		*colon++ = '\0';
		if (!parse_number(colon, 1, 65535, &port))
			return false;
	}
	if (!parse_address4(text, &addr))
		return false;
	*ret = (struct endpoint4){ .addr = addr, .port = BE16(port) };
	return true;
}

/* Host bits that are set are refused rather than cut off. */
static bool parse_prefix(int family, const char *text, __u8 *addr, __u32 *len)
{
	if (!input_prefix(family, text, addr, len))
		return false;
	for (__u32 i = *len; i < (family == AF_INET ? 32 : 128); i++)
		if (addr[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

static bool is_interface(const char *text)
{
	if (!*text || strlen(text) > 15)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_-.", *text))
			return false;
	return true;
}

static bool parse_source64(const char *text, void *member)
{
	struct prefix6 p = { 0 };

	if (!strcmp(text, "link-local"))
		p.addr.s6_addr[0] = 0xfe, p.addr.s6_addr[1] = 0x80;
	else if (!parse_prefix(AF_INET6, text, p.addr.s6_addr, &p.len) || p.len != 64 ||
		 addr6_kind(&p.addr) == ADDR6_MULTICAST || addr6_kind(&p.addr) == ADDR6_TEREDO)
		return false;
	memcpy(member, &p.addr, 8);
	return true;
}

static bool parse_crossing(char *text, struct config_crossing *ret)
{
	char *colon = strchr(text, ':');
	__u32 from, to;

	if (!colon)
		return false;
	*colon++ = '\0';
	if (!parse_word(tunnels, text, &from) || !parse_word(tunnels, colon, &to))
		return false;
	*ret = (struct config_crossing){ (__u8)from, (__u8)to };
	return true;
}

bool value_read(const struct config_key *k, char *text, void *member)
{
	struct prefix4 p4 = { 0 };
	struct prefix6 p6 = { 0 };
	__u32 value;

	if (value_forms[k->type].words) {
		if (!parse_word(value_forms[k->type].words, text, &value))
			return false;
		store(member, k->size, value);
		return true;
	}
	switch (k->type) {
	case NUMBER:
		if (!parse_number(text, k->min, k->max, &value))
			return false;
		store(member, k->size, value);
		return true;
	case NAME:
		if (!input_instance(text))
			return false;
		strcpy(member, text);
		return true;
	case INTERFACES:
		if (!is_interface(text))
			return false;
		strcpy(member, text);
		return true;
	case ADDRESS4:
	case ADDRESSES4:
		return parse_address4(text, member);
	case ENDPOINT:
		return parse_endpoint(text, k->min, member);
	case PREFIX4:
	case PREFIXES4:
		if (!parse_prefix(AF_INET, text, (__u8 *)&p4.addr, &p4.len))
			return false;
		memcpy(member, &p4, sizeof(p4));
		return true;
	case PREFIX6:
	case PREFIXES6:
		if (!parse_prefix(AF_INET6, text, p6.addr.s6_addr, &p6.len) ||
		    (k->type == PREFIX6 && (p6.len < k->min || p6.len > k->max)))
			return false;
		memcpy(member, &p6, k->size); /* where all have one length, as much as that */
		return true;
	case SOURCE64:
		return parse_source64(text, member);
	default:
		return parse_crossing(text, member);
	}
}

const char *value_allowed(const struct config_key *k)
{
	static char text[96];

	if (value_forms[k->type].allowed)
		return value_forms[k->type].allowed;
	if (k->type == NUMBER)
		snprintf(text, sizeof(text), "a number from %u to %u", k->min, k->max);
	else if (k->type == ENDPOINT)
		snprintf(text, sizeof(text), "an IPv4 address and a port, as 192.0.2.1:%u",
			 k->min ? k->min : SIXBED4_PORT);
	else if (k->min == k->max)
		snprintf(text, sizeof(text), "an IPv6 prefix of length %u, with no bit set behind it,",
			 k->min);
	else
		snprintf(text, sizeof(text), "an IPv6 prefix of length %u to %u, with no bit set behind it,",
			 k->min, k->max);
	return text;
}

static const char *word_of(const struct words *w, __u32 value)
{
	while (w->word && w->value != value)
		w++;
	return w->word;
}

static void print_prefix(int family, const void *addr, __u32 len, FILE *out)
{
	char text[INET6_ADDRSTRLEN];

	fprintf(out, " %s/%u", inet_ntop(family, addr, text, sizeof(text)), len);
}

void value_print(const struct config_key *k, const void *member, FILE *out)
{
	const struct config_crossing *crossing = member;
	const struct endpoint4 *ep = member;
	struct prefix4 p4;
	struct prefix6 p6 = { .len = k->max };
	char text[INET_ADDRSTRLEN];

	if (value_forms[k->type].words) {
		fprintf(out, " %s", word_of(value_forms[k->type].words, fetch(member, k->size)));
		return;
	}
	switch (k->type) {
	case NUMBER:
		fprintf(out, " %u", fetch(member, k->size));
		break;
	case NAME:
	case INTERFACES:
		fprintf(out, " %s", (const char *)member);
		break;
	case ADDRESS4:
	case ADDRESSES4:
		fprintf(out, " %s", inet_ntop(AF_INET, member, text, sizeof(text)));
		break;
	case ENDPOINT:
		fprintf(out, " %s:%u", inet_ntop(AF_INET, &ep->addr, text, sizeof(text)), HOST16(ep->port));
		break;
	case PREFIX4:
	case PREFIXES4:
		memcpy(&p4, member, sizeof(p4));
		print_prefix(AF_INET, &p4.addr, p4.len, out);
		break;
	case PREFIX6:
	case PREFIXES6:
		memcpy(&p6, member, k->size);
		print_prefix(AF_INET6, &p6.addr, p6.len, out);
		break;
	case SOURCE64:
		memcpy(&p6, member, 8);
		if (HOST32(p6.addr.s6_addr32[0]) == 0xfe800000 && !p6.addr.s6_addr32[1])
			fputs(" link-local", out);
		else
			print_prefix(AF_INET6, &p6.addr, 64, out);
		break;
	default:
		fprintf(out, " %s:%s", word_of(tunnels, crossing->from), word_of(tunnels, crossing->to));
	}
}
