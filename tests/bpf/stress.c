// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table under stress: the XDP program looks clients up and stamps them on every CPU at once, while
 * the daemon's code inserts, moves, marks and removes beside it in the same memory.
 *
 *   stress IFINDEX4 IFINDEX6 SECONDS      (both NICs have had an XDP program: runner.c says why)
 *
 * Standing clients are there all the time, and kept alive by the program's stamps alone: each look
 * must find them, and lead to their own endpoint. Guests come and go, so that somebody always has to
 * move. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <navalis/abi.h>
#include <navalis/csum.h>
#include "core/table.h"
#include "navalis.skel.h"

#define BUCKETS 64
#define STANDING 184 /* with the guests nine of ten slots are taken: most inserts move somebody */
#define GUESTS 40
#define CPUS 64
#define SHIFT 6

static struct navalis_bpf *skel;
static struct table table;
static struct in6_addr standing[STANDING], native;
static __be32 service;
static __u32 nic4, nic6;
static volatile bool done;

static struct reader {
	pthread_t thread;
	int cpu;
	unsigned long looks, missed, wrong, failed;
} reader[CPUS];

static struct in6_addr client(__u32 i)
{
	struct endpoint4 at = { BE32(0x09000000 + i * 7919), BE16(1024 + i % 50000), 0 };

	return teredo_addr(BE32(0x08000101), BE16(i & 0x3cff), at);
}

static __u64 units_now(void)
{
	struct nav_clock_reading r = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &r, .ctx_size_in = sizeof(r));

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.read_clock), &opts))
		abort();
	return r.ticks >> SHIFT;
}

static size_t put_ip6(__u8 *p, const struct in6_addr *src, const struct in6_addr *dst)
{
	struct ipv6hdr h = { .version = 6, .payload_len = BE16(20), .nexthdr = IPPROTO_TCP, .hop_limit = 60 };

	h.saddr = *src;
	h.daddr = *dst;
	memcpy(p, &h, sizeof(h));
	memset(p + sizeof(h), 0x11, 20);
	return sizeof(h) + 20;
}

static size_t encap_frame(__u8 *f, const struct in6_addr *to)
{
	memset(f, 2, 12);
	memcpy(f + 12, "\x86\xdd", 2);
	return 14 + put_ip6(f + 14, &native, to);
}

static size_t decap_frame(__u8 *f, const struct in6_addr *from)
{
	size_t inner = put_ip6(f + 42, from, &native);
	struct endpoint4 at = teredo_mapped(from);
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP,
			    .tot_len = BE16(28 + inner), .saddr = at.addr, .daddr = service };
	struct udphdr udp = { .source = at.port, .dest = BE16(3545), .len = BE16(8 + inner) };

	memset(f, 2, 12);
	memcpy(f + 12, "\x08\x00", 2);
	ip.check = (__be16)(__u16)~csum_fold(csum_ip4(&ip));
	memcpy(f + 14, &ip, sizeof(ip));
	memcpy(f + 34, &udp, sizeof(udp));
	return 42 + inner;
}

/* Runs the program once. XDP_ verdict or -1; out is what the frame has become. */
static int run(const __u8 *frame, size_t len, __u32 nic, __u8 *out)
{
	struct xdp_md ctx = { .data_end = (__u32)len, .ingress_ifindex = nic };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len, .data_out = out,
		    .data_size_out = 2048, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);

	return bpf_prog_test_run_opts(bpf_program__fd(skel->progs.navalis), &opts) ? -1 : (int)opts.retval;
}

/* Is this what leaves for a client, or what came from it? */
static bool right(const __u8 *out, const struct in6_addr *c, bool encap)
{
	struct endpoint4 at = teredo_mapped(c);

	if (!encap)
		return !memcmp(out + 14 + 8, c, 16);
	return !memcmp(out + 30, &at.addr, 4) && !memcmp(out + 36, &at.port, 2);
}

static void look(struct reader *r, const struct in6_addr *c, bool encap, bool must)
{
	__u8 frame[2048], out[2048];
	size_t len = encap ? encap_frame(frame, c) : decap_frame(frame, c);
	int verdict = run(frame, len, encap ? nic6 : nic4, out);

	r->looks++;
	r->failed += verdict < 0;
	if (verdict == XDP_REDIRECT)
		r->wrong += !right(out, c, encap);
	else
		r->missed += must;
}

