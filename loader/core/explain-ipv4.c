// SPDX-License-Identifier: GPL-2.0-or-later
/* What could be at an IPv4 address: an endpoint of ours, or a peer of each mechanism. */
#include "core/explain-impl.h"
#include "navalis/demux.h"
#include "navalis/hg48.h"
#include "navalis/policy.h"
#include "navalis/sixbed4.h"

#define SOME_PORT 49152 /* of a client whose port is not asked about */

/* Which endpoints of ours it is. */
static void ours_lines(const struct explain_world *w, __be32 a, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;

	if (!a) /* what is not configured is there */
		return;
	if (cfg->service.addr == a)
		fact(e, "the Teredo relay's service address: UDP port %u",
		     HOST16(cfg->service.port));
	if (cfg->server.addr[0] == a || cfg->server.addr[1] == a)
		fact(e, "an address of the Teredo server: UDP port %u", TEREDO_SERVER_PORT);
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++)
		if (cfg->sixbed4[i].service.addr == a)
			fact(e, "the 6bed4 router's address: UDP port %u",
			     HOST16(cfg->sixbed4[i].service.port));
	if (sixto4_takes(&cfg->sixto4, a))
		fact(e, "the 6to4 relay's address: protocol 41");
	for (__u32 i = 0; i < cfg->n_sixrd; i++)
		if (cfg->sixrd[i].br == a)
			fact(e, "the border relay of %s: protocol 41 (6rd)",
			     text_prefix(&cfg->sixrd[i].prefix).s);
	for (__u32 i = 0; i < cfg->sixin4.n_locals; i++)
		if (cfg->sixin4.local[i] == a)
			fact(e, "the end of configured tunnels: protocol 41 (6in4)");
	if (cfg->hg48.service.addr == a)
		fact(e, "the HG48 gateway's address: UDP port %u", HOST16(cfg->hg48.service.port));
}

/* May there be one of a mechanism's peers at this address? */
static void peer_line(struct explained *e, enum reason r, const char *what)
{
	explain_put(e, EXPLAIN_TO, r == R_NONE ? R_ENCAP : r, "%s there", what);
}

static void udp_peers(const struct explain_world *w, struct endpoint4 at, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	const struct refuse4 sets = refused_of(w);
	const struct in6_addr teredo = teredo_addr(at.addr, 0, at),
			      hg48 = hg48_addr(&cfg->hg48, at);
	struct in6_addr bed;
	struct endpoint4 to;
	struct outer4 outer;

	if (cfg->service.addr)
		peer_line(e, policy_client(cfg, own_of(w), &teredo),
			  "a Teredo client, once it is proven,");
	if (cfg->server.addr[0])
		explain_server_endpoint(w, at, e);
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++) {
		if (!cfg->sixbed4[i].service.addr)
			continue;
		bed = sixbed4_addr(cfg->sixbed4[i].prefix,
				   sixbed4_pack(cfg->sixbed4[i].format, at, 1));
		peer_line(e, sixbed4_target(&cfg->sixbed4[i], &sets, &bed, &to), "a 6bed4 peer");
	}
	if (cfg->hg48.service.addr)
		peer_line(e, hg48_out(cfg, &cfg->hg48, own_of(w), &e->peer, &hg48, &outer),
			  "an HG48 endpoint");
}

/* What is behind the address by one mechanism of protocol 41. */
static void site_lines(const struct explain_world *w, const struct prefix6 *site, const char *name,
		       enum reason out, __be32 local, struct explained *e)
{
	const enum reason in = explain_from41(w, e->at.addr, local, &site->addr, &e->peer);

	explain_put(e, EXPLAIN_TO, out == R_NONE ? R_ENCAP : out, "%s, %s", text_prefix(site).s,
		    name);
	explain_put(e, EXPLAIN_FROM, in == R_NONE ? R_DECAP : in, "%s, %s", text_prefix(site).s,
		    name);
}

static void sites(const struct explain_world *w, __be32 a, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	struct prefix6 site;
	struct outer4 to;
	struct demux d;
	enum reason r;

	if (cfg->sixto4.local) {
		explain_choose_peer(w, TUNNEL_SIXTO4, e);
		site = (struct prefix6){ sixto4_addr(a), 48 };
		r = sixto4_out(cfg, &cfg->sixto4, own_of(w), &e->peer, &site.addr, &to);
		site_lines(w, &site, "6to4", r, cfg->sixto4.local, e);
		explain_choose_peer(w, TUNNEL_NONE, e);
	}
	for (__u32 i = 0; i < cfg->n_sixrd; i++) {
		const struct sixrd_domain *rd = &cfg->sixrd[i];

		if (!sixrd_has4(rd, a))
			continue;
		site = sixrd_delegated(rd, a);
		r = sixrd_out(cfg, rd, own_of(w), &e->peer, &site.addr, &to);
		site_lines(w, &site, "6rd", r, rd->br, e);
	}
	for (__u32 i = 0; w->in4 && i < w->in4->n; i++) {
		const struct sixin4_tunnel *t = &w->in4->tunnel[i];

		if (t->remote != a || !t->n_prefixes)
			continue;
		site = t->prefix[0];
		r = sixin4_out(cfg, t, own_of(w), &e->peer, &site.addr, &to);
		site_lines(w, &site, "6in4", r, t->local, e);
	}
	for (__u32 i = 0; i < cfg->sixin4.n_locals; i++) {
		const __be32 local = cfg->sixin4.local[i];

		r = demux_proto41(sixin4_between(w->in4, (struct sixin4_key){ local, a }),
				  cfg->sixrd, cfg->n_sixrd, &cfg->sixto4, &cfg->sixin4, local,
				  &e->peer, &d);
		if (r != R_NONE)
			explain_put(e, EXPLAIN_FROM, r, "protocol 41 to %s", text_in4(local).s);
	}
}

void explain_address4(const struct explain_world *w, __be32 a, struct explained *e)
{
	*e = (struct explained){ .mechanism = "ipv4", .at.addr = a };
	explain_choose_peer(w, TUNNEL_NONE, e);
	explain_refused(w, a, e);
	ours_lines(w, a, e);
	if (!e->n)
		fact(e, "neither refused nor an address of this host");
	udp_peers(w, (struct endpoint4){ .addr = a, .port = BE16(SOME_PORT) }, e);
	sites(w, a, e);
}
