// SPDX-License-Identifier: GPL-2.0-or-later
/* 6to4, 6rd, 6in4 and HG48: the vectors V41 to V46, and each line of the check tables that they obey. */
#include "unit.h"
#include "navalis/conflict.h"
#include "navalis/demux.h"

#define SIZE(v) (sizeof(v) / sizeof((v)[0]))

/* A host with 192.31.196.7, .8 and .9, and the lists of addresses that are never sent to. */
static struct nav_config cfg;
static struct nav_own own;

static void range(struct addr4_set *s, const char *first, const char *last)
{
	s->range[s->n++] = (struct addr4_range){ HOST32(in4(first)), HOST32(in4(last)) };
}

static int setup(void **st)
{
	static const struct {
		__u32 net, len;
	} blocks[] = {
#define REFUSED4(a, b, c, d, len, what) { (__u32)(a) << 24 | (b) << 16 | (c) << 8 | (d), len },
#include "navalis/refused4.def"
#undef REFUSED4
	};

	(void)st;
	for (size_t i = 0; i < SIZE(blocks); i++)
		cfg.refused.range[cfg.refused.n++] =
			(struct addr4_range){ blocks[i].net, blocks[i].net | ~0U >> blocks[i].len };
	range(&own.v4, "192.31.196.7", "192.31.196.9");
	range(&own.v4, "192.31.196.255", "192.31.196.255"); /* broadcast of its network */
	return 0;
}

static struct prefix6 pfx(const char *text)
{
	struct prefix6 p;
	char addr[64];
	unsigned int len;

	assert_int_equal(sscanf(text, "%63[^/]/%u", addr, &len), 2);
	p.addr = in6(addr);
	p.len = len;
	return p;
}

static void expect_outer(const struct outer4 *to, const char *src, const char *dst)
{
	assert_int_equal(to->src.addr, in4(src));
	assert_int_equal(to->dst.addr, in4(dst));
}

/* ---- what they share */

/* V45: a 6rd loopback probe. */
#define PROBE                                                                                      \
	"6000000000003b4020010db864640100000000000000000120010db8646401000000000000000001"

static enum reason payload(const __u8 *p, size_t n, __u32 len)
{
	const struct ipv6hdr *ip6 = NULL;
	struct cur c = { p, p + n };
	enum reason r = proto41_payload(&c, len, &ip6);

	assert_true((r == R_NONE) == (ip6 != NULL));
	if (ip6) {
		assert_ptr_equal(ip6, p);
		assert_ptr_equal(c.pos, p + 40);
		assert_true(40U + HOST16(ip6->payload_len) <= len);
	}
	return r;
}

static void rfc4213_3_6_length_is_the_inner_one(void **st)
{
	__u8 p[64] __attribute__((aligned(8))) = { 0 };

	(void)st;
	unhex(PROBE, p);
	assert_int_equal(payload(p, 40, 40), R_NONE);
	assert_int_equal(payload(p, 64, 64), R_NONE); /* padding behind it */
	for (__u32 n = 0; n < 40; n++) {
		expect_reason(payload(p, n, n), R_INNER_NOT_IP6);
		expect_reason(payload(p, n, 40), R_INNER_NOT_IP6);
		expect_reason(payload(p, 40, n), R_INNER_NOT_IP6);
	}
	p[5] = 20;
	assert_int_equal(payload(p, 60, 60), R_NONE);
	expect_reason(payload(p, 60, 59), R_INNER_LENGTH);
	for (int bit = 0; bit < 8 * 40; bit++) { /* only the version and the length are looked at */
		p[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		if (bit < 4)
			expect_reason(payload(p, 64, 64), R_INNER_NOT_IP6);
		else if (bit >= 32 && bit < 48 && 40 + (p[4] << 8 | p[5]) > 64)
			expect_reason(payload(p, 64, 64), R_INNER_LENGTH);
		else
			assert_int_equal(payload(p, 64, 64), R_NONE);
		p[bit / 8] ^= (__u8)(0x80 >> bit % 8);
	}
}

/* A whole IPv4 packet of protocol 41: is its header what proto41_header() makes? */
static void check_header(const char *hex, const struct tunnel_link *link)
{
	__u8 p[128] __attribute__((aligned(8))), got[20] __attribute__((aligned(8)));
	size_t n = unhex(hex, p);
	const struct iphdr *ip = (const struct iphdr *)p;
	struct outer4 to = { .src.addr = ip->saddr, .dst.addr = ip->daddr };

	proto41_header((struct iphdr *)got, link, &to, (struct ipv6hdr *)(p + 20), (__u32)n - 20,
		       ip->id);
	assert_memory_equal(got, p, 20);
	assert_int_equal(csum_fold(csum_ip4(got)), 0xffff);
}

static void headers_are_those_of_v44_and_v45(void **st)
{
	static const struct tunnel_link plain = { .mtu = 1280 };
	static const struct tunnel_link rd = { .mtu = 1480, .df = 1, .copy_class = 1 };
	struct ipv6hdr ip6 = { .version = 6, .priority = 0xb, .flow_lbl = { 0x9f } };
	struct outer4 to = { .src.addr = in4("10.0.0.1"), .dst.addr = in4("10.100.100.1") };
	struct iphdr ip;

	(void)st;
	check_header("45000044000000004029ee6fc01fc40709fefdfc6000000000083a3f20010db8000100000000000000000007"
		     "200209fefdfc00010000000000000001810028fb00010001", &plain);
	check_header("4500003c00000000402902340a6464010a000001" PROBE, &plain);
	proto41_header(&ip, &rd, &to, &ip6, 1480, BE16(0x1234)); /* RFC 5969 9, 9.1 */
	assert_int_equal(ip.tos, 0xb9);
	assert_int_equal(ip.frag_off, BE16(0x4000));
	assert_int_equal(ip.tot_len, BE16(1500));
	assert_int_equal(ip.id, BE16(0x1234));
	assert_int_equal(csum_fold(csum_ip4(&ip)), 0xffff);
	proto41_header(&ip, &plain, &to, &ip6, 1280, 0);
	assert_int_equal(ip.tos, 0);
	assert_int_equal(ip.frag_off, 0);
}

/* Sources of RFC 4213 3.6 and RFC 3964 5.3.2 that come out of no tunnel and go into none. */
static const struct {
	const char *addr;
	enum reason src, dst;
} insane[] = {
	{ "::", R_SRC_UNSPECIFIED, R_DST_UNSPECIFIED },
	{ "::1", R_SRC_UNSPECIFIED, R_DST_UNSPECIFIED },
	{ "::8.8.8.8", R_SRC_UNSPECIFIED, R_DST_UNSPECIFIED },
	{ "::ffff:8.8.8.8", R_SRC_UNSPECIFIED, R_DST_UNSPECIFIED },
	{ "0:1:2:3:4:5:6:7", R_SRC_UNSPECIFIED, R_DST_UNSPECIFIED },
	{ "fe80::1", R_SRC_LINK_LOCAL, R_DST_LINK_LOCAL },
	{ "febf::1", R_SRC_LINK_LOCAL, R_DST_LINK_LOCAL },
	{ "fec0::1", R_SRC_SITE, R_DST_SITE },
	{ "feff::1", R_SRC_SITE, R_DST_SITE },
	{ "fd00::1", R_SRC_SITE, R_DST_SITE },
	{ "ff02::1", R_SRC_MULTICAST, R_DST_MULTICAST },
	{ "ff0e::1", R_SRC_MULTICAST, R_DST_MULTICAST },
	{ "2002:c01f:c407::1", R_SRC_OWN_TUNNEL, R_DST_OWN_TUNNEL },
	{ "2001:db8::5efe:c01f:c408", R_SRC_OWN_TUNNEL, R_DST_OWN_TUNNEL },
	{ "2001:db8::200:5efe:c01f:c409", R_SRC_OWN_TUNNEL, R_DST_OWN_TUNNEL },
};

static void native_sides_may_be_teredo_and_have_to_be_served(void **st)
{
	struct in6_addr teredo = in6("2001:0:4136:e378:24c7:63bf:f601:203"), a = in6("2a00::1");

	(void)st;
	assert_int_equal(proto41_native_src(&cfg, &own, &teredo), R_NONE);
	assert_int_equal(proto41_native_dst(&cfg, &own, &teredo), R_NONE);
	assert_int_equal(proto41_native_src(&cfg, &own, &a), R_NONE);
	cfg.served[cfg.n_served++] = pfx("2001:db8::/32");
	expect_reason(proto41_native_src(&cfg, &own, &teredo), R_SRC_NOT_SERVED);
	expect_reason(proto41_native_dst(&cfg, &own, &teredo), R_DST_NOT_SERVED);
	expect_reason(proto41_native_src(&cfg, &own, &a), R_SRC_NOT_SERVED);
	expect_reason(proto41_native_dst(&cfg, &own, &a), R_DST_NOT_SERVED);
	cfg.n_served = 0;
}

/* ---- 6to4 */

#define HOST4 "9.254.253.252"
#define HOST6 "2002:9fe:fdfc:1::1"
#define NATIVE "2001:db8:1::7"

static struct sixto4_config relay_config(void)
{
	return (struct sixto4_config){
		.local = in4("192.31.196.7"),
		.source = in4("192.31.196.7"),
		.link = { .mtu = 1280 },
	};
}

static void rfc3056_2_addresses_are_v41(void **st)
{
	static const struct {
		const char *v4, *site;
	} v[] = {
		{ "192.1.2.3", "2002:c001:203::" },
		{ HOST4, "2002:9fe:fdfc::" },
		{ "192.88.99.1", "2002:c058:6301::" },
	};

	(void)st;
	for (size_t i = 0; i < SIZE(v); i++) {
		struct in6_addr want = in6(v[i].site), got = sixto4_addr(in4(v[i].v4));

		assert_memory_equal(&got, &want, 16);
		assert_true(sixto4_is(&got));
		assert_int_equal(addr6_sixto4_v4(&got), in4(v[i].v4));
	}
	assert_false(sixto4_is(&(struct in6_addr){ .s6_addr = { 0x20, 0x03 } }));
}

static enum reason to4_out(const struct sixto4_config *c, const char *src, const char *dst,
			   struct outer4 *to)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixto4_out(&cfg, c, &own, &s, &d, to);
}

