/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The many clients of tests and benchmarks: the address of client n is a function of n alone, so
 * that whoever sends to it needs no list. In BPF, too.
 */
#ifndef NAVALIS_TESTS_CLIENTS_H
#define NAVALIS_TESTS_CLIENTS_H

#include <navalis/teredo.h>

#define BENCH_SERVER BE32(0x08000101) /* 8.0.1.1 */

/* From 9.0.0.0 on, eight on each address and 2048 in each /24: half of what the caps let in. */
PURE struct endpoint4 bench_endpoint(__u32 n)
{
	return (struct endpoint4){ BE32(0x09000000 + n / 8), BE16(1024 + n % 8 * 7919), 0 };
}

PURE struct in6_addr bench_client(__u32 n)
{
	return teredo_addr(BENCH_SERVER, 0, bench_endpoint(n));
}

#endif
