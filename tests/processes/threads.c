/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: of the alarm, with destructors, without a main one; and forks in
 * the middle of what other threads do. Test build: looks at the membership. */
#include "common.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "atomics.h"
#include "directory.h"
#include "test_hooks.h"

static int is_armed(long unused)
{
	(void)unused;
	return (int)load_acquire(&semundo__directories()->member->armed);
}

static void *run_act(void *arg)
{
	const struct {
		act *what;
		long argument;
	} *job = arg;
	return (void *)(intptr_t)job->what(job->argument);
}

/* In a thread that then ends. */
static int in_thread(act *what, long argument)
{
	struct {
		act *what;
		long argument;
	} job = { what, argument };
	pthread_t thread;
	void *result;
	int r = -pthread_create(&thread, NULL, run_act, &job);
	if (r)
		return r;
	pthread_join(thread, &result);
	return (int)(intptr_t)result;
}

/* ---- the thread that armed the alarm ends ---- */

static int acquire_in_thread(long n)
{
	return in_thread(do_acquire, n);
}

START_TEST(unarmed_holder_is_polled)
{
	struct child holder, waiter;
	make(SEMUNDO_PERMITS, 1);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, acquire_in_thread, 1), 0);
	ck_assert_int_eq(child_does(&holder, is_armed, 0), 0);
	ck_assert_int_eq(semundo_recover(sem), 0); /* it lives */
	waiter_start(&waiter, 1);
	expect_death_told(&holder, &waiter, "holder whose alarm thread ended");
	child_kill(&waiter);
}
END_TEST

START_TEST(slow_path_arms_again)
{
	struct child holder, waiter;
	make(SEMUNDO_PERMITS, 1);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, acquire_in_thread, 1), 0);
	ck_assert_int_eq(child_does(&holder, do_timed, 1), -ETIMEDOUT);
	ck_assert_int_eq(child_does(&holder, is_armed, 0), 1);
	waiter_start(&waiter, 1);
	ck_assert_int_eq(semundo_recover(sem), 0);
	expect_death_told(&holder, &waiter, "holder that armed again");
	child_kill(&waiter);
}
END_TEST

/* A thread that goes away without its destructors: the kernel rings falsely. */
static void *vanish(void *unused)
{
	(void)unused;
	if (semundo_acquire(sem, 1) == 0)
		syscall(SYS_exit, 0);
	return NULL;
}

static int acquire_and_vanish(long unused)
{
	pthread_t thread;
	(void)unused;
	int r = -pthread_create(&thread, NULL, vanish, NULL);
	return r ? r : -pthread_join(thread, NULL);
}

START_TEST(false_alarm_is_no_death)
{
	struct child holder, waiter;
	make(SEMUNDO_LOCK, 1);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, acquire_and_vanish, 0), 0);
	waiter_start(&waiter, 1);
	ck_assert_int_eq(semundo_acquire_timed(sem, 1, 100 * (int64_t)MSEC), -ETIMEDOUT);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert(child_is_busy(&waiter));
	ck_assert_int_eq(child_does(&holder, do_timed, 1), -ETIMEDOUT); /* arms again */
	ck_assert(child_is_busy(&waiter));
	expect_death_told(&holder, &waiter, "holder whose alarm rang falsely before");
	child_kill(&waiter);
}
END_TEST

/* ---- destructors ---- */

#define KEYS 4
static pthread_key_t keys[KEYS]; /* of them the last come after the library's key */
static int destructor_result;

static void use_in_destructor(void *key)
{
	semundo_t *other = NULL;
	int r = semundo_acquire_timed(sem, 1, (int64_t)LIMIT);
	if (r == 0)
		r = semundo_acquire_timed(sem, 2, (int64_t)MSEC) == -ETIMEDOUT ? 0 : -EPROTO;
	if (r == 0)
		r = semundo_open(&other, "of-destructor", SEMUNDO_CREATE, NULL);
	if (r == 0)
		r = semundo_acquire(other, 1);
	semundo_close(other);
	if (r == 0)
		r = semundo_release(sem, 1);
	if (r)
		destructor_result = r;
	(void)key;
}

static int use_with_keys(long unused)
{
	(void)unused;
	for (int i = 0; i < KEYS; i++)
		pthread_setspecific(keys[i], &keys[i]);
	return do_timed(1) == 0 ? do_release(1) : -EPROTO;
}

static int thread_with_destructors(long before)
{
	for (int i = 0; i < KEYS / 2; i++)
		pthread_key_create(&keys[i], use_in_destructor);
	if (before && in_thread(do_try, 1) == 0) /* the library makes its key */
		do_release(1);
	for (int i = KEYS / 2; i < KEYS; i++)
		pthread_key_create(&keys[i], use_in_destructor);
	int r = in_thread(use_with_keys, 0);
	return r ? r : destructor_result;
}

