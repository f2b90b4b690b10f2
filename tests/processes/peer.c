/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that uses the library as it is told, built in several ways.
 *
 *   peer                 lines from standard input; prints a line for each:
 *                        the result and, for a failure, its sentence
 *   peer LINE...         obeys the lines; its status is the last result
 *                        (without sign)
 *   peer LINE... -       obeys the lines, then as without
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "semundo.h"

static semundo_t *sem;

static int create(const char *name, unsigned capacity)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.capacity = capacity;
	return semundo_open(&sem, name, SEMUNDO_CREATE, &options);
}

static int get_value(void)
{
	int64_t value;
	int r = semundo_value(sem, &value);
	return r < 0 ? r : (int)value;
}

static int get_held(void)
{
	unsigned held;
	int r = semundo_held(sem, &held);
	return r < 0 ? r : (int)held;
}

static int print_directory(void)
{
	char *path;
	int r = semundo_directory(&path);
	if (r == 0) {
		printf("%s\n", path);
		free(path);
	}
	return r;
}

static int obey(const char *line)
{
	char verb[32] = "", text[64] = "";
	unsigned n = 1;
	sscanf(line, "%31s %63s %u", verb, text, &n);
	unsigned units = (unsigned)strtoul(text, NULL, 10);
	if (strcmp(verb, "open") == 0)
		return semundo_open(&sem, text, 0, NULL);
	if (strcmp(verb, "create") == 0)
		return create(text, n);
	if (strcmp(verb, "acquire") == 0)
		return semundo_acquire(sem, units);
	if (strcmp(verb, "try") == 0)
		return semundo_try_acquire(sem, units);
	if (strcmp(verb, "timed") == 0) /* milliseconds, one unit */
		return semundo_acquire_timed(sem, 1, (int64_t)units * 1000000);
	if (strcmp(verb, "release") == 0)
		return semundo_release(sem, units);
	if (strcmp(verb, "value") == 0)
		return get_value();
	if (strcmp(verb, "held") == 0)
		return get_held();
	if (strcmp(verb, "recover") == 0)
		return semundo_recover(sem);
	if (strcmp(verb, "directory") == 0)
		return print_directory();
	if (strcmp(verb, "exit") == 0)
		exit((int)units);
	fprintf(stderr, "peer: no such verb: %s\n", line);
	exit(120);
}

int main(int argc, char **argv)
{
	char line[128];
	int r = 0, i;
	for (i = 1; i < argc && strcmp(argv[i], "-"); i++)
		r = obey(argv[i]);
	if (i > 1 && i == argc)
		return r < 0 ? -r : r;
	while (fgets(line, sizeof(line), stdin)) {
		r = obey(line);
		printf("%d %s\n", r, r < 0 ? semundo_error() : "");
		fflush(stdout);
	}
	return 0;
}
