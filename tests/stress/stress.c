/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of memory order, on the real code, between threads and processes:
 *
 *   data    what a holder wrote is what the next holder reads (LOCK, PERMITS)
 *   help    a lane that is pending in the state just loaded is seen pending, or
 *           later: value and lanes of a state that stood still add up
 *   sleep   flag raised, slept, woken, without any limit on sleeps
 *   signal  what was written before a post is read after it was taken
 *
 * usage: stress SECONDS
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../torture/common.h"
#include "native.h"

#define PROCESSES 2u
#define THREADS 2u
#define WORKERS (PROCESSES * THREADS)
#define STUCK (60 * SEC)

/* Plain memory: only the semaphore orders accesses to it. */
struct shared {
	_Atomic uint32_t stop;
	_Atomic uint32_t ended;
	_Atomic uint64_t rounds;
	_Atomic uint64_t checked;
	_Atomic uint32_t wrong;
	char first_wrong[160];
	uint64_t plain[8 * 8]; /* one to a cache line */
};

struct pattern {
	const char *name;
	uint32_t kind;
	unsigned capacity;
	bool sleeps; /* never spins */
	void (*round)(semundo_t *sem, struct shared *sh, unsigned me, uint64_t *random);
};

__attribute__((format(printf, 2, 3))) static void wrong(struct shared *sh, const char *format, ...)
{
	va_list args;
	if (atomic_fetch_add(&sh->wrong, 1) == 0) {
		va_start(args, format);
		vsnprintf(sh->first_wrong, sizeof(sh->first_wrong), format, args);
		va_end(args);
	}
	sh->stop = 1;
}

static void must(struct shared *sh, int r)
{
	if (r < 0)
		wrong(sh, "%s", semundo_error());
}

/* Every word is one more than when the last holder left. */
static void round_data(semundo_t *sem, struct shared *sh, unsigned me, uint64_t *random)
{
	(void)me;
	(void)random;
	must(sh, semundo_acquire(sem, 1));
	uint64_t first = sh->plain[0];
	for (unsigned i = 0; i < 8; i++) {
		if (sh->plain[i * 8] != first)
			wrong(sh, "word %u is %" PRIu64 ", the first was %" PRIu64, i,
			      sh->plain[i * 8], first);
		sh->plain[i * 8] = first + 1;
	}
	must(sh, semundo_release(sem, 1));
}

/* Whoever has all units excludes those who have one. */
static void round_units(semundo_t *sem, struct shared *sh, unsigned me, uint64_t *random)
{
	uint64_t *own = &sh->plain[me * 8];
	if (draw(random, 4)) {
		must(sh, semundo_acquire(sem, 1));
		*own += 1; /* odd in here; nobody else writes it */
		for (volatile unsigned i = draw(random, 20); i; i--)
			;
		*own += 1;
		must(sh, semundo_release(sem, 1));
		return;
	}
	must(sh, semundo_acquire(sem, WORKERS));
	for (unsigned i = 0; i < WORKERS; i++)
		if (sh->plain[i * 8] % 2)
			wrong(sh, "worker %u holds a unit while worker %u holds all", i, me);
	must(sh, semundo_release(sem, WORKERS));
}

/* One worker adds up, the others operate: each state's lanes are complete. */
static void round_help(semundo_t *sem, struct shared *sh, unsigned me, uint64_t *random)
{
	struct native_sem *n = native(sem);
	if (me) {
		unsigned units = 1 + draw(random, 2);
		must(sh, semundo_acquire(sem, units));
		must(sh, semundo_release(sem, units));
		return;
	}
	uint64_t s = load_acquire(&n->file->state);
	uint32_t slots = semundo__native_slots(n);
	int64_t sum = state_value(s);
	for (uint32_t slot = SLOT_FIRST; slot < slots; slot++)
		sum += semundo__native_held_by(n, slot, s);
	if (load_acquire(&n->file->state) != s)
		return;
	sh->checked++;
	if (sum != WORKERS)
		wrong(sh, "value and lanes of one state add up to %" PRId64 " of %u", sum, WORKERS);
}

/* The first worker counts and posts; who takes a post finds it counted, and so
 * the posts that others had taken before. */
static void round_signal(semundo_t *sem, struct shared *sh, unsigned me, uint64_t *random)
{
	(void)random;
	if (me == 0) {
		__atomic_store_n(&sh->plain[0], sh->plain[0] + 1, __ATOMIC_RELAXED);
		must(sh, semundo_release(sem, 1));
		return;
	}
	if (semundo_acquire_timed(sem, 1, (int64_t)MSEC))
		return;
	uint64_t taken = __atomic_add_fetch(&sh->plain[8], 1, __ATOMIC_ACQ_REL);
	if (__atomic_load_n(&sh->plain[0], __ATOMIC_RELAXED) < taken)
		wrong(sh, "%" PRIu64 " posts were taken before as many were made", taken);
}

