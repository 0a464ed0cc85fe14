// SPDX-License-Identifier: GPL-2.0-or-later
/* What the relay would do with a packet, in words. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/explain.h"
#include "navalis/demux.h"
#include "navalis/hg48.h"
#include "navalis/policy.h"
#include "navalis/sixbed4.h"

static const char *const tunnel_names[TUNNEL_MAX] = {
	[TUNNEL_NONE] = "native", [TUNNEL_TEREDO] = "Teredo", [TUNNEL_SIXBED4] = "6bed4",
	[TUNNEL_SIXTO4] = "6to4", [TUNNEL_SIXRD] = "6rd",     [TUNNEL_SIXIN4] = "6in4",
	[TUNNEL_HG48] = "HG48",
};

/* ---- texts ----------------------------------------------------------------------------------- */

struct text {
	char s[INET6_ADDRSTRLEN + 8];
};

static struct text text4(__be32 a)
{
	struct text t;

	inet_ntop(AF_INET, &a, t.s, sizeof(t.s));
	return t;
}

static struct text text_at(struct endpoint4 e)
{
	struct text t = text4(e.addr);

	if (e.port)
		snprintf(t.s + strlen(t.s), 8, ":%u", HOST16(e.port));
	return t;
}

static struct text text6(const struct in6_addr *a)
{
	struct text t;

	inet_ntop(AF_INET6, a, t.s, sizeof(t.s));
	return t;
}

static struct text text_prefix(const volatile struct prefix6 *p)
{
	struct in6_addr a;
	struct text t;

	for (int i = 0; i < 4; i++)
		a.s6_addr32[i] = p->addr.s6_addr32[i];
	t = text6(&a);
	snprintf(t.s + strlen(t.s), 5, "/%u", p->len);
	return t;
}

static struct text text_s(__u64 ms)
{
	struct text t;

	snprintf(t.s, sizeof(t.s), "%llu.%llu s", ms / 1000, ms / 100 % 10);
	return t;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 4, 5)))
put(struct explained *e, enum explain_about about, enum reason reason, const char *format, ...)
{
	struct explain_line *l = &e->line[e->n];
	va_list args;

	if (e->n == EXPLAIN_LINES)
		return;
	e->n++;
	l->about = about;
	l->reason = reason;
	va_start(args, format);
	vsnprintf(l->text, sizeof(l->text), format, args);
	va_end(args);
}

#define fact(e, ...) put(e, EXPLAIN_ADDRESS, R_NONE, __VA_ARGS__)

static const struct nav_own *own_of(const struct explain_world *w)
{
	return &w->host->own;
}

static bool is_own4(const struct explain_world *w, __be32 a)
{
	return own_has4(own_of(w), a);
}

/* Why an IPv4 address is not sent to or believed, whatever the mechanism; else nothing is said. */
static void refused_line(const struct explain_world *w, __be32 a, struct explained *e)
{
	const char *block = refused4_block(a);

	if (is_own4(w, a))
		fact(e, "%s is this host's own, or a broadcast address of its networks",
		     text4(a).s);
	else if (addr4_set_has(&w->cfg->refused, a))
		fact(e, "%s is refused: %s", text4(a).s,
		     block ? block : "«refuse» of the configuration");
	else if (block)
		fact(e, "%s is %s, which this configuration does not refuse", text4(a).s, block);
}

/* ---- what the data path asks before and after a mechanism ------------------------------------ */

static const struct sixin4_tunnel *tunnel_behind(const struct explain_world *w,
						 const struct in6_addr *a)
{
	const struct sixin4_tunnel *best = NULL;
	__u32 len = 0;

	for (__u32 i = 0; i < w->n_sixin4; i++)
		for (__u32 k = 0; k < w->sixin4[i].n_prefixes; k++) {
			const struct prefix6 *p = &w->sixin4[i].prefix[k];

			if (prefix6_has(p, a) && (!best || p->len > len)) {
				best = &w->sixin4[i];
				len = p->len;
			}
		}
	return best;
}

static const struct sixin4_tunnel *tunnel_between(const struct explain_world *w, __be32 local,
						  __be32 remote)
{
	for (__u32 i = 0; i < w->n_sixin4; i++)
		if (w->sixin4[i].local == local && w->sixin4[i].remote == remote)
			return &w->sixin4[i];
	return NULL;
}

