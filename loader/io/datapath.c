// SPDX-License-Identifier: GPL-2.0-or-later
/* libbpf: maps, pins, links. */
#include <fcntl.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "io/datapath.h"
#include "navalis.skel.h"

#define BPFFS "/sys/fs/bpf"

/* The maps that outlive the daemon, in the order in which they are opened. */
static const char *const pinned[] = { "meta", "clients", "remapped", "cookies", "own", "counters", "daemon" };
#define N_PINNED (sizeof(pinned) / sizeof(pinned[0]))

struct datapath {
	char folder[64];
	int lock;
	int map[N_PINNED]; /* in the order of pinned[] */
	struct nav_meta meta;
	struct bucket *buckets;
	struct nav_daemon *daemon;
};

enum { META, CLIENTS, REMAPPED, COOKIES, OWN, COUNTERS, DAEMON };

/* What libbpf says, the verifier's reasons among it, is for those who debug. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level != LIBBPF_DEBUG && log_wants(LOG_LEVEL_DEBUG) ? vfprintf(stderr, format, args) : 0;
}

static int take_lock(struct datapath *d, const char *instance, struct error *e)
{
	char path[64], pid[16] = "";
	ssize_t n;

	mkdir("/run/navalis", 0755);
	snprintf(path, sizeof(path), "/run/navalis/%s.lock", instance);
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

static int make_folder(struct datapath *d, struct error *e)
{
	struct statfs fs;

	if (statfs(BPFFS, &fs) || fs.f_type != BPF_FS_MAGIC)
		return error_set(e, -ENOENT, "no BPF file system: mount -t bpf bpf " BPFFS);
	if (mkdir(d->folder, 0700) && errno != EEXIST)
		return error_set(e, -errno, "folder %s: %s", d->folder, strerror(errno));
	return 0;
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

static __u32 buckets_for(__u32 clients)
{
	__u32 n = 16;

	while ((__u64)n * BUCKET_CLIENTS * 3 / 4 < clients) /* above 75 % inserting becomes slow */
		n *= 2;
	return n;
}

static int load_error(int err, struct error *e)
{
	if (err == -EPERM)
		return error_set(e, err, "the kernel refuses BPF programs: CAP_BPF, CAP_NET_ADMIN and "
				 "CAP_PERFMON are needed");
	return error_set(e, err, "the XDP program cannot be loaded: %s (Linux 6.1 or newer, with BTF?)",
			 strerror(-err));
}

/* A program object that uses the pinned maps, or with d->map[] < 0 makes them. */
static int open_object(struct datapath *d, __u32 buckets, bool xdp, struct navalis_bpf **ret,
		       struct error *e)
{
	struct navalis_bpf *skel = navalis_bpf__open();

	if (!skel)
		return error_set(e, -errno, "the XDP program cannot be opened: %s", strerror(errno));
	bpf_map__set_max_entries(skel->maps.clients, buckets);
	bpf_map__set_max_entries(skel->maps.remapped, buckets / 4 + 16);
	bpf_program__set_autoload(skel->progs.navalis, xdp);
	for (size_t i = 0; i < N_PINNED && d->map[i] >= 0; i++)
		bpf_map__reuse_fd(bpf_object__find_map_by_name(skel->obj, pinned[i]), d->map[i]);
	*ret = skel;
	return 0;
}

static int adopt(struct datapath *d, __u32 buckets, const char *instance, struct error *e)
{
	struct bpf_map_info info = { 0 };
	__u32 zero = 0, len = sizeof(info);

	/* one of another size would be written over the end of ours */
	if (bpf_obj_get_info_by_fd(d->map[META], &info, &len) || info.value_size != sizeof(d->meta))
		return error_set(e, -EPROTO, "the maps in %s are of another version: "
				 "navalisctl --instance %s detach removes them, and the clients in them",
				 d->folder, instance);
	if (bpf_map_lookup_elem(d->map[META], &zero, &d->meta))
		return error_set(e, -errno, "map meta of %s: %s", d->folder, strerror(errno));
	if (d->meta.magic != NAV_MAGIC || d->meta.abi != NAV_ABI || d->meta.reasons != R_MAX)
		return error_set(e, -EPROTO, "the maps in %s are of another version (%u, this is %u): "
				 "navalisctl --instance %s detach removes them, and the clients in them",
				 d->folder, d->meta.abi, NAV_ABI, instance);
	if (d->meta.buckets != buckets)
		return error_set(e, -EPROTO, "the table in %s has %u buckets, max_clients asks for %u: "
				 "navalisctl --instance %s detach removes it, and the clients in it",
				 d->folder, d->meta.buckets, buckets, instance);
	return 0;
}

