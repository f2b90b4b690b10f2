/* SPDX-License-Identifier: Apache-2.0 */
/* Who has files mapped, or a pipe open: what /proc says of all processes. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/system.h"

/* Calls visit for each process but this one, until it is false. */
static bool each_process(bool (*visit)(pid_t pid, void *arg), void *arg)
{
	DIR *dir = opendir("/proc");
	if (!dir)
		return false;
	bool go_on = true;
	for (struct dirent *d; go_on && (d = readdir(dir));) {
		pid_t pid = isdigit((unsigned char)d->d_name[0]) ? (pid_t)strtol(d->d_name, NULL, 10) : 0;
		if (pid && pid != getpid())
			go_on = visit(pid, arg);
	}
	closedir(dir);
	return go_on;
}

/* ---- maps --------------------------------------------------------------------------- */

struct search {
	const struct file_id *files;
	size_t count;
	user_function *found;
	void *arg;
};

/* "address perms offset major:minor inode path" */
static bool parse_mapping(const char *line, struct file_id *ret)
{
	char *end;
	for (int field = 0; field < 3; field++) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	unsigned long major = strtoul(line, &end, 16);
	if (*end != ':')
		return false;
	unsigned long minor = strtoul(end + 1, &end, 16);
	uint64_t inode = strtoull(end, NULL, 10);
	*ret = (struct file_id) { (uint64_t)makedev((unsigned)major, (unsigned)minor), inode };
	return inode != 0;
}

static bool visit_maps(pid_t pid, void *arg)
{
	const struct search *search = arg;
	struct file_id last = { 0, 0 }, one;
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return true;
	while (fgets(line, sizeof(line), file)) {
		if (!parse_mapping(line, &one) ||
		    (one.device == last.device && one.inode == last.inode))
			continue;
		last = one;
		for (size_t i = 0; i < search->count; i++)
			if (search->files[i].inode == one.inode && search->files[i].device == one.device)
				search->found(search->arg, i, pid);
	}
	fclose(file);
	return true;
}

void system_users(const struct file_id *files, size_t count, user_function *found, void *arg)
{
	struct search search = { files, count, found, arg };
	if (count)
		each_process(visit_maps, &search);
}

/* ---- pipes ---------------------------------------------------------------------------- */

struct pipe_search {
	char target[40];
	bool found, unknown;
};

static bool is_mine(pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

static bool visit_descriptors(pid_t pid, void *arg)
{
	struct pipe_search *search = arg;
	char path[64], target[40];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	if (!dir) {
		search->unknown |= errno != ENOENT && errno != ESRCH && is_mine(pid);
		return true;
	}
	for (struct dirent *d; (d = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		search->found |= strcmp(target, search->target) == 0;
	}
	closedir(dir);
	return !search->found;
}

int system_pipe_is_open(uint64_t inode)
{
	struct pipe_search search = { .found = false };
	snprintf(search.target, sizeof(search.target), "pipe:[%" PRIu64 "]", inode);
	bool all = each_process(visit_descriptors, &search);
	if (search.found)
		return 1;
	return all && !search.unknown ? 0 : -EACCES;
}
