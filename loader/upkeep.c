// SPDX-License-Identifier: GPL-2.0-or-later
/* Housekeeping: the network around us, the keys, the page that navalisctl reads. */
#include <net/if.h>
#include <sys/random.h>

#include "core/cookie.h"
#include "daemon-impl.h"

#define LOOK_MS 60000 /* at the network, even if nothing was heard of it */
#define PAUSE_MS 200  /* between two looks at a network that changes */

static void choose_source(struct daemon *d)
{
	d->source = in6addr_any;
	for (__u32 i = 0; i < d->own.n6; i++)
		if (addr6_kind(&d->own.v6[i]) == ADDR6_GLOBAL) {
			d->source = d->own.v6[i];
			return;
		}
}

/* Proven clients stay: they are served again with the first packet after it is back. */
static void look_at_service(struct daemon *d)
{
	const bool here = own_has4(&d->own, d->policy.service.addr);
	const __u8 *a = (const __u8 *)&d->policy.service.addr;

	if (here == !d->page->service_gone)
		return;
	d->page->service_gone = !here;
	if (here)
		log_line(LOG_LEVEL_INFO, "service address %u.%u.%u.%u is back", a[0], a[1], a[2], a[3]);
	else
		log_line(LOG_LEVEL_WARNING, "service address %u.%u.%u.%u is gone from this host: no client "
			 "can be reached until it is back (ip address add)", a[0], a[1], a[2], a[3]);
}

static void look_at_links(struct daemon *d)
{
	struct nav_nic before[NAV_NICS];
	struct netlink_vlans vlans;

	memcpy(before, d->page->nic, sizeof(before));
	netlink_links(d->netlink, d->page->nic, d->page->n_nics, &vlans);
	datapath_set_vlans(d->datapath, vlans.ifindex, vlans.tags, vlans.n);
	for (__u32 i = 0; i < d->page->n_nics; i++) {
		const struct nav_nic *nic = &d->page->nic[i];

		if (nic->ifindex && nic->down && !before[i].down)
			log_line(LOG_LEVEL_WARNING, "%s is down", nic->name);
		if (nic->ifindex && !nic->down && before[i].down)
			log_line(LOG_LEVEL_INFO, "%s is up", nic->name);
		if (nic->strips && !before[i].strips)
			log_line(LOG_LEVEL_WARNING, "%s takes VLAN tags off, so XDP cannot tell its VLANs "
				 "apart: ethtool -K %s rxvlan off", nic->name, nic->name);
	}
}

void upkeep_look(struct daemon *d)
{
	__u32 ifindex[NAV_NICS], n = 0;

	look_at_links(d);
	netlink_own(d->netlink, &d->own);
	datapath_set_own(d->datapath, &d->own);
	choose_source(d);
	look_at_service(d);
	for (__u32 i = 0; i < d->page->n_nics; i++)
		ifindex[n++] = d->page->nic[i].ifindex;
	d->page->n_neighs = netlink_manage_gateways(d->netlink, ifindex, n, d->page->neigh,
						    d->page->n_neighs);
}

/* What fails is tried again with each look, and said when it is another reason than before. */
static void look_at_nics(struct daemon *d)
{
	struct nav_nic before[NAV_NICS];
	struct error e = { "" };
	bool wanting;

	memcpy(before, d->page->nic, sizeof(before));
	wanting = datapath_look(d->datapath, d->config);
	daemon_log_nics(d, before);
	memcpy(before, d->page->nic, sizeof(before));
	if (wanting && datapath_restore(d->datapath, d->config, &d->policy, &e)) {
		if (strcmp(e.text, d->nic_error.text))
			log_line(LOG_LEVEL_ERR, "%s", e.text);
	} else {
		e.text[0] = '\0';
		daemon_log_nics(d, before);
	}
	d->nic_error = e;
}

void upkeep_cookies(struct daemon *d, __u64 units)
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

	upkeep_cookies(d, now.units);
	log_tick();
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

/* Soon after a change, but not for each of a thousand. */
static void look_if_changed(struct daemon *d, struct relay_time now)
{
	if (netlink_gateways_due(d->netlink))
		d->network_changed |= NETLINK_GATEWAYS;
	if (now.ms < d->look_ms && (!d->network_changed || now.ms - d->looked_ms < PAUSE_MS))
		return;
	if ((d->network_changed & NETLINK_LINKS) || now.ms >= d->look_ms)
		look_at_nics(d);
	d->network_changed = 0;
	d->looked_ms = now.ms;
	d->look_ms = now.ms + LOOK_MS;
	upkeep_look(d);
}

void upkeep(struct daemon *d, struct relay_time now)
{
	look_if_changed(d, now);
	if (now.ms < d->second_ms)
		return;
	d->second_ms = now.ms + 1000;
	each_second(d, now);
}
