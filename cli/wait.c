/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static struct {
	struct patience patience;
	bool verbose;
} given = { PATIENCE_INIT, false };

static const struct option_row rows[] = {
	PATIENCE_ROWS(__typeof__(given), patience),
	{ 'v', "verbose", NULL, OPTION_FLAG, offsetof(__typeof__(given), verbose),
	  "say why it failed if it is busy" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int wait_idle(int count, char **names)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	struct timespec deadline;
	semundo_t *sem;
	(void)count;
	int status = open_existing(&sem, names[0], 0, 0);
	if (status)
		return status;
	prepare_wait(&given.patience, &wait, &deadline);
	int r = semundo_wait_idle(sem, &wait);
	if (r)
		status = fail_acquire(r, &given.patience, given.verbose);
	semundo_close(sem);
	return status;
}

const struct verb verb_wait = {
	"wait", "NAME", "Wait until all units are back", rows, &given, 1, 1, 0, wait_idle,
};
