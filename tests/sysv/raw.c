/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of other programs, by their key. */
#include "sysv_tests.h"

static int id;
static char name[32], name_of_2[40], name_of_3[40];

static void make_set(void)
{
	int key = 0x5e000000 | (getpid() & 0xffffff);
	id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0600);
	ck_assert_int_ge(id, 0);
	snprintf(name, sizeof(name), "sysv:0x%x", key);
	snprintf(name_of_2, sizeof(name_of_2), "%s.2", name);
	snprintf(name_of_3, sizeof(name_of_3), "%s.3", name);
}

static void remove_set(void)
{
	semctl(id, 0, IPC_RMID);
}

static int count(unsigned short number)
{
	return semctl(id, number, GETVAL);
}

START_TEST(it_is_a_signal)
{
	semundo_t *sem, *two;
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	must(semundo_open(&sem, name, 0, NULL));
	must(semundo_open(&two, name_of_2, 0, NULL));
	ck_assert_ptr_ne(sem, two);
	must(semundo_release(sem, 2));
	must(semundo_release(two, 7));
	ck_assert_int_eq(count(0), 2);
	ck_assert_int_eq(count(1), 0);
	ck_assert_int_eq(count(2), 7);
	must_be(semundo_acquire(sem, 2), 0);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "0x");
	must_fail(semundo_acquire_timed(sem, 1, 1000000), ETIMEDOUT, "0x");
	ck_assert_int_eq((int)value_of(two), 7);
	ck_assert_uint_eq(info_of(sem).kind, SEMUNDO_SIGNAL);
	ck_assert_str_eq(info_of(sem).engine, "sysv");
	must_fail(semundo_open(&sem, name_of_3, 0, NULL), ENOENT, "fewer");
	must_fail(semundo_open(&sem, name, SEMUNDO_CREATE, NULL), ENOTSUP, "ipcmk");
	must_fail(semundo_unlink(name, NULL), ENOTSUP, "ipcrm");
	must_fail(semundo_open(&sem, "sysv:0x0", 0, NULL), EINVAL, "key 0");
	o.kind = SEMUNDO_LOCK;
	must_fail(semundo_open(&sem, name, 0, &o), ENOTSUP, "signal");
	must(semundo_close(sem));
	must(semundo_close(two));
	ck_assert_int_eq(count(2), 7);
	must_fail(semundo_open(&sem, "sysv:0x7fabcde1", 0, NULL), ENOENT, "ipcs");
}
END_TEST

static int acquire_permits(semundo_t *unused, unsigned n)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	(void)unused;
	o.kind = SEMUNDO_PERMITS;
	int r = semundo_open(&sem, name, 0, &o);
	return r ? r : semundo_acquire(sem, n);
}

START_TEST(as_permits_it_is_undone)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem, *plain;
	must(semundo_open(&plain, name, 0, NULL));
	must(semundo_release(plain, 3));
	struct worker *w = worker_fork(plain);
	worker_must(w, acquire_permits, 2);
	ck_assert_int_eq(count(0), 1);
	worker_kill(w);
	ck_assert_int_eq(count(0), 3);
	o.kind = SEMUNDO_PERMITS;
	must(semundo_open(&sem, name, 0, &o));
	ck_assert_ptr_ne(sem, plain);
	must_fail(semundo_release(sem, 1), EPERM, "hold");
	must_be(semundo_acquire(sem, 3), 0);
	must(semundo_release(sem, 1));
	must(semundo_close(sem)); /* gives the others back */
	ck_assert_int_eq(count(0), 3);
	must(semundo_close(plain));
}
END_TEST

/* A program that knows nothing of semundo. */
START_TEST(others_use_it_too)
{
	semundo_t *sem;
	struct sembuf up = { 0, 1, 0 };
	must(semundo_open(&sem, name, 0, NULL));
	struct worker *w = worker_fork(sem);
	worker_start(w, semundo_acquire, 1);
	worker_sleeps(w);
	ck_assert_int_eq(semctl(id, 0, GETNCNT), 1);
	ck_assert_uint_eq(info_of(sem).waiters, 1);
	ck_assert_int_eq(semop(id, &up, 1), 0);
	worker_result_must_be(w, 0);
	must(semundo_close(sem));
}
END_TEST

/* One semop: nobody sees a part of it. */
START_TEST(all_of_one_set_at_once)
{
	semundo_t *sems[2];
	unsigned units[2] = { 1, 2 };
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	must(semundo_open(&sems[0], name, 0, NULL));
	must(semundo_open(&sems[1], name_of_2, 0, NULL));
	must(semundo_release(sems[0], 1));
	must(semundo_release(sems[1], 1));
	wait.flags = SEMUNDO_WAIT_TRY;
	must_fail(semundo_acquire_all(sems, units, 2, &wait), EAGAIN, "0x");
	ck_assert_int_eq(count(0), 1);
	must(semundo_release(sems[1], 1));
	must_be(semundo_acquire_all(sems, units, 2, NULL), 0);
	ck_assert_int_eq(count(0) + count(2), 0);
	must(semundo_close(sems[0]));
	must(semundo_close(sems[1]));
}
END_TEST

void add_raw(Suite *suite)
{
	TCase *t = suite_case(suite, "raw");
	tcase_add_checked_fixture(t, make_set, remove_set);
	tcase_add_test(t, it_is_a_signal);
	tcase_add_test(t, as_permits_it_is_undone);
	tcase_add_test(t, others_use_it_too);
	tcase_add_test(t, all_of_one_set_at_once);
}
