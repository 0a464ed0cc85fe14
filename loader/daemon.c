// SPDX-License-Identifier: GPL-2.0-or-later
/* The event loop. */
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "daemon-impl.h"
#include "io/privileges.h"
#include "io/tun.h"
#include "navalis/icmp6.h"

#define TICK_MS 50
#define SLICE_MS 2   /* of housekeeping at a stretch, and of packets before it goes on */

void daemon_count(struct daemon *d, enum reason reason, size_t bytes)
{
	d->page->count[reason].packets++;
	d->page->count[reason].bytes += bytes;
}

/* ---- doing what the relay says --------------------------------------------------------------- */

static void send_unreachable(struct daemon *d, const void *pkt, size_t len)
{
	__u8 buf[ICMP6_ERROR_MAX] __attribute__((aligned(8)));
	int n;

	if (addr6_kind(&d->host.source) == ADDR6_UNSPECIFIED)
		return;
	n = icmp6_error(buf, sizeof(buf), &d->host.source, ICMP6_DST_UNREACH, 3, 0, pkt, len);
	if (n > 0 && write(d->tun, buf, (size_t)n) == n)
		daemon_count(d, R_UNREACHABLE_SENT, (size_t)n);
}

/* Returns whether the packet, if one was to be sent, has been taken. */
static bool perform(struct daemon *d, const struct relay_out *out)
{
	bool sent = true;

	/* the direct one first: our own NAT has to be open when the other one is answered */
	if ((out->act & RELAY_DIRECT) &&
	    !udp_send(d->udp, out->direct_to, out->bubble, sizeof(out->bubble)))
		daemon_count(d, R_BUBBLE_SENT, sizeof(out->bubble));
	if ((out->act & RELAY_BUBBLE) &&
	    !udp_send(d->udp, out->bubble_to, out->bubble, sizeof(out->bubble)))
		daemon_count(d, R_BUBBLE_SENT, sizeof(out->bubble));
	if (out->act & RELAY_UNREACHABLE)
		send_unreachable(d, out->pkt, out->len);
	if (out->act & RELAY_SEND)
		sent = !udp_send(d->udp, out->to, out->pkt, out->len);
	if (out->act & RELAY_WRITE)
		sent = write(d->tun, out->pkt, out->len) == (ssize_t)out->len;
	if (((out->act & RELAY_KEPT_SEND) && !udp_send(d->udp, out->to, out->kept, out->kept_len)) ||
	    ((out->act & RELAY_KEPT_WRITE) &&
	     write(d->tun, out->kept, out->kept_len) == (ssize_t)out->kept_len))
		daemon_count(d, R_DEQUEUED, out->kept_len);
	return sent;
}

/* The verdict on a packet that came in with len bytes. */
static void conclude(struct daemon *d, const struct relay_out *out, size_t len)
{
	daemon_count(d, perform(d, out) ? out->reason : R_SEND_ERROR, len);
}

/* What goes to clients goes in one system call for all: 900 ns less a packet, of 6000. */
static int on_tun(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct daemon *d = data;
	struct relay_time now = now_of(d);
	struct sending batch[SOCKET4_BATCH];
	size_t came[SOCKET4_BATCH];
	struct relay_out out;
	int sent = 0;
	ssize_t n;

	(void)s, (void)revents;
	for (int i = 0; i < SOCKET4_BATCH; i++) {
		n = read(fd, d->packet[i], sizeof(d->packet[i]));
		if (n <= 0)
			break;
		d->page->rx_tun.packets++;
		d->page->rx_tun.bytes += (__u64)n;
		relay_from_native(d->relay, d->packet[i], (size_t)n, now, &out);
		if (out.reason == R_NOT_OURS) {
			sockets_native(d, d->packet[i], (size_t)n, now);
			continue;
		}
		if (out.act != RELAY_SEND) {
			conclude(d, &out, (size_t)n);
			continue;
		}
		batch[sent] = (struct sending){ .to = out.to, .payload = out.pkt, .len = out.len };
		came[sent++] = (size_t)n;
	}
	if (sent)
		udp_send_batch(d->udp, batch, sent);
	for (int i = 0; i < sent; i++)
		daemon_count(d, batch[i].err ? R_SEND_ERROR : R_ENCAP, came[i]);
	return 0;
}