static enum reason to4_in(const struct sixto4_config *c, const char *outer_src,
			  const char *outer_dst, const char *src, const char *dst)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixto4_in(&cfg, c, &own, in4(outer_src), in4(outer_dst), &s, &d);
}

/* IPv4 addresses of RFC 3964 5.3.1 and RFC 6890: the edges of each block, and their neighbours. */
static const char *const refused4[] = {
	"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
	"127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.255.255", "172.16.0.0",
	"172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
	"198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.0",
	"239.255.255.255", "240.0.0.0", "255.255.255.255",
};
static const char *const good4[] = {
	"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
	"128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
	"192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
	"198.20.0.0", "223.255.255.255",
};

static const char *text6(struct in6_addr a)
{
	static char buf[4][INET6_ADDRSTRLEN];
	static int i;

	i = (i + 1) % 4;
	return inet_ntop(AF_INET6, &a, buf[i], sizeof(buf[i]));
}

static void rfc3964_5_1_encapsulating(void **st)
{
	struct sixto4_config c = relay_config();
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(to4_out(&c, NATIVE, HOST6, &to), R_NONE); /* V44 */
	expect_outer(&to, "192.31.196.7", HOST4);
	c.source = in4("192.88.99.1");
	assert_int_equal(to4_out(&c, NATIVE, HOST6, &to), R_NONE);
	expect_outer(&to, "192.88.99.1", HOST4);

	for (size_t i = 0; i < SIZE(insane); i++)
		expect_reason(to4_out(&c, insane[i].addr, HOST6, &to), insane[i].src);
	expect_reason(to4_out(&c, "2002:808:808::1", HOST6, &to), R_SRC_SIXTO4);
	expect_reason(to4_out(&c, NATIVE, "2001:db8:2::1", &to), R_NOT_OURS); /* native to native */
	expect_reason(to4_out(&c, NATIVE, "2003::1", &to), R_NOT_OURS);
	expect_reason(to4_out(&c, NATIVE, "2002:c01f:c407::1", &to), R_CLIENT_OURS);
	expect_reason(to4_out(&c, NATIVE, "2002:c01f:c409::1", &to), R_CLIENT_OURS);
	expect_reason(to4_out(&c, NATIVE, "2002:c01f:c4ff::1", &to), R_CLIENT_OURS);
	for (size_t i = 0; i < SIZE(refused4); i++)
		expect_reason(to4_out(&c, NATIVE, text6(sixto4_addr(in4(refused4[i]))), &to),
			      R_CLIENT_REFUSED);
	for (size_t i = 0; i < SIZE(good4); i++) {
		assert_int_equal(to4_out(&c, NATIVE, text6(sixto4_addr(in4(good4[i]))), &to), R_NONE);
		expect_outer(&to, "192.88.99.1", good4[i]);
	}
	c.local = 0;
	expect_reason(to4_out(&c, NATIVE, HOST6, &to), R_NOT_OURS);
}

static void rfc3964_5_2_decapsulating(void **st)
{
	struct sixto4_config c = relay_config();
	const char *us = "192.31.196.7";

	(void)st;
	assert_int_equal(to4_in(&c, HOST4, us, HOST6, NATIVE), R_NONE);
	/* outer addresses */
	expect_reason(to4_in(&c, HOST4, "192.31.196.8", HOST6, NATIVE), R_NOT_OURS);
	expect_reason(to4_in(&c, us, us, HOST6, NATIVE), R_OUTER_OURS);
	expect_reason(to4_in(&c, "192.31.196.9", us, HOST6, NATIVE), R_OUTER_OURS);
	expect_reason(to4_in(&c, "192.31.196.255", us, HOST6, NATIVE), R_OUTER_OURS);
	for (size_t i = 0; i < SIZE(refused4); i++)
		expect_reason(to4_in(&c, refused4[i], us, text6(sixto4_addr(in4(refused4[i]))), NATIVE),
			      R_OUTER_REFUSED);
	for (size_t i = 0; i < SIZE(good4); i++)
		assert_int_equal(to4_in(&c, good4[i], us, text6(sixto4_addr(in4(good4[i]))), NATIVE),
				 R_NONE);
	/* inner addresses */
	for (size_t i = 0; i < SIZE(insane); i++) {
		if (strncmp(insane[i].addr, "2002", 4))
			expect_reason(to4_in(&c, HOST4, us, insane[i].addr, NATIVE), insane[i].src);
		expect_reason(to4_in(&c, HOST4, us, HOST6, insane[i].addr), insane[i].dst);
	}
	/* 6to4 to native: V4(src6) is src4 */
	expect_reason(to4_in(&c, "9.254.253.253", us, HOST6, NATIVE), R_SRC_MISMATCH);
	expect_reason(to4_in(&c, HOST4, us, "2002:c01f:c407::1", NATIVE), R_SRC_MISMATCH);
	/* native to native, and native to 6to4, which only a site takes */
	expect_reason(to4_in(&c, HOST4, us, "2001:db8:2::1", NATIVE), R_SRC_NOT_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, "2001:db8:2::1", HOST6), R_SRC_NOT_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, "2001:0:4136:e378:0:63bf:f601:203", NATIVE), R_SRC_NOT_TUNNEL);
	/* 6to4 to 6to4: only to the relay itself, under the address that the packet came to */
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:808:808::1"), R_DST_SIXTO4);
	expect_reason(to4_in(&c, HOST4, us, HOST6, HOST6), R_DST_SIXTO4);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c01f:c407::"), R_TUNNEL_LOCAL);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c01f:c408::"), R_DST_OWN_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c01f:c407::2"), R_DST_OWN_TUNNEL);
	expect_reason(to4_in(&c, HOST4, us, HOST6, "2002:c058:6301::"), R_DST_SIXTO4);
	c.local = 0;
	expect_reason(to4_in(&c, HOST4, "0.0.0.0", HOST6, NATIVE), R_NOT_OURS);
}

