/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs in tests/unit and tests/engines share: Check with results
 * as TAP, a directory for each test, and ways to say what a call must do.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../torture/common.h"

/* More than anything here takes, on two slow processors with other work. */
#define LIMIT_SECONDS 60
#define LIMIT (LIMIT_SECONDS * SEC)

/* A case in which each test has an empty SEMUNDO_DIR of its own. */
TCase *suite_case(Suite *suite, const char *name);

/* Called before each test of such a case, where it is set. */
extern void (*suite_before_each)(void);

/* Says that a test cannot run on this machine, and why. */
void suite_skip(const char *test, const char *why);

/* Adds the test if can, else says why not. */
#define add_test_if(can, tcase, test, why) \
	do { \
		if (can) \
			tcase_add_test(tcase, test); \
		else \
			suite_skip(#test, why); \
	} while (0)

/* Runs it and prints TAP; the program's exit status. */
int suite_run(Suite *suite);

/* "DIRECTORY/file", where DIRECTORY is SEMUNDO_DIR; good for the next three
 * calls. */
const char *in_dir(const char *file);

/* Mode, owner, size and contents of all that is in a directory, as text that
 * the caller frees: the same text, nothing has changed. */
char *picture(const char *dir);

#define must_be(call, wanted) \
	do { \
		int result_ = (call); \
		ck_assert_msg(result_ == (wanted), "%s is %d, not %d (%s)", #call, result_, \
		              (int)(wanted), result_ < 0 ? semundo_error() : "no error"); \
	} while (0)

#define must(call) must_be(call, 0)

/* It fails with that errno and its sentence has that word in it. */
#define must_fail(call, code, word) \
	do { \
		must_be(call, -(code)); \
		ck_assert_msg(strstr(semundo_error(), (word)) != NULL, \
		              "the sentence of %s has no \"%s\": %s", #call, (word), \
		              semundo_error()); \
	} while (0)

/* The same, and nothing in SEMUNDO_DIR has changed. */
#define must_fail_unchanged(call, code, word) \
	do { \
		char *before_ = picture(getenv("SEMUNDO_DIR")); \
		must_fail(call, code, word); \
		char *after_ = picture(getenv("SEMUNDO_DIR")); \
		ck_assert_str_eq(before_, after_); \
		free(before_); \
		free(after_); \
	} while (0)

/* Waits until a condition holds, else the test fails. */
#define until(condition) \
	do { \
		uint64_t give_up_ = now_ns() + LIMIT; \
		while (!(condition)) { \
			ck_assert_msg(now_ns() < give_up_, "never came true: %s", #condition); \
			pause_ns(200000); \
		} \
	} while (0)

/* Runs a function in a child; its result is the exit status, which must be 0:
 * else it is the number of the line to look at. */
#define must_in_child(function) must_be(in_child(function), 0)
int in_child(int (*function)(void));

/* For functions run in a child: the line, if it does not hold. */
#define child_check(condition) \
	do { \
		if (!(condition)) \
			return child_failed(__FILE__, __LINE__, #condition); \
	} while (0)
int child_failed(const char *file, int line, const char *condition);

#endif
