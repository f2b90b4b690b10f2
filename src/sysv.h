/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The System V engine's own handle, and what its files call of each other:
 *
 *   sysv.c         the engine's table
 *   sysv_open.c    opening, creating and removing names
 *   sysv_file.c    the registry file: what leads from a name to a set
 *   sysv_set.c     the set: making, checking, coming and leaving
 *   sysv_wait.c    acquire, release and wait: one atomic semop(2) each
 *   sysv_look.c    value and info
 *   sysv_raw.c     sets of other programs, by their key
 *   sysv_error.c   sentences that name the limit that was met
 *   gc.c           sets that nobody uses and no name leads to
 */
#ifndef SEMUNDO_SYSV_H
#define SEMUNDO_SYSV_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "atomics.h"
#include "directory.h"
#include "engine.h"
#include "platform/sysv.h"
#include "test_hooks.h"

/*
 * What the semaphores of a set are for. All of them change by semop(2) only
 * once the set has a name: SETVAL would forget everybody's undo.
 *
 * LOST never differs from before and after an operation, but the kernel's undo
 * raises it: an acquire of n adds n without undo and takes n with undo, a
 * release does it the other way round. So it counts the units that came back
 * from the dead; the acquirer that is told takes them off in its own operation.
 */
enum {
	SYSV_VALUE,    /* units that can be acquired */
	SYSV_LOST,     /* units that came back from the dead, not yet told */
	SYSV_USERS,    /* processes that have it open, each with undo */
	SYSV_NAMED,    /* 1: a name leads here; 0: removed, nobody comes any more */
	SYSV_ROOM,     /* SIGNAL: how much may be posted until the maximum */
	SYSV_MAGIC,
	SYSV_KIND,
	SYSV_CAPACITY,
	SYSV_TOKEN,    /* random, and in the file too */
	SYSV_DIRECTORY = SYSV_TOKEN + 4, /* of the name */
	SYSV_COUNT = SYSV_DIRECTORY + 3
};
#define SYSV_MAGIC_VALUE 0x5e4d

/* The registry file; fixed-width, of one machine. */
struct sysv_file {
	uint64_t magic;
	uint32_t version;
	uint32_t key;       /* of the set: leads to it when its creator was killed */
	int32_t id;         /* -1: not made yet */
	uint32_t kind;
	uint64_t token;
	uint64_t namespace; /* semundo__ipc_namespace() */
	uint64_t created;   /* CLOCK_REALTIME, nanoseconds */
	uint32_t capacity;
	uint32_t reserved[3];
};
_Static_assert(sizeof(struct sysv_file) == 64, "no holes");

/* This process in one semaphore; a chunk of wiped memory. */
struct sysv_user {
	uint32_t attached; /* counted in SYSV_USERS */
	uint32_t held;     /* units */
};

struct sysv_sem {
	struct semundo base;
	int id;
	uint32_t capacity;
	uint64_t created;
	struct sysv_user *user;
	/* A set of another program: */
	bool raw;
	bool raw_undo;         /* with SEM_UNDO */
	unsigned short number; /* of the semaphore in it */
};

static inline struct sysv_sem *sysv(semundo_t *sem)
{
	return (struct sysv_sem *)sem;
}

/* Whether the kernel gives units back. */
static inline bool sysv_has_undo(const struct sysv_sem *sem)
{
	return sem->raw ? sem->raw_undo : sem->base.kind != SEMUNDO_SIGNAL;
}

/* What a name is opened for. */
struct sysv_request {
	const char *name;
	const struct semundo_options *options;
	unsigned flags;
	uint32_t kind; /* that an existing one must have, or 0 */
	struct directory *dir;
};

/* ---- sysv_open.c ---- */

int semundo__sysv_open(semundo_t **ret, const char *name, unsigned flags, uint32_t kind,
                       const struct semundo_options *options);
int semundo__sysv_unlink(const char *name, const char *dir);
void semundo__sysv_destroy(semundo_t *sem);
void semundo__sysv_forked(semundo_t *sem);

/* A handle: kind and the like filled in, references 1; not yet registered. */
struct sysv_sem *semundo__sysv_handle(const char *name, uint32_t kind, bool read_only);