static const struct pattern patterns[] = {
	{ "data under a LOCK", SEMUNDO_LOCK, 1, false, round_data },
	{ "data under a LOCK, sleeping", SEMUNDO_LOCK, 1, true, round_data },
	{ "data under PERMITS of 1", SEMUNDO_PERMITS, 1, false, round_data },
	{ "data under PERMITS of 1, sleeping", SEMUNDO_PERMITS, 1, true, round_data },
	{ "one unit against all", SEMUNDO_PERMITS, WORKERS, true, round_units },
	{ "lanes and state add up", SEMUNDO_PERMITS, WORKERS, false, round_help },
	{ "posts", SEMUNDO_SIGNAL, SEMUNDO_SIGNAL_MAX, true, round_signal },
};

/* ---- workers ---- */

struct worker {
	semundo_t *sem;
	struct shared *sh;
	const struct pattern *pattern;
	unsigned me;
};

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	uint64_t random = w->me * UINT64_C(7919) + 1;
	uint64_t rounds = 0;
	while (!w->sh->stop) {
		w->pattern->round(w->sem, w->sh, w->me, &random);
		if (++rounds % 64 == 0)
			w->sh->rounds += 64;
	}
	w->sh->rounds += rounds % 64;
	w->sh->ended++;
	return NULL;
}

static void run_process(const struct pattern *p, struct shared *sh, unsigned number)
{
	struct worker worker[THREADS];
	pthread_t id[THREADS];
	semundo_t *sem;
	if (semundo_open(&sem, "stress", 0, NULL))
		_exit(1);
	for (unsigned i = 0; i < THREADS; i++) {
		worker[i] = (struct worker){ sem, sh, p, number * THREADS + i };
		if (pthread_create(&id[i], NULL, run_worker, &worker[i]))
			_exit(1);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	_exit(0);
}

/* At least one round, and one sum where sums are made, however slow the machine. */
static bool has_seen_enough(const struct pattern *p, const struct shared *sh)
{
	return sh->rounds && (p->round != round_help || sh->checked);
}

static bool wait_for_end(const struct pattern *p, struct shared *sh, uint64_t length)
{
	uint64_t start = now_ns();
	while (!sh->stop && (now_ns() - start < length ||
	                     (!has_seen_enough(p, sh) && now_ns() - start < STUCK)))
		pause_ns(5 * MSEC);
	sh->stop = 1;
	uint64_t stopped = now_ns();
	while (sh->ended < WORKERS && now_ns() - stopped < STUCK)
		pause_ns(MSEC);
	return sh->ended == WORKERS;
}

static void run(const struct pattern *p, uint64_t length)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	struct shared *sh = shared_memory(sizeof(*sh));
	pid_t pid[PROCESSES];
	semundo_t *sem;
	int64_t value = -1;
	options.kind = p->kind;
	options.capacity = p->capacity;
	semundo__test.no_spin = p->sleeps;
	if (semundo_open(&sem, "stress", SEMUNDO_CREATE | SEMUNDO_EXCL, &options))
		die("%s", semundo_error());
	for (unsigned i = 0; i < PROCESSES; i++)
		if ((pid[i] = fork_child()) == 0)
			run_process(p, sh, i);
	bool all_ended = wait_for_end(p, sh, length);
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;
		kill(pid[i], SIGKILL);
		reap(pid[i], &status);
	}
	semundo_value(sem, &value);
	if (!all_ended)
		wrong(sh, "%u of %u workers sleep for ever", WORKERS - sh->ended, WORKERS);
	else if (p->kind != SEMUNDO_SIGNAL && value != (int64_t)p->capacity)
		wrong(sh, "at the end the value is %" PRId64 " of %u", value, p->capacity);
	else if (p->round == round_help && !sh->checked)
		wrong(sh, "no state stood still long enough to be added up");
	else if (!sh->rounds)
		wrong(sh, "nobody did anything");
	tap_result(!sh->wrong, sh->first_wrong, "%s: %" PRIu64 " rounds", p->name,
	           (uint64_t)sh->rounds);
	semundo_close(sem);
	semundo_unlink("stress", NULL);
}

int main(int argc, char **argv)
{
	unsigned count = sizeof(patterns) / sizeof(patterns[0]);
	double seconds = argc > 1 ? atof(argv[1]) : 10;
	own_directory();
	semundo__test.no_timed_wait = 1;
	tap_plan(count);
	for (unsigned i = 0; i < count; i++)
		run(&patterns[i], (uint64_t)(seconds * 1e9 / count));
	return tap_status();
}
