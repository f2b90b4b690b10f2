/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of semaphores, the peer files in it, and this process as one of
 * its peers (design: truth and alarm).
 *
 * A *user word* names a user's peer file (uid and tag), an *owner word* a
 * process in it (see layout.h).
 */
#ifndef SEMUNDO_DIRECTORY_H
#define SEMUNDO_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "layout.h"
#include "semundo.h"

#define MAX_PAGES_WORDS 8 /* bits for the pages of a peer file */

/* A user's peer file as this process sees it; never freed. */
struct peers {
	struct peers *next;
	uint64_t user;          /* user word */
	int fd;                 /* for asking; holds no lock */
	uint64_t device, inode; /* to know whether fd is still ours */
	const struct peer_file *file;
	aligned_uint64_t populated[MAX_PAGES_WORDS]; /* pages of it that can be read */
} ALIGNED_8;

/* Who this process is; a chunk of wiped memory: zeroes in a forked child. */
struct membership {
	uint64_t generation; /* 0: not a member */
	uint64_t user;       /* user word */
	uint32_t record;
	uint32_t armed;      /* a thread of this process holds the alarm */
	uint32_t armed_by;   /* its thread id, while armed */
	int32_t lock_fd;     /* kept for semundo_hold_descriptor(), or 0 */
	struct peer_record *own; /* in a mapping that a child does not have */
} ALIGNED_8;

/* One per directory and process; never freed. */
struct directory {
	struct directory *next;
	char *path;               /* absolute */
	struct peers *peers;      /* append-only list */
	struct membership *member;
};

/* ---- directory.c: under semundo__big_lock() ---- */

/* Finds or makes it; dir may be null. -ENOENT, -ENOTDIR, -ENOTSUP, ... */
int semundo__directory_get(struct directory **ret, const char *dir);

/* What a null dir means, as text of the caller's. */
int semundo__directory_path(char **ret, const char *dir);

struct directory *semundo__directories(void);

/* ---- join.c ---- */

/* Becomes a peer, once per process. keep_lock: see semundo_hold_descriptor().
 * Under semundo__big_lock(). */
int semundo__join(struct directory *dir, bool keep_lock);

/* Whether this process is a member; cheap. */
bool semundo__is_member(const struct directory *dir);

/* Arms the alarm again where the thread that had it has ended. Cheap when
 * there is nothing to do. Not under the big lock. */
void semundo__rearm(struct directory *dir);

/* ---- peers.c ---- */

/* Opens this user's peer file, making it where it is missing. */
int semundo__peers_own(struct directory *dir, struct peers **ret);

/* The name of a user's peer file, for sentences; ret of 64 bytes. */
void semundo__peers_name(char *ret, uint32_t uid);

/* Is that process alive? One system call or none. */
enum semundo_alive semundo__alive(struct directory *dir, uint64_t user, uint64_t owner);

/* The process's record, or null (its peer file is not to be read, or the
 * record belongs to another process by now). */
const struct peer_record *semundo__record(struct directory *dir, uint64_t user, uint64_t owner);

/* The futex word of a record's alarm, or null. */
const uint32_t *semundo__alarm_word(const struct peer_record *record);

#endif
