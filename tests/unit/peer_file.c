/* SPDX-License-Identifier: Apache-2.0 */
/* The peer file: what is not trusted, and what happens when it goes. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/suite.h"
#include "../common/worker.h"
#include "layout.h"

#define NOBODY 65534
#define PEER_SIZE ((off_t)sizeof(struct peer_file))

static semundo_t *sem;

static const char *file(void)
{
	char name[32];
	snprintf(name, sizeof(name), "semundo-peers.%u", (unsigned)geteuid());
	return in_dir(name);
}

static void make_sem(void)
{
	must(semundo_open(&sem, "s", SEMUNDO_CREATE | SEMUNDO_EXCL, NULL));
	ck_assert_int_eq(access(file(), F_OK), -1);
}

static int use_once(semundo_t *s, unsigned n)
{
	int r = semundo_acquire(s, n);
	return r ? r : semundo_release(s, n);
}

/* A good peer file, made by a process that has ended. */
static void make_peer_file(void)
{
	struct worker *w = worker_open("s");
	make_sem();
	worker_must(w, use_once, 1);
	worker_end(w);
}

/* All that has to join says the same; put right, it works. */
static void refuse_join(int code, const char *word)
{
	int fd = -1;
	must_fail_unchanged(semundo_acquire(sem, 1), code, word);
	must_fail_unchanged(semundo_try_acquire(sem, 1), code, file());
	must_fail_unchanged(semundo_wait_idle(sem, NULL), code, file());
	must_fail_unchanged(semundo_recover(sem), code, file());
	must_fail_unchanged(semundo_resize(sem, 2), code, file());
	must_fail_unchanged(semundo_describe(sem, 0, NULL), code, file());
	must_fail_unchanged(semundo_hold_descriptor(sem, &fd), code, file());
	ck_assert_int_eq(fd, -1);
}

static void put_right(void)
{
	ck_assert_int_eq(remove(file()), 0);
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_release(sem, 1));
	must(semundo_close(sem));
}

/* ---- what stands there ---- */

START_TEST(no_file)
{
	make_sem();
	ck_assert_int_eq(_i ? mkfifo(file(), 0600) : mkdir(file(), 0700), 0);
	refuse_join(EUCLEAN, "not a regular file");
	put_right();
}
END_TEST

START_TEST(a_symbolic_link)
{
	make_peer_file();
	if (_i)
		ck_assert_int_eq(rename(file(), in_dir("target")), 0);
	else
		ck_assert_int_eq(remove(file()), 0);
	ck_assert_int_eq(symlink(in_dir("target"), file()), 0);
	refuse_join(ELOOP, "symbolic link");
	must(semundo_unlink("s", NULL));
	must(semundo_close(sem));
	must(semundo_open(&sem, "s", SEMUNDO_CREATE, NULL));
	put_right();
}
END_TEST

