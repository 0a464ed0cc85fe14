// SPDX-License-Identifier: GPL-2.0-or-later
/* The relay's protocol. */
#include <stdlib.h>
#include <netinet/ip6.h>

#include "core/limits.h"
#include "core/relay.h"

#define LIMITER_SLOTS 4096
#define WEAK_PAUSE_MS 75000 /* between two chances of a weak client to become a proven one */
/* Looked at in one step of housekeeping: some 10 us each, when there is nothing to do. */
#define BUCKETS_A_STEP 256
#define REMAPPED_A_STEP 8 /* two system calls each: */
#define SETTLED_ONE_OF 16 /* buckets in each sweep: clients stay for minutes */
#define SLOWER 4          /* so a sweep of all takes so many times longer */

struct relay {
	const struct nav_config *policy;
	const struct host *host;
	struct table *table;
	const struct cookie_keys *keys;
	const struct sixin4_table *in4;
	struct remaps remaps;

	struct peers *peers;
	struct caps *per_address, *per_net;
	struct limiter *fresh, *per_source, *per_client, *per_server, *unreachable;

	struct cone_prefixes cone;
	bool behind_nat;

	__u32 sweep, sweep_left;  /* next bucket; how many more in this round */
	__u32 turn;               /* which of SETTLED_ONE_OF buckets are settled */
	struct in6_addr remap_at; /* the same for remapped clients: the last one looked at */
	__u32 remap_left;
	struct relay_walk *walk;  /* the one that is under way, or was last */
	__u8 flushed[PEER_PACKET]; /* a kept packet on its way out */
};

/* Held by every client in table and map: by where it is, in host memory order. */
static void caps_hold(struct relay *r, __be32 addr, bool hold)
{
	__u32 key = RAW32(addr), net = key & 0xffffff;

	if (hold) {
		caps_add(r->per_address, key);
		caps_add(r->per_net, net);
	} else {
		caps_remove(r->per_address, key);
		caps_remove(r->per_net, net);
	}
}

static enum reason caps_allow(struct relay *r, __be32 addr)
{
	__u32 key = RAW32(addr);

	if (caps_full(r->per_address, key))
		return R_CAP_ADDRESS;
	return caps_full(r->per_net, key & 0xffffff) ? R_CAP_NET : R_NONE;
}

static void hold_remapped(void *relay, const struct remapped *m)
{
	caps_hold(relay, m->endpoint.addr, true);
}

static void hold_table(struct relay *r)
{
	for (__u64 slot = 0; slot < (__u64)r->table->buckets * BUCKET_CLIENTS; slot++) {
		const struct client *c = table_at(r->table, slot);

		if (c) {
			const struct in6_addr a = teredo_addr_of(c->id, c->server);

			caps_hold(r, teredo_mapped(&a).addr, true);
		}
	}
}

int relay_new(const struct nav_config *policy, const struct host *host, struct table *table,
	      const struct cookie_keys *keys, const struct remap_ops *remap,
	      const struct relay_settings *set, __u64 seed, struct relay_time now, struct relay **ret)
{
	struct relay *r = calloc(1, sizeof(*r));
	/* networks are fewer than addresses, or their caps are far: their slots may hold more */
	const __u32 addresses = table->max + 1024, nets = table->max / 4 + 1024;

	if (!r)
		return -ENOMEM;
	*r = (struct relay){ .policy = policy, .host = host, .table = table, .keys = keys };
	if (peers_new(set->pending, set->queue_bytes, seed, &r->peers) ||
	    caps_new(0, addresses, seed ^ 1, &r->per_address) || caps_new(0, nets, seed ^ 2, &r->per_net) ||
	    limiter_new(0, 1, seed, &r->fresh) ||
	    limiter_new(0, LIMITER_SLOTS, seed ^ 3, &r->per_source) ||
	    limiter_new(0, LIMITER_SLOTS, seed ^ 4, &r->per_client) ||
	    limiter_new(0, LIMITER_SLOTS, seed ^ 5, &r->per_server) ||
	    limiter_new(0, 1, seed, &r->unreachable) ||
	    remaps_init(&r->remaps, remap, now.ms, hold_remapped, r)) {
		relay_free(r);
		return -ENOMEM;
	}
	relay_set(r, set);
	hold_table(r);
	*ret = r;
	return 0;
}