/* From native IPv6 into a tunnel: what else is to be asked of the source. */
static enum reason native_into(const struct explain_world *w, enum tunnel to,
			       const struct in6_addr *src)
{
	return tunnels_native(&w->cfg->tunnels, to, src, tunnel_behind(w, src));
}

/* Out of a tunnel: what else is to be asked of the destination. */
static enum reason out_of_tunnel(const struct explain_world *w, enum tunnel from, __u32 id,
				 const struct in6_addr *dst)
{
	if (!w->cfg->local_services && host_has6(w->host, dst))
		return R_DST_LOCAL;
	return tunnels_cross(&w->cfg->tunnels, from, id, dst, tunnel_behind(w, dst));
}

static enum reason either(enum reason first, enum reason second)
{
	return first != R_NONE ? first : second;
}

/*
 * The native address at the other end: the first that is served, and for a return relay one that it
 * sends for.
 */
static void choose_peer(const struct explain_world *w, enum tunnel tunnel, struct explained *e)
{
	static const struct prefix6 any = { .addr.s6_addr = { 0x20, 0x01, 0x0d, 0xb8 }, .len = 32 };
	const struct sixto4_config *to4 = &w->cfg->sixto4;
	const struct prefix6 *p = w->cfg->n_served ? &w->cfg->served[0] : &any;

	if (tunnel == TUNNEL_SIXTO4 && to4->return_only && to4->n_senders)
		p = &to4->sender[0];
	e->peer = p->addr;
	if (p->len < 128)
		e->peer.s6_addr[15] |= 1;
	e->has_peer = true;
}

static void to_line(struct explained *e, enum reason r, const char *how)
{
	if (r == R_NONE)
		put(e, EXPLAIN_TO, R_ENCAP, "goes to %s%s", text_at(e->at).s, how);
	else if (e->at.addr)
		put(e, EXPLAIN_TO, r, "is not sent to %s", text_at(e->at).s);
	else
		put(e, EXPLAIN_TO, r, "is sent nowhere");
}

static void from_line(struct explained *e, enum reason r, const char *how)
{
	if (r == R_NONE)
		put(e, EXPLAIN_FROM, R_DECAP, "from %s goes on to native IPv6%s", text_at(e->at).s,
		    how);
	else
		put(e, EXPLAIN_FROM, r, "from %s does not go on",
		    e->at.addr ? text_at(e->at).s : "anywhere");
}

/* ---- Teredo ---------------------------------------------------------------------------------- */

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
	const struct text server = text4(teredo_server(a));

	if (cone_believed(&w->cone, a))
		put(e, EXPLAIN_TO, R_ENCAP,
		    "goes to %s by the daemon, at once: its cone bit is believed (cone_prefixes)",
		    text_at(e->at).s);
	else if (!c->known && c->state == PEER_WEAK)
		put(e, EXPLAIN_TO, R_ENCAP, "goes to %s by the daemon", text_at(e->at).s);
	else if (!c->known && c->state == PEER_SILENT)
		put(e, EXPLAIN_TO, R_SILENT,
		    "its sender hears «address unreachable»: a bubble of the client's ends that");
	else if (!c->known && c->state == PEER_PROBE && c->kept)
		put(e, EXPLAIN_TO, R_QUEUE_FULL,
		    "another one waits already for the answer to the bubble");
	else if (!c->known && c->state == PEER_PROBE)
		put(e, EXPLAIN_TO, R_QUEUED,
		    "waits for the answer to the bubble sent through %s:3544", server.s);
	else
		put(e, EXPLAIN_TO, R_UNPROVEN_OUT,
		    "is kept, and a hole punched: a bubble through %s:3544", server.s);
}

