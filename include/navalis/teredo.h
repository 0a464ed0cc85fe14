/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Teredo (RFC 4380, 5991, 6081): addresses, bubbles and their cookies, what a datagram holds.
 */
#ifndef NAVALIS_TEREDO_H
#define NAVALIS_TEREDO_H

#include <linux/ipv6.h>
#include "addr4.h"
#include "cursor.h"
#include "reasons.h"
#include "siphash.h"

#define TEREDO_PREFIX 0x20010000    /* 2001:0000::/32, section 2.6 */
#define TEREDO_SERVER_PORT 3544     /* section 2.7 */
#define TEREDO_MTU 1280             /* section 5.1.2 */
#define TEREDO_LIFE_MS 30000        /* a peer is valid this long after its last packet, 5.2.4 */
#define TEREDO_BUBBLE_MS 2000       /* between two bubbles to one peer, 5.2.6 */
#define TEREDO_BUBBLES 4            /* without an answer, in TEREDO_BUBBLES_MS, 5.2.6 */
#define TEREDO_BUBBLES_MS 300000
#define TEREDO_GIVE_UP_MS 8000      /* after the first of four bubbles, 5.4.1 */
#define TEREDO_REPROOF_MS 20000     /* silence after which a client in use is asked again (ours) */

#define TEREDO_FLAG_CONE 0x8000     /* to be ignored in a peer's address, RFC 5991 3.2 */

#define IP6_NEXT_NONE 59            /* RFC 8200 4.7 */

/*
 * Addresses (section 4):  prefix 32 | server IPv4 32 | flags 16 | ~mapped port 16 | ~mapped IPv4 32
 * The identity of a client is all of it: several addresses may share one mapped endpoint.
 */
PURE bool teredo_is(const struct in6_addr *a)
{
	return a->s6_addr32[0] == BE32(TEREDO_PREFIX);
}

PURE __be32 teredo_server(const struct in6_addr *a)
{
	return a->s6_addr32[1];
}

PURE __be16 teredo_flags(const struct in6_addr *a)
{
	return a->s6_addr16[4];
}

/* The address and port that the client's NAT gave it, in clear. */
PURE struct endpoint4 teredo_mapped(const struct in6_addr *a)
{
	return (struct endpoint4){ .addr = ~a->s6_addr32[3], .port = (__be16)~a->s6_addr16[5] };
}

/* The last 8 bytes, as they lie in memory: the key of the table. Never 0 for an address in use. */
PURE __u64 teredo_id(const struct in6_addr *a)
{
	return load64(a->s6_addr + 8);
}

PURE struct in6_addr teredo_addr(__be32 server, __be16 flags, struct endpoint4 mapped)
{
	return (struct in6_addr){ .s6_addr32 = {
		BE32(TEREDO_PREFIX),
		server,
		WIRE32(RAW16(flags) | (__u32)(__u16)~RAW16(mapped.port) << 16),
		~mapped.addr,
	} };
}

/* The address of a table entry. */
PURE struct in6_addr teredo_addr_of(__u64 id, __be32 server)
{
	return (struct in6_addr){ .s6_addr32 = {
		BE32(TEREDO_PREFIX), server, WIRE32(id), WIRE32(id >> 32),
	} };
}

/* True when the outer source is the mapped endpoint that the inner source names (5.4.2). */
PURE bool teredo_src_matches(const struct in6_addr *src, struct endpoint4 outer)
{
	return endpoint4_equal(teredo_mapped(src), outer);
}

/*
 * The IPv6 packet in a datagram to a relay (5.1.1, 5.2.3 as changed by RFC 6081 4).
 *
 * c stands at the UDP payload, payload_len is what the UDP header says (both may be longer than the
 * IPv6 packet: trailers follow). A relay has no server, so indications are refused.
 * Returns R_NONE with *ip6 set and c behind the IPv6 header, or why not.
 */