static void rfc7526_5_anycast_is_off_until_wanted(void **st)
{
	struct sixto4_config c = relay_config();
	const __u32 n = cfg.refused.n;

	(void)st;
	expect_reason(to4_in(&c, HOST4, "192.88.99.1", HOST6, NATIVE), R_NOT_OURS);
	c.anycast = 1;
	assert_int_equal(to4_in(&c, HOST4, "192.88.99.1", HOST6, NATIVE), R_NONE);
	assert_int_equal(to4_in(&c, HOST4, "192.31.196.7", HOST6, NATIVE), R_NONE);
	expect_reason(to4_in(&c, HOST4, "192.88.99.1", HOST6, "2002:c058:6301::"), R_TUNNEL_LOCAL);
	expect_reason(to4_in(&c, HOST4, "192.88.99.2", HOST6, NATIVE), R_NOT_OURS);
	expect_reason(to4_in(&c, "192.88.99.1", "192.88.99.1", "2002:c058:6301::1", NATIVE), R_OUTER_REFUSED);
	/* in a laboratory, too, where nothing is refused */
	cfg.refused.n = 0;
	expect_reason(to4_in(&c, "192.88.99.1", "192.31.196.7", "2002:c058:6301::1", NATIVE), R_OUTER_REFUSED);
	expect_reason(to4_out(&c, NATIVE, "2002:c058:6301::1", &(struct outer4){ 0 }), R_CLIENT_REFUSED);
	cfg.refused.n = n;
}

static void rfc6343_4_5_return_relay_only_sends_and_only_its_own(void **st)
{
	struct sixto4_config c = relay_config();
	struct outer4 to = { 0 };

	(void)st;
	c.return_only = 1;
	expect_reason(to4_out(&c, NATIVE, HOST6, &to), R_SRC_NOT_HOST);
	c.sender[c.n_senders++] = pfx("2001:db8:1::6/128");
	c.sender[c.n_senders++] = pfx("2001:db8:1::7/128");
	assert_int_equal(to4_out(&c, NATIVE, HOST6, &to), R_NONE);
	expect_outer(&to, "192.31.196.7", HOST4);
	expect_reason(to4_out(&c, "2001:db8:1::8", HOST6, &to), R_SRC_NOT_HOST);
	expect_reason(to4_out(&c, "2002:808:808::1", HOST6, &to), R_SRC_SIXTO4);
	expect_reason(to4_out(&c, NATIVE, "2002:a00:1::1", &to), R_CLIENT_REFUSED);
	expect_reason(to4_in(&c, HOST4, "192.31.196.7", HOST6, NATIVE), R_RETURN_ONLY);
	expect_reason(to4_in(&c, "10.0.0.1", "192.31.196.7", "2001:db8::1", "ff02::1"), R_RETURN_ONLY);
}

/* Whatever one bit is wrong of a genuine packet's addresses, it is not believed, or is another's. */
static void each_bit_of_a_6to4_source_counts(void **st)
{
	struct sixto4_config c = relay_config();
	struct in6_addr src = in6(HOST6), dst = in6(NATIVE);

	(void)st;
	for (int bit = 0; bit < 48; bit++) {
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		assert_int_not_equal(sixto4_in(&cfg, &c, &own, in4(HOST4), c.local, &src, &dst), R_NONE);
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
	}
	for (int bit = 0; bit < 32; bit++)
		assert_int_not_equal(sixto4_in(&cfg, &c, &own, in4(HOST4) ^ 1U << bit, c.local, &src, &dst),
				     R_NONE);
	assert_int_equal(sixto4_in(&cfg, &c, &own, in4(HOST4), c.local, &src, &dst), R_NONE);
}

/* ---- 6rd */

static struct sixrd_domain domain(const char *prefix, const char *v4, __u32 v4_len, const char *br)
{
	return (struct sixrd_domain){
		.prefix = pfx(prefix),
		.v4 = in4(v4),
		.v4_len = v4_len,
		.br = in4(br),
		.link = { .mtu = 1480, .copy_class = 1 },
	};
}

static void rfc5969_4_prefixes_are_v42(void **st)
{
	static const struct {
		const char *prefix, *net;
		__u32 v4_len;
		const char *v4, *delegated;
	} v[] = {
		{ "2001:db8::/32", "10.0.0.0", 8, "10.100.100.1", "2001:db8:6464:100::/56" },
		{ "2001:db8::/32", "10.0.0.0", 8, "10.0.0.1", "2001:db8:0:100::/56" },
		{ "2001:db8::/32", "0.0.0.0", 0, "192.0.2.33", "2001:db8:c000:221::/64" },
		{ "2a01:e30::/28", "0.0.0.0", 0, "82.224.1.2", "2a01:e35:2e00:1020::/60" },
		{ "2001:db8:4000::/35", "198.51.100.0", 24, "198.51.100.77", "2001:db8:49a0::/43" },
	};

	(void)st;
	for (size_t i = 0; i < SIZE(v); i++) {
		struct sixrd_domain d = domain(v[i].prefix, v[i].net, v[i].v4_len, "10.0.0.1");
		struct prefix6 want = pfx(v[i].delegated), got = sixrd_delegated(&d, in4(v[i].v4));
		struct in6_addr last = want.addr;

		assert_true(sixrd_valid(&d));
		assert_memory_equal(&got, &want, sizeof(got));
		for (__u32 bit = want.len; bit < 128; bit++)
			last.s6_addr[bit / 8] |= (__u8)(0x80 >> bit % 8);
		assert_int_equal(sixrd_v4(&d, &want.addr), in4(v[i].v4));
		assert_int_equal(sixrd_v4(&d, &last), in4(v[i].v4));
		assert_true(sixrd_has(&d, &last));
	}
}

/* Against arithmetic on single bits, for every pair of lengths. */
static void rfc5969_4_every_length_both_ways(void **st)
{
	(void)st;
	srand(5969);
	for (__u32 n = 1; n <= 64; n++)
		for (__u32 len = 0; len <= 32; len++) {
			struct sixrd_domain d = { .prefix.len = n, .v4_len = len };
			struct in6_addr a = { 0 };
			__u32 v4 = (__u32)rand() << 16 ^ (__u32)rand();
			struct prefix6 got;

			for (__u32 bit = 0; bit < n; bit++)
				if (rand() & 0x100)
					d.prefix.addr.s6_addr[bit / 8] |= (__u8)(0x80 >> bit % 8);
			d.v4 = len ? BE32(v4 & ~0U << (32 - len)) : 0;
			assert_true(sixrd_valid(&d) == (n + 32 - len <= 64));
			if (!sixrd_valid(&d))
				continue;
			a = d.prefix.addr;
			for (__u32 bit = 0; bit < 32 - len; bit++)
				if (v4 & 1U << (31 - len - bit))
					a.s6_addr[(n + bit) / 8] |= (__u8)(0x80 >> (n + bit) % 8);
			got = sixrd_delegated(&d, BE32(v4));
			assert_int_equal(got.len, n + 32 - len);
			assert_memory_equal(&got.addr, &a, 16);
			a.s6_addr[15] = 1;
			assert_int_equal(sixrd_v4(&d, &a), BE32(v4));
			assert_true(sixrd_has(&d, &a));
			for (__u32 bit = 0; bit < 128; bit++) {
				a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
				assert_true(sixrd_has(&d, &a) == (bit >= n));
				assert_true((sixrd_v4(&d, &a) == BE32(v4)) == (bit < n || bit >= got.len));
				a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
			}
		}
}