void relay_set(struct relay *r, const struct relay_settings *set)
{
	caps_set(r->per_address, set->clients_per_address);
	caps_set(r->per_net, set->clients_per_net);
	limiter_set(r->fresh, set->new_per_second);
	limiter_set(r->per_source, set->new_per_source);
	limiter_set(r->per_client, set->bubbles_per_client);
	limiter_set(r->per_server, set->bubbles_per_server);
	limiter_set(r->unreachable, set->unreachables_per_second);
	r->cone = set->cone;
	r->behind_nat = set->behind_nat;
}

void relay_set_sixin4(struct relay *r, const struct sixin4_table *in4)
{
	r->in4 = in4;
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
		remaps_release(&r->remaps);
		free(r);
	}
	return NULL;
}

struct relay_gauges relay_gauges(const struct relay *r)
{
	return (struct relay_gauges){ peers_gauges(r->peers), r->remaps.n };
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
	if (p->entry && stamp_young(table_seen(r->table, p->entry), now, r->policy->life))
		return true;
	if (!remaps_find(&r->remaps, addr, &p->remap))
		return false;
	p->entry = NULL;
	p->at = p->remap.endpoint;
	return stamp_young(p->remap.stamp, now, r->policy->life);
}

static void stamp_proven(struct relay *r, const struct in6_addr *addr, struct proven *p, __u32 now)
{
	if (p->entry)
		table_stamp(r->table, p->entry, now);
	else
		remaps_stamp(&r->remaps, addr, &p->remap, now);
}

/* As XDP does it: sent to after a long silence, the client is to prove itself again. */
static void mark_sent(struct relay *r, const struct in6_addr *addr, struct proven *p, __u32 now)
{
	const __u64 stamp = p->entry ? table_seen(r->table, p->entry) : p->remap.stamp;

	if ((stamp & STAMP_SENT) || stamp_age(stamp, now) < (__s32)r->policy->reproof)
		return;
	if (p->entry) {
		table_mark_sent(r->table, p->entry, true);
	} else {
		struct remap_note *note = remaps_note(&r->remaps, addr);

		if (note)
			note->sent = true;
	}
}

/* ---- unproven clients ------------------------------------------------------------------------ */

/* at: where the client is to be found directly. */
static void put_bubble(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
		       struct relay_time now, struct relay_out *out)
{
	struct in6_addr src;
	__u64 cookie = teredo_cookie(r->keys, client, cookie_slot(now.units));

	memcpy(src.s6_addr, &r->policy->bubble_prefix, 8);
	memcpy(src.s6_addr + 8, &cookie, 8);
	teredo_build_bubble(out->bubble, sizeof(out->bubble), &src, client);
	out->bubble_to = (struct endpoint4){ teredo_server(client), BE16(TEREDO_SERVER_PORT), 0 };
	out->act |= RELAY_BUBBLE;
	if (r->behind_nat) {
		out->direct_to = at;
		out->act |= RELAY_DIRECT;
	}
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
	return peer->state == PEER_QUIET || (peer->state == PEER_SILENT && ev != EV_NATIVE);
}

/* The packet that was kept for this one's client goes with it. */
static void put_kept(struct relay *r, struct peer *peer, struct relay_out *out)
{
	if (!peer->kept)
		return;
	memcpy(r->flushed, peer->kept, peer->kept_len);
	out->kept = r->flushed;
	out->kept_len = peer->kept_len;
	out->act |= peer->kept_inbound ? RELAY_KEPT_WRITE : RELAY_KEPT_SEND;
	peers_drop_kept(r->peers, peer);
}

