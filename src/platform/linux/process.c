/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about processes from /proc, and MADV_WIPEONFORK memory. */
#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t semundo__process_id(void)
{
	return (uint32_t)getpid();
}

uint32_t semundo__thread_id(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

/* Field 22 of /proc/self/stat; the command in field 2 may hold anything, so
 * fields are counted from the last ')'. */
static uint64_t start_time(void)
{
	char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

void semundo__process_facts(struct process_facts *ret)
{
	struct stat st;
	memset(ret, 0, sizeof(*ret));
	ret->pid = semundo__process_id();
	ret->start_time = start_time();
	if (stat("/proc/self/ns/pid", &st) == 0)
		ret->pid_namespace = (uint64_t)st.st_ino;
	char name[17] = "";
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	if (n > 0) {
		name[n] = '\0';
		name[strcspn(name, "\n")] = '\0';
	} else {
		prctl(PR_GET_NAME, name);
	}
	memcpy(ret->command, name, strlen(name));
}

bool semundo__is_privileged(void)
{
	return getauxval(AT_SECURE) != 0;
}

void *semundo__wiped_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, bytes, MADV_WIPEONFORK) < 0) {
		munmap(p, bytes);
		return NULL;
	}
	return p;
}

/* The kernel does (MADV_WIPEONFORK), after a raw clone(2) too. */
void semundo__wipe_after_fork(void)
{
}

size_t semundo__page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* "Umask:" in /proc/self/status (Linux 4.7). Setting it to read it would be
 * seen by other threads. */
static int umask_from_proc(uint32_t *ret)
{
	char text[512];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	const char *line = strstr(text, "\nUmask:");
	if (!line)
		return -ENOENT;
	*ret = (uint32_t)strtoul(line + sizeof("\nUmask:") - 1, NULL, 8);
	return 0;
}

uint32_t semundo__umask(void)
{
	uint32_t mask = 0;
	if (umask_from_proc(&mask) < 0) {
		mask = umask(0);
		umask(mask);
	}
	return mask & 0777;
}

int semundo__random(void *ret, size_t bytes)
{
	ssize_t n = getrandom(ret, bytes, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -EIO;
}