static void explain_teredo(const struct explain_world *w, const struct in6_addr *a,
			   struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	const struct explain_client *c = &w->client;
	const __be32 server = teredo_server(a);
	const bool young = c->known && stamp_young(c->stamp, stamp_of(w->now), cfg->life);
	const char *by = w->xdp ? ", by XDP" : ", by the daemon";
	const enum reason client = policy_client(cfg, own_of(w), a);
	enum reason r;

	fact(e, "Teredo client: server %s, mapped to %s", text4(server).s,
	     text_at(teredo_mapped(a)).s);
	refused_line(w, server, e);
	refused_line(w, teredo_mapped(a).addr, e);
	if (cfg->server.addr[0] && (server == cfg->server.addr[0] || server == cfg->server.addr[1]))
		fact(e, "its server is the one of this instance");
	e->at = young ? c->at : teredo_mapped(a);
	teredo_known(w, a, young, e);

	r = either(policy_native_src(cfg, own_of(w), &e->peer),
		   native_into(w, TUNNEL_TEREDO, &e->peer));
	if (r == R_NONE && !young) {
		r = client;
		if (r == R_NONE)
			teredo_punch(w, a, e);
	}
	if (r != R_NONE || young)
		to_line(e, r, by);

	r = either(policy_native_dst(cfg, own_of(w), &e->peer),
		   out_of_tunnel(w, TUNNEL_TEREDO, 0, &e->peer));
	r = either(r, young ? R_NONE : client);
	if (r != R_NONE || young)
		from_line(e, r, by);
	else if (!cfg->admission_rfc && !c->known && c->state == PEER_WEAK)
		from_line(e, r, ", by the daemon, because something was sent to it lately");
	else if (cfg->admission_rfc)
		from_line(e, r, ", by the daemon: admission = rfc asks for no proof");
	else
		put(e, EXPLAIN_FROM, R_UNPROVEN_IN,
		    "from %s is kept, and the client challenged by a bubble through %s:3544",
		    text_at(e->at).s, text4(server).s);
	put(e, EXPLAIN_FROM, R_SRC_MISMATCH, "from anywhere but %s", text_at(e->at).s);
}

/* ---- 6bed4 ----------------------------------------------------------------------------------- */

static void explain_sixbed4(const struct explain_world *w, const struct sixbed4_config *bed,
			    const struct in6_addr *a, struct explained *e)
{
	const struct refuse4 sets = { &w->cfg->refused, &own_of(w)->v4 };
	const __u32 id = (__u32)(bed - w->cfg->sixbed4);
	struct ipv6hdr h = { .version = 6, .nexthdr = IP6_NEXT_NONE, .hop_limit = 64 };
	const struct cur end = { (const __u8 *)(&h + 1), (const __u8 *)(&h + 1) };
	const struct cur whole = { (const __u8 *)&h, (const __u8 *)(&h + 1) };
	struct sixbed4_in in;
	struct endpoint4 to;
	enum reason r;

	if (sixbed4_opaque(bed->format, sixbed4_low(a))) {
		fact(e, "under the 6bed4 prefix, but names no endpoint");
	} else {
		e->at = sixbed4_unpack(bed->format, sixbed4_low(a));
		fact(e, "6bed4 peer at %s; its router is %s:%u", text_at(e->at).s,
		     text4(bed->service.addr).s, HOST16(bed->service.port));
		refused_line(w, e->at.addr, e);
	}
	h.saddr = e->peer;
	h.daddr = *a;
	r = sixbed4_out(bed, &sets, end, &h, true, &to);
	r = either(r, policy_native_src(w->cfg, own_of(w), &e->peer));
	to_line(e, either(r, native_into(w, TUNNEL_SIXBED4, &e->peer)), " (UDP)");

	h.saddr = *a;
	h.daddr = e->peer;
	r = sixbed4_in(bed, &sets, e->at, whole, sizeof(h), true, &in);
	r = either(r, policy_native_dst(w->cfg, own_of(w), &e->peer));
	from_line(e, either(r, out_of_tunnel(w, TUNNEL_SIXBED4, id, &e->peer)), "");
	if (e->at.addr)
		put(e, EXPLAIN_FROM, R_SIXBED4_MOVED, "from anywhere else than %s",
		    text_at(e->at).s);
}

/* ---- protocol 41 ----------------------------------------------------------------------------- */

