/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acquire, release and wait: one semop(2) each, which the kernel does whole or
 * not at all, and undoes whole when the process dies.
 *
 * A wait without limit sleeps in the kernel. One with a limit uses
 * semtimedop(2), or polls where there is none. With a cancel token the sleeps
 * are short, since nothing but the set itself wakes a sleeper of semop(2).
 */
#include <errno.h>
#include <pthread.h>

#include "cancel.h"
#include "error.h"
#include "platform/wait.h"
#include "sysv.h"

#define SLICE_FIRST (50 * NSEC_PER_USEC)
#define SLICE_MAX (10 * NSEC_PER_MSEC)
#define RELEASE_MAX 16383u /* units: see semundo__sysv_release() */

/* ---- the operations --------------------------------------------------------------- */

/*
 * Acquires n, and takes off what was lost: with 0 of it this is a test that
 * nobody died since the last one was told. VALUE comes first: the kernel sleeps
 * on the first that has to wait, and looks at LOST when the units are there.
 */
static unsigned acquire_undo(struct sembuf *ops, unsigned n, unsigned lost, short wait)
{
	ops[0] = (struct sembuf){ SYSV_VALUE, (short)-n, (short)(SEM_UNDO | wait) };
	ops[1] = (struct sembuf){ SYSV_LOST, (short)-lost, IPC_NOWAIT };
	ops[2] = (struct sembuf){ SYSV_LOST, (short)n, 0 };
	ops[3] = (struct sembuf){ SYSV_LOST, (short)-n, SEM_UNDO };
	return 4;
}

static unsigned acquire_signal(struct sembuf *ops, unsigned n, short wait)
{
	ops[0] = (struct sembuf){ SYSV_VALUE, (short)-n, wait };
	ops[1] = (struct sembuf){ SYSV_ROOM, (short)n, 0 };
	return 2;
}

static unsigned acquire_raw(const struct sysv_sem *sem, struct sembuf *ops, unsigned n, short wait)
{
	short undo = sem->raw_undo ? SEM_UNDO : 0;
	ops[0] = (struct sembuf){ sem->number, (short)-n, (short)(undo | wait) };
	return 1;
}

/* Waits until all are there, and leaves them there. */
static unsigned all_at_once(const struct sysv_sem *sem, struct sembuf *ops, short wait)
{
	ops[0] = (struct sembuf){ SYSV_VALUE, (short)-sem->capacity, wait };
	ops[1] = (struct sembuf){ SYSV_VALUE, (short)sem->capacity, 0 };
	return 2;
}

/* ---- waiting ------------------------------------------------------------------------ */

struct waiter {
	struct sysv_sem *sem;
	const struct wait_how *how;
	unsigned n;      /* units; 0: for all to be back */
	const struct sembuf *all; /* raw: several at once, else null */
	unsigned count;           /* of them */
	unsigned lost;   /* to be taken off LOST */
	uint64_t slice;  /* ns of the next short sleep */
};

static bool tells(const struct waiter *w)
{
	return w->n && !w->sem->raw && sysv_has_undo(w->sem);
}

static unsigned copy_all(const struct waiter *w, struct sembuf *ops, short wait)
{
	for (unsigned i = 0; i < w->count; i++) {
		ops[i] = w->all[i];
		ops[i].sem_flg = (short)(ops[i].sem_flg | wait);
	}
	return w->count;
}

static int operate(struct waiter *w, short wait, uint64_t nanoseconds)
{
	struct sembuf ops[SEMUNDO_ALL_MAX > 4 ? SEMUNDO_ALL_MAX : 4];
	unsigned count;
	if (w->all)
		count = copy_all(w, ops, wait);
	else if (w->n == 0)
		count = all_at_once(w->sem, ops, wait);
	else if (w->sem->raw)
		count = acquire_raw(w->sem, ops, w->n, wait);
	else if (w->sem->base.kind == SEMUNDO_SIGNAL)
		count = acquire_signal(ops, w->n, wait);
	else
		count = acquire_undo(ops, w->n, w->lost, wait);
	return semundo__sysv_operate(w->sem->id, ops, count, nanoseconds);
}