static int make_maps(struct datapath *d, __u32 buckets, struct error *e)
{
	struct navalis_bpf *skel;
	char path[96];
	__u32 zero = 0;
	int err;

	err = open_object(d, buckets, false, &skel, e);
	if (err)
		return err;
	err = navalis_bpf__load(skel);
	if (err) {
		load_error(err, e);
		goto out;
	}
	d->meta = (struct nav_meta){ NAV_MAGIC, NAV_ABI, buckets, R_MAX, { 0 }, { { 0 } } };
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

int datapath_new(const struct config *c, struct datapath **ret, struct error *e)
{
	struct datapath *d = calloc(1, sizeof(*d));
	__u32 buckets = buckets_for(c->max_clients);
	char path[96];
	int err;

	if (!d)
		return error_set(e, -ENOMEM, "out of memory");
	libbpf_set_print(print_libbpf);
	d->lock = -1;
	for (size_t i = 0; i < N_PINNED; i++)
		d->map[i] = -1;
	snprintf(d->folder, sizeof(d->folder), BPFFS "/%s", c->instance);
	err = take_lock(d, c->instance, e);
	if (!err)
		err = make_folder(d, e);
	if (!err) {
		for (size_t i = 0; i < N_PINNED; i++) {
			pin_path(d, pinned[i], path, sizeof(path));
			d->map[i] = bpf_obj_get(path);
			if (d->map[i] < 0)
				break;
		}
		if (d->map[META] < 0) {
			err = make_maps(d, buckets, e);
		} else if (d->map[N_PINNED - 1] < 0) {
			err = error_set(e, -EPROTO, "maps are missing in %s: navalisctl --instance %s "
					"detach removes the others", d->folder, c->instance);
		} else {
			err = adopt(d, buckets, c->instance, e);
		}
	}
	if (!err) {
		d->buckets = map_memory(d->map[CLIENTS], (size_t)buckets * sizeof(struct bucket));
		d->daemon = map_memory(d->map[DAEMON], sizeof(struct nav_daemon));
		if (!d->buckets || !d->daemon)
			err = error_set(e, -ENOMEM, "the table cannot be mapped: %s", strerror(errno));
	}
	if (err) {
		datapath_free(d);
		return err;
	}
	*ret = d;
	return 0;
}

struct datapath *datapath_free(struct datapath *d)
{
	if (!d)
		return NULL;
	if (d->buckets)
		munmap(d->buckets, (size_t)d->meta.buckets * sizeof(struct bucket));
	if (d->daemon)
		munmap(d->daemon, (sizeof(*d->daemon) + 4095) & ~4095UL);
	for (size_t i = 0; i < N_PINNED; i++)
		if (d->map[i] >= 0)
			close(d->map[i]);
	if (d->lock >= 0)
		close(d->lock);
	free(d);
	return NULL;
}

/* ---- attaching ------------------------------------------------------------------------------- */

static int attach_error(int err, const char *nic, enum nav_mode mode, struct error *e)
{
	switch (-err) {
	case EBUSY:
	case EEXIST:
		return error_set(e, err, "%s has another XDP program: ip link set dev %s xdp off "
				 "(or xdpgeneric off), or detach the program that owns it", nic, nic);
	case EOPNOTSUPP:
		return error_set(e, err, "the driver of %s has no XDP: set mode = auto or generic", nic);
	case ERANGE:
	case EINVAL:
		return error_set(e, err, "the driver of %s refuses XDP (%s), most likely for its MTU: "
				 "ip link set dev %s mtu 1500, or set mode = generic", nic,
				 strerror(-err), nic);
	case EPERM:
		return error_set(e, err, "no right to attach to %s: CAP_NET_ADMIN is missing", nic);
	}
	return error_set(e, err, "%s: XDP %s mode: %s", nic,
			 mode == NAV_MODE_GENERIC ? "generic" : "native", strerror(-err));
}

static void link_path(const struct datapath *d, const char *prefix, __u32 slot, char path[96])
{
	snprintf(path, 96, "%s/%s_%u", d->folder, prefix, slot);
}

/* A link of ours that an earlier start left behind. */
struct old_link {
	int fd;        /* -1: no link at this slot */
	__u32 ifindex; /* 0: its device is gone, and with it what it attached */
	__u32 prog_id;
	enum nav_mode mode;
	bool kept;     /* runs the new program */
};

/* What is done to one NIC, and what it takes to undo it. */
struct change {
	int link;             /* that runs the new program; -1: none */
	struct old_link *old; /* what this NIC had; NULL: nothing of ours */
	int old_prog;         /* its program; -1: none */
};

/* The link itself does not say. */
static enum nav_mode attached_mode(__u32 ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q))
		return NAV_MODE_OFF;
	return q.attach_mode == XDP_ATTACHED_SKB ? NAV_MODE_GENERIC : NAV_MODE_NATIVE;
}

