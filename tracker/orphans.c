/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tracker that was killed and that nobody has started again, because its
 * program ended before it noticed, leaves its journal and the names in it. The
 * next tracker of that user in that directory ends its work.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/system.h"
#include "report.h"
#include "tracker.h"

/* "semundo-tracker.UID.INODE", of this user. */
static bool parse_file_name(const char *name, uint64_t *ret_inode)
{
	const char *number = name + sizeof(JOURNAL_PREFIX) - 1;
	char *end;
	if (strncmp(name, JOURNAL_PREFIX, sizeof(JOURNAL_PREFIX) - 1) != 0 ||
	    !isdigit((unsigned char)*number))
		return false;
	errno = 0;
	unsigned long uid = strtoul(number, &end, 10);
	if (uid != geteuid() || *end != '.' || !isdigit((unsigned char)end[1]))
		return false;
	*ret_inode = strtoull(end + 1, &end, 10);
	return *end == '\0' && errno == 0;
}

static void release(struct tracker *orphan)
{
	struct process *process;
	struct item *entry;
	while ((process = LIST_FIRST(&orphan->table.processes)))
		tracker_forget(orphan, process);
	while ((entry = TAILQ_FIRST(&orphan->table.entries)))
		table_drop_entry(&orphan->table, entry);
	journal_close(&orphan->journal);
}

/* What a living process uses stays, and the journal for that. */
static void end_its_work(struct tracker *orphan)
{
	tracker_watch_all(orphan);
	tracker_end_of_input(orphan);
	tracker_bury(orphan);
	if (TAILQ_EMPTY(&orphan->table.entries))
		journal_remove(&orphan->journal);
	else if (tracker_rewrite(orphan) < 0)
		say("cannot write '%s'", orphan->journal.path);
}

/* Asked with its lock: who starts a tracker for a pipe has the pipe. PIDs must
 * mean the same, or the living would look dead. */
static void adopt_one(const char *directory, uint64_t inode, uint64_t namespace)
{
	char path[JOURNAL_PATH], why[256];
	struct tracker orphan;
	tracker_init(&orphan);
	journal_path(path, directory, inode);
	if (journal_open(&orphan.journal, path, false, why, sizeof(why)) < 0)
		return;
	if (system_pipe_is_open(inode) == 0) {
		tracker_replay(&orphan);
		if (orphan.journal_namespace == namespace && namespace)
			end_its_work(&orphan);
	}
	release(&orphan);
}

void adopt_orphans(const char *directory, const char *own_path, uint64_t namespace)
{
	const char *own = strrchr(own_path, '/') + 1;
	uint64_t inode;
	DIR *dir = opendir(directory);
	if (!dir)
		return;
	for (struct dirent *d; (d = readdir(dir));)
		if (strcmp(d->d_name, own) != 0 && parse_file_name(d->d_name, &inode))
			adopt_one(directory, inode, namespace);
	closedir(dir);
}
