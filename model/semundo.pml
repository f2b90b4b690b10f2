/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native engine's protocol, for the model checker spin (model/README.md).
 * An atomic block is one access to shared memory or one system call, with what
 * the process does by itself before the next; between any two of them it may be
 * killed. Names are those of the C functions in src/native_*.[ch].
 *
 * Bounds, by -D: KIND (1 LOCK, 2 PERMITS), CAPACITY, PROCS, ROUNDS (acquire and
 * release, a process), MOST (units of one acquire), KILLS, LEAVE (a wait may
 * time out), RESIZE (how many resizes, a process), FAULT (src/test_hooks.h).
 */
#ifndef KIND
#define KIND 2
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef PROCS
#define PROCS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef MOST
#define MOST 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef LEAVE
#define LEAVE 0
#endif
#ifndef RESIZE
#define RESIZE 0
#endif
#ifndef FAULT
#define FAULT 0
#endif

#define LOCK 1
#define PERMITS 2
#define NO_HELP 1
#define LATE_LANE 2
#define RECOVERY_NOT_IDEMPOTENT 3
#define NO_SECOND_WAKE 4
#define EARLY_FREE 5

/* ---- layout.h ------------------------------------------------------------ */

/* state: flags 3 bits, slot 3, value 3 (plus 2: it may be negative), sequence 6 */
#define FLAG_WAITERS 1
#define FLAG_WAKE_ALL 2
#define FLAG_DIRTY 4
#define FLAGS 7
#define FLAGS_WAIT 3
#define state_low(s) ((s) & 511)
#define state_slot(s) (((s) >> 3) & 7)
#define state_value(s) ((((s) >> 6) & 7) - 2)
#define state_seq(s) ((s) >> 9)
#define state_make(value, flags, slot, seq) \
	((seq) << 9 | ((value) + 2) << 6 | (slot) << 3 | (flags))

/* lane: after 2 bits, before 2, sequence 6 */
#define lane_make(before, after, seq) ((seq) << 4 | (before) << 2 | (after))
#define lane_after(l) ((l) & 3)
#define lane_before(l) (((l) >> 2) & 3)
#define lane_seq(l) ((l) >> 4)
#define lane_pending(l) (lane_before(l) != lane_after(l))

/* owner: condition 2 bits, process. A process number is used once, as a
 * generation is. */
#define OWNER_FREE 0
#define OWNER_LIVE 1
#define OWNER_RECOVERING 2
#define owner_make(condition, process) ((condition) | (process) << 2)
#define owner_process(o) ((o) >> 2)
#define owner_condition(o) ((o) & 3)

#define SLOT_NOBODY 0
#define SLOT_CAPACITY 1
#define SLOT_FIRST 2
#define SLOTS (SLOT_FIRST + PROCS)

short state;
short lane[SLOTS];
byte owner[SLOTS];

/* ---- the kernel, and what only the claims look at -------------------------- */

#define bit(p) (1 << (p))
#define is(set, p) (((set) >> (p)) & 1)

byte dead;     /* truth and alarm at once: the set of killed processes */
byte asleep;   /* those in the futex queue */
byte limited;  /* ... whose sleep ends by its limit or an alarm: see kill() */
byte owes;     /* a wake-up is in their hands: given to them, or to be given by them */
byte attached; /* so many took a slot */
byte kills;
byte mine[PROCS]; /* units that a process believes to hold */

#define lane_held(l, slot, s) \
	(lane_pending(l) && !(state_slot(s) == (slot) && state_seq(s) == lane_seq(l)) -> \
	 lane_before(l) : lane_after(l))

#if KIND == LOCK
#define held_by(slot, s) (state_value(s) == 0 && state_slot(s) == (slot))
#define relevant(slot) \
	(held_by(slot, state) || owner_condition(owner[slot]) == OWNER_RECOVERING)
#else
#define held_by(slot, s) lane_held(lane[slot], slot, s)
#define relevant(slot) \
	(lane_after(lane[slot]) || lane_before(lane[slot]) || \
	 owner_condition(owner[slot]) == OWNER_RECOVERING)
#endif
#define owned_by(slot, p) (owner[slot] != OWNER_FREE && owner_process(owner[slot]) == (p))
#define dead_and_relevant(slot) \
	(owner[slot] != OWNER_FREE && is(dead, owner_process(owner[slot])) && relevant(slot))

