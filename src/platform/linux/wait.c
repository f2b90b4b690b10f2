/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping on Linux: futex(2) and futex_waitv(2). */
#include "platform/wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"
#include "test_hooks.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#if defined(SYS_futex_time64) && !defined(SYS_futex)
#define SYS_futex SYS_futex_time64
#endif

#define FUTEX2_32 2u
#define FUTEX2_PRIVATE_FLAG 128u

/* The kernel's own structures: the C library's headers may be older. */
struct waitv_entry {
	uint64_t value;
	uint64_t address;
	uint32_t flags;
	uint32_t reserved;
};

struct timespec64 {
	int64_t sec;
	int64_t nsec;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t semundo__monotonic(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t semundo__realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static struct timespec timespec_of(uint64_t ns)
{
	struct timespec ts;
	ts.tv_sec = (time_t)(ns / NSEC_PER_SEC);
	ts.tv_nsec = (long)(ns % NSEC_PER_SEC);
	return ts;
}

int semundo__wait(const uint32_t *word, uint32_t expected, uint64_t deadline)
{
	struct timespec ts = timespec_of(deadline);
	long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline == NEVER ? NULL : &ts,
	                 NULL, FUTEX_BITSET_MATCH_ANY);
	return r < 0 ? -errno : 0;
}

static int waitv(struct waitv_entry *entries, unsigned count, uint64_t deadline)
{
	struct timespec64 ts = { (int64_t)(deadline / NSEC_PER_SEC),
		                 (int64_t)(deadline % NSEC_PER_SEC) };
	long r = syscall(SYS_futex_waitv, entries, count, 0, deadline == NEVER ? NULL : &ts,
	                 CLOCK_MONOTONIC);
	return r < 0 ? -errno : 0;
}

static int waitv_known; /* 0: not asked, 1: yes, 2: no */

static bool is_refused(int r)
{
	return r == -ENOSYS || r == -EPERM; /* by an old kernel, or by a filter */
}

int semundo__wait_many(const struct wait_word *words, unsigned count, uint64_t deadline)
{
	struct waitv_entry entries[WAIT_WORDS_MAX];
	if (TEST_SWITCH(no_futex_waitv))
		return -ENOSYS;
	for (unsigned i = 0; i < count; i++)
		entries[i] = (struct waitv_entry){
			.value = words[i].expected,
			.address = (uintptr_t)words[i].word,
			.flags = FUTEX2_32 | (words[i].is_private ? FUTEX2_PRIVATE_FLAG : 0u),
		};
	int r = waitv(entries, count, deadline);
	if (!is_refused(r))
		return r;
	store_relaxed(&waitv_known, 2); /* a seccomp filter came since it was asked */
	return -ENOSYS;
}

bool semundo__can_wait_many(void)
{
	if (TEST_SWITCH(no_futex_waitv))
		return false;
	if (load_relaxed(&waitv_known) == 0) {
		int r = waitv(NULL, 0, NEVER); /* -EINVAL where it is known */
		store_relaxed(&waitv_known, r == -EINVAL ? 1 : 2);
	}
	return load_relaxed(&waitv_known) == 1;
}

bool semundo__handlers_restart(void)
{
	struct sigaction action;
	for (int number = 1; number < NSIG; number++)
		if (sigaction(number, NULL, &action) == 0 && (action.sa_flags & SA_RESTART) &&
		    action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN)
			return true;
	return false;
}

static int wake(const uint32_t *word, int operation, int count)
{
	int saved = errno;
	long r = syscall(SYS_futex, word, operation, count, NULL, NULL, 0);
	errno = saved;
	return r < 0 ? 0 : (int)r;
}

int semundo__wake(const uint32_t *word, int count)
{
	return wake(word, FUTEX_WAKE, count);
}

int semundo__wake_private(const uint32_t *word, int count)
{
	return wake(word, FUTEX_WAKE_PRIVATE, count);
}

bool semundo__can_spin(void)
{
	static int known; /* 0: not asked, 1: yes, 2: no */
	if (load_relaxed(&known) == 0) {
		cpu_set_t set;
		int ok = sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1;
		store_relaxed(&known, ok ? 1 : 2);
	}
	return load_relaxed(&known) == 1;
}

int semundo__pause(uint64_t nanoseconds)
{
	struct timespec ts = timespec_of(nanoseconds);
	return -clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}
