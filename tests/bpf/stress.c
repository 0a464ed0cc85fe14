// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table under stress: the XDP program looks clients up, stamps and marks them on every CPU at
 * once, while the daemon's code inserts, moves, marks and removes beside it in the same memory.
 *
 *   stress IFINDEX4 IFINDEX6 SECONDS      (both NICs have had an XDP program: runner.c says why)
 *
 * Standing clients are there all the time. Each look must find them and lead to their own endpoint
 * (missed, wrong), and what the program has stamped must not be seen older again (lost). Visitors
 * come and go, and are looked at all the same. Silent ones come and go and get no packet ever: they
 * must keep the stamp that they came with, whoever had their slots before (strange). In the last
 * fifth of the time the table is still, and two clients behind symmetric NATs replace each other in
 * the map of those: one is sent to, one is silent.
 *
 * Few slots, and seven of eight taken, so that each client moves many thousand times a second; and
 * the writer makes those that were heard a little older, so that each packet has to stamp, not only
 * the first of a tick. Prints one JSON object.
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
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <navalis/abi.h>
#include <navalis/csum.h>
#include "core/table.h"
#include "navalis.skel.h"

#define BUCKETS 16
#define STANDING 48
#define VISITORS 12
#define SILENT 52
#define CPUS 64
/* In coarse units, here of one tick: nobody is left alone for so long, on an emulated machine too. */
#define LIFE 8192

static struct navalis_bpf *skel;
static struct table table;
static struct bucket *memory;
static struct client *identities;
static struct in6_addr standing[STANDING], native;
static __be32 service;
static __u32 nic4, nic6;
static volatile bool still, done; /* the table; everything */
static int cpus;
static __u32 hearers; /* of the CPUs: so many that each has two clients of its own */

static struct reader {
	pthread_t thread;
	__u32 cpu, random;
	int timer;
	__u64 span; /* ns that an interrupted look takes */
	__u32 heard;           /* the client that was stamped last */
	__u32 newest;          /* of the stamps that were seen: it is at least as late */
	__u32 floor[STANDING]; /* below it this one's stamp must not be seen again */
	unsigned long looks, stamps, missed, wrong, failed, lost;
} reader[CPUS];

static bool aging[STANDING]; /* a reader asks the writer to let it age */

static struct {
	unsigned long rounds, strange;
} writer;

/* Behind symmetric NATs: the second one is silent. */
static struct {
	struct in6_addr addr;
	struct endpoint4 at;
} behind[2];

static struct in6_addr client(__u32 i)
{
	struct endpoint4 at = { BE32(0x09000000 + i * 7919), BE16(1024 + i % 50000), 0 };

	return teredo_addr(BE32(0x08000101), BE16(i & 0x3cff), at);
}

static __u64 ticks_now(void)
{
	struct nav_clock_reading r = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &r, .ctx_size_in = sizeof(r));

	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.read_clock), &opts))
		abort();
	return r.ticks;
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

static size_t decap_frame(__u8 *f, const struct in6_addr *from, struct endpoint4 at)
{
	size_t inner = put_ip6(f + 42, from, &native);
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
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = out, .data_size_out = 2048, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);

	return bpf_prog_test_run_opts(bpf_program__fd(skel->progs.navalis), &opts) ? -1 : (int)opts.retval;
}

static __u64 ns_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

/* A packet to the client, or from it; at: where it is. Has it been forwarded? */
static bool look(struct reader *r, const struct in6_addr *c, struct endpoint4 at, bool encap)
{
	__u8 frame[2048], out[2048];
	size_t len = encap ? encap_frame(frame, c) : decap_frame(frame, c, at);
	int verdict = run(frame, len, encap ? nic6 : nic4, out);

	r->looks++;
	r->failed += verdict < 0;
	if (verdict != XDP_REDIRECT)
		return false;
	r->wrong += encap && (memcmp(out + 30, &at.addr, 4) || memcmp(out + 36, &at.port, 2));
	return true;
}

