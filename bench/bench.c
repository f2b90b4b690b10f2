/* SPDX-License-Identifier: Apache-2.0 */
/* usage: bench [--quick] [--pairs-only=KIND:COUNT] [--json FILE] */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- what the others use ---- */

uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

void *shared_memory(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return map;
}

pid_t fork_child(void)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

void reap(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status))
		die("a process of the benchmark failed");
}

/* The n-th of the processors that we may use. */
void run_on(int cpu)
{
	static cpu_set_t all;
	cpu_set_t one;
	int seen = 0;
	if (CPU_COUNT(&all) == 0)
		sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && (cpu < 0 || seen++ == cpu % CPU_COUNT(&all)))
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

void series_add(struct series *s, double value)
{
	if (s->count < ROUNDS_MAX)
		s->value[s->count++] = value;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double series_at(struct series *s, double part)
{
	if (!s->count)
		die("nothing was measured");
	qsort(s->value, s->count, sizeof(s->value[0]), by_size);
	unsigned at = (unsigned)(part * s->count);
	return s->value[at < s->count ? at : s->count - 1];
}

/* ---- the table ---- */

static FILE *json;
static const char *json_comma = "";
static const char *title_now = "", *unit_now = "";
static bool too_slow;

void table_head(const char *title, const char *unit)
{
	title_now = title;
	unit_now = unit;
	printf("\n%s\n", title);
}

void table_line(const char *what, struct series *s)
{
	double least = series_at(s, 0), median = series_at(s, 0.5), late = series_at(s, 0.99);
	printf("  %-34s %10.1f %s   (least %.1f, p99 %.1f)\n", what, median, unit_now, least, late);
	if (json)
		fprintf(json,
		        "%s\n  {\"group\": \"%s\", \"what\": \"%s\", \"unit\": \"%s\", "
		        "\"median\": %.3f, \"least\": %.3f, \"p99\": %.3f}",
		        json_comma, title_now, what, unit_now, median, least, late);
	json_comma = ",";
}

static void json_result(const char *what, double measured, double promise, bool ok)
{
	if (json)
		fprintf(json,
		        "%s\n  {\"group\": \"%s\", \"what\": \"%s\", \"measured\": %.3f, "
		        "\"promise\": %.3f, \"ok\": %s}",
		        json_comma, title_now, what, measured, promise, ok ? "true" : "false");
	json_comma = ",";
}

/* What is required is judged by the least disturbed rounds. */
void table_ratio(const char *what, struct series *ours, struct series *theirs, double part,
                 double promise, double required)
{
	double ratio = series_at(ours, part) / series_at(theirs, part);
	double least = series_at(ours, 0) / series_at(theirs, 0);
	bool ok = promise == 0 || ratio <= promise;
	printf("  %-34s %10.2fx", what, ratio);
	if (required > 0)
		printf("  (least / least %.2fx)", least);
	if (promise > 0)
		printf("   promised at most %.1fx: %s", promise, ok ? "ok" : "not yet");
	if (required > 0) {
		printf("; required now %.1fx: %s", required, least <= required ? "ok" : "FAILED");
		too_slow = too_slow || least > required;
	}
	putchar('\n');
	json_result(what, ratio, promise, ok);
}

void table_faster(const char *what, double slow, double fast, double promise)
{
	bool ok = slow / fast >= promise;
	printf("  %-34s %10.1fx   promised at least %.0fx faster: %s\n", what, slow / fast, promise,
	       ok ? "ok" : "not yet");
	json_result(what, slow / fast, promise, ok);
}

void table_fact(const char *what, double measured, const char *unit, double limit)
{
	bool ok = measured <= limit;
	printf("  %-34s %10.1f %s   promised at most %.0f: %s\n", what, measured, unit, limit,
	       ok ? "ok" : "not yet");
	json_result(what, measured, limit, ok);
}

/* ---- the directory and the options ---- */

static char directory[] = "/dev/shm/semundo-bench.XXXXXX";
static pid_t owner;

static void clean(void)
{
	char path[300];
	if (getpid() != owner)
		return;
	snprintf(path, sizeof(path), "%s/semundo-peers.%u", directory, (unsigned)geteuid());
	unlink(path);
	rmdir(directory);
}

static void own_directory(void)
{
	if (!mkdtemp(directory))
		die("mkdtemp: %s", strerror(errno));
	owner = getpid();
	setenv("SEMUNDO_DIR", directory, 1);
	atexit(clean);
}

/* Only pairs of one kind, for a count of system calls around it. */
static int only_pairs(const char *text)
{
	struct subject subject;
	unsigned count = 0;
	char kind[16] = "";
	enum candidate what = SEMUNDO_PERMIT;
	if (sscanf(text, "%15[a-z]:%u", kind, &count) != 2)
		die("--pairs-only wants KIND:COUNT");
	if (strcmp(kind, "lock") == 0)
		what = SEMUNDO_LOCKS;
	else if (strcmp(kind, "signal") == 0)
		what = SEMUNDO_SIGNALS;
	else if (strcmp(kind, "permits") != 0)
		die("no such kind: %s (lock, permits, signal)", kind);
	subject_make(&subject, what, 1);
	subject_pairs(&subject, count);
	subject_drop(&subject);
	return 0;
}

static void run_all(double scale)
{
	bench_pairs(scale);
	bench_handover(scale);
	bench_death(scale);
	bench_names(scale);
}

int main(int argc, char **argv)
{
	double scale = 1;
	own_directory();
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			scale = 0.02;
		else if (strncmp(argv[i], "--pairs-only=", 13) == 0)
			return only_pairs(argv[i] + 13);
		else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
			json = fopen(argv[++i], "w");
		else
			die("usage: bench [--quick] [--pairs-only=KIND:COUNT] [--json FILE]");
	}
	if (json)
		fputc('[', json);
	run_all(scale);
	if (json) {
		fputs("\n]\n", json);
		fclose(json);
	}
	return too_slow;
}
