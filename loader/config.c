// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalis.conf. inih takes the lines apart. What it would let pass or get wrong (an indented line,
 * which it takes for the value of the key above; a line that does not fit its buffer; a section
 * without keys; all bad lines but the first) is caught where the lines are handed to it.
 */
#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>

#include "config-impl.h"
#include "log.h"
#include "navalis/conflict.h"
#include "navalis/input.h"
#include "navalis/sixbed4.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define MEMBER(member) (((struct config *)0)->member)
#define REQUIRED NULL

enum type {
	NUMBER, FLAG, CHOICE, NAME, MODE, LEVEL, ADMISSION, FORMAT, MTU_OPTION, ADDRESS4, ENDPOINT, PREFIX4,
	PREFIX6, SOURCE64, INTERFACES, ADDRESSES4, PREFIXES4, PREFIXES6, CROSSINGS,
};

static const struct key {
	enum config_section section;
	const char *name;
	enum type type;
	size_t member, size; /* of an item */
	size_t count;        /* of a list: member that holds how many items there are; else 0 */
	const char *initial; /* or REQUIRED */
	__u32 min, max;
	enum { RELOAD, RESTART } when;
} keys[] = {
#define SECTION(...)
#define SECTIONS(...)
#define KEY(section, name, type, member, initial, min, max, unit, when, text)                      \
	{ CONFIG_##section, #name, type, offsetof(struct config, member), sizeof(MEMBER(member)), 0, \
	  initial, min, max, when },
#define LIST(section, name, type, member, count, min, max, when, text)                             \
	{ CONFIG_##section, #name, type, offsetof(struct config, member), sizeof(MEMBER(member)[0]), \
	  offsetof(struct config, count), min ? REQUIRED : "", min, max, when },
#include "config.def"
#undef SECTION
#undef SECTIONS
#undef KEY
#undef LIST
};

