/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <pthread.h>
#include <search.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "engine.h"
#include "platform/process.h"

static void *tree;       /* by engine and file: tsearch(3) */
static semundo_t *first; /* all, to know a handle by its address */

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare(const void *pa, const void *pb)
{
	const semundo_t *a = pa, *b = pb;
	int r = compare_u64(a->inode, b->inode);
	if (!r)
		r = compare_u64(a->device, b->device);
	if (!r)
		r = compare_u64((uintptr_t)a->engine, (uintptr_t)b->engine);
	return r ? r : (int)a->read_only - (int)b->read_only;
}

semundo_t *semundo__registry_find(const struct engine *engine, uint64_t device, uint64_t inode,
                                  bool read_only)
{
	const semundo_t key = {
		.engine = engine, .device = device, .inode = inode, .read_only = read_only
	};
	semundo_t *const *found = tfind(&key, &tree, compare);
	return found ? *found : NULL;
}

int semundo__registry_add(semundo_t *sem)
{
	if (!tsearch(sem, &tree, compare))
		return -1;
	sem->next = first;
	if (first)
		first->previous = sem;
	first = sem;
	return 0;
}

void semundo__registry_remove(semundo_t *sem)
{
	tdelete(sem, &tree, compare);
	if (sem->next)
		sem->next->previous = sem->previous;
	if (sem->previous)
		sem->previous->next = sem->next;
	else
		first = sem->next;
}

int semundo__known_name(const semundo_t *wanted, char *ret, size_t size)
{
	int found = 0;
	semundo__big_lock();
	for (const semundo_t *s = first; s && !found; s = s->next)
		if (s == wanted) {
			snprintf(ret, size, "%s", s->name);
			found = 1;
		}
	semundo__big_unlock();
	return found;
}

/* ---- the big lock ---- */

static pthread_mutex_t big_lock = PTHREAD_MUTEX_INITIALIZER;
static int cancel_state; /* of the thread that has the lock */

/* What is done under the lock calls open(2) and the like, in which
 * pthread_cancel(3) could end the thread with the lock held. */
void semundo__big_lock(void)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&big_lock);
	cancel_state = state;
}

void semundo__big_unlock(void)
{
	int state = cancel_state;
	pthread_mutex_unlock(&big_lock);
	pthread_setcancelstate(state, NULL);
}

static void in_child(void)
{
	semundo__wipe_after_fork();
	for (semundo_t *s = first; s; s = s->next)
		if (s->ops->forked)
			s->ops->forked(s);
	semundo__big_unlock();
}

/* A child made in the middle of an open or a join finds neither half done. */
__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(semundo__big_lock, semundo__big_unlock, in_child);
}
