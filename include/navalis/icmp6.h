/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMPv6 as the routers of tunnels need it: solicitations, advertisements, and what may hide behind
 * extension headers (RFC 4443, RFC 4861).
 *
 * Where a function takes «deep», false is the form for XDP: constant sizes, no loops; what is
 * unusual it hands to the slow path by a reason of action PASS. The slow path asks with true.
 */
#ifndef NAVALIS_ICMP6_H
#define NAVALIS_ICMP6_H

#include <linux/ipv6.h>
#include "addr6.h"
#include "csum.h"
#include "cursor.h"
#include "reasons.h"

/* The names and values of <netinet/icmp6.h>, which BPF has not. */
#define ICMP6_DST_UNREACH    1
#define ICMP6_PACKET_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED  3
#define ICMP6_ECHO_REQUEST   128
#define ICMP6_ECHO_REPLY     129
#define ND_ROUTER_SOLICIT    133
#define ND_ROUTER_ADVERT     134
#define ND_NEIGHBOR_SOLICIT  135
#define ND_NEIGHBOR_ADVERT   136
#define ND_REDIRECT          137
#define ND_OPT_PREFIX        3
#define ND_OPT_LINK_TARGET   2
#define ND_OPT_MTU           5
#define ND_OPT_NONCE         14 /* RFC 3971 5.3.2 */

#define ND_HOP_LIMIT    255  /* RFC 4861 6.1.1: nobody has forwarded it */
#define ND_RS_LEN       8    /* without options */
#define ICMP6_ERROR_MAX 1280 /* RFC 4443 2.4 (c) */

PURE bool nd_is(__u8 type)
{
	return type >= ND_ROUTER_SOLICIT && type <= ND_REDIRECT;
}

/* The sum of the pseudo-header (RFC 8200 8.1) of an upper layer that directly follows the header.
 */
PURE __u64 icmp6_pseudo(const struct ipv6hdr *ip6)
{
	const __u8 *a = (const __u8 *)&ip6->saddr;
	__u64 sum = (__u64)RAW16(ip6->payload_len) + RAW16(BE16(IPPROTO_ICMPV6));

	for (int i = 0; i < 32; i += 8)
		sum = csum_add64(sum, load64(a + i));
	return sum;
}

/* The type of an ICMPv6 message that directly follows the header, or -1. c stands behind the
 * header. */
PURE int icmp6_type(struct cur c, const struct ipv6hdr *ip6)
{
	const __u8 *type;

	if (ip6->nexthdr != IPPROTO_ICMPV6 || !ip6->payload_len)
		return -1;
	type = cur_take(&c, 1);
	return type ? *type : -1;
}

/* ---- what hides behind the header ----------------------------------------------------------- */

/* Next headers behind which the upper layer, or a routing header, is still to come. */
PURE bool ip6_extends(__u8 nexthdr)
{
	switch (nexthdr) {
	case 0:   /* hop-by-hop options */
	case 43:  /* routing */
	case 51:  /* authentication */
	case 60:  /* destination options */
	case 135: /* mobility */
	case 139: /* HIP */
	case 140: /* shim6 */
		return true;
	}
	return false;
}

#ifndef __bpf__

/* Length of the extension header at ext; 8 bytes of it can be read. */
PURE __u32 ip6_extension_len(__u8 kind, const __u8 *ext)
{
	if (kind == 44) /* fragment */
		return 8;
	return kind == 51 ? (ext[1] + 2) * 4U : (ext[1] + 1) * 8U;
}

/* c holds the payload and nothing else. */
PURE enum reason ip6_inside_deep(struct cur c, __u8 kind)
{
	const __u8 *ext;
	struct cur at;

	while (kind == 44 || ip6_extends(kind)) {
		at = c;
		ext = cur_take(&at, 8);
		if (!ext)
			return R_NONE;
		if (kind == 43 && ext[2] == 0)
			return R_INNER_ROUTING;
		if (kind == 44 && ((ext[2] << 8 | ext[3]) & 0xfff8))
			return R_NONE; /* what lies behind a later fragment is data */
		if (!cur_take(&c, ip6_extension_len(kind, ext)))
			return R_NONE;
		kind = ext[0];
	}
	ext = kind == IPPROTO_ICMPV6 ? cur_take(&c, 1) : NULL;
	return ext && nd_is(*ext) ? R_ND_FORWARD : R_NONE;
}

