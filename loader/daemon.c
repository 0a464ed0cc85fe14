// SPDX-License-Identifier: GPL-2.0-or-later
/* The event loop. */
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "core/cookie.h"
#include "core/icmp6.h"
#include "daemon.h"
#include "io/datapath.h"
#include "io/netlink.h"
#include "io/privileges.h"
#include "io/tun.h"
#include "io/udp.h"

#define TICK_MS 50
#define LOOK_MS 60000 /* at the network, even if nothing was heard of it */
#define TUN_BATCH 64 /* packets before the other sources have their turn */

struct daemon {
	const struct config *config;
	struct nav_config policy;
	struct nav_own own;
	struct cookie_keys cookies;
	struct table table;
	struct relay *relay;

	struct datapath *datapath;
	struct nav_daemon *page; /* what navalisctl sees */
	const struct nav_meta *meta;
	struct netlink *netlink;
	struct udp *udp;
	int tun;
	sd_event *event;

	__u64 second_ms;   /* when the work of each second is due */
	__u64 look_ms;     /* when to look at the network again, changed or not */
	int network_changed; /* NETLINK_*, since the last second */
	struct in6_addr source; /* of ICMPv6 errors; unspecified: none to be had */
	__u8 packet[65536] __attribute__((aligned(8)));
};

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

static struct relay_time now_of(const struct daemon *d)
{
	__u64 ns = now_ns();

	return (struct relay_time){ ns / 1000000, nav_units(&d->meta->clock, ns) };
}

static void count(struct daemon *d, enum reason reason, size_t bytes)
{
	d->page->count[reason].packets++;
	d->page->count[reason].bytes += bytes;
}

/* ---- doing what the relay says --------------------------------------------------------------- */

static void send_unreachable(struct daemon *d, const void *pkt, size_t len)
{
	__u8 buf[ICMP6_ERROR_MAX] __attribute__((aligned(8)));
	int n;

	if (addr6_kind(&d->source) == ADDR6_UNSPECIFIED)
		return;
	n = icmp6_address_unreachable(buf, sizeof(buf), &d->source, pkt, len);
	if (n > 0 && write(d->tun, buf, (size_t)n) == n)
		count(d, R_UNREACHABLE_SENT, (size_t)n);
}

/* Returns whether the packet, if one was to be sent, has been taken. */
static bool perform(struct daemon *d, const struct relay_out *out)
{
	bool sent = true;

	if ((out->act & RELAY_BUBBLE) &&
	    !udp_send(d->udp, out->bubble_to, out->bubble, sizeof(out->bubble)))
		count(d, R_BUBBLE_SENT, sizeof(out->bubble));
	if ((out->act & RELAY_DIRECT) &&
	    !udp_send(d->udp, out->direct_to, out->bubble, sizeof(out->bubble)))
		count(d, R_BUBBLE_SENT, sizeof(out->bubble));
	if (out->act & RELAY_UNREACHABLE)
		send_unreachable(d, out->pkt, out->len);
	if (out->act & RELAY_SEND)
		sent = !udp_send(d->udp, out->to, out->pkt, out->len);
	if (out->act & RELAY_WRITE)
		sent = write(d->tun, out->pkt, out->len) == (ssize_t)out->len;
	if (((out->act & RELAY_KEPT_SEND) && !udp_send(d->udp, out->to, out->kept, out->kept_len)) ||
	    ((out->act & RELAY_KEPT_WRITE) &&
	     write(d->tun, out->kept, out->kept_len) == (ssize_t)out->kept_len))
		count(d, R_DEQUEUED, out->kept_len);
	return sent;
}

/* The verdict on a packet that came in with len bytes. */
static void conclude(struct daemon *d, const struct relay_out *out, size_t len)
{
	count(d, perform(d, out) ? out->reason : R_SEND_ERROR, len);
}

static int on_tun(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct daemon *d = data;
	struct relay_time now = now_of(d);
	struct relay_out out;
	ssize_t n;

	(void)s, (void)revents;
	for (int i = 0; i < TUN_BATCH; i++) {
		n = read(fd, d->packet, sizeof(d->packet));
		if (n <= 0)
			break;
		d->page->rx_tun.packets++;
		d->page->rx_tun.bytes += (__u64)n;
		relay_from_native(d->relay, d->packet, (size_t)n, now, &out);
		conclude(d, &out, (size_t)n);
	}
	return 0;
}

