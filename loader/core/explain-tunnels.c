// SPDX-License-Identifier: GPL-2.0-or-later
/* What is behind 6bed4, 6to4, 6rd, 6in4 and HG48. */
#include "core/explain-impl.h"
#include "navalis/demux.h"
#include "navalis/hg48.h"
#include "navalis/policy.h"
#include "navalis/sixbed4.h"

/* ---- 6bed4 ----------------------------------------------------------------------------------- */

void explain_sixbed4(const struct explain_world *w, const struct sixbed4_config *bed,
		     const struct in6_addr *a, struct explained *e)
{
	const struct refuse4 sets = refused_of(w);
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
		     text_in4(bed->service.addr).s, HOST16(bed->service.port));
		explain_refused(w, e->at.addr, e);
	}
	h.saddr = e->peer;
	h.daddr = *a;
	r = sixbed4_out(bed, &sets, end, &h, true, &to);
	r = either(r, policy_native_src(w->cfg, own_of(w), &e->peer));
	explain_to(e, either(r, explain_into(w, TUNNEL_SIXBED4, &e->peer)), " (UDP)");

	h.saddr = *a;
	h.daddr = e->peer;
	r = sixbed4_in(bed, &sets, e->at, whole, sizeof(h), true, &in);
	r = either(r, policy_native_dst(w->cfg, own_of(w), &e->peer));
	explain_from(e, either(r, explain_out_of(w, TUNNEL_SIXBED4, id, &e->peer)), "");
	if (e->at.addr)
		explain_put(e, EXPLAIN_FROM, R_SIXBED4_MOVED, "from anywhere else than %s",
			    text_at(e->at).s);
}

/* ---- protocol 41 ----------------------------------------------------------------------------- */

enum reason explain_from41(const struct explain_world *w, __be32 outer_src, __be32 outer_dst,
			   const struct in6_addr *src, const struct in6_addr *dst)
{
	const struct nav_config *cfg = w->cfg;
	const struct sixin4_tunnel *in4 =
		sixin4_between(w->in4, (struct sixin4_key){ outer_dst, outer_src });
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
	return either(r, explain_out_of(w, to.tunnel, id, dst));
}

static void proto41_lines(const struct explain_world *w, const struct in6_addr *a,
			  enum tunnel tunnel, enum reason out, __be32 local,
			  const volatile struct tunnel_link *link, struct explained *e)
{
	/* 6rd and 6in4 do not ask whether it is refused to others */
	if (tunnel == TUNNEL_SIXTO4 || out == R_CLIENT_REFUSED || out == R_CLIENT_OURS)
		explain_refused(w, e->at.addr, e);
	fact(e, "longer than %u bytes does not fit: Packet Too Big", link->mtu);
	explain_to(e, either(out, explain_into(w, tunnel, &e->peer)), " (protocol 41)");
	explain_from(e, explain_from41(w, e->at.addr, local, a, &e->peer), "");
}

void explain_sixto4(const struct explain_world *w, const struct in6_addr *a, struct explained *e)
{
	const struct sixto4_config *to4 = &w->cfg->sixto4;
	struct outer4 to;

	e->at.addr = addr6_sixto4_v4(a);
	fact(e, "6to4 site at %s; its relay here is %s%s", text_in4(e->at.addr).s, text_in4(to4->local).s,
	     to4->return_only ? ", which only sends, for this host or its site" : "");
	proto41_lines(w, a, TUNNEL_SIXTO4, sixto4_out(w->cfg, to4, own_of(w), &e->peer, a, &to),
		      to4->local, &to4->link, e);
	if (!to4->return_only)
		explain_put(e, EXPLAIN_FROM, R_SRC_MISMATCH, "from anywhere but %s",
			    text_in4(e->at.addr).s);
}

void explain_sixrd(const struct explain_world *w, __u32 id, const struct in6_addr *a,
		   struct explained *e)
{
	const struct sixrd_domain *d = &w->cfg->sixrd[id];
	struct prefix6 site;
	struct outer4 to;

	e->at.addr = sixrd_v4(d, a);
	site = sixrd_delegated(d, e->at.addr);
	fact(e, "6rd customer at %s with %s; its border relay is %s", text_in4(e->at.addr).s,
	     text_prefix(&site).s, text_in4(d->br).s);
	proto41_lines(w, a, TUNNEL_SIXRD, sixrd_out(w->cfg, d, own_of(w), &e->peer, a, &to), d->br,
		      &d->link, e);
	explain_put(e, EXPLAIN_FROM, R_SRC_MISMATCH, "from anywhere but %s", text_in4(e->at.addr).s);
}

void explain_sixin4(const struct explain_world *w, const struct sixin4_tunnel *t,
		    const struct in6_addr *a, struct explained *e)
{
	struct outer4 to;

	e->at.addr = t->remote;
	fact(e, "behind the configured tunnel %s - %s (6in4)", text_in4(t->local).s,
	     text_in4(t->remote).s);
	proto41_lines(w, a, TUNNEL_SIXIN4, sixin4_out(w->cfg, t, own_of(w), &e->peer, a, &to),
		      t->local, &t->link, e);
	explain_put(e, EXPLAIN_FROM, R_NO_TUNNEL, "from an address that has no tunnel");
}

/* ---- HG48 ------------------------------------------------------------------------------------ */

void explain_hg48(const struct explain_world *w, const struct in6_addr *a, struct explained *e)
{
	const struct hg48_config *hg = &w->cfg->hg48;
	const struct endpoint4 service = { .addr = hg->service.addr, .port = hg->service.port };
	struct outer4 to;
	enum reason r;

	e->at = hg48_endpoint(a);
	fact(e, "HG48 endpoint at %s; its gateway is %s", text_at(e->at).s, text_at(service).s);
	explain_refused(w, e->at.addr, e);
	r = either(hg48_out(w->cfg, hg, own_of(w), &e->peer, a, &to),
		   explain_into(w, TUNNEL_HG48, &e->peer));
	explain_to(e, r, " (UDP)");
	if (r == R_NONE)
		explain_put(e, EXPLAIN_TO, R_UNCONFIRMED, "more than %u of them before it answers",
			    hg->window_packets);
	r = hg48_in(w->cfg, hg, own_of(w), e->at, service, a, &e->peer);
	r = either(r, explain_out_of(w, TUNNEL_HG48, 0, &e->peer));
	explain_from(e, r, hg->unsolicited ? "" : ", if something was sent to it lately");
	if (r == R_NONE && !hg->unsolicited)
		explain_put(e, EXPLAIN_FROM, R_UNSOLICITED, "if nothing was");
}
