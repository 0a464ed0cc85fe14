/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs of navalisctl share. */
#ifndef NAVALISCTL_CTL_H
#define NAVALISCTL_CTL_H

#include <json-c/json.h>
#include <stdio.h>

#include "navalis/abi.h"
#include "navalis/input.h"
#include "navalis/text.h"

#define JSON_SCHEMA 1

/* Exit codes, in navalisctl(8). */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_NO_DAEMON, EXIT_NOT_FOUND };

struct ctl {
	const char *instance;
	bool json;
	bool quiet; /* errors are not said */
	int argc; /* what follows the verb */
	char **argv;
};

/* Says why on stderr, or with --json as {"error":…} on stdout. Returns code. */
int ctl_fail(const struct ctl *c, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An option of a verb, and what its value may be; NULL: it takes none. A list ends with a NULL. */
struct option {
	const char *name, *allowed;
};

#define ALLOWED_NET4   "an IPv4 address, or one with a length, as 192.0.2.0/24,"
#define ALLOWED_CLIENT "a Teredo address, as 2001:0:4136:e378:8000:63bf:3fff:fdd2,"

/* The same for an option: names the nearest one, or what its value may be. */
int ctl_fail_option(const struct ctl *c, const char *name, const char *value,
		    const struct option *options);

/* Prints the document, with its schema number, and frees it. Returns EXIT_DONE. */
int ctl_print_json(struct json_object *o);

/* The word of the list that is nearest to one that is not in it. */
const char *nearest(const char *word, const char *const *list);

/* ---- the pinned maps, opened for reading ----------------------------------------------------- */

struct maps {
	struct nav_meta meta;
	struct nav_daemon daemon; /* a copy */
	const struct bucket *clients; /* mapped */
	const struct nav_daemon *page; /* mapped: what changes while we look */
	int remapped, counters, cpus;
	__u64 now_ns;
	bool alive;
};

/*
 * What the map meta says. 0; -ENOENT: it is not there, or none of navalis'; -EPROTO: of another
 * version, which ret->abi names if ret->magic is right; or why it cannot be read.
 */
int maps_meta(const struct ctl *c, struct nav_meta *ret);

/* EXIT_DONE, or an exit code after saying why. */
int maps_open(const struct ctl *c, struct maps *m);
void maps_close(struct maps *m);

/* Sums the CPUs' counters of a NIC: ret[NAV_COUNTERS]. */
void maps_count(const struct maps *m, __u32 nic, struct nav_count *ret);

/* ---- the daemon -------------------------------------------------------------------------------- */

struct json_object *control_request(const char *verb);

/* What a result has to have; the list ends with a NULL. */
struct member {
	const char *name;
	enum json_type type;
};

/*
 * Sends a request, which is freed, and waits for its result, which is the caller's and has all
 * members. EXIT_DONE, or an exit code after saying why.
 */
int control_order(const struct ctl *c, struct json_object *request, unsigned patience_s,
		  const struct member *members, struct json_object **result);

/* ---- the mechanisms beside the Teredo relay: cmd-tunnels.c ------------------------------------- */

/* as_one: the tunnels of 6in4 in one row. EXIT_DONE, or an exit code after saying why. */
int mechanisms_ask(const struct ctl *c, bool as_one, struct json_object **result);

/* Of a row: a value, empty where it is null; a list of words; a count, 0 where there is none. */
struct text256 {
	char s[256];
};
struct text256 mechanism_word(struct json_object *row, const char *name);
struct text256 mechanism_list(struct json_object *row, const char *name);
__u64 mechanism_count(struct json_object *row, const char *way, const char *unit);

/* ---- texts ------------------------------------------------------------------------------------ */

struct text text_age(__u64 ms);      /* 1.2s, 3m05s, 2h10m, 4d03h */
struct text text_rate(double per_s); /* 950, 1.2k, 3.4M */

struct reason_info {
	const char *name, *action, *section, *text;
	enum reason_action verdict;
};
extern const struct reason_info reason_info[R_MAX];

/* What to say before a section of reasons.def: "RFC 4380 ", or nothing where it names its document. */
const char *reason_document(const char *section);

const char *mode_name(__u32 mode);

/* ---- the verbs -------------------------------------------------------------------------------- */

#define V(name, usage, text) int cmd_##name(struct ctl *c);
#include "verbs.def"
#undef V

#endif
