/* SPDX-License-Identifier: Apache-2.0 */
#include "resource.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <semundo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/system.h"

static const char *const types[] = { "semaphore", "shared_memory", "noop", "dummy" };

bool resource_find(const char *text, size_t length, enum resource_type *ret)
{
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strlen(types[i]) == length && memcmp(types[i], text, length) == 0) {
			*ret = (enum resource_type)i;
			return true;
		}
	return false;
}

const char *resource_text(enum resource_type type)
{
	return types[type];
}

const char *resource_known(void)
{
	return "semaphore, shared_memory, noop, dummy";
}

bool resource_has_engine(const char *name)
{
	static const char *const engines[] = { "native:", "sysv:", "posix:", "auto:" };
	for (unsigned i = 0; i < sizeof(engines) / sizeof(*engines); i++)
		if (strncmp(name, engines[i], strlen(engines[i])) == 0)
			return true;
	return false;
}

/* ---- semaphores of this project's engines ------------------------------------ */

static int observe(const char *dir, const char *name, semundo_t **ret)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.dir = *dir ? dir : NULL;
	return semundo_open(ret, name, SEMUNDO_OBSERVE, &options);
}

/* Only the native engine's are mapped files of the directory. */
static bool engine_file(const char *dir, const char *name, struct file_id *ret)
{
	struct semundo_info info = { .size = sizeof(info) };
	struct stat st;
	semundo_t *sem;
	char *path = NULL;
	if (observe(dir, name, &sem) < 0)
		return false;
	bool found = semundo_info(sem, &info) == 0 && strcmp(info.engine, "native") == 0 &&
		(*dir || semundo_directory(&path) == 0) && stat(*dir ? dir : path, &st) == 0;
	semundo_close(sem);
	free(path);
	if (found)
		*ret = (struct file_id) { (uint64_t)st.st_dev, info.inode };
	return found;
}

/* ---- all ------------------------------------------------------------------------ */

bool resource_file(enum resource_type type, const char *dir, const char *name,
                   struct file_id *ret)
{
	char path[1024];
	struct stat st;
	if (type == RESOURCE_SEMAPHORE && resource_has_engine(name))
		return engine_file(dir, name, ret);
	if (type != RESOURCE_SEMAPHORE && type != RESOURCE_SHARED_MEMORY)
		return false;
	if (!system_object_path(type == RESOURCE_SEMAPHORE, name, path, sizeof(path)) ||
	    lstat(path, &st) < 0)
		return false;
	*ret = (struct file_id) { (uint64_t)st.st_dev, (uint64_t)st.st_ino };
	return true;
}

bool resource_is_younger(enum resource_type type, const char *name, uint64_t start)
{
	char path[1024];
	return !resource_has_engine(name) &&
	       system_object_path(type == RESOURCE_SEMAPHORE, name, path, sizeof(path)) &&
	       system_is_younger(path, start);
}

static bool semaphore_exists(const char *dir, const char *name)
{
	semundo_t *sem;
	if (!resource_has_engine(name))
		return system_semaphore_exists(name);
	int r = observe(dir, name, &sem);
	if (r == 0)
		semundo_close(sem);
	return r != -ENOENT;
}

bool resource_exists(enum resource_type type, const char *dir, const char *name)
{
	if (type == RESOURCE_SEMAPHORE)
		return semaphore_exists(dir, name);
	if (type != RESOURCE_SHARED_MEMORY)
		return true;
	int fd = shm_open(name, O_RDONLY, 0);
	if (fd < 0)
		return errno != ENOENT;
	close(fd);
	return true;
}

static int say_errno(char *ret_why, size_t size)
{
	int error = errno;
	snprintf(ret_why, size, "[Errno %d] %s", error, strerror(error));
	return -error;
}

static int remove_semaphore(const char *dir, const char *name, char *ret_why, size_t size)
{
	if (!resource_has_engine(name))
		return sem_unlink(name) < 0 ? say_errno(ret_why, size) : 0;
	int r = semundo_unlink(name, *dir ? dir : NULL);
	if (r)
		snprintf(ret_why, size, "%s", semundo_error());
	return r;
}

int resource_remove(enum resource_type type, const char *dir, const char *name, char *ret_why,
                    size_t size)
{
	switch (type) {
	case RESOURCE_SEMAPHORE:
		return remove_semaphore(dir, name, ret_why, size);
	case RESOURCE_SHARED_MEMORY:
		return shm_unlink(name) < 0 ? say_errno(ret_why, size) : 0;
	case RESOURCE_NOOP:
		snprintf(ret_why, size, "a noop is for PROBE; it cannot be removed");
		return -EINVAL;
	case RESOURCE_DUMMY:
		return 0;
	}
	return -EINVAL;
}
