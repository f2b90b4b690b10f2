/* SPDX-License-Identifier: Apache-2.0 */
/* Time limits, signals that come while somebody waits, and who is woken. */
#include <pthread.h>
#include <signal.h>

#include "engine.h"
#include "engines.h"

/* A wait that is that much too long is a fault, not a busy machine. */
#define TOO_LONG (20 * SEC)
#define SHORT (40 * MSEC)

static struct timespec in(uint64_t ns)
{
	ns += now_ns();
	return (struct timespec){ (time_t)(ns / SEC), (long)(ns % SEC) };
}

/* ---- time limits ---- */

START_TEST(a_time_limit_is_kept)
{
	semundo_t *sem = make("s", _i, 1);
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 1), 0);
	for (int form = 0; form < 4; form++) {
		uint64_t start = now_ns();
		struct timespec deadline = in(SHORT);
		wait.deadline = &deadline;
		if (form == 3 && _i == SEMUNDO_SIGNAL)
			break;
		must_be(form == 0 ? semundo_acquire_timed(sem, 1, (int64_t)SHORT) :
		        form == 1 ? semundo_acquire_until(sem, 1, &deadline) :
		        form == 2 ? semundo_acquire_with(sem, 1, &wait) :
		                    semundo_wait_idle(sem, &wait), -ETIMEDOUT);
		ck_assert_ptr_nonnull(strstr(semundo_error(), "'s'"));
		ck_assert_uint_ge(now_ns() - start, SHORT);
		ck_assert_uint_lt(now_ns() - start, TOO_LONG);
	}
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(a_past_limit_does_not_wait)
{
	semundo_t *sem = make("s", _i, 1);
	const struct timespec past[] = { { 0, 0 }, { -5, 0 }, in(0) };
	if (!sem)
		return;
	must_be(semundo_acquire(sem, 1), 0);
	must_fail(semundo_acquire_timed(sem, 1, 0), ETIMEDOUT, "'s'");
	must_fail(semundo_acquire_timed(sem, 1, INT64_MIN), ETIMEDOUT, "'s'");
	for (int i = 0; i < 3; i++)
		must_fail(semundo_acquire_until(sem, 1, &past[i]), ETIMEDOUT, "'s'");
	must(semundo_close(sem));
}
END_TEST

static int far_away(semundo_t *sem, unsigned n)
{
	const struct timespec far = { INT64_MAX / 2, 999999999 };
	return semundo_acquire_until(sem, n, &far);
}

static int longest(semundo_t *sem, unsigned n)
{
	return semundo_acquire_timed(sem, n, INT64_MAX);
}

START_TEST(a_far_limit_is_no_limit)
{
	semundo_t *sem = make("s", _i, 1);
	if (!sem)
		return;
	struct worker *a = worker_open(named("s")), *b = worker_open(named("s"));
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(a, far_away, 1);
	worker_start(b, longest, 1);
	worker_sleeps(a);
	worker_sleeps(b);
	must(semundo_release(sem, 1));
	until(worker_is_done(a) || worker_is_done(b));
	struct worker *first = worker_is_done(a) ? a : b, *second = first == a ? b : a;
	worker_result_must_be(first, 0);
	worker_sleeps(second);
	worker_must(first, semundo_release, 1);
	worker_result_must_be(second, 0);
	must(semundo_close(sem));
}
END_TEST

/* ---- signals ---- */

static void on_signal(int number)
{
	(void)number;
}

static void handle(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	sigaction(SIGUSR1, &action, NULL);
}

/* Milliseconds that a wait of n took, or what went wrong. */
static int timed(semundo_t *sem, unsigned n)
{
	handle(0);
	uint64_t start = now_ns();
	int r = semundo_acquire_timed(sem, 1, (int64_t)(n * MSEC));
	return r == -ETIMEDOUT ? (int)((now_ns() - start) / MSEC) : r ? r : -EIO;
}

START_TEST(signals_change_no_time_limit)
{
	semundo_t *sem = make("s", _i, 1);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(w, timed, 250);
	worker_sleeps(w);
	uint64_t start = now_ns();
	/* As long as it takes: if each signal began the wait anew it would not end. */
	while (!worker_is_done(w)) {
		worker_signal(w, SIGUSR1);
		pause_ns(MSEC);
		ck_assert_uint_lt(now_ns() - start, TOO_LONG);
	}
	int took = worker_result(w);
	ck_assert_int_ge(took, 250);
	ck_assert_int_lt(took, (int)(TOO_LONG / MSEC));
	must(semundo_close(sem));
}
END_TEST

static int not_asked(semundo_t *sem, unsigned n)
{
	handle(0);
	return semundo_acquire(sem, n);
}

START_TEST(a_signal_ends_no_wait)
{
	semundo_t *sem = make("s", _i, 1);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(w, not_asked, 1);
	for (int i = 0; i < 20; i++) {
		worker_sleeps(w);
		worker_signal(w, SIGUSR1);
		pause_ns(MSEC);
	}
	worker_sleeps(w);
	must(semundo_release(sem, 1));
	worker_result_must_be(w, 0);
	must(semundo_close(sem));
}
END_TEST

static int ask(semundo_t *sem, unsigned restart)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	wait.flags = SEMUNDO_WAIT_EINTR;
	handle(restart ? SA_RESTART : 0);
	return semundo_acquire_with(sem, 1, &wait);
}

