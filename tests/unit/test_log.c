// SPDX-License-Identifier: GPL-2.0-or-later
/* The log counts instead of flooding. */
#include <unistd.h>

#include "unit.h"
#include "log.h"

static char text[65536];

/* What f writes to standard error. */
static const char *captured(void (*f)(void))
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	f();
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static int lines(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void flood(void)
{
	for (int i = 1; i <= 329; i++) {
		log_line(LOG_LEVEL_WARNING, "a packet of %d bytes", i);
		if (i % 100 == 0)
			log_line(LOG_LEVEL_INFO, "another message");
		log_tick();
	}
	log_end();
}

static void a_flood_is_ten_lines_and_a_count(void **st)
{
	const char *out = captured(flood);

	(void)st;
	assert_int_equal(lines(out), 10 + 3 + 1);
	assert_non_null(strstr(out, "<4>a packet of 1 bytes\n"));
	assert_non_null(strstr(out, "<4>a packet of 10 bytes\n"));
	assert_null(strstr(out, "<4>a packet of 11 bytes\n"));
	assert_non_null(strstr(out, "<6>another message\n"));
	assert_non_null(strstr(out, "<4>a packet of 329 bytes (and 318 more)\n"));
}

static void few(void)
{
	for (int i = 0; i < 10; i++)
		log_line(LOG_LEVEL_ERR, "once in a while: %d", i);
	log_set_level(LOG_LEVEL_ERR);
	log_line(LOG_LEVEL_INFO, "too little to be told");
	log_set_level(LOG_LEVEL_INFO);
	log_end();
}

static void what_is_rare_is_written_as_it_is(void **st)
{
	const char *out = captured(few);

	(void)st;
	assert_int_equal(lines(out), 10);
	assert_null(strstr(out, "too little"));
	assert_null(strstr(out, "more)"));
}

static void every_kind(void)
{
	static const char *const formats[] = {
		"0 %d", "1 %d", "2 %d", "3 %d", "4 %d", "5 %d", "6 %d", "7 %d", "8 %d", "9 %d",
		"a %d", "b %d", "c %d", "d %d", "e %d", "f %d", "g %d", "h %d", "i %d", "j %d",
		"k %d", "l %d", "m %d", "n %d", "o %d", "p %d", "q %d", "r %d", "s %d", "t %d",
		"u %d", "v %d", "w %d", "x %d", "y %d", "z %d", "A %d", "B %d", "C %d", "D %d",
	};

	for (size_t k = 0; k < sizeof(formats) / sizeof(formats[0]); k++)
		for (int i = 0; i < 12; i++)
			log_line(LOG_LEVEL_INFO, formats[k], i);
	log_end();
}

static void more_kinds_than_places_lose_nothing(void **st)
{
	const char *out = captured(every_kind);

	(void)st;
	assert_int_equal(lines(out), 40 * 11); /* ten, and the last with «and 1 more» */
	assert_non_null(strstr(out, "<6>0 11 (and 1 more)\n"));
	assert_non_null(strstr(out, "<6>D 11 (and 1 more)\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_is_ten_lines_and_a_count),
		cmocka_unit_test(what_is_rare_is_written_as_it_is),
		cmocka_unit_test(more_kinds_than_places_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