START_TEST(destructors_use_the_library)
{
	make(SEMUNDO_PERMITS, 2);
	for (int before = 0; before <= 1; before++) {
		struct child holder, waiter;
		child_start(&holder);
		ck_assert_int_eq(child_does(&holder, thread_with_destructors, before), 0);
		ck_assert_int_eq((int)value(), 2);
		ck_assert_int_eq(child_does(&holder, is_armed, 0), 0);
		ck_assert_int_eq(child_does(&holder, do_acquire, 2), 0);
		waiter_start(&waiter, 2);
		ck_assert_int_eq(semundo_recover(sem), 0);
		expect_death_told(&holder, &waiter, "process after destructors");
		child_kill(&waiter);
		ck_assert_int_eq(semundo_acquire_timed(sem, 2, (int64_t)LIMIT), 1);
		ck_assert_int_eq(semundo_release(sem, 2), 0);
	}
}
END_TEST

/* ---- without a main thread ---- */

static struct {
	pthread_t main_thread;
	int order, done, result;
} *headless;

static void *outlive_main(void *unused)
{
	(void)unused;
	pthread_join(headless->main_thread, NULL);
	__atomic_store_n(&headless->done, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&headless->order, __ATOMIC_ACQUIRE))
		pause_ns(MSEC);
	headless->result = do_release(1);
	if (!headless->result)
		headless->result = do_acquire(2);
	__atomic_store_n(&headless->done, 2, __ATOMIC_RELEASE);
	for (;;)
		pause();
	return NULL;
}

static int end_main_thread(long unused)
{
	pthread_t other;
	(void)unused;
	headless->main_thread = pthread_self();
	int r = do_acquire(1);
	if (r || pthread_create(&other, NULL, outlive_main, NULL))
		return r ? r : -EAGAIN;
	pthread_exit(NULL);
}

START_TEST(process_outlives_its_main_thread)
{
	struct child holder, waiter;
	headless = shared_memory(sizeof(*headless));
	make(SEMUNDO_PERMITS, 2);
	child_start(&holder);
	child_order(&holder, end_main_thread, 0);
	AWAIT(__atomic_load_n(&headless->done, __ATOMIC_ACQUIRE) == 1);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(semundo_try_acquire(sem, 2), -EAGAIN);
	ck_assert_int_eq((int)info().held, 1);
	__atomic_store_n(&headless->order, 1, __ATOMIC_RELEASE);
	AWAIT(__atomic_load_n(&headless->done, __ATOMIC_ACQUIRE) == 2);
	ck_assert_int_eq(headless->result, 0);
	waiter_start(&waiter, 1);
	ck_assert_int_eq(semundo_recover(sem), 0);
	expect_death_told(&holder, &waiter, "process without a main thread");
	child_kill(&waiter);
}
END_TEST

/* ---- forks in the middle of it ---- */

static int storm_over;

static void *acquires(void *unused)
{
	(void)unused;
	while (!load_relaxed(&storm_over)) {
		int r = semundo_acquire(sem, 1);
		if (r < 0 || semundo_release(sem, 1) < 0)
			return (void *)1;
	}
	return NULL;
}

static void *opens(void *unused)
{
	(void)unused;
	for (unsigned i = 0; !load_relaxed(&storm_over); i++) {
		char name[32];
		semundo_t *other;
		snprintf(name, sizeof(name), "storm%u", i % 8);
		if (semundo_open(&other, name, SEMUNDO_CREATE, NULL) < 0)
			return (void *)1;
		if (semundo_try_acquire(other, 1) == 0)
			semundo_release(other, 1);
		semundo_close(other);
		if (i % 5 == 0 && semundo_unlink(name, NULL) == -EIO)
			return (void *)1;
	}
	return NULL;
}

#define DIRECTORIES_MAX 200 /* a process keeps a descriptor of each */

static void *joins(void *unused)
{
	(void)unused;
	for (unsigned i = 0; !load_relaxed(&storm_over) && i < DIRECTORIES_MAX; i++) {
		struct semundo_options options = SEMUNDO_OPTIONS_INIT;
		char path[128];
		semundo_t *other;
		snprintf(path, sizeof(path), "%s/d%u", directory, i);
		options.dir = path;
		if (mkdir(path, 0700) < 0 ||
		    semundo_open(&other, "j", SEMUNDO_CREATE, &options) < 0 ||
		    semundo_acquire(other, 1) < 0)
			return (void *)1;
		semundo_close(other);
	}
	return NULL;
}