#if PROCS == 2
#define over_slots(f) (f(2) + f(3))
#define over_procs(f) (f(0) + f(1))
#elif PROCS == 3
#define over_slots(f) (f(2) + f(3) + f(4))
#define over_procs(f) (f(0) + f(1) + f(2))
#else
#define over_slots(f) (f(2) + f(3) + f(4) + f(5))
#define over_procs(f) (f(0) + f(1) + f(2) + f(3))
#endif

/* futex_waitv(2) on the state's low half and the alarms of those watched. A
 * sleep that begins while somebody dead and unwatched holds units is ended by
 * its limit. */
inline futex_wait()
{
	atomic {
		if
		:: state_low(state) != low || (dead & watch) -> skip
		:: else ->
			asleep = asleep | bit(me);
			owes = owes & ~bit(me);
			if
			:: over_slots(dead_and_relevant) > 0 -> limited = limited | bit(me)
			:: else
			fi
		fi;
		low = 0;
		watch = 0
	};
	if
	:: !is(asleep, me)
	:: atomic { is(asleep, me) && is(limited, me) -> leave_queue(me) }
#if LEAVE
	:: atomic { is(asleep, me) && timed -> leave_queue(me); late = 1 }
#endif
	fi
}

inline leave_queue(p)
{
	asleep = asleep & ~bit(p);
	limited = limited & ~bit(p)
}

inline wake_one(p)
{
	leave_queue(p);
	owes = owes | bit(p);
	woken++
}

/* Any of the sleepers, not only the first. Sets woken. Inside atomic. */
inline futex_wake(count)
{
	woken = 0;
	do
	:: woken < (count) && is(asleep, 0) -> wake_one(0)
	:: woken < (count) && is(asleep, 1) -> wake_one(1)
#if PROCS > 2
	:: woken < (count) && is(asleep, 2) -> wake_one(2)
#endif
#if PROCS > 3
	:: woken < (count) && is(asleep, 3) -> wake_one(3)
#endif
	:: woken == (count) || !asleep -> break
	od
}

#define ALL 8
#define wake_count(flags, units) ((flags) & FLAG_WAKE_ALL -> ALL : (units))

/* The state changes from s to next and ok is set; or s becomes the state. Who
 * makes units available owes a wake-up; who takes some owes none. Inside
 * atomic. */
inline cas_state(next)
{
	if
	:: state == s ->
		ok = 1;
		state = next;
		if
		:: state_value(state) > state_value(s) -> owes = owes | bit(me)
		:: state_value(state) < state_value(s) -> owes = owes & ~bit(me)
		:: else
		fi
	:: else -> s = state; ok = 0
	fi
}

/* ---- native_lane.h ----------------------------------------------------------- */

#if FAULT == NO_HELP
#define must_help(l, s) false
#else
#define must_help(l, s) (lane_pending(l) && lane_seq(l) == state_seq(s))
#endif

#if FAULT == LATE_LANE
#define store_lane(slot, before, after) skip
#define store_late_lane(slot, before, after) \
	lane[slot] = lane_make(before, after, state_seq(s) + 1)
#else
#define store_lane(slot, before, after) \
	lane[slot] = lane_make(before, after, state_seq(s) + 1)
#define store_late_lane(slot, before, after) skip
#endif

#define of_others(s, slot) (state_slot(s) != (slot) && state_slot(s) != SLOT_NOBODY)

/* The value changes by `by`, where it is at least `need`, and the lane from
 * before to after. Sets ok; s is the state before. The first step loads our own
 * lane too: nobody else writes it while it is idle. */
inline lane_operation(slot, before, after, by, need, set, clear)
{
	atomic { s = state; ok = 0 };
	do
	:: atomic { ok -> lane[slot] = lane_make(after, after, state_seq(s) + 1); break }
	:: atomic { !ok && state_value(s) < (need) ->
			if
			:: lane_pending(lane[slot]) ->
				lane[slot] = lane_make(before, before, lane_seq(lane[slot]))
			:: else
			fi;
			break
		}
	:: !ok && state_value(s) >= (need) ->
		if
		:: atomic { !of_others(s, slot) -> store_lane(slot, before, after) }
		:: atomic { of_others(s, slot) -> l = lane[state_slot(s)] /* help() */ };
			if
			:: atomic { must_help(l, s) ->
					if
					:: lane[state_slot(s)] == l ->
						lane[state_slot(s)] = lane_make(
							lane_after(l), lane_after(l), lane_seq(l))
					:: else
					fi;
					l = 0
				};
				store_lane(slot, before, after)
			:: atomic { !must_help(l, s) -> store_lane(slot, before, after); l = 0 }
			fi
		fi;
		atomic {
			cas_state(state_make(state_value(s) + (by), ((s & FLAGS) | (set)) & ~(clear),
			                     slot, state_seq(s) + 1))
		};
#if FAULT == LATE_LANE
		if
		:: ok -> store_late_lane(slot, before, after)
		:: else
		fi
#endif
	od
}

