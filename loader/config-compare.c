// SPDX-License-Identifier: GPL-2.0-or-later
/* What differs between two configurations. */
#include <stdlib.h>

#include "config-impl.h"

/* The value of a key as it is printed: to compare two of them. */
static char *printed(const struct config *c, const struct config_key *k, __u32 item)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	config_print_key(c, k, item, f);
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
	for_each_config_key(k, s)
		if (k->when == RESTART)
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

	for_each_config_key(k, s) {
		char *x = printed(a, k, item_a), *y = printed(b, k, item_b);
		const bool known = x && y, same = known && !strcmp(x, y);

		free(x);
		free(y);
		if (same)
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
	for (*ret = 0; *ret < config_printed_items(b, s); ++*ret)
		if (!config_kinds[s].max ||
		    !strcmp(config_named_of(a, s, item)->name, config_named_of(b, s, *ret)->name))
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
		for (__u32 item = 0; item < config_printed_items(a, s) && !err; item++)
			if (!same_name(a, item, b, s, &other) || (other != item && needs_restart(s)))
				changed_section(ch, a, s, item, false);
			else
				err = compare_keys(a, item, b, other, s, ch);
		for (__u32 item = 0; item < config_printed_items(b, s); item++)
			if (!same_name(b, item, a, s, &other))
				changed_section(ch, b, s, item, opens && is_proto41(s));
	}
	return err;
}
