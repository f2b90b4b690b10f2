/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: lock FILE
 * Adds 1 to the number in FILE, one process at a time. An owner that was
 * killed half-way leaves the lock free, and the next owner is told: it is the
 * one that has to put right what the lock protects. Here the number is written
 * to a second file that then takes the first one's name, so that half-done
 * work is a left-over file and never half a number.
 */
#include <semundo.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "lock: %s\n", what);
	return 1;
}

static void tell_who_died(semundo_t *lock)
{
	struct semundo_death death;
	if (semundo_deaths(lock, &death, 1) == 1)
		printf("process %d died while it owned the lock\n", (int)death.pid);
}

static int add_one(const char *path, const char *next)
{
	long number = 0;
	FILE *in = fopen(path, "r");
	if (in) {
		if (fscanf(in, "%ld", &number) != 1)
			number = 0;
		fclose(in);
	}
	FILE *out = fopen(next, "w");
	if (!out)
		return -1;
	int bad = fprintf(out, "%ld\n", number + 1) < 0;
	bad |= fclose(out) != 0;
	/* For the curious: time to be killed while owning the lock. */
	if (getenv("LOCK_PAUSE")) {
		puts("owning the lock");
		fflush(stdout);
		pause();
	}
	return bad ? -1 : rename(next, path);
}

int main(int argc, char **argv)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	char next[PATH_MAX];
	semundo_t *lock;

	if (argc != 2 || snprintf(next, sizeof(next), "%s.new", argv[1]) >= (int)sizeof(next))
		return fail("usage: lock FILE");
	options.kind = SEMUNDO_LOCK;
	if (semundo_open(&lock, "example-lock", SEMUNDO_CREATE, &options) < 0)
		return fail(semundo_error());

	int told = semundo_acquire(lock, 1);
	if (told < 0)
		return fail(semundo_error());
	if (told) {
		tell_who_died(lock);
		unlink(next);
	}
	int added = add_one(argv[1], next);
	semundo_release(lock, 1);
	semundo_close(lock);
	return added < 0 ? fail("cannot write the file") : 0;
}
