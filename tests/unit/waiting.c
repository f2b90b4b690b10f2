/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping on words, and the engine's waits where parts of the system lack. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../common/suite.h"
#include "../common/worker.h"
#include "platform/wait.h"
#include "test_hooks.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static uint64_t soon(void)
{
	return semundo__monotonic() + 20 * NSEC_PER_MSEC;
}

/* ---- sleeping ---- */

static uint32_t word = 5, other = 7;
static int wait_on(int many, uint32_t expected, uint64_t deadline)
{
	const struct wait_word words[] = { { &word, expected, false }, { &other, 7, true } };
	return many ? semundo__wait_many(words, 2, deadline) :
		      semundo__wait(&word, expected, deadline);
}

START_TEST(another_value_does_not_sleep)
{
	if (_i && !semundo__can_wait_many())
		return;
	must_be(wait_on(_i, 6, NEVER), -EAGAIN);
	must_be(wait_on(_i, 6, 0), -EAGAIN);
}
END_TEST

START_TEST(a_deadline_ends_it_not_earlier)
{
	if (_i && !semundo__can_wait_many())
		return;
	for (int i = 0; i < 5; i++) {
		uint64_t deadline = soon();
		must_be(wait_on(_i, 5, deadline), -ETIMEDOUT);
		ck_assert_uint_ge(semundo__monotonic(), deadline);
	}
	must_be(wait_on(_i, 5, 0), -ETIMEDOUT);
	must_be(wait_on(_i, 5, semundo__monotonic()), -ETIMEDOUT);
}
END_TEST

struct sleeper {
	int many;
	int result;
};

static void *sleep_there(void *arg)
{
	struct sleeper *s = arg;
	s->result = wait_on(s->many, 5, NEVER);
	return NULL;
}

/* _i: 0 and 1 wake the shared word, 2 the private one. */
START_TEST(a_wake_ends_it)
{
	struct sleeper s = { _i > 0, 1 };
	pthread_t thread;
	if (_i && !semundo__can_wait_many())
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_there, &s), 0);
	until((_i == 2 ? semundo__wake_private(&other, 1) : semundo__wake(&word, 1)) == 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(s.result, 0);
	ck_assert_int_eq(semundo__wake(&word, 1), 0);
}
END_TEST

START_TEST(as_many_wake_as_are_asked)
{
	struct sleeper s[3] = { { 0, 1 }, { 0, 1 }, { 0, 1 } };
	pthread_t thread[3];
	int woken = 0;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, sleep_there, &s[i]), 0);
	for (int i = 0; i < 3; i++) {
		until((woken = semundo__wake(&word, 1)) != 0);
		ck_assert_int_eq(woken, 1);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

static void set_handler(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	sigaction(SIGUSR1, &action, NULL);
}

static int sleep_a_while(semundo_t *sem, unsigned restart)
{
	(void)sem;
	set_handler(restart ? SA_RESTART : 0);
	return semundo__wait(&word, 5, semundo__monotonic() + LIMIT);
}

START_TEST(any_handler_ends_a_sleep_on_one)
{
	semundo_t *sem;
	must(semundo_open(&sem, "s", SEMUNDO_CREATE, NULL));
	struct worker *w = worker_fork(sem);
	worker_start(w, sleep_a_while, (unsigned)_i);
	worker_sleeps(w);
	worker_signal(w, SIGUSR1);
	worker_result_must_be(w, -EINTR);
	must(semundo_close(sem));
}
END_TEST

static int look_at_handlers(void)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	child_check(!semundo__handlers_restart());
	set_handler(0);
	child_check(!semundo__handlers_restart());
	set_handler(SA_RESTART);
	child_check(semundo__handlers_restart());
	signal(SIGUSR1, SIG_IGN);
	child_check(!semundo__handlers_restart());
	return 0;
}

START_TEST(handlers_that_restart_are_seen)
{
	must_in_child(look_at_handlers);
}
END_TEST

START_TEST(a_switch_takes_many_away)
{
	semundo__test.no_futex_waitv = 1;
	ck_assert(!semundo__can_wait_many());
	must_be(wait_on(1, 5, soon()), -ENOSYS);
}
END_TEST

START_TEST(memory_that_is_gone)
{
	const struct wait_word words[] = { { &word, 5, false }, { (uint32_t *)16, 0, false } };
	if (semundo__can_wait_many())
		must_be(semundo__wait_many(words, 2, soon()), -EFAULT);
	must_be(semundo__wait((uint32_t *)16, 0, soon()), -EFAULT);
	ck_assert_int_eq(semundo__wake((uint32_t *)16, 1), 0);
}
END_TEST

