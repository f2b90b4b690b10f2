/* SPDX-License-Identifier: Apache-2.0 */
/* Ping-pong: two processes and two semaphores; one round trip is measured. */
#include <stdlib.h>

#include "bench.h"

#define ROUNDS 15
#define TRIPS 4000

struct table_of_two {
	struct subject there, back;
};

static void make(struct table_of_two *t, enum candidate what)
{
	subject_make(&t->there, what, what == SEMUNDO_SIGNALS || what == GLIBC_SEM ? 0 : 1);
	subject_make(&t->back, what, what == SEMUNDO_SIGNALS || what == GLIBC_SEM ? 0 : 1);
}

static double trips(struct table_of_two *t, unsigned count, int first_cpu, int second_cpu)
{
	pid_t pid = fork_child();
	if (pid == 0) {
		run_on(second_cpu);
		for (unsigned i = 0; i < count; i++) {
			subject_acquire(&t->there);
			subject_release(&t->back);
		}
		_Exit(0);
	}
	run_on(first_cpu);
	uint64_t start = 0;
	unsigned warm = count / 10 + 1;
	for (unsigned i = 0; i < count; i++) {
		if (i == warm)
			start = now_ns();
		subject_release(&t->there);
		subject_acquire(&t->back);
	}
	double ns = (double)(now_ns() - start) / (count - warm);
	reap(pid);
	run_on(-1);
	return ns;
}

static void compare(const char *title, double scale, int first, int second, double promise)
{
	static const enum candidate compared[] = { GLIBC_SEM, SEMUNDO_SIGNALS };
	static struct series series[2];
	struct table_of_two tables[2];
	unsigned count = (unsigned)(TRIPS * scale) + 100;
	table_head(title, "ns");
	for (unsigned i = 0; i < 2; i++) {
		series[i].count = 0;
		make(&tables[i], compared[i]);
	}
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned i = 0; i < 2; i++)
			series_add(&series[i], trips(&tables[i], count, first, second));
	for (unsigned i = 0; i < 2; i++) {
		table_line(candidate_name(compared[i]), &series[i]);
		subject_drop(&tables[i].there);
		subject_drop(&tables[i].back);
	}
	table_ratio("SIGNAL / sem_t", &series[1], &series[0], 0.5, promise, 0);
}

void bench_handover(double scale)
{
	compare("hand-over: a round trip between two cores", scale, 0, 1, 0.3);
	compare("hand-over: a round trip on one core", scale, 0, 0, 1.1);
}
