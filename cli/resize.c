/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct option_row rows[] = {
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int resize(int count, char **operands)
{
	semundo_t *sem;
	char *end;
	(void)count;
	unsigned long capacity = strtoul(operands[1], &end, 10);
	if (*end || strspn(operands[1], "0123456789") == 0 || !capacity ||
	    capacity > SEMUNDO_PERMITS_MAX)
		return fail(STATUS_USAGE, "'%s' is not a capacity: a number from 1 to %d", operands[1],
		            SEMUNDO_PERMITS_MAX);
	int status = open_existing(&sem, operands[0], 0, 0);
	if (status)
		return status;
	int r = semundo_resize(sem, (unsigned)capacity);
	if (r)
		status = fail_library(r);
	semundo_close(sem);
	return status;
}

const struct verb verb_resize = {
	"resize", "NAME CAPACITY", "Change the capacity of permits", rows, NULL, 2, 2, 0, resize,
};