PURE enum reason teredo_payload(struct cur *c, __u32 payload_len, const struct ipv6hdr **ip6)
{
	const struct cur start = *c;
	const struct ipv6hdr *h = NULL;
	const __u8 *first;

	if (payload_len >= sizeof(*h))
		h = cur_take(c, sizeof(*h));
	if (!h) {
		*c = start;
		first = payload_len >= 2 ? cur_take(c, 2) : NULL;
		return first && first[0] == 0 && first[1] <= 1 ? R_INDICATION : R_INNER_NOT_IP6;
	}
	if (h->version != 6)
		return *(const __u8 *)h == 0 && ((const __u8 *)h)[1] <= 1 ? R_INDICATION :
									   R_INNER_NOT_IP6;
	if (sizeof(*h) + HOST16(h->payload_len) > payload_len)
		return R_INNER_LENGTH;
	*ip6 = h;
	return R_NONE;
}

/* Section 2.8. Any hop limit: Miredo sends 0, Windows 255. */
PURE bool teredo_is_bubble(const struct ipv6hdr *ip6)
{
	return ip6->nexthdr == IP6_NEXT_NONE && ip6->payload_len == 0;
}

/*
 * Cookies. The source of our bubbles is a /64 (fe80::/64, or one of ours that is routed nowhere)
 * and an identifier that only we can make: SipHash of the client's address and a time slot. The
 * client answers to it, and so proves that it receives what is sent to its address. No state.
 *
 * Two slots are valid, the present and the last one. Keys live for COOKIE_SLOTS_PER_KEY slots and
 * take turns in key[]; the daemon makes the next one in time (loader/core/cookie.c).
 */
#define COOKIE_SLOT_SHIFT 8     /* coarse units in a slot: 2^8 x 160..256 ms = 41..66 s */
#define COOKIE_SLOTS_PER_KEY 64 /* about an hour */

struct cookie_keys {
	struct siphash_key key[2];
	__u32 made_for[2]; /* slot / COOKIE_SLOTS_PER_KEY, for the daemon to see after a restart */
};

PURE __u32 cookie_slot(__u64 units)
{
	return (__u32)(units >> COOKIE_SLOT_SHIFT);
}

/* The identifier as it lies in memory; its U/L and I/G bits are 0 (RFC 4291 2.5.1), as Miredo's. */
PURE __u64 teredo_cookie(const volatile struct cookie_keys *keys, const struct in6_addr *client,
			 __u32 slot)
{
	const volatile struct siphash_key *k = &keys->key[slot / COOKIE_SLOTS_PER_KEY & 1];
	struct siphash_key key = { { k->k[0], k->k[1] } };

	return siphash_24bytes(&key, load64(client), load64(client->s6_addr + 8), slot) &
	       ~(__u64)0x03;
}

/*
 * True when dst, the destination of an answering bubble, is what we put into the source of one to
 * client lately. prefix: the first 8 bytes of our bubble source.
 */
PURE bool teredo_cookie_right(const volatile struct cookie_keys *keys, __u64 prefix,
			      const struct in6_addr *client, const struct in6_addr *dst, __u32 slot)
{
	__u64 got = load64(dst->s6_addr + 8);

	return load64(dst) == prefix && (got == teredo_cookie(keys, client, slot) ||
					 got == teredo_cookie(keys, client, slot - 1));
}

#ifndef __bpf__

/* Section 5.2.6. Returns the bytes written or -ENOBUFS; the caller sends them. */
PURE int teredo_build_bubble(void *buf, size_t size, const struct in6_addr *src,
			     const struct in6_addr *dst)
{
	struct ipv6hdr h = { .version = 6, .nexthdr = IP6_NEXT_NONE, .hop_limit = 64 };

	if (size < sizeof(h))
		return -ENOBUFS;
	h.saddr = *src;
	h.daddr = *dst;
	memcpy(buf, &h, sizeof(h));
	return sizeof(h);
}

/*
 * Trailers behind an IPv6 packet (RFC 6081 4.1): type, length, value, to the end of the payload.
 * Unknown types with the top bits 01 ask to discard the packet; malformed ones end the list.
 * c stands behind the IPv6 packet. Returns R_NONE or R_BUBBLE_TRAILER.
 */
PURE enum reason teredo_trailers(struct cur c)
{
	const __u8 *tl;

	while ((tl = cur_take(&c, 2))) {
		if (!cur_take(&c, tl[1]))
			break;
		if ((tl[0] & 0xc0) == 0x40)
			return R_BUBBLE_TRAILER;
	}
	return R_NONE;
}

#endif /* !__bpf__ */

#endif
