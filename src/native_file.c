/* SPDX-License-Identifier: Apache-2.0 */
/* The files of native semaphores: made complete, checked before use. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "native_binary.h"
#include "platform/file.h"
#include "platform/wait.h"
#include "registry.h"
#include "wiped.h"

#define OPEN_TRIES 100
#define FIRST_BYTES 4096u
#define FIRST_SLOTS ((FIRST_BYTES - SEM_SLOTS_OFFSET) / 64)
#define SPIN_FIRST 100u

/* What a file is opened for: the pieces that all functions here pass on. */
struct request {
	const char *name; /* "" for none */
	const struct semundo_options *options;
	unsigned flags;
	uint32_t kind; /* that an existing one must have, or 0 */
	struct directory *dir;
};

static const char *shown(const struct request *q)
{
	return *q->name ? q->name : "(anonymous)";
}

static int fail_open(const struct request *q, int r, const char *what)
{
	return semundo__fail(r, "cannot open semaphore '%s' in '%s': %s", shown(q), q->dir->path,
	                     what);
}

/* ---- checking ------------------------------------------------------------------ */

static int check_head(const struct request *q, const struct sem_head *head)
{
	uint32_t kind = head->kind;
	if (head->magic == __builtin_bswap64(SEM_MAGIC))
		return fail_open(q, -ENOEXEC, "it was made on a machine of another byte order");
	if (head->magic != SEM_MAGIC)
		return fail_open(q, -EUCLEAN, "the file is not a semaphore of semundo");
	if (head->version != LAYOUT_VERSION) {
		char what[128];
		snprintf(what, sizeof(what),
		         "it has layout version %u, this library knows %u; use one version of "
		         "semundo, or remove it",
		         head->version, LAYOUT_VERSION);
		return fail_open(q, -ENOEXEC, what);
	}
	if (head->fingerprint != LAYOUT_FINGERPRINT)
		return fail_open(q, -ENOEXEC, "its words have another layout than here");
	if (kind < SEMUNDO_LOCK || kind > SEMUNDO_SIGNAL)
		return fail_open(q, -EUCLEAN, "the file is damaged (unknown kind)");
	if (q->kind && q->kind != kind)
		return fail_open(q, -EPROTOTYPE, "it is there, but of another kind");
	return 0;
}

static int check_stat(const struct request *q, const struct stat *st)
{
	char what[128];
	if (!S_ISREG(st->st_mode))
		return fail_open(q, -EUCLEAN, "what stands there is not a regular file");
	if (st->st_size == (off_t)sizeof(struct sem_file))
		return 0;
	snprintf(what, sizeof(what), "the file is %s (%lld bytes instead of %zu); remove it",
	         st->st_size < (off_t)sizeof(struct sem_file) ? "short" : "too long",
	         (long long)st->st_size, sizeof(struct sem_file));
	return fail_open(q, -EUCLEAN, what);
}

/* ---- handles -------------------------------------------------------------------- */

static const struct sem_ops *ops_of(const struct sem_head *head, bool read_only)
{
	if (read_only)
		return &semundo__observer_ops;
	if (head->kind == SEMUNDO_LOCK)
		return head->binary ? &semundo__binary_ops : &semundo__lock_ops;
	return head->kind == SEMUNDO_PERMITS ? &semundo__permits_ops : &semundo__signal_ops;
}

