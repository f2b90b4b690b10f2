/* SPDX-License-Identifier: Apache-2.0 */
/* Creating, opening, references, names that go, what close gives back. */
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "engines.h"

#define CREATE SEMUNDO_CREATE

START_TEST(what_is_not_there_is_not_opened)
{
	semundo_t *sem = (semundo_t *)&sem;
	must_fail_unchanged(semundo_open(&sem, named("gone"), 0, NULL), ENOENT, "gone");
	must_fail_unchanged(semundo_open(&sem, named("gone"), SEMUNDO_OBSERVE, NULL), ENOENT,
	                    "gone");
	ck_assert_ptr_eq(sem, &sem);
	must_fail_unchanged(semundo_unlink(named("gone"), NULL), ENOENT, "gone");
}
END_TEST

START_TEST(create_makes_or_opens)
{
	semundo_t *sem = make("s", _i, 1), *again;
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 1), 0);
	struct semundo_options options = with_units(_i, 1);
	must(semundo_open(&again, named("s"), CREATE, &options));
	ck_assert_int_eq((int)value_of(again), 0);
	must(semundo_close(again));
	must(semundo_open(&again, named("s"), 0, NULL));
	ck_assert_int_eq((int)value_of(again), 0);
	must(semundo_close(again));
	must(semundo_close(sem));
}
END_TEST

START_TEST(exclusive_means_new)
{
	semundo_t *sem = make("s", _i, 1), *other = NULL;
	if (!sem)
		return;
	struct semundo_options options = with_units(_i, 1);
	must_fail_unchanged(semundo_open(&other, named("s"), CREATE | SEMUNDO_EXCL, &options),
	                    EEXIST, "'s'");
	ck_assert_ptr_null(other);
	must(semundo_close(sem));
}
END_TEST

START_TEST(replace_leaves_the_old_one_to_its_users)
{
	semundo_t *old = make("s", _i, 1), *new;
	if (!old)
		return;
	struct worker *w = worker_open(named("s"));
	worker_must(w, semundo_acquire, 1);
	struct semundo_options options = with_units(_i, 1);
	must(semundo_open(&new, named("s"), CREATE | SEMUNDO_REPLACE, &options));
	ck_assert_ptr_ne(new, old);
	ck_assert_int_eq((int)value_of(new), 1);
	ck_assert_int_eq((int)value_of(old), 0);
	worker_must(w, semundo_release, 1);
	must_be(semundo_acquire(old, 1), 0);
	ck_assert_int_eq((int)value_of(new), 1);
	must(semundo_close(old));
	must(semundo_close(new));
}
END_TEST

