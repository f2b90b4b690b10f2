/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits of the sysv engine with a time limit: with semtimedop(2), and polling as
 * where there is none. Linked with the test library, which can switch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "semundo.h"
#include "test_hooks.h"

#define MSEC 1000000LL
#define SEC 1000000000LL
#define LATES 20
#define TRIPS 200

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static void check(int result)
{
	if (result < 0) {
		fprintf(stderr, "bench-polling: %s\n", semundo_error());
		exit(1);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void line(const char *what, const char *unit, double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), by_size);
	printf("  %-34s %10.3f %s   (least %.3f, most %.3f)\n", what, values[count / 2], unit, values[0],
	       values[count - 1]);
}

static double cpu_ns(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

static semundo_t *create(const char *name, unsigned value)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	options.kind = SEMUNDO_SIGNAL;
	options.value = value;
	check(semundo_open(&sem, name, SEMUNDO_CREATE | SEMUNDO_EXCL, &options));
	check(semundo_unlink(name, NULL));
	return sem;
}

static void cost_and_lateness(semundo_t *sem)
{
	double late[LATES], start = cpu_ns(), cost;
	semundo_acquire_timed(sem, 1, 2 * SEC);
	cost = (cpu_ns() - start) / (2 * (double)SEC) * 100;
	for (int i = 0; i < LATES; i++) {
		int64_t end = now_ns() + 53 * MSEC;
		semundo_acquire_timed(sem, 1, 53 * MSEC);
		late[i] = (double)(now_ns() - end) / 1e6;
	}
	line("processor while waiting", "% ", &cost, 1);
	line("overshoot of a time limit", "ms", late, LATES);
}

/* A post by another process that comes 1 to 30 ms after the wait began. */
static void hand_over(semundo_t *there, semundo_t *back)
{
	double late[TRIPS];
	int64_t *posted = aligned_alloc(64, 64);
	int ends[2];
	if (pipe(ends) < 0)
		exit(1);
	pid_t pid = fork();
	for (int i = 0; pid == 0 && i < TRIPS; i++) {
		check(semundo_acquire(back, 1));
		usleep((useconds_t)(1000 + i * 7919 % 29000));
		*posted = now_ns();
		check(semundo_release(there, 1));
		if (write(ends[1], posted, sizeof(*posted)) != (ssize_t)sizeof(*posted))
			_exit(1);
	}
	if (pid == 0)
		_exit(0);
	for (int i = 0; i < TRIPS; i++) {
		check(semundo_release(back, 1));
		check(semundo_acquire_timed(there, 1, 100 * SEC));
		int64_t woken = now_ns();
		if (read(ends[0], posted, sizeof(*posted)) != (ssize_t)sizeof(*posted))
			exit(1);
		late[i] = (double)(woken - *posted) / 1e6;
	}
	waitpid(pid, NULL, 0);
	free(posted);
	close(ends[0]);
	close(ends[1]);
	line("hand-over to a waiter with a limit", "ms", late, TRIPS);
}

int main(void)
{
	char directory[] = "/dev/shm/semundo-bench.XXXXXX";
	if (!mkdtemp(directory))
		return 1;
	setenv("SEMUNDO_DIR", directory, 1);
	for (int polling = 0; polling < 2; polling++) {
		semundo__test.no_semtimedop = polling;
		semundo_t *there = create("sysv:there", 0), *back = create("sysv:back", 0);
		printf("\nsysv, waits with a limit: %s\n", polling ? "polling" : "semtimedop");
		cost_and_lateness(there);
		hand_over(there, back);
		semundo_close(there);
		semundo_close(back);
	}
	rmdir(directory);
	return 0;
}
