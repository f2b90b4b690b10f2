/* SPDX-License-Identifier: Apache-2.0 */
/* What sysctl(3) says of processes. */
#include "processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>

#define USEC_PER_SEC 1000000u

static bool look_up(pid_t pid, struct kinfo_proc *ret)
{
	int name[] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, pid };
	size_t size = sizeof(*ret);
	return sysctl(name, 4, ret, &size, NULL, 0) == 0 && size == sizeof(*ret);
}

uint64_t process_start_time(pid_t pid)
{
	struct kinfo_proc process;
	if (!look_up(pid, &process))
		return 0;
	const struct timeval *start = &process.kp_proc.p_starttime;
	return (uint64_t)start->tv_sec * USEC_PER_SEC + (uint64_t)start->tv_usec;
}

bool process_name(pid_t pid, char *ret, size_t size)
{
	struct kinfo_proc process;
	if (!look_up(pid, &process))
		return false;
	snprintf(ret, size, "%s", process.kp_proc.p_comm);
	return true;
}

/* The number of words as an int, the path, NULs, and each word with its NUL. */
static void read_words(const char *area, size_t length, char *ret, size_t size)
{
	const char *p = area + sizeof(int), *end = area + length;
	size_t used = 0;
	int count;
	memcpy(&count, area, sizeof(count));
	p += strnlen(p, (size_t)(end - p));
	while (p < end && *p == '\0')
		p++;
	for (int i = 0; i < count && p < end && used + 1 < size; i++) {
		size_t word = strnlen(p, (size_t)(end - p));
		int n = snprintf(ret + used, size - used, "%s%.*s", i ? " " : "", (int)word, p);
		used += n > 0 ? (size_t)n : 0;
		p += word + 1;
	}
}

bool process_command(pid_t pid, char *ret, size_t size)
{
	int name[] = { CTL_KERN, KERN_PROCARGS2, pid }, most_name[] = { CTL_KERN, KERN_ARGMAX };
	int most = 0;
	size_t length = sizeof(most);
	*ret = '\0';
	if (sysctl(most_name, 2, &most, &length, NULL, 0) < 0 || most <= 0)
		return false;
	length = (size_t)most;
	char *area = malloc(length);
	if (area && sysctl(name, 3, area, &length, NULL, 0) == 0 && length > sizeof(int))
		read_words(area, length, ret, size);
	free(area);
	return *ret != '\0';
}

/* There are none. */
bool is_our_namespace(const struct semundo_peer *peer)
{
	(void)peer;
	return true;
}