static void rfc5969_7_bounds_of_a_domain(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, "10.0.0.1");

	(void)st;
	assert_true(sixrd_valid(&d));
	d.v4 = in4("10.0.0.1"); /* host bits */
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8:0:1::/33", "10.0.0.0", 8, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::1/33", "10.0.0.0", 8, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/33", "0.0.0.0", 0, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/64", "10.0.0.1", 32, "10.0.0.1");
	assert_true(sixrd_valid(&d));
	d = domain("2001:db8::/65", "10.0.0.1", 32, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("::/0", "0.0.0.0", 0, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/32", "10.0.0.0", 33, "10.0.0.1");
	assert_false(sixrd_valid(&d));
	d = domain("2001:db8::/32", "10.0.0.0", 8, "10.0.0.1");
	d.n_relays = SIXRD_RELAYS;
	assert_true(sixrd_valid(&d));
	d.n_relays = SIXRD_RELAYS + 1;
	assert_false(sixrd_valid(&d));
}

static void rfc5969_7_1_1_dhcp_option_is_v43(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, "10.0.0.1");
	__u8 want[24], got[24];

	(void)st;
	unhex("d416082020010db80000000000000000000000000a000001", want);
	assert_int_equal(sixrd_build_dhcp(got, 24, &d), 24);
	assert_memory_equal(got, want, 24);
	assert_int_equal(sixrd_build_dhcp(got, 23, &d), -ENOBUFS);
}

static enum reason rd_out(const struct sixrd_domain *d, const char *src, const char *dst,
			  struct outer4 *to)
{
	struct in6_addr s = in6(src), t = in6(dst);

	return sixrd_out(&cfg, d, &own, &s, &t, to);
}

static enum reason rd_in(const struct sixrd_domain *d, const char *outer_src, const char *outer_dst,
			 const char *src, const char *dst)
{
	struct in6_addr s = in6(src), t = in6(dst);

	return sixrd_in(&cfg, d, &own, in4(outer_src), in4(outer_dst), &s, &t);
}

#define CE4 "10.100.100.1"
#define CE6 "2001:db8:6464:100::1"
#define BR4 "10.0.0.1"
#define FAR6 "2a00:1450::1"

static void rfc5969_9_2_from_customer_edges(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, BR4);

	(void)st;
	d.relay[d.n_relays++] = in4("10.0.0.2");
	assert_int_equal(rd_in(&d, CE4, BR4, CE6, FAR6), R_NONE);
	expect_reason(rd_in(&d, CE4, "10.0.0.3", CE6, FAR6), R_NOT_OURS);
	expect_reason(rd_in(&d, "10.100.100.2", BR4, CE6, FAR6), R_SRC_MISMATCH);
	expect_reason(rd_in(&d, CE4, BR4, "2001:db9::1", FAR6), R_SRC_NOT_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++) {
		if (strncmp(insane[i].addr, "2001:db8:", 9)) {
			expect_reason(rd_in(&d, CE4, BR4, insane[i].addr, FAR6), insane[i].src);
			expect_reason(rd_in(&d, CE4, BR4, CE6, insane[i].addr), insane[i].dst);
		}
	}
	/* outer sources that are no customers, 12 */
	expect_reason(rd_in(&d, BR4, BR4, "2001:db8:0:100::1", FAR6), R_OUTER_OURS);
	expect_reason(rd_in(&d, "192.31.196.7", BR4, CE6, FAR6), R_OUTER_OURS);
	expect_reason(rd_in(&d, "10.0.0.2", BR4, "2001:db8:0:200::1", FAR6), R_OUTER_REFUSED);
	expect_reason(rd_in(&d, "11.100.100.1", BR4, CE6, FAR6), R_OUTER_REFUSED);
	/* to the relay's own delegated prefix: its subnet-router anycast address alone, 12 */
	expect_reason(rd_in(&d, CE4, BR4, CE6, "2001:db8:0:100::"), R_TUNNEL_LOCAL);
	expect_reason(rd_in(&d, CE4, BR4, CE6, "2001:db8:0:100::1"), R_DST_OWN_TUNNEL);
	expect_reason(rd_in(&d, CE4, BR4, CE6, "2001:db8:0:1ff::"), R_DST_OWN_TUNNEL);
	/* a relay outside the domain's IPv4 prefix has none: that one is a customer's */
	d = domain("2001:db8::/32", "10.0.0.0", 8, "192.31.196.1");
	assert_int_equal(rd_in(&d, CE4, "192.31.196.1", CE6, "2001:db8:1fc4:100::"), R_NONE);
	/* a domain of public addresses, where this host has one, too */
	d = domain("2001:db8::/32", "0.0.0.0", 0, "8.8.8.8");
	assert_int_equal(rd_in(&d, "192.0.2.33", "8.8.8.8", "2001:db8:c000:221::1", FAR6), R_NONE);
	expect_reason(rd_in(&d, "192.0.2.33", "8.8.8.8", "2001:db8:c000:221::1", "2001:db8:c01f:c407::1"),
		      R_DST_OWN_TUNNEL);
	for (size_t i = 0; i < 3; i++) {
		static const char *const bad[][2] = { { "127.0.0.1", "2001:db8:7f00:1::1" },
						      { "224.0.0.1", "2001:db8:e000:1::1" },
						      { "192.88.99.9", "2001:db8:c058:6309::1" } };

		expect_reason(rd_in(&d, bad[i][0], "8.8.8.8", bad[i][1], FAR6), R_OUTER_REFUSED);
	}
}

static void rfc5969_7_2_to_customer_edges(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, BR4);
	struct outer4 to = { 0 };

	(void)st;
	d.relay[d.n_relays++] = in4("10.0.0.2");
	assert_int_equal(rd_out(&d, FAR6, CE6, &to), R_NONE); /* private, but the domain's */
	expect_outer(&to, BR4, CE4);
	expect_reason(rd_out(&d, FAR6, "2001:db9::1", &to), R_NOT_OURS);
	expect_reason(rd_out(&d, "fe80::1", "2001:db9::1", &to), R_NOT_OURS); /* whoever it is from */
	expect_reason(rd_out(&d, CE6, CE6, &to), R_SRC_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++)
		if (strncmp(insane[i].addr, "2001:db8:", 9))
			expect_reason(rd_out(&d, insane[i].addr, CE6, &to), insane[i].src);
	expect_reason(rd_out(&d, FAR6, "2001:db8:0:100::1", &to), R_CLIENT_OURS);
	expect_reason(rd_out(&d, FAR6, "2001:db8:0:100::", &to), R_CLIENT_OURS);
	expect_reason(rd_out(&d, FAR6, "2001:db8:0:200::1", &to), R_CLIENT_REFUSED);
	d = domain("2a01:e30::/28", "0.0.0.0", 0, "8.8.8.8");
	assert_int_equal(rd_out(&d, FAR6, "2a01:e35:2e00:1020::1", &to), R_NONE);
	expect_outer(&to, "8.8.8.8", "82.224.1.2");
	expect_reason(rd_out(&d, FAR6, "2a01:e3c:1fc:4070::1", &to), R_CLIENT_OURS);
	expect_reason(rd_out(&d, FAR6, "2a01:e37:f000:10::1", &to), R_CLIENT_REFUSED); /* 127.0.0.1 */
	expect_reason(rd_out(&d, FAR6, "2a01:e30:0:10::1", &to), R_CLIENT_REFUSED);    /* 0.0.0.1 */
	expect_reason(rd_out(&d, FAR6, "2a01:e3f:ffff:fff0::1", &to), R_CLIENT_REFUSED); /* broadcast */
}

static void rfc5969_8_loopback_test_turns_round(void **st)
{
	struct sixrd_domain d = domain("2001:db8::/32", "10.0.0.0", 8, BR4);
	struct in6_addr ce = in6(CE6), other = in6("2001:db8:102:300::1"), us = in6("2001:db8:0:100::1");
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(rd_in(&d, CE4, BR4, CE6, CE6), R_NONE); /* V45 */
	assert_int_equal(sixrd_turn(&d, &own, &ce, &to), R_NONE);
	expect_outer(&to, BR4, CE4);
	assert_int_equal(sixrd_turn(&d, &own, &other, &to), R_NONE);
	expect_outer(&to, BR4, "10.1.2.3");
	expect_reason(sixrd_turn(&d, &own, &us, &to), R_CLIENT_OURS);
	other = in6(FAR6);
	expect_reason(sixrd_turn(&d, &own, &other, &to), R_NOT_OURS);
}

/* ---- 6in4 */

