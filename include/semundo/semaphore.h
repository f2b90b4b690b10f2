/* SPDX-License-Identifier: Apache-2.0 */
/*
 * semundo/semaphore.h: POSIX semaphores over semundo's native engine.
 *
 * Include it where a program included <semaphore.h>, and link with -lsemundo:
 * sem_t and the sem_ functions then are those declared here. They do what POSIX
 * says: on failure they return -1 (SEM_FAILED) and set errno. semundo_error()
 * has the sentence of a failed semundo_sem_open() or semundo_sem_unlink().
 *
 * - A named semaphore is a native one of kind SIGNAL: `semundo ls` shows it, and
 *   <semundo.h> opens it too. The name "/x" is the native name "x": slashes in
 *   front are dropped; each ':', '%' and control character becomes %XX (in
 *   hexadecimal digits), so does the '.' of a ".sysv" at the end: different
 *   names never meet. At most
 *   SEMUNDO_NAME_MAX bytes then, else ENAMETOOLONG.
 * - Programs that use the C library's own <semaphore.h> have other semaphores,
 *   even where the name is the same.
 * - Repeated opens of one semaphore in a process give the same address.
 * - A wait is ended by a signal handler (EINTR) unless the handler was
 *   installed with SA_RESTART; before Linux 5.16 by any handler.
 * - semundo_sem_wait(), _timedwait() and _clockwait() are cancellation points.
 * - semundo_sem_post() is async-signal-safe.
 * - A deadline on CLOCK_REALTIME follows when the clock is set, within 50 ms.
 * - Who sleeps looks around every 10 s (every 50 ms with such a deadline), or at
 *   the next post. So long may a unit lie unused whose poster was killed in
 *   the middle of the post. A signal handler that runs just then does not end the
 *   wait.
 */
#ifndef SEMUNDO_SEMAPHORE_H
#define SEMUNDO_SEMAPHORE_H

#include <limits.h>
#include <semaphore.h> /* so that it changes nothing when included later */
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define SEMUNDO_SEM_VALUE_MAX 2147483647

/* Its contents are the library's. Aligned to 8, also where long long is not. */
typedef union {
	char semundo_bytes[32];
	long long semundo_alignment;
}
#if defined(__GNUC__)
__attribute__((aligned(8)))
#endif
semundo_sem_t;

#define SEMUNDO_SEM_FAILED ((semundo_sem_t *)0)

/*
 * As sem_open(3). With O_CREAT two arguments follow: mode_t mode (less the
 * umask), unsigned value. To be given to semundo_sem_close().
 * errno: EINVAL (bad name or value; what has that name is no semaphore, or
 * LOCK or PERMITS), ENAMETOOLONG, ENOENT, EEXIST, EACCES, ELOOP, ENOSPC,
 * EMFILE (also: more than 65536 open ones), ENFILE, ENOMEM.
 */
semundo_sem_t *semundo_sem_open(const char *name, int oflag, ...);

/* As sem_close(3). errno: EINVAL (not an open named semaphore). */
int semundo_sem_close(semundo_sem_t *sem);

/* As sem_unlink(3). errno: ENOENT, EACCES, ENAMETOOLONG, EINVAL (what has that
 * name is no semaphore). */
int semundo_sem_unlink(const char *name);

/*
 * As sem_init(3): a semaphore in the caller's memory, which may be shared
 * memory (pshared other than 0). It is a plain signal: nothing is undone.
 * errno: EINVAL (value above SEMUNDO_SEM_VALUE_MAX).
 */
int semundo_sem_init(semundo_sem_t *sem, int pshared, unsigned value);

/* As sem_destroy(3). errno: EINVAL (not one of semundo_sem_init()), EBUSY
 * (somebody waits for it). */
int semundo_sem_destroy(semundo_sem_t *sem);

/* As their namesakes. errno: EINVAL (not a semaphore; a deadline with
 * nanoseconds out of range; an unknown clock), EINTR, EAGAIN (trywait),
 * ETIMEDOUT, EOVERFLOW (post: above SEMUNDO_SEM_VALUE_MAX). */
int semundo_sem_wait(semundo_sem_t *sem);
int semundo_sem_trywait(semundo_sem_t *sem);
int semundo_sem_timedwait(semundo_sem_t *sem, const struct timespec *deadline);
int semundo_sem_clockwait(semundo_sem_t *sem, clockid_t clock, const struct timespec *deadline);
int semundo_sem_post(semundo_sem_t *sem);

/* As sem_getvalue(3); never below 0. */
int semundo_sem_getvalue(semundo_sem_t *sem, int *ret_value);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#ifndef SEMUNDO_SEM_NO_MACROS
#define sem_t semundo_sem_t
#define sem_open semundo_sem_open
#define sem_close semundo_sem_close
#define sem_unlink semundo_sem_unlink
#define sem_init semundo_sem_init
#define sem_destroy semundo_sem_destroy
#define sem_wait semundo_sem_wait
#define sem_trywait semundo_sem_trywait
#define sem_timedwait semundo_sem_timedwait
#define sem_clockwait semundo_sem_clockwait
#define sem_post semundo_sem_post
#define sem_getvalue semundo_sem_getvalue
#undef SEM_FAILED
#define SEM_FAILED SEMUNDO_SEM_FAILED
#undef SEM_VALUE_MAX
#define SEM_VALUE_MAX SEMUNDO_SEM_VALUE_MAX
#endif

#endif
