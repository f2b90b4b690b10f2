/* SPDX-License-Identifier: Apache-2.0 */
/* usage: errors HEADER
 * Sentences of failures, one per thread, and names of results. */
#include <pthread.h>
#include <stdio.h>

#include "../common/suite.h"
#include "error.h"

static const char *header;

static semundo_t *make(const char *name)
{
	semundo_t *sem;
	must(semundo_open(&sem, name, SEMUNDO_CREATE, NULL));
	return sem;
}

START_TEST(there_is_always_a_sentence)
{
	ck_assert_str_eq(semundo_error(), "no error");
	must_be(semundo__fail(-EIO, "%s and %d", "this", 5), -EIO);
	ck_assert_str_eq(semundo_error(), "this and 5");
	ck_assert_str_eq(semundo_error(), "this and 5");
}
END_TEST

struct told {
	char before[64], after[64];
};

static void *fail_elsewhere(void *arg)
{
	struct told *told = arg;
	snprintf(told->before, sizeof(told->before), "%s", semundo_error());
	semundo__fail(-EIO, "theirs");
	snprintf(told->after, sizeof(told->after), "%s", semundo_error());
	return NULL;
}

START_TEST(each_thread_has_its_own)
{
	struct told told;
	pthread_t thread;
	semundo__fail(-EIO, "ours");
	ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, &told), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_str_eq(told.before, "no error");
	ck_assert_str_eq(told.after, "theirs");
	ck_assert_str_eq(semundo_error(), "ours");
}
END_TEST

/* Written when it is read: the later failure wins, whichever way it is kept. */
START_TEST(the_latest_counts)
{
	semundo_t *sem = make("s");
	semundo__fail(-EIO, "first");
	must_be(semundo_release(sem, 1), -EPERM);
	ck_assert_ptr_nonnull(strstr(semundo_error(), "cannot release 's'"));
	must_be(semundo_release(sem, 0), -EINVAL);
	semundo__fail(-EIO, "last");
	ck_assert_str_eq(semundo_error(), "last");
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_semaphore_may_be_gone)
{
	semundo_t *sem = make("s"), *nameless;
	must_be(semundo_release(sem, 1), -EPERM);
	must(semundo_close(sem));
	ck_assert_ptr_nonnull(strstr(semundo_error(), "cannot release '(closed)'"));
	must(semundo_anonymous(&nameless, NULL));
	must_be(semundo_release(nameless, 1), -EPERM);
	ck_assert_ptr_nonnull(strstr(semundo_error(), "cannot release '(anonymous)'"));
	must(semundo_close(nameless));
}
END_TEST

START_TEST(a_long_sentence_is_cut)
{
	char text[3000];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	must_be(semundo__fail(-EIO, "%s", text), -EIO);
	ck_assert_uint_lt(strlen(semundo_error()), 1000);
	ck_assert_uint_gt(strlen(semundo_error()), 500);
}
END_TEST

static const char *name_from(const char *name)
{
	for (int code = 1; code < 4096; code++) {
		const char *known = semundo_error_name(-code);
		if (known && strcmp(known, name) == 0)
			return known;
	}
	return NULL;
}

/* Every -E... of the header has a name. */
START_TEST(all_that_is_documented_has_a_name)
{
	char line[512], name[32];
	unsigned found = 0;
	FILE *file = fopen(header, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		for (const char *p = line; (p = strstr(p, "-E")); p++)
			if (sscanf(p, "-%31[A-Z0-9]", name) == 1 && strlen(name) > 2) {
				ck_assert_msg(name_from(name) != NULL, "%s has no name", name);
				found++;
			}
	fclose(file);
	ck_assert_uint_gt(found, 40);
}
END_TEST

START_TEST(names_are_right)
{
	ck_assert_str_eq(semundo_error_name(-ETIMEDOUT), "ETIMEDOUT");
	ck_assert_str_eq(semundo_error_name(-EAGAIN), "EAGAIN");
	ck_assert_str_eq(semundo_error_name(-EPROTOTYPE), "EPROTOTYPE");
	ck_assert_str_eq(semundo_error_name(-EUCLEAN), "EUCLEAN");
	ck_assert_str_eq(semundo_error_name(-ENOTSUP), "ENOTSUP");
	ck_assert_str_eq(semundo_error_name(-ENOTDIR), "ENOTDIR");
	ck_assert_ptr_null(semundo_error_name(0));
	ck_assert_ptr_null(semundo_error_name(1));
	ck_assert_ptr_null(semundo_error_name(EPERM));
	ck_assert_ptr_null(semundo_error_name(-4000));
}
END_TEST

START_TEST(the_version_is_told)
{
	int major, minor, patch, end = 0;
	ck_assert_int_eq(sscanf(semundo_version(), "%d.%d.%d%n", &major, &minor, &patch, &end), 3);
	ck_assert_int_eq(end, (int)strlen(semundo_version()));
}
END_TEST

int main(int argc, char **argv)
{
	if (argc != 2)
		die("usage: errors HEADER");
	header = argv[1];
	Suite *suite = suite_create("errors");
	TCase *t = suite_case(suite, "errors");
	tcase_add_test(t, there_is_always_a_sentence);
	tcase_add_test(t, each_thread_has_its_own);
	tcase_add_test(t, the_latest_counts);
	tcase_add_test(t, the_semaphore_may_be_gone);
	tcase_add_test(t, a_long_sentence_is_cut);
	tcase_add_test(t, all_that_is_documented_has_a_name);
	tcase_add_test(t, names_are_right);
	tcase_add_test(t, the_version_is_told);
	return suite_run(suite);
}
