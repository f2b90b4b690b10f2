/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, creating and removing names of System V semaphores. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "registry.h"
#include "sysv.h"
#include "wiped.h"

#define OPEN_TRIES 100

/* ---- handles ------------------------------------------------------------------- */

struct sysv_sem *semundo__sysv_handle(const char *name, uint32_t kind, bool read_only)
{
	struct sysv_sem *sem = calloc(1, sizeof(*sem));
	struct sysv_user *user = semundo__wiped_new();
	if (!sem || !user) {
		free(sem);
		semundo__wiped_free(user);
		return NULL;
	}
	sem->base.ops = read_only ? &semundo__sysv_observer_ops : &semundo__sysv_ops;
	sem->base.engine = &semundo__sysv;
	sem->base.kind = kind;
	sem->base.references = 1;
	sem->base.read_only = read_only;
	memcpy(sem->base.name, name, strlen(name) + 1);
	sem->user = user;
	return sem;
}

static int make_handle(semundo_t **ret, const struct sysv_request *q,
                       const struct sysv_file *file, bool attached)
{
	struct sysv_sem *sem = semundo__sysv_handle(q->name, file->kind, q->flags & SEMUNDO_OBSERVE);
	if (!sem)
		return semundo__sysv_fail_open(q, -ENOMEM, "no memory");
	sem->id = file->id;
	sem->capacity = file->capacity;
	sem->created = file->created;
	sem->user->attached = attached;
	sem->base.inode = (uint64_t)(uint32_t)file->id;
	if (semundo__registry_add(&sem->base) < 0) {
		semundo__wiped_free(sem->user);
		free(sem);
		return semundo__sysv_fail_open(q, -ENOMEM, "no memory");
	}
	*ret = &sem->base;
	return 0;
}

void semundo__sysv_destroy(semundo_t *base)
{
	struct sysv_sem *sem = sysv(base);
	uint32_t held = load_acquire(&sem->user->held);
	if (held)
		semundo__sysv_release(base, held);
	if (sem->user->attached)
		semundo__sysv_leave(sem->id);
	semundo__registry_remove(base);
	semundo__wiped_free(sem->user);
	free(sem);
}

/* A child is a user of its own, from the start: its parent may leave. */
void semundo__sysv_forked(semundo_t *base)
{
	struct sysv_sem *sem = sysv(base);
	if (!sem->raw && !base->read_only && semundo__sysv_attach(sem->id, false) == 0)
		sem->user->attached = 1;
}

/* ---- opening ---------------------------------------------------------------------- */

static int attach(const struct sysv_request *q, const struct sysv_file *file)
{
	int r = semundo__sysv_attach(file->id, true);
	if (r == -EIDRM) /* since it was checked its name was removed, and its last user left */
		return -EAGAIN;
	if (r == -EACCES)
		return semundo__sysv_fail_open(q, r, "no permission to change it (see its mode)");
	if (r == -ERANGE)
		return semundo__sysv_fail_open(q, -EUSERS, "32767 processes use it already (SEMVMX)");
	return r;
}

/* The same set may be open already: then only this handle counts. */
static int adopt(semundo_t **ret, const struct sysv_request *q, const struct sysv_file *file)
{
	bool read_only = q->flags & SEMUNDO_OBSERVE;
	semundo_t *there =
		semundo__registry_find(&semundo__sysv, 0, (uint64_t)(uint32_t)file->id, read_only);
	if (there) {
		there->references++;
		*ret = there;
		return 0;
	}
	int r = read_only ? 0 : attach(q, file);
	if (r)
		return r;
	r = make_handle(ret, q, file, !read_only);
	if (r && !read_only)
		semundo__sysv_leave(file->id);
	return r;
}

/* The set is gone, or a removal was killed half way: the name is free. */
static int mend(const struct sysv_request *q, int fd)
{
	char path[PATH_MAX];
	semundo__sysv_path(path, q->dir, q->name);
	int r = q->flags & SEMUNDO_OBSERVE ? 0 : semundo__sysv_drop_name(path, fd);
	if (r == -EBUSY)
		return semundo__sysv_fail_open(q, r, "somebody is in the middle of removing it");
	if (r && r != -ENOENT)
		return semundo__sysv_fail_open(q, r, "its set is gone, and its name cannot be removed");
	return semundo__sysv_fail_open(q, -ENOENT, "it was removed this moment");
}

static int open_existing(semundo_t **ret, const struct sysv_request *q)
{
	struct sysv_file file;
	struct stat st;
	unsigned short values[SYSV_COUNT];
	int fd;
	int r = semundo__sysv_read(q, &file, &st, &fd);
	if (r)
		return r;
	r = semundo__sysv_check(&file, &st, values);
	bool is_stale = r ? r == -EIDRM && (q->flags & SEMUNDO_CREATE) : !values[SYSV_NAMED];
	if (!r && q->kind && q->kind != file.kind)
		r = semundo__sysv_fail_open(q, -EPROTOTYPE, "it is there, but of another kind");
	else if (is_stale)
		r = mend(q, fd);
	else if (!r)
		r = adopt(ret, q, &file);
	else if (r == -EIDRM)
		r = semundo__sysv_fail_open(q, r,
		                            "its System V set was removed (ipcrm, or a restart); "
		                            "create it anew, or remove the name (semundo rm)");
	else
		r = semundo__sysv_fail_open(q, r, r == -EACCES ? "no permission to read it" :
		                                                 semundo__reason(r));
	close(fd);
	return r == -EAGAIN ? semundo__sysv_fail_open(q, -ENOENT, "it was removed this moment") : r;
}