START_TEST(writable_by_others)
{
	make_peer_file();
	ck_assert_int_eq(chmod(file(), _i ? 0646 : 0664), 0);
	refuse_join(EPERM, "others may write it");
	ck_assert_int_eq(chmod(file(), 0644), 0);
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(of_another_user)
{
	make_peer_file();
	ck_assert_int_eq(chown(file(), NOBODY, NOBODY), 0);
	refuse_join(EPERM, "belongs to another user");
	ck_assert_int_eq(chown(file(), geteuid(), getegid()), 0);
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(of_another_size)
{
	static const off_t sizes[] = { 0, 1, 1024, PEER_SIZE - 1, PEER_SIZE + 1, 2 * PEER_SIZE };
	make_peer_file();
	ck_assert_int_eq(truncate(file(), sizes[_i]), 0);
	refuse_join(EUCLEAN, "wrong size");
	must(semundo_close(sem));
}
END_TEST

static const struct {
	off_t offset;
	uint64_t value;
	unsigned bytes;
	int code;
	const char *word;
} damages[] = {
	{ 0, 0, 8, EUCLEAN, "not a peer file's" },
	{ 0, SEM_MAGIC, 8, EUCLEAN, "not a peer file's" },
	{ 8, LAYOUT_VERSION + 1, 4, ENOEXEC, "incompatible version" },
	{ 8, 0, 4, ENOEXEC, "incompatible version" },
	{ 12, 0x40400201, 4, ENOEXEC, "incompatible version" },
	{ 16, 4711, 4, EUCLEAN, "not a peer file's" },
};

START_TEST(of_other_contents)
{
	make_peer_file();
	int fd = open(file(), O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq((int)pwrite(fd, &damages[_i].value, damages[_i].bytes, damages[_i].offset),
	                 (int)damages[_i].bytes);
	close(fd);
	refuse_join(damages[_i].code, damages[_i].word);
	must(semundo_close(sem));
}
END_TEST

/* A signal has no holders: it needs no peer file. */
START_TEST(a_signal_works_without)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.kind = SEMUNDO_SIGNAL;
	must(semundo_open(&sem, "s", SEMUNDO_CREATE, &options));
	ck_assert_int_eq(mkdir(file(), 0700), 0);
	must_fail(semundo_acquire_timed(sem, 1, 1000), ETIMEDOUT, "'s'");
	must(semundo_release(sem, 1));
	must_be(semundo_acquire(sem, 1), 0);
	must(semundo_close(sem));
}
END_TEST

/* ---- removed or replaced while in use ---- */

/* Nobody is undone, those who are attached go on, newcomers are refused. */
static void check_gone(bool replaced)
{
	struct worker *holder = worker_open("s"), *attached = worker_open("s"),
	              *newcomer = worker_open("s"), *other = worker_open("t");
	semundo_t *t;
	make_sem();
	must(semundo_open(&t, "t", SEMUNDO_CREATE, NULL));
	worker_must(attached, use_once, 1);
	worker_must(holder, semundo_acquire, 1);
	ck_assert_int_eq(rename(file(), in_dir("old")), 0);
	if (replaced)
		worker_must(other, use_once, 1);
	worker_must_be(newcomer, semundo_acquire, 1, -ESTALE);
	ck_assert_ptr_nonnull(strstr(newcomer->error, file()));
	ck_assert_ptr_nonnull(strstr(newcomer->error, "'s'"));
	worker_must_be(attached, semundo_try_acquire, 1, -EAGAIN);
	worker_must(holder, semundo_release, 1);
	worker_must(attached, semundo_acquire, 1);
	worker_start(holder, semundo_acquire, 1);
	worker_sleeps(holder);
	worker_kill(attached);
	worker_result_must_be(holder, 1);
	/* Who cannot tell: the dead count as alive. */
	worker_kill(holder);
	worker_must_be(newcomer, semundo_try_acquire, 1, -ESTALE);
	struct semundo_info info = { .size = sizeof(info) };
	must(semundo_info(sem, &info));
	ck_assert_uint_eq(info.dead, 0);
	ck_assert_uint_eq(info.held, 1);
	must(semundo_close(sem));
	must(semundo_close(t));
}

START_TEST(removed_while_in_use)
{
	check_gone(false);
}
END_TEST

START_TEST(replaced_while_in_use)
{
	check_gone(true);
}
END_TEST

/* A copy has the same bytes and is another file. */
START_TEST(a_copy_is_not_it)
{
	char command[9000];
	struct worker *holder = worker_open("s"), *newcomer = worker_open("s");
	make_sem();
	worker_must(holder, semundo_acquire, 1);
	snprintf(command, sizeof(command), "cp -p %s %s && mv %s %s", file(), in_dir("copy"),
	         in_dir("copy"), file());
	ck_assert_int_eq(system(command), 0);
	worker_must_be(newcomer, semundo_try_acquire, 1, -ESTALE);
	must(semundo_close(sem));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peer file");
	TCase *t = suite_case(suite, "what stands there");
	tcase_add_loop_test(t, no_file, 0, 2);
	tcase_add_loop_test(t, a_symbolic_link, 0, 2);
	tcase_add_loop_test(t, writable_by_others, 0, 2);
	add_test_if(geteuid() == 0, t, of_another_user, "needs root, to give a file away");
	tcase_add_loop_test(t, of_another_size, 0, 6);
	tcase_add_loop_test(t, of_other_contents, 0, 6);
	tcase_add_test(t, a_signal_works_without);
	t = suite_case(suite, "in use");
	tcase_add_test(t, removed_while_in_use);
	tcase_add_test(t, replaced_while_in_use);
	tcase_add_test(t, a_copy_is_not_it);
	return suite_run(suite);
}
