/* SPDX-License-Identifier: Apache-2.0 */
/* This process's slot in a semaphore, more slots, and the private lock of its lane. */
#include <errno.h>
#include <signal.h>

#include "error.h"
#include "native_lane.h"
#include "platform/file.h"
#include "platform/process.h"
#include "platform/wait.h"

/* ---- sections --------------------------------------------------------------- */

FAST_THREAD_LOCAL struct sections semundo__sections;

#define SECTION_SPINS 200
#define SECTION_PAUSE (50 * NSEC_PER_USEC)

/* What is waited for is a few instructions from its end, unless preempted. */
static void section_pause(unsigned times)
{
	if (times < SECTION_SPINS && semundo__can_spin())
		cpu_relax();
	else
		semundo__pause(SECTION_PAUSE);
}

/* From now on all threads use `lock`. */
static void end_favour(struct attachment *att, uintptr_t thread)
{
	if (!cas_acq_rel(&att->favoured, &thread, FAVOUR_ENDING))
		return;
	semundo__fence_threads();
	for (unsigned i = 0; load_acquire(&att->busy); i++) /* pairs with section_exit() */
		section_pause(i);
	/* Pairs with section_wait(): what the favoured thread wrote is seen. */
	store_release(&att->favoured, FAVOUR_ENDED);
}

static bool try_lock(struct attachment *att)
{
	return load_relaxed(&att->lock) == 0 && exchange_acquire(&att->lock, 1) == 0;
}

__attribute__((noinline)) void semundo__section_wait(struct attachment *att)
{
	for (unsigned i = 0;; i++) {
		uintptr_t thread = load_acquire(&att->favoured);
		if (thread == FAVOUR_ENDED && try_lock(att))
			return;
		if (thread == FAVOUR_NOBODY &&
		    cas_acq_rel(&att->favoured, &thread, this_thread()))
			thread = this_thread();
		if (thread == this_thread() && section_enter_favoured(att))
			return;
		if (thread > FAVOUR_ENDING)
			end_favour(att, thread);
		else
			section_pause(i);
	}
}

/* Waits for nobody: what is not to be had at once is deferred. */
bool semundo__section_try(struct attachment *att)
{
	if (is_favoured(att))
		return !load_relaxed(&att->busy) && !load_relaxed(&att->lock) &&
		       section_enter_favoured(att);
	return load_acquire(&att->favoured) == FAVOUR_ENDED && try_lock(att);
}

/* Takes the last deferred release out: how many units, or 0. The look comes
 * after the mask: a handler before it may have done them all. */