static struct sixin4_tunnel tunnel(const char *remote, __u32 id, const char *prefix)
{
	return (struct sixin4_tunnel){
		.local = in4("192.31.196.9"),
		.remote = in4(remote),
		.id = id,
		.n_prefixes = 1,
		.prefix = { pfx(prefix) },
		.link = { .mtu = 1480 },
	};
}

static enum reason in4_in(const struct sixin4_tunnel *t, const char *outer_src, const char *outer_dst,
			  const char *src, const char *dst)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixin4_in(&cfg, t, &own, in4(outer_src), in4(outer_dst), &s, &d);
}

static enum reason in4_out(const struct sixin4_tunnel *t, const char *src, const char *dst,
			   struct outer4 *to)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return sixin4_out(&cfg, t, &own, &s, &d, to);
}

static void rfc4213_3_6_configured_tunnels(void **st)
{
	struct sixin4_tunnel t = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	const char *us = "192.31.196.9", *site = "2001:db8:100::5";
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(in4_in(&t, "8.1.1.1", us, site, FAR6), R_NONE);
	expect_reason(in4_in(&t, "8.1.1.2", us, site, FAR6), R_NO_TUNNEL);
	expect_reason(in4_in(&t, "8.1.1.1", "192.31.196.8", site, FAR6), R_NO_TUNNEL);
	/* with the ingress filter, and without */
	expect_reason(in4_in(&t, "8.1.1.1", us, "2001:db8:101::5", FAR6), R_SRC_NOT_TUNNEL);
	for (t.any_source = 0; t.any_source < 2; t.any_source++)
		for (size_t i = 0; i < SIZE(insane); i++) {
			expect_reason(in4_in(&t, "8.1.1.1", us, insane[i].addr, FAR6), insane[i].src);
			expect_reason(in4_in(&t, "8.1.1.1", us, site, insane[i].addr), insane[i].dst);
		}
	t.any_source = 1;
	assert_int_equal(in4_in(&t, "8.1.1.1", us, "2001:db8:101::5", FAR6), R_NONE);
	/* nothing turns round */
	expect_reason(in4_in(&t, "8.1.1.1", us, site, "2001:db8:100::6"), R_DST_TUNNEL);
	/* any of its prefixes, and unique local ones between sites */
	t.any_source = 0;
	t.prefix[t.n_prefixes++] = pfx("fd00:1::/32");
	assert_int_equal(in4_in(&t, "8.1.1.1", us, "fd00:1::5", FAR6), R_NONE);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fd00:2::5", FAR6), R_SRC_SITE);

	assert_int_equal(in4_out(&t, FAR6, site, &to), R_NONE);
	expect_outer(&to, us, "8.1.1.1");
	assert_int_equal(in4_out(&t, FAR6, "fd00:1::5", &to), R_NONE);
	expect_reason(in4_out(&t, FAR6, "2001:db8:101::5", &to), R_NOT_OURS);
	expect_reason(in4_out(&t, "2001:db8:100::6", site, &to), R_SRC_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++)
		expect_reason(in4_out(&t, insane[i].addr, site, &to), insane[i].src);
	/* the remote endpoint has become an address of this host */
	t.remote = in4("192.31.196.8");
	expect_reason(in4_out(&t, FAR6, site, &to), R_CLIENT_OURS);
	expect_reason(in4_in(&t, "192.31.196.8", us, site, FAR6), R_OUTER_OURS);
}

static void rfc4213_3_8_the_ends_talk_to_each_other(void **st)
{
	struct sixin4_tunnel t = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	struct in6_addr end = sixin4_link_local(in4("192.31.196.7")), want = in6("fe80::c01f:c407");
	const char *us = "192.31.196.9";

	(void)st;
	assert_memory_equal(&end, &want, 16);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "fe80::c01f:c409"), R_TUNNEL_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "ff02::1:ff1f:c409"), R_TUNNEL_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "fe80::c01f:c407"), R_SRC_LINK_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "fe80::801:101", "ff02::1"), R_SRC_LINK_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.1", us, "2001:db8:100::1", "fe80::c01f:c409"), R_DST_LINK_LOCAL);
	expect_reason(in4_in(&t, "8.1.1.2", us, "fe80::801:101", "fe80::c01f:c409"), R_NO_TUNNEL);
}

/* ---- all of them together */

static void rfc3964_6_1_most_specific_match_decides(void **st)
{
	struct sixin4_tunnel t = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	struct sixto4_config c = relay_config();
	struct sixin4_config in4c = { .n_locals = 1, .local = { in4("192.31.196.9") } };
	struct sixrd_domain d[3] = {
		domain("2001:db8::/32", "10.0.0.0", 8, BR4),
		domain("2a01:e30::/28", "0.0.0.0", 0, BR4),
		domain("2a02::/32", "10.0.0.0", 8, "10.9.9.9"),
	};
	struct in6_addr a = in6(CE6), b = in6("2a01:e35::1"), far = in6(FAR6);
	struct demux m;

	(void)st;
	assert_int_equal(demux_proto41(&t, d, 3, &c, &in4c, d[0].br, &a, &m), R_NONE);
	assert_int_equal(m.tunnel, TUNNEL_SIXIN4);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[0].br, &a, &m), R_NONE);
	assert_int_equal(m.tunnel, TUNNEL_SIXRD);
	assert_ptr_equal(m.domain, &d[0]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[0].br, &b, &m), R_NONE);
	assert_ptr_equal(m.domain, &d[1]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[2].br, &b, &m), R_NONE);
	assert_ptr_equal(m.domain, &d[2]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, d[0].br, &far, &m), R_NONE);
	assert_ptr_equal(m.domain, &d[0]);
	assert_int_equal(demux_proto41(NULL, d, 3, &c, &in4c, c.local, &a, &m), R_NONE);
	assert_int_equal(m.tunnel, TUNNEL_SIXTO4);
	assert_null(m.domain);
	expect_reason(demux_proto41(NULL, d, 3, &c, &in4c, t.local, &a, &m), R_NO_TUNNEL);
	expect_reason(demux_proto41(NULL, d, 2, &c, &in4c, d[2].br, &a, &m), R_NOT_OURS);
	assert_int_equal(m.tunnel, TUNNEL_NONE);

	assert_ptr_equal(sixrd_find(d, 3, &a), &d[0]);
	assert_ptr_equal(sixrd_find(d, 3, &b), &d[1]);
	assert_null(sixrd_find(d, 1, &b));
	assert_null(sixrd_find(d, 3, &far));
}

static struct hg48_config hg_config(void)
{
	return (struct hg48_config){
		.prefix = in6("fd4a:6b8c:2d10:1::"),
		.service = { .addr = in4("192.31.196.7"), .port = BE16(3546) },
		.life = 120000,
		.window = 10000,
		.window_packets = 3,
		.max_peers = 100,
		.fresh = { .per_unit = 20 * METER_SCALE / 1000, .burst = 20 },
		.min_port = 1024,
		.link = { .mtu = 1280 },
	};
}

