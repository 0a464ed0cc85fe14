/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket, /run/navalis/INSTANCE.sock: one JSON object and a newline each way, then it is
 * closed. For root, the daemon's own user, and its group.
 */
#ifndef NAVALISD_CONTROL_H
#define NAVALISD_CONTROL_H

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "log.h"

struct control;

/*
 * Answers a request; the request stays the control's, the answer becomes it. NULL: the answer comes
 * later, through control_give(), and until then no other request.
 */
typedef struct json_object *control_answer(void *data, struct json_object *request);

/* Takes over the path from a daemon that is dead: the caller holds the lock of the instance. */
int control_new(const char *instance, sd_event *event, control_answer *answer, void *data,
		struct control **ret, struct error *e);
struct control *control_free(struct control *c);

/* No request from now on, until the end of what nobody has asked for here. */
void control_hold(struct control *c);

/* The answer that was still owed, if it was, and if whoever asked has not hung up. */
void control_give(struct control *c, struct json_object *answer);

/* {"result": result}, which takes the reference; and {"error": {"code", "message"}}. */
struct json_object *control_result(struct json_object *result);
struct json_object *control_error(int code, const char *message);

#endif
