/* SPDX-License-Identifier: Apache-2.0 */
/* Names and the sets they lead to: removal, what is left behind, gc. */
#include <fcntl.h>
#include <sys/stat.h>

#include "sysv_tests.h"

static int id_of(semundo_t *sem)
{
	return sysv(sem)->id;
}

static bool is_there(int id)
{
	struct semid_ds set;
	union semun u = { .buf = &set };
	return semctl(id, 0, IPC_STAT, u) == 0;
}

static int gc(unsigned flags)
{
	return semundo_gc(NULL, flags, NULL, NULL);
}

/* A worker that has it open and is killed; the set stays. */
static void kill_a_user(const char *name)
{
	struct worker *w = worker_open(name);
	worker_must(w, open_too, 0);
	worker_kill(w);
}

START_TEST(the_last_one_out_removes_the_set)
{
	struct worker *w = worker_open("sysv:s"); /* before: it inherits no handle */
	semundo_t *sem = create("sysv:s", SEMUNDO_PERMITS, 2);
	int id = id_of(sem);
	worker_must(w, semundo_acquire, 1);
	kill_a_user("sysv:s");
	must(semundo_unlink("sysv:s", NULL));
	must_fail(semundo_open(&sem, "sysv:s", 0, NULL), ENOENT, "'s'");
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_release(sem, 1));
	must(semundo_close(sem));
	ck_assert(is_there(id));
	worker_must(w, semundo_release, 1);
	worker_end(w);
	ck_assert(!is_there(id));
}
END_TEST

START_TEST(a_name_alone_keeps_the_set)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_SIGNAL, 3);
	int id = id_of(sem);
	must(semundo_close(sem));
	ck_assert(is_there(id));
	must(semundo_open(&sem, "sysv:s", 0, NULL));
	ck_assert_int_eq((int)value_of(sem), 3);
	ck_assert_int_eq(id_of(sem), id);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
	ck_assert(!is_there(id));
}
END_TEST

START_TEST(gc_takes_what_nobody_uses_and_nothing_else)
{
	struct worker *dies = worker_open("sysv:orphan"), *lives = worker_open("sysv:used");
	semundo_t *named = create("sysv:named", SEMUNDO_LOCK, 1);
	semundo_t *orphan = create("sysv:orphan", SEMUNDO_LOCK, 1);
	semundo_t *used = create("sysv:used", SEMUNDO_LOCK, 1);
	int named_id = id_of(named), orphan_id = id_of(orphan), used_id = id_of(used);
	worker_must(dies, open_too, 0);
	worker_must(lives, semundo_acquire, 1);
	must(semundo_unlink("sysv:orphan", NULL));
	must(semundo_unlink("sysv:used", NULL));
	must(semundo_close(orphan));
	must(semundo_close(used));
	must(semundo_close(named));
	must_be(gc(0), 0);
	worker_kill(dies);
	ck_assert(is_there(orphan_id));
	must_be(gc(SEMUNDO_GC_DRY_RUN), 1);
	ck_assert(is_there(orphan_id));
	must_be(gc(0), 1);
	ck_assert(!is_there(orphan_id));
	ck_assert(is_there(named_id));
	/* In use by a live process, though it has no name: it goes on. */
	ck_assert(is_there(used_id));
	worker_must(lives, semundo_release, 1);
	worker_must(lives, semundo_acquire, 1);
	worker_kill(lives);
	must_be(gc(0), 1);
	ck_assert(!is_there(used_id));
	must(semundo_unlink("sysv:named", NULL));
}
END_TEST

START_TEST(gc_of_one_directory_leaves_those_of_others)
{
	char other[4096];
	semundo_t *sem = create("sysv:s", SEMUNDO_LOCK, 1);
	int id = id_of(sem);
	must(semundo_close(sem));
	strcpy(other, in_dir("other"));
	ck_assert_int_eq(mkdir(other, 0700), 0);
	must_be(semundo_gc(other, 0, NULL, NULL), 0);
	ck_assert(is_there(id));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

START_TEST(a_set_that_was_removed_is_told)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_PERMITS, 1), *other;
	struct worker *w = worker_open("sysv:s");
	int64_t value;
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(w, semundo_acquire, 1);
	worker_sleeps(w);
	ck_assert_int_eq(semctl(id_of(sem), 0, IPC_RMID), 0);
	worker_result_must_be(w, -EIDRM);
	ck_assert_ptr_nonnull(strstr(w->error, "ipcrm"));
	must_fail(semundo_release(sem, 1), EIDRM, "'s'");
	must_fail(semundo_acquire(sem, 1), EIDRM, "'s'");
	must_fail(semundo_value(sem, &value), EIDRM, "ipcrm");
	must_fail(semundo_open(&other, "sysv:s", 0, NULL), EIDRM, "semundo rm");
	must(semundo_close(sem));
	/* The name is free for who wants to create it. */
	sem = create("sysv:s", SEMUNDO_PERMITS, 2);
	ck_assert_int_eq((int)value_of(sem), 2);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

START_TEST(gc_removes_names_that_lead_nowhere)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(semctl(id_of(sem), 0, IPC_RMID), 0);
	must(semundo_close(sem));
	must_be(gc(0), 1);
	must_fail(semundo_open(&sem, "sysv:s", 0, NULL), ENOENT, "'s'");
}
END_TEST

