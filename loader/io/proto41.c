// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening the raw socket, and sending by it. */
#include <errno.h>
#include <sys/socket.h>

#include "io/proto41.h"

int proto41_open(struct proto41 *p, struct error *e)
{
	int err = socket4_new(SOCK_RAW, IPPROTO_IPV6, "socket of protocol 41", &p->socket, e);

	if (err == -EPERM)
		error_set(e, err, "CAP_NET_RAW is missing, which opens the socket of 6to4, 6rd and "
			  "6in4: run as root, or give it too (AmbientCapabilities= of the unit)");
	return err ? err : socket4_set(p->socket, IP_HDRINCL, 1, e);
}

/* Whole if it fits its link; errno is EMSGSIZE if not. */
static bool send_as(struct proto41 *p, struct iphdr *ip, const void *pkt, size_t len)
{
	struct sockaddr_in sin = { AF_INET, 0, { ip->daddr }, { 0 } };
	struct iovec iov[] = { { ip, sizeof(*ip) }, { (void *)pkt, len } };
	struct msghdr h = { .msg_name = &sin, .msg_namelen = sizeof(sin), .msg_iov = iov, .msg_iovlen = 2 };

	/* an ICMP error that waits in the queue fails one send, which is then repeated */
	for (int tries = 0; tries < 3; tries++)
		if (sendmsg(socket4_fd(p->socket), &h, 0) >= 0)
			return true;
		else if (errno == EMSGSIZE)
			break;
	return false;
}

/* Length and checksum of what has its own header are the kernel's to write; to divide it is ours. */
static bool send_in_halves(struct proto41 *p, struct iphdr *ip, const __u8 *pkt, size_t len)
{
	const size_t half = (len / 2 + 7) & ~(size_t)7;

	ip->id = BE16(p->id = p->id + 1 ? p->id + 1 : 1);
	ip->frag_off = BE16(0x2000);
	if (!send_as(p, ip, pkt, half))
		return false;
	ip->frag_off = BE16(half / 8);
	return send_as(p, ip, pkt + half, len - half);
}

int proto41_send(struct proto41 *p, const volatile struct tunnel_link *link, const struct outer4 *to,
		 const void *pkt, size_t len)
{
	struct iphdr ip;

	proto41_header(&ip, link, to, pkt, (__u32)len, 0); /* the kernel picks the ID */
	if (send_as(p, &ip, pkt, len) || (errno == EMSGSIZE && !link->df && send_in_halves(p, &ip, pkt, len)))
		return 0;
	return -errno;
}
