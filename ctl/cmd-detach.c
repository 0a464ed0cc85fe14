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
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "io/dispatcher.h"

struct removed {
	const struct ctl *c;
	struct json_object *list;
	int lock; /* held meanwhile, so that no daemon starts; -1: there was none */
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

/* The routes that navalis makes: to a TUN, or to nowhere (oif 0). An instance removes its own alone. */
struct routes {
	struct route {
		struct in6_addr prefix;
		__u8 len;
		__u32 oif;
	} *of;
	int n;
};

static int on_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct route new = { .len = rt->rtm_dst_len };
	struct routes *r = data;
	struct nlattr *a;
	void *grown;

	if (h->nlmsg_type != RTM_NEWROUTE || rt->rtm_protocol != NAV_RTPROT || rt->rtm_table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*rt)) {
		if (mnl_attr_get_type(a) == RTA_DST)
			memcpy(&new.prefix, mnl_attr_get_payload(a), sizeof(new.prefix));
		else if (mnl_attr_get_type(a) == RTA_OIF && rt->rtm_type == RTN_UNICAST)
			new.oif = mnl_attr_get_u32(a);
	}
	grown = reallocarray(r->of, (size_t)r->n + 1, sizeof(new));
	if (!grown)
		return MNL_CB_ERROR;
	r->of = grown;
	r->of[r->n++] = new;
	return MNL_CB_OK;
}

static struct routes all_routes(void)
{
	struct mnl_socket *s = mnl_socket_open(NETLINK_ROUTE);
	struct routes routes = { 0 };
	char buf[32768];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;
	ssize_t n;

	if (!s)
		return routes;
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	*rt = (struct rtmsg){ .rtm_family = AF_INET6 };
	if (!mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) && mnl_socket_sendto(s, h, h->nlmsg_len) > 0)
		while ((n = mnl_socket_recvfrom(s, buf, sizeof(buf))) > 0 &&
		       mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(s), on_route, &routes) >
			       MNL_CB_STOP)
			;
	mnl_socket_close(s);
	return routes;
}

static void remove_route(struct removed *r, const struct route *route)
{
	char buf[512], name[96];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	h->nlmsg_type = RTM_DELROUTE;
	rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	*rt = (struct rtmsg){ .rtm_family = AF_INET6, .rtm_dst_len = route->len, .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = NAV_RTPROT,
			      .rtm_type = route->oif ? RTN_UNICAST : RTN_BLACKHOLE };
	mnl_attr_put(h, RTA_DST, sizeof(route->prefix), &route->prefix);
	mnl_attr_put_u32(h, RTA_PRIORITY, route->oif ? NAV_ROUTE_METRIC : NAV_BLACKHOLE_METRIC);
	if (route->oif)
		mnl_attr_put_u32(h, RTA_OIF, route->oif);
	snprintf(name, sizeof(name), "%s%s/%u", route->oif ? "" : "blackhole ", text_in6(&route->prefix).s,
		 route->len);
	if (!ask(h))
		say(r, "route", name);
}

/* Is there one to a TUN, of the same prefix as this blackhole? */
static bool has_holder(const struct routes *routes, const struct route *blackhole)
{
	for (int i = 0; i < routes->n; i++)
		if (routes->of[i].oif && routes->of[i].len == blackhole->len &&
		    in6_equal(&routes->of[i].prefix, &blackhole->prefix))
			return true;
	return false;
}

/* Another instance's route stays, and with it the blackhole behind it. */
static void remove_routes(struct removed *r, const char *tun)
{
	const __u32 oif = *tun ? if_nametoindex(tun) : 0;
	struct routes routes = all_routes();

	for (int i = 0; i < routes.n; i++)
		if (oif && routes.of[i].oif == oif)
			remove_route(r, &routes.of[i]);
	free(routes.of);
	routes = all_routes();
	for (int i = 0; i < routes.n; i++)
		if (!routes.of[i].oif && !has_holder(&routes, &routes.of[i]))
			remove_route(r, &routes.of[i]);
	free(routes.of);
}