static uint32_t take_deferred(struct native_sem **ret)
{
	struct sections *t = &semundo__sections;
	sigset_t all, saved;
	uint32_t units = 0;
	sigfillset(&all);
	POINT("section:drain");
	pthread_sigmask(SIG_BLOCK, &all, &saved);
	if (t->deferred) {
		t->deferred--;
		*ret = t->release[t->deferred].sem;
		units = t->release[t->deferred].units;
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return units;
}

/* Does what signal handlers left to this thread. */
__attribute__((cold, noinline)) void semundo__section_drain(void)
{
	struct native_sem *sem;
	uint32_t units;
	while ((units = take_deferred(&sem)))
		sem->base.ops->release(&sem->base, units);
}

/* ---- growing ------------------------------------------------------------------ */

#define GROW_SLOTS 64u

static void raise_reachable(struct native_sem *sem, uint32_t to)
{
	uint32_t known = load_relaxed(&sem->reachable);
	while (known < to && !cas_relaxed(&sem->reachable, &known, to))
		;
}

/* A file may claim slots whose memory is not there: see that it is, once. */
uint32_t semundo__native_slots(struct native_sem *sem)
{
	uint32_t known = load_relaxed(&sem->reachable);
	uint32_t claimed = load_acquire(&sem->file->slots); /* pairs with semundo__native_grow() */
	if (claimed > MAX_SLOTS)
		claimed = MAX_SLOTS;
	if (claimed <= known)
		return known;
	if (semundo__populate(&sem->file->slot[known], (claimed - known) * sizeof(struct sem_slot),
	                      !sem->base.read_only))
		return known;
	raise_reachable(sem, claimed);
	return load_relaxed(&sem->reachable);
}

int semundo__native_grow(struct native_sem *sem)
{
	uint32_t slots = semundo__native_slots(sem);
	uint32_t more = slots + GROW_SLOTS < MAX_SLOTS ? slots + GROW_SLOTS : MAX_SLOTS;
	if (slots == MAX_SLOTS)
		return -EUSERS;
	int r = semundo__populate(&sem->file->slot[slots], (more - slots) * sizeof(struct sem_slot),
	                          true);
	if (r)
		return r;
	POINT("grow:allocated"); /* killed here: memory of this file that the next one uses */
	/* Not `slots`: the count may have been scribbled back since it was read. */
	uint32_t claimed = load_relaxed(&sem->file->slots);
	if (claimed < more)
		cas_acq_rel(&sem->file->slots, &claimed, more);
	raise_reachable(sem, more);
	return 0;
}

/* ---- users -------------------------------------------------------------------- */

static int fail_attach(struct native_sem *sem, int r)
{
	const char *name = semundo__name_of(&sem->base);
	char peers[64];
	semundo__peers_name(peers, (uint32_t)sem->dir->member->user);
	if (r == -ESTALE)
		return semundo__fail(r,
		                     "cannot use '%s': '%s/%s' was removed or replaced while the "
		                     "semaphore was in use, so the dead cannot be told from the living; "
		                     "end the programs that use it, then remove it (semundo rm)",
		                     name, sem->dir->path, peers);
	if (r == -EUSERS)
		return semundo__fail(r,
		                     "cannot use '%s': too many processes or users are attached to it",
		                     name);
	if (r == -ENOSPC)
		return semundo__fail(r,
		                     "cannot use '%s': the filesystem of '%s' is full; free some space",
		                     name, sem->dir->path);
	return semundo__fail(r, "cannot use '%s': %s", name, semundo__reason(r));
}

/* A user word is set once, by CAS; killed after it: a user without processes. */
static int find_user(struct native_sem *sem, uint64_t user, uint32_t *ret)
{
	for (uint32_t i = 0; i < MAX_USERS; i++) {
		uint64_t *word = &sem->file->users[i];
		uint64_t found = load_acquire(word);
		if (found == 0 && cas_acq_rel(word, &found, user))
			found = user;
		/* A failed CAS left in `found` what another process wrote. */
		if (found == user) {
			*ret = i;
			return 0;
		}
		if ((uint32_t)found == (uint32_t)user)
			return -ESTALE;
	}
	return -EUSERS;
}

/* ---- the slot ------------------------------------------------------------------- */

static uint32_t slot_limit(struct native_sem *sem)
{
	uint32_t slots = semundo__native_slots(sem);
	uint32_t limit = TEST_LIMIT(max_slots, MAX_SLOTS);
	return slots < limit ? slots : limit;
}

/* Killed after the CAS: a dead owner that holds nothing, undone like any. */
static uint32_t claim_slot(struct native_sem *sem, uint64_t owner)
{
	uint32_t limit = slot_limit(sem);
	for (uint32_t slot = SLOT_FIRST; slot < limit; slot++) {
		uint64_t none = OWNER_FREE;
		uint64_t *word = &sem->file->slot[slot].owner;
		if (load_relaxed(word) == OWNER_FREE && cas_acq_rel(word, &none, owner))
			return slot;
	}
	return SLOT_NOBODY;
}

static unsigned undo_some(struct native_sem *sem)
{
	unsigned undone = 0;
	uint32_t limit = slot_limit(sem);
	for (uint32_t slot = SLOT_FIRST; slot < limit; slot++)
		undone += (unsigned)semundo__native_undo(sem, slot);
	return undone;
}

/* Others may take what was undone; so often only in a scribbled file. */
#define UNDO_ROUNDS 100u

static int find_slot(struct native_sem *sem, uint64_t owner, uint32_t *ret)
{
	for (unsigned rounds = 0; rounds < UNDO_ROUNDS;) {
		uint32_t slot = claim_slot(sem, owner);
		if (slot) {
			*ret = slot;
			return 0;
		}
		if (undo_some(sem)) {
			rounds++;
			continue;
		}
		int r = slot_limit(sem) == TEST_LIMIT(max_slots, MAX_SLOTS) ? -EUSERS :
									      semundo__native_grow(sem);
		if (r)
			return r;
	}
	return -EUSERS;
}

static void introduce(struct sem_slot *slot, uint32_t uid)
{
	uint64_t lane = load_relaxed(&slot->lane);
	store_relaxed(&slot->pid, semundo__process_id());
	store_relaxed(&slot->uid, uid);
	store_relaxed(&slot->attached, semundo__realtime());
	store_relaxed(&slot->waiting, 0);
	store_relaxed(&slot->waiting_since, 0);
	store_relaxed(&slot->wanted, 0);
	store_relaxed(&slot->mourned, 0);
	/* A free slot's lane holds nothing already, unless somebody scribbled. */
	store_release(&slot->lane, lane_make(0, 0, lane_seq(lane)));
}

static int attach(struct native_sem *sem)
{
	const struct membership *m = sem->dir->member;
	uint32_t user, slot;
	int r = semundo__join(sem->dir, false);
	if (r)
		return r;
	r = find_user(sem, m->user, &user);
	uint64_t owner = owner_make(OWNER_LIVE, user, m->record, m->generation);
	if (!r)
		r = find_slot(sem, owner, &slot);
	if (r)
		return fail_attach(sem, r);
	POINT("attach:claimed");
	introduce(&sem->file->slot[slot], (uint32_t)m->user);
	sem->att->owner = owner;
	sem->att->lock = 0;
	sem->att->busy = 0;
	sem->att->favoured = semundo__can_fence_threads() ? FAVOUR_NOBODY : FAVOUR_ENDED;
	store_relaxed(&sem->att->since, semundo__monotonic()); /* a SIGNAL's waiter may look */
	sem->att->pid = semundo__process_id();
	store_release(&sem->att->slot, slot); /* pairs with the fast paths */
	POINT("attach:done");
	return 0;
}

int semundo__native_attach(struct native_sem *sem)
{
	if (load_acquire(&sem->att->slot))
		return 0;
	semundo__big_lock();
	int r = load_acquire(&sem->att->slot) ? 0 : attach(sem);
	semundo__big_unlock();
	return r;
}

static void let_go(struct native_sem *sem, uint32_t slot)
{
	semundo_t *base = &sem->base;
	uint32_t held = lane_after(load_relaxed(&sem->file->slot[slot].lane));
	if (base->kind == SEMUNDO_LOCK)
		semundo__lock_leave(sem, slot, 0);
	else if (base->kind == SEMUNDO_PERMITS && held)
		base->ops->release(base, held);
}

void semundo__native_detach(struct native_sem *sem)
{
	uint32_t slot = load_acquire(&sem->att->slot);
	uint64_t owner = sem->att->owner;
	if (slot == SLOT_NOBODY)
		return;
	let_go(sem, slot);
	POINT("detach:empty");
	store_release(&sem->att->slot, SLOT_NOBODY);
	cas_acq_rel(&sem->file->slot[slot].owner, &owner, OWNER_FREE);
}
