// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads a relay with frames and counts what comes out: one JSON object a line on stdin, one on
 * stdout for each. Runs in the namespace of the far ends of the relay's NICs. A device in an order is
 * the ifindex of such an end, and the MAC address of the NIC behind it.
 *
 *   {"op": "sink", "side": 4 | 6, "ifindex": N}     what arrives there is counted and dropped
 *   {"op": "run", "way": "decap" | "encap" | "solicit", "ifindex": N, "mac": HEX, "clients": N,
 *    "hosts": N, "inner": BYTES, "packets": N, "batch": N}
 *       so many frames, each of one of the clients at random, as fast as it goes. Answers {"ns",
 *       "wall_ns", "sunk", "first"}: what a packet took with all that followed within this process, or
 *       until the end with whatever else ran on this CPU; how many came out on the other side; and how
 *       many frames went before all that. «solicit»: router solicitations to the Teredo server at the
 *       relay's address, of no client, each from an endpoint of its own; how many were answered
 *   {"op": "answered"}
 *       answers {"answered"}: solicitations of all runs, and those too that are answered late
 *   {"op": "paced", "ifindex4": N, "mac4": HEX, "ifindex6": N, "mac6": HEX, "clients": N, "hosts": N,
 *    "rate": PACKETS A SECOND, "window": N, "share": {KIND: WEIGHT}, "seconds": N}
 *       a mixture of both ways. Answers {"seconds", "sent": {KIND: N}, "got": {KIND: N}, "answered",
 *       "delays": {KIND: [[NS, N]...]}}
 */
#include <arpa/inet.h>
#include <json-c/json.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <navalis/csum.h>
#include "clients.h"
#include "load.h"
#include "tests/bench/load.skel.h"

#define BATCH_PACED 64

static struct load_bpf *skel;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static int int_of(struct json_object *cmd, const char *name)
{
	return json_object_get_int(json_object_object_get(cmd, name));
}

static const char *text_of(struct json_object *cmd, const char *name)
{
	const char *s = json_object_get_string(json_object_object_get(cmd, name));

	return s ? s : "";
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sunk sunk(__u32 sink)
{
	int cpus = libbpf_num_possible_cpus();
	struct sunk v[cpus], sum = { 0 };

	if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.sunk), &sink, v))
		die("sunk");
	for (int i = 0; i < cpus; i++) {
		sum.packets += v[i].packets;
		sum.bytes += v[i].bytes;
	}
	return sum;
}

/* An inner packet of so many bytes, and what its bytes but the client's half address add to sums. */
static __u32 put_inner(__u8 *at, __u32 len, const char *src, const char *dst)
{
	struct ipv6hdr *ip6 = (void *)at;
	struct udphdr *udp = (void *)(ip6 + 1);
	__u16 udp_len = (__u16)(len - sizeof(*ip6));

	ip6->version = 6;
	ip6->payload_len = BE16(udp_len);
	ip6->nexthdr = IPPROTO_UDP;
	ip6->hop_limit = 64;
	inet_pton(AF_INET6, src, &ip6->saddr);
	inet_pton(AF_INET6, dst, &ip6->daddr);
	udp->source = udp->dest = BE16(9);
	udp->len = BE16(udp_len);
	return (__u32)csum_bytes(RAW16(BE16(IPPROTO_UDP)) + RAW16(udp->len), &ip6->saddr, 32 + udp_len);
}

static void put_eth(struct ethhdr *eth, const char *mac, __u16 proto)
{
	for (int i = 0; i < ETH_ALEN; i++)
		sscanf(mac + 2 * i, "%2hhx", &eth->h_dest[i]);
	memcpy(eth->h_source, "\2\0\0\0\0\1", ETH_ALEN);
	eth->h_proto = htons(proto);
}

/* To a port of the relay; the payload is still to come, and to be added to the outer sum. */
static void put_outer(struct template *t, __u8 *frame, __u16 port, __u32 payload, const char *mac)
{
	struct iphdr *ip = (void *)(frame + ETH_HLEN);
	struct udphdr *udp = (void *)(ip + 1);
	__u16 udp_len = (__u16)(sizeof(*udp) + payload);

	put_eth((void *)frame, mac, ETH_P_IP);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP,
			      .tot_len = BE16(sizeof(*ip) + udp_len) };
	inet_pton(AF_INET, "8.0.2.1", &ip->daddr);
	udp->dest = BE16(port);
	udp->len = BE16(udp_len);
	t->ip_sum = (__u32)csum_ip4(ip);
	t->outer_sum = (__u32)csum_udp4_head(0, ip->daddr, 0, udp->dest, udp->len);
}

static __u32 put_decap(struct template *t, __u8 *frame, __u32 inner, const char *mac)
{
	__u8 *ip6 = frame + ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr);

	put_outer(t, frame, 3545, inner, mac);
	t->inner_sum = put_inner(ip6, inner, "2001:0:800:101::", "2a00:f::");
	t->outer_sum += (__u32)csum_lco(load64(ip6));
	memcpy(t->head, frame, HEADERS_MAX);
	return (__u32)(ip6 - frame) + inner;
}

