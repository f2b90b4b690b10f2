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

/* Of one processor, while it does that. */
static double part_of(void (*what)(semundo_t *sem), semundo_t *sem)
{
	double before = cpu_seconds();
	uint64_t start = now_ns();
	what(sem);
	return (cpu_seconds() - before) * (double)SEC / (double)(now_ns() - start);
}

static void wait_in_vain(semundo_t *sem)
{
	must_fail(semundo_acquire_timed(sem, 1, 2 * (int64_t)SEC), ETIMEDOUT, "'s'");
}

static void sleep_as_often(semundo_t *sem)
{
	(void)sem;
	for (uint64_t end = now_ns() + 2 * SEC; now_ns() < end;)
		pause_ns(10 * MSEC);
}

/* More than sleeping as often costs by itself, which grows with what else runs;
 * the least of some tries. */
START_TEST(a_wait_costs_little)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_LOCK, 1);
	double least = 1;
	semundo__test.no_semtimedop = 1;
	must_be(semundo_acquire(sem, 1), 0);
	for (int i = 0; i < 8 && least >= CPU_PART_MAX; i++) {
		double part = part_of(wait_in_vain, sem) - part_of(sleep_as_often, sem);
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
