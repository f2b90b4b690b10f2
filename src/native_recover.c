/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoing a dead process: its slot is claimed by CAS, its operation settled,
 * its units given back by the same recoverable operation in the same lane, its
 * slot freed. Killed at any point: the owner word names the recoverer, and the
 * next one takes over and finds each step done or not done.
 */
#include <errno.h>

#include "error.h"
#include "native_lane.h"
#include "platform/wait.h"

uint64_t semundo__native_user(const struct native_sem *sem, uint64_t owner)
{
	return load_acquire(&sem->file->users[owner_user(owner)]);
}

uint32_t semundo__native_held_by(struct native_sem *sem, uint32_t slot, uint64_t state)
{
	if (sem->base.kind == SEMUNDO_LOCK)
		return state_value(state) == 0 && state_slot(state) == slot;
	if (sem->base.kind == SEMUNDO_SIGNAL)
		return 0;
	return lane_held(load_acquire(&sem->file->slot[slot].lane), slot, state);
}

/* ---- the record of deaths --------------------------------------------------- */

static uint64_t number_of(uint64_t key)
{
	return key >> 38;
}

/* Writes the record of that number; false: the number is another death's. */
static bool write_death(struct native_sem *sem, const struct sem_slot *slot, uint64_t number,
                        uint32_t units)
{
	struct sem_death *d = &sem->file->death[number % KEPT_DEATHS];
	uint64_t key = death_make(number, units, load_relaxed(&slot->pid));
	uint64_t old = load_acquire(&d->key);
	if (number_of(old) == number_of(key) || !cas_acq_rel(&d->key, &old, key))
		return false;
	store_relaxed(&d->when, semundo__realtime());
	store_relaxed(&d->uid, load_relaxed(&slot->uid));
	return true;
}

/* Whether a recoverer before us, since dead, wrote the record. */
static bool is_written(struct native_sem *sem, const struct sem_slot *slot, uint32_t units)
{
	uint32_t number = load_relaxed(&slot->mourned);
	uint64_t key = load_acquire(&sem->file->death[number % KEPT_DEATHS].key);
	return number && key == death_make(number, units, load_relaxed(&slot->pid));
}

/* Each failure means that another death got the number; a scribbler makes more. */
#define MOURN_TRIES 1000u

/*
 * Once per death, whoever recovers and is killed: the slot keeps the number
 * that was tried, written before the record is. The count of deaths goes up
 * after the record; who finds a record without its count helps. Such a record
 * has the next number: with any other it is counted (or scribbled).
 */
static void mourn(struct native_sem *sem, uint32_t slot_number, uint32_t units)
{
	struct sem_slot *slot = &sem->file->slot[slot_number];
	uint64_t *deaths = &sem->file->deaths;
	bool done = is_written(sem, slot, units);
	for (unsigned tries = 0; tries < MOURN_TRIES; tries++) {
		uint64_t count = load_acquire(deaths);
		uint64_t number = count + 1;
		if (done && load_relaxed(&slot->mourned) != (uint32_t)number)
			return;
		if (!done) {
			store_relaxed(&slot->mourned, (uint32_t)number);
			done = write_death(sem, slot, number, units);
		}
		cas_acq_rel(deaths, &count, number);
	}
}

/* ---- the units --------------------------------------------------------------- */

/* What a pending lane's owner held: the state after the lane, see native_lane.h. */
static uint32_t held_by_the_dead(struct native_sem *sem, uint32_t slot, uint64_t lane)
{
	if (FAULT(FAULT_RECOVERY_NOT_IDEMPOTENT))
		return lane_before(lane);
	return lane_held(lane, slot, load_acquire(&sem->file->state));
}

/* The dead one's last operation took effect, or did not: say which. A helper
 * may say so at the same time. */
static void settle(struct native_sem *sem, uint32_t slot)
{
	uint64_t *lane = &sem->file->slot[slot].lane;
	uint64_t l = load_acquire(lane);
	if (!lane_pending(l))
		return;
	uint32_t held = held_by_the_dead(sem, slot, l);
	cas_acq_rel(lane, &l, lane_make(held, held, lane_seq(l)));
}