#endif

/*
 * May what this packet holds leave a tunnel, or enter one? Neighbour discovery would be believed,
 * since it comes from the router's own endpoint; a routing header of type 0 would be obeyed (RFC
 * 5095). c stands behind the header, and all of the payload can be read when deep.
 */
PURE enum reason ip6_inside(struct cur c, const struct ipv6hdr *ip6, bool deep)
{
	const bool fragment = ip6->nexthdr == 44;
	const __u16 len = HOST16(ip6->payload_len);
	const __u8 *ext; /* next header, length, routing type */
	int type = icmp6_type(c, ip6);

	if (type >= 0)
		return nd_is((__u8)type) ? R_ND_FORWARD : R_NONE;
	if (!fragment && !ip6_extends(ip6->nexthdr))
		return R_NONE;
#ifndef __bpf__
	if (deep)
		return ip6_inside_deep((struct cur){ c.pos, c.pos + len }, ip6->nexthdr);
#endif
	(void)deep;
	ext = len < 8 ? NULL : cur_take(&c, 8);
	if (!ext)
		return R_INNER_EXTENSION;
	if (fragment) /* common, and harmless unless more hides behind it */
		return ext[0] == 44 || ext[0] == IPPROTO_ICMPV6 || ip6_extends(ext[0])
			       ? R_INNER_EXTENSION
			       : R_NONE;
	return ip6->nexthdr == 43 && ext[2] == 0 ? R_INNER_ROUTING : R_INNER_EXTENSION;
}

/* ---- solicitations -------------------------------------------------------------------------- */

/* A Nonce option, to be copied into the answer; len is that of all of it, 0: there is none. */
struct nd_nonce {
	const __u8 *option;
	__u32 len;
};

#ifndef __bpf__

/* Of an ICMPv6 message that is all of c; the pseudo-header comes from ip6. */
PURE bool icmp6_sum_right(struct cur c, const struct ipv6hdr *ip6)
{
	return csum_fold(csum_bytes(icmp6_pseudo(ip6), c.pos, (size_t)cur_left(&c))) == 0xffff;
}

/* Options to the end of c. */
PURE enum reason nd_options(struct cur c, struct nd_nonce *nonce)
{
	const __u8 *o;

	while ((o = cur_take(&c, 2))) {
		if (!o[1] || !cur_take(&c, o[1] * 8U - 2))
			return R_ND_BAD;
		if (o[0] == ND_OPT_NONCE)
			*nonce = (struct nd_nonce){ o, o[1] * 8U };
	}
	return cur_left(&c) ? R_ND_BAD : R_NONE;
}

#endif

/*
 * A router solicitation (RFC 4861 6.1.1), of which the caller has seen the type. Its source may be
 * any. c stands behind the IPv6 header; the payload is as long as it says.
 * Returns R_SOLICITED, R_ND_BAD, or, unless deep, R_SOLICITED_ODD and R_NOT_LINEAR. nonce may be
 * NULL unless deep.
 */
PURE enum reason nd_solicitation(struct cur c, const struct ipv6hdr *ip6, bool deep,
				 struct nd_nonce *nonce)
{
	const __u16 len = HOST16(ip6->payload_len);
	__u64 sum = icmp6_pseudo(ip6);
	const __u8 *m = c.pos, *o;

	if (ip6->hop_limit != ND_HOP_LIMIT || len < ND_RS_LEN)
		return R_ND_BAD;
	if (!cur_take(&c, ND_RS_LEN))
		return R_NOT_LINEAR;
	if (m[1])
		return R_ND_BAD;
#ifndef __bpf__
	if (deep) {
		struct cur all = { m, m + len }, options = { m + ND_RS_LEN, m + len };

		*nonce = (struct nd_nonce){ NULL, 0 };
		if (!icmp6_sum_right(all, ip6) || nd_options(options, nonce) != R_NONE)
			return R_ND_BAD;
		return R_SOLICITED;
	}
#endif
	(void)deep;
	(void)nonce;
	sum = csum_add64(sum, load64(m));
	if (len == ND_RS_LEN + 8) { /* what every 6bed4 peer sends: a source link-layer address */
		o = cur_take(&c, 8);
		if (!o)
			return R_NOT_LINEAR;
		if (o[1] != 1 || o[0] == ND_OPT_NONCE)
			return R_SOLICITED_ODD;
		sum = csum_add64(sum, load64(o));
	} else if (len != ND_RS_LEN) {
		return R_SOLICITED_ODD;
	}
	return csum_fold(sum) == 0xffff ? R_SOLICITED : R_ND_BAD;
}

