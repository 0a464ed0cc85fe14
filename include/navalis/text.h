/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses as people read them: the other way round of input.h. */
#ifndef NAVALIS_TEXT_H
#define NAVALIS_TEXT_H

#include <arpa/inet.h>
#include <stdio.h>
#include "addr4.h"
#include "addr6.h"

/* By value: a call may stand among the arguments of another. */
struct text {
	char s[64];
};

static inline struct text text_in4(__be32 a)
{
	struct text t;

	inet_ntop(AF_INET, &a, t.s, sizeof(t.s));
	return t;
}

static inline struct text text_in6(const struct in6_addr *a)
{
	struct text t;

	inet_ntop(AF_INET6, a, t.s, sizeof(t.s));
	return t;
}

static inline struct text text_endpoint(struct endpoint4 e)
{
	struct text t = text_in4(e.addr);

	snprintf(t.s + strlen(t.s), 8, ":%u", HOST16(e.port));
	return t;
}

static inline struct text text_prefix(const volatile struct prefix6 *p)
{
	const struct in6_addr a = { .s6_addr32 = { p->addr.s6_addr32[0], p->addr.s6_addr32[1],
						   p->addr.s6_addr32[2], p->addr.s6_addr32[3] } };
	struct text t = text_in6(&a);

	snprintf(t.s + strlen(t.s), 8, "/%u", p->len);
	return t;
}

#endif
