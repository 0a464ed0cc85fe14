// SPDX-License-Identifier: GPL-2.0-or-later
/* The relay's protocol. */
#include <stdlib.h>
#include <netinet/ip6.h>

#include "core/limits.h"
#include "core/relay.h"

#define LIMITER_SLOTS 4096
#define SCANS_PER_SECOND 10 /* of the whole table, for an ICMPv4 error that quotes no inner header */

struct relay {
	const struct nav_config *policy;
	const struct nav_own *own;
	struct table *table;
	const struct cookie_keys *keys;
	struct remap_ops remap;

	struct peers *peers;
	struct caps *per_address, *per_net;
	struct limiter *fresh, *per_source, *per_client, *per_server, *unreachable, *scan;

	__u32 sweep, sweep_left;  /* next bucket; how many more in this round */
	__u8 flushed[PEER_PACKET]; /* a kept packet on its way out */
};

int relay_new(const struct nav_config *policy, const struct nav_own *own, struct table *table,
	      const struct cookie_keys *keys, const struct remap_ops *remap,
	      const struct relay_limits *limits, __u64 seed, struct relay **ret)
{
	struct relay *r = calloc(1, sizeof(*r));
	__u32 slots = 1024;

	if (!r)
		return -ENOMEM;
	*r = (struct relay){ .policy = policy, .own = own, .table = table, .keys = keys, .remap = *remap };
	while (slots < table->max * 2)
		slots *= 2;
	if (peers_new(limits->pending, limits->queue_bytes, seed, &r->peers) ||
	    caps_new(limits->clients_per_address, slots, seed ^ 1, &r->per_address) ||
	    caps_new(limits->clients_per_net, slots, seed ^ 2, &r->per_net) ||
	    limiter_new(limits->new_per_second, 1, seed, &r->fresh) ||
	    limiter_new(limits->new_per_source, LIMITER_SLOTS, seed ^ 3, &r->per_source) ||
	    limiter_new(limits->bubbles_per_client, LIMITER_SLOTS, seed ^ 4, &r->per_client) ||
	    limiter_new(limits->bubbles_per_server, LIMITER_SLOTS, seed ^ 5, &r->per_server) ||
	    limiter_new(limits->unreachables_per_second, 1, seed, &r->unreachable) ||
	    limiter_new(SCANS_PER_SECOND, 1, seed, &r->scan)) {
		relay_free(r);
		return -ENOMEM;
	}
	for (__u32 i = 0; i <= table->mask; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++) {
			const struct client *c = &table->bucket[i].client[k];

			if (c->id) {
				caps_add(r->per_address, (__u32)(c->id >> 32));
				caps_add(r->per_net, (__u32)(c->id >> 32) & 0xffffff);
			}
		}
	*ret = r;
	return 0;
}

struct relay *relay_free(struct relay *r)
{
	if (r) {
		peers_free(r->peers);
		caps_free(r->per_address);
		caps_free(r->per_net);
		limiter_free(r->fresh);
		limiter_free(r->per_source);
		limiter_free(r->per_client);
		limiter_free(r->per_server);
		limiter_free(r->unreachable);
		limiter_free(r->scan);
		free(r);
	}
	return NULL;
}

struct peers_gauges relay_gauges(const struct relay *r)
{
	return peers_gauges(r->peers);
}

static void refuse(struct relay_out *out, enum reason reason)
{
	out->reason = reason;
	out->act = 0;
}

/* Where a proven client was found, and where it is. */
struct proven {
	struct client *entry; /* NULL: in the map of remapped clients */
	struct remapped remap;
	struct endpoint4 at;
};

/* Is this client proven, and young? In the table, or behind a symmetric NAT. */
static bool find_proven(struct relay *r, const struct in6_addr *addr, __u32 now, struct proven *p)
{
	p->entry = table_find(r->table, teredo_id(addr), teredo_server(addr));
	p->at = teredo_mapped(addr);
	if (p->entry && stamp_young(p->entry->stamp, now, r->policy->life))
		return true;
	if (!r->remap.find(r->remap.data, addr, &p->remap))
		return false;
	p->entry = NULL;
	p->at = p->remap.endpoint;
	return stamp_young(p->remap.stamp, now, r->policy->life);
}

