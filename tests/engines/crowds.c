/* SPDX-License-Identifier: Apache-2.0 */
/* Many at once: threads, processes, waiters. */
#include <pthread.h>
#include <unistd.h>

#include "engine.h"
#include "engines.h"

#define PROCESSES 4
#define PAIRS 100000

/* ---- threads ---- */

struct counter {
	semundo_t *sem;
	unsigned rounds;
	uint64_t *count; /* not atomic: the semaphore keeps it whole */
	int result;
};

static void *increment(void *arg)
{
	struct counter *c = arg;
	for (unsigned i = 0; i < c->rounds && c->result >= 0; i++) {
		c->result = semundo_acquire(c->sem, 1);
		if (c->result < 0)
			break;
		*c->count = *c->count + 1;
		c->result = semundo_release(c->sem, 1);
	}
	return NULL;
}

START_TEST(threads_exclude_each_other)
{
	struct counter c[2];
	pthread_t thread[2];
	uint64_t count = 0;
	semundo_t *sem = make("s", _i, 1);
	if (!sem)
		return;
	for (int i = 0; i < 2; i++) {
		c[i] = (struct counter){ sem, PAIRS, &count, 0 };
		ck_assert_int_eq(pthread_create(&thread[i], NULL, increment, &c[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
		ck_assert_int_eq(c[i].result, 0);
	}
	ck_assert_uint_eq(count, 2 * PAIRS);
	ck_assert_int_eq((int)value_of(sem), 1);
	must_be(held(sem, 0), 0);
	must(semundo_close(sem));
}
END_TEST

static void *acquire_in_thread(void *sem)
{
	return semundo_acquire(sem, 1) == 0 ? sem : NULL;
}

/* Units belong to the process. */
START_TEST(a_thread_releases_what_another_acquired)
{
	pthread_t thread;
	void *got;
	semundo_t *sem = make("s", _i, 1);
	if (!sem)
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, acquire_in_thread, sem), 0);
	ck_assert_int_eq(pthread_join(thread, &got), 0);
	ck_assert_ptr_eq(got, sem);
	/* Its thread has ended; the process lives. */
	struct worker *w = worker_open(named("s"));
	worker_must_be(w, semundo_try_acquire, 1, -EAGAIN);
	must_be(held(sem, 0), _i != SEMUNDO_SIGNAL);
	must(semundo_release(sem, 1));
	worker_must(w, semundo_acquire, 1);
	must(semundo_close(sem));
}
END_TEST

START_TEST(threads_that_wait_are_counted)
{
	enum { N = 8 };
	pthread_t thread[N];
	semundo_t *sem = make("s", SEMUNDO_PERMITS, N);
	if (!sem || !can(SEMUNDO_CAP_PEERS)) {
		semundo_close(sem);
		return;
	}
	struct worker *w = worker_open(named("s"));
	worker_must(w, semundo_acquire, N);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, acquire_in_thread, sem), 0);
	until(info_of(sem).waiters == N);
	worker_kill(w);
	for (int i = 0; i < N; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	ck_assert_uint_eq(info_of(sem).waiters, 0);
	must_be(held(sem, 0), N);
	must(semundo_close(sem));
}
END_TEST

/* ---- processes ---- */

static struct {
	int32_t inside;   /* processes that hold a unit */
	int32_t most;
	int32_t capacity;
} *room;