static __u32 put_solicit(struct template *t, __u8 *frame, const char *mac)
{
	struct solicitation *f = (void *)frame;
	const __u32 len = sizeof(*f) - offsetof(struct solicitation, auth);
	__u16 sum;

	put_outer(t, frame, TEREDO_SERVER_PORT, len, mac);
	teredo_put_auth(f->auth, 0);
	f->ip6.version = 6;
	f->ip6.payload_len = BE16(ND_RS_LEN);
	f->ip6.nexthdr = IPPROTO_ICMPV6;
	f->ip6.hop_limit = ND_HOP_LIMIT;
	inet_pton(AF_INET6, "fe80::ffff:ffff:fffe", &f->ip6.saddr);
	inet_pton(AF_INET6, "ff02::2", &f->ip6.daddr);
	f->icmp[0] = ND_ROUTER_SOLICIT;
	sum = (__u16)~csum_fold(csum_bytes(RAW16(BE16(ND_RS_LEN)) + RAW16(BE16(IPPROTO_ICMPV6)),
					   &f->ip6.saddr, 32 + ND_RS_LEN));
	memcpy(f->icmp + 2, &sum, sizeof(sum));
	t->outer_sum = (__u32)csum_bytes(t->outer_sum, f->auth, len);
	memcpy(t->head, frame, HEADERS_MAX);
	return sizeof(*f);
}

static __u32 put_encap(struct template *t, __u8 *frame, __u32 inner, const char *mac)
{
	put_eth((void *)frame, mac, ETH_P_IPV6);
	t->inner_sum = put_inner(frame + ETH_HLEN, inner, "2a00:f::1", "2001:0:800:101::");
	memcpy(t->head, frame, HEADERS_MAX);
	return ETH_HLEN + inner;
}

/* The same without UDP in it: a bubble, the inner source and destination of which are still to come. */
static void put_bubble(struct template *t, const char *mac)
{
	__u8 bubble[HEADERS_MAX] __attribute__((aligned(2))) = { 0 };
	struct ipv6hdr *ip6 = (void *)(bubble + ETH_HLEN + 20 + 8);
	struct iphdr *ip = (void *)(bubble + ETH_HLEN);
	struct udphdr *udp = (void *)(ip + 1);

	put_decap(t, bubble, 48, mac);
	ip->tot_len = BE16(20 + 8 + 40);
	udp->len = BE16(8 + 40);
	ip6->payload_len = 0;
	ip6->nexthdr = IP6_NEXT_NONE;
	inet_pton(AF_INET6, "fe80::", &ip6->daddr);
	t->ip_sum = (__u32)csum_ip4(ip);
	memcpy(t->head, bubble, HEADERS_MAX);
}

static void op_sink(struct json_object *cmd, struct json_object *ret)
{
	struct bpf_program *p = int_of(cmd, "side") == 4 ? skel->progs.sink4 : skel->progs.sink6;

	(void)ret;
	if (!bpf_program__attach_xdp(p, int_of(cmd, "ifindex")))
		die("sink");
}

