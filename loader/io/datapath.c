// SPDX-License-Identifier: GPL-2.0-or-later
/* The lock, the folder of pins, and the maps in it. */
#include <dirent.h>
#include <fcntl.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "io/datapath-impl.h"

/* The maps that outlive the daemon. */
static const char *const pinned[N_PINNED] = {
#define P(id, name) [id] = #name,
	NAV_PINNED(P)
#undef P
};

static const char *const tunnel_maps[TUNNEL_MAPS] = { "sixin4", "sixin4_prefixes", "carried" };

/* What libbpf says, the verifier's reasons among it, is for those who debug. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level != LIBBPF_DEBUG && log_wants(LOG_LEVEL_DEBUG) ? vfprintf(stderr, format, args) : 0;
}

static int take_lock(struct datapath *d, const char *instance, struct error *e)
{
	char path[64], pid[16] = "";
	ssize_t n;

	mkdir(NAV_RUN, 0755);
	snprintf(path, sizeof(path), NAV_LOCK, instance);
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (d->lock < 0)
		return error_set(e, -errno, "lock %s: %s", path, strerror(errno));
	if (flock(d->lock, LOCK_EX | LOCK_NB)) {
		n = read(d->lock, pid, sizeof(pid) - 1);
		if (n > 0)
			pid[strcspn(pid, "\n")] = '\0';
		return error_set(e, -EBUSY, "instance %s is running already (pid %s): stop it, or give "
				 "this one another name with «instance = NAME»", instance, pid);
	}
	n = snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(d->lock, 0) || pwrite(d->lock, pid, (size_t)n, 0) != n)
		return error_set(e, -errno, "lock %s: %s", path, strerror(errno));
	return 0;
}

/*
 * An earlier start may have run under another user (by hand as root, then the unit). Whoever has the
 * right makes all of it his own; whoever has not finds out when he opens the maps.
 */
static int own_folder(const struct datapath *d, struct error *e)
{
	int folder = open(d->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = folder < 0 ? NULL : fdopendir(folder);
	struct dirent *entry;

	if (!dir)
		return error_set(e, -errno, "folder %s: %s", d->folder, strerror(errno));
	if (!fchown(folder, geteuid(), getegid()))
		fchmod(folder, 0700);
	while ((entry = readdir(dir)))
		if (*entry->d_name != '.' &&
		    fchownat(folder, entry->d_name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW))
			break;
	closedir(dir);
	return 0;
}

static int make_folder(struct datapath *d, struct error *e)
{
	struct statfs fs;

	if (statfs(NAV_BPFFS, &fs) || fs.f_type != BPF_FS_MAGIC)
		return error_set(e, -ENOENT, "no BPF file system: mount -t bpf bpf " NAV_BPFFS);
	if (mkdir(d->folder, 0700) && errno != EEXIST)
		return error_set(e, -errno, "folder %s: %s", d->folder, strerror(errno));
	return own_folder(d, e);
}

static void pin_path(const struct datapath *d, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", d->folder, name);
}

/* Ticks as XDP counts them: only a BPF program can read them. */
static int read_clock(struct navalis_bpf *skel, struct nav_clock *clock)
{
	struct nav_clock_reading r = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &r, .ctx_size_in = sizeof(r));
	struct timespec tick;
	int err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.read_clock), &opts);

	if (err)
		return err;
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick); /* 1/HZ, whatever HZ is */
	clock->tick_ns = (__u64)tick.tv_nsec;
	clock->offset_ns = (__s64)(r.mono_ns - r.ticks * clock->tick_ns);
	clock->shift = 0;
	while ((clock->tick_ns << (clock->shift + 1)) <= 256000000)
		clock->shift++;
	return 0;
}

/*
 * Four of five slots taken when it is full: one of fifteen clients is then beside its home or far from
 * it, and of 4 M clients the words are 40 MB and the identities 80. Two of three would be 3 % and 144 MB.
 * In a table of a few clients chance may crowd them, hence the handful of buckets.
 */
static __u32 buckets_for(__u32 clients)
{
	return (__u32)((__u64)clients * 5 / 32 + 16) & ~1U;
}

