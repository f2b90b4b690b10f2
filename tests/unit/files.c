/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand at a semaphore's name, and is refused with nothing changed. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/suite.h"
#include "layout.h"
#include "test_hooks.h"

#define FILE_SIZE ((off_t)sizeof(struct sem_file))

static const char *file(void)
{
	return in_dir("semundo.s");
}

static void make_good(void)
{
	semundo_t *sem;
	must(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_EXCL, NULL));
	must(semundo_close(sem));
}

static void write_at(off_t offset, const void *bytes, size_t size)
{
	int fd = open(file(), O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)pwrite(fd, bytes, size, offset), (int)size);
	close(fd);
}

static void refuse_open(int code, const char *word)
{
	semundo_t *sem = NULL;
	must_fail_unchanged(semundo_open(&sem, "s", 0, NULL), code, word);
	must_fail_unchanged(semundo_open(&sem, "s", SEMUNDO_OBSERVE, NULL), code, word);
	must_fail_unchanged(semundo_open(&sem, "s", SEMUNDO_CREATE, NULL), code, word);
	must_fail_unchanged(semundo_open(&sem, "s", SEMUNDO_CREATE, NULL), code, "'s'");
	must_fail_unchanged(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_EXCL, NULL), EEXIST,
	                    "'s'");
	ck_assert_ptr_null(sem);
}

static void refuse_replacing(const char *word)
{
	semundo_t *sem = NULL;
	must_fail_unchanged(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL), EUCLEAN,
	                    word);
	must_fail_unchanged(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL), EUCLEAN,
	                    "'s'");
	ck_assert_ptr_null(sem);
}

/* ---- wrong contents ---- */

static const struct damage {
	off_t offset;
	uint64_t value;
	unsigned bytes;
	int code;
	const char *word;
} damages[] = {
	{ 0, 0, 8, EUCLEAN, "not a semaphore" },
	{ 0, UINT64_C(0x6d75646e65732d78), 8, EUCLEAN, "not a semaphore" },
	{ 0, PEER_MAGIC, 8, EUCLEAN, "not a semaphore" },
	{ 0, UINT64_C(0x73656d756e646f31), 8, ENOEXEC, "byte order" },
	{ 8, 0, 4, ENOEXEC, "layout version 0" },
	{ 8, LAYOUT_VERSION + 1, 4, ENOEXEC, "layout version 2" },
	{ 12, LAYOUT_FINGERPRINT + 1, 4, ENOEXEC, "words have another layout" },
	{ 12, 0x40400201, 4, ENOEXEC, "words have another layout" },
	{ 16, 0, 4, EUCLEAN, "unknown kind" },
	{ 16, 4, 4, EUCLEAN, "unknown kind" },
	{ 16, UINT32_MAX, 4, EUCLEAN, "unknown kind" },
};
#define DAMAGES ((int)(sizeof(damages) / sizeof(damages[0])))

START_TEST(wrong_contents)
{
	const struct damage *d = &damages[_i];
	semundo_t *sem;
	make_good();
	write_at(d->offset, &d->value, d->bytes);
	refuse_open(d->code, d->word);
	/* It can be put right by name. */
	must(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL));
	must(semundo_close(sem));
	must(semundo_open(&sem, "s", 0, NULL));
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_damaged_one_is_removed)
{
	const struct damage *d = &damages[_i];
	make_good();
	write_at(d->offset, &d->value, d->bytes);
	must(semundo_unlink("s", NULL));
	ck_assert_int_eq(access(file(), F_OK), -1);
}
END_TEST

/* ---- wrong sizes ---- */

static void resize_to(off_t size, const char *word)
{
	ck_assert_int_eq(truncate(file(), size), 0);
	refuse_open(EUCLEAN, word);
}

START_TEST(wrong_sizes)
{
	make_good();
	resize_to(FILE_SIZE + 1, "too long");
	resize_to(FILE_SIZE * 2, "too long");
	resize_to(FILE_SIZE - 1, "short");
	resize_to(4096, "short");
	resize_to(63, "short");
	semundo_t *sem;
	must(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL));
	must(semundo_close(sem));
	resize_to(63, "short");
	must(semundo_unlink("s", NULL));
}
END_TEST

START_TEST(an_empty_one)
{
	write_at(0, "", 0);
	refuse_open(EUCLEAN, "short (0 bytes");
	must_fail_unchanged(semundo_unlink("s", NULL), EUCLEAN, file());
	refuse_replacing("not a semaphore");
}
END_TEST

START_TEST(a_foreign_one)
{
	write_at(0, "#!/bin/sh\nexit 0\n", 17);
	refuse_open(EUCLEAN, "short (17 bytes");
	must_fail_unchanged(semundo_unlink("s", NULL), EUCLEAN, file());
	refuse_replacing("not a semaphore");
}
END_TEST

/* By descriptor the same checks are made. */
START_TEST(by_descriptor_too)
{
	const struct damage *d = &damages[_i];
	semundo_t *sem = NULL;
	make_good();
	write_at(d->offset, &d->value, d->bytes);
	int fd = open(file(), O_RDWR | O_CLOEXEC);
	must_fail_unchanged(semundo_open_fd(&sem, fd, NULL), d->code, d->word);
	ck_assert_ptr_null(sem);
	close(fd);
}
END_TEST

START_TEST(a_descriptor_for_reading_only)
{
	semundo_t *sem = NULL;
	make_good();
	int fd = open(file(), O_RDONLY | O_CLOEXEC);
	must_fail_unchanged(semundo_open_fd(&sem, fd, NULL), EACCES, "(anonymous)");
	ck_assert_ptr_null(sem);
	close(fd);
}
END_TEST

/* ---- no files ---- */

static void make_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", file());
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

