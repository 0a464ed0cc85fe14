// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/control.h"
#include "navalis/abi.h"

#define CALLERS 8         /* at once */
#define REQUEST 4096      /* bytes */
#define PATIENCE_US 5000000 /* for a request to be complete, and its answer to be read */

struct caller {
	struct control *control;
	int fd; /* -1: a free place */
	char request[REQUEST];
	size_t n_request;
	char *answer; /* NULL while the request is being read */
	size_t n_answer, sent;
	bool complete; /* the request is */
	sd_event_source *io, *patience;
};

struct control {
	struct sockaddr_un path;
	int fd;
	sd_event *event;
	sd_event_source *io;
	control_answer *answer;
	void *data;
	struct caller caller[CALLERS];
	struct caller *owed; /* its answer is still to come; NULL: nobody waits for one */
	bool busy;           /* with a request: the others wait */
};

struct json_object *control_result(struct json_object *result)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "result", result);
	return o;
}

struct json_object *control_error(int code, const char *message)
{
	struct json_object *o = json_object_new_object(), *error = json_object_new_object();

	json_object_object_add(error, "code", json_object_new_int(code));
	json_object_object_add(error, "message", json_object_new_string(message));
	json_object_object_add(o, "error", error);
	return o;
}

static void hang_up(struct caller *c)
{
	c->io = sd_event_source_disable_unref(c->io);
	c->patience = sd_event_source_disable_unref(c->patience);
	if (c->fd >= 0)
		close(c->fd);
	free(c->answer);
	c->answer = NULL;
	c->fd = -1;
	c->complete = false;
	if (c->control && c->control->owed == c)
		c->control->owed = NULL;
}

static void give(struct caller *c, struct json_object *answer)
{
	const char *text = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_NOSLASHESCAPE);
	int n = asprintf(&c->answer, "%s\n", text);

	json_object_put(answer);
	if (n < 0) {
		c->answer = NULL;
		hang_up(c);
		return;
	}
	c->n_answer = (size_t)n;
	sd_event_source_set_io_events(c->io, EPOLLOUT);
	sd_event_source_set_time_relative(c->patience, PATIENCE_US);
	sd_event_source_set_enabled(c->patience, SD_EVENT_ONESHOT);
}

static void obey(struct caller *c)
{
	struct json_object *request = json_tokener_parse(c->request), *answer;

	c->complete = false;
	answer = json_object_is_type(request, json_type_object) ?
			 c->control->answer(c->control->data, request) :
			 control_error(2, "the request is not a JSON object");
	json_object_put(request);
	c->control->busy = !answer;
	if (answer)
		give(c, answer);
	else
		c->control->owed = c;
}

/* From here on it is our time that passes, and all that can come of the caller is that it hangs up. */
static void take_request(struct caller *c)
{
	c->complete = true;
	sd_event_source_set_io_events(c->io, 0);
	sd_event_source_set_enabled(c->patience, SD_EVENT_OFF);
	if (!c->control->busy)
		obey(c);
}

void control_hold(struct control *control)
{
	control->busy = true;
}

void control_give(struct control *control, struct json_object *answer)
{
	struct caller *c = control->owed;

	control->busy = false;
	control->owed = NULL;
	if (c)
		give(c, answer);
	else
		json_object_put(answer);
	for (c = control->caller; c < control->caller + CALLERS && !control->busy; c++)
		if (c->complete)
			obey(c);
}

/* The rest is read as well: with it unread the answer would be lost at the end of the connection. */
static void refuse_long(struct caller *c)
{
	char rest[REQUEST];

	while (recv(c->fd, rest, sizeof(rest), 0) > 0)
		;
	give(c, control_error(2, "the request is too long"));
}

static void read_request(struct caller *c)
{
	ssize_t n = recv(c->fd, c->request + c->n_request, REQUEST - 1 - c->n_request, 0);

	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->n_request += (size_t)n;
	c->request[c->n_request] = '\0';
	if (strchr(c->request, '\n'))
		take_request(c);
	else if (c->n_request == REQUEST - 1)
		refuse_long(c);
}