int datapath_load_error(int err, struct error *e)
{
	if (err == -EPERM)
		return error_set(e, err, "the kernel refuses BPF programs: CAP_BPF, CAP_NET_ADMIN and "
				 "CAP_PERFMON are needed");
	return error_set(e, err, "the XDP program cannot be loaded: %s (Linux 6.1 or newer, with BTF?)",
			 strerror(-err));
}

static void size_maps(struct navalis_bpf *skel, __u32 buckets)
{
	bpf_map__set_max_entries(skel->maps.clients, buckets);
	bpf_map__set_max_entries(skel->maps.identities, buckets * BUCKET_CLIENTS);
	bpf_map__set_max_entries(skel->maps.remapped, buckets / 3 + 16);
}

int datapath_open_object(struct datapath *d, bool xdp, struct navalis_bpf **ret, struct error *e)
{
	struct navalis_bpf *skel = navalis_bpf__open();

	if (!skel)
		return error_set(e, -errno, "the XDP program cannot be opened: %s", strerror(errno));
	size_maps(skel, d->meta.buckets);
	bpf_program__set_autoload(skel->progs.navalis, xdp);
	for (size_t i = 0; i < N_PINNED && d->map[i] >= 0; i++)
		bpf_map__reuse_fd(bpf_object__find_map_by_name(skel->obj, pinned[i]), d->map[i]);
	for (size_t i = 0; i < TUNNEL_MAPS; i++)
		if (d->tunnels[i] >= 0)
			bpf_map__reuse_fd(bpf_object__find_map_by_name(skel->obj, tunnel_maps[i]), d->tunnels[i]);
	if (d->hg48_peers)
		bpf_map__reuse_fd(skel->maps.hg48_peers, d->hg48);
	*ret = skel;
	return 0;
}

static int other_layout(const struct datapath *d, const char *map, const char *instance,
			struct error *e)
{
	return error_set(e, -EPROTO, "the maps in %s are of another version (%s): navalisctl --instance "
			 "%s detach removes them, and the clients in them; or go on with the version "
			 "that made them", d->folder, map, instance);
}

/* Every map as this program would make it: one of another size would be written over its end. */
static int same_layout(struct datapath *d, const char *instance, struct error *e)
{
	struct navalis_bpf *skel = navalis_bpf__open();
	int err = 0;

	if (!skel)
		return error_set(e, -errno, "the XDP program cannot be opened: %s", strerror(errno));
	size_maps(skel, d->meta.buckets);
	for (size_t i = 0; i < N_PINNED && !err; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(skel->obj, pinned[i]);
		struct bpf_map_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_obj_get_info_by_fd(d->map[i], &info, &len) || info.type != bpf_map__type(m) ||
		    info.key_size != bpf_map__key_size(m) || info.value_size != bpf_map__value_size(m) ||
		    info.max_entries != bpf_map__max_entries(m))
			err = other_layout(d, pinned[i], instance, e);
	}
	navalis_bpf__destroy(skel);
	return err;
}

static int adopt(struct datapath *d, __u32 buckets, const char *instance, struct error *e)
{
	struct bpf_map_info info = { 0 };
	__u32 zero = 0, len = sizeof(info);

	for (size_t i = 0; i < N_PINNED; i++)
		if (d->map[i] < 0)
			return error_set(e, -EPROTO, "map %s is missing in %s: navalisctl --instance %s detach "
					 "removes the others", pinned[i], d->folder, instance);
	if (bpf_obj_get_info_by_fd(d->map[META], &info, &len) || info.value_size != sizeof(d->meta))
		return other_layout(d, pinned[META], instance, e);
	if (bpf_map_lookup_elem(d->map[META], &zero, &d->meta))
		return error_set(e, -errno, "map meta of %s: %s", d->folder, strerror(errno));
	if (d->meta.magic != NAV_MAGIC || d->meta.abi != NAV_ABI || d->meta.reasons != R_MAX)
		return other_layout(d, pinned[META], instance, e);
	if (d->meta.buckets != buckets)
		return error_set(e, -EPROTO, "the table in %s has %u buckets, max_clients asks for %u: "
				 "navalisctl --instance %s detach removes it, and the clients in it",
				 d->folder, d->meta.buckets, buckets, instance);
	return same_layout(d, instance, e);
}

