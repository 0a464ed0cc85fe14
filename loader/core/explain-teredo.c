// SPDX-License-Identifier: GPL-2.0-or-later
/* A Teredo client: what the relay says of it, and what the server does. */
#include "core/explain-impl.h"
#include "navalis/policy.h"
#include "navalis/teredo-server.h"

static void teredo_known(const struct explain_world *w, const struct in6_addr *a, bool young,
			 struct explained *e)
{
	const struct explain_client *c = &w->client;
	const __s32 age = stamp_age(c->stamp, stamp_of(w->now)), units = age > 0 ? age : 0;
	const __u64 heard = nav_ms_of_units(w->clock, (__u64)units);

	if (!c->known) {
		if (c->state == PEER_PROBE || c->state == PEER_QUIET)
			fact(e, "not proven: %u bubbles sent, no answer yet, for %s%s", c->bubbles,
			     text_s(c->since_ms).s, c->kept ? "; one packet waits for it" : "");
		else if (c->state == PEER_SILENT)
			fact(e, "not proven: silent, it answered none of %u bubbles; for %s",
			     c->bubbles, text_s(c->since_ms).s);
		else if (c->state == PEER_WEAK)
			fact(e, "served by the daemon without proof: %s; heard %s ago",
			     w->cfg->admission_rfc ? "admission = rfc" : "cone_prefixes",
			     text_s(c->since_ms).s);
		else
			fact(e, "not proven: nothing was heard of it lately");
		return;
	}
	if (c->remapped && !endpoint4_equal(c->at, teredo_mapped(a)))
		fact(e, "behind a symmetric NAT: towards this relay it is at %s", text_at(c->at).s);
	if (young)
		fact(e, "proven: heard %s ago, valid for %s more without a packet", text_s(heard).s,
		     text_s(nav_ms_of_units(w->clock, w->cfg->life - (__u32)units)).s);
	else
		fact(e, "proven once, but last heard %s ago: it has to prove itself again",
		     text_s(heard).s);
	if (c->has_proof)
		fact(e,
		     "its last proof was %s ago; it is asked for another every five minutes or so",
		     text_s(c->proof_ms).s);
}

/* To one that is not proven. */
static void teredo_punch(const struct explain_world *w, const struct in6_addr *a,
			 struct explained *e)
{
	const struct explain_client *c = &w->client;
	const struct text server = text_in4(teredo_server(a));

	if (cone_believed(&w->cone, a))
		explain_put(e, EXPLAIN_TO, R_ENCAP,
			    "goes to %s by the daemon, at once: "
			    "its cone bit is believed (cone_prefixes)",
			    text_at(e->at).s);
	else if (!c->known && c->state == PEER_WEAK)
		explain_put(e, EXPLAIN_TO, R_ENCAP, "goes to %s by the daemon", text_at(e->at).s);
	else if (!c->known && c->state == PEER_SILENT)
		explain_put(e, EXPLAIN_TO, R_SILENT,
			    "its sender hears «address unreachable»: "
			    "a bubble of the client's ends that");
	else if (!c->known && c->state == PEER_PROBE && c->kept)
		explain_put(e, EXPLAIN_TO, R_QUEUE_FULL,
			    "another one waits already for the answer to the bubble");
	else if (!c->known && c->state == PEER_PROBE)
		explain_put(e, EXPLAIN_TO, R_QUEUED,
			    "waits for the answer to the bubble sent through %s:3544", server.s);
	else
		explain_put(e, EXPLAIN_TO, R_UNPROVEN_OUT,
			    "is kept, and a hole punched: a bubble through %s:3544", server.s);
}

void explain_teredo(const struct explain_world *w, const struct in6_addr *a, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	const struct explain_client *c = &w->client;
	const __be32 server = teredo_server(a);
	const bool young = c->known && stamp_young(c->stamp, stamp_of(w->now), cfg->life);
	const char *by = w->xdp ? ", by XDP" : ", by the daemon";
	const enum reason client = policy_client(cfg, own_of(w), a);
	enum reason r;

	fact(e, "Teredo client: server %s, mapped to %s", text_in4(server).s,
	     text_at(teredo_mapped(a)).s);
	explain_refused(w, server, e);
	explain_refused(w, teredo_mapped(a).addr, e);
	if (cfg->server.addr[0] && (server == cfg->server.addr[0] || server == cfg->server.addr[1]))
		fact(e, "its server is the one of this instance");
	e->at = young ? c->at : teredo_mapped(a);
	teredo_known(w, a, young, e);

	r = either(policy_native_src(cfg, own_of(w), &e->peer),
		   explain_into(w, TUNNEL_TEREDO, &e->peer));
	if (r == R_NONE && !young) {
		r = client;
		if (r == R_NONE)
			teredo_punch(w, a, e);
	}
	if (r != R_NONE || young)
		explain_to(e, r, by);

	r = either(policy_native_dst(cfg, own_of(w), &e->peer),
		   explain_out_of(w, TUNNEL_TEREDO, 0, &e->peer));
	r = either(r, young ? R_NONE : client);
	if (r != R_NONE || young)
		explain_from(e, r, by);
	else if (!cfg->admission_rfc && !c->known && c->state == PEER_WEAK)
		explain_from(e, r, ", by the daemon, because something was sent to it lately");
	else if (cfg->admission_rfc)
		explain_from(e, r, ", by the daemon: admission = rfc asks for no proof");
	else
		explain_put(e, EXPLAIN_FROM, R_UNPROVEN_IN,
			    "from %s is kept, and the client challenged by a bubble through "
			    "%s:3544", text_at(e->at).s, text_in4(server).s);
	explain_put(e, EXPLAIN_FROM, R_SRC_MISMATCH, "from anywhere but %s", text_at(e->at).s);
}