static void read_links(const struct datapath *d, struct old_link old[NAV_NICS])
{
	char path[96];

	for (__u32 slot = 0; slot < NAV_NICS; slot++) {
		struct bpf_link_info info = { 0 };
		__u32 len = sizeof(info);

		link_path(d, "link", slot, path);
		old[slot] = (struct old_link){ .fd = bpf_obj_get(path) };
		if (old[slot].fd < 0 || bpf_obj_get_info_by_fd(old[slot].fd, &info, &len))
			continue;
		old[slot].ifindex = info.xdp.ifindex;
		old[slot].prog_id = info.prog_id;
		if (info.xdp.ifindex)
			old[slot].mode = attached_mode(info.xdp.ifindex);
	}
}

/* By its NIC, not by its slot: the list of interfaces may have changed meanwhile. */
static struct old_link *link_of(struct old_link old[NAV_NICS], __u32 ifindex)
{
	for (__u32 slot = 0; slot < NAV_NICS; slot++)
		if (old[slot].fd >= 0 && old[slot].ifindex == ifindex)
			return &old[slot];
	return NULL;
}

static void warn_generic(struct error *warning, const char *nic, const char *why)
{
	size_t n = strlen(warning->text);

	snprintf(warning->text + n, sizeof(warning->text) - n,
		 "%s%s: no native XDP%s; generic mode is several times slower", n ? "; " : "", nic, why);
}

/* A new link in a mode that is wanted. Returns it, or a negative errno. */
static int attach_new(int prog, struct nav_nic *nic, enum nav_mode wanted, struct error *warning,
		      struct error *e)
{
	enum nav_mode mode = wanted == NAV_MODE_GENERIC ? NAV_MODE_GENERIC : NAV_MODE_NATIVE;
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	char why[64];
	int fd, err;

	for (;;) {
		opts.flags = mode == NAV_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
		fd = bpf_link_create(prog, (int)nic->ifindex, BPF_XDP, &opts);
		err = fd < 0 ? -errno : 0;
		if (!err || wanted != NAV_MODE_AUTO || mode == NAV_MODE_GENERIC || err == -EBUSY ||
		    err == -EEXIST || err == -EPERM)
			break;
		mode = NAV_MODE_GENERIC;
		snprintf(why, sizeof(why), " (%s)", strerror(-err));
	}
	if (err)
		return attach_error(err, nic->name, mode, e);
	if (mode == NAV_MODE_GENERIC && wanted == NAV_MODE_AUTO)
		warn_generic(warning, nic->name, why);
	nic->mode = mode;
	return fd;
}

/* auto takes over a generic link only from a start that had tried native mode before. */
static bool mode_serves(enum nav_mode have, enum nav_mode wanted, enum nav_mode wanted_before)
{
	if (wanted == NAV_MODE_AUTO)
		return have == NAV_MODE_NATIVE || wanted_before == NAV_MODE_AUTO;
	return have == wanted;
}

