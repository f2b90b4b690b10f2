/* SPDX-License-Identifier: Apache-2.0 */
/*
 * semundo_release() in signal handlers that interrupt this library: at each
 * step of an operation (the crash points of the test build), and at random.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "engine.h"
#include "engines.h"
#include "test_hooks.h"

#define RELEASES_MAX 10

/* What the handler does. */
static struct {
	semundo_t *sem[RELEASES_MAX];
	unsigned units;
	unsigned count;
	int result[RELEASES_MAX];
	unsigned runs;
} plan;

static void release_planned(int number)
{
	(void)number;
	for (unsigned i = 0; i < plan.count; i++)
		plan.result[i] = semundo_release(plan.sem[i], plan.units);
	plan.runs++;
}

static const char *where;      /* the point that raises the signal, once */
static const char *then_where; /* and then this one */
static pthread_t interrupted;

static void raise_there(const char *point)
{
	if (where && strcmp(point, where) == 0 && pthread_equal(pthread_self(), interrupted)) {
		where = then_where;
		then_where = NULL;
		raise(SIGUSR1);
	}
}

static void interrupt_at(const char *point)
{
	signal(SIGUSR1, release_planned);
	interrupted = pthread_self();
	where = point;
	semundo__test_point = raise_there;
}

static void plan_release(semundo_t *sem, unsigned units)
{
	memset(&plan, 0, sizeof(plan));
	plan.sem[0] = sem;
	plan.count = 1;
	plan.units = units;
}

static const char *const points[] = { "lane:pending", "state:changed", "lane:idle" };

START_TEST(it_interrupts_an_acquire)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 5);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 3), 0);
	plan_release(sem, 2);
	interrupt_at(points[_i]);
	must_be(semundo_acquire(sem, 1), 0);
	ck_assert_uint_eq(plan.runs, 1);
	ck_assert_int_eq(plan.result[0], 0);
	ck_assert_int_eq((int)value_of(sem), 3);
	must_be(held(sem, 0), 2);
	must(semundo_close(sem));
}
END_TEST

START_TEST(it_interrupts_a_release)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 5);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 5), 0);
	plan_release(sem, 3);
	interrupt_at(points[_i]);
	must(semundo_release(sem, 1));
	ck_assert_uint_eq(plan.runs, 1);
	ck_assert_int_eq(plan.result[0], 0);
	ck_assert_int_eq((int)value_of(sem), 4);
	must_be(held(sem, 0), 1);
	must(semundo_close(sem));
}
END_TEST

/* Whether the interrupted operation took effect is not known there: only what
 * is held in both cases can be released. */
START_TEST(it_cannot_release_what_is_not_held)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 5);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 2), 0);
	plan_release(sem, 4);
	interrupt_at(points[_i]);
	must_be(semundo_acquire(sem, 1), 0);
	ck_assert_uint_eq(plan.runs, 1);
	ck_assert_int_eq(plan.result[0], -EPERM);
	ck_assert_int_eq((int)value_of(sem), 2);
	/* Twice is more than is held, though once is not. */
	plan_release(sem, 2);
	plan.sem[1] = sem;
	plan.count = 2;
	interrupt_at(points[_i]);
	must(semundo_release(sem, 1));
	ck_assert_int_eq(plan.result[0], 0);
	ck_assert_int_eq(plan.result[1], -EPERM);
	ck_assert_int_eq((int)value_of(sem), 5);
	must_be(held(sem, 0), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_waiter_gets_what_a_handler_left)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 3);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 2), 0);
	worker_start(w, semundo_acquire, 2);
	worker_sleeps(w);
	plan_release(sem, 2);
	interrupt_at(points[_i]);
	must_be(semundo_acquire(sem, 1), 0);
	worker_result_must_be(w, 0);
	must_be(held(sem, 0), 1);
	must(semundo_close(sem));
}
END_TEST

/* The second handler runs when the first one's release is about to be done. */
START_TEST(it_interrupts_what_a_handler_left)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 5);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 4), 0);
	plan_release(sem, 1);
	then_where = "section:drain";
	interrupt_at(points[_i]);
	must_be(semundo_acquire(sem, 1), 0);
	ck_assert_uint_eq(plan.runs, 2);
	ck_assert_int_eq(plan.result[0], 0);
	must_be(held(sem, 0), 3);
	ck_assert_int_eq((int)value_of(sem), 2);
	must(semundo_close(sem));
}
END_TEST

static void check_other_kind(int kind, const char *point)
{
	semundo_t *sem = make("k", kind, 1), *other = make("o", SEMUNDO_PERMITS, 2);
	must(semundo_unlink(named("k"), NULL));
	must(semundo_unlink(named("o"), NULL));
	if (!sem || !other)
		return;
	must_be(semundo_acquire(other, 1), 0);
	plan_release(other, 1);
	interrupt_at(point);
	must_be(semundo_acquire(sem, 1), 0);
	ck_assert_uint_eq(plan.runs, 1);
	ck_assert_int_eq(plan.result[0], 0);
	ck_assert_int_eq((int)value_of(other), 2);
	ck_assert_int_eq((int)value_of(sem), 0);
	/* And the same one: it has the unit at that point already. */
	must(semundo_release(sem, 1));
	plan_release(sem, 1);
	interrupt_at(point);
	must_be(semundo_acquire(sem, 1), 0);
	ck_assert_int_eq(plan.result[0], 0);
	ck_assert_int_eq((int)value_of(sem), 1);
	must(semundo_close(sem));
	must(semundo_close(other));
}

