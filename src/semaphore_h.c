/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of <semundo/semaphore.h>: results as POSIX has them. */
#include "semaphore_h.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>

#include "error.h"
#include "native_binary.h"
#include "platform/process.h"
#include "wait_how.h"

static int result(int r)
{
	if (__builtin_expect(r >= 0, 1))
		return 0;
	errno = r == -EUCLEAN ? EINVAL : -r;
	return -1;
}

semundo_sem_t *semundo_sem_open(const char *name, int oflag, ...)
{
	struct named_request q = { .name = name };
	semundo_sem_t *sem = SEMUNDO_SEM_FAILED;
	int r = 0;
	if (oflag & O_CREAT) {
		va_list arguments;
		va_start(arguments, oflag);
		q.flags = SEMUNDO_CREATE | (oflag & O_EXCL ? SEMUNDO_EXCL : 0u);
		/* A mode_t that is shorter than an int comes as an int. */
		q.mode = (mode_t)va_arg(arguments, unsigned);
		q.value = va_arg(arguments, unsigned);
		va_end(arguments);
		q.mode &= (mode_t)(0777 & ~semundo__umask());
		if (q.value > SEMUNDO_SEM_VALUE_MAX)
			r = semundo__fail(-EINVAL, "a first value of %u is above the maximum of %d",
			                  q.value, SEMUNDO_SEM_VALUE_MAX);
	}
	if (!r)
		r = semundo__named_open(&sem, &q);
	return result(r) ? SEMUNDO_SEM_FAILED : sem;
}

int semundo_sem_close(semundo_sem_t *sem)
{
	return result(is_named(sem) ? semundo__named_close(sem) : -EINVAL);
}

int semundo_sem_unlink(const char *name)
{
	return result(semundo__named_unlink(name));
}

int semundo_sem_init(semundo_sem_t *sem, int pshared, unsigned value)
{
	return result(is_named(sem) ? -EINVAL : semundo__memory_init(sem, pshared != 0, value));
}

int semundo_sem_destroy(semundo_sem_t *sem)
{
	return result(is_named(sem) ? -EINVAL : semundo__memory_destroy(sem));
}

/* ---- wait and post -------------------------------------------------------------- */

/* The handle of a named semaphore, or null where it is closed. */
static semundo_t *handle_of(semundo_sem_t *sem)
{
	return load_acquire(&((union named_entry *)sem)->named.sem);
}

static int wait_for(semundo_sem_t *sem, const struct wait_how *how)
{
	if (!is_named(sem))
		return semundo__memory_wait(sem, how);
	semundo_t *named = handle_of(sem);
	if (!named)
		return -EINVAL;
	int r = named->ops->try_acquire(named, 1);
	return r >= 0 ? r : named->ops->acquire(named, 1, how);
}

#define BLOCKING (SEMUNDO_WAIT_EINTR | WAIT_RESTARTS | WAIT_CANCELS)

int semundo_sem_wait(semundo_sem_t *sem)
{
	static const struct wait_how forever = { NEVER, BLOCKING, NULL, 0 };
	pthread_testcancel();
	return result(wait_for(sem, &forever));
}

int semundo_sem_trywait(semundo_sem_t *sem)
{
	static const struct wait_how try_only = { NEVER, SEMUNDO_WAIT_TRY, NULL, 0 };
	return result(wait_for(sem, &try_only));
}

static uint64_t nanoseconds_of(const struct timespec *ts)
{
	if (ts->tv_sec < 0)
		return 0;
	if ((uint64_t)ts->tv_sec >= NEVER / NSEC_PER_SEC / 2)
		return NEVER;
	return (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
}

int semundo_sem_clockwait(semundo_sem_t *sem, clockid_t clock, const struct timespec *deadline)
{
	struct wait_how how = { NEVER, BLOCKING, NULL, 0 };
	pthread_testcancel();
	if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) || deadline->tv_nsec < 0 ||
	    deadline->tv_nsec >= (long)NSEC_PER_SEC)
		return result(-EINVAL);
	if (clock == CLOCK_REALTIME)
		how.flags |= WAIT_REALTIME;
	how.deadline = nanoseconds_of(deadline);
	return result(wait_for(sem, &how));
}

int semundo_sem_timedwait(semundo_sem_t *sem, const struct timespec *deadline)
{
	return semundo_sem_clockwait(sem, CLOCK_REALTIME, deadline);
}

int semundo_sem_post(semundo_sem_t *sem)
{
	if (!is_named(sem))
		return result(semundo__memory_post(sem));
	semundo_t *named = handle_of(sem);
	return result(named ? named->ops->release(named, 1) : -EINVAL);
}

static int named_value(semundo_t *named, int *ret)
{
	int64_t value;
	int r = 0;
	if (semundo__is_binary(named))
		value = semundo__binary_value(named);
	else
		r = named->ops->value(named, &value);
	if (!r)
		*ret = value > 0 ? (int)value : 0;
	return r;
}

int semundo_sem_getvalue(semundo_sem_t *sem, int *ret_value)
{
	if (!is_named(sem))
		return result(semundo__memory_value(sem, ret_value));
	semundo_t *named = handle_of(sem);
	return result(named ? named_value(named, ret_value) : -EINVAL);
}