/* Gives a NIC the new program: in place if it can be, since that loses no packet. */
static int change_nic(struct datapath *d, int prog, struct nav_nic *nic, enum nav_mode wanted,
		      struct old_link *old, struct change *c, struct error *warning, struct error *e)
{
	int err;

	c->old = old;
	if (old)
		c->old_prog = bpf_prog_get_fd_by_id(old->prog_id);
	if (old && mode_serves(old->mode, wanted, d->daemon->mode_wanted)) {
		err = bpf_link_update(old->fd, prog, NULL) ? -errno : 0;
		if (err)
			return attach_error(err, nic->name, old->mode, e);
		old->kept = true;
		c->link = fcntl(old->fd, F_DUPFD_CLOEXEC, 3);
		nic->mode = old->mode;
		if (wanted == NAV_MODE_AUTO && old->mode == NAV_MODE_GENERIC)
			warn_generic(warning, nic->name, " at an earlier start");
		return 0;
	}
	if (old) /* the two modes cannot be there together, so this one has a gap */
		bpf_link_detach(old->fd);
	err = attach_new(prog, nic, wanted, warning, e);
	if (err < 0)
		return err;
	c->link = err;
	return 0;
}

/* As before: the program, the mode, the pin. What cannot be undone is not worth a second error. */
static void undo_nic(struct datapath *d, const struct nav_nic *nic, struct change *c,
		     const struct old_link old[NAV_NICS])
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	char path[96];
	int fd;

	if (c->old && c->old->kept) {
		bpf_link_update(c->link, c->old_prog, NULL);
		return;
	}
	if (c->link >= 0)
		bpf_link_detach(c->link);
	if (!c->old || c->old_prog < 0)
		return;
	opts.flags = c->old->mode == NAV_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	fd = bpf_link_create(c->old_prog, (int)nic->ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return;
	link_path(d, "link", (__u32)(c->old - old), path);
	unlink(path);
	bpf_obj_pin(fd, path);
	close(fd);
}

/* Under names of their own first, so that a failure leaves the old ones as they are. */
static int pin_links(struct datapath *d, const struct change *c, __u32 n, struct error *e)
{
	char path[96];
	int err = 0;

	for (__u32 i = 0; i < n && !err; i++) {
		link_path(d, "new_link", i, path);
		unlink(path);
		if (c[i].link >= 0 && bpf_obj_pin(c[i].link, path))
			err = error_set(e, -errno, "pin %s: %s", path, strerror(errno));
	}
	for (__u32 i = 0; i < n && err; i++) {
		link_path(d, "new_link", i, path);
		unlink(path);
	}
	return err;
}

/* From here on nothing can fail: the new pins take the place of the old, the rest is detached. */
static void settle_links(struct datapath *d, const struct change *c, __u32 n,
			 const struct old_link old[NAV_NICS])
{
	char from[96], to[96];

	for (__u32 slot = 0; slot < NAV_NICS; slot++) {
		if (old[slot].fd >= 0 && !old[slot].kept)
			bpf_link_detach(old[slot].fd); /* even if somebody else holds it */
		link_path(d, "new_link", slot, from);
		link_path(d, "link", slot, to);
		if (slot >= n || c[slot].link < 0 || rename(from, to))
			unlink(to);
	}
}

static int fill_nics(const struct config *c, bool all, struct nav_nic *nic, struct error *e)
{
	for (__u32 i = 0; i < c->n_interfaces; i++) {
		nic[i] = (struct nav_nic){ 0 };
		strcpy(nic[i].name, c->interfaces[i]);
		nic[i].ifindex = if_nametoindex(c->interfaces[i]);
		if (!nic[i].ifindex && all)
			return error_set(e, -ENODEV, "no interface %s on this host: ip link shows "
					 "which there are", c->interfaces[i]);
	}
	return 0;
}

