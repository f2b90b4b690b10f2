/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: deadlines, signals, cancellation, order. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../torture/common.h"
#include "cases.h"

typedef sem_t *make_sem(unsigned value);

/* For named ones and for those in memory. */
#define BOTH(function) \
	static const char *function##_named(void) \
	{ \
		return function(new_named); \
	} \
	static const char *function##_memory(void) \
	{ \
		return function(new_memory); \
	}

static struct timespec in(clockid_t clock, int64_t msec)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	int64_t ns = (int64_t)ts.tv_nsec + msec % 1000 * 1000000;
	ts.tv_sec += (time_t)(msec / 1000 + (ns < 0 ? -1 : ns / 1000000000));
	ts.tv_nsec = (long)(ns < 0 ? ns + 1000000000 : ns % 1000000000);
	return ts;
}

/* ---- deadlines ---------------------------------------------------------------- */

static const char *deadlines(make_sem *make)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };
	sem_t *sem = make(0);
	struct timespec ts, bad = { 0, 1000000000 };
	for (int i = 0; i < 2; i++) {
		ts = in(clocks[i], -1000);
		FAILS(sem_clockwait(sem, clocks[i], &ts), ETIMEDOUT);
		ts = in(clocks[i], 30);
		uint64_t start = now_ns();
		FAILS(sem_clockwait(sem, clocks[i], &ts), ETIMEDOUT);
		CHECK(now_ns() - start >= 30 * MSEC - MSEC / 10);
		FAILS(sem_clockwait(sem, clocks[i], &bad), EINVAL);
	}
	ts = in(CLOCK_REALTIME, 30);
	FAILS(sem_timedwait(sem, &ts), ETIMEDOUT);
	FAILS(sem_clockwait(sem, CLOCK_PROCESS_CPUTIME_ID, &ts), EINVAL);
	ts.tv_sec = -1;
	FAILS(sem_timedwait(sem, &ts), ETIMEDOUT);
	CHECK(sem_post(sem) == 0 && sem_timedwait(sem, &ts) == 0);
	return NULL;
}
BOTH(deadlines)

/* ---- a child that waits ---------------------------------------------------------- */

struct shared {
	volatile int handled; /* times the handler ran */
	volatile int result;  /* 0 or errno; -1: not yet */
};
static struct shared *shared;

static void on_signal(int number)
{
	(void)number;
	shared->handled++;
}

static pid_t start_waiter(sem_t *sem, int flags, int64_t msec)
{
	shared = shared_memory(sizeof(*shared));
	shared->result = -1;
	struct timespec ts = in(CLOCK_REALTIME, msec);
	pid_t pid = fork_child();
	if (pid == 0) {
		struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
		sigaction(SIGUSR1, &action, NULL);
		int r = msec ? sem_timedwait(sem, &ts) : sem_wait(sem);
		shared->result = r ? errno : 0;
		_exit(0);
	}
	return pid;
}

static bool has_result(void)
{
	return shared->result != -1;
}

static bool until(bool (*condition)(void))
{
	uint64_t deadline = now_ns() + 60 * SEC;
	while (!condition()) {
		if (now_ns() > deadline)
			return false;
		pause_ns(MSEC / 10);
	}
	return true;
}

static void end_waiter(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	reap(pid, &status);
}

/* Set back an hour while a child waits for 300 ms: whether it goes on waiting.
 * Another try where we were too slow to set it in time. */
static bool goes_on_waiting(sem_t *sem)
{
	for (;;) {
		__atomic_store_n(clock_offset, 0, __ATOMIC_SEQ_CST);
		uint64_t start = now_ns();
		pid_t pid = start_waiter(sem, 0, 300);
		__atomic_store_n(clock_offset, -3600, __ATOMIC_SEQ_CST);
		bool in_time = now_ns() - start < 200 * MSEC;
		pause_ns(600 * MSEC);
		bool waits = !has_result();
		end_waiter(pid);
		if (in_time)
			return waits;
	}
}

static const char *realtime_follows_the_clock(make_sem *make)
{
	sem_t *sem = make(0);
	pid_t pid = start_waiter(sem, 0, 3600 * 1000);
	bool slept = sleeps(pid, pid);
	__atomic_store_n(clock_offset, 3601, __ATOMIC_SEQ_CST);
	bool ended = until(has_result);
	end_waiter(pid);
	CHECK(slept && ended && shared->result == ETIMEDOUT);
	CHECK(goes_on_waiting(sem));
	return NULL;
}
BOTH(realtime_follows_the_clock)

