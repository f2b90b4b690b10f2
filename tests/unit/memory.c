/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that a child finds wiped, and the register of open semaphores. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/suite.h"
#include "error.h"
#include "native.h"
#include "registry.h"
#include "wiped.h"

/* ---- wiped memory ---- */

static bool is_zero(const char *chunk)
{
	for (unsigned i = 0; i < WIPED_CHUNK; i++)
		if (chunk[i])
			return false;
	return true;
}

#define CHUNKS 1000 /* more than some pages */
static char *chunks[CHUNKS];

static void take_chunks(void)
{
	for (int i = 0; i < CHUNKS; i++) {
		chunks[i] = semundo__wiped_new();
		ck_assert_ptr_nonnull(chunks[i]);
		ck_assert_uint_eq((uintptr_t)chunks[i] % WIPED_CHUNK, 0);
		ck_assert_msg(is_zero(chunks[i]), "chunk %d", i);
		memset(chunks[i], i % 255 + 1, WIPED_CHUNK);
	}
}

static void check_chunks(void)
{
	for (int i = 0; i < CHUNKS; i++)
		for (unsigned b = 0; b < WIPED_CHUNK; b++)
			if (chunks[i][b] != (char)(i % 255 + 1))
				ck_abort_msg("chunk %d shares memory with another", i);
}

START_TEST(chunks_are_apart)
{
	take_chunks();
	check_chunks();
	for (int i = 0; i < CHUNKS; i++)
		semundo__wiped_free(chunks[i]);
	semundo__wiped_free(NULL);
	take_chunks();
	check_chunks();
}
END_TEST

static int look_in_child(void)
{
	for (int i = 0; i < CHUNKS; i++)
		child_check(is_zero(chunks[i]));
	/* It has the same chunks, and may use them. */
	memset(chunks[0], 'c', WIPED_CHUNK);
	char *more = semundo__wiped_new();
	child_check(more && is_zero(more));
	for (int i = 0; i < CHUNKS; i++)
		child_check(chunks[i] != more);
	return 0;
}

START_TEST(a_child_finds_zeroes)
{
	take_chunks();
	must_in_child(look_in_child);
	check_chunks();
}
END_TEST

/* Not through the C library's fork(), and none of its handlers. */
START_TEST(a_raw_clone_finds_zeroes)
{
	int status;
	take_chunks();
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(look_in_child());
	ck_assert_int_gt((int)pid, 0);
	reap((pid_t)pid, &status);
	ck_assert_int_eq(status, 0);
	check_chunks();
}
END_TEST

/* ---- the register ---- */

#define SEMS 500
static semundo_t sems[SEMS];

/* Some share the inode, or the device, or both, or only differ in their engine. */
static void register_all(void)
{
	for (unsigned i = 0; i < SEMS; i++) {
		sems[i].engine = i / 2 % 5 < 4 ? &semundo__native : &semundo__sysv;
		sems[i].device = i / 2 % 5 % 4;
		sems[i].inode = i / 10 * 7 % 1001;
		sems[i].read_only = i % 2;
		snprintf(sems[i].name, sizeof(sems[i].name), "s%u", i);
		ck_assert_int_eq(semundo__registry_add(&sems[i]), 0);
	}
}

static semundo_t *find(const semundo_t *like)
{
	return semundo__registry_find(like->engine, like->device, like->inode, like->read_only);
}

START_TEST(each_is_found)
{
	register_all();
	for (unsigned i = 0; i < SEMS; i++)
		ck_assert_ptr_eq(find(&sems[i]), &sems[i]);
	ck_assert_ptr_null(semundo__registry_find(&semundo__native, 9, 0, false));
	ck_assert_ptr_null(semundo__registry_find(&semundo__native, 0, 1002, false));
	ck_assert_ptr_null(semundo__registry_find(&semundo__native, UINT64_MAX, UINT64_MAX, true));
}
END_TEST

START_TEST(the_removed_is_not_found)
{
	char name[16], wanted[16];
	register_all();
	/* The first, the last, and every third between. */
	for (unsigned i = 0; i < SEMS; i++)
		if (i % 3 == 0 || i == SEMS - 1)
			semundo__registry_remove(&sems[i]);
	for (unsigned i = 0; i < SEMS; i++) {
		bool is_there = i % 3 != 0 && i != SEMS - 1;
		ck_assert_ptr_eq(find(&sems[i]), is_there ? &sems[i] : NULL);
		ck_assert_int_eq(semundo__known_name(&sems[i], name, sizeof(name)), is_there);
		snprintf(wanted, sizeof(wanted), "s%u", i);
		if (is_there)
			ck_assert_str_eq(name, wanted);
	}
	for (unsigned i = 0; i < SEMS; i++)
		if (i % 3 != 0 && i != SEMS - 1)
			semundo__registry_remove(&sems[i]);
	for (unsigned i = 0; i < SEMS; i++)
		ck_assert_ptr_null(find(&sems[i]));
}
END_TEST

START_TEST(thousands_are_open_at_once)
{
	enum { N = 2000 };
	static semundo_t *open[N];
	semundo_t *again;
	char name[16];
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		must(semundo_open(&open[i], name, SEMUNDO_CREATE | SEMUNDO_EXCL, NULL));
		must_be(semundo_acquire(open[i], 1), 0);
	}
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		must(semundo_open(&again, name, 0, NULL));
		ck_assert_ptr_eq(again, open[i]);
		must(semundo_close(again));
		must_be(semundo_try_acquire(open[i], 1), -EAGAIN);
	}
	for (int i = 0; i < N; i++)
		must(semundo_close(open[i]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memory");
	TCase *t = suite_case(suite, "wiped");
	tcase_add_test(t, chunks_are_apart);
	tcase_add_test(t, a_child_finds_zeroes);
	tcase_add_test(t, a_raw_clone_finds_zeroes);
	t = suite_case(suite, "register");
	tcase_add_test(t, each_is_found);
	tcase_add_test(t, the_removed_is_not_found);
	tcase_add_test(t, thousands_are_open_at_once);
	return suite_run(suite);
}
