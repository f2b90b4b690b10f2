/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash.h"

static char directory[] = "/dev/shm/semundo-crash.XXXXXX";
static pid_t owner;

void directory_of(char *ret, size_t size, unsigned job, bool fresh)
{
	snprintf(ret, size, "%s/%u%s", directory, job, fresh ? "f" : "");
}

static void remove_tree(const char *path)
{
	char inner[512];
	DIR *dir = opendir(path);
	struct dirent *e;
	while (dir && (e = readdir(dir))) {
		if (*e->d_name == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
		if (unlink(inner) < 0)
			remove_tree(inner);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void remove_directory(void)
{
	if (getpid() == owner)
		remove_tree(directory);
}

static void on_end(int number)
{
	remove_directory();
	signal(number, SIG_DFL);
	raise(number);
}

void make_directories(unsigned jobs)
{
	char path[64];
	if (!mkdtemp(directory)) {
		perror(directory);
		exit(2);
	}
	owner = getpid();
	atexit(remove_directory);
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	signal(SIGHUP, on_end);
	for (unsigned job = 0; job < jobs; job++)
		for (int fresh = 0; fresh < 2; fresh++) {
			directory_of(path, sizeof(path), job, fresh);
			mkdir(path, 0700);
		}
}

void *shared(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return map;
}
