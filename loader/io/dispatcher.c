// SPDX-License-Identifier: GPL-2.0-or-later
/* libxdp. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <xdp/libxdp.h>

#include "io/dispatcher.h"

#define PROGRAM "navalis"

/* What libxdp says is for those who debug; the caller says it in one line. */
static int print_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return level != LIBXDP_DEBUG && log_wants(LOG_LEVEL_DEBUG) ? vfprintf(stderr, format, args) : 0;
}

/* Did it get a dispatcher, or did libxdp attach the program alone, without a word? */
static bool is_alone(__u32 ifindex)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex((int)ifindex);
	bool alone;

	if (libxdp_get_error(all))
		return true;
	alone = xdp_multiprog__is_legacy(all);
	xdp_multiprog__close(all);
	return alone;
}

static int put_error(int err, const char *nic, struct error *e)
{
	/* without the capability libxdp fails in many ways: what it may not read, it takes for absent */
	if (err == -EPERM || prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0)
		return error_set(e, err, "%s: no dispatcher: libxdp needs CAP_SYS_ADMIN (navalisd(8), "
				 "PRIVILEGES), and a kernel that lets it replace functions (freplace)", nic);
	return error_set(e, err, "%s: no dispatcher: %s (this kernel and libxdp %s do not fit; recent "
			 "kernels want 1.5.5: set dispatcher = no)", nic, strerror(-err), LIBXDP_VERSION);
}

int dispatcher_put(struct bpf_object *obj, const char *nic, __u32 ifindex, enum nav_mode mode,
		   __u32 *id, struct error *e)
{
	const enum xdp_attach_mode how = mode == NAV_MODE_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = obj, .prog_name = PROGRAM);
	struct xdp_program *program;
	int err;

	libxdp_set_print(print_libxdp);
	program = xdp_program__create(&opts);
	err = (int)libxdp_get_error(program);
	if (err)
		return put_error(err, nic, e);
	err = xdp_program__attach(program, (int)ifindex, how, 0);
	if (!err && is_alone(ifindex)) {
		xdp_program__detach(program, (int)ifindex, how, 0);
		err = -EOPNOTSUPP;
	}
	if (!err)
		*id = xdp_program__id(program);
	xdp_program__close(program);
	return err ? put_error(err, nic, e) : 0;
}

/* The first of ours that is, or is not, the one with this number; or NULL. */
static struct xdp_program *ours(const struct xdp_multiprog *all, __u32 id, bool is)
{
	struct xdp_program *p = NULL;

	while ((p = xdp_multiprog__next_prog(p, all)))
		if (!strcmp(xdp_program__name(p), PROGRAM) && (xdp_program__id(p) == id) == is)
			return p;
	return NULL;
}

static int take_out(__u32 ifindex, __u32 id, bool is)
{
	int n = 0;

	libxdp_set_print(print_libxdp);
	for (;;) {
		/* looked at anew each time: taking one out makes another dispatcher */
		struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex((int)ifindex);
		struct xdp_program *p;
		int err;

		if (libxdp_get_error(all))
			return n;
		p = xdp_multiprog__is_legacy(all) ? NULL : ours(all, id, is);
		err = p ? xdp_program__detach(p, (int)ifindex, xdp_multiprog__attach_mode(all), 0) : -ENOENT;
		xdp_multiprog__close(all);
		if (err)
			return n;
		n++;
	}
}

int dispatcher_remove(__u32 ifindex, __u32 but)
{
	return take_out(ifindex, but, false);
}

void dispatcher_remove_one(__u32 ifindex, __u32 id)
{
	take_out(ifindex, id, true);
}
