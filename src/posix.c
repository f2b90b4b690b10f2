/* SPDX-License-Identifier: Apache-2.0 */
#include "posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "registry.h"
#include "test_hooks.h"

#define OPEN_TRIES 100
#define NAME_SIZE (SEMUNDO_NAME_MAX + 2)

static int fail_open(const char *name, int r, const char *what)
{
	return semundo__fail(r, "cannot open POSIX semaphore '%s': %s", name + 1, what);
}

static int fail_look(const char *name, int r)
{
	if (r == -ENOENT)
		return fail_open(name, r, "there is none of that name");
	if (r == -EUCLEAN)
		return fail_open(name, r,
		                 "what stands there is not a semaphore of this C library and word "
		                 "size (it may be short, foreign or damaged); remove it (semundo rm)");
	if (r == -ELOOP)
		return fail_open(name, r, "a symbolic link stands there; links are not followed");
	if (r == -EACCES)
		return fail_open(name, r, "no permission for it (see its owner and mode)");
	return fail_open(name, r, semundo__reason(r));
}

/* ---- opening -------------------------------------------------------------------- */

static int adopt(semundo_t **ret, const char *name, sem_t *opened, const struct posix_file *file,
                 bool read_only)
{
	/* Where there is no file: one name, one address in a process. */
	uint64_t number = file->inode ? file->inode : (uint64_t)(uintptr_t)opened;
	semundo_t *there =
		semundo__registry_find(&semundo__posix, file->device, number, read_only);
	if (there) {
		sem_close(opened);
		there->references++;
		*ret = there;
		return 0;
	}
	struct posix_sem *sem = calloc(1, sizeof(*sem));
	if (sem) {
		sem->base.ops = read_only ? &semundo__posix_observer_ops : &semundo__posix_ops;
		sem->base.engine = &semundo__posix;
		sem->base.kind = SEMUNDO_SIGNAL;
		sem->base.references = 1;
		sem->base.device = file->device;
		sem->base.inode = number;
		sem->base.read_only = read_only;
		snprintf(sem->base.name, sizeof(sem->base.name), "%s", name + 1);
		sem->sem = opened;
		sem->file = *file;
	}
	if (!sem || semundo__registry_add(&sem->base) < 0) {
		free(sem);
		sem_close(opened);
		return fail_open(name, -ENOMEM, "no memory");
	}
	*ret = &sem->base;
	return 0;
}

void semundo__posix_destroy(semundo_t *base)
{
	semundo__registry_remove(base);
	sem_close(posix(base)->sem);
	free(base);
}

/* -EAGAIN: another one came to stand there between two looks. */
static int open_existing(semundo_t **ret, const char *name, bool read_only)
{
	struct posix_file before, after;
	int r = semundo__posix_look(name, &before);
	if (r)
		return fail_look(name, r);
	sem_t *opened = sem_open(name, 0);
	if (opened == SEM_FAILED)
		return errno == ENOENT ? -EAGAIN : fail_look(name, -errno);
	r = semundo__posix_look(name, &after);
	if (!r && after.inode == before.inode && after.device == before.device)
		return adopt(ret, name, opened, &after, read_only);
	sem_close(opened);
	return -EAGAIN;
}

static int create(const char *name, const struct semundo_options *options)
{
	POINT("posix:create");
	sem_t *made = sem_open(name, O_CREAT | O_EXCL, 0600, options->value);
	if (made == SEM_FAILED)
		return -errno;
	int r = options->mode == 0600 ? 0 : semundo__posix_set_mode(name, options->mode);
	sem_close(made);
	return r;
}

static int fail_create(const char *name, int r)
{
	return semundo__fail(r, "cannot create POSIX semaphore '%s': %s", name + 1,
	                     r == -EEXIST ? "there is one of that name" : semundo__reason(r));
}

