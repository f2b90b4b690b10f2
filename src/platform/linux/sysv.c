/* SPDX-License-Identifier: Apache-2.0 */
/* System V semaphores on Linux: semtimedop(2), limits by semctl(2). */
#include "platform/sysv.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "platform/sanitizer.h"
#include "platform/wait.h"
#include "test_hooks.h"

/* -Dsemtimedop=false leaves it out, as on a system that has none. */
#ifndef SEMUNDO_SEMTIMEDOP
#define SEMUNDO_SEMTIMEDOP 1
#endif

/* The sets' numbers as addresses: the thread sanitizer knows nothing of System
 * V semaphores, by which the kernel orders what threads do. */
static void *place_of(int id)
{
	static char places[256];
	return &places[(unsigned)id % sizeof(places)];
}

static int info(int command, struct seminfo *ret)
{
	union {
		union semun argument;
		struct seminfo *info;
	} u = { .info = ret };
	int r = semctl(0, 0, command, u.argument);
	return r < 0 ? -errno : r;
}

int semundo__sysv_limits(struct sysv_limits *ret)
{
	struct seminfo limits, used;
	int r = info(IPC_INFO, &limits);
	if (r >= 0)
		r = info(SEM_INFO, &used);
	if (r < 0)
		return r;
	/* SEM_INFO returns what is in use in semusz and semaem: semctl(2). */
	*ret = (struct sysv_limits){
		.sets_max = (uint64_t)limits.semmni,
		.sets_used = (uint64_t)used.semusz,
		.all_max = (uint64_t)limits.semmns,
		.all_used = (uint64_t)used.semaem,
		.in_set_max = (uint64_t)limits.semmsl,
		.operations_max = (uint64_t)limits.semopm,
		.setting = "sysctl kernel.sem, which is SEMMSL SEMMNS SEMOPM SEMMNI",
	};
	return 0;
}

bool semundo__sysv_can_time(void)
{
	return SEMUNDO_SEMTIMEDOP && !TEST_SWITCH(no_semtimedop);
}

int semundo__sysv_operate(int id, struct sembuf *operations, size_t count, uint64_t nanoseconds)
{
	int r;
	ordered_before(place_of(id));
	if (nanoseconds == NEVER) {
		r = semop(id, operations, count);
	} else {
		struct timespec ts = { (time_t)(nanoseconds / NSEC_PER_SEC),
			               (long)(nanoseconds % NSEC_PER_SEC) };
		if (!semundo__sysv_can_time())
			return -ENOSYS;
		r = semtimedop(id, operations, count, &ts);
	}
	ordered_after(place_of(id));
	return r < 0 ? -errno : 0;
}

int semundo__sysv_each(int (*visit)(int id, void *arg), void *arg)
{
	struct seminfo used;
	struct semid_ds set;
	union semun u = { .buf = &set };
	int last = info(SEM_INFO, &used); /* the highest index in the kernel's table */
	int r = last < 0 ? last : 0;
	for (int i = 0; r == 0 && i <= last; i++) {
		int id = semctl(i, 0, SEM_STAT, u);
		if (id >= 0)
			r = visit(id, arg);
	}
	return r;
}

uint64_t semundo__ipc_namespace(void)
{
	struct stat st;
	return stat("/proc/self/ns/ipc", &st) < 0 ? 0 : (uint64_t)st.st_ino;
}