static void drain_errors(struct daemon *d, struct relay_time now)
{
	struct udp_error err;
	struct relay_out out;

	for (int i = 0; i < UDP_BATCH && udp_error(d->udp, &err); i++) {
		if (err.type != 3) /* destination unreachable; its code 4 cannot be, DF is 0 */
			continue;
		relay_icmp4(d->relay, err.to, err.quote, err.len, now, &out);
		perform(d, &out);
		count(d, out.reason, err.len);
	}
}

static int on_udp(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct daemon *d = data;
	struct relay_time now = now_of(d);
	struct datagram *gram;
	struct relay_out out;
	__u32 lost;
	int n;

	(void)s, (void)fd;
	if (revents & EPOLLERR)
		drain_errors(d, now);
	n = udp_receive(d->udp, &gram);
	for (int i = 0; i < n; i++) {
		d->page->rx_udp.packets++;
		d->page->rx_udp.bytes += gram[i].len;
		relay_from_udp(d->relay, gram[i].payload, gram[i].len, gram[i].from, gram[i].tos,
			       now, &out);
		conclude(d, &out, gram[i].len);
	}
	lost = udp_overflows(d->udp);
	d->page->count[R_SOCKET_OVERFLOW].packets += lost;
	return 0;
}

/* ---- housekeeping ---------------------------------------------------------------------------- */

static void choose_source(struct daemon *d)
{
	d->source = in6addr_any;
	for (__u32 i = 0; i < d->own.n6; i++)
		if (addr6_kind(&d->own.v6[i]) == ADDR6_GLOBAL) {
			d->source = d->own.v6[i];
			return;
		}
}

/* Addresses or gateways have changed: who we are, and whom XDP hands packets to. */
static void look_at_network(struct daemon *d)
{
	__u32 ifindex[NAV_NICS], n = 0;

	netlink_own(d->netlink, &d->own);
	datapath_set_own(d->datapath, &d->own);
	choose_source(d);
	for (__u32 i = 0; i < d->page->n_nics; i++)
		ifindex[n++] = d->page->nic[i].ifindex;
	d->page->n_neighs = netlink_manage_gateways(d->netlink, ifindex, n, d->page->neigh,
						    d->page->n_neighs);
}

static void log_warning(struct error *warning)
{
	if (*warning->text)
		log_line(LOG_LEVEL_WARNING, "%s", warning->text);
	*warning->text = '\0';
}

static void log_nics(const struct daemon *d)
{
	static const char *const modes[] = { "off", "native", "generic" };

	for (__u32 i = 0; i < d->page->n_nics; i++) {
		const struct nav_nic *nic = &d->page->nic[i];

		if (nic->ifindex)
			log_line(LOG_LEVEL_INFO, "%s: XDP %s", nic->name, modes[nic->mode]);
		else
			log_line(LOG_LEVEL_WARNING, "%s is gone: XDP will be back with it", nic->name);
	}
}

/* A link dies with its device. */
static void look_at_nics(struct daemon *d)
{
	struct error warning, e;
	int r = datapath_watch(d->datapath, d->config, &d->policy, &warning, &e);

	log_warning(&warning);
	if (r < 0)
		log_line(LOG_LEVEL_ERR, "%s", e.text);
	else if (r)
		log_nics(d);
}

static void turn_cookies(struct daemon *d, __u64 units)
{
	__u32 turn;
	int i;

	while ((i = cookie_key_due(&d->cookies, cookie_slot(units), &turn)) >= 0) {
		if (getrandom(&d->cookies.key[i], sizeof(d->cookies.key[i]), 0) < 0)
			return;
		d->cookies.made_for[i] = turn;
		datapath_set_cookies(d->datapath, &d->cookies);
	}
}

