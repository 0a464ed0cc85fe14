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

#include "config.h"
#include "log.h"
#include "navalis/input.h"

enum type { NUMBER, FLAG, CHOICE, NAME, MODE, LEVEL, ADMISSION, ENDPOINT, INTERFACES, PREFIXES6, PREFIXES4, SOURCE64 };

static const struct key {
	const char *section, *name;
	enum type type;
	size_t member;
	const char *initial;
	__u32 min, max;
	enum { RELOAD, RESTART } when;
} keys[] = {
#define SECTION(name, text)
#define KEY(section, name, type, member, initial, min, max, unit, when, text)                      \
	{ #section, #name, type, offsetof(struct config, member), initial, min, max, when },
#include "config.def"
#undef SECTION
#undef KEY
};

static const char *const sections[] = {
#define SECTION(name, text) #name,
#define KEY(...)
#include "config.def"
#undef SECTION
#undef KEY
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

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

struct loading {
	struct config *c;
	const struct config_source *from;
	FILE *errors;
	int n_errors;
	bool seen[N(keys)];
	FILE *file;
	int line;       /* 0: the file as a whole */
	char *text;     /* of this line; getline()'s */
	size_t size;
	bool skip;      /* in an unknown section */
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

static const char *nearest_key(const char *section, const char *name)
{
	const char *best = "";
	unsigned least = ~0U;

	for (size_t i = 0; i < N(keys); i++) {
		unsigned d = distance(name, keys[i].name);

		if (!strcmp(keys[i].section, section) && d < least) {
			least = d;
			best = keys[i].name;
		}
	}
	return best;
}

static const char *nearest_section(const char *name)
{
	const char *best = sections[0];

	for (size_t i = 1; i < N(sections); i++)
		if (distance(name, sections[i]) < distance(name, best))
			best = sections[i];
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

static bool parse_endpoint(char *text, struct endpoint4 *ret)
{
	char *colon = strchr(text, ':');
	struct in_addr addr;
	__u32 port = 3545;

	if (colon) {
		*colon++ = '\0';
		if (!parse_number(colon, 1, 65535, &port))
			return false;
	}
	/* what no host has; a private one may be translated one to one, as clouds do */
	if (inet_pton(AF_INET, text, &addr) != 1 || !(HOST32(addr.s_addr) >> 24) ||
	    HOST32(addr.s_addr) >> 24 == 127 || HOST32(addr.s_addr) >> 24 >= 224)
		return false;
	*ret = (struct endpoint4){ .addr = addr.s_addr, .port = BE16(port) };
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

/* One value, or one item of a list. NULL, or what is allowed. */
static const char *set_value(struct config *c, const struct key *k, char *text)
{
	void *member = (char *)c + k->member;
	static char allowed[96];

	switch (k->type) {
	case NUMBER:
		if (parse_number(text, k->min, k->max, member))
			return NULL;
		snprintf(allowed, sizeof(allowed), "a number from %u to %u", k->min, k->max);
		return allowed;
	case FLAG:
		return parse_word(flags, text, member) ? NULL : "yes or no";
	case MODE:
		return parse_word(modes, text, member) ? NULL : "auto, native, generic or off";
	case LEVEL:
		return parse_word(levels, text, member) ? NULL : "err, warning, info or debug";
	case NAME:
		if (!input_instance(text))
			return "1 to 15 letters, digits, - or _";
		strcpy(member, text);
		return NULL;
	case CHOICE:
		return parse_word(choices, text, member) ? NULL : "no, yes or try";
	case ADMISSION:
		return parse_word(admissions, text, member) ? NULL : "strict or rfc";
	case ENDPOINT:
		return parse_endpoint(text, member) ? NULL : "an IPv4 address and a port, as 192.0.2.1:3545";
	case INTERFACES:
		if (!is_interface(text))
			return "names of interfaces";
		if (c->n_interfaces == NAV_NICS)
			return "at most 8 interfaces";
		strcpy(c->interfaces[c->n_interfaces++], text);
		return NULL;
	case PREFIXES6:
		if (c->n_serve == NAV_SERVED)
			return "at most 16 prefixes";
		if (!parse_prefix(AF_INET6, text, c->serve[c->n_serve].addr.s6_addr,
				  &c->serve[c->n_serve].len))
			return "IPv6 prefixes with no bit set behind their length, as 2001:db8::/32";
		c->n_serve++;
		return NULL;
	case PREFIXES4:
		if (c->n_refuse == CONFIG_REFUSE)
			return "at most 1000 prefixes";
		if (!parse_prefix(AF_INET, text, (__u8 *)&c->refuse[c->n_refuse].addr,
				  &c->refuse[c->n_refuse].len))
			return "IPv4 prefixes with no bit set behind their length, as 198.51.100.0/24";
		c->n_refuse++;
		return NULL;
	case SOURCE64: {
		struct prefix6 p = { 0 };

		if (!strcmp(text, "link-local"))
			p.addr.s6_addr[0] = 0xfe, p.addr.s6_addr[1] = 0x80;
		else if (!parse_prefix(AF_INET6, text, p.addr.s6_addr, &p.len) || p.len != 64 ||
			 addr6_kind(&p.addr) == ADDR6_MULTICAST || addr6_kind(&p.addr) == ADDR6_TEREDO)
			return "link-local, or an IPv6 prefix of length 64";
		memcpy(member, &p.addr, 8);
		return NULL;
	}
	}
	return NULL;
}

static bool is_list(enum type t)
{
	return t == INTERFACES || t == PREFIXES6 || t == PREFIXES4;
}

static void set_key(struct loading *l, const struct key *k, const char *text)
{
	char copy[INI_MAX_LINE + 1], *save = NULL, *word;
	const char *allowed;

	snprintf(copy, sizeof(copy), "%s", text);
	if (!is_list(k->type)) {
		allowed = set_value(l->c, k, copy);
		if (allowed)
			complain(l, "%s = %s: %s is allowed here", k->name, text, allowed);
		return;
	}
	for (word = strtok_r(copy, " \t,", &save); word; word = strtok_r(NULL, " \t,", &save)) {
		char item[64];

		snprintf(item, sizeof(item), "%s", word);
		allowed = set_value(l->c, k, word);
		if (allowed)
			complain(l, "%s: «%s»: %s are allowed here", k->name, item, allowed);
	}
}

static const struct key *find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < N(keys); i++)
		if (!strcmp(keys[i].section, section) && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int on_pair(void *data, const char *section, const char *name, const char *value)
{
	struct loading *l = data;
	const struct key *k = find_key(section, name);

	if (l->skip)
		return 1;
	if (!*section) {
		complain(l, "%s stands before the first [section]", name);
	} else if (!k) {
		complain(l, "no key «%s» in [%s]: did you mean «%s»?", name, section,
			 nearest_key(section, name));
	} else {
		if (l->seen[k - keys] && !is_list(k->type))
			complain(l, "%s is given twice", name);
		l->seen[k - keys] = true;
		set_key(l, k, value);
		if (k->member == offsetof(struct config, instance) && l->from->instance &&
		    strcmp(l->c->instance, l->from->instance))
			complain(l, "instance = %s: this is instance %s (--instance): take the line out",
				 l->c->instance, l->from->instance);
	}
	return 1;
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

static void on_section(struct loading *l, char *line, size_t n)
{
	size_t i;

	line[n - 1] = '\0';
	for (i = 0; i < N(sections); i++)
		if (!strcmp(sections[i], line + 1))
			break;
	l->skip = i == N(sections);
	if (l->skip)
		complain(l, "no section [%s]: did you mean [%s]?", line + 1,
			 nearest_section(line + 1));
	line[n - 1] = ']';
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

static void check_together(struct loading *l)
{
	const struct config *c = l->c;

	if (!l->seen[find_key("teredo", "service") - keys])
		complain(l, "[teredo] service is missing: the IPv4 address and UDP port of this relay");
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
	for (size_t i = 0; i < N(keys); i++)
		if (*keys[i].initial)
			set_key(&l, &keys[i], keys[i].initial);
	if (from->instance)
		set_key(&l, find_key("navalis", "instance"), from->instance);
	ini_parse_stream(read_line, &l, on_pair, &l);
	l.line = 0;
	if (ferror(l.file))
		complain(&l, "cannot be read: %s", strerror(errno));
	fclose(l.file);
	free(l.text);
	check_together(&l);
	if (l.n_errors) {
		free(l.c);
		return -EINVAL;
	}
	*ret = l.c;
	return 0;
}

static const char *word_of(const struct words *w, __u32 value)
{
	while (w->word && w->value != value)
		w++;
	return w->word;
}

/* A list goes on in another line before it becomes too long for one. */
static void print_key(const struct config *c, const struct key *k, FILE *out)
{
	const void *member = (const char *)c + k->member;
	const struct endpoint4 *ep = member;
	char text[INET6_ADDRSTRLEN];
	struct in6_addr source = { 0 };

	fprintf(out, "%s =", k->name);
	switch (k->type) {
	case NUMBER:
		fprintf(out, " %u", *(const __u32 *)member);
		break;
	case FLAG:
		fprintf(out, " %s", word_of(flags, *(const __u32 *)member));
		break;
	case MODE:
		fprintf(out, " %s", word_of(modes, *(const __u32 *)member));
		break;
	case LEVEL:
		fprintf(out, " %s", word_of(levels, *(const __u32 *)member));
		break;
	case CHOICE:
		fprintf(out, " %s", word_of(choices, *(const __u32 *)member));
		break;
	case ADMISSION:
		fprintf(out, " %s", word_of(admissions, *(const __u32 *)member));
		break;
	case NAME:
		fprintf(out, " %s", (const char *)member);
		break;
	case ENDPOINT:
		fprintf(out, " %s:%u", inet_ntop(AF_INET, &ep->addr, text, sizeof(text)),
			HOST16(ep->port));
		break;
	case INTERFACES:
		for (__u32 i = 0; i < c->n_interfaces; i++)
			fprintf(out, " %s", c->interfaces[i]);
		break;
	case PREFIXES6:
		for (__u32 i = 0; i < c->n_serve; i++) {
			if (i && i % 3 == 0)
				fprintf(out, "\n%s =", k->name);
			fprintf(out, " %s/%u",
				inet_ntop(AF_INET6, &c->serve[i].addr, text, sizeof(text)), c->serve[i].len);
		}
		break;
	case PREFIXES4:
		for (__u32 i = 0; i < c->n_refuse; i++) {
			if (i && i % 8 == 0)
				fprintf(out, "\n%s =", k->name);
			fprintf(out, " %s/%u",
				inet_ntop(AF_INET, &c->refuse[i].addr, text, sizeof(text)), c->refuse[i].len);
		}
		break;
	case SOURCE64:
		memcpy(&source, member, 8);
		if (HOST32(source.s6_addr32[0]) == 0xfe800000 && !source.s6_addr32[1])
			fputs(" link-local", out);
		else
			fprintf(out, " %s/64", inet_ntop(AF_INET6, &source, text, sizeof(text)));
		break;
	}
	fputc('\n', out);
}

void config_print(const struct config *c, FILE *out)
{
	const char *section = "";

	for (size_t i = 0; i < N(keys); i++) {
		if (strcmp(section, keys[i].section)) {
			section = keys[i].section;
			fprintf(out, "%s[%s]\n", i ? "\n" : "", section);
		}
		print_key(c, &keys[i], out);
	}
}

/* The value of a key as it is printed: to compare two of them. */
static char *printed(const struct config *c, const struct key *k)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	print_key(c, k, f);
	fclose(f);
	return text;
}

int config_compare(const struct config *a, const struct config *b, struct config_changes *ch)
{
	*ch = (struct config_changes){ 0 };
	for (size_t i = 0; i < N(keys); i++) {
		char *x = printed(a, &keys[i]), *y = printed(b, &keys[i]);
		bool known = x && y, same = known && !strcmp(x, y);

		free(x);
		free(y);
		if (!known)
			return -ENOMEM;
		if (same)
			continue;
		if (keys[i].when == RESTART && !ch->restart)
			ch->restart = keys[i].name;
		if (ch->n < CONFIG_KEYS)
			ch->name[ch->n++] = keys[i].name;
	}
	return 0;
}

_Static_assert(N(keys) <= CONFIG_KEYS, "config.h");

static int by_first(const void *a, const void *b)
{
	const struct addr4_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

int addr4_set_build(const struct prefix4 *prefix, __u32 n, struct addr4_set *set)
{
	struct addr4_range *r = calloc(n + 1, sizeof(*r));
	int err = 0;

	if (!r)
		return -ENOMEM;
	for (__u32 i = 0; i < n; i++) {
		r[i].first = HOST32(prefix[i].addr);
		r[i].last = r[i].first | (prefix[i].len ? (__u32)((1ULL << (32 - prefix[i].len)) - 1) : ~0U);
	}
	qsort(r, n, sizeof(*r), by_first);
	set->n = 0;
	for (__u32 i = 0; i < n; i++) {
		struct addr4_range *top = set->n ? &set->range[set->n - 1] : NULL;

		if (top && (__u64)r[i].first <= (__u64)top->last + 1) {
			if (r[i].last > top->last)
				top->last = r[i].last;
		} else if (set->n == ADDR4_SET_MAX) {
			err = -ENOSPC;
		} else {
			set->range[set->n++] = r[i];
		}
	}
	free(r);
	return err;
}

int config_policy(const struct config *c, const struct nav_clock *clock, struct nav_config *p)
{
	static const struct prefix4 builtin[] = {
#define REFUSED4(a, b, x, d, len, text) { BE32((__u32)a << 24 | b << 16 | x << 8 | d), len },
#include "navalis/refused4.def"
#undef REFUSED4
	};
	__u32 n_builtin = c->laboratory ? 0 : N(builtin), n = n_builtin + c->n_refuse;
	struct prefix4 *all = calloc(n + 1, sizeof(*all));
	struct meter_rate rate = { .burst = c->slow_path_rate / 10 + 64 };
	int err;

	if (!all)
		return -ENOMEM;
	memcpy(all, builtin, n_builtin * sizeof(*all));
	memcpy(all + n_builtin, c->refuse, c->n_refuse * sizeof(*all));
	err = addr4_set_build(all, n, &p->refused);
	free(all);

	/* tokens a tick, in 1/1024 of a packet; rounded up, since 0 would mean no limit */
	rate.per_unit = (__u32)((__u64)c->slow_path_rate * METER_SCALE * clock->tick_ns / 1000000000) + 1;
	for (int i = METER_NONE + 1; i < METER_MAX; i++)
		p->meter[i] = rate;
	p->service = c->service;
	p->bubble_prefix = c->bubble_source;
	p->mtu = TEREDO_MTU;
	p->life = nav_units_of_ms(clock, TEREDO_LIFE_MS);
	p->reproof = nav_units_of_ms(clock, TEREDO_REPROOF_MS);
	p->nexthop_life = nav_units_of_ms(clock, 1000);
	p->admission_rfc = (__u8)c->admission_rfc;
	p->checksum_zero = (__u8)c->checksum_zero;
	p->local_services = (__u8)c->local_services;
	p->clock_shift = clock->shift;
	p->n_served = c->n_serve;
	memcpy(p->served, c->serve, sizeof(p->served));
	return err;
}
