// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The load generator and its sink. Frames are made by programs that BPF_PROG_TEST_RUN runs on live
 * frames: each is written anew, since a recycled page holds what the relay made of the last one.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <navalis/csum.h>
#include "clients.h"
#include "load.h"

struct load load;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct sunk);
} sunk SEC(".maps");

struct decap_frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct ipv6hdr ip6;
	struct udphdr inner;
} __attribute__((packed, aligned(2)));

struct encap_frame {
	struct ethhdr eth;
	struct ipv6hdr ip6;
	struct udphdr inner;
} __attribute__((packed, aligned(2)));

static __always_inline __u32 random_below(__u32 n)
{
	load.random = load.random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (__u32)((load.random >> 32) * n >> 32);
}

static __always_inline __u64 sum_words(const struct in6_addr *a)
{
	return (__u64)a->s6_addr32[2] + a->s6_addr32[3];
}

SEC("xdp") int make_decap(struct xdp_md *ctx)
{
	struct decap_frame *f = (void *)(long)ctx->data;
	const struct template *t = &load.decap;
	struct endpoint4 from;
	struct in6_addr client, host;
	__u32 n;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	n = random_below(load.clients);
	from = bench_endpoint(n);
	client = bench_client(n);
	__builtin_memcpy(f, t->head, sizeof(*f));
	f->ip.saddr = from.addr;
	f->ip.check = (__be16)~csum_fold(t->ip_sum + (__u64)from.addr);
	f->udp.source = from.port;
	f->udp.check = csum_udp(t->outer_sum + (__u64)from.addr + from.port);
	f->ip6.saddr.s6_addr32[2] = client.s6_addr32[2];
	f->ip6.saddr.s6_addr32[3] = client.s6_addr32[3];
	n = random_below(load.hosts);
	f->ip6.daddr.s6_addr32[3] = BE32(n);
	f->inner.check = csum_udp(t->inner_sum + sum_words(&client) + BE32(n));
	(void)host;
	return (int)bpf_redirect(load.out4, 0);
}

SEC("xdp") int make_encap(struct xdp_md *ctx)
{
	struct encap_frame *f = (void *)(long)ctx->data;
	const struct template *t = &load.encap;
	struct in6_addr client;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	client = bench_client(random_below(load.clients));
	__builtin_memcpy(f, t->head, sizeof(*f));
	f->ip6.daddr.s6_addr32[2] = client.s6_addr32[2];
	f->ip6.daddr.s6_addr32[3] = client.s6_addr32[3];
	f->inner.check = csum_udp(t->inner_sum + sum_words(&client));
	return (int)bpf_redirect(load.out6, 0);
}

static __always_inline int sink(struct xdp_md *ctx, __u32 side)
{
	struct sunk *s = bpf_map_lookup_elem(&sunk, &side);

	if (s) {
		s->packets++;
		s->bytes += ctx->data_end - ctx->data;
	}
	return XDP_DROP;
}

SEC("xdp") int sink4(struct xdp_md *ctx)
{
	return sink(ctx, 0);
}

SEC("xdp") int sink6(struct xdp_md *ctx)
{
	return sink(ctx, 1);
}

/* The floor: a program that does nothing but send on. */
const volatile __u32 floor_out4, floor_out6;

SEC("xdp") int floor4(struct xdp_md *ctx)
{
	(void)ctx;
	return (int)bpf_redirect(floor_out6, 0);
}

SEC("xdp") int floor6(struct xdp_md *ctx)
{
	(void)ctx;
	return (int)bpf_redirect(floor_out4, 0);
}

char _license[] SEC("license") = "GPL";