static void each_second(struct daemon *d, struct relay_time now)
{
	struct relay_gauges g = relay_gauges(d->relay);

	turn_cookies(d, now.units);
	if (d->network_changed || now.ms >= d->look_ms) {
		if (d->network_changed & NETLINK_LINKS)
			look_at_nics(d);
		d->network_changed = 0;
		d->look_ms = now.ms + LOOK_MS;
		look_at_network(d);
	}
	d->page->remapped = g.remapped;
	d->page->clients = d->table.n;
	d->page->pending = g.peers.pending;
	d->page->max_pending = g.peers.max_pending;
	d->page->silent = g.peers.silent;
	d->page->weak = g.peers.weak;
	d->page->queue_bytes = g.peers.queue_bytes;
	d->page->max_queue_bytes = g.peers.max_queue_bytes;
	d->page->seen_ns = now_ns();
}

static int on_tick(sd_event_source *s, uint64_t usec, void *data)
{
	struct daemon *d = data;
	struct relay_time now = now_of(d);
	struct relay_out out;

	(void)usec;
	relay_sweep(d->relay, (d->table.mask + 1) * TICK_MS / 1000 + 1);
	while (relay_next(d->relay, now, &out)) {
		perform(d, &out);
		if (out.reason != R_NONE)
			count(d, out.reason, out.len);
	}
	if (now.ms >= d->second_ms) {
		d->second_ms = now.ms + 1000;
		each_second(d, now);
	}
	return sd_event_source_set_time_relative(s, TICK_MS * 1000);
}

static int on_netlink(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct daemon *d = data;

	(void)s, (void)fd, (void)revents;
	d->network_changed |= netlink_drain(d->netlink);
	return 0;
}

/* ---- start and end --------------------------------------------------------------------------- */

static int check(const struct config *c, struct error *e)
{
	int err = privileges_check(e);

	for (__u32 i = 0; i < c->n_interfaces && !err; i++)
		if (!if_nametoindex(c->interfaces[i]))
			err = error_set(e, -ENODEV, "no interface %s on this host: ip link shows which "
					"there are", c->interfaces[i]);
	if (!err && (!c->n_interfaces || c->mode == NAV_MODE_OFF))
		err = netlink_forwarding("", e);
	for (__u32 i = 0; i < c->n_interfaces && !err && c->mode != NAV_MODE_OFF; i++)
		err = netlink_forwarding(c->interfaces[i], e);
	return err;
}

static int new_relay(struct daemon *d, struct error *e)
{
	const struct config *c = d->config;
	const struct relay_settings settings = {
		.pending = c->pending,
		.queue_bytes = c->queue_bytes,
		.clients_per_address = c->clients_per_address,
		.clients_per_net = c->clients_per_net,
		.new_per_second = c->new_clients,
		.new_per_source = c->new_per_source,
		.bubbles_per_client = c->bubbles_per_client,
		.bubbles_per_server = c->bubbles_per_server,
		.unreachables_per_second = c->unreachables,
		.behind_nat = c->behind_nat,
	};
	struct remap_ops remap = datapath_remap(d->datapath);
	__u64 seed;
	int err;

	if (getrandom(&seed, sizeof(seed), 0) < 0)
		return error_set(e, -errno, "no random numbers: %s", strerror(errno));
	err = table_init(&d->table, datapath_buckets(d->datapath), d->meta->buckets, &d->meta->seed,
			 c->max_clients, (__u16)(now_ns() / 1000000 / PROOF_MS));
	if (!err)
		err = relay_new(&d->policy, &d->own, &d->table, &d->cookies, &remap, &settings, seed,
				&d->relay);
	return err ? error_set(e, err, "out of memory for %u clients", c->max_clients) : 0;
}

static void open_page(struct daemon *d)
{
	struct nav_daemon *p = d->page;

	p->pid = (__u32)getpid();
	p->started_ns = p->seen_ns = now_ns();
	p->stopped_ns = 0;
	snprintf(p->version, sizeof(p->version), "%s", NAVALIS_VERSION);
	snprintf(p->tun, sizeof(p->tun), "%s", d->config->tun);
	p->laboratory = d->config->laboratory;
	p->max_clients = d->config->max_clients;
	p->service = d->policy.service;
	p->life = d->policy.life;
}

