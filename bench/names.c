/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, creating, removing; what a semaphore takes of memory. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 15
#define TIMES 400

static void check(bool ok, const char *what)
{
	if (!ok)
		die("%s: %s", what, semundo_error());
}

static void posix_open(const char *name)
{
	sem_t *sem = sem_open(name, 0);
	check(sem != SEM_FAILED, "sem_open");
	sem_close(sem);
}

static void semundo_reopen(const char *name)
{
	semundo_t *sem;
	check(semundo_open(&sem, name, 0, NULL) == 0, "semundo_open");
	semundo_close(sem);
}

static void posix_create(const char *name)
{
	sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	check(sem != SEM_FAILED, "sem_open");
	sem_close(sem);
	sem_unlink(name);
}

static void semundo_make(const char *name)
{
	semundo_t *sem;
	check(semundo_open(&sem, name, SEMUNDO_CREATE | SEMUNDO_EXCL, NULL) == 0, "semundo_open");
	semundo_close(sem);
	check(semundo_unlink(name, NULL) == 0, "semundo_unlink");
}

static double time_of(void (*what)(const char *), const char *name, unsigned times)
{
	uint64_t start = now_ns();
	for (unsigned i = 0; i < times; i++)
		what(name);
	return (double)(now_ns() - start) / times / 1000;
}

static void compare(const char *title, void (*posix)(const char *), const char *posix_name,
                    void (*ours)(const char *), const char *our_name, double scale)
{
	static struct series series[2];
	unsigned times = (unsigned)(TIMES * scale) + 10;
	table_head(title, "us");
	series[0].count = series[1].count = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		series_add(&series[0], time_of(posix, posix_name, times));
		series_add(&series[1], time_of(ours, our_name, times));
	}
	table_line("sem_open", &series[0]);
	table_line("semundo", &series[1]);
	table_ratio("semundo / sem_open", &series[1], &series[0], 0.5, 2, 0);
}

/* With eight processes attached. */
static void memory_of(const char *name)
{
	char path[300];
	struct stat st;
	semundo_t *sem;
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	int gate[2];
	pid_t pid[8];
	options.capacity = 8;
	check(semundo_open(&sem, name, SEMUNDO_CREATE, &options) == 0, "semundo_open");
	if (pipe(gate))
		die("pipe failed");
	for (unsigned i = 0; i < 8; i++) {
		pid[i] = fork_child();
		if (pid[i] == 0) {
			char end;
			close(gate[1]);
			semundo_acquire(sem, 1);
			_Exit(read(gate[0], &end, 1) != 0);
		}
	}
	struct semundo_info info = { .size = sizeof(info) };
	while (info.peers < 8)
		check(semundo_info(sem, &info) == 0, "semundo_info");
	snprintf(path, sizeof(path), "%s/semundo.%s", getenv("SEMUNDO_DIR"), name);
	if (stat(path, &st))
		die("cannot see %s", path);
	table_head("memory", "KiB");
	table_fact("a semaphore with 8 peers", (double)st.st_blocks / 2, "KiB", 16);
	close(gate[1]);
	for (unsigned i = 0; i < 8; i++)
		reap(pid[i]);
	semundo_close(sem);
	semundo_unlink(name, NULL);
}

void bench_names(double scale)
{
	char posix_name[64];
	semundo_t *sem;
	snprintf(posix_name, sizeof(posix_name), "/semundo-bench-%d", (int)getpid());
	sem_t *other = sem_open(posix_name, O_CREAT | O_EXCL, 0600, 1);
	check(other != SEM_FAILED, "sem_open");
	sem_close(other); /* else sem_open() only finds the open one */
	check(semundo_open(&sem, "existing", SEMUNDO_CREATE, NULL) == 0, "semundo_open");
	semundo_close(sem);
	compare("open + close of an existing one", posix_open, posix_name, semundo_reopen,
	        "existing", scale);
	sem_unlink(posix_name);
	semundo_unlink("existing", NULL);
	compare("create + close + unlink", posix_create, posix_name, semundo_make, "made", scale);
	memory_of("attached");
}
