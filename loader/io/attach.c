// SPDX-License-Identifier: GPL-2.0-or-later
/* Attaching the XDP program to the NICs: all or nothing, in place where it can be. */
#include <fcntl.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "io/datapath-impl.h"
#include "io/dispatcher.h"

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
		return error_set(e, err, "the driver of %s refuses XDP, even with frames in several "
				 "buffers (%s), most likely for its MTU: ip link set dev %s mtu 1500, or "
				 "set mode = generic", nic, strerror(-err), nic);
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
	int prog;      /* what it runs; -1: not known */
	__u32 ifindex; /* 0: its device is gone, and with it what it attached */
	enum nav_mode mode;
	bool kept;     /* runs the new program */
};

/* What is done to one NIC, and what it takes to undo it. */
struct change {
	int link;             /* that runs the new program; -1: none */
	int prog;             /* the new program; not owned */
	__u32 shared;         /* the number of the new program behind the dispatcher; 0: none */
	struct old_link *old; /* what this NIC had; NULL: nothing of ours */
};

/* The same program twice: drivers with large frames take only one that knows of several buffers. */
struct programs {
	struct datapath *d;
	const struct nav_config *policy;
	const struct nav_nic *nic;
	__u32 n;
	bool shared;                 /* through libxdp's dispatcher */
	struct navalis_bpf *skel[2]; /* plain, frags; loaded when first needed */
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
		link_path(d, "prog", slot, path);
		old[slot].prog = bpf_obj_get(path);
		if (old[slot].fd < 0 || bpf_obj_get_info_by_fd(old[slot].fd, &info, &len))
			continue;
		old[slot].ifindex = info.xdp.ifindex;
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

/* Where the program sends frames: full before it runs, and before libxdp's dispatcher loads it. */
static int put_nics(const struct programs *p, struct bpf_map *nics, struct error *e)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "nics", sizeof(__u32), sizeof(__u32), NAV_NICS, NULL);
	int err = fd < 0 ? -errno : bpf_map__reuse_fd(nics, fd);

	for (__u32 slot = 0; !err && slot < p->n; slot++)
		/* one that has just gone has no program, and nothing is sent to it */
		if (p->nic[slot].ifindex && bpf_map_update_elem(fd, &slot, &p->nic[slot].ifindex, 0) &&
		    errno != ENODEV && errno != EINVAL)
			err = -errno;
	if (fd >= 0)
		close(fd);
	return err ? error_set(e, err, "the map of NICs cannot be made: %s", strerror(-err)) : 0;
}

static int open_for(struct programs *p, bool frags, struct navalis_bpf **ret, struct error *e)
{
	struct navalis_bpf *skel;
	int err = datapath_open_object(p->d, true, &skel, e);
	struct nav_config *cfg;

	if (err)
		return err;
	cfg = (struct nav_config *)&skel->rodata->cfg;
	*cfg = *p->policy;
	cfg->n_nics = p->n;
	for (__u32 i = 0; i < p->n; i++)
		cfg->nic[i] = p->nic[i].ifindex;
	cfg->buckets = p->d->meta.buckets;
	cfg->seed = p->d->meta.seed;
	cfg->frags = frags;
	if (frags)
		bpf_program__set_flags(skel->progs.navalis, BPF_F_XDP_HAS_FRAGS);
	err = put_nics(p, skel->maps.nics, e);
	if (err) {
		navalis_bpf__destroy(skel);
		return err;
	}
	*ret = skel;
	return 0;
}

static int load_for(struct programs *p, bool frags, struct navalis_bpf **ret, struct error *e)
{
	struct navalis_bpf *skel;
	int err = open_for(p, frags, &skel, e);

	if (err)
		return err;
	err = navalis_bpf__load(skel);
	if (err) {
		navalis_bpf__destroy(skel);
		return datapath_load_error(err, e);
	}
	*ret = skel;
	return 0;
}

