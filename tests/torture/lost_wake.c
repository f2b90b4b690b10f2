/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody is killed and nobody sleeps for a limited time (a switch of the test
 * build): a single lost wake-up leaves a thread asleep for ever. Processes with
 * threads acquire different numbers of units, try, time out and are cancelled.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common.h"
#include "test_hooks.h"

#define PROCESSES 3u
#define THREADS 3u
#define STUCK (10 * SEC)
#define STALL (SEC / 2) /* the watcher itself did not run for so long: no one did */

struct spot {
	_Atomic uint64_t rounds;
	_Atomic uint32_t ended;
	char error[160];
};

struct floor {
	_Atomic uint32_t stop;
	struct spot spot[PROCESSES * THREADS];
};

struct form {
	const char *title;
	uint32_t kind;
	unsigned capacity;
	unsigned most_units;
};

struct thread {
	struct floor *floor;
	struct spot *spot;
	semundo_t *sem;
	semundo_cancel_t *cancel;
	unsigned most_units;
	uint64_t random;
};

/* The windows are a few instructions wide: made wider, by chance. */
static void dawdle(const char *where)
{
	static _Thread_local uint64_t random;
	(void)where;
	if (!random)
		random = now_ns() ^ (uintptr_t)&random;
	uint32_t how = draw(&random, 64);
	if (how < 4)
		sched_yield();
	else if (how == 4)
		pause_ns(1);
}

static int acquire(struct thread *t, unsigned n)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	switch (draw(&t->random, 8)) {
	case 0:
		return semundo_try_acquire(t->sem, n);
	case 1:
		return semundo_acquire_timed(t->sem, n, (int64_t)draw(&t->random, 200000));
	case 2:
	case 3:
		wait.cancel = t->cancel;
		return semundo_acquire_with(t->sem, n, &wait);
	default:
		return semundo_acquire(t->sem, n);
	}
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	while (!t->floor->stop) {
		unsigned n = 1 + draw(&t->random, t->most_units);
		int r = acquire(t, n);
		t->spot->rounds++;
		if (r == -EAGAIN || r == -ETIMEDOUT || r == -ECANCELED)
			continue;
		for (volatile unsigned i = draw(&t->random, 200); i; i--)
			;
		if (r || (r = semundo_release(t->sem, n))) {
			snprintf(t->spot->error, sizeof(t->spot->error), "%d: %s", r, semundo_error());
			break;
		}
	}
	t->spot->ended = 1;
	return NULL;
}

/* The first thread of each process cancels, at random, what others wait for. */
static void cancel_at_random(struct floor *floor, semundo_cancel_t *cancel, uint64_t random)
{
	while (!floor->stop) {
		semundo_cancel(cancel);
		semundo_cancel_reset(cancel);
		pause_ns(draw(&random, 300) * UINT64_C(1000));
	}
	semundo_cancel(cancel);
}

static void run_process(struct floor *floor, const char *name, const struct form *form,
                        unsigned number, uint64_t seed)
{
	struct thread threads[THREADS];
	pthread_t ids[THREADS];
	semundo_t *sem;
	semundo_cancel_t *cancel;
	if (semundo_open(&sem, name, 0, NULL) || semundo_cancel_new(&cancel))
		_exit(1);
	for (unsigned i = 0; i < THREADS; i++) {
		unsigned spot = number * THREADS + i;
		threads[i] = (struct thread){ floor,  &floor->spot[spot], sem,
			                      cancel, form->most_units,   seed + spot * 7919 + 1 };
		if (pthread_create(&ids[i], NULL, run_thread, &threads[i]))
			_exit(1);
	}
	cancel_at_random(floor, cancel, seed + number + 1);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	_exit(0);
}

/* True: all ended, without an error. */
static bool all_ended(const struct floor *floor, const char **ret_why)
{
	bool all = true;
	for (unsigned i = 0; i < PROCESSES * THREADS; i++) {
		if (floor->spot[i].error[0])
			*ret_why = floor->spot[i].error;
		all = all && floor->spot[i].ended;
	}
	return all;
}

