/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define NSEC_PER_SEC INT64_C(1000000000)

/* In splice(2) a signal that kills waits until bytes that are in the file are out
 * of the pipe. */
ssize_t system_move(int pipe, int file, off_t offset, size_t most)
{
	off64_t to = offset;
	ssize_t n;
	do
		n = splice(pipe, NULL, file, &to, most, SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EINVAL)
		return -ENOTSUP;
	return n < 0 ? -errno : n;
}

uint64_t system_namespace(void)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

void system_leave_semaphores(void)
{
	if (unshare(CLONE_SYSVSEM) < 0)
		say("counts as a user of the System V semaphores of its parent: %s", strerror(errno));
}

static void close_range_of(unsigned from, unsigned to)
{
	if (from > to || syscall(SYS_close_range, from, to, 0) == 0)
		return;
	long most = sysconf(_SC_OPEN_MAX); /* before Linux 5.9 */
	for (unsigned fd = from; fd <= to && fd < (unsigned long)most; fd++)
		close((int)fd);
}

void system_close_others(int first, int second)
{
	unsigned low = (unsigned)(first < second ? first : second);
	unsigned high = (unsigned)(first < second ? second : first);
	if (first < 0 || second < 0)
		low = high;
	unsigned from = STDERR_FILENO + 1;
	if (low >= from) {
		close_range_of(from, low - 1);
		from = low + 1;
	}
	if (high >= from) {
		close_range_of(from, high - 1);
		from = high + 1;
	}
	close_range_of(from, ~0u);
}

/* Field 3 of /proc/PID/stat, after the last ')'. */
bool system_is_zombie(pid_t pid)
{
	char path[64], text[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *end = strrchr(text, ')');
	return end && end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X');
}

/* glibc: one optional '/' before the name, which has none itself. */
bool system_object_path(bool semaphore, const char *name, char *ret, size_t size)
{
	name += *name == '/';
	if (*name == '\0' || strchr(name, '/'))
		return false;
	int n = snprintf(ret, size, "/dev/shm/%s%s", semaphore ? "sem." : "", name);
	return n > 0 && (size_t)n < size;
}

static int64_t nanoseconds(clockid_t clock)
{
	struct timespec now = { 0, 0 };
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* A process's start is in ticks since boot. */
bool system_is_younger(const char *path, uint64_t start)
{
	struct statx found;
	int64_t tick = NSEC_PER_SEC / sysconf(_SC_CLK_TCK);
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &found) < 0 ||
	    !(found.stx_mask & STATX_BTIME))
		return false;
	int64_t born = (int64_t)found.stx_btime.tv_sec * NSEC_PER_SEC + found.stx_btime.tv_nsec;
	int64_t boot = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_BOOTTIME);
	return born >= boot + (int64_t)start * tick;
}

/* sem_open(3) would map it, and what is shorter than a semaphore kills who looks. */
bool system_semaphore_exists(const char *name)
{
	char path[1024];
	struct stat st;
	return !system_object_path(true, name, path, sizeof(path)) || lstat(path, &st) == 0 ||
	       errno != ENOENT;
}
