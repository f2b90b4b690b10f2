/* SPDX-License-Identifier: Apache-2.0 */
/* Waits where there is no semtimedop(2): what they cost, and how late they are. */
#include <sys/resource.h>

#include "sysv_tests.h"
#include "test_hooks.h"

#define CPU_PART_MAX 0.005
#define LATE_MAX (15 * MSEC)

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The least of some: what else runs makes a poll dearer. */
START_TEST(a_wait_costs_little)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_LOCK, 1);
	semundo__test.no_semtimedop = 1;
	must_be(semundo_acquire(sem, 1), 0);
	double least = 1;
	for (int i = 0; i < 20 && least >= CPU_PART_MAX; i++) {
		double before = cpu_seconds();
		must_fail(semundo_acquire_timed(sem, 1, 2 * (int64_t)SEC), ETIMEDOUT, "'s'");
		double part = (cpu_seconds() - before) / 2;
		least = part < least ? part : least;
	}
	ck_assert_msg(least < CPU_PART_MAX, "a wait took %.3f%% of a processor", 100 * least);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

/* The least late of some: others may need the processors. */
START_TEST(a_time_limit_is_kept)
{
	uint64_t least = UINT64_MAX;
	semundo_t *sem = create("sysv:s", SEMUNDO_LOCK, 1);
	semundo__test.no_semtimedop = 1;
	must_be(semundo_acquire(sem, 1), 0);
	for (int i = 0; i < 20 && least >= LATE_MAX; i++) {
		uint64_t end = now_ns() + 103 * MSEC;
		must_fail(semundo_acquire_timed(sem, 1, 103 * (int64_t)MSEC), ETIMEDOUT, "'s'");
		ck_assert_uint_ge(now_ns() + MSEC, end);
		if (now_ns() - end < least)
			least = now_ns() - end;
	}
	ck_assert_uint_lt(least, LATE_MAX);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

void add_polling(Suite *suite)
{
	TCase *t = suite_case(suite, "polling");
	tcase_add_test(t, a_wait_costs_little);
	tcase_add_test(t, a_time_limit_is_kept);
}