/* What came from an IPv4 address to one of ours: whose it is, and what that one says. */
static enum reason from41(const struct explain_world *w, __be32 outer_src, __be32 outer_dst,
			  const struct in6_addr *src, const struct in6_addr *dst)
{
	const struct nav_config *cfg = w->cfg;
	const struct sixin4_tunnel *in4 = tunnel_between(w, outer_dst, outer_src);
	struct demux to;
	__u32 id = 0;
	enum reason r = demux_proto41(in4, cfg->sixrd, cfg->n_sixrd, &cfg->sixto4, &cfg->sixin4,
				      outer_dst, src, &to);

	if (r != R_NONE)
		return r;
	if (to.tunnel == TUNNEL_SIXIN4) {
		r = sixin4_in(cfg, in4, own_of(w), outer_src, outer_dst, src, dst);
		id = in4->id;
	} else if (to.tunnel == TUNNEL_SIXRD) {
		r = sixrd_in(cfg, to.domain, own_of(w), outer_src, outer_dst, src, dst);
		id = (__u32)(to.domain - cfg->sixrd);
	} else {
		r = sixto4_in(cfg, &cfg->sixto4, own_of(w), outer_src, outer_dst, src, dst);
	}
	return either(r, out_of_tunnel(w, to.tunnel, id, dst));
}

static void proto41_lines(const struct explain_world *w, const struct in6_addr *a,
			  enum tunnel tunnel, enum reason out, __be32 local,
			  const volatile struct tunnel_link *link, struct explained *e)
{
	refused_line(w, e->at.addr, e);
	fact(e, "longer than %u bytes does not fit: Packet Too Big", link->mtu);
	to_line(e, either(out, native_into(w, tunnel, &e->peer)), " (protocol 41)");
	from_line(e, from41(w, e->at.addr, local, a, &e->peer), "");
}

static void explain_sixto4(const struct explain_world *w, const struct in6_addr *a,
			   struct explained *e)
{
	const struct sixto4_config *to4 = &w->cfg->sixto4;
	struct outer4 to;

	e->at.addr = addr6_sixto4_v4(a);
	fact(e, "6to4 site at %s; its relay here is %s%s", text4(e->at.addr).s, text4(to4->local).s,
	     to4->return_only ? ", which only sends, for this host or its site" : "");
	proto41_lines(w, a, TUNNEL_SIXTO4, sixto4_out(w->cfg, to4, own_of(w), &e->peer, a, &to),
		      to4->local, &to4->link, e);
	if (!to4->return_only)
		put(e, EXPLAIN_FROM, R_SRC_MISMATCH, "from anywhere but %s", text4(e->at.addr).s);
}

static void explain_sixrd(const struct explain_world *w, __u32 id, const struct in6_addr *a,
			  struct explained *e)
{
	const struct sixrd_domain *d = &w->cfg->sixrd[id];
	struct prefix6 site;
	struct outer4 to;

	e->at.addr = sixrd_v4(d, a);
	site = sixrd_delegated(d, e->at.addr);
	fact(e, "6rd customer at %s with %s; its border relay is %s", text4(e->at.addr).s,
	     text_prefix(&site).s, text4(d->br).s);
	proto41_lines(w, a, TUNNEL_SIXRD, sixrd_out(w->cfg, d, own_of(w), &e->peer, a, &to), d->br,
		      &d->link, e);
	put(e, EXPLAIN_FROM, R_SRC_MISMATCH, "from anywhere but %s", text4(e->at.addr).s);
}

static void explain_sixin4(const struct explain_world *w, const struct sixin4_tunnel *t,
			   const struct in6_addr *a, struct explained *e)
{
	struct outer4 to;

	e->at.addr = t->remote;
	fact(e, "behind the configured tunnel %s - %s (6in4)", text4(t->local).s,
	     text4(t->remote).s);
	proto41_lines(w, a, TUNNEL_SIXIN4, sixin4_out(w->cfg, t, own_of(w), &e->peer, a, &to),
		      t->local, &t->link, e);
	put(e, EXPLAIN_FROM, R_NO_TUNNEL, "from an address that has no tunnel");
}

/* ---- HG48 ------------------------------------------------------------------------------------ */

static void explain_hg48(const struct explain_world *w, const struct in6_addr *a,
			 struct explained *e)
{
	const struct hg48_config *hg = &w->cfg->hg48;
	const struct endpoint4 service = { .addr = hg->service.addr, .port = hg->service.port };
	struct outer4 to;
	enum reason r;