/*
 * A packet to (EV_NATIVE, EV_CONE) or from (EV_DATA, EV_WEAK) a client that is not proven. R_NONE:
 * it is served all the same.
 */
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
		put_bubble(r, client, teredo_mapped(client), now, out);
	if (act & PEER_SERVE) {
		out->to = teredo_mapped(client);
		put_kept(r, peer, out);
		if (ev == EV_WEAK && now.ms - peer->bubble_ms >= WEAK_PAUSE_MS &&
		    may_bubble(r, client, false, NULL, now.ms) == R_NONE &&
		    peers_step(r->peers, peer, client, EV_REPEAT, now.ms, &peer) & PEER_BUBBLE)
			put_bubble(r, client, out->to, now, out);
		out->reason = R_NONE;
		return;
	}
	out->reason = (act & PEER_KEEP) && peers_keep(r->peers, peer, pkt, len, ev == EV_DATA) ?
			      R_QUEUED :
			      R_QUEUE_FULL;
}

/*
 * Asks a proven client to prove itself again. The limits on new clients are not asked, and no place
 * among the unproven is needed: a flood of those must not cost a proven one its life. 5.2.6 is
 * proof_ask()'s to hold.
 */
static bool ask(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
		struct proof *proof, __u16 pause, struct relay_time now, struct relay_out *out)
{
	if (!proof_ask(proof, pause, now.ms))
		return false;
	put_bubble(r, client, at, now, out);
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
	if (!ip6 || ip6->version != 6 || !teredo_is(&ip6->daddr) || !r->policy->service.addr)
		return;
	if (cur_left(&c) < HOST16(ip6->payload_len)) {
		refuse(out, R_NATIVE_LENGTH);
		return;
	}
	out->reason = policy_native_src(r->policy, &r->host->own, &ip6->saddr);
	if (out->reason == R_NONE)
		out->reason = tunnels_native(&r->policy->tunnels, TUNNEL_TEREDO, &ip6->saddr,
					     sixin4_behind(r->in4, &ip6->saddr));
	if (out->reason != R_NONE)
		return;
	len = sizeof(*ip6) + HOST16(ip6->payload_len);
	if (find_proven(r, &ip6->daddr, stamp, &p)) {
		mark_sent(r, &ip6->daddr, &p, stamp);
		*out = (struct relay_out){ R_ENCAP, RELAY_SEND, pkt, len, .to = p.at };
		return;
	}
	out->reason = policy_client(r->policy, &r->host->own, &ip6->daddr);
	if (out->reason != R_NONE)
		return;
	unproven(r, &ip6->daddr, cone_believed(&r->cone, &ip6->daddr) ? EV_CONE : EV_NATIVE,
		 &ip6->saddr, pkt, len, now, out);
	if (out->reason == R_NONE) {
		out->reason = R_ENCAP;
		out->act |= RELAY_SEND;
		out->pkt = pkt;
		out->len = len;
	}
}

/* ---- from UDP/IPv4 (5.4.2) ------------------------------------------------------------------- */

static void drop_client(struct relay *r, struct client *c)
{
	struct in6_addr addr = teredo_addr_of(c->id, c->server);

	caps_hold(r, teredo_mapped(&addr).addr, false);
	table_remove(r->table, c);
}

static void drop_remapped(struct relay *r, const struct in6_addr *client, const struct remapped *m)
{
	caps_hold(r, m->endpoint.addr, false);
	remaps_remove(&r->remaps, client);
}

/* Where a client is known to be, proven however long ago, and its proof with the one that it has just given. */
struct place {
	struct client *entry;
	struct remapped remap;
	bool remapped;
	struct proof proof;
};

static struct place place_of(struct relay *r, const struct in6_addr *client, __u64 ms)
{
	struct place p = { .entry = table_find(r->table, teredo_id(client), teredo_server(client)) };

	struct remap_note *note = remaps_note(&r->remaps, client);

	p.remapped = note && remaps_find(&r->remaps, client, &p.remap);
	p.proof = p.entry ? *table_proof(p.entry) : p.remapped ? note->proof : proof_new(ms);
	proof_given(&p.proof, ms);
	return p;
}

static void place_hold(struct relay *r, const struct in6_addr *client, const struct place *p, bool hold)
{
	if (p->entry)
		caps_hold(r, teredo_mapped(client).addr, hold);
	if (p->remapped)
		caps_hold(r, p->remap.endpoint.addr, hold);
}

static bool place_is_at(const struct place *p, const struct in6_addr *client, __be32 addr)
{
	return (p->entry && teredo_mapped(client).addr == addr) ||
	       (p->remapped && p->remap.endpoint.addr == addr);
}