/* Each thread must go on by itself, not only all together. */
static bool watch(struct floor *floor, uint64_t length, char *why, size_t size)
{
	uint64_t rounds[PROCESSES * THREADS] = { 0 }, since[PROCESSES * THREADS];
	uint64_t start = now_ns(), last = start;
	const char *error = NULL;
	for (unsigned i = 0; i < PROCESSES * THREADS; i++)
		since[i] = start;
	while (!all_ended(floor, &error) && !error) {
		uint64_t now = now_ns(), stalled = now - last > STALL ? now - last : 0;
		last = now;
		floor->stop = now - start > length;
		for (unsigned i = 0; i < PROCESSES * THREADS; i++) {
			uint64_t r = floor->spot[i].rounds;
			since[i] += stalled;
			if (r != rounds[i] || floor->spot[i].ended)
				since[i] = now;
			rounds[i] = r;
			if (now - since[i] > STUCK) {
				snprintf(why, size,
				         "thread %u has slept for %.0f s, after %" PRIu64 " rounds", i,
				         (double)(now - since[i]) / 1e9, r);
				return false;
			}
		}
		pause_ns(5 * MSEC);
	}
	if (error)
		snprintf(why, size, "%s", error);
	return !error;
}

static bool is_right_at_end(semundo_t *sem, const struct form *form, char *why, size_t size)
{
	int64_t value = -1;
	semundo_value(sem, &value);
	if (value != (int64_t)form->capacity)
		snprintf(why, size, "at the end the value is %" PRId64 " of %u", value,
		         form->capacity);
	return value == (int64_t)form->capacity;
}

static void run(const struct form *form, uint64_t length, uint64_t seed)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	struct floor *floor = shared_memory(sizeof(*floor));
	pid_t pid[PROCESSES];
	semundo_t *sem;
	char why[200] = "";
	options.kind = form->kind;
	if (form->kind == SEMUNDO_PERMITS)
		options.capacity = form->capacity;
	if (form->kind == SEMUNDO_SIGNAL)
		options.value = form->capacity;
	if (semundo_open(&sem, "lost-wake", SEMUNDO_CREATE | SEMUNDO_EXCL, &options))
		die("%s", semundo_error());
	for (unsigned i = 0; i < PROCESSES; i++) {
		pid[i] = fork_child();
		if (pid[i] == 0)
			run_process(floor, "lost-wake", form, i, seed);
	}
	bool ok = watch(floor, length, why, sizeof(why));
	ok = ok && is_right_at_end(sem, form, why, sizeof(why));
	uint64_t rounds = 0;
	for (unsigned i = 0; i < PROCESSES * THREADS; i++)
		rounds += floor->spot[i].rounds;
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;
		kill(pid[i], SIGKILL);
		reap(pid[i], &status);
	}
	printf("# seed %" PRIu64 ": %" PRIu64 " rounds\n", seed, rounds);
	tap_result(ok, why, "no wake-up is lost: %s", form->title);
	semundo_close(sem);
	semundo_unlink("lost-wake", NULL);
}

int main(int argc, char **argv)
{
	static const struct form forms[] = {
		{ "LOCK", SEMUNDO_LOCK, 1, 1 },
		{ "PERMITS, one of 1", SEMUNDO_PERMITS, 1, 1 },
		{ "PERMITS, 1 to 3 of 3", SEMUNDO_PERMITS, 3, 3 },
		{ "SIGNAL, 1 to 2 of 2", SEMUNDO_SIGNAL, 2, 2 },
	};
	unsigned count = sizeof(forms) / sizeof(forms[0]);
	double seconds = argc > 1 ? atof(argv[1]) : 10;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : now_ns() & 0xffffffff;
	own_directory();
	semundo__test.no_timed_wait = 1;
	semundo__test.no_spin = 1;
	semundo__test_point = dawdle;
	tap_plan(count);
	for (unsigned i = 0; i < count; i++)
		run(&forms[i], (uint64_t)(seconds * 1e9 / count), seed + i);
	return tap_status();
}