static int make_maps(struct datapath *d, __u32 buckets, struct error *e)
{
	struct navalis_bpf *skel;
	char path[96];
	__u32 zero = 0;
	int err;

	d->fresh = true;
	d->meta = (struct nav_meta){ NAV_MAGIC, NAV_ABI, buckets, R_MAX, { 0 }, { { 0 } } };
	err = datapath_open_object(d, false, &skel, e);
	if (err)
		return err;
	err = navalis_bpf__load(skel);
	if (err) {
		datapath_load_error(err, e);
		goto out;
	}
	err = read_clock(skel, &d->meta.clock);
	if (err) {
		error_set(e, err, "the kernel's ticks cannot be read: %s", strerror(-err));
		goto out;
	}
	if (getrandom(&d->meta.seed, sizeof(d->meta.seed), 0) < 0)
		err = -errno;
	for (int i = 0; i < 3; i++)
		d->meta.seed.k[i] |= 1;
	if (!err && bpf_map__update_elem(skel->maps.meta, &zero, sizeof(zero), &d->meta,
					 sizeof(d->meta), 0))
		err = -errno;
	/* meta last: whoever finds it finds all of them */
	for (size_t i = N_PINNED; !err && i--;) {
		struct bpf_map *m = bpf_object__find_map_by_name(skel->obj, pinned[i]);

		pin_path(d, pinned[i], path, sizeof(path));
		unlink(path);
		err = bpf_map__pin(m, path);
		if (d->map[i] >= 0) /* of a start that was cut short */
			close(d->map[i]);
		d->map[i] = fcntl(bpf_map__fd(m), F_DUPFD_CLOEXEC, 3);
	}
	if (err)
		error_set(e, err, "maps in %s: %s", d->folder, strerror(-err));
out:
	navalis_bpf__destroy(skel);
	return err;
}

static void *map_memory(int fd, size_t size)
{
	void *p = mmap(NULL, (size + 4095) & ~4095UL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Of this layout? */
static bool is_hg48(int fd, __u32 max_peers)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == BPF_MAP_TYPE_ARRAY &&
	       info.value_size == sizeof(struct hg48_entry) && info.max_entries == HG48_SLOTS(max_peers) &&
	       info.map_flags == BPF_F_MMAPABLE;
}

static int make_hg48(struct datapath *d, const char *path)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	unlink(path);
	d->hg48 = bpf_map_create(BPF_MAP_TYPE_ARRAY, NAV_HG48, sizeof(__u32), sizeof(struct hg48_entry),
				 HG48_SLOTS(d->max_hg48), &opts);
	return d->hg48 < 0 ? d->hg48 : bpf_obj_pin(d->hg48, path) ? -errno : 0;
}

/* The endpoints that an earlier daemon left, if it had room for as many; else none. */
static int open_hg48(struct datapath *d, const struct config *c, struct error *e)
{
	char path[96];
	int err = 0;

	pin_path(d, NAV_HG48, path, sizeof(path));
	if (!c->hg48.service.addr) {
		unlink(path);
		return 0;
	}
	d->max_hg48 = c->hg48.max_peers;
	d->hg48 = bpf_obj_get(path);
	if (d->hg48 >= 0 && !is_hg48(d->hg48, d->max_hg48)) {
		close(d->hg48);
		d->hg48 = -1;
	}
	if (d->hg48 < 0)
		err = make_hg48(d, path);
	if (!err) {
		d->hg48_peers = map_memory(d->hg48, HG48_SLOTS(d->max_hg48) * sizeof(*d->hg48_peers));
		err = d->hg48_peers ? 0 : -errno;
	}
	return err ? error_set(e, err, "the map %s of %u endpoints: %s", path, d->max_hg48, strerror(-err)) : 0;
}

