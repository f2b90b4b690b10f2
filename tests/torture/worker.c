/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker: acquires, stamps a cell for each unit, looks whether the stamps
 * stay, releases. Cells are as many as units. The parent takes the cells of a
 * dead worker back, after it has reaped it.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "torture.h"
#if SEMUNDO_TEST
#include "test_hooks.h"
#endif

#define RECLAIM_LIMIT (10 * SEC)
#define PARK_PAUSE (200 * UINT64_C(1000))

struct worker {
	struct arena *arena;
	struct place *me;
	const struct plan *plan;
	semundo_t *sem;
	uint64_t random;
	uint64_t stamp;
};

static struct place *this_place;

__attribute__((format(printf, 2, 3), noreturn)) static void complain(struct worker *w,
                                                                     const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(w->me->complaint, sizeof(w->me->complaint), format, args);
	va_end(args);
	_exit(1);
}

#if SEMUNDO_TEST
/* Where it is, for the report; and its end, where the parent lit a fuse. */
static void on_point(const char *where)
{
	struct place *me = this_place;
	me->point = where;
	if (!me->fuse)
		return;
	const char *at = me->fuse_at;
	if (strncmp(where, at, strlen(at)) != 0)
		return;
	uint32_t left = me->fuse;
	if (!left || !atomic_compare_exchange_strong(&me->fuse, &left, left - 1) || left > 1)
		return;
	if (me->fuse_signal == SIGKILL)
		me->doomed = 1;
	else
		me->halted = 1;
	raise((int)me->fuse_signal);
}
#endif

/* ---- stamps: place (8 bits), life (24), round (32) ---- */

uint64_t stamp_place(uint64_t stamp)
{
	return (stamp >> 56) - 1;
}

static uint64_t make_stamp(const struct worker *w, uint64_t round)
{
	uint64_t place = (uint64_t)(w->me - w->arena->place) + 1;
	return place << 56 | (uint64_t)(w->me->life & 0xffffff) << 32 | (round & 0xffffffff);
}

static bool take_cell(struct worker *w)
{
	for (uint32_t i = 0; i < w->plan->capacity; i++) {
		uint64_t none = 0;
		if (!w->arena->cell[i] &&
		    atomic_compare_exchange_strong(&w->arena->cell[i], &none, w->stamp))
			return true;
	}
	return false;
}

/* Two equal readings are one moment at which every cell was taken. Whoever is
 * buried and replaced in between loses its cells before it ceases to be doomed. */
static bool all_taken_by_the_living(struct worker *w)
{
	uint64_t first[CELLS_MAX];
	for (uint32_t i = 0; i < w->plan->capacity; i++) {
		first[i] = w->arena->cell[i];
		if (!first[i])
			return false;
	}
	for (uint32_t i = 0; i < w->plan->capacity; i++)
		if (w->arena->place[stamp_place(first[i])].doomed)
			return false;
	for (uint32_t i = 0; i < w->plan->capacity; i++)
		if (w->arena->cell[i] != first[i])
			return false;
	return true;
}

static void enter(struct worker *w, uint32_t units)
{
	uint64_t give_up = now_ns() + RECLAIM_LIMIT;
	for (uint32_t i = 0; i < units; i++)
		while (!take_cell(w)) {
			if (all_taken_by_the_living(w))
				complain(w, "EXCLUSION: acquired, but %u others alive are inside",
				         w->plan->capacity);
			if (now_ns() > give_up)
				complain(w, "no cell came free: %s",
				         "a dead worker's was not taken back");
			pause_ns(50 * UINT64_C(1000));
		}
}

static void leave(struct worker *w, uint32_t units)
{
	uint32_t found = 0;
	for (uint32_t i = 0; i < w->plan->capacity; i++)
		if (w->arena->cell[i] == w->stamp) {
			found++;
			w->arena->cell[i] = 0;
		}
	if (found != units)
		complain(w, "EXCLUSION: stamped %u cells, found %u of them at the end", units, found);
}

/* ---- rounds ---- */

static int acquire(struct worker *w, uint32_t units)
{
	switch (draw(&w->random, 8)) {
	case 0:
		return semundo_try_acquire(w->sem, units);
	case 1:
		return semundo_acquire_timed(w->sem, units, (int64_t)draw(&w->random, 3000000));
	default:
		return semundo_acquire(w->sem, units);
	}
}

static void linger(struct worker *w)
{
	uint32_t how = draw(&w->random, 16);
	if (how == 0)
		pause_ns(draw(&w->random, 1500) * UINT64_C(1000));
	else if (how < 4)
		sched_yield();
	else
		for (volatile uint32_t i = draw(&w->random, 400); i; i--)
			;
}

static bool wants_and_gets(struct worker *w, uint32_t units)
{
	struct place *me = w->me;
	me->units = units;
	me->waits_begun += units;
	me->round++;
	me->phase = WANTS;
	int r = acquire(w, units);
	if (r == -EAGAIN || r == -ETIMEDOUT) {
		me->phase = IDLE;
		me->waits_begun -= units;
		return false;
	}
	if (r < 0)
		complain(w, "acquire of %u: %s", units, semundo_error());
	if (r == 1)
		me->told++;
	me->phase = HOLDS;
	me->waits_done += units;
	me->acquired++;
	return true;
}

static void gives(struct worker *w, uint32_t units)
{
	struct place *me = w->me;
	me->posts_begun += units;
	me->phase = GIVES;
	int r = semundo_release(w->sem, units);
	if (r)
		complain(w, "release of %u: %s", units, semundo_error());
	me->phase = IDLE;
	me->posts_done += units;
}

static void one_round(struct worker *w)
{
	uint32_t units = 1 + draw(&w->random, w->plan->most_units);
	bool exclusive = w->plan->kind != SEMUNDO_SIGNAL;
	if (!wants_and_gets(w, units))
		return;
	w->stamp = make_stamp(w, w->me->round);
	if (exclusive)
		enter(w, units);
	linger(w);
	if (exclusive)
		leave(w, units);
	gives(w, units);
}

static void park(struct worker *w)
{
	w->me->phase = PARKED;
	while (w->arena->still)
		pause_ns(PARK_PAUSE);
	w->me->phase = IDLE;
}

/* Some go on with the handle they were forked with, some open their own. */
static void open_own(struct worker *w, const char *name, semundo_t *inherited)
{
	w->sem = inherited;
	if (draw(&w->random, 2))
		return;
	semundo_close(inherited);
	if (semundo_open(&w->sem, name, 0, NULL))
		complain(w, "open: %s", semundo_error());
}

void work(struct arena *arena, struct place *me, const char *name, semundo_t *inherited,
          const struct plan *plan, uint64_t random)
{
	struct worker w = { .arena = arena, .me = me, .plan = plan, .random = random | 1 };
	this_place = me;
#if SEMUNDO_TEST
	semundo__test_point = on_point;
#endif
	open_own(&w, name, inherited);
	me->phase = IDLE;
	for (;;) {
		if (arena->still)
			park(&w);
		one_round(&w);
		if (draw(&w.random, 8) == 0)
			linger(&w);
	}
}
