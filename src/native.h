/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native engine's own handle, and what its files call of each other:
 *
 *   native.c          the engine's table
 *   native_file.c     files: create, open, check, map
 *   native_names.c    names: what stands there, removing, listing
 *   native_attach.c   the process's slot in a semaphore; the private lock
 *   native_lane.h     the recoverable operation of PERMITS
 *   native_permits.c native_lock.c native_signal.c   the three kinds
 *   native_binary.c   a lock until it is used as a signal
 *   native_wait.c     waiting and waking
 *   native_recover.c  undoing the dead
 *   native_look.c     info and lists
 */
#ifndef SEMUNDO_NATIVE_H
#define SEMUNDO_NATIVE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "directory.h"
#include "engine.h"
#include "layout.h"
#include "platform/threads.h"
#include "platform/tls.h"
#include "test_hooks.h"

/* This process in one semaphore; a chunk of wiped memory: a forked child
 * finds slot 0 and so is not attached. */
struct attachment {
	uint32_t slot;  /* 0: not attached; set last, with release */
	uint32_t lock;  /* the private lock: one thread at a time in the lane */
	uint64_t owner; /* our owner word, live */
	uint32_t pid;   /* whose slot it is, to be told from a vfork child's */
	uint32_t busy;  /* the favoured thread has the private lock */
	uint64_t since; /* monotonic ns of attaching; 0: those who sleep know us */
	uintptr_t favoured; /* the thread that locks without an atomic operation */
} ALIGNED_8;

struct native_sem {
	struct semundo base;
	struct sem_file *file;
	struct attachment *att;
	uint32_t reachable;     /* slots whose memory we know to be there */
	uint32_t spin;          /* how long spinning was worth while lately */
	struct directory *dir;
	int fd;                 /* kept for an anonymous one; else -1 */
};

static inline struct native_sem *native(semundo_t *sem)
{
	return (struct native_sem *)sem;
}

/* ---- native_file.c ---- */

int semundo__native_open(semundo_t **ret, const char *name, unsigned flags, uint32_t kind,
                         const struct semundo_options *options);
int semundo__native_anonymous(semundo_t **ret, const struct semundo_options *options);
int semundo__native_open_fd(semundo_t **ret, int fd, const struct semundo_options *options);
int semundo__native_descriptor(semundo_t *sem, int *ret_fd);
void semundo__native_destroy(semundo_t *sem);

/* ---- native_names.c ---- */

#define NATIVE_PREFIX "semundo."

/* Writes the path of a name's file: PATH_MAX bytes. */
void semundo__native_path(char *ret, const struct directory *dir, const char *name);

/* 0: a file of ours stands there, damaged or not; -EUCLEAN: what somebody else
 * put there; -ELOOP: a symbolic link; -ENOENT, -EACCES, ... */
int semundo__native_standing(const char *path);

int semundo__native_unlink(const char *name, const char *dir);
int semundo__native_list(const char *dir, int (*visit)(const char *name, void *arg), void *arg);

/* ---- native_attach.c ---- */

/* Slots that are allocated and can be touched; looks again at the file. */
uint32_t semundo__native_slots(struct native_sem *sem);

/* Allocates more slots: 0, and then more are reachable, whatever the file says;
 * -EUSERS, -ENOSPC. */
int semundo__native_grow(struct native_sem *sem);

static inline bool slot_reachable(struct native_sem *sem, uint32_t slot)
{
	return slot < load_relaxed(&sem->reachable) || slot < semundo__native_slots(sem);
}

/* Takes a slot, joining the directory first; cheap when done. */
int semundo__native_attach(struct native_sem *sem);

/* Gives back what is held and leaves the slot. */
void semundo__native_detach(struct native_sem *sem);

/* ---- the private lock --------------------------------------------------
 *
 * A section is the stretch in which a thread has the private lock of one
 * semaphore. A signal handler that interrupts a section and releases must not
 * wait for any private lock: what it cannot do at once it leaves to its
 * thread, which does it on its way out of the outermost section.
 */
#define DEFERRED_MAX 8

struct sections {
	uint32_t depth;    /* sections that this thread is in */
	uint32_t deferred; /* used entries of release[] */
	struct {
		struct native_sem *sem;
		uint32_t units;
	} release[DEFERRED_MAX];
};
extern FAST_THREAD_LOCAL struct sections semundo__sections;

/*
 * Most semaphores are used by one thread of a process, so the first one is
 * favoured: it takes the lock by a plain store to `busy`, as in D. Dice,
 * M. Moir and W. Scherer, "Quickly Reacquirable Locks" (2003). Another thread
 * ends that for good: it sets FAVOUR_ENDING, has every thread of the process
 * pass a memory barrier (membarrier(2)), waits for `busy` to be 0 and sets
 * FAVOUR_ENDED, after which all use `lock`. The favoured thread looks at
 * `favoured` again after its store to `busy`: it comes before the barrier, and
 * then its `busy` is seen, or after it, and then it sees FAVOUR_ENDING.
 */
#define FAVOUR_NOBODY ((uintptr_t)0)
#define FAVOUR_ENDED ((uintptr_t)1)
#define FAVOUR_ENDING ((uintptr_t)2)

