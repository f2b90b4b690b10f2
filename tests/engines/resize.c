/* SPDX-License-Identifier: Apache-2.0 */
/* A capacity that changes: up at once, down as units come back. */
#include <signal.h>

#include "engine.h"
#include "engines.h"
#include "test_hooks.h"

/* Null where the engine cannot: asking is a clean error then. */
static semundo_t *resizable(unsigned units)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, units);
	if (!sem || can(SEMUNDO_CAP_RESIZE))
		return sem;
	must_fail(semundo_resize(sem, units + 1), ENOTSUP, "'s'");
	ck_assert_int_eq((int)value_of(sem), (int)units);
	must(semundo_close(sem));
	return NULL;
}

START_TEST(larger_at_once)
{
	semundo_t *sem = resizable(2);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 2), 0);
	must(semundo_resize(sem, 5));
	ck_assert_int_eq((int)value_of(sem), 3);
	ck_assert_uint_eq(info_of(sem).capacity, 5);
	must_be(semundo_acquire(sem, 3), 0);
	must(semundo_release(sem, 5));
	must_be(semundo_acquire(sem, 5), 0);
	must(semundo_resize(sem, 5));
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(smaller_as_units_come_back)
{
	semundo_t *sem = resizable(5);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 4), 0);
	must(semundo_resize(sem, 2));
	ck_assert_int_eq((int)value_of(sem), -2);
	ck_assert_uint_eq(info_of(sem).capacity, 2);
	must_be(held(sem, 0), 4);
	must(semundo_release(sem, 2));
	ck_assert_int_eq((int)value_of(sem), 0);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must_fail(semundo_acquire(sem, 3), ERANGE, "'s'");
	must(semundo_release(sem, 2));
	ck_assert_int_eq((int)value_of(sem), 2);
	must_be(semundo_acquire(sem, 2), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_waiter_goes_on_when_it_grows)
{
	semundo_t *sem = resizable(1);
	if (!sem)
		return;
	struct worker *a = worker_open(named("s")), *b = worker_open(named("s"));
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(a, semundo_acquire, 1);
	worker_start(b, semundo_acquire, 1);
	worker_sleeps(a);
	worker_sleeps(b);
	must(semundo_resize(sem, 3));
	worker_result_must_be(a, 0);
	worker_result_must_be(b, 0);
	ck_assert_int_eq((int)value_of(sem), 0);
	ck_assert_uint_eq(info_of(sem).held, 3);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_waiter_goes_on_after_it_shrank)
{
	semundo_t *sem = resizable(4);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s")), *many = worker_open(named("s"));
	must_be(semundo_acquire(sem, 4), 0);
	worker_start(w, semundo_acquire, 1);
	worker_start(many, semundo_acquire, 3);
	worker_sleeps(w);
	worker_sleeps(many);
	must(semundo_resize(sem, 2));
	must(semundo_release(sem, 2));
	worker_sleeps(w);
	must(semundo_release(sem, 1));
	worker_result_must_be(w, 0);
	worker_must(w, semundo_release, 1);
	must(semundo_release(sem, 1));
	ck_assert_int_eq((int)value_of(sem), 2);
	/* Three of two it has to wait for, until there are three. */
	worker_sleeps(many);
	must(semundo_resize(sem, 3));
	worker_result_must_be(many, 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(idle_comes_when_it_shrinks)
{
	semundo_t *sem = resizable(3);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 2), 0);
	worker_start(w, wait_idle, 0);
	worker_sleeps(w);
	must(semundo_resize(sem, 1));
	worker_sleeps(w);
	must(semundo_release(sem, 2));
	worker_result_must_be(w, 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(units_of_the_dead_come_back_to_a_smaller_one)
{
	semundo_t *sem = resizable(5);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	worker_must(w, semundo_acquire, 4);
	must(semundo_resize(sem, 2));
	ck_assert_int_eq((int)value_of(sem), -2);
	worker_kill(w);
	must_be(semundo_acquire(sem, 2), 1);
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(bounds_and_other_kinds)
{
	semundo_t *sem = resizable(2), *lock;
	if (!sem)
		return;
	must_fail_unchanged(semundo_resize(sem, 0), ERANGE, "'s'");
	must_fail_unchanged(semundo_resize(sem, SEMUNDO_PERMITS_MAX + 1), ERANGE, "'s'");
	must(semundo_resize(sem, SEMUNDO_PERMITS_MAX));
	must_be(semundo_acquire(sem, SEMUNDO_PERMITS_MAX), 0);
	must(semundo_resize(sem, 1));
	ck_assert_int_eq((int)value_of(sem), 1 - SEMUNDO_PERMITS_MAX);
	must(semundo_release(sem, SEMUNDO_PERMITS_MAX));
	ck_assert_int_eq((int)value_of(sem), 1);
	must(semundo_close(sem));
	lock = make("l", SEMUNDO_LOCK, 1);
	if (lock)
		must_fail_unchanged(semundo_resize(lock, 2), ENOTSUP, "'l'");
	must(semundo_close(lock));
}
END_TEST

static void stop_in_resize(const char *where)
{
	if (strcmp(where, "resize:claimed") == 0)
		raise(SIGSTOP);
}

static int resize_and_stop(semundo_t *sem, unsigned n)
{
	semundo__test_point = stop_in_resize;
	return semundo_resize(sem, n);
}

/* One stopped in the middle keeps the others out; dead, it does not. */
START_TEST(one_resizes_at_a_time)
{
	semundo_t *sem = resizable(2);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(w, resize_and_stop, 4);
	until(strstr(proc_line(w->pid, "stat"), ") T "));
	must_fail_unchanged(semundo_resize(sem, 3), EBUSY, "'s'");
	ck_assert_int_eq((int)value_of(sem), 1);
	must(semundo_release(sem, 1));
	worker_kill(w);
	must(semundo_resize(sem, 3));
	ck_assert_int_eq((int)value_of(sem), 3);
	must(semundo_close(sem));
}
END_TEST

static int breathe(semundo_t *sem, unsigned rounds)
{
	int r = 0;
	for (unsigned i = 0; i < rounds && !r; i++)
		r = semundo_resize(sem, 1 + i % 7);
	return r ? r : semundo_resize(sem, 3);
}

static int pairs(semundo_t *sem, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		int r = semundo_acquire(sem, 1);
		if (r >= 0)
			r = semundo_release(sem, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

START_TEST(nothing_is_lost_while_it_breathes)
{
	semundo_t *sem = resizable(3);
	if (!sem)
		return;
	struct worker *w[4];
	for (int i = 0; i < 4; i++) {
		w[i] = worker_open(named("s"));
		worker_start(w[i], i < 2 ? breathe : pairs, i < 2 ? 2000 : 20000);
	}
	for (int i = 0; i < 4; i++)
		worker_result_must_be(w[i], 0);
	ck_assert_int_eq((int)value_of(sem), 3);
	ck_assert_uint_eq(info_of(sem).capacity, 3);
	ck_assert_uint_eq(info_of(sem).held, 0);
	must(semundo_close(sem));
}
END_TEST

void add_resize(Suite *suite)
{
	TCase *t = suite_case(suite, "resize");
	tcase_add_test(t, larger_at_once);
	tcase_add_test(t, smaller_as_units_come_back);
	tcase_add_test(t, a_waiter_goes_on_when_it_grows);
	tcase_add_test(t, a_waiter_goes_on_after_it_shrank);
	tcase_add_test(t, idle_comes_when_it_shrinks);
	tcase_add_test(t, units_of_the_dead_come_back_to_a_smaller_one);
	tcase_add_test(t, bounds_and_other_kinds);
	tcase_add_test(t, one_resizes_at_a_time);
	tcase_add_test(t, nothing_is_lost_while_it_breathes);
}