START_TEST(a_directory)
{
	ck_assert_int_eq(mkdir(file(), 0700), 0);
	refuse_open(EUCLEAN, "not a regular file");
	must_fail_unchanged(semundo_unlink("s", NULL), EUCLEAN, file());
	refuse_replacing("not a semaphore");
}
END_TEST

START_TEST(a_fifo)
{
	ck_assert_int_eq(mkfifo(file(), 0600), 0);
	refuse_open(EUCLEAN, "not a regular file");
	must_fail_unchanged(semundo_unlink("s", NULL), EUCLEAN, file());
	refuse_replacing("not a semaphore");
}
END_TEST

START_TEST(a_socket)
{
	make_socket();
	refuse_open(EUCLEAN, "not a regular file");
	must_fail_unchanged(semundo_unlink("s", NULL), EUCLEAN, file());
	refuse_replacing("not a semaphore");
}
END_TEST

START_TEST(a_symbolic_link)
{
	char target[4096];
	make_good();
	strcpy(target, in_dir("semundo.target"));
	ck_assert_int_eq(rename(file(), target), 0);
	ck_assert_int_eq(symlink(target, file()), 0);
	refuse_open(ELOOP, "symbolic link");
	must_fail_unchanged(semundo_unlink("s", NULL), EUCLEAN, "symbolic link");
	refuse_replacing("symbolic link");
}
END_TEST

START_TEST(a_dangling_link)
{
	ck_assert_int_eq(symlink(in_dir("nowhere"), file()), 0);
	refuse_open(ELOOP, "symbolic link");
	must_fail_unchanged(semundo_unlink("s", NULL), EUCLEAN, "symbolic link");
	refuse_replacing("symbolic link");
	ck_assert_int_eq(access(in_dir("nowhere"), F_OK), -1);
}
END_TEST

/* ---- a creation that was not finished ---- */

static void stop_there(const char *point)
{
	if (strcmp(point, "create:temporary") == 0)
		raise(SIGSTOP);
}

static pid_t stopped_in_replacing(void)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		semundo_t *sem;
		semundo__test_point = stop_there;
		_exit(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL) != 0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
	return pid;
}

static int end_of(pid_t pid, int signal)
{
	int status;
	ck_assert_int_eq(kill(pid, signal), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static char found[256];
static int note_file(const struct semundo_garbage *g, void *arg)
{
	(void)arg;
	ck_assert_uint_eq(g->kind, SEMUNDO_GARBAGE_FILE);
	ck_assert_int_eq(g->result, 0);
	strcpy(found, g->name);
	return 0;
}

START_TEST(a_killed_replacing)
{
	semundo_t *sem;
	make_good();
	pid_t pid = stopped_in_replacing();
	must_be(semundo_gc(NULL, 0, note_file, NULL), 0); /* it lives */
	ck_assert_int_eq(WTERMSIG(end_of(pid, SIGKILL)), SIGKILL);
	must_be(semundo_gc(NULL, SEMUNDO_GC_DRY_RUN, note_file, NULL), 1);
	ck_assert_int_eq(access(in_dir(found), F_OK), 0);
	must_be(semundo_gc(NULL, 0, note_file, NULL), 1);
	ck_assert_int_eq(access(in_dir(found), F_OK), -1);
	must_be(semundo_gc(NULL, 0, note_file, NULL), 0);
	must(semundo_open(&sem, "s", 0, NULL));
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_stopped_replacing_goes_on)
{
	make_good();
	pid_t pid = stopped_in_replacing();
	must_be(semundo_gc(NULL, 0, note_file, NULL), 0);
	ck_assert_int_eq(end_of(pid, SIGCONT), 0);
	must_be(semundo_gc(NULL, 0, note_file, NULL), 0);
}
END_TEST

/* What only looks like one, of its name. */
START_TEST(not_a_temporary_file)
{
	static const char *const names[] = { "semundo-tmp.", "semundo-tmp.0123456789abcde",
		                             "semundo-tmp.0123456789abcdef0",
		                             "semundo-tmp.0123456789ABCDEF",
		                             "xsemundo-tmp.0123456789abcdef" };
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		close(creat(in_dir(names[i]), 0600));
	ck_assert_int_eq(mkdir(in_dir("semundo-tmp.0123456789abcdef"), 0700), 0);
	ck_assert_int_eq(symlink("/etc/passwd", in_dir("semundo-tmp.0123456789abcde0")), 0);
	ck_assert_int_eq(mkfifo(in_dir("semundo-tmp.0123456789abcde1"), 0600), 0);
	must_be(semundo_gc(NULL, 0, note_file, NULL), 0);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_int_eq(access(in_dir(names[i]), F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("files");
	TCase *t = suite_case(suite, "contents");
	tcase_add_loop_test(t, wrong_contents, 0, DAMAGES);
	tcase_add_loop_test(t, a_damaged_one_is_removed, 0, DAMAGES);
	tcase_add_loop_test(t, by_descriptor_too, 0, DAMAGES);
	tcase_add_test(t, wrong_sizes);
	tcase_add_test(t, an_empty_one);
	tcase_add_test(t, a_foreign_one);
	tcase_add_test(t, a_descriptor_for_reading_only);
	t = suite_case(suite, "no files");
	tcase_add_test(t, a_directory);
	tcase_add_test(t, a_fifo);
	tcase_add_test(t, a_socket);
	tcase_add_test(t, a_symbolic_link);
	tcase_add_test(t, a_dangling_link);
	t = suite_case(suite, "not finished");
	tcase_add_test(t, a_killed_replacing);
	tcase_add_test(t, a_stopped_replacing_goes_on);
	tcase_add_test(t, not_a_temporary_file);
	return suite_run(suite);
}
