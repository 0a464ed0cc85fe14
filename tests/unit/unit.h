/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the unit tests share: cmocka, hexadecimal vectors, and the file of asserted reasons. */
#ifndef NAVALIS_UNIT_H
#define NAVALIS_UNIT_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "navalis/policy.h"

static inline const char *reason_name(enum reason r)
{
	static const char *const names[] = {
#define R(name, action, meter, section, text) #name,
#include "navalis/reasons.def"
#undef R
	};

	return r < R_MAX ? names[r] : "none";
}

/* Asserts a reason, and notes for tests/test_reasons.py that somebody did. */
static inline void expect_reason(enum reason got, enum reason want)
{
	const char *path = getenv("NAVALIS_HITS");
	FILE *f = path && want < R_MAX ? fopen(path, "a") : NULL;

	assert_string_equal(reason_name(got), reason_name(want));
	if (f) {
		fprintf(f, "%s\n", reason_name(want));
		fclose(f);
	}
}

static inline struct in6_addr in6(const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

static inline __be32 in4(const char *text)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return a.s_addr;
}

static inline struct endpoint4 ep(const char *addr, __u16 port)
{
	return (struct endpoint4){ in4(addr), BE16(port), 0 };
}

static inline size_t unhex(const char *hex, __u8 *buf)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &buf[i]), 1);
	return n;
}

#endif
