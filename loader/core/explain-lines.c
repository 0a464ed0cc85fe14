// SPDX-License-Identifier: GPL-2.0-or-later
/* What is explained, a line each; and what is asked of either end of any mechanism. */
#include <stdarg.h>
#include <stdio.h>

#include "core/explain-impl.h"
#include "navalis/policy.h"
#include "navalis/refuse4.h"

struct text text_at(struct endpoint4 e)
{
	return e.port ? text_endpoint(e) : text_in4(e.addr);
}

struct text text_s(__u64 ms)
{
	struct text t;

	snprintf(t.s, sizeof(t.s), "%llu.%llu s", ms / 1000, ms / 100 % 10);
	return t;
}

void explain_put(struct explained *e, enum explain_about about, enum reason reason,
		 const char *format, ...)
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

void explain_refused(const struct explain_world *w, __be32 a, struct explained *e)
{
	const char *block = refused4_block(a);

	if (own_has4(own_of(w), a))
		fact(e, "%s is this host's own, or a broadcast address of its networks",
		     text_in4(a).s);
	else if (addr4_set_has(&w->cfg->refused, a))
		fact(e, "%s is refused: %s", text_in4(a).s,
		     block ? block : "«refuse» of the configuration");
	else if (block)
		fact(e, "%s is %s, which this configuration does not refuse", text_in4(a).s, block);
}

void explain_to(struct explained *e, enum reason r, const char *how)
{
	if (r == R_NONE)
		explain_put(e, EXPLAIN_TO, R_ENCAP, "goes to %s%s", text_at(e->at).s, how);
	else if (e->at.addr)
		explain_put(e, EXPLAIN_TO, r, "is not sent to %s", text_at(e->at).s);
	else
		explain_put(e, EXPLAIN_TO, r, "is sent nowhere");
}

void explain_from(struct explained *e, enum reason r, const char *how)
{
	if (r == R_NONE)
		explain_put(e, EXPLAIN_FROM, R_DECAP, "from %s goes on to native IPv6%s",
			    text_at(e->at).s, how);
	else
		explain_put(e, EXPLAIN_FROM, r, "from %s does not go on",
			    e->at.addr ? text_at(e->at).s : "anywhere");
}

/* ---- the other end ----------------------------------------------------------------------------
 */

enum reason explain_into(const struct explain_world *w, enum tunnel to, const struct in6_addr *src)
{
	return tunnels_native(&w->cfg->tunnels, to, src, sixin4_behind(w->in4, src));
}

enum reason explain_out_of(const struct explain_world *w, enum tunnel from, __u32 id,
			   const struct in6_addr *dst)
{
	if (!w->cfg->local_services && host_has6(w->host, dst))
		return R_DST_LOCAL;
	return tunnels_cross(&w->cfg->tunnels, from, id, dst, sixin4_behind(w->in4, dst));
}

struct in6_addr explain_peer(const struct explain_world *w, enum tunnel tunnel)
{
	static const struct prefix6 any = { .addr.s6_addr = { 0x20, 0x01, 0x0d, 0xb8 }, .len = 32 };
	const struct sixto4_config *to4 = &w->cfg->sixto4;
	const struct prefix6 *p = w->cfg->n_served ? &w->cfg->served[0] : &any;
	struct in6_addr peer;

	if (tunnel == TUNNEL_SIXTO4 && to4->return_only && to4->n_senders)
		p = &to4->sender[0];
	peer = p->addr;
	if (p->len < 128)
		peer.s6_addr[15] |= 1;
	return peer;
}

void explain_choose_peer(const struct explain_world *w, enum tunnel tunnel, struct explained *e)
{
	e->peer = explain_peer(w, tunnel);
	e->has_peer = true;
}
