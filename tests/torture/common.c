/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

void pause_ns(uint64_t ns)
{
	const struct timespec ts = { (time_t)(ns / SEC), (long)(ns % SEC) };
	nanosleep(&ts, NULL);
}

uint32_t draw(uint64_t *state, uint32_t below)
{
	uint64_t x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return below ? (uint32_t)(x >> 32) % below : 0;
}

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("Bail out! ", stdout);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
	exit(2);
}

void *shared_memory(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		die("mmap of %zu bytes: %s", size, strerror(errno));
	return map;
}

/* ---- the directory ---- */

static char directory[] = "/dev/shm/semundo-torture.XXXXXX";
static pid_t directory_owner;

static void remove_directory(void)
{
	if (getpid() != directory_owner)
		return;
	DIR *dir = opendir(directory);
	if (!dir)
		return;
	struct dirent *entry;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(directory);
}

/* opendir() in a handler is not allowed, in a program that ends it does no harm
 * that matters more than files left behind. */
static void on_end(int number)
{
	remove_directory();
	signal(number, SIG_DFL);
	raise(number);
}

void own_directory(void)
{
	if (!mkdtemp(directory))
		die("mkdtemp %s: %s", directory, strerror(errno));
	directory_owner = getpid();
	setenv("SEMUNDO_DIR", directory, 1);
	atexit(remove_directory);
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	signal(SIGHUP, on_end);
}

/* ---- processes ---- */

pid_t fork_child(void)
{
	pid_t parent = getpid();
	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(2);
	return 0;
}

void reap(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			die("waitpid %d: %s", (int)pid, strerror(errno));
}

const char *proc_line(pid_t pid, const char *file)
{
	static char line[256];
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return "-";
	line[got] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* ---- results ---- */

static unsigned results, failures, planned;

void tap_plan(unsigned count)
{
	planned = count;
	printf("1..%u\n", count);
	fflush(stdout);
}

bool tap_result(bool ok, const char *why, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf("%sok %u - ", ok ? "" : "not ", ++results);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
	if (!ok) {
		failures++;
		printf("# %s\n", why && *why ? why : "no reason known");
	}
	fflush(stdout);
	return ok;
}

int tap_status(void)
{
	if (planned != results)
		printf("# %u test cases were planned, %u ran\n", planned, results);
	return failures || planned != results;
}
