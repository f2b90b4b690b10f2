/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says of processes. */
#include "processes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns the number of bytes, at most size - 1; a NUL follows them. */
static size_t read_file(pid_t pid, const char *name, char *ret, size_t size)
{
	char path[64];
	size_t used = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	for (;;) {
		ssize_t n = read(fd, ret + used, size - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	ret[used] = '\0';
	return used;
}

/* Field 22 of /proc/PID/stat. The name in field 2 may hold anything: count from the last ')'. */
uint64_t process_start_time(pid_t pid)
{
	char text[1024];
	char *p = read_file(pid, "stat", text, sizeof(text)) ? strrchr(text, ')') : NULL;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

bool process_name(pid_t pid, char *ret, size_t size)
{
	size_t n = read_file(pid, "comm", ret, size);
	if (n && ret[n - 1] == '\n')
		ret[n - 1] = '\0';
	return n > 0;
}

bool process_command(pid_t pid, char *ret, size_t size)
{
	size_t n = read_file(pid, "cmdline", ret, size);
	while (n && ret[n - 1] == '\0')
		n--;
	for (size_t i = 0; i < n; i++)
		if (ret[i] == '\0')
			ret[i] = ' ';
	return n > 0;
}

bool is_our_namespace(const struct semundo_peer *peer)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 && (uint64_t)st.st_ino == peer->pid_namespace;
}
