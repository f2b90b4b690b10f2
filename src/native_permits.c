/* SPDX-License-Identifier: Apache-2.0 */
/* PERMITS: value + the sum of what all hold == capacity. */
#include <errno.h>
#include <signal.h>

#include "error.h"
#include "native_lane.h"
#include "platform/wait.h"

__attribute__((always_inline)) static inline int take(struct native_sem *sem, unsigned n)
{
	struct attachment *att = sem->att;
	const struct lane_change change = { .held = (int32_t)n,
		                            .value = -(int32_t)n,
		                            .need = (int32_t)n,
		                            .clear = FLAG_DIRTY };
	uint32_t slot = load_acquire(&att->slot); /* pairs with semundo__native_attach() */
	uint64_t old;
	if (slot == SLOT_NOBODY || n - 1 >= (unsigned)VALUE_MAX)
		return -EAGAIN;
	section_enter(att);
	int r = lane_operation(sem, slot, &change, &old);
	section_exit(att);
	return r ? r : (old & FLAG_DIRTY) != 0;
}

static int permits_try(semundo_t *base, unsigned n)
{
	int r = take(native(base), n);
	return r < 0 ? -EAGAIN : r;
}

static int permits_acquire_forever(semundo_t *base, unsigned n)
{
	int r = take(native(base), n);
	return __builtin_expect(r >= 0, 1) ? r : semundo__acquire_slowly(base, n);
}

static bool permits_blocked(struct native_sem *sem, uint64_t state, unsigned n)
{
	(void)sem;
	return state_value(state) < (int32_t)n;
}

static int give(struct native_sem *sem, uint32_t slot, unsigned n, uint64_t *ret_old)
{
	if (lane_after(load_relaxed(&sem->file->slot[slot].lane)) < n)
		return -EPERM;
	const struct lane_change change = { .held = -(int32_t)n,
		                            .value = (int32_t)n,
		                            .need = INT32_MIN };
	int r = lane_operation(sem, slot, &change, ret_old);
	return r == -EOVERFLOW ? -EUCLEAN : r; /* not in a file that is sound */
}

/* In a signal handler that interrupted a section: for later. */
static int defer(struct native_sem *sem, unsigned n)
{
	struct sections *t = &semundo__sections;
	sigset_t all, saved;
	uint64_t l = load_relaxed(&sem->file->slot[load_relaxed(&sem->att->slot)].lane);
	uint32_t held = lane_before(l) < lane_after(l) ? lane_before(l) : lane_after(l);
	int r = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &saved);
	unsigned i = 0;
	while (i < t->deferred && t->release[i].sem != sem)
		i++;
	uint32_t already = i < t->deferred ? t->release[i].units : 0;
	if (held < already + n) {
		r = -EPERM;
	} else if (i == DEFERRED_MAX) {
		r = -EAGAIN;
	} else {
		t->release[i].sem = sem;
		t->release[i].units = already + n;
		if (i == t->deferred)
			t->deferred = i + 1;
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return r;
}

static int fail_release(struct native_sem *sem, int r)
{
	const char *why = "cannot release '%s': its file is damaged";
	if (r == -EPERM)
		why = "cannot release '%s': this process does not hold that many units of it";
	else if (r == -EAGAIN)
		why = "cannot release '%s': too many releases in one signal handler";
	return semundo__fail_static(r, why, &sem->base);
}

static int permits_release(semundo_t *base, unsigned n)
{
	struct native_sem *sem = native(base);
	struct attachment *att = sem->att;
	uint32_t slot = load_acquire(&att->slot);
	uint64_t old = 0;
	int r;
	if (slot == SLOT_NOBODY || n > (unsigned)VALUE_MAX)
		return fail_release(sem, -EPERM);
	if (__builtin_expect(semundo__sections.depth == 0, 1)) {
		section_enter(att);
	} else if (!section_try_enter(att)) {
		r = defer(sem, n);
		return r ? fail_release(sem, r) : 0;
	}
	r = give(sem, slot, n, &old);
	section_exit(att);
	if (r)
		return fail_release(sem, r);
	if (old & FLAGS_WAIT)
		semundo__native_wake(sem, old, n);
	return 0;
}

uint32_t semundo__permits_capacity(struct native_sem *sem, uint64_t state)
{
	uint64_t lane = load_acquire(&sem->file->slot[SLOT_CAPACITY].lane);
	return lane_held(lane, SLOT_CAPACITY, state);
}

/* ---- resize ---- */

#define RESIZE_PATIENCE (1 * NSEC_PER_SEC)

