/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "cli.h"

static const struct option_row rows[] = {
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int value(int count, char **names)
{
	semundo_t *sem;
	int64_t units;
	(void)count;
	int status = open_existing(&sem, names[0], SEMUNDO_OBSERVE, 0);
	if (status)
		return status;
	int r = semundo_value(sem, &units);
	semundo_close(sem);
	if (r)
		return fail_library(r);
	printf("%" PRId64 "\n", units);
	return finish_output();
}

const struct verb verb_value = {
	"value", "NAME", "Print how many units can be acquired now", rows, NULL, 1, 1, 0, value,
};
