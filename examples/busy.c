/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: busy WORKERS
 * How many workers are busy? Each takes a unit while it works, so the answer
 * is capacity - value, and waiting until nobody is busy is semundo_wait_idle().
 * A worker that crashes is not busy any more: no counter to put right.
 */
#include <semundo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS_MAX 64

struct worker {
	pid_t pid;
	int ready; /* a byte comes when it is busy */
	int stop;  /* closing it ends the work */
};

static int fail(const char *what)
{
	fprintf(stderr, "busy: %s\n", what);
	return 1;
}

static void work(semundo_t *busy, int ready, int stop)
{
	char byte = 0;
	if (semundo_acquire(busy, 1) < 0 || write(ready, &byte, 1) != 1)
		_exit(1);
	while (read(stop, &byte, 1) > 0)
		;
	semundo_release(busy, 1);
	semundo_close(busy);
	_exit(0);
}

static int start(semundo_t *busy, struct worker *all, unsigned me)
{
	int ready[2], stop[2];
	char byte;
	if (pipe(ready) < 0 || pipe(stop) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(stop[1]);
		for (unsigned i = 0; i < me; i++)
			close(all[i].stop);
		work(busy, ready[1], stop[0]);
	}
	close(ready[1]);
	close(stop[0]);
	all[me] = (struct worker){ .pid = pid, .ready = ready[0], .stop = stop[1] };
	return pid > 0 && read(ready[0], &byte, 1) == 1 ? 0 : -1;
}

static void print_busy(semundo_t *busy, const char *when)
{
	struct semundo_info info = { .size = sizeof(info) };
	if (semundo_info(busy, &info) == 0)
		printf("%s: %lld of %u busy\n", when,
		       (long long)info.capacity - (long long)info.value, info.capacity);
}

/* Kills the first worker, and counts as the kernel has taken it away. */
static void crash_first(semundo_t *busy, const struct worker *first)
{
	kill(first->pid, SIGKILL);
	waitpid(first->pid, NULL, 0);
	semundo_recover(busy);
}

static void stop_rest(const struct worker *all, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		close(all[i].stop);
	for (unsigned i = 1; i < count; i++)
		waitpid(all[i].pid, NULL, 0);
}

int main(int argc, char **argv)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	struct worker workers[WORKERS_MAX];
	semundo_t *busy;
	unsigned count = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

	if (count < 1 || count > WORKERS_MAX)
		return fail("usage: busy WORKERS (1 to 64)");
	options.capacity = count;
	if (semundo_anonymous(&busy, &options) < 0)
		return fail(semundo_error());
	print_busy(busy, "at first");
	for (unsigned i = 0; i < count; i++)
		if (start(busy, workers, i) < 0)
			return fail("cannot start a worker");
	print_busy(busy, "all at work");
	crash_first(busy, &workers[0]);
	print_busy(busy, "one crashed");
	stop_rest(workers, count);
	if (semundo_wait_idle(busy, NULL) < 0)
		return fail(semundo_error());
	print_busy(busy, "all came back");
	return semundo_close(busy);
}
