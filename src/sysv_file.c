/* SPDX-License-Identifier: Apache-2.0 */
/* The file that leads from a name to a System V set. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "error.h"
#include "platform/process.h"
#include "platform/wait.h"
#include "sysv.h"

#define FILE_MAGIC UINT64_C(0x76737973756d6573) /* "semusysv" */
#define FILE_VERSION 1u
#define KEY_TRIES 64
#define LOCK_TRIES 200
#define LOCK_PAUSE (5 * NSEC_PER_MSEC)

void semundo__sysv_path(char *ret, const struct directory *dir, const char *name)
{
	snprintf(ret, PATH_MAX, "%s/" SYSV_PREFIX "%s" SYSV_SUFFIX, dir->path, name);
}

/* ---- reading ---------------------------------------------------------------- */

static int open_file(const struct sysv_request *q, int *ret_fd)
{
	char path[PATH_MAX];
	semundo__sysv_path(path, q->dir, q->name);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	int r = -errno;
	if (r == -ENOENT)
		return semundo__sysv_fail_open(q, r, "there is none of that name (semundo ls shows "
		                                     "what there is)");
	if (r == -ELOOP)
		return semundo__sysv_fail_open(q, r, "a symbolic link stands there; links are not "
		                                     "followed");
	if (r == -ENXIO)
		return semundo__sysv_fail_open(q, -EUCLEAN, "what stands there is not a regular file");
	if (r == -EACCES)
		return semundo__sysv_fail_open(q, r, "no permission for its file (see its owner and "
		                                     "mode)");
	return semundo__sysv_fail_open(q, r, strerror(errno));
}

static int check(const struct sysv_request *q, const struct sysv_file *file)
{
	uint64_t here = semundo__ipc_namespace();
	if (file->magic != FILE_MAGIC)
		return semundo__sysv_fail_open(q, -EUCLEAN, "the file is not one of semundo");
	if (file->version != FILE_VERSION)
		return semundo__sysv_fail_open(q, -ENOEXEC,
		                               "its file has another version than this library "
		                               "knows; use one version of semundo, or remove it");
	if (file->kind < SEMUNDO_LOCK || file->kind > SEMUNDO_SIGNAL ||
	    file->capacity > SYSV_VALUE_MAX)
		return semundo__sysv_fail_open(q, -EUCLEAN, "its file is damaged");
	if (here && file->namespace && here != file->namespace)
		return semundo__sysv_fail_open(q, -ENXIO,
		                               "its set is in another IPC namespace (a container's), "
		                               "or of before a restart of one");
	return 0;
}

