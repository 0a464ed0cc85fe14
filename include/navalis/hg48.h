/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HG48, the home-grown scheme, as a gateway: native IPv6 nodes reach IPv4 endpoints with a public or
 * forwarded port, with no server in between. It has no other specification than this:
 *
 * Addresses:  prefix 80, fd… and its last 16 bits 0, the same at all nodes | ~IPv4 32 | ~port 16
 * On the wire a UDP datagram holds one IPv6 packet of at most 1280 bytes, or nothing, which keeps a
 * NAT open. The gateway sends from one address and port to those that the destination names. An
 * endpoint answers from there to where it was sent from, with its own address as the source.
 *
 * There are no bubbles, so nothing but packets from an endpoint proves that it wants any. Until
 * then it is given few (hg48_may_send). The caller keeps one struct hg48_peer for each endpoint,
 * and its time in a unit of its own, never 0: that is «never».
 */
#ifndef NAVALIS_HG48_H
#define NAVALIS_HG48_H

#include "proto41.h"
#include "table.h"

#define HG48_MTU 1280

PURE bool hg48_has(const volatile struct hg48_config *hg, const struct in6_addr *a)
{
	return !((RAW32(a->s6_addr32[0]) ^ RAW32(hg->prefix.s6_addr32[0])) |
		 (RAW32(a->s6_addr32[1]) ^ RAW32(hg->prefix.s6_addr32[1])) |
		 (__u32)(RAW16(a->s6_addr16[4]) ^ RAW16(hg->prefix.s6_addr16[4])));
}

PURE struct endpoint4 hg48_endpoint(const struct in6_addr *a)
{
	/* little-endian memory order */
	return (struct endpoint4){
		.addr = WIRE32(~(RAW32(a->s6_addr32[2]) >> 16 | RAW32(a->s6_addr32[3]) << 16)),
		.port = WIRE16(~RAW16(a->s6_addr16[7])),
	};
}

PURE struct in6_addr hg48_addr(const volatile struct hg48_config *hg, struct endpoint4 e)
{
	return (struct in6_addr){ .s6_addr32 = {
		hg->prefix.s6_addr32[0],
		hg->prefix.s6_addr32[1],
		WIRE32(RAW16(hg->prefix.s6_addr16[4]) | ~RAW32(e.addr) << 16),
		WIRE32(~RAW32(e.addr) >> 16 | (__u32)(__u16)~RAW16(e.port) << 16),
	} };
}

/* Exactly one IPv6 packet, no indications; an empty datagram is a keepalive. */
PURE enum reason hg48_payload(struct cur *c, __u32 payload_len, const struct ipv6hdr **ip6)
{
	return payload_len ? proto41_payload(c, payload_len, ip6) : R_KEEPALIVE;
}

/* Not those of DNS, NTP, SNMP and their like by default; never that of Teredo servers. */
PURE bool hg48_port_good(const volatile struct hg48_config *hg, __be16 port)
{
	return port && HOST16(port) >= hg->min_port && port != BE16(TEREDO_SERVER_PORT);
}

/* Whether it may be sent now is hg48_may_send's question. */
PURE enum reason hg48_out(const volatile struct nav_config *cfg,
			  const volatile struct hg48_config *hg, const struct nav_own *own,
			  const struct in6_addr *src, const struct in6_addr *dst, struct outer4 *to)
{
	struct endpoint4 e = hg48_endpoint(dst);
	enum reason r;

	if (!hg->service.addr || !hg48_has(hg, dst))
		return R_NOT_OURS;
	if (hg48_has(hg, src))
		return R_SRC_TUNNEL;
	r = proto41_native_src(cfg, own, src);
	if (r != R_NONE)
		return r;
	if (e.addr == hg->service.addr || own_has4(own, e.addr))
		return R_CLIENT_OURS;
	if (addr4_set_has(&cfg->refused, e.addr))
		return R_CLIENT_REFUSED;
	if (!hg48_port_good(hg, e.port))
		return R_ENDPOINT_PORT;
	to->src = (struct endpoint4){ .addr = hg->service.addr, .port = hg->service.port };
	to->dst = e;
	return R_NONE;
}

/* Whether anybody waits for it is hg48_may_enter's question. */
PURE enum reason hg48_in(const volatile struct nav_config *cfg,
			 const volatile struct hg48_config *hg, const struct nav_own *own,
			 struct endpoint4 outer_src, struct endpoint4 outer_dst,
			 const struct in6_addr *src, const struct in6_addr *dst)
{
	if (!hg->service.addr || outer_dst.addr != hg->service.addr ||
	    outer_dst.port != hg->service.port)
		return R_NOT_OURS;
	if (outer_src.addr == hg->service.addr || own_has4(own, outer_src.addr))
		return R_OUTER_OURS;
	if (addr4_set_has(&cfg->refused, outer_src.addr))
		return R_OUTER_REFUSED;
	if (!hg48_has(hg, src))
		return proto41_strange_src(own, src);
	if (!endpoint4_equal(hg48_endpoint(src), outer_src))
		return R_SRC_MISMATCH;
	if (!hg48_port_good(hg, outer_src.port))
		return R_ENDPOINT_PORT;
	if (hg48_has(hg, dst))
		return R_DST_TUNNEL;
	return proto41_native_dst(cfg, own, dst);
}