/* Behind a symmetric NAT: another endpoint towards us than towards its server (teredo.md 6.7). */
static enum reason put_into_map(struct relay *r, const struct in6_addr *client,
				struct endpoint4 from, const struct place *was, struct relay_time now)
{
	const struct remapped m = { from, stamp_of(now.units) };

	/* the endpoint that was seen has to pass what the embedded one did */
	if (addr4_set_has(&r->policy->refused, from.addr) || own_has4(&r->host->own, from.addr))
		return R_CLIENT_REFUSED;
	if (remaps_set(&r->remaps, client, &m, &was->proof))
		return R_TABLE_FULL;
	if (was->entry)
		table_remove(r->table, was->entry);
	return R_PROVEN;
}

static enum reason put_into_table(struct relay *r, const struct in6_addr *client,
				  const struct place *was, struct relay_time now)
{
	struct client *c;
	int err = table_insert(r->table, teredo_id(client), teredo_server(client),
			       stamp_of(now.units), &c);

	if (err == -ENOSPC)
		return R_TABLE_FULL;
	*table_proof(c) = was->proof;
	if (was->remapped)
		remaps_remove(&r->remaps, client);
	return R_PROVEN;
}

/*
 * Puts a client into the table, or into the map when its NAT gave it another endpoint towards us;
 * never into both, for it is where it proved itself last. The new place first: it is never nowhere.
 * It does not count against the caps itself, and lower caps than before do not turn it out.
 */
static enum reason admit(struct relay *r, const struct in6_addr *client, struct endpoint4 from,
			 struct relay_time now)
{
	const struct place was = place_of(r, client, now.ms);
	enum reason reason;

	place_hold(r, client, &was, false);
	reason = place_is_at(&was, client, from.addr) ? R_NONE : caps_allow(r, from.addr);
	if (reason == R_NONE)
		reason = teredo_src_matches(client, from) ?
				 put_into_table(r, client, &was, now) :
				 put_into_map(r, client, from, &was, now);
	if (reason == R_PROVEN)
		caps_hold(r, from.addr, true);
	else
		place_hold(r, client, &was, true);
	return reason;
}

/* 5.4.2 to the letter: a bubble from where its source says is enough, whatever it answers. */
static void weak_bubble(struct relay *r, const struct in6_addr *client, struct endpoint4 from,
			struct relay_time now, struct relay_out *out)
{
	struct proven p;

	if (!teredo_src_matches(client, from)) {
		refuse(out, R_SRC_MISMATCH);
		return;
	}
	out->reason = R_WEAK;
	if (find_proven(r, client, stamp_of(now.units), &p))
		return; /* it has more than that already */
	unproven(r, client, EV_WEAK, NULL, NULL, 0, now, out);
	if (out->reason == R_NONE)
		out->reason = R_WEAK;
}

static void bubble_came(struct relay *r, const struct ipv6hdr *ip6, struct cur rest,
			struct endpoint4 from, struct relay_time now, struct relay_out *out)
{
	const struct in6_addr *client = &ip6->saddr;
	struct peer *peer;
	const bool right = teredo_cookie_right(r->keys, r->policy->bubble_prefix, client,
					       &ip6->daddr, cookie_slot(now.units));

	if (!right && !r->policy->admission_rfc) {
		refuse(out, R_BUBBLE_COOKIE);
		return;
	}
	out->reason = teredo_trailers(rest);
	if (out->reason == R_NONE)
		out->reason = policy_client(r->policy, &r->host->own, client);
	if (out->reason != R_NONE)
		return;
	if (!right) {
		weak_bubble(r, client, from, now, out);
		return;
	}
	out->reason = admit(r, client, from, now);
	if (out->reason != R_PROVEN)
		return;
	peer = peers_find(r->peers, client);
	if (!peer)
		return;
	out->to = from;
	put_kept(r, peer, out);
	peers_step(r->peers, peer, client, EV_PROVEN, now.ms, &peer);
}

