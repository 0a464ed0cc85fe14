/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the configuration share and nobody else sees. */
#ifndef NAVALISD_CONFIG_IMPL_H
#define NAVALISD_CONFIG_IMPL_H

#include "config.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* ---- config-keys.c ---------------------------------------------------------------------------- */

enum value_type {
	NUMBER, FLAG, CHOICE, NAME, MODE, LEVEL, ADMISSION, FORMAT, MTU_OPTION, ADDRESS4, ENDPOINT, PREFIX4,
	PREFIX6, SOURCE64, INTERFACES, ADDRESSES4, PREFIXES4, PREFIXES6, CROSSINGS,
};

enum {
	CONFIG_KEYS = 0
#define KEY(...) +1
#define LIST(...) +1
#include "config.def"
};

extern const struct config_key {
	enum config_section section;
	const char *name;
	enum value_type type;
	size_t member, size; /* of an item */
	size_t count;        /* of a list: member that holds how many items there are; else 0 */
	const char *initial; /* NULL: it is required */
	__u32 min, max;
	enum { RELOAD, RESTART } when;
} config_keys[CONFIG_KEYS];

#define for_each_config_key(k, of)                                                                 \
	for (const struct config_key *k = config_keys; k < config_keys + CONFIG_KEYS; k++)         \
		if (k->section == (of))

/* Of a section. */
extern const struct config_kind {
	const char *title;
	__u32 max;           /* items; 0: it comes once, and its members are those of struct config */
	size_t size;         /* of an item; members of its keys are those of the first */
	size_t count, named; /* members: how many items there are, and their names */
} config_kinds[CONFIG_SECTIONS];

/* In an item of a section; of one that comes once there is item 0, which is the struct itself. */
void *config_member(const struct config *c, enum config_section s, __u32 item, size_t member);

/* Of a section that may come several times. */
__u32 *config_count(const struct config *c, enum config_section s);
struct config_named *config_named_of(const struct config *c, enum config_section s, __u32 item);

/* How many there are of a section. */
__u32 config_items(const struct config *c, enum config_section s);

/* Where it begins. */
int config_line(const struct config *c, enum config_section s, __u32 item);

/* «6rd home»; returns label. */
const char *config_label(const struct config *c, enum config_section s, __u32 item,
			 char label[CONFIG_LABEL]);

/* ---- config-value.c --------------------------------------------------------------------------- */

/* How values of a type are written. */
extern const struct value_form {
	const struct words *words; /* NULL: it is none of a few words */
	const char *allowed;       /* in a sentence; NULL: it depends on the key */
	const char *items;         /* of a list */
	__u32 in_line;             /* so many of them can be printed in one line */
} value_forms[];

/* One value, or one item of a list. text may be changed. */
bool value_read(const struct config_key *k, char *text, void *member);
void value_print(const struct config_key *k, const void *member, FILE *out);

/* What may stand there, in a sentence; valid until the next call. */
const char *value_allowed(const struct config_key *k);

/* ---- config-print.c --------------------------------------------------------------------------- */

/* [navalis] is always there. */
__u32 config_printed_items(const struct config *c, enum config_section s);

/* A list goes on in another line before it becomes too long for one. */
void config_print_key(const struct config *c, const struct config_key *k, __u32 item, FILE *out);

/* ---- config-policy.c -------------------------------------------------------------------------- */

static inline bool config_is_local(const struct sixin4_config *in, __be32 local)
{
	for (__u32 i = 0; i < in->n_locals; i++)
		if (in->local[i] == local)
			return true;
	return false;
}

/* The part of the policy that no time is in; p is zeroed. 0, or -ENOMEM. */
int config_fill(const struct config *c, struct nav_config *p);

#endif
