/* SPDX-License-Identifier: Apache-2.0 */
/* The death of a holder: its units come back, once, and somebody is told. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "engines.h"

static unsigned units_of(int kind)
{
	return kind == SEMUNDO_LOCK ? 1 : 3;
}

/* One holder, dead: all its units are to come back. */
static semundo_t *bereaved(int kind, pid_t *ret_pid)
{
	semundo_t *sem = make("s", kind, 3);
	if (!sem)
		return NULL;
	struct worker *w = worker_open(named("s"));
	worker_must(w, semundo_acquire, units_of(kind));
	*ret_pid = w->pid;
	worker_kill(w);
	return sem;
}

static void check_told_once(semundo_t *sem, pid_t pid, unsigned units)
{
	struct semundo_death death[2];
	if (!can(SEMUNDO_CAP_PEERS))
		return; /* it knows that somebody died, but not who */
	must_be(semundo_deaths(sem, death, 2), 1);
	ck_assert_int_eq(death[0].pid, pid);
	ck_assert_uint_eq(death[0].units, units);
	ck_assert_uint_eq(death[0].uid, geteuid());
	ck_assert_uint_eq(death[0].number, 1);
	ck_assert_uint_ne(death[0].when, 0);
	ck_assert_uint_eq(info_of(sem).deaths, 1);
	ck_assert_uint_eq(info_of(sem).recovered, 0);
}

START_TEST(the_next_acquirer_is_told_once)
{
	pid_t pid = 0;
	semundo_t *sem = bereaved(_i, &pid);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 1), 1);
	ck_assert_int_eq((int)value_of(sem), (int)units_of(_i) - 1);
	check_told_once(sem, pid, units_of(_i));
	must(semundo_release(sem, 1));
	must_be(semundo_acquire(sem, units_of(_i)), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(every_way_of_acquiring_finds_the_dead)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	const struct timespec past = { 0, 0 };
	pid_t pid = 0;
	for (int way = 0; way < 4; way++) {
		semundo_t *sem = bereaved(_i, &pid);
		if (!sem)
			return;
		wait.flags = SEMUNDO_WAIT_TRY;
		must_be(way == 0 ? semundo_try_acquire(sem, 1) :
		        way == 1 ? semundo_acquire_timed(sem, 1, 0) :
		        way == 2 ? semundo_acquire_until(sem, 1, &past) :
		                   semundo_acquire_with(sem, 1, &wait), 1);
		must(semundo_close(sem));
		must(semundo_unlink(named("s"), NULL));
	}
}
END_TEST

START_TEST(a_waiter_is_told)
{
	semundo_t *sem = make("s", _i, 3);
	if (!sem)
		return;
	struct worker *holder = worker_open(named("s")), *w = worker_open(named("s"));
	worker_must(holder, semundo_acquire, units_of(_i));
	worker_start(w, semundo_acquire, units_of(_i));
	worker_sleeps(w);
	worker_kill(holder);
	worker_result_must_be(w, 1);
	worker_must(w, semundo_release, units_of(_i));
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(of_many_waiters_one_is_told)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 4);
	struct worker *holder, *w[4];
	int told = 0;
	if (!sem)
		return;
	holder = worker_open(named("s"));
	worker_must(holder, semundo_acquire, 4);
	for (int i = 0; i < 4; i++) {
		w[i] = worker_open(named("s"));
		worker_start(w[i], semundo_acquire, 1);
		worker_sleeps(w[i]);
	}
	worker_kill(holder);
	for (int i = 0; i < 4; i++)
		told += worker_result(w[i]);
	ck_assert_int_eq(told, 1);
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_close(sem));
}
END_TEST

