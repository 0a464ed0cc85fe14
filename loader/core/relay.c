// SPDX-License-Identifier: GPL-2.0-or-later
/* The relay: its parts, and what to do with a packet (RFC 4380 5.4.1, 5.4.2). */
#include <stdlib.h>

#include "core/limits.h"
#include "core/relay-impl.h"
#include "navalis/icmp6.h"

#define LIMITER_SLOTS 4096

static void hold_remapped(void *relay, const struct remapped *m)
{
	relay_hold(relay, m->endpoint.addr, true);
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
	relay_hold_table(r);
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
		relay_refuse(out, R_NATIVE_LENGTH);
		return;
	}
	out->reason = policy_native_src(r->policy, &r->host->own, &ip6->saddr);
	if (out->reason == R_NONE)
		out->reason = tunnels_native(&r->policy->tunnels, TUNNEL_TEREDO, &ip6->saddr,
					     sixin4_behind(r->in4, &ip6->saddr));
	if (out->reason != R_NONE)
		return;
	len = sizeof(*ip6) + HOST16(ip6->payload_len);
	if (relay_find(r, &ip6->daddr, stamp, &p)) {
		relay_mark_sent(r, &ip6->daddr, &p, stamp);
		*out = (struct relay_out){ R_ENCAP, RELAY_SEND, pkt, len, .to = p.at };
		return;
	}
	out->reason = policy_client(r->policy, &r->host->own, &ip6->daddr);
	if (out->reason != R_NONE)
		return;
	relay_unproven(r, &ip6->daddr, cone_believed(&r->cone, &ip6->daddr) ? EV_CONE : EV_NATIVE,
		       &ip6->saddr, pkt, len, now, out);
	if (out->reason == R_NONE) {
		out->reason = R_ENCAP;
		out->act |= RELAY_SEND;
		out->pkt = pkt;
		out->len = len;
	}
}

/* ---- from UDP/IPv4 (5.4.2) ------------------------------------------------------------------- */

/* 5.4.2 to the letter: a bubble from where its source says is enough, whatever it answers. */
static void weak_bubble(struct relay *r, const struct in6_addr *client, struct endpoint4 from,
			struct relay_time now, struct relay_out *out)
{
	struct proven p;

	if (!teredo_src_matches(client, from)) {
		relay_refuse(out, R_SRC_MISMATCH);
		return;
	}
	out->reason = R_WEAK;
	if (relay_find(r, client, stamp_of(now.units), &p))
		return; /* it has more than that already */
	relay_unproven(r, client, EV_WEAK, NULL, NULL, 0, now, out);
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
		relay_refuse(out, R_BUBBLE_COOKIE);
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
	out->reason = relay_admit(r, client, from, now);
	if (out->reason != R_PROVEN)
		return;
	peer = peers_find(r->peers, client);
	if (!peer)
		return;
	out->to = from;
	relay_put_kept(r, peer, out);
	peers_step(r->peers, peer, client, EV_PROVEN, now.ms, &peer);
}

/* Where a client's packet may go, beside what the XDP program decides. */
static enum reason native_dst(const struct relay *r, const struct ipv6hdr *ip6)
{
	const __u8 *payload = (const __u8 *)(ip6 + 1);
	const struct cur inside = { payload, payload + HOST16(ip6->payload_len) };
	enum reason reason;

	/* the hosts behind the relay should never get one from a tunnel (RFC 5095) */
	if (ip6_inside_deep(inside, ip6->nexthdr) == R_INNER_ROUTING)
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
		relay_refuse(out, R_SRC_NOT_TEREDO);
		return;
	}
	if (teredo_is_bubble(ip6)) {
		bubble_came(r, ip6, c, from, now, out);
		return;
	}
	len = sizeof(*ip6) + HOST16(ip6->payload_len);
	direct = relay_find(r, &ip6->saddr, stamp, &p);
	if (direct ? !endpoint4_equal(p.at, from) : !teredo_src_matches(&ip6->saddr, from)) {
		relay_refuse(out, R_SRC_MISMATCH);
		return;
	}
	if (direct) {
		relay_stamp(r, &ip6->saddr, &p, stamp);
	} else if (r->policy->admission_rfc) { /* wherever the packet wants to go, as for the proven */
		out->reason = policy_client(r->policy, &r->host->own, &ip6->saddr);
		if (out->reason == R_NONE)
			relay_unproven(r, &ip6->saddr, EV_WEAK, NULL, pkt, len, now, out);
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
			relay_unproven(r, &ip6->saddr, EV_DATA, NULL, pkt, len, now, out);
		if (out->reason != R_NONE)
			return;
	}
	out->reason = R_DECAP;
	out->act |= RELAY_WRITE;
	out->pkt = pkt;
	out->len = len;
}

/* ---- errors about what was sent --------------------------------------------------------------- */

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
	if (!teredo_is(&ip6.daddr) || !relay_find(r, &ip6.daddr, stamp_of(now.units), &p) ||
	    !endpoint4_equal(p.at, to))
		return;
	out->reason = R_ICMP4_MATCHED;
	note = p.entry ? NULL : remaps_note(&r->remaps, &ip6.daddr);
	if (p.entry)
		relay_ask(r, &ip6.daddr, p.at, table_proof(r->table, p.entry), PAUSE_ICMP, now, out);
	else if (note)
		relay_ask(r, &ip6.daddr, p.at, &note->proof, PAUSE_ICMP, now, out);
}