/* The capacity's slot is claimed like a dead one: by whoever is at work. */
static int claim_capacity(struct native_sem *sem)
{
	uint64_t *owner = &sem->file->slot[SLOT_CAPACITY].owner;
	uint64_t give_up = semundo__monotonic() + TEST_LIMIT(resize_patience, RESIZE_PATIENCE);
	for (;;) {
		uint64_t free_slot = OWNER_FREE;
		if (cas_acq_rel(owner, &free_slot, sem->att->owner)) {
			POINT("resize:claimed");
			return 0;
		}
		bool undone = semundo__native_undo(sem, SLOT_CAPACITY);
		if (semundo__monotonic() > give_up)
			return -EBUSY;
		if (!undone)
			semundo__pause(100 * NSEC_PER_USEC);
	}
}

static int change_capacity(struct native_sem *sem, unsigned capacity)
{
	uint32_t now = lane_after(load_relaxed(&sem->file->slot[SLOT_CAPACITY].lane));
	int32_t by = (int32_t)capacity - (int32_t)now;
	const struct lane_change change = { .held = by, .value = by, .need = INT32_MIN };
	uint64_t old = 0;
	int r = by ? lane_operation(sem, SLOT_CAPACITY, &change, &old) : 0;
	/* A smaller capacity may be what somebody waits for in wait_idle. */
	if (!r && by)
		semundo__native_wake_all(sem);
	return r;
}

int semundo__permits_resize(semundo_t *base, unsigned capacity)
{
	struct native_sem *sem = native(base);
	if (capacity < 1 || capacity > SEMUNDO_PERMITS_MAX)
		return semundo__fail(-ERANGE,
		                     "cannot give '%s' a capacity of %u: it may be 1 to %d",
		                     semundo__name_of(base), capacity, SEMUNDO_PERMITS_MAX);
	int r = semundo__native_attach(sem);
	if (r)
		return r;
	/* Two threads of one process have the same owner word: one at a time. */
	semundo__big_lock();
	r = claim_capacity(sem);
	if (!r) {
		r = change_capacity(sem, capacity);
		store_release(&sem->file->slot[SLOT_CAPACITY].owner, OWNER_FREE);
	}
	semundo__big_unlock();
	if (r == -EBUSY)
		return semundo__fail(r,
		                     "cannot resize '%s': another process has been in the middle of a "
		                     "resize for a second; is it stopped?",
		                     semundo__name_of(base));
	if (r)
		return semundo__fail(r, "cannot resize '%s': its file is damaged",
		                     semundo__name_of(base));
	return 0;
}

/* ---- waiting ---- */

/* Units are free, but our lane cannot hold them: scribbled. Not -EAGAIN, which
 * would be tried again for ever. */
static int permits_attempt(struct native_sem *sem, unsigned n)
{
	int r = take(sem, n);
	return r == -EOVERFLOW ? -EUCLEAN : r;
}

static const struct wait_goal *permits_goal(unsigned n, struct wait_goal *goal)
{
	*goal = (struct wait_goal){ n, permits_blocked, permits_attempt };
	return goal;
}

static bool too_many(struct native_sem *sem, unsigned n)
{
	return n > semundo__permits_capacity(sem, load_acquire(&sem->file->state));
}

static int permits_acquire(semundo_t *base, unsigned n, const struct wait_how *how)
{
	struct native_sem *sem = native(base);
	struct wait_goal goal;
	if (too_many(sem, n))
		return semundo__fail(-ERANGE, "cannot acquire %u units of '%s': its capacity is %u", n,
		                     semundo__name_of(base),
		                     semundo__permits_capacity(sem, load_acquire(&sem->file->state)));
	int r = semundo__native_attach(sem);
	return r ? r : semundo__native_wait(sem, permits_goal(n, &goal), how);
}

static bool idle_blocked(struct native_sem *sem, uint64_t state, unsigned n)
{
	(void)n;
	return state_value(state) < (int32_t)semundo__permits_capacity(sem, state);
}

static int idle_attempt(struct native_sem *sem, unsigned n)
{
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++) {
		uint64_t s = load_acquire(&sem->file->state);
		bool blocked = idle_blocked(sem, s, n);
		if (load_acquire(&sem->file->state) == s)
			return blocked ? -EAGAIN : 0;
	}
	return -EAGAIN;
}

static int permits_wait_idle(semundo_t *base, const struct wait_how *how)
{
	const struct wait_goal goal = { 0, idle_blocked, idle_attempt };
	int r = semundo__native_attach(native(base));
	return r ? r : semundo__native_wait(native(base), &goal, how);
}

const struct sem_ops semundo__permits_ops = {
	.acquire_forever = permits_acquire_forever,
	.try_acquire = permits_try,
	.acquire = permits_acquire,
	.release = permits_release,
	.wait_idle = permits_wait_idle,
	.resize = semundo__permits_resize,
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
