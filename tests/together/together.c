/* SPDX-License-Identifier: Apache-2.0 */
/* Several semaphores at once, and the choice of an engine. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "../common/suite.h"
#include "../common/worker.h"
#include "test_hooks.h"

static const char *const engines[] = { "native", "sysv" };

static const char *named(int engine, const char *name)
{
	static char names[4][64];
	static unsigned next;
	char *to = names[next++ % 4];
	snprintf(to, sizeof(names[0]), "%s:%s", engines[engine], name);
	return to;
}

static semundo_t *create(const char *name, uint32_t kind, uint32_t units)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem = NULL;
	options.kind = kind;
	options.capacity = kind == SEMUNDO_PERMITS ? units : 0;
	must(semundo_open(&sem, name, SEMUNDO_CREATE, &options));
	return sem;
}

static int64_t value_of(semundo_t *sem)
{
	int64_t value = -1;
	must(semundo_value(sem, &value));
	return value;
}

static void done(semundo_t *sem, const char *name)
{
	must(semundo_close(sem));
	must(semundo_unlink(name, NULL));
}

START_TEST(all_or_nothing)
{
	semundo_t *a = create(named(_i, "a"), SEMUNDO_PERMITS, 3);
	semundo_t *b = create(named(_i, "b"), SEMUNDO_LOCK, 1);
	semundo_t *sems[] = { a, b, a };
	const unsigned units[] = { 1, 1, 2 }, too_many[] = { 2, 1, 2 }, none[] = { 1, 0, 1 };
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	wait.flags = SEMUNDO_WAIT_TRY;
	must_be(semundo_acquire_all(sems, units, 3, NULL), 0);
	ck_assert_int_eq((int)(value_of(a) + value_of(b)), 0);
	must_fail(semundo_acquire_all(sems, units, 2, &wait), EAGAIN, "'a'");
	must(semundo_release(a, 3));
	must_fail(semundo_acquire_all(sems, units, 3, &wait), EAGAIN, "'b'");
	ck_assert_int_eq((int)value_of(a), 3);
	must(semundo_release(b, 1));
	must_fail(semundo_acquire_all(sems, too_many, 3, NULL), ERANGE, "'a'");
	ck_assert_int_eq((int)(value_of(a) + value_of(b)), 4);
	must_fail(semundo_acquire_all(sems, none, 3, NULL), EINVAL, "'b'");
	must_fail(semundo_acquire_all(sems, units, 0, NULL), EINVAL, "1 to 64");
	must_fail(semundo_acquire_all(sems, units, SEMUNDO_ALL_MAX + 1, NULL), EINVAL, "64");
	done(a, named(_i, "a"));
	done(b, named(_i, "b"));
}
END_TEST

START_TEST(a_signal_is_refused)
{
	semundo_t *a = create(named(_i, "a"), SEMUNDO_PERMITS, 3);
	semundo_t *s = create(named(_i, "s"), SEMUNDO_SIGNAL, 0);
	semundo_t *sems[] = { a, s };
	const unsigned units[] = { 1, 1 };
	must_fail(semundo_acquire_all(sems, units, 2, NULL), ENOTSUP, "'s'");
	ck_assert_int_eq((int)value_of(a), 3);
	done(a, named(_i, "a"));
	done(s, named(_i, "s"));
}
END_TEST

START_TEST(both_engines_together)
{
	semundo_t *a = create("native:a", SEMUNDO_LOCK, 1), *b = create("sysv:b", SEMUNDO_LOCK, 1);
	semundo_t *sems[] = { a, b };
	const unsigned units[] = { 1, 1 };
	must_be(semundo_acquire_all(sems, units, 2, NULL), 0);
	ck_assert_int_eq((int)(value_of(a) + value_of(b)), 0);
	done(a, "native:a");
	done(b, "sysv:b");
}
END_TEST

/* A told death is not lost when the rest is not to be had. */
START_TEST(a_death_is_told_again)
{
	struct worker *dies = worker_open(named(_i, "a")), *holds = worker_open(named(_i, "b"));
	semundo_t *a = create(named(_i, "a"), SEMUNDO_LOCK, 1);
	semundo_t *b = create(named(_i, "b"), SEMUNDO_LOCK, 1);
	semundo_t *sems[] = { a, b };
	const unsigned units[] = { 1, 1 };
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	wait.flags = SEMUNDO_WAIT_TRY;
	worker_must(dies, semundo_acquire, 1);
	worker_must(holds, semundo_acquire, 1);
	worker_kill(dies);
	must_fail(semundo_acquire_all(sems, units, 2, &wait), EAGAIN, "'b'");
	worker_must(holds, semundo_release, 1);
	must_be(semundo_acquire_all(sems, units, 2, &wait), 1);
	must(semundo_release(a, 1));
	must(semundo_release(b, 1));
	must_be(semundo_acquire_all(sems, units, 2, &wait), 0);
	worker_end(holds);
	done(a, named(_i, "a"));
	done(b, named(_i, "b"));
}
END_TEST

