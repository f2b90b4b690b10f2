/* SPDX-License-Identifier: Apache-2.0 */
/* Each limit of System V semaphores is an error that names it. */
#include "sysv_tests.h"

static void set_limits(const char *text)
{
	FILE *to = fopen("/proc/sys/kernel/sem", "w");
	ck_assert_ptr_nonnull(to);
	fputs(text, to);
	ck_assert_int_eq(fclose(to), 0);
}

START_TEST(how_many_sets)
{
	semundo_t *a, *b;
	set_limits("32000 1024000000 500 1");
	a = create("sysv:a", SEMUNDO_LOCK, 1);
	must_fail_unchanged(semundo_open(&b, "sysv:b", SEMUNDO_CREATE, NULL), ENOSPC, "SEMMNI");
	must_fail(semundo_open(&b, "sysv:b", SEMUNDO_CREATE, NULL), ENOSPC, "allows 1;");
	must_fail(semundo_open(&b, "sysv:b", SEMUNDO_CREATE, NULL), ENOSPC, "kernel.sem");
	must(semundo_close(a));
	must(semundo_unlink("sysv:a", NULL));
}
END_TEST

START_TEST(how_many_semaphores)
{
	semundo_t *a, *b;
	set_limits("32000 20 500 32000");
	a = create("sysv:a", SEMUNDO_LOCK, 1);
	must_fail_unchanged(semundo_open(&b, "sysv:b", SEMUNDO_CREATE, NULL), ENOSPC, "SEMMNS");
	must_fail(semundo_open(&b, "sysv:b", SEMUNDO_CREATE, NULL), ENOSPC, "allows 20;");
	must(semundo_close(a));
	must(semundo_unlink("sysv:a", NULL));
}
END_TEST

START_TEST(how_many_in_a_set)
{
	semundo_t *a;
	set_limits("10 1024000000 500 32000");
	must_fail_unchanged(semundo_open(&a, "sysv:a", SEMUNDO_CREATE, NULL), ENOSPC, "SEMMSL");
	must_fail(semundo_open(&a, "sysv:a", SEMUNDO_CREATE, NULL), ENOSPC, "allows 10;");
}
END_TEST

START_TEST(how_many_operations)
{
	semundo_t *a;
	set_limits("32000 1024000000 3 32000");
	a = create("sysv:a", SEMUNDO_LOCK, 1);
	must_fail_unchanged(semundo_acquire(a, 1), ENOSPC, "SEMOPM allows 3;");
	set_limits("32000 1024000000 4 32000");
	must_be(semundo_acquire(a, 1), 0);
	must(semundo_close(a));
	must(semundo_unlink("sysv:a", NULL));
}
END_TEST

START_TEST(how_large_a_capacity)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	o.capacity = 32768;
	must_fail_unchanged(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, &o), EINVAL, "SEMVMX");
	o.kind = SEMUNDO_SIGNAL;
	must_fail_unchanged(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, &o), EINVAL, "32767");
	o.capacity = 0;
	o.value = 32768;
	must_fail_unchanged(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, &o), EINVAL, "32767");
}
END_TEST

/* As a Queue does, which posts once for each item: an error, and not a wait. */
START_TEST(how_many_posts)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_SIGNAL, 0);
	for (int i = 0; i < SYSV_VALUE_MAX; i++)
		must(semundo_release(sem, 1));
	must_fail(semundo_release(sem, 1), EOVERFLOW, "32767");
	must_fail(semundo_release(sem, 1), EOVERFLOW, "SEMVMX");
	ck_assert_int_eq((int)value_of(sem), SYSV_VALUE_MAX);
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_release(sem, 1));
	must_fail(semundo_release(sem, 40000), EOVERFLOW, "'s'");
	must_be(semundo_acquire(sem, SYSV_VALUE_MAX), 0);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

START_TEST(a_maximum_is_kept)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	o.kind = SEMUNDO_SIGNAL;
	o.capacity = 3;
	o.value = 2;
	must(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, &o));
	must_fail(semundo_release(sem, 2), EOVERFLOW, "maximum");
	must(semundo_release(sem, 1));
	must_fail(semundo_release(sem, 1), EOVERFLOW, "maximum");
	ck_assert_int_eq((int)value_of(sem), 3);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

void add_limits(Suite *suite)
{
	TCase *t = suite_case(suite, "limits");
	const char *why = "no IPC namespace of its own to set limits in (needs root)";
	add_test_if(alone, t, how_many_sets, why);
	add_test_if(alone, t, how_many_semaphores, why);
	add_test_if(alone, t, how_many_in_a_set, why);
	add_test_if(alone, t, how_many_operations, why);
	tcase_add_test(t, how_large_a_capacity);
	tcase_add_test(t, how_many_posts);
	tcase_add_test(t, a_maximum_is_kept);
}