static void drain_errors(struct daemon *d, struct relay_time now)
{
	struct socket4_error err;
	struct relay_out out;

	for (int i = 0; i < SOCKET4_BATCH && socket4_error(d->udp, &err); i++) {
		if (err.type != 3 || err.code == 4) /* a destination is unreachable, a packet not too long */
			continue;
		relay_icmp4(d->relay, err.to, err.quote, err.len, now, &out);
		perform(d, &out);
		daemon_count(d, out.reason, err.len);
	}
}

/* What clients send goes on in one system call for all: 400 ns less a packet, of 4300. */
static int on_udp(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct daemon *d = data;
	struct relay_time now = now_of(d);
	struct sending batch[SOCKET4_BATCH];
	size_t came[SOCKET4_BATCH];
	struct datagram *gram;
	struct relay_out out;
	int n, sent = 0;
	__u32 lost;

	(void)s, (void)fd;
	if (revents & EPOLLERR)
		drain_errors(d, now);
	n = socket4_receive(d->udp, &gram);
	for (int i = 0; i < n; i++) {
		d->page->rx_udp.packets++;
		d->page->rx_udp.bytes += gram[i].len;
		relay_from_udp(d->relay, gram[i].payload, gram[i].len, gram[i].from, gram[i].tos,
			       now, &out);
		if (out.act != RELAY_WRITE) {
			conclude(d, &out, gram[i].len);
			continue;
		}
		batch[sent] = (struct sending){ .payload = out.pkt, .len = out.len };
		came[sent++] = gram[i].len;
	}
	ring_write(d->ring, d->tun, batch, sent);
	for (int i = 0; i < sent; i++)
		daemon_count(d, batch[i].err ? R_SEND_ERROR : R_DECAP, came[i]);
	lost = socket4_overflows(d->udp);
	d->page->count[R_SOCKET_OVERFLOW].packets += lost;
	return 0;
}

/* ---- the loop --------------------------------------------------------------------------------- */

/*
 * What falls due, and the order that is under way: for SLICE_MS at most, whoever many clients there
 * are. True: there is more.
 */
static bool housekeep(struct daemon *d)
{
	const __u64 end = now_ns() + SLICE_MS * 1000000;
	const struct relay_time now = now_of(d);
	struct relay_out out;
	bool more;

	do {
		more = d->udp && relay_next(d->relay, now, &out);
		if (more) {
			perform(d, &out);
			if (out.reason != R_NONE)
				daemon_count(d, out.reason, out.len);
		}
		more |= orders_next(d);
	} while (more && now_ns() < end);
	return more;
}

/* A round each TICK_MS; one that takes longer than a slice goes on when packets have had their turn. */
static int on_tick(sd_event_source *s, uint64_t usec, void *data)
{
	struct daemon *d = data;
	struct relay_time now = now_of(d);
	bool more;

	(void)usec;
	if (now.ms >= d->round_ms) {
		d->round_ms = now.ms + TICK_MS;
		relay_sweep(d->relay, 1000 / TICK_MS);
		upkeep(d, now);
	}
	more = housekeep(d);
	now = now_of(d);
	/* from now on, not from when this was due: the loop's own clock stands still meanwhile */
	return sd_event_source_set_time(s, 1000 * (more || now.ms >= d->round_ms ? now.ms + SLICE_MS : d->round_ms));
}

static int on_netlink(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	(void)s, (void)fd, (void)revents;
	upkeep_regions(data);
	return 0;
}

/* ---- start and end --------------------------------------------------------------------------- */

void daemon_log_warning(struct error *warning)
{
	if (*warning->text)
		log_line(LOG_LEVEL_WARNING, "%s", warning->text);
	*warning->text = '\0';
}

