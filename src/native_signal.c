/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGNAL: a value that anybody may raise and lower; nothing is undone. One CAS
 * each way. The low half of the state, on which waiters sleep, is a sequence:
 * every change is seen.
 */
#include <errno.h>

#include "error.h"
#include "native_lane.h"

__attribute__((always_inline)) static inline int take(struct native_sem *sem, unsigned n)
{
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state); /* pairs with signal_release()'s CAS */
	if (n == 0)
		return -EAGAIN;
	for (unsigned tries = 0; signal_value(s) >= n && tries < CAS_TRIES_MAX; tries++)
		if (cas_acq_rel(state, &s, signal_make(signal_value(s) - n, s, s & FLAGS))) {
			POINT("signal:changed");
			return 0;
		}
	return -EAGAIN;
}

static int signal_try(semundo_t *base, unsigned n)
{
	return take(native(base), n);
}

static int signal_acquire_forever(semundo_t *base, unsigned n)
{
	int r = take(native(base), n);
	return __builtin_expect(r >= 0, 1) ? r : semundo__acquire_slowly(base, n);
}

static int fail_release(struct native_sem *sem, int r)
{
	const char *why = "cannot release '%s': its value would pass its maximum";
	if (r == -EUCLEAN)
		why = "cannot release '%s': its file is damaged";
	return semundo__fail_static(r, why, &sem->base);
}

static int signal_release(semundo_t *base, unsigned n)
{
	struct native_sem *sem = native(base);
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state);
	uint32_t max = load_relaxed(&sem->file->head.max);
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++) {
		if ((uint64_t)signal_value(s) + n > max)
			return fail_release(sem, -EOVERFLOW);
		if (cas_acq_rel(state, &s, signal_make(signal_value(s) + n, s, s & FLAGS))) {
			POINT("signal:changed");
			if (s & FLAGS_WAIT)
				semundo__native_wake(sem, s, n);
			return 0;
		}
	}
	return fail_release(sem, -EUCLEAN);
}

static bool signal_blocked(struct native_sem *sem, uint64_t state, unsigned n)
{
	(void)sem;
	return signal_value(state) < n;
}

static int signal_attempt(struct native_sem *sem, unsigned n)
{
	return signal_try(&sem->base, n);
}

static int signal_acquire(semundo_t *base, unsigned n, const struct wait_how *how)
{
	const struct wait_goal goal = { n, signal_blocked, signal_attempt };
	struct native_sem *sem = native(base);
	if (n > load_relaxed(&sem->file->head.max))
		return semundo__fail(-ERANGE, "cannot acquire %u units of '%s': its maximum is %u", n,
		                     semundo__name_of(base), load_relaxed(&sem->file->head.max));
	/* A slot only shows who waits: a signal works without. */
	if (!(how->flags & SEMUNDO_WAIT_TRY) && signal_blocked(sem, load_acquire(&sem->file->state), n))
		(void)semundo__native_attach(sem);
	return semundo__native_wait(sem, &goal, how);
}

static int signal_wait_idle(semundo_t *base, const struct wait_how *how)
{
	(void)how;
	return semundo__fail(-ENOTSUP,
	                     "cannot wait until all units of '%s' are back: it is a signal, of "
	                     "which nobody holds units",
	                     semundo__name_of(base));
}

static int signal_resize(semundo_t *base, unsigned capacity)
{
	(void)capacity;
	return semundo__fail(-ENOTSUP, "cannot resize '%s': it is a signal, without a capacity",
	                     semundo__name_of(base));
}

const struct sem_ops semundo__signal_ops = {
	.acquire_forever = signal_acquire_forever,
	.try_acquire = signal_try,
	.acquire = signal_acquire,
	.release = signal_release,
	.wait_idle = signal_wait_idle,
	.resize = signal_resize,
	.value = semundo__native_value,
	.held = semundo__native_held,
	.info = semundo__native_info,
	.peers = semundo__native_peers,
	.deaths = semundo__native_deaths,
	.recover = semundo__native_recover,
	.descriptor = semundo__native_descriptor,
	.hold_descriptor = semundo__native_hold_descriptor,
	.describe = semundo__native_describe,
	.destroy = semundo__native_destroy,
};
