/* SPDX-License-Identifier: Apache-2.0 */
/* The count of lost units, from which an acquirer knows that a holder died. */
#include "sysv_tests.h"

static void dies_holding(const char *name, unsigned units, int told)
{
	struct worker *w = worker_open(name);
	worker_must_be(w, semundo_acquire, units, told);
	worker_kill(w);
}

static int lost(semundo_t *sem)
{
	return semundo__sysv_count(sysv(sem), GETVAL, SYSV_LOST);
}

START_TEST(one_is_told_of_many_deaths)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_PERMITS, 5);
	struct worker *a = worker_open("sysv:s"), *b = worker_open("sysv:s");
	worker_must(a, semundo_acquire, 1);
	worker_must(b, semundo_acquire, 3);
	worker_must(b, semundo_release, 1);
	ck_assert_int_eq(lost(sem), 0);
	worker_kill(a);
	worker_kill(b);
	ck_assert_int_eq(lost(sem), 3);
	ck_assert_uint_eq(info_of(sem).recovered, 1);
	must_be(semundo_acquire(sem, 2), 1);
	ck_assert_int_eq(lost(sem), 0);
	must_be(semundo_acquire(sem, 2), 0);
	must(semundo_release(sem, 4));
	ck_assert_int_eq(lost(sem), 0);
	ck_assert_int_eq((int)value_of(sem), 5);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

/* Who is told and dies is told of again; who releases is not. */
START_TEST(it_is_not_forgotten)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_LOCK, 1);
	dies_holding("sysv:s", 1, 0);
	dies_holding("sysv:s", 1, 1);
	dies_holding("sysv:s", 1, 1);
	must_be(semundo_acquire(sem, 1), 1);
	must(semundo_release(sem, 1));
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

/* Numbers at which adding to LOST overflows. */
START_TEST(as_many_as_there_can_be)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_PERMITS, SYSV_VALUE_MAX);
	struct worker *holder = worker_open("sysv:s");
	worker_must(holder, semundo_acquire, 12000);
	dies_holding("sysv:s", 20000, 0);
	ck_assert_int_eq(lost(sem), 20000);
	worker_must(holder, semundo_release, 12000);
	ck_assert_int_eq(lost(sem), 20000);
	ck_assert_int_eq((int)value_of(sem), SYSV_VALUE_MAX);
	dies_holding("sysv:s", SYSV_VALUE_MAX, 1);
	ck_assert_int_eq(lost(sem), SYSV_VALUE_MAX);
	must_be(semundo_acquire(sem, SYSV_VALUE_MAX), 1);
	must(semundo_release(sem, SYSV_VALUE_MAX));
	must_be(semundo_acquire(sem, SYSV_VALUE_MAX), 0);
	must(semundo_release(sem, SYSV_VALUE_MAX));
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

/* A waiter that sleeps when the death comes. */
START_TEST(who_waits_is_told)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_PERMITS, 2);
	struct worker *holder = worker_open("sysv:s"), *waiter = worker_open("sysv:s");
	worker_must(holder, semundo_acquire, 2);
	worker_start(waiter, semundo_acquire, 2);
	worker_sleeps(waiter);
	worker_kill(holder);
	worker_result_must_be(waiter, 1);
	worker_must(waiter, semundo_release, 2);
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

void add_lost(Suite *suite)
{
	TCase *t = suite_case(suite, "lost");
	tcase_add_test(t, one_is_told_of_many_deaths);
	tcase_add_test(t, it_is_not_forgotten);
	tcase_add_test(t, as_many_as_there_can_be);
	tcase_add_test(t, who_waits_is_told);
}
