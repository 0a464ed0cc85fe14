// SPDX-License-Identifier: GPL-2.0-or-later
/* navalisd: its command line. */
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>

#include "daemon.h"

#define CONFIG_FILE "/etc/navalis/navalis.conf"

static const char usage[] =
	"Usage: navalisd [--config FILE] [--check-config | --print-config]\n"
	"\n"
	"  --config FILE   read FILE instead of " CONFIG_FILE "\n"
	"  --check-config  say whether the configuration is good, and touch nothing\n"
	"  --print-config  print the effective configuration\n"
	"  --version       print the version\n"
	"  --help          print this\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check-config", no_argument, NULL, 'k' },
		{ "print-config", no_argument, NULL, 'p' }, { "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },	    { 0 },
	};
	const char *path = CONFIG_FILE;
	char full[PATH_MAX]; /* for reloads */
	struct config *config;
	struct daemon *daemon;
	struct error e;
	int todo = 0, o, err;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			path = optarg;
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
	if (config_load(path, stderr, &config))
		return 1;
	if (todo == 'p')
		config_print(config, stdout);
	if (todo) {
		free(config);
		return 0;
	}
	log_set_level(config->log_level);
	if (!realpath(path, full)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		free(config);
		return 1;
	}
	err = daemon_new(full, config, &daemon, &e);
	if (err) {
		log_line(LOG_LEVEL_ERR, "%s", e.text);
	} else {
		err = daemon_run(daemon);
		daemon_free(daemon);
	}
	return err ? 1 : 0;
}