static void stamp_proven(struct relay *r, const struct in6_addr *addr, struct proven *p, __u32 now)
{
	if (p->entry) {
		table_stamp(p->entry, now);
	} else if (stamp_age(p->remap.stamp, now)) {
		p->remap.stamp = now;
		r->remap.set(r->remap.data, addr, &p->remap);
	}
}

/* ---- unproven clients ------------------------------------------------------------------------ */

static void put_bubble(struct relay *r, const struct in6_addr *client, struct relay_time now,
		       struct relay_out *out)
{
	struct in6_addr src;
	__u64 cookie = teredo_cookie(r->keys, client, cookie_slot(now.units));

	memcpy(src.s6_addr, &r->policy->bubble_prefix, 8);
	memcpy(src.s6_addr + 8, &cookie, 8);
	teredo_build_bubble(out->bubble, sizeof(out->bubble), &src, client);
	out->bubble_to = (struct endpoint4){ teredo_server(client), BE16(TEREDO_SERVER_PORT), 0 };
	out->act |= RELAY_BUBBLE;
}

/* The limits on bubbles; nobody's budget is spent on what another limit refuses afterwards. */
static enum reason may_bubble(struct relay *r, const struct in6_addr *client, bool fresh,
			      const struct in6_addr *native, __u64 ms)
{
	if (native && !limiter_take(r->per_source, load64(native), ms))
		return R_LIMIT_SOURCE;
	if (!limiter_take(r->per_client, RAW32(client->s6_addr32[3]), ms))
		return R_LIMIT_CLIENT;
	if (!limiter_take(r->per_server, RAW32(teredo_server(client)), ms))
		return R_LIMIT_SERVER;
	if (fresh && !limiter_take(r->fresh, 0, ms))
		return R_LIMIT_PEERS;
	return R_NONE;
}

/* Would this event send a bubble? Only then are the limits asked. */
static bool starts_probe(const struct peer *peer, enum peer_event ev)
{
	if (!peer)
		return true;
	return peer->state == PEER_QUIET || (peer->state == PEER_SILENT && ev == EV_DATA);
}

/* A packet to (EV_NATIVE) or from (EV_DATA) a client that is not proven. */
static void unproven(struct relay *r, const struct in6_addr *client, enum peer_event ev,
		     const struct in6_addr *native, const void *pkt, size_t len,
		     struct relay_time now, struct relay_out *out)
{
	struct peer *peer = peers_find(r->peers, client);
	enum reason reason;
	int act;

	if (starts_probe(peer, ev)) {
		reason = may_bubble(r, client, !peer, native, now.ms);
		if (reason != R_NONE) {
			refuse(out, reason);
			return;
		}
	}
	act = peers_step(r->peers, peer, client, ev, now.ms, &peer);
	if (act < 0) {
		refuse(out, R_PENDING_FULL);
		return;
	}
	if (act & PEER_REFUSE) {
		refuse(out, R_SILENT);
		if (limiter_take(r->unreachable, 0, now.ms))
			out->act = RELAY_UNREACHABLE;
		out->pkt = pkt;
		out->len = len;
		return;
	}
	if (act & PEER_BUBBLE)
		put_bubble(r, client, now, out);
	out->reason = (act & PEER_KEEP) && peers_keep(r->peers, peer, pkt, len, ev == EV_DATA) ?
			      R_QUEUED :
			      R_QUEUE_FULL;
}

/* Asks a proven client to prove itself again, as often as bubbles may be sent to it. */
static bool reproof(struct relay *r, const struct in6_addr *client, struct relay_time now,
		    struct relay_out *out)
{
	struct peer *peer = peers_find(r->peers, client);

	if (peer && peer->state == PEER_PROBE) /* one is on its way: another in 2 s, if need be */
		peers_step(r->peers, peer, client, EV_REPROOF, now.ms, &peer);
	if (peer && peer->state != PEER_QUIET)
		return false;
	if (may_bubble(r, client, false, NULL, now.ms) != R_NONE ||
	    !(peers_step(r->peers, peer, client, EV_REPROOF, now.ms, &peer) & PEER_BUBBLE))
		return false;
	put_bubble(r, client, now, out);
	return true;
}

