/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that lack something, and clocks that jump. Linked twice: against the
 * test build with its switches, and against the library as shipped. */
#include "common.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* ---- seccomp filters ---- */

#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8u * (n)) /* low half */
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))

static int install(struct sock_filter *code, unsigned short length)
{
	const struct sock_fprog program = { length, code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

/* As on Linux before 5.16, or in a container of that age. */
static int forbid_waitv(long unused)
{
	struct sock_filter code[] = {
		LOAD(offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		RETURN(SECCOMP_RET_ALLOW),
	};
	(void)unused;
	int r = install(code, sizeof(code) / sizeof(code[0]));
	if (r)
		return r;
	r = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 ? errno : 0;
	return r == ENOSYS ? 0 : -EPROTO;
}

/* Kills who sleeps by the clock on the wall: futex(2) with the flag for it, or
 * without a deadline that is absolute (FUTEX_WAIT is relative); futex_waitv(2)
 * and clock_nanosleep(2) on another clock than CLOCK_MONOTONIC. */
static int forbid_wall_clock(long unused)
{
	struct sock_filter code[] = {
		LOAD(offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
		LOAD(ARGUMENT(1)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FUTEX_CLOCK_REALTIME, 8, 0),
		RETURN(SECCOMP_RET_ALLOW),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 2),
		LOAD(ARGUMENT(4)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_MONOTONIC, 3, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 0, 2),
		LOAD(ARGUMENT(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_MONOTONIC, 0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_KILL_PROCESS),
	};
	(void)unused;
	return install(code, sizeof(code) / sizeof(code[0]));
}

/* ---- a clock that jumps ----
 *
 * The linker gives all calls of clock_gettime(), those of the library too, to
 * this function. CLOCK_REALTIME then goes back and forth by hours. With the
 * filter above, which sees what the kernel sleeps on, that is the library's
 * whole dealing with time: no clock of the machine has to be set.
 */
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

static int jumping;
static unsigned jumps;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);
	if (r == 0 && clock != CLOCK_MONOTONIC && __atomic_load_n(&jumping, __ATOMIC_RELAXED)) {
		unsigned n = __atomic_fetch_add(&jumps, 1, __ATOMIC_RELAXED);
		ts->tv_sec += n % 2 ? -7200 : 86400;
	}
	return r;
}

static int start_jumping(long unused)
{
	struct timespec ts;
	jumping = 1;
	clock_gettime(CLOCK_REALTIME, &ts);
	return jumps == 1 ? forbid_wall_clock(unused) : -EPROTO;
}

/* How long a timed acquire took, in ms. */
static int time_of_wait(long milliseconds)
{
	uint64_t started = now_ns();
	int r = do_timed(milliseconds);
	return r == -ETIMEDOUT ? (int)((now_ns() - started) / MSEC) : -EPROTO;
}

START_TEST(clock_jumps)
{
	struct child waiter;
	make(SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	child_start(&waiter);
	ck_assert_int_eq(child_does(&waiter, start_jumping, 0), 0);
	int took = child_does(&waiter, time_of_wait, 400);
	ck_assert_int_ge(took, 400);
	ck_assert_int_lt(took, 3000);
	child_order(&waiter, do_timed, (long)(LIMIT / MSEC));
	await_waiters(1);
	ck_assert_int_eq(semundo_release(sem, 1), 0);
	ck_assert_int_eq(child_result(&waiter), 0);
	child_kill(&waiter);
}
END_TEST

static int sleep_by_wall_clock(long unused)
{
	const struct timespec ts = { 0, 1 };
	(void)unused;
	clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL);
	return 0;
}

static int futex_by_wall_clock(long unused)
{
	const struct timespec ts = { 1, 0 };
	uint32_t word = 0;
	(void)unused;
	syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, ~0u);
	return 0;
}

/* The filter can fail a test. */
START_TEST(filter_works)
{
	act *const forbidden[] = { sleep_by_wall_clock, futex_by_wall_clock };
	struct child c;
	child_start(&c);
	ck_assert_int_eq(child_does(&c, forbid_wall_clock, 0), 0);
	child_order(&c, forbidden[_i], 0);
	int status = child_end(&c);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
END_TEST

/* ---- without futex_waitv ---- */

static void *cancel_soon(void *token)
{
	await_waiters(1);
	semundo_cancel(token);
	return NULL;
}

static int cancelled(long unused)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	pthread_t thread;
	(void)unused;
	int r = semundo_cancel_new(&wait.cancel);
	if (r || pthread_create(&thread, NULL, cancel_soon, wait.cancel))
		return r ? r : -EAGAIN;
	r = semundo_acquire_with(sem, 1, &wait);
	pthread_join(thread, NULL);
	semundo_cancel_free(wait.cancel);
	return r;
}

/* All that a waiter is woken by, where the waiter lacks something. */
static void waiter_without(act *take_away, long argument, bool too_late, const char *what)
{
	struct child holder, waiter;
	make(SEMUNDO_PERMITS, 1);
	child_start(&holder);
	child_start(&waiter);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	if (too_late) /* it has seen that all is there */
		ck_assert_int_eq(child_does(&waiter, do_timed, 20), -ETIMEDOUT);
	ck_assert_int_eq(child_does(&waiter, take_away, argument), 0);
	int took = child_does(&waiter, time_of_wait, 50);
	ck_assert(took >= 50 && took < 3000);
	ck_assert_int_eq(child_does(&waiter, cancelled, 0), -ECANCELED);
	child_order(&waiter, do_acquire, 1);
	await_waiters(1);
	ck_assert_int_eq(child_does(&holder, do_release, 1), 0);
	ck_assert_int_eq(child_result(&waiter), 0);
	ck_assert_int_eq(child_does(&waiter, do_release, 1), 0);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	child_order(&waiter, do_acquire, 1);
	await_waiters(1);
	ck_assert_int_eq(semundo_recover(sem), 0);
	expect_death_told(&holder, &waiter, what);
	child_kill(&waiter);
}

START_TEST(waitv_filtered)
{
	waiter_without(forbid_waitv, 0, _i, "no futex_waitv by seccomp");
}
END_TEST

#if SEMUNDO_TEST
#include "platform/wait.h"
#include "test_hooks.h"

static int can_wait_many(long unused)
{
	(void)unused;
	return semundo__can_wait_many();
}

/* A filter that comes late is noticed: else a wait would sleep for long on
 * the state alone, deaf to deaths. */
START_TEST(late_filter_is_noticed)
{
	struct child holder, waiter;
	make(SEMUNDO_PERMITS, 1);
	child_start(&holder);
	child_start(&waiter);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&waiter, do_timed, 20), -ETIMEDOUT);
	ck_assert_int_eq(child_does(&waiter, can_wait_many, 0), 1);
	ck_assert_int_eq(child_does(&waiter, forbid_waitv, 0), 0);
	ck_assert_int_eq(child_does(&waiter, do_timed, 20), -ETIMEDOUT);
	ck_assert_int_eq(child_does(&waiter, can_wait_many, 0), 0);
	child_kill(&holder);
	child_kill(&waiter);
}
END_TEST

