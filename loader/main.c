// SPDX-License-Identifier: GPL-2.0-or-later
/* navalisd: its command line. */
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon.h"
#include "navalis/input.h"

#define CONFIG_FILE "/etc/navalis/navalis.conf"

static const char usage[] =
	"Usage: navalisd [--config FILE] [--instance NAME] [--check-config | --print-config]\n"
	"\n"
	"  --config FILE    read FILE instead of " CONFIG_FILE "\n"
	"  --instance NAME  be instance NAME, instead of navalis; the file may not say otherwise\n"
	"  --check-config   say whether the configuration is good, and touch nothing\n"
	"  --print-config   print the effective configuration\n"
	"  --version        print the version\n"
	"  --help           print this\n";

/* The path from the root, for reloads; links in it stay, since they may lead elsewhere by then. */
static char *from_root(const char *path)
{
	char *here = *path == '/' ? strdup("") : getcwd(NULL, 0), *full = NULL;

	if (here && asprintf(&full, "%s%s%s", here, *path == '/' ? "" : "/", path) < 0)
		full = NULL;
	free(here);
	return full;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "instance", required_argument, NULL, 'i' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "print-config", no_argument, NULL, 'p' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct config_source from = { .path = CONFIG_FILE };
	char *full;
	struct config *config;
	struct daemon *daemon;
	struct error e;
	int todo = 0, o, err;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			from.path = optarg;
			break;
		case 'i':
			from.instance = optarg;
			break;
		case 'k':
		case 'p':
			todo = o;
			break;
		case 'v':
			puts("navalisd " NAVALIS_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "navalisd: «%s» is not an option\n%s", argv[optind], usage);
		return 2;
	}
	if (from.instance && !input_instance(from.instance)) {
		fputs("navalisd: --instance wants a name: 1 to 15 letters, digits, - or _\n",
		      stderr);
		return 2;
	}
	if (config_load(&from, stderr, &config))
		return 1;
	if (todo == 'p')
		config_print(config, stdout);
	if (todo) {
		free(config);
		return 0;
	}
	log_set_level(config->log_level);
	full = from_root(from.path);
	if (!full) {
		fprintf(stderr, "%s: %s\n", from.path, strerror(errno));
		free(config);
		return 1;
	}
	from.path = full;
	err = daemon_new(&from, config, &daemon, &e);
	if (err) {
		log_line(LOG_LEVEL_ERR, "%s", e.text);
	} else {
		err = daemon_run(daemon);
		daemon_free(daemon);
	}
	free(full);
	return err ? 1 : 0;
}
