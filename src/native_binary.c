/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary semaphore: a LOCK until it is used as a signal, from then on a
 * signal for good. The preload library makes them of sem_open(3)'s semaphores
 * that begin with 1, of which nobody says what they are for.
 *
 * The state is a LOCK's; SLOT_CAPACITY in place of the owner marks a signal.
 * Each transition is one CAS, and recovery (semundo__lock_leave) only touches
 * what the dead process owns.
 *
 *   free              value 1, nobody
 *   owned by slot s   value 0, s
 *   came back         value 1, nobody, dirty: an owner died, and nobody took it since
 *   signal            value 0 and up, SLOT_CAPACITY
 *
 *   wait     free or came back -> owned; signal -> signal, one less
 *   post     owned by the caller -> free
 *            owned by another    -> signal of 1 (the post that POSIX promises)
 *            free                -> signal of 2
 *            came back           -> signal of 1: without the undo it would be 0
 *            signal              -> signal, one more
 *   leave    owned by the caller, who closes it or ends by its own will
 *                                -> signal of 0, as POSIX says
 *   death    owned by the dead   -> came back
 */
#include <errno.h>

#include "error.h"
#include "native_binary.h"
#include "native_lane.h"
#include "platform/process.h"

static inline bool is_signal(uint64_t s)
{
	return state_slot(s) == SLOT_CAPACITY;
}

static uint64_t taken(uint64_t s, uint32_t slot)
{
	if (is_signal(s))
		return state_make(state_value(s) - 1, s & FLAGS, SLOT_CAPACITY, state_seq(s) + 1);
	return state_make(0, s & FLAGS_WAIT, slot, state_seq(s) + 1);
}

static int binary_try(semundo_t *base, unsigned n)
{
	struct native_sem *sem = native(base);
	uint32_t slot = load_acquire(&sem->att->slot); /* pairs with semundo__native_attach() */
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state); /* pairs with binary_release()'s CAS */
	for (unsigned tries = 0; n == 1 && tries < CAS_TRIES_MAX; tries++) {
		if (state_value(s) < 1 || (slot == SLOT_NOBODY && !is_signal(s)))
			break;
		if (cas_acq_rel(state, &s, taken(s, slot))) {
			POINT("lock:changed");
			return !is_signal(s) && (s & FLAG_DIRTY);
		}
	}
	return -EAGAIN;
}

static int binary_acquire_forever(semundo_t *base, unsigned n)
{
	int r = binary_try(base, n);
	return __builtin_expect(r >= 0, 1) ? r : semundo__acquire_slowly(base, n);
}

static uint64_t posted(uint64_t s, uint32_t slot)
{
	int32_t value = state_value(s);
	uint32_t seq = state_seq(s) + 1;
	if (slot != SLOT_NOBODY && value == 0 && state_slot(s) == slot)
		return state_make(1, s & FLAGS, SLOT_NOBODY, seq);
	if (!is_signal(s) && value == 1 && (s & FLAG_DIRTY))
		return state_make(1, s & FLAGS_WAIT, SLOT_CAPACITY, seq);
	return state_make(value + 1, s & FLAGS_WAIT, SLOT_CAPACITY, seq);
}

static int fail_release(struct native_sem *sem, int r)
{
	const char *why = "cannot release '%s': its value would pass its maximum";
	if (r == -EPERM)
		why = "cannot release '%s': it is a lock and has one unit only";
	else if (r == -EUCLEAN)
		why = "cannot release '%s': its file is damaged";
	return semundo__fail_static(r, why, &sem->base);
}

static int binary_post(struct native_sem *sem)
{
	uint32_t slot = load_acquire(&sem->att->slot);
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state);
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++) {
		if (state_value(s) >= VALUE_MAX)
			return fail_release(sem, -EOVERFLOW);
		if (cas_acq_rel(state, &s, posted(s, slot))) {
			POINT("lock:changed");
			if (s & FLAGS_WAIT)
				semundo__native_wake(sem, s, 1);
			return 0;
		}
	}
	return fail_release(sem, -EUCLEAN);
}

static int binary_release(semundo_t *base, unsigned n)
{
	return n == 1 ? binary_post(native(base)) : fail_release(native(base), -EPERM);
}

void semundo__binary_abandon(semundo_t *base)
{
	struct native_sem *sem = native(base);
	uint32_t slot = load_acquire(&sem->att->slot);
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state);
	/* Between vfork and exec the slot that we see is our parent's. */
	if (slot == SLOT_NOBODY || sem->att->pid != semundo__process_id())
		return;
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++) {
		if (state_value(s) != 0 || state_slot(s) != slot ||
		    cas_acq_rel(state, &s, state_make(0, s & FLAGS_WAIT, SLOT_CAPACITY, state_seq(s) + 1)))
			return;
	}
}

int64_t semundo__binary_value(semundo_t *base)
{
	uint64_t s = load_acquire(&native(base)->file->state);
	if (!is_signal(s) && state_value(s) == 1 && (s & FLAG_DIRTY))
		return 0;
	return state_value(s);
}

bool semundo__is_binary(const semundo_t *sem)
{
	return sem->ops == &semundo__binary_ops;
}

bool semundo__binary_is_signal(const struct native_sem *sem, uint64_t state)
{
	return sem->file->head.binary && is_signal(state);
}

static bool binary_blocked(struct native_sem *sem, uint64_t state, unsigned n)
{
	(void)sem;
	(void)n;
	return state_value(state) < 1;
}

static int binary_attempt(struct native_sem *sem, unsigned n)
{
	return binary_try(&sem->base, n);
}

static int binary_acquire(semundo_t *base, unsigned n, const struct wait_how *how)
{
	const struct wait_goal goal = { 1, binary_blocked, binary_attempt };
	struct native_sem *sem = native(base);
	if (n != 1)
		return semundo__fail(-ERANGE, "cannot acquire %u units of '%s' at once: it is a lock", n,
		                     semundo__name_of(base));
	int r = semundo__native_attach(sem);
	if (r && !is_signal(load_acquire(&sem->file->state)))
		return r;
	return semundo__native_wait(sem, &goal, how);
}

static int binary_wait_idle(semundo_t *base, const struct wait_how *how)
{
	(void)how;
	return semundo__fail(-ENOTSUP,
	                     "cannot wait until all units of '%s' are back: it may become a signal",
	                     semundo__name_of(base));
}

static int binary_resize(semundo_t *base, unsigned capacity)
{
	(void)capacity;
	return semundo__fail(-ENOTSUP, "cannot resize '%s': it is a lock, with one unit",
	                     semundo__name_of(base));
}

const struct sem_ops semundo__binary_ops = {
	.acquire_forever = binary_acquire_forever,
	.try_acquire = binary_try,
	.acquire = binary_acquire,
	.release = binary_release,
	.wait_idle = binary_wait_idle,
	.resize = binary_resize,
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
