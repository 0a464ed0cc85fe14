// SPDX-License-Identifier: GPL-2.0-or-later
/* Regions of routes against the longest matching prefix, looked for one by one. */
#include "unit.h"

#include "core/regions.h"

static __u64 state = 0x9e3779b97f4a7c15;

static __u64 rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static __u64 mask(__u8 len)
{
	return len ? ~0ULL << (64 - len) : 0;
}

static __u8 longest(const struct region_route *r, __u32 n, __u64 key)
{
	int len = -1;
	__u8 hop = 0;

	for (__u32 i = 0; i < n; i++) {
		if ((key & mask(r[i].len)) != r[i].key)
			continue;
		if (r[i].above)
			return 0;
		if (r[i].len < len)
			continue;
		hop = r[i].len == len && r[i].hop != hop ? 0 : r[i].hop;
		len = r[i].len;
	}
	return hop;
}

static __u32 hop_of(const struct regions *r, __u64 key)
{
	const __u32 region = region_of(r, key);

	assert_true(key - r->first[region] <= region_span(r, region));
	return region_hop(r, region);
}

static void hold(struct region_route *r, __u32 n)
{
	struct regions got;

	assert_int_equal(regions_of_routes(r, n, &got), 0);
	for (__u32 i = 1; i < got.n; i++) {
		assert_int_equal(got.first[i], got.first[i - 1] + region_span(&got, i - 1) + 1);
		assert_int_not_equal(got.hop[i], got.hop[i - 1]);
	}
	for (__u32 i = 0; i < n; i++) {
		const __u64 last = r[i].key | ~mask(r[i].len);
		const __u64 probe[] = { r[i].key, r[i].key - 1, last, last + 1, rnd(), r[i].key | (rnd() & ~mask(r[i].len)) };

		for (size_t k = 0; k < sizeof(probe) / sizeof(*probe); k++)
			assert_int_equal(hop_of(&got, probe[k]), longest(r, n, probe[k]));
	}
}

static void the_longest_prefix_decides(void **s)
{
	struct region_route r[60];

	(void)s;
	for (int round = 0; round < 2000; round++) {
		const __u32 n = (__u32)(rnd() % 60);

		for (__u32 i = 0; i < n; i++) {
			/* close together, so that they lie in each other and have each other's ends */
			r[i].len = (__u8)(rnd() % 5 ? rnd() % 8 : rnd() % 65);
			r[i].key = rnd() & mask(r[i].len);
			r[i].above = !(rnd() % 20);
			r[i].hop = r[i].above ? 0 : (__u8)(rnd() % 4);
		}
		hold(r, n);
	}
}

static void the_ends_of_the_key(void **s)
{
	struct region_route r[] = { { ~0ULL, 64, 3, false }, { 0, 0, 1, false }, { 0, 64, 2, false }, { 1ULL << 63, 1, 2, false } };

	(void)s;
	hold(r, 4);
}

static void no_routes_ask(void **s)
{
	struct regions got, none = { .n = 0 };

	(void)s;
	assert_int_equal(regions_of_routes(NULL, 0, &got), 0);
	assert_int_equal(hop_of(&got, rnd()), 0);
	assert_int_equal(hop_of(&none, rnd()), 0);
}

static void more_than_there_is_room_for(void **s)
{
	static struct region_route r[REGIONS];
	struct regions got;

	(void)s;
	for (__u32 i = 0; i < REGIONS; i++)
		r[i] = (struct region_route){ (__u64)(i + 1) << 40, 30, (__u8)(1 + i % 2), false };
	assert_int_equal(regions_of_routes(r, REGIONS / 2 - 1, &got), 0);
	assert_int_equal(regions_of_routes(r, REGIONS, &got), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_prefix_decides),
		cmocka_unit_test(the_ends_of_the_key),
		cmocka_unit_test(no_routes_ask),
		cmocka_unit_test(more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
