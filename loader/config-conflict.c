// SPDX-License-Identifier: GPL-2.0-or-later
/* What the mechanisms of navalis.conf cannot be, alone or together: a sentence, and whose line it is. */
#include "config-impl.h"
#include "navalis/conflict.h"
#include "navalis/sixbed4.h"

/* What it is about, and where that is; the later of two. */
struct blame {
	const struct config *c;
	char *sentence;
	int *line;
};

static bool blame(const struct blame *to, enum config_section s, __u32 item, const char *what)
{
	char label[CONFIG_LABEL];

	snprintf(to->sentence, CONFIG_SENTENCE, "[%s]: %s", config_label(to->c, s, item, label), what);
	*to->line = config_line(to->c, s, item);
	return true;
}

static const enum config_section section_of[TUNNEL_MAX] = {
	[TUNNEL_TEREDO] = CONFIG_teredo, [TUNNEL_SIXBED4] = CONFIG_sixbed4,
	[TUNNEL_SIXTO4] = CONFIG_sixto4, [TUNNEL_SIXRD] = CONFIG_sixrd,
	[TUNNEL_SIXIN4] = CONFIG_sixin4, [TUNNEL_HG48] = CONFIG_hg48,
};

static bool blame_both(const struct blame *to, const struct conflict *x)
{
	const enum config_section a = section_of[x->a.tunnel], b = section_of[x->b.tunnel];
	const int line = config_line(to->c, a, x->a.id);
	char first[CONFIG_LABEL], second[CONFIG_LABEL];

	if (x->b.tunnel == TUNNEL_NONE)
		return blame(to, a, x->a.id, x->what);
	snprintf(to->sentence, CONFIG_SENTENCE, "[%s] and [%s]: %s", config_label(to->c, a, x->a.id, first),
		 config_label(to->c, b, x->b.id, second), x->what);
	*to->line = config_line(to->c, b, x->b.id);
	if (line > *to->line)
		*to->line = line;
	return true;
}

/* An endpoint that a socket is bound to, and whose it is. */
struct bound {
	struct endpoint4 at;
	enum config_section section;
	__u32 item;
};

#define BOUND (1 + 2 + SIXBED4_LISTENERS + 1)

static __u32 all_bound(const struct nav_config *p, __u32 n_sixbed4, struct bound bound[BOUND])
{
	__u32 n = 0;

	if (p->service.addr)
		bound[n++] = (struct bound){ p->service, CONFIG_teredo, 0 };
	for (int i = 0; i < 2 && p->server.addr[0]; i++)
		bound[n++] = (struct bound){
			{ .addr = p->server.addr[i], .port = BE16(TEREDO_SERVER_PORT) }, CONFIG_server, 0
		};
	for (__u32 i = 0; i < n_sixbed4; i++)
		bound[n++] = (struct bound){ p->sixbed4[i].service, CONFIG_sixbed4, i };
	if (p->hg48.service.addr)
		bound[n++] = (struct bound){ p->hg48.service, CONFIG_hg48, 0 };
	return n;
}

static bool conflict_bound(const struct nav_config *p, const struct blame *to)
{
	struct bound bound[BOUND];
	const __u32 n = all_bound(p, to->c->n_sixbed4, bound);
	char what[CONFIG_LABEL + 64], label[CONFIG_LABEL];

	for (__u32 i = 0; i < n; i++)
		for (__u32 k = 0; k < i; k++)
			if (endpoint4_equal(bound[i].at, bound[k].at)) {
				snprintf(what, sizeof(what), "its address and port are those of [%s]",
					 config_label(to->c, bound[k].section, bound[k].item, label));
				return blame(to, bound[i].section, bound[i].item, what);
			}
	return false;
}

static bool conflict_server(const struct nav_config *p, const struct blame *to)
{
	const __be32 *addr = p->server.addr;

	if (!addr[0])
		return false;
	if (addr[0] == addr[1])
		return blame(to, CONFIG_server, 0, "primary and secondary are the same address");
	for (int i = 0; i < 2; i++)
		if (!addr4_unicast(addr[i]) || addr4_set_has(&p->refused, addr[i]))
			return blame(to, CONFIG_server, 0, i ? "the secondary address is not a global one" :
							       "the primary address is not a global one");
	return false;
}

static const char *conflict_sixbed4(const struct sixbed4_config *b)
{
	struct in6_addr prefix = { 0 };

	memcpy(&prefix, &b->prefix, 8);
	if (addr6_kind(&prefix) != ADDR6_GLOBAL && prefix.s6_addr[0] >> 1 != 0xfc >> 1)
		return "the prefix is neither global nor unique local, or has to do with 2002::/16 or "
		       "2001::/32";
	for (__u32 i = 0; i < b->n_routes; i++)
		if (b->route[i].len < 16)
			return "routes have a length from 16 to 128";
	if (b->format == SIXBED4_W1 && HOST16(b->service.port) & 1)
		return "the addresses of format = 2012 cannot hold an odd port";
	if (b->format == SIXBED4_W1 && b->retract)
		return "retract is for format = draft-04 alone";
	return NULL;
}

/* The source of bubbles is nobody's: it is routed nowhere. */
static bool conflict_bubbles(const struct config *c, const struct nav_config *p, const struct blame *to)
{
	static const char what[] = "bubble_source is behind it, and has to be routed nowhere";
	struct prefix6 source = { .len = 64 };

	memcpy(&source.addr, &p->bubble_prefix, 8);
	if (!p->service.addr)
		return false;
	for (__u32 i = 0; i < p->tunnels.n; i++)
		if (prefix6_overlap(&p->tunnels.of[i].prefix, &source))
			return blame(to, section_of[p->tunnels.of[i].tunnel], p->tunnels.of[i].id, what);
	for (__u32 i = 0; i < c->n_sixin4; i++)
		for (__u32 k = 0; k < c->sixin4[i].n_prefixes; k++)
			if (prefix6_overlap(&c->sixin4[i].prefix[k], &source))
				return blame(to, CONFIG_sixin4, i, what);
	return false;
}

bool config_conflict(const struct config *c, const struct nav_config *p, const struct nav_own *own,
		     char sentence[CONFIG_SENTENCE], int *line)
{
	const struct blame to = { c, sentence, line };
	const struct tunnels t = { .sixto4 = &p->sixto4, .sixrd = p->sixrd, .n_sixrd = p->n_sixrd,
				   .sixin4 = c->sixin4, .n_sixin4 = c->n_sixin4, .hg48 = &p->hg48,
				   .prefixes = &p->tunnels, .cfg = p, .own = own };
	struct conflict x;
	const char *what;

	if (conflict_server(p, &to) || conflict_bound(p, &to) || conflict_bubbles(c, p, &to))
		return true;
	for (__u32 i = 0; i < c->n_sixbed4; i++) {
		what = conflict_sixbed4(&p->sixbed4[i]);
		if (what)
			return blame(&to, CONFIG_sixbed4, i, what);
	}
	if (p->sixto4.n_senders && !p->sixto4.return_only)
		return blame(&to, CONFIG_sixto4, 0, "sends_for is for return_only = yes alone");
	for (__u32 i = 0; i < c->n_sixin4; i++)
		if (!config_is_local(&p->sixin4, c->sixin4[i].local))
			return blame(&to, CONFIG_sixin4, i, "all tunnels together have at most 8 local addresses");
	return tunnels_conflict(&t, &x) && blame_both(&to, &x);
}
