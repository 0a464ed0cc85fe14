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
#include "core/table.h"
#include "stress.h"

#define BUCKETS 16
#define STANDING 48
#define VISITORS 12
#define SILENT 52
/* In coarse units, here of one tick: nobody is left alone for so long, on an emulated machine too. */
#define LIFE 8192

static struct table table;
static struct bucket *memory;
static struct client *identities;
static struct in6_addr standing[STANDING];
static volatile bool still, done; /* the table; everything */
static int cpus;
static __u32 hearers; /* of the CPUs: so many that each has two clients of its own */

static struct reader {
	struct looker looker;
	__u32 heard;           /* the client that was stamped last */
	__u32 newest;          /* of the stamps that were seen: it is at least as late */
	__u32 floor[STANDING]; /* below it this one's stamp must not be seen again */
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
	r->looker.missed += !look(&r->looker, &standing[i], teredo_mapped(&standing[i]), encap);
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
		r->looker.lost += older(stamp, r->floor[i]);
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
	r->looker.stamps++;
	r->heard = i;
	check(r, last); /* it has stayed */
	__atomic_store_n(&aging[last], true, __ATOMIC_RELEASE);
}

static void *read_clients(void *data)
{
	struct reader *r = data;
	__u32 mine = r->looker.cpu;
	struct in6_addr c;

	stay_on(r->looker.cpu);
	for (__u32 i = 0; i < STANDING; i++)
		r->floor[i] = stamp_of_standing(i);
	r->newest = r->floor[0];
	r->heard = r->looker.cpu;
	for (__u32 i = 0; !still; i++) {
		if (r->looker.cpu < hearers) {
			hear(r, mine);
			mine = mine + hearers < STANDING ? mine + hearers : r->looker.cpu;
		}
		look_at_standing(r, i % STANDING, true);
		c = client(1000 + i % 4096); /* a visitor that may be there, or not */
		look(&r->looker, &c, teredo_mapped(&c), i & 1);
	}
	while (!done)
		look_interrupted(&r->looker, &behind[0].addr, behind[0].at, true);
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

static void load(char **argv)
{
	struct nav_config *cfg = open_program(argv);

	cfg->service = service;
	cfg->mtu = 1280;
	cfg->life = LIFE;
	cfg->reproof = 1; /* whatever is not of this tick is marked */
	cfg->buckets = BUCKETS;
	bpf_map__set_max_entries(skel->maps.clients, BUCKETS);
	bpf_map__set_max_entries(skel->maps.identities, BUCKETS * BUCKET_CLIENTS);
	bpf_map__set_max_entries(skel->maps.remapped, 16);
	load_program();
}

static void begin(void)
{
	struct nav_daemon *page = memory_of(skel->maps.daemon, sizeof(*page));

	memory = memory_of(skel->maps.clients, BUCKETS * sizeof(*memory));
	identities = memory_of(skel->maps.identities, BUCKETS * BUCKET_CLIENTS * sizeof(*identities));
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
	cpus = cpu_count();
	hearers = cpus < STANDING / 2 ? (__u32)cpus : STANDING / 2;
	for (__u32 i = 0; i < (__u32)cpus; i++)
		looker_start(&reader[i].looker, i, read_clients, &reader[i]);
}

int main(int argc, char **argv)
{
	struct looker sum = { 0 };
	__u64 start;

	if (argc != 4)
		return 2;
	load(argv);
	begin();
	start = ns_now();
	write_clients(start + (__u64)atoi(argv[3]) * 800000000);
	still = true;
	write_remapped(start + (__u64)atoi(argv[3]) * 1000000000);
	done = true;
	for (int i = 0; i < cpus; i++)
		looker_end(&reader[i].looker, &sum);
	printf("{\"cpus\":%d,\"looks\":%lu,\"stamps\":%lu,\"missed\":%lu,\"wrong\":%lu,\"failed\":%"
	       "lu,"
	       "\"lost\":%lu,\"strange\":%lu,\"inserts\":%lu,\"moves\":%u}\n",
	       cpus, sum.looks, sum.stamps, sum.missed, sum.wrong, sum.failed, sum.lost,
	       writer.strange, writer.rounds * 2, table.moves);
	return 0;
}
