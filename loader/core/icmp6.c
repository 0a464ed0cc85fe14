// SPDX-License-Identifier: GPL-2.0-or-later
/* Destination Unreachable. */
#include <netinet/icmp6.h>

#include "core/icmp6.h"
#include "navalis/addr6.h"
#include "navalis/csum.h"

/* RFC 4443 2.4 (e): never about an error, a redirect, or to what is no single node. */
static bool may_answer(const struct ipv6hdr *ip6, size_t len)
{
	const __u8 *icmp = (const __u8 *)(ip6 + 1);
	enum addr6_kind from = addr6_kind(&ip6->saddr);

	if (from == ADDR6_MULTICAST || from == ADDR6_UNSPECIFIED)
		return false;
	if (addr6_kind(&ip6->daddr) == ADDR6_MULTICAST)
		return false;
	if (ip6->nexthdr != IPPROTO_ICMPV6)
		return true;
	return len > sizeof(*ip6) && icmp[0] >= 128 && icmp[0] != ND_REDIRECT;
}

int icmp6_address_unreachable(void *buf, size_t size, const struct in6_addr *src, const void *pkt,
			      size_t len)
{
	const struct ipv6hdr *about = pkt;
	const size_t heads = sizeof(struct ipv6hdr) + sizeof(struct icmp6_hdr);
	struct {
		struct ipv6hdr ip6;
		struct icmp6_hdr icmp;
	} *e = buf;
	size_t quoted = len < ICMP6_ERROR_MAX - heads ? len : ICMP6_ERROR_MAX - heads;
	__be16 icmp_len = BE16(sizeof(e->icmp) + quoted);
	__u64 sum;

	if (!may_answer(about, len))
		return 0;
	if (size < heads + quoted)
		return -ENOBUFS;
	memset(e, 0, sizeof(*e));
	e->ip6.version = 6;
	e->ip6.payload_len = icmp_len;
	e->ip6.nexthdr = IPPROTO_ICMPV6;
	e->ip6.hop_limit = 64;
	e->ip6.saddr = *src;
	e->ip6.daddr = about->saddr;
	e->icmp.icmp6_type = ICMP6_DST_UNREACH;
	e->icmp.icmp6_code = ICMP6_DST_UNREACH_ADDR;
	memcpy(e + 1, pkt, quoted);

	sum = csum_bytes(0, &e->ip6.saddr, 2 * sizeof(struct in6_addr));
	sum = csum_add16(sum, icmp_len) + RAW16(BE16(IPPROTO_ICMPV6));
	e->icmp.icmp6_cksum = csum_udp(csum_bytes(sum, &e->icmp, sizeof(e->icmp) + quoted));
	return (int)(heads + quoted);
}