static int open_or_create(semundo_t **ret, const char *name, unsigned flags,
                          const struct semundo_options *options)
{
	bool created = false, fresh = flags & (SEMUNDO_EXCL | SEMUNDO_REPLACE);
	for (int i = 0; i < OPEN_TRIES; i++) {
		int r = fresh && !created ? -ENOENT :
			open_existing(ret, name, flags & SEMUNDO_OBSERVE);
		if (r == -EAGAIN)
			continue;
		if (r != -ENOENT || !(flags & SEMUNDO_CREATE))
			return r;
		if (flags & SEMUNDO_REPLACE)
			sem_unlink(name);
		r = create(name, options);
		if (r && (r != -EEXIST || (flags & SEMUNDO_EXCL)))
			return fail_create(name, r);
		created = r == 0;
	}
	return fail_open(name, -EBUSY, "it is created and removed all the time");
}

static int check_kind(const char *name, unsigned flags, uint32_t kind,
                      const struct semundo_options *options)
{
	uint32_t wanted = flags & SEMUNDO_CREATE ? options->kind : kind;
	if (wanted && wanted != SEMUNDO_SIGNAL)
		return fail_open(name, -ENOTSUP,
		                 "a POSIX semaphore is a signal: nothing of it comes back when a "
		                 "process dies; ask for that kind, or use the engine native or sysv");
	if ((flags & SEMUNDO_CREATE) && options->capacity != semundo__posix.signal_max)
		return fail_open(name, -ENOTSUP, "a POSIX semaphore has no maximum of its own");
	return 0;
}

static int open_name(semundo_t **ret, const char *bare, unsigned flags, uint32_t kind,
                     const struct semundo_options *options)
{
	char name[NAME_SIZE];
	snprintf(name, sizeof(name), "/%s", bare);
	int r = check_kind(name, flags, kind, options);
	return r ? r : open_or_create(ret, name, flags, options);
}

/* ---- the rest of the table ------------------------------------------------------------ */

static int possible(const char *dir)
{
	(void)dir;
	return 0;
}

static int no_anonymous(semundo_t **ret, const struct semundo_options *options)
{
	(void)ret;
	(void)options;
	return semundo__fail(-ENOTSUP, "semaphores of sem_open have a name");
}

static int no_descriptor(semundo_t **ret, int fd, const struct semundo_options *options)
{
	(void)fd;
	return no_anonymous(ret, options);
}

static int unlink_name(const char *bare, const char *dir)
{
	char name[NAME_SIZE];
	(void)dir;
	snprintf(name, sizeof(name), "/%s", bare);
	if (sem_unlink(name) == 0)
		return 0;
	return semundo__fail(-errno, "cannot remove POSIX semaphore '%s': %s", bare, strerror(errno));
}

/* Whether dir (null: none) is where the files of POSIX semaphores are. */
static bool is_their_directory(const char *path, const char *theirs)
{
	struct stat a, b;
	return theirs && stat(path, &a) == 0 && stat(theirs, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static int list(const char *path, int (*visit)(const char *name, void *arg), void *arg)
{
	const char *prefix, *theirs = semundo__posix_directory(&prefix);
	struct posix_file unused;
	char name[NAME_SIZE];
	size_t length = strlen(prefix);
	DIR *d = is_their_directory(path, theirs) ? opendir(theirs) : NULL;
	const struct dirent *e;
	int r = 0;
	while (d && r == 0 && (e = readdir(d))) {
		const char *bare = e->d_name + length;
		if (strncmp(e->d_name, prefix, length) != 0 || !*bare ||
		    strlen(bare) > SEMUNDO_NAME_MAX || strchr(bare, ':'))
			continue;
		snprintf(name, sizeof(name), "/%s", bare);
		/* Without a prefix all files of the directory come by here. */
		if (length || semundo__posix_look(name, &unused) == 0)
			r = visit(bare, arg);
	}
	if (d)
		closedir(d);
	return r;
}

const struct engine semundo__posix = {
	.name = "posix",
	.caps = SEMUNDO_CAP_SIGNAL,
	.permits_max = SEMUNDO_PERMITS_MAX,
	.signal_max = SEMUNDO_SIGNAL_MAX,
	.possible = possible,
	.open = open_name,
	.anonymous = no_anonymous,
	.open_fd = no_descriptor,
	.unlink = unlink_name,
	.list = list,
};