/* ---- sysv_file.c ---- */

#define SYSV_PREFIX "semundo."
#define SYSV_SUFFIX ".sysv"
#define SYSV_NEW_PREFIX "semundo-new." /* the key in 8 digits, and the suffix, follow */

void semundo__sysv_path(char *ret, const struct directory *dir, const char *name);

/* Reads and checks it; ret_fd may be null, else the open file. */
int semundo__sysv_read(const struct sysv_request *q, struct sysv_file *ret, struct stat *ret_stat,
                       int *ret_fd);

/* Whether what reading refused with r is of our size: damaged, it may go. */
bool semundo__sysv_is_damaged(const char *path, int r);

/*
 * Removes the name if it still leads to the file of that descriptor. Who does
 * this, or replaces a name, has the file's lock. 0 (gone either way), -EBUSY.
 */
int semundo__sysv_drop_name(const char *path, int fd);
int semundo__sysv_lock(int fd);
bool semundo__sysv_leads_to(const char *path, int fd);

/* Makes a set and its file and gives it the name: 0, -EEXIST, ... The calling
 * process is counted as its user. */
int semundo__sysv_create(const struct sysv_request *q, struct sysv_file *ret);

int semundo__sysv_list(const char *dir, int (*visit)(const char *name, void *arg), void *arg);
int semundo__sysv_names(const char *path, int (*visit)(const char *name, void *arg), void *arg);

/* ---- sysv_set.c: a negative errno, no sentence ---- */

/* A new set; the calling process is counted as its user. */
int semundo__sysv_make(const struct sysv_file *file, const struct sysv_request *q, int *ret_id);

/* The set that a file speaks of: 0, -EIDRM (gone), -EACCES. values: all. */
int semundo__sysv_check(const struct sysv_file *file, const struct stat *st,
                        unsigned short values[SYSV_COUNT]);

/* All values of a set with SYSV_COUNT semaphores; st may be null. */
int semundo__sysv_values(int id, unsigned short values[SYSV_COUNT], struct semid_ds *ret);
bool semundo__sysv_has_token(const unsigned short *values, uint64_t token);
bool semundo__sysv_is_of(const unsigned short *values, const struct directory *dir);

/* Counts this process: 0, or -EAGAIN where its name was removed. by_name:
 * the name led here just now. */
int semundo__sysv_attach(int id, bool by_name);

/* The opposite; the last one out removes a set without a name. */
void semundo__sysv_leave(int id);

/* No one comes by a name any more. */
int semundo__sysv_retire(int id);

/* Removes a set that has no name if nobody uses it: 0, -EBUSY, -EPERM, ... */
int semundo__sysv_remove_unused(int id);

/* ---- sysv_wait.c ---- */

int semundo__sysv_acquire(semundo_t *sem, unsigned n, const struct wait_how *how);
int semundo__sysv_try(semundo_t *sem, unsigned n);
int semundo__sysv_release(semundo_t *sem, unsigned n);
int semundo__sysv_acquire_all(semundo_t *const *sems, const unsigned *units, unsigned count,
                              const struct wait_how *how);
void semundo__sysv_tell_again(semundo_t *sem);
int semundo__sysv_wait_idle(semundo_t *sem, const struct wait_how *how);

/* ---- sysv_look.c ---- */

extern const struct sem_ops semundo__sysv_ops, semundo__sysv_observer_ops;
int semundo__sysv_value(semundo_t *sem, int64_t *ret);
int semundo__sysv_count(const struct sysv_sem *sem, int command, unsigned short number);

/* ---- sysv_raw.c ---- */

bool semundo__sysv_is_raw(const char *name);
int semundo__sysv_open_raw(semundo_t **ret, const struct sysv_request *q);

/* ---- sysv_error.c ---- */

/* A sentence for a failed operation on an open semaphore, or for what could
 * not be opened or created. Returns a negative errno, not always r. */
int semundo__sysv_fail(const struct sysv_sem *sem, int r);
int semundo__sysv_fail_open(const struct sysv_request *q, int r, const char *what);
int semundo__sysv_fail_create(const struct sysv_request *q, int r);

#endif
