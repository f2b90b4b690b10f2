/* SPDX-License-Identifier: Apache-2.0 */
/* Acquire, release and value of POSIX semaphores. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "atomics.h"
#include "cancel.h"
#include "error.h"
#include "observer.h"
#include "platform/wait.h"
#include "posix.h"

#define SLICE_FIRST (50 * NSEC_PER_USEC)
#define SLICE_MAX (10 * NSEC_PER_MSEC)
#define RELEASE_MAX 65535u /* posts, which are done one by one */
#define FAR (NEVER / 4) /* a wait until then is one without limit that a signal ends */

static int try_once(const struct posix_sem *sem)
{
	int r;
	do
		r = sem_trywait(sem->sem) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r;
}

/* ---- waiting ---------------------------------------------------------------------- */

/* Sleeps until that time; where there is no wait for it, a little, and tries. */
static int sleep_until(const struct posix_sem *sem, uint64_t until, uint64_t slice)
{
	int r = semundo__posix_wait(sem->sem, until < FAR ? until : FAR);
	if (r != -ENOTSUP)
		return r;
	r = try_once(sem);
	if (r != -EAGAIN)
		return r;
	uint64_t now = semundo__monotonic();
	uint64_t left = until > now ? until - now : 0;
	return semundo__pause(slice < left ? slice : left) == -EINTR ? -EINTR : -ETIMEDOUT;
}

/* With a cancel token the sleeps are short: nothing but a post ends one. */
static int wait_loop(const struct posix_sem *sem, const struct wait_how *how)
{
	for (uint64_t slice = SLICE_FIRST;; slice = slice * 2 < SLICE_MAX ? slice * 2 : SLICE_MAX) {
		uint64_t now = semundo__monotonic(), until = how->deadline;
		if (how->cancel && load_acquire(&how->cancel->cancelled))
			return -ECANCELED;
		if (now >= how->deadline)
			return try_once(sem) == 0 ? 0 : -ETIMEDOUT;
		if (how->cancel && until > now + slice)
			until = now + slice;
		int r = sleep_until(sem, until, slice);
		if (r == -EINTR && !(how->flags & SEMUNDO_WAIT_EINTR))
			continue;
		if (r != -ETIMEDOUT)
			return r;
	}
}

static int fail_wait(semundo_t *base, int r)
{
	switch (r) {
	case -EAGAIN:
		return semundo__fail_static(r, "cannot acquire '%s' now: its value is 0", base);
	case -ETIMEDOUT:
		return semundo__fail_static(r, "cannot acquire '%s': nobody posted until the time was up",
		                            base);
	case -ECANCELED:
		return semundo__fail_static(r, "cannot acquire '%s': the wait was cancelled", base);
	case -EINTR:
		return semundo__fail_static(r, "cannot acquire '%s': a signal came", base);
	default:
		return semundo__fail(r, "cannot acquire '%s': %s", base->name, semundo__reason(r));
	}
}

