// SPDX-License-Identifier: GPL-2.0-or-later
/* Housekeeping: the network around us, the keys, the page that navalisctl reads. */
#include <net/if.h>
#include <sys/random.h>

#include "core/cookie.h"
#include "daemon-impl.h"

#define LOOK_MS 60000 /* at the network, even if nothing was heard of it */
#define PAUSE_MS 200  /* between two looks at a network that changes */
#define RESTORE_MS 1000 /* before the second try to attach to what has come back */

/* Proven clients stay: they are served again with the first packet after it is back. */
static void look_at_service(struct daemon *d)
{
	const bool here = d->host.has_service;
	const __u8 *a = (const __u8 *)&d->policy.service.addr;

	if (!d->policy.service.addr || here == !d->page->service_gone)
		return;
	d->page->service_gone = !here;
	if (here)
		log_line(LOG_LEVEL_INFO, "service address %u.%u.%u.%u is back", a[0], a[1], a[2], a[3]);
	else
		log_line(LOG_LEVEL_WARNING, "service address %u.%u.%u.%u is gone from this host: no client "
			 "can be reached until it is back (ip address add)", a[0], a[1], a[2], a[3]);
}

static void look_at_addresses(struct daemon *d)
{
	const bool was_cut = d->host.own_is_cut;
	const struct addr4_set was = d->host.self;

	if (netlink_host(d->netlink, d->policy.service.addr, &d->host)) {
		d->network_changed |= NETLINK_ADDRESSES; /* what was known stays, and is looked at again soon */
		return;
	}
	datapath_set_own(d->datapath, &d->host.own);
	tunnels_look(d, was_cut ? NULL : &was);
	if (d->host.own_is_cut && !was_cut)
		log_line(LOG_LEVEL_WARNING, "this host has more than %u IPv4 addresses that are not next to "
			 "each other: clients that claim one of the others are not refused for it",
			 ADDR4_SET_MAX);
}

static void look_at_links(struct daemon *d)
{
	struct nav_nic before[NAV_NICS];

	memcpy(before, d->page->nic, sizeof(before));
	if (netlink_links(d->netlink, d->page->nic, d->page->n_nics, &d->links)) {
		d->network_changed |= NETLINK_LINKS;
		return;
	}
	datapath_set_links(d->datapath, &d->links);
	for (__u32 i = 0; i < d->page->n_nics; i++) {
		const struct nav_nic *nic = &d->page->nic[i];

		if (nic->mtu != before[i].mtu && d->restore_ms) { /* that may have been the reason */
			d->restore_ms = 0;
			d->network_changed |= NETLINK_LINKS;
		}
		if (nic->ifindex && nic->down && !before[i].down)
			log_line(LOG_LEVEL_WARNING, "%s is down", nic->name);
		if (nic->ifindex && !nic->down && before[i].down)
			log_line(LOG_LEVEL_INFO, "%s is up", nic->name);
		if (nic->strips && !before[i].strips)
			log_line(LOG_LEVEL_WARNING, "%s takes VLAN tags off, so XDP cannot tell its VLANs "
				 "apart: ethtool -K %s rxvlan off", nic->name, nic->name);
	}
}

/* What has been notified comes first: nobody vouches for what he could know to be wrong. */
void upkeep_regions(struct daemon *d)
{
	const struct regions *r;

	d->network_changed |= netlink_drain(d->netlink);
	for (int i = 0; i < REGION_FAMILIES; i++) {
		d->page->hops[i] = netlink_regions(d->netlink, (enum region_family)i, &r);
		datapath_set_regions(d->datapath, (enum region_family)i,
				     d->page->hops[i] == HOPS_BY_ROUTE ? r : NULL, now_of(d).units);
	}
}

void upkeep_look(struct daemon *d)
{
	__u32 ifindex[NAV_NICS + NAV_VLANS], n = 0;

	look_at_links(d);
	look_at_addresses(d);
	look_at_service(d);
	for (__u32 i = 0; i < d->page->n_nics; i++)
		ifindex[n++] = d->page->nic[i].ifindex;
	for (__u32 i = 0; i < d->links.n_vlans; i++)
		ifindex[n++] = d->links.ifindex[i];
	d->page->n_neighs = netlink_manage_gateways(d->netlink, ifindex, n, d->page->neigh,
						    d->page->n_neighs);
	upkeep_regions(d);
}

static bool others_now(const struct daemon *d, const struct nav_nic before[NAV_NICS])
{
	for (__u32 i = 0; i < d->page->n_nics; i++)
		if (d->page->nic[i].ifindex != before[i].ifindex)
			return true;
	return false;
}

/*
 * What fails is tried again with longer and longer pauses, unless the NICs are others: attaching and
 * undoing it can be what changed a link. Said when it is another reason than before.
 */
static void restore(struct daemon *d, struct relay_time now)
{
	struct nav_nic before[NAV_NICS];
	struct error e = { "" };

	memcpy(before, d->page->nic, sizeof(before));
	if (!datapath_restore(d->datapath, d->config, &d->policy, &e)) {
		d->nic_error.text[0] = '\0';
		d->restore_ms = d->restore_pause = 0;
		daemon_log_nics(d, before);
		return;
	}
	if (strcmp(e.text, d->nic_error.text))
		log_line(LOG_LEVEL_ERR, "%s", e.text);
	d->nic_error = e;
	d->restore_pause = d->restore_pause ? 2 * d->restore_pause : RESTORE_MS;
	if (d->restore_pause > LOOK_MS)
		d->restore_pause = LOOK_MS;
	d->restore_ms = now.ms + d->restore_pause;
}

static void look_at_nics(struct daemon *d, struct relay_time now)
{
	struct nav_nic before[NAV_NICS];
	bool wanting;

	memcpy(before, d->page->nic, sizeof(before));
	wanting = datapath_look(d->datapath, d->config);
	daemon_log_nics(d, before);
	if (others_now(d, before))
		d->restore_ms = d->restore_pause = 0;
	if (!wanting)
		d->nic_error.text[0] = '\0';
	else if (now.ms >= d->restore_ms)
		restore(d, now);
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
	upkeep_regions(d);
	transit_sweep(d->transit, 32, now);
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
	if (d->restore_ms && now.ms >= d->restore_ms)
		d->network_changed |= NETLINK_LINKS;
	if (now.ms < d->look_ms && (!d->network_changed || now.ms - d->looked_ms < PAUSE_MS))
		return;
	if ((d->network_changed & NETLINK_LINKS) || now.ms >= d->look_ms)
		look_at_nics(d, now);
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
