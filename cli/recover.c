/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static const struct option_row rows[] = {
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int recover(int count, char **names)
{
	int undone = 0;
	for (int i = 0; i < count; i++) {
		semundo_t *sem;
		int status = open_existing(&sem, names[i], 0, 0);
		if (status)
			return status;
		int r = semundo_recover(sem);
		if (r < 0)
			status = fail_library(r);
		semundo_close(sem);
		if (status)
			return status;
		undone += r;
	}
	printf("%d\n", undone);
	return finish_output();
}

const struct verb verb_recover = {
	"recover", "NAME...", "Give back now what dead processes held, and print how many they were",
	rows, NULL, 1, -1, 0, recover,
};
