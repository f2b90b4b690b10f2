/* SPDX-License-Identifier: Apache-2.0 */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomics.h"
#include "error.h"
#include "platform/file.h"
#include "platform/process.h"
#include "wiped.h"

static struct directory *directories; /* append-only, published with release */

struct directory *semundo__directories(void)
{
	return load_acquire(&directories); /* pairs with the store in add() */
}

static const char *chosen(const char *dir)
{
	if (dir)
		return dir;
	const char *env = semundo__is_privileged() ? NULL : getenv("SEMUNDO_DIR");
	return env && *env ? env : semundo__default_directory();
}

int semundo__directory_path(char **ret, const char *dir)
{
	dir = chosen(dir);
	if (*dir == '\0')
		return semundo__fail(-EINVAL, "the name of the semaphore directory is empty");
	char *path = *dir == '/' ? strdup(dir) : realpath(dir, NULL);
	if (!path && *dir == '/')
		return semundo__fail(-ENOMEM, "cannot open directory '%s': no memory", dir);
	if (!path)
		return semundo__fail(-errno, "cannot open semaphore directory '%s': %s", dir,
		                     strerror(errno));
	if (strlen(path) >= PATH_MAX - 256) {
		free(path);
		return semundo__fail(-ENAMETOOLONG, "the name of the semaphore directory is too long");
	}
	*ret = path;
	return 0;
}

static int check_usable(const char *path)
{
	uint64_t type = 0;
	int fd = semundo__open_directory(path);
	if (fd < 0)
		return semundo__fail(fd, "cannot open semaphore directory '%s': %s%s", path,
		                     semundo__reason(fd),
		                     fd == -ENOENT ? " (create it, or set SEMUNDO_DIR)" : "");
	int r = semundo__check_local(fd, &type);
	close(fd);
	if (r == -ENOTSUP)
		return semundo__fail(r,
		                     "semaphore directory '%s' is on a network or user-space "
		                     "filesystem (type 0x%" PRIx64 "): processes could not see each "
		                     "other's deaths; use a local one such as %s",
		                     path, type, semundo__default_directory());
	if (r)
		return semundo__fail(r, "cannot examine semaphore directory '%s': %s", path,
		                     semundo__reason(r));
	return 0;
}

static int add(struct directory **ret, char *path)
{
	struct directory *dir = calloc(1, sizeof(*dir));
	struct membership *member = semundo__wiped_new();
	if (!dir || !member) {
		free(dir);
		semundo__wiped_free(member);
		return semundo__fail(-ENOMEM, "cannot open directory '%s': no memory", path);
	}
	dir->path = path;
	dir->member = member;
	dir->next = directories;
	store_release(&directories, dir); /* pairs with semundo__directories() */
	*ret = dir;
	return 0;
}

static struct directory *find(const char *path)
{
	for (struct directory *d = directories; d; d = d->next)
		if (strcmp(d->path, path) == 0)
			return d;
	return NULL;
}

int semundo__directory_get(struct directory **ret, const char *dir)
{
	const char *wanted = chosen(dir);
	if (*wanted == '/' && (*ret = find(wanted)))
		return 0;
	char *path;
	int r = semundo__directory_path(&path, dir);
	if (r)
		return r;
	*ret = find(path);
	if (*ret) {
		free(path);
		return 0;
	}
	r = check_usable(path);
	if (!r)
		r = add(ret, path);
	if (r)
		free(path);
	return r;
}
