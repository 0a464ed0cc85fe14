/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internet checksums (RFC 1071) and the outer UDP checksum without a look at the payload.
 *
 * Sums are of 16-bit words in memory order, kept in a __u32 or __u64 and folded at the end:
 * one's-complement sums do not care about byte order (RFC 1071 section 2 B).
 */
#ifndef NAVALIS_CSUM_H
#define NAVALIS_CSUM_H

#include <linux/ipv6.h>
#include "bytes.h"

/* Halves added to each other, carry included, twice: what was the carry is in the upper half then. */
PURE __u16 csum_fold(__u64 sum)
{
	__u32 half;

	sum += sum << 32 | sum >> 32;
	half = (__u32)(sum >> 32);
	half += half << 16 | half >> 16;
	return (__u16)(half >> 16);
}

/* Eight bytes in memory order. */
PURE __u64 csum_add64(__u64 sum, __u64 words)
{
	return sum + (words & 0xffffffff) + (words >> 32);
}

PURE __u64 csum_add32(__u64 sum, __be32 word)
{
	return sum + RAW32(word);
}

PURE __u64 csum_add16(__u64 sum, __be16 word)
{
	return sum + RAW16(word);
}

/* A UDP or ICMPv6 field from a sum: complemented, and 0 sent as ffff (RFC 768). */
PURE __be16 csum_udp(__u64 sum)
{
	__u16 c = (__u16)~csum_fold(sum);

	return (NAV_FORCE __be16)(c ? c : 0xffff);
}

/* A 20-byte IPv4 header; with its checksum in place the folded sum is ffff. */
PURE __u64 csum_ip4(const void *hdr)
{
	const __u8 *p = hdr;
	__u64 a = load64(p), b = load64(p + 8), sum;

	sum = (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32);
	return sum + *(const __u32 *)(p + 16);
}

#ifndef __bpf__
/* Adds len bytes; an odd last byte counts as the high half of its word. */
PURE __u64 csum_bytes(__u64 sum, const void *buf, size_t len)
{
	const __u8 *p = buf;
	__u16 w;

	for (; len >= 2; len -= 2, p += 2) {
		memcpy(&w, p, 2);
		sum += w;
	}
	return len ? sum + *p : sum;
}
#endif

/* The UDP/IPv4 pseudo-header and the UDP header, its checksum field taken as 0. */
PURE __u64 csum_udp4_head(__be32 src, __be32 dst, __be16 sport, __be16 dport, __be16 len)
{
	__u64 sum = csum_add32(csum_add32(0, src), dst);

	sum = csum_add16(csum_add16(sum, sport), dport);
	return sum + RAW16(BE16(IPPROTO_UDP)) + 2 * (__u64)RAW16(len);
}

/*
 * Local checksum offload: a correct TCP, UDP or ICMPv6 segment summed with its
 * pseudo-header gives ffff, so what it adds to the outer sum follows from the 8 bytes before the
 * addresses. Valid only when the transport header directly follows the IPv6 header, is complete,
 * and has a checksum.
 *
 * head: those 8 bytes as they lie in memory, with the final hop limit. A value, since reading back in
 * one piece what was just stored in another stalls for 4 ns.
 */
PURE __u64 csum_lco(__u64 head)
{
	const __u64 next_hops = head >> 48;

	/* less the payload length, and the next header as a word: that is what the pseudo-header held */
	return (head & 0xffffffff) + next_hops + (__u16)~(next_hops << 8);
}

#endif