static void *read_clients(void *data)
{
	struct reader *r = data;
	struct in6_addr c;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(r->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (__u32 i = (__u32)r->cpu; !done; i++) {
		look(r, &standing[i % STANDING], i / STANDING & 1, true);
		c = client(1000 + i % 4096); /* a guest that may be there, or not */
		look(r, &c, i & 1, false);
	}
	return NULL;
}

static void insert(const struct in6_addr *c, __u32 stamp)
{
	struct client *entry;

	table_insert(&table, teredo_id(c), teredo_server(c), stamp, &entry);
}

static struct client *find(const struct in6_addr *c)
{
	return table_find(&table, teredo_id(c), teredo_server(c));
}

static unsigned long write_clients(unsigned seconds)
{
	struct in6_addr guest[GUESTS] = { 0 }, *g;
	unsigned long rounds = 0;
	time_t end = time(NULL) + seconds;
	__u32 stamp = 0;

	for (; time(NULL) < end; rounds++) {
		if (rounds % 1024 == 0)
			stamp = stamp_of(units_now());
		g = &guest[rounds % GUESTS];
		if (find(g))
			table_remove(&table, find(g));
		*g = client(1000 + (__u32)(rounds * 31 % 4096));
		insert(g, stamp);
		table_mark_sent(find(&standing[rounds % STANDING]), rounds & 1);
	}
	return rounds;
}

static void load(void)
{
	struct nav_config *cfg;
	struct nav_own own = { 0 };
	__u32 zero = 0;

	skel = navalis_bpf__open();
	if (!skel)
		exit(1);
	cfg = (struct nav_config *)&skel->rodata->cfg;
	cfg->service = (struct endpoint4){ service, BE16(3545), 0 };
	cfg->mtu = 1280;
	cfg->life = 30;      /* so short that a lost stamp is a lost client */
	cfg->reproof = 20;
	cfg->n_nics = 2;
	cfg->nic[0] = nic4;
	cfg->nic[1] = nic6;
	cfg->bucket_mask = BUCKETS - 1;
	cfg->clock_shift = SHIFT;
	cfg->seed = (struct table_seed){ { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };
	cfg->nexthop_life = 4;
	bpf_map__set_max_entries(skel->maps.clients, BUCKETS);
	bpf_map__set_max_entries(skel->maps.remapped, 16);
	if (navalis_bpf__load(skel) ||
	    bpf_map__update_elem(skel->maps.own, &zero, sizeof(zero), &own, sizeof(own), 0))
		exit(1);
	for (__u32 slot = 0; slot < 2; slot++) {
		const __u64 mac = 0x020202020202;
		const struct nav_port port = { { mac, mac, mac, mac }, slot ? nic6 : nic4, 0 };

		bpf_map__update_elem(skel->maps.ports, &slot, sizeof(slot), &port, sizeof(port), 0);
	}
}

int main(int argc, char **argv)
{
	struct bucket *memory;
	unsigned long sum[4] = { 0 }, rounds;
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

	if (argc != 4 || inet_pton(AF_INET6, "2a00:f::7", &native) != 1 || inet_pton(AF_INET, "8.0.2.1", &service) != 1)
		return 2;
	nic4 = (__u32)atoi(argv[1]);
	nic6 = (__u32)atoi(argv[2]);
	load();
	memory = mmap(NULL, BUCKETS * sizeof(*memory), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(skel->maps.clients), 0);
	if (memory == MAP_FAILED ||
	    table_init(&table, memory, BUCKETS, (struct table_seed *)&skel->rodata->cfg.seed,
		       BUCKETS * BUCKET_CLIENTS * 9 / 10, 0))
		return 1;
	for (__u32 i = 0; i < STANDING; i++) {
		standing[i] = client(i);
		insert(&standing[i], stamp_of(units_now()));
		if (!find(&standing[i]))
			return 1;
	}
	cpus = cpus < CPUS ? cpus : CPUS;
	for (int i = 0; i < cpus; i++) {
		reader[i].cpu = i;
		pthread_create(&reader[i].thread, NULL, read_clients, &reader[i]);
	}
	rounds = write_clients((unsigned)atoi(argv[3]));
	done = true;
	for (int i = 0; i < cpus; i++) {
		pthread_join(reader[i].thread, NULL);
		sum[0] += reader[i].looks;
		sum[1] += reader[i].missed;
		sum[2] += reader[i].wrong;
		sum[3] += reader[i].failed;
	}
	printf("{\"cpus\":%d,\"looks\":%lu,\"missed\":%lu,\"wrong\":%lu,\"failed\":%lu,\"inserts\":%lu,\"moves\":%u}\n",
	       cpus, sum[0], sum[1], sum[2], sum[3], rounds, table.moves);
	return 0;
}
