/* SPDX-License-Identifier: Apache-2.0 */
/* kqueue(2), which tells of the end of any process. */
#include "platform/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

#include "platform/system.h"
#include "processes.h"

#define EVENTS 64

static int queue = -1;

static int change(uintptr_t ident, int16_t filter, uint16_t flags, uint32_t notes, void *data)
{
	struct kevent event;
	EV_SET(&event, ident, filter, flags, notes, 0, data);
	return kevent(queue, &event, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

int watch_input(int input)
{
	queue = kqueue();
	if (queue < 0 || fcntl(queue, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return change((uintptr_t)input, EVFILT_READ, EV_ADD, 0, NULL);
}

void watch_no_input(int input)
{
	change((uintptr_t)input, EVFILT_READ, EV_DELETE, 0, NULL);
}

bool watch_is_alive(const struct watched *watched)
{
	return process_start_time(watched->pid) == watched->start;
}

/* Asked for after the watch has begun: the PID is not given away meanwhile unseen. */
bool watch_process(struct watched *watched)
{
	int r = change((uintptr_t)watched->pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, watched);
	if (r == 0 && watch_is_alive(watched))
		return true;
	watch_forget(watched);
	return false;
}

void watch_forget(struct watched *watched)
{
	change((uintptr_t)watched->pid, EVFILT_PROC, EV_DELETE, 0, NULL);
}

size_t watch_wait(int limit, bool *ret_input, struct watched **ret_ended, size_t most)
{
	struct kevent events[EVENTS];
	struct timespec span = { limit / 1000, limit % 1000 * 1000000L };
	int count = kevent(queue, NULL, 0, events, most < EVENTS ? (int)most : EVENTS,
	                   limit < 0 ? NULL : &span);
	size_t n = 0;
	*ret_input = false;
	for (int i = 0; i < count; i++)
		if (events[i].filter == EVFILT_PROC)
			ret_ended[n++] = events[i].udata;
		else
			*ret_input = true;
	return n;
}