/* The handler is installed by the child: it sleeps first. A signal that comes
 * between two sleeps ends none, so it is sent until one does. */
static const char *handler_ends_wait(sem_t *sem, int64_t msec)
{
	pid_t pid = start_waiter(sem, 0, msec);
	uint64_t deadline = now_ns() + 60 * SEC;
	bool slept = sleeps(pid, pid);
	while (!has_result() && now_ns() < deadline) {
		kill(pid, SIGUSR1);
		pause_ns(MSEC);
	}
	end_waiter(pid);
	CHECK(slept && shared->result == EINTR && shared->handled > 0);
	return NULL;
}

static const char *handler_with_restart_does_not(sem_t *sem, int64_t msec)
{
	pid_t pid = start_waiter(sem, SA_RESTART, msec);
	for (int i = 0; i < 20; i++) {
		int before = shared->handled;
		uint64_t deadline = now_ns() + 60 * SEC;
		if (!sleeps(pid, pid))
			break;
		kill(pid, SIGUSR1);
		while (shared->handled == before && !has_result() && now_ns() < deadline)
			pause_ns(MSEC / 10);
	}
	bool waits = !has_result();
	sem_post(sem);
	bool ended = until(has_result);
	end_waiter(pid);
	CHECK(waits && ended && shared->result == 0 && shared->handled == 20);
	return NULL;
}

static const char *handlers(make_sem *make)
{
	static const int64_t msecs[] = { 0, 600 * 1000 };
	const char *why = NULL;
	for (int i = 0; i < 2 && !why; i++) {
		why = handler_ends_wait(make(0), msecs[i]);
		if (!why)
			why = handler_with_restart_does_not(make(0), msecs[i]);
	}
	return why;
}
BOTH(handlers)

/* ---- threads --------------------------------------------------------------------- */

struct thread {
	pthread_t id;
	sem_t *sem;
	int priority;
	volatile int tid, order;
	int *turns;
};

