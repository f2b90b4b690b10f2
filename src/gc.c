/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What killed processes left in one directory:
 *
 * - a file of a creation that was not finished, of any engine: nobody has its lock
 * - a name whose set is gone (ipcrm, RemoveIPC, a restart)
 * - a set of this directory that no name leads to and that nobody has open
 *
 * A set that is on its way is neither: its file is there before it, under its
 * temporary name, and is linked to the name before it loses that. A look at the
 * directory may miss a file that changes its name meanwhile; a second look, begun
 * after the end of the first, does not. By then the creator counts as a user or
 * has left, so what both looks do not show has no name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "error.h"
#include "platform/file.h"
#include "sysv.h"

struct ids {
	int *ids;
	size_t count, space;
	bool failed;
};

struct gc {
	struct directory *dir;
	unsigned flags;
	int (*visit)(const struct semundo_garbage *garbage, void *arg);
	void *arg;
	int removed;
	int stop; /* what visit returned, or a failure */
	struct ids known; /* sets that a file of the directory speaks of */
	struct ids sets;  /* sets of the system that may be of the directory */
};

static void add_id(struct ids *list, int id)
{
	if (list->count == list->space) {
		size_t space = list->space ? 2 * list->space : 64;
		int *ids = realloc(list->ids, space * sizeof(*ids));
		if (!ids) {
			list->failed = true;
			return;
		}
		list->ids = ids;
		list->space = space;
	}
	list->ids[list->count++] = id;
}

static bool has_id(const struct ids *list, int id)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->ids[i] == id)
			return true;
	return false;
}

static bool is_dry(const struct gc *gc)
{
	return gc->flags & SEMUNDO_GC_DRY_RUN;
}

static void tell(struct gc *gc, uint32_t kind, int id, uint32_t uid, const char *name, int result)
{
	struct semundo_garbage g = { .kind = kind, .id = id, .uid = uid, .result = result };
	snprintf(g.name, sizeof(g.name), "%s", name);
	if (!result)
		gc->removed++;
	if (gc->visit && !gc->stop)
		gc->stop = gc->visit(&g, gc->arg);
}

/* ---- creations that were not finished ------------------------------------------ */

static bool key_in(const char *name, uint32_t *ret)
{
	size_t prefix = sizeof(SYSV_NEW_PREFIX) - 1;
	if (strncmp(name, SYSV_NEW_PREFIX, prefix) != 0 ||
	    strspn(name + prefix, "0123456789abcdef") != 8 ||
	    strcmp(name + prefix + 8, SYSV_SUFFIX) != 0)
		return false;
	*ret = (uint32_t)strtoul(name + prefix, NULL, 16);
	return *ret != 0 && *ret <= INT32_MAX;
}

static bool is_blank(const unsigned short *values)
{
	for (int i = 0; i < SYSV_COUNT; i++)
		if (values[i])
			return false;
	return true;
}

/* The set of a dead creator: still blank, or complete and nobody's. */
static int remove_set_of(const struct sysv_file *file, uint32_t key, uid_t uid)
{
	unsigned short values[SYSV_COUNT];
	struct semid_ds set;
	int id = semget((key_t)key, 0, 0);
	if (id < 0 || semundo__sysv_values(id, values, &set) || set.sem_perm.cuid != uid)
		return 0;
	if (is_blank(values))
		return semctl(id, 0, IPC_RMID) < 0 ? -errno : 0;
	if (!semundo__sysv_has_token(values, file->token) || values[SYSV_USERS])
		return 0;
	int r = semundo__sysv_retire(id);
	return r ? r : semundo__sysv_remove_unused(id);
}

/* A descriptor of the file, now locked by us, if its creator is dead: it has the
 * lock as long as it lives. Else -1. path: PATH_MAX bytes. */
static int take_unfinished(struct gc *gc, const char *name, char *path, struct stat *ret)
{
	snprintf(path, PATH_MAX, "%s/%s", gc->dir->path, name);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, ret) == 0 && S_ISREG(ret->st_mode) &&
	    semundo__sysv_leads_to(path, fd))
		return fd;
	close(fd);
	return -1;
}

static void sweep_draft(struct gc *gc, const char *name, uint32_t key)
{
	char path[PATH_MAX];
	struct sysv_file file = { .id = -1 };
	struct stat st;
	int r = 0, fd = take_unfinished(gc, name, path, &st);
	if (fd < 0)
		return;
	if (pread(fd, &file, sizeof(file), 0) != (ssize_t)sizeof(file))
		file.token = UINT64_MAX; /* no set has it */
	/* With two names it was published: the set is in use, or will be. */
	if (!is_dry(gc) && st.st_nlink == 1)
		r = remove_set_of(&file, key, st.st_uid);
	if (!is_dry(gc) && !r && unlink(path) < 0)
		r = -errno;
	tell(gc, SEMUNDO_GARBAGE_FILE, file.id, (uint32_t)st.st_uid, name, r);
	close(fd);
}

static bool is_temporary(const char *name)
{
	size_t prefix = sizeof(TEMPORARY_PREFIX) - 1;
	return strncmp(name, TEMPORARY_PREFIX, prefix) == 0 &&
	       strspn(name + prefix, "0123456789abcdef") == 16 && name[prefix + 16] == '\0';
}