static int load_for(struct datapath *d, const struct nav_config *policy, const struct nav_nic *nic,
		    __u32 n, struct navalis_bpf **ret, struct error *e)
{
	struct navalis_bpf *skel;
	int err = open_object(d, d->meta.buckets, n > 0, &skel, e);

	if (err)
		return err;
	memcpy((void *)&skel->rodata->cfg, policy, sizeof(*policy));
	skel->rodata->cfg.n_nics = n;
	for (__u32 i = 0; i < n; i++)
		skel->rodata->cfg.nic[i] = nic[i].ifindex;
	skel->rodata->cfg.bucket_mask = d->meta.buckets - 1;
	skel->rodata->cfg.seed = d->meta.seed;
	err = navalis_bpf__load(skel);
	if (err) {
		navalis_bpf__destroy(skel);
		return load_error(err, e);
	}
	*ret = skel;
	return 0;
}

/* All of them, or none. n: how many NICs are to have a program; one that is not there is left out. */
static int change_nics(struct datapath *d, int prog, struct nav_nic *nic, __u32 n,
		       enum nav_mode wanted, struct error *warning, struct error *e)
{
	struct old_link old[NAV_NICS];
	struct change change[NAV_NICS];
	__u32 i, done = 0;
	int err = 0;

	read_links(d, old);
	for (i = 0; i < NAV_NICS; i++)
		change[i] = (struct change){ -1, NULL, -1 };
	for (i = 0; i < n && !err; i++, done++)
		if (nic[i].ifindex)
			err = change_nic(d, prog, &nic[i], wanted, link_of(old, nic[i].ifindex),
					 &change[i], warning, e);
	if (!err)
		err = pin_links(d, change, n, e);
	if (!err)
		settle_links(d, change, n, old);
	while (err && done--)
		undo_nic(d, &nic[done], &change[done], old);
	for (i = 0; i < NAV_NICS; i++) {
		if (old[i].fd >= 0)
			close(old[i].fd);
		if (change[i].link >= 0)
			close(change[i].link);
		if (change[i].old_prog >= 0)
			close(change[i].old_prog);
	}
	return err;
}

static int attach(struct datapath *d, const struct config *c, const struct nav_config *policy,
		  bool all, struct error *warning, struct error *e)
{
	__u32 n = c->mode == NAV_MODE_OFF ? 0 : c->n_interfaces;
	struct nav_nic nic[NAV_NICS] = { 0 };
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	struct navalis_bpf *skel = NULL;
	int err, prog;

	warning->text[0] = '\0';
	err = fill_nics(c, all, nic, e);
	if (!err)
		err = load_for(d, policy, nic, n, &skel, e);
	if (err)
		return err;
	prog = bpf_program__fd(skel->progs.navalis);
	if (n)
		bpf_obj_get_info_by_fd(prog, &info, &len);
	err = change_nics(d, prog, nic, n, c->mode, warning, e);
	if (!err) {
		for (__u32 i = 0; i < n; i++)
			nic[i].prog_id = nic[i].ifindex ? info.id : 0;
		memcpy(d->daemon->nic, nic, sizeof(nic));
		d->daemon->n_nics = c->n_interfaces;
		d->daemon->mode_wanted = c->mode;
	}
	navalis_bpf__destroy(skel);
	return err;
}

int datapath_attach(struct datapath *d, const struct config *c, const struct nav_config *policy,
		    struct error *warning, struct error *e)
{
	return attach(d, c, policy, true, warning, e);
}

int datapath_watch(struct datapath *d, const struct config *c, const struct nav_config *policy,
		   struct error *warning, struct error *e)
{
	bool changed = false;
	int err;

	warning->text[0] = '\0';
	for (__u32 i = 0; i < c->n_interfaces; i++)
		changed |= if_nametoindex(c->interfaces[i]) != d->daemon->nic[i].ifindex;
	if (!changed)
		return 0;
	err = attach(d, c, policy, false, warning, e);
	return err ? err : 1;
}

/* ---- the maps -------------------------------------------------------------------------------- */

struct bucket *datapath_buckets(struct datapath *d)
{
	return d->buckets;
}

struct nav_daemon *datapath_daemon(struct datapath *d)
{
	return d->daemon;
}

const struct nav_meta *datapath_meta(const struct datapath *d)
{
	return &d->meta;
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
