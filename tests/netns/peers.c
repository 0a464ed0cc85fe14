// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many Teredo clients on one public address, and one native host, in one process that counts exactly.
 *
 *   peers CLIENT_NETNS NATIVE_NETNS CLIENT_IP SERVER_IP RELAY_IP:PORT NATIVE_IP6 CLIENTS PPS
 *
 * Each client answers the bubbles that the server hands on. When all have been reached it prints
 * «proven» and sends PPS numbered packets a second each way until its standard input ends; then it
 * prints what was sent, received, doubled, and received by the wrong client.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT0 20000
#define INNER_PORT 9000
#define SEQUENCES (1 << 24)

struct data {
	uint32_t client, sequence;
};

struct inner {
	struct ip6_hdr ip6;
	uint16_t sport, dport, len, check;
	struct data data;
};

struct count {
	uint64_t sent, got, doubled, wrong;
	uint8_t *seen; /* one bit for each sequence number */
};

static int epoll, native, n_clients, *client_fd;
static struct in6_addr *client_addr, native_addr;
static struct sockaddr_in relay;
static struct count up, down;
static int reached;
static uint8_t *is_reached;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(netns);
	close(fd);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void note(struct count *c, uint32_t sequence, int right)
{
	c->got++;
	c->wrong += !right;
	sequence %= SEQUENCES;
	if (c->seen[sequence / 8] & 1 << sequence % 8)
		c->doubled++;
	c->seen[sequence / 8] |= (uint8_t)(1 << sequence % 8);
}

static uint16_t checksum(const struct inner *p)
{
	const uint16_t *w = (const void *)&p->ip6.ip6_src;
	uint32_t sum = htons(IPPROTO_UDP) + p->len;

	for (size_t i = 0; i < (sizeof(*p) - 8) / 2; i++)
		sum += w[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0xffff : (uint16_t)~sum;
}

/* What came to client i: through the server a bubble to be answered, from the relay data. */
static void client_reads(int i)
{
	uint8_t buf[2048] __attribute__((aligned(8)));
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(client_fd[i], buf, sizeof(buf), MSG_DONTWAIT, (void *)&from, &from_len)) > 0) {
		struct ip6_hdr bubble = { .ip6_flow = htonl(6U << 28), .ip6_nxt = 59, .ip6_hlim = 255 };
		struct inner in;

		if (n == 48 && buf[0] == 0) {
			bubble.ip6_src = client_addr[i];
			memcpy(&bubble.ip6_dst, buf + 8 + 8, 16);
			sendto(client_fd[i], &bubble, sizeof(bubble), 0, (void *)&relay, sizeof(relay));
			continue;
		}
		if (n != sizeof(in) || from.sin_addr.s_addr != relay.sin_addr.s_addr)
			continue;
		memcpy(&in, buf, sizeof(in));
		if (in.data.sequence == UINT32_MAX) {
			reached += !is_reached[i];
			is_reached[i] = 1;
		} else {
			note(&down, in.data.sequence, in.data.client == (uint32_t)i &&
			     !memcmp(&in.ip6.ip6_dst, &client_addr[i], 16));
		}
	}
}

static void native_reads(void)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	struct data d;

	while (recvfrom(native, &d, sizeof(d), MSG_DONTWAIT, (void *)&from, &len) == sizeof(d))
		note(&up, d.sequence, d.client < (uint32_t)n_clients &&
		     !memcmp(&from.sin6_addr, &client_addr[d.client], 16));
}

/* Returns whether anything came. */
static int receive(int wait_ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(epoll, ev, 256, wait_ms);

	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 == UINT32_MAX)
			native_reads();
		else
			client_reads((int)ev[i].data.u32);
	}
	return n > 0;
}

static void send_down(int i, uint32_t sequence)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(INNER_PORT) };
	struct data d = { (uint32_t)i, sequence };

	to.sin6_addr = client_addr[i];
	if (sendto(native, &d, sizeof(d), 0, (void *)&to, sizeof(to)) == sizeof(d) && sequence != UINT32_MAX)
		down.sent++;
}

static void send_up(int i, uint32_t sequence)
{
	struct inner p = { .ip6 = { .ip6_flow = htonl(6U << 28), .ip6_plen = htons(16), .ip6_nxt = IPPROTO_UDP, .ip6_hlim = 64 },
			   .sport = htons(INNER_PORT), .dport = htons(INNER_PORT), .len = htons(16),
			   .data = { (uint32_t)i, sequence } };

	p.ip6.ip6_src = client_addr[i];
	p.ip6.ip6_dst = native_addr;
	p.check = checksum(&p);
	if (sendto(client_fd[i], &p, sizeof(p), 0, (void *)&relay, sizeof(relay)) == sizeof(p))
		up.sent++;
}