static void packets_of_one_tunnel_do_not_leave_by_another(void **st)
{
	struct sixin4_tunnel one = tunnel("8.1.1.1", 1, "2001:db8:100::/48");
	struct sixin4_tunnel two = tunnel("8.1.1.2", 2, "2001:db8:200::/48");
	struct sixrd_domain d[2] = { domain("2a01:e30::/28", "0.0.0.0", 0, BR4),
				     domain("2a02::/32", "10.0.0.0", 8, "10.9.9.9") };
	struct sixto4_config c = relay_config();
	struct hg48_config hg = hg_config();
	struct tunnels all = { .sixto4 = &c, .sixrd = d, .n_sixrd = 2, .hg48 = &hg };
	static const struct sixto4_config no_to4;
	static const struct hg48_config no_hg;
	struct tunnels off = { .sixto4 = &no_to4, .hg48 = &no_hg }, empty = { 0 };
	struct prefix6 teredo = pfx("2001::/32");
	struct tunnel_prefixes p = { 0 };
	const struct {
		const char *dst;
		enum tunnel tunnel;
		__u32 id;
	} to[] = {
		{ "2001:0:4136:e378:24c7:63bf:f601:203", TUNNEL_TEREDO, 0 },
		{ HOST6, TUNNEL_SIXTO4, 0 },
		{ "2a01:e35::1", TUNNEL_SIXRD, 0 },
		{ "2a02::1", TUNNEL_SIXRD, 1 },
		{ "2001:db8:100::1", TUNNEL_SIXIN4, 1 },
		{ "2001:db8:200::1", TUNNEL_SIXIN4, 2 },
		{ "fd4a:6b8c:2d10:1:0:f601:203:63bf", TUNNEL_HG48, 0 },
	};
	struct in6_addr native = in6(FAR6);

	(void)st;
	assert_true(tunnels_add_prefix(&p, TUNNEL_TEREDO, 0, &teredo));
	assert_true(tunnels_add_prefixes(&p, &all));
	assert_int_equal(p.n, 5);
	assert_true(tunnels_add_prefixes(&p, &off));
	assert_true(tunnels_add_prefixes(&p, &empty));
	assert_int_equal(p.n, 5); /* what is not configured has none */
	for (size_t f = 0; f < SIZE(to); f++) {
		const enum tunnel from = to[f].tunnel;

		assert_int_equal(tunnels_cross(&p, from, to[f].id, &native, NULL), R_NONE);
		for (size_t i = 0; i < SIZE(to); i++) {
			const struct in6_addr dst = in6(to[i].dst);
			const struct sixin4_tunnel *t = to[i].tunnel != TUNNEL_SIXIN4 ? NULL :
							to[i].id == 1		      ? &one :
											&two;
			bool hairpin = i == f && from == TUNNEL_SIXRD;

			if (hairpin)
				assert_int_equal(tunnels_cross(&p, from, to[f].id, &dst, t), R_NONE);
			else
				expect_reason(tunnels_cross(&p, from, to[f].id, &dst, t), R_DST_TUNNEL);
			/* the operator's word is for one way, and not for the way back */
			p.cross = TUNNEL_CROSS(to[i].tunnel, from);
			if (to[i].tunnel != from)
				expect_reason(tunnels_cross(&p, from, to[f].id, &dst, t), R_DST_TUNNEL);
			p.cross = TUNNEL_CROSS(from, to[i].tunnel);
			assert_int_equal(tunnels_cross(&p, from, to[f].id, &dst, t),
					 i == f && !hairpin ? R_DST_TUNNEL : R_NONE);
			p.cross = 0;
		}
	}
	/* a native source: with that of somebody behind this host alone it is forged, or has crossed over */
	assert_int_equal(tunnels_native(&p, TUNNEL_SIXTO4, &native, NULL), R_NONE);
	for (size_t i = 0; i < SIZE(to); i++) {
		const struct in6_addr src = in6(to[i].dst);
		const struct sixin4_tunnel *t = to[i].tunnel == TUNNEL_SIXIN4 ? &one : NULL;

		if (to[i].tunnel == TUNNEL_TEREDO || to[i].tunnel == TUNNEL_SIXTO4) {
			assert_int_equal(tunnels_native(&p, TUNNEL_SIXIN4, &src, t), R_NONE);
			continue;
		}
		expect_reason(tunnels_native(&p, TUNNEL_SIXTO4, &src, t), R_SRC_TUNNEL);
		p.cross = TUNNEL_CROSS(to[i].tunnel, TUNNEL_SIXTO4);
		assert_int_equal(tunnels_native(&p, TUNNEL_SIXTO4, &src, t), R_NONE);
		expect_reason(tunnels_native(&p, TUNNEL_TEREDO, &src, t), R_SRC_TUNNEL);
		p.cross = 0;
	}
	while (p.n < TUNNEL_PREFIXES)
		assert_true(tunnels_add_prefix(&p, TUNNEL_TEREDO, 0, &teredo));
	assert_false(tunnels_add_prefix(&p, TUNNEL_TEREDO, 0, &teredo));
	assert_false(tunnels_add_prefixes(&p, &all));
}

/* ---- HG48 */

#define BOB4 "9.254.253.252"
#define BOB6 "fd4a:6b8c:2d10:1:0:f601:203:63bf"

static void hg48_5_2_addresses_are_v46(void **st)
{
	static const struct {
		const char *v4, *v6;
		__u16 port;
	} v[] = {
		{ BOB4, BOB6, 40000 },
		{ "192.0.2.45", "fd4a:6b8c:2d10:1:0:3fff:fdd2:8acf", 30000 },
	};
	struct hg48_config hg = hg_config();

	(void)st;
	for (size_t i = 0; i < SIZE(v); i++) {
		struct in6_addr a = in6(v[i].v6), got = hg48_addr(&hg, ep(v[i].v4, v[i].port));

		assert_memory_equal(&got, &a, 16);
		assert_true(endpoint4_equal(hg48_endpoint(&a), ep(v[i].v4, v[i].port)));
		for (int bit = 0; bit < 128; bit++) {
			a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
			assert_true(hg48_has(&hg, &a) == (bit >= 80));
			assert_true(endpoint4_equal(hg48_endpoint(&a), ep(v[i].v4, v[i].port)) == (bit < 80));
			a.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		}
	}
}

static enum reason hg_payload(const char *hex)
{
	static __u8 buf[128] __attribute__((aligned(8)));
	size_t n = unhex(hex, buf);
	struct cur c = { buf, buf + n };
	const struct ipv6hdr *ip6;

	return hg48_payload(&c, (__u32)n, &ip6);
}

static void hg48_5_3_payloads(void **st)
{
	(void)st;
	assert_int_equal(hg_payload(PROBE), R_NONE);
	assert_int_equal(hg_payload(PROBE "0104a1b2c3d4"), R_NONE);
	expect_reason(hg_payload(""), R_KEEPALIVE);
	expect_reason(hg_payload("00"), R_INNER_NOT_IP6);
	expect_reason(hg_payload("0000feaefefdfcfb" PROBE), R_INNER_NOT_IP6); /* no indications */
}

static enum reason hg_out(const struct hg48_config *hg, const char *src, const char *dst,
			  struct outer4 *to)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return hg48_out(&cfg, hg, &own, &s, &d, to);
}

static enum reason hg_in(const struct hg48_config *hg, struct endpoint4 from, const char *src,
			 const char *dst)
{
	struct in6_addr s = in6(src), d = in6(dst);

	return hg48_in(&cfg, hg, &own, from, ep("192.31.196.7", 3546), &s, &d);
}

static void hg48_5_5_towards_endpoints(void **st)
{
	struct hg48_config hg = hg_config();
	struct outer4 to = { 0 };

	(void)st;
	assert_int_equal(hg_out(&hg, NATIVE, BOB6, &to), R_NONE);
	assert_true(endpoint4_equal(to.src, ep("192.31.196.7", 3546)));
	assert_true(endpoint4_equal(to.dst, ep(BOB4, 40000)));
	expect_reason(hg_out(&hg, NATIVE, "fd4a:6b8c:2d10:1:1:f601:203:63bf", &to), R_NOT_OURS);
	expect_reason(hg_out(&hg, BOB6, BOB6, &to), R_SRC_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++)
		expect_reason(hg_out(&hg, insane[i].addr, BOB6, &to), insane[i].src);
	for (size_t i = 0; i < SIZE(refused4); i++)
		expect_reason(hg_out(&hg, NATIVE, text6(hg48_addr(&hg, ep(refused4[i], 40000))), &to),
			      R_CLIENT_REFUSED);
	expect_reason(hg_out(&hg, NATIVE, text6(hg48_addr(&hg, ep("192.31.196.7", 40000))), &to), R_CLIENT_OURS);
	expect_reason(hg_out(&hg, NATIVE, text6(hg48_addr(&hg, ep("192.31.196.8", 40000))), &to), R_CLIENT_OURS);
	for (hg.min_port = 1024;; hg.min_port = 0) {
		static const __u16 ports[] = { 0, 53, 1023, 1024, 3543, 3544, 3545, 65535 };

		for (size_t i = 0; i < SIZE(ports); i++) {
			bool bad = !ports[i] || ports[i] == 3544 || ports[i] < hg.min_port;
			const char *dst = text6(hg48_addr(&hg, ep(BOB4, ports[i])));

			if (bad)
				expect_reason(hg_out(&hg, NATIVE, dst, &to), R_ENDPOINT_PORT);
			else
				assert_int_equal(hg_out(&hg, NATIVE, dst, &to), R_NONE);
		}
		if (!hg.min_port)
			break;
	}
	hg.service.addr = 0;
	expect_reason(hg_out(&hg, NATIVE, BOB6, &to), R_NOT_OURS);
}