START_TEST(it_interrupts_other_kinds)
{
	check_other_kind(SEMUNDO_LOCK, "lock:changed");
	check_other_kind(SEMUNDO_SIGNAL, "signal:changed");
}
END_TEST

/* ---- more than fits ---- */

static uint32_t go_on, stuck;

static void stick_or_raise(const char *point)
{
	if (strcmp(point, "lane:pending") != 0)
		return;
	if (pthread_equal(pthread_self(), interrupted)) {
		raise_there(point);
		__atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
		return;
	}
	__atomic_fetch_add(&stuck, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&go_on, __ATOMIC_SEQ_CST))
		pause_ns(100000);
}

static void *acquire_one(void *sem)
{
	return semundo_acquire(sem, 1) == 0 ? NULL : sem;
}

START_TEST(it_leaves_eight_at_most)
{
	semundo_t *own = make("own", SEMUNDO_PERMITS, 9), *sem[9];
	pthread_t thread[9];
	void *failed;
	char name[8];
	if (!own)
		return;
	plan_release(NULL, 1);
	plan.count = 9;
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		plan.sem[i] = sem[i] = make(name, SEMUNDO_PERMITS, 9);
		must_be(semundo_acquire(sem[i], 2), 0);
	}
	must_be(semundo_acquire(own, 1), 0);
	interrupt_at("lane:pending");
	semundo__test_point = stick_or_raise;
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, acquire_one, sem[i]), 0);
	until(__atomic_load_n(&stuck, __ATOMIC_SEQ_CST) == 9);
	must_be(semundo_acquire(own, 1), 0);
	for (int i = 0; i < 9; i++) {
		ck_assert_int_eq(pthread_join(thread[i], &failed), 0);
		ck_assert_ptr_null(failed);
		ck_assert_int_eq(plan.result[i], i < 8 ? 0 : -EAGAIN);
		must_be(held(sem[i], 0), i < 8 ? 2 : 3);
		ck_assert_int_eq((int)value_of(sem[i]), i < 8 ? 7 : 6);
	}
	for (int i = 0; i < 9; i++)
		must(semundo_close(sem[i]));
	must(semundo_close(own));
}
END_TEST

/* ---- at random ---- */

static semundo_t *shared;
static uint32_t released, refused;
static timer_t soon;

static void signal_soon(void)
{
	const struct itimerspec once = { .it_value = { 0, 53000 } };
	timer_settime(soon, 0, &once, NULL);
}

/* The next signal comes some time after this one is done: on a slow machine
 * they would leave no time for what they interrupt. */
static void release_one(int number)
{
	int r = semundo_release(shared, 1);
	(void)number;
	__atomic_fetch_add(r ? &refused : &released, 1, __ATOMIC_RELAXED);
	signal_soon();
}

START_TEST(nothing_is_lost_at_random_moments)
{
	const unsigned rounds = 300000;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	shared = make("s", SEMUNDO_PERMITS, 10000);
	if (!shared)
		return;
	unsigned acquired = 0;
	signal(SIGALRM, release_one);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &soon), 0);
	signal_soon();
	/* Two steps forward, one back; the handler goes back as well. */
	uint64_t give_up = now_ns() + LIMIT;
	for (unsigned i = 0; (i < rounds || released < 500) && now_ns() < give_up; i++) {
		if (acquired - released < 9000 && semundo_try_acquire(shared, 2) == 0)
			acquired += 2;
		if (semundo_release(shared, 1) == 0)
			acquired--;
	}
	signal(SIGALRM, SIG_IGN);
	timer_delete(soon);
	ck_assert_uint_ge(released, 500);
	must_be(held(shared, 0), (int)(acquired - released));
	ck_assert_int_eq((int)value_of(shared), (int)(10000 - acquired + released));
	must(semundo_close(shared));
}
END_TEST

void add_signals(Suite *suite)
{
	TCase *t = suite_case(suite, "signals");
	if (!can(SEMUNDO_CAP_PERMITS) || strcmp(the->name, "native") != 0) {
		suite_skip("signals", "no crash points in this engine");
		return;
	}
	tcase_add_loop_test(t, it_interrupts_an_acquire, 0, 3);
	tcase_add_loop_test(t, it_interrupts_a_release, 0, 3);
	tcase_add_loop_test(t, it_cannot_release_what_is_not_held, 0, 2);
	tcase_add_loop_test(t, a_waiter_gets_what_a_handler_left, 0, 3);
	tcase_add_loop_test(t, it_interrupts_what_a_handler_left, 0, 3);
	tcase_add_test(t, it_interrupts_other_kinds);
	tcase_add_test(t, it_leaves_eight_at_most);
	tcase_add_test(t, nothing_is_lost_at_random_moments);
}
