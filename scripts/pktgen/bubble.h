/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client answers to a bubble, for programs that play clients: this one's, and the bench's. */
#ifndef NAVALIS_PKTGEN_BUBBLE_H
#define NAVALIS_PKTGEN_BUBBLE_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <navalis/csum.h>
#include <navalis/teredo.h>

struct bubble_frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct ipv6hdr ip6;
} __attribute__((packed, aligned(2)));

/*
 * In place, as the client does (RFC 4380 5.2.6): from its mapped endpoint to where the bubble came
 * from, whether it came directly or through the server.
 */
static __always_inline void bubble_answer(struct bubble_frame *f)
{
	const struct in6_addr client = f->ip6.daddr;
	const struct endpoint4 at = teredo_mapped(&client);
	const struct ethhdr was = f->eth;
	__u64 sum;

	__builtin_memcpy(f->eth.h_dest, was.h_source, ETH_ALEN);
	__builtin_memcpy(f->eth.h_source, was.h_dest, ETH_ALEN);
	f->ip6.daddr = f->ip6.saddr;
	f->ip6.saddr = client;
	f->udp.dest = f->udp.source;
	f->udp.source = at.port;
	f->ip.daddr = f->ip.saddr;
	f->ip.saddr = at.addr;
	f->ip.check = 0;
	f->ip.check = (__be16)~csum_fold(csum_ip4(&f->ip));
	sum = csum_udp4_head(at.addr, f->ip.daddr, at.port, f->udp.dest, f->udp.len);
	for (int i = 0; i < 20; i++)
		sum += ((const __u16 *)(const void *)&f->ip6)[i];
	f->udp.check = csum_udp(sum);
}

#endif