START_TEST(replace_makes_where_there_is_none)
{
	semundo_t *sem;
	if (!can(cap_of(_i)))
		return;
	struct semundo_options options = with_units(_i, 1);
	must(semundo_open(&sem, named("s"), CREATE | SEMUNDO_REPLACE, &options));
	ck_assert_int_eq((int)value_of(sem), 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(an_observer_sees_and_changes_nothing)
{
	semundo_t *sem = make("s", _i, 1), *o;
	struct semundo_peer *first;
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	int fd = -1;
	unsigned units = 9;
	if (!sem)
		return;
	must(semundo_open(&o, named("s"), SEMUNDO_OBSERVE, NULL));
	ck_assert_ptr_ne(o, sem);
	must_be(semundo_acquire(sem, 1), 0);
	ck_assert_int_eq((int)value_of(o), 0);
	ck_assert_uint_eq(info_of(o).kind, (unsigned)_i);
	must(semundo_held(o, &units));
	ck_assert_uint_eq(units, 0);
	if (can(SEMUNDO_CAP_PEERS)) {
		must(semundo_peers(o, &first));
		semundo_peers_free(first);
	}
	must_fail_unchanged(semundo_acquire(o, 1), EBADF, "'s'");
	must_fail_unchanged(semundo_try_acquire(o, 1), EBADF, "'s'");
	must_fail_unchanged(semundo_acquire_timed(o, 1, 1), EBADF, "'s'");
	must_fail_unchanged(semundo_acquire_with(o, 1, &wait), EBADF, "'s'");
	must_fail_unchanged(semundo_release(o, 1), EBADF, "'s'");
	must_fail_unchanged(semundo_wait_idle(o, NULL), EBADF, "'s'");
	must_fail_unchanged(semundo_resize(o, 2), EBADF, "'s'");
	must_fail_unchanged(semundo_recover(o), EBADF, "'s'");
	must_fail_unchanged(semundo_hold_descriptor(o, &fd), EBADF, "'s'");
	must_fail_unchanged(semundo_describe(o, 0, "x"), EBADF, "'s'");
	ck_assert_int_eq(fd, -1);
	must(semundo_close(o));
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_same_semaphore_is_the_same_handle)
{
	semundo_t *sem = make("s", _i, 1), *again, *other;
	if (!sem)
		return;
	must(semundo_open(&again, named("s"), 0, NULL));
	ck_assert_ptr_eq(sem, again);
	other = make("t", _i, 1);
	ck_assert_ptr_ne(sem, other);
	must_be(semundo_acquire(sem, 1), 0);
	/* Not the last reference: nothing comes back. */
	must(semundo_close(again));
	ck_assert_int_eq((int)value_of(sem), 0);
	ck_assert_int_eq((int)value_of(other), 1);
	must(semundo_close(sem));
	must(semundo_close(other));
	must(semundo_close(NULL));
}
END_TEST

START_TEST(the_last_close_gives_back)
{
	semundo_t *sem = make("s", _i, 1), *again;
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must(semundo_open(&again, named("s"), 0, NULL));
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(w, semundo_acquire, 1);
	worker_sleeps(w);
	must(semundo_close(sem));
	must(semundo_close(again));
	/* No holder died: 0, and no death is recorded. */
	worker_result_must_be(w, 0);
	worker_must_be(w, held, 0, 1);
	must(semundo_open(&sem, named("s"), 0, NULL));
	ck_assert_uint_eq(info_of(sem).deaths, 0);
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_name_goes_at_once_and_its_users_go_on)
{
	semundo_t *sem = make("s", _i, 1), *new;
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	worker_must(w, semundo_acquire, 1);
	must(semundo_unlink(named("s"), NULL));
	must_fail(semundo_open(&new, named("s"), 0, NULL), ENOENT, "'s'");
	must_fail(semundo_unlink(named("s"), NULL), ENOENT, "'s'");
	new = make("s", _i, 1);
	ck_assert_ptr_ne(sem, new);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must_be(semundo_try_acquire(new, 1), 0);
	worker_must(w, semundo_release, 1);
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
	must(semundo_close(new));
}
END_TEST

START_TEST(names_do_not_reach_each_other)
{
	static const char *const names[] = { "a", "b", "A", "a ", "a.b", "sem.a", "ab", "-", "\xc3\xa9" };
	semundo_t *sems[9];
	for (unsigned i = 0; i < 9; i++) {
		sems[i] = make(names[i], _i, 1);
		if (!sems[i])
			return;
	}
	for (unsigned i = 0; i < 9; i++) {
		must_be(semundo_try_acquire(sems[i], 1), 0);
		ck_assert_int_eq((int)value_of(sems[i]), 0);
		must(semundo_unlink(named(names[i]), NULL));
	}
	for (unsigned i = 0; i < 9; i++)
		must(semundo_close(sems[i]));
}
END_TEST

START_TEST(another_directory_is_another_place)
{
	char dir[4096];
	semundo_t *here = make("s", _i, 1), *there;
	if (!here || the->engine == &semundo__posix) {
		semundo_close(here); /* its names are in one place, whatever the directory */
		return;
	}
	strcpy(dir, in_dir("other"));
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	struct semundo_options options = with_units(_i, 1);
	options.dir = dir;
	must_fail(semundo_open(&there, named("s"), 0, &options), ENOENT, dir);
	must(semundo_open(&there, named("s"), CREATE | SEMUNDO_EXCL, &options));
	must_be(semundo_acquire(there, 1), 0);
	ck_assert_int_eq((int)value_of(here), 1);
	must(semundo_unlink(named("s"), dir));
	must(semundo_close(there));
	must(semundo_open(&there, named("s"), 0, NULL));
	ck_assert_ptr_eq(here, there);
	must(semundo_close(there));
	must(semundo_close(here));
}
END_TEST

void add_life(Suite *suite)
{
	TCase *t = suite_case(suite, "life");
	tcase_add_test(t, what_is_not_there_is_not_opened);
	add_all_kinds(t, create_makes_or_opens);
	add_all_kinds(t, exclusive_means_new);
	add_all_kinds(t, replace_leaves_the_old_one_to_its_users);
	add_all_kinds(t, replace_makes_where_there_is_none);
	add_all_kinds(t, an_observer_sees_and_changes_nothing);
	add_all_kinds(t, the_same_semaphore_is_the_same_handle);
	add_undone_kinds(t, the_last_close_gives_back);
	add_all_kinds(t, a_name_goes_at_once_and_its_users_go_on);
	add_all_kinds(t, names_do_not_reach_each_other);
	add_all_kinds(t, another_directory_is_another_place);
}
