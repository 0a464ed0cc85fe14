/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the unit tests of 6to4, 6rd, 6in4 and HG48 share: a host, addresses, and a mechanism of each kind. */
#ifndef NAVALIS_UNIT_PROTO41_H
#define NAVALIS_UNIT_PROTO41_H

#include "unit.h"
#include "navalis/conflict.h"
#include "navalis/demux.h"

#define SIZE(v) (sizeof(v) / sizeof((v)[0]))

/* A host with 192.31.196.7, .8 and .9, and the lists of addresses that are never sent to. */
static struct nav_config cfg;
static struct nav_own own;

static inline void range(struct addr4_set *s, const char *first, const char *last)
{
	s->range[s->n++] = (struct addr4_range){ HOST32(in4(first)), HOST32(in4(last)) };
}

static inline int setup(void **st)
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

static inline struct prefix6 pfx(const char *text)
{
	struct prefix6 p;
	char addr[64];
	unsigned int len;

	assert_int_equal(sscanf(text, "%63[^/]/%u", addr, &len), 2);
	p.addr = in6(addr);
	p.len = len;
	return p;
}

static inline void expect_outer(const struct outer4 *to, const char *src, const char *dst)
{
	assert_int_equal(to->src.addr, in4(src));
	assert_int_equal(to->dst.addr, in4(dst));
}

/* ---- addresses -------------------------------------------------------------------------------- */

/* 6to4: a host, and one that is native */
#define HOST4 "9.254.253.252"
#define HOST6 "2002:9fe:fdfc:1::1"
#define NATIVE "2001:db8:1::7"

/* 6rd: a customer edge, a border relay, and one that is native */
#define CE4 "10.100.100.1"
#define CE6 "2001:db8:6464:100::1"
#define BR4 "10.0.0.1"
#define FAR6 "2a00:1450::1"

static inline const char *text6(struct in6_addr a)
{
	static char buf[4][INET6_ADDRSTRLEN];
	static int i;

	i = (i + 1) % 4;
	return inet_ntop(AF_INET6, &a, buf[i], sizeof(buf[i]));
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

/* ---- one of each -------------------------------------------------------------------------------- */

static inline struct sixto4_config relay_config(void)
{
	return (struct sixto4_config){
		.local = in4("192.31.196.7"),
		.source = in4("192.31.196.7"),
		.link = { .mtu = 1280 },
	};
}

static inline struct sixrd_domain domain(const char *prefix, const char *v4, __u32 v4_len, const char *br)
{
	return (struct sixrd_domain){
		.prefix = pfx(prefix),
		.v4 = in4(v4),
		.v4_len = v4_len,
		.br = in4(br),
		.link = { .mtu = 1480, .copy_class = 1 },
	};
}

static inline struct sixin4_tunnel tunnel(const char *remote, __u32 id, const char *prefix)
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

#endif