/*
 * To the one behind a symmetric NAT, whose element has another owner a moment later. The program
 * reads it in a nanosecond: only a reader that is interrupted in there can see that. The timer has
 * nobody who waits for it; the interrupt is all.
 */
static void look_interrupted(struct reader *r)
{
	struct itimerspec in = { 0 };
	__u64 begin = ns_now(), took;

	r->random = r->random * 1664525 + 1013904223;
	in.it_value.tv_nsec = (long)(1 + (r->span * (r->random >> 8) >> 24) % 100000000);
	timerfd_settime(r->timer, 0, &in, NULL);
	look(r, &behind[0].addr, behind[0].at, true);
	took = ns_now() - begin;
	if (took < r->span * 2) /* else another thread had the CPU */
		r->span = (r->span * 15 + took) / 16;
}

/* Looked up as the program does it, but until it is found. */
static __u32 stamp_of_standing(__u32 i)
{
	const __u64 hash = table_hash(&table.seed, teredo_id(&standing[i]), teredo_server(&standing[i]));
	const __u64 mark = table_mark(&table.seed, hash);

	for (int turn = 0;; turn++) {
		const struct bucket *b = &memory[table_place(hash, turn % TABLE_PLACES, table.buckets)];
		const __u64 word = __atomic_load_n(&b->word[bucket_guess(b, mark)], __ATOMIC_ACQUIRE);

		if (word_is(word, mark))
			return (__u32)(word & STAMP_MASK);
	}
}

static __u32 moves_begun(void)
{
	return __atomic_load_n(&table.moves, __ATOMIC_SEQ_CST);
}

static void look_at_standing(struct reader *r, __u32 i, bool encap)
{
	r->missed += !look(r, &standing[i], teredo_mapped(&standing[i]), encap);
}

static bool older(__u32 stamp, __u32 than)
{
	return stamp_age(stamp, than) > 0;
}

/* While it is being moved a client may look older: what counts is what it is after that move. */
static void check(struct reader *r, __u32 i)
{
	__u32 moves = moves_begun(), stamp = stamp_of_standing(i);

	if (older(stamp, r->floor[i])) {
		while (moves_begun() == moves && !still)
			sched_yield();
		stamp = stamp_of_standing(i);
		r->lost += older(stamp, r->floor[i]);
	}
	r->floor[i] = stamp;
	if (older(r->newest, stamp))
		r->newest = stamp;
}

/*
 * A packet from a client that is to be stamped: it has aged. What comes from one comes to one CPU
 * alone, which then knows what it has stamped.
 */
static void hear(struct reader *r, __u32 i)
{
	__u32 last = r->heard;

	if (i == last || __atomic_load_n(&aging[i], __ATOMIC_ACQUIRE))
		return;
	r->floor[i] = r->newest;
	look_at_standing(r, i, false);
	check(r, i);
	r->stamps++;
	r->heard = i;
	check(r, last); /* it has stayed */
	__atomic_store_n(&aging[last], true, __ATOMIC_RELEASE);
}

