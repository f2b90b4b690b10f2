/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli.h"

static struct {
	bool force;
} given;

static const struct option_row rows[] = {
	{ 'f', "force", NULL, OPTION_FLAG, offsetof(__typeof__(given), force),
	  "names that are not there are no error" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

/* All are tried; the first failure gives the status. */
static int rm(int count, char **names)
{
	int status = STATUS_OK;
	for (int i = 0; i < count; i++) {
		int r = semundo_unlink(names[i], NULL);
		if (r == 0 || (r == -ENOENT && given.force))
			continue;
		int failed = fail_library(r);
		if (!status)
			status = failed;
	}
	return status;
}

const struct verb verb_rm = {
	"rm", "NAME...", "Remove semaphores; who uses one goes on using it", rows, &given, 1, -1,
	0, rm,
};
