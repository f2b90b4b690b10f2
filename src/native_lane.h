/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recoverable operation of PERMITS: state and lane change as one, though
 * the process may be killed between any two instructions. It is the
 * recoverable compare-and-swap of H. Attiya, O. Ben-Baruch and D. Hendler,
 * "Nesting-Safe Recoverable Linearizability", PODC 2018, with the helping done
 * by whoever overwrites the state.
 *
 *   1. load the state; complete the lane of its last writer, if it is pending
 *   2. lane: pending, with the sequence that the state will have
 *   3. CAS the state: it took effect
 *   4. lane: idle
 *
 * Killed before 2: nothing happened. Between 2 and 3: the state does not carry
 * this slot and sequence, recovery takes the operation back. Between 3 and 4:
 * the state carries them, or whoever overwrote it completed the lane before;
 * recovery completes or finds it complete.
 *
 * The lane's sequence comes round after 2^32 operations on one semaphore
 * (about a minute at full speed). It would take a helper that is stopped for
 * exactly a multiple of that many operations between two of its instructions,
 * while the lane is pending with the same numbers, and its owner to be killed
 * right then. Owner and recoverer need only the sequence's last bit: their
 * slot appears in the state only by their own hand.
 */
#ifndef SEMUNDO_NATIVE_LANE_H
#define SEMUNDO_NATIVE_LANE_H

#include <errno.h>

#include "native.h"

/* No honest contention loses that many times in a row; a scribbler can. */
#define CAS_TRIES_MAX (1u << 20)

/* Completes the operation that led to the state, if it is still pending. */
static inline void help(struct native_sem *sem, uint64_t state)
{
	uint32_t slot = state_slot(state);
	if (slot == SLOT_NOBODY || !slot_reachable(sem, slot) || FAULT(FAULT_NO_HELP))
		return;
	uint64_t *lane = &sem->file->slot[slot].lane;
	uint64_t l = load_acquire(lane); /* pending since before the state changed */
	if (lane_seq(l) == state_seq(state) && lane_pending(l))
		cas_acq_rel(lane, &l, lane_make(lane_after(l), lane_after(l), lane_seq(l)));
}

struct lane_change {
	int32_t held;  /* how the lane changes */
	int32_t value; /* how the value changes */
	int32_t need;  /* only where the value is at least this */
	uint64_t set;  /* flags */
	uint64_t clear;
};

/*
 * The caller is the only writer of the slot's lane, which is idle. 0, -EAGAIN
 * (need), -EOVERFLOW or -EUCLEAN (the file's contents make no sense); nothing
 * changed then. *ret_old: the state before.
 */
__attribute__((always_inline)) static inline int
lane_operation(struct native_sem *sem, uint32_t slot, const struct lane_change *change,
               uint64_t *ret_old)
{
	uint64_t *state = &sem->file->state;
	uint64_t *lane = &sem->file->slot[slot].lane;
	uint64_t first = load_relaxed(lane);
	uint32_t held = lane_after(first);
	uint32_t after = held + (uint32_t)change->held;
	uint64_t s = load_acquire(state); /* pairs with the CAS below of others */
	uint64_t written = first;
	unsigned tries = 0;
	int r = 0;
	for (;;) {
		int32_t value = state_value(s);
		uint32_t seq = state_seq(s) + 1;
		if (value < change->need)
			r = -EAGAIN;
		else if (value + change->value > VALUE_MAX || value + change->value < -VALUE_MAX ||
		         after > (uint32_t)VALUE_MAX)
			r = -EOVERFLOW;
		else if (++tries > CAS_TRIES_MAX)
			r = -EUCLEAN;
		if (__builtin_expect(r != 0, 0))
			break;
		if (state_slot(s) != slot)
			help(sem, s);
		written = lane_make(held, after, seq);
		if (!FAULT(FAULT_LATE_LANE))
			store_release(lane, written); /* pairs with who adds up, see below */
		POINT("lane:pending");
		uint64_t next = state_make(value + change->value,
		                           ((s & FLAGS) | change->set) & ~change->clear, slot, seq);
		if (cas_acq_rel(state, &s, next)) {
			POINT("state:changed");
			if (FAULT(FAULT_LATE_LANE)) {
				store_release(lane, written);
				POINT("lane:late");
			}
			/* Helpers may see pending or idle, it means the same. Release for
			 * those who load state, lane and state again (held_by() and the
			 * like): the store part of a CAS does not wait for itself, so a
			 * relaxed store could be seen before the state is. */
			store_release(lane, lane_make(after, after, seq));
			POINT("lane:idle");
			*ret_old = s;
			return 0;
		}
	}
	if (written != first)
		store_release(lane, lane_make(held, held, lane_seq(written)));
	return r;
}

#endif
