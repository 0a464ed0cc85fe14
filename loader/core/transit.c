// SPDX-License-Identifier: GPL-2.0-or-later
/* Which mechanism a packet belongs to, and what all of them ask alike; protocol 41 to its end. */
#include <stdlib.h>
#include <linux/icmp.h>

#include "core/transit-impl.h"

int transit_new(const struct nav_config *policy, const struct host *host, __u64 seed, struct transit **ret)
{
	struct transit *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->policy = policy;
	t->host = host;
	if (limiter_new(0, 1, seed, &t->unreachable) || limiter_new(0, 1, seed, &t->too_big) ||
	    limiter_new(0, 1, seed, &t->exceeded) || limiter_new(0, 1, seed, &t->told) ||
	    limiter_new(0, 4096, seed, &t->to_one) || limiter_new(0, 1, seed, &t->to_all)) {
		transit_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

struct transit *transit_free(struct transit *t)
{
	if (t) {
		limiter_free(t->unreachable);
		limiter_free(t->too_big);
		limiter_free(t->exceeded);
		limiter_free(t->told);
		limiter_free(t->to_one);
		limiter_free(t->to_all);
		hg48_table_free(t->hg48);
		free(t);
	}
	return NULL;
}

void transit_set(struct transit *t, __u32 errors, __u32 to_one, __u32 to_all)
{
	limiter_set(t->unreachable, errors);
	limiter_set(t->too_big, errors);
	limiter_set(t->exceeded, errors);
	limiter_set(t->told, errors);
	limiter_set(t->to_one, to_one);
	limiter_set(t->to_all, to_all);
}

void transit_set_sixin4(struct transit *t, const struct sixin4_table *in4)
{
	t->in4 = in4;
}

int transit_set_hg48(struct transit *t, struct hg48_entry *peers, const struct table_seed *seed)
{
	return hg48_table_new(peers, t->policy->hg48.max_peers, seed, &t->hg48);
}

struct endpoint4 transit_endpoint(const struct nav_config *p, enum port port)
{
	switch (port) {
	case PORT_SIXBED4 ... PORT_SIXBED4_LAST:
		return p->sixbed4[port - PORT_SIXBED4].service;
	case PORT_SERVER ... PORT_SERVER_2:
		return (struct endpoint4){ .addr = p->server.addr[port - PORT_SERVER],
					   .port = BE16(TEREDO_SERVER_PORT) };
	case PORT_HG48:
		return p->hg48.service;
	default:
		return (struct endpoint4){ 0 };
	}
}

/* ---- routes ------------------------------------------------------------------------------------ */

static __u32 mtu_of(const struct nav_config *p, enum tunnel tunnel, __u32 id)
{
	switch (tunnel) {
	case TUNNEL_SIXTO4:
		return p->sixto4.link.mtu;
	case TUNNEL_SIXRD:
		return p->sixrd[id].link.mtu;
	case TUNNEL_SIXBED4:
		return p->sixbed4[id].mtu;
	case TUNNEL_HG48:
		return p->hg48.link.mtu;
	default:
		return PROTO41_MTU_MIN;
	}
}

__u32 transit_routes(const struct nav_config *p, const struct sixin4_table *in4, struct tun_route *ret)
{
	const struct prefix6 teredo = { .addr.s6_addr32 = { BE32(TEREDO_PREFIX) }, .len = 32 };
	__u32 n = 0;

	if (p->service.addr)
		ret[n++] = (struct tun_route){ .prefix = teredo, .mtu = p->mtu };
	for (__u32 i = 0; i < p->tunnels.n; i++)
		if (p->tunnels.of[i].tunnel != TUNNEL_TEREDO)
			ret[n++] = (struct tun_route){ .prefix = p->tunnels.of[i].prefix,
						       .mtu = mtu_of(p, p->tunnels.of[i].tunnel,
								     p->tunnels.of[i].id) };
	for (__u32 i = 0; in4 && i < in4->n_prefixes; i++)
		ret[n++] = (struct tun_route){ .prefix = in4->prefix[i].prefix,
					       .mtu = in4->prefix[i].tunnel->link.mtu };
	return n;
}

/* ---- what all mechanisms share ----------------------------------------------------------------- */

void transit_write(struct transit_out *out, enum reason reason, const void *pkt, __u32 len)
{
	out->reason = reason;
	out->act = TRANSIT_WRITE;
	out->pkt = pkt;
	out->len = len;
}

void transit_send(struct transit_out *out, enum reason reason, const void *pkt, __u32 len)
{
	transit_write(out, reason, pkt, len);
	out->act = TRANSIT_SEND;
}

/* Whoever forges errors in IPv4 uses up their share alone. */
static struct limiter *limiter_of(struct transit *t, enum reason reason, __u8 type)
{
	return reason == R_ICMP4_MATCHED ? t->told :
	       type == ICMP6_DST_UNREACH ? t->unreachable :
	       type == ICMP6_PACKET_TOO_BIG ? t->too_big : t->exceeded;
}

void transit_error(struct transit *t, struct transit_out *out, enum reason reason, __u8 type,
		   __u32 word, const struct passage *p, struct relay_time now)
{
	const __u8 code = type == ICMP6_DST_UNREACH ? 3 : 0; /* address unreachable */
	int n;

	out->reason = reason;
	if (addr6_kind(&t->host->source) == ADDR6_UNSPECIFIED || !limiter_take(limiter_of(t, reason, type), 0, now.ms))
		return;
	n = icmp6_error(t->answer, sizeof(t->answer), &t->host->source, type, code, BE32(word), p->ip6,
			p->len);
	if (n <= 0)
		return;
	transit_write(out, reason, t->answer, (__u32)n);
	out->error = true;
	out->unreachable = type == ICMP6_DST_UNREACH;
}

static enum reason merge_ecn(struct passage *p, __u8 tos)
{
	__u8 *class = (__u8 *)p->ip6 + 1;
	int ecn = policy_ecn(tos, *class >> 4);

	if (ecn < 0)
		return R_ECN_CONGESTED;
	*class = (__u8)((*class & ~0x30) | ecn << 4);
	return R_NONE;
}

enum reason transit_enter_local(struct transit *t, __u8 tos, struct passage *p)
{
	enum reason r = merge_ecn(p, tos);

	if (r == R_NONE)
		r = ip6_inside(p->rest, p->ip6, true);
	if (r != R_NONE)
		return r;
	return !t->policy->local_services && host_has6(t->host, &p->ip6->daddr) ? R_DST_LOCAL : R_NONE;
}

enum reason transit_enter(struct transit *t, enum tunnel from, __u32 id, __u8 tos, struct passage *p)
{
	const struct in6_addr *dst = &p->ip6->daddr;
	enum reason r = transit_enter_local(t, tos, p);

	if (r != R_NONE)
		return r;
	return tunnels_cross(&t->policy->tunnels, from, id, dst, sixin4_behind(t->in4, dst));
}

enum reason transit_may_advertise(struct transit *t, __be32 addr, struct relay_time now)
{
	if (!limiter_take(t->to_one, RAW32(addr), now.ms))
		return R_LIMIT_CLIENT;
	return limiter_take(t->to_all, 0, now.ms) ? R_NONE : R_LIMIT_PEERS;
}

/* ---- into a tunnel ----------------------------------------------------------------------------- */

static __u32 carrier_of(enum tunnel tunnel, __u32 id)
{
	switch (tunnel) {
	case TUNNEL_SIXBED4:
		return CARRIER_SIXBED4 + id;
	case TUNNEL_SIXTO4:
		return CARRIER_SIXTO4;
	case TUNNEL_SIXRD:
		return CARRIER_SIXRD + id;
	case TUNNEL_SIXIN4:
		return CARRIER_SIXIN4 + id;
	case TUNNEL_HG48:
		return CARRIER_HG48;
	default:
		return CARRIER_SERVER;
	}
}

/* The one that a native packet goes into. */
struct way {
	enum tunnel tunnel;
	__u32 id;
	const struct sixin4_tunnel *in4;
	__u32 mtu;
};

static enum reason ask_out(struct transit *t, const struct way *w, const struct passage *pkt,
			   struct transit_out *out)
{
	const struct nav_config *p = t->policy;
	const struct nav_own *own = &t->host->own;
	const struct in6_addr *src = transit_source(t, pkt), *dst = &pkt->ip6->daddr;

	switch (w->tunnel) {
	case TUNNEL_SIXTO4:
		out->link = &p->sixto4.link;
		return sixto4_out(p, &p->sixto4, own, src, dst, &out->to);
	case TUNNEL_SIXRD:
		out->link = &p->sixrd[w->id].link;
		return sixrd_out(p, &p->sixrd[w->id], own, src, dst, &out->to);
	case TUNNEL_SIXIN4:
		out->link = &w->in4->link;
		return sixin4_out(p, w->in4, own, src, dst, &out->to);
	case TUNNEL_SIXBED4:
		return sixbed4_ask_out(t, w->id, pkt, out);
	case TUNNEL_HG48:
		return t->hg48 ? hg48_ask_out(t, pkt, out) : R_NOT_OURS;
	default:
		return R_NOT_OURS;
	}
}

static struct way way_to(const struct transit *t, const struct in6_addr *dst)
{
	struct way w = { .in4 = sixin4_behind(t->in4, dst) };

	w.tunnel = tunnels_of(&t->policy->tunnels, dst, w.in4, &w.id);
	if (w.in4)
		w.mtu = w.in4->link.mtu;
	else if (w.tunnel != TUNNEL_NONE)
		w.mtu = mtu_of(t->policy, w.tunnel, w.id);
	return w;
}

/* The same, and whether it may come from there. */
static enum reason ask_to_leave(struct transit *t, const struct way *w, const struct passage *p,
				struct transit_out *out)
{
	const struct in6_addr *src = &p->ip6->saddr;
	const enum reason r = ask_out(t, w, p, out);

	return r == R_NONE ? tunnels_native(&t->policy->tunnels, w->tunnel, src, sixin4_behind(t->in4, src))
			   : r;
}

void transit_from_native(struct transit *t, const void *pkt, size_t len, struct relay_time now,
			 struct transit_out *out)
{
	const struct ipv6hdr *ip6 = pkt;
	struct passage p;
	struct way w;

	*out = (struct transit_out){ .reason = R_NOT_OURS };
	if (len < sizeof(*ip6) || ip6->version != 6)
		return;
	w = way_to(t, &ip6->daddr);
	if (w.tunnel == TUNNEL_NONE)
		return;
	out->carrier = carrier_of(w.tunnel, w.id);
	p = passage_of((void *)pkt);
	if (len < p.len) {
		out->reason = R_NATIVE_LENGTH;
		return;
	}
	out->reason = ask_to_leave(t, &w, &p, out);
	if (out->reason == R_SIXBED4_LOCAL)
		sixbed4_answer_native(t, &p, out);
	if (out->reason != R_NONE)
		return;
	if (p.len <= w.mtu && w.tunnel == TUNNEL_HG48)
		out->reason = hg48_spend(t, &p, out->to.dst, now);
	if (out->reason == R_UNCONFIRMED)
		transit_error(t, out, R_UNCONFIRMED, ICMP6_DST_UNREACH, 0, &p, now);
	if (out->reason != R_NONE)
		return;
	if (p.len > w.mtu) /* the route says so, and this host's own packets may not ask it */
		transit_error(t, out, R_TOO_BIG, ICMP6_PACKET_TOO_BIG, w.mtu, &p, now);
	else
		transit_send(out, R_ENCAP, pkt, p.len);
}

/* ---- out of a tunnel of protocol 41 ------------------------------------------------------------ */

/* The answer to a neighbour solicitation for our end of a tunnel of 6in4 (RFC 4213 3.8), or 0. */
static int advertise_neighbour(struct transit *t, const struct sixin4_tunnel *in4, const struct passage *p)
{
	struct {
		struct ipv6hdr ip6;
		__u8 icmp[8];
		struct in6_addr target;
	} na = {
		.ip6 = { .version = 6, .nexthdr = IPPROTO_ICMPV6, .hop_limit = ND_HOP_LIMIT },
		.icmp = { ND_NEIGHBOR_ADVERT, [4] = 0xc0 }, /* from a router, solicited */
		.target = sixin4_link_local(in4->local),
	};
	const __u8 *ns = p->rest.pos;
	struct nd_nonce none;

	if (p->ip6->hop_limit != ND_HOP_LIMIT || cur_left(&p->rest) < 24 || ns[1] ||
	    memcmp(ns + 8, &na.target, sizeof(na.target)) || !icmp6_sum_right(p->rest, p->ip6) ||
	    nd_options((struct cur){ ns + 24, p->rest.end }, &none) != R_NONE)
		return 0;
	na.ip6.saddr = na.target;
	na.ip6.daddr = p->ip6->saddr;
	return nd_finish(t->answer, nd_append(t->answer, 0, sizeof(t->answer), &na, sizeof(na)));
}

/* For this relay's own address inside a tunnel: it says that it lives. Else the packet ends here. */
static void answer_local(struct transit *t, const struct sixin4_tunnel *in4, const struct passage *p,
			 struct transit_out *out)
{
	int n = in4 && icmp6_type(p->rest, p->ip6) == ND_NEIGHBOR_SOLICIT ?
			advertise_neighbour(t, in4, p) :
			icmp6_echo_reply(t->answer, sizeof(t->answer), p->ip6, p->len);

	out->reason = R_TUNNEL_LOCAL;
	if (n > 0)
		transit_send(out, R_TUNNEL_LOCAL, t->answer, (__u32)n);
}

/* Between two sites of a 6rd domain; a hop as any other. */
static void turn(struct transit *t, const struct sixrd_domain *d, struct passage *p, struct relay_time now,
		 struct transit_out *out)
{
	out->reason = sixrd_turn(d, &t->host->own, &p->ip6->daddr, &out->to);
	if (out->reason != R_NONE)
		return;
	if (p->ip6->hop_limit <= 1) {
		transit_error(t, out, R_HOP_LIMIT_IN, ICMP6_TIME_EXCEEDED, 0, p, now);
	} else if (p->len > d->link.mtu) {
		transit_error(t, out, R_TOO_BIG, ICMP6_PACKET_TOO_BIG, d->link.mtu, p, now);
	} else {
		p->ip6->hop_limit--;
		transit_send(out, R_BOUNCED, p->ip6, p->len);
	}
}

/* What came over IPv4, and the tunnel that it came by. */
struct arrival {
	__be32 src, dst;
	__u8 tos;
	__u32 id; /* of the 6rd domain or the tunnel of 6in4, else 0 */
	const struct sixin4_tunnel *in4;
	struct demux by;
};

static enum reason ask_in(struct transit *t, struct arrival *a, const struct passage *p,
			  struct transit_out *out)
{
	const struct nav_config *cfg = t->policy;
	const struct nav_own *own = &t->host->own;
	const struct in6_addr *src = &p->ip6->saddr, *dst = &p->ip6->daddr;
	enum reason r;

	a->in4 = sixin4_between(t->in4, (struct sixin4_key){ a->dst, a->src });
	r = demux_proto41(a->in4, cfg->sixrd, cfg->n_sixrd, &cfg->sixto4, &cfg->sixin4, a->dst, src,
			  &a->by);
	if (r != R_NONE)
		return r;
	switch (a->by.tunnel) {
	case TUNNEL_SIXIN4:
		a->id = a->in4->id;
		out->link = &a->in4->link;
		return sixin4_in(cfg, a->in4, own, a->src, a->dst, src, dst);
	case TUNNEL_SIXRD:
		a->id = (__u32)(a->by.domain - cfg->sixrd);
		out->link = &a->by.domain->link;
		return sixrd_in(cfg, a->by.domain, own, a->src, a->dst, src, dst);
	default:
		out->link = &cfg->sixto4.link;
		return sixto4_in(cfg, &cfg->sixto4, own, a->src, a->dst, src, dst);
	}
}

void transit_from_proto41(struct transit *t, void *pkt, size_t len, struct relay_time now,
			  struct transit_out *out)
{
	const struct iphdr *ip = pkt;
	const size_t head = ip->ihl * 4U;
	struct arrival a = { .src = ip->saddr, .dst = ip->daddr, .tos = ip->tos };
	struct cur c = { (const __u8 *)pkt + head, (const __u8 *)pkt + len };
	const struct ipv6hdr *ip6;
	struct passage p;

	*out = (struct transit_out){ .reason = R_INNER_NOT_IP6 };
	if (len < head)
		return;
	out->reason = proto41_payload(&c, (__u32)(len - head), &ip6);
	if (out->reason != R_NONE)
		return;
	p = passage_of((__u8 *)pkt + head);
	out->reason = ask_in(t, &a, &p, out);
	if (out->reason == R_NONE)
		out->carrier = carrier_of(a.by.tunnel, a.id);
	if (out->reason == R_TUNNEL_LOCAL) {
		out->to = (struct outer4){ .src.addr = a.dst, .dst.addr = a.src };
		answer_local(t, a.in4, &p, out);
		return;
	}
	if (out->reason == R_NONE)
		out->reason = transit_enter(t, a.by.tunnel, a.id, a.tos, &p);
	if (out->reason != R_NONE)
		return;
	if (a.by.tunnel == TUNNEL_SIXRD && sixrd_has(a.by.domain, &p.ip6->daddr))
		turn(t, &t->policy->sixrd[a.id], &p, now, out);
	else
		transit_write(out, R_DECAP, p.ip6, p.len);
}

/* ---- ICMPv4 (RFC 4213 3.4) --------------------------------------------------------------------- */

/* Is it what we would send to this endpoint by this port? Of HG48, which has a table: and is it in there? */
static bool is_ours(struct transit *t, enum port port, struct endpoint4 to, const struct passage *p,
		    struct transit_out *out)
{
	const struct way w = way_to(t, &p->ip6->daddr);

	return p->ip6->version == 6 && ask_to_leave(t, &w, p, out) == R_NONE && out->port == port &&
	       endpoint4_equal(out->to.dst, to) &&
	       (port != PORT_HG48 || hg48_table_find(t->hg48, &t->policy->hg48, to));
}

void transit_icmp4(struct transit *t, enum port port, struct endpoint4 to, const void *quote, size_t len,
		   __u8 code, __u32 mtu, struct relay_time now, struct transit_out *out)
{
	const struct iphdr *ip = quote;
	const size_t head = port == PORT_PROTO41 ? sizeof(*ip) : 0;
	const __u8 *inner = (const __u8 *)quote + head, *rest = inner + sizeof(struct ipv6hdr);
	struct passage p, whole;
	struct ipv6hdr ip6;

	*out = (struct transit_out){ .reason = R_ICMP4_IGNORED };
	if (len < head + sizeof(ip6) || (head && ip->ihl != 5))
		return;
	memcpy(&ip6, inner, sizeof(ip6));
	if (HOST16(ip6.payload_len) > len - head - sizeof(ip6))
		ip6.payload_len = BE16(len - head - sizeof(ip6));
	/* behind it may be what a router adds (RFC 4884) */
	p = (struct passage){ (void *)inner, { rest, rest + HOST16(ip6.payload_len) },
			      (__u32)sizeof(ip6) + HOST16(ip6.payload_len) };
	whole = p; /* as if that were all */
	whole.ip6 = &ip6;
	if (!is_ours(t, port, head ? (struct endpoint4){ .addr = ip->daddr } : to, &whole, out) ||
	    (head && out->to.src.addr != ip->saddr))
		return;
	if (code != ICMP_FRAG_NEEDED)
		transit_error(t, out, R_ICMP4_MATCHED, ICMP6_DST_UNREACH, 0, &p, now);
	else if (out->link && out->link->df)
		transit_error(t, out, R_ICMP4_MATCHED, ICMP6_PACKET_TOO_BIG,
			      mtu < 1300 ? 1280 : mtu - 20, &p, now);
}

/* ---- UDP --------------------------------------------------------------------------------------- */

void transit_from_udp(struct transit *t, enum port port, void *pkt, size_t len, struct endpoint4 from,
		      __u8 tos, struct relay_time now, struct transit_out *out)
{
	struct datagram_in d = { pkt, (__u32)len, from, tos, now };

	*out = (struct transit_out){ .reason = R_NOT_OURS, .port = port, .to.dst = from };
	switch (port) {
	case PORT_SIXBED4 ... PORT_SIXBED4_LAST:
		out->carrier = CARRIER_SIXBED4 + (port - PORT_SIXBED4);
		sixbed4_came(t, (__u32)(port - PORT_SIXBED4), &d, out);
		break;
	case PORT_SERVER ... PORT_SERVER_2:
		out->carrier = CARRIER_SERVER;
		server_came(t, (__u32)(port - PORT_SERVER), &d, out);
		break;
	case PORT_HG48:
		out->carrier = CARRIER_HG48;
		if (t->hg48)
			hg48_came(t, &d, out);
		break;
	default:
		break;
	}
}

void transit_sweep(struct transit *t, __u32 parts, struct relay_time now)
{
	if (t->hg48)
		hg48_table_sweep(t->hg48, &t->policy->hg48, parts, hg48_time(now.units));
}

void transit_hg48_peers(const struct transit *t, struct relay_time now, __u32 *confirmed,
			__u32 *unconfirmed)
{
	*confirmed = *unconfirmed = 0;
	if (t->hg48)
		hg48_table_count(t->hg48, &t->policy->hg48, hg48_time(now.units), confirmed,
				 unconfirmed);
}
