/* SPDX-License-Identifier: Apache-2.0 */
#include "observer.h"

#include <errno.h>

#include "error.h"

int semundo__observer_recover(semundo_t *sem)
{
	return semundo__fail_static(-EBADF, "cannot change '%s': it was opened for looking only",
	                            sem);
}

int semundo__observer_try(semundo_t *sem, unsigned n)
{
	(void)sem;
	(void)n;
	return -EAGAIN;
}

int semundo__observer_acquire(semundo_t *sem, unsigned n, const struct wait_how *how)
{
	(void)n;
	(void)how;
	return semundo__observer_recover(sem);
}

int semundo__observer_number(semundo_t *sem, unsigned n)
{
	(void)n;
	return semundo__observer_recover(sem);
}

int semundo__observer_wait_idle(semundo_t *sem, const struct wait_how *how)
{
	(void)how;
	return semundo__observer_recover(sem);
}

int semundo__observer_descriptor(semundo_t *sem, int *ret_fd)
{
	(void)ret_fd;
	return semundo__observer_recover(sem);
}

int semundo__observer_describe(semundo_t *sem, pid_t for_pid, const char *command)
{
	(void)for_pid;
	(void)command;
	return semundo__observer_recover(sem);
}
