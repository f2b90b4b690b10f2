/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting and waking (design: waiting).
 *
 * A waiter raises a flag in the state and sleeps on the state's low half. A
 * releaser that saw the flag wakes. Nobody sleeps for ever: each sleep is
 * limited, because a releaser may be killed between its CAS and its wake, and
 * a waiter that took a wake-up may be killed or stopped before it uses it.
 */
#include <errno.h>
#include <pthread.h>

#include "cancel.h"
#include "error.h"
#include "native_lane.h"
#include "platform/liveness.h"
#include "platform/wait.h"
#include "wait_how.h"

#define SPIN_MAX 400u
#define SPIN_MIN 20u
#define SPIN_FIRST 100u
#define FEW_WORDS 6u                      /* so many are watched from the start, */
#define SHORT_SLEEPS (5 * NSEC_PER_MSEC)  /* more only after this; shorter than a
                                             clock tick would cost a timer each time */
#define BACKSTOP (50 * NSEC_PER_MSEC)     /* no sleep is longer */
#define POLL (10 * NSEC_PER_MSEC)         /* ... while somebody has no alarm */
#define THOROUGH (1 * NSEC_PER_SEC)       /* then the truth about everybody */
#define RECHECK_FIRST (50 * NSEC_PER_USEC)/* alarm rang, but still alive */

/* ---- waking --------------------------------------------------------------- */

void semundo__native_wake_all(struct native_sem *sem)
{
	semundo__wake(state_word(sem), INT_MAX);
}

/*
 * A wake that woke nobody takes the flags back, so that later releases need no
 * system call. In between somebody may have gone to sleep on a word that looks
 * the same as the one with the flag: hence the second wake, after which the
 * sleeper raises the flag again.
 */
static void take_flags_back(struct native_sem *sem)
{
	uint64_t *state = &sem->file->state;
	uint64_t s = load_acquire(state);
	for (unsigned tries = 0; (s & FLAGS_WAIT) && tries < CAS_TRIES_MAX; tries++)
		if (cas_acq_rel(state, &s, s & ~FLAGS_WAIT)) {
			POINT("release:flag-cleared");
			if (!FAULT(FAULT_NO_SECOND_WAKE))
				semundo__native_wake_all(sem);
			return;
		}
}

void semundo__native_wake(struct native_sem *sem, uint64_t flags, unsigned units)
{
	int count = (flags & FLAG_WAKE_ALL) || units > INT_MAX ? INT_MAX : (int)units;
	POINT("release:before-wake");
	int woken = semundo__wake(state_word(sem), count);
	POINT("release:woke");
	if (woken == 0)
		take_flags_back(sem);
}

/* ---- whose death to watch for ---------------------------------------------- */

struct watch {
	struct wait_word words[WAIT_WORDS_MAX];
	unsigned count;
	bool unarmed;   /* somebody has no alarm: poll */
	bool uncertain; /* an alarm rang, but its process lives (yet) */
	unsigned undone;
	uint32_t start; /* slot to begin with: another one each time */
};

/* Who is looked at. */
enum scope {
	HOLDERS,   /* who has something, or gives back what a dead one had */
	EVERYBODY, /* and the alarms of the others */
	THOROUGHLY /* everybody, and the truth about them */
};

static void add_word(struct watch *watch, const uint32_t *word, uint32_t expected,
                     bool is_private)
{
	watch->words[watch->count++] = (struct wait_word){ word, expected, is_private };
}

/* Whether its death would change what we wait for. */
static bool is_relevant(struct native_sem *sem, uint32_t slot, uint64_t owner)
{
	uint64_t lane = load_relaxed(&sem->file->slot[slot].lane);
	if ((owner & OWNER_CONDITION) == OWNER_RECOVERING)
		return true;
	if (sem->base.kind == SEMUNDO_LOCK)
		return semundo__native_held_by(sem, slot, load_acquire(&sem->file->state));
	return lane_after(lane) || lane_before(lane);
}

static void check_truth(struct native_sem *sem, struct watch *watch, uint32_t slot, uint64_t user,
                        uint64_t owner, bool rang)
{
	enum semundo_alive alive = semundo__alive(sem->dir, user, owner);
	if (alive == SEMUNDO_DEAD)
		watch->undone += (unsigned)semundo__native_undo(sem, slot);
	else if (alive == SEMUNDO_ALIVE && rang)
		watch->uncertain = true;
}

