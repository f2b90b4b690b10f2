/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between the public functions (semundo.c) and an engine.
 *
 * semundo.c checks arguments that do not depend on the engine (null pointers,
 * n of 0, option sizes, names) and turns deadlines into monotonic nanoseconds;
 * an engine does the rest. Failing functions have left a sentence with
 * semundo__fail(), but for the fast paths (try_acquire, release).
 */
#ifndef SEMUNDO_ENGINE_H
#define SEMUNDO_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "semundo.h"

/* What an acquire may wait for and how. */
struct wait_how {
	uint64_t deadline; /* monotonic ns, or NEVER */
	uint32_t flags;    /* SEMUNDO_WAIT_... */
	struct semundo_cancel *cancel;
	uint64_t since;    /* of a wait that goes on: its beginning; 0: now */
};

struct sem_ops {
	/* semundo_acquire(): the fast path, then semundo__acquire_slowly() as a
	 * tail call. n may be 0. */
	int (*acquire_forever)(semundo_t *sem, unsigned n);
	/* Fast path, no system call: 0, 1, or -EAGAIN for "not so easily".
	 * No sentence. n may be 0: "not so easily". */
	int (*try_acquire)(semundo_t *sem, unsigned n);
	/* The whole of it. */
	int (*acquire)(semundo_t *sem, unsigned n, const struct wait_how *how);
	/* Async-signal-safe; its sentence by semundo__fail_static(). */
	int (*release)(semundo_t *sem, unsigned n);
	int (*wait_idle)(semundo_t *sem, const struct wait_how *how);
	int (*resize)(semundo_t *sem, unsigned capacity);
	int (*value)(semundo_t *sem, int64_t *ret);
	int (*held)(semundo_t *sem, unsigned *ret);
	int (*info)(semundo_t *sem, struct semundo_info *ret);
	int (*peers)(semundo_t *sem, struct semundo_peer **ret);
	int (*deaths)(semundo_t *sem, struct semundo_death *ret, unsigned max);
	int (*recover)(semundo_t *sem);
	int (*descriptor)(semundo_t *sem, int *ret_fd);
	int (*hold_descriptor)(semundo_t *sem, int *ret_fd);
	int (*describe)(semundo_t *sem, pid_t for_pid, const char *command);
	/* The last close: gives back, leaves, frees. */
	void (*destroy)(semundo_t *sem);
	/* One who was told of a death gives back what it acquired: the next one
	 * is to be told again. Null: nobody is ever told. */
	void (*tell_again)(semundo_t *sem);
	/* In a forked child, under the big lock; or null. */
	void (*forked)(semundo_t *sem);
};

int semundo__acquire_slowly(semundo_t *sem, unsigned n);

struct engine {
	const char *name;
	unsigned caps;        /* SEMUNDO_CAP_... */
	uint32_t permits_max; /* largest capacity of PERMITS */
	uint32_t signal_max;  /* largest maximum of SIGNAL, and what it is by default */
	/* Whether the machine and the directory can do it: 0, or -ENOTSUP and the
	 * like. Under the big lock. */
	int (*possible)(const char *dir);
	/* name is checked, without prefix; options are complete (defaults
	 * filled in). kind: what an existing one must be, or 0. */
	int (*open)(semundo_t **ret, const char *name, unsigned flags, uint32_t kind,
	            const struct semundo_options *options);
	int (*anonymous)(semundo_t **ret, const struct semundo_options *options);
	int (*open_fd)(semundo_t **ret, int fd, const struct semundo_options *options);
	/* All of them at once, in one step of the engine's own: as acquire, or
	 * -ENOTSUP (without a sentence) for "one by one". May be null. */
	int (*acquire_all)(semundo_t *const *sems, const unsigned *units, unsigned count,
	                   const struct wait_how *how);
	int (*unlink)(const char *name, const char *dir);
	int (*list)(const char *dir, int (*visit)(const char *name, void *arg), void *arg);
};

/* All but auto; ends with null. */
extern const struct engine *const semundo__engines[];
extern const struct engine semundo__native, semundo__sysv, semundo__posix, semundo__auto;
/* That of names without a prefix: native where it is. */
extern const struct engine *const semundo__default_engine;

/* Opens in that engine, as semundo_open() does after its checks: options as
 * given, not completed. Under the big lock. */
int semundo__open_in(const struct engine *engine, semundo_t **ret, const char *name,
                     unsigned flags, const struct semundo_options *options);

/* Checks and reads what a caller gave as wait; null is allowed. */
int semundo__how_of(const struct semundo_wait *wait, struct wait_how *ret);

/* ---- auto.c ---- */

int semundo__auto_open(semundo_t **ret, const char *name, unsigned flags,
                       const struct semundo_options *options);
int semundo__list_all(const char *dir, int (*visit)(const char *name, void *arg), void *arg);

/* The common head of an engine's own handle. */
struct semundo {
	const struct sem_ops *ops; /* first: the fast path needs nothing else */
	const struct engine *engine;
	uint32_t kind;
	uint32_t references; /* under semundo__big_lock() */
	char name[SEMUNDO_NAME_MAX + 1]; /* "" for an anonymous one */
	uint64_t device, inode; /* what the engine knows the semaphore by */
	bool read_only;
	semundo_t *next, *previous; /* of all handles: registry.c */
};

/* One lock of the library for all that is rare: opening, joining, attaching,
 * closing. Held over fork, so that a child finds it free. */
void semundo__big_lock(void);
void semundo__big_unlock(void);

#endif
