/* SPDX-License-Identifier: Apache-2.0 */
/* The names of native semaphores: what stands there, removing, listing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "native.h"

void semundo__native_path(char *ret, const struct directory *dir, const char *name)
{
	snprintf(ret, PATH_MAX, "%s/" NATIVE_PREFIX "%s", dir->path, name);
}

/* Ours, damaged or not; but not what somebody else put there. */
static bool looks_like_ours(int fd)
{
	struct stat st;
	uint64_t magic = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return st.st_size == (off_t)sizeof(struct sem_file) ||
	       (pread(fd, &magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	        (magic == SEM_MAGIC || magic == __builtin_bswap64(SEM_MAGIC)));
}

int semundo__native_standing(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENXIO ? -EUCLEAN : -errno;
	bool ours = looks_like_ours(fd);
	close(fd);
	return ours ? 0 : -EUCLEAN;
}

int semundo__native_unlink(const char *name, const char *dir_name)
{
	char path[PATH_MAX];
	struct directory *dir;
	int r = semundo__directory_get(&dir, dir_name);
	if (r)
		return r;
	semundo__native_path(path, dir, name);
	r = semundo__native_standing(path);
	if (r == -EUCLEAN)
		return semundo__fail(r, "cannot remove '%s': not a semaphore of semundo", path);
	if (r == -ELOOP)
		return semundo__fail(-EUCLEAN, "cannot remove '%s': a symbolic link stands there",
		                     path);
	if (!r && unlink(path) < 0)
		r = -errno;
	return r ? semundo__fail(r, "cannot remove semaphore '%s' in '%s': %s", name, dir->path,
	                         semundo__reason(r)) :
		   0;
}

static bool ends_in_sysv(const char *name)
{
	size_t length = strlen(name);
	return length >= 5 && strcmp(name + length - 5, ".sysv") == 0;
}

int semundo__native_list(const char *dir_name, int (*visit)(const char *name, void *arg),
                         void *arg)
{
	char *path;
	int r = semundo__directory_path(&path, dir_name);
	if (r)
		return r;
	DIR *d = opendir(path);
	if (!d) {
		r = semundo__fail(-errno, "cannot list semaphores in '%s': %s", path,
		                  strerror(errno));
	} else {
		const struct dirent *e;
		while (r == 0 && (e = readdir(d)))
			if (strncmp(e->d_name, NATIVE_PREFIX, sizeof(NATIVE_PREFIX) - 1) == 0 &&
			    e->d_name[sizeof(NATIVE_PREFIX) - 1] && !ends_in_sysv(e->d_name))
				r = visit(e->d_name + sizeof(NATIVE_PREFIX) - 1, arg);
		closedir(d);
	}
	free(path);
	return r;
}
