/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>

#include "sysv_tests.h"

bool alone;

int sets(void)
{
	struct sysv_limits limits;
	must(semundo__sysv_limits(&limits));
	return (int)limits.sets_used;
}

semundo_t *create(const char *name, uint32_t kind, uint32_t units)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem = NULL;
	options.kind = kind;
	if (kind == SEMUNDO_SIGNAL)
		options.value = units;
	else if (kind == SEMUNDO_PERMITS)
		options.capacity = units;
	must(semundo_open(&sem, name, SEMUNDO_CREATE | SEMUNDO_EXCL, &options));
	return sem;
}

int64_t value_of(semundo_t *sem)
{
	int64_t value = -1;
	must(semundo_value(sem, &value));
	return value;
}

struct semundo_info info_of(semundo_t *sem)
{
	struct semundo_info info = { .size = sizeof(info) };
	must(semundo_info(sem, &info));
	return info;
}

int open_too(semundo_t *sem, unsigned n)
{
	(void)sem;
	(void)n;
	return 0;
}

int ended(pid_t pid)
{
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

int main(void)
{
	alone = unshare(CLONE_NEWIPC) == 0;
	Suite *suite = suite_create("sysv");
	add_names(suite);
	add_creation(suite);
	add_limits(suite);
	add_raw(suite);
	add_lost(suite);
	add_polling(suite);
	return suite_run(suite);
}