/* Whether LOST is another than the one that w counts on. */
static bool lost_changed(struct waiter *w)
{
	int lost = tells(w) ? semundo__sysv_count(w->sem, GETVAL, SYSV_LOST) : 0;
	bool changed = lost >= 0 && (unsigned)lost != w->lost;
	if (changed)
		w->lost = (unsigned)lost;
	return changed;
}

static uint64_t next_slice(struct waiter *w)
{
	uint64_t slice = w->slice;
	w->slice = slice * 2 < SLICE_MAX ? slice * 2 : SLICE_MAX;
	return slice;
}

/* Whether a try would be in vain for sure: a look costs less than a try. */
static bool is_short(const struct waiter *w)
{
	unsigned need = w->n ? w->n : w->sem->capacity;
	int value = semundo__sysv_count(w->sem, GETVAL, w->sem->raw ? w->sem->number : SYSV_VALUE);
	return !w->all && value >= 0 && (unsigned)value < need;
}

/* Tries, and sleeps a little if that is in vain. */
static int poll_once(struct waiter *w, uint64_t left)
{
	if (!is_short(w)) {
		int r = operate(w, IPC_NOWAIT, NEVER);
		if (r != -EAGAIN || lost_changed(w))
			return r;
	}
	uint64_t slice = next_slice(w);
	return semundo__pause(slice < left ? slice : left) == -EINTR ? -EINTR : -EAGAIN;
}

/* A wait without any limit sleeps in the kernel everywhere. */
static bool polls(const struct waiter *w, uint64_t left)
{
	return !semundo__sysv_can_time() && (left != NEVER || w->how->cancel);
}

/* One sleep of at most `left` ns. */
static int sleep_once(struct waiter *w, uint64_t left)
{
	if (left == NEVER && !w->how->cancel)
		return operate(w, 0, NEVER);
	if (polls(w, left))
		return poll_once(w, left);
	uint64_t slice = w->how->cancel ? next_slice(w) : NEVER;
	return operate(w, 0, slice < left ? slice : left);
}

static uint64_t time_left(const struct waiter *w)
{
	uint64_t now = semundo__monotonic();
	if (w->how->deadline == NEVER)
		return NEVER;
	return w->how->deadline > now ? w->how->deadline - now : 0;
}

/* -EAGAIN says that the time of a sleep was up, or that LOST has changed;
 * -ERANGE is that too, if so much was lost that adding to it overflows. */
static int wait_loop(struct waiter *w)
{
	for (;;) {
		if (w->how->cancel && load_acquire(&w->how->cancel->cancelled))
			return -ECANCELED;
		uint64_t left = time_left(w);
		int r = left ? sleep_once(w, left) : operate(w, IPC_NOWAIT, NEVER);
		if (r == -EINTR && (w->how->flags & SEMUNDO_WAIT_EINTR))
			return r;
		if (r == -EINTR)
			continue;
		if (r != -EAGAIN && r != -ERANGE)
			return r;
		if (r == -EAGAIN && left && polls(w, left))
			continue; /* it has looked */
		if (!lost_changed(w) && (r == -ERANGE || !left))
			return r == -ERANGE ? r : -ETIMEDOUT;
	}
}

static int try_loop(struct waiter *w)
{
	int r;
	do
		r = operate(w, IPC_NOWAIT, NEVER);
	while (r == -EINTR || ((r == -EAGAIN || r == -ERANGE) && lost_changed(w)));
	return r;
}