static const struct section {
	const char *title;
	__u32 max;           /* items; 0: it comes once, and its members are those of struct config */
	size_t size;         /* of an item; members of its keys are those of the first */
	size_t count, named; /* members: how many items there are, and their names */
} sections[] = {
#define SECTION(section, title, text) { title, 0, 0, 0, 0 },
#define SECTIONS(section, title, max, text)                                                        \
	{ title, max, sizeof(MEMBER(section)[0]), offsetof(struct config, n_##section),            \
	  offsetof(struct config, section##_named) },
#define KEY(...)
#define LIST(...)
#include "config.def"
#undef SECTION
#undef SECTIONS
#undef KEY
#undef LIST
};

/* what the list says in numbers for people, struct config says in names */
#define SECTION(...)
#define SECTIONS(section, title, max, text) _Static_assert(N(MEMBER(section)) == (max), title);
#define KEY(...)
#define LIST(section, name, type, member, count, min, max, when, text)                             \
	_Static_assert(N(MEMBER(member)) >= (max), #name);
#include "config.def"
#undef SECTION
#undef SECTIONS
#undef KEY
#undef LIST
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
					{ "6in4", TUNNEL_SIXIN4 }, { NULL, 0 } };

static const struct {
	const struct words *words;
	const char *allowed; /* in a sentence; NULL: it depends on the key */
	const char *items;   /* of a list */
	__u32 in_line;       /* so many of them can be printed in one line */
} types[] = {
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
	[CROSSINGS] = { NULL, "FROM:TO, each of them teredo, 6bed4, 6to4, 6rd or 6in4, but not teredo:teredo, teredo:6bed4, "
			     "6bed4:teredo and 6to4:6to4,", "crossings", 8 },
};

/* ---- where things are in struct config ------------------------------------------------------- */

/* An item of a section; of one that comes once there is item 0, which is the struct itself. */
static void *member_of(const struct config *c, enum config_section s, __u32 item, size_t member)
{
	return (char *)c + member + item * sections[s].size;
}

static __u32 *count_of(const struct config *c, enum config_section s)
{
	return (__u32 *)((char *)c + sections[s].count);
}

static struct config_named *named_of(const struct config *c, enum config_section s, __u32 item)
{
	return (struct config_named *)((char *)c + sections[s].named) + item;
}

__u32 config_items(const struct config *c, enum config_section s)
{
	return sections[s].max ? *count_of(c, s) : c->line[s] != 0;
}

int config_line(const struct config *c, enum config_section s, __u32 item)
{
	return sections[s].max ? named_of(c, s, item)->line : c->line[s];
}

const char *config_label(const struct config *c, enum config_section s, __u32 item,
			 char label[CONFIG_LABEL])
{
	const char *name = sections[s].max ? named_of(c, s, item)->name : "";

	snprintf(label, CONFIG_LABEL, "%s%s%s", sections[s].title, *name ? " " : "", name);
	return label;
}

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

/* ---- reading --------------------------------------------------------------------------------- */

struct loading {
	struct config *c;
	const struct config_source *from;
	FILE *errors;
	int n_errors;
	bool seen[N(keys)]; /* since the section began, if it may come several times */
	FILE *file;
	int line;       /* 0: the file as a whole */
	char *text;     /* of this line; getline()'s */
	size_t size;
	enum config_section section; /* this is in; CONFIG_SECTIONS: in none, or in an unknown one */
	__u32 item;
};

static void complain(struct loading *l, const char *format, ...)
{
	char sentence[512];
	va_list args;

	l->n_errors++;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	for (char *c = sentence; *c; c++) /* a file is not to talk to the terminal */
		if (iscntrl((unsigned char)*c))
			*c = '?';
	if (l->line)
		fprintf(l->errors, "%s:%d: %s\n", l->from->path, l->line, sentence);
	else
		fprintf(l->errors, "%s: %s\n", l->from->path, sentence);
}

/* Levenshtein, for words that fit a line. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64], n = (unsigned)strlen(b);

	if (n >= N(row))
		return N(row);
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static const char *nearest_key(enum config_section section, const char *name)
{
	const char *best = "";
	unsigned least = ~0U;

	for (size_t i = 0; i < N(keys); i++) {
		unsigned d = distance(name, keys[i].name);

		if (keys[i].section == section && d < least) {
			least = d;
			best = keys[i].name;
		}
	}
	return best;
}

static enum config_section nearest_section(const char *title)
{
	enum config_section best = 0;

	for (enum config_section s = 1; s < CONFIG_SECTIONS; s++)
		if (distance(title, sections[s].title) < distance(title, sections[best].title))
			best = s;
	return best;
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
	if (!parse_word(tunnels, text, &from) || !parse_word(tunnels, colon, &to) ||
	    !tunnels_may_cross((enum tunnel)from, (enum tunnel)to))
		return false;
	*ret = (struct config_crossing){ (__u8)from, (__u8)to };
	return true;
}

/* One value, or one item of a list. */
static bool set_value(const struct key *k, void *member, char *text)
{
	struct prefix4 p4 = { 0 };
	struct prefix6 p6 = { 0 };
	__u32 value;

	if (types[k->type].words) {
		if (!parse_word(types[k->type].words, text, &value))
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

static const char *allowed_for(const struct key *k)
{
	static char text[96];

	if (types[k->type].allowed)
		return types[k->type].allowed;
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

static void add_item(struct loading *l, const struct key *k, char *text)
{
	__u32 *count = member_of(l->c, k->section, l->item, k->count);
	char *first = member_of(l->c, k->section, l->item, k->member), shown[64];

	snprintf(shown, sizeof(shown), "%s", text);
	if (*count == k->max)
		complain(l, "%s: «%s»: at most %u %s are allowed here", k->name, shown, k->max,
			 types[k->type].items);
	else if (!set_value(k, first + *count * k->size, text))
		complain(l, "%s: «%s»: %s are allowed here", k->name, shown, allowed_for(k));
	else
		(*count)++;
}

static void set_key(struct loading *l, const struct key *k, const char *text)
{
	char copy[INI_MAX_LINE + 1], *save = NULL, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	if (k->count)
		for (word = strtok_r(copy, " \t,", &save); word; word = strtok_r(NULL, " \t,", &save))
			add_item(l, k, word);
	else if (!set_value(k, member_of(l->c, k->section, l->item, k->member), copy))
		complain(l, "%s = %s: %s is allowed here", k->name, text, allowed_for(k));
}

static const struct key *find_key(enum config_section section, const char *name)
{
	for (size_t i = 0; i < N(keys); i++)
		if (keys[i].section == section && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int on_pair(void *data, const char *section, const char *name, const char *value)
{
	struct loading *l = data;
	const struct key *k = find_key(l->section, name);

	if (!*section) {
		complain(l, "%s stands before the first [section]", name);
		return 1;
	}
	if (l->section == CONFIG_SECTIONS)
		return 1;
	if (!k) {
		complain(l, "no key «%s» in [%s]: did you mean «%s»?", name, section,
			 nearest_key(l->section, name));
		return 1;
	}
	if (l->seen[k - keys] && !k->count)
		complain(l, "%s is given twice", name);
	l->seen[k - keys] = true;
	set_key(l, k, value);
	if (k->member == offsetof(struct config, instance) && l->from->instance &&
	    strcmp(l->c->instance, l->from->instance))
		complain(l, "instance = %s: this is instance %s (--instance): take the line out",
			 l->c->instance, l->from->instance);
	return 1;
}

/* The values that the keys of a section have until they are given. */
static void set_initial(struct loading *l, enum config_section s, __u32 item)
{
	l->item = item;
	for (size_t i = 0; i < N(keys); i++) {
		if (keys[i].section != s)
			continue;
		l->seen[i] = false;
		if (keys[i].initial && *keys[i].initial)
			set_key(l, &keys[i], keys[i].initial);
	}
}

static void check_required(struct loading *l, enum config_section s, __u32 item)
{
	const int line = l->line;
	char label[CONFIG_LABEL];

	l->line = config_line(l->c, s, item);
	for (size_t i = 0; i < N(keys); i++)
		if (keys[i].section == s && !keys[i].initial && !l->seen[i])
			complain(l, "[%s] %s is missing: %s belongs there",
				 config_label(l->c, s, item, label), keys[i].name, allowed_for(&keys[i]));
	l->line = line;
}

/* An item of a section that may come several times is complete when the next section begins. */
static void end_section(struct loading *l)
{
	if (l->section != CONFIG_SECTIONS && sections[l->section].max)
		check_required(l, l->section, l->item);
	l->section = CONFIG_SECTIONS;
}

/* Cuts off blanks and comments at both ends. */
static char *trim(char *text)
{
	char *end, *c;

	for (c = text; *c; c++)
		if ((*c == '#' || *c == ';') && (c == text || isspace((unsigned char)c[-1]))) {
			*c = '\0';
			break;
		}
	while (isspace((unsigned char)*text))
		text++;
	for (end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return text;
}

static void begin_item(struct loading *l, enum config_section s, const char *name)
{
	const struct section *of = &sections[s];
	__u32 *n = count_of(l->c, s);
	char label[CONFIG_LABEL];

	if (*name && !input_instance(name)) {
		complain(l, "[%s %s]: a name has 1 to 15 letters, digits, - or _", of->title, name);
		return;
	}
	for (__u32 i = 0; i < *n; i++)
		if (!strcmp(named_of(l->c, s, i)->name, name)) {
			complain(l, "[%s] is there already, in line %d",
				 config_label(l->c, s, i, label), config_line(l->c, s, i));
			return;
		}
	if (*n == of->max) {
		complain(l, "at most %u sections [%s …]", of->max, of->title);
		return;
	}
	snprintf(named_of(l->c, s, *n)->name, sizeof(named_of(l->c, s, *n)->name), "%s", name);
	named_of(l->c, s, *n)->line = l->line;
	l->section = s;
	set_initial(l, s, (*n)++);
}

/* «[title]» or «[title NAME]», of n bytes. */
static void on_section(struct loading *l, const char *line, size_t n)
{
	char copy[INI_MAX_LINE + 1], title[INI_MAX_LINE + 1];
	const char *text, *name;
	enum config_section s, nearest;

	end_section(l);
	snprintf(copy, sizeof(copy), "%.*s", (int)n - 2, line + 1);
	text = trim(copy);
	snprintf(title, sizeof(title), "%.*s", (int)strcspn(text, " \t"), text);
	name = text + strlen(title) + strspn(text + strlen(title), " \t");
	for (s = 0; s < CONFIG_SECTIONS; s++)
		if (!strcmp(sections[s].title, title) && (sections[s].max || !*name))
			break;
	if (s == CONFIG_SECTIONS) {
		nearest = nearest_section(title);
		complain(l, "no section [%s]: did you mean [%s%s]?", text, sections[nearest].title,
			 sections[nearest].max ? " NAME" : "");
	} else if (sections[s].max) {
		begin_item(l, s, name);
	} else {
		l->section = s;
		l->item = 0;
		if (!l->c->line[s])
			l->c->line[s] = l->line;
	}
}

/* The next line for inih; an empty one in the place of one that has been complained of. */
static char *read_line(char *buf, int size, void *data)
{
	struct loading *l = data;
	ssize_t read = getline(&l->text, &l->size, l->file);
	char *line = l->text;
	size_t n;

	*buf = '\0';
	if (read < 0)
		return NULL;
	l->line++;
	if (line[read - 1] != '\n') /* half a file may well be one that can be read */
		complain(l, "the last line has no end: is the file complete?");
	if (memchr(line, '\0', (size_t)read)) {
		complain(l, "this is no text");
		return buf;
	}
	if (l->line == 1 && !strncmp(line, "\xef\xbb\xbf", 3))
		line += 3; /* as some editors begin UTF-8 */
	line = trim(line);
	n = strlen(line);
	if (n > (size_t)size - 3)
		complain(l, "longer than %d characters: a list goes on where its key is given again",
			 size - 3);
	else if (n && *line == '[' ? line[n - 1] != ']' : n && (*line == '=' || !strchr(line, '=')))
		complain(l, "neither a [section] nor «key = value»");
	else
		strcpy(buf, line);
	if (*buf == '[')
		on_section(l, buf, n);
	return buf;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* What is not given follows from what is. */
static void complete(struct config *c)
{
	if (!c->server.addr[1])
		c->server.addr[1] = BE32(HOST32(c->server.addr[0]) + 1);
	if (!c->sixto4.source)
		c->sixto4.source = c->sixto4.local;
	for (__u32 i = 0; i < c->n_sixbed4; i++)
		if (!c->sixbed4[i].service.port)
			c->sixbed4[i].service.port =
				BE16(c->sixbed4[i].format == SIXBED4_W1 ? SIXBED4_PORT_W1 : SIXBED4_PORT);
	for (__u32 i = 0; i < c->n_sixin4; i++)
		c->sixin4[i].id = i;
	c->hg48.link.mtu = HG48_MTU;
}

static void check_interfaces(struct loading *l)
{
	const struct config *c = l->c;

	if (c->mode != NAV_MODE_OFF && !c->n_interfaces && !l->n_errors)
		complain(l, "[navalis] interfaces is missing: name the NICs, or set mode = off");
	for (__u32 i = 0; i < c->n_interfaces; i++) {
		for (__u32 k = 0; k < i; k++)
			if (!strcmp(c->interfaces[i], c->interfaces[k]))
				complain(l, "interfaces: «%s» is given twice", c->interfaces[i]);
		if (!strcmp(c->interfaces[i], c->tun))
			complain(l, "interfaces: «%s» is the daemon's own TUN", c->tun);
	}
}

/* Returns -ENOMEM, or 0 with what is wrong complained of. */
static int check_together(struct loading *l)
{
	struct nav_config *policy;
	char sentence[CONFIG_SENTENCE];
	__u32 mechanisms = 0;
	int err;

	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		mechanisms += s == CONFIG_navalis ? 0 : config_items(l->c, s);
		if (!sections[s].max && l->c->line[s])
			check_required(l, s, 0);
	}
	if (!mechanisms)
		complain(l, "[teredo] service is missing, and no other mechanism is configured");
	check_interfaces(l);
	if (l->n_errors)
		return 0;
	complete(l->c);
	policy = calloc(1, sizeof(*policy));
	if (!policy)
		return -ENOMEM;
	err = config_fill(l->c, policy);
	if (!err && config_conflict(l->c, policy, NULL, sentence, &l->line))
		complain(l, "%s", sentence);
	free(policy);
	return err;
}

int config_load(const struct config_source *from, FILE *errors, struct config **ret)
{
	struct loading l = { .from = from, .errors = errors, .file = fopen(from->path, "re") };
	int err = 0;

	if (!l.file) {
		err = -errno;
		fprintf(errors, "%s: cannot be read: %s\n", from->path, strerror(-err));
		return err;
	}
	l.c = calloc(1, sizeof(*l.c));
	if (!l.c) {
		fclose(l.file);
		return -ENOMEM;
	}
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++)
		if (!sections[s].max)
			set_initial(&l, s, 0);
	if (from->instance)
		set_key(&l, find_key(CONFIG_navalis, "instance"), from->instance);
	l.section = CONFIG_SECTIONS;
	ini_parse_stream(read_line, &l, on_pair, &l);
	end_section(&l);
	l.line = 0;
	if (ferror(l.file))
		complain(&l, "cannot be read: %s", strerror(errno));
	fclose(l.file);
	free(l.text);
	err = check_together(&l);
	if (!err && l.n_errors)
		err = -EINVAL;
	if (err) {
		free(l.c);
		return err;
	}
	*ret = l.c;
	return 0;
}

/* ---- printing and comparing ------------------------------------------------------------------ */

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

/* One value, or one item of a list. */
static void print_value(const struct key *k, const void *member, FILE *out)
{
	const struct config_crossing *crossing = member;
	const struct endpoint4 *ep = member;
	struct prefix4 p4;
	struct prefix6 p6 = { .len = k->max };
	char text[INET_ADDRSTRLEN];

	if (types[k->type].words) {
		fprintf(out, " %s", word_of(types[k->type].words, fetch(member, k->size)));
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

/* A list goes on in another line before it becomes too long for one. */
static void print_key(const struct config *c, const struct key *k, __u32 item, FILE *out)
{
	const char *member = member_of(c, k->section, item, k->member);
	const __u32 n = k->count ? *(const __u32 *)member_of(c, k->section, item, k->count) : 1;

	fprintf(out, "%s =", k->name);
	for (__u32 i = 0; i < n; i++) {
		if (i && i % types[k->type].in_line == 0)
			fprintf(out, "\n%s =", k->name);
		print_value(k, member + i * k->size, out);
	}
	fputc('\n', out);
}

/* [navalis] is always there. */
static __u32 printed_items(const struct config *c, enum config_section s)
{
	return s == CONFIG_navalis ? 1 : config_items(c, s);
}

void config_print(const struct config *c, FILE *out)
{
	char label[CONFIG_LABEL];

	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++)
		for (__u32 item = 0; item < printed_items(c, s); item++) {
			fprintf(out, "%s[%s]\n", s ? "\n" : "", config_label(c, s, item, label));
			for (size_t i = 0; i < N(keys); i++)
				if (keys[i].section == s)
					print_key(c, &keys[i], item, out);
		}
}

/* The value of a key as it is printed: to compare two of them. */
static char *printed(const struct config *c, const struct key *k, __u32 item)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	print_key(c, k, item, f);
	fclose(f);
	return text;
}

static bool is_proto41(enum config_section s)
{
	return s == CONFIG_sixto4 || s == CONFIG_sixrd || s == CONFIG_sixin4;
}

bool config_proto41(const struct config *c)
{
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++)
		if (is_proto41(s) && config_items(c, s))
			return true;
	return false;
}

static void changed(struct config_changes *ch, const char *name, bool restart)
{
	if (ch->n < CONFIG_CHANGES)
		snprintf(ch->name[ch->n], CONFIG_LABEL, "%s", name);
	ch->n++;
	if (restart && !*ch->restart)
		snprintf(ch->restart, CONFIG_LABEL, "%s", name);
}

static bool needs_restart(enum config_section s)
{
	for (size_t i = 0; i < N(keys); i++)
		if (keys[i].section == s && keys[i].when == RESTART)
			return true;
	return false;
}

/* A section that came, or went, or has another place where the place says whose a socket is. */
static void changed_section(struct config_changes *ch, const struct config *c, enum config_section s,
			    __u32 item, bool restart)
{
	char label[CONFIG_LABEL], name[CONFIG_LABEL + 2];

	snprintf(name, sizeof(name), "[%s]", config_label(c, s, item, label));
	changed(ch, name, restart || needs_restart(s));
}

static int compare_keys(const struct config *a, __u32 item_a, const struct config *b, __u32 item_b,
			enum config_section s, struct config_changes *ch)
{
	char label[CONFIG_LABEL], name[2 * CONFIG_LABEL];

	for (size_t i = 0; i < N(keys); i++) {
		const struct key *k = &keys[i];
		char *x = k->section == s ? printed(a, k, item_a) : NULL;
		char *y = k->section == s ? printed(b, k, item_b) : NULL;
		const bool known = x && y, same = known && !strcmp(x, y);

		free(x);
		free(y);
		if (k->section != s || same)
			continue;
		if (!known)
			return -ENOMEM;
		if (s == CONFIG_navalis || s == CONFIG_teredo)
			snprintf(name, sizeof(name), "%s", k->name);
		else
			snprintf(name, sizeof(name), "%s: %s", config_label(a, s, item_a, label), k->name);
		changed(ch, name, k->when == RESTART);
	}
	return 0;
}

/* The item of the same name; false: there is none. */
static bool same_name(const struct config *a, __u32 item, const struct config *b,
		      enum config_section s, __u32 *ret)
{
	for (*ret = 0; *ret < printed_items(b, s); ++*ret)
		if (!sections[s].max || !strcmp(named_of(a, s, item)->name, named_of(b, s, *ret)->name))
			return true;
	return false;
}

int config_compare(const struct config *a, const struct config *b, struct config_changes *ch)
{
	const bool opens = config_proto41(b) && !config_proto41(a);
	__u32 other;
	int err = 0;

	*ch = (struct config_changes){ 0 };
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		for (__u32 item = 0; item < printed_items(a, s) && !err; item++)
			if (!same_name(a, item, b, s, &other) || (other != item && needs_restart(s)))
				changed_section(ch, a, s, item, false);
			else
				err = compare_keys(a, item, b, other, s, ch);
		for (__u32 item = 0; item < printed_items(b, s); item++)
			if (!same_name(b, item, a, s, &other))
				changed_section(ch, b, s, item, opens && is_proto41(s));
	}
	return err;
}
