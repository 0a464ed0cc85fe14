/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMPv6 errors that the kernel cannot know of (RFC 4443).
 */
#ifndef NAVALISD_ICMP6_H
#define NAVALISD_ICMP6_H

#include "navalis/bytes.h"

#define ICMP6_ERROR_MAX 1280 /* RFC 4443 2.4 (c) */

/*
 * Destination Unreachable, code 3 (address unreachable, section 3.1) about the IPv6 packet pkt,
 * which is long enough for its header. Returns the bytes written, 0 when section 2.4 (e) forbids an
 * answer to this packet, or -ENOBUFS.
 */
int icmp6_address_unreachable(void *buf, size_t size, const struct in6_addr *src, const void *pkt,
			      size_t len);

#endif
