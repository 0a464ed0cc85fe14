// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening a UDP socket, and sending by it. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "io/udp.h"

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
		return error_set(e, err, "service address %s, for UDP port %u, is not on this host: "
				 "ip address add %s/32 dev INTERFACE", text, HOST16(service.port), text);
	if (err == -EADDRINUSE)
		return error_set(e, err, "UDP port %u of %s is taken by another program: "
				 "ss -ulpn 'sport = :%u' names it", HOST16(service.port), text,
				 HOST16(service.port));
	return error_set(e, err, "UDP socket cannot be bound to %s:%u: %s", text,
			 HOST16(service.port), strerror(-err));
}

int udp_new(struct endpoint4 service, struct socket4 **ret, struct error *warning, struct error *e)
{
	struct socket4 *s;
	socklen_t len = sizeof(int);
	int got = 0, err = socket4_new(SOCK_DGRAM, IPPROTO_UDP, "UDP socket", &s, e);

	if (err)
		return err;
	getsockopt(socket4_fd(s), SOL_SOCKET, SO_RCVBUF, &got, &len);
	warning->text[0] = '\0';
	if (got < SOCKET4_BUFFER)
		error_set(warning, 0, "UDP receive buffer is %d bytes, not %d: "
			  "sysctl -w net.core.rmem_max=%d", got, 2 * SOCKET4_BUFFER, SOCKET4_BUFFER);
	err = socket4_set(s, IP_RECVTOS, 1, e); /* for ECN */
	if (!err)
		err = bind_to(socket4_fd(s), service, e);
	if (err) {
		socket4_free(s);
		return err;
	}
	*ret = s;
	return 0;
}

int udp_send(struct socket4 *s, struct endpoint4 to, const void *payload, size_t len)
{
	struct sockaddr_in sin = { AF_INET, to.port, { to.addr }, { 0 } };

	/* an ICMP error that waits in the queue fails one send, which is then repeated */
	for (int tries = 0; tries < 3; tries++)
		if (sendto(socket4_fd(s), payload, len, 0, (struct sockaddr *)&sin, sizeof(sin)) >= 0)
			return 0;
	return -errno;
}

void udp_send_batch(struct socket4 *s, struct sending *batch, int n)
{
	struct mmsghdr msg[SOCKET4_BATCH];
	struct sockaddr_in sin[SOCKET4_BATCH];
	struct iovec iov[SOCKET4_BATCH];

	for (int i = 0; i < n; i++) {
		batch[i].err = 0;
		sin[i] = (struct sockaddr_in){ AF_INET, batch[i].to.port, { batch[i].to.addr }, { 0 } };
		iov[i] = (struct iovec){ (void *)batch[i].payload, batch[i].len };
		msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &sin[i], .msg_namelen = sizeof(sin[i]),
							.msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	for (int at = 0, sent; at < n; at += sent) {
		sent = sendmmsg(socket4_fd(s), msg + at, (unsigned)(n - at), 0);
		if (sent > 0)
			continue;
		batch[at].err = udp_send(s, batch[at].to, batch[at].payload, batch[at].len);
		sent = 1;
	}
}
