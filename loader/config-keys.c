// SPDX-License-Identifier: GPL-2.0-or-later
/* What the list of sections and keys says, and where it is in struct config. */
#include "config-impl.h"

#define MEMBER(member) (((struct config *)0)->member)
#define REQUIRED NULL

const struct config_key config_keys[CONFIG_KEYS] = {
#define KEY(section, name, type, member, initial, min, max, unit, when, text)                      \
	{ CONFIG_##section, #name, type, offsetof(struct config, member), sizeof(MEMBER(member)), 0, \
	  initial, min, max, when },
#define LIST(section, name, type, member, count, min, max, when, text)                             \
	{ CONFIG_##section, #name, type, offsetof(struct config, member), sizeof(MEMBER(member)[0]), \
	  offsetof(struct config, count), min ? REQUIRED : "", min, max, when },
#include "config.def"
};

const struct config_kind config_kinds[CONFIG_SECTIONS] = {
#define SECTION(section, title, text) { title, 0, 0, 0, 0 },
#define SECTIONS(section, title, max, text)                                                        \
	{ title, max, sizeof(MEMBER(section)[0]), offsetof(struct config, n_##section),            \
	  offsetof(struct config, section##_named) },
#include "config.def"
};

/* what the list says in numbers for people, struct config says in names */
#define SECTIONS(section, title, max, text)                                                        \
	_Static_assert(N(MEMBER(section)) == (max), title);
#define LIST(section, name, type, member, count, min, max, when, text)                             \
	_Static_assert(N(MEMBER(member)) >= (max), #name);
#include "config.def"

void *config_member(const struct config *c, enum config_section s, __u32 item, size_t member)
{
	return (char *)c + member + item * config_kinds[s].size;
}

__u32 *config_count(const struct config *c, enum config_section s)
{
	return (__u32 *)((char *)c + config_kinds[s].count);
}

struct config_named *config_named_of(const struct config *c, enum config_section s, __u32 item)
{
	return (struct config_named *)((char *)c + config_kinds[s].named) + item;
}

__u32 config_items(const struct config *c, enum config_section s)
{
	return config_kinds[s].max ? *config_count(c, s) : c->line[s] != 0;
}

int config_line(const struct config *c, enum config_section s, __u32 item)
{
	return config_kinds[s].max ? config_named_of(c, s, item)->line : c->line[s];
}

const char *config_label(const struct config *c, enum config_section s, __u32 item,
			 char label[CONFIG_LABEL])
{
	const char *name = config_kinds[s].max ? config_named_of(c, s, item)->name : "";

	snprintf(label, CONFIG_LABEL, "%s%s%s", config_kinds[s].title, *name ? " " : "", name);
	return label;
}
