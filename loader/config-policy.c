// SPDX-License-Identifier: GPL-2.0-or-later
/* navalis.conf as the policy of the data path. */
#include <stdlib.h>

#include "config-impl.h"
#include "navalis/conflict.h"

static int by_first(const void *a, const void *b)
{
	const struct addr4_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

int addr4_set_build(const struct prefix4 *prefix, __u32 n, struct addr4_set *set)
{
	struct addr4_range *r = calloc(n + 1, sizeof(*r));
	int err = 0;

	if (!r)
		return -ENOMEM;
	for (__u32 i = 0; i < n; i++) {
		r[i].first = HOST32(prefix[i].addr);
		r[i].last = r[i].first | (prefix[i].len ? (__u32)((1ULL << (32 - prefix[i].len)) - 1) : ~0U);
	}
	qsort(r, n, sizeof(*r), by_first);
	set->n = 0;
	for (__u32 i = 0; i < n; i++) {
		struct addr4_range *top = set->n ? &set->range[set->n - 1] : NULL;

		if (top && (__u64)r[i].first <= (__u64)top->last + 1) {
			if (r[i].last > top->last)
				top->last = r[i].last;
		} else if (set->n == ADDR4_SET_MAX) {
			err = -ENOSPC;
		} else {
			set->range[set->n++] = r[i];
		}
	}
	free(r);
	return err;
}

static int fill_refused(const struct config *c, struct addr4_set *set)
{
	static const struct prefix4 builtin[] = {
#define REFUSED4(a, b, x, d, len, text) { BE32((__u32)a << 24 | b << 16 | x << 8 | d), len },
#include "navalis/refused4.def"
#undef REFUSED4
	};
	__u32 n_builtin = c->laboratory ? 0 : N(builtin), n = n_builtin + c->n_refuse;
	struct prefix4 *all = calloc(n + 1, sizeof(*all));
	int err;

	_Static_assert(N(builtin) + CONFIG_REFUSE <= ADDR4_SET_MAX, "room for all");

	if (!all)
		return -ENOMEM;
	memcpy(all, builtin, n_builtin * sizeof(*all));
	memcpy(all + n_builtin, c->refuse, c->n_refuse * sizeof(*all));
	err = addr4_set_build(all, n, set);
	free(all);
	return err;
}

static void fill_tunnels(const struct config *c, struct nav_config *p)
{
	static const struct prefix6 teredo = { .addr.s6_addr = { 0x20, 0x01 }, .len = 32 };
	const struct tunnels t = { .sixto4 = &p->sixto4, .sixrd = p->sixrd, .n_sixrd = p->n_sixrd,
				   .hg48 = &p->hg48 };

	_Static_assert(TUNNEL_PREFIXES >= 1 + SIXBED4_LISTENERS + 1 + SIXRD_DOMAINS + 1, "room for all");

	for (__u32 i = 0; i < c->n_cross; i++)
		p->tunnels.cross |= TUNNEL_CROSS(c->cross[i].from, c->cross[i].to);
	if (c->service.addr)
		tunnels_add_prefix(&p->tunnels, TUNNEL_TEREDO, 0, &teredo);
	for (__u32 i = 0; i < c->n_sixbed4; i++) {
		struct prefix6 prefix = { .len = 64 };

		memcpy(&prefix.addr, &c->sixbed4[i].prefix, 8);
		tunnels_add_prefix(&p->tunnels, TUNNEL_SIXBED4, i, &prefix);
	}
	tunnels_add_prefixes(&p->tunnels, &t);
}

int config_fill(const struct config *c, struct nav_config *p)
{
	p->service = c->service;
	p->bubble_prefix = c->bubble_source;
	p->mtu = TEREDO_MTU;
	p->admission_rfc = (__u8)c->admission_rfc;
	p->checksum_zero = (__u8)c->checksum_zero;
	p->local_services = (__u8)c->local_services;
	p->n_served = c->n_serve;
	memcpy(p->served, c->serve, sizeof(p->served));
	if (c->line[CONFIG_server])
		p->server = c->server;
	memcpy(p->sixbed4, c->sixbed4, sizeof(p->sixbed4));
	if (c->line[CONFIG_sixto4])
		p->sixto4 = c->sixto4;
	p->n_sixrd = c->n_sixrd;
	memcpy(p->sixrd, c->sixrd, sizeof(p->sixrd));
	for (__u32 i = 0; i < c->n_sixin4; i++)
		if (!config_is_local(&p->sixin4, c->sixin4[i].local) && p->sixin4.n_locals < SIXIN4_LOCALS)
			p->sixin4.local[p->sixin4.n_locals++] = c->sixin4[i].local;
	if (c->line[CONFIG_hg48])
		p->hg48 = c->hg48;
	fill_tunnels(c, p);
	return fill_refused(c, &p->refused);
}

/* Of so many things a second, in a unit of time; rounded up, since 0 would mean no limit. */
static __u32 rate_per_unit(__u32 per_second, __u64 unit_ns)
{
	return (__u32)((__u64)per_second * METER_SCALE * unit_ns / 1000000000) + 1;
}

int config_policy(const struct config *c, const struct nav_clock *clock, struct nav_config *p)
{
	const struct meter_rate slow_path = { .per_unit = rate_per_unit(c->slow_path_rate, clock->tick_ns),
					      .burst = c->slow_path_rate / 10 + 64 };
	int err = config_fill(c, p);

	for (int i = METER_NONE + 1; i < METER_MAX; i++) /* their unit is a tick */
		p->meter[i] = slow_path;
	p->life = nav_units_of_ms(clock, TEREDO_LIFE_MS);
	p->reproof = nav_units_of_ms(clock, TEREDO_REPROOF_MS);
	p->nexthop_life = nav_units_of_ms(clock, 1000);
	p->clock_shift = clock->shift;
	if (c->line[CONFIG_hg48]) {
		p->hg48.life = nav_units_of_ms(clock, c->hg48_life * 1000);
		p->hg48.window = nav_units_of_ms(clock, c->hg48_window * 1000);
		if (c->hg48_fresh)
			p->hg48.fresh = (struct meter_rate){
				.per_unit = rate_per_unit(c->hg48_fresh, clock->tick_ns << clock->shift),
				.burst = c->hg48_fresh,
			};
	}
	return err;
}