/* Live frames of len bytes from a program: nanoseconds each. */
static double run(struct bpf_program *p, void *frame, __u32 len, __u32 ifindex, __u32 packets,
		  __u32 batch)
{
	struct xdp_md ctx = { .data_end = len, .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = (int)packets, .batch_size = batch,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	if (bpf_prog_test_run_opts(bpf_program__fd(p), &opts))
		die("live frames");
	return opts.duration;
}

static __u8 frame[2048] __attribute__((aligned(8)));

static void op_run(struct json_object *cmd, struct json_object *ret)
{
	const char *way = text_of(cmd, "way"), *mac = text_of(cmd, "mac");
	const __u32 inner = (__u32)int_of(cmd, "inner"), packets = (__u32)int_of(cmd, "packets"),
		    batch = (__u32)int_of(cmd, "batch");
	struct load *l = &skel->bss->load;
	struct bpf_program *p;
	enum sink sink;
	__u64 before;
	__u32 len;
	double ns, began, first;

	memset(frame, 0, sizeof(frame));
	if (!strcmp(way, "decap")) {
		len = put_decap(&l->decap, frame, inner, mac);
		p = skel->progs.make_decap;
		sink = SINK_6;
	} else if (!strcmp(way, "encap")) {
		len = put_encap(&l->encap, frame, inner, mac);
		p = skel->progs.make_encap;
		sink = SINK_4;
	} else {
		len = put_solicit(&l->solicit, frame, mac);
		p = skel->progs.make_solicit;
		sink = SINK_ANSWERS;
	}
	l->out4 = l->out6 = (__u32)int_of(cmd, "ifindex");
	l->clients = (__u32)int_of(cmd, "clients");
	l->hosts = (__u32)int_of(cmd, "hosts");
	began = now();
	/* setting a run up takes some 30 ms, mostly of waiting */
	run(p, frame, len, l->out4, batch, batch);
	first = now();
	before = sunk(sink).packets;
	ns = run(p, frame, len, l->out4, packets, batch);
	json_object_object_add(ret, "first", json_object_new_int64(batch));
	json_object_object_add(ret, "wall_ns", json_object_new_double((now() - first - (first - began)) * 1e9 / packets));
	json_object_object_add(ret, "ns", json_object_new_double(ns));
	json_object_object_add(ret, "sunk", json_object_new_int64((__s64)(sunk(sink).packets - before)));
}

static void op_answered(struct json_object *cmd, struct json_object *ret)
{
	(void)cmd;
	json_object_object_add(ret, "answered", json_object_new_int64((__s64)sunk(SINK_ANSWERS).packets));
}

static const char *const kinds[KINDS] = { "decap", "encap", "new", "stranger", "forged", "unproven", "bubble" };

static struct json_object *by_kind(const __u64 *n)
{
	struct json_object *o = json_object_new_object();

	for (int k = 0; k < KINDS; k++)
		json_object_object_add(o, kinds[k], json_object_new_int64((__s64)n[k]));
	return o;
}

/* The upper ends of the classes, and how many there were in each. */
static struct json_object *delays(bool clear)
{
	struct json_object *o = json_object_new_object(), *list, *one;
	__u64 n, zero = 0;

	for (__u32 at = 0; at < KINDS * DELAYS; at++) {
		const __u32 class = at % DELAYS, log = class >> DELAY_SHIFT;

		if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.delays), &at, &n))
			die("delays");
		if (clear && n)
			bpf_map_update_elem(bpf_map__fd(skel->maps.delays), &at, &zero, 0);
		if (clear || !n)
			continue;
		if (!json_object_object_get_ex(o, kinds[at / DELAYS], &list)) {
			list = json_object_new_array();
			json_object_object_add(o, kinds[at / DELAYS], list);
		}
		one = json_object_new_array();
		json_object_array_add(one, json_object_new_int64(
			(__s64)((8ULL + (class & 7) + 1) << log >> DELAY_SHIFT)));
		json_object_array_add(one, json_object_new_int64((__s64)n));
		json_object_array_add(list, one);
	}
	return o;
}

static void op_paced(struct json_object *cmd, struct json_object *ret)
{
	struct load *l = &skel->bss->load;
	struct json_object *share = json_object_object_get(cmd, "share");
	const double seconds = json_object_get_double(json_object_object_get(cmd, "seconds"));
	double began, rest;
	__u32 len, sum = 0;

	memset(frame, 0, sizeof(frame));
	len = put_decap(&l->decap, frame, 64, text_of(cmd, "mac4"));
	put_bubble(&l->bubble, text_of(cmd, "mac4"));
	put_encap(&l->encap, frame, len - ETH_HLEN, text_of(cmd, "mac6"));
	l->out4 = (__u32)int_of(cmd, "ifindex4");
	l->out6 = (__u32)int_of(cmd, "ifindex6");
	l->clients = (__u32)int_of(cmd, "clients");
	l->hosts = (__u32)int_of(cmd, "hosts");
	l->window = (__u32)int_of(cmd, "window");
	l->pause_ns = int_of(cmd, "rate") ? 1000000000ULL / (__u32)int_of(cmd, "rate") : 0;
	l->next_ns = 0;
	l->answered = 0;
	for (int k = 0; k < KINDS; k++) {
		sum += (__u32)int_of(share, kinds[k]);
		l->share[k] = sum;
		l->sent[k] = l->got[k] = 0;
	}
	json_object_put(delays(true));
	began = now();
	while (now() < began + seconds) /* what is not due costs 60 ns */
		run(skel->progs.make_paced, frame, len, l->out4, 4000000, BATCH_PACED);
	json_object_object_add(ret, "seconds", json_object_new_double(now() - began));
	for (rest = now() + 0.2; now() < rest;) /* what is on its way still */
		sched_yield();
	json_object_object_add(ret, "sent", by_kind(l->sent));
	json_object_object_add(ret, "got", by_kind(l->got));
	json_object_object_add(ret, "answered", json_object_new_int64((__s64)l->answered));
	json_object_object_add(ret, "delays", delays(false));
}

static const struct {
	const char *name;
	void (*run)(struct json_object *cmd, struct json_object *ret);
} ops[] = { { "sink", op_sink }, { "run", op_run }, { "answered", op_answered }, { "paced", op_paced } };

int main(void)
{
	struct json_object *cmd, *ret;
	char *line = NULL;
	size_t size = 0;

	skel = load_bpf__open_and_load();
	if (!skel)
		die("load.bpf.o");
	while (getline(&line, &size, stdin) > 0) {
		cmd = json_tokener_parse(line);
		ret = json_object_new_object();
		for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			if (!strcmp(ops[i].name, text_of(cmd, "op")))
				ops[i].run(cmd, ret);
		puts(json_object_to_json_string_ext(ret, JSON_C_TO_STRING_PLAIN));
		fflush(stdout);
		json_object_put(cmd);
		json_object_put(ret);
	}
	free(line);
	return 0;
}
