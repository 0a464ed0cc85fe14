// SPDX-License-Identifier: GPL-2.0-or-later
/* The raw socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/errqueue.h>

#include "io/proto41.h"

#define BUFFER (8 << 20)

struct proto41 {
	int fd;
	__u16 id;              /* of the last packet that had to be divided */
	__u32 overflows, told; /* as the kernel counts, and as we said */
	struct proto41_packet packet[PROTO41_BATCH];
	struct mmsghdr msg[PROTO41_BATCH];
	struct iovec iov[PROTO41_BATCH];
	__u8 control[PROTO41_BATCH][64] __attribute__((aligned(8)));
	__u8 bytes[PROTO41_BATCH][PROTO41_PACKET] __attribute__((aligned(8)));
};

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

int proto41_new(struct proto41 **ret, struct error *e)
{
	struct proto41 *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return error_set(e, -ENOMEM, "out of memory");
	p->fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_IPV6);
	if (p->fd < 0) {
		err = -errno;
		if (err == -EPERM)
			error_set(e, err, "CAP_NET_RAW is missing, which opens the socket of 6to4, 6rd and "
				  "6in4: run as root, or give it too (AmbientCapabilities= of the unit)");
		else
			error_set(e, err, "socket of protocol 41: %s", strerror(-err));
		free(p);
		return err;
	}
	/* the kernel is not to shorten a path for ten minutes because anybody says so: as in udp.c */
	if (set(p->fd, IPPROTO_IP, IP_HDRINCL, 1) ||
	    set(p->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT) ||
	    set(p->fd, IPPROTO_IP, IP_RECVERR, 1) || set(p->fd, SOL_SOCKET, SO_RXQ_OVFL, 1)) {
		err = error_set(e, -errno, "options of the socket of protocol 41: %s", strerror(errno));
		proto41_free(p);
		return err;
	}
	if (set(p->fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER))
		set(p->fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
	for (int i = 0; i < PROTO41_BATCH; i++)
		p->iov[i] = (struct iovec){ p->bytes[i], PROTO41_PACKET };
	*ret = p;
	return 0;
}

struct proto41 *proto41_free(struct proto41 *p)
{
	if (p) {
		close(p->fd);
		free(p);
	}
	return NULL;
}

int proto41_fd(const struct proto41 *p)
{
	return p->fd;
}

static void read_overflows(struct proto41 *p, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&p->overflows, CMSG_DATA(c), sizeof(p->overflows));
}

int proto41_receive(struct proto41 *p, struct proto41_packet **batch)
{
	int n;

	for (int i = 0; i < PROTO41_BATCH; i++)
		p->msg[i].msg_hdr = (struct msghdr){
			.msg_iov = &p->iov[i],
			.msg_iovlen = 1,
			.msg_control = p->control[i],
			.msg_controllen = sizeof(p->control[i]),
		};
	n = recvmmsg(p->fd, p->msg, PROTO41_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		p->packet[i] = (struct proto41_packet){ p->bytes[i], p->msg[i].msg_len };
		read_overflows(p, &p->msg[i].msg_hdr);
	}
	*batch = p->packet;
	return n;
}

__u32 proto41_overflows(struct proto41 *p)
{
	__u32 n = p->overflows - p->told;

	p->told = p->overflows;
	return n;
}

/* Whole if it fits its link; errno is EMSGSIZE if not. */
static bool send_as(struct proto41 *p, struct iphdr *ip, const void *pkt, size_t len)
{
	struct sockaddr_in sin = { AF_INET, 0, { ip->daddr }, { 0 } };
	struct iovec iov[] = { { ip, sizeof(*ip) }, { (void *)pkt, len } };
	struct msghdr h = { .msg_name = &sin, .msg_namelen = sizeof(sin), .msg_iov = iov, .msg_iovlen = 2 };

	/* an ICMP error that waits in the queue fails one send, which is then repeated */
	for (int tries = 0; tries < 3; tries++)
		if (sendmsg(p->fd, &h, 0) >= 0)
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

int proto41_error(struct proto41 *p, struct proto41_error *ret)
{
	struct iovec iov = { ret->quote, sizeof(ret->quote) };
	__u8 control[512] __attribute__((aligned(8)));
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(p->fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT);

	if (n < 0)
		return 0;
	ret->len = (size_t)n;
	ret->type = ret->code = 0;
	ret->mtu = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		struct sock_extended_err err;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR)
			continue;
		memcpy(&err, CMSG_DATA(c), sizeof(err));
		if (err.ee_origin == SO_EE_ORIGIN_ICMP) {
			ret->type = err.ee_type;
			ret->code = err.ee_code;
			ret->mtu = err.ee_errno == EMSGSIZE ? err.ee_info : 0;
		}
	}
	return 1;
}
