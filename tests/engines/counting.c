/* SPDX-License-Identifier: Apache-2.0 */
/* Acquire, release, value, held, wait_idle: what they count and refuse. */
#include <limits.h>
#include <stdio.h>

#include "engine.h"
#include "engines.h"

START_TEST(units_go_and_come)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 5);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 2), 0);
	must_be(semundo_try_acquire(sem, 3), 0);
	ck_assert_int_eq((int)value_of(sem), 0);
	must_be(held(sem, 0), 5);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must(semundo_release(sem, 1));
	ck_assert_int_eq((int)value_of(sem), 1);
	must_be(held(sem, 0), 4);
	must_fail(semundo_try_acquire(sem, 2), EAGAIN, "'s'");
	must(semundo_release(sem, 4));
	ck_assert_int_eq((int)value_of(sem), 5);
	must_be(held(sem, 0), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(all_forms_of_acquire_do_the_same)
{
	semundo_t *sem = make("s", _i, 1);
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	struct timespec past = { 0, 0 };
	if (!sem)
		return;
	for (int form = 0; form < 6; form++) {
		wait.flags = form == 4 ? SEMUNDO_WAIT_TRY : 0;
		must_be(form == 0 ? semundo_acquire(sem, 1) :
		        form == 1 ? semundo_try_acquire(sem, 1) :
		        form == 2 ? semundo_acquire_timed(sem, 1, -1) :
		        form == 3 ? semundo_acquire_until(sem, 1, &past) :
		        form == 4 ? semundo_acquire_with(sem, 1, &wait) :
		                    semundo_acquire_with(sem, 1, NULL), 0);
		ck_assert_int_eq((int)value_of(sem), 0);
		must(semundo_release(sem, 1));
		ck_assert_int_eq((int)value_of(sem), 1);
	}
	must(semundo_close(sem));
}
END_TEST

/* Each in a process that has not used it yet, and in one that has. */
START_TEST(zero_and_too_many_are_refused)
{
	semundo_t *sem = make("s", _i, 1);
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	const struct timespec past = { 0, 0 };
	const int too_many = can(SEMUNDO_CAP_MANY) ? ERANGE : ENOTSUP;
	unsigned most = _i == SEMUNDO_SIGNAL ? most_of(_i) : 1;
	if (!sem)
		return;
	wait.flags = SEMUNDO_WAIT_TRY;
	for (int used = 0; used < 2; used++) {
		must_fail_unchanged(semundo_acquire(sem, 0), EINVAL, "0 units of 's'");
		must_fail_unchanged(semundo_try_acquire(sem, 0), EINVAL, "0 units of 's'");
		must_fail_unchanged(semundo_acquire_timed(sem, 0, 1), EINVAL, "0 units of 's'");
		must_fail_unchanged(semundo_acquire_until(sem, 0, &past), EINVAL, "0 units of 's'");
		must_fail_unchanged(semundo_acquire_with(sem, 0, &wait), EINVAL, "0 units of 's'");
		must_fail_unchanged(semundo_release(sem, 0), EINVAL, "0 units of 's'");
		must_fail_unchanged(semundo_acquire(sem, most + 1), too_many, "'s'");
		must_fail_unchanged(semundo_acquire(sem, UINT_MAX), too_many, "'s'");
		must_fail_unchanged(semundo_try_acquire(sem, UINT_MAX), too_many, "'s'");
		must_fail_unchanged(semundo_acquire_timed(sem, most + 1, 1), too_many, "'s'");
		must_be(semundo_acquire(sem, 1), 0);
		must(semundo_release(sem, 1));
	}
	must(semundo_close(sem));
}
END_TEST

START_TEST(bad_waits_are_refused)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 1);
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	struct timespec bad = { 1, -1 };
	if (!sem)
		return;
	must_fail(semundo_acquire_until(sem, 1, NULL), EINVAL, "deadline");
	for (int i = 0; i < 2; i++) {
		must_fail(semundo_acquire_until(sem, 1, &bad), EINVAL, "nanoseconds");
		wait.deadline = &bad;
		must_fail(semundo_acquire_with(sem, 1, &wait), EINVAL, "nanoseconds");
		must_fail(semundo_wait_idle(sem, &wait), EINVAL, "nanoseconds");
		bad.tv_nsec = 1000000000;
	}
	wait = (struct semundo_wait)SEMUNDO_WAIT_INIT;
	wait.flags = 4;
	must_fail(semundo_acquire_with(sem, 1, &wait), EINVAL, "0x4");
	wait.flags = 0;
	wait.reserved = 1;
	must_fail(semundo_acquire_with(sem, 1, &wait), EINVAL, "flags");
	wait.reserved = 0;
	wait.size = 4;
	must_fail(semundo_acquire_with(sem, 1, &wait), EINVAL, "size");
	ck_assert_int_eq((int)value_of(sem), 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(permits_go_back_only_by_their_holder)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 3);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must_fail_unchanged(semundo_release(sem, 1), EPERM, "'s'");
	worker_must(w, semundo_acquire, 3);
	must_fail_unchanged(semundo_release(sem, 1), EPERM, "'s'");
	worker_must(w, semundo_release, 2);
	must_be(semundo_acquire(sem, 1), 0);
	must_fail_unchanged(semundo_release(sem, 2), EPERM, "'s'");
	must_fail_unchanged(semundo_release(sem, UINT_MAX), EPERM, "'s'");
	must_fail_unchanged(semundo_release(sem, 65536), EPERM, "'s'");
	ck_assert_int_eq((int)value_of(sem), 1);
	must_be(held(sem, 0), 1);
	worker_must_be(w, held, 0, 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_lock_has_one_unit)
{
	semundo_t *sem = make("s", SEMUNDO_LOCK, 1);
	if (!sem)
		return;
	int not_held = can(SEMUNDO_CAP_LOCK_BY_ANY) ? EOVERFLOW : EPERM;
	must_fail_unchanged(semundo_release(sem, 1), not_held, "'s'");
	must_be(semundo_acquire(sem, 1), 0);
	/* It is no RLock: its owner waits for itself. */
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must_fail(semundo_acquire_timed(sem, 1, 1000), ETIMEDOUT, "'s'");
	must_fail_unchanged(semundo_release(sem, 2), EPERM, "'s'");
	must_be(held(sem, 0), 1);
	must(semundo_release(sem, 1));
	must_fail_unchanged(semundo_release(sem, 1), not_held, "'s'");
	must_be(held(sem, 0), 0);
	must(semundo_close(sem));
}
END_TEST

