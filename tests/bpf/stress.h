/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of shared tables under stress have in common: the XDP program, loaded for two NICs,
 * and packets that it is given on any CPU.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

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
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <navalis/abi.h>
#include <navalis/csum.h>
#include "navalis.skel.h"

#define CPUS 64

static struct navalis_bpf *skel;
static struct in6_addr native;
static struct endpoint4 service;
static __u32 nic4, nic6;

/* A thread, what it has asked of the program, and what its test has found in the answers. */
struct looker {
	unsigned long looks, wrong, failed;
	unsigned long stamps, missed, mixed, lost;
	pthread_t thread;
	__u32 cpu;
	int timer;
	__u64 span; /* ns that an interrupted look takes */
	__u32 random;
};

static inline __u64 ns_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

/* The program's configuration, which its test completes before it is loaded. */
static inline struct nav_config *open_program(char **argv)
{
	struct nav_config *cfg;

	skel = navalis_bpf__open();
	if (!skel || inet_pton(AF_INET6, "2a00:f::7", &native) != 1 ||
	    inet_pton(AF_INET, "8.0.2.1", &service.addr) != 1)
		exit(1);
	service.port = BE16(3545);
	nic4 = (__u32)atoi(argv[1]);
	nic6 = (__u32)atoi(argv[2]);
	cfg = (struct nav_config *)&skel->rodata->cfg;
	cfg->n_nics = 2;
	cfg->nic[0] = nic4;
	cfg->nic[1] = nic6;
	cfg->seed = (struct table_seed){ { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };
	cfg->nexthop_life = 256;
	return cfg;
}

static inline void load_program(void)
{
	struct nav_own own = { 0 };
	__u32 zero = 0;

	if (navalis_bpf__load(skel) ||
	    bpf_map__update_elem(skel->maps.own, &zero, sizeof(zero), &own, sizeof(own), 0))
		exit(1);
	for (__u32 slot = 0; slot < 2; slot++) {
		const __u64 mac = 0x020202020202;
		const __u32 nic = slot ? nic6 : nic4;
		const struct nav_port port = { { mac, mac, mac, mac }, nic, 0 };

		bpf_map__update_elem(skel->maps.nics, &slot, sizeof(slot), &nic, sizeof(nic), 0);
		bpf_map__update_elem(skel->maps.ports, &slot, sizeof(slot), &port, sizeof(port), 0);
	}
}

/* A map's memory. */
static inline void *memory_of(const struct bpf_map *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED)
		exit(1);
	return p;
}

static inline __u64 ticks_now(void)
{
	struct nav_clock_reading r = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &r, .ctx_size_in = sizeof(r));

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.read_clock), &opts))
		abort();
	return r.ticks;
}

static inline size_t put_ip6(__u8 *p, const struct in6_addr *src, const struct in6_addr *dst)
{
	struct ipv6hdr h = { .version = 6, .payload_len = BE16(20), .nexthdr = IPPROTO_TCP, .hop_limit = 60 };

	h.saddr = *src;
	h.daddr = *dst;
	memcpy(p, &h, sizeof(h));
	memset(p + sizeof(h), 0x11, 20);
	return sizeof(h) + 20;
}

static inline size_t encap_frame(__u8 *f, const struct in6_addr *to)
{
	memset(f, 2, 12);
	memcpy(f + 12, "\x86\xdd", 2);
	return 14 + put_ip6(f + 14, &native, to);
}

static inline size_t decap_frame(__u8 *f, const struct in6_addr *from, struct endpoint4 at)
{
	size_t inner = put_ip6(f + 42, from, &native);
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP,
			    .tot_len = BE16(28 + inner), .saddr = at.addr, .daddr = service.addr };
	struct udphdr udp = { .source = at.port, .dest = service.port, .len = BE16(8 + inner) };

	memset(f, 2, 12);
	memcpy(f + 12, "\x08\x00", 2);
	ip.check = (__be16)(__u16)~csum_fold(csum_ip4(&ip));
	memcpy(f + 14, &ip, sizeof(ip));
	memcpy(f + 34, &udp, sizeof(udp));
	return 42 + inner;
}

/* Runs the program once. XDP_ verdict or -1; out is what the frame has become. */
static inline int run(const __u8 *frame, size_t len, __u32 nic, __u8 *out)
{
	struct xdp_md ctx = { .data_end = (__u32)len, .ingress_ifindex = nic };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = out, .data_size_out = 2048, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	return bpf_prog_test_run_opts(bpf_program__fd(skel->progs.navalis), &opts) ? -1 : (int)opts.retval;
}

/* A packet to the client, or from it; at: where it is. Has it been forwarded? */
static inline bool look(struct looker *l, const struct in6_addr *c, struct endpoint4 at, bool encap)
{
	__u8 frame[2048], out[2048];
	size_t len = encap ? encap_frame(frame, c) : decap_frame(frame, c, at);
	int verdict = run(frame, len, encap ? nic6 : nic4, out);

	l->looks++;
	l->failed += verdict < 0;
	if (verdict != XDP_REDIRECT)
		return false;
	l->wrong += encap && (memcmp(out + 30, &at.addr, 4) || memcmp(out + 36, &at.port, 2));
	return true;
}

/*
 * The same for what has another owner a moment later. The program reads it in a nanosecond: only a
 * reader that is interrupted in there can see that. The timer has nobody who waits for it; the
 * interrupt is all.
 */
static inline bool look_interrupted(struct looker *l, const struct in6_addr *c, struct endpoint4 at, bool encap)
{
	struct itimerspec in = { 0 };
	__u64 begin = ns_now(), took;
	bool forwarded;

	l->random = l->random * 1664525 + 1013904223;
	in.it_value.tv_nsec = (long)(1 + (l->span * (l->random >> 8) >> 24) % 100000000);
	timerfd_settime(l->timer, 0, &in, NULL);
	forwarded = look(l, c, at, encap);
	took = ns_now() - begin;
	if (took < l->span * 2) /* else another thread had the CPU */
		l->span = (l->span * 15 + took) / 16;
	return forwarded;
}

static inline int cpu_count(void)
{
	const int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < CPUS ? cpus : CPUS;
}

/* The thread stays there from now on. */
static inline void stay_on(__u32 cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((int)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static inline void looker_start(struct looker *l, __u32 cpu, void *(*body)(void *), void *data)
{
	l->cpu = cpu;
	l->span = 20000;
	l->timer = timerfd_create(CLOCK_MONOTONIC, 0);
	if (l->timer < 0 || pthread_create(&l->thread, NULL, body, data))
		exit(1);
}

/* Waits for its end, and adds what it has counted. */
static inline void looker_end(struct looker *l, struct looker *sum)
{
	pthread_join(l->thread, NULL);
	sum->looks += l->looks;
	sum->wrong += l->wrong;
	sum->failed += l->failed;
	sum->stamps += l->stamps;
	sum->missed += l->missed;
	sum->mixed += l->mixed;
	sum->lost += l->lost;
}

#endif
