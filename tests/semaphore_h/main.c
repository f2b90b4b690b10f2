/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases, and gives the library a clock that they can set. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../torture/common.h"
#include "cases.h"

int64_t *clock_offset;

/* In place of the C library's, for the library under test too. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret);
	if (r == 0 && clock == CLOCK_REALTIME && clock_offset)
		ret->tv_sec += (time_t)__atomic_load_n(clock_offset, __ATOMIC_SEQ_CST);
	return r;
}

sem_t *new_named(unsigned value)
{
	static unsigned count;
	char name[64];
	snprintf(name, sizeof(name), "/case.%d.%u", (int)getpid(), count++);
	sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, value);
	if (sem == SEM_FAILED || sem_unlink(name) < 0)
		die("cannot make %s: %s", name, semundo_error());
	return sem;
}

sem_t *new_memory(unsigned value)
{
	sem_t *sem = shared_memory(sizeof(sem_t));
	if (sem_init(sem, 1, value) < 0)
		die("sem_init");
	return sem;
}

static char state_of(int pid, int tid)
{
	char file[64];
	snprintf(file, sizeof(file), "task/%d/stat", tid);
	const char *end = strrchr(proc_line(pid, file), ')');
	return end && end[1] ? end[2] : '-';
}

bool sleeps(int pid, int tid)
{
	uint64_t deadline = now_ns() + 60 * SEC;
	while (state_of(pid, tid) != 'S') {
		if (now_ns() > deadline)
			return false;
		pause_ns(MSEC / 10);
	}
	return true;
}

static unsigned count(const struct posix_case *cases)
{
	unsigned n = 0;
	while (cases[n].what)
		n++;
	return n;
}

static void run(const struct posix_case *cases)
{
	for (; cases->what; cases++) {
		__atomic_store_n(clock_offset, 0, __ATOMIC_SEQ_CST);
		const char *why = cases->run();
		bool skip = why && strncmp(why, SKIP, strlen(SKIP)) == 0;
		tap_result(!why || skip, why, "%s%s%s", cases->what, skip ? " # " : "",
		           skip ? why : "");
	}
}

int main(void)
{
	own_directory();
	clock_offset = shared_memory(sizeof(*clock_offset));
	tap_plan(count(named_cases) + count(wait_cases));
	run(named_cases);
	run(wait_cases);
	return tap_status();
}