/* What is known of an endpoint. Zeroed is new. */
struct hg48_peer {
	__u64 sent;    /* when something was last sent to it */
	__u64 heard;   /* when a valid packet last came from it */
	__u64 window;  /* when the count of packets began */
	__u32 packets; /* sent to it since then, unconfirmed */
	__u32 pad;
};

/* Coarse units begin anywhere. */
PURE __u64 hg48_time(__u64 units)
{
	return units + 1;
}

/* Another CPU's clock may be a little ahead. */
PURE bool hg48_within(__u64 since, __u32 span, __u64 now)
{
	return since && (now <= since || now - since <= span);
}

PURE bool hg48_confirmed(const volatile struct hg48_config *hg, const struct hg48_peer *p,
			 __u64 now)
{
	return hg48_within(p->heard, hg->life, now);
}

/*
 * False when it can be forgotten. One that has not answered is known for a window after what was sent
 * to it, and not for a life: anybody can have something sent.
 */
PURE bool hg48_live(const volatile struct hg48_config *hg, const struct hg48_peer *p, __u64 now)
{
	return hg48_confirmed(hg, p, now) || hg48_within(p->sent, hg->window, now);
}

/*
 * May there be one more than n peers, for a native source whose /64 has this meter? Those that were
 * never heard of hold half of all at most.
 */
PURE enum reason hg48_admit(const volatile struct hg48_config *hg, struct meter *source, __u32 n,
			    __u32 unheard, __u64 now)
{
	if (n >= hg->max_peers || unheard >= hg->max_peers - hg->max_peers / 2)
		return R_TABLE_FULL;
	return meter_take(source, &hg->fresh, now) ? R_NONE : R_LIMIT_SOURCE;
}

/* May a packet go to the endpoint now? Counts it if so; else its sender hears «unreachable». */
PURE enum reason hg48_may_send(const volatile struct hg48_config *hg, struct hg48_peer *p,
			       __u64 now)
{
	if (!hg48_confirmed(hg, p, now)) {
		if (!p->window || (now > p->window && now - p->window >= hg->window)) {
			p->window = now;
			p->packets = 0;
		}
		if (p->packets >= hg->window_packets)
			return R_UNCONFIRMED;
		p->packets++;
	}
	p->sent = now;
	return R_NONE;
}

/* May a packet that hg48_in accepts enter? p: NULL when the endpoint is not known. */
PURE enum reason hg48_may_enter(const volatile struct hg48_config *hg, const struct hg48_peer *p,
				__u64 now)
{
	return (p && hg48_live(hg, p, now)) || hg->unsolicited ? R_NONE : R_UNSOLICITED;
}

/* One has entered: the endpoint is confirmed. */
PURE void hg48_heard(struct hg48_peer *p, __u64 now)
{
	p->heard = now;
	p->packets = 0;
	p->window = 0;
}

/*
 * The endpoints that are known: the value of an mmapable BPF array, which the daemon and XDP share. One
 * is in one of a few slots in a row. Who writes what, and in which order:
 *
 *   key              the daemon alone. To insert: 0, a fence, all else 0, then the key (release). To
 *                    remove: 0.
 *   sent, heard      the daemon, and XDP, by compare-and-swap over what it has read, of an endpoint
 *                    that is confirmed. A slot is given to another only when that one's time is over,
 *                    and then its times are others: nobody is confirmed by what another has sent.
 *   window, packets  the daemon alone
 *
 * To read: the key, the times, the key again. If it is another by then, whoever was asked for is not
 * known. tests/bpf/stress_hg48.c holds it. BPF has no fence for loads: where the CPU reorders them
 * (arm64), a packet of the moment in which the slot changes hands may be judged by the other's times.
 */
struct hg48_entry {
	__u64 key; /* of its endpoint; 0: free */
	struct hg48_peer peer;
};

_Static_assert(sizeof(struct hg48_entry) == 40, "ABI");

#define HG48_PLACES 16 /* that one may be in */
#define HG48_SLOTS(max_peers) (2 * (max_peers) + HG48_PLACES)

PURE __u64 hg48_key(struct endpoint4 at)
{
	return 1ULL << 48 | (__u64)RAW16(at.port) << 32 | RAW32(at.addr);
}

/* The first of an endpoint's places. */
PURE __u32 hg48_place(const volatile struct hg48_config *hg, const volatile struct table_seed *seed,
		      struct endpoint4 at)
{
	return (__u32)((table_hash(seed, hg48_key(at), 0) >> 32) * 2 * hg->max_peers >> 32);
}

#endif