static void hg48_5_6_from_endpoints(void **st)
{
	struct hg48_config hg = hg_config();
	struct in6_addr src = in6(BOB6), dst = in6(NATIVE);
	struct endpoint4 bob = ep(BOB4, 40000), us = hg.service;

	(void)st;
	assert_int_equal(hg_in(&hg, bob, BOB6, NATIVE), R_NONE);
	expect_reason(hg_in(&hg, ep(BOB4, 40001), BOB6, NATIVE), R_SRC_MISMATCH);
	expect_reason(hg_in(&hg, ep("9.254.253.253", 40000), BOB6, NATIVE), R_SRC_MISMATCH);
	expect_reason(hg_in(&hg, bob, "2001:db8::1", NATIVE), R_SRC_NOT_TUNNEL);
	expect_reason(hg_in(&hg, bob, BOB6, "fd4a:6b8c:2d10:1:0:3fff:fdd2:8acf"), R_DST_TUNNEL);
	for (size_t i = 0; i < SIZE(insane); i++) {
		expect_reason(hg_in(&hg, bob, insane[i].addr, NATIVE), insane[i].src);
		expect_reason(hg_in(&hg, bob, BOB6, insane[i].addr), insane[i].dst);
	}
	for (size_t i = 0; i < SIZE(refused4); i++) {
		struct endpoint4 e = ep(refused4[i], 40000);

		expect_reason(hg_in(&hg, e, text6(hg48_addr(&hg, e)), NATIVE), R_OUTER_REFUSED);
	}
	expect_reason(hg_in(&hg, us, text6(hg48_addr(&hg, us)), NATIVE), R_OUTER_OURS);
	expect_reason(hg_in(&hg, ep("192.31.196.9", 5000), text6(hg48_addr(&hg, us)), NATIVE), R_OUTER_OURS);
	expect_reason(hg_in(&hg, ep(BOB4, 53), text6(hg48_addr(&hg, ep(BOB4, 53))), NATIVE), R_ENDPOINT_PORT);
	us.port = BE16(3547);
	expect_reason(hg48_in(&cfg, &hg, &own, bob, us, &src, &dst), R_NOT_OURS);
	us = ep("192.31.196.8", 3546);
	expect_reason(hg48_in(&cfg, &hg, &own, bob, us, &src, &dst), R_NOT_OURS);
	for (int bit = 0; bit < 128; bit++) { /* every bit of the source counts */
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
		assert_int_not_equal(hg48_in(&cfg, &hg, &own, bob, hg.service, &src, &dst), R_NONE);
		src.s6_addr[bit / 8] ^= (__u8)(0x80 >> bit % 8);
	}
}

static void hg48_5_5_three_packets_until_it_answers(void **st)
{
	struct hg48_config hg = hg_config();
	struct hg48_peer p = { 0 };
	__u64 now = 1000;

	(void)st;
	for (int window = 0; window < 3; window++, now += 10000) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(hg48_may_send(&hg, &p, now + (__u64)i), R_NONE);
		expect_reason(hg48_may_send(&hg, &p, now + 3), R_UNCONFIRMED);
		expect_reason(hg48_may_send(&hg, &p, now + 9999), R_UNCONFIRMED);
	}
	assert_int_equal(hg48_may_enter(&hg, &p, now), R_NONE);
	assert_false(hg48_confirmed(&hg, &p, now));
	hg48_heard(&p, now);
	assert_true(hg48_confirmed(&hg, &p, now));
	for (int i = 0; i < 100; i++)
		assert_int_equal(hg48_may_send(&hg, &p, now + 120000), R_NONE);
	/* 120 s after the last valid reception, however much is sent */
	assert_true(hg48_confirmed(&hg, &p, now + 120000));
	assert_false(hg48_confirmed(&hg, &p, now + 120001));
	for (int i = 0; i < 3; i++)
		assert_int_equal(hg48_may_send(&hg, &p, now + 120001), R_NONE);
	expect_reason(hg48_may_send(&hg, &p, now + 120001), R_UNCONFIRMED);
	/* another CPU is a little behind */
	hg48_heard(&p, now + 200000);
	assert_true(hg48_confirmed(&hg, &p, now + 199999));
}

static void hg48_5_6_nobody_enters_uninvited(void **st)
{
	struct hg48_config hg = hg_config();
	struct hg48_peer p = { 0 };

	(void)st;
	expect_reason(hg48_may_enter(&hg, NULL, 1000), R_UNSOLICITED);
	expect_reason(hg48_may_enter(&hg, &p, 1000), R_UNSOLICITED);
	assert_false(hg48_live(&hg, &p, 1000));
	assert_int_equal(hg48_may_send(&hg, &p, 1000), R_NONE);
	assert_int_equal(hg48_may_enter(&hg, &p, 121000), R_NONE);
	expect_reason(hg48_may_enter(&hg, &p, 121001), R_UNSOLICITED);
	hg48_heard(&p, 121000);
	assert_int_equal(hg48_may_enter(&hg, &p, 241000), R_NONE);
	assert_true(hg48_live(&hg, &p, 241000));
	assert_false(hg48_live(&hg, &p, 241001));
	expect_reason(hg48_may_enter(&hg, &p, 241001), R_UNSOLICITED);
	hg.unsolicited = 1;
	assert_int_equal(hg48_may_enter(&hg, NULL, 1000), R_NONE);
}

static void hg48_5_5_new_endpoints_are_rationed(void **st)
{
	struct hg48_config hg = hg_config();
	struct meter m = { 0 };

	(void)st;
	for (int i = 0; i < 20; i++)
		assert_int_equal(hg48_admit(&hg, &m, 0, 5000), R_NONE);
	expect_reason(hg48_admit(&hg, &m, 0, 5000), R_LIMIT_SOURCE);
	expect_reason(hg48_admit(&hg, &m, 100, 6000), R_TABLE_FULL);
	assert_int_equal(hg48_admit(&hg, &m, 99, 6000), R_NONE);
}

/* ---- what is refused at the start */

struct world {
	struct sixto4_config to4;
	struct sixrd_domain rd[2];
	struct sixin4_tunnel in4[2];
	struct hg48_config hg;
	struct endpoint4 udp;
	struct tunnel_prefixes prefixes;
	struct tunnels all;
};

static struct world *world(void)
{
	static struct world w;

	w = (struct world){
		.to4 = relay_config(),
		.rd = { domain("2a01:e30::/28", "0.0.0.0", 0, "192.31.196.8"),
			domain("2a02:100::/32", "10.0.0.0", 8, "10.0.0.1") },
		.in4 = { tunnel("8.1.1.1", 1, "2001:db8:100::/48"),
			 tunnel("8.1.1.2", 2, "2001:db8:200::/48") },
		.hg = hg_config(),
		.udp = ep("192.31.196.7", 3545),
	};
	w.all = (struct tunnels){ &w.to4, w.rd, 2, w.in4, 2, &w.hg, &w.prefixes, &w.udp, 1, &cfg, &own };
	return &w;
}

static bool conflicts(struct world *w, struct conflict *c)
{
	struct prefix6 teredo = pfx("2001::/32");

	w->prefixes.n = 0;
	assert_true(tunnels_add_prefix(&w->prefixes, TUNNEL_TEREDO, 0, &teredo));
	assert_true(tunnels_add_prefixes(&w->prefixes, &w->all));
	return tunnels_conflict(&w->all, c);
}

static void expect_conflict(struct world *w, const char *what, enum tunnel a, __u32 a_id,
			    enum tunnel b, __u32 b_id)
{
	struct conflict c = { 0 };

