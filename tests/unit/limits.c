/* SPDX-License-Identifier: Apache-2.0 */
/* No room: a full filesystem, no descriptors, no memory, too many processes.
 * Each is refused with nothing changed, and works when there is room again. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/suite.h"
#include "../common/worker.h"
#include "test_hooks.h"

#define CREATE SEMUNDO_CREATE

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static bool says(const char *word)
{
	return strstr(semundo_error(), word) != NULL;
}

/* ---- a full filesystem ---- */

static int enter_tiny_filesystem(const char *dir, const char *size)
{
	char options[64];
	snprintf(options, sizeof(options), "size=%s", size);
	child_check(unshare(CLONE_NEWNS) == 0);
	child_check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	child_check(mount("semundo-test", dir, "tmpfs", 0, options) == 0);
	setenv("SEMUNDO_DIR", dir, 1);
	return 0;
}

static int fill(void)
{
	static char page[4096];
	int fd = open(in_dir("ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	child_check(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	child_check(errno == ENOSPC);
	close(fd);
	return 0;
}

static int is_unchanged(char *before)
{
	char *now = picture(getenv("SEMUNDO_DIR"));
	int same = strcmp(before, now) == 0;
	free(before);
	free(now);
	return same;
}

static int fill_and_try(void)
{
	semundo_t *sem = NULL, *other = NULL;
	int64_t value = 0;
	int r = enter_tiny_filesystem(in_dir("tiny"), "64k");
	if (r)
		return r;
	child_check(semundo_open(&sem, "s", CREATE, NULL) == 0);
	if (fill())
		return 1;
	char *before = picture(getenv("SEMUNDO_DIR"));
	child_check(semundo_open(&other, "t", CREATE, NULL) == -ENOSPC);
	child_check(says("'t'") && says("full"));
	child_check(semundo_open(&other, "s", CREATE | SEMUNDO_REPLACE, NULL) == -ENOSPC);
	child_check(says("'s'") && says("full"));
	child_check(semundo_anonymous(&other, NULL) == -ENOSPC);
	child_check(says("(anonymous)") && says("full"));
	/* The peer file is to be made. */
	child_check(semundo_acquire(sem, 1) == -ENOSPC);
	child_check(says(getenv("SEMUNDO_DIR")));
	child_check(is_unchanged(before));
	child_check(semundo_value(sem, &value) == 0 && value == 1);
	child_check(unlink(in_dir("ballast")) == 0);
	child_check(semundo_acquire(sem, 1) == 0);
	/* What has its memory does not mind. */
	if (fill())
		return 1;
	child_check(semundo_release(sem, 1) == 0);
	child_check(semundo_acquire(sem, 1) == 0);
	child_check(semundo_open(&other, "s", 0, NULL) == 0 && other == sem);
	child_check(semundo_close(other) == 0);
	child_check(semundo_close(sem) == 0);
	return 0;
}

START_TEST(a_full_filesystem)
{
	ck_assert_int_eq(mkdir(in_dir("tiny"), 0700), 0);
	must_in_child(fill_and_try);
}
END_TEST

/* The first page of a file has room for 46 processes; a record of the peer
 * file, for 16 after the head. */
static int fill_and_grow(void)
{
	struct worker *w[47];
	semundo_t *sem;
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	struct semundo_info info = { .size = sizeof(info) };
	int r = enter_tiny_filesystem(in_dir("tiny"), "256k");
	if (r)
		return r;
	options.capacity = 100;
	child_check(semundo_open(&sem, "s", CREATE, &options) == 0);
	for (int i = 0; i < 47; i++)
		w[i] = worker_open("s");
	for (int i = 0; i < 46; i++)
		child_check(worker_does(w[i], semundo_acquire, 1) == 0);
	if (fill())
		return 1;
	child_check(worker_does(w[46], semundo_acquire, 1) == -ENOSPC);
	child_check(strstr(w[46]->error, "full"));
	child_check(semundo_info(sem, &info) == 0 && info.held == 46 && info.value == 54);
	child_check(unlink(in_dir("ballast")) == 0);
	child_check(worker_does(w[46], semundo_acquire, 1) == 0);
	child_check(semundo_info(sem, &info) == 0 && info.held == 47 && info.peers == 47);
	for (int i = 0; i < 47; i++)
		worker_kill(w[i]);
	child_check(semundo_close(sem) == 0);
	return 0;
}

START_TEST(no_room_to_grow)
{
	ck_assert_int_eq(mkdir(in_dir("tiny"), 0700), 0);
	must_in_child(fill_and_grow);
}
END_TEST

static int can_mount_in_child(void)
{
	return unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* ---- no descriptors ---- */

static void limit_descriptors(bool to_those_open)
{
	static rlim_t before;
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (to_those_open) {
		int next = dup(0); /* the lowest free one */
		ck_assert_int_ge(next, 0);
		close(next);
		before = limit.rlim_cur;
		limit.rlim_cur = (rlim_t)next;
	} else {
		limit.rlim_cur = before;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int visit(const char *name, void *arg)
{
	(void)name;
	(void)arg;
	return 0;
}

#define must_fail_without(call, word) \
	do { \
		char *before_ = picture(getenv("SEMUNDO_DIR")); \
		limit_descriptors(true); \
		must_fail(call, EMFILE, word); \
		limit_descriptors(false); \
		char *after_ = picture(getenv("SEMUNDO_DIR")); \
		ck_assert_str_eq(before_, after_); \
		free(before_); \
		free(after_); \
	} while (0)

START_TEST(no_descriptors)
{
	semundo_t *sem = NULL, *other = NULL;
	const char *dir = getenv("SEMUNDO_DIR");
	int fd = -1;
	/* The directory is not known yet, then it is. */
	for (int i = 0; i < 2; i++) {
		must_fail_without(semundo_open(&other, "s", 0, NULL), dir);
		must_fail_without(semundo_open(&other, "t", CREATE, NULL), dir);
		must_fail_without(semundo_anonymous(&other, NULL), dir);
		must_fail_without(semundo_unlink("s", NULL), dir);
		must_fail_without(semundo_list(NULL, visit, NULL), dir);
		if (!sem)
			must(semundo_open(&sem, "s", CREATE, NULL));
	}
	must_fail_without(semundo_descriptor(sem, &fd), "'s'");
	must_fail_without(semundo_open_fd(&other, 0, NULL), dir);
	must_fail_without(semundo_acquire(sem, 1), dir);
	must_fail_without(semundo_try_acquire(sem, 1), dir);
	must_fail_without(semundo_hold_descriptor(sem, &fd), dir);
	ck_assert_int_eq(fd, -1);
	ck_assert_ptr_null(other);
	/* Once it has joined it needs none. */
	must_be(semundo_acquire(sem, 1), 0);
	limit_descriptors(true);
	must(semundo_release(sem, 1));
	must_be(semundo_acquire(sem, 1), 0);
	must_fail(semundo_acquire_timed(sem, 1, 1000), ETIMEDOUT, "'s'");
	must(semundo_release(sem, 1));
	limit_descriptors(false);
	must(semundo_close(sem));
}
END_TEST

/* ---- no memory ---- */

static int limit_memory_and_try(void)
{
	semundo_t *sem = NULL, *known = NULL;
	struct rlimit limit;
	unsigned long pages = 0;
	child_check(semundo_open(&known, "known", CREATE, NULL) == 0);
	child_check(sscanf(proc_line(getpid(), "statm"), "%lu", &pages) == 1);
	child_check(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = pages * 4096 + 65536;
	child_check(setrlimit(RLIMIT_AS, &limit) == 0);
	child_check(semundo_open(&sem, "s", 0, NULL) == -ENOMEM);
	child_check(says("'s'"));
	child_check(semundo_open(&sem, "t", CREATE, NULL) == -ENOMEM);
	child_check(says("'t'"));
	child_check(semundo_anonymous(&sem, NULL) == -ENOMEM);
	child_check(semundo_acquire(known, 1) == -ENOMEM);
	child_check(says("semundo-peers."));
	child_check(sem == NULL);
	limit.rlim_cur = limit.rlim_max;
	child_check(setrlimit(RLIMIT_AS, &limit) == 0);
	/* No half-made semaphore has taken the name. */
	child_check(semundo_acquire(known, 1) == 0);
	child_check(semundo_open(&sem, "t", 0, NULL) == -ENOENT);
	child_check(semundo_open(&sem, "s", 0, NULL) == 0);
	return 0;
}

START_TEST(no_memory)
{
	semundo_t *sem;
	must(semundo_open(&sem, "s", CREATE, NULL));
	must(semundo_close(sem));
	must_in_child(limit_memory_and_try);
}
END_TEST

/* ---- too many ---- */

START_TEST(too_many_for_a_semaphore)
{
	semundo__test.max_slots = 4; /* two are not for processes */
	struct worker *w[3];
	semundo_t *sem;
	for (int i = 0; i < 3; i++)
		w[i] = worker_open("s");
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.capacity = 5;
	must(semundo_open(&sem, "s", CREATE, &options));
	worker_must(w[0], semundo_acquire, 2);
	worker_must(w[1], semundo_acquire, 1);
	worker_must_be(w[2], semundo_acquire, 1, -EUSERS);
	ck_assert_ptr_nonnull(strstr(w[2]->error, "'s': too many"));
	int64_t value = -1;
	must(semundo_value(sem, &value));
	ck_assert_int_eq((int)value, 2);
	/* A dead one makes room, and its units come back. */
	worker_kill(w[0]);
	worker_must_be(w[2], semundo_acquire, 4, 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(too_many_for_a_directory)
{
	semundo__test.max_records = 2;
	struct worker *w[3];
	semundo_t *sem;
	for (int i = 0; i < 3; i++)
		w[i] = worker_open("s");
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.capacity = 5;
	must(semundo_open(&sem, "s", CREATE, &options));
	worker_must(w[0], semundo_acquire, 2);
	worker_must(w[1], semundo_acquire, 1);
	worker_must_be(w[2], semundo_acquire, 1, -EUSERS);
	ck_assert_ptr_nonnull(strstr(w[2]->error, getenv("SEMUNDO_DIR")));
	ck_assert_ptr_nonnull(strstr(w[2]->error, "too many processes"));
	worker_end(w[1]);
	worker_must(w[2], semundo_acquire, 3);
	must(semundo_close(sem));
}
END_TEST

/* More than the first page has slots for. */
START_TEST(many_are_fine)
{
	enum { N = 60 };
	struct worker *w[N];
	semundo_t *sem;
	struct semundo_info info = { .size = sizeof(info) };
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	for (int i = 0; i < N; i++)
		w[i] = worker_open("s");
	options.capacity = N;
	must(semundo_open(&sem, "s", CREATE, &options));
	for (int i = 0; i < N; i++)
		worker_must(w[i], semundo_acquire, 1);
	must(semundo_info(sem, &info));
	ck_assert_uint_eq(info.peers, N);
	ck_assert_uint_eq(info.held, N);
	for (int i = 0; i < N; i++)
		worker_kill(w[i]);
	must_be(semundo_acquire(sem, N), 1);
	must(semundo_close(sem));
}
END_TEST

int main(void)
{
	const char *root = "needs root, to mount a filesystem";
	bool can_mount = geteuid() == 0 && in_child(can_mount_in_child) == 0;
	Suite *suite = suite_create("limits");
	TCase *t = suite_case(suite, "limits");
	add_test_if(can_mount, t, a_full_filesystem, root);
	add_test_if(can_mount, t, no_room_to_grow, root);
	tcase_add_test(t, no_descriptors);
	add_test_if(!SANITIZED, t, no_memory, "a sanitizer needs all the address space");
	tcase_add_test(t, too_many_for_a_semaphore);
	tcase_add_test(t, too_many_for_a_directory);
	tcase_add_test(t, many_are_fine);
	return suite_run(suite);
}