static int map_file(const struct request *q, int fd, bool read_only, struct sem_file **ret)
{
	void *map = mmap(NULL, sizeof(struct sem_file), PROT_READ | (read_only ? 0 : PROT_WRITE),
	                 MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return fail_open(q, -errno, strerror(errno));
	int r = semundo__populate(map, SEM_SLOTS_OFFSET, !read_only);
	if (r) {
		munmap(map, sizeof(struct sem_file));
		return fail_open(q, r, "its memory cannot be had: the filesystem is full");
	}
	*ret = map;
	return 0;
}

static struct native_sem *make_handle(const struct request *q, const struct stat *st,
                                      const struct sem_head *head)
{
	struct native_sem *sem = calloc(1, sizeof(*sem));
	struct attachment *att = semundo__wiped_new();
	if (!sem || !att) {
		free(sem);
		semundo__wiped_free(att);
		return NULL;
	}
	sem->base.read_only = q->flags & SEMUNDO_OBSERVE;
	sem->base.ops = ops_of(head, sem->base.read_only);
	sem->base.engine = &semundo__native;
	sem->base.kind = head->kind;
	sem->base.references = 1;
	memcpy(sem->base.name, q->name, strlen(q->name) + 1);
	sem->att = att;
	sem->dir = q->dir;
	sem->base.device = (uint64_t)st->st_dev;
	sem->base.inode = (uint64_t)st->st_ino;
	sem->spin = SPIN_FIRST;
	sem->fd = -1;
	return sem;
}

/* An open file becomes a handle, perhaps one that is there already. The
 * descriptor stays the caller's. */
static int adopt(semundo_t **ret, int fd, const struct request *q)
{
	struct sem_head head;
	struct stat st;
	bool read_only = q->flags & SEMUNDO_OBSERVE;
	if (fstat(fd, &st) < 0)
		return fail_open(q, -errno, strerror(errno));
	int r = check_stat(q, &st);
	if (r)
		return r;
	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return fail_open(q, -EIO, "it cannot be read");
	r = check_head(q, &head);
	if (r)
		return r;
	semundo_t *there = semundo__registry_find(&semundo__native, (uint64_t)st.st_dev,
	                                          (uint64_t)st.st_ino, read_only);
	if (there) {
		there->references++;
		*ret = there;
		return 0;
	}
	struct native_sem *sem = make_handle(q, &st, &head);
	if (!sem)
		return fail_open(q, -ENOMEM, "no memory");
	r = map_file(q, fd, read_only, &sem->file);
	if (!r && semundo__registry_add(&sem->base) < 0) {
		munmap(sem->file, sizeof(struct sem_file));
		r = fail_open(q, -ENOMEM, "no memory");
	}
	if (r) {
		semundo__wiped_free(sem->att);
		free(sem);
		return r;
	}
	*ret = &sem->base;
	return 0;
}

void semundo__native_destroy(semundo_t *base)
{
	struct native_sem *sem = native(base);
	if (!sem->base.read_only)
		semundo__native_detach(sem);
	semundo__registry_remove(base);
	munmap(sem->file, sizeof(struct sem_file));
	if (sem->fd >= 0)
		close(sem->fd);
	semundo__wiped_free(sem->att);
	free(sem);
}

/* ---- opening --------------------------------------------------------------------- */

static int open_path(const struct request *q, int *ret_fd)
{
	char path[PATH_MAX];
	int access = q->flags & SEMUNDO_OBSERVE ? O_RDONLY : O_RDWR;
	semundo__native_path(path, q->dir, q->name);
	int fd = open(path, access | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	int r = -errno;
	if (r == -ENOENT)
		return fail_open(q, r, "there is none of that name (semundo ls shows what there is)");
	if (r == -ELOOP)
		return fail_open(q, r, "a symbolic link stands there; links are not followed");
	if (r == -EISDIR || r == -ENXIO)
		return fail_open(q, -EUCLEAN, "what stands there is not a regular file");
	if (r == -EACCES)
		return fail_open(q, r, "no permission for its file (see its owner and mode)");
	return fail_open(q, r, strerror(errno));
}

static int open_existing(semundo_t **ret, const struct request *q)
{
	int fd;
	int r = open_path(q, &fd);
	if (r)
		return r;
	r = adopt(ret, fd, q);
	close(fd);
	return r;
}

/* ---- creating --------------------------------------------------------------------- */

static void fill(struct sem_file *f, const struct semundo_options *o, unsigned flags)
{
	f->head.magic = SEM_MAGIC;
	f->head.version = LAYOUT_VERSION;
	f->head.fingerprint = LAYOUT_FINGERPRINT;
	f->head.kind = o->kind;
	f->head.binary = (flags & OPEN_BINARY) != 0;
	f->head.max = o->capacity;
	f->head.created = semundo__realtime();
	f->slots = FIRST_SLOTS;
	if (o->kind == SEMUNDO_SIGNAL)
		f->state = signal_make(o->value, 0, 0);
	else
		f->state = state_make((int32_t)o->capacity, 0, SLOT_NOBODY, 0);
	if (o->kind == SEMUNDO_PERMITS)
		f->slot[SLOT_CAPACITY].lane = lane_make(o->capacity, o->capacity, 0);
}

static int write_new(int fd, const struct semundo_options *o, unsigned flags)
{
	struct sem_file *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	fill(f, o, flags);
	ssize_t n = pwrite(fd, f, FIRST_BYTES, 0);
	int r = n == (ssize_t)FIRST_BYTES ? 0 : n < 0 ? -errno : -ENOSPC;
	free(f);
	return r;
}

static int fail_create(const struct request *q, int r)
{
	const char *what = semundo__reason(r);
	if (r == -ENOSPC || r == -EDQUOT) {
		r = -ENOSPC;
		what = "its filesystem is full; free some space or set SEMUNDO_DIR to another directory";
	} else if (r == -EACCES || r == -EROFS) {
		what = "no permission to create files there";
	} else if (r == -EEXIST) {
		what = "there is one of that name";
	} else if (r == -EUCLEAN) {
		what = "what stands there is not a semaphore of semundo; remove it, or take another name";
	} else if (r == -ELOOP) {
		r = -EUCLEAN;
		what = "a symbolic link stands there; remove it, or take another name";
	}
	return semundo__fail(r, "cannot create semaphore '%s' in '%s': %s", shown(q), q->dir->path,
	                     what);
}

/* A file before it has its name. Killed then: nothing, or a file without a
 * name that goes with us. */
struct new_file {
	int fd, dirfd;
	char temporary[64];
};

static int create(const struct request *q, struct new_file *new)
{
	new->dirfd = open(q->dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (new->dirfd < 0)
		return fail_create(q, -errno);
	int r = semundo__file_new(&new->fd, new->temporary, new->dirfd, sizeof(struct sem_file),
	                          FIRST_BYTES, q->options->mode);
	if (r)
		goto close_dir;
	r = write_new(new->fd, q->options, q->flags);
	POINT("create:written");
	if (!r)
		return 0;
	semundo__file_abandon(new->temporary, new->dirfd);
	close(new->fd);
close_dir:
	close(new->dirfd);
	return fail_create(q, r);
}

/* What is not ours keeps its name, as in semundo_unlink(). */
static int check_replaced(const struct request *q)
{
	char path[PATH_MAX];
	semundo__native_path(path, q->dir, q->name);
	int r = semundo__native_standing(path);
	return r && r != -ENOENT ? fail_create(q, r) : 0;
}

static int publish(const struct request *q, const struct new_file *new)
{
	char name[sizeof(NATIVE_PREFIX) + SEMUNDO_NAME_MAX];
	int r = q->flags & SEMUNDO_REPLACE ? check_replaced(q) : 0;
	if (r)
		return r;
	snprintf(name, sizeof(name), NATIVE_PREFIX "%s", q->name);
	r = semundo__file_publish(new->fd, new->temporary, new->dirfd, name,
	                          q->flags & SEMUNDO_REPLACE);
	POINT("create:linked");
	return r ? fail_create(q, r) : 0;
}

/* The name comes last: a failure before it leaves nothing. */
static int create_and_adopt(semundo_t **ret, const struct request *q, bool keep)
{
	struct new_file new = { .fd = -1 };
	semundo_t *sem;
	int r = create(q, &new);
	if (r)
		return r;
	r = adopt(&sem, new.fd, q);
	if (!r && *q->name) {
		r = publish(q, &new);
		if (r)
			semundo__native_destroy(sem);
	}
	if (r || !*q->name)
		semundo__file_abandon(new.temporary, new.dirfd);
	if (!r && keep)
		native(sem)->fd = new.fd;
	else
		close(new.fd);
	close(new.dirfd);
	if (!r)
		*ret = sem;
	return r;
}

static int open_or_create(semundo_t **ret, const struct request *q)
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		int r = -ENOENT;
		if (!(q->flags & (SEMUNDO_EXCL | SEMUNDO_REPLACE)))
			r = open_existing(ret, q);
		if (r != -ENOENT || !(q->flags & SEMUNDO_CREATE))
			return r;
		r = create_and_adopt(ret, q, false);
		if (r != -EEXIST || (q->flags & SEMUNDO_EXCL))
			return r;
	}
	return fail_open(q, -EBUSY, "it is created and removed all the time");
}

int semundo__native_open(semundo_t **ret, const char *name, unsigned flags,
                         uint32_t kind, const struct semundo_options *options)
{
	struct request q = { name, options, flags, kind, NULL };
	int r = semundo__directory_get(&q.dir, options->dir);
	return r ? r : open_or_create(ret, &q);
}

int semundo__native_anonymous(semundo_t **ret, const struct semundo_options *options)
{
	struct request q = { "", options, 0, 0, NULL };
	int r = semundo__directory_get(&q.dir, options->dir);
	return r ? r : create_and_adopt(ret, &q, !(options->flags & SEMUNDO_NO_DESCRIPTOR));
}

int semundo__native_open_fd(semundo_t **ret, int fd, const struct semundo_options *options)
{
	struct request q = { "", options, 0, options->kind, NULL };
	int r = semundo__directory_get(&q.dir, options->dir);
	if (r)
		return r;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return fail_open(&q, -errno, strerror(errno));
	r = adopt(ret, own, &q);
	if (!r && native(*ret)->fd < 0 && !*(*ret)->name)
		native(*ret)->fd = own;
	else
		close(own);
	return r;
}

int semundo__native_descriptor(semundo_t *base, int *ret_fd)
{
	struct native_sem *sem = native(base);
	struct semundo_options none = SEMUNDO_OPTIONS_INIT;
	struct request q = { base->name, &none, sem->base.read_only ? SEMUNDO_OBSERVE : 0u, 0,
		             sem->dir };
	struct stat st;
	int fd, r = 0;
	if (sem->fd >= 0) {
		fd = fcntl(sem->fd, F_DUPFD_CLOEXEC, 3);
		r = fd < 0 ? fail_open(&q, -errno, strerror(errno)) : 0;
	} else if (!*base->name) {
		r = fail_open(&q, -ENOENT, "it was made to keep no descriptor");
	} else {
		r = open_path(&q, &fd);
	}
	if (r)
		return r;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_ino != sem->base.inode ||
	    (uint64_t)st.st_dev != sem->base.device) {
		close(fd);
		return fail_open(&q, -ENOENT, "its name was removed or given to another one");
	}
	*ret_fd = fd;
	return 0;
}