/* Only what is not there at all may be made anew: a table that cannot be opened is full of clients. */
static int open_maps(struct datapath *d, struct error *e)
{
	char path[96];

	for (size_t i = 0; i < N_PINNED; i++) {
		pin_path(d, pinned[i], path, sizeof(path));
		d->map[i] = bpf_obj_get(path);
		if (d->map[i] < 0 && errno != ENOENT)
			return error_set(e, -errno, "map %s cannot be opened: %s%s", path, strerror(errno),
					 errno == EACCES ? " (it belongs to another user: chown -R)" : "");
	}
	return 0;
}

/* Of all routes. */
static void take_word_back(struct datapath *d)
{
	for (int i = 0; d->routes && i < REGION_FAMILIES; i++)
		__atomic_store_n(&d->routes[i].until, 0, __ATOMIC_RELEASE);
}

static void forget_tunnels(int maps[TUNNEL_MAPS])
{
	for (size_t i = 0; i < TUNNEL_MAPS; i++)
		maps[i] = -1;
}

void datapath_drop_tunnels(int maps[TUNNEL_MAPS])
{
	for (size_t i = 0; i < TUNNEL_MAPS; i++)
		if (maps[i] >= 0)
			close(maps[i]);
	forget_tunnels(maps);
}

int datapath_new(const struct config *c, struct datapath **ret, struct error *e)
{
	struct datapath *d = calloc(1, sizeof(*d));
	__u32 buckets = buckets_for(c->max_clients);
	int err;

	if (!d)
		return error_set(e, -ENOMEM, "out of memory");
	libbpf_set_print(print_libbpf);
	d->lock = d->hg48 = -1;
	for (size_t i = 0; i < N_PINNED; i++)
		d->map[i] = -1;
	forget_tunnels(d->tunnels);
	snprintf(d->folder, sizeof(d->folder), NAV_FOLDER, c->instance);
	err = take_lock(d, c->instance, e);
	if (!err)
		err = make_folder(d, e);
	if (!err)
		err = open_maps(d, e);
	if (!err && d->map[META] < 0)
		err = make_maps(d, buckets, e);
	else if (!err)
		err = adopt(d, buckets, c->instance, e);
	if (!err) {
		d->buckets = map_memory(d->map[CLIENTS], (size_t)buckets * sizeof(struct bucket));
		d->identities = map_memory(d->map[IDENTITIES],
					   (size_t)buckets * BUCKET_CLIENTS * sizeof(struct client));
		d->daemon = map_memory(d->map[DAEMON], sizeof(struct nav_daemon));
		d->routes = map_memory(d->map[ROUTES], REGION_FAMILIES * sizeof(struct nav_routes));
		if (!d->buckets || !d->identities || !d->daemon || !d->routes)
			err = error_set(e, -ENOMEM, "the table cannot be mapped: %s", strerror(errno));
	}
	if (!err) /* whoever gave his word there is dead */
		take_word_back(d);
	if (!err)
		err = open_hg48(d, c, e);
	if (err) {
		datapath_free(d);
		return err;
	}
	*ret = d;
	return 0;
}

/* meta first, as it was made last. */
static void unpin(const struct datapath *d)
{
	char path[96];

	for (size_t i = 0; i < N_PINNED; i++) {
		pin_path(d, pinned[i], path, sizeof(path));
		unlink(path);
	}
	pin_path(d, NAV_HG48, path, sizeof(path));
	unlink(path);
	rmdir(d->folder);
}

struct datapath *datapath_free(struct datapath *d)
{
	if (!d)
		return NULL;
	if (d->fresh)
		unpin(d);
	if (d->buckets)
		munmap(d->buckets, (size_t)d->meta.buckets * sizeof(struct bucket));
	if (d->identities)
		munmap(d->identities, (size_t)d->meta.buckets * BUCKET_CLIENTS * sizeof(struct client));
	take_word_back(d);
	if (d->routes)
		munmap(d->routes, (REGION_FAMILIES * sizeof(*d->routes) + 4095) & ~4095UL);
	if (d->daemon)
		munmap(d->daemon, (sizeof(*d->daemon) + 4095) & ~4095UL);
	for (size_t i = 0; i < N_PINNED; i++)
		if (d->map[i] >= 0)
			close(d->map[i]);
	datapath_drop_tunnels(d->tunnels);
	if (d->hg48_peers)
		munmap(d->hg48_peers, (HG48_SLOTS(d->max_hg48) * sizeof(*d->hg48_peers) + 4095) & ~4095UL);
	if (d->hg48 >= 0)
		close(d->hg48);
	if (d->lock >= 0)
		close(d->lock);
	free(d);
	return NULL;
}

