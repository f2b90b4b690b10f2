/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll(7) and pidfd_open(2). Where a process gets no pidfd (before Linux 5.3, or
 * no descriptors are left), /proc is asked every second whether it is still there.
 */
#include "platform/watch.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/system.h"
#include "processes.h"

#define POLL_MS 1000
#define EVENTS 64
#define SPARE 8 /* descriptors that are left for all else */

static LIST_HEAD(, watched) polled = LIST_HEAD_INITIALIZER(polled);
static int epoll = -1;
static rlim_t most_descriptors = RLIM_INFINITY;
static bool always_input; /* a file: epoll does not take it, and it never blocks */

int watch_input(int input)
{
	struct rlimit limit;
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		return -errno;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max; /* a descriptor for each process */
		setrlimit(RLIMIT_NOFILE, &limit);
		most_descriptors = limit.rlim_cur;
	}
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, input, &event) == 0)
		return 0;
	always_input = errno == EPERM;
	return always_input ? 0 : -errno;
}

void watch_no_input(int input)
{
	always_input = false;
	epoll_ctl(epoll, EPOLL_CTL_DEL, input, NULL);
}

bool watch_is_alive(const struct watched *watched)
{
	uint64_t start = process_start_time(watched->pid);
	if (start == 0)
		return kill(watched->pid, 0) == 0 || errno != ESRCH;
	return start == watched->start && !system_is_zombie(watched->pid);
}

static void poll_it(struct watched *watched)
{
	LIST_INSERT_HEAD(&polled, watched, polled);
	watched->is_polled = true;
}

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 || (rlim_t)fd + SPARE < most_descriptors)
		return fd;
	close(fd);
	errno = EMFILE;
	return -1;
}

/* The pidfd comes first: if the PID is that process now, it was then. */
bool watch_process(struct watched *watched)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watched };
	watched->fd = open_pidfd(watched->pid);
	if (watched->fd < 0 && errno == ESRCH)
		return false;
	if (!watch_is_alive(watched)) {
		watch_forget(watched);
		return false;
	}
	if (watched->fd < 0)
		poll_it(watched);
	else if (epoll_ctl(epoll, EPOLL_CTL_ADD, watched->fd, &event) < 0) {
		watch_forget(watched);
		poll_it(watched);
	}
	return true;
}

/* Closing a descriptor takes it out of the epoll: nobody has a copy. */
void watch_forget(struct watched *watched)
{
	if (watched->is_polled)
		LIST_REMOVE(watched, polled);
	if (watched->fd >= 0)
		close(watched->fd);
	watched->fd = -1;
	watched->is_polled = false;
}

static size_t look_at_polled(struct watched **ret_ended, size_t most)
{
	struct watched *watched;
	size_t n = 0;
	LIST_FOREACH(watched, &polled, polled)
		if (n < most && !watch_is_alive(watched))
			ret_ended[n++] = watched;
	return n;
}

size_t watch_wait(int limit, bool *ret_input, struct watched **ret_ended, size_t most)
{
	struct epoll_event events[EVENTS];
	if (!LIST_EMPTY(&polled) && (limit < 0 || limit > POLL_MS))
		limit = POLL_MS;
	if (always_input)
		limit = 0;
	int count = epoll_wait(epoll, events, most < EVENTS ? (int)most : EVENTS, limit);
	size_t n = 0;
	*ret_input = always_input;
	for (int i = 0; i < count; i++)
		if (events[i].data.ptr)
			ret_ended[n++] = events[i].data.ptr;
		else
			*ret_input = true;
	return n + look_at_polled(ret_ended + n, most - n);
}
