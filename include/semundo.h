/* SPDX-License-Identifier: Apache-2.0 */
/*
 * semundo: semaphores and locks between processes that survive the death of
 * the process that holds them.
 *
 * Conventions
 *
 * - Functions return 0 (or a documented positive value) or a negative errno.
 *   Outputs go through ret_ pointers and are untouched on failure. errno
 *   itself is not part of the interface and may change.
 * - After a failure, semundo_error() gives a sentence for people: what was
 *   tried, on which name, what is wrong, what to do.
 * - Every function may be called from any thread at any time, on the same
 *   handle too, except that a handle must not be used during or after its
 *   last semundo_close(). Only the functions marked "async-signal-safe" may
 *   be called from a signal handler.
 * - Units belong to processes, not to threads: any thread of a process may
 *   release what another thread of it acquired.
 * - A child made by fork() holds nothing of what its parent holds. Its copies
 *   of the handles work: the child attaches as a process of its own.
 *   Between vfork() and exec() nothing of this library may be called. A child
 *   that is forked by a signal handler which interrupted this library must not
 *   return from the handler.
 * - exec() ends a process's holds, as its death would.
 * - Functions that open, acquire, release, wait or close are no points of
 *   cancellation (pthread_cancel(3)); use a cancel token.
 * - Names: 1 to SEMUNDO_NAME_MAX bytes, no '/', no ':', no control character.
 *   "native:NAME" names the engine; without a prefix it is "native". The
 *   others are "sysv", "posix" and "auto": see semundo_engine_caps().
 *
 * Where semaphores live: the directory in the options, else $SEMUNDO_DIR
 * (ignored in set-user-ID programs), else /dev/shm. Local filesystems only.
 */
#ifndef SEMUNDO_H
#define SEMUNDO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define SEMUNDO_API_VERSION 1

/* Longest name, in bytes, without engine prefix. */
#define SEMUNDO_NAME_MAX 200
/* Largest capacity of PERMITS, and largest maximum of SIGNAL. */
#define SEMUNDO_PERMITS_MAX 65535
#define SEMUNDO_SIGNAL_MAX 2147483647

/* A semaphore as one process sees it. Opening the same semaphore again in one
 * process gives the same handle, with one more reference. */
typedef struct semundo semundo_t;

/* Cancels blocked calls; see semundo_cancel(). */
typedef struct semundo_cancel semundo_cancel_t;

enum semundo_kind {
	/* One unit; when it is out exactly one process owns it. Any process may
	 * release it (and takes the ownership record with it) where the engine has
	 * SEMUNDO_CAP_LOCK_BY_ANY. A dead owner's unit comes back. */
	SEMUNDO_LOCK = 1,
	/* value + the sum of what all processes hold == capacity, always. Only
	 * a holder may release. A dead holder's units come back. */
	SEMUNDO_PERMITS = 2,
	/* A value; anybody may add to it. A sent signal stays sent: nothing is
	 * given back when a process dies. */
	SEMUNDO_SIGNAL = 3
};

/* Flags of semundo_open(). */
enum {
	SEMUNDO_CREATE = 1 << 0,  /* make it where it is not there */
	SEMUNDO_EXCL = 1 << 1,    /* with CREATE: -EEXIST where it is there */
	SEMUNDO_REPLACE = 1 << 2, /* with CREATE: a new one takes the name; who
	                             has the old one open goes on with that.
	                             -EUCLEAN where a foreign file has it */
	SEMUNDO_OBSERVE = 1 << 3  /* read only: value, info and lists work,
	                             everything else is -EBADF */
};

/* Start from SEMUNDO_OPTIONS_INIT; a null pointer means the same. */
struct semundo_options {
	size_t size;       /* sizeof(struct semundo_options) */
	uint32_t kind;     /* for creation; 0: PERMITS. For opening: 0: any, else
	                      another kind is -EPROTOTYPE */
	uint32_t capacity; /* PERMITS: units, 1 to SEMUNDO_PERMITS_MAX, 0: 1.
	                      LOCK: 0 or 1. SIGNAL: maximum, 0: SIGNAL_MAX.
	                      Counts at creation only */
	uint32_t value;    /* SIGNAL: first value. Others: must be 0 */
	uint32_t mode;     /* permission bits, exactly (no umask); 0: 0600 */
	const char *dir;   /* directory instead of $SEMUNDO_DIR */
	uint32_t flags;    /* semundo_anonymous(): SEMUNDO_NO_DESCRIPTOR; else 0 */
};
#define SEMUNDO_OPTIONS_INIT { sizeof(struct semundo_options), 0, 0, 0, 0, NULL, 0 }
enum {
	SEMUNDO_NO_DESCRIPTOR = 1 << 0 /* keep none: shared with forked children
	                                  only, as many as there is memory for */
};