/* Busy is no rare failure: its sentence is written only if it is read. */
static int fail_wait(const struct waiter *w, int r)
{
	const semundo_t *sem = &w->sem->base;
	bool idle = w->n == 0;
	switch (r) {
	case -EAGAIN:
		return semundo__fail_static(r, idle ? "not all units of '%s' are back" :
		                            "cannot acquire '%s' now: others hold what is asked for",
		                            sem);
	case -ETIMEDOUT:
		return semundo__fail_static(
			r, idle ? "not all units of '%s' were back when the time was up" :
				  "cannot acquire '%s': others still held it when the time was up", sem);
	case -ECANCELED:
		return semundo__fail_static(r, "cannot wait for '%s': the wait was cancelled", sem);
	case -EINTR:
		return semundo__fail_static(r, "cannot wait for '%s': a signal came", sem);
	default:
		return semundo__sysv_fail(w->sem, r);
	}
}

static int wait_with(struct waiter *w)
{
	int cancel_state;
	/* The thread may be asked to end (pthread_cancel), but not in here. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	int r = w->how->flags & SEMUNDO_WAIT_TRY ? try_loop(w) : wait_loop(w);
	pthread_setcancelstate(cancel_state, NULL);
	return r ? fail_wait(w, r) : 0;
}

static int wait_for(struct sysv_sem *sem, unsigned n, const struct wait_how *how,
                    unsigned *ret_lost)
{
	struct waiter w = { .sem = sem, .how = how, .n = n, .slice = SLICE_FIRST };
	int r = wait_with(&w);
	*ret_lost = w.lost;
	return r;
}

/* ---- acquire and release -------------------------------------------------------------- */

int semundo__sysv_try(semundo_t *base, unsigned n)
{
	(void)base;
	(void)n;
	return -EAGAIN;
}

/* A child whose parent could not be asked: counted at its first acquire. */
static int attach_late(struct sysv_sem *sem)
{
	if (sem->raw || load_acquire(&sem->user->attached))
		return 0;
	semundo__big_lock();
	int r = sem->user->attached ? 0 : semundo__sysv_attach(sem->id, false);
	if (!r)
		store_release(&sem->user->attached, 1);
	semundo__big_unlock();
	return r ? semundo__sysv_fail(sem, r) : 0;
}

int semundo__sysv_acquire(semundo_t *base, unsigned n, const struct wait_how *how)
{
	struct sysv_sem *sem = sysv(base);
	unsigned lost;
	if (n > sem->capacity)
		return semundo__fail(-ERANGE, "cannot acquire %u units of '%s': its %s is %u", n,
		                     semundo__name_of(base),
		                     base->kind == SEMUNDO_SIGNAL ? "maximum" : "capacity",
		                     sem->capacity);
	int r = attach_late(sem);
	if (!r)
		r = wait_for(sem, n, how, &lost);
	if (r)
		return r;
	POINT("sysv:acquired"); /* killed here: the kernel gives back what it counted */
	if (sysv_has_undo(sem))
		add_acq_rel(&sem->user->held, n);
	return lost > 0;
}

/* Raw semaphores of one set. */
int semundo__sysv_acquire_all(semundo_t *const *sems, const unsigned *units, unsigned count,
                              const struct wait_how *how)
{
	struct sembuf ops[SEMUNDO_ALL_MAX];
	struct sysv_sem *first = sysv(sems[0]);
	for (unsigned i = 0; i < count; i++) {
		struct sysv_sem *sem = sysv(sems[i]);
		if (sems[i]->engine != &semundo__sysv || sems[i]->read_only || !sem->raw ||
		    sem->id != first->id || units[i] > SYSV_VALUE_MAX)
			return -ENOTSUP;
		acquire_raw(sem, &ops[i], units[i], 0);
	}
	struct waiter w = { .sem = first, .how = how, .n = 1, .all = ops, .count = count,
		            .slice = SLICE_FIRST };
	int r = wait_with(&w);
	for (unsigned i = 0; i < count && !r; i++)
		if (sysv_has_undo(sysv(sems[i])))
			add_acq_rel(&sysv(sems[i])->user->held, units[i]);
	return r;
}

void semundo__sysv_tell_again(semundo_t *base)
{
	struct sembuf operation = { SYSV_LOST, 1, 0 };
	if (!sysv(base)->raw)
		semundo__sysv_operate(sysv(base)->id, &operation, 1, NEVER);
}

int semundo__sysv_wait_idle(semundo_t *base, const struct wait_how *how)
{
	unsigned lost;
	if (base->kind == SEMUNDO_SIGNAL || sysv(base)->raw)
		return semundo__fail(-ENOTSUP, "nothing of '%s' comes back: there is nothing to wait for",
		                     semundo__name_of(base));
	return wait_for(sysv(base), 0, how, &lost);
}

static int fail_release(struct sysv_sem *sem, int r)
{
	if (r == -EIDRM || r == -EINVAL)
		return semundo__fail_static(-EIDRM, "cannot release '%s': its System V set was removed",
		                            &sem->base);
	if (r == -ERANGE || r == -EAGAIN)
		return semundo__fail_static(-EOVERFLOW,
		                            "cannot release '%s': it is at its maximum already (which is "
		                            "at most 32767 for System V, SEMVMX, and cannot be raised)",
		                            &sem->base);
	return semundo__fail_static(r, "cannot release '%s': the system refused", &sem->base);
}

/*
 * The mirror image of an acquire. LOST may be so large that adding first would
 * overflow; then it is large enough to take first: one of the two goes, for n up
 * to half of the largest value.
 */
static int release_undo(struct sysv_sem *sem, unsigned n)
{
	struct sembuf add_first[] = {
		{ SYSV_VALUE, (short)n, SEM_UNDO },
		{ SYSV_LOST, (short)n, SEM_UNDO },
		{ SYSV_LOST, (short)-n, IPC_NOWAIT },
	};
	struct sembuf take_first[] = {
		{ SYSV_VALUE, (short)n, SEM_UNDO },
		{ SYSV_LOST, (short)-n, IPC_NOWAIT },
		{ SYSV_LOST, (short)n, SEM_UNDO },
	};
	int r = semundo__sysv_operate(sem->id, add_first, 3, NEVER);
	if (r == -ERANGE)
		r = semundo__sysv_operate(sem->id, take_first, 3, NEVER);
	if (r == -EAGAIN) /* somebody was told in between */
		r = semundo__sysv_operate(sem->id, add_first, 3, NEVER);
	return r;
}

static int release_other(struct sysv_sem *sem, unsigned n)
{
	struct sembuf ops[] = {
		{ SYSV_ROOM, (short)-n, IPC_NOWAIT },
		{ SYSV_VALUE, (short)n, 0 },
	};
	if (!sem->raw)
		return semundo__sysv_operate(sem->id, ops, 2, NEVER);
	ops[0] = (struct sembuf){ sem->number, (short)n, sem->raw_undo ? SEM_UNDO : 0 };
	return semundo__sysv_operate(sem->id, ops, 1, NEVER);
}

static bool take_from_held(struct sysv_sem *sem, unsigned n)
{
	uint32_t held = load_acquire(&sem->user->held);
	while (held >= n)
		if (cas_acq_rel(&sem->user->held, &held, held - n)) /* pairs with the acquire's add */
			return true;
	return false;
}

int semundo__sysv_release(semundo_t *base, unsigned n)
{
	struct sysv_sem *sem = sysv(base);
	int r = 0;
	if (!sysv_has_undo(sem)) {
		r = n > SYSV_VALUE_MAX ? -ERANGE : release_other(sem, n);
		return r ? fail_release(sem, r) : 0;
	}
	if (!take_from_held(sem, n))
		return semundo__fail_static(-EPERM,
		                            "cannot release '%s': this process does not hold so much", base);
	while (n && !r) {
		unsigned part = n < RELEASE_MAX ? n : RELEASE_MAX;
		r = sem->raw ? release_other(sem, part) : release_undo(sem, part);
		if (!r)
			n -= part;
	}
	POINT("sysv:released");
	if (r)
		add_acq_rel(&sem->user->held, n);
	return r ? fail_release(sem, r) : 0;
}