static void write_answer(struct caller *c)
{
	ssize_t n = send(c->fd, c->answer + c->sent, c->n_answer - c->sent, MSG_NOSIGNAL);

	if (n > 0)
		c->sent += (size_t)n;
	if (n <= 0 || c->sent == c->n_answer)
		hang_up(c);
}

static int on_caller(sd_event_source *s, int fd, uint32_t revents, void *data)
{
	struct caller *c = data;

	(void)s, (void)fd;
	if (c->complete || c == c->control->owed) {
		if (revents & EPOLLHUP)
			hang_up(c);
	} else if (c->answer)
		write_answer(c);
	else
		read_request(c);
	return 0;
}

static int on_patience(sd_event_source *s, uint64_t usec, void *data)
{
	(void)s, (void)usec;
	hang_up(data);
	return 0;
}

/* Is the peer a member beside its primary group, which alone its credentials carry? */
static bool has_group(int fd, gid_t group)
{
	socklen_t size = 0;
	bool found = false;
	gid_t *groups;

	/* says how large the list is */
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) || errno != ERANGE)
		return false;
	groups = malloc(size);
	if (groups && !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
		for (size_t i = 0; i < size / sizeof(*groups) && !found; i++)
			found = groups[i] == group;
	free(groups);
	return found;
}

/* Who may give orders: the file's mode says the same, but a folder may be shared by mistake. */
static bool is_welcome(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid() ||
		has_group(fd, getegid()));
}

static struct caller *free_place(struct control *control)
{
	for (struct caller *c = control->caller; c < control->caller + CALLERS; c++)
		if (c->fd < 0)
			return c;
	return NULL;
}

static int on_call(sd_event_source *s, int listening, uint32_t revents, void *data)
{
	struct control *control = data;
	struct caller *c = free_place(control);
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)s, (void)revents;
	if (fd < 0)
		return 0;
	if (!c || !is_welcome(fd)) {
		close(fd);
		return 0;
	}
	*c = (struct caller){ .control = control, .fd = fd };
	if (sd_event_add_io(control->event, &c->io, fd, EPOLLIN, on_caller, c) < 0 ||
	    sd_event_add_time_relative(control->event, &c->patience, CLOCK_MONOTONIC, PATIENCE_US, 0,
				       on_patience, c) < 0)
		hang_up(c);
	return 0;
}

int control_new(const char *instance, sd_event *event, control_answer *answer, void *data,
		struct control **ret, struct error *e)
{
	struct control *c = calloc(1, sizeof(*c));
	int err = 0;

	if (!c)
		return error_set(e, -ENOMEM, "out of memory");
	c->event = event;
	c->answer = answer;
	c->data = data;
	c->path.sun_family = AF_UNIX;
	for (int i = 0; i < CALLERS; i++)
		c->caller[i].fd = -1;
	snprintf(c->path.sun_path, sizeof(c->path.sun_path), NAV_SOCKET, instance);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(c->path.sun_path);
	/* nobody can connect before listen(), and by then the mode is right */
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&c->path, sizeof(c->path)) ||
	    chmod(c->path.sun_path, 0660) || listen(c->fd, CALLERS))
		err = -errno;
	if (!err)
		err = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_call, c);
	if (err < 0) {
		error_set(e, err, "control socket %s: %s", c->path.sun_path, strerror(-err));
		control_free(c);
		return err;
	}
	*ret = c;
	return 0;
}

struct control *control_free(struct control *c)
{
	if (!c)
		return NULL;
	for (int i = 0; i < CALLERS; i++)
		hang_up(&c->caller[i]);
	sd_event_source_disable_unref(c->io);
	if (c->fd >= 0) {
		unlink(c->path.sun_path);
		close(c->fd);
	}
	free(c);
	return NULL;
}