/* ---- advertisements ------------------------------------------------------------------------- */

struct nd_prefix { /* RFC 4861 4.6.2 */
	__u8 type, units, len, flags;
	__be32 valid, preferred, reserved;
	struct in6_addr prefix;
};

#define ND_PREFIX_ONLINK 0x80
#define ND_PREFIX_AUTO   0x40
#define ND_FOREVER       BE32(0xffffffff)

/*
 * A whole router advertisement with one prefix, and room for an MTU: filled on the stack, then
 * copied to where it goes by words (nd_ra_put). The first ND_RA_LEN bytes are one without an MTU.
 */
struct nd_ra {
	union {
		struct {
			struct ipv6hdr ip6;
			__u8 type, code;
			__be16 checksum;
			__u8 hop_limit, flags;
			__be16 lifetime;
			__be32 reachable, retrans;
			struct nd_prefix prefix;
			struct { /* RFC 4861 4.6.4 */
				__u8 type, units;
				__be16 reserved;
				__be32 mtu;
			} mtu;
		};
		word64 word[12];
	};
};

#define ND_RA_LEN     88
#define ND_RA_LEN_MTU 96

_Static_assert(offsetof(struct nd_ra, mtu) == ND_RA_LEN && sizeof(struct nd_ra) == ND_RA_LEN_MTU,
	       "no padding");

PURE struct nd_prefix nd_prefix(const struct in6_addr *prefix, __u8 len, __u8 flags,
				__be32 lifetime)
{
	return (struct nd_prefix){ .type = ND_OPT_PREFIX,
				   .units = sizeof(struct nd_prefix) / 8,
				   .len = len,
				   .flags = flags,
				   .valid = lifetime,
				   .preferred = lifetime,
				   .prefix = *prefix };
}

/* What all advertisements share; the rest is 0. len: ND_RA_LEN or ND_RA_LEN_MTU. */
PURE void nd_ra_begin(struct nd_ra *ra, const struct in6_addr *src, const struct in6_addr *dst,
		      __u32 len)
{
	*ra = (struct nd_ra){ .word = { 0 } };
	ra->ip6.version = 6;
	ra->ip6.payload_len = BE16(len - sizeof(struct ipv6hdr));
	ra->ip6.nexthdr = IPPROTO_ICMPV6;
	ra->ip6.hop_limit = ND_HOP_LIMIT;
	ra->ip6.saddr = *src;
	ra->ip6.daddr = *dst;
	ra->type = ND_ROUTER_ADVERT;
}

/* The last step: the checksum. */
PURE void nd_ra_end(struct nd_ra *ra)
{
	__u64 sum = (__u64)RAW16(ra->ip6.payload_len) + RAW16(BE16(IPPROTO_ICMPV6));

	for (int i = 1; i < 12; i++) /* from the addresses on; an MTU that is not sent is 0 */
		sum = csum_add64(sum, ra->word[i]);
	ra->checksum = csum_udp(sum);
}

/* len: as in nd_ra_begin(), and a constant in BPF. */
PURE void nd_ra_put(void *to, const struct nd_ra *ra, __u32 len)
{
	for (__u32 i = 0; i < len / 8; i++)
		store64((__u8 *)to + i * 8, ra->word[i]);
}

#ifndef __bpf__

/* ---- messages of any length, for the slow path ---------------------------------------------- */

/* The checksum of the ICMPv6 message behind a header that is ready. */
PURE void icmp6_seal(void *packet)
{
	__u8 *p = packet, *field = p + sizeof(struct ipv6hdr) + 2;
	struct ipv6hdr ip6;
	__be16 sum = 0;

	memcpy(&ip6, p, sizeof(ip6));
	memcpy(field, &sum, 2);
	sum = csum_udp(csum_bytes(icmp6_pseudo(&ip6), p + sizeof(ip6), HOST16(ip6.payload_len)));
	memcpy(field, &sum, 2);
}

/* An advertisement that grows: what is at p, len bytes of size, and an option behind it. -ENOBUFS.
 */