	e->at = hg48_endpoint(a);
	fact(e, "HG48 endpoint at %s; its gateway is %s", text_at(e->at).s, text_at(service).s);
	refused_line(w, e->at.addr, e);
	r = either(hg48_out(w->cfg, hg, own_of(w), &e->peer, a, &to),
		   native_into(w, TUNNEL_HG48, &e->peer));
	to_line(e, r, " (UDP)");
	if (r == R_NONE)
		put(e, EXPLAIN_TO, R_UNCONFIRMED, "more than %u of them before it answers",
		    hg->window_packets);
	r = hg48_in(w->cfg, hg, own_of(w), e->at, service, a, &e->peer);
	r = either(r, out_of_tunnel(w, TUNNEL_HG48, 0, &e->peer));
	from_line(e, r, hg->unsolicited ? "" : ", if something was sent to it lately");
	if (r == R_NONE && !hg->unsolicited)
		put(e, EXPLAIN_FROM, R_UNSOLICITED, "if nothing was");
}

/* ---- native ---------------------------------------------------------------------------------- */

/* What one mechanism says of a native address, both ways. strict: Teredo addresses are none. */
static void native_lines(const struct explain_world *w, enum tunnel tunnel, __u32 id,
			 const char *name, const struct in6_addr *a, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	const bool strict = tunnel == TUNNEL_TEREDO || tunnel == TUNNEL_SIXBED4;
	enum reason r = strict ? policy_native_dst(cfg, own_of(w), a)
			       : proto41_native_dst(cfg, own_of(w), a);

	if (tunnel == TUNNEL_SIXTO4 && cfg->sixto4.return_only)
		r = R_RETURN_ONLY;
	else if (tunnel == TUNNEL_SIXTO4 && r == R_NONE && sixto4_is(a))
		r = R_DST_SIXTO4;
	r = either(r, out_of_tunnel(w, tunnel, id, a));
	put(e, EXPLAIN_TO, r == R_NONE ? R_DECAP : r, "out of %s", name);

	r = strict ? policy_native_src(cfg, own_of(w), a) : proto41_native_src(cfg, own_of(w), a);
	if (tunnel == TUNNEL_SIXTO4 && r == R_NONE)
		r = sixto4_is(a)						    ? R_SRC_SIXTO4
		    : cfg->sixto4.return_only && !sixto4_sends_for(&cfg->sixto4, a) ? R_SRC_NOT_HOST
										    : R_NONE;
	r = either(r, native_into(w, tunnel, a));
	put(e, EXPLAIN_FROM, r == R_NONE ? R_ENCAP : r, "into %s", name);
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
	for (__u32 i = 0; i < SIXBED4_LISTENERS; i++) {
		if (!cfg->sixbed4[i].service.addr)
			continue;
		snprintf(name, sizeof(name), "6bed4 (%s:%u)", text4(cfg->sixbed4[i].service.addr).s,
			 HOST16(cfg->sixbed4[i].service.port));
		native_lines(w, TUNNEL_SIXBED4, i, name, a, e);
	}
	if (cfg->sixto4.local)
		native_lines(w, TUNNEL_SIXTO4, 0, "6to4", a, e);
	for (__u32 i = 0; i < cfg->n_sixrd; i++) {
		snprintf(name, sizeof(name), "6rd (%s)", text_prefix(&cfg->sixrd[i].prefix).s);
		native_lines(w, TUNNEL_SIXRD, i, name, a, e);
	}
	if (w->n_sixin4)
		native_lines(w, TUNNEL_SIXIN4, w->sixin4[0].id, "the configured tunnels (6in4)", a,
			     e);
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
	const struct sixin4_tunnel *in4 = tunnel_behind(w, a);
	const struct sixbed4_config *bed = sixbed4_at(cfg, a);
	__u32 id = 0;
	enum tunnel tunnel = tunnels_of(&cfg->tunnels, a, in4, &id);

	*e = (struct explained){ 0 };
	if (tunnel == TUNNEL_NONE && teredo_is(a) && cfg->service.addr)
		tunnel = TUNNEL_TEREDO;
	if (tunnel == TUNNEL_NONE && bed)
		tunnel = TUNNEL_SIXBED4;
	e->mechanism = tunnel_names[tunnel];
	if (tunnel == TUNNEL_NONE) {
		explain_native(w, a, e);
		return;
	}
	choose_peer(w, tunnel, e);
	if (tunnel == TUNNEL_TEREDO)
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
}

