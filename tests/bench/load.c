// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads a relay with frames and counts what comes out: one JSON object a line on stdin, one on
 * stdout for each. Runs in the namespace of the far ends of the relay's NICs.
 *
 *   {"op": "sink", "side": 4 | 6, "ifindex": N}     what arrives there is counted and dropped
 *   {"op": "run", "way": "decap" | "encap", "ifindex": N, "mac": HEX, "clients": N, "inner": BYTES,
 *    "packets": N}
 *       sends so many frames to the NIC behind that device, whose MAC address it is, each of one of
 *       the clients at random; answers {"ns", "sunk"}: the time that it took with all that followed
 *       on this CPU, and the packets that came out on the other side
 */
#include <arpa/inet.h>
#include <json-c/json.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stdio.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <navalis/csum.h>
#include "clients.h"
#include "load.h"
#include "tests/bench/load.skel.h"

#define BATCH 64

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

static struct sunk sunk(__u32 side)
{
	int cpus = libbpf_num_possible_cpus();
	struct sunk v[cpus], sum = { 0 };

	if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.sunk), &side, v))
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

static __u32 put_decap(struct template *t, __u8 *frame, __u32 inner, const char *mac)
{
	struct iphdr *ip = (void *)(frame + ETH_HLEN);
	struct udphdr *udp = (void *)(ip + 1);
	__u16 udp_len = (__u16)(sizeof(*udp) + inner);

	put_eth((void *)frame, mac, ETH_P_IP);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP,
			      .tot_len = BE16(sizeof(*ip) + udp_len) };
	inet_pton(AF_INET, "8.0.2.1", &ip->daddr);
	udp->dest = BE16(3545);
	udp->len = BE16(udp_len);
	t->ip_sum = (__u32)csum_ip4(ip);
	t->inner_sum = put_inner((void *)(udp + 1), inner, "2001:0:800:101::", "2a00:f::");
	t->outer_sum = (__u32)(csum_udp4_head(0, ip->daddr, 0, udp->dest, udp->len) +
			       csum_lco((void *)(udp + 1)));
	memcpy(t->head, frame, HEADERS_MAX);
	return ETH_HLEN + sizeof(*ip) + udp_len;
}

static __u32 put_encap(struct template *t, __u8 *frame, __u32 inner, const char *mac)
{
	put_eth((void *)frame, mac, ETH_P_IPV6);
	t->inner_sum = put_inner(frame + ETH_HLEN, inner, "2a00:f::1", "2001:0:800:101::");
	memcpy(t->head, frame, HEADERS_MAX);
	return ETH_HLEN + inner;
}

static void op_sink(struct json_object *cmd, struct json_object *ret)
{
	struct bpf_program *p = int_of(cmd, "side") == 4 ? skel->progs.sink4 : skel->progs.sink6;

	(void)ret;
	if (!bpf_program__attach_xdp(p, int_of(cmd, "ifindex")))
		die("sink");
}

static void op_run(struct json_object *cmd, struct json_object *ret)
{
	static __u8 frame[2048] __attribute__((aligned(8)));
	const bool decap = !strcmp(text_of(cmd, "way"), "decap");
	const __u32 inner = (__u32)int_of(cmd, "inner"), packets = (__u32)int_of(cmd, "packets");
	struct load *l = &skel->bss->load;
	struct xdp_md ctx = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = (int)packets, .batch_size = BATCH, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	struct sunk before = sunk(decap), after;

	memset(frame, 0, sizeof(frame));
	opts.data_size_in = decap ? put_decap(&l->decap, frame, inner, text_of(cmd, "mac")) :
				    put_encap(&l->encap, frame, inner, text_of(cmd, "mac"));
	ctx.data_end = opts.data_size_in;
	l->out4 = l->out6 = (__u32)int_of(cmd, "ifindex");
	ctx.ingress_ifindex = l->out4;
	l->clients = (__u32)int_of(cmd, "clients");
	l->hosts = (__u32)int_of(cmd, "hosts");
	if (bpf_prog_test_run_opts(bpf_program__fd(decap ? skel->progs.make_decap : skel->progs.make_encap), &opts))
		die("live frames");
	after = sunk(decap);
	json_object_object_add(ret, "ns", json_object_new_double((double)opts.duration));
	json_object_object_add(ret, "sunk", json_object_new_int64((__s64)(after.packets - before.packets)));
}

static const struct {
	const char *name;
	void (*run)(struct json_object *cmd, struct json_object *ret);
} ops[] = { { "sink", op_sink }, { "run", op_run } };

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