static int add_sources(struct daemon *d, struct error *e)
{
	sd_event_source *tick = NULL;
	sigset_t mask;
	int err;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	err = sd_event_default(&d->event);
	if (err >= 0)
		err = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_io(d->event, NULL, d->tun, EPOLLIN, on_tun, d);
	if (err >= 0)
		err = sd_event_add_io(d->event, NULL, udp_fd(d->udp), EPOLLIN, on_udp, d);
	if (err >= 0)
		err = sd_event_add_io(d->event, NULL, netlink_fd(d->netlink), EPOLLIN, on_netlink, d);
	if (err >= 0)
		err = sd_event_add_time_relative(d->event, &tick, CLOCK_MONOTONIC, 0, 1000, on_tick, d);
	if (err >= 0)
		err = sd_event_source_set_enabled(tick, SD_EVENT_ON);
	if (err >= 0) /* a flood of packets must not keep the timers waiting */
		err = sd_event_source_set_priority(tick, SD_EVENT_PRIORITY_IMPORTANT);
	if (err >= 0)
		err = sd_event_source_set_floating(tick, true);
	sd_event_source_unref(tick);
	if (err >= 0)
		err = sd_event_set_watchdog(d->event, true);
	return err < 0 ? error_set(e, err, "event loop: %s", strerror(-err)) : 0;
}

int daemon_new(const struct config *c, struct daemon **ret, struct error *e)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct error warning = { "" };
	int err;

	if (!d)
		return error_set(e, -ENOMEM, "out of memory");
	d->config = c;
	d->tun = -1;
	err = check(c, e);
	if (!err)
		err = datapath_new(c, &d->datapath, e);
	if (err)
		goto fail;
	d->meta = datapath_meta(d->datapath);
	d->page = datapath_daemon(d->datapath);
	err = config_policy(c, &d->meta->clock, &d->policy);
	if (err)
		error_set(e, err, "too many refused prefixes");
	if (!err)
		err = udp_new(c->service, &d->udp, &warning, e);
	log_warning(&warning);
	if (!err)
		err = d->tun = tun_open(c->tun, e);
	if (err > 0)
		err = netlink_new(&d->netlink, e);
	if (!err)
		err = netlink_tun_up(d->netlink, c->tun, e);
	if (err)
		goto fail;
	datapath_get_cookies(d->datapath, &d->cookies);
	turn_cookies(d, now_of(d).units);
	netlink_own(d->netlink, &d->own);
	datapath_set_own(d->datapath, &d->own);
	err = new_relay(d, e);
	if (!err)
		err = add_sources(d, e);
	if (!err) /* before the NICs: somebody else may have it */
		err = netlink_route(d->netlink, c->tun, e);
	if (!err)
		err = datapath_attach(d->datapath, c, &d->policy, &warning, e);
	log_warning(&warning);
	if (!err)
		err = netlink_blackhole(d->netlink, e);
	if (!err && tun_keep(d->tun))
		err = error_set(e, -errno, "TUN device %s cannot be made to last", c->tun);
	if (!err) /* not before: to undo an attach that failed takes CAP_SYS_ADMIN, where we have it */
		err = privileges_drop(e);
	if (err)
		goto fail;
	open_page(d);
	look_at_network(d);
	relay_enforce(d->relay);
	*ret = d;
	return 0;
fail:
	daemon_free(d);
	return err;
}

struct daemon *daemon_free(struct daemon *d)
{
	if (!d)
		return NULL;
	sd_event_unref(d->event);
	relay_free(d->relay);
	table_release(&d->table);
	udp_free(d->udp);
	netlink_free(d->netlink);
	if (d->tun >= 0)
		close(d->tun);
	datapath_free(d->datapath);
	free(d);
	return NULL;
}

int daemon_run(struct daemon *d)
{
	int err;

	log_nics(d);
	if (d->config->laboratory)
		log_line(LOG_LEVEL_WARNING, "laboratory = yes: the built-in list of refused IPv4 "
			 "prefixes is OFF; never on the Internet");
	log_line(LOG_LEVEL_INFO, "ready: %u proven clients in the table", d->table.n);
	sd_notifyf(0, "READY=1\nSTATUS=%u proven clients at the start", d->table.n);
	err = sd_event_loop(d->event);
	sd_notify(0, "STOPPING=1");
	d->page->stopped_ns = now_ns();
	log_line(LOG_LEVEL_INFO, "stopped; proven clients go on being forwarded where XDP is attached");
	return err < 0 ? err : 0;
}
