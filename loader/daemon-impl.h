/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's parts: what daemon.c, upkeep.c and orders.c share and nobody else sees. */
#ifndef NAVALISD_DAEMON_IMPL_H
#define NAVALISD_DAEMON_IMPL_H

#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "io/control.h"
#include "io/datapath.h"
#include "io/netlink.h"
#include "io/proto41.h"
#include "io/ring.h"
#include "io/tunroute.h"

/* What the slow path makes of the configured tunnels. */
struct tunnels_made {
	struct sixin4_table *in4;
	struct carried *carried; /* what the daemon itself has: by enum carrier */
	struct tun_route *route;
	__u32 n_routes;
};

/* A UDP socket of a mechanism beside the relay. */
struct port_socket {
	struct daemon *daemon;
	struct socket4 *udp; /* NULL: the mechanism is off */
};

struct daemon {
	const struct config_source *from; /* of the configuration; not owned */
	struct config *config;
	struct nav_config policy;
	struct host host;
	struct cookie_keys cookies;
	struct table table;
	struct relay *relay;
	struct transit *transit;
	struct tunnels_made made; /* of the configuration */

	struct datapath *datapath;
	struct nav_daemon *page; /* what navalisctl sees */
	const struct nav_meta *meta;
	struct netlink *netlink;
	struct socket4 *udp; /* the relay's; NULL: there is none */
	struct proto41 proto41;
	struct port_socket port[PORT_MAX];
	struct control *control;
	int tun;
	struct ring *ring; /* writes to it; NULL: one by one */
	sd_event *event;

	sd_event_source *tick;
	__u64 round_ms;         /* when the next part of the clients is to be looked through */
	struct order *order;    /* under way: orders.c; NULL: none */
	bool hangup;            /* and a reload by signal waits for its end */
	__u64 second_ms;        /* when the work of each second is due */
	__u64 look_ms;          /* when to look at the network again, changed or not */
	__u64 looked_ms;        /* when that was last done */
	int network_changed;    /* NETLINK_*, since then */
	struct nav_links links; /* as they were last seen */
	struct error nic_error; /* why a NIC is without the program, as it was last said */
	__u64 restore_ms;       /* not to be tried again before; 0: at once */
	__u32 restore_pause;    /* the last one; grows as long as it fails */
	__u8 packet[SOCKET4_BATCH][SOCKET4_PACKET] __attribute__((aligned(8))); /* from the TUN, whose MTU is 1280 */
};

static inline __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000000000 + (__u64)t.tv_nsec;
}

static inline struct relay_time now_of(const struct daemon *d)
{
	__u64 ns = now_ns();

	return (struct relay_time){ ns / 1000000, nav_units(&d->meta->clock, ns) };
}

static inline bool has_program(const struct nav_daemon *page)
{
	for (__u32 i = 0; i < NAV_NICS && i < page->n_nics; i++)
		if (page->nic[i].mode != NAV_MODE_OFF)
			return true;
	return false;
}

/* ---- daemon.c --------------------------------------------------------------------------------- */

/* What cannot work says so in a sentence, and touches nothing. */
/* Warns of what a configuration believes that it better did not. */
void daemon_log_cone(const struct config *c);

int daemon_check(const struct config *c, struct error *e);

/* The same of tunnels that lead to this host itself, or into each other. */
int daemon_check_tunnels(const struct config *c, const struct nav_config *policy,
			 const struct nav_own *own, struct error *e);

struct relay_settings daemon_settings(const struct config *c);
void daemon_count(struct daemon *d, enum reason reason, size_t bytes);

/* Those whose state is another than before; NULL: all. */
void daemon_log_nics(const struct daemon *d, const struct nav_nic before[NAV_NICS]);
void daemon_log_warning(struct error *warning);

/* ---- sockets.c -------------------------------------------------------------------------------- */

/* Made while all rights are there; heard once there is an event loop. */
int sockets_open(struct daemon *d, struct error *e);
int sockets_listen(struct daemon *d);
void sockets_close(struct daemon *d);

/* 0 or -ENOMEM. */
int tunnels_make(const struct config *c, const struct nav_config *policy, struct tunnels_made *ret);
void tunnels_release(struct tunnels_made *m);

bool tunnels_same_routes(const struct tunnels_made *a, const struct tunnels_made *b);

/*
 * The TUN, up, and the routes to it; the ones to nowhere are tunroute.h's. What is there (was) is
 * not touched: XDP would have to learn all routes again. NULL: nothing is known to be.
 */
int tunnels_route(struct daemon *d, const struct tunnels_made *m, const struct tunnels_made *was,
		  struct error *e);

/* In force from now on. */
void tunnels_use(struct daemon *d);

/*
 * Says which addresses of these mechanisms have gone from this host, or come, since these were its
 * own; NULL: which are not there.
 */
void tunnels_look(const struct daemon *d, const struct addr4_set *was);

/* A packet from the TUN that is not for the relay. */
void sockets_native(struct daemon *d, const void *pkt, size_t len, struct relay_time now);

/* ---- upkeep.c --------------------------------------------------------------------------------- */

/* Who we are, and what is around us, as the network is now. */
void upkeep_look(struct daemon *d);

/* Hears what changed in the network, and what XDP may believe of the routes from here on. */
void upkeep_regions(struct daemon *d);

/* Keys of the bubbles' cookies, made in time. */
void upkeep_cookies(struct daemon *d, __u64 units);

/* The work of each tick, beside packets. */
void upkeep(struct daemon *d, struct relay_time now);

/* ---- orders.c --------------------------------------------------------------------------------- */

/* Loads the configuration again: all of it, or nothing changes and the log says why. */
void orders_hangup(struct daemon *d);

/* For the control socket. */
struct json_object *orders_answer(void *daemon, struct json_object *request);

/* Goes on with an order that has to look at all clients, for a moment. False: there is none. */
bool orders_next(struct daemon *d);
void orders_free(struct daemon *d);

/* ---- explain.c -------------------------------------------------------------------------------- */

/* What would become of packets to and from the address in the request. */
struct json_object *explain_answer(struct daemon *d, struct json_object *request);

/* As text, with its port unless that is 0; NULL: there is none. */
struct json_object *json_endpoint(struct endpoint4 at);

/* ---- mechanisms.c ----------------------------------------------------------------------------- */

/* The mechanisms beside the relay, with each of the configured tunnels or with all of them as one. */
struct json_object *mechanisms_answer(struct daemon *d, struct json_object *request);

#endif
