/* SPDX-License-Identifier: Apache-2.0 */
/* Cancel tokens: before, during and after a wait; one for many; in a handler.
 * Each also on a kernel without futex_waitv. */
#include <pthread.h>
#include <signal.h>

#include "engine.h"
#include "engines.h"
#include "test_hooks.h"

static semundo_t *busy;
static semundo_cancel_t *token;
static struct semundo_wait wait;

/* _i: with or without futex_waitv. */
static bool prepare(int without)
{
	semundo__test.no_futex_waitv = without;
	/* With it the cancel has to wake; a limit on each sleep would hide it. */
	semundo__test.no_timed_wait = !without;
	busy = make("s", SEMUNDO_PERMITS, 1);
	if (!busy)
		return false;
	must_be(semundo_acquire(busy, 1), 0);
	must(semundo_cancel_new(&token));
	wait = (struct semundo_wait)SEMUNDO_WAIT_INIT;
	wait.cancel = token;
	return true;
}

static void finish(void)
{
	semundo_cancel_free(token);
	must(semundo_close(busy));
}

struct waiting {
	semundo_t *sem;
	bool idle;
	int result;
	uint32_t done;
	pthread_t thread;
};

static void *do_wait(void *arg)
{
	struct waiting *w = arg;
	w->result = w->idle ? semundo_wait_idle(w->sem, &wait) :
			      semundo_acquire_with(w->sem, 1, &wait);
	__atomic_store_n(&w->done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void start(struct waiting *w, semundo_t *sem, bool idle)
{
	*w = (struct waiting){ .sem = sem, .idle = idle };
	ck_assert_int_eq(pthread_create(&w->thread, NULL, do_wait, w), 0);
}

static int result_of(struct waiting *w)
{
	until(__atomic_load_n(&w->done, __ATOMIC_SEQ_CST));
	ck_assert_int_eq(pthread_join(w->thread, NULL), 0);
	return w->result;
}

static void wait_for_waiters(semundo_t *sem, unsigned n)
{
	until(info_of(sem).waiters == n);
}

START_TEST(before)
{
	if (!prepare(_i))
		return;
	semundo_cancel(token);
	for (int i = 0; i < 2; i++) {
		must_fail(semundo_acquire_with(busy, 1, &wait), ECANCELED, "'s'");
		must_fail(semundo_wait_idle(busy, &wait), ECANCELED, "'s'");
	}
	/* What need not wait is no wait. */
	must(semundo_release(busy, 1));
	must_be(semundo_acquire_with(busy, 1, &wait), 0);
	finish();
}
END_TEST

START_TEST(during)
{
	struct waiting w[2];
	if (!prepare(_i))
		return;
	start(&w[0], busy, false);
	start(&w[1], busy, true);
	wait_for_waiters(busy, 2);
	semundo_cancel(token);
	must_be(result_of(&w[0]), -ECANCELED);
	must_be(result_of(&w[1]), -ECANCELED);
	ck_assert_int_eq((int)value_of(busy), 0);
	must_be(held(busy, 0), 1);
	finish();
}
END_TEST

START_TEST(after)
{
	struct waiting w;
	if (!prepare(_i))
		return;
	start(&w, busy, false);
	wait_for_waiters(busy, 1);
	must(semundo_release(busy, 1));
	must_be(result_of(&w), 0);
	semundo_cancel(token);
	ck_assert_int_eq((int)value_of(busy), 0);
	must_be(held(busy, 0), 1);
	finish();
}
END_TEST

START_TEST(reset)
{
	struct waiting w;
	if (!prepare(_i))
		return;
	semundo_cancel(token);
	must_fail(semundo_acquire_with(busy, 1, &wait), ECANCELED, "'s'");
	semundo_cancel_reset(token);
	start(&w, busy, false);
	wait_for_waiters(busy, 1);
	must(semundo_release(busy, 1));
	must_be(result_of(&w), 0);
	semundo_cancel(token);
	must_fail(semundo_acquire_with(busy, 1, &wait), ECANCELED, "'s'");
	finish();
}
END_TEST

START_TEST(one_token_for_many)
{
	struct waiting w[6];
	if (!prepare(_i))
		return;
	semundo_t *other = make("t", SEMUNDO_LOCK, 1), *third = make("u", SEMUNDO_SIGNAL, 0);
	must_be(semundo_acquire(other, 1), 0);
	for (int i = 0; i < 6; i++)
		start(&w[i], i < 2 ? busy : i < 4 ? other : third, false);
	wait_for_waiters(busy, 2);
	wait_for_waiters(other, 2);
	wait_for_waiters(third, 2);
	semundo_cancel(token);
	for (int i = 0; i < 6; i++)
		must_be(result_of(&w[i]), -ECANCELED);
	must(semundo_close(other));
	must(semundo_close(third));
	finish();
}
END_TEST

/* A token that is not theirs leaves the others asleep. */
START_TEST(only_its_own)
{
	struct waiting w;
	semundo_cancel_t *another;
	if (!prepare(_i))
		return;
	struct worker *without = worker_open(named("s"));
	must(semundo_cancel_new(&another));
	start(&w, busy, false);
	worker_start(without, semundo_acquire, 1);
	wait_for_waiters(busy, 2);
	semundo_cancel(another);
	ck_assert_uint_eq(info_of(busy).waiters, 2);
	semundo_cancel(token);
	must_be(result_of(&w), -ECANCELED);
	worker_sleeps(without);
	must(semundo_release(busy, 1));
	worker_result_must_be(without, 0);
	semundo_cancel_free(another);
	finish();
}
END_TEST

static void cancel_it(int number)
{
	(void)number;
	semundo_cancel(token);
}

static int wait_for_handler(semundo_t *sem, unsigned n)
{
	int r = semundo_cancel_new(&token);
	if (r)
		return r;
	signal(SIGUSR1, cancel_it);
	wait = (struct semundo_wait)SEMUNDO_WAIT_INIT;
	wait.cancel = token;
	return semundo_acquire_with(sem, n, &wait);
}

/* One signal is enough, whenever it comes. */
START_TEST(in_a_signal_handler)
{
	if (!prepare(_i))
		return;
	for (int i = 0; i < 10; i++) {
		struct worker *w = worker_open(named("s"));
		worker_start(w, wait_for_handler, 1);
		worker_sleeps(w);
		worker_signal(w, SIGUSR1);
		worker_result_must_be(w, -ECANCELED);
		worker_end(w);
	}
	finish();
}
END_TEST

/* Released and cancelled at once: the unit is with one or the other. */
START_TEST(no_unit_is_lost_to_a_cancel)
{
	if (!prepare(_i))
		return;
	for (int i = 0; i < 100; i++) {
		struct waiting w;
		start(&w, busy, false);
		wait_for_waiters(busy, 1);
		must(semundo_release(busy, 1));
		semundo_cancel(token);
		int r = result_of(&w);
		ck_assert_msg(r == 0 || r == -ECANCELED, "result %d", r);
		ck_assert_int_eq((int)value_of(busy), r == 0 ? 0 : 1);
		if (r)
			must_be(semundo_acquire(busy, 1), 0);
		semundo_cancel_reset(token);
	}
	finish();
}
END_TEST

void add_cancel(Suite *suite)
{
	TCase *t = suite_case(suite, "cancel");
	if (!can(SEMUNDO_CAP_PEERS | SEMUNDO_CAP_PERMITS)) {
		suite_skip("cancel", "this engine cannot show who waits");
		return;
	}
	tcase_add_loop_test(t, before, 0, 2);
	tcase_add_loop_test(t, during, 0, 2);
	tcase_add_loop_test(t, after, 0, 2);
	tcase_add_loop_test(t, reset, 0, 2);
	tcase_add_loop_test(t, one_token_for_many, 0, 2);
	tcase_add_loop_test(t, only_its_own, 0, 2);
	tcase_add_loop_test(t, in_a_signal_handler, 0, 2);
	tcase_add_loop_test(t, no_unit_is_lost_to_a_cancel, 0, 2);
}