/* The program, or negative errno with a sentence. */
static int program(struct programs *p, bool frags, struct error *e)
{
	int err = p->skel[frags] ? 0 : load_for(p, frags, &p->skel[frags], e);

	return err ? err : bpf_program__fd(p->skel[frags]->progs.navalis);
}

static void programs_free(struct programs *p)
{
	for (int i = 0; i < 2; i++)
		navalis_bpf__destroy(p->skel[i]);
}

/* Puts a program onto a NIC: in place of the old one if its link serves, since that loses no packet. */
static int put_program(int prog, struct nav_nic *nic, enum nav_mode mode, struct change *c)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);

	if (c->old && c->old->mode == mode) {
		if (bpf_link_update(c->old->fd, prog, NULL))
			return -errno;
		c->old->kept = true;
		c->link = fcntl(c->old->fd, F_DUPFD_CLOEXEC, 3);
	} else {
		if (c->old) /* the two modes cannot be there together, so this one has a gap */
			bpf_link_detach(c->old->fd);
		opts.flags = mode == NAV_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
		c->link = bpf_link_create(prog, (int)nic->ifindex, BPF_XDP, &opts);
		if (c->link < 0)
			return -errno;
	}
	c->prog = prog;
	nic->mode = mode;
	return 0;
}

static int change_nic(struct programs *p, struct nav_nic *nic, enum nav_mode mode, struct change *c,
		      struct error *e)
{
	int err = 0, prog;

	/* what a driver says of frames that are too large for it differs from driver to driver */
	for (int frags = 0; frags <= (mode == NAV_MODE_NATIVE); frags++) {
		struct error why;
		int again;

		prog = program(p, frags, &why);
		if (prog < 0) {
			if (!frags)
				*e = why;
			return frags ? attach_error(err, nic->name, mode, e) : prog;
		}
		again = put_program(prog, nic, mode, c);
		if (!again) {
			nic->frags = (__u8)frags;
			return 0;
		}
		if (!frags || again == -EINVAL || again == -ERANGE)
			err = again;
		if (err != -EINVAL && err != -ERANGE && err != -EOPNOTSUPP)
			break;
	}
	return attach_error(err, nic->name, mode, e);
}

/* Each NIC gets an object of its own, which libxdp loads; the pinned maps are the same. */
static int share_nic(struct programs *p, struct nav_nic *nic, enum nav_mode mode, struct change *c,
		     struct error *e)
{
	struct navalis_bpf *skel;
	int err = open_for(p, false, &skel, e);

	if (err)
		return err;
	bpf_program__set_autoload(skel->progs.read_clock, false);
	if (c->old)
		bpf_link_detach(c->old->fd);
	err = dispatcher_put(skel->obj, nic->name, nic->ifindex, mode, &c->shared, e);
	navalis_bpf__destroy(skel);
	if (err)
		return err;
	nic->mode = mode;
	nic->shared = 1;
	nic->prog_id = c->shared;
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
		bpf_link_update(c->old->fd, c->old->prog, NULL);
		c->old->kept = false;
		return;
	}
	if (c->link >= 0)
		bpf_link_detach(c->link);
	if (c->shared)
		dispatcher_remove_one(nic->ifindex, c->shared);
	if (!c->old || c->old->prog < 0)
		return;
	opts.flags = c->old->mode == NAV_MODE_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	fd = bpf_link_create(c->old->prog, (int)nic->ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return;
	link_path(d, "link", (__u32)(c->old - old), path);
	unlink(path);
	bpf_obj_pin(fd, path);
	close(fd);
}

/* Under names of their own first, so that a failure leaves the old ones as they are. */
static int pin(const struct datapath *d, const char *name, __u32 slot, int fd, struct error *e)
{
	char path[96];

	link_path(d, name, slot, path);
	unlink(path);
	if (bpf_obj_pin(fd, path))
		return error_set(e, -errno, "pin %s: %s", path, strerror(errno));
	return 0;
}

