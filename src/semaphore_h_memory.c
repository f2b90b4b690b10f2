/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Semaphores in the caller's memory: a value and the number of waiters in one
 * word, of which waiters sleep on the value. A poster reads the number with
 * the CAS that adds to the value, and touches the memory no more: whoever took
 * that unit may free it.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "atomics.h"
#include "semaphore_h.h"
#include "wait_how.h"

#define MEMORY_MAGIC UINT32_C(0x6d6d6573)
#define WAITER_ONE (UINT64_C(1) << 32)
#define TRIES_MAX (1u << 20)

struct memory_sem {
	uint32_t magic;
	uint32_t shared;
	uint64_t state; /* low half: value; high half: waiters */
	uint64_t unused[2];
} ALIGNED_8;
_Static_assert(sizeof(struct memory_sem) == sizeof(semundo_sem_t), "32 bytes");

static struct memory_sem *memory(const semundo_sem_t *sem)
{
	struct memory_sem *m = (struct memory_sem *)(uintptr_t)sem;
	bool aligned = (uintptr_t)sem % _Alignof(struct memory_sem) == 0;
	return aligned && load_relaxed(&m->magic) == MEMORY_MAGIC ? m : NULL;
}

static uint32_t value_of(uint64_t state)
{
	return (uint32_t)state;
}

static const uint32_t *value_word(const struct memory_sem *m)
{
	const uint32_t *halves = (const uint32_t *)&m->state;
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? halves : halves + 1;
}

int semundo__memory_init(semundo_sem_t *sem, bool shared, unsigned value)
{
	struct memory_sem *m = (struct memory_sem *)sem;
	if (value > SEMUNDO_SEM_VALUE_MAX)
		return -EINVAL;
	*m = (struct memory_sem){ .shared = shared, .state = value };
	store_release(&m->magic, MEMORY_MAGIC);
	return 0;
}

int semundo__memory_destroy(semundo_sem_t *sem)
{
	struct memory_sem *m = memory(sem);
	if (!m)
		return -EINVAL;
	uint64_t s = load_acquire(&m->state);
	if (s >= WAITER_ONE && value_of(s) == 0)
		return -EBUSY;
	store_relaxed(&m->magic, 0);
	return 0;
}

int semundo__memory_value(const semundo_sem_t *sem, int *ret)
{
	const struct memory_sem *m = memory(sem);
	if (!m)
		return -EINVAL;
	uint32_t value = value_of(load_acquire(&m->state));
	*ret = value > SEMUNDO_SEM_VALUE_MAX ? SEMUNDO_SEM_VALUE_MAX : (int)value;
	return 0;
}

int semundo__memory_post(semundo_sem_t *sem)
{
	struct memory_sem *m = memory(sem);
	if (!m)
		return -EINVAL;
	uint64_t s = load_relaxed(&m->state);
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		if (value_of(s) >= SEMUNDO_SEM_VALUE_MAX)
			return -EOVERFLOW;
		if (cas_acq_rel(&m->state, &s, s + 1)) { /* pairs with take() */
			if (s >= WAITER_ONE)
				semundo__wake(value_word(m), 1);
			return 0;
		}
	}
	return -EINVAL;
}

/* One unit, and `waiters` off the number of waiters. */
static int take(struct memory_sem *m, uint64_t waiters)
{
	uint64_t s = load_relaxed(&m->state);
	while (value_of(s) > 0)
		if (cas_acq_rel(&m->state, &s, s - 1 - waiters)) /* pairs with post's CAS */
			return 0;
	return -EAGAIN;
}

struct memory_wait {
	struct memory_sem *m;
	const struct wait_how *how;
	int cancel_state;
};

/* Without a unit. A wake-up that was for us goes on. */
static void leave(void *arg)
{
	struct memory_wait *w = arg;
	uint64_t s = __atomic_sub_fetch(&w->m->state, WAITER_ONE, __ATOMIC_ACQ_REL);
	if (value_of(s) > 0 && s >= WAITER_ONE)
		semundo__wake(value_word(w->m), 1);
}

/* When to look again at the latest. */
static uint64_t sleep_limit(const struct memory_wait *w, uint64_t deadline)
{
	uint64_t most = NEVER;
	if (deadline != NEVER && (w->how->flags & WAIT_REALTIME))
		most = semundo__monotonic() + REALTIME_SLEEP;
	else if (w->m->shared)
		most = semundo__monotonic() + LONG_SLEEP;
	return most < deadline ? most : deadline;
}

static int sleep_once(const struct memory_wait *w, uint64_t deadline)
{
	const struct wait_word word = { value_word(w->m), 0, false };
	uint64_t until = sleep_limit(w, deadline);
	int r = -ENOSYS;
	if (semundo__can_wait_many())
		CANCELLABLY(w->how->flags, w->cancel_state, r = semundo__wait_many(&word, 1, until));
	if (r == -ENOSYS)
		CANCELLABLY(w->how->flags, w->cancel_state, r = semundo__wait(word.word, 0, until));
	return r;
}

static int wait_loop(const struct memory_wait *w)
{
	for (;;) {
		uint64_t deadline = monotonic_deadline(w->how);
		if (take(w->m, WAITER_ONE) == 0)
			return 0;
		if (deadline != NEVER && semundo__monotonic() >= deadline)
			return -ETIMEDOUT;
		if (sleep_once(w, deadline) == -EINTR)
			return take(w->m, WAITER_ONE) ? -EINTR : 0;
	}
}

static int wait_among_waiters(struct memory_wait *w)
{
	int r;
	add_acq_rel(&w->m->state, WAITER_ONE);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &w->cancel_state);
	pthread_cleanup_push(leave, w);
	r = wait_loop(w);
	pthread_cleanup_pop(0);
	if (r < 0)
		leave(w);
	pthread_setcancelstate(w->cancel_state, NULL);
	return r;
}

int semundo__memory_wait(semundo_sem_t *sem, const struct wait_how *how)
{
	struct memory_wait w = { .m = memory(sem), .how = how };
	if (!w.m)
		return -EINVAL;
	int r = take(w.m, 0);
	return r == -EAGAIN && !(how->flags & SEMUNDO_WAIT_TRY) ? wait_among_waiters(&w) : r;
}
