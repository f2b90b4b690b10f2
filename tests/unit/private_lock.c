/* SPDX-License-Identifier: Apache-2.0 */
/* The private lock of a lane: the favoured thread, and its end. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "../common/suite.h"
#include "native.h"
#include "test_hooks.h"

/* Enough for the moments of ends to spread over all instructions of a section;
 * fewer where processors are busy, since what meets there is up to them. */
#define ROUNDS 3000
#define ROUNDS_LIMIT (3 * SEC)
#define LAST_ROUND (ROUNDS + 1)
#define PAIRS 40
#define UNITS 1000

static struct attachment *att_of(semundo_t *sem)
{
	return native(sem)->att;
}

static semundo_t *make_permits(void)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	options.kind = SEMUNDO_PERMITS;
	options.capacity = UNITS;
	must(semundo_anonymous(&sem, &options));
	must(semundo_acquire(sem, 1));
	must(semundo_release(sem, 1));
	return sem;
}

static void must_be_whole(semundo_t *sem)
{
	unsigned held;
	int64_t value;
	must(semundo_held(sem, &held));
	must(semundo_value(sem, &value));
	ck_assert_uint_eq(held, 0);
	ck_assert_int_eq((int)value, UNITS);
}

static int use(semundo_t *sem, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		int r = semundo_acquire(sem, 1);
		if (r == 0)
			r = semundo_release(sem, 1);
		if (r)
			return r;
	}
	return 0;
}

/* ---- who is favoured ---- */

static void *use_once(void *sem)
{
	return use(sem, 1) == 0 ? sem : NULL;
}

static void use_in_thread(semundo_t *sem)
{
	pthread_t thread;
	void *end;
	ck_assert_int_eq(pthread_create(&thread, NULL, use_once, sem), 0);
	ck_assert_int_eq(pthread_join(thread, &end), 0);
	ck_assert_ptr_eq(end, sem);
}

START_TEST(the_first_thread_is_favoured)
{
	if (!semundo__can_fence_threads())
		return;
	semundo_t *mine = make_permits(), *others = make_permits();
	use_in_thread(others); /* from now on this process has threads */
	ck_assert_uint_ne(att_of(others)->favoured, this_thread());
	ck_assert_uint_gt(att_of(others)->favoured, FAVOUR_ENDING);
	must(use(mine, 1));
	ck_assert_uint_eq(att_of(mine)->favoured, this_thread());
	must(semundo_close(mine));
	must(semundo_close(others));
}
END_TEST

START_TEST(a_second_thread_ends_it)
{
	semundo_t *sem = make_permits(), *other = make_permits();
	use_in_thread(other);
	must(use(sem, 1));
	use_in_thread(sem);
	ck_assert_uint_eq(att_of(sem)->favoured, FAVOUR_ENDED);
	must(use(sem, 1));
	ck_assert_uint_eq(att_of(sem)->favoured, FAVOUR_ENDED);
	must_be_whole(sem);
	must(semundo_close(sem));
	must(semundo_close(other));
}
END_TEST

static void *do_nothing(void *unused)
{
	return unused;
}

START_TEST(a_late_process_favours_nobody)
{
	semundo_t *sem;
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, do_nothing, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	sem = make_permits();
	must(use(sem, 1));
	ck_assert_uint_eq(att_of(sem)->favoured, FAVOUR_ENDED);
	must_be_whole(sem);
	must(semundo_close(sem));
}
END_TEST

/* ---- between its instructions ---- */

static semundo_t *met;
static const char *meeting_place;
static pthread_t favoured;
static uint32_t inside, most_inside;

static bool is_ended(void)
{
	return load_acquire(&att_of(met)->favoured) == FAVOUR_ENDED;
}

/* The favoured thread stays where it is until the other one is in a section. */
static void stay_before(void)
{
	until(is_ended() && load_acquire(&inside));
}

/* It stays in its section, which the other one must wait for, for so long that
 * this is seen if it does not. */
static void stay_inside(void)
{
	until(load_acquire(&att_of(met)->favoured) != this_thread());
	for (unsigned i = 0; i < 50 && !is_ended(); i++)
		pause_ns(100000);
	ck_assert(!is_ended());
}

static void count_inside(const char *point)
{
	if (strcmp(point, "lane:pending") == 0) {
		uint32_t now = add_acq_rel(&inside, 1) + 1;
		if (now > load_relaxed(&most_inside))
			store_relaxed(&most_inside, now);
	}
	if (meeting_place && strcmp(point, meeting_place) == 0 &&
	    pthread_equal(pthread_self(), favoured)) {
		meeting_place = NULL;
		if (strcmp(point, "lane:pending") == 0)
			stay_inside();
		else
			stay_before();
	} else if (strcmp(point, "lane:pending") == 0) {
		pause_ns(1000000);
	}
	if (strcmp(point, "lane:idle") == 0)
		sub_relaxed(&inside, 1);
}

