// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io_uring without its asynchrony: a call puts its writes into the ring, and leaves when all are done.
 * The kernel reads the ring only within that call, so it is ours alone before and after.
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/ring.h"

struct ring {
	int fd;
	struct io_uring_params p;
	__u8 *rings; /* the two queues */
	size_t size;
	struct io_uring_sqe *sqe;
};

struct ring *ring_new(void)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->rings = MAP_FAILED;
	r->sqe = MAP_FAILED;
	r->fd = (int)syscall(__NR_io_uring_setup, UDP_BATCH, &r->p);
	if (r->fd < 0 || !(r->p.features & IORING_FEAT_SINGLE_MMAP))
		return ring_free(r);
	r->size = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	if (r->size < r->p.sq_off.array + r->p.sq_entries * sizeof(__u32))
		r->size = r->p.sq_off.array + r->p.sq_entries * sizeof(__u32);
	r->rings = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->sqe = mmap(NULL, r->p.sq_entries * sizeof(*r->sqe), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      IORING_OFF_SQES);
	if (r->rings == MAP_FAILED || r->sqe == MAP_FAILED)
		return ring_free(r);
	for (__u32 i = 0; i < r->p.sq_entries; i++)
		((__u32 *)(r->rings + r->p.sq_off.array))[i] = i;
	return r;
}

struct ring *ring_free(struct ring *r)
{
	if (!r)
		return NULL;
	if (r->sqe != MAP_FAILED)
		munmap(r->sqe, r->p.sq_entries * sizeof(*r->sqe));
	if (r->rings != MAP_FAILED)
		munmap(r->rings, r->size);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
	return NULL;
}

static __u32 *at(struct ring *r, __u32 offset)
{
	return (__u32 *)(r->rings + offset);
}

static void submit(struct ring *r, int fd, const struct sending *batch, int n)
{
	const __u32 tail = *at(r, r->p.sq_off.tail);
	long done;

	for (int i = 0; i < n; i++)
		r->sqe[(tail + (__u32)i) % r->p.sq_entries] = (struct io_uring_sqe){
			.opcode = IORING_OP_WRITE,
			.fd = fd,
			.addr = (__u64)(uintptr_t)batch[i].payload,
			.len = (__u32)batch[i].len,
			.user_data = (__u64)i,
		};
	__atomic_store_n(at(r, r->p.sq_off.tail), tail + (__u32)n, __ATOMIC_RELEASE);
	for (; n > 0; n -= (int)done) {
		done = syscall(__NR_io_uring_enter, r->fd, n, n, IORING_ENTER_GETEVENTS, NULL, 0);
		if (done <= 0)
			break;
	}
	/* what the kernel has not taken is not to be taken the next time */
	*at(r, r->p.sq_off.tail) = __atomic_load_n(at(r, r->p.sq_off.head), __ATOMIC_ACQUIRE);
}

static void collect(struct ring *r, struct sending *batch)
{
	const struct io_uring_cqe *all = (void *)(r->rings + r->p.cq_off.cqes);
	const __u32 tail = __atomic_load_n(at(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE);
	__u32 head = *at(r, r->p.cq_off.head);

	for (; head != tail; head++) {
		const struct io_uring_cqe *c = &all[head % r->p.cq_entries];
		struct sending *s = &batch[c->user_data];

		s->err = c->res < 0 ? c->res : (size_t)c->res == s->len ? 0 : -EIO;
	}
	__atomic_store_n(at(r, r->p.cq_off.head), head, __ATOMIC_RELEASE);
}

void ring_write(struct ring *r, int fd, struct sending *batch, int n)
{
	for (int i = 0; i < n; i++)
		batch[i].err = r || write(fd, batch[i].payload, batch[i].len) != (ssize_t)batch[i].len ? -EIO : 0;
	if (r && n) {
		submit(r, fd, batch, n);
		collect(r, batch);
	}
}