/* ---- from native IPv6 (5.4.1) ---------------------------------------------------------------- */

void relay_from_native(struct relay *r, const void *pkt, size_t len, struct relay_time now,
		       struct relay_out *out)
{
	struct cur c = { pkt, (const __u8 *)pkt + len };
	const struct ipv6hdr *ip6 = cur_take(&c, sizeof(*ip6));
	__u32 stamp = stamp_of(now.units);
	struct proven p;

	*out = (struct relay_out){ .reason = R_NOT_OURS };
	if (!ip6 || ip6->version != 6 || !teredo_is(&ip6->daddr))
		return;
	if (cur_left(&c) < HOST16(ip6->payload_len)) {
		refuse(out, R_NATIVE_LENGTH);
		return;
	}
	out->reason = policy_native_src(r->policy, r->own, &ip6->saddr);
	if (out->reason != R_NONE)
		return;
	len = sizeof(*ip6) + HOST16(ip6->payload_len);
	if (find_proven(r, &ip6->daddr, stamp, &p)) {
		if (p.entry && stamp_age(p.entry->stamp, stamp) >= (__s32)r->policy->reproof)
			table_mark_sent(p.entry, true);
		*out = (struct relay_out){ R_ENCAP, RELAY_SEND, pkt, len, .to = p.at };
		return;
	}
	out->reason = policy_client(r->policy, r->own, &ip6->daddr);
	if (out->reason == R_NONE)
		unproven(r, &ip6->daddr, EV_NATIVE, &ip6->saddr, pkt, len, now, out);
}

/* ---- from UDP/IPv4 (5.4.2) ------------------------------------------------------------------- */

/* Puts a client into the table, or into the map when its NAT gave it another endpoint towards us. */
static enum reason admit(struct relay *r, const struct in6_addr *client, struct endpoint4 from,
			 struct relay_time now)
{
	__u32 stamp = stamp_of(now.units), addr = RAW32(client->s6_addr32[3]);
	struct remapped m = { .endpoint = from, .stamp = stamp };
	int err;

	if (!teredo_src_matches(client, from)) {
		/* the endpoint that was seen has to pass what the embedded one did */
		if (addr4_set_has(&r->policy->refused, from.addr) || own_has4(r->own, from.addr))
			return R_CLIENT_REFUSED;
		return r->remap.set(r->remap.data, client, &m) ? R_TABLE_FULL : R_PROVEN;
	}
	if (!table_find(r->table, teredo_id(client), teredo_server(client))) {
		if (caps_full(r->per_address, addr))
			return R_CAP_ADDRESS;
		if (caps_full(r->per_net, addr & 0xffffff))
			return R_CAP_NET;
	}
	err = table_insert(r->table, teredo_id(client), teredo_server(client), stamp);
	if (err == -ENOSPC)
		return R_TABLE_FULL;
	if (!err) {
		caps_add(r->per_address, addr);
		caps_add(r->per_net, addr & 0xffffff);
	}
	return R_PROVEN;
}

static void drop_client(struct relay *r, struct client *c)
{
	__u32 addr = (__u32)(c->id >> 32);

	caps_remove(r->per_address, addr);
	caps_remove(r->per_net, addr & 0xffffff);
	table_remove(r->table, c);
}

static void bubble_came(struct relay *r, const struct ipv6hdr *ip6, struct cur rest,
			struct endpoint4 from, struct relay_time now, struct relay_out *out)
{
	const struct in6_addr *client = &ip6->saddr;
	struct peer *peer;

	if (!teredo_cookie_right(r->keys, r->policy->bubble_prefix, client, &ip6->daddr,
				 cookie_slot(now.units))) {
		refuse(out, R_BUBBLE_COOKIE);
		return;
	}
	out->reason = teredo_trailers(rest);
	if (out->reason == R_NONE)
		out->reason = policy_client(r->policy, r->own, client);
	if (out->reason == R_NONE)
		out->reason = admit(r, client, from, now);
	if (out->reason != R_PROVEN)
		return;
	peer = peers_find(r->peers, client);
	if (!peer)
		return;
	if (peer->kept) {
		memcpy(r->flushed, peer->kept, peer->kept_len);
		*out = (struct relay_out){ R_PROVEN, peer->kept_inbound ? RELAY_WRITE : RELAY_SEND,
					   r->flushed, peer->kept_len, .to = from };
	}
	peers_step(r->peers, peer, client, EV_PROVEN, now.ms, &peer);
}

