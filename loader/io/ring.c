// SPDX-License-Identifier: GPL-2.0-or-later
/* io_uring without its asynchrony: a call leaves when all its writes are done. */
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/ring.h"

struct ring {
	struct io_uring uring;
	bool broken; /* something is left in it that must not be written any more */
};

struct ring *ring_new(void)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (r && io_uring_queue_init(SOCKET4_BATCH, &r->uring, 0)) {
		free(r);
		r = NULL;
	}
	return r;
}

struct ring *ring_free(struct ring *r)
{
	if (r) {
		io_uring_queue_exit(&r->uring);
		free(r);
	}
	return NULL;
}

static void write_each(int fd, struct sending *batch, int n)
{
	for (int i = 0; i < n; i++)
		batch[i].err = write(fd, batch[i].payload, batch[i].len) == (ssize_t)batch[i].len ? 0 : -EIO;
}

static void submit(struct ring *r, int fd, const struct sending *batch, int n)
{
	for (int i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

		io_uring_prep_write(sqe, fd, batch[i].payload, (unsigned)batch[i].len, 0);
		io_uring_sqe_set_data64(sqe, (__u64)i);
	}
	while (n > 0) {
		const int done = io_uring_submit_and_wait(&r->uring, (unsigned)n);

		r->broken = done <= 0;
		if (r->broken)
			return;
		n -= done;
	}
}

static void collect(struct ring *r, struct sending *batch)
{
	struct io_uring_cqe *c;
	unsigned head, n = 0;

	io_uring_for_each_cqe(&r->uring, head, c) {
		struct sending *s = &batch[c->user_data];

		s->err = c->res < 0 ? c->res : (size_t)c->res == s->len ? 0 : -EIO;
		n++;
	}
	io_uring_cq_advance(&r->uring, n);
}

void ring_write(struct ring *r, int fd, struct sending *batch, int n)
{
	if (!r || r->broken) {
		write_each(fd, batch, n);
		return;
	}
	for (int i = 0; i < n; i++)
		batch[i].err = -EIO;
	if (n)
		submit(r, fd, batch, n);
	collect(r, batch);
}