/* Who releases takes the ownership record with it. */
START_TEST(a_lock_is_released_by_another)
{
	struct worker *owner = worker_open(named("s")), *other = worker_open(named("s"));
	semundo_t *sem = make("s", SEMUNDO_LOCK, 1);
	if (!sem)
		return;
	worker_must(owner, semundo_acquire, 1);
	if (!can(SEMUNDO_CAP_LOCK_BY_ANY)) {
		worker_must_be(other, semundo_release, 1, -EPERM);
		worker_must_be(owner, held, 0, 1);
		must(semundo_close(sem));
		return;
	}
	/* It never acquired anything, and it does not matter. */
	worker_must(other, semundo_release, 1);
	worker_must_be(owner, held, 0, 0);
	worker_must(other, semundo_acquire, 1);
	worker_must_be(other, held, 0, 1);
	/* The former owner takes nothing along. */
	worker_must(owner, close_it, 0);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	worker_must(other, semundo_release, 1);
	must_be(semundo_acquire(sem, 1), 0);
	worker_kill(owner);
	must(semundo_close(sem));
}
END_TEST

START_TEST(nobody_holds_a_signal)
{
	struct worker *w = worker_open(named("s"));
	semundo_t *sem = make("s", SEMUNDO_SIGNAL, 0);
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	const unsigned most = most_of(SEMUNDO_SIGNAL);
	if (!sem)
		return;
	worker_must(w, semundo_release, 3);
	for (int i = 0; i < 2; i++)
		must_be(semundo_acquire(sem, 1), 0);
	must_be(held(sem, 0), 0);
	worker_must_be(w, held, 0, 0);
	ck_assert_uint_eq(info_of(sem).held, 0);
	must_fail(semundo_wait_idle(sem, NULL), ENOTSUP, "'s'");
	must_fail(semundo_wait_idle(sem, &wait), ENOTSUP, "'s'");
	must_fail(semundo_resize(sem, 3), ENOTSUP, "'s'");
	worker_must(w, close_it, 0);
	ck_assert_int_eq((int)value_of(sem), 1);
	must(semundo_close(sem));
	must(semundo_open(&sem, named("s"), 0, NULL));
	ck_assert_int_eq((int)value_of(sem), 1);
	if (!can(SEMUNDO_CAP_MANY)) {
		must_fail(semundo_release(sem, most), EINVAL, "'s'");
		must(semundo_close(sem));
		worker_kill(w);
		return;
	}
	must_fail(semundo_release(sem, most), EOVERFLOW, "'s'");
	must(semundo_release(sem, most - 1));
	ck_assert_uint_eq((unsigned)value_of(sem), most);
	must_be(semundo_acquire(sem, most), 0);
	must(semundo_close(sem));
	worker_kill(w);
}
END_TEST