static int short_lived(long unused)
{
	(void)unused;
	int r = do_acquire(1);
	return r < 0 ? r : do_release(1);
}

static void *starts_threads(void *unused)
{
	(void)unused;
	while (!load_relaxed(&storm_over))
		if (in_thread(short_lived, 0))
			return (void *)1;
	return NULL;
}

/* What each forked child does: everything, from nothing. */
static int live_shortly(void)
{
	semundo_t *other;
	if (do_held(0) != 0)
		return 1;
	if (semundo_acquire_timed(sem, 1, (int64_t)LIMIT) < 0)
		return 2;
	if (semundo_open(&other, "storm0", SEMUNDO_CREATE, NULL) < 0)
		return 3;
	if (semundo_try_acquire(other, 1) == 0 && semundo_release(other, 1) < 0)
		return 4;
	semundo_close(other);
	/* A sanitizer's own locks are not made ready for threads after a fork. */
	if (!SANITIZED && in_thread(do_held, 0) != 1)
		return 5;
	return semundo_release(sem, 1) < 0 ? 6 : 0;
}

static void one_fork(unsigned round)
{
	struct child c = { fork(), -1 };
	ck_assert_int_ge(c.pid, 0);
	if (c.pid == 0) {
		int r = live_shortly();
		if (round % 3 == 0)
			semundo_try_acquire(sem, 1); /* and dies with it, perhaps */
		_exit(r);
	}
	int status = child_end(&c);
	ck_assert_msg(status == 0, "a forked child in step %d, signal %d", WEXITSTATUS(status),
	              WTERMSIG(status));
}

#define STORM_FORKS 150

START_TEST(forks_in_a_thread_storm)
{
	void *(*const parts[])(void *) = { acquires, acquires, opens, joins, starts_threads };
	pthread_t threads[5];
	make(SEMUNDO_PERMITS, 2);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, parts[i], NULL), 0);
	for (unsigned i = 0; i < STORM_FORKS; i++)
		one_fork(i);
	store_relaxed(&storm_over, 1);
	for (int i = 0; i < 5; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		ck_assert_msg(!failed, "thread %d failed: %s", i, semundo_error());
	}
	ck_assert_int_ge(semundo_recover(sem), 0);
	ck_assert_int_eq((int)value(), 2);
	ck_assert_int_eq(do_held(0), 0);
}
END_TEST

/* The fork happens while another thread is between two instructions of it. */
static const char *stop_at;
static int stopped_there, go_on;

static void stop_there(const char *where)
{
	if (!stop_at || strcmp(where, stop_at) || load_relaxed(&stopped_there))
		return;
	store_release(&stopped_there, 1);
	while (!load_acquire(&go_on))
		pause_ns(MSEC / 10);
}

static void *acquires_and_releases(void *unused)
{
	(void)unused;
	int r = do_acquire(1);
	return (void *)(intptr_t)(r < 0 ? r : do_release(1));
}

static int fork_in_the_middle(void)
{
	struct child c;
	AWAIT(load_acquire(&stopped_there));
	c.pid = fork();
	c.fd = -1;
	if (c.pid == 0) {
		stop_at = NULL;
		_exit(live_shortly());
	}
	return child_end(&c);
}

START_TEST(fork_inside_an_operation)
{
	static const char *const points[] = { "lane:pending", "state:changed", "lane:idle" };
	const char *where = points[_i];
	pthread_t thread;
	void *result;
	make(SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(short_lived(0), 0);
	semundo__test_point = stop_there;
	stop_at = where;
	ck_assert_int_eq(pthread_create(&thread, NULL, acquires_and_releases, NULL), 0);
	int status = fork_in_the_middle();
	ck_assert_msg(status == 0, "a child forked at %s ended with status 0x%x", where,
	              (unsigned)status);
	store_release(&go_on, 1);
	pthread_join(thread, &result);
	ck_assert_int_eq((int)(intptr_t)result, 0);
	ck_assert_int_eq((int)value(), 2);
}
END_TEST

static const struct trial trials[] = {
	{ "a holder whose alarm thread ended is polled", &unarmed_holder_is_polled, 0 },
	{ "the next slow path arms the alarm again", &slow_path_arms_again, 0 },
	{ "a false alarm is no death", &false_alarm_is_no_death, 0 },
	{ "destructors of threads use the library", &destructors_use_the_library, 0 },
	{ "a process outlives its main thread", &process_outlives_its_main_thread, 0 },
	{ "forks in a storm of threads", &forks_in_a_thread_storm, 0 },
	{ "fork while another thread is inside an operation", &fork_inside_an_operation, 3 },
};

int main(void)
{
	return RUN("threads", trials);
}
