// SPDX-License-Identifier: GPL-2.0-or-later
/* The sockets of the mechanisms beside the Teredo relay, and doing what transit.h says. */
#include <stdlib.h>

#include "daemon-impl.h"
#include "navalis/sixto4.h"

static void count_in(struct nav_count *c, size_t bytes)
{
	c->packets++;
	c->bytes += bytes;
}

static bool send_out(struct daemon *d, const struct transit_out *out)
{
	switch (out->act) {
	case TRANSIT_WRITE:
		return write(d->tun, out->pkt, out->len) == (ssize_t)out->len;
	case TRANSIT_SEND:
		if (out->port == PORT_PROTO41)
			return !proto41_send(&d->proto41, out->link, &out->to, out->pkt, out->len);
		return !udp_send(d->port[out->port].udp, out->to.dst, out->pkt, out->len);
	case TRANSIT_NOTHING:
		break;
	}
	return true;
}

static bool perform(struct daemon *d, const struct transit_out *out)
{
	const bool sent = send_out(d, out);

	if (sent && out->unreachable)
		daemon_count(d, R_UNREACHABLE_SENT, out->len);
	return sent || out->error;
}

/* IPv6 packets, as in XDP. */
static void count_carried(struct daemon *d, const struct transit_out *out)
{
	const bool between = out->reason == R_BOUNCED || out->reason == R_SERVER_RELAYED;
	struct carried *c = &d->made.carried[out->carrier];

	if (out->reason == R_DECAP || between)
		count_in(&c->in, out->len - out->head);
	if (out->reason == R_ENCAP || out->reason == R_SOLICITED || between)
		count_in(&c->out, out->len - out->head);
}

/* The verdict on a packet that came in with len bytes. */
static void conclude(struct daemon *d, const struct transit_out *out, size_t len)
{
	const bool sent = perform(d, out);

	if (sent && out->act != TRANSIT_NOTHING)
		count_carried(d, out);
	daemon_count(d, sent ? out->reason : R_SEND_ERROR, len);
}

void sockets_native(struct daemon *d, const void *pkt, size_t len, struct relay_time now)
{
	struct transit_out out;

	transit_from_native(d->transit, pkt, len, now, &out);
	conclude(d, &out, len);
}

static void drain_errors(struct daemon *d, enum port port, struct socket4 *s, struct relay_time now)
{
	struct socket4_error err;
	struct transit_out out;

	for (int i = 0; i < SOCKET4_BATCH && socket4_error(s, &err); i++) {
		if (err.type != 3) /* destination unreachable */
			continue;
		transit_icmp4(d->transit, port, err.to, err.quote, err.len, err.code, err.mtu, now, &out);
		perform(d, &out);
		daemon_count(d, out.reason, err.len);
	}
}

static int on_proto41(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct daemon *d = data;
	struct relay_time now = now_of(d);
	struct datagram *packet;
	struct transit_out out;
	int n;

	(void)s, (void)fd;
	if (revents & EPOLLERR)
		drain_errors(d, PORT_PROTO41, d->proto41.socket, now);
	n = socket4_receive(d->proto41.socket, &packet);
	for (int i = 0; i < n; i++) {
		count_in(&d->page->rx_proto41, packet[i].len);
		transit_from_proto41(d->transit, packet[i].payload, packet[i].len, now, &out);
		conclude(d, &out, packet[i].len);
	}
	d->page->count[R_SOCKET_OVERFLOW].packets += socket4_overflows(d->proto41.socket);
	return 0;
}

static int on_port(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct port_socket *port = data;
	struct daemon *d = port->daemon;
	const enum port number = (enum port)(port - d->port);
	struct relay_time now = now_of(d);
	struct datagram *gram;
	struct transit_out out;
	int n;

	(void)s, (void)fd;
	if (revents & EPOLLERR)
		drain_errors(d, number, port->udp, now);
	n = socket4_receive(port->udp, &gram);
	for (int i = 0; i < n; i++) {
		count_in(&d->page->rx_udp, gram[i].len);
		transit_from_udp(d->transit, number, gram[i].payload, gram[i].len, gram[i].from, gram[i].tos, now, &out);
		conclude(d, &out, gram[i].len);
	}
	d->page->count[R_SOCKET_OVERFLOW].packets += socket4_overflows(port->udp);
	return 0;
}

/* ---- what is made of the configuration --------------------------------------------------------- */

int tunnels_make(const struct config *c, const struct nav_config *policy, struct tunnels_made *ret)
{
	struct tunnels_made m = { 0 };
	int err = c->n_sixin4 ? sixin4_table_new(c->sixin4, c->n_sixin4, &m.in4) : 0;

	if (err)
		return err;
	m.carried = calloc(CARRIER_SIXIN4 + c->n_sixin4, sizeof(*m.carried));
	m.route = calloc(TUN_ROUTES(m.in4), sizeof(*m.route));
	if (!m.carried || !m.route) {
		tunnels_release(&m);
		return -ENOMEM;
	}
	m.n_routes = transit_routes(policy, m.in4, m.route);
	*ret = m;
	return 0;
}

void tunnels_release(struct tunnels_made *m)
{
	sixin4_table_free(m->in4);
	free(m->carried);
	free(m->route);
	*m = (struct tunnels_made){ 0 };
}

/* The TUN lets pass what any tunnel takes; each route says how much that is. */
static __u32 tun_mtu(const struct tunnels_made *m)
{
	__u32 mtu = TEREDO_MTU;

	for (__u32 i = 0; i < m->n_routes; i++)
		if (m->route[i].mtu > mtu)
			mtu = m->route[i].mtu;
	return mtu;
}

