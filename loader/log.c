// SPDX-License-Identifier: GPL-2.0-or-later
/* The log, and errors as sentences. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

#define KINDS 32    /* messages watched at once; told apart by their format */
#define BURST 10    /* lines of one kind ... */
#define PERIOD_S 30 /* ... in this time; the rest is counted */

static enum log_level max_level = LOG_LEVEL_INFO;

static struct kind {
	const char *format;
	enum log_level level;
	time_t since;
	unsigned written, held_back;
	char last[1024]; /* of those held back */
} kinds[KINDS];

void log_set_level(enum log_level level)
{
	max_level = level;
}

bool log_wants(enum log_level level)
{
	return level <= max_level;
}

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void close_kind(struct kind *k)
{
	if (k->held_back > 1)
		fprintf(stderr, "<%d>%s (and %u more)\n", k->level, k->last, k->held_back - 1);
	else if (k->held_back)
		fprintf(stderr, "<%d>%s\n", k->level, k->last);
	*k = (struct kind){ 0 };
}

/* The place of a kind, or a free one; the one that has been there longest makes room. */
static struct kind *kind_of(const char *format)
{
	struct kind *oldest = kinds;

	for (struct kind *k = kinds; k < kinds + KINDS; k++) {
		if (k->format == format)
			return k;
		if (k->since < oldest->since)
			oldest = k;
	}
	close_kind(oldest);
	return oldest;
}

void log_line(enum log_level level, const char *format, ...)
{
	time_t now = now_s();
	struct kind *k;
	char line[1024];
	va_list args;

	if (!log_wants(level))
		return;
	k = kind_of(format);
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (now - k->since >= PERIOD_S)
		close_kind(k);
	if (!k->format)
		*k = (struct kind){ .format = format, .level = level, .since = now };
	if (k->written == BURST) {
		k->held_back++;
		memcpy(k->last, line, sizeof(line));
		return;
	}
	k->written++;
	fprintf(stderr, "<%d>%s\n", level, line);
}

void log_tick(void)
{
	time_t now = now_s();

	for (struct kind *k = kinds; k < kinds + KINDS; k++)
		if (k->held_back && now - k->since >= PERIOD_S)
			close_kind(k);
}

void log_end(void)
{
	for (struct kind *k = kinds; k < kinds + KINDS; k++)
		close_kind(k);
}

int error_set(struct error *e, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return err;
}