void daemon_log_nics(const struct daemon *d, const struct nav_nic before[NAV_NICS])
{
	static const char *const modes[] = { "off", "native", "generic" };

	for (__u32 i = 0; i < d->page->n_nics; i++) {
		const struct nav_nic *nic = &d->page->nic[i], *was = before ? &before[i] : NULL;

		if (was && was->ifindex == nic->ifindex && was->mode == nic->mode && was->frags == nic->frags)
			continue;
		if (!nic->ifindex)
			log_line(LOG_LEVEL_WARNING, "%s is gone: XDP will be back with it", nic->name);
		else if (nic->mode != NAV_MODE_OFF || d->page->mode_wanted == NAV_MODE_OFF)
			log_line(LOG_LEVEL_INFO, "%s: XDP %s%s", nic->name, modes[nic->mode],
				 nic->frags ? ", frames in several buffers" : "");
		else if (was && was->ifindex == nic->ifindex)
			log_line(LOG_LEVEL_WARNING, "%s has lost its XDP program: somebody detached it, or "
				 "made the interface anew", nic->name);
	}
}

static bool single_addresses(const struct prefix6 *p, __u32 n)
{
	for (__u32 i = 0; i < n; i++)
		if (p[i].len != 128)
			return false;
	return n;
}

/*
 * A host-specific relay (RFC 4380 3.4), or a return relay of 6to4: nobody is served but single addresses,
 * its own, so nothing is forwarded. With forwarding on, a host would believe no router advertisement.
 */
static bool serves_only_itself(const struct config *c)
{
	const struct sixto4_config *to4 = &c->sixto4;

	if (c->n_sixrd || c->n_sixin4 || c->n_sixbed4 || c->line[CONFIG_hg48])
		return false;
	if (c->line[CONFIG_sixto4] && !(to4->return_only && single_addresses(to4->sender, to4->n_senders)))
		return false;
	return !(c->line[CONFIG_teredo] || c->line[CONFIG_server]) ||
	       (c->local_services && single_addresses(c->serve, c->n_serve));
}

int daemon_check(const struct config *c, struct error *e)
{
	const bool forwards = !serves_only_itself(c);
	int err = privileges_check(e);

	for (__u32 i = 0; i < c->n_interfaces && !err; i++)
		if (!if_nametoindex(c->interfaces[i]))
			err = error_set(e, -ENODEV, "no interface %s on this host: ip link shows which "
					"there are", c->interfaces[i]);
	if (!err && forwards && (!c->n_interfaces || c->mode == NAV_MODE_OFF))
		err = netlink_forwarding("", e);
	for (__u32 i = 0; i < c->n_interfaces && !err && forwards && c->mode != NAV_MODE_OFF; i++)
		err = netlink_forwarding(c->interfaces[i], e);
	return err;
}

int daemon_check_tunnels(const struct config *c, const struct nav_config *policy,
			 const struct nav_own *own, struct error *e)
{
	char sentence[CONFIG_SENTENCE];
	int line;

	return config_conflict(c, policy, own, sentence, &line) ? error_set(e, -EINVAL, "%s", sentence) : 0;
}

struct relay_settings daemon_settings(const struct config *c)
{
	return (struct relay_settings){
		.pending = c->pending,
		.queue_bytes = c->queue_bytes,
		.clients_per_address = c->clients_per_address,
		.clients_per_net = c->clients_per_net,
		.new_per_second = c->new_clients,
		.new_per_source = c->new_per_source,
		.bubbles_per_client = c->bubbles_per_client,
		.bubbles_per_server = c->bubbles_per_server,
		.unreachables_per_second = c->unreachables,
		.cone = { c->cone, c->n_cone },
		.behind_nat = c->behind_nat,
	};
}

static int new_relay(struct daemon *d, struct error *e)
{
	const struct config *c = d->config;
	const struct relay_settings settings = daemon_settings(c);
	struct remap_ops remap = datapath_remap(d->datapath);
	__u64 seed;
	int err;

	if (getrandom(&seed, sizeof(seed), 0) < 0)
		return error_set(e, -errno, "no random numbers: %s", strerror(errno));
	table_init(&d->table, datapath_buckets(d->datapath), datapath_identities(d->datapath),
		   d->meta->buckets, &d->meta->seed, c->max_clients, now_ns() / 1000000);
	d->page->moving &= ~1U; /* odd, if an earlier daemon ended in the middle of a move */
	d->table.moving = &d->page->moving;
	err = relay_new(&d->policy, &d->host, &d->table, &d->cookies, &remap, &settings, seed,
			now_of(d), &d->relay);
	if (!err)
		err = transit_new(&d->policy, &d->host, seed, &d->transit);
	if (!err && datapath_hg48(d->datapath))
		err = transit_set_hg48(d->transit, datapath_hg48(d->datapath), &d->meta->seed);
	if (err)
		return error_set(e, err, "out of memory for %u clients", c->max_clients);
	transit_set(d->transit, c->unreachables, c->bubbles_per_client, c->advertisements);
	tunnels_use(d);
	return 0;
}