static void *use_when_met(void *sem)
{
	while (load_acquire(&met) == NULL)
		pause_ns(100000);
	return use(sem, 20) == 0 ? sem : NULL;
}

START_TEST(its_end_waits_for_the_section)
{
	static const char *const places[] = { "section:favoured", "lane:pending" };
	semundo_t *sem = make_permits();
	pthread_t thread;
	void *end;
	if (!semundo__can_fence_threads())
		return;
	favoured = pthread_self();
	ck_assert_int_eq(pthread_create(&thread, NULL, use_when_met, sem), 0);
	must(use(sem, 1));
	ck_assert_uint_eq(att_of(sem)->favoured, this_thread());
	meeting_place = places[_i];
	semundo__test_point = count_inside;
	store_release(&met, sem);
	must(use(sem, 20));
	ck_assert_int_eq(pthread_join(thread, &end), 0);
	semundo__test_point = NULL;
	ck_assert_ptr_eq(end, sem);
	ck_assert_uint_eq(most_inside, 1);
	must_be_whole(sem);
	must(semundo_close(sem));
}
END_TEST

/* ---- all at once ---- */

static pthread_t first;
static semundo_t *shared;
static uint32_t round_number, at_work, failures, handled;
static unsigned signals;

/* Spins: what is to be met lasts some nanoseconds. Returns the round. */
static unsigned next_round(unsigned after)
{
	unsigned now;
	for (unsigned i = 1; (now = load_acquire(&round_number)) == after; i++)
		if (i % 200 == 0)
			sched_yield();
	return now;
}

static void *use_each_round(void *unused)
{
	for (unsigned i = next_round(0); i != LAST_ROUND; i = next_round(i)) {
		for (volatile unsigned wait = i % 300; wait; wait--)
			;
		if (use(shared, PAIRS))
			add_relaxed(&failures, 1);
		add_acq_rel(&at_work, UINT32_MAX); /* one less; pairs with the first thread's load */
	}
	return unused;
}

/* One at a time: a sanitizer may keep one only. */
static void *interrupt_each_round(void *unused)
{
	for (unsigned i = next_round(0); i != LAST_ROUND; i = next_round(i)) {
		for (unsigned sent = 0; sent < signals; sent++) {
			if (pthread_kill(first, SIGUSR1))
				add_relaxed(&failures, 1);
			while (load_acquire(&handled) <= sent)
				sched_yield();
		}
		add_acq_rel(&at_work, UINT32_MAX);
	}
	return unused;
}

static void on_signal(int number)
{
	(void)number;
	if (semundo_release(shared, 1))
		add_relaxed(&failures, 1);
	add_relaxed(&handled, 1);
}

/* The first thread's part: it is favoured, goes on until the others have done
 * theirs, and releases in its handlers. */
static void use_while_others_do(unsigned i)
{
	handled = 0;
	at_work = 2;
	must(use(shared, 1));
	if (signals)
		must(semundo_acquire(shared, signals));
	store_release(&round_number, i);
	for (unsigned n = 1; load_acquire(&at_work); n++) {
		must(use(shared, 1));
		if (n % 64 == 0)
			sched_yield(); /* where a sanitizer lets handlers run */
	}
}

/* _i: signals in each round */
START_TEST(its_end_races_with_sections)
{
	pthread_t second, third;
	semundo_t *sem = make_permits(); /* asks for the barrier, with one thread */
	signals = (unsigned)_i;
	first = pthread_self();
	signal(SIGUSR1, on_signal);
	ck_assert_int_eq(pthread_create(&second, NULL, use_each_round, NULL), 0);
	ck_assert_int_eq(pthread_create(&third, NULL,
	                                signals ? interrupt_each_round : use_each_round, NULL),
	                 0);
	uint64_t end = now_ns() + ROUNDS_LIMIT;
	for (unsigned i = 1; i <= ROUNDS && now_ns() < end; i++) {
		shared = make_permits();
		use_while_others_do(i);
		ck_assert_uint_eq(failures, 0);
		must_be_whole(shared);
		must(semundo_close(shared));
	}
	store_release(&round_number, LAST_ROUND);
	pthread_join(second, NULL);
	pthread_join(third, NULL);
	must(semundo_close(sem));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("private lock");
	TCase *t = suite_case(suite, "favour");
	tcase_add_test(t, the_first_thread_is_favoured);
	tcase_add_test(t, a_second_thread_ends_it);
	tcase_add_test(t, a_late_process_favours_nobody);
	tcase_add_loop_test(t, its_end_waits_for_the_section, 0, 2);
	tcase_add_loop_test(t, its_end_races_with_sections, 0, 4);
	return suite_run(suite);
}