/* A name of a file that has got its own name too, or never will. */
static void sweep_temporary(struct gc *gc, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int fd = take_unfinished(gc, name, path, &st);
	if (fd < 0)
		return;
	int r = is_dry(gc) || unlink(path) == 0 ? 0 : -errno;
	tell(gc, SEMUNDO_GARBAGE_FILE, -1, (uint32_t)st.st_uid, name, r);
	close(fd);
}

static void sweep_files(struct gc *gc)
{
	DIR *d = opendir(gc->dir->path);
	const struct dirent *e;
	uint32_t key;
	while (d && !gc->stop && (e = readdir(d)))
		if (key_in(e->d_name, &key))
			sweep_draft(gc, e->d_name, key);
		else if (is_temporary(e->d_name))
			sweep_temporary(gc, e->d_name);
	if (d)
		closedir(d);
}

/* ---- names that lead nowhere ---------------------------------------------------- */

static void sweep_name_of(struct gc *gc, const struct sysv_request *q,
                          const struct sysv_file *file, const struct stat *st, int fd)
{
	unsigned short values[SYSV_COUNT];
	char path[PATH_MAX];
	int r = semundo__sysv_check(file, st, values);
	bool retired = r == 0 && !values[SYSV_NAMED];
	if (r != -EIDRM && !retired)
		return;
	semundo__sysv_path(path, q->dir, q->name);
	r = is_dry(gc) ? 0 : semundo__sysv_drop_name(path, fd);
	tell(gc, SEMUNDO_GARBAGE_NAME, file->id, (uint32_t)st->st_uid, q->name, r);
}

static int sweep_name(const char *name, void *arg)
{
	struct gc *gc = arg;
	struct sysv_request q = { name, NULL, SEMUNDO_OBSERVE, 0, gc->dir };
	struct sysv_file file;
	struct stat st;
	int fd;
	if (semundo__sysv_read(&q, &file, &st, &fd) == 0) {
		sweep_name_of(gc, &q, &file, &st, fd);
		close(fd);
	}
	return gc->stop;
}

/* ---- sets without a name --------------------------------------------------------- */

static int know_name(const char *name, void *arg)
{
	struct gc *gc = arg;
	struct sysv_request q = { name, NULL, SEMUNDO_OBSERVE, 0, gc->dir };
	struct sysv_file file;
	struct stat st;
	if (semundo__sysv_read(&q, &file, &st, NULL) == 0)
		add_id(&gc->known, file.id);
	return 0;
}

/* Drafts that are left have a creator that lives, or one of another user. */
static void know_drafts(struct gc *gc)
{
	DIR *d = opendir(gc->dir->path);
	const struct dirent *e;
	uint32_t key;
	while (d && (e = readdir(d))) {
		int id = key_in(e->d_name, &key) ? semget((key_t)key, 0, 0) : -1;
		if (id >= 0)
			add_id(&gc->known, id);
	}
	if (d)
		closedir(d);
}

static int know_set(int id, void *arg)
{
	struct gc *gc = arg;
	unsigned short values[SYSV_COUNT];
	if (semundo__sysv_values(id, values, NULL) == 0 && semundo__sysv_is_of(values, gc->dir))
		add_id(&gc->sets, id);
	return 0;
}

static void sweep_set(struct gc *gc, int id)
{
	unsigned short values[SYSV_COUNT];
	struct semid_ds set;
	if (semundo__sysv_values(id, values, &set) || !semundo__sysv_is_of(values, gc->dir) ||
	    values[SYSV_USERS])
		return;
	int r = is_dry(gc) ? 0 : semundo__sysv_retire(id);
	if (!r && !is_dry(gc))
		r = semundo__sysv_remove_unused(id);
	if (r != -EBUSY)
		tell(gc, SEMUNDO_GARBAGE_SET, id, (uint32_t)set.sem_perm.uid, "", r);
}

static void sweep_sets(struct gc *gc)
{
	int r = semundo__sysv_each(know_set, gc);
	for (int look = 0; look < 2 && !r; look++) {
		know_drafts(gc);
		r = semundo__sysv_names(gc->dir->path, know_name, gc);
	}
	if (gc->known.failed || gc->sets.failed)
		r = semundo__fail(-ENOMEM, "cannot look for System V sets: no memory");
	for (size_t i = 0; !r && !gc->stop && i < gc->sets.count; i++)
		if (!has_id(&gc->known, gc->sets.ids[i]))
			sweep_set(gc, gc->sets.ids[i]);
	if (r && r != -ENOSYS && r != -ENOTSUP && !gc->stop)
		gc->stop = r;
	free(gc->known.ids);
	free(gc->sets.ids);
}

static int sweep(struct gc *gc)
{
	sweep_files(gc);
	if (!gc->stop)
		gc->stop = semundo__sysv_names(gc->dir->path, sweep_name, gc);
	if (!gc->stop)
		sweep_sets(gc);
	return gc->stop ? gc->stop : gc->removed;
}

int semundo_gc(const char *dir, unsigned flags,
               int (*visit)(const struct semundo_garbage *garbage, void *arg), void *arg)
{
	struct gc gc = { .flags = flags, .visit = visit, .arg = arg };
	if (flags & ~(unsigned)SEMUNDO_GC_DRY_RUN)
		return semundo__fail(-EINVAL, "flags 0x%x have bits that are not known", flags);
	semundo__big_lock();
	int r = semundo__directory_get(&gc.dir, dir);
	semundo__big_unlock();
	return r ? r : sweep(&gc);
}