/* ---- the maps -------------------------------------------------------------------------------- */

struct bucket *datapath_buckets(struct datapath *d)
{
	return d->buckets;
}

struct client *datapath_identities(struct datapath *d)
{
	return d->identities;
}

struct nav_daemon *datapath_daemon(struct datapath *d)
{
	return d->daemon;
}

struct hg48_entry *datapath_hg48(struct datapath *d)
{
	return d->hg48_peers;
}

const struct nav_meta *datapath_meta(const struct datapath *d)
{
	return &d->meta;
}

/* The word is given again each second, and a moment of a busy loop does not take it back. */
#define WORD_MS 2000

static bool regions_same(const struct regions *a, const struct regions *b)
{
	return a->n == b->n && !memcmp(a->first, b->first, a->n * sizeof(*a->first)) &&
	       !memcmp(a->hop, b->hop, a->n);
}

void datapath_set_regions(struct datapath *d, enum region_family family, const struct regions *regions,
			  __u64 units)
{
	struct nav_routes *r = &d->routes[family];
	__u64 until = regions ? units + nav_units_of_ms(&d->meta.clock, WORD_MS) : 0;

	/* the same regions as before may have other gateways: what was vouched for all along has the same */
	if (regions && !(r->until && regions_same(&r->set[r->now & 1], regions))) {
		r->set[~r->now & 1] = *regions;
		__atomic_store_n(&r->now, r->now + 1, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&r->until, until, __ATOMIC_RELEASE);
}

/* ---- tunnels -------------------------------------------------------------------------------- */

/* Of the layout that the program has them in. */
static int make_tunnels(int maps[TUNNEL_MAPS], __u32 n)
{
	const __u32 sizes[TUNNEL_MAPS] = { n, n * SIXIN4_PREFIXES, CARRIER_SIXIN4 + n };
	struct navalis_bpf *skel = navalis_bpf__open();
	int err = skel ? 0 : -errno;

	for (size_t i = 0; !err && i < TUNNEL_MAPS; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(skel->obj, tunnel_maps[i]);
		LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = bpf_map__map_flags(m));

		if (!sizes[i])
			continue;
		maps[i] = bpf_map_create(bpf_map__type(m), tunnel_maps[i], bpf_map__key_size(m),
					 bpf_map__value_size(m), sizes[i], &opts);
		err = maps[i] < 0 ? maps[i] : 0;
	}
	navalis_bpf__destroy(skel);
	return err;
}

static int put_tunnel(const int maps[TUNNEL_MAPS], const struct sixin4_tunnel *t)
{
	const struct sixin4_key key = { t->local, t->remote };
	int err = bpf_map_update_elem(maps[SIXIN4], &key, t, 0);

	for (__u32 i = 0; !err && i < t->n_prefixes && i < SIXIN4_PREFIXES; i++) {
		const struct sixin4_prefix p = { t->prefix[i].len, t->prefix[i].addr };

		err = bpf_map_update_elem(maps[SIXIN4_BEHIND], &p, &key, 0);
	}
	return err;
}

int datapath_make_tunnels(const struct config *c, int ret[TUNNEL_MAPS], struct error *e)
{
	const __u32 n = c->n_sixin4;
	int err;

	forget_tunnels(ret);
	if (c->mode == NAV_MODE_OFF)
		return 0;
	err = make_tunnels(ret, n);
	for (__u32 i = 0; !err && i < n; i++)
		err = put_tunnel(ret, &c->sixin4[i]);
	if (err) {
		datapath_drop_tunnels(ret);
		error_set(e, err, "the maps of %u tunnels cannot be made: %s", n, strerror(-err));
	}
	return err;
}

