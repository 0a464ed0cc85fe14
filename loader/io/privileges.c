// SPDX-License-Identifier: GPL-2.0-or-later
/* Capabilities. */
#include <cap-ng.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "io/privileges.h"

static const struct {
	unsigned cap;
	const char *name;
} needed[] = {
	{ CAP_BPF, "CAP_BPF" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ CAP_PERFMON, "CAP_PERFMON" },
};

#define N_NEEDED (sizeof(needed) / sizeof(needed[0]))

int privileges_check(struct error *e)
{
	for (size_t i = 0; i < N_NEEDED; i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].cap))
			return error_set(e, -EPERM, "%s is missing: run as root, or give "
					 "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON "
					 "(AmbientCapabilities= of the unit)", needed[i].name);
	return 0;
}

int privileges_drop(bool keep_admin, struct error *e)
{
	const bool admin = keep_admin && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);

	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < N_NEEDED; i++)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			     needed[i].cap);
	if (admin)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_SYS_ADMIN);
	if (capng_apply(CAPNG_SELECT_ALL))
		return error_set(e, -EPERM, "capabilities cannot be dropped");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return error_set(e, -errno, "no_new_privs: %s", strerror(errno));
	return 0;
}
