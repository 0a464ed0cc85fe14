// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of HG48 under stress: the XDP program looks endpoints up and stamps them on every CPU at
 * once, while the daemon's code gives their slots to others beside it in the same memory.
 *
 *   stress_hg48 IFINDEX4 IFINDEX6 SECONDS
 *
 * Standing endpoints are there all the time, each has answered, and each look must find them (missed)
 * and lead to their own endpoint (wrong); a time that was seen of one must not be seen older (lost).
 * The others come and go, and take slots from each other: every second one has answered, and the
 * silent ones between them never do. Whatever is sent to or comes from a silent one must not be
 * forwarded here, not even when its slot just becomes another's (mixed). When one goes, it must have
 * the times that the daemon has given it (strange), and must have been let so many packets as one
 * that has not answered is let (quota). From time to time strangers come until no more are taken:
 * the daemon's count must be that of the table then, and who is due is always taken (drift).
 *
 * No name comes a second time: its slot could have had two owners within one look, where it takes
 * longer than a look for one's time to be over.
 */
#include "core/hg48.h"
#include "stress.h"

#define MAX_PEERS 16
#define SLOTS HG48_SLOTS(MAX_PEERS)
#define STANDING 4
#define GUESTS 8
#define LIFE (1 << 20) /* in coarse units, here of one tick: nobody is left alone for so long */
#define WINDOW (LIFE / 2)
#define LATELY (WINDOW / 2) /* when a silent one was sent to: at a time that no packet of here has */
#define QUOTA 3

static struct hg48_config *hg;
static struct hg48_table *table;
static struct hg48_entry *memory;
static struct endpoint4 standing[STANDING];
static struct endpoint4 silent; /* the one that came last; read and written as one word */
static struct endpoint4 guest;  /* the last that has answered */
static __u64 now; /* the daemon's, always: when it began */
static volatile bool done;
static int cpus;

static struct reader {
	struct looker looker;
	__u64 floor[STANDING][2]; /* heard, sent */
} reader[CPUS];

static struct {
	unsigned long rounds, strange, quota, drift;
	__u32 names;
} writer;

