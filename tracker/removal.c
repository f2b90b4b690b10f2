/* SPDX-License-Identifier: Apache-2.0 */
/* Names that nobody has registered now: kept while somebody uses them, else removed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/system.h"
#include "processes.h"
#include "report.h"
#include "tracker.h"

#define AT_ONCE 64 /* names that are looked for in one look at all processes */

struct look {
	struct tracker *tracker;
	struct item *entries[AT_ONCE];
	struct file_id files[AT_ONCE];
	size_t count;
};

/* ---- in use ---------------------------------------------------------------------------- */

/* A process has it mapped: from now on it counts as one that registered it. */
static void adopt(void *arg, size_t file, pid_t pid)
{
	struct look *look = arg;
	struct table *table = &look->tracker->table;
	struct item *entry = look->entries[file];
	uint64_t start = process_start_time(pid);
	if (!start)
		return;
	bool is_new = !table_find_process(table, pid, start);
	struct process *process = table_add_process(table, pid, start);
	if (!process || process->ended || table_find_registration(entry, process))
		return;
	if (is_new && !watch_process(&process->watched)) {
		table_drop_process(table, process);
		return;
	}
	struct registration *one = table_register(table, entry, process, 1);
	if (one)
		note_uses(look->tracker, one);
}

static void look_for_users(struct look *look)
{
	system_users(look->files, look->count, adopt, look);
	for (size_t i = 0; i < look->count; i++)
		if (!LIST_EMPTY(&look->entries[i]->registrations))
			table_untouch(&look->tracker->table, look->entries[i]);
	look->count = 0;
}

/* When a program has ended, what it made ends with it: who else has it mapped goes
 * on using it, without a name. What it only attached to is others'. */
static bool ends_with_program(const struct tracker *tracker, const struct item *entry)
{
	return tracker->input_ended && entry->maker_start &&
	       resource_is_younger(entry->type, entry->name, entry->maker_start);
}

static void keep_what_is_used(struct tracker *tracker)
{
	struct look look = { .tracker = tracker, .count = 0 };
	struct item *entry, *next;
	for (entry = TAILQ_FIRST(&tracker->table.touched); entry; entry = next) {
		next = TAILQ_NEXT(entry, touched_link);
		if (ends_with_program(tracker, entry) ||
		    !resource_file(entry->type, entry->dir, entry->name,
		                   &look.files[look.count]))
			continue;
		look.entries[look.count++] = entry;
		if (look.count == AT_ONCE)
			look_for_users(&look);
	}
	look_for_users(&look);
}

/* ---- removing ---------------------------------------------------------------------------- */

/* Gone already is fine where somebody took the name back, and where a tracker
 * that was killed may have removed it. */
static void remove_one(struct tracker *tracker, struct item *entry)
{
	char why[512] = "";
	int r = resource_remove(entry->type, entry->dir, entry->name, why, sizeof(why));
	bool is_fine = r == -ENOENT && (entry->unregistered || tracker->restored);
	entry->left = r != -ENOENT || !entry->unregistered;
	tracker->leaked |= entry->left;
	tracker->failed |= r && !is_fine;
	if (r && !is_fine)
		entry->why = strdup(why);
}

static void tell_one(const struct item *entry)
{
	char when[TIME_SIZE];
	time_text(entry->time, when);
	if (entry->maker)
		say("'%s' was made by process %d (%s) at %s", entry->name, (int)entry->maker,
		    entry->command ? entry->command : "its command is not known", when);
	else
		say("'%s' was made at %s; who made it did not say its PID", entry->name, when);
	if (entry->why)
		say_bare("resource_tracker: '%s': %s", entry->name, entry->why);
}

/* Its first words are those of multiprocessing's tracker: programs look for them. */
static void tell(struct tracker *tracker, enum resource_type type)
{
	struct item *entry;
	unsigned long count = 0;
	TAILQ_FOREACH(entry, &tracker->table.touched, touched_link)
		count += entry->left && entry->type == type;
	if (!count || type == RESOURCE_DUMMY)
		return;
	say_bare("resource_tracker: There appear to be %lu leaked %s objects to clean up%s", count,
	         resource_text(type), tracker->input_ended ? " at shutdown" : "");
	TAILQ_FOREACH(entry, &tracker->table.touched, touched_link)
		if (entry->left && entry->type == type)
			tell_one(entry);
}

void remove_touched(struct tracker *tracker)
{
	struct item *entry;
	keep_what_is_used(tracker);
	TAILQ_FOREACH(entry, &tracker->table.touched, touched_link)
		remove_one(tracker, entry);
	for (int type = RESOURCE_SEMAPHORE; type <= RESOURCE_DUMMY; type++)
		tell(tracker, (enum resource_type)type);
	while ((entry = TAILQ_FIRST(&tracker->table.touched)))
		table_drop_entry(&tracker->table, entry);
}