	assert_true(conflicts(w, &c));
	if (!strstr(c.what, what))
		assert_string_equal(c.what, what);
	assert_int_equal(c.a.tunnel, a);
	assert_int_equal(c.a.id, a_id);
	assert_int_equal(c.b.tunnel, b);
	assert_int_equal(c.b.id, b_id);
}

/* Sets one thing wrong in a world that is all right. */
#define WRONG(change, what, ...)                                                                   \
	do {                                                                                       \
		struct world *w = world();                                                         \
		change;                                                                            \
		expect_conflict(w, what, __VA_ARGS__);                                             \
	} while (0)
#define ALONE(kind, id) TUNNEL_##kind, id, TUNNEL_NONE, 0

static void mechanisms_that_could_loop_are_named(void **st)
{
	struct world *ok = world();
	struct tunnels none = { .cfg = &cfg, .own = &own };
	struct conflict c;

	(void)st;
	assert_false(conflicts(ok, &c));
	assert_false(tunnels_conflict(&none, &c));
	ok->rd[1].br = ok->rd[0].br; /* the inner source tells domains apart */
	assert_false(conflicts(ok, &c));
	ok->in4[1].n_prefixes = SIXIN4_PREFIXES;
	ok->in4[1].prefix[1] = pfx("fd00:1::/32");
	ok->in4[1].prefix[2] = pfx("2001:db8:300::/48");
	ok->in4[1].prefix[3] = pfx("2001:db8:400::/48");
	assert_false(conflicts(ok, &c));
	ok->in4[1].prefix[1] = pfx("fc00::/7");
	ok->all.hg48 = NULL;
	assert_false(conflicts(ok, &c));

	WRONG(w->to4.local = in4("10.0.0.7"), "not a global one", ALONE(SIXTO4, 0));
	WRONG(w->to4.local = in4("192.88.99.1"), "not a global one", ALONE(SIXTO4, 0));
	WRONG(w->to4.source = in4("8.8.8.8"), "neither the relay's", ALONE(SIXTO4, 0));
	WRONG(w->to4.return_only = 1, "nobody to send for", ALONE(SIXTO4, 0));
	WRONG((w->to4.return_only = w->to4.n_senders = w->to4.anycast = 1), "accepts nothing", ALONE(SIXTO4, 0));
	WRONG(w->to4.link.mtu = 1279, "MTU", ALONE(SIXTO4, 0));
	WRONG(w->to4.link.mtu = 1481, "MTU", ALONE(SIXTO4, 0));

	WRONG(w->rd[1].v4_len = 33, "longer than 64", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("2002:a00::/24"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("2001::/24"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("2000::/3"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].prefix = pfx("fd00::/16"), "not global,", ALONE(SIXRD, 1));
	WRONG(w->rd[1].br = in4("224.0.0.1"), "not unicast", ALONE(SIXRD, 1));
	WRONG(w->rd[1].link.mtu = 9000, "MTU", ALONE(SIXRD, 1));

	WRONG(w->in4[1].local = 0, "not unicast", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = in4("255.255.255.255"), "not unicast", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = w->in4[1].local, "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].local = w->in4[1].remote, "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = in4("192.31.196.255"), "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].remote = w->rd[1].br, "is this host", ALONE(SIXIN4, 2));
	WRONG((w->to4.local = w->to4.source = w->in4[1].remote), "is this host", ALONE(SIXIN4, 2));
	WRONG(w->hg.service.addr = w->in4[1].remote, "is this host", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].n_prefixes = 0, "no prefix", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].n_prefixes = SIXIN4_PREFIXES + 1, "or too many", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("2001:db8:200::1/48"), "beyond its length", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0].len = 129, "beyond its length", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("::/0"), "neither global", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("2002:808:808::/48"), "neither global", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].prefix[0] = pfx("fe80::/64"), "neither global", ALONE(SIXIN4, 2));
	WRONG(w->in4[1].link.mtu = 0, "MTU", ALONE(SIXIN4, 2));

	WRONG(w->hg.prefix.s6_addr[0] = 0xfc, "begin with fd", ALONE(HG48, 0));
	WRONG(w->hg.prefix.s6_addr[9] = 1, "behind the first 64", ALONE(HG48, 0));
	WRONG(w->hg.service.port = 0, "no port", ALONE(HG48, 0));
	WRONG(w->udp = w->hg.service, "another mechanism's", ALONE(HG48, 0));
	WRONG(w->hg.link.mtu = 1480, "1280", ALONE(HG48, 0));
	WRONG(w->hg.link.df = 1, "1280", ALONE(HG48, 0));

	WRONG(w->in4[1].id = 1, "one number", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 1);
	WRONG(w->in4[1].remote = w->in4[0].remote, "same endpoints", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->in4[1].prefix[0] = pfx("2001:db8:100:5::/64"), "overlap", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->in4[1].prefix[0] = pfx("2001:db8::/32"), "overlap", TUNNEL_SIXIN4, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->rd[1].br = w->to4.local, "same IPv4 address", TUNNEL_SIXTO4, 0, TUNNEL_SIXRD, 1);
	WRONG((w->to4.anycast = 1, w->rd[1].br = in4("192.88.99.1")), "same IPv4 address", TUNNEL_SIXTO4, 0,
	      TUNNEL_SIXRD, 1);
	WRONG(w->in4[0].local = w->rd[0].br, "customer edge", TUNNEL_SIXIN4, 1, TUNNEL_SIXRD, 0);
	WRONG(w->rd[1].prefix = pfx("2a01:e31::/32"), "overlap", TUNNEL_SIXRD, 0, TUNNEL_SIXRD, 1);
	WRONG(w->in4[1].prefix[0] = pfx("2a02:100:5::/48"), "overlap", TUNNEL_SIXRD, 1, TUNNEL_SIXIN4, 2);
	WRONG(w->in4[1].prefix[0] = pfx("fd4a:6b8c:2d10::/48"), "overlap", TUNNEL_HG48, 0, TUNNEL_SIXIN4, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4213_3_6_length_is_the_inner_one),
		cmocka_unit_test(headers_are_those_of_v44_and_v45),
		cmocka_unit_test(native_sides_may_be_teredo_and_have_to_be_served),
		cmocka_unit_test(rfc3056_2_addresses_are_v41),
		cmocka_unit_test(rfc3964_5_1_encapsulating),
		cmocka_unit_test(rfc3964_5_2_decapsulating),
		cmocka_unit_test(rfc7526_5_anycast_is_off_until_wanted),
		cmocka_unit_test(rfc6343_4_5_return_relay_only_sends_and_only_its_own),
		cmocka_unit_test(each_bit_of_a_6to4_source_counts),
		cmocka_unit_test(rfc5969_4_prefixes_are_v42),
		cmocka_unit_test(rfc5969_4_every_length_both_ways),
		cmocka_unit_test(rfc5969_7_bounds_of_a_domain),
		cmocka_unit_test(rfc5969_7_1_1_dhcp_option_is_v43),
		cmocka_unit_test(rfc5969_9_2_from_customer_edges),
		cmocka_unit_test(rfc5969_7_2_to_customer_edges),
		cmocka_unit_test(rfc5969_8_loopback_test_turns_round),
		cmocka_unit_test(rfc4213_3_6_configured_tunnels),
		cmocka_unit_test(rfc4213_3_8_the_ends_talk_to_each_other),
		cmocka_unit_test(rfc3964_6_1_most_specific_match_decides),
		cmocka_unit_test(packets_of_one_tunnel_do_not_leave_by_another),
		cmocka_unit_test(hg48_5_2_addresses_are_v46),
		cmocka_unit_test(hg48_5_3_payloads),
		cmocka_unit_test(hg48_5_5_towards_endpoints),
		cmocka_unit_test(hg48_5_6_from_endpoints),
		cmocka_unit_test(hg48_5_5_three_packets_until_it_answers),
		cmocka_unit_test(hg48_5_6_nobody_enters_uninvited),
		cmocka_unit_test(hg48_5_5_new_endpoints_are_rationed),
		cmocka_unit_test(mechanisms_that_could_loop_are_named),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