static int switch_waitv_off(long unused)
{
	(void)unused;
	semundo__test.no_futex_waitv = 1;
	return 0;
}

START_TEST(waitv_switched_off)
{
	waiter_without(switch_waitv_off, 0, _i, "no futex_waitv by switch");
}
END_TEST

static int nothing(long unused)
{
	(void)unused;
	return 0;
}

START_TEST(no_alarm)
{
	semundo__test.no_alarm = 1; /* inherited by all */
	waiter_without(nothing, 0, false, "no alarm");
}
END_TEST

START_TEST(no_alarm_nor_waitv)
{
	semundo__test.no_alarm = 1;
	waiter_without(switch_waitv_off, 0, false, "no alarm and no futex_waitv");
}
END_TEST
#endif

static const struct trial trials[] = {
	{ "a filter finds sleeps by the wall clock", &filter_works, 2 },
	{ "the wall clock jumps", &clock_jumps, 0 },
	{ "a seccomp filter forbids futex_waitv", &waitv_filtered, 2 },
#if SEMUNDO_TEST
	{ "a filter that comes late is noticed", &late_filter_is_noticed, 0 },
	{ "no futex_waitv", &waitv_switched_off, 2 },
	{ "no alarm", &no_alarm, 0 },
	{ "no alarm, no futex_waitv", &no_alarm_nor_waitv, 0 },
#endif
};

int main(void)
{
	return RUN("kernel", trials);
}