static int create_and_adopt(semundo_t **ret, const struct sysv_request *q)
{
	struct sysv_file file;
	int r = semundo__sysv_create(q, &file);
	if (r)
		return r;
	r = make_handle(ret, q, &file, true);
	if (r)
		semundo__sysv_leave(file.id);
	return r;
}

static int check_capacity(const struct sysv_request *q)
{
	if (!(q->flags & SEMUNDO_CREATE) || q->options->capacity <= SYSV_VALUE_MAX)
		return 0;
	return semundo__fail(-EINVAL,
	                     "cannot create System V semaphore '%s' in '%s': such a semaphore counts to "
	                     "32767 at most (SEMVMX, which cannot be raised), not to %u; use the "
	                     "native engine",
	                     q->name, q->dir->path, q->options->capacity);
}

/* What stands in the way may be a name of which the set is gone; it is mended. */
static bool leads_nowhere(const struct sysv_request *q)
{
	semundo_t *there = NULL;
	int r = open_existing(&there, q);
	if (there && --there->references == 0)
		there->ops->destroy(there);
	if (r != -ENOENT)
		semundo__sysv_fail_create(q, -EEXIST);
	return r == -ENOENT;
}

static int open_or_create(semundo_t **ret, const struct sysv_request *q)
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		int r = -ENOENT;
		if (!(q->flags & (SEMUNDO_EXCL | SEMUNDO_REPLACE)))
			r = open_existing(ret, q);
		if (r != -ENOENT || !(q->flags & SEMUNDO_CREATE))
			return r;
		r = create_and_adopt(ret, q);
		if (r != -EEXIST || ((q->flags & SEMUNDO_EXCL) && !leads_nowhere(q)))
			return r;
	}
	return semundo__sysv_fail_open(q, -EBUSY, "it is created and removed all the time");
}

int semundo__sysv_open(semundo_t **ret, const char *name, unsigned flags, uint32_t kind,
                       const struct semundo_options *options)
{
	struct sysv_request q = { name, options, flags, kind, NULL };
	if (semundo__sysv_is_raw(name))
		return semundo__sysv_open_raw(ret, &q);
	int r = semundo__directory_get(&q.dir, options->dir);
	if (!r)
		r = check_capacity(&q);
	return r ? r : open_or_create(ret, &q);
}

/* ---- removing ---------------------------------------------------------------------- */

static int fail_unlink(const struct sysv_request *q, int r, const char *what)
{
	return semundo__fail(r, "cannot remove System V semaphore '%s' in '%s': %s", q->name,
	                     q->dir->path, what);
}

/* The name first goes in the set, then in the directory. Killed in between:
 * the next one to open it finds a name without a name in the set, and ends it. */
static int unlink_set(const struct sysv_request *q, const struct sysv_file *file,
                      const struct stat *st, const char *path, int fd)
{
	unsigned short values[SYSV_COUNT];
	bool is_there = semundo__sysv_check(file, st, values) == 0;
	int r = semundo__sysv_lock(fd);
	if (r)
		return fail_unlink(q, r, "somebody else is in the middle of removing it");
	if (!semundo__sysv_leads_to(path, fd))
		return fail_unlink(q, -ENOENT, "it was removed this moment");
	if (is_there)
		r = semundo__sysv_retire(file->id);
	if (r)
		return fail_unlink(q, r, "no permission to change it (see its owner and mode)");
	POINT("sysv:retired");
	if (unlink(path) < 0)
		return fail_unlink(q, -errno, strerror(errno));
	POINT("sysv:unlinked");
	if (is_there)
		semundo__sysv_remove_unused(file->id);
	return 0;
}

int semundo__sysv_unlink(const char *name, const char *dir)
{
	struct sysv_request q = { name, NULL, 0, 0, NULL };
	struct sysv_file file;
	struct stat st;
	char path[PATH_MAX];
	int fd;
	if (semundo__sysv_is_raw(name))
		return semundo__fail(-ENOTSUP,
		                     "'sysv:%s' is a set of other programs, which is not removed here; "
		                     "'ipcrm -S %s' does it", name, name);
	int r = semundo__directory_get(&q.dir, dir);
	if (r)
		return r;
	semundo__sysv_path(path, q.dir, name);
	r = semundo__sysv_read(&q, &file, &st, &fd);
	if (r && semundo__sysv_is_damaged(path, r))
		return unlink(path) < 0 ? fail_unlink(&q, -errno, strerror(errno)) : 0;
	if (r)
		return r == -ENOENT ? fail_unlink(&q, r, semundo__reason(r)) :
		       r == -ELOOP ? fail_unlink(&q, -EUCLEAN, "a symbolic link stands there") : r;
	r = unlink_set(&q, &file, &st, path, fd);
	close(fd);
	return r;
}