/* ---- native_wait.c: waking ------------------------------------------------------ */

inline take_flags_back()
{
	atomic { s = state; ok = 0 };
	do
	:: atomic { ok || !(s & FLAGS_WAIT) ->
#if FAULT != NO_SECOND_WAKE
			if
			:: ok -> futex_wake(ALL)
			:: else
			fi;
#endif
			break
		}
	:: atomic { !ok && (s & FLAGS_WAIT) -> cas_state(s & ~FLAGS_WAIT) }
	od
}

/* native_wake() where s, the state before, asked for it */
inline wake_if_asked(units)
{
	if
	:: atomic { s & FLAGS_WAIT -> futex_wake(wake_count(s, units)) };
		if
		:: woken == 0 -> take_flags_back()
		:: else
		fi
	:: else
	fi;
	atomic { owes = owes & ~bit(me); woken = 0; s = 0; ok = 0 }
}

/* ---- the kinds: native_permits.c, native_lock.c ---------------------------------- */

#if KIND == LOCK

/* take(): sets ok */
inline take()
{
	atomic { s = state; ok = 0 };
	do
	:: atomic { state_value(s) != 1 || ok -> break }
	:: atomic { state_value(s) == 1 && !ok ->
			cas_state(state_make(0, s & FLAGS_WAIT, my_slot, state_seq(s) + 1))
		}
	od
}

#define owns_lock(slot, s) (state_value(s) == 0 && state_slot(s) == (slot))

/* lock_release() and semundo__lock_leave() */
inline lock_leave(slot, flags)
{
	atomic { s = state; ok = 0 };
	do
	:: ok || !owns_lock(slot, s) -> break
	:: atomic { !ok && owns_lock(slot, s) ->
			cas_state(state_make(1, (s & FLAGS) | (flags), SLOT_NOBODY,
			                     state_seq(s) + 1))
		}
	od;
	if
	:: ok -> wake_if_asked(1)
	:: else -> s = 0
	fi
}

inline give()
{
	lock_leave(my_slot, 0)
}

inline settle(slot)
{
	skip
}

inline give_back(slot)
{
	if
	:: owns_lock(slot, state) -> lock_leave(slot, FLAG_DIRTY)
	:: else
	fi
}

#else

inline take()
{
	lane_operation(my_slot, 0, n, -n, n, 0, FLAG_DIRTY)
}

inline give()
{
	lane_operation(my_slot, n, 0, n, -2, 0, 0);
	wake_if_asked(n)
}

/* ---- native_recover.c ------------------------------------------------------------ */

#if FAULT == RECOVERY_NOT_IDEMPOTENT
#define settled(l, slot, s) lane_before(l)
#else
#define settled(l, slot, s) lane_held(l, slot, s)
#endif

inline settle(slot)
{
	atomic { l = lane[slot] };
	if
	:: atomic { lane_pending(l) -> s = state };
		atomic {
			held = settled(l, slot, s);
			if
			:: lane[slot] == l -> lane[slot] = lane_make(held, held, lane_seq(l))
			:: else
			fi;
			held = 0;
			s = 0;
			l = 0
		}
	:: atomic { !lane_pending(l) -> l = 0 }
	fi
}

inline give_back(slot)
{
	atomic { held = lane_after(lane[slot]) };
	if
	:: held && slot != SLOT_CAPACITY ->
		lane_operation(slot, held, 0, held, -2, FLAG_DIRTY, 0)
	:: else
	fi;
	atomic { held = 0; s = 0; ok = 0 }
}

#endif

/* semundo__native_undo(), once o is seen in the slot and found dead. Sets
 * undone where it was undone here. */
