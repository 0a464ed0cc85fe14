// SPDX-License-Identifier: GPL-2.0-or-later
/* What the relay would do with a packet, in words: which mechanism an address is of; or of none,
 * native. */
#include <stdio.h>

#include "core/explain-impl.h"
#include "navalis/policy.h"
#include "navalis/sixbed4.h"
#include "navalis/sixto4.h"

static const char *const tunnel_names[TUNNEL_MAX] = {
	[TUNNEL_NONE] = "native", [TUNNEL_TEREDO] = "Teredo", [TUNNEL_SIXBED4] = "6bed4",
	[TUNNEL_SIXTO4] = "6to4", [TUNNEL_SIXRD] = "6rd",     [TUNNEL_SIXIN4] = "6in4",
	[TUNNEL_HG48] = "HG48",
};

/* ---- native ---------------------------------------------------------------------------------- */

/* What one mechanism says of a native address, both ways; it is behind no mechanism. strict: one that refuses Teredo's addresses, too. */
static void native_lines(const struct explain_world *w, enum tunnel tunnel, __u32 id,
			 const char *name, const struct in6_addr *a, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	const bool strict = tunnel == TUNNEL_TEREDO || tunnel == TUNNEL_SIXBED4;
	enum reason r = strict ? policy_native_dst(cfg, own_of(w), a)
			       : proto41_native_dst(cfg, own_of(w), a);

	if (tunnel == TUNNEL_SIXBED4 && sixbed4_is_ours(&cfg->sixbed4[id], a))
		r = R_SIXBED4_LOCAL;
	else if (tunnel == TUNNEL_SIXTO4 && cfg->sixto4.return_only)
		r = R_RETURN_ONLY;
	r = either(r, explain_out_of(w, tunnel, id, a));
	explain_put(e, EXPLAIN_TO, r == R_NONE ? R_DECAP : r, "out of %s", name);

	r = strict ? policy_native_src(cfg, own_of(w), a) : proto41_native_src(cfg, own_of(w), a);
	if (tunnel == TUNNEL_SIXTO4 && r == R_NONE && cfg->sixto4.return_only &&
	    !sixto4_sends_for(&cfg->sixto4, a))
		r = R_SRC_NOT_HOST;
	r = either(r, explain_into(w, tunnel, a));
	explain_put(e, EXPLAIN_FROM, r == R_NONE ? R_ENCAP : r, "into %s", name);
}

static void native_fact(const struct explain_world *w, const struct in6_addr *a,
			struct explained *e)
{
	static const char *const kinds[] = {
		[ADDR6_GLOBAL] = "native address",
		[ADDR6_UNSPECIFIED] = "unspecified, loopback or IPv4-mapped",
		[ADDR6_MULTICAST] = "multicast",
		[ADDR6_LINK_LOCAL] = "link-local",
		[ADDR6_SITE] = "unique local or site-local",
		[ADDR6_TEREDO] = "Teredo client, but this instance is no Teredo relay",
		[ADDR6_SIXTO4] = "6to4 address, but this instance is no 6to4 relay",
	};
	const enum addr6_kind kind = addr6_kind(a);

	fact(e, "%s", kinds[kind]);
	if (host_has6(w->host, a)) {
		e->mechanism = "host";
		fact(e, "an address of this host: local_services = %s",
		     w->cfg->local_services ? "yes, so hosts behind tunnels reach it"
					    : "no, so hosts behind tunnels do not reach it");
	}
	if (w->cfg->n_served)
		fact(e, "%s of the served prefixes",
		     policy_served(w->cfg, a) ? "in one" : "in none");
	if (policy_embeds_own(own_of(w), kind, a))
		fact(e, "it has an IPv4 address of this host in it");
}

static void explain_native(const struct explain_world *w, const struct in6_addr *a,
			   struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	char name[80];

	native_fact(w, a, e);
	if (cfg->service.addr)
		native_lines(w, TUNNEL_TEREDO, 0, "Teredo", a, e);
	if (cfg->server.addr[0] && !teredo_is(a))
		explain_server_native(w, a, e);
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++) {
		if (!cfg->sixbed4[i].service.addr)
			continue;
		snprintf(name, sizeof(name), "6bed4 (%s:%u)", text_in4(cfg->sixbed4[i].service.addr).s,
			 HOST16(cfg->sixbed4[i].service.port));
		native_lines(w, TUNNEL_SIXBED4, i, name, a, e);
	}
	if (cfg->sixto4.local)
		native_lines(w, TUNNEL_SIXTO4, 0, "6to4", a, e);
	for (__u32 i = 0; i < cfg->n_sixrd; i++) {
		snprintf(name, sizeof(name), "6rd (%s)", text_prefix(&cfg->sixrd[i].prefix).s);
		native_lines(w, TUNNEL_SIXRD, i, name, a, e);
	}
	if (w->in4)
		native_lines(w, TUNNEL_SIXIN4, w->in4->tunnel[0].id,
			     "the configured tunnels (6in4)", a, e);
	if (cfg->hg48.service.addr)
		native_lines(w, TUNNEL_HG48, 0, "HG48", a, e);
}

/* ---- which of them --------------------------------------------------------------------------- */

static const struct sixbed4_config *sixbed4_at(const struct nav_config *cfg,
					       const struct in6_addr *a)
{
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++)
		if (cfg->sixbed4[i].service.addr && sixbed4_is(&cfg->sixbed4[i], a))
			return &cfg->sixbed4[i];
	return NULL;
}

void explain_address6(const struct explain_world *w, const struct in6_addr *a, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	const struct sixin4_tunnel *in4 = sixin4_behind(w->in4, a);
	const struct sixbed4_config *bed = sixbed4_at(cfg, a);
	__u32 id = 0;
	enum tunnel tunnel = tunnels_of(&cfg->tunnels, a, in4, &id);

	*e = (struct explained){ 0 };
	if (tunnel == TUNNEL_NONE && teredo_is(a) && cfg->service.addr)
		tunnel = TUNNEL_TEREDO;
	if (tunnel == TUNNEL_NONE && bed)
		tunnel = TUNNEL_SIXBED4;
	e->mechanism = tunnel_names[tunnel];
	if (tunnel != TUNNEL_NONE)
		explain_choose_peer(w, tunnel, e);
	if (tunnel == TUNNEL_NONE)
		explain_native(w, a, e);
	else if (tunnel == TUNNEL_TEREDO)
		explain_teredo(w, a, e);
	else if (tunnel == TUNNEL_SIXBED4)
		explain_sixbed4(w, bed, a, e);
	else if (tunnel == TUNNEL_SIXTO4)
		explain_sixto4(w, a, e);
	else if (tunnel == TUNNEL_SIXRD)
		explain_sixrd(w, id, a, e);
	else if (tunnel == TUNNEL_SIXIN4)
		explain_sixin4(w, in4, a, e);
	else
		explain_hg48(w, a, e);
	if (cfg->server.addr[0] && teredo_is(a)) /* whether there is a relay or not */
		explain_server_client(w, a, e);
}