/* Philosophers that take their two in opposite orders, and one is killed with
 * one of two in hand: nobody waits for ever, and all come back. */
#define TABLE 4
#define MEALS 200

static semundo_t *forks[TABLE];

static void eat(int place, bool dies)
{
	semundo_t *sems[] = { forks[place], forks[(place + 1) % TABLE] };
	semundo_t *turned[] = { sems[1], sems[0] };
	const unsigned units[] = { 1, 1 };
	for (int meal = 0; meal < MEALS; meal++) {
		if (dies && meal == MEALS / 2)
			raise(SIGKILL);
		int r = semundo_acquire_all(place % 2 ? sems : turned, units, 2, NULL);
		if (r < 0 || semundo_release(sems[0], 1) || semundo_release(sems[1], 1))
			_exit(1);
	}
	_exit(0);
}

static void kill_at(const char *where)
{
	if (strcmp(where, "together:taken") == 0 || strcmp(where, "together:back") == 0)
		raise(SIGKILL);
}

START_TEST(nobody_starves_at_the_table)
{
	pid_t pids[TABLE + 1];
	char name[8];
	int status;
	for (int i = 0; i < TABLE; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		forks[i] = create(named(_i, name), SEMUNDO_LOCK, 1);
	}
	for (int i = 0; i <= TABLE; i++)
		if ((pids[i] = fork_child()) == 0) {
			if (i == TABLE)
				semundo__test_point = kill_at;
			eat(i % TABLE, i == TABLE);
		}
	for (int i = 0; i <= TABLE; i++) {
		reap(pids[i], &status);
		ck_assert_int_eq(status, i == TABLE ? SIGKILL : 0);
	}
	for (int i = 0; i < TABLE; i++) {
		ck_assert_int_ge(semundo_acquire(forks[i], 1), 0);
		snprintf(name, sizeof(name), "f%d", i);
		done(forks[i], named(_i, name));
	}
}
END_TEST

/* ---- auto ---- */

static const char *engine_of(const char *name, uint32_t kind)
{
	static struct semundo_info info;
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	options.kind = kind;
	info.size = sizeof(info);
	must(semundo_open(&sem, name, SEMUNDO_CREATE, &options));
	must(semundo_info(sem, &info));
	must(semundo_close(sem));
	return info.engine;
}

START_TEST(auto_takes_what_is_there)
{
	ck_assert_str_eq(engine_of("sysv:x", SEMUNDO_PERMITS), "sysv");
	ck_assert_str_eq(engine_of("auto:x", SEMUNDO_PERMITS), "sysv");
	ck_assert_str_eq(engine_of("auto:y", SEMUNDO_PERMITS), "native");
	ck_assert_str_eq(engine_of("native:y", 0), "native");
	must(semundo_unlink("auto:x", NULL));
	must_fail(semundo_unlink("sysv:x", NULL), ENOENT, "'x'");
	must(semundo_unlink("auto:y", NULL));
	must_fail(semundo_unlink("auto:y", NULL), ENOENT, "'auto:y'");
	semundo_t *sem;
	must_fail(semundo_open(&sem, "auto:y", 0, NULL), ENOENT, "any engine");
}
END_TEST

START_TEST(auto_takes_what_works)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	char name[64];
	semundo_t *sem;
	semundo__test.no_file_locks = 1;
	ck_assert_str_eq(engine_of("auto:a", SEMUNDO_LOCK), "sysv");
	must(semundo_unlink("auto:a", NULL));
	semundo__test.no_sysv = 1;
	/* Undo is not given up for an engine that works. */
	options.kind = SEMUNDO_LOCK;
	must_fail(semundo_open(&sem, "auto:a", SEMUNDO_CREATE, &options), ENOTSUP, "doctor");
	options.kind = SEMUNDO_PERMITS;
	must_fail(semundo_open(&sem, "auto:a", SEMUNDO_CREATE, &options), ENOTSUP, "doctor");
	options.kind = SEMUNDO_SIGNAL;
	options.capacity = 5; /* which POSIX does not have */
	must_fail(semundo_open(&sem, "auto:a", SEMUNDO_CREATE, &options), ENOTSUP, "doctor");
	snprintf(name, sizeof(name), "auto:semundo-test-%d", (int)getpid());
	ck_assert_str_eq(engine_of(name, SEMUNDO_SIGNAL), "posix");
	must(semundo_unlink(name, NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("together");
	TCase *t = suite_case(suite, "together");
	tcase_add_loop_test(t, all_or_nothing, 0, 2);
	tcase_add_loop_test(t, a_signal_is_refused, 0, 2);
	tcase_add_test(t, both_engines_together);
	tcase_add_loop_test(t, a_death_is_told_again, 0, 2);
	tcase_add_loop_test(t, nobody_starves_at_the_table, 0, 2);
	t = suite_case(suite, "auto");
	tcase_add_test(t, auto_takes_what_is_there);
	tcase_add_test(t, auto_takes_what_works);
	return suite_run(suite);
}