/*
 * A routing header of type 0 anywhere in the chain of extension headers (RFC 5095), which the hosts
 * behind the relay should never get from a tunnel. The chain ends at a fragment.
 */
static bool has_routing_0(const struct ipv6hdr *ip6)
{
	struct cur c = { (const __u8 *)(ip6 + 1), (const __u8 *)(ip6 + 1) + HOST16(ip6->payload_len) };
	__u8 next = ip6->nexthdr;
	const struct ip6_ext *ext;

	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_MH || next == 139 || next == 140) {
		ext = cur_take(&c, 8);
		if (!ext || !cur_take(&c, ext->ip6e_len * 8U))
			return false;
		if (next == IPPROTO_ROUTING && ((const __u8 *)ext)[2] == 0)
			return true;
		next = ext->ip6e_nxt;
	}
	return false;
}

static bool own_has6(const struct nav_own *own, const struct in6_addr *a)
{
	for (__u32 i = 0; i < own->n6 && i < NAV_OWN; i++)
		if (in6_equal(&own->v6[i], a))
			return true;
	return false;
}

/* Where a client's packet may go, beside what the XDP program decides. */
static enum reason native_dst(const struct relay *r, const struct ipv6hdr *ip6)
{
	if (has_routing_0(ip6))
		return R_INNER_ROUTING;
	if (!r->policy->local_services && own_has6(r->own, &ip6->daddr))
		return R_DST_LOCAL;
	return policy_native_dst(r->policy, r->own, &ip6->daddr);
}

void relay_from_udp(struct relay *r, void *pkt, size_t len, struct endpoint4 from, __u8 tos,
		    struct relay_time now, struct relay_out *out)
{
	struct cur c = { pkt, (const __u8 *)pkt + len };
	__u32 stamp = stamp_of(now.units);
	const struct ipv6hdr *ip6;
	struct proven p;
	bool direct;
	int ecn;

	*out = (struct relay_out){ .reason = teredo_payload(&c, (__u32)len, &ip6) };
	if (out->reason != R_NONE)
		return;
	if (!teredo_is(&ip6->saddr)) {
		refuse(out, R_SRC_NOT_TEREDO);
		return;
	}
	if (teredo_is_bubble(ip6)) {
		bubble_came(r, ip6, c, from, now, out);
		return;
	}
	len = sizeof(*ip6) + HOST16(ip6->payload_len);
	direct = find_proven(r, &ip6->saddr, stamp, &p);
	if (direct ? !endpoint4_equal(p.at, from) : !teredo_src_matches(&ip6->saddr, from)) {
		refuse(out, R_SRC_MISMATCH);
		return;
	}
	if (direct)
		stamp_proven(r, &ip6->saddr, &p, stamp);
	ecn = policy_ecn(tos, ((const __u8 *)ip6)[1] >> 4);
	if (ecn < 0) {
		refuse(out, R_ECN_CONGESTED);
		return;
	}
	out->reason = native_dst(r, ip6);
	if (out->reason != R_NONE)
		return;
	((__u8 *)pkt)[1] = (__u8)((((__u8 *)pkt)[1] & ~0x30) | ecn << 4);
	if (direct) {
		*out = (struct relay_out){ R_DECAP, RELAY_WRITE, pkt, len, .to = from };
		return;
	}
	out->reason = policy_client(r->policy, r->own, &ip6->saddr);
	if (out->reason == R_NONE)
		unproven(r, &ip6->saddr, EV_DATA, NULL, pkt, len, now, out);
}

/* ---- errors, timers, housekeeping ------------------------------------------------------------ */

/* The client at an endpoint, by a walk through the whole table: for quotes without an inner header. */
static struct client *client_at(struct relay *r, struct endpoint4 at)
{
	struct in6_addr addr = teredo_addr(0, 0, at);
	__u64 want = teredo_id(&addr) >> 16; /* all but the flags */