static void *read_clients(void *data)
{
	struct reader *r = data;
	__u32 mine = r->cpu;
	struct in6_addr c;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((int)r->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (__u32 i = 0; i < STANDING; i++)
		r->floor[i] = stamp_of_standing(i);
	r->newest = r->floor[0];
	r->heard = r->cpu;
	for (__u32 i = 0; !still; i++) {
		if (r->cpu < hearers) {
			hear(r, mine);
			mine = mine + hearers < STANDING ? mine + hearers : r->cpu;
		}
		look_at_standing(r, i % STANDING, true);
		c = client(1000 + i % 4096); /* a visitor that may be there, or not */
		look(r, &c, teredo_mapped(&c), i & 1);
	}
	while (!done)
		look_interrupted(r);
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

static __u32 before(__u32 stamp, __u64 ticks)
{
	return (stamp - stamp_of(ticks)) & STAMP_MASK;
}

/* The next one comes for the one that was here. */
static void change_visitor(__u32 now)
{
	static struct in6_addr visitor[VISITORS];
	struct in6_addr *v = &visitor[writer.rounds % VISITORS];
	struct client *c = writer.rounds < VISITORS ? NULL : find(v);

	if (c)
		table_remove(&table, c);
	*v = client(1000 + (__u32)(writer.rounds * 31 % 4096));
	insert(v, now);
}

/* Its stamp is one that nobody else has: far from the present, but young. */
static void change_silent(__u32 now)
{
	static struct in6_addr silent[SILENT];
	static __u32 came[SILENT];
	unsigned n = writer.rounds % SILENT;
	struct client *c = writer.rounds < SILENT ? NULL : find(&silent[n]);

	if (c) {
		writer.strange += table_seen(&table, c) != came[n];
		table_remove(&table, c);
	}
	silent[n] = client(10000 + (__u32)(writer.rounds * 31 % 4096));
	came[n] = before(now, LIFE / 2);
	insert(&silent[n], came[n]);
}

/* The first one leaves, the second one comes into its place, the first one comes back to another. */
static void change_remapped(__u32 now)
{
	static struct remapped first, second;
	struct remapped seen;
	int map = bpf_map__fd(skel->maps.remapped);

	first = (struct remapped){ .endpoint = behind[0].at, .stamp = now };
	if (!bpf_map_lookup_elem(map, &behind[1].addr, &seen)) {
		bpf_map_update_elem(map, &behind[0].addr, &first, 0);
		writer.strange += seen.stamp != second.stamp;
		bpf_map_delete_elem(map, &behind[1].addr);
		return;
	}
	second = (struct remapped){ .endpoint = behind[1].at, .stamp = before(now, LIFE / 2) };
	bpf_map_delete_elem(map, &behind[0].addr);
	bpf_map_update_elem(map, &behind[1].addr, &second, 0);
}

/* As if it had been silent for some ticks. By the writer, who knows where it is. */
static void age(__u32 i)
{
	const long slot = find(&standing[i]) - identities;
	__u64 *word = &memory[slot / BUCKET_CLIENTS].word[slot % BUCKET_CLIENTS];
	__u64 old = __atomic_load_n(word, __ATOMIC_RELAXED);

	__atomic_compare_exchange_n(word, &old, word_heard(old, before((__u32)(old & STAMP_MASK), 8)), false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	__atomic_store_n(&aging[i], false, __ATOMIC_RELEASE);
}

static void write_clients(__u64 end)
{
	__u32 now = 0, i;

	for (; writer.rounds % 64 || ns_now() < end; writer.rounds++) {
		if (writer.rounds % 1024 == 0)
			now = stamp_of(ticks_now());
		change_visitor(now);
		change_silent(now);
		for (__u32 k = 0; k < 4; k++) {
			i = (__u32)(writer.rounds * 4 + k) % STANDING;
			table_mark_sent(&table, find(&standing[i]), writer.rounds & 1);
			if (__atomic_load_n(&aging[i], __ATOMIC_ACQUIRE))
				age(i);
		}
	}
}

static void write_remapped(__u64 end)
{
	while (ns_now() < end)
		change_remapped(stamp_of(ticks_now()));
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
	cfg->life = LIFE;
	cfg->reproof = 1; /* whatever is not of this tick is marked */
	cfg->n_nics = 2;
	cfg->nic[0] = nic4;
	cfg->nic[1] = nic6;
	cfg->buckets = BUCKETS;
	cfg->seed = (struct table_seed){ { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };
	cfg->nexthop_life = 256;
	bpf_map__set_max_entries(skel->maps.clients, BUCKETS);
	bpf_map__set_max_entries(skel->maps.identities, BUCKETS * BUCKET_CLIENTS);
	bpf_map__set_max_entries(skel->maps.remapped, 16);
	if (navalis_bpf__load(skel) ||
	    bpf_map__update_elem(skel->maps.own, &zero, sizeof(zero), &own, sizeof(own), 0))
		exit(1);
	for (__u32 slot = 0; slot < 2; slot++) {
		const __u64 mac = 0x020202020202;
		const struct nav_port port = { { mac, mac, mac, mac }, slot ? nic6 : nic4, 0 };

		bpf_map__update_elem(skel->maps.nics, &slot, sizeof(slot), &cfg->nic[slot], sizeof(cfg->nic[slot]), 0);
		bpf_map__update_elem(skel->maps.ports, &slot, sizeof(slot), &port, sizeof(port), 0);
	}
}

static void begin(void)
{
	struct nav_daemon *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED,
				       bpf_map__fd(skel->maps.daemon), 0);

	memory = mmap(NULL, BUCKETS * sizeof(*memory), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(skel->maps.clients), 0);
	identities = mmap(NULL, BUCKETS * BUCKET_CLIENTS * sizeof(*identities), PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(skel->maps.identities), 0);
	if (memory == MAP_FAILED || identities == MAP_FAILED || page == MAP_FAILED)
		exit(1);
	table_init(&table, memory, identities, BUCKETS, (struct table_seed *)&skel->rodata->cfg.seed,
		   BUCKETS * BUCKET_CLIENTS * 9 / 10, 0);
	table.moving = &page->moving;
	for (__u32 i = 0; i < STANDING; i++) {
		standing[i] = client(i);
		insert(&standing[i], stamp_of(ticks_now()));
		if (!find(&standing[i]))
			exit(1);
	}
	for (__u32 i = 0; i < 2; i++) {
		behind[i].addr = client(20000 + i);
		behind[i].at = (struct endpoint4){ BE32(0x09c80000 + i), BE16(2000 + i), 0 };
	}
	cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	cpus = cpus < CPUS ? cpus : CPUS;
	hearers = cpus < STANDING / 2 ? (__u32)cpus : STANDING / 2;
	for (__u32 i = 0; i < (__u32)cpus; i++) {
		reader[i].cpu = i;
		reader[i].span = 20000;
		reader[i].timer = timerfd_create(CLOCK_MONOTONIC, 0);
		if (reader[i].timer < 0 ||
		    pthread_create(&reader[i].thread, NULL, read_clients, &reader[i]))
			exit(1);
	}
}

int main(int argc, char **argv)
{
	struct reader sum = { 0 };
	__u64 start;

	if (argc != 4 || inet_pton(AF_INET6, "2a00:f::7", &native) != 1 ||
	    inet_pton(AF_INET, "8.0.2.1", &service) != 1)
		return 2;
	nic4 = (__u32)atoi(argv[1]);
	nic6 = (__u32)atoi(argv[2]);
	load();
	begin();
	start = ns_now();
	write_clients(start + (__u64)atoi(argv[3]) * 800000000);
	still = true;
	write_remapped(start + (__u64)atoi(argv[3]) * 1000000000);
	done = true;
	for (int i = 0; i < cpus; i++) {
		pthread_join(reader[i].thread, NULL);
		sum.looks += reader[i].looks;
		sum.stamps += reader[i].stamps;
		sum.missed += reader[i].missed;
		sum.wrong += reader[i].wrong;
		sum.failed += reader[i].failed;
		sum.lost += reader[i].lost;
	}
	printf("{\"cpus\":%d,\"looks\":%lu,\"stamps\":%lu,\"missed\":%lu,\"wrong\":%lu,\"failed\":%"
	       "lu,"
	       "\"lost\":%lu,\"strange\":%lu,\"inserts\":%lu,\"moves\":%u}\n",
	       cpus, sum.looks, sum.stamps, sum.missed, sum.wrong, sum.failed, sum.lost,
	       writer.strange, writer.rounds * 2, table.moves);
	return 0;
}