/* ---- IPv4 ------------------------------------------------------------------------------------ */

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
	put(e, EXPLAIN_TO, r == R_NONE ? R_ENCAP : r, "%s there", what);
}

static void udp_peers(const struct explain_world *w, struct endpoint4 at, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	const struct refuse4 sets = { &cfg->refused, &own_of(w)->v4 };
	const struct in6_addr teredo = teredo_addr(at.addr, 0, at),
			      hg48 = hg48_addr(&cfg->hg48, at);
	struct in6_addr bed;
	struct endpoint4 to;
	struct outer4 outer;

	if (cfg->service.addr)
		peer_line(e, policy_client(cfg, own_of(w), &teredo),
			  "a Teredo client, once it is proven,");
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

/* What is behind the address by one mechanism of protocol 41; a is in the site. */
static void site_lines(const struct explain_world *w, const struct prefix6 *site,
		       const struct in6_addr *a, const char *name, enum reason out, __be32 local,
		       struct explained *e)
{
	const enum reason in = from41(w, e->at.addr, local, a, &e->peer);

	put(e, EXPLAIN_TO, out == R_NONE ? R_ENCAP : out, "%s, %s", text_prefix(site).s, name);
	put(e, EXPLAIN_FROM, in == R_NONE ? R_DECAP : in, "%s, %s", text_prefix(site).s, name);
}

/* Not the first address of a site: a relay's own is the relay's to answer for. */
static struct in6_addr second_of(const struct prefix6 *site)
{
	struct in6_addr a = site->addr;

	if (site->len < 128)
		a.s6_addr[15] |= 1;
	return a;
}

static void sites(const struct explain_world *w, __be32 a, struct explained *e)
{
	const struct nav_config *cfg = w->cfg;
	struct in6_addr inside;
	struct prefix6 site;
	struct outer4 to;
	struct demux d;
	enum reason r;

	if (cfg->sixto4.local) {
		choose_peer(w, TUNNEL_SIXTO4, e);
		site = (struct prefix6){ sixto4_addr(a), 48 };
		inside = second_of(&site);
		r = sixto4_out(cfg, &cfg->sixto4, own_of(w), &e->peer, &inside, &to);
		site_lines(w, &site, &inside, "6to4", r, cfg->sixto4.local, e);
		choose_peer(w, TUNNEL_NONE, e);
	}
	for (__u32 i = 0; i < cfg->n_sixrd; i++) {
		const struct sixrd_domain *rd = &cfg->sixrd[i];

		if (!sixrd_has4(rd, a))
			continue;
		site = sixrd_delegated(rd, a);
		inside = second_of(&site);
		r = sixrd_out(cfg, rd, own_of(w), &e->peer, &inside, &to);
		site_lines(w, &site, &inside, "6rd", r, rd->br, e);
	}
	for (__u32 i = 0; i < w->n_sixin4; i++) {
		const struct sixin4_tunnel *t = &w->sixin4[i];

		if (t->remote != a || !t->n_prefixes)
			continue;
		site = t->prefix[0];
		inside = second_of(&site);
		r = sixin4_out(cfg, t, own_of(w), &e->peer, &inside, &to);
		site_lines(w, &site, &inside, "6in4", r, t->local, e);
	}
	for (__u32 i = 0; i < cfg->sixin4.n_locals; i++) {
		const __be32 local = cfg->sixin4.local[i];

		r = demux_proto41(tunnel_between(w, local, a), cfg->sixrd, cfg->n_sixrd,
				  &cfg->sixto4, &cfg->sixin4, local, &e->peer, &d);
		if (r != R_NONE)
			put(e, EXPLAIN_FROM, r, "protocol 41 to %s", text4(local).s);
	}
}

void explain_address4(const struct explain_world *w, __be32 a, struct explained *e)
{
	*e = (struct explained){ .mechanism = "ipv4", .at.addr = a };
	choose_peer(w, TUNNEL_NONE, e);
	refused_line(w, a, e);
	ours_lines(w, a, e);
	if (!e->n)
		fact(e, "neither refused nor an address of this host");
	udp_peers(w, (struct endpoint4){ .addr = a, .port = BE16(SOME_PORT) }, e);
	sites(w, a, e);
}