/* Where all of them lead, or 0: nowhere, or to several. */
static __u32 only_holder(void)
{
	struct routes routes = all_routes();
	__u32 oif = 0;
	bool several = false;

	for (int i = 0; i < routes.n; i++)
		if (routes.of[i].oif) {
			several |= oif && oif != routes.of[i].oif;
			oif = routes.of[i].oif;
		}
	free(routes.of);
	return several ? 0 : oif;
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

/* A name in the folder that abi.h knows. */
static bool is_ours(const char *name)
{
	static const char *const names[] = {
#define P(id, pinned) #pinned,
		NAV_PINNED(P)
#undef P
		NAV_HG48,
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strncmp(name, "link_", 5) || !strncmp(name, "prog_", 5);
}

/*
 * Is the folder an instance's? One whose start was cut short has no meta yet, which is pinned last,
 * or nothing at all; then its names have to be ours. Returns NULL, or what is not.
 */
static const char *stranger(const char *folder, bool meta)
{
	static char name[256];
	const char *found = NULL;
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && !meta && !found && (e = readdir(dir)))
		if (*e->d_name != '.' && (!is_ours(e->d_name) || !strcmp(e->d_name, "meta"))) {
			snprintf(name, sizeof(name), "%s", e->d_name);
			found = name;
		}
	if (dir)
		closedir(dir);
	return found;
}

/* For an instance whose own page cannot be read: where the route leads, if no other claims that. */
static void guess_tun(const struct ctl *c, char *tun)
{
	const __u32 holder = only_holder();
	struct ctl other = { .quiet = true };
	DIR *dir = opendir(NAV_BPFFS);
	struct dirent *e;

	if (!holder || !if_indextoname(holder, tun))
		*tun = '\0';
	while (dir && *tun && (e = readdir(dir))) {
		struct nav_meta meta = { 0 };
		struct maps m;

		other.instance = e->d_name;
		if (*e->d_name == '.' || !strcmp(e->d_name, c->instance) ||
		    (maps_meta(&other, &meta), meta.magic != NAV_MAGIC))
			continue;
		if (maps_open(&other, &m)) {
			*tun = '\0'; /* of another version, too: it may be that one's */
			break;
		}
		if (!strcmp(m.daemon.tun, tun))
			*tun = '\0';
		maps_close(&m);
	}
	if (dir)
		closedir(dir);
}

/*
 * First what tells a daemon that still runs that it is not wanted any more, or it would attach again;
 * then the links, so that nothing runs on without its maps.
 */
static int turn_of(const char *pin)
{
	return !strcmp(pin, "meta") ? 0 : !strncmp(pin, "link_", 5) ? 1 : 2;
}

static int remove_pins(struct removed *r, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[512];

	if (!dir)
		return -errno;
	for (int turn = 0; turn <= 2; turn++) {
		const bool link = turn == 1;

		rewinddir(dir);
		while ((e = readdir(dir))) {
			if (*e->d_name == '.' || turn_of(e->d_name) != turn)
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

/* False: a daemon has it, though it may hang. Else none can start from now on. */
static bool take_lock(struct removed *r)
{
	char path[128];

	snprintf(path, sizeof(path), NAV_LOCK, r->c->instance);
	r->lock = open(path, O_RDWR | O_CLOEXEC);
	return r->lock < 0 || !flock(r->lock, LOCK_EX | LOCK_NB);
}

static void remove_files(struct removed *r, bool held)
{
	char path[128];

	snprintf(path, sizeof(path), NAV_LOCK, r->c->instance);
	if (held && r->lock >= 0 && !unlink(path))
		say(r, "lock", path);
	snprintf(path, sizeof(path), NAV_SOCKET, r->c->instance);
	if (!unlink(path))
		say(r, "socket", path);
}

static void leave_dispatchers(struct removed *r, const struct nav_daemon *d)
{
	for (__u32 i = 0; i < NAV_NICS; i++)
		if (d->nic[i].shared && d->nic[i].ifindex && dispatcher_remove(d->nic[i].ifindex, 0))
			say(r, "program behind the dispatcher of", d->nic[i].name);
}

/* Is the instance's network another namespace's? Pins are seen from everywhere. */
static bool is_elsewhere(const struct maps *m)
{
	struct stat here;

	return m->daemon.netns && !stat(NAV_NETNS, &here) && here.st_ino != m->daemon.netns;
}

static int detach(struct removed *r, const char *folder, struct maps *m, bool held)
{
	const bool elsewhere = is_elsewhere(m);
	int err;

	if (!elsewhere)
		leave_dispatchers(r, &m->daemon);
	err = remove_pins(r, folder);
	if (elsewhere) {
		remove_files(r, held);
		fprintf(stderr, "navalisctl: TUN device %s, routes and neighbours stay in the instance's "
			"namespace\n", m->daemon.tun);
		return err;
	}
	remove_routes(r, m->daemon.tun);
	for (__u32 i = 0; i < m->daemon.n_neighs && i < NAV_NEIGHS; i++)
		remove_neigh(r, &m->daemon.neigh[i]);
	remove_tun(r, m->daemon.tun);
	remove_files(r, held);
	return err;
}

/* EXIT_DONE, or why nothing is to be removed: somebody uses it, or it is out of reach. */
static int refuse(const struct ctl *c, const struct maps *m, bool held)
{
	if (m->alive || !held)
		return ctl_fail(c, EXIT_FAILED,
				"navalisd of instance %s is running%s: stop it first, or take everything "
				"from under it with --force",
				c->instance, m->alive ? "" : " and gives no sign of life");
	if (is_elsewhere(m))
		return ctl_fail(c, EXIT_FAILED,
				"the network of instance %s is another namespace: detach it from within "
				"(nsenter --net=…), or with --force, which leaves its TUN, routes and "
				"neighbours there", c->instance);
	return EXIT_DONE;
}

/* Returns an exit code; the list of what went is printed. */
static int remove_all(struct removed *r, const char *folder, struct maps *m, bool held, bool dry_run)
{
	struct json_object *o;
	int err;

	r->list = r->c->json ? json_object_new_array() : NULL;
	err = dry_run ? 0 : detach(r, folder, m, held);
	if (err) {
		json_object_put(r->list);
		return ctl_fail(r->c, EXIT_FAILED, "%s: %s", folder, strerror(-err));
	}
	if (r->c->json) {
		o = json_object_new_object();
		json_object_object_add(o, "removed", r->list);
		ctl_print_json(o);
	}
	return EXIT_DONE;
}

int cmd_detach(struct ctl *c)
{
	bool force = c->argc == 1 && !strcmp(c->argv[0], "--force"), held;
	bool dry_run = c->argc == 1 && !strcmp(c->argv[0], "--dry-run");
	struct removed r = { .c = c, .lock = -1 };
	struct nav_meta meta = { 0 };
	struct maps m = { 0 };
	struct ctl quiet = *c;
	const char *other;
	char folder[128];
	int err;

	if (c->argc && !force && !dry_run)
		return ctl_fail(c, EXIT_USAGE, "detach knows --force or --dry-run, not «%s»",
				c->argv[c->argc - 1]);
	snprintf(folder, sizeof(folder), NAV_FOLDER, c->instance);
	err = maps_meta(c, &meta);
	if (err == -EPERM || err == -EACCES)
		return ctl_fail(c, EXIT_FAILED, "no right to detach: run as root");
	if (access(folder, F_OK))
		return ctl_fail(c, EXIT_NOT_FOUND, "no instance %s on this host: nothing to remove",
				c->instance);
	other = stranger(folder, meta.magic == NAV_MAGIC);
	if (other)
		return ctl_fail(c, EXIT_NOT_FOUND,
				"%s is no instance of navalis: it holds «%s», and stays", folder,
				other);
	/* maps of another version, or broken, are removed all the same */
	quiet.quiet = true;
	if (!maps_open(&quiet, &m))
		maps_close(&m);
	else
		guess_tun(c, m.daemon.tun);
	held = take_lock(&r);
	err = force ? 0 : refuse(c, &m, held);
	if (!err)
		err = remove_all(&r, folder, &m, held, dry_run);
	if (r.lock >= 0)
		close(r.lock);
	return err;
}
