// SPDX-License-Identifier: GPL-2.0-or-later
/* The UDP socket. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/errqueue.h>

#include "io/udp.h"

#define BUFFER (8 << 20)

struct udp {
	int fd;
	__u32 overflows, told; /* as the kernel counts, and as we said */
	struct datagram gram[UDP_BATCH];
	struct mmsghdr msg[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct sockaddr_in from[UDP_BATCH];
	__u8 control[UDP_BATCH][128] __attribute__((aligned(8)));
	__u8 payload[UDP_BATCH][UDP_PAYLOAD] __attribute__((aligned(8)));
};

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int bind_to(int fd, struct endpoint4 service, struct error *e)
{
	struct sockaddr_in sin = { AF_INET, service.port, { service.addr }, { 0 } };
	char text[INET_ADDRSTRLEN];
	int err;

	if (!bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
		return 0;
	err = -errno;
	inet_ntop(AF_INET, &sin.sin_addr, text, sizeof(text));
	if (err == -EADDRNOTAVAIL)
		return error_set(e, err, "service address %s is not on this host: "
				 "ip address add %s/32 dev INTERFACE", text, text);
	if (err == -EADDRINUSE)
		return error_set(e, err, "UDP port %u of %s is taken by another program: "
				 "ss -ulpn 'sport = :%u' names it", HOST16(service.port), text,
				 HOST16(service.port));
	return error_set(e, err, "UDP socket cannot be bound to %s:%u: %s", text,
			 HOST16(service.port), strerror(-err));
}

int udp_new(struct endpoint4 service, struct udp **ret, struct error *warning, struct error *e)
{
	struct udp *u = calloc(1, sizeof(*u));
	socklen_t len = sizeof(int);
	int got = 0, err;

	if (!u)
		return error_set(e, -ENOMEM, "out of memory");
	u->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	if (u->fd < 0) {
		err = error_set(e, -errno, "UDP socket: %s", strerror(errno));
		free(u);
		return err;
	}
	/*
	 * DF off, RFC 4380 5.1.2, and nobody's word on a path is taken: anybody may forge it, and the kernel
	 * would keep it for ten minutes. Errors are read with what they quote; ECN needs the TOS.
	 */
	if (set(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT) ||
	    set(u->fd, IPPROTO_IP, IP_RECVERR, 1) || set(u->fd, IPPROTO_IP, IP_RECVTOS, 1) ||
	    set(u->fd, SOL_SOCKET, SO_RXQ_OVFL, 1)) {
		err = error_set(e, -errno, "options of the UDP socket: %s", strerror(errno));
		udp_free(u);
		return err;
	}
	if (set(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER))
		set(u->fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
	getsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &got, &len);
	warning->text[0] = '\0';
	if (got < BUFFER)
		error_set(warning, 0, "UDP receive buffer is %d bytes, not %d: "
			  "sysctl -w net.core.rmem_max=%d", got, 2 * BUFFER, BUFFER);
	err = bind_to(u->fd, service, e);
	if (err) {
		udp_free(u);
		return err;
	}
	for (int i = 0; i < UDP_BATCH; i++)
		u->iov[i] = (struct iovec){ u->payload[i], UDP_PAYLOAD };
	*ret = u;
	return 0;
}

struct udp *udp_free(struct udp *u)
{
	if (u) {
		close(u->fd);
		free(u);
	}
	return NULL;
}

int udp_fd(const struct udp *u)
{
	return u->fd;
}

static void read_control(struct udp *u, struct msghdr *h, struct datagram *d)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			d->tos = *CMSG_DATA(c);
		else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
			memcpy(&u->overflows, CMSG_DATA(c), sizeof(u->overflows));
	}
}

int udp_receive(struct udp *u, struct datagram **batch)
{
	int n;

	for (int i = 0; i < UDP_BATCH; i++)
		u->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &u->from[i],
			.msg_namelen = sizeof(u->from[i]),
			.msg_iov = &u->iov[i],
			.msg_iovlen = 1,
			.msg_control = u->control[i],
			.msg_controllen = sizeof(u->control[i]),
		};
	n = recvmmsg(u->fd, u->msg, UDP_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		u->gram[i] = (struct datagram){
			.payload = u->payload[i],
			.len = u->msg[i].msg_len,
			.from = { u->from[i].sin_addr.s_addr, u->from[i].sin_port, 0 },
		};
		read_control(u, &u->msg[i].msg_hdr, &u->gram[i]);
	}
	*batch = u->gram;
	return n;
}

__u32 udp_overflows(struct udp *u)
{
	__u32 n = u->overflows - u->told;

	u->told = u->overflows;
	return n;
}

int udp_send(struct udp *u, struct endpoint4 to, const void *payload, size_t len)
{
	struct sockaddr_in sin = { AF_INET, to.port, { to.addr }, { 0 } };

	/* an ICMP error that waits in the queue fails one send, which is then repeated */
	for (int tries = 0; tries < 3; tries++)
		if (sendto(u->fd, payload, len, 0, (struct sockaddr *)&sin, sizeof(sin)) >= 0)
			return 0;
	return -errno;
}

void udp_send_batch(struct udp *u, struct sending *batch, int n)
{
	struct mmsghdr msg[UDP_BATCH];
	struct sockaddr_in sin[UDP_BATCH];
	struct iovec iov[UDP_BATCH];

	for (int i = 0; i < n; i++) {
		batch[i].err = 0;
		sin[i] = (struct sockaddr_in){ AF_INET, batch[i].to.port, { batch[i].to.addr }, { 0 } };
		iov[i] = (struct iovec){ (void *)batch[i].payload, batch[i].len };
		msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &sin[i], .msg_namelen = sizeof(sin[i]),
							.msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	for (int at = 0, sent; at < n; at += sent) {
		sent = sendmmsg(u->fd, msg + at, (unsigned)(n - at), 0);
		if (sent > 0)
			continue;
		batch[at].err = udp_send(u, batch[at].to, batch[at].payload, batch[at].len);
		sent = 1;
	}
}

int udp_error(struct udp *u, struct udp_error *ret)
{
	struct iovec iov = { ret->quote, sizeof(ret->quote) };
	__u8 control[512] __attribute__((aligned(8)));
	struct sockaddr_in to = { 0 };
	struct msghdr h = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov,
			    .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(u->fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT);

	if (n < 0)
		return 0;
	ret->to = (struct endpoint4){ to.sin_addr.s_addr, to.sin_port, 0 };
	ret->len = (size_t)n;
	ret->type = ret->code = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		struct sock_extended_err err;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR)
			continue;
		memcpy(&err, CMSG_DATA(c), sizeof(err));
		if (err.ee_origin == SO_EE_ORIGIN_ICMP) {
			ret->type = err.ee_type;
			ret->code = err.ee_code;
		}
	}
	return 1;
}