static void open_page(struct daemon *d)
{
	struct nav_daemon *p = d->page;
	struct stat netns;

	p->pid = (__u32)getpid();
	p->netns = stat(NAV_NETNS, &netns) ? 0 : netns.st_ino;
	p->started_ns = p->seen_ns = now_ns();
	p->stopped_ns = 0;
	p->longest_ns = 0;
	snprintf(p->version, sizeof(p->version), "%s", NAVALIS_VERSION);
	snprintf(p->tun, sizeof(p->tun), "%s", d->config->tun);
	p->laboratory = d->config->laboratory;
	p->cone_prefixes = d->config->n_cone;
	p->loaded_ns = p->started_ns;
	p->reloads = 0;
	p->refused_ns = 0;
	p->service_gone = 0;
	p->max_clients = d->config->max_clients;
	p->service = d->policy.service;
	p->life = d->policy.life;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *info, void *data)
{
	(void)s, (void)info;
	orders_hangup(data);
	return 0;
}

static int add_sources(struct daemon *d, struct error *e)
{
	sigset_t mask;
	int err;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	err = sd_event_default(&d->event);
	if (err >= 0)
		err = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
	if (err >= 0)
		err = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	if (err >= 0)
		err = sd_event_add_io(d->event, NULL, d->tun, EPOLLIN, on_tun, d);
	if (err >= 0 && d->udp)
		err = sd_event_add_io(d->event, NULL, socket4_fd(d->udp), EPOLLIN, on_udp, d);
	if (err >= 0)
		err = sockets_listen(d);
	if (err >= 0)
		err = sd_event_add_io(d->event, NULL, netlink_fd(d->netlink), EPOLLIN, on_netlink, d);
	if (err >= 0)
		err = sd_event_add_time_relative(d->event, &d->tick, CLOCK_MONOTONIC, 0, 1000, on_tick, d);
	if (err >= 0)
		err = sd_event_source_set_enabled(d->tick, SD_EVENT_ON);
	if (err >= 0) /* a flood of packets must not keep the timers waiting */
		err = sd_event_source_set_priority(d->tick, SD_EVENT_PRIORITY_IMPORTANT);
	if (err >= 0)
		err = sd_event_set_watchdog(d->event, true);
	return err < 0 ? error_set(e, err, "event loop: %s", strerror(-err)) : 0;
}

/* The TUN, the sockets and all that is gone with the process. */
static int set_up(struct daemon *d, struct error *e)
{
	const struct config *c = d->config;
	struct error warning = { "" };
	int err = d->policy.service.addr ? udp_new(d->policy.service, &d->udp, &warning, e) : 0;

	daemon_log_warning(&warning);
	if (!err)
		err = sockets_open(d, e);
	if (!err)
		err = d->tun = tun_open(c->tun, e);
	if (err > 0)
		err = netlink_new(&d->netlink, e);
	d->ring = ring_new();
	if (err)
		return err;
	datapath_get_cookies(d->datapath, &d->cookies);
	upkeep_cookies(d, now_of(d).units);
	err = netlink_host(d->netlink, d->policy.service.addr, &d->host);
	if (err)
		return error_set(e, err, "this host's addresses cannot be read: %s", strerror(-err));
	datapath_set_own(d->datapath, &d->host.own);
	err = daemon_check_tunnels(c, &d->policy, &d->host.own, e);
	if (!err)
		err = new_relay(d, e);
	if (!err)
		err = add_sources(d, e);
	if (!err)
		err = control_new(c->instance, d->event, orders_answer, d, &d->control, e);
	if (!err) /* before the NICs: somebody else may have it */
		err = tunnels_route(d, &d->made, NULL, e);
	return err;
}

