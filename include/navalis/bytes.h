/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte order, unaligned words and the types that every other header builds on.
 *
 * Everything below include/navalis/ is pure: no I/O, clock, allocation, logging or BPF helper.
 * The same text is compiled into the XDP program, the daemon, the ctl, the tests and the fuzzers.
 */
#ifndef NAVALIS_BYTES_H
#define NAVALIS_BYTES_H

#ifdef __bpf__
#include <linux/types.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>
#include <stddef.h>
#define ENOBUFS 105
#else
#include <errno.h>
#include <netinet/in.h> /* before <linux/in6.h>: libc-compat.h then keeps one struct in6_addr */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <linux/types.h>
#endif

#define PURE static inline __attribute__((always_inline, unused))

#ifdef __CHECKER__
#define NAV_FORCE __attribute__((force))
#else
#define NAV_FORCE
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "navalis is written and tested for little-endian hosts (x86-64, arm64)"
#endif

/* Wire order from and to host order; the only places that cross between __beN and __uN. */
#define BE16(x) ((NAV_FORCE __be16)__builtin_bswap16((__u16)(x)))
#define BE32(x) ((NAV_FORCE __be32)__builtin_bswap32((__u32)(x)))
#define HOST16(x) __builtin_bswap16((NAV_FORCE __u16)(x))
#define HOST32(x) __builtin_bswap32((NAV_FORCE __u32)(x))
#define HOST64(x) __builtin_bswap64((NAV_FORCE __u64)(x))

/* The bits of a wire word as a number, order untouched: for sums, hashes and comparisons. */
#define RAW16(x) ((NAV_FORCE __u16)(x))
#define RAW32(x) ((NAV_FORCE __u32)(x))

/* The other way round: a wire word of which the bits are known. */
#define WIRE16(x) ((NAV_FORCE __be16)(__u16)(x))
#define WIRE32(x) ((NAV_FORCE __be32)(__u32)(x))

/* Eight bytes of something else: compilers may take plain ones for other memory than its fields. */
typedef __u64 __attribute__((may_alias)) word64;

/* Eight bytes in memory order, from any alignment. */
PURE __u64 load64(const void *p)
{
#ifdef __bpf__
	return *(const word64 *)p; /* one load; memcpy would be split by the 4-byte alignment of in6_addr */
#else
	__u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
#endif
}

/* The other way round. */
PURE void store64(void *p, __u64 v)
{
#ifdef __bpf__
	*(word64 *)p = v;
#else
	memcpy(p, &v, sizeof(v));
#endif
}

/* A MAC address as a number, for comparisons alone. */
PURE __u64 mac_word(const void *mac)
{
#ifdef __bpf__
	return *(const __u32 *)mac | (__u64)((const __u16 *)mac)[2] << 32;
#else
	__u64 v = 0;

	memcpy(&v, mac, 6);
	return v;
#endif
}

PURE bool in6_equal(const struct in6_addr *a, const struct in6_addr *b)
{
	return load64(a) == load64(b) && load64(a->s6_addr + 8) == load64(b->s6_addr + 8);
}

#endif