/* ---- engines ----------------------------------------------------------- */

/*
 * native  semaphores in shared memory, undone by who needs them. No name may
 *         end in ".sysv".
 * sysv    System V semaphores, undone by the kernel. A name leads to a set of
 *         its own; "sysv:0x1234" is semaphore 0, "sysv:0x1234.2" number 2, of a
 *         set that other programs made with that key: a SIGNAL without
 *         maximum, or, opened as PERMITS, with SEM_UNDO but without a notice of
 *         deaths. It is never created or removed. exec() keeps what a process
 *         holds. At most 32767 units (SEMVMX).
 * posix   the semaphores of sem_open(3), "posix:NAME" or "posix:/NAME", in
 *         their own directory, whatever dir is. SIGNAL only.
 * auto    the semaphore of that name in any of these, in that order; where it
 *         is to be made, the first engine that works here and can do what is
 *         asked for. Undo is never given up for it. semundo_info() tells which.
 */
enum semundo_caps {
	SEMUNDO_CAP_LOCK = 1 << 0,
	SEMUNDO_CAP_PERMITS = 1 << 1,
	SEMUNDO_CAP_SIGNAL = 1 << 2,
	SEMUNDO_CAP_MAXIMUM = 1 << 3,   /* a SIGNAL may have a maximum of its own */
	SEMUNDO_CAP_MANY = 1 << 4,      /* more than one unit in one acquire */
	SEMUNDO_CAP_RESIZE = 1 << 5,    /* semundo_resize() */
	SEMUNDO_CAP_WAITERS = 1 << 6,   /* info tells how many wait */
	SEMUNDO_CAP_PEERS = 1 << 7,     /* semundo_peers(), semundo_deaths() and
	                                   semundo_describe() */
	SEMUNDO_CAP_ANONYMOUS = 1 << 8, /* semundo_anonymous(), semundo_descriptor() */
	SEMUNDO_CAP_HOLD = 1 << 9,      /* semundo_hold_descriptor() */
	SEMUNDO_CAP_LOCK_BY_ANY = 1 << 10 /* any process may release a LOCK; else
	                                   only its owner: -EPERM */
};

/* What an engine can do: bits of enum semundo_caps. What it cannot is -ENOTSUP.
 * Errors: -EINVAL (there is no such engine; "auto" is none). */
int semundo_engine_caps(const char *engine, unsigned *ret_caps);

/* ---- life ------------------------------------------------------------- */

/*
 * Opens the semaphore of that name, or creates it (flags).
 * Ownership: *ret_sem is the caller's, to be given to semundo_close().
 * Never blocks on other processes. A handle takes no file descriptor; the
 * directory takes one per process for each user met in it.
 * Errors: -EINVAL (bad name, flags, option or capacity), -ENAMETOOLONG,
 * -ENOENT (no such semaphore, or no such directory), -EEXIST, -EACCES,
 * -ELOOP (a symbolic link stands at the name), -EPROTOTYPE (another kind),
 * -ENOTSUP (not a local filesystem), -EUCLEAN (the file is foreign, short,
 * damaged), -ENOEXEC (made by an incompatible version or word layout),
 * -ENOSPC (the filesystem is full, or a limit of System V semaphores is
 * reached: the sentence says which), -ENOTDIR (the directory is a file), -EROFS
 * (it is read-only), -EMFILE, -ENFILE, -ENOMEM.
 * -ENOTSUP also stands for what the engine cannot do, as PERMITS in "posix".
 * sysv: -EIDRM (the name is there, its set was removed), -ENXIO (its set is in
 * another IPC namespace), -EBUSY, -EUSERS.
 */
int semundo_open(semundo_t **ret_sem, const char *name, unsigned flags,
                 const struct semundo_options *options);

/*
 * Creates a semaphore without a name. Forked children share it through the
 * handle; other processes through semundo_descriptor(). Goes when the last
 * user goes. Keeps one descriptor open, unless the options have
 * SEMUNDO_NO_DESCRIPTOR. Errors: as semundo_open().
 */
int semundo_anonymous(semundo_t **ret_sem, const struct semundo_options *options);

/*
 * Opens a semaphore by a descriptor that semundo_descriptor() made, here or in
 * another process. The descriptor stays the caller's. options->dir must be the
 * same directory in all processes. Errors: as semundo_open(), -EBADF.
 */