int datapath_get_carried(const struct datapath *d, __u32 carrier, struct carried *ret)
{
	const int cpus = libbpf_num_possible_cpus();
	struct carried *v = calloc((size_t)cpus, sizeof(*v));
	int err = v ? bpf_map_lookup_elem(d->tunnels[CARRIED], &carrier, v) : -ENOMEM;

	*ret = (struct carried){ 0 };
	for (int i = 0; !err && i < cpus; i++) {
		ret->in.packets += v[i].in.packets;
		ret->in.bytes += v[i].in.bytes;
		ret->out.packets += v[i].out.packets;
		ret->out.bytes += v[i].out.bytes;
	}
	free(v);
	return err;
}

int datapath_set_own(struct datapath *d, const struct nav_own *own)
{
	__u32 zero = 0;

	return bpf_map_update_elem(d->map[OWN], &zero, own, 0) ? -errno : 0;
}

int datapath_get_cookies(struct datapath *d, struct cookie_keys *keys)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(d->map[COOKIES], &zero, keys) ? -errno : 0;
}

int datapath_set_cookies(struct datapath *d, const struct cookie_keys *keys)
{
	__u32 zero = 0;

	return bpf_map_update_elem(d->map[COOKIES], &zero, keys, 0) ? -errno : 0;
}

/* Makes a hash map hold these and no others: first what is new, then what is too many goes. */
static void set_hash(int map, const void *keys, size_t key_size, const void *values,
		     size_t value_size, __u32 n)
{
	__u8 key[sizeof(struct nav_tags)], next[sizeof(struct nav_tags)];
	bool more;

	for (__u32 i = 0; i < n; i++)
		bpf_map_update_elem(map, (const char *)keys + i * key_size,
				    (const char *)values + i * value_size, 0);
	more = !bpf_map_get_next_key(map, NULL, next);
	while (more) {
		bool wanted = false;

		memcpy(key, next, key_size);
		more = !bpf_map_get_next_key(map, key, next);
		for (__u32 i = 0; i < n && !wanted; i++)
			wanted = !memcmp(key, (const char *)keys + i * key_size, key_size);
		if (!wanted)
			bpf_map_delete_elem(map, key);
	}
}

void datapath_set_links(struct datapath *d, const struct nav_links *l)
{
	for (__u32 slot = 0; slot < NAV_NICS; slot++)
		bpf_map_update_elem(d->map[PORTS], &slot, &l->nic[slot], 0);
	set_hash(d->map[VLANS], l->tags, sizeof(l->tags[0]), l->vlan, sizeof(l->vlan[0]), l->n_vlans);
	set_hash(d->map[TAGGED], l->ifindex, sizeof(l->ifindex[0]), l->tags, sizeof(l->tags[0]), l->n_vlans);
}

static bool remap_find(void *data, const struct in6_addr *client, struct remapped *ret)
{
	const struct datapath *d = data;

	return !bpf_map_lookup_elem(d->map[REMAPPED], client, ret);
}

static int remap_set(void *data, const struct in6_addr *client, const struct remapped *r)
{
	const struct datapath *d = data;

	return bpf_map_update_elem(d->map[REMAPPED], client, r, 0) ? -errno : 0;
}

static void remap_remove(void *data, const struct in6_addr *client)
{
	const struct datapath *d = data;

	bpf_map_delete_elem(d->map[REMAPPED], client);
}

/* One that goes between the two calls is left out. */
static bool remap_next(void *data, const struct in6_addr *after, struct in6_addr *client,
		       struct remapped *ret)
{
	const struct datapath *d = data;
	struct in6_addr from;

	while (!bpf_map_get_next_key(d->map[REMAPPED], after, client)) {
		if (remap_find(data, client, ret))
			return true;
		from = *client;
		after = &from;
	}
	return false;
}

struct remap_ops datapath_remap(struct datapath *d)
{
	return (struct remap_ops){ remap_find, remap_set, remap_remove, remap_next, d };
}
