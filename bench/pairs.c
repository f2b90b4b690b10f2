/* SPDX-License-Identifier: Apache-2.0 */
/* Acquire and release, as a pair, with nobody to wait for. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define ROUNDS 41
#define PAIRS 200000

static unsigned pairs_for(enum candidate what, double scale)
{
	return (unsigned)((what == SYSV_UNDO ? PAIRS / 50 : PAIRS) * scale) + 1;
}

static void measure(struct series *series, double scale)
{
	struct subject subject[CANDIDATES];
	for (enum candidate c = 0; c < CANDIDATES; c++) {
		series[c].count = 0;
		subject_make(&subject[c], c, 1);
		subject_pairs(&subject[c], pairs_for(c, scale) / 10); /* attaches, warms up */
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		for (enum candidate c = 0; c < CANDIDATES; c++)
			series_add(&series[c], subject_pairs(&subject[c], pairs_for(c, scale)));
	for (enum candidate c = 0; c < CANDIDATES; c++)
		subject_drop(&subject[c]);
}

static double median(struct series *series, enum candidate c)
{
	return series_at(&series[c], 0.5);
}

static void judge_alone(struct series *series)
{
	struct series *glibc = &series[GLIBC_SEM];
	for (enum candidate c = 0; c < CANDIDATES; c++)
		table_line(candidate_name(c), &series[c]);
	table_ratio("LOCK / sem_t", &series[SEMUNDO_LOCKS], glibc, 0.5, 1.2, 1.5);
	table_ratio("PERMITS / sem_t", &series[SEMUNDO_PERMIT], glibc, 0.5, 2, 2.5);
	table_ratio("SIGNAL / sem_t", &series[SEMUNDO_SIGNALS], glibc, 0.5, 0, 0);
	table_faster("PERMITS against SEM_UNDO", median(series, SYSV_UNDO),
	             median(series, SEMUNDO_PERMIT), 80);
}

static void *until_stopped(void *arg)
{
	pthread_mutex_lock(arg);
	pthread_mutex_unlock(arg);
	return NULL;
}

static void with_thread(struct series *series, double scale)
{
	pthread_mutex_t end = PTHREAD_MUTEX_INITIALIZER;
	pthread_t id;
	pthread_mutex_lock(&end);
	if (pthread_create(&id, NULL, until_stopped, &end))
		die("cannot start a thread");
	measure(series, scale);
	pthread_mutex_unlock(&end);
	pthread_join(id, NULL);
}

/* ---- two processes, a unit for each ---- */

struct both {
	_Atomic unsigned ready;
	double ns;
};

static void meet(struct both *both, unsigned goal)
{
	both->ready++;
	while (both->ready < goal)
		;
}

static double pairs_in_two(struct subject *s, struct both *both, unsigned count)
{
	both->ready = 0;
	pid_t pid = fork_child();
	run_on(pid ? 0 : 1);
	subject_pairs(s, 100);
	meet(both, 2);
	double ns = subject_pairs(s, count);
	if (pid == 0) {
		both->ns = ns;
		_Exit(0);
	}
	reap(pid);
	run_on(-1);
	return (ns + both->ns) / 2;
}

static void two_processes(struct series *series, double scale)
{
	static const enum candidate compared[] = { GLIBC_SEM, SYSV_UNDO, SEMUNDO_PERMIT,
		                                   SEMUNDO_SIGNALS };
	struct both *both = shared_memory(sizeof(*both));
	struct subject subject[CANDIDATES];
	for (unsigned i = 0; i < 4; i++) {
		series[compared[i]].count = 0;
		subject_make(&subject[compared[i]], compared[i], 4);
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < 4; i++)
			series_add(&series[compared[i]],
			           pairs_in_two(&subject[compared[i]], both,
			                        pairs_for(compared[i], scale)));
	for (unsigned i = 0; i < 4; i++) {
		table_line(candidate_name(compared[i]), &series[compared[i]]);
		subject_drop(&subject[compared[i]]);
	}
	table_ratio("PERMITS / sem_t", &series[SEMUNDO_PERMIT], &series[GLIBC_SEM], 0.5, 2, 0);
}

void bench_pairs(double scale)
{
	static struct series series[CANDIDATES];
	table_head("acquire + release, uncontended", "ns");
	measure(series, scale);
	judge_alone(series);
	table_head("the same in a process that has started a thread", "ns");
	with_thread(series, scale);
	judge_alone(series);
	table_head("two processes on two cores, units to spare", "ns");
	two_processes(series, scale);
}