/* One process that has what we wait for. */
static void look_at(struct native_sem *sem, struct watch *watch, uint32_t slot, bool thorough)
{
	uint64_t owner = load_acquire(&sem->file->slot[slot].owner);
	if (owner == OWNER_FREE)
		return;
	uint64_t user = semundo__native_user(sem, owner);
	const struct peer_record *record = semundo__record(sem->dir, user, owner);
	const uint32_t *word = record ? semundo__alarm_word(record) : NULL;
	uint32_t expected = word ? load_acquire(word) : 0;
	bool rang = word && semundo__alarm_rang(expected);
	bool armed = word && semundo__alarm_is_armed(expected);
	if (!armed || thorough)
		check_truth(sem, watch, slot, user, owner, rang);
	/* The kernel wakes one sleeper only; it passes the alarm on. */
	if (rang)
		semundo__wake(word, INT_MAX);
	if (armed && watch->count < WAIT_WORDS_MAX)
		add_word(watch, word, expected, false);
	else
		watch->unarmed = true;
}

/* Somebody who may take what we wait for while we sleep, and die with it. Without
 * an alarm it counts from when it has something. */
static void look_at_other(struct native_sem *sem, struct watch *watch, uint32_t slot)
{
	uint64_t owner = load_acquire(&sem->file->slot[slot].owner);
	uint64_t user = semundo__native_user(sem, owner);
	const struct peer_record *record =
		owner == OWNER_FREE ? NULL : semundo__record(sem->dir, user, owner);
	const uint32_t *word = record ? semundo__alarm_word(record) : NULL;
	uint32_t expected = word ? load_acquire(word) : 0;
	if (word && semundo__alarm_rang(expected)) {
		semundo__wake(word, INT_MAX);
		check_truth(sem, watch, slot, user, owner, false);
	} else if (word && semundo__alarm_is_armed(expected)) {
		add_word(watch, word, expected, false);
	}
}

static void look_at_owner(struct native_sem *sem, struct watch *watch, uint32_t slots)
{
	uint64_t s = load_acquire(&sem->file->state);
	uint32_t slot = state_slot(s);
	if (state_value(s) == 0 && slot >= SLOT_FIRST && slot < slots)
		look_at(sem, watch, slot, false);
}

static bool is_to_be_seen(struct native_sem *sem, uint32_t slot, enum scope scope)
{
	uint64_t owner = load_relaxed(&sem->file->slot[slot].owner);
	return owner != OWNER_FREE && (scope == THOROUGHLY || is_relevant(sem, slot, owner));
}

/* All slots in turn, from another one each time. */
static uint32_t slot_at(const struct watch *watch, uint32_t i, uint32_t slots)
{
	return SLOT_FIRST + (i + watch->start) % (slots - SLOT_FIRST);
}

static void look(struct native_sem *sem, struct watch *watch, enum scope scope)
{
	uint32_t slots = semundo__native_slots(sem), own = load_relaxed(&sem->att->slot);
	if (sem->base.kind == SEMUNDO_SIGNAL)
		return;
	if (sem->base.kind == SEMUNDO_LOCK && scope == HOLDERS) {
		look_at_owner(sem, watch, slots);
		return;
	}
	for (uint32_t i = SLOT_FIRST; i < slots; i++)
		if (is_to_be_seen(sem, slot_at(watch, i, slots), scope))
			look_at(sem, watch, slot_at(watch, i, slots), scope == THOROUGHLY);
	for (uint32_t i = SLOT_FIRST;
	     scope == EVERYBODY && i < slots && watch->count < WAIT_WORDS_MAX; i++) {
		uint32_t slot = slot_at(watch, i, slots);
		if (slot != own && !is_to_be_seen(sem, slot, scope))
			look_at_other(sem, watch, slot);
	}
	watch->start += WAIT_WORDS_MAX;
}

/* ---- one wait ------------------------------------------------------------- */

