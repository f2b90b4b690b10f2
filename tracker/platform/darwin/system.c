/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There is nothing that moves bytes from a pipe to a file in one step, so what
 * was read and not yet written is lost to a kill; and no list of who has a file
 * mapped, so only those who have registered a name count as its users.
 */
#include "platform/system.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

ssize_t system_move(int pipe, int file, off_t offset, size_t most)
{
	(void)pipe;
	(void)file;
	(void)offset;
	(void)most;
	return -ENOTSUP;
}

uint64_t system_namespace(void)
{
	return 0;
}

/* There is no way but to end. */
void system_leave_semaphores(void)
{
}

void system_close_others(int first, int second)
{
	for (int fd = STDERR_FILENO + 1; fd < getdtablesize(); fd++)
		if (fd != first && fd != second)
			close(fd);
}

bool system_is_zombie(pid_t pid)
{
	(void)pid;
	return false;
}

bool system_object_path(bool semaphore, const char *name, char *ret, size_t size)
{
	(void)semaphore;
	(void)name;
	(void)ret;
	(void)size;
	return false;
}

bool system_is_younger(const char *path, uint64_t start)
{
	(void)path;
	(void)start;
	return false;
}

bool system_semaphore_exists(const char *name)
{
	sem_t *sem = sem_open(name, 0);
	if (sem == SEM_FAILED)
		return errno != ENOENT;
	sem_close(sem);
	return true;
}

void system_users(const struct file_id *files, size_t count, user_function *found, void *arg)
{
	(void)files;
	(void)count;
	(void)found;
	(void)arg;
}

int system_pipe_is_open(uint64_t inode)
{
	(void)inode;
	return -ENOTSUP;
}
