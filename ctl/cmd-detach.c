// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * navalisctl detach: takes away every trace of an instance, with no daemon to help. JSON:
 * {"removed":[…]}
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"
#include "io/dispatcher.h"

struct removed {
	const struct ctl *c;
	struct json_object *list;
};

static void say(struct removed *r, const char *what, const char *name)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %s", what, name);
	if (r->c->json)
		json_object_array_add(r->list, json_object_new_string(text));
	else
		printf("removed %s\n", text);
}

/* One request with its acknowledgement. */
static int ask(struct nlmsghdr *h)
{
	struct mnl_socket *s = mnl_socket_open(NETLINK_ROUTE);
	char buf[8192];
	ssize_t n;
	int err = -1;

	if (!s)
		return -1;
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = 1;
	if (!mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) && mnl_socket_sendto(s, h, h->nlmsg_len) > 0) {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		err = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(s), NULL, NULL);
	}
	mnl_socket_close(s);
	return err < 0 ? -1 : 0;
}

static void remove_route(struct removed *r, __u8 type, const char *name, __u32 metric)
{
	const struct in6_addr prefix = { .s6_addr32 = { BE32(TEREDO_PREFIX) } };
	char buf[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	h->nlmsg_type = RTM_DELROUTE;
	rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	*rt = (struct rtmsg){ .rtm_family = AF_INET6, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = NAV_RTPROT, .rtm_type = type };
	mnl_attr_put(h, RTA_DST, sizeof(prefix), &prefix);
	mnl_attr_put_u32(h, RTA_PRIORITY, metric);
	if (!ask(h))
		say(r, "route", name);
}

static void remove_neigh(struct removed *r, const struct nav_neigh *n)
{
	char buf[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ndmsg *nd;

	h->nlmsg_type = RTM_DELNEIGH;
	nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));
	*nd = (struct ndmsg){ .ndm_family = (__u8)n->family, .ndm_ifindex = (int)n->ifindex };
	mnl_attr_put(h, NDA_DST, n->family == AF_INET ? 4 : 16, &n->addr);
	if (!ask(h))
		say(r, "managed neighbour", n->family == AF_INET ? text_in4(n->addr.s6_addr32[0]).s :
								   text_in6(&n->addr).s);
}

static void remove_tun(struct removed *r, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd;

	if (!*name || !if_nametoindex(name))
		return;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", name);
	if (fd >= 0 && !ioctl(fd, TUNSETIFF, &ifr) && !ioctl(fd, TUNSETPERSIST, 0))
		say(r, "TUN device", name);
	if (fd >= 0)
		close(fd);
}

/* Links are detached first, so that nothing runs on without its maps. */
static int remove_pins(struct removed *r, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[512];

	if (!dir)
		return -errno;
	for (int links = 1; links >= 0; links--) {
		rewinddir(dir);
		while ((e = readdir(dir))) {
			bool link = !strncmp(e->d_name, "link_", 5);

			if (*e->d_name == '.' || link != links)
				continue;
			snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
			if (link) {
				int fd = bpf_obj_get(path);

				if (fd >= 0) {
					bpf_link_detach(fd);
					close(fd);
				}
			}
			if (!unlink(path))
				say(r, link ? "XDP link" : "map", e->d_name);
		}
	}
	closedir(dir);
	if (rmdir(folder))
		return -errno;
	say(r, "folder", folder);
	return 0;
}

/* Taken before it is removed: a daemon that is just starting finds it held, and does not start. */
static void remove_lock(struct removed *r)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/navalis/%s.lock", r->c->instance);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && !unlink(path))
		say(r, "lock", path);
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof(path), "/run/navalis/%s.sock", r->c->instance);
	if (!unlink(path))
		say(r, "socket", path);
}

static void leave_dispatchers(struct removed *r, const struct nav_daemon *d)
{
	for (__u32 i = 0; i < NAV_NICS; i++)
		if (d->nic[i].shared && d->nic[i].ifindex && dispatcher_remove(d->nic[i].ifindex, 0))
			say(r, "program behind the dispatcher of", d->nic[i].name);
}

int cmd_detach(struct ctl *c)
{
	bool force = c->argc == 1 && !strcmp(c->argv[0], "--force");
	struct removed r = { c, NULL };
	struct json_object *o;
	struct maps m = { 0 };
	struct ctl quiet = *c;
	char folder[128];
	int err;

	if (c->argc && !force)
		return ctl_fail(c, EXIT_USAGE, "detach knows --force alone, not «%s»", c->argv[0]);
	snprintf(folder, sizeof(folder), "/sys/fs/bpf/%s", c->instance);
	if (access(folder, F_OK))
		return ctl_fail(c, EXIT_NOT_FOUND, "no instance %s on this host: nothing to remove",
				c->instance);
	/* maps that are not ours to read, or broken, are removed all the same */
	quiet.quiet = true;
	if (!maps_open(&quiet, &m))
		maps_close(&m);
	if (m.alive && !force)
		return ctl_fail(c, EXIT_FAILED, "navalisd (pid %u) is running: stop it first, or take "
				"everything from under it with --force", m.daemon.pid);
	r.list = c->json ? json_object_new_array() : NULL;
	libbpf_set_print(NULL);
	leave_dispatchers(&r, &m.daemon);
	err = remove_pins(&r, folder);
	remove_route(&r, RTN_UNICAST, "2001::/32", NAV_ROUTE_METRIC);
	remove_route(&r, RTN_BLACKHOLE, "blackhole 2001::/32", NAV_BLACKHOLE_METRIC);
	for (__u32 i = 0; i < m.daemon.n_neighs && i < NAV_NEIGHS; i++)
		remove_neigh(&r, &m.daemon.neigh[i]);
	remove_tun(&r, m.daemon.tun);
	remove_lock(&r);
	if (c->json) {
		o = json_object_new_object();
		json_object_object_add(o, "removed", r.list);
		ctl_print_json(o);
	}
	if (err)
		fprintf(stderr, "navalisctl: %s: %s\n", folder, strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}
