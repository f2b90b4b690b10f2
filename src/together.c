/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several semaphores, all or none. Nobody waits for one while holding another
 * of the list, so this is never part of a circle of waits. Killed anywhere: what
 * was taken is held, and comes back as what any dead process held.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"
#include "error.h"
#include "platform/process.h"
#include "platform/wait.h"
#include "test_hooks.h"

#define PAUSE_FIRST (20 * NSEC_PER_USEC)
#define PAUSE_MAX (2 * NSEC_PER_MSEC)

struct list {
	semundo_t *sems[SEMUNDO_ALL_MAX];
	unsigned units[SEMUNDO_ALL_MAX];
	bool taken[SEMUNDO_ALL_MAX];
	bool told[SEMUNDO_ALL_MAX];
	unsigned count;
	uint64_t pause;
};

/* The same semaphore twice is one acquire of the sum. */
static int add(struct list *list, semundo_t *sem, unsigned units)
{
	if (units == 0)
		return semundo__fail(-EINVAL, "cannot acquire 0 units of '%s'", semundo__name_of(sem));
	for (unsigned i = 0; i < list->count; i++)
		if (list->sems[i] == sem) {
			if (units > UINT32_MAX - list->units[i])
				return semundo__fail(-ERANGE, "cannot acquire so many units of '%s'",
				                     semundo__name_of(sem));
			list->units[i] += units;
			return 0;
		}
	list->sems[list->count] = sem;
	list->units[list->count++] = units;
	return 0;
}

static int check_undo(const struct list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->sems[i]->kind == SEMUNDO_SIGNAL)
			return semundo__fail(-ENOTSUP,
			                     "cannot acquire '%s' together with others: it is a signal, "
			                     "of which nothing comes back if this process is killed halfway",
			                     semundo__name_of(list->sems[i]));
	return 0;
}

static int take(struct list *list, unsigned i, const struct wait_how *how)
{
	semundo_t *sem = list->sems[i];
	int r = sem->ops->try_acquire(sem, list->units[i]);
	if (r < 0)
		r = sem->ops->acquire(sem, list->units[i], how);
	if (r >= 0) {
		list->taken[i] = true;
		list->told[i] = r > 0;
	}
	return r;
}

/* Who was told of a death gives that on too, and before the units: killed in
 * between, the holder's own death is told. */
static void give_back(struct list *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		semundo_t *sem = list->sems[i];
		if (!list->taken[i])
			continue;
		if (list->told[i] && sem->ops->tell_again)
			sem->ops->tell_again(sem);
		POINT("together:back");
		sem->ops->release(sem, list->units[i]);
		list->taken[i] = list->told[i] = false;
	}
}

/* Tries all that are not taken: 0, or the failure and whose it was. */
static int take_rest(struct list *list, unsigned *ret_which)
{
	static const struct wait_how try_only = { NEVER, SEMUNDO_WAIT_TRY, NULL, 0 };
	for (unsigned i = 0; i < list->count; i++) {
		if (list->taken[i])
			continue;
		int r = take(list, i, &try_only);
		if (r < 0) {
			*ret_which = i;
			return r;
		}
		POINT("together:taken");
	}
	return 0;
}

/* Two that always take each other's next one at the same moment part ways. */
static void part_ways(struct list *list)
{
	uint64_t random = 0;
	semundo__random(&random, sizeof(random));
	if (list->pause)
		semundo__pause(random % list->pause);
	list->pause = list->pause ? list->pause * 2 : PAUSE_FIRST;
	if (list->pause > PAUSE_MAX)
		list->pause = PAUSE_MAX;
}

static int take_all(struct list *list, const struct wait_how *how)
{
	unsigned which = 0;
	for (;;) {
		int r = take(list, which, how);
		if (r >= 0)
			r = take_rest(list, &which);
		if (r >= 0)
			return 0;
		give_back(list);
		if (r != -EAGAIN || (how->flags & SEMUNDO_WAIT_TRY))
			return r;
		part_ways(list);
	}
}

static int take_one_by_one(struct list *list, const struct wait_how *how)
{
	int told = 0;
	int r = check_undo(list);
	if (!r)
		r = take_all(list, how);
	for (unsigned i = 0; i < list->count; i++)
		told |= list->told[i];
	return r ? r : told;
}

int semundo_acquire_all(semundo_t *const *sems, const unsigned *units, unsigned count,
                        const struct semundo_wait *wait)
{
	struct list list = { .count = 0 };
	struct wait_how how;
	if (count == 0 || count > SEMUNDO_ALL_MAX)
		return semundo__fail(-EINVAL, "cannot acquire %u semaphores together: 1 to %d", count,
		                     SEMUNDO_ALL_MAX);
	int r = semundo__how_of(wait, &how);
	for (unsigned i = 0; i < count && !r; i++)
		r = add(&list, sems[i], units[i]);
	if (r)
		return r;
	const struct engine *engine = list.sems[0]->engine;
	r = engine->acquire_all ?
		engine->acquire_all(list.sems, list.units, list.count, &how) : -ENOTSUP;
	return r == -ENOTSUP ? take_one_by_one(&list, &how) : r;
}