static int ask_for_idle(semundo_t *sem, unsigned restart)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	wait.flags = SEMUNDO_WAIT_EINTR;
	handle(restart ? SA_RESTART : 0);
	return semundo_wait_idle(sem, &wait);
}

/* One that comes between two sleeps is not seen: the next one is. */
static void signal_until_done(struct worker *w)
{
	worker_sleeps(w);
	until((worker_signal(w, SIGUSR1), worker_is_done(w)));
}

START_TEST(a_signal_ends_a_wait_that_asked)
{
	semundo_t *sem = make("s", _i, 1);
	if (!sem)
		return;
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 1), 0);
	for (unsigned restart = 0; restart < 2; restart++) {
		worker_start(w, ask, restart);
		signal_until_done(w);
		worker_result_must_be(w, -EINTR);
		ck_assert_ptr_nonnull(strstr(w->error, "'s'"));
		if (_i == SEMUNDO_SIGNAL)
			continue;
		worker_start(w, ask_for_idle, restart);
		signal_until_done(w);
		worker_result_must_be(w, -EINTR);
	}
	/* The next wait is a new one. */
	worker_start(w, semundo_acquire, 1);
	worker_sleeps(w);
	must(semundo_release(sem, 1));
	worker_result_must_be(w, 0);
	must(semundo_close(sem));
}
END_TEST

/* ---- who is woken ---- */

/* Else asking for it is refused. */
static bool gives_many(semundo_t *sem)
{
	if (!can(SEMUNDO_CAP_MANY))
		must_fail(semundo_acquire(sem, 2), ENOTSUP, "'s'");
	return can(SEMUNDO_CAP_MANY);
}

START_TEST(who_wants_many_waits_for_many)
{
	semundo_t *sem = make("s", _i, 3);
	if (!sem || _i == SEMUNDO_LOCK || !gives_many(sem)) {
		semundo_close(sem);
		return;
	}
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 3), 0);
	worker_start(w, semundo_acquire, 3);
	for (int i = 1; i <= 3; i++) {
		worker_sleeps(w);
		ck_assert_int_eq((int)value_of(sem), i - 1);
		must(semundo_release(sem, 1));
	}
	worker_result_must_be(w, 0);
	ck_assert_int_eq((int)value_of(sem), 0);
	must(semundo_close(sem));
}
END_TEST

/* One who wants many must not swallow the wake-up of one who wants one. */
START_TEST(one_wakes_past_who_wants_many)
{
	semundo_t *sem = make("s", _i, 3);
	if (!sem || _i == SEMUNDO_LOCK || !gives_many(sem)) {
		semundo_close(sem);
		return;
	}
	struct worker *many = worker_open(named("s")), *one = worker_open(named("s"));
	must_be(semundo_acquire(sem, 3), 0);
	worker_start(many, semundo_acquire, 3);
	worker_sleeps(many);
	worker_start(one, semundo_acquire, 1);
	worker_sleeps(one);
	must(semundo_release(sem, 1));
	worker_result_must_be(one, 0);
	worker_sleeps(many);
	must(semundo_release(sem, 2));
	worker_must(one, semundo_release, 1);
	worker_result_must_be(many, 0);
	must(semundo_close(sem));
}
END_TEST

/* ---- no point of cancellation (pthread_cancel) ---- */

struct patient {
	semundo_t *sem;
	int result;
	int started, went_on;
};

static void *acquire_patiently(void *arg)
{
	struct patient *p = arg;
	__atomic_store_n(&p->started, 1, __ATOMIC_SEQ_CST);
	p->result = semundo_acquire(p->sem, 1);
	__atomic_store_n(&p->went_on, 1, __ATOMIC_SEQ_CST);
	pthread_testcancel();
	return NULL;
}

START_TEST(a_thread_is_not_ended_inside)
{
	struct patient p = { make("s", _i, 1), -1, 0, 0 };
	pthread_t thread;
	void *end;
	if (!p.sem)
		return;
	must_be(semundo_acquire(p.sem, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, acquire_patiently, &p), 0);
	if (can(SEMUNDO_CAP_PEERS))
		until(info_of(p.sem).waiters == 1);
	else
		until(__atomic_load_n(&p.started, __ATOMIC_SEQ_CST));
	ck_assert_int_eq(pthread_cancel(thread), 0);
	must(semundo_release(p.sem, 1));
	ck_assert_int_eq(pthread_join(thread, &end), 0);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	ck_assert_int_eq(p.went_on, 1);
	ck_assert_int_eq(p.result, 0);
	ck_assert_int_eq((int)value_of(p.sem), 0);
	must(semundo_close(p.sem));
}
END_TEST

void add_waits(Suite *suite)
{
	TCase *t = suite_case(suite, "waits");
	add_all_kinds(t, a_time_limit_is_kept);
	add_all_kinds(t, a_past_limit_does_not_wait);
	add_all_kinds(t, a_far_limit_is_no_limit);
	add_all_kinds(t, signals_change_no_time_limit);
	add_all_kinds(t, a_signal_ends_no_wait);
	add_all_kinds(t, a_signal_ends_a_wait_that_asked);
	add_all_kinds(t, who_wants_many_waits_for_many);
	add_all_kinds(t, one_wakes_past_who_wants_many);
	add_all_kinds(t, a_thread_is_not_ended_inside);
}
