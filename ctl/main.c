// SPDX-License-Identifier: GPL-2.0-or-later
/* navalisctl: the table of verbs. */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"

static const struct verb {
	const char *name, *usage, *text;
	int (*run)(struct ctl *c);
} verbs[] = {
#define V(name, usage, text) { #name, usage, text, cmd_##name },
#include "verbs.def"
#undef V
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void usage(FILE *out)
{
	fputs("Usage: navalisctl [--instance NAME] [--json] VERB …\n\n", out);
	for (size_t i = 0; i < N_VERBS; i++)
		fprintf(out, "  %-9s %s\n", verbs[i].name, verbs[i].text);
	fputs("\nNAME is navalis unless given. --json works before and after the verb.\n"
	      "navalisctl VERB --help says what a verb takes; navalisctl(8) has it all.\n", out);
}

static struct json_object *json_verb(const struct verb *v)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "verb", json_object_new_string(v->name));
	json_object_object_add(o, "usage", json_object_new_string(v->usage));
	json_object_object_add(o, "text", json_object_new_string(v->text));
	return o;
}

/* Help is a document, too, to those who asked for one. */
static int print_help(const struct ctl *c)
{
	struct json_object *o, *list;

	if (!c->json) {
		usage(stdout);
		return EXIT_DONE;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < N_VERBS; i++)
		json_object_array_add(list, json_verb(&verbs[i]));
	json_object_object_add(o, "verbs", list);
	return ctl_print_json(o);
}

const char *nearest(const char *word, const char *const *list)
{
	const char *best = *list;
	size_t most = 0;

	/* shared letters in order: enough for a slip of the finger */
	for (; *list; list++) {
		size_t n = 0;
		const char *w = word;

		for (const char *l = *list; *l && *w; l++)
			if (*l == *w)
				n++, w++;
		n = 4 * n + (word[0] == (*list)[0]);
		if (n > most) {
			most = n;
			best = *list;
		}
	}
	return best;
}

int ctl_print_json(struct json_object *o)
{
	json_object_object_add(o, "schema", json_object_new_int(JSON_SCHEMA));
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return EXIT_DONE;
}

int ctl_fail(const struct ctl *c, int code, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (c->quiet)
		return code;
	if (c->json) {
		struct json_object *o = json_object_new_object(), *e = json_object_new_object();

		json_object_object_add(e, "code", json_object_new_int(code));
		json_object_object_add(e, "message", json_object_new_string(text));
		json_object_object_add(o, "error", e);
		ctl_print_json(o);
	} else {
		fprintf(stderr, "navalisctl: %s\n", text);
	}
	return code;
}

int ctl_fail_option(const struct ctl *c, const char *name, const char *value,
		    const struct option *options)
{
	const char *names[16] = { NULL };

	for (int i = 0; options[i].name && i < 15; i++) {
		names[i] = options[i].name;
		if (strcmp(options[i].name, name))
			continue;
		return ctl_fail(c, EXIT_USAGE,
				value ? "%s %s: %s is allowed here"
				      : "%s%s wants a value: %s is allowed here",
				name, value ? value : "", options[i].allowed);
	}
	return ctl_fail(c, EXIT_USAGE, "%s is not understood: did you mean «%s»?", name,
			nearest(name, names));
}

static int print_verb_help(const struct ctl *c, const struct verb *v)
{
	if (c->json)
		return ctl_print_json(json_verb(v));
	printf("Usage: navalisctl %s%s%s\n%s\n", v->name, *v->usage ? " " : "", v->usage, v->text);
	return EXIT_DONE;
}

static bool wants_help(const struct ctl *c)
{
	for (int i = 0; i < c->argc; i++)
		if (!strcmp(c->argv[i], "--help") || !strcmp(c->argv[i], "-h"))
			return true;
	return false;
}

static int run_verb(struct ctl *c, const char *name)
{
	const char *names[N_VERBS + 1] = { NULL };

	for (size_t i = 0; i < N_VERBS; i++) {
		names[i] = verbs[i].name;
		if (strcmp(verbs[i].name, name))
			continue;
		return wants_help(c) ? print_verb_help(c, &verbs[i]) : verbs[i].run(c);
	}
	return ctl_fail(c, EXIT_USAGE, "no verb «%s»: did you mean «%s»?", name, nearest(name, names));
}

static struct json_object *json_instance(const struct ctl *c, const struct nav_meta *meta,
					 bool alive)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(c->instance));
	json_object_object_add(o, "abi", json_object_new_int64(meta->abi));
	json_object_object_add(o, "alive", json_object_new_boolean(alive));
	return o;
}

int cmd_version(struct ctl *c)
{
	struct maps m = { 0 };
	struct ctl quiet = *c;
	struct nav_meta meta = { 0 };
	struct json_object *o;
	bool ours, readable;
	int err;

	if (c->argc)
		return ctl_fail(c, EXIT_USAGE, "version takes nothing, not «%s»", c->argv[0]);
	quiet.quiet = true;
	err = maps_meta(c, &meta);
	ours = meta.magic == NAV_MAGIC;
	readable = !err && !maps_open(&quiet, &m);
	if (readable)
		maps_close(&m);
	if (c->json) {
		o = json_object_new_object();
		json_object_object_add(o, "navalisctl", json_object_new_string(NAVALIS_VERSION));
		json_object_object_add(o, "abi", json_object_new_int(NAV_ABI));
		json_object_object_add(o, "navalisd",
				       readable ? json_object_new_string(m.daemon.version) : NULL);
		json_object_object_add(o, "instance",
				       ours ? json_instance(c, &meta, m.alive) : NULL);
		return ctl_print_json(o);
	}
	printf("navalisctl %s, ABI %u\n", NAVALIS_VERSION, NAV_ABI);
	if (readable)
		printf("instance %s: ABI %u, navalisd %s, %s\n", c->instance, meta.abi,
		       m.daemon.version, m.alive ? "running" : "not running");
	else if (ours)
		printf("instance %s: ABI %u, of another version\n", c->instance, meta.abi);
	else
		printf("instance %s: %s\n", c->instance,
		       err == -EPERM || err == -EACCES ? "no right to look: run as root"
						       : "none on this host");
	return EXIT_DONE;
}

/* Takes the options that may stand anywhere out of argv. --json first: errors are to obey it. */
static int common_options(struct ctl *c, int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--json") || !strcmp(argv[i], "-j"))
			c->json = true;
		else
			argv[n++] = argv[i];
	argc = n;
	n = 0;
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--instance")) {
			argv[n++] = argv[i];
		} else if (++i == argc || !input_instance(argv[i])) {
			return ctl_fail(c, EXIT_USAGE,
					"--instance wants a name: 1 to 15 letters, digits, "
					"- or _");
		} else {
			c->instance = argv[i];
		}
	}
	c->argc = n;
	c->argv = argv;
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct ctl c = { .instance = "navalis" };
	const char *verb;
	int code = common_options(&c, argc, argv);

	if (code)
		return code;
	if (!c.argc) {
		if (c.json)
			return ctl_fail(&c, EXIT_USAGE, "a verb is missing");
		usage(stderr);
		return EXIT_USAGE;
	}
	verb = *c.argv++;
	c.argc--;
	if (!strcmp(verb, "--help") || !strcmp(verb, "-h") || !strcmp(verb, "help")) {
		code = print_help(&c);
	} else if (!strcmp(verb, "--version")) {
		code = cmd_version(&c);
	} else {
		code = run_verb(&c, verb);
	}
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "navalisctl: output could not be written\n");
		return EXIT_FAILED;
	}
	return code;
}
