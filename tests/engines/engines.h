/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite for every engine, written against include/semundo.h. The program's
 * argument says which engine; what an engine lacks its capabilities say, and
 * the test is then that asking for it is -ENOTSUP with a sentence.
 */
#ifndef TESTS_ENGINES_H
#define TESTS_ENGINES_H

#include "../common/suite.h"
#include "../common/worker.h"

struct engine_facts {
	const char *name;           /* what the program is called with */
	const char *prefix;         /* of names, and the engine's name in info */
	unsigned caps;              /* SEMUNDO_CAP_... that it must have, no others */
	const struct engine *engine;
	int *switched;              /* of semundo__test, to be 1; or null */
};

extern const struct engine_facts *the;
bool can(unsigned caps);
/* The largest capacity, or value, of that kind. */
unsigned most_of(int kind);
/* The capability without which there is no such kind. */
unsigned cap_of(int kind);

/* "engine:name"; good for the next three calls. */
const char *named(const char *name);

/* Options for a semaphore of that kind with all that many units to acquire. */
struct semundo_options with_units(int kind, unsigned units);

/* Creates it under that name; null, after the test that it is refused, where
 * the engine lacks the kind. */
semundo_t *make(const char *name, int kind, unsigned units);

int64_t value_of(semundo_t *sem);
struct semundo_info info_of(semundo_t *sem);

/* Acts of workers, for what is not of that form by itself. */
int held(semundo_t *sem, unsigned n);
int close_it(semundo_t *sem, unsigned n);
int wait_idle(semundo_t *sem, unsigned n);

/* Tests for the kinds _i in [LOCK, PERMITS] and with SIGNAL. */
#define add_undone_kinds(tcase, test) \
	tcase_add_loop_test(tcase, test, SEMUNDO_LOCK, SEMUNDO_PERMITS + 1)
#define add_all_kinds(tcase, test) \
	tcase_add_loop_test(tcase, test, SEMUNDO_LOCK, SEMUNDO_SIGNAL + 1)

/* The files of the suite. */
void add_life(Suite *suite);
void add_sharing(Suite *suite);
void add_counting(Suite *suite);
void add_resize(Suite *suite);
void add_looking(Suite *suite);
void add_deaths(Suite *suite);
void add_waits(Suite *suite);
void add_cancel(Suite *suite);
void add_signals(Suite *suite);
void add_crowds(Suite *suite);

#endif