	for (__u32 i = 0; i <= r->table->mask; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++)
			if (r->table->bucket[i].client[k].id >> 16 == want)
				return &r->table->bucket[i].client[k];
	return NULL;
}

void relay_icmp4(struct relay *r, struct endpoint4 to, const void *quote, size_t len,
		 struct relay_time now, struct relay_out *out)
{
	struct in6_addr client = { 0 };
	struct client *c = NULL;
	struct proven p;
	struct ipv6hdr ip6;

	*out = (struct relay_out){ .reason = R_ICMP4_IGNORED };
	if (len >= sizeof(ip6)) {
		memcpy(&ip6, quote, sizeof(ip6));
		client = ip6.daddr;
	} else if (limiter_take(r->scan, 0, now.ms)) {
		c = client_at(r, to);
		if (c)
			client = teredo_addr_of(c->id, c->server);
	}
	if (!teredo_is(&client) || !find_proven(r, &client, stamp_of(now.units), &p) ||
	    !endpoint4_equal(p.at, to))
		return;
	out->reason = R_ICMP4_MATCHED;
	reproof(r, &client, now, out);
}

static bool peer_due(struct relay *r, struct relay_time now, struct relay_out *out)
{
	enum peer_event ev;
	struct peer *peer;
	int act;

	if (!peers_due(r->peers, now.ms, &peer, &ev))
		return false;
	*out = (struct relay_out){ .reason = R_NONE };
	act = peers_step(r->peers, peer, NULL, ev, now.ms, &peer);
	if (act & PEER_BUBBLE)
		put_bubble(r, &peer->addr, now, out);
	if ((act & PEER_FAILED) && peer->kept) {
		out->reason = R_QUEUE_STALE;
		memcpy(r->flushed, peer->kept, peer->kept_len);
		out->pkt = r->flushed;
		out->len = peer->kept_len;
		if (!peer->kept_inbound && limiter_take(r->unreachable, 0, now.ms))
			out->act |= RELAY_UNREACHABLE;
		peers_drop_kept(r->peers, peer);
	}
	return true;
}

/* One bucket: the dead are forgotten, who is in use and silent for long is asked again. */
static bool sweep_bucket(struct relay *r, struct bucket *b, struct relay_time now,
			 struct relay_out *out)
{
	__u32 stamp = stamp_of(now.units);

	for (struct client *c = b->client; c < b->client + BUCKET_CLIENTS; c++) {
		struct in6_addr addr;
		__u32 seen;

		if (!c->id)
			continue;
		seen = __atomic_load_n(&c->stamp, __ATOMIC_RELAXED);
		if (!stamp_young(seen, stamp, r->policy->life)) {
			drop_client(r, c);
			*out = (struct relay_out){ .reason = R_EXPIRED };
			return true;
		}
		if (!(seen & STAMP_SENT))
			continue;
		addr = teredo_addr_of(c->id, c->server);
		table_mark_sent(c, false);
		*out = (struct relay_out){ .reason = R_REPROOF };
		if (reproof(r, &addr, now, out))
			return true;
	}
	return false;
}

void relay_sweep(struct relay *r, __u32 buckets)
{
	r->sweep_left = buckets <= r->table->mask ? buckets : r->table->mask + 1;
}

bool relay_next(struct relay *r, struct relay_time now, struct relay_out *out)
{
	if (peer_due(r, now, out))
		return true;
	while (r->sweep_left) {
		/* the same bucket again after a hit: it may hold another */
		if (sweep_bucket(r, &r->table->bucket[r->sweep & r->table->mask], now, out))
			return true;
		r->sweep++;
		r->sweep_left--;
	}
	return false;
}

__u32 relay_enforce(struct relay *r)
{
	__u32 n = 0;

	for (__u32 i = 0; i <= r->table->mask; i++)
		for (int k = 0; k < BUCKET_CLIENTS; k++) {
			struct client *c = &r->table->bucket[i].client[k];
			struct in6_addr addr = teredo_addr_of(c->id, c->server);

			if (c->id && policy_client(r->policy, r->own, &addr) != R_NONE) {
				drop_client(r, c);
				n++;
			}
		}
	return n;
}