static int come_and_go(semundo_t *sem, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		int64_t value = 0;
		int r = semundo_acquire(sem, 1);
		if (r < 0)
			return r;
		int32_t now = __atomic_add_fetch(&room->inside, 1, __ATOMIC_SEQ_CST);
		int32_t most = __atomic_load_n(&room->most, __ATOMIC_SEQ_CST);
		while (now > most &&
		       !__atomic_compare_exchange_n(&room->most, &most, now, false,
		                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
		if (i % 64 == 0)
			semundo_value(sem, &value);
		if (value < 0 || value >= room->capacity)
			return -EDOM; /* somebody, we, has one */
		__atomic_sub_fetch(&room->inside, 1, __ATOMIC_SEQ_CST);
		r = semundo_release(sem, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* kind and units: of the loop test's number. */
START_TEST(the_value_is_never_wrong)
{
	static const struct {
		int kind, units;
	} setup[] = { { SEMUNDO_LOCK, 1 },    { SEMUNDO_PERMITS, 1 }, { SEMUNDO_PERMITS, 2 },
		      { SEMUNDO_PERMITS, 3 }, { SEMUNDO_SIGNAL, 1 },  { SEMUNDO_SIGNAL, 3 } };
	struct worker *w[PROCESSES];
	int kind = setup[_i].kind, units = setup[_i].units;
	semundo_t *sem = make("s", kind, (unsigned)units);
	if (!sem || (units > 1 && !can(SEMUNDO_CAP_MANY))) {
		semundo_close(sem);
		return;
	}
	room = shared_memory(sizeof(*room));
	room->capacity = units;
	for (int i = 0; i < PROCESSES; i++) {
		w[i] = worker_open(named("s"));
		worker_start(w[i], come_and_go, PAIRS);
	}
	for (int i = 0; i < PROCESSES; i++) {
		while (!worker_is_done(w[i])) {
			ck_assert_int_ge((int)value_of(sem), 0);
			ck_assert_int_le((int)value_of(sem), units);
			pause_ns(MSEC);
		}
		worker_result_must_be(w[i], 0);
	}
	ck_assert_int_le(room->most, units);
	ck_assert_int_eq((int)value_of(sem), units);
	ck_assert_uint_eq(info_of(sem).held, 0);
	must_be(semundo_acquire(sem, (unsigned)units), 0);
	must(semundo_close(sem));
}
END_TEST

static int once(semundo_t *sem, unsigned n)
{
	int r = semundo_acquire(sem, n);
	return r < 0 ? r : semundo_release(sem, n);
}

START_TEST(of_many_waiters_all_go_on)
{
	enum { N = 24 };
	struct worker *w[N];
	semundo_t *sem = make("s", _i, 1);
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 1), 0);
	for (int i = 0; i < N; i++) {
		w[i] = worker_open(named("s"));
		worker_start(w[i], once, 1);
	}
	for (int i = 0; i < N; i++)
		worker_sleeps(w[i]);
	if (can(SEMUNDO_CAP_PEERS))
		ck_assert_uint_eq(info_of(sem).waiters, N);
	must(semundo_release(sem, 1));
	for (int i = 0; i < N; i++)
		worker_result_must_be(w[i], 0);
	ck_assert_int_eq((int)value_of(sem), 1);
	must(semundo_close(sem));
}
END_TEST

static int idle_again(semundo_t *sem, unsigned rounds)
{
	int r = 0;
	for (unsigned i = 0; i < rounds && !r; i++)
		r = semundo_wait_idle(sem, NULL);
	return r;
}

START_TEST(idle_comes_though_others_come_and_go)
{
	struct worker *w[3], *waiter;
	semundo_t *sem = make("s", _i, 3);
	if (!sem)
		return;
	waiter = worker_open(named("s"));
	room = shared_memory(sizeof(*room));
	room->capacity = 3;
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(waiter, idle_again, 50);
	for (int i = 0; i < 3; i++) {
		w[i] = worker_open(named("s"));
		worker_start(w[i], come_and_go, 20000);
	}
	if (_i == SEMUNDO_LOCK)
		must(semundo_release(sem, 1));
	for (int i = 0; i < 3; i++)
		worker_result_must_be(w[i], 0);
	if (_i == SEMUNDO_PERMITS) {
		/* One unit has been out all the time. */
		worker_sleeps(waiter);
		must(semundo_release(sem, 1));
	}
	worker_result_must_be(waiter, 0);
	must(semundo_close(sem));
}
END_TEST

void add_crowds(Suite *suite)
{
	TCase *t = suite_case(suite, "crowds");
	add_all_kinds(t, threads_exclude_each_other);
	add_all_kinds(t, a_thread_releases_what_another_acquired);
	tcase_add_test(t, threads_that_wait_are_counted);
	tcase_add_loop_test(t, the_value_is_never_wrong, 0, 6);
	add_all_kinds(t, of_many_waiters_all_go_on);
	add_undone_kinds(t, idle_comes_though_others_come_and_go);
}
