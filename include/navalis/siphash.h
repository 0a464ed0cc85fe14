/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012) of exactly 24 bytes, as three little-endian words:
 * the length that a bubble's cookie needs. libsodium is the oracle in tests/unit.
 */
#ifndef NAVALIS_SIPHASH_H
#define NAVALIS_SIPHASH_H

#include "bytes.h"

struct siphash_key {
	__u64 k[2];
};

#define SIP_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIP_ROUND(v)                                                                               \
	do {                                                                                       \
		v[0] += v[1], v[2] += v[3];                                                        \
		v[1] = SIP_ROTL(v[1], 13) ^ v[0], v[3] = SIP_ROTL(v[3], 16) ^ v[2];                \
		v[0] = SIP_ROTL(v[0], 32);                                                         \
		v[2] += v[1], v[0] += v[3];                                                        \
		v[1] = SIP_ROTL(v[1], 17) ^ v[2], v[3] = SIP_ROTL(v[3], 21) ^ v[0];                \
		v[2] = SIP_ROTL(v[2], 32);                                                         \
	} while (0)

PURE __u64 siphash_24bytes(const struct siphash_key *key, __u64 a, __u64 b, __u64 c)
{
	const __u64 m[4] = { a, b, c, (__u64)24 << 56 };
	__u64 v[4] = {
		0x736f6d6570736575ULL ^ key->k[0],
		0x646f72616e646f6dULL ^ key->k[1],
		0x6c7967656e657261ULL ^ key->k[0],
		0x7465646279746573ULL ^ key->k[1],
	};

	for (int i = 0; i < 4; i++) {
		v[3] ^= m[i];
		SIP_ROUND(v);
		SIP_ROUND(v);
		v[0] ^= m[i];
	}
	v[2] ^= 0xff;
	SIP_ROUND(v);
	SIP_ROUND(v);
	SIP_ROUND(v);
	SIP_ROUND(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
