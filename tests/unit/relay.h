/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's protocol without a network: time is an argument, and so is everything else. */
#ifndef NAVALIS_UNIT_RELAY_H
#define NAVALIS_UNIT_RELAY_H

#include "unit.h"
#include "core/relay.h"
#include "navalis/icmp6.h"

#define SERVER "8.0.1.1"
#define CLIENT "8.0.9.9"
#define PORT 40000

static const struct table_seed seed = { { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9 } };

struct fixture {
	struct nav_config policy;
	struct host host;
	struct prefix6 local6[2];
	struct table table;
	struct bucket memory[64];
	struct cookie_keys keys;
	struct relay *relay;
	struct relay_time now;
	struct relay_out out;
	struct in6_addr remapped_client;
	struct remapped remapped;
	bool has_remapped;
	__u8 pkt[2048] __attribute__((aligned(8)));
};

static inline bool remap_find(void *data, const struct in6_addr *client, struct remapped *ret)
{
	struct fixture *f = data;

	*ret = f->remapped;
	return f->has_remapped && in6_equal(client, &f->remapped_client);
}

static inline int remap_set(void *data, const struct in6_addr *client, const struct remapped *r)
{
	struct fixture *f = data;

	f->remapped_client = *client;
	f->remapped = *r;
	f->has_remapped = true;
	return 0;
}

static inline void remap_remove(void *data, const struct in6_addr *client)
{
	struct fixture *f = data;

	assert_memory_equal(client, &f->remapped_client, 16);
	f->has_remapped = false;
}

static inline bool remap_next(void *data, const struct in6_addr *after, struct in6_addr *client, struct remapped *ret)
{
	struct fixture *f = data;

	*client = f->remapped_client;
	*ret = f->remapped;
	return !after && f->has_remapped;
}

static inline struct relay_settings defaults(void)
{
	return (struct relay_settings){ .pending = 64, .queue_bytes = 8 * PEER_PACKET, .unreachables_per_second = 100 };
}

static inline struct fixture *make(struct relay_settings limits, __u32 max)
{
	struct fixture *f = aligned_alloc(64, (sizeof(*f) + 63) / 64 * 64);
	struct remap_ops ops = { remap_find, remap_set, remap_remove, remap_next, f };

	assert_non_null(f);
	memset(f, 0, sizeof(*f));
	f->policy = (struct nav_config){ .service = ep("8.0.2.1", 3545), .mtu = 1280, .life = 117, .reproof = 78 };
	f->policy.bubble_prefix = load64(in6("fe80::").s6_addr);
	f->policy.refused = (struct addr4_set){ .n = 1, .range = { { 0x0a000000, 0x0affffff } } };
	f->local6[0] = (struct prefix6){ in6("2a00:1::1"), 128 };
	f->local6[1] = (struct prefix6){ in6("2a00:77::"), 32 };
	f->host = (struct host){ .local6 = f->local6, .n_local6 = 2 };
	f->host.own.v4.n = 1;
	f->host.own.v4.range[0] = (struct addr4_range){ HOST32(in4("8.0.2.1")), HOST32(in4("8.0.2.1")) };
	f->keys.key[0].k[0] = 7;
	f->now = (struct relay_time){ 1000000, 100000 };
	assert_int_equal(table_init(&f->table, f->memory, 64, &seed, max, f->now.ms), 0);
	assert_int_equal(relay_new(&f->policy, &f->host, &f->table, &f->keys, &ops, &limits, 1, f->now, &f->relay), 0);
	return f;
}

static inline int setup(void **st)
{
	*st = make(defaults(), 100);
	return 0;
}

static inline int teardown(void **st)
{
	struct fixture *f = *st;

	relay_free(f->relay);
	table_release(&f->table);
	free(f);
	return 0;
}

static inline void pass_ms(struct fixture *f, __u64 ms)
{
	f->now.ms += ms;
	f->now.units = f->now.ms / 256 + 96094; /* as 250 ticks a second make them */
}

static inline struct in6_addr client_of(const char *addr, __u16 port)
{
	return teredo_addr(in4(SERVER), BE16(0x24c7), ep(addr, port));
}

static inline struct in6_addr client(void)
{
	return client_of(CLIENT, PORT);
}

static inline size_t packet(struct fixture *f, struct in6_addr src, struct in6_addr dst, __u8 next, size_t payload)
{
	struct ipv6hdr *h = (void *)f->pkt;

	memset(f->pkt, 0x5a, sizeof(f->pkt));
	*h = (struct ipv6hdr){ .version = 6, .payload_len = BE16(payload), .nexthdr = next, .hop_limit = 60 };
	h->saddr = src;
	h->daddr = dst;
	return 40 + payload;
}

static inline enum reason native_to(struct fixture *f, struct in6_addr dst)
{
	relay_from_native(f->relay, f->pkt, packet(f, in6("2a00:f::7"), dst, 17, 20), f->now, &f->out);
	return f->out.reason;
}

static inline enum reason udp_from(struct fixture *f, struct in6_addr src, const char *dst, struct endpoint4 at)
{
	relay_from_udp(f->relay, f->pkt, packet(f, src, in6(dst), 17, 20), at, 0, f->now, &f->out);
	return f->out.reason;
}

static inline enum reason answer(struct fixture *f, struct in6_addr src, struct endpoint4 at, const char *trailer)
{
	struct in6_addr dst = in6("fe80::");
	__u64 cookie = teredo_cookie(&f->keys, &src, cookie_slot(f->now.units));
	size_t len;

	memcpy(dst.s6_addr + 8, &cookie, 8);
	len = packet(f, src, dst, IP6_NEXT_NONE, 0);
	len += unhex(trailer, f->pkt + len);
	relay_from_udp(f->relay, f->pkt, len, at, 0, f->now, &f->out);
	return f->out.reason;
}

/* A whole walk, a step at a time. Returns how many proven clients it has met. */
static inline __u32 walk(struct fixture *f, struct relay_walk w)
{
	while (relay_walk(f->relay, &w, 1))
		;
	return w.n;
}

static inline __u32 flush(struct fixture *f, bool (*match)(void *, const struct in6_addr *, struct endpoint4), void *data,
			  bool dry_run)
{
	return walk(f, (struct relay_walk){ .match = match, .data = data, .dry_run = dry_run });
}

/* A round of housekeeping: how many bubbles it sends, and whether it forgets somebody, and why. */
static inline int housekeeping(struct fixture *f, enum reason *forgotten)
{
	int bubbles = 0;

	*forgotten = R_NONE;
	relay_sweep(f->relay, 1);
	while (relay_next(f->relay, f->now, &f->out)) {
		bubbles += !!(f->out.act & RELAY_BUBBLE);
		if (f->out.reason == R_EXPIRED || f->out.reason == R_UNPROVED)
			*forgotten = f->out.reason;
	}
	return bubbles;
}

static inline bool is_client(void *data, const struct in6_addr *a, struct endpoint4 at)
{
	(void)at;
	return in6_equal(a, data);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