static void give_back_permits(struct native_sem *sem, uint32_t slot)
{
	uint32_t held = lane_after(load_acquire(&sem->file->slot[slot].lane));
	uint64_t old;
	if (!held)
		return;
	mourn(sem, slot, held);
	POINT("recover:mourned");
	const struct lane_change change = { .held = -(int32_t)held,
		                            .value = (int32_t)held,
		                            .need = INT32_MIN,
		                            .set = FLAG_DIRTY };
	lane_operation(sem, slot, &change, &old);
}

static void give_back_lock(struct native_sem *sem, uint32_t slot)
{
	if (!semundo__native_held_by(sem, slot, load_acquire(&sem->file->state)))
		return;
	mourn(sem, slot, 1);
	POINT("recover:mourned");
	semundo__lock_leave(sem, slot, FLAG_DIRTY);
}

static void give_back(struct native_sem *sem, uint32_t slot)
{
	if (sem->base.kind == SEMUNDO_PERMITS) {
		settle(sem, slot);
		POINT("recover:settled");
		if (slot != SLOT_CAPACITY) /* the capacity itself does not come back */
			give_back_permits(sem, slot);
	} else if (sem->base.kind == SEMUNDO_LOCK) {
		give_back_lock(sem, slot);
	}
	POINT("recover:given-back");
	if (sem->base.kind != SEMUNDO_SIGNAL)
		semundo__native_wake_all(sem);
	POINT("recover:woken");
}

/* ---- the slot ------------------------------------------------------------------ */

/* Our own identity: that of the slot if attached, else the membership's. */
static bool own_identity(struct native_sem *sem, uint64_t *ret)
{
	const struct membership *m = sem->dir->member;
	uint64_t generation = load_acquire(&m->generation);
	if (load_acquire(&sem->att->slot)) {
		*ret = sem->att->owner;
		return true;
	}
	for (uint32_t i = 0; generation && i < MAX_USERS; i++)
		if (load_acquire(&sem->file->users[i]) == m->user) {
			*ret = owner_make(OWNER_LIVE, i, m->record, generation);
			return true;
		}
	return false;
}

int semundo__native_undo(struct native_sem *sem, uint32_t slot)
{
	uint64_t *owner = &sem->file->slot[slot].owner;
	uint64_t dead = load_acquire(owner);
	uint64_t self;
	if (dead == OWNER_FREE || sem->base.read_only || !own_identity(sem, &self))
		return 0;
	if (semundo__alive(sem->dir, semundo__native_user(sem, dead), dead) != SEMUNDO_DEAD)
		return 0;
	uint64_t claim = (self & ~OWNER_CONDITION) | OWNER_RECOVERING;
	POINT("recover:dead");
	if (!cas_acq_rel(owner, &dead, claim))
		return 0;
	POINT("recover:claimed");
	if (FAULT(FAULT_EARLY_FREE))
		cas_acq_rel(owner, &claim, OWNER_FREE);
	give_back(sem, slot);
	cas_acq_rel(owner, &claim, OWNER_FREE);
	POINT("recover:freed");
	return 1;
}

int semundo__native_recover(semundo_t *base)
{
	struct native_sem *sem = native(base);
	int undone = 0;
	int r = semundo__native_attach(sem);
	if (r)
		return r;
	uint32_t slots = semundo__native_slots(sem);
	for (uint32_t slot = SLOT_CAPACITY; slot < slots; slot++)
		undone += semundo__native_undo(sem, slot);
	return undone;
}

void semundo__native_tell_again(semundo_t *base)
{
	uint64_t *state = &native(base)->file->state;
	uint64_t s = load_acquire(state);
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++)
		if (cas_acq_rel(state, &s, s | FLAG_DIRTY)) /* pairs with the next acquirer's CAS */
			return;
}
