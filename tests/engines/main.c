/* SPDX-License-Identifier: Apache-2.0 */
/* usage: engines ENGINE */
#include <stdio.h>

#include "engine.h"
#include "engines.h"

/* What there is. A new engine is a line here and a test in meson.build. */
static const struct engine_facts engines[] = {
	{ "native",
	  ENGINE_LOCK | ENGINE_PERMITS | ENGINE_SIGNAL | ENGINE_RESIZE | ENGINE_PEERS |
	          ENGINE_ANONYMOUS | ENGINE_LOCK_BY_ANY,
	  &semundo__native },
};

const struct engine_facts *the;

bool can(unsigned caps)
{
	return (the->caps & caps) == caps;
}

unsigned cap_of(int kind)
{
	return kind == SEMUNDO_LOCK ? ENGINE_LOCK :
	       kind == SEMUNDO_PERMITS ? ENGINE_PERMITS : ENGINE_SIGNAL;
}

const char *named(const char *name)
{
	static char names[4][SEMUNDO_NAME_MAX + 32];
	static unsigned next;
	char *to = names[next++ % 4];
	snprintf(to, sizeof(names[0]), "%s:%s", the->name, name);
	return to;
}

struct semundo_options with_units(int kind, unsigned units)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.kind = (uint32_t)kind;
	if (kind == SEMUNDO_PERMITS)
		options.capacity = units;
	if (kind == SEMUNDO_SIGNAL)
		options.value = units;
	return options;
}

semundo_t *make(const char *name, int kind, unsigned units)
{
	const struct semundo_options options = with_units(kind, units);
	semundo_t *sem = NULL;
	const unsigned flags = SEMUNDO_CREATE | SEMUNDO_EXCL;
	if (can(cap_of(kind))) {
		must(semundo_open(&sem, named(name), flags, &options));
	} else {
		must_fail(semundo_open(&sem, named(name), flags, &options), ENOTSUP, name);
		ck_assert_ptr_null(sem);
	}
	return sem;
}

int64_t value_of(semundo_t *sem)
{
	int64_t value = INT64_MIN;
	must(semundo_value(sem, &value));
	return value;
}

struct semundo_info info_of(semundo_t *sem)
{
	struct semundo_info info = { .size = sizeof(info) };
	must(semundo_info(sem, &info));
	return info;
}

int held(semundo_t *sem, unsigned n)
{
	unsigned units = 0;
	int r = semundo_held(sem, &units);
	(void)n;
	return r ? r : (int)units;
}

int close_it(semundo_t *sem, unsigned n)
{
	(void)n;
	return semundo_close(sem);
}

int wait_idle(semundo_t *sem, unsigned n)
{
	(void)n;
	return semundo_wait_idle(sem, NULL);
}

START_TEST(it_can_what_it_says)
{
	ck_assert_str_eq(the->engine->name, the->name);
	ck_assert_uint_eq(the->engine->caps, the->caps);
}
END_TEST

static const struct engine_facts *find(const char *name)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (strcmp(engines[i].name, name) == 0)
			return &engines[i];
	return NULL;
}

int main(int argc, char **argv)
{
	the = argc == 2 ? find(argv[1]) : NULL;
	if (!the)
		die("usage: engines ENGINE");
	Suite *suite = suite_create(the->name);
	tcase_add_test(suite_case(suite, "capabilities"), it_can_what_it_says);
	add_life(suite);
	add_sharing(suite);
	add_counting(suite);
	add_resize(suite);
	add_looking(suite);
	add_deaths(suite);
	add_waits(suite);
	add_cancel(suite);
	add_signals(suite);
	add_crowds(suite);
	return suite_run(suite);
}
