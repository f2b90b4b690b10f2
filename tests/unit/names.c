/* SPDX-License-Identifier: Apache-2.0 */
/* Names of semaphores: which are refused, and what engine a prefix means. */
#include <limits.h>
#include <stdio.h>

#include "../common/suite.h"
#include "name.h"

static void refuse(const char *name, int code, const char *word)
{
	semundo_t *sem = NULL;
	must_fail_unchanged(semundo_open(&sem, name, 0, NULL), code, word);
	must_fail_unchanged(semundo_open(&sem, name, SEMUNDO_CREATE, NULL), code, word);
	must_fail_unchanged(semundo_unlink(name, NULL), code, word);
	ck_assert_ptr_null(sem);
}

START_TEST(empty_and_missing)
{
	refuse("", EINVAL, "empty");
	refuse("native:", EINVAL, "'native:'");
	refuse(NULL, EINVAL, "missing");
}
END_TEST

START_TEST(slash_and_colon)
{
	refuse("/", EINVAL, "'/'");
	refuse("/a", EINVAL, "'/a'");
	refuse("a/b", EINVAL, "'a/b'");
	refuse("../a", EINVAL, "'../a'");
	refuse("native:a/b", EINVAL, "'native:a/b'");
	refuse("native:a:b", EINVAL, "':'");
	refuse("native::", EINVAL, "':'");
}
END_TEST

START_TEST(unknown_engines)
{
	refuse("nosuch:a", EINVAL, "no engine");
	refuse(":a", EINVAL, "no engine");
	refuse("nativ:a", EINVAL, "'nativ:a'");
	refuse("natives:a", EINVAL, "no engine");
	refuse("Native:a", EINVAL, "no engine");
}
END_TEST

START_TEST(control_characters)
{
	for (int c = 1; c < 256; c++) {
		char name[] = { 'a', (char)c, 'b', '\0' }, word[16];
		const struct engine *engine;
		const char *rest;
		snprintf(word, sizeof(word), "(0x%02x)", (unsigned)c);
		if (c < 0x20 || c == 0x7f) {
			must_fail(semundo__parse_name(name, &engine, &rest), EINVAL, word);
			must_fail(semundo__parse_name(name, &engine, &rest), EINVAL, "at byte 2");
		} else if (c != '/' && c != ':') {
			must(semundo__parse_name(name, &engine, &rest));
		}
	}
	refuse("a\nb", EINVAL, "(0x0a)");
}
END_TEST

START_TEST(length)
{
	char name[SEMUNDO_NAME_MAX + 2], with_engine[SEMUNDO_NAME_MAX + 16];
	semundo_t *sem, *same;
	memset(name, 'n', sizeof(name));
	name[SEMUNDO_NAME_MAX + 1] = '\0';
	refuse(name, ENAMETOOLONG, "longer than 200");
	snprintf(with_engine, sizeof(with_engine), "native:%s", name);
	refuse(with_engine, ENAMETOOLONG, "longer than 200");
	name[SEMUNDO_NAME_MAX] = '\0';
	snprintf(with_engine, sizeof(with_engine), "native:%s", name);
	must(semundo_open(&sem, with_engine, SEMUNDO_CREATE | SEMUNDO_EXCL, NULL));
	must(semundo_open(&same, name, 0, NULL));
	ck_assert_ptr_eq(sem, same);
	struct semundo_info info = { .size = sizeof(info) };
	must(semundo_info(sem, &info));
	ck_assert_str_eq(info.name, name);
	must(semundo_close(same));
	must(semundo_unlink(name, NULL));
	must(semundo_close(sem));
}
END_TEST

START_TEST(prefixes)
{
	const struct engine *engine = NULL;
	const char *rest = NULL, *text = "native:x";
	must(semundo__parse_name(text, &engine, &rest));
	ck_assert_ptr_eq(engine, &semundo__native);
	ck_assert_str_eq(rest, "x");
	must(semundo__parse_name("native", &engine, &rest));
	ck_assert_ptr_eq(engine, &semundo__native);
	ck_assert_str_eq(rest, "native");
}
END_TEST

/* Not what was not accepted. */
START_TEST(outputs_are_left_alone)
{
	const struct engine *engine = NULL;
	const char *rest = "as it was";
	must_be(semundo__parse_name("a/b", &engine, &rest), -EINVAL);
	must_be(semundo__parse_name("no:b", &engine, &rest), -EINVAL);
	ck_assert_ptr_null(engine);
	ck_assert_str_eq(rest, "as it was");
}
END_TEST

/* A long one is cut in the sentence, which still says what is wrong. */
START_TEST(sentences_are_whole)
{
	char name[2000];
	semundo_t *sem;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	must_fail(semundo_open(&sem, name, 0, NULL), ENAMETOOLONG, "longer than 200 bytes");
	ck_assert_uint_lt(strlen(semundo_error()), 400);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *t = suite_case(suite, "names");
	tcase_add_test(t, empty_and_missing);
	tcase_add_test(t, slash_and_colon);
	tcase_add_test(t, unknown_engines);
	tcase_add_test(t, control_characters);
	tcase_add_test(t, length);
	tcase_add_test(t, prefixes);
	tcase_add_test(t, outputs_are_left_alone);
	tcase_add_test(t, sentences_are_whole);
	return suite_run(suite);
}
