// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes an instance's pinned table past its daemon, which must not run meanwhile or must leave the
 * table alone: proves the first N clients of clients.h, or makes all that are there heard of MS ago.
 *
 *   fill INSTANCE clients N       prints the nanoseconds that one insert took
 *   fill INSTANCE heard MS
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <navalis/abi.h>
#include "clients.h"
#include "core/table.h"

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

static int map_of(const char *instance, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), NAV_FOLDER "/%s", instance, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		die(path);
	return fd;
}

static void prove(struct table *t, __u32 n, __u32 stamp)
{
	struct client *c;
	__u64 began = now_ns();

	for (__u32 i = 0; i < n; i++) {
		const struct in6_addr a = bench_client(i);

		if (table_insert(t, teredo_id(&a), teredo_server(&a), stamp, &c) == -ENOSPC) {
			fprintf(stderr, "no room for client %u\n", i);
			exit(1);
		}
	}
	printf("%.1f\n", n ? (double)(now_ns() - began) / n : 0);
}

int main(int argc, char **argv)
{
	struct nav_meta meta;
	struct table table;
	struct bucket *buckets;
	__u32 zero = 0, n, stamp;
	size_t size;

	if (argc != 4)
		return 2;
	n = (__u32)strtoul(argv[3], NULL, 0);
	if (bpf_map_lookup_elem(map_of(argv[1], "meta"), &zero, &meta))
		die("meta");
	size = (size_t)meta.buckets * sizeof(struct bucket);
	buckets = mmap(NULL, (size + 4095) & ~4095UL, PROT_READ | PROT_WRITE, MAP_SHARED, map_of(argv[1], "clients"), 0);
	if (buckets == MAP_FAILED)
		die("table");
	if (!strcmp(argv[2], "clients")) {
		stamp = stamp_of(nav_units(&meta.clock, now_ns()));
		if (table_init(&table, buckets, meta.buckets, &meta.seed, n, now_ns() / 1000000))
			die("table");
		prove(&table, n, stamp);
		table_release(&table);
	} else if (!strcmp(argv[2], "heard")) {
		stamp = stamp_of(nav_units(&meta.clock, now_ns() - n * 1000000ULL));
		for (struct bucket *b = buckets; b < buckets + meta.buckets; b++)
			for (int i = 0; i < BUCKET_CLIENTS; i++)
				if (b->client[i].id)
					__atomic_store_n(&b->client[i].stamp, stamp, __ATOMIC_RELAXED);
	} else {
		return 2;
	}
	return 0;
}