int semundo_open_fd(semundo_t **ret_sem, int fd, const struct semundo_options *options);

/*
 * A new close-on-exec descriptor of the semaphore, to be passed to another
 * process; the caller closes it. Errors: -EMFILE, -ENOENT (a named semaphore
 * whose name is gone, or an anonymous one that keeps no descriptor), -EACCES.
 */
int semundo_descriptor(semundo_t *sem, int *ret_fd);

/*
 * Drops a reference. The last one of a process gives back what the process
 * still holds of it (as closing a locked file does), leaves the semaphore and
 * frees the handle. Null is allowed. Always succeeds, returns 0.
 */
int semundo_close(semundo_t *sem);

/*
 * Removes the name at once; processes that have the semaphore open go on
 * using it. dir may be null. Only files that are semundo semaphores are
 * removed, damaged ones too. Errors: -ENOENT, -EACCES, -EINVAL,
 * -ENAMETOOLONG, -EUCLEAN (a file of that name is not a semaphore).
 */
int semundo_unlink(const char *name, const char *dir);

/* ---- acquire and release ---------------------------------------------- */

/* All acquiring functions return
 *   0   acquired
 *   1   acquired, and since the last acquire that was told, a holder died and
 *       its units came back; what they protected may be half done. See
 *       semundo_deaths().
 * Common errors: -EINVAL (n is 0), -ERANGE (n is above the capacity),
 * -EBADF (opened with OBSERVE), -EUCLEAN (its file is damaged), and those of
 * joining the directory at the first acquire of a process: -ESTALE (the peer
 * file was removed or replaced while in use: the dead cannot be told from the
 * living), -EUSERS (too many processes), -EMFILE, -ENOSPC, -EACCES, -ENOMEM,
 * and of a peer file that is not to be trusted: -EPERM (it is another user's,
 * or others may write it), -EUCLEAN, -ENOEXEC, -ELOOP as in semundo_open(). sysv: -EIDRM
 * (its set was removed), -ENOSPC (a limit of the system), -EACCES.
 */

/* Waits without limit. Signals do not end the wait. */
int semundo_acquire(semundo_t *sem, unsigned n);

/* Never waits (dead holders are looked for first): -EAGAIN. */
int semundo_try_acquire(semundo_t *sem, unsigned n);

/* Waits at most that many nanoseconds (below 0: as 0): -ETIMEDOUT. */
int semundo_acquire_timed(semundo_t *sem, unsigned n, int64_t nanoseconds);

/* Waits until CLOCK_MONOTONIC reads *deadline: -ETIMEDOUT, or -EINVAL for a
 * tv_nsec out of range. */
int semundo_acquire_until(semundo_t *sem, unsigned n, const struct timespec *deadline);

enum {
	SEMUNDO_WAIT_TRY = 1 << 0,   /* do not wait */
	SEMUNDO_WAIT_EINTR = 1 << 1  /* -EINTR when a signal handler ran while
	                                it slept (whatever its SA_RESTART) */
};

/* Start from SEMUNDO_WAIT_INIT; a null pointer means the same. */
struct semundo_wait {
	size_t size;                     /* sizeof(struct semundo_wait) */
	uint32_t flags;                  /* SEMUNDO_WAIT_... */
	uint32_t reserved;               /* 0 */
	const struct timespec *deadline; /* CLOCK_MONOTONIC; null: none */
	semundo_cancel_t *cancel;        /* may be null */
	uint64_t since;                  /* CLOCK_MONOTONIC ns: of a wait that goes on
	                                    after it was interrupted, its beginning,
	                                    for semundo_peers(); 0: now */
};
#define SEMUNDO_WAIT_INIT { sizeof(struct semundo_wait), 0, 0, NULL, NULL, 0 }

/* The general form. -ECANCELED when the token was cancelled; a unit is never
 * lost to a cancel: the call either acquired (0 or 1) or it did not. */
int semundo_acquire_with(semundo_t *sem, unsigned n, const struct semundo_wait *wait);

/* Most semaphores that one semundo_acquire_all() takes. */
#define SEMUNDO_ALL_MAX 64