/* The times of an endpoint are written by others meanwhile. */
static __u64 time_at(const __u64 *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static struct endpoint4 read_name(const struct endpoint4 *at)
{
	struct endpoint4 e;

	__atomic_load(at, &e, __ATOMIC_ACQUIRE);
	return e;
}

static void write_name(struct endpoint4 *at, struct endpoint4 e)
{
	__atomic_store(at, &e, __ATOMIC_RELEASE);
}

static bool look_at(struct reader *r, struct endpoint4 at, bool encap)
{
	struct in6_addr addr = hg48_addr(hg, at);

	return look(&r->looker, &addr, at, encap);
}

static void check(struct reader *r, __u32 i)
{
	const struct hg48_peer *p = hg48_table_find(table, hg, standing[i]);
	const __u64 seen[2] = { time_at(&p->heard), time_at(&p->sent) };

	for (int t = 0; t < 2; t++) {
		r->looker.lost += seen[t] < r->floor[i][t];
		r->looker.stamps += seen[t] > r->floor[i][t];
		r->floor[i][t] = seen[t];
	}
}

static void *read_table(void *data)
{
	struct reader *r = data;
	struct endpoint4 at;
	struct in6_addr addr;
	__u32 n;

	stay_on(r->looker.cpu);
	for (__u32 i = 0; !done; i++) {
		at = read_name(&silent);
		addr = hg48_addr(hg, at);
		r->looker.mixed += look_interrupted(&r->looker, &addr, at, i & 1);
		if (i % 4)
			continue;
		n = i / 4 % STANDING;
		r->looker.missed += !look_at(r, standing[n], i / 4 & STANDING);
		check(r, n);
		look_at(r, read_name(&guest), i / 4 & 1); /* there, or not */
	}
	return NULL;
}

/* All of them contend for the same slots. */
static struct endpoint4 new_name(void)
{
	struct endpoint4 at;

	do {
		writer.names++;
		at = (struct endpoint4){ BE32(0x09000000 + writer.names / 32768), BE16(0x4000 + writer.names % 32768), 0 };
	} while (hg48_place(hg, &skel->rodata->cfg.seed, at) != MAX_PEERS);
	return at;
}

static struct hg48_peer *add(struct endpoint4 at, bool answers)
{
	enum reason why;
	struct hg48_peer *p = hg48_table_add(table, hg, at, answers ? 0 : writer.names, now, &why);

	if (p && answers)
		hg48_table_heard(table, p, now);
	return p;
}

/* As if its time were over. A packet that has just been let through may still say that it is not. */
static void expire(struct hg48_peer *p)
{
	do {
		__atomic_store_n(&p->heard, p->heard ? 1 : 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&p->sent, 1, __ATOMIC_SEQ_CST);
	} while (hg48_live(hg, p, now));
}

/* The next one comes for the one that was here: a silent one for one that has answered, and so on. */
static void change_guest(void)
{
	static struct endpoint4 here[GUESTS];
	static bool talks[GUESTS];
	const unsigned n = writer.rounds % GUESTS;
	struct hg48_peer *p = writer.rounds < GUESTS ? NULL : hg48_table_find(table, hg, here[n]);
	int let = 0;

	if (p && !talks[n])
		writer.strange += p->heard || p->sent != now - LATELY || p->packets != QUOTA;
	if (p)
		expire(p);
	if (writer.rounds & 64)
		hg48_table_sweep(table, hg, 1, now);
	here[n] = new_name();
	talks[n] = (writer.rounds / GUESTS + n) & 1;
	p = add(here[n], talks[n]);
	if (!p) {
		writer.drift++;
		return;
	}
	if (talks[n]) {
		write_name(&guest, here[n]);
		return;
	}
	for (int i = 0; i < QUOTA + 2; i++)
		let += hg48_may_send(hg, p, now - LATELY) == R_NONE;
	writer.quota += let != QUOTA;
	write_name(&silent, here[n]);
}

/* Strangers until no more are taken: half of all may be such that have never been heard of. */
static void flood(void)
{
	__u32 keys = 0, unheard = 0;
	struct hg48_peer *p;

	while ((p = add(new_name(), false)) != NULL)
		p->sent = now - LATELY + 1;
	for (__u32 i = 0; i < SLOTS; i++) {
		keys += !!memory[i].key;
		unheard += memory[i].key && !time_at(&memory[i].peer.heard);
	}
	writer.drift += unheard != MAX_PEERS / 2 || keys > MAX_PEERS;
	for (__u32 i = 0; i < SLOTS; i++)
		if (memory[i].key && memory[i].peer.sent == now - LATELY + 1)
			expire(&memory[i].peer);
	hg48_table_sweep(table, hg, 1, now);
}

static void write_table(__u64 end)
{
	for (; ns_now() < end; writer.rounds++) {
		change_guest();
		if (writer.rounds % 256 == 255)
			flood();
	}
}

static void begin(char **argv)
{
	struct nav_config *cfg = open_program(argv);

	hg = &cfg->hg48;
	inet_pton(AF_INET6, "fd4a:6b8c:2d10:1::", &hg->prefix);
	hg->service = service;
	hg->life = LIFE;
	hg->window = WINDOW;
	hg->window_packets = QUOTA;
	hg->max_peers = MAX_PEERS;
	hg->min_port = 1024;
	hg->link.mtu = HG48_MTU;
	bpf_map__set_max_entries(skel->maps.hg48_peers, SLOTS);
	load_program();
	memory = memory_of(skel->maps.hg48_peers, SLOTS * sizeof(*memory));
	if (hg48_table_new(memory, MAX_PEERS, (struct table_seed *)&cfg->seed, &table))
		exit(1);
	now = hg48_time(ticks_now());
	for (__u32 i = 0; i < STANDING; i++) {
		for (; i == STANDING / 2 && writer.rounds < GUESTS; writer.rounds++)
			change_guest(); /* some stand before them, some behind */
		standing[i] = new_name();
		add(standing[i], true);
	}
	cpus = cpu_count();
	for (__u32 i = 0; i < (__u32)cpus; i++)
		looker_start(&reader[i].looker, i, read_table, &reader[i]);
}

int main(int argc, char **argv)
{
	struct looker sum = { 0 };

	if (argc != 4)
		return 2;
	begin(argv);
	write_table(ns_now() + (__u64)atoi(argv[3]) * 1000000000);
	done = true;
	for (int i = 0; i < cpus; i++)
		looker_end(&reader[i].looker, &sum);
	printf("{\"cpus\":%d,\"looks\":%lu,\"stamps\":%lu,\"missed\":%lu,\"mixed\":%lu,\"wrong\":%lu,"
	       "\"failed\":%lu,\"lost\":%lu,\"strange\":%lu,\"quota\":%lu,\"drift\":%lu,\"changes\":%lu}\n",
	       cpus, sum.looks, sum.stamps, sum.missed, sum.mixed, sum.wrong,
	       sum.failed, sum.lost, writer.strange, writer.quota, writer.drift, writer.rounds);
	return 0;
}
