/* SPDX-License-Identifier: Apache-2.0 */
/* Peer files: one per user and directory; and asking them who is alive. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomics.h"
#include "directory.h"
#include "engine.h"
#include "error.h"
#include "platform/file.h"
#include "platform/liveness.h"
#include "platform/process.h"
#include "test_hooks.h"

#define PEER_HEADER offsetof(struct peer_file, record)

void semundo__peers_name(char *ret, uint32_t uid)
{
	snprintf(ret, 64, "semundo-peers.%u", uid);
}

/* A peer file's tag: another file has another one, a copy of it too. */
static uint32_t tag_of(uint64_t id, uint64_t device, uint64_t inode)
{
	uint64_t x = id ^ device * UINT64_C(0x9e3779b97f4a7c15) ^ inode;
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64's finaliser */
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	uint32_t tag = (uint32_t)(x ^ x >> 31);
	return tag ? tag : 1;
}

static int fail_peers(int result, const char *path, const char *what)
{
	return semundo__fail(result, "cannot use peer file '%s': %s", path, what);
}

static int check_stat(const struct stat *st, uint32_t uid, const char *path)
{
	if (!S_ISREG(st->st_mode))
		return fail_peers(-EUCLEAN, path, "not a regular file; remove it");
	if (st->st_uid != uid)
		return fail_peers(-EPERM, path, "it belongs to another user; have it removed");
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return fail_peers(-EPERM, path, "others may write it; chmod it to 0644");
	if (st->st_size != (off_t)sizeof(struct peer_file))
		return fail_peers(-EUCLEAN, path,
		                  "it has the wrong size for a peer file; when no program uses "
		                  "semundo in this directory, remove it");
	return 0;
}

static int check_header(const struct peer_head *head, uint32_t uid, const char *path)
{
	if (head->magic != PEER_MAGIC || head->uid != uid)
		return fail_peers(-EUCLEAN, path,
		                  "its contents are not a peer file's; when no program uses semundo "
		                  "in this directory, remove it");
	if (head->version != LAYOUT_VERSION || head->fingerprint != LAYOUT_FINGERPRINT)
		return fail_peers(-ENOEXEC, path,
		                  "an incompatible version of semundo made it; when no program uses "
		                  "that one in this directory, remove it");
	return 0;
}

/* Maps an open peer file and says which it is. Closes fd on failure. */
static int adopt(struct peers **ret, int fd, uint32_t uid, const char *path)
{
	struct peer_head head;
	struct stat st;
	struct peers *p = calloc(1, sizeof(*p));
	void *map = MAP_FAILED;
	int r = -ENOMEM;
	if (!p) {
		fail_peers(r, path, "no memory");
		goto fail;
	}
	if (fstat(fd, &st) < 0) {
		r = fail_peers(-errno, path, strerror(errno));
		goto fail;
	}
	r = check_stat(&st, uid, path);
	if (r)
		goto fail;
	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head)) {
		r = fail_peers(-EUCLEAN, path, "it cannot be read");
		goto fail;
	}
	r = check_header(&head, uid, path);
	if (r)
		goto fail;
	map = mmap(NULL, sizeof(struct peer_file), PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		r = fail_peers(-errno, path, strerror(errno));
		goto fail;
	}
	p->fd = fd;
	p->device = (uint64_t)st.st_dev;
	p->inode = (uint64_t)st.st_ino;
	p->user = user_make(uid, tag_of(head.id, p->device, p->inode));
	p->file = map;
	*ret = p;
	return 0;
fail:
	free(p);
	close(fd);
	return r;
}

static void path_of(char *ret, const struct directory *dir, uint32_t uid)
{
	char name[64];
	semundo__peers_name(name, uid);
	snprintf(ret, PATH_MAX, "%s/%s", dir->path, name);
}

/* Descriptors 0 to 2 stay the program's, whichever of them are closed. */
static int open_high(const char *path, int flags)
{
	int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fd > 2)
		return fd < 0 ? -errno : fd;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int r = high < 0 ? -errno : high;
	close(fd);
	return r;
}

