/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LOCK: while the value is 0, the slot in the state is the owner. Acquiring
 * and releasing are one CAS each: killed before it nothing happened, killed
 * after it the state says all that recovery needs.
 */
#include <errno.h>

#include "error.h"
#include "native_lane.h"

__attribute__((always_inline)) static inline int take(struct native_sem *sem, unsigned n)
{
	uint32_t slot = load_acquire(&sem->att->slot); /* pairs with semundo__native_attach() */
	if (slot == SLOT_NOBODY || n != 1)
		return -EAGAIN;
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state); /* pairs with lock_release()'s CAS */
	for (unsigned tries = 0; state_value(s) == 1 && tries < CAS_TRIES_MAX; tries++) {
		uint64_t next = state_make(0, s & FLAGS_WAIT, slot, state_seq(s) + 1);
		if (cas_acq_rel(state, &s, next)) {
			POINT("lock:changed");
			return (s & FLAG_DIRTY) != 0;
		}
	}
	return -EAGAIN;
}

static int lock_try(semundo_t *base, unsigned n)
{
	return take(native(base), n);
}

static int lock_acquire_forever(semundo_t *base, unsigned n)
{
	int r = take(native(base), n);
	return __builtin_expect(r >= 0, 1) ? r : semundo__acquire_slowly(base, n);
}

static int fail_release(struct native_sem *sem, int r)
{
	const char *why = "cannot release '%s': it is not held";
	if (r == -EPERM)
		why = "cannot release '%s': it is a lock and has one unit only";
	else if (r == -EUCLEAN)
		why = "cannot release '%s': its file is damaged";
	return semundo__fail_static(r, why, &sem->base);
}

static int lock_release(semundo_t *base, unsigned n)
{
	struct native_sem *sem = native(base);
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state);
	if (n != 1)
		return fail_release(sem, -EPERM);
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++) {
		if (state_value(s) != 0)
			return fail_release(sem, -EOVERFLOW);
		uint64_t next = state_make(1, s & FLAGS, SLOT_NOBODY, state_seq(s) + 1);
		if (cas_acq_rel(state, &s, next)) {
			POINT("lock:changed");
			if (s & FLAGS_WAIT)
				semundo__native_wake(sem, s, 1);
			return 0;
		}
	}
	return fail_release(sem, -EUCLEAN);
}

void semundo__lock_leave(struct native_sem *sem, uint32_t slot, uint64_t flags)
{
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state);
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++) {
		if (state_value(s) != 0 || state_slot(s) != slot)
			return; /* another process released it in its stead */
		uint64_t next = state_make(1, (s & FLAGS) | flags, SLOT_NOBODY, state_seq(s) + 1);
		if (cas_acq_rel(state, &s, next)) {
			POINT("lock:changed");
			if (s & FLAGS_WAIT)
				semundo__native_wake(sem, s, 1);
			return;
		}
	}
}

static bool lock_blocked(struct native_sem *sem, uint64_t state, unsigned n)
{
	(void)sem;
	(void)n;
	return state_value(state) != 1;
}

static int lock_attempt(struct native_sem *sem, unsigned n)
{
	return lock_try(&sem->base, n);
}

static int lock_acquire(semundo_t *base, unsigned n, const struct wait_how *how)
{
	const struct wait_goal goal = { 1, lock_blocked, lock_attempt };
	if (n != 1)
		return semundo__fail(-ERANGE,
		                     "cannot acquire %u units of '%s': it is a lock, with one unit", n,
		                     semundo__name_of(base));
	int r = semundo__native_attach(native(base));
	return r ? r : semundo__native_wait(native(base), &goal, how);
}

static int idle_attempt(struct native_sem *sem, unsigned n)
{
	return lock_blocked(sem, load_acquire(&sem->file->state), n) ? -EAGAIN : 0;
}

static int lock_wait_idle(semundo_t *base, const struct wait_how *how)
{
	const struct wait_goal goal = { 0, lock_blocked, idle_attempt };
	int r = semundo__native_attach(native(base));
	return r ? r : semundo__native_wait(native(base), &goal, how);
}

static int lock_resize(semundo_t *base, unsigned capacity)
{
	(void)capacity;
	return semundo__fail(-ENOTSUP, "cannot resize '%s': it is a lock, with one unit",
	                     semundo__name_of(base));
}

const struct sem_ops semundo__lock_ops = {
	.acquire_forever = lock_acquire_forever,
	.try_acquire = lock_try,
	.acquire = lock_acquire,
	.release = lock_release,
	.wait_idle = lock_wait_idle,
	.resize = lock_resize,
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
	.tell_again = semundo__native_tell_again,
};
