// SPDX-License-Identifier: GPL-2.0-or-later
/* Orders to a running daemon, over its control socket. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"

#define PATIENCE_S 30 /* a reload loads and attaches a program */

static int call(const struct ctl *c)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	snprintf(at.sun_path, sizeof(at.sun_path), "/run/navalis/%s.sock", c->instance);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The whole answer, to be freed; NULL when the line broke. */
static char *converse(int fd, const char *request)
{
	char *answer = NULL, buf[65536];
	size_t len = 0;
	FILE *f = open_memstream(&answer, &len);
	ssize_t n = -1;

	if (!f)
		return NULL;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
	    send(fd, "\n", 1, MSG_NOSIGNAL) == 1)
		while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
			fwrite(buf, 1, (size_t)n, f);
	fclose(f);
	if (n < 0 || !len) {
		free(answer);
		return NULL;
	}
	return answer;
}

static int no_daemon(const struct ctl *c, int err)
{
	if (err == -EACCES || err == -EPERM)
		return ctl_fail(c, EXIT_FAILED, "no right to give orders to navalisd: be root, or in its group");
	return ctl_fail(c, EXIT_NO_DAEMON, "no navalisd runs as instance %s: systemctl start navalisd, or "
			"--instance NAME", c->instance);
}

int control_order(const struct ctl *c, struct json_object *request, struct json_object **result)
{
	struct json_object *answer, *error = NULL;
	int fd = call(c), code;
	char *text;

	if (fd < 0) {
		json_object_put(request);
		return no_daemon(c, fd);
	}
	text = converse(fd, json_object_to_json_string(request));
	json_object_put(request);
	close(fd);
	answer = text ? json_tokener_parse(text) : NULL;
	free(text);
	if (json_object_object_get_ex(answer, "result", result)) {
		json_object_get(*result);
		json_object_put(answer);
		return EXIT_DONE;
	}
	if (json_object_object_get_ex(answer, "error", &error)) {
		code = json_object_get_int(json_object_object_get(error, "code"));
		code = ctl_fail(c, code ? code : EXIT_FAILED, "%s",
				json_object_get_string(json_object_object_get(error, "message")));
	} else {
		code = ctl_fail(c, EXIT_FAILED, "navalisd hung up without an answer: no right to give it "
				"orders, or too many ask at once");
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
