/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static struct {
	unsigned kind, capacity, value, mode;
	bool exclusive, replace;
} given;

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'k', "kind", "KIND", OPTION_KIND, AT(kind), "lock, permits (default) or signal" },
	{ 'c', "capacity", "UNITS", OPTION_COUNT, AT(capacity),
	  "units of permits (default: 1), or the largest value of a signal" },
	{ 0, "value", "NUMBER", OPTION_NUMBER, AT(value), "first value of a signal (default: 0)" },
	{ 'm', "mode", "MODE", OPTION_MODE, AT(mode), "permission bits (default: 0600)" },
	{ 0, "exclusive", NULL, OPTION_FLAG, AT(exclusive), "fail if it is there" },
	{ 0, "replace", NULL, OPTION_FLAG, AT(replace),
	  "give the name to a new one; who uses the old one goes on with that" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int create(int count, char **names)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	struct semundo_info info;
	semundo_t *sem;
	(void)count;
	options.kind = given.kind;
	options.capacity = given.capacity;
	options.value = given.value;
	options.mode = given.mode;
	if (given.exclusive && given.replace)
		return fail(STATUS_USAGE, "--exclusive and --replace exclude each other");
	unsigned flags = given.exclusive ? SEMUNDO_EXCL : given.replace ? SEMUNDO_REPLACE : 0;
	int status = open_or_create(&sem, &info, names[0], &options, flags);
	if (!status)
		semundo_close(sem);
	return status;
}

const struct verb verb_create = {
	"create", "NAME", "Create a semaphore, or see that it is there", rows, &given, 1, 1, 0,
	create,
};