struct waiter {
	struct native_sem *sem;
	const struct wait_goal *goal;
	const struct wait_how *how;
	uint64_t flags;         /* to raise */
	uint64_t deadline;      /* monotonic, as the clocks stand */
	int cancel_state;       /* of the thread, outside */
	uint64_t started;
	uint64_t next_thorough;
	uint64_t recheck;       /* ns until an uncertain death is asked about again */
	bool many;              /* more to watch than is cheap, at the last look */
	struct sem_slot *shown; /* our slot, while we show that we wait */
	struct watch watch;
};

static bool is_cancelled(const struct waiter *w)
{
	return w->how->cancel && load_acquire(&w->how->cancel->cancelled);
}

static int spin(struct waiter *w)
{
	struct native_sem *sem = w->sem;
	if (TEST_SWITCH(no_spin) || !semundo__can_spin())
		return -EAGAIN;
	uint32_t limit = load_relaxed(&sem->spin);
	for (uint32_t i = 0; i < limit; i++) {
		if (!w->goal->blocked(sem, load_relaxed(&sem->file->state), w->goal->n)) {
			int r = w->goal->attempt(sem, w->goal->n);
			if (r != -EAGAIN) {
				uint32_t more = limit + limit / 4 + 1;
				store_relaxed(&sem->spin, more > SPIN_MAX ? SPIN_MAX : more);
				return r;
			}
		}
		cpu_relax();
	}
	store_relaxed(&sem->spin, limit / 2 < SPIN_MIN ? SPIN_MIN : limit - limit / 4);
	return -EAGAIN;
}

static uint64_t shown_since(const struct waiter *w)
{
	return w->how->since && w->how->since < w->started ? w->how->since : w->started;
}

/* For people only: a slot that is wiped or lost later is not ours to touch. */
static void announce(struct waiter *w)
{
	uint32_t slot = load_acquire(&w->sem->att->slot);
	if (slot == SLOT_NOBODY)
		return;
	w->shown = &w->sem->file->slot[slot];
	store_relaxed(&w->shown->wanted, w->goal->n);
	if (add_relaxed(&w->shown->waiting, 1) == 0)
		store_relaxed(&w->shown->waiting_since, shown_since(w));
	POINT("wait:announced");
}

static void retire(struct waiter *w)
{
	if (w->shown && sub_relaxed(&w->shown->waiting, 1) == 1)
		store_relaxed(&w->shown->waiting_since, 0);
	w->shown = NULL;
}

/* Leaving without a unit: a wake-up that was meant for us goes on. */
static void pass_on(struct waiter *w)
{
	uint64_t s = load_acquire(&w->sem->file->state);
	POINT("wait:leave");
	if ((s & FLAGS_WAIT) && available(w->sem, s) > 0)
		semundo__wake(state_word(w->sem), s & FLAG_WAKE_ALL ? INT_MAX : 1);
}

/* Raises the flags in a state in which we have to wait: true, and the low half
 * to sleep on; false: try again. */
