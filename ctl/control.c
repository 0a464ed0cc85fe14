// SPDX-License-Identifier: GPL-2.0-or-later
/* Orders to a running daemon, over its control socket. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

/* One order: everything has to be done by a time of CLOCK_MONOTONIC. */
struct call {
	int fd;
	__u64 end_ms;
};

static __u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (__u64)t.tv_sec * 1000 + (__u64)t.tv_nsec / 1000000;
}

/* 0, or -ETIMEDOUT. */
static int wait_for(const struct call *call, short events)
{
	struct pollfd p = { .fd = call->fd, .events = events };
	__u64 now = now_ms();
	int n;

	if (now >= call->end_ms)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)(call->end_ms - now));
	return n > 0 ? 0 : n ? -errno : -ETIMEDOUT;
}

/* 0 or -errno. It waits while the daemon's queue of callers is full, and ends early if it is stopped and continued. */
static int connect_by(const struct call *call, const struct sockaddr_un *at)
{
	struct timeval patience;
	__u64 now;
	int err;

	do {
		now = now_ms();
		if (now >= call->end_ms)
			return -ETIMEDOUT;
		patience.tv_sec = (time_t)((call->end_ms - now) / 1000);
		patience.tv_usec = (suseconds_t)((call->end_ms - now) % 1000 * 1000);
		setsockopt(call->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		err = connect(call->fd, (const struct sockaddr *)at, sizeof(*at)) ? -errno : 0;
	} while (err == -EINTR);
	return err == -EAGAIN ? -ETIMEDOUT : err;
}

static int call_up(const struct ctl *c, unsigned patience_s, struct call *call)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int err;

	call->end_ms = now_ms() + patience_s * 1000;
	call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (call->fd < 0)
		return -errno;
	snprintf(at.sun_path, sizeof(at.sun_path), NAV_SOCKET, c->instance);
	err = connect_by(call, &at);
	if (err)
		close(call->fd);
	return err;
}

/* The whole answer, to be freed. One that hangs up early may have answered all the same. */
static int converse(const struct call *call, const char *request, char **ret)
{
	char *answer = NULL, buf[65536];
	size_t len = 0;
	FILE *f = open_memstream(&answer, &len);
	ssize_t n = -1;
	int err;

	if (!f)
		return -ENOMEM;
	if (send(call->fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
		send(call->fd, "\n", 1, MSG_NOSIGNAL);
	do {
		err = wait_for(call, POLLIN);
		n = err ? -1 : recv(call->fd, buf, sizeof(buf), 0);
		if (n > 0)
			fwrite(buf, 1, (size_t)n, f);
	} while (n > 0);
	if (fclose(f) && !err)
		err = -ENOMEM;
	if (err || !len) {
		free(answer);
		return err ? err : -ECONNRESET;
	}
	*ret = answer;
	return 0;
}

static int ask(const struct ctl *c, const char *request, unsigned patience_s, char **answer)
{
	struct call call;
	int err = call_up(c, patience_s, &call);

	if (!err) {
		err = converse(&call, request, answer);
		close(call.fd);
	}
	switch (err) {
	case 0:
		return EXIT_DONE;
	case -ENOENT:
	case -ECONNREFUSED:
		return ctl_fail(c, EXIT_NO_DAEMON,
				"no navalisd runs as instance %s: systemctl start navalisd, or "
				"--instance NAME",
				c->instance);
	case -EACCES:
	case -EPERM:
		return ctl_fail(c, EXIT_FAILED, "no right to give orders to navalisd: be root, or in its group");
	case -ETIMEDOUT:
		return ctl_fail(c, EXIT_FAILED,
				"navalisd has not answered within %u s: its log says what it did",
				patience_s);
	case -ECONNRESET:
		return ctl_fail(c, EXIT_FAILED,
				"navalisd hung up without an answer: no right to give it "
				"orders, or too many ask at once");
	default:
		return ctl_fail(c, EXIT_FAILED, "navalisd cannot be asked: %s", strerror(-err));
	}
}

/* Has the result all that it is to have? */
static bool is_whole(struct json_object *result, const struct member *members)
{
	struct json_object *o;

	for (; members->name; members++)
		if (!json_object_object_get_ex(result, members->name, &o) ||
		    !json_object_is_type(o, members->type))
			return false;
	return true;
}

int control_order(const struct ctl *c, struct json_object *request, unsigned patience_s,
		  const struct member *members, struct json_object **result)
{
	struct json_object *answer, *error, *o;
	char *text = NULL;
	const char *message;
	int code = ask(c, json_object_to_json_string(request), patience_s, &text);

	json_object_put(request);
	if (code)
		return code;
	answer = json_tokener_parse(text);
	free(text);
	if (json_object_object_get_ex(answer, "result", &o) && is_whole(o, members)) {
		*result = json_object_get(o);
	} else if (json_object_object_get_ex(answer, "error", &error) &&
		   json_object_object_get_ex(error, "message", &o)) {
		message = json_object_get_string(o);
		code = json_object_get_int(json_object_object_get(error, "code"));
		code = ctl_fail(c, code > 0 && code < 126 ? code : EXIT_FAILED, "%s",
				message ? message : "failed");
	} else {
		code = ctl_fail(c, EXIT_FAILED,
				"navalisd's answer is not understood: is it of another version?");
	}
	json_object_put(answer);
	return code;
}

struct json_object *control_request(const char *verb)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "verb", json_object_new_string(verb));
	return o;
}
