// SPDX-License-Identifier: GPL-2.0-or-later
/* Receiving from a socket in IPv4. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/errqueue.h>

#include "io/socket4.h"

struct socket4 {
	int fd;
	const char *what;
	__u32 overflows, told; /* as the kernel counts, and as we said */
	struct datagram gram[SOCKET4_BATCH];
	struct mmsghdr msg[SOCKET4_BATCH];
	struct iovec iov[SOCKET4_BATCH];
	struct sockaddr_in from[SOCKET4_BATCH];
	__u8 control[SOCKET4_BATCH][128] __attribute__((aligned(8)));
	__u8 payload[SOCKET4_BATCH][SOCKET4_PACKET] __attribute__((aligned(8)));
};

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int fail_options(const struct socket4 *s, struct error *e)
{
	return error_set(e, -errno, "options of the %s: %s", s->what, strerror(errno));
}

int socket4_set(struct socket4 *s, int option, int value, struct error *e)
{
	return set(s->fd, IPPROTO_IP, option, value) ? fail_options(s, e) : 0;
}

int socket4_new(int type, int protocol, const char *what, struct socket4 **ret, struct error *e)
{
	struct socket4 *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->what = what;
	s->fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (s->fd < 0) {
		err = error_set(e, -errno, "%s: %s", what, strerror(errno));
		free(s);
		return err;
	}
	/*
	 * DF off (RFC 4380 5.1.2), unless a header of ours says otherwise, and nobody's word on a path is
	 * taken: anybody may forge it, and the kernel would keep it for ten minutes.
	 */
	if (set(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT) ||
	    set(s->fd, IPPROTO_IP, IP_RECVERR, 1) || set(s->fd, SOL_SOCKET, SO_RXQ_OVFL, 1)) {
		err = fail_options(s, e);
		socket4_free(s);
		return err;
	}
	if (set(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET4_BUFFER))
		set(s->fd, SOL_SOCKET, SO_RCVBUF, SOCKET4_BUFFER);
	for (int i = 0; i < SOCKET4_BATCH; i++)
		s->iov[i] = (struct iovec){ s->payload[i], SOCKET4_PACKET };
	*ret = s;
	return 0;
}

struct socket4 *socket4_free(struct socket4 *s)
{
	if (s) {
		close(s->fd);
		free(s);
	}
	return NULL;
}

int socket4_fd(const struct socket4 *s)
{
	return s->fd;
}

static void read_control(struct socket4 *s, struct msghdr *h, struct datagram *d)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			d->tos = *CMSG_DATA(c);
		else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&s->overflows, CMSG_DATA(c), sizeof(s->overflows));
	}
}

int socket4_receive(struct socket4 *s, struct datagram **batch)
{
	int n;

	for (int i = 0; i < SOCKET4_BATCH; i++)
		s->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &s->from[i],
			.msg_namelen = sizeof(s->from[i]),
			.msg_iov = &s->iov[i],
			.msg_iovlen = 1,
			.msg_control = s->control[i],
			.msg_controllen = sizeof(s->control[i]),
		};
	n = recvmmsg(s->fd, s->msg, SOCKET4_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		s->gram[i] = (struct datagram){
			.payload = s->payload[i],
			.len = s->msg[i].msg_len,
			.from = { s->from[i].sin_addr.s_addr, s->from[i].sin_port, 0 },
		};
		read_control(s, &s->msg[i].msg_hdr, &s->gram[i]);
	}
	*batch = s->gram;
	return n;
}

__u32 socket4_overflows(struct socket4 *s)
{
	__u32 n = s->overflows - s->told;

	s->told = s->overflows;
	return n;
}

int socket4_error(struct socket4 *s, struct socket4_error *ret)
{
	struct iovec iov = { ret->quote, sizeof(ret->quote) };
	__u8 control[512] __attribute__((aligned(8)));
	struct sockaddr_in to = { 0 };
	struct msghdr h = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov,
			    .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(s->fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT);

	if (n < 0)
		return 0;
	ret->to = (struct endpoint4){ to.sin_addr.s_addr, to.sin_port, 0 };
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