static int pin_links(struct datapath *d, const struct change *c, __u32 n, struct error *e)
{
	char path[96];
	int err = 0;

	for (__u32 i = 0; i < n && !err; i++) {
		if (c[i].link < 0)
			continue;
		err = pin(d, "new_link", i, c[i].link, e);
		if (!err)
			err = pin(d, "new_prog", i, c[i].prog, e);
	}
	for (__u32 i = 0; i < n && err; i++) {
		link_path(d, "new_link", i, path);
		unlink(path);
		link_path(d, "new_prog", i, path);
		unlink(path);
	}
	return err;
}

/* From here on nothing can fail: the new pins take the place of the old, the rest is detached. */
static void settle_links(struct datapath *d, const struct change *c, __u32 n,
			 const struct old_link old[NAV_NICS])
{
	static const char *const names[][2] = { { "new_prog", "prog" }, { "new_link", "link" } };
	char from[96], to[96];

	for (__u32 slot = 0; slot < NAV_NICS; slot++) {
		if (old[slot].fd >= 0 && !old[slot].kept)
			bpf_link_detach(old[slot].fd); /* even if somebody else holds it */
		for (int i = 0; i < 2; i++) {
			link_path(d, names[i][0], slot, from);
			link_path(d, names[i][1], slot, to);
			if (slot >= n || c[slot].link < 0 || rename(from, to))
				unlink(to);
		}
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

/* The two ways exclude each other on one NIC. */
static void stop_sharing(const struct datapath *d, __u32 ifindex)
{
	for (__u32 i = 0; i < NAV_NICS; i++)
		if (d->daemon->nic[i].ifindex == ifindex && d->daemon->nic[i].shared)
			dispatcher_remove(ifindex, 0);
}

/* Those that are no longer configured. */
static void leave_dispatchers(const struct datapath *d, const struct nav_nic *nic, __u32 n)
{
	for (__u32 i = 0; i < NAV_NICS; i++) {
		const struct nav_nic *was = &d->daemon->nic[i];
		bool wanted = false;

		for (__u32 k = 0; k < n; k++)
			wanted |= nic[k].ifindex == was->ifindex;
		if (was->shared && was->ifindex && !wanted)
			dispatcher_remove(was->ifindex, 0);
	}
}

/* All of them, or none. One that is not there is left out. */
static int change_nics(struct programs *p, struct nav_nic *nic, enum nav_mode mode, struct error *e)
{
	struct datapath *d = p->d;
	struct old_link old[NAV_NICS];
	struct change change[NAV_NICS];
	__u32 i, done = 0;
	int err = 0;

	read_links(d, old);
	for (i = 0; i < NAV_NICS; i++)
		change[i] = (struct change){ .link = -1, .prog = -1 };
	for (i = 0; i < p->n && !err; i++, done++) {
		if (!nic[i].ifindex)
			continue;
		change[i].old = link_of(old, nic[i].ifindex);
		if (!p->shared)
			stop_sharing(d, nic[i].ifindex);
		err = p->shared ? share_nic(p, &nic[i], mode, &change[i], e) :
				  change_nic(p, &nic[i], mode, &change[i], e);
	}
	if (!err)
		err = pin_links(d, change, p->n, e);
	if (!err)
		settle_links(d, change, p->n, old);
	for (i = 0; i < p->n && !err; i++) /* those of earlier starts; until now they did the work */
		if (change[i].shared)
			dispatcher_remove(nic[i].ifindex, change[i].shared);
	while (err && done--)
		undo_nic(d, &nic[done], &change[done], old);
	for (i = 0; i < NAV_NICS; i++) {
		if (old[i].fd >= 0)
			close(old[i].fd);
		if (old[i].prog >= 0)
			close(old[i].prog);
		if (change[i].link >= 0)
			close(change[i].link);
	}
	return err;
}

static bool is_among(const struct nav_nic *nic, __u32 n, const char *name)
{
	for (__u32 i = 0; i < n; i++)
		if (!strcmp(nic[i].name, name))
			return true;
	return false;
}

/*
 * Did an earlier start with the same wish end in generic mode? Then native mode is not tried again,
 * unless a NIC is left out now: it may have been the one that has no other. A new one has no say.
 */
static bool generic_before(const struct datapath *d, const struct nav_nic *nic, __u32 n)
{
	struct old_link old[NAV_NICS], *one;
	bool generic = false, native = false, fewer = false;

	read_links(d, old);
	for (__u32 i = 0; i < n; i++) {
		one = link_of(old, nic[i].ifindex);
		generic |= one && one->mode == NAV_MODE_GENERIC;
		native |= one && one->mode == NAV_MODE_NATIVE;
	}
	for (__u32 i = 0; i < NAV_NICS; i++) {
		if (old[i].fd >= 0)
			close(old[i].fd);
		if (old[i].prog >= 0)
			close(old[i].prog);
	}
	for (__u32 i = 0; i < d->daemon->n_nics; i++)
		fewer |= !is_among(nic, n, d->daemon->nic[i].name);
	return d->daemon->mode_wanted == NAV_MODE_AUTO && generic && !native && !fewer;
}

/*
 * One mode for all: a native program cannot send through a NIC whose driver has no XDP, and nobody
 * would count what is lost there.
 */
static int change_nics_auto(struct programs *p, struct nav_nic *nic, struct error *warning,
			    struct error *e)
{
	static const char slower[] = "generic XDP on all NICs, which is several times slower";
	int err;

	if (generic_before(p->d, nic, p->n)) {
		error_set(warning, 0, "no native XDP at an earlier start: %s", slower);
		return change_nics(p, nic, NAV_MODE_GENERIC, e);
	}
	err = change_nics(p, nic, NAV_MODE_NATIVE, e);
	if (!err || p->shared || err == -EBUSY || err == -EEXIST || err == -EPERM)
		return err;
	error_set(warning, 0, "%s: %s", slower, e->text);
	return change_nics(p, nic, NAV_MODE_GENERIC, e);
}

/* What is known of the device itself stays known. */
static void keep_state(struct nav_nic *nic, const struct nav_daemon *page)
{
	for (__u32 i = 0; i < NAV_NICS; i++)
		if (nic->ifindex && page->nic[i].ifindex == nic->ifindex) {
			nic->down = page->nic[i].down;
			nic->strips = page->nic[i].strips;
			nic->mtu = page->nic[i].mtu;
		}
}

static void add_sentence(struct error *e, const char *text)
{
	size_t n = strlen(e->text);

	snprintf(e->text + n, sizeof(e->text) - n, "%s%s", n ? "; " : "", text);
}

static int put_programs(struct programs *p, const struct config *c, struct nav_nic *nic,
			struct error *warning, struct error *e)
{
	return c->mode == NAV_MODE_AUTO ? change_nics_auto(p, nic, warning, e) :
					  change_nics(p, nic, c->mode, e);
}

/* What the NICs have got now, for the page. */
static void tell(struct programs *p, const struct config *c, struct nav_nic *nic)
{
	struct nav_daemon *page = p->d->daemon;
	struct bpf_prog_info info;
	struct error e;
	__u32 len;

	leave_dispatchers(p->d, nic, p->n);
	for (__u32 i = 0; i < p->n && !p->shared; i++) {
		len = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (nic[i].ifindex &&
		    !bpf_obj_get_info_by_fd(program(p, nic[i].frags, &e), &info, &len))
			nic[i].prog_id = info.id;
	}
	for (__u32 i = 0; i < c->n_interfaces; i++)
		keep_state(&nic[i], page);
	memcpy(page->nic, nic, sizeof(page->nic));
	page->n_nics = c->n_interfaces;
	page->mode_wanted = c->mode;
	p->d->behind = false;
}

int datapath_attach(struct datapath *d, const struct config *c, const struct nav_config *policy,
		    struct error *warning, struct error *e)
{
	__u32 n = c->mode == NAV_MODE_OFF ? 0 : c->n_interfaces;
	struct nav_nic nic[NAV_NICS] = { 0 };
	struct programs p = { d, policy, nic, n, c->dispatcher != CHOICE_NO, { NULL } };
	int tunnels[TUNNEL_MAPS], was[TUNNEL_MAPS], err;

	warning->text[0] = '\0';
	err = fill_nics(c, true, nic, e);
	if (!err)
		err = datapath_make_tunnels(c, tunnels, e);
	if (err)
		return err;
	memcpy(was, d->tunnels, sizeof(was));
	memcpy(d->tunnels, tunnels, sizeof(tunnels));
	err = put_programs(&p, c, nic, warning, e);
	if (err && p.shared && c->dispatcher == CHOICE_TRY) {
		struct error why = *e;

		p.shared = false;
		err = put_programs(&p, c, nic, warning, e);
		if (!err)
			add_sentence(warning, why.text);
	}
	if (!err) {
		tell(&p, c, nic);
		d->fresh = false;
		d->mode = nic[0].mode; /* the same for all */
		d->shared = p.shared;
		datapath_drop_tunnels(was);
	} else {
		datapath_drop_tunnels(d->tunnels);
		memcpy(d->tunnels, was, sizeof(was));
	}
	programs_free(&p);
	return err;
}

/* Not after its device went, even if another has got the number, nor after somebody detached it. */
static bool link_holds(const struct datapath *d, __u32 slot, __u32 ifindex)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	char path[96];
	bool holds;
	int fd;

	link_path(d, "link", slot, path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	holds = !bpf_obj_get_info_by_fd(fd, &info, &len) && info.xdp.ifindex == ifindex;
	close(fd);
	return holds;
}

bool datapath_look(struct datapath *d, const struct config *c)
{
	char meta[96];

	snprintf(meta, sizeof(meta), "%s/meta", d->folder);
	if (access(meta, F_OK)) /* navalisctl detach --force: it is not wanted there */
		return false;
	for (__u32 i = 0; i < c->n_interfaces; i++) {
		struct nav_nic *nic = &d->daemon->nic[i];
		__u32 ifindex = if_nametoindex(c->interfaces[i]);

		if (ifindex != nic->ifindex) {
			if (nic->shared) /* it may be there under another name */
				dispatcher_remove(nic->ifindex, 0);
			*nic = (struct nav_nic){ .ifindex = ifindex };
			strcpy(nic->name, c->interfaces[i]);
			d->behind = true;
		} else if (nic->mode != NAV_MODE_OFF && !nic->shared && !link_holds(d, i, ifindex)) {
			nic->mode = NAV_MODE_OFF;
			nic->prog_id = 0;
			nic->frags = 0;
			d->behind = true;
		}
	}
	return d->behind && c->mode != NAV_MODE_OFF;
}

int datapath_restore(struct datapath *d, const struct config *c, const struct nav_config *policy,
		     struct error *e)
{
	struct nav_nic nic[NAV_NICS] = { 0 };
	struct programs p = { d, policy, nic, c->n_interfaces, d->shared, { NULL } };
	int err = fill_nics(c, false, nic, e);

	if (!err)
		err = change_nics(&p, nic, d->mode, e);
	if (!err)
		tell(&p, c, nic);
	else if (c->mode == NAV_MODE_AUTO && d->mode == NAV_MODE_NATIVE &&
		 (err == -EOPNOTSUPP || err == -EINVAL || err == -ERANGE))
		add_sentence(e, "mode = auto takes generic mode when navalisd is restarted");
	programs_free(&p);
	return err;
}