inline undo(slot)
{
	atomic {
		if
		:: owner[slot] == o -> owner[slot] = owner_make(OWNER_RECOVERING, me); undone = 1
		:: else -> undone = 0
		fi;
		o = OWNER_FREE
	};
	if
	:: undone ->
#if FAULT == EARLY_FREE
		owner[slot] = OWNER_FREE;
#endif
		settle(slot);
		give_back(slot);
		atomic { futex_wake(ALL); owes = owes & ~bit(me); woken = 0 };
		atomic {
			if
			:: owner[slot] == owner_make(OWNER_RECOVERING, me) -> owner[slot] = OWNER_FREE
			:: else
			fi
		}
	:: else
	fi
}

/* ---- native_wait.c: waiting -------------------------------------------------------- */

#define own_flags (n == 1 -> FLAG_WAITERS : FLAGS_WAIT)
#define flagged(s) (((s) & own_flags) == own_flags)

/* raise_flags(): low is 0 where there is no need to wait any more */
inline raise_flags()
{
	atomic { s = state; ok = 0 };
	do
	:: atomic { state_value(s) >= n || flagged(s) ->
			low = (state_value(s) >= n -> 0 : state_low(s));
			s = 0;
			break
		}
	:: atomic { state_value(s) < n && !flagged(s) ->
			cas_state(s | own_flags);
			if
			:: ok -> s = s | own_flags
			:: else
			fi
		}
	od
}

/* look(): undoes the dead that matter, and says whom to watch */
inline look()
{
	i = SLOT_FIRST;
	do
	:: atomic { i == SLOTS -> i = 0; break }
	:: atomic { i < SLOTS ->
			o = OWNER_FREE;
			if
			:: dead_and_relevant(i) -> o = owner[i]
			:: !dead_and_relevant(i) && owner[i] != OWNER_FREE && relevant(i) ->
				watch = watch | bit(owner_process(owner[i]))
			:: else
			fi;
			i++
		};
		if
		:: o != OWNER_FREE -> undo(i - 1); any = any | undone
		:: else
		fi
	od
}

/* pass_on() */
inline pass_on()
{
	atomic { s = state };
	atomic {
		if
		:: (s & FLAGS_WAIT) && state_value(s) > 0 -> futex_wake(wake_count(s, 1))
		:: else
		fi;
		owes = owes & ~bit(me);
		s = 0;
		woken = 0
	}
}

/* semundo__native_wait(): ok where it has the units */
inline wait()
{
	do
	:: take();
		if
		:: atomic { ok || late == 2 -> break }
		:: atomic { !ok && late == 0 -> s = 0 };
			raise_flags();
			if
			:: low ->
				look();
				if
				:: atomic { any -> any = 0; low = 0; watch = 0 }
				:: atomic { !any -> skip }; futex_wait()
				fi
			:: else
			fi
		:: atomic { !ok && late == 1 -> s = 0 }; /* last_try() */
			look();
			atomic {
				late = 2;
				watch = 0;
				if
				:: any -> any = 0
				:: else -> break
				fi
			}
		fi
	od;
	atomic { s = 0; late = 0; timed = 0; undone = 0 }
}

/* ---- native_permits.c: resize ----------------------------------------------------------- */

#if RESIZE
#define capacity_owner owner[SLOT_CAPACITY]

inline resize()
{
	do /* claim_capacity() */
	:: atomic { capacity_owner == OWNER_FREE ->
			capacity_owner = owner_make(OWNER_LIVE, me);
			n = lane_after(lane[SLOT_CAPACITY]);
			break
		}
	:: atomic { capacity_owner != OWNER_FREE && is(dead, owner_process(capacity_owner)) ->
			o = capacity_owner
		};
		undo(SLOT_CAPACITY)
	od;
	if
	:: n == 2 -> lane_operation(SLOT_CAPACITY, 2, 1, -1, -2, 0, 0)
	:: else -> lane_operation(SLOT_CAPACITY, 1, 2, 1, -2, 0, 0)
	fi;
	atomic { futex_wake(ALL); owes = owes & ~bit(me); n = 0; s = 0; ok = 0; woken = 0 };
	capacity_owner = OWNER_FREE
}
#endif

/* ---- processes ----------------------------------------------------------------------------- */

/* Processes are alike, so it is enough to look at
 * runs in which they attach in the order of their numbers. */
inline claim_slot()
{
	i = SLOT_FIRST;
	do
	:: atomic { attached >= me ->
			if
			:: owner[i] == OWNER_FREE ->
				my_slot = i;
				owner[i] = owner_make(OWNER_LIVE, me);
				attached++;
				i = 0;
				break
			:: else -> i++
			fi
		}
	od
}