/* Length of the extension header at c, or 0: what follows is none. */
static size_t extension_len(__u8 kind, const struct cur *c)
{
	struct cur at = *c;
	const __u8 *ext = cur_take(&at, 8);

	if (!ext)
		return 0;
	switch (kind) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case 139: /* HIP */
	case 140: /* shim6 */
		return (ext[1] + 1) * 8U;
	case IPPROTO_AH:
		return (ext[1] + 2) * 4U;
	case IPPROTO_FRAGMENT: /* behind a later fragment lies its data */
		return (ext[2] << 8 | ext[3]) & 0xfff8 ? 0 : 8;
	}
	return 0;
}

/*
 * A routing header of type 0 anywhere in the chain of extension headers (RFC 5095), which the hosts
 * behind the relay should never get from a tunnel.
 */
static bool has_routing_0(const struct ipv6hdr *ip6)
{
	struct cur c = { (const __u8 *)(ip6 + 1), (const __u8 *)(ip6 + 1) + HOST16(ip6->payload_len) };
	__u8 kind = ip6->nexthdr;
	const __u8 *ext;
	size_t len;

	while ((len = extension_len(kind, &c)) && (ext = cur_take(&c, len))) {
		if (kind == IPPROTO_ROUTING && ext[2] == 0)
			return true;
		kind = ext[0];
	}
	return false;
}

/* Where a client's packet may go, beside what the XDP program decides. */
static enum reason native_dst(const struct relay *r, const struct ipv6hdr *ip6)
{
	enum reason reason;

	if (has_routing_0(ip6))
		return R_INNER_ROUTING;
	if (!r->policy->local_services && host_has6(r->host, &ip6->daddr))
		return R_DST_LOCAL;
	reason = policy_native_dst(r->policy, &r->host->own, &ip6->daddr);
	if (reason != R_NONE)
		return reason;
	return tunnels_cross(&r->policy->tunnels, TUNNEL_TEREDO, 0, &ip6->daddr,
			     sixin4_behind(r->in4, &ip6->daddr));
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
	if (direct) {
		stamp_proven(r, &ip6->saddr, &p, stamp);
	} else if (r->policy->admission_rfc) { /* wherever the packet wants to go, as for the proven */
		out->reason = policy_client(r->policy, &r->host->own, &ip6->saddr);
		if (out->reason == R_NONE)
			unproven(r, &ip6->saddr, EV_WEAK, NULL, pkt, len, now, out);
		if (out->reason != R_NONE)
			return;
		direct = true;
	}
	ecn = policy_ecn(tos, ((const __u8 *)ip6)[1] >> 4);
	if (ecn < 0) {
		out->reason = R_ECN_CONGESTED;
		return;
	}
	out->reason = native_dst(r, ip6);
	if (out->reason != R_NONE)
		return;
	((__u8 *)pkt)[1] = (__u8)((((__u8 *)pkt)[1] & ~0x30) | ecn << 4);
	if (!direct) {
		out->reason = policy_client(r->policy, &r->host->own, &ip6->saddr);
		if (out->reason == R_NONE)
			unproven(r, &ip6->saddr, EV_DATA, NULL, pkt, len, now, out);
		if (out->reason != R_NONE)
			return;
	}
	out->reason = R_DECAP;
	out->act |= RELAY_WRITE;
	out->pkt = pkt;
	out->len = len;
}

/* ---- errors, timers, housekeeping ------------------------------------------------------------ */

void relay_icmp4(struct relay *r, struct endpoint4 to, const void *quote, size_t len,
		 struct relay_time now, struct relay_out *out)
{
	struct remap_note *note;
	struct ipv6hdr ip6;
	struct proven p;