int semundo__sysv_read(const struct sysv_request *q, struct sysv_file *ret, struct stat *ret_stat,
                       int *ret_fd)
{
	int fd = -1;
	int r = open_file(q, &fd);
	if (r)
		return r;
	if (fstat(fd, ret_stat) < 0)
		r = semundo__sysv_fail_open(q, -errno, strerror(errno));
	else if (!S_ISREG(ret_stat->st_mode) || ret_stat->st_size != (off_t)sizeof(*ret))
		r = semundo__sysv_fail_open(q, -EUCLEAN,
		                            "the file that stands there is foreign, short or damaged");
	else if (pread(fd, ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
		r = semundo__sysv_fail_open(q, -EIO, "its file cannot be read");
	else
		r = check(q, ret);
	if (!r && ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return r;
}

bool semundo__sysv_is_damaged(const char *path, int r)
{
	struct stat st;
	return (r == -EUCLEAN || r == -ENOEXEC || r == -ENXIO) && lstat(path, &st) == 0 &&
	       S_ISREG(st.st_mode) && st.st_size == (off_t)sizeof(struct sysv_file);
}

/* ---- names are changed under the lock of the file they lead to ---------------- */

int semundo__sysv_lock(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		semundo__pause(LOCK_PAUSE);
	}
	return -EBUSY;
}

bool semundo__sysv_leads_to(const char *path, int fd)
{
	struct stat there, ours;
	return lstat(path, &there) == 0 && fstat(fd, &ours) == 0 &&
	       there.st_ino == ours.st_ino && there.st_dev == ours.st_dev;
}

int semundo__sysv_drop_name(const char *path, int fd)
{
	int r = semundo__sysv_lock(fd);
	if (!r && semundo__sysv_leads_to(path, fd) && unlink(path) < 0)
		r = -errno;
	return r;
}

/* ---- creating ------------------------------------------------------------------ */

/* A file on its way: its temporary name tells the key, and its lock that the
 * creator lives. */
struct draft {
	int fd;
	char path[PATH_MAX];
	struct sysv_file file;
};

static int open_draft(const struct sysv_request *q, struct draft *d)
{
	for (int i = 0; i < KEY_TRIES; i++) {
		uint64_t random[2];
		int r = semundo__random(random, sizeof(random));
		if (r)
			return r;
		d->file.key = (uint32_t)random[0] & INT32_MAX;
		d->file.token = random[1] & ((UINT64_C(1) << 60) - 1);
		snprintf(d->path, sizeof(d->path), "%s/" SYSV_NEW_PREFIX "%08x" SYSV_SUFFIX,
		         q->dir->path, d->file.key);
		d->fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (d->fd < 0 && errno != EEXIST)
			return -errno;
		if (d->fd < 0)
			continue;
		POINT("sysv:file");
		/* semundo_gc() may have taken it for a dead one's before the lock. */
		if (d->file.key && flock(d->fd, LOCK_EX | LOCK_NB) == 0 &&
		    semundo__sysv_leads_to(d->path, d->fd))
			return 0;
		unlink(d->path);
		close(d->fd);
	}
	return -EBUSY;
}

static int write_file(const struct draft *d)
{
	ssize_t n = pwrite(d->fd, &d->file, sizeof(d->file), 0);
	return n == (ssize_t)sizeof(d->file) ? 0 : n < 0 ? -errno : -ENOSPC;
}

/* Another name may stand there by now, which has users of its own. What is not
 * ours keeps its name, as in semundo_unlink(). */
static int replace(const struct sysv_request *q, const struct draft *d, const char *path)
{
	struct sysv_file old;
	struct stat st;
	unsigned short values[SYSV_COUNT];
	int fd;
	int r = semundo__sysv_read(q, &old, &st, &fd);
	bool known = r == 0;
	if (known)
		r = semundo__sysv_lock(fd);
	else if (r == -ENOENT || semundo__sysv_is_damaged(path, r))
		r = 0;
	if (!r && rename(d->path, path) < 0)
		r = -errno;
	POINT("sysv:replaced"); /* killed here: semundo_gc() finds the old set */
	if (known && !r && semundo__sysv_check(&old, &st, values) == 0) {
		semundo__sysv_retire(old.id);
		semundo__sysv_remove_unused(old.id);
	}
	if (known)
		close(fd);
	return r;
}

static int publish(const struct sysv_request *q, const struct draft *d)
{
	char path[PATH_MAX];
	semundo__sysv_path(path, q->dir, q->name);
	if (q->flags & SEMUNDO_REPLACE)
		return replace(q, d, path);
	if (link(d->path, path) < 0)
		return -errno;
	POINT("sysv:linked");
	unlink(d->path);
	return 0;
}

static int make_set(const struct sysv_request *q, struct draft *d)
{
	int id = -1;
	int r = semundo__sysv_make(&d->file, q, &id);
	if (r)
		return r;
	d->file.id = id;
	r = write_file(d);
	if (!r && fchmod(d->fd, (mode_t)q->options->mode) < 0)
		r = -errno;
	POINT("sysv:written");
	if (!r)
		r = publish(q, d);
	if (r)
		semctl(id, 0, IPC_RMID);
	return r;
}

static int create_once(const struct sysv_request *q, struct draft *d)
{
	int r = open_draft(q, d);
	if (r)
		return r;
	r = write_file(d);
	POINT("sysv:drafted");
	if (!r)
		r = make_set(q, d);
	if (r)
		unlink(d->path);
	close(d->fd);
	return r;
}

int semundo__sysv_create(const struct sysv_request *q, struct sysv_file *ret)
{
	char path[PATH_MAX];
	struct draft d = { .file = {
		.magic = FILE_MAGIC,
		.version = FILE_VERSION,
		.id = -1,
		.kind = q->options->kind,
		.namespace = semundo__ipc_namespace(),
		.created = semundo__realtime(),
		.capacity = q->options->capacity,
	} };
	int r = -EEXIST;
	semundo__sysv_path(path, q->dir, q->name);
	for (int i = 0; i < KEY_TRIES && r == -EEXIST; i++) {
		r = create_once(q, &d);
		/* -EEXIST: the key is taken, or the name is. */
		if (r == -EEXIST && access(path, F_OK) == 0)
			break;
	}
	if (r)
		return semundo__sysv_fail_create(q, r);
	*ret = d.file;
	return 0;
}

/* ---- listing ---------------------------------------------------------------------- */

/* The name in a registry file's name, or false. */
static bool name_in(const char *file, char *ret)
{
	size_t prefix = sizeof(SYSV_PREFIX) - 1, suffix = sizeof(SYSV_SUFFIX) - 1;
	size_t length = strlen(file);
	if (length <= prefix + suffix || length - prefix - suffix > SEMUNDO_NAME_MAX ||
	    strncmp(file, SYSV_PREFIX, prefix) != 0 ||
	    strcmp(file + length - suffix, SYSV_SUFFIX) != 0)
		return false;
	snprintf(ret, SEMUNDO_NAME_MAX + 1, "%.*s", (int)(length - prefix - suffix), file + prefix);
	return true;
}

int semundo__sysv_names(const char *path, int (*visit)(const char *name, void *arg), void *arg)
{
	DIR *d = opendir(path);
	if (!d)
		return semundo__fail(-errno, "cannot list semaphores in '%s': %s", path,
		                     strerror(errno));
	const struct dirent *e;
	char name[SEMUNDO_NAME_MAX + 1];
	int r = 0;
	while (r == 0 && (e = readdir(d)))
		if (name_in(e->d_name, name))
			r = visit(name, arg);
	closedir(d);
	return r;
}

int semundo__sysv_list(const char *dir, int (*visit)(const char *name, void *arg), void *arg)
{
	char *path;
	int r = semundo__directory_path(&path, dir);
	if (r)
		return r;
	r = semundo__sysv_names(path, visit, arg);
	free(path);
	return r;
}
