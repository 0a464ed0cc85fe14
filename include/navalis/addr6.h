/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an IPv6 address may do at a relay, whatever the mechanism (RFC 4213 3.6, RFC 6324).
 */
#ifndef NAVALIS_ADDR6_H
#define NAVALIS_ADDR6_H

#include "bytes.h"

enum addr6_kind {
	ADDR6_GLOBAL,      /* everything that is none of the others */
	ADDR6_UNSPECIFIED, /* ::, ::1, and all else of ::/64: loopback, IPv4-mapped, IPv4-compatible */
	ADDR6_MULTICAST,   /* ff00::/8 */
	ADDR6_LINK_LOCAL,  /* fe80::/10 */
	ADDR6_SITE,        /* fc00::/7 (RFC 4193) and fec0::/10 (RFC 3879) */
	ADDR6_TEREDO,      /* 2001:0000::/32 */
	ADDR6_SIXTO4,      /* 2002::/16; the embedded IPv4 is bytes 2..5 */
};

PURE enum addr6_kind addr6_kind(const struct in6_addr *a)
{
	__u32 top = HOST32(a->s6_addr32[0]);

	if (top == 0x20010000)
		return ADDR6_TEREDO;
	if (top >> 29 == 1) /* 2000::/3: all that is allocated */
		return top >> 16 == 0x2002 ? ADDR6_SIXTO4 : ADDR6_GLOBAL;
	if (top >> 24 == 0xff)
		return ADDR6_MULTICAST;
	if (top >> 22 == 0xfe80 >> 6)
		return ADDR6_LINK_LOCAL;
	if (top >> 25 == 0xfc >> 1 || top >> 22 == 0xfec0 >> 6)
		return ADDR6_SITE;
	return load64(a) ? ADDR6_GLOBAL : ADDR6_UNSPECIFIED;
}

PURE __be32 addr6_sixto4_v4(const struct in6_addr *a)
{
	/* little-endian memory order */
	return WIRE32(RAW32(a->s6_addr32[0]) >> 16 | RAW32(a->s6_addr32[1]) << 16);
}

/* True when the identifier is that of ISATAP (RFC 5214 6.1); its IPv4 address is the last word. */
PURE bool addr6_is_isatap(const struct in6_addr *a)
{
	return (HOST32(a->s6_addr32[2]) & ~0x02000000U) == 0x00005efe;
}

/* A prefix; bits beyond its length are 0. */
struct prefix6 {
	struct in6_addr addr;
	__u32 len; /* 0..128 */
};

PURE bool prefix6_has(const volatile struct prefix6 *p, const struct in6_addr *a)
{
	__u32 len = p->len, diff = 0;

	for (int i = 0; i < 4; i++) {
		__u32 n = len > 32 ? 32 : len, mask = n ? ~0U << (32 - n) : 0;

		diff |= HOST32(a->s6_addr32[i] ^ p->addr.s6_addr32[i]) & mask;
		len -= n;
	}
	return !diff;
}

#endif
