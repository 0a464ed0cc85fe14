/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of explain share and nobody else sees. */
#ifndef NAVALISD_EXPLAIN_IMPL_H
#define NAVALISD_EXPLAIN_IMPL_H

#include "core/explain.h"
#include "navalis/refuse4.h"
#include "navalis/text.h"

/* ---- explain-lines.c --------------------------------------------------------------------------
 */

struct text text_at(struct endpoint4 e); /* with its port unless that is 0 */
struct text text_s(__u64 ms);

void explain_put(struct explained *e, enum explain_about about, enum reason reason,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

#define fact(e, ...) explain_put(e, EXPLAIN_ADDRESS, R_NONE, __VA_ARGS__)

/* Why an IPv4 address is not sent to or believed, whatever the mechanism; else nothing is said. */
void explain_refused(const struct explain_world *w, __be32 a, struct explained *e);

/* The verdict on a packet to the address, or from it. */
void explain_to(struct explained *e, enum reason r, const char *how);
void explain_from(struct explained *e, enum reason r, const char *how);

static inline const struct nav_own *own_of(const struct explain_world *w)
{
	return &w->host->own;
}

static inline struct refuse4 refused_of(const struct explain_world *w)
{
	return (struct refuse4){ .listed = &w->cfg->refused, .own = &w->host->own.v4 };
}

static inline enum reason either(enum reason first, enum reason second)
{
	return first != R_NONE ? first : second;
}

/* From native IPv6 into a tunnel: what else is to be asked of the source. */
enum reason explain_into(const struct explain_world *w, enum tunnel to, const struct in6_addr *src);

/* Out of a tunnel: what else is to be asked of the destination. */
enum reason explain_out_of(const struct explain_world *w, enum tunnel from, __u32 id,
			   const struct in6_addr *dst);

/*
 * The native address at the other end: the first that is served, and for a return relay one that it
 * sends for.
 */
struct in6_addr explain_peer(const struct explain_world *w, enum tunnel tunnel);
void explain_choose_peer(const struct explain_world *w, enum tunnel tunnel, struct explained *e);

/* ---- explain-teredo.c, explain-tunnels.c ------------------------------------------------------
 */

void explain_teredo(const struct explain_world *w, const struct in6_addr *a, struct explained *e);

/* What the Teredo server, which there is, says of a client, a native address, and a client's endpoint. */
void explain_server_client(const struct explain_world *w, const struct in6_addr *a,
			   struct explained *e);
void explain_server_native(const struct explain_world *w, const struct in6_addr *a,
			   struct explained *e);
void explain_server_endpoint(const struct explain_world *w, struct endpoint4 at,
			     struct explained *e);

void explain_sixbed4(const struct explain_world *w, const struct sixbed4_config *bed,
		     const struct in6_addr *a, struct explained *e);
void explain_sixto4(const struct explain_world *w, const struct in6_addr *a, struct explained *e);
void explain_sixrd(const struct explain_world *w, __u32 id, const struct in6_addr *a,
		   struct explained *e);
void explain_sixin4(const struct explain_world *w, const struct sixin4_tunnel *t,
		    const struct in6_addr *a, struct explained *e);
void explain_hg48(const struct explain_world *w, const struct in6_addr *a, struct explained *e);

/*
 * What came by protocol 41 from an IPv4 address to one of ours: whose it is, and what that one
 * says.
 */
enum reason explain_from41(const struct explain_world *w, __be32 outer_src, __be32 outer_dst,
			   const struct in6_addr *src, const struct in6_addr *dst);

#endif