	*out = (struct relay_out){ .reason = R_ICMP4_IGNORED };
	if (len < sizeof(ip6))
		return;
	memcpy(&ip6, quote, sizeof(ip6));
	if (!teredo_is(&ip6.daddr) || !find_proven(r, &ip6.daddr, stamp_of(now.units), &p) ||
	    !endpoint4_equal(p.at, to))
		return;
	out->reason = R_ICMP4_MATCHED;
	note = p.entry ? NULL : remaps_note(&r->remaps, &ip6.daddr);
	if (p.entry)
		ask(r, &ip6.daddr, p.at, table_proof(p.entry), PAUSE_ICMP, now, out);
	else if (note)
		ask(r, &ip6.daddr, p.at, &note->proof, PAUSE_ICMP, now, out);
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
		put_bubble(r, &peer->addr, teredo_mapped(&peer->addr), now, out);
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

/* A moment of its own for each client's re-proof. */
static __u32 mix_of(const struct in6_addr *client)
{
	return (RAW32(client->s6_addr32[2]) ^ RAW32(client->s6_addr32[3])) * 0x9e3779b1U >> 16;
}

/*
 * What the stamp and the proof of a client in the table or the map ask for; sent: it was sent to
 * after a long silence. True: out says so, and *gone whether it is to be removed.
 */
static bool look_after(struct relay *r, const struct in6_addr *client, struct endpoint4 at,
		       __u64 stamp, bool sent, struct proof *proof, struct relay_time now,
		       struct relay_out *out, bool *gone)
{
	enum proof_due due = proof_due(proof, mix_of(client), now.ms);

