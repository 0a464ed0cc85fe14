// SPDX-License-Identifier: GPL-2.0-or-later
/* The pinned maps of an instance, for reading: with or without a daemon. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define ALIVE_NS 3000000000ULL /* navalisd says that it is there each second */

static int open_map(const struct ctl *c, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), NAV_FOLDER "/%s", c->instance, name);
	return bpf_obj_get(path);
}

/*
 * The one value of an array map: as much of it as fits, but never more than the map has. Somebody
 * else's map of the same name may have a value of any size. *whole: it has just the size asked for.
 */
static int read_one(const struct ctl *c, const char *name, void *value, size_t size, bool *whole)
{
	struct bpf_map_info info = { 0 };
	__u32 zero = 0, len = sizeof(info);
	int fd = open_map(c, name), err = 0;
	char *all = NULL;

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != BPF_MAP_TYPE_ARRAY)
		err = -EPROTO;
	if (!err && !(all = malloc(info.value_size)))
		err = -ENOMEM;
	if (!err && bpf_map_lookup_elem(fd, &zero, all))
		err = -errno;
	if (!err) {
		*whole = info.value_size == size;
		memset(value, 0, size);
		memcpy(value, all, info.value_size < size ? info.value_size : size);
	}
	free(all);
	close(fd);
	return err;
}

int maps_meta(const struct ctl *c, struct nav_meta *ret)
{
	bool whole;
	int err;

	libbpf_set_print(NULL);
	err = read_one(c, "meta", ret, sizeof(*ret), &whole);
	if (err)
		return err;
	if (ret->magic != NAV_MAGIC)
		return -ENOENT;
	return whole && ret->abi == NAV_ABI && ret->reasons == R_MAX ? 0 : -EPROTO;
}

static bool is_alive(const struct maps *m)
{
	const struct nav_daemon *d = &m->daemon;

	return d->pid && !(kill((pid_t)d->pid, 0) && errno == ESRCH) && d->stopped_ns == 0 &&
	       m->now_ns - d->seen_ns < ALIVE_NS;
}

static size_t clients_size(const struct maps *m)
{
	return (size_t)m->meta.buckets * sizeof(struct bucket);
}

static size_t identities_size(const struct maps *m)
{
	return (size_t)m->meta.buckets * BUCKET_CLIENTS * sizeof(struct client);
}

/* NULL if it cannot be mapped; the map is closed. */
static const void *map_shared(int fd, size_t size)
{
	const void *p = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

int maps_open(const struct ctl *c, struct maps *m)
{
	bool whole = false;
	struct timespec t;
	int fd, identities, page, err;

	*m = (struct maps){ .remapped = -1, .counters = -1, .cpus = libbpf_num_possible_cpus() };
	err = maps_meta(c, &m->meta);
	if (err == -EPERM || err == -EACCES)
		return ctl_fail(c, EXIT_FAILED, "no right to read the maps of %s: run as root", c->instance);
	if (err == -EPROTO && m->meta.magic == NAV_MAGIC)
		return ctl_fail(c, EXIT_FAILED, "instance %s was made by another version (ABI %u with "
				"%u reasons, this is %u with %u)", c->instance, m->meta.abi,
				m->meta.reasons, NAV_ABI, R_MAX);
	if (err)
		return ctl_fail(c, EXIT_NOT_FOUND,
				"no instance %s on this host: ls " NAV_BPFFS " shows which there are",
				c->instance);
	fd = open_map(c, "clients");
	identities = open_map(c, "identities");
	page = open_map(c, "daemon");
	m->counters = open_map(c, "counters");
	m->remapped = open_map(c, "remapped");
	err = read_one(c, "daemon", &m->daemon, sizeof(m->daemon), &whole);
	m->clients = map_shared(fd, clients_size(m));
	m->identities = map_shared(identities, identities_size(m));
	m->page = map_shared(page, sizeof(*m->page));
	if (err || !whole || !m->clients || !m->identities || !m->page || m->counters < 0 || m->remapped < 0) {
		maps_close(m);
		return ctl_fail(c, EXIT_FAILED, "maps of instance %s are missing or unreadable", c->instance);
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	m->now_ns = (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
	m->alive = is_alive(m);
	return EXIT_DONE;
}

void maps_close(struct maps *m)
{
	if (m->clients)
		munmap((void *)m->clients, clients_size(m));
	if (m->identities)
		munmap((void *)m->identities, identities_size(m));
	if (m->page)
		munmap((void *)m->page, sizeof(*m->page));
	if (m->counters >= 0)
		close(m->counters);
	if (m->remapped >= 0)
		close(m->remapped);
}

void maps_count(const struct maps *m, __u32 nic, struct nav_count *ret)
{
	struct nav_counts *per_cpu = calloc((size_t)m->cpus, sizeof(*per_cpu));

	memset(ret, 0, NAV_COUNTERS * sizeof(*ret));
	if (per_cpu && !bpf_map_lookup_elem(m->counters, &nic, per_cpu))
		for (int cpu = 0; cpu < m->cpus; cpu++)
			for (int i = 0; i < NAV_COUNTERS; i++) {
				ret[i].packets += per_cpu[cpu].of[i].packets;
				ret[i].bytes += per_cpu[cpu].of[i].bytes;
			}
	free(per_cpu);
}
