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
#include "../../scripts/pktgen/bubble.h"
#include "clients.h"
#include "load.h"

struct load load;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SINKS);
	__type(key, __u32);
	__type(value, struct sunk);
} sunk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KINDS * DELAYS);
	__type(key, __u32);
	__type(value, __u64);
} delays SEC(".maps");

struct teredo_frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct ipv6hdr ip6;
	struct udphdr inner;
} __attribute__((packed, aligned(2)));

struct native_frame {
	struct ethhdr eth;
	struct ipv6hdr ip6;
	struct udphdr inner;
} __attribute__((packed, aligned(2)));

/* The answer to a solicitation, as far as it is looked at. */
struct advertisement {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__u8 auth[TEREDO_AUTH_LEN];
	__u8 origin[TEREDO_ORIGIN_LEN];
	struct ipv6hdr ip6;
	__u8 icmp_type;
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

/* From a client, or with its address from another endpoint. more: what else is in the inner sum. */
static __always_inline void put_teredo(struct teredo_frame *f, const struct template *t,
				       const struct in6_addr *client, struct endpoint4 from, __u64 more)
{
	const __u32 host = BE32(random_below(load.hosts));

	__builtin_memcpy(f, t->head, sizeof(*f));
	f->ip.saddr = from.addr;
	f->ip.check = (__be16)~csum_fold(t->ip_sum + (__u64)from.addr);
	f->udp.source = from.port;
	f->udp.check = csum_udp(t->outer_sum + (__u64)from.addr + from.port);
	f->ip6.saddr.s6_addr32[1] = client->s6_addr32[1];
	f->ip6.saddr.s6_addr32[2] = client->s6_addr32[2];
	f->ip6.saddr.s6_addr32[3] = client->s6_addr32[3];
	f->ip6.daddr.s6_addr32[3] = host;
	f->inner.check = csum_udp(t->inner_sum + sum_words(client) + host + more);
}

static __always_inline void put_native(struct native_frame *f, const struct template *t,
				       const struct in6_addr *client, __u64 more)
{
	__builtin_memcpy(f, t->head, sizeof(*f));
	f->ip6.daddr.s6_addr32[2] = client->s6_addr32[2];
	f->ip6.daddr.s6_addr32[3] = client->s6_addr32[3];
	f->inner.check = csum_udp(t->inner_sum + sum_words(client) + more);
}

SEC("xdp") int make_decap(struct xdp_md *ctx)
{
	struct teredo_frame *f = (void *)(long)ctx->data;
	struct in6_addr client;
	__u32 n;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	n = random_below(load.clients);
	client = bench_client(n);
	put_teredo(f, &load.decap, &client, bench_endpoint(n), 0);
	return (int)bpf_redirect(load.out4, 0);
}

SEC("xdp") int make_encap(struct xdp_md *ctx)
{
	struct native_frame *f = (void *)(long)ctx->data;
	struct in6_addr client;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	client = bench_client(random_below(load.clients));
	put_native(f, &load.encap, &client, 0);
	return (int)bpf_redirect(load.out6, 0);
}

/* Whom nobody plays: 20.0.0.0/8. */
static __always_inline struct endpoint4 stranger(void)
{
	return (struct endpoint4){ .addr = BE32(0x14000000 + random_below(1 << 24)),
				   .port = BE16(1024 + random_below(60000)) };
}

/* Another one for each endpoint, so that the sink knows a right answer. */
static __always_inline __u64 nonce_of(struct endpoint4 at)
{
	return ((__u64)at.addr << 16 | at.port) * 0x9e3779b97f4a7c15ULL;
}

SEC("xdp") int make_solicit(struct xdp_md *ctx)
{
	struct solicitation *f = (void *)(long)ctx->data;
	const struct template *t = &load.solicit;
	struct endpoint4 from;
	__u64 nonce;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	from = stranger();
	nonce = nonce_of(from);
	__builtin_memcpy(f, t->head, sizeof(*f));
	f->ip.saddr = from.addr;
	f->ip.check = (__be16)~csum_fold(t->ip_sum + (__u64)from.addr);
	f->udp.source = from.port;
	teredo_put_auth(f->auth, nonce);
	f->udp.check = csum_udp(csum_add64(t->outer_sum + (__u64)from.addr + from.port, nonce));
	return (int)bpf_redirect(load.out4, 0);
}

/* ---- paced runs: a mixture, no faster than told; what is not due yet is dropped where it is ------- */

static __always_inline __u64 put_mark(void *at, enum kind kind, __u64 now)
{
	struct mark *m = at;

	m->magic = MARK_MAGIC;
	m->kind = kind;
	m->sent_ns = now;
	return (__u64)MARK_MAGIC + kind + (now & 0xffffffff) + (now >> 32);
}

static __always_inline int paced_teredo(struct teredo_frame *f, enum kind kind, __u64 now)
{
	const __u32 n = random_below(load.clients);
	struct endpoint4 from = bench_endpoint(n);
	struct in6_addr client = bench_client(n);
	__u64 more = 0;

	if (kind != KIND_DECAP) {
		from = stranger();
		if (kind != KIND_FORGED)
			client = teredo_addr(BENCH_SERVER, 0, from);
	} else {
		more = put_mark(f + 1, kind, now);
	}
	if (kind == KIND_BUBBLE) {
		put_teredo(f, &load.bubble, &client, from, 0);
		f->ip6.daddr.s6_addr32[2] = random_below(~0U);
		f->ip6.daddr.s6_addr32[3] = random_below(~0U);
		f->udp.check = 0; /* «none» */
	} else {
		put_teredo(f, &load.decap, &client, from, more);
	}
	return (int)bpf_redirect(load.out4, 0);
}

static __always_inline int paced_native(struct native_frame *f, enum kind kind, __u64 now)
{
	struct in6_addr client;

	if (kind == KIND_NEW)
		client = bench_client(load.clients + (__u32)load.sent[KIND_NEW]);
	else if (kind == KIND_ENCAP)
		client = bench_client(random_below(load.clients));
	else
		client = teredo_addr(BENCH_SERVER, 0, stranger());
	put_native(f, &load.encap, &client, put_mark(f + 1, kind, now));
	return (int)bpf_redirect(load.out6, 0);
}

SEC("xdp") int make_paced(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	const __u64 now = bpf_ktime_get_ns();
	__u32 kind, at;

	if (data + sizeof(struct teredo_frame) + sizeof(struct mark) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (now < load.next_ns ||
	    (load.window && load.sent[KIND_NEW] - *(volatile __u64 *)&load.answered >= load.window))
		return XDP_DROP;
	load.next_ns = now - load.next_ns > 1000000 ? now + load.pause_ns : load.next_ns + load.pause_ns;
	at = random_below(256);
	for (kind = 0; kind < KINDS; kind++)
		if (at < load.share[kind])
			break;
	if (kind >= KINDS)
		return XDP_DROP;
	load.sent[kind]++;
	switch (kind) {
	case KIND_ENCAP:
	case KIND_NEW:
	case KIND_STRANGER:
		return paced_native(data, kind, now);
	}
	return paced_teredo(data, kind, now);
}

/* ---- the sink, which plays all clients that the relay punches to ------------------------------------ */

static __always_inline void count(struct xdp_md *ctx, __u32 sink)
{
	struct sunk *s = bpf_map_lookup_elem(&sunk, &sink);

	if (s) {
		s->packets++;
		s->bytes += ctx->data_end - ctx->data;
	}
}

static __always_inline void note(const struct mark *m)
{
	const __u64 took = bpf_ktime_get_ns() - m->sent_ns;
	__u32 log = 0, at;
	__u64 *n;

	for (__u64 t = took; log < 48 && t >> (log + 1); log++)
		;
	at = log < DELAY_SHIFT ? (__u32)took : log << DELAY_SHIFT | (__u32)(took >> (log - DELAY_SHIFT) & 7);
	at += m->kind * DELAYS;
	n = bpf_map_lookup_elem(&delays, &at);
	if (n)
		__sync_fetch_and_add(n, 1);
	__sync_fetch_and_add(&load.got[m->kind & 7], 1);
}

static __always_inline bool answers(const struct advertisement *f)
{
	const struct endpoint4 asked = { .addr = f->ip.daddr, .port = f->udp.dest };

	return f->auth[1] == 1 && load64(f->auth + 4) == nonce_of(asked) &&
	       load64(f->origin) == teredo_origin(asked) && f->ip6.nexthdr == IPPROTO_ICMPV6 &&
	       f->icmp_type == ND_ROUTER_ADVERT;
}

SEC("xdp") int sink4(struct xdp_md *ctx)
{
	struct teredo_frame *f = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	count(ctx, SINK_4);
	if ((void *)&f->inner > end || f->eth.h_proto != BE16(ETH_P_IP) || f->ip.protocol != IPPROTO_UDP)
		return XDP_DROP;
	if (f->udp.source == BE16(TEREDO_SERVER_PORT)) {
		const struct advertisement *ra = (void *)f;

		if ((void *)(ra + 1) <= end && answers(ra))
			count(ctx, SINK_ANSWERS);
		return XDP_DROP;
	}
	if (f->ip6.nexthdr == IP6_NEXT_NONE) {
		if (HOST32(~f->ip6.daddr.s6_addr32[3]) >> 24 != 9)
			return XDP_DROP;
		bubble_answer((void *)f);
		__sync_fetch_and_add(&load.answered, 1);
		return XDP_TX;
	}
	if ((void *)(f + 1) + sizeof(struct mark) <= end && ((struct mark *)(f + 1))->magic == MARK_MAGIC)
		note((void *)(f + 1));
	return XDP_DROP;
}

SEC("xdp") int sink6(struct xdp_md *ctx)
{
	struct native_frame *f = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	count(ctx, SINK_6);
	if ((void *)(f + 1) + sizeof(struct mark) <= end && ((struct mark *)(f + 1))->magic == MARK_MAGIC)
		note((void *)(f + 1));
	return XDP_DROP;
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