inline introduce()
{
	lane[my_slot] = lane_make(0, 0, lane_seq(lane[my_slot]))
}

/* semundo__native_detach() where nothing is held */
inline detach()
{
	atomic {
		if
		:: owner[my_slot] == owner_make(OWNER_LIVE, me) -> owner[my_slot] = OWNER_FREE
		:: else
		fi;
		my_slot = 0
	}
}

inline acquire_and_release()
{
	atomic {
		select(n : 1 .. MOST);
#if LEAVE
		select(timed : 0 .. 1);
#endif
		rounds++
	};
	wait();
	if
	:: atomic { ok -> mine[me] = n; ok = 0 };
		mine[me] = 0;
		give()
	:: else -> pass_on()
	fi;
	n = 0
}

/* What a death ends besides the process: sleeps of those that watch its alarm,
 * or would have been woken by it, or wait for what it holds. No other sleep is
 * limited here, so that a wake-up which is lost without a death is found. */
#define victims(slot) (owned_by(slot, me) && relevant(slot))

inline die(p)
{
	kills++;
	leave_queue(p);
	if
	:: is(owes, p) || over_slots(victims) > 0 -> limited = limited | asleep
	:: else
	fi;
	owes = owes & ~bit(p);
	dead = dead | bit(p);
	mine[p] = 0
}

#define NOBODY 255
chan kill = [0] of { byte };

proctype process(byte me)
{
	short s, l;
	byte my_slot, n, low, watch, woken, o, i, held, rounds, resizes;
	byte late; /* the time is up: 1 before, 2 after the last look */
	bit ok, undone, any, timed;
	claim_slot();
	{
		introduce();
		do
		:: rounds < ROUNDS -> acquire_and_release()
#if RESIZE
		:: resizes < RESIZE -> resizes++; resize()
#endif
		:: break
		od;
		atomic { rounds = 0; resizes = 0; detach() }
	} unless {
		d_step {
			kill?eval((kills < KILLS -> me : NOBODY));
			s = 0; l = 0; my_slot = 0; n = 0; low = 0; watch = 0; woken = 0; o = 0; i = 0;
			held = 0; rounds = 0; resizes = 0; late = 0; ok = 0; undone = 0; any = 0; timed = 0;
			die(me)
		}
	}
}

/* Whom it offers a death takes it: at any time, up to the bound. */
proctype killer()
{
end:
	do
	:: kill!0
	:: kill!1
	:: kill!2
	:: kill!3
	od
}

/* ---- claims: true in every state --------------------------------------------------------------- */

#define held_in(slot) held_by(slot, state)
#define believed(p) mine[p]

#if KIND == LOCK
#define capacity 1
#define no_lock_without_owner 	(state_value(state) == 1 || owner[state_slot(state)] != OWNER_FREE)
#else
#define capacity lane_held(lane[SLOT_CAPACITY], SLOT_CAPACITY, state)
#define no_lock_without_owner true
#endif

/* No unit is lost or made, whatever is pending. */
#define nothing_lost (state_value(state) + over_slots(held_in) == capacity)
/* No more believe to hold than there is. */
#define exclusive (state_value(state) + over_procs(believed) <= capacity)

/* The sequence does not come round within the bounds. */
#define no_wrap (state_seq(state) < 63)

proctype claims()
{
	bit unit_lost_or_made, held_by_too_many, owner_missing, sequence_at_end;
end:
	atomic {
		!(nothing_lost && exclusive && no_lock_without_owner && no_wrap);
		unit_lost_or_made = !nothing_lost;
		held_by_too_many = !exclusive;
		owner_missing = !no_lock_without_owner;
		sequence_at_end = !no_wrap;
		assert(!unit_lost_or_made);
		assert(!held_by_too_many);
		assert(!owner_missing);
		assert(!sequence_at_end)
	}
}

init {
	d_step {
		state = state_make(CAPACITY, 0, SLOT_NOBODY, 0);
#if KIND == PERMITS
		lane[SLOT_CAPACITY] = lane_make(CAPACITY, CAPACITY, 0)
#endif
	};
	atomic {
		run claims();
		run killer();
		run process(0);
		run process(1);
#if PROCS > 2
		run process(2);
#endif
#if PROCS > 3
		run process(3);
#endif
	}
}
