/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of routers share: packets in memory of exactly their length, and a refused list. */
#ifndef NAVALIS_UNIT_PACKETS_H
#define NAVALIS_UNIT_PACKETS_H

#include "unit.h"
#include "navalis/icmp6.h"
#include "navalis/refuse4.h"

#define PACKET_MAX 2048

struct packet {
	__u8 b[PACKET_MAX] __attribute__((aligned(8)));
	size_t len;
};

static inline struct packet packet(const char *hex)
{
	struct packet p = { .len = strlen(hex) / 2 };

	assert_true(p.len <= PACKET_MAX);
	unhex(hex, p.b);
	return p;
}

/* The same in memory of its own, so that a byte read beyond it is seen. Until the next call. */
static inline struct cur exactly(const struct packet *p)
{
	static __u8 *last;

	free(last);
	last = malloc(p->len ? p->len : 1);
	assert_non_null(last);
	memcpy(last, p->b, p->len);
	return (struct cur){ last, last + p->len };
}

static inline void expect_bytes(const void *got, int len, const char *hex)
{
	struct packet want = packet(hex);

	assert_int_equal(len, want.len);
	assert_memory_equal(got, want.b, want.len);
}

/* The ICMPv6 message of a packet is summed anew, so that a change elsewhere is its one defect. */
static inline void resum(struct packet *p)
{
	icmp6_seal(p->b);
}

/* Bytes behind the packet, which its length then holds. */
static inline void grow(struct packet *p, const char *hex)
{
	size_t n = unhex(hex, p->b + p->len);
	__be16 len = BE16(p->len + n - 40);

	p->len += n;
	memcpy(p->b + 4, &len, 2);
}

/* Without the blocks of documentation, in which the vectors live. */
static const struct addr4_set bad_addresses = { .n = 6, .range = {
	{ 0x00000000, 0x00ffffff }, { 0x0a000000, 0x0affffff }, { 0x7f000000, 0x7fffffff },
	{ 0xac100000, 0xac1fffff }, { 0xc0a80000, 0xc0a8ffff }, { 0xe0000000, 0xffffffff },
} };
static const struct addr4_set own_addresses = { .n = 2, .range = {
	{ 0x08080808, 0x08080808 }, { 0x080809ff, 0x080809ff }, /* the latter: a broadcast address */
} };
static const struct refuse4 refusing = { &bad_addresses, &own_addresses, NULL };
static const struct addr4_set no_addresses;
static const struct refuse4 laboratory = { &no_addresses, NULL, NULL };

#endif
