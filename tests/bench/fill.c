// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fills the pinned table of an instance by the daemon's own code, while no daemon runs: it would not
 * know of them, and counts those that it has found at its start.
 *
 *   fill INSTANCE N [AGE]      clients 0 to N - 1 (clients.h), heard of AGE seconds ago; -AGE: in AGE seconds
 *
 * Prints {"clients": in the table now, "new", "ns_each": of an insert, "beside_percent": beside their home, "far_percent": in their far bucket}.
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <navalis/abi.h>
#include "clients.h"
#include "core/table.h"

static __u64 ns_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

static int open_map(const char *instance, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), NAV_FOLDER "/%s", instance, name);
	return bpf_obj_get(path);
}

static void *map_memory(const char *instance, const char *name, size_t size)
{
	int fd = open_map(instance, name);

	return fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* Of all clients, those in the bucket which of theirs. */
static double percent_in(const struct table *t, int which)
{
	__u64 n = 0;

	for (__u64 slot = 0; slot < (__u64)t->buckets * BUCKET_CLIENTS; slot++) {
		const struct client *c = table_at(t, slot);
		const __u64 hash = c ? table_hash(&t->seed, c->id, c->server) : 0, b = slot / BUCKET_CLIENTS;

		n += c && table_place(hash, which, t->buckets) == b && table_place(hash, 0, t->buckets) != b;
	}
	return t->n ? 100.0 * (double)n / t->n : 0;
}

int main(int argc, char **argv)
{
	__u32 zero = 0, n = argc > 2 ? (__u32)strtoul(argv[2], NULL, 10) : 0, stamp, was;
	double age = argc > 3 ? strtod(argv[3], NULL) : 0;
	struct client *identities;
	struct bucket *memory;
	struct nav_meta meta;
	struct client *entry;
	struct table table;
	__u64 start, took;
	__u32 moves;

	if (argc < 3 || argc > 4)
		return 2;
	if (bpf_map_lookup_elem(open_map(argv[1], "meta"), &zero, &meta) || meta.abi != NAV_ABI) {
		fprintf(stderr, "no instance %s of this version\n", argv[1]);
		return 1;
	}
	memory = map_memory(argv[1], "clients", (size_t)meta.buckets * sizeof(*memory));
	identities = map_memory(argv[1], "identities", (size_t)meta.buckets * BUCKET_CLIENTS * sizeof(*identities));
	if (memory == MAP_FAILED || identities == MAP_FAILED) {
		perror("the table");
		return 1;
	}
	table_init(&table, memory, identities, meta.buckets, &meta.seed, ~0U, ns_now() / 1000000);
	was = table.n;
	stamp = stamp_of(nav_units(&meta.clock, ns_now() - (__u64)(__s64)(age * 1e9)));
	start = ns_now();
	for (__u32 i = 0; i < n; i++) {
		struct in6_addr a = bench_client(i);

		if (table_insert(&table, teredo_id(&a), teredo_server(&a), stamp, &entry) == -ENOSPC) {
			fprintf(stderr, "full at %u\n", table.n);
			return 1;
		}
	}
	took = ns_now() - start;
	do { /* as the daemon does in time: nobody is moved any more for nothing */
		moves = table.moves;
		for (__u32 b = 0; b < table.buckets; b++)
			table_settle(&table, b);
	} while (table.moves != moves);
	printf("{\"clients\":%u,\"new\":%u,\"ns_each\":%.1f,\"beside_percent\":%.2f,\"far_percent\":%.2f}\n", table.n, table.n - was,
	       n ? (double)took / n : 0, percent_in(&table, 1), percent_in(&table, 2));
	return 0;
}
