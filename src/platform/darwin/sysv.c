/* SPDX-License-Identifier: Apache-2.0 */
/* System V semaphores on macOS: no semtimedop(2); limits by sysctl(3). */
#include "platform/sysv.h"

#include <errno.h>
#include <string.h>
#include <sys/sysctl.h>

#include "platform/wait.h"

static int limit(const char *name, uint64_t *ret)
{
	int value = 0;
	size_t size = sizeof(value);
	if (sysctlbyname(name, &value, &size, NULL, 0) < 0)
		return -errno;
	*ret = value > 0 ? (uint64_t)value : 0;
	return 0;
}

/* What is in use is not to be had. */
int semundo__sysv_limits(struct sysv_limits *ret)
{
	struct sysv_limits l = { .setting = "sysctl kern.sysv.semmni, .semmns, .semmsl and .semume, "
		                            "set at boot" };
	int r = limit("kern.sysv.semmni", &l.sets_max);
	if (!r)
		r = limit("kern.sysv.semmns", &l.all_max);
	if (!r)
		r = limit("kern.sysv.semmsl", &l.in_set_max);
	if (!r)
		r = limit("kern.sysv.semume", &l.undo_max);
	if (!r)
		*ret = l;
	return r;
}

bool semundo__sysv_can_time(void)
{
	return false;
}

int semundo__sysv_operate(int id, struct sembuf *operations, size_t count, uint64_t nanoseconds)
{
	if (nanoseconds != NEVER)
		return -ENOSYS;
	return semop(id, operations, count) < 0 ? -errno : 0;
}

/* Only ipcs(1) can, by an interface of its own. */
int semundo__sysv_each(int (*visit)(int id, void *arg), void *arg)
{
	(void)visit;
	(void)arg;
	return -ENOTSUP;
}

uint64_t semundo__ipc_namespace(void)
{
	return 0;
}