static bool has_route(const struct tunnels_made *m, const struct tun_route *r)
{
	for (__u32 i = 0; i < m->n_routes; i++)
		if (!memcmp(&m->route[i].prefix, &r->prefix, sizeof(r->prefix)) && m->route[i].mtu == r->mtu)
			return true;
	return false;
}

bool tunnels_same_routes(const struct tunnels_made *a, const struct tunnels_made *b)
{
	for (__u32 i = 0; i < a->n_routes; i++)
		if (!has_route(b, &a->route[i]))
			return false;
	return a->n_routes == b->n_routes;
}

int tunnels_route(struct daemon *d, const struct tunnels_made *m, const struct tunnels_made *was,
		  struct error *e)
{
	int err = was && tun_mtu(m) == tun_mtu(was) ? 0 : netlink_tun_up(d->netlink, d->config->tun, tun_mtu(m), e);

	for (__u32 i = 0; i < m->n_routes && !err; i++)
		if (!was || !has_route(was, &m->route[i]))
			err = tunroute_make(d->netlink, d->config->tun, &m->route[i], 1, e);
	return err;
}

/* Where packets come to a mechanism beside the relay. */
struct stand {
	const char *section;
	__be32 addr; /* 0: none */
};

#define STANDS (2 + SIXBED4_LISTENERS + 2 + SIXRD_DOMAINS + SIXIN4_LOCALS + 1)

static __u32 all_stands(const struct nav_config *p, struct stand ret[STANDS])
{
	__u32 n = 0;

	for (int i = 0; i < 2; i++)
		ret[n++] = (struct stand){ "teredo-server", p->server.addr[i] };
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++)
		ret[n++] = (struct stand){ "6bed4", p->sixbed4[i].service.addr };
	ret[n++] = (struct stand){ "6to4", p->sixto4.local };
	ret[n++] = (struct stand){ "6to4", p->sixto4.anycast ? BE32(SIXTO4_ANYCAST) : 0 };
	for (__u32 i = 0; i < p->n_sixrd; i++)
		ret[n++] = (struct stand){ "6rd", p->sixrd[i].br };
	for (__u32 i = 0; i < p->sixin4.n_locals; i++)
		ret[n++] = (struct stand){ "6in4", p->sixin4.local[i] };
	ret[n++] = (struct stand){ "hg48", p->hg48.service.addr };
	return n;
}

void tunnels_look(const struct daemon *d, const struct addr4_set *was)
{
	struct stand at[STANDS];
	const __u32 n = d->host.own_is_cut ? 0 : all_stands(&d->policy, at);

	for (__u32 i = 0; i < n; i++) {
		const __u8 *a = (const __u8 *)&at[i].addr;
		const bool here = addr4_set_has(&d->host.self, at[i].addr);

		if (!at[i].addr || here == (!was || addr4_set_has(was, at[i].addr)))
			continue;
		if (here)
			log_line(LOG_LEVEL_INFO, "[%s]: %u.%u.%u.%u is on this host", at[i].section, a[0],
				 a[1], a[2], a[3]);
		else
			log_line(LOG_LEVEL_WARNING, "[%s]: %u.%u.%u.%u is not on this host: nothing comes to it "
				 "before ip address add %u.%u.%u.%u/32 dev INTERFACE", at[i].section, a[0], a[1],
				 a[2], a[3], a[0], a[1], a[2], a[3]);
	}
}

void tunnels_use(struct daemon *d)
{
	tunnels_look(d, NULL);
	transit_set_sixin4(d->transit, d->made.in4);
	relay_set_sixin4(d->relay, d->made.in4);
}

/* ---- sockets ----------------------------------------------------------------------------------- */

/* It answers what no tunnel of the kernel's takes, even if a raw socket has taken it. */
static void look_for_tunnel4(void)
{
	if (!access("/sys/module/tunnel4", F_OK))
		log_line(LOG_LEVEL_WARNING, "the module tunnel4 is loaded: hosts whose protocol 41 comes to the daemon hear from "
			 "the kernel that the port is unreachable: modprobe -r sit ipip tunnel4");
}

int sockets_open(struct daemon *d, struct error *e)
{
	int err = config_proto41(d->config) ? proto41_open(&d->proto41, e) : 0;

	if (config_proto41(d->config))
		look_for_tunnel4();
	for (enum port port = 0; port < PORT_MAX && !err; port++) {
		const struct endpoint4 at = transit_endpoint(&d->policy, port);
		struct error warning = { "" };

		d->port[port].daemon = d;
		if (at.addr)
			err = udp_new(at, &d->port[port].udp, &warning, e);
		daemon_log_warning(&warning);
	}
	return err;
}

int sockets_listen(struct daemon *d)
{
	int err = 0;

	if (d->proto41.socket)
		err = sd_event_add_io(d->event, NULL, socket4_fd(d->proto41.socket), EPOLLIN, on_proto41, d);
	for (enum port port = 0; port < PORT_MAX && err >= 0; port++)
		if (d->port[port].udp)
			err = sd_event_add_io(d->event, NULL, socket4_fd(d->port[port].udp), EPOLLIN, on_port,
					      &d->port[port]);
	return err;
}

void sockets_close(struct daemon *d)
{
	socket4_free(d->proto41.socket);
	for (enum port port = 0; port < PORT_MAX; port++)
		socket4_free(d->port[port].udp);
}
