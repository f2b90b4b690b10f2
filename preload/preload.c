/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsemundo-preload.so: named POSIX semaphores of unmodified programs over the
 * native engine, by LD_PRELOAD (`semundo preload`).
 *
 * Named semaphores are ours, recognised by their address; all else, such as
 * sem_init(3)'s in the caller's memory, is the C library's. A name that the C
 * library has already (made by a program without this library) is opened there,
 * so that both meet; nothing of it is undone.
 *
 * No symbol here has a version, so that each of the versions that programs ask
 * for finds it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/native_binary.h"
#include "../src/platform/process.h"
#include "../src/semaphore_h.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- the C library's functions ------------------------------------------------- */

static struct {
	sem_t *(*open)(const char *, int, ...);
	int (*close)(sem_t *);
	int (*unlink)(const char *);
	int (*wait)(sem_t *);
	int (*trywait)(sem_t *);
	int (*timedwait)(sem_t *, const struct timespec *);
	int (*clockwait)(sem_t *, clockid_t, const struct timespec *);
	int (*post)(sem_t *);
	int (*getvalue)(sem_t *, int *);
	void (*exit)(int);
} real;

/* POSIX promises that the pointer fits (dlsym(3)). */
static void find(void *into, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	memcpy(into, &found, sizeof(found));
}

static void find_real(void)
{
	find(&real.open, "sem_open");
	find(&real.close, "sem_close");
	find(&real.unlink, "sem_unlink");
	find(&real.wait, "sem_wait");
	find(&real.trywait, "sem_trywait");
	find(&real.timedwait, "sem_timedwait");
	find(&real.clockwait, "sem_clockwait");
	find(&real.post, "sem_post");
	find(&real.getvalue, "sem_getvalue");
	find(&real.exit, "_exit");
}

/* Early, because sem_post() may be called in a signal handler; and once more
 * where another library's constructor was even earlier. */
__attribute__((constructor(101))) static void prepare(void)
{
	find_real();
}

static inline void need(const void *function)
{
	if (__builtin_expect(!function, 0))
		find_real();
}
#define NEED(member) need(*(void **)&real.member)

static inline semundo_sem_t *ours(sem_t *sem)
{
	return is_named((semundo_sem_t *)sem) ? (semundo_sem_t *)sem : NULL;
}

static int result(int r)
{
	if (r == 0)
		return 0;
	errno = -r;
	return -1;
}

/* ---- open and close -------------------------------------------------------------- */

/* SEMUNDO_PRELOAD_UNDO: 0 or OPEN_BINARY. */
static int policy(unsigned *ret)
{
	const char *text = getenv("SEMUNDO_PRELOAD_UNDO");
	if (!text || strcmp(text, "binary") == 0)
		*ret = OPEN_BINARY;
	else if (strcmp(text, "none") == 0)
		*ret = 0;
	else
		return -EINVAL;
	return 0;
}

/* The name is not ours. Is it the C library's? 0, or -ENOENT. */
static int open_real(sem_t **ret, const char *name, int oflag)
{
	sem_t *sem = real.open(name, 0);
	if (sem == SEM_FAILED)
		return errno == EACCES ? -EACCES : -ENOENT;
	if ((oflag & O_CREAT) && (oflag & O_EXCL)) {
		real.close(sem);
		return -EEXIST;
	}
	*ret = sem;
	return 0;
}

static int open_either(sem_t **ret, struct named_request *q, int oflag)
{
	unsigned flags = q->flags;
	semundo_sem_t *face;
	int r = -ENOENT;
	if (!(flags & SEMUNDO_EXCL)) {
		q->flags = 0;
		r = semundo__named_open(&face, q);
	}
	if (r == -ENOENT) {
		r = open_real(ret, q->name, oflag);
		if (r != -ENOENT || !(oflag & O_CREAT))
			return r;
		q->flags = flags;
		r = semundo__named_open(&face, q);
	}
	if (!r)
		*ret = (sem_t *)face;
	return r;
}

EXPORT sem_t *sem_open(const char *name, int oflag, ...)
{
	struct named_request q = { .name = name };
	sem_t *sem;
	unsigned undo;
	int r = policy(&undo);
	NEED(open);
	if (!r && (oflag & O_CREAT)) {
		va_list arguments;
		va_start(arguments, oflag);
		q.flags = SEMUNDO_CREATE | undo | (oflag & O_EXCL ? SEMUNDO_EXCL : 0u);
		q.mode = (mode_t)va_arg(arguments, unsigned) & (mode_t)(0777 & ~semundo__umask());
		q.value = va_arg(arguments, unsigned);
		va_end(arguments);
		if (q.value > SEMUNDO_SEM_VALUE_MAX)
			r = -EINVAL;
	}
	if (!r)
		r = open_either(&sem, &q, oflag);
	return result(r) ? SEM_FAILED : sem;
}

EXPORT int sem_close(sem_t *sem)
{
	NEED(close);
	return ours(sem) ? semundo_sem_close(ours(sem)) : real.close(sem);
}

EXPORT int sem_unlink(const char *name)
{
	NEED(unlink);
	int r = semundo__named_unlink(name);
	return r == -ENOENT ? real.unlink(name) : result(r);
}

/* ---- wait and post ---------------------------------------------------------------- */

EXPORT int sem_wait(sem_t *sem)
{
	NEED(wait);
	return ours(sem) ? semundo_sem_wait(ours(sem)) : real.wait(sem);
}

EXPORT int sem_trywait(sem_t *sem)
{
	NEED(trywait);
	return ours(sem) ? semundo_sem_trywait(ours(sem)) : real.trywait(sem);
}

EXPORT int sem_timedwait(sem_t *sem, const struct timespec *deadline)
{
	NEED(timedwait);
	return ours(sem) ? semundo_sem_timedwait(ours(sem), deadline) :
			   real.timedwait(sem, deadline);
}

EXPORT int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *deadline)
{
	NEED(clockwait);
	return ours(sem) ? semundo_sem_clockwait(ours(sem), clock, deadline) :
			   real.clockwait(sem, clock, deadline);
}

EXPORT int sem_post(sem_t *sem)
{
	NEED(post);
	return ours(sem) ? semundo_sem_post(ours(sem)) : real.post(sem);
}

EXPORT int sem_getvalue(sem_t *sem, int *value)
{
	NEED(getvalue);
	return ours(sem) ? semundo_sem_getvalue(ours(sem), value) : real.getvalue(sem, value);
}

/* ---- the end by its own will -------------------------------------------------------- */

/* What a process that ends so still has stays taken, as POSIX says: it may
 * have handed the task of posting to another one. */
__attribute__((destructor)) static void leave(void)
{
	semundo__named_abandon_all();
}

EXPORT __attribute__((noreturn)) void _exit(int status)
{
	NEED(exit);
	semundo__named_abandon_all();
	for (;;)
		real.exit(status);
}

EXPORT __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}