static void *wait_in_thread(void *arg)
{
	struct thread *t = arg;
	t->tid = (int)syscall(SYS_gettid);
	if (sem_wait(t->sem) == 0)
		t->order = __atomic_add_fetch(t->turns, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool start_thread(struct thread *t)
{
	pthread_attr_t attributes;
	struct sched_param param = { .sched_priority = t->priority };
	pthread_attr_init(&attributes);
	if (t->priority) {
		pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
		pthread_attr_setschedparam(&attributes, &param);
	}
	int r = pthread_create(&t->id, &attributes, wait_in_thread, t);
	pthread_attr_destroy(&attributes);
	while (r == 0 && t->tid == 0)
		pause_ns(MSEC / 10);
	return r == 0 && sleeps(getpid(), t->tid);
}

static const char *cancelled(make_sem *make)
{
	int turns = 0, value = -1;
	struct thread t = { .sem = make(0), .turns = &turns };
	void *result = NULL;
	CHECK(start_thread(&t));
	CHECK(pthread_cancel(t.id) == 0 && pthread_join(t.id, &result) == 0);
	CHECK(result == PTHREAD_CANCELED && turns == 0);
	CHECK(sem_post(t.sem) == 0 && sem_getvalue(t.sem, &value) == 0 && value == 1);
	CHECK(sem_trywait(t.sem) == 0);
	return NULL;
}
BOTH(cancelled)

/* Of a cancel and a post at once, the unit goes to the thread or stays. */
static const char *cancel_races_with_post(make_sem *make)
{
	sem_t *sem = make(0);
	for (int i = 0; i < 300; i++) {
		int turns = 0, value = -1;
		struct thread a = { .sem = sem, .turns = &turns }, b = a;
		CHECK(start_thread(&a) && start_thread(&b));
		CHECK(sem_post(sem) == 0);
		pthread_cancel(i % 2 ? a.id : b.id);
		CHECK(pthread_join(i % 2 ? a.id : b.id, NULL) == 0);
		bool first = (i % 2 ? a : b).order != 0;
		if (first) /* the other one still waits */
			CHECK(sem_post(sem) == 0);
		CHECK(pthread_join(i % 2 ? b.id : a.id, NULL) == 0);
		CHECK(sem_getvalue(sem, &value) == 0 && value == 0 && turns == (first ? 2 : 1));
	}
	return NULL;
}
BOTH(cancel_races_with_post)

static const char *destroy_while_waited_for(void)
{
	int turns = 0;
	struct thread t = { .sem = new_memory(0), .turns = &turns };
	CHECK(start_thread(&t));
	FAILS(sem_destroy(t.sem), EBUSY);
	CHECK(sem_post(t.sem) == 0 && pthread_join(t.id, NULL) == 0 && sem_destroy(t.sem) == 0);
	return NULL;
}

/* Who was woken by the last post may free the memory at once. */
static const char *freed_after_wait(void)
{
	for (int i = 0; i < 1000; i++) {
		int turns = 0;
		struct thread t = { .sem = malloc(sizeof(sem_t)), .turns = &turns };
		CHECK(t.sem && sem_init(t.sem, 0, 0) == 0);
		CHECK(pthread_create(&t.id, NULL, wait_in_thread, &t) == 0);
		CHECK(sem_post(t.sem) == 0 && pthread_join(t.id, NULL) == 0 && turns == 1);
		CHECK(sem_destroy(t.sem) == 0);
		free(t.sem);
	}
	return NULL;
}

static sem_t *posted_by_handler;

static void post_in_handler(int number)
{
	(void)number;
	sem_post(posted_by_handler);
}

static const char *post_in_a_handler(make_sem *make)
{
	struct sigaction action = { .sa_handler = post_in_handler, .sa_flags = SA_RESTART }, before;
	posted_by_handler = make(0);
	sigaction(SIGUSR1, &action, &before);
	for (int i = 0; i < 1000; i++) {
		raise(SIGUSR1);
		CHECK(sem_wait(posted_by_handler) == 0);
	}
	sigaction(SIGUSR1, &before, NULL);
	return NULL;
}
BOTH(post_in_a_handler)

/* ---- order ------------------------------------------------------------------------- */

static bool become(int policy, int priority)
{
	const struct sched_param param = { .sched_priority = priority };
	return syscall(SYS_sched_setscheduler, 0, policy, &param) == 0;
}

/* 1 and 2 wait, 2 before 1 has a lower priority; 3 is 2's equal and later. Long
 * enough for short sleeps to have begun anew. */
static const char *wake_in_order(sem_t *sem)
{
	int turns = 0;
	struct thread t[3] = { { .sem = sem, .priority = 1, .turns = &turns },
		               { .sem = sem, .priority = 2, .turns = &turns },
		               { .sem = sem, .priority = 2, .turns = &turns } };
	for (int i = 0; i < 3; i++) {
		CHECK(start_thread(&t[i]));
		pause_ns(37 * MSEC);
	}
	for (int i = 1; i <= 3; i++) {
		uint64_t deadline = now_ns() + 60 * SEC;
		CHECK(sem_post(sem) == 0);
		while (__atomic_load_n(&turns, __ATOMIC_SEQ_CST) < i && now_ns() < deadline)
			pause_ns(MSEC / 10);
	}
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(t[i].id, NULL) == 0);
	CHECK(t[1].order == 1 && t[2].order == 2 && t[0].order == 3);
	return NULL;
}

static const char *order(void)
{
	const char *why = NULL;
	if (!become(SCHED_FIFO, 3))
		return SKIP " SCHED_FIFO needs root or RLIMIT_RTPRIO";
	for (int i = 0; i < 3 && !why; i++)
		why = wake_in_order(new_named(0));
	become(SCHED_OTHER, 0);
	return why;
}

const struct posix_case wait_cases[] = {
	{ "deadlines on both clocks, named", deadlines_named },
	{ "deadlines on both clocks, in memory", deadlines_memory },
	{ "a realtime deadline follows the clock, named", realtime_follows_the_clock_named },
	{ "a realtime deadline follows the clock, in memory", realtime_follows_the_clock_memory },
	{ "a handler ends a wait, but for SA_RESTART, named", handlers_named },
	{ "a handler ends a wait, but for SA_RESTART, in memory", handlers_memory },
	{ "a wait can be cancelled, named", cancelled_named },
	{ "a wait can be cancelled, in memory", cancelled_memory },
	{ "a cancelled wait takes no unit along, named", cancel_races_with_post_named },
	{ "a cancelled wait takes no unit along, in memory", cancel_races_with_post_memory },
	{ "one that is waited for is not destroyed", destroy_while_waited_for },
	{ "its memory may be freed after the wait", freed_after_wait },
	{ "posted in a signal handler, named", post_in_a_handler_named },
	{ "posted in a signal handler, in memory", post_in_a_handler_memory },
	{ "woken in the order of priority, then of waiting", order },
	{ NULL, NULL },
};
