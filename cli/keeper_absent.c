/* SPDX-License-Identifier: Apache-2.0 */
/* In place of keepers where there is no native engine: the others show nobody
 * whom they hold for, so that `semundo release` could not find a keeper. */
#include "keeper.h"

#include <errno.h>

#include "cli.h"

int keeper_start(const struct keeper_task *task, pid_t *ret_keeper, int *ret_answer)
{
	(void)ret_keeper;
	(void)ret_answer;
	int r = semundo_describe(task->sem, task->for_pid, NULL);
	return fail(STATUS_DATA, "%s; nothing can be held for process %d here, use 'semundo run'",
	            r ? semundo_error() : "there are no keepers on this system", (int)task->for_pid);
}

int keeper_find(const struct semundo_peer *peer, pid_t for_pid)
{
	(void)peer;
	(void)for_pid;
	return -1;
}

int keeper_tell(int keeper, unsigned units)
{
	(void)keeper;
	(void)units;
	return -ENOTSUP;
}
