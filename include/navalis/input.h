/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people write, as navalisd and navalisctl both take it: names of instances, prefixes,
 * clients.
 */
#ifndef NAVALIS_INPUT_H
#define NAVALIS_INPUT_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "teredo.h"

/* The name of an instance: its folder, its lock and its socket are called so. */
static inline bool input_instance(const char *text)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t n = strspn(text, good);

	return n && n <= 15 && !text[n];
}

/* ADDRESS or ADDRESS/LENGTH of a family; addr is an in_addr or an in6_addr, with its host bits. */
static inline bool input_prefix(int family, const char *text, void *addr, __u32 *len)
{
	const __u32 bits = family == AF_INET ? 32 : 128;
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text), digits;
	char copy[INET6_ADDRSTRLEN];

	*len = bits;
	if (slash) {
		digits = strspn(slash + 1, "0123456789");
		if (!digits || digits > 3 || slash[1 + digits])
			return false;
		*len = (__u32)strtoul(slash + 1, NULL, 10);
	}
	if (n >= sizeof(copy) || *len > bits)
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	return inet_pton(family, copy, addr) == 1;
}

/* An IPv4 network to look for; zero fits all. */
struct net4 {
	__be32 net, mask;
};

/* Host bits are cut off. */
static inline bool input_net4(const char *text, struct net4 *ret)
{
	__u32 len;

	if (!input_prefix(AF_INET, text, &ret->net, &len))
		return false;
	ret->mask = len ? BE32(~0U << (32 - len)) : 0;
	ret->net &= ret->mask;
	return true;
}

static inline bool net4_has(const struct net4 *n, __be32 addr)
{
	return (addr & n->mask) == n->net;
}

/* The address of a Teredo client. */
static inline bool input_client(const char *text, struct in6_addr *ret)
{
	return inet_pton(AF_INET6, text, ret) == 1 && teredo_is(ret);
}

#endif
