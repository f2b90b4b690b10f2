/* SPDX-License-Identifier: Apache-2.0 */
/* usage: access HELPER
 * Directories and permissions: what may not be used is refused, untouched. */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/suite.h"
#include "test_hooks.h"

#define NOBODY 65534
#define CREATE SEMUNDO_CREATE

static const char *helper; /* prints the directory that it would use */

static semundo_t *make(const char *name)
{
	semundo_t *sem;
	must(semundo_open(&sem, name, CREATE | SEMUNDO_EXCL, NULL));
	return sem;
}

/* For a child: no more rights than others have. */
static void lose_rights(void)
{
	if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
		_exit(254);
}

static bool says(const char *word)
{
	return strstr(semundo_error(), word) != NULL;
}

/* The child must succeed, the directory stay as it is. */
static void check_in_child(int (*function)(void))
{
	char *before = picture(getenv("SEMUNDO_DIR"));
	must_in_child(function);
	char *after = picture(getenv("SEMUNDO_DIR"));
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
}

/* ---- permissions ---- */

static int try_forbidden_file(void)
{
	semundo_t *sem = NULL;
	lose_rights();
	child_check(semundo_open(&sem, "s", 0, NULL) == -EACCES);
	child_check(says("'s'") && says("no permission"));
	child_check(semundo_open(&sem, "s", SEMUNDO_OBSERVE, NULL) == -EACCES);
	child_check(says("'s'") && says("no permission"));
	child_check(semundo_open(&sem, "s", CREATE, NULL) == -EACCES);
	child_check(says("'s'") && says("no permission"));
	child_check(semundo_unlink("s", NULL) == -EACCES);
	child_check(says("'s'"));
	child_check(sem == NULL);
	return 0;
}

START_TEST(a_file_without_permission)
{
	must(semundo_close(make("s")));
	ck_assert_int_eq(chmod(in_dir("semundo.s"), 0), 0);
	ck_assert_int_eq(chmod(getenv("SEMUNDO_DIR"), 0755), 0);
	check_in_child(try_forbidden_file);
}
END_TEST

static int try_watching(void)
{
	semundo_t *sem = NULL;
	struct semundo_info info = { .size = sizeof(info) };
	lose_rights();
	child_check(semundo_open(&sem, "s", 0, NULL) == -EACCES);
	child_check(semundo_open(&sem, "s", SEMUNDO_OBSERVE, NULL) == 0);
	child_check(semundo_info(sem, &info) == 0);
	child_check(info.held == 1 && info.peers == 1 && info.dead == 0);
	child_check(info.mode == 0444);
	child_check(semundo_acquire(sem, 1) == -EBADF);
	return 0;
}

START_TEST(who_may_read_may_watch)
{
	semundo_t *sem = make("s");
	must_be(semundo_acquire(sem, 1), 0);
	ck_assert_int_eq(chmod(in_dir("semundo.s"), 0444), 0);
	ck_assert_int_eq(chmod(getenv("SEMUNDO_DIR"), 0755), 0);
	check_in_child(try_watching);
	must(semundo_close(sem));
}
END_TEST

static int try_forbidden_directory(void)
{
	semundo_t *sem = NULL;
	lose_rights();
	child_check(semundo_open(&sem, "new", CREATE, NULL) == -EACCES);
	child_check(says("'new'") && says(getenv("SEMUNDO_DIR")) && says("no permission"));
	child_check(semundo_open(&sem, "s", CREATE | SEMUNDO_REPLACE, NULL) == -EACCES);
	child_check(semundo_anonymous(&sem, NULL) == -EACCES);
	child_check(says("(anonymous)"));
	/* What is there can be used, but for the peer file, which is to be made. */
	child_check(semundo_open(&sem, "s", 0, NULL) == 0);
	child_check(semundo_try_acquire(sem, 1) == -EACCES);
	child_check(says("semundo-peers."));
	child_check(semundo_unlink("s", NULL) == -EACCES);
	child_check(says("'s'"));
	return 0;
}

START_TEST(a_directory_for_reading_only)
{
	must(semundo_close(make("s")));
	ck_assert_int_eq(chmod(in_dir("semundo.s"), 0666), 0);
	ck_assert_int_eq(chmod(getenv("SEMUNDO_DIR"), 0555), 0);
	check_in_child(try_forbidden_directory);
	ck_assert_int_eq(chmod(getenv("SEMUNDO_DIR"), 0755), 0);
}
END_TEST

static int try_closed_directory(void)
{
	semundo_t *sem = NULL;
	lose_rights();
	child_check(semundo_open(&sem, "s", 0, NULL) == -EACCES);
	child_check(says("'s'") && says(getenv("SEMUNDO_DIR")));
	child_check(semundo_list(NULL, NULL, NULL) == -EACCES);
	child_check(says(getenv("SEMUNDO_DIR")));
	return 0;
}

START_TEST(a_closed_directory)
{
	must(semundo_close(make("s")));
	ck_assert_int_eq(chmod(getenv("SEMUNDO_DIR"), 0), 0);
	must_in_child(try_closed_directory);
	ck_assert_int_eq(chmod(getenv("SEMUNDO_DIR"), 0700), 0);
}
END_TEST

static int try_read_only_filesystem(void)
{
	const char *dir = in_dir("ro");
	semundo_t *sem = NULL;
	child_check(unshare(CLONE_NEWNS) == 0);
	child_check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	child_check(mount("semundo-test", dir, "tmpfs", MS_RDONLY, "size=64k") == 0);
	setenv("SEMUNDO_DIR", dir, 1);
	child_check(semundo_open(&sem, "s", CREATE, NULL) == -EROFS);
	child_check(says("'s'") && says("no permission to create"));
	child_check(semundo_anonymous(&sem, NULL) == -EROFS);
	child_check(says(dir));
	return 0;
}