START_TEST(idle_is_when_all_are_back)
{
	semundo_t *sem = make("s", _i, 2);
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	const struct timespec past = { 0, 0 };
	unsigned all = _i == SEMUNDO_LOCK ? 1 : 2;
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must(semundo_wait_idle(sem, NULL));
	must_be(semundo_acquire(sem, all), 0);
	worker_start(w, wait_idle, 0);
	worker_sleeps(w);
	wait.flags = SEMUNDO_WAIT_TRY;
	must_fail(semundo_wait_idle(sem, &wait), EAGAIN, "'s'");
	wait.flags = 0;
	wait.deadline = &past;
	must_fail(semundo_wait_idle(sem, &wait), ETIMEDOUT, "'s'");
	if (all == 2) {
		must(semundo_release(sem, 1));
		worker_sleeps(w);
	}
	must(semundo_release(sem, 1));
	worker_result_must_be(w, 0);
	must(semundo_wait_idle(sem, &wait));
	worker_must_be(w, held, 0, 0);
	ck_assert_int_eq((int)value_of(sem), (int)all);
	must(semundo_close(sem));
}
END_TEST

START_TEST(capacities_have_bounds)
{
	const unsigned most = most_of(SEMUNDO_PERMITS);
	char most_text[16];
	snprintf(most_text, sizeof(most_text), "%u", most);
	semundo_t *sem = make("s", SEMUNDO_PERMITS, most);
	if (!sem)
		return;
	ck_assert_uint_eq((unsigned)value_of(sem), most);
	must_be(semundo_acquire(sem, most), 0);
	must_fail(semundo_acquire(sem, most + 1), ERANGE, most_text);
	ck_assert_int_eq((int)value_of(sem), 0);
	must_be(held(sem, 0), (int)most);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must(semundo_release(sem, most));
	ck_assert_uint_eq((unsigned)value_of(sem), most);
	must(semundo_close(sem));
}
END_TEST

void add_counting(Suite *suite)
{
	TCase *t = suite_case(suite, "counting");
	tcase_add_test(t, units_go_and_come);
	add_all_kinds(t, all_forms_of_acquire_do_the_same);
	add_all_kinds(t, zero_and_too_many_are_refused);
	tcase_add_test(t, bad_waits_are_refused);
	tcase_add_test(t, permits_go_back_only_by_their_holder);
	tcase_add_test(t, a_lock_has_one_unit);
	tcase_add_test(t, a_lock_is_released_by_another);
	tcase_add_test(t, nobody_holds_a_signal);
	add_undone_kinds(t, idle_is_when_all_are_back);
	tcase_add_test(t, capacities_have_bounds);
}
