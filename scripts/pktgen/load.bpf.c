// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The generator box's two programs: all the Teredo clients of a range, and the sink, in one XDP
 * program; and the dress of what pktgen sends in their name, at the NIC's egress.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <navalis/csum.h>
#include <navalis/cursor.h>
#include <navalis/teredo.h>
#include "bubble.h"

#define PKTGEN_MAGIC 0xbe9be955 /* first word of pktgen's payload; the next is a sequence number */
#define IP4_LEN sizeof(struct iphdr)
#define UDP_LEN sizeof(struct udphdr)

/* Written by the script. Client n has the low bits of n in its address, the others in its port. */
struct settings {
	struct endpoint4 relay; /* where it serves */
	struct endpoint4 first; /* mapped endpoint of client 0 */
	__be32 server;          /* of all clients: RFC 4380 4 */
	__be16 flags;
	__u8 addr_bits, port_bits;
	struct in6_addr host; /* on native IPv6; all clients talk to it */
};

/* What the sink got, by kind. */
enum sunk {
	SUNK_NATIVE, /* out of a tunnel, for the host */
	SUNK_TEREDO, /* in a tunnel, at the endpoint of the client that it is for */
	SUNK_WRONG,  /* for one client, at another's endpoint */
	SUNK_BUBBLE, /* asked, and answered */
	SUNK_MAX
};

struct count {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SUNK_MAX);
	__type(key, __u32);
	__type(value, struct count);
} sunk SEC(".maps");

/* What stands behind the Ethernet header. */
struct tunnelled {
	struct iphdr ip;
	struct udphdr udp;
	struct ipv6hdr ip6;
	struct udphdr inner[]; /* of what pktgen sends */
};

_Static_assert(sizeof(struct tunnelled) == IP4_LEN + UDP_LEN + 40, "no padding");

static __always_inline const struct settings *the_settings(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&settings, &first);
}

static __always_inline int sink(const struct xdp_md *ctx, __u32 kind)
{
	struct count *c = bpf_map_lookup_elem(&sunk, &kind);

	if (c) {
		c->packets++;
		c->bytes += ctx->data_end - ctx->data;
	}
	return XDP_DROP;
}

static __always_inline bool is_client(const struct settings *s, const struct in6_addr *a)
{
	const struct endpoint4 at = teredo_mapped(a);

	return teredo_is(a) && teredo_server(a) == s->server && teredo_flags(a) == s->flags &&
	       (HOST32(at.addr) ^ HOST32(s->first.addr)) >> s->addr_bits == 0 &&
	       (HOST16(at.port) ^ HOST16(s->first.port)) >> s->port_bits == 0;
}

static __always_inline int from_tunnel(struct xdp_md *ctx, const struct settings *s,
				       struct ethhdr *eth, struct tunnelled *f)
{
	const struct endpoint4 from = { f->ip.saddr, f->udp.source, 0 };
	const struct endpoint4 to = { f->ip.daddr, f->udp.dest, 0 };

	if (*(const __u8 *)&f->ip != 0x45 || f->ip.protocol != IPPROTO_UDP ||
	    !endpoint4_equal(from, s->relay) || !is_client(s, &f->ip6.daddr))
		return XDP_PASS;
	if (!teredo_is_bubble(&f->ip6))
		return sink(ctx, teredo_src_matches(&f->ip6.daddr, to) ? SUNK_TEREDO : SUNK_WRONG);
	sink(ctx, SUNK_BUBBLE);
	bubble_answer((void *)eth);
	return XDP_TX;
}