static bool raise_flags(struct waiter *w, uint32_t *ret_low)
{
	uint64_t *state = &w->sem->file->state;
	uint64_t s = load_acquire(state);
	for (unsigned tries = 0; tries < CAS_TRIES_MAX; tries++) {
		if (!w->goal->blocked(w->sem, s, w->goal->n))
			return false;
		if ((s & w->flags) == w->flags || cas_acq_rel(state, &s, s | w->flags)) {
			*ret_low = state_low(s | w->flags);
			POINT("wait:flagged");
			return true;
		}
	}
	return false;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A sleep on many words would go on after a handler with SA_RESTART. With one
 * word there is none, and it costs a system call for each signal to ask. */
static bool must_see_signals(const struct waiter *w)
{
	uint32_t flags = w->how->flags;
	return w->watch.count > 1 && (flags & SEMUNDO_WAIT_EINTR) && !(flags & WAIT_RESTARTS) &&
	       semundo__handlers_restart();
}

static int sleep_on_state(struct waiter *w, uint32_t low, uint64_t until, bool can_watch)
{
	bool restarts = w->how->flags & WAIT_RESTARTS;
	if ((w->how->cancel || restarts) && can_watch) {
		struct wait_word words[2] = { { state_word(w->sem), low, false } };
		if (w->how->cancel)
			words[1] = (struct wait_word){ &w->how->cancel->cancelled, 0, true };
		int r = semundo__wait_many(words, w->how->cancel ? 2 : 1, until);
		if (r != -ENOSYS)
			return r;
	}
	if (w->how->cancel && !TEST_SWITCH(no_timed_wait))
		until = earlier(until, semundo__monotonic() + POLL);
	return semundo__wait(state_word(w->sem), low, until);
}

static int sleep_on_all(struct waiter *w, uint32_t low, uint64_t until)
{
	int r = semundo__wait_many(w->watch.words, w->watch.count, until);
	if (r == 0 || r == -EAGAIN || r == -EINTR || r == -ETIMEDOUT)
		return r;
	/* A seccomp filter came, or so: as without it. */
	if (!TEST_SWITCH(no_timed_wait))
		until = earlier(until, semundo__monotonic() + POLL);
	return semundo__wait(state_word(w->sem), low, until);
}

static int sleep_until(struct waiter *w, uint32_t low, uint64_t until, bool can_watch,
                       bool on_all)
{
	int r;
	CANCELLABLY(w->how->flags, w->cancel_state,
	            r = on_all ? sleep_on_all(w, low, until) :
	                         sleep_on_state(w, low, until, can_watch));
	return r;
}

/* How long to sleep at most, from what the look told. */
static uint64_t limit_of(struct waiter *w, uint64_t now, bool can_watch)
{
	uint64_t most = BACKSTOP;
	if (w->sem->base.kind == SEMUNDO_SIGNAL && (w->how->flags & WAIT_RESTARTS) &&
	    !(w->how->flags & WAIT_REALTIME))
		most = LONG_SLEEP;
	if (w->watch.unarmed || !can_watch)
		most = POLL;
	if (TEST_SWITCH(no_timed_wait))
		most = NEVER - now;
	if (w->watch.uncertain) {
		w->recheck = w->recheck ? earlier(w->recheck * 2, POLL) : RECHECK_FIRST;
		most = earlier(most, w->recheck);
	} else {
		w->recheck = 0;
	}
	return earlier(w->deadline, now + most);
}

/* Whom to watch, for a sleep on this low half. True: somebody was undone. */
static bool look_around(struct waiter *w, uint32_t low, uint64_t now, enum scope scope)
{
	struct watch *watch = &w->watch;
	if (now >= w->next_thorough) {
		scope = THOROUGHLY;
		w->next_thorough = now + THOROUGH;
	}
	watch->count = 0;
	watch->unarmed = watch->uncertain = false;
	watch->undone = 0;
	add_word(watch, state_word(w->sem), low, false);
	if (w->how->cancel)
		add_word(watch, &w->how->cancel->cancelled, 0, true);
	look(w->sem, watch, scope);
	return watch->undone > 0;
}

/*
 * The flags go up before the look: whoever takes units after it changes the
 * word that we are about to sleep on, so we do not miss whom to watch.
 */
static int sleep_once(struct waiter *w)
{
	uint32_t low;
	if (!raise_flags(w, &low))
		return 0;
	uint64_t now = semundo__monotonic();
	uint64_t soon = w->started + SHORT_SLEEPS;
	bool early = now < soon && !TEST_SWITCH(no_timed_wait);
	if (!early || !w->many) {
		if (look_around(w, low, now, early ? HOLDERS : EVERYBODY))
			return 0;
		w->many = w->watch.count > FEW_WORDS;
	}
	POINT("wait:before-sleep");
	bool can_watch = semundo__can_wait_many() && !must_see_signals(w);
	uint64_t limit = limit_of(w, now, can_watch);
	int r;
	if (early && w->many && !w->watch.uncertain)
		r = sleep_until(w, low, earlier(w->deadline, soon), can_watch, false);
	else
		r = sleep_until(w, low, early ? earlier(limit, soon) : limit, can_watch,
		                can_watch && w->watch.count > 1);
	POINT("wait:woken");
	return r;
}

/* The time is up; but units of the dead are free. */
static int last_try(struct waiter *w)
{
	uint32_t low = state_low(load_acquire(&w->sem->file->state));
	int r = -EAGAIN;
	if (look_around(w, low, w->started, HOLDERS))
		r = w->goal->attempt(w->sem, w->goal->n);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int wait_loop(struct waiter *w)
{
	for (;;) {
		int r = w->goal->attempt(w->sem, w->goal->n);
		if (r != -EAGAIN)
			return r;
		if (is_cancelled(w))
			return -ECANCELED;
		w->deadline = monotonic_deadline(w->how);
		if (w->deadline != NEVER && semundo__monotonic() >= w->deadline)
			return last_try(w);
		if (sleep_once(w) == -EINTR && (w->how->flags & SEMUNDO_WAIT_EINTR)) {
			r = w->goal->attempt(w->sem, w->goal->n);
			return r == -EAGAIN ? -EINTR : r;
		}
	}
}

/* Busy is no rare failure: its sentence is written only if it is read. */
static int fail_wait(struct native_sem *sem, const struct wait_goal *goal, int r)
{
	static const struct {
		int result;
		const char *acquire, *idle;
	} sentences[] = {
		{ -EAGAIN, "cannot acquire '%s' now: others hold what is asked for",
		  "not all units of '%s' are back" },
		{ -ETIMEDOUT, "cannot acquire '%s': others still held it when the time was up",
		  "not all units of '%s' were back when the time was up" },
		{ -ECANCELED, "cannot acquire '%s': the wait was cancelled",
		  "cannot wait for all units of '%s': the wait was cancelled" },
		{ -EINTR, "cannot acquire '%s': a signal came",
		  "cannot wait for all units of '%s': a signal came" },
	};
	for (unsigned i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (sentences[i].result == r)
			return semundo__fail_static(
				r, goal->n ? sentences[i].acquire : sentences[i].idle, &sem->base);
	return semundo__fail(r, "cannot wait for '%s': its file is damaged",
	                     semundo__name_of(&sem->base));
}

/* Without waiting; but units of the dead are free. */
static int try_only(struct native_sem *sem, const struct wait_goal *goal)
{
	struct watch watch = { .count = 0 };
	int r = goal->attempt(sem, goal->n);
	if (r != -EAGAIN)
		return r;
	look(sem, &watch, HOLDERS);
	return watch.undone ? goal->attempt(sem, goal->n) : r;
}

/* Without what it waited for. */
static void leave(void *arg)
{
	retire(arg);
	pass_on(arg);
}

static int spin_and_wait(struct waiter *w)
{
	int r = spin(w);
	if (r != -EAGAIN)
		return r;
	w->started = semundo__monotonic();
	w->next_thorough = w->started + THOROUGH;
	announce(w);
	pthread_cleanup_push(leave, w);
	r = wait_loop(w);
	pthread_cleanup_pop(0);
	if (r < 0)
		leave(w);
	else
		retire(w);
	return r;
}

/*
 * Everybody is watched by those who sleep, who look at least each BACKSTOP who is
 * there. Who came later than that is not, and makes them look again. Killed
 * before it: they look when their sleep is over.
 */
static void greet(struct native_sem *sem)
{
	uint64_t since = load_relaxed(&sem->att->since);
	if (since == 0)
		return;
	store_relaxed(&sem->att->since, 0);
	if (sem->base.kind != SEMUNDO_SIGNAL && (load_acquire(&sem->file->state) & FLAGS_WAIT) &&
	    (TEST_SWITCH(no_timed_wait) || semundo__monotonic() - since < 2 * BACKSTOP))
		semundo__native_wake_all(sem);
}

int semundo__native_wait(struct native_sem *sem, const struct wait_goal *goal,
                         const struct wait_how *how)
{
	struct waiter w;
	int r, cancel_state;
	/* The thread may be asked to end (pthread_cancel), but not in here, except
	 * asleep where the caller says so. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	w.cancel_state = cancel_state;
	semundo__rearm(sem->dir);
	if (how->flags & SEMUNDO_WAIT_TRY) {
		r = try_only(sem, goal);
	} else {
		w.sem = sem;
		w.goal = goal;
		w.how = how;
		w.flags = goal->n == 1 ? FLAG_WAITERS : FLAGS_WAIT;
		w.shown = NULL;
		w.recheck = 0;
		w.many = false;
		w.watch.start = SLOT_FIRST;
		r = spin_and_wait(&w);
	}
	greet(sem);
	pthread_setcancelstate(cancel_state, NULL);
	return r < 0 ? fail_wait(sem, goal, r) : r;
}