/* Idle is no acquire: it undoes, but whoever acquires is still to be told. */
START_TEST(idle_comes_and_the_news_stays)
{
	pid_t pid = 0;
	semundo_t *sem = bereaved(_i, &pid);
	if (!sem)
		return;
	must(semundo_wait_idle(sem, NULL));
	ck_assert_int_eq((int)value_of(sem), (int)units_of(_i));
	must_be(semundo_acquire(sem, 1), 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(who_held_nothing_is_not_mourned)
{
	semundo_t *sem = make("s", _i, 3);
	struct semundo_death death;
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	worker_must(w, semundo_acquire, 1);
	worker_must(w, semundo_release, 1);
	worker_kill(w);
	must_be(semundo_acquire(sem, units_of(_i)), 0);
	must_be(semundo_deaths(sem, &death, 1), can(SEMUNDO_CAP_PEERS) ? 0 : -ENOTSUP);
	must(semundo_close(sem));
}
END_TEST

static int leave_by_exit(semundo_t *sem, unsigned n)
{
	int r = semundo_acquire(sem, n);
	_exit(r);
}

static int leave_by_exec(semundo_t *sem, unsigned n)
{
	if (semundo_acquire(sem, n) == 0)
		execl("/bin/sh", "sh", "-c", "read forever", (char *)NULL);
	_exit(1);
}

START_TEST(ending_with_units_held_is_a_death)
{
	semundo_t *sem = make("s", _i, 3);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	worker_start(w, leave_by_exit, units_of(_i));
	int status;
	reap(w->pid, &status);
	ck_assert_int_eq(status, 0);
	must_be(semundo_acquire(sem, 1), 1);
	must(semundo_close(sem));
	/* Not reaped yet is dead all the same. */
	ck_assert_int_eq(semundo_unlink(named("s"), NULL), 0);
	sem = make("s", _i, 3);
	w = worker_open(named("s"));
	worker_must(w, semundo_acquire, units_of(_i));
	worker_signal(w, SIGKILL);
	must_be(semundo_acquire(sem, 1), 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(exec_ends_the_holds_of_native)
{
	semundo_t *sem = make("s", _i, 3);
	if (!sem)
		return;
	if (strcmp(the->name, "native") == 0) {
		struct worker *w = worker_open(named("s"));
		worker_start(w, leave_by_exec, units_of(_i));
		until(strcmp(proc_line(w->pid, "comm"), "sh") == 0);
		must_be(semundo_acquire(sem, 1), 1);
		worker_kill(w);
	}
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_stopped_live)
{
	semundo_t *sem = make("s", _i, 3);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	worker_must(w, semundo_acquire, units_of(_i));
	worker_signal(w, SIGSTOP);
	until(strstr(proc_line(w->pid, "stat"), ") T "));
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must_be(semundo_recover(sem), 0);
	must_fail(semundo_acquire_timed(sem, 1, (int64_t)(50 * MSEC)), ETIMEDOUT, "'s'");
	worker_signal(w, SIGCONT);
	worker_must(w, semundo_release, units_of(_i));
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
}
END_TEST

static int hold_and_fork(semundo_t *sem, unsigned n)
{
	int r = semundo_acquire(sem, n);
	pid_t pid = r ? 0 : fork();
	while (pid == 0)
		pause();
	return r ? r : (int)pid;
}

/* A child has nothing of it, and does not keep it either. */
START_TEST(a_child_of_the_holder_keeps_nothing)
{
	semundo_t *sem = make("s", _i, 3);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	int child = worker_does(w, hold_and_fork, units_of(_i));
	ck_assert_int_gt(child, 0);
	worker_kill(w);
	must_be(semundo_acquire(sem, 1), 1);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq((int)value_of(sem), (int)units_of(_i) - 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_latest_eight_deaths_are_kept)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 20);
	struct semundo_death death[9];
	pid_t pid[11];
	if (!sem)
		return;
	for (unsigned i = 1; i <= 10; i++) {
		struct worker *w = worker_open(named("s"));
		worker_must(w, semundo_acquire, i);
		pid[i] = w->pid;
		worker_kill(w);
		must_be(semundo_acquire(sem, 20), 1);
		must(semundo_release(sem, 20));
	}
	if (!can(SEMUNDO_CAP_PEERS)) {
		must(semundo_close(sem));
		return;
	}
	must_be(semundo_deaths(sem, death, 9), 8);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_uint_eq(death[i].number, 10 - i);
		ck_assert_uint_eq(death[i].units, 10 - i);
		ck_assert_int_eq(death[i].pid, pid[10 - i]);
	}
	memset(death, 'x', sizeof(death));
	must_be(semundo_deaths(sem, death, 2), 2);
	ck_assert_uint_eq(death[1].number, 9);
	ck_assert_int_eq(((char *)&death[2])[0], 'x');
	must_be(semundo_deaths(sem, death, 0), 0);
	ck_assert_uint_eq(info_of(sem).deaths, 10);
	must(semundo_close(sem));
}
END_TEST

/* One process, several semaphores: each gets its own back. */
START_TEST(all_semaphores_of_the_dead_get_theirs)
{
	semundo_t *lock = make("l", SEMUNDO_LOCK, 1), *permits = make("p", SEMUNDO_PERMITS, 2);
	if (!lock || !permits)
		return;
	struct worker *w = worker_fork(lock), *a = worker_open(named("l")),
	              *b = worker_open(named("p"));
	worker_must(w, semundo_acquire, 1);
	must_be(semundo_acquire(permits, 2), 0);
	worker_start(a, semundo_acquire, 1);
	worker_start(b, semundo_acquire, 2);
	worker_sleeps(a);
	worker_sleeps(b);
	worker_kill(w);
	worker_result_must_be(a, 1);
	worker_sleeps(b);
	must(semundo_release(permits, 2));
	worker_result_must_be(b, 0);
	worker_kill(a);
	worker_kill(b);
	must_be(semundo_acquire(lock, 1), 1);
	must_be(semundo_acquire(permits, 2), 1);
	must(semundo_close(lock));
	must(semundo_close(permits));
}
END_TEST

START_TEST(a_signal_that_was_sent_stays_sent)
{
	semundo_t *sem = make("s", SEMUNDO_SIGNAL, 2);
	struct semundo_death death;
	if (!sem)
		return;
	struct worker *sender = worker_open(named("s")), *taker = worker_open(named("s"));
	worker_must(sender, semundo_release, 3);
	worker_must(taker, semundo_acquire, 1);
	worker_kill(sender);
	worker_kill(taker);
	must_be(semundo_recover(sem), 0);
	ck_assert_int_eq((int)value_of(sem), 4);
	for (int i = 0; i < 4; i++)
		must_be(semundo_acquire(sem, 1), 0);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must_be(semundo_deaths(sem, &death, 1), can(SEMUNDO_CAP_PEERS) ? 0 : -ENOTSUP);
	must(semundo_close(sem));
}
END_TEST

void add_deaths(Suite *suite)
{
	TCase *t = suite_case(suite, "deaths");
	add_undone_kinds(t, the_next_acquirer_is_told_once);
	add_undone_kinds(t, every_way_of_acquiring_finds_the_dead);
	add_undone_kinds(t, a_waiter_is_told);
	tcase_add_test(t, of_many_waiters_one_is_told);
	add_undone_kinds(t, idle_comes_and_the_news_stays);
	add_undone_kinds(t, who_held_nothing_is_not_mourned);
	add_undone_kinds(t, ending_with_units_held_is_a_death);
	add_undone_kinds(t, exec_ends_the_holds_of_native);
	add_undone_kinds(t, the_stopped_live);
	add_undone_kinds(t, a_child_of_the_holder_keeps_nothing);
	tcase_add_test(t, the_latest_eight_deaths_are_kept);
	tcase_add_test(t, all_semaphores_of_the_dead_get_theirs);
	tcase_add_test(t, a_signal_that_was_sent_stays_sent);
}