	*gone = !stamp_young(stamp, stamp_of(now.units), r->policy->life);
	if (!*gone && !sent && due == PROOF_NOT_DUE)
		return false; /* nearly all of them */
	*out = (struct relay_out){ .reason = R_EXPIRED };
	if (*gone)
		return true;
	out->reason = R_UNPROVED;
	*gone = due == PROOF_OVERDUE;
	if (*gone)
		return true;
	out->reason = R_REPROOF;
	if (sent && ask(r, client, at, proof, PAUSE_IN_USE, now, out))
		return true;
	return due == PROOF_IS_DUE && ask(r, client, at, proof, PAUSE_DUE, now, out);
}

static bool sweep_bucket(struct relay *r, __u32 bucket, struct relay_time now,
			 struct relay_out *out)
{
	for (__u32 k = 0; k < BUCKET_CLIENTS; k++) {
		struct client *c = table_at(r->table, (__u64)bucket * BUCKET_CLIENTS + k);
		struct in6_addr addr;
		bool gone;
		__u32 seen;

		if (!c)
			continue;
		addr = teredo_addr_of(c->id, c->server);
		seen = table_seen(r->table, c);
		if (!look_after(r, &addr, teredo_mapped(&addr), seen, seen & STAMP_SENT,
				table_proof(c), now, out, &gone))
			continue;
		if (gone)
			drop_client(r, c);
		else if (seen & STAMP_SENT)
			table_mark_sent(r->table, c, false);
		return true;
	}
	return false;
}

static bool sweep_remapped(struct relay *r, struct relay_time now, struct relay_out *out)
{
	const bool first = addr6_kind(&r->remap_at) == ADDR6_UNSPECIFIED;
	struct remap_note *note;
	struct in6_addr client;
	struct remapped m;
	bool gone, hit;

	if (!remaps_next(&r->remaps, first ? NULL : &r->remap_at, &client, &m)) {
		r->remap_at = in6addr_any; /* from the beginning again */
		if (first)
			r->remap_left = 0;
		return false;
	}
	r->remap_left--;
	note = remaps_note(&r->remaps, &client);
	if (note && stamp_age(m.stamp, stamp_of(now.units)) < (__s32)r->policy->reproof)
		note->sent = false; /* XDP has heard of it */
	hit = note && look_after(r, &client, m.endpoint, m.stamp, note->sent || m.stamp & STAMP_SENT,
				 &note->proof, now, out, &gone);
	if (hit && gone) { /* the one before it is where the walk goes on */
		drop_remapped(r, &client, &m);
		return true;
	}
	if (hit)
		note->sent = false; /* the stamp's own mark is XDP's: it is gone with the answer */
	r->remap_at = client;
	return hit;
}

void relay_sweep(struct relay *r, __u32 parts)
{
	const __u32 buckets = r->sweep_left + r->table->buckets / parts + 1,
		    remapped = r->remap_left + r->remaps.n / (parts * SLOWER) + 16;

	/* what is left of the last round is added, but nobody is looked at twice in one */
	r->sweep_left = buckets < r->table->buckets ? buckets : r->table->buckets;
	r->remap_left = remapped < r->remaps.n ? remapped : r->remaps.n;
}

bool relay_next(struct relay *r, struct relay_time now, struct relay_out *out)
{
	if (peer_due(r, now, out))
		return true;
	for (int i = 0; r->sweep_left && i < BUCKETS_A_STEP; i++) {
		/* the same bucket again after a hit: it may hold another */
		if (sweep_bucket(r, r->sweep, now, out))
			return true;
		/* not while a walk is under way, which would meet one twice that is moved ahead of it */
		if (!r->table->leaves && r->sweep % SETTLED_ONE_OF == r->turn)
			table_settle(r->table, r->sweep);
		if (++r->sweep == r->table->buckets) {
			r->sweep = 0;
			r->turn = (r->turn + 1) % SETTLED_ONE_OF;
		}
		r->sweep_left--;
	}
	for (int i = 0; !r->sweep_left && r->remap_left && i < REMAPPED_A_STEP; i++)
		if (sweep_remapped(r, now, out))
			return true;
	*out = (struct relay_out){ .reason = R_NONE };
	return r->sweep_left || r->remap_left;
}

/* ---- walks over all clients -------------------------------------------------------------------- */

/* One that is served without proof is, after a change, no longer to be. */
static bool weak_no_more(const struct relay *r, const struct peer *peer)
{
	return peer->state == PEER_WEAK && !r->policy->admission_rfc &&
	       !cone_believed(&r->cone, &peer->addr);
}

static bool walk_peer(void *data, struct peer *peer)
{
	struct relay *r = data;

	if (weak_no_more(r, peer) ||
	    r->walk->match(r->walk->data, &peer->addr, teredo_mapped(&peer->addr)))
		peers_remove(r->peers, peer);
	return true;
}

static bool walk_client(struct relay *r, struct relay_walk *w, struct client *c)
{
	struct in6_addr addr = teredo_addr_of(c->id, c->server);

	if (!w->match(w->data, &addr, teredo_mapped(&addr)))
		return false;
	w->n++;
	if (!w->dry_run)
		drop_client(r, c);
	return !w->dry_run;
}

/* One that the walk has not come to would not be met in its new place, if that lies behind. */
static bool leaves(void *data, struct client *c)
{
	struct relay *r = data;

	return !r->walk->dry_run && walk_client(r, r->walk, c);
}

static bool walk_remapped(struct relay *r, struct relay_walk *w)
{
	const bool first = addr6_kind(&w->remapped) == ADDR6_UNSPECIFIED;
	struct in6_addr client;
	struct remapped m;

	if (!remaps_next(&r->remaps, first ? NULL : &w->remapped, &client, &m))
		return false;
	if (w->match(w->data, &client, m.endpoint)) {
		w->n++;
		if (!w->dry_run) {
			drop_remapped(r, &client, &m);
			return true; /* the one before it is where the walk goes on */
		}
	}
	w->remapped = client;
	return true;
}

/*
 * Who becomes a proven client meanwhile goes from the peers to the table, or from there to the map:
 * always ahead of the walk.
 */
bool relay_walk(struct relay *r, struct relay_walk *w, __u32 steps)
{
	struct table *t = r->table;

	r->walk = w;
	t->leaves = leaves;
	t->data = r;
	if (!w->peers_done) {
		w->peers_done = w->dry_run || !peers_some(r->peers, w->peer, steps, walk_peer, r);
		w->peer += steps;
		return true;
	}
	for (; steps && w->bucket < t->buckets; steps--, w->bucket++)
		for (__u32 k = 0; k < BUCKET_CLIENTS; k++) {
			struct client *c = table_at(t, (__u64)w->bucket * BUCKET_CLIENTS + k);

			if (c)
				walk_client(r, w, c);
		}
	while (steps--)
		if (!walk_remapped(r, w)) {
			t->leaves = NULL;
			return false;
		}
	return true;
}

static bool not_admitted(void *data, const struct in6_addr *client, struct endpoint4 at)
{
	const struct relay *r = data;

	return policy_client(r->policy, &r->host->own, client) != R_NONE ||
	       addr4_set_has(&r->policy->refused, at.addr);
}

struct relay_walk relay_enforcement(struct relay *r)
{
	return (struct relay_walk){ .match = not_admitted, .data = r };
}

void relay_each_unproven(struct relay *r, bool (*visit)(void *data, struct peer *peer), void *data)
{
	peers_each(r->peers, visit, data);
}