static void watch(int fd, uint32_t id)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = id };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		die("epoll");
}

static void open_sockets(char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(INNER_PORT) };
	struct in_addr server;
	int size = 8 << 20;

	enter(argv[1]);
	if (inet_pton(AF_INET, argv[3], &sin.sin_addr) != 1 || inet_pton(AF_INET, argv[4], &server) != 1)
		die("addresses");
	for (int i = 0; i < n_clients; i++) {
		uint16_t flags = htons((uint16_t)(rand() & 0x3cff)), port = htons((uint16_t)(PORT0 + i));
		uint8_t *a = client_addr[i].s6_addr;

		sin.sin_port = port;
		client_fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (client_fd[i] < 0 || bind(client_fd[i], (void *)&sin, sizeof(sin)))
			die("client socket");
		memcpy(a, "\x20\x01\0", 4);
		memcpy(a + 4, &server, 4);
		memcpy(a + 8, &flags, 2);
		memcpy(a + 10, &(uint16_t){ (uint16_t)~port }, 2);
		memcpy(a + 12, &(uint32_t){ ~sin.sin_addr.s_addr }, 4);
		watch(client_fd[i], (uint32_t)i);
	}
	enter(argv[2]);
	native = socket(AF_INET6, SOCK_DGRAM, 0);
	sin6.sin6_addr = native_addr;
	if (native < 0 || setsockopt(native, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(native, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    bind(native, (void *)&sin6, sizeof(sin6)))
		die("native socket");
	watch(native, UINT32_MAX);
}

/* One packet to each that has not been reached, a few at a time, until all have. */
static int prove(void)
{
	uint64_t end = now_us() + 120000000;

	while (reached < n_clients && now_us() < end)
		for (int i = 0; i < n_clients; i++) {
			if (!is_reached[i])
				send_down(i, UINT32_MAX);
			if (i % 20 == 0)
				receive(1);
		}
	return reached == n_clients;
}

static void load(uint32_t pps)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	uint64_t start = now_us();
	uint32_t n = 0;
	char c;

	for (;;) {
		uint64_t due = (now_us() - start) * pps / 1000000;

		for (int burst = 0; n < due && burst < 64; n++, burst++) {
			send_down((int)(n % (uint32_t)n_clients), n);
			send_up((int)(n % (uint32_t)n_clients), n);
		}
		receive(1);
		if (n % 1024 < 64 && poll(&in, 1, 0) == 1 && read(0, &c, 1) <= 0)
			break;
	}
	/* half a second in which nothing comes, and not only a time after which nobody looks */
	for (int quiet = 0; quiet < 50;)
		quiet = receive(10) ? 0 : quiet + 1;
}

static void print(const char *name, const struct count *c, const char *end)
{
	printf("\"%s\":{\"sent\":%llu,\"got\":%llu,\"doubled\":%llu,\"wrong\":%llu}%s", name,
	       (unsigned long long)c->sent, (unsigned long long)c->got, (unsigned long long)c->doubled,
	       (unsigned long long)c->wrong, end);
}

int main(int argc, char **argv)
{
	char *colon = argc == 9 ? strchr(argv[5], ':') : NULL;

	if (!colon)
		return 2;
	*colon++ = '\0';
	relay = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon)) };
	n_clients = atoi(argv[7]);
	client_fd = calloc((size_t)n_clients, sizeof(*client_fd));
	client_addr = calloc((size_t)n_clients, sizeof(*client_addr));
	is_reached = calloc((size_t)n_clients, 1);
	up.seen = calloc(SEQUENCES / 8, 1);
	down.seen = calloc(SEQUENCES / 8, 1);
	epoll = epoll_create1(0);
	if (inet_pton(AF_INET, argv[5], &relay.sin_addr) != 1 || inet_pton(AF_INET6, argv[6], &native_addr) != 1 ||
	    !client_fd || !client_addr || !is_reached || !up.seen || !down.seen || epoll < 0)
		die("start");
	open_sockets(argv);
	if (!prove()) {
		fprintf(stderr, "only %d of %d clients were reached\n", reached, n_clients);
		return 1;
	}
	puts("proven");
	fflush(stdout);
	load((uint32_t)atoi(argv[8]));
	printf("{");
	print("up", &up, ",");
	print("down", &down, "}\n");
	return 0;
}
