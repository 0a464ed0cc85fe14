/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clients of the bench: client n is a function of n alone, so that the generator's cost does not
 * depend on how many there are. Sixteen share a public address, as behind a carrier's NAT.
 */
#ifndef NAVALIS_BENCH_CLIENTS_H
#define NAVALIS_BENCH_CLIENTS_H

#include <navalis/teredo.h>

#define BENCH_SERVER BE32(0x08000101) /* 8.0.1.1 */

PURE struct endpoint4 bench_endpoint(__u32 n)
{
	return (struct endpoint4){ .addr = BE32(0x09000000 + n / 16), .port = BE16(1024 + n % 16 * 1000) };
}

PURE struct in6_addr bench_client(__u32 n)
{
	return teredo_addr(BENCH_SERVER, 0, bench_endpoint(n));
}

#endif