START_TEST(clocks_go_forward)
{
	uint64_t mono = semundo__monotonic(), real = semundo__realtime();
	semundo__pause(3 * NSEC_PER_MSEC);
	ck_assert_uint_ge(semundo__monotonic() - mono, 3 * NSEC_PER_MSEC);
	ck_assert_uint_gt(real, UINT64_C(1600000000) * NSEC_PER_SEC);
}
END_TEST

/* ---- where something lacks ---- */

/* What futex_waitv(2) says on a kernel without, or under a container's filter. */
static int filter_out(int code)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return 0;
}

static int switch_off(semundo_t *sem, unsigned what)
{
	(void)sem;
	semundo__test.no_alarm = what == 1 || what == 3;
	semundo__test.no_futex_waitv = what == 2 || what == 3;
	semundo__test.no_spin = what == 4;
	if (what == 7) /* it is known to be there, then it goes */
		return semundo__can_wait_many() ? filter_out(ENOSYS) : 0;
	return what == 5 ? filter_out(ENOSYS) : what == 6 ? filter_out(EPERM) : 0;
}
#define WAYS 8

static int acquire_cancellably(semundo_t *sem, unsigned n)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	int r = semundo_cancel_new(&wait.cancel);
	if (!r)
		r = semundo_acquire_with(sem, n, &wait);
	semundo_cancel_free(wait.cancel);
	return r;
}

/* Released, or its holder dead: the waiter goes on. */
static void check_wait(int way, int kind, act *acquire)
{
	struct worker *holder = worker_open("s"), *w = worker_open("s");
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	options.kind = (uint32_t)kind;
	must(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_EXCL, &options));
	worker_must(holder, switch_off, (unsigned)way);
	worker_must(w, switch_off, (unsigned)way);
	worker_must(holder, semundo_acquire, 1);
	worker_start(w, acquire, 1);
	worker_sleeps(w);
	worker_must(holder, semundo_release, 1);
	worker_result_must_be(w, 0);
	worker_must(w, semundo_release, 1);
	worker_must(holder, semundo_acquire, 1);
	worker_start(w, acquire, 1);
	worker_sleeps(w);
	worker_kill(holder);
	worker_result_must_be(w, 1);
	worker_kill(w);
	must(semundo_close(sem));
	must(semundo_unlink("s", NULL));
}

START_TEST(waits_go_on_without)
{
	check_wait(_i, SEMUNDO_LOCK, semundo_acquire);
	check_wait(_i, SEMUNDO_PERMITS, semundo_acquire);
	check_wait(_i, SEMUNDO_PERMITS, acquire_cancellably);
}
END_TEST

/* ---- every sleep is ended by a wake ----
 *
 * Elsewhere a sleep is limited, which hides a wake that is missing. */

static int idle(semundo_t *sem, unsigned n)
{
	(void)n;
	return semundo_wait_idle(sem, NULL);
}

static semundo_t *held_without_limits(int kind, unsigned units)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	semundo__test.no_timed_wait = semundo__test.no_spin = 1;
	options.kind = (uint32_t)kind;
	if (kind == SEMUNDO_PERMITS)
		options.capacity = units;
	if (kind == SEMUNDO_SIGNAL)
		options.value = units;
	must(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_EXCL, &options));
	must_be(semundo_acquire(sem, units), 0);
	return sem;
}

static struct worker *asleep_in(act *what, unsigned n)
{
	struct worker *w = worker_open("s");
	worker_start(w, what, n);
	worker_sleeps(w);
	return w;
}

START_TEST(a_release_wakes)
{
	semundo_t *sem = held_without_limits(_i, 1);
	struct worker *a = asleep_in(semundo_acquire, 1), *b = asleep_in(semundo_acquire, 1);
	must(semundo_release(sem, 1));
	until(worker_is_done(a) || worker_is_done(b));
	struct worker *first = worker_is_done(a) ? a : b, *second = first == a ? b : a;
	worker_result_must_be(first, 0);
	worker_must(first, semundo_release, 1);
	worker_result_must_be(second, 0);
	must(semundo_close(sem));
}
END_TEST

