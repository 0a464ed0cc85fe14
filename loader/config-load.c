// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading navalis.conf. inih takes the lines apart. What it would let pass or get wrong (an indented
 * line, which it takes for the value of the key above; a line that does not fit its buffer; a section
 * without keys; all bad lines but the first) is caught where the lines are handed to it.
 */
#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>

#include "config-impl.h"
#include "navalis/hg48.h"
#include "navalis/input.h"
#include "navalis/sixbed4.h"

struct loading {
	struct config *c;
	const struct config_source *from;
	FILE *errors;
	int n_errors;
	bool seen[CONFIG_KEYS]; /* since the section began, if it may come several times */
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

/* ---- what was meant -------------------------------------------------------------------------- */

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

	for_each_config_key(k, section) {
		unsigned d = distance(name, k->name);

		if (d < least) {
			least = d;
			best = k->name;
		}
	}
	return best;
}

static enum config_section nearest_section(const char *title)
{
	enum config_section best = 0;

	for (enum config_section s = 1; s < CONFIG_SECTIONS; s++)
		if (distance(title, config_kinds[s].title) < distance(title, config_kinds[best].title))
			best = s;
	return best;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void add_item(struct loading *l, const struct config_key *k, char *text)
{
	__u32 *count = config_member(l->c, k->section, l->item, k->count);
	char *first = config_member(l->c, k->section, l->item, k->member), shown[64];

	snprintf(shown, sizeof(shown), "%s", text);
	if (*count == k->max)
		complain(l, "%s: «%s»: at most %u %s are allowed here", k->name, shown, k->max,
			 value_forms[k->type].items);
	else if (!value_read(k, text, first + *count * k->size))
		complain(l, "%s: «%s»: %s are allowed here", k->name, shown, value_allowed(k));
	else
		(*count)++;
}

static void set_key(struct loading *l, const struct config_key *k, const char *text)
{
	char copy[INI_MAX_LINE + 1], *save = NULL, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	if (k->count)
		for (word = strtok_r(copy, " \t,", &save); word; word = strtok_r(NULL, " \t,", &save))
			add_item(l, k, word);
	else if (!value_read(k, copy, config_member(l->c, k->section, l->item, k->member)))
		complain(l, "%s = %s: %s is allowed here", k->name, text, value_allowed(k));
}

static const struct config_key *find_key(enum config_section section, const char *name)
{
	for_each_config_key(k, section)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static bool is_instance(const struct config_key *k)
{
	return k->member == offsetof(struct config, instance);
}

static int on_pair(void *data, const char *section, const char *name, const char *value)
{
	struct loading *l = data;
	const struct config_key *k = find_key(l->section, name);

	if (!*section) {
		complain(l, "%s stands before the first [section]", name);
		return 1;
	}
	if (l->section == CONFIG_SECTIONS)
		return 1;
	if (!k && find_key(CONFIG_navalis, name)) {
		complain(l, "no key «%s» in [%s]: it belongs into [navalis]", name, section);
		return 1;
	}
	if (!k) {
		complain(l, "no key «%s» in [%s]: did you mean «%s»?", name, section,
			 nearest_key(l->section, name));
		return 1;
	}
	if (l->seen[k - config_keys] && !k->count)
		complain(l, "%s is given twice", name);
	l->seen[k - config_keys] = true;
	set_key(l, k, value);
	if (is_instance(k) && l->from->instance &&
	    strcmp(l->c->instance, l->from->instance))
		complain(l, "instance = %s: this is instance %s (--instance): take the line out",
			 l->c->instance, l->from->instance);
	return 1;
}

/* The values that the keys of a section have until they are given. */
static void set_initial(struct loading *l, enum config_section s, __u32 item)
{
	l->item = item;
	for_each_config_key(k, s) {
		l->seen[k - config_keys] = false;
		if (k->initial && *k->initial)
			set_key(l, k, k->initial);
	}
}

static void check_required(struct loading *l, enum config_section s, __u32 item)
{
	const int line = l->line;
	char label[CONFIG_LABEL];

	l->line = config_line(l->c, s, item);
	for_each_config_key(k, s)
		if (!k->initial && !l->seen[k - config_keys])
			complain(l, "[%s] %s is missing: %s belongs there",
				 config_label(l->c, s, item, label), k->name, value_allowed(k));
	l->line = line;
}

/* An item of a section that may come several times is complete when the next section begins. */
static void end_section(struct loading *l)
{
	if (l->section != CONFIG_SECTIONS && config_kinds[l->section].max)
		check_required(l, l->section, l->item);
	l->section = CONFIG_SECTIONS;
}

/* ---- lines ----------------------------------------------------------------------------------- */

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
	const struct config_kind *of = &config_kinds[s];
	__u32 *n = config_count(l->c, s);
	struct config_named *named;
	char label[CONFIG_LABEL];

	if (*name && !input_instance(name)) {
		complain(l, "[%s %s]: a name has 1 to 15 letters, digits, - or _", of->title, name);
		return;
	}
	for (__u32 i = 0; i < *n; i++)
		if (!strcmp(config_named_of(l->c, s, i)->name, name)) {
			complain(l, "[%s] is there already, in line %d",
				 config_label(l->c, s, i, label), config_line(l->c, s, i));
			return;
		}
	if (*n == of->max) {
		complain(l, "at most %u sections [%s …]", of->max, of->title);
		return;
	}
	named = config_named_of(l->c, s, *n);
	snprintf(named->name, sizeof(named->name), "%s", name);
	named->line = l->line;
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
		if (!strcmp(config_kinds[s].title, title) && (config_kinds[s].max || !*name))
			break;
	if (s == CONFIG_SECTIONS) {
		nearest = nearest_section(title);
		complain(l, "no section [%s]: did you mean [%s%s]?", text, config_kinds[nearest].title,
			 config_kinds[nearest].max ? " NAME" : "");
	} else if (config_kinds[s].max) {
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
		if (!config_kinds[s].max && l->c->line[s])
			check_required(l, s, 0);
	}
	if (!mechanisms && !l->n_errors)
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
		if (!config_kinds[s].max)
			set_initial(&l, s, 0);
	for_each_config_key(k, CONFIG_navalis)
		if (is_instance(k) && from->instance)
			set_key(&l, k, from->instance);
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
