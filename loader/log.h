/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line for each change of state, on stderr, with the priority that journald reads. */
#ifndef NAVALISD_LOG_H
#define NAVALISD_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
/*
 * format is a literal: it tells one kind of message from another. Of each kind ten lines are written
 * in half a minute; the rest is counted, and its last line written with «(and 318 more)».
 */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Call it each second: writes what was held back long enough. log_end() writes all of it. */
void log_tick(void);
void log_end(void);

/*
 * A sentence for the person who has to repair it. Functions that can fail for reasons outside of the
 * program take one; who handles the error logs it once.
 */
struct error {
	char text[512];
};

/* Writes the sentence; returns err. */
int error_set(struct error *e, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