START_TEST(a_read_only_filesystem)
{
	ck_assert_int_eq(mkdir(in_dir("ro"), 0700), 0);
	check_in_child(try_read_only_filesystem);
}
END_TEST

static int can_mount_in_child(void)
{
	return unshare(CLONE_NEWNS) ||
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* ---- directories ---- */

static void refuse_directory(const char *dir, int code, const char *word)
{
	semundo_t *sem = NULL;
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.dir = dir;
	must_fail_unchanged(semundo_open(&sem, "s", CREATE, &options), code, word);
	must_fail_unchanged(semundo_anonymous(&sem, &options), code, word);
	must_fail_unchanged(semundo_unlink("s", dir), code, word);
	ck_assert_ptr_null(sem);
}

START_TEST(wrong_directories)
{
	char dir[PATH_MAX + 64];
	strcpy(dir, in_dir("missing"));
	refuse_directory(dir, ENOENT, dir);
	close(open(in_dir("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	strcpy(dir, in_dir("file"));
	refuse_directory(dir, ENOTDIR, dir);
	refuse_directory("", EINVAL, "empty");
	refuse_directory("no/such/relative", ENOENT, "'no/such/relative'");
	memset(dir, '/', sizeof(dir));
	dir[sizeof(dir) - 1] = '\0';
	refuse_directory(dir, ENAMETOOLONG, "too long");
}
END_TEST

START_TEST(the_variable_names_it)
{
	char dir[PATH_MAX], *told;
	semundo_t *sem = NULL;
	strcpy(dir, in_dir("missing"));
	setenv("SEMUNDO_DIR", dir, 1);
	must_fail(semundo_open(&sem, "s", 0, NULL), ENOENT, dir);
	must_fail(semundo_open(&sem, "s", CREATE, NULL), ENOENT, "set SEMUNDO_DIR");
	must_fail(semundo_list(NULL, NULL, NULL), ENOENT, dir);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	must(semundo_open(&sem, "s", CREATE, NULL));
	ck_assert_int_eq(access(in_dir("semundo.s"), F_OK), 0);
	must(semundo_close(sem));
	ck_assert_int_eq(chdir(dir), 0);
	setenv("SEMUNDO_DIR", ".", 1);
	must(semundo_directory(&told));
	ck_assert_str_eq(told, dir);
	free(told);
	setenv("SEMUNDO_DIR", "", 1);
	must(semundo_directory(&told));
	ck_assert_str_eq(told, "/dev/shm");
	free(told);
}
END_TEST

START_TEST(a_network_filesystem)
{
	semundo_t *sem = NULL;
	semundo__test.refuse_filesystem = 1;
	refuse_directory(getenv("SEMUNDO_DIR"), ENOTSUP, getenv("SEMUNDO_DIR"));
	refuse_directory(getenv("SEMUNDO_DIR"), ENOTSUP, "network");
	semundo__test.refuse_filesystem = 0;
	must(semundo_open(&sem, "s", CREATE, NULL));
	must(semundo_close(sem));
}
END_TEST

/* ---- more rights than the caller has ---- */

static void copy_helper(const char *to)
{
	char command[2 * PATH_MAX];
	snprintf(command, sizeof(command), "cp '%s' '%s'", helper, to);
	ck_assert_int_eq(system(command), 0);
}

/* What a program prints. */
static void output_of(const char *program, char *ret, size_t size)
{
	FILE *pipe = popen(program, "r");
	ck_assert_ptr_nonnull(pipe);
	ck_assert_ptr_nonnull(fgets(ret, (int)size, pipe));
	ret[strcspn(ret, "\n")] = '\0';
	ck_assert_int_eq(pclose(pipe), 0);
}

START_TEST(the_variable_is_ignored_in_set_user_id_programs)
{
	char program[PATH_MAX], said[PATH_MAX];
	ck_assert_int_eq(chmod(getenv("SEMUNDO_DIR"), 0711), 0);
	strcpy(program, in_dir("helper"));
	copy_helper(program);
	ck_assert_int_eq(chmod(program, 0755), 0);
	output_of(program, said, sizeof(said));
	ck_assert_str_eq(said, getenv("SEMUNDO_DIR"));
	ck_assert_int_eq(chown(program, NOBODY, NOBODY), 0);
	ck_assert_int_eq(chmod(program, 04755), 0);
	output_of(program, said, sizeof(said));
	ck_assert_str_eq(said, "/dev/shm");
}
END_TEST

static bool can_set_user_id(void)
{
	struct statvfs fs;
	return geteuid() == 0 && statvfs("/dev/shm", &fs) == 0 &&
	       !(fs.f_flag & (ST_NOSUID | ST_NOEXEC));
}

int main(int argc, char **argv)
{
	if (argc != 2)
		die("usage: access HELPER");
	helper = argv[1];
	Suite *suite = suite_create("access");
	TCase *t = suite_case(suite, "permissions");
	tcase_add_test(t, a_file_without_permission);
	tcase_add_test(t, who_may_read_may_watch);
	tcase_add_test(t, a_directory_for_reading_only);
	tcase_add_test(t, a_closed_directory);
	add_test_if(geteuid() == 0 && in_child(can_mount_in_child) == 0, t, a_read_only_filesystem,
	            "needs root, to mount a filesystem");
	t = suite_case(suite, "directories");
	tcase_add_test(t, wrong_directories);
	tcase_add_test(t, the_variable_names_it);
	tcase_add_test(t, a_network_filesystem);
	add_test_if(can_set_user_id(), t, the_variable_is_ignored_in_set_user_id_programs,
	            "needs root, and /dev/shm without nosuid and noexec");
	return suite_run(suite);
}
