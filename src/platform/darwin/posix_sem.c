/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sem_open(3) on macOS: names of at most 31 bytes with their '/', no files to
 * look at, no timed wait and no value.
 */
#include "platform/posix_sem.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define POSIX_NAME_BYTES 31u /* PSEMNAMLEN */

int semundo__posix_look(const char *name, struct posix_file *ret)
{
	if (strlen(name) > POSIX_NAME_BYTES)
		return -ENAMETOOLONG;
	sem_t *sem = sem_open(name, 0);
	if (sem == SEM_FAILED)
		return -errno;
	sem_close(sem);
	*ret = (struct posix_file){ .device = 0 };
	return 0;
}

int semundo__posix_set_mode(const char *name, uint32_t mode)
{
	(void)name;
	(void)mode;
	return -ENOTSUP;
}

int semundo__posix_wait(sem_t *sem, uint64_t deadline)
{
	(void)sem;
	(void)deadline;
	return -ENOTSUP;
}

int semundo__posix_value(sem_t *sem, int *ret)
{
	(void)sem;
	(void)ret;
	return -ENOTSUP;
}

const char *semundo__posix_directory(const char **ret_prefix)
{
	*ret_prefix = "";
	return NULL;
}