/* ARP, neighbour discovery and whatever else is not part of the test are the stack's. */
SEC("xdp") int clients(struct xdp_md *ctx)
{
	struct cur c = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	const struct settings *s = the_settings();
	struct ethhdr *eth = (void *)cur_take(&c, sizeof(*eth));
	const struct ipv6hdr *ip6;
	struct tunnelled *f;

	if (!s || !eth)
		return XDP_PASS;
	switch (eth->h_proto) {
	case BE16(ETH_P_IP):
		f = (void *)cur_take(&c, sizeof(*f));
		return f ? from_tunnel(ctx, s, eth, f) : XDP_PASS;
	case BE16(ETH_P_IPV6):
		ip6 = cur_take(&c, sizeof(*ip6));
		return ip6 && is_client(s, &ip6->saddr) && in6_equal(&ip6->daddr, &s->host) ?
			       sink(ctx, SUNK_NATIVE) : XDP_PASS;
	}
	return XDP_PASS;
}

/*
 * Which client a packet of pktgen's is from: a walk by odd strides, and not random numbers. Whoever
 * sends as many packets as there are clients has been every one of them once, so that none is
 * forgotten; and the next one is never near the last one in the relay's memory. The streams of
 * several threads begin apart: their source port says by how many 64ths of the round.
 */
static __always_inline struct endpoint4 client_of(const struct settings *s, __u32 seq, __u32 phase)
{
	const __u32 bits = s->addr_bits + s->port_bits;
	const __u32 n = seq + (phase << bits >> 6), client = n * 0x9e3779b1 & ((1U << bits) - 1);

	return (struct endpoint4){
		.addr = BE32(HOST32(s->first.addr) | (client & ((1U << s->addr_bits) - 1))),
		.port = BE16(HOST16(s->first.port) | client >> s->addr_bits),
	};
}

/*
 * Packet for packet what a client sends, in place: outer source, inner packet, all checksums.
 * Behind its own header, which goes, pktgen's payload is all zero, and adds nothing to a sum.
 */
SEC("tc") int dress(struct __sk_buff *skb)
{
	struct cur c = { (void *)(long)skb->data, (void *)(long)skb->data_end };
	const struct ethhdr *eth = cur_take(&c, sizeof(*eth));
	struct tunnelled *f = (void *)cur_take(&c, sizeof(*f) + UDP_LEN);
	const struct settings *s = the_settings();
	struct udphdr *udp = f->inner;
	struct endpoint4 from;
	const __be32 *pktgen;
	__u64 sum = 0;

	if (!eth || !f || !s || eth->h_proto != BE16(ETH_P_IP) || f->ip.protocol != IPPROTO_UDP)
		return TC_ACT_OK;
	pktgen = (const __be32 *)&f->ip6;
	if (pktgen[0] != BE32(PKTGEN_MAGIC))
		return TC_ACT_OK;
	from = client_of(s, HOST32(pktgen[1]), HOST16(f->udp.source));

	*(__be32 *)&f->ip6 = BE32(0x60000000);
	f->ip6.payload_len = BE16(HOST16(f->udp.len) - UDP_LEN - sizeof(f->ip6));
	f->ip6.nexthdr = IPPROTO_UDP;
	f->ip6.hop_limit = 64;
	f->ip6.saddr = teredo_addr(s->server, s->flags, from);
	f->ip6.daddr = s->host;

	udp->source = udp->dest = BE16(9); /* discard */
	udp->len = f->ip6.payload_len;
	for (int i = 0; i < 4; i++)
		sum += (__u64)f->ip6.saddr.s6_addr32[i] + s->host.s6_addr32[i];
	sum += RAW16(BE16(IPPROTO_UDP)) + 2 * (__u64)RAW16(BE16(9)) + 2 * (__u64)RAW16(udp->len);
	udp->check = csum_udp(sum);

	f->ip.saddr = from.addr;
	f->ip.check = 0;
	f->ip.check = (__be16)~csum_fold(csum_ip4(&f->ip));
	f->udp.source = from.port;
	sum = csum_udp4_head(from.addr, f->ip.daddr, from.port, f->udp.dest, f->udp.len);
	f->udp.check = csum_udp(sum + csum_lco(load64(&f->ip6)));
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