/* What outlives the process comes last, the NICs at the very end: what fails here is undone. */
static int take_over(struct daemon *d, struct error *e)
{
	struct error warning = { "" };
	int err = tunroute_blackholes(d->netlink, d->made.route, d->made.n_routes, e);
	bool lasted = tun_lasts(d->tun);

	if (!err && tun_keep(d->tun, true))
		err = error_set(e, -errno, "TUN device %s cannot be made to last", d->config->tun);
	if (!err)
		err = datapath_attach(d->datapath, d->config, &d->policy, &warning, e);
	daemon_log_warning(&warning);
	if (!err)
		tunroute_prune(d->netlink, d->config->tun, d->made.route, d->made.n_routes);
	else
		tunroute_undo(d->netlink, d->made.route, d->made.n_routes);
	if (err && !lasted)
		tun_keep(d->tun, false);
	return err;
}

int daemon_new(const struct config_source *from, struct config *c, struct daemon **ret,
	       struct error *e)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct relay_walk walk;
	int err;

	if (!d) {
		free(c);
		return error_set(e, -ENOMEM, "out of memory");
	}
	d->from = from;
	d->config = c;
	d->tun = -1;
	err = daemon_check(c, e);
	if (!err)
		err = datapath_new(c, &d->datapath, e);
	if (err)
		goto fail;
	d->meta = datapath_meta(d->datapath);
	d->page = datapath_daemon(d->datapath);
	err = config_policy(c, &d->meta->clock, &d->policy);
	if (err)
		error_set(e, err, "too many refused prefixes");
	else if ((err = tunnels_make(c, &d->policy, &d->made)))
		error_set(e, err, "out of memory");
	if (!err)
		err = set_up(d, e);
	if (!err)
		err = privileges_drop(c->dispatcher != CHOICE_NO, e);
	if (!err)
		err = take_over(d, e);
	if (err)
		goto fail;
	open_page(d);
	upkeep_look(d);
	walk = relay_enforcement(d->relay);
	while (relay_walk(d->relay, &walk, 1024))
		;
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
	orders_free(d);
	control_free(d->control);
	sd_event_source_unref(d->tick);
	sd_event_unref(d->event);
	relay_free(d->relay);
	transit_free(d->transit);
	tunnels_release(&d->made);
	free(d->host.local6);
	socket4_free(d->udp);
	sockets_close(d);
	netlink_free(d->netlink);
	ring_free(d->ring);
	if (d->tun >= 0)
		close(d->tun);
	datapath_free(d->datapath);
	free(d->config);
	free(d);
	return NULL;
}

/* As sd_event_loop(), with an eye on the clock: how long does one thing keep all others waiting? */
static int loop(struct daemon *d)
{
	__u64 start, took;
	int n = 0;

	while (n >= 0 && sd_event_get_state(d->event) != SD_EVENT_FINISHED) {
		n = sd_event_prepare(d->event);
		if (!n)
			n = sd_event_wait(d->event, UINT64_MAX);
		if (n <= 0)
			continue;
		start = now_ns();
		n = sd_event_dispatch(d->event);
		took = now_ns() - start;
		if (took > d->page->longest_ns)
			d->page->longest_ns = took;
	}
	return n;
}

void daemon_log_cone(const struct config *c)
{
	if (c->n_cone)
		log_line(LOG_LEVEL_WARNING,
			 "cone_prefixes: clients of %u IPv4 prefixes are sent to unasked where "
			 "they set the cone bit, which RFC 5991 3.2 has done away with",
			 c->n_cone);
}

int daemon_run(struct daemon *d)
{
	int err;

	daemon_log_nics(d, NULL);
	if (d->config->laboratory)
		log_line(LOG_LEVEL_WARNING, "laboratory = yes: the built-in list of refused IPv4 "
			 "prefixes is OFF; never on the Internet");
	daemon_log_cone(d->config);
	log_line(LOG_LEVEL_INFO, "ready: %u proven clients in the table", d->table.n);
	sd_notifyf(0, "READY=1\nSTATUS=%u proven clients at the start", d->table.n);
	err = loop(d);
	sd_notify(0, "STOPPING=1");
	d->page->stopped_ns = now_ns();
	log_line(LOG_LEVEL_INFO, "stopped; proven clients go on being forwarded where XDP is attached");
	log_end();
	return err < 0 ? err : 0;
}