/* The one who sleeps longest wants more than there is. */
START_TEST(a_release_wakes_past_who_wants_many)
{
	semundo_t *sem = held_without_limits(_i, 3);
	struct worker *many = asleep_in(semundo_acquire, 3), *one = asleep_in(semundo_acquire, 1);
	must(semundo_release(sem, 1));
	worker_result_must_be(one, 0);
	must(semundo_release(sem, 2));
	worker_must(one, semundo_release, 1);
	worker_result_must_be(many, 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_resize_wakes)
{
	semundo_t *sem = held_without_limits(SEMUNDO_PERMITS, 2);
	struct worker *a = asleep_in(semundo_acquire, 1), *b = asleep_in(semundo_acquire, 2);
	must(semundo_resize(sem, 5));
	worker_result_must_be(a, 0);
	worker_result_must_be(b, 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_last_release_wakes_the_idle)
{
	semundo_t *sem = held_without_limits(_i, 1);
	struct worker *a = asleep_in(idle, 0), *b = asleep_in(idle, 0);
	must(semundo_release(sem, 1));
	worker_result_must_be(a, 0);
	worker_result_must_be(b, 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_close_wakes)
{
	semundo_t *sem = held_without_limits(_i, 1);
	struct worker *w = asleep_in(semundo_acquire, 1);
	must(semundo_close(sem));
	worker_result_must_be(w, 0);
}
END_TEST

/* ---- deaths wake, of whoever has what is waited for by then ---- */

/* Who waits longest sleeps on while the other gets the unit, and dies with it. */
START_TEST(the_death_of_one_who_waited_too_wakes)
{
	semundo_t *sem = held_without_limits(_i, 1);
	struct worker *a = asleep_in(semundo_acquire, 1), *b = asleep_in(semundo_acquire, 1);
	must(semundo_release(sem, 1));
	until(worker_is_done(a) || worker_is_done(b));
	struct worker *first = worker_is_done(a) ? a : b, *second = first == a ? b : a;
	worker_result_must_be(first, 0);
	worker_kill(first);
	worker_result_must_be(second, 1);
	must(semundo_close(sem));
}
END_TEST

static int64_t value_of(semundo_t *sem)
{
	int64_t value;
	must(semundo_value(sem, &value));
	return value;
}

/* Who comes when others sleep already, and gets what they do not wait for. */
START_TEST(the_death_of_a_newcomer_wakes)
{
	semundo_t *sem = held_without_limits(SEMUNDO_PERMITS, 2);
	must(semundo_release(sem, 1));
	struct worker *w = asleep_in(semundo_acquire, 2), *c = worker_open("s");
	worker_must(c, semundo_acquire, 1);
	ck_assert_int_eq((int)value_of(sem), 0);
	worker_kill(c);
	until(value_of(sem) == 1); /* the sleeper has undone it */
	must(semundo_release(sem, 1));
	worker_result_must_be(w, 1);
	must(semundo_close(sem));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("waiting");
	TCase *t = suite_case(suite, "sleeping");
	tcase_add_loop_test(t, another_value_does_not_sleep, 0, 2);
	tcase_add_loop_test(t, a_deadline_ends_it_not_earlier, 0, 2);
	tcase_add_loop_test(t, a_wake_ends_it, 0, 3);
	tcase_add_test(t, as_many_wake_as_are_asked);
	tcase_add_loop_test(t, any_handler_ends_a_sleep_on_one, 0, 2);
	tcase_add_test(t, handlers_that_restart_are_seen);
	tcase_add_test(t, a_switch_takes_many_away);
	tcase_add_test(t, memory_that_is_gone);
	tcase_add_test(t, clocks_go_forward);
	t = suite_case(suite, "without");
	tcase_add_loop_test(t, waits_go_on_without, 0, WAYS);
	t = suite_case(suite, "wakes");
	tcase_add_loop_test(t, a_release_wakes, SEMUNDO_LOCK, SEMUNDO_SIGNAL + 1);
	tcase_add_loop_test(t, a_release_wakes_past_who_wants_many, SEMUNDO_PERMITS,
	                    SEMUNDO_SIGNAL + 1);
	tcase_add_test(t, a_resize_wakes);
	tcase_add_loop_test(t, the_last_release_wakes_the_idle, SEMUNDO_LOCK, SEMUNDO_PERMITS + 1);
	tcase_add_loop_test(t, a_close_wakes, SEMUNDO_LOCK, SEMUNDO_PERMITS + 1);
	t = suite_case(suite, "deaths");
	tcase_add_loop_test(t, the_death_of_one_who_waited_too_wakes, SEMUNDO_LOCK,
	                    SEMUNDO_PERMITS + 1);
	tcase_add_test(t, the_death_of_a_newcomer_wakes);
	return suite_run(suite);
}
