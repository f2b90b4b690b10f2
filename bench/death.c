/* SPDX-License-Identifier: Apache-2.0 */
/* A holder is killed: how long until the next, asleep by then, has the unit. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define DEATHS 300
#define SETTLE_NS 8000000 /* past the short sleeps: the waiter sleeps for long */

struct scene {
	_Atomic unsigned holds, waits;
	_Atomic uint64_t got;
};

static void pause_ns(long ns)
{
	const struct timespec ts = { 0, ns };
	nanosleep(&ts, NULL);
}

static double one_death(struct subject *s, struct scene *scene)
{
	scene->holds = scene->waits = 0;
	scene->got = 0;
	pid_t holder = fork_child();
	if (holder == 0) {
		subject_acquire(s);
		scene->holds = 1;
		for (;;)
			pause();
	}
	while (!scene->holds)
		pause_ns(20000);
	pid_t waiter = fork_child();
	if (waiter == 0) {
		scene->waits = 1;
		subject_acquire(s);
		scene->got = now_ns();
		subject_release(s);
		_Exit(0);
	}
	while (!scene->waits)
		pause_ns(20000);
	pause_ns(SETTLE_NS);
	uint64_t start = now_ns();
	kill(holder, SIGKILL);
	reap(waiter);
	reap(holder);
	return (double)(scene->got - start) / 1000;
}

void bench_death(double scale)
{
	static const enum candidate compared[] = { SYSV_UNDO, SEMUNDO_LOCKS, SEMUNDO_PERMIT };
	static struct series series[3];
	struct subject subject[3];
	struct scene *scene = shared_memory(sizeof(*scene));
	unsigned deaths = (unsigned)(DEATHS * scale) + 10;
	table_head("a holder is killed until the next waiter runs", "us");
	for (unsigned i = 0; i < 3; i++)
		subject_make(&subject[i], compared[i], 1);
	for (unsigned round = 0; round < deaths; round++)
		for (unsigned i = 0; i < 3; i++)
			series_add(&series[i], one_death(&subject[i], scene));
	for (unsigned i = 0; i < 3; i++) {
		table_line(candidate_name(compared[i]), &series[i]);
		subject_drop(&subject[i]);
	}
	for (unsigned i = 1; i < 3; i++) {
		const char *const medians[] = { "", "LOCK / SEM_UNDO, median",
			                        "PERMITS / SEM_UNDO, median" };
		const char *const late[] = { "", "LOCK / SEM_UNDO, p99", "PERMITS / SEM_UNDO, p99" };
		table_ratio(medians[i], &series[i], &series[0], 0.5, 1, 0);
		table_ratio(late[i], &series[i], &series[0], 0.99, 1, 0);
	}
}