/*
 * Acquires units[i] of sems[i] for all i below count, or nothing. wait may be
 * null. Returns 1 if any of them told of a death. The same semaphore may be in
 * the list more than once. All must have undo (LOCK or PERMITS), but for raw
 * ones of one System V set.
 *
 * Raw semaphores of one set ("sysv:0x1234.0", "sysv:0x1234.1", ...) are taken by
 * one semop(2): no other process sees a part of them taken. Other ones are taken
 * in turn, without ever waiting for one while another is held: if one is not to
 * be had, those taken go back, and that one is waited for first. So it cannot be
 * part of a deadlock, and a process that is killed in the middle gives back all;
 * but others may for a moment see units taken that come back, and who always
 * wants many may be overtaken by those who want one.
 *
 * Errors: -EINVAL (count is 0 or above SEMUNDO_ALL_MAX), -ENOTSUP (a SIGNAL),
 * and those of semundo_acquire_with().
 */
int semundo_acquire_all(semundo_t *const *sems, const unsigned *units, unsigned count,
                        const struct semundo_wait *wait);

/*
 * Gives n units back. Never blocks, async-signal-safe.
 * Errors: -EPERM (PERMITS: this process holds fewer than n; nothing changed;
 * sysv: the same for a LOCK), -EIDRM (sysv: its set was removed),
 * -EOVERFLOW (LOCK: it was not held; SIGNAL: above its maximum), -EINVAL,
 * -EBADF, -EUCLEAN (its file is damaged), -EAGAIN (only in a signal handler
 * that interrupted this library and released more than 8 different semaphores;
 * nothing changed).
 */
int semundo_release(semundo_t *sem, unsigned n);

/* Waits until all units are back (value == capacity). wait may be null.
 * The result is a moment's: another process may acquire at once.
 * Errors: -ETIMEDOUT, -EAGAIN (TRY), -ECANCELED, -EINTR, -EBADF,
 * -ENOTSUP (SIGNAL). */
int semundo_wait_idle(semundo_t *sem, const struct semundo_wait *wait);

/*
 * Makes PERMITS larger at once, or smaller: the value drops at once (below 0
 * perhaps), and nobody acquires until enough units came back.
 * Errors: -EINVAL, -ERANGE, -ENOTSUP (other kinds), -EBUSY (another process is
 * in the middle of a resize and does not go on), -EBADF.
 */
int semundo_resize(semundo_t *sem, unsigned capacity);

/*
 * A cancel token for one or more waits, of this process only.
 * semundo_cancel() wakes and fails all waits that use it, now and later, until
 * semundo_cancel_reset(); async-signal-safe. semundo_cancel_free() only when
 * no wait uses it. Error of new: -ENOMEM.
 */
int semundo_cancel_new(semundo_cancel_t **ret_token);
void semundo_cancel(semundo_cancel_t *token);
void semundo_cancel_reset(semundo_cancel_t *token);
void semundo_cancel_free(semundo_cancel_t *token);

/* ---- looking ----------------------------------------------------------- */

/* Units that can be acquired now; below 0 after a resize that waits for units
 * to come back. A moment's truth. */
int semundo_value(semundo_t *sem, int64_t *ret_value);

/* What this process holds of it: PERMITS units, or 0 or 1 for a LOCK; 0 for
 * SIGNAL. */
int semundo_held(semundo_t *sem, unsigned *ret_units);

struct semundo_info {
	size_t size;       /* sizeof(struct semundo_info), set by the caller */
	char name[SEMUNDO_NAME_MAX + 1]; /* "" for an anonymous one */
	char engine[16];
	uint32_t kind;
	uint32_t capacity; /* LOCK: 1; SIGNAL: its maximum */
	int64_t value;
	uint64_t held;     /* by all processes, dead ones not yet undone too */
	uint32_t peers;    /* attached processes */
	uint32_t waiters;  /* waiting threads in them */
	uint32_t dead;     /* attached processes that are dead, not yet undone */
	uint32_t recovered;/* a holder died and no acquirer was told yet */
	uint64_t deaths;   /* holders that died, ever */
	uint32_t mode;
	uint32_t uid;      /* owner of the file */
	uint64_t inode;
	uint64_t created;  /* CLOCK_REALTIME, nanoseconds */
};

/* Asks the kernel about every attached process. Errors: -EINVAL (size). */
int semundo_info(semundo_t *sem, struct semundo_info *ret_info);

enum semundo_alive {
	SEMUNDO_DEAD = 0,
	SEMUNDO_ALIVE = 1,
	SEMUNDO_UNKNOWN = 2 /* its user's peer file cannot be read or was
	                       replaced; counts as alive */
};