/* ---- the server ------------------------------------------------------------------------------ */

/* ICMPv6 for the server to look at, with nothing behind its first 8 bytes. */
struct asked {
	struct ipv6hdr ip6;
	__u8 icmp[8];
};

static enum reason server_says(const struct explain_world *w, struct endpoint4 from, const struct asked *p)
{
	const struct refuse4 sets = refused_of(w);
	const struct cur c = { (const __u8 *)p, (const __u8 *)(p + 1) };
	struct teredo_request q = { 0 };

	return teredo_server_in(&w->cfg->server, &sets, from, 0, c, sizeof(*p), false, &q);
}

/* Out of the server to native IPv6. */
static enum reason server_lets_out(const struct explain_world *w, const struct in6_addr *dst)
{
	return either(policy_native_dst(w->cfg, own_of(w), dst),
		      explain_out_of(w, TUNNEL_TEREDO, 0, dst));
}

void explain_server_client(const struct explain_world *w, const struct in6_addr *a,
			   struct explained *e)
{
	const struct refuse4 sets = refused_of(w);
	/* a relay's bubble, whose source is link-local; and an echo request to a native host */
	const struct ipv6hdr bubble = { .saddr.s6_addr = { 0xfe, 0x80, [15] = 1 }, .daddr = *a };
	const struct asked echo = {
		.ip6 = { .version = 6, .payload_len = BE16(8), .nexthdr = IPPROTO_ICMPV6,
			 .hop_limit = 64, .saddr = *a, .daddr = explain_peer(w, TUNNEL_TEREDO) },
		.icmp = { ICMP6_ECHO_REQUEST },
	};
	const struct endpoint4 at = teredo_mapped(a);
	struct endpoint4 to = { 0 };
	enum reason r = either(teredo_server_source(&w->cfg->server, to, &bubble),
			       teredo_server_target(&w->cfg->server, &sets, a, &to));

	explain_put(e, EXPLAIN_TO, r == R_NONE ? R_SERVER_RELAYED : r,
		    "a relay's bubble, by the Teredo server");
	r = either(server_says(w, at, &echo), server_lets_out(w, &echo.ip6.daddr));
	explain_put(e, EXPLAIN_FROM, r == R_NONE ? R_DECAP : r,
		    "an echo request from %s to native IPv6, by the Teredo server", text_at(at).s);
}

void explain_server_native(const struct explain_world *w, const struct in6_addr *a,
			   struct explained *e)
{
	const enum reason r = teredo_server_is_link(&w->cfg->server, a) ? R_SERVER_LOCAL :
									   server_lets_out(w, a);

	explain_put(e, EXPLAIN_TO, r == R_NONE ? R_DECAP : r, "out of the Teredo server");
}

void explain_server_endpoint(const struct explain_world *w, struct endpoint4 at,
			     struct explained *e)
{
	const struct refuse4 sets = refused_of(w);
	const struct in6_addr client = teredo_addr(w->cfg->server.addr[0], 0, at);
	/* as Windows sends it */
	const struct asked solicitation = {
		.ip6 = { .version = 6, .payload_len = BE16(8), .nexthdr = IPPROTO_ICMPV6,
			 .hop_limit = ND_HOP_LIMIT,
			 .saddr.s6_addr = { 0xfe, 0x80, [10] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe },
			 .daddr.s6_addr = { 0xff, 0x02, [15] = 2 } },
		.icmp = { ND_ROUTER_SOLICIT, 0, 0x7d, 0x38 },
	};
	struct endpoint4 to;
	const enum reason r = teredo_server_target(&w->cfg->server, &sets, &client, &to);

	explain_put(e, EXPLAIN_TO, r == R_NONE ? R_SERVER_RELAYED : r,
		    "a client of the Teredo server there");
	explain_put(e, EXPLAIN_FROM, server_says(w, at, &solicitation),
		    "a solicitation to the Teredo server");
}