START_TEST(a_replaced_one_goes_on_and_then_goes)
{
	semundo_t *old = create("sysv:s", SEMUNDO_PERMITS, 1), *new;
	int id = id_of(old);
	must(semundo_open(&new, "sysv:s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL));
	ck_assert_int_ne(id_of(new), id);
	must_be(semundo_acquire(old, 1), 0);
	must_be(semundo_acquire(new, 1), 0);
	must(semundo_close(old));
	ck_assert(!is_there(id));
	must(semundo_close(new));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

static void put(const char *file, const void *bytes, size_t size)
{
	int fd = open(in_dir(file), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static void refuse_replacing(const char *word)
{
	semundo_t *sem;
	must_fail_unchanged(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL),
	                    EUCLEAN, word);
}

START_TEST(foreign_files_are_refused)
{
	semundo_t *sem;
	char bytes[64] = "hello";
	put("semundo.s.sysv", bytes, 0);
	must_fail_unchanged(semundo_open(&sem, "sysv:s", 0, NULL), EUCLEAN, "short");
	put("semundo.s.sysv", bytes, 5);
	must_fail_unchanged(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, NULL), EUCLEAN, "foreign");
	refuse_replacing("not a file of semundo");
	put("semundo.s.sysv", bytes, 64);
	must_fail_unchanged(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, NULL), EUCLEAN, "'s'");
	/* It may be one of ours, damaged. */
	must(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL));
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
	put("semundo.s.sysv", bytes, 64);
	must(semundo_unlink("sysv:s", NULL));
	ck_assert_int_eq(symlink("x", in_dir("semundo.s.sysv")), 0);
	must_fail_unchanged(semundo_open(&sem, "sysv:s", 0, NULL), ELOOP, "symbolic link");
	must_fail_unchanged(semundo_unlink("sysv:s", NULL), EUCLEAN, "symbolic link");
	refuse_replacing("symbolic link");
	ck_assert_int_eq(unlink(in_dir("semundo.s.sysv")), 0);
	ck_assert_int_eq(mkfifo(in_dir("semundo.s.sysv"), 0600), 0);
	must_fail_unchanged(semundo_open(&sem, "sysv:s", 0, NULL), EUCLEAN, "'s'");
	refuse_replacing("not a file of semundo");
	ck_assert_int_eq(unlink(in_dir("semundo.s.sysv")), 0);
}
END_TEST

/* A file that leads to a set of somebody else, or to one with another token. */
START_TEST(a_file_cannot_lead_to_another_set)
{
	semundo_t *a = create("sysv:a", SEMUNDO_PERMITS, 1), *sem;
	struct sysv_file file;
	int fd, id = semget(IPC_PRIVATE, SYSV_COUNT, 0600);
	ck_assert_int_ge(id, 0);
	fd = open(in_dir("semundo.a.sysv"), O_RDONLY);
	ck_assert_int_eq(read(fd, &file, sizeof(file)), (ssize_t)sizeof(file));
	close(fd);
	file.id = id;
	put("semundo.b.sysv", &file, sizeof(file));
	must_fail(semundo_open(&sem, "sysv:b", 0, NULL), EIDRM, "'b'");
	file.id = id_of(a);
	file.token ^= 1;
	put("semundo.b.sysv", &file, sizeof(file));
	must_fail(semundo_open(&sem, "sysv:b", 0, NULL), EIDRM, "'b'");
	file.namespace ^= 1;
	put("semundo.b.sysv", &file, sizeof(file));
	must_fail(semundo_open(&sem, "sysv:b", SEMUNDO_CREATE, NULL), ENXIO, "namespace");
	ck_assert_int_eq(semctl(id, 0, GETVAL), 0);
	must(semundo_unlink("sysv:b", NULL));
	ck_assert_int_eq(semctl(id, 0, IPC_RMID), 0);
	must_be(semundo_acquire(a, 1), 0);
	must(semundo_close(a));
	must(semundo_unlink("sysv:a", NULL));
}
END_TEST

START_TEST(names_of_the_native_engine_do_not_end_so)
{
	semundo_t *sem;
	must_fail_unchanged(semundo_open(&sem, "x.sysv", SEMUNDO_CREATE, NULL), EINVAL, ".sysv");
	must_fail_unchanged(semundo_open(&sem, "auto:x.sysv", SEMUNDO_CREATE, NULL), EINVAL, ".sysv");
}
END_TEST

START_TEST(a_child_holds_nothing_and_counts)
{
	semundo_t *sem = create("sysv:s", SEMUNDO_PERMITS, 2);
	must_be(semundo_acquire(sem, 1), 0);
	struct worker *w = worker_fork(sem);
	worker_must_be(w, semundo_release, 1, -EPERM);
	ck_assert_uint_eq(info_of(sem).peers, 2);
	worker_must(w, semundo_acquire, 1);
	worker_kill(w);
	/* The child's unit came back, ours did not. */
	ck_assert_int_eq((int)value_of(sem), 1);
	ck_assert_uint_eq(info_of(sem).peers, 1);
	must_be(semundo_acquire(sem, 1), 1);
	must(semundo_close(sem));
	must(semundo_unlink("sysv:s", NULL));
}
END_TEST

void add_names(Suite *suite)
{
	TCase *t = suite_case(suite, "names");
	tcase_add_test(t, the_last_one_out_removes_the_set);
	tcase_add_test(t, a_name_alone_keeps_the_set);
	tcase_add_test(t, gc_takes_what_nobody_uses_and_nothing_else);
	tcase_add_test(t, gc_of_one_directory_leaves_those_of_others);
	tcase_add_test(t, a_set_that_was_removed_is_told);
	tcase_add_test(t, gc_removes_names_that_lead_nowhere);
	tcase_add_test(t, a_replaced_one_goes_on_and_then_goes);
	tcase_add_test(t, foreign_files_are_refused);
	tcase_add_test(t, a_file_cannot_lead_to_another_set);
	tcase_add_test(t, names_of_the_native_engine_do_not_end_so);
	tcase_add_test(t, a_child_holds_nothing_and_counts);
}
