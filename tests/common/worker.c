/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 64

static struct worker workers[WORKERS_MAX];
static unsigned count;

struct order {
	act *what;
	unsigned n;
};

struct answer {
	int result;
	char error[256];
};

static void answer(int fd, int result)
{
	struct answer a = { result, "" };
	if (result < 0)
		snprintf(a.error, sizeof(a.error), "%s", semundo_error());
	ssize_t written;
	do
		written = write(fd, &a, sizeof(a));
	while (written < 0 && errno == EINTR);
	if (written != (ssize_t)sizeof(a))
		_exit(3);
}

static bool next_order(int fd, struct order *ret)
{
	ssize_t got;
	do
		got = read(fd, ret, sizeof(*ret));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(*ret);
}

static semundo_t *open_named(const char *name)
{
	semundo_t *sem;
	if (semundo_open(&sem, name, 0, NULL)) {
		fprintf(stderr, "a worker: %s\n", semundo_error());
		_exit(1);
	}
	return sem;
}

/* Until the parent closes its end. */
static void serve(int fd, uint32_t *busy, semundo_t *sem, const char *name)
{
	struct order order;
	while (next_order(fd, &order)) {
		if (!sem)
			sem = open_named(name);
		__atomic_store_n(busy, 1, __ATOMIC_SEQ_CST);
		int r = order.what(sem, order.n);
		__atomic_store_n(busy, 0, __ATOMIC_SEQ_CST);
		answer(fd, r);
	}
	semundo_close(sem);
	_exit(0);
}

static int receive_descriptor(int fd)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
		                  .msg_iovlen = 1,
		                  .msg_control = room,
		                  .msg_controllen = sizeof(room) };
	int received = -1;
	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(received));
	return received;
}

static semundo_t *open_received(int fd)
{
	semundo_t *sem;
	int received = receive_descriptor(fd);
	int r = semundo_open_fd(&sem, received, NULL);
	close(received);
	answer(fd, r);
	if (r)
		_exit(1);
	return sem;
}

/* In the child the parent's ends go, or no worker would see its end close. */
static struct worker *make(semundo_t *sem, const char *name)
{
	int ends[2];
	ck_assert_uint_lt(count, WORKERS_MAX);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	struct worker *w = &workers[count++];
	w->busy = shared_memory(sizeof(*w->busy));
	w->fd = ends[0];
	w->pid = fork_child();
	if (w->pid == 0) {
		for (unsigned i = 0; i < count; i++)
			if (workers[i].pid >= 0 && workers[i].fd >= 0)
				close(workers[i].fd);
		if (!sem && !name)
			sem = open_received(ends[1]);
		serve(ends[1], w->busy, sem, name);
	}
	close(ends[1]);
	return w;
}

struct worker *worker_open(const char *name)
{
	return make(NULL, name);
}

struct worker *worker_stranger(void)
{
	return make(NULL, NULL);
}

struct worker *worker_fork(semundo_t *sem)
{
	return make(sem, NULL);
}

void worker_give(struct worker *w, int fd)
{
	char byte = 'd', room[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
		                  .msg_iovlen = 1,
		                  .msg_control = room,
		                  .msg_controllen = sizeof(room) };
	memset(room, 0, sizeof(room));
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	ck_assert_int_eq((int)sendmsg(w->fd, &message, MSG_NOSIGNAL), 1);
	worker_result_must_be(w, 0);
}

void worker_start(struct worker *w, act *what, unsigned n)
{
	struct order order;
	memset(&order, 0, sizeof(order));
	order.what = what;
	order.n = n;
	ck_assert_int_eq((int)send(w->fd, &order, sizeof(order), MSG_NOSIGNAL), sizeof(order));
}

int worker_result(struct worker *w)
{
	struct pollfd ready = { .fd = w->fd, .events = POLLIN };
	struct answer a;
	int r;
	do
		r = poll(&ready, 1, LIMIT_SECONDS * 1000);
	while (r < 0 && errno == EINTR);
	ck_assert_msg(r == 1, "a worker is not done (state %s)", proc_line(w->pid, "wchan"));
	ck_assert_msg(read(w->fd, &a, sizeof(a)) == (ssize_t)sizeof(a), "a worker ended early");
	memcpy(w->error, a.error, sizeof(w->error));
	return a.result;
}

int worker_does(struct worker *w, act *what, unsigned n)
{
	worker_start(w, what, n);
	return worker_result(w);
}

bool worker_is_done(struct worker *w)
{
	struct pollfd ready = { .fd = w->fd, .events = POLLIN };
	return poll(&ready, 1, 0) == 1;
}

static bool is_asleep(struct worker *w)
{
	/* In this order: before the act it sleeps too, until it is told. */
	if (!__atomic_load_n(w->busy, __ATOMIC_SEQ_CST))
		return false;
	const char *stat = strrchr(proc_line(w->pid, "stat"), ')');
	return stat && stat[2] == 'S';
}

void worker_sleeps(struct worker *w)
{
	until(is_asleep(w) || worker_is_done(w));
	ck_assert_msg(!worker_is_done(w), "a worker that has to wait does not: result %d (%s)",
	              worker_result(w), w->error);
}

void worker_signal(struct worker *w, int number)
{
	ck_assert_int_eq(kill(w->pid, number), 0);
}

static int gone(struct worker *w)
{
	int status;
	reap(w->pid, &status);
	w->pid = -1;
	return status;
}

void worker_kill(struct worker *w)
{
	worker_signal(w, SIGKILL);
	gone(w);
	close(w->fd);
}

void worker_end(struct worker *w)
{
	close(w->fd);
	ck_assert_int_eq(gone(w), 0);
}