PURE int nd_append(void *p, int len, size_t size, const void *option, size_t option_len)
{
	if (len < 0 || size - (size_t)len < option_len)
		return -ENOBUFS;
	memcpy((__u8 *)p + len, option, option_len);
	return len + (int)option_len;
}

/* Writes payload length and checksum of what nd_append() has made; returns len. */
PURE int nd_finish(void *p, int len)
{
	__be16 payload = len < 0 ? 0 : BE16(len - (int)sizeof(struct ipv6hdr));

	if (len < 0)
		return len;
	memcpy((__u8 *)p + offsetof(struct ipv6hdr, payload_len), &payload, 2);
	icmp6_seal(p);
	return len;
}

/*
 * The answer to an echo request (RFC 4443 4.2): the same bytes the other way. pkt is a whole packet
 * of len bytes. Returns the bytes written, 0 when it is no such request or its checksum is wrong,
 * or -ENOBUFS.
 */
PURE int icmp6_echo_reply(void *buf, size_t size, const void *pkt, size_t len)
{
	struct ipv6hdr ip6;
	struct cur c = { (const __u8 *)pkt + sizeof(ip6), (const __u8 *)pkt + len };
	__u8 *p = buf;

	if (len < sizeof(ip6) + 8)
		return 0;
	memcpy(&ip6, pkt, sizeof(ip6));
	if (sizeof(ip6) + HOST16(ip6.payload_len) != len ||
	    icmp6_type(c, &ip6) != ICMP6_ECHO_REQUEST || c.pos[1] || !icmp6_sum_right(c, &ip6))
		return 0;
	if (size < len)
		return -ENOBUFS;
	memcpy(buf, pkt, len);
	memcpy(p + offsetof(struct ipv6hdr, saddr), &ip6.daddr, 16);
	memcpy(p + offsetof(struct ipv6hdr, daddr), &ip6.saddr, 16);
	p[offsetof(struct ipv6hdr, hop_limit)] = 64;
	p[sizeof(ip6)] = ICMP6_ECHO_REPLY;
	icmp6_seal(buf);
	return (int)len;
}

/* RFC 4443 2.4 (e): never about an error or a redirect, nor about what has no single node at either
 * end. */
PURE bool icmp6_may_err(struct cur c, const struct ipv6hdr *ip6)
{
	enum addr6_kind from = addr6_kind(&ip6->saddr);
	int type = icmp6_type(c, ip6);

	if (from == ADDR6_MULTICAST || from == ADDR6_UNSPECIFIED ||
	    addr6_kind(&ip6->daddr) == ADDR6_MULTICAST)
		return false;
	return type < 0 ? ip6->nexthdr != IPPROTO_ICMPV6 : type >= 128 && type != ND_REDIRECT;
}

/*
 * An error of section 3 about the packet pkt, which is long enough for its header: Destination
 * Unreachable, Packet Too Big (word: the MTU), Time Exceeded. Returns the bytes written, 0 when no
 * error is to be sent about it, or -ENOBUFS.
 */
PURE int icmp6_error(void *buf, size_t size, const struct in6_addr *src, __u8 type, __u8 code,
		     __be32 word, const void *pkt, size_t len)
{
	const size_t heads = sizeof(struct ipv6hdr) + 8;
	const size_t quoted = len < ICMP6_ERROR_MAX - heads ? len : ICMP6_ERROR_MAX - heads;
	struct ipv6hdr about, ip6 = { .version = 6, .nexthdr = IPPROTO_ICMPV6, .hop_limit = 64 };
	__u8 *p = buf;

	memcpy(&about, pkt, sizeof(about));
	if (!icmp6_may_err((struct cur){ (const __u8 *)pkt + sizeof(about),
					 (const __u8 *)pkt + len },
			   &about))
		return 0;
	if (size < heads + quoted)
		return -ENOBUFS;
	ip6.payload_len = BE16(8 + quoted);
	ip6.saddr = *src;
	ip6.daddr = about.saddr;
	memcpy(p, &ip6, sizeof(ip6));
	p[40] = type;
	p[41] = code;
	memcpy(p + 44, &word, 4);
	memcpy(p + heads, pkt, quoted);
	icmp6_seal(buf);
	return (int)(heads + quoted);
}

#endif /* !__bpf__ */

#endif