static int open_peers(struct peers **ret, const struct directory *dir, uint32_t uid)
{
	char path[PATH_MAX];
	path_of(path, dir, uid);
	int fd = open_high(path, O_RDONLY);
	if (fd == -ELOOP)
		return fail_peers(fd, path, "a symbolic link stands there; remove it");
	if (fd < 0)
		return fail_peers(fd, path, semundo__reason(fd));
	return adopt(ret, fd, uid, path);
}

static int write_header(int fd, uint32_t uid)
{
	struct peer_head head = { PEER_MAGIC, LAYOUT_VERSION, LAYOUT_FINGERPRINT, uid, 0, 0 };
	int r = semundo__random(&head.id, sizeof(head.id));
	if (!r && pwrite(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		r = -EIO;
	return r;
}

static int create_peers(const struct directory *dir, uint32_t uid)
{
	char name[64], temporary[64];
	semundo__peers_name(name, uid);
	int fd, dirfd = open(dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return semundo__fail(-errno, "cannot open semaphore directory '%s': %s", dir->path,
		                     strerror(errno));
	int r = semundo__file_new(&fd, temporary, dirfd, sizeof(struct peer_file), PEER_HEADER, 0644);
	if (r == 0) {
		r = write_header(fd, uid);
		if (!r)
			r = semundo__file_publish(fd, temporary, dirfd, name, false);
		if (r)
			semundo__file_abandon(temporary, dirfd);
		close(fd);
	}
	close(dirfd);
	if (r && r != -EEXIST)
		return semundo__fail(r, "cannot create peer file '%s/%s': %s", dir->path, name,
		                     semundo__reason(r));
	return 0;
}

static struct peers *find(const struct directory *dir, uint64_t user)
{
	for (struct peers *p = load_acquire(&dir->peers); p; p = p->next)
		if (p->user == user)
			return p;
	return NULL;
}

/* Without a lock: a waiter may come here, and a forked child. Two threads may
 * publish the same file twice, which does no harm. */
static struct peers *publish(struct directory *dir, struct peers *p)
{
	struct peers *other = find(dir, p->user);
	if (other) {
		munmap((void *)(uintptr_t)p->file, sizeof(struct peer_file));
		close(p->fd);
		free(p);
		return other;
	}
	p->next = load_acquire(&dir->peers);
	while (!cas_acq_rel(&dir->peers, &p->next, p)) /* pairs with find() */
		;
	return p;
}

int semundo__peers_own(struct directory *dir, struct peers **ret)
{
	uint32_t uid = (uint32_t)geteuid();
	struct peers *p;
	int r = open_peers(&p, dir, uid);
	if (r == -ENOENT) {
		r = create_peers(dir, uid);
		if (!r)
			r = open_peers(&p, dir, uid);
	}
	if (!r)
		*ret = publish(dir, p);
	return r;
}

/* Each takes a descriptor for good: no user may make us open any number by
 * replacing its peer file. Beyond, those we do not know count as alive. */
#define PEER_FILES_MAX 256u

static bool are_too_many(const struct directory *dir)
{
	unsigned count = 0;
	for (const struct peers *p = load_acquire(&dir->peers); p; p = p->next)
		count++;
	return count >= PEER_FILES_MAX;
}

/* Whether the user's peer file is one that we know under another user word:
 * then there is none of this one. Cheaper than to open it at each look. */
static bool is_another(const struct directory *dir, uint64_t user)
{
	char path[PATH_MAX];
	struct stat st;
	const struct peers *p = load_acquire(&dir->peers);
	while (p && (uint32_t)p->user != (uint32_t)user)
		p = p->next;
	if (!p)
		return false;
	path_of(path, dir, (uint32_t)user);
	return lstat(path, &st) == 0 && (uint64_t)st.st_dev == p->device &&
	       (uint64_t)st.st_ino == p->inode;
}

/* The peer file of a user word; null where there is none such (any more). */
static struct peers *peers_get(struct directory *dir, uint64_t user)
{
	struct peers *p = find(dir, user);
	if (p || !user || is_another(dir, user) || are_too_many(dir))
		return p;
	if (open_peers(&p, dir, (uint32_t)user) < 0)
		return NULL;
	uint64_t found = p->user;
	p = publish(dir, p);
	return found == user ? p : NULL;
}

/* Whether fd still is the file that it was opened as: the program may have
 * closed all descriptors and opened others. */
static bool is_same(int fd, const struct peers *p)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (uint64_t)st.st_dev == p->device &&
	       (uint64_t)st.st_ino == p->inode;
}

static int probe_through(int fd, const struct peers *p, uint64_t offset)
{
	if (!is_same(fd, p))
		return -EBADF;
	int r = semundo__truth_probe(fd, offset);
	if (r >= 0 && !is_same(fd, p))
		return -EBADF;
	return r;
}

static int probe(const struct directory *dir, struct peers *p, uint64_t offset)
{
	int r = probe_through(load_relaxed(&p->fd), p, offset);
	if (r != -EBADF)
		return r;
	char path[PATH_MAX];
	path_of(path, dir, (uint32_t)p->user);
	int fd = open_high(path, O_RDONLY);
	if (fd < 0)
		return fd;
	r = probe_through(fd, p, offset);
	if (r < 0)
		close(fd);
	else
		store_relaxed(&p->fd, fd); /* the old number is not ours to close */
	return r;
}

/* Whether the record's page can be read without a fault. */
static bool readable(struct peers *p, const struct peer_record *record)
{
	uint64_t page = (uint64_t)((const char *)record - (const char *)p->file) / 4096;
	uint64_t bit = UINT64_C(1) << page % 64;
	_Static_assert(sizeof(struct peer_file) / 4096 < sizeof(p->populated) * 8, "a bit a page");
	if (load_relaxed(&p->populated[page / 64]) & bit)
		return true;
	if (semundo__populate(record, sizeof(*record), false) < 0)
		return false;
	or_acq_rel(&p->populated[page / 64], bit);
	return true;
}

static const struct peer_record *record_at(struct peers *p, uint64_t owner)
{
	const struct peer_record *record = &p->file->record[owner_record(owner)];
	return readable(p, record) ? record : NULL;
}

static bool is_self(const struct directory *dir, uint64_t user, uint64_t owner)
{
	const struct membership *m = dir->member;
	return load_acquire(&m->generation) == owner_generation(owner) && m->user == user &&
	       m->record == owner_record(owner);
}

enum semundo_alive semundo__alive(struct directory *dir, uint64_t user, uint64_t owner)
{
	if (is_self(dir, user, owner))
		return SEMUNDO_ALIVE;
	struct peers *p = peers_get(dir, user);
	const struct peer_record *record = p ? record_at(p, owner) : NULL;
	if (!record)
		return SEMUNDO_UNKNOWN;
	uint64_t generation = owner_generation(owner);
	/* A process raises the generation only with the lock held, before it
	 * uses it anywhere: a larger one means that ours has lost its lock. */
	uint64_t now = load_acquire(&record->generation) & GENERATION_MAX;
	if (now != generation)
		return now > generation ? SEMUNDO_DEAD : SEMUNDO_UNKNOWN;
	uint64_t offset = (uint64_t)((const char *)record - (const char *)p->file);
	int locked = probe(dir, p, offset);
	if (locked < 0)
		return SEMUNDO_UNKNOWN;
	if (!locked)
		return SEMUNDO_DEAD;
	now = load_acquire(&record->generation) & GENERATION_MAX;
	return now > generation ? SEMUNDO_DEAD : SEMUNDO_ALIVE;
}

const struct peer_record *semundo__record(struct directory *dir, uint64_t user, uint64_t owner)
{
	struct peers *p = peers_get(dir, user);
	const struct peer_record *record = p ? record_at(p, owner) : NULL;
	if (!record ||
	    (load_acquire(&record->generation) & GENERATION_MAX) != owner_generation(owner))
		return NULL;
	return record;
}

const uint32_t *semundo__alarm_word(const struct peer_record *record)
{
	uint32_t offset = load_relaxed(&record->alarm_offset);
	if (offset > ALARM_SPACE - 4 || offset % 4)
		return NULL;
	return (const uint32_t *)((const char *)record->alarm + offset);
}