static inline uintptr_t this_thread(void)
{
	return (uintptr_t)&semundo__sections;
}

static inline bool is_favoured(struct attachment *att)
{
	return load_relaxed(&att->favoured) == this_thread() || is_single_threaded();
}

/* For the favoured thread: whether it still is. */
static inline bool section_enter_favoured(struct attachment *att)
{
	POINT("section:favoured");
	store_relaxed(&att->busy, 1);
	signal_fence(); /* on the other side there is a memory barrier */
	if (__builtin_expect(is_favoured(att), 1))
		return true;
	store_release(&att->busy, 0); /* pairs with end_favour() */
	return false;
}

void semundo__section_wait(struct attachment *att);
bool semundo__section_try(struct attachment *att);
void semundo__section_drain(void);

static inline void section_enter(struct attachment *att)
{
	semundo__sections.depth++;
	signal_fence();
	if (is_single_threaded())
		store_relaxed(&att->busy, 1);
	else if (load_relaxed(&att->favoured) != this_thread() || !section_enter_favoured(att))
		semundo__section_wait(att);
	signal_fence();
}

/* In a signal handler that interrupted a section. */
static inline bool section_try_enter(struct attachment *att)
{
	semundo__sections.depth++;
	signal_fence();
	if (semundo__section_try(att))
		return true;
	semundo__sections.depth--;
	return false;
}

/* `lock` first: whoever sees `busy` fall may take it. */
static inline void section_exit(struct attachment *att)
{
	store_release(&att->lock, 0); /* pairs with exchange_acquire() in section_wait() */
	store_release(&att->busy, 0); /* pairs with end_favour() */
	signal_fence();
	if (--semundo__sections.depth == 0 && __builtin_expect(semundo__sections.deferred != 0, 0))
		semundo__section_drain();
}

/* ---- kinds ---- */

extern const struct sem_ops semundo__permits_ops, semundo__lock_ops, semundo__signal_ops,
	semundo__observer_ops;

int semundo__native_acquire(semundo_t *sem, unsigned n, const struct wait_how *how);
int semundo__native_wait_idle(semundo_t *sem, const struct wait_how *how);

/* The capacity as of state, or as of now. */
uint32_t semundo__permits_capacity(struct native_sem *sem, uint64_t state);
int semundo__permits_resize(semundo_t *sem, unsigned capacity);

/* Releases a LOCK if, and only if, that slot owns it; sets flags with it. */
void semundo__lock_leave(struct native_sem *sem, uint32_t slot, uint64_t flags);

/* Units of all kinds that could be acquired in that state. */
static inline int64_t available(const struct native_sem *sem, uint64_t state)
{
	return sem->base.kind == SEMUNDO_SIGNAL ? (int64_t)signal_value(state) :
						  (int64_t)state_value(state);
}

/* ---- native_wait.c ---- */

static inline const uint32_t *state_word(const struct native_sem *sem)
{
	const uint32_t *halves = (const uint32_t *)&sem->file->state;
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? halves : halves + 1;
}

/* After a change that made `units` available, where flags asked for it.
 * Async-signal-safe. */
void semundo__native_wake(struct native_sem *sem, uint64_t flags, unsigned units);
void semundo__native_wake_all(struct native_sem *sem);

/* What somebody waits for. */
struct wait_goal {
	unsigned n; /* units; 0: for all units to be back */
	/* Whether it would have to wait in that state. */
	bool (*blocked)(struct native_sem *sem, uint64_t state, unsigned n);
	/* Tries: 0, 1, -EAGAIN, or a failure. */
	int (*attempt)(struct native_sem *sem, unsigned n);
};

int semundo__native_wait(struct native_sem *sem, const struct wait_goal *goal,
                         const struct wait_how *how);

/* ---- native_recover.c ---- */

/* Undoes the slot's owner if it is dead. Returns 1 if it did. */
int semundo__native_undo(struct native_sem *sem, uint32_t slot);

/* Undoes all the dead. Returns how many, or a failure of joining. */
int semundo__native_recover(semundo_t *sem);

/* The next acquirer is told of a death, as if none had been told. */
void semundo__native_tell_again(semundo_t *sem);

/* The user word of an owner word. */
uint64_t semundo__native_user(const struct native_sem *sem, uint64_t owner);

/* A reading of who holds what that belongs to one state. */
uint32_t semundo__native_held_by(struct native_sem *sem, uint32_t slot, uint64_t state);

/* ---- native_look.c ---- */

int semundo__native_value(semundo_t *sem, int64_t *ret);
int semundo__native_held(semundo_t *sem, unsigned *ret);
int semundo__native_info(semundo_t *sem, struct semundo_info *ret);
int semundo__native_peers(semundo_t *sem, struct semundo_peer **ret);
int semundo__native_deaths(semundo_t *sem, struct semundo_death *ret, unsigned max);
int semundo__native_hold_descriptor(semundo_t *sem, int *ret_fd);
int semundo__native_describe(semundo_t *sem, pid_t for_pid, const char *command);

#endif