/* A process attached to a semaphore. */
struct semundo_peer {
	struct semundo_peer *next;
	pid_t pid;            /* in its own PID namespace; see pid_namespace */
	pid_t for_pid;        /* holds on behalf of that process, or 0 */
	uint32_t uid;
	uint32_t alive;       /* enum semundo_alive */
	uint32_t is_self;     /* the calling process */
	uint32_t held;        /* units */
	uint32_t waiting;     /* threads that wait */
	uint32_t wanted;      /* units that its latest waiter wants */
	uint64_t waiting_since; /* CLOCK_MONOTONIC nanoseconds, of the oldest
	                           wait; 0: none */
	uint64_t attached_since; /* CLOCK_REALTIME nanoseconds */
	uint64_t start_time;  /* as field 22 of /proc/PID/stat, clock ticks */
	uint64_t pid_namespace; /* inode of its PID namespace; 0: unknown */
	char command[64];     /* a short name, as it was when it joined */
};

/* List of attached processes, in no order; free with semundo_peers_free().
 * Holders are those with held > 0, waiters those with waiting > 0. (A SIGNAL
 * lists only processes that had to wait.) Null for none. Errors: -ENOMEM. */
int semundo_peers(semundo_t *sem, struct semundo_peer **ret_first);
void semundo_peers_free(struct semundo_peer *first);

/* A holder that died and whose units came back. */
struct semundo_death {
	uint64_t number;   /* 1, 2, ... for each semaphore */
	pid_t pid;
	uint32_t uid;
	uint32_t units;
	uint32_t reserved;
	uint64_t when;     /* recovery, CLOCK_REALTIME nanoseconds */
};

/* The latest deaths, newest first, at most max and at most 8 are kept.
 * Returns their number. */
int semundo_deaths(semundo_t *sem, struct semundo_death *ret_deaths, unsigned max);

/* Undoes dead processes now (any acquirer does so when it has to wait).
 * Returns how many were undone. Errors: -EBADF. */
int semundo_recover(semundo_t *sem);

/* Calls visit for each semaphore name in the directory (null: the default),
 * until it returns other than 0, which is then returned. Errors: -ENOENT,
 * -EACCES, -EMFILE, -ENOMEM. */
int semundo_list(const char *dir, int (*visit)(const char *name, void *arg), void *arg);

/* What killed processes left behind, and nobody uses. */
enum semundo_garbage_kind {
	SEMUNDO_GARBAGE_SET = 1,  /* a System V set that no name leads to */
	SEMUNDO_GARBAGE_NAME = 2, /* a name whose System V set is gone */
	SEMUNDO_GARBAGE_FILE = 3  /* a file of a creation that was not finished */
};

struct semundo_garbage {
	uint32_t kind;     /* enum semundo_garbage_kind */
	int32_t id;        /* of the set, as in ipcs -s; -1: none */
	uint32_t uid;      /* its owner */
	int32_t result;    /* 0: removed, or found by a dry run; else the error */
	char name[SEMUNDO_NAME_MAX + 32]; /* of the semaphore or the file; "": unknown */
};

enum {
	SEMUNDO_GC_DRY_RUN = 1 << 0 /* tell only */
};

/*
 * Finds and removes what is left behind of the directory (null: the default).
 * Never a set that a process has open, nor one of another directory. visit may
 * be null; it is called for each find, until it returns other than 0, which is
 * then returned. Otherwise returns how many were removed (dry run: found).
 * Errors: -EINVAL, and those of semundo_list().
 */
int semundo_gc(const char *dir, unsigned flags,
               int (*visit)(const struct semundo_garbage *garbage, void *arg), void *arg);

/* The directory that a null dir means now: allocated, for free(). */
int semundo_directory(char **ret_dir);

/* ---- holds that outlive the process ------------------------------------ */

/*
 * A new close-on-exec descriptor that stands for all that this process holds
 * in the semaphore's directory: as long as a copy of it is open somewhere the
 * process counts as alive, dead or not. Clear FD_CLOEXEC and a program that
 * is executed inherits the holds. Must be asked before the first acquire of
 * the process in that directory: -EBUSY otherwise. Errors: as joining.
 */
int semundo_hold_descriptor(semundo_t *sem, int *ret_fd);

/* Says for which process this one holds (shown as for_pid); 0: none; and a
 * short text shown as command instead of the program's name (null: keep). */
int semundo_describe(semundo_t *sem, pid_t for_pid, const char *command);

/* ---- errors ------------------------------------------------------------ */

/* The sentence for this thread's latest failed call; valid until its next
 * call. Never null. */
const char *semundo_error(void);

/* "ETIMEDOUT" and so on for a return value, or null if it is not known. */
const char *semundo_error_name(int result);

/* The library's version, "MAJOR.MINOR.PATCH". */
const char *semundo_version(void);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