static int acquire(semundo_t *base, unsigned n, const struct wait_how *how)
{
	struct posix_sem *sem = posix(base);
	int cancel_state;
	if (n != 1)
		return semundo__fail(-ENOTSUP, "cannot acquire %u units of '%s': a POSIX semaphore gives "
		                               "one at a time", n, base->name);
	/* The waits are points of cancellation (pthread_cancel), and must not be. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	int r = try_once(sem);
	if (r == -EAGAIN && !(how->flags & SEMUNDO_WAIT_TRY))
		r = wait_loop(sem, how);
	pthread_setcancelstate(cancel_state, NULL);
	return r ? fail_wait(base, r) : 0;
}

static int try_acquire(semundo_t *base, unsigned n)
{
	return n == 1 ? try_once(posix(base)) : -EAGAIN;
}

/* ---- posting ---------------------------------------------------------------------- */

/* All or none is looked for before; other programs may post in between. */
static int release(semundo_t *base, unsigned n)
{
	int value, r = 0;
	if (n > RELEASE_MAX)
		return semundo__fail_static(-EINVAL, "cannot release so many units of '%s': they are "
		                                     "posted one by one, at most 65535", base);
	if (n > 1 && semundo__posix_value(posix(base)->sem, &value) == 0 && value > 0 &&
	    n > (unsigned)INT_MAX - (unsigned)value)
		r = -EOVERFLOW;
	while (!r && n--)
		r = sem_post(posix(base)->sem) < 0 ? -errno : 0;
	if (r == -EOVERFLOW)
		return semundo__fail_static(r, "cannot release '%s': it is at its maximum already", base);
	return r ? semundo__fail_static(r, "cannot release '%s': the system refused", base) : 0;
}

/* ---- looking ------------------------------------------------------------------------ */

static int get_value(semundo_t *base, int64_t *ret)
{
	int value, r = semundo__posix_value(posix(base)->sem, &value);
	if (r)
		return semundo__fail(r, "the value of '%s' cannot be had: %s", base->name,
		                     semundo__reason(r));
	*ret = value > 0 ? value : 0;
	return 0;
}

static int held(semundo_t *base, unsigned *ret)
{
	(void)base;
	*ret = 0;
	return 0;
}

static int info(semundo_t *base, struct semundo_info *ret)
{
	struct posix_sem *sem = posix(base);
	struct semundo_info i = { .size = ret->size };
	int r = get_value(base, &i.value);
	if (r)
		return r;
	memcpy(i.name, base->name, sizeof(i.name));
	snprintf(i.engine, sizeof(i.engine), "%s", base->engine->name);
	i.kind = base->kind;
	i.capacity = INT_MAX;
	i.mode = sem->file.mode;
	i.uid = sem->file.uid;
	i.inode = base->inode;
	i.created = sem->file.created;
	*ret = i;
	return 0;
}

static int lacks(const semundo_t *base)
{
	return semundo__fail(-ENOTSUP, "'%s' is a POSIX semaphore, which has a value and nothing else",
	                     base->name);
}

static int no_wait_idle(semundo_t *base, const struct wait_how *how)
{
	(void)how;
	return lacks(base);
}

static int no_resize(semundo_t *base, unsigned capacity)
{
	(void)capacity;
	return lacks(base);
}

static int no_peers(semundo_t *base, struct semundo_peer **ret)
{
	(void)ret;
	return lacks(base);
}

static int no_deaths(semundo_t *base, struct semundo_death *ret, unsigned max)
{
	(void)ret;
	(void)max;
	return lacks(base);
}

static int nothing_to_recover(semundo_t *base)
{
	(void)base;
	return 0;
}

static int no_descriptor(semundo_t *base, int *ret_fd)
{
	(void)ret_fd;
	return lacks(base);
}

static int no_describe(semundo_t *base, pid_t for_pid, const char *command)
{
	(void)for_pid;
	(void)command;
	return lacks(base);
}

const struct sem_ops semundo__posix_ops = {
	.acquire_forever = semundo__acquire_slowly,
	.try_acquire = try_acquire,
	.acquire = acquire,
	.release = release,
	.wait_idle = no_wait_idle,
	.resize = no_resize,
	.value = get_value,
	.held = held,
	.info = info,
	.peers = no_peers,
	.deaths = no_deaths,
	.recover = nothing_to_recover,
	.descriptor = no_descriptor,
	.hold_descriptor = no_descriptor,
	.describe = no_describe,
	.destroy = semundo__posix_destroy,
};

/* ---- who may only look ------------------------------------------------------------------ */

const struct sem_ops semundo__posix_observer_ops = {
	.acquire_forever = semundo__acquire_slowly,
	.try_acquire = semundo__observer_try,
	.acquire = semundo__observer_acquire,
	.release = semundo__observer_number,
	.wait_idle = semundo__observer_wait_idle,
	.resize = semundo__observer_number,
	.value = get_value,
	.held = held,
	.info = info,
	.peers = no_peers,
	.deaths = no_deaths,
	.recover = semundo__observer_recover,
	.descriptor = no_descriptor,
	.hold_descriptor = semundo__observer_descriptor,
	.describe = semundo__observer_describe,
	.destroy = semundo__posix_destroy,
};
