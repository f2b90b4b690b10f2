/* SPDX-License-Identifier: Apache-2.0 */
#include "tracker.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/system.h"
#include "processes.h"
#include "report.h"

void tracker_init(struct tracker *tracker)
{
	memset(tracker, 0, sizeof(*tracker));
	table_init(&tracker->table);
	tracker->journal = (struct journal) JOURNAL_INIT;
	tracker->namespace = system_namespace();
}

int tracker_status(const struct tracker *tracker)
{
	if (tracker->failed)
		return 2;
	if (tracker->leaked)
		return 1;
	return tracker->protocol_error ? 3 : 0;
}

/* ---- processes --------------------------------------------------------------------- */

static struct process *process_of(struct watched *watched)
{
	return (struct process *)((char *)watched - offsetof(struct process, watched));
}

void tracker_ended(struct tracker *tracker, struct watched *watched)
{
	watch_forget(watched);
	process_of(watched)->ended = true;
	tracker->any_ended = true;
}

static void watch(struct tracker *tracker, struct process *process)
{
	if (!watch_process(&process->watched))
		tracker_ended(tracker, &process->watched);
}

static char *command_of(pid_t pid)
{
	char text[256];
	if (!process_command(pid, text, sizeof(text)) && !process_name(pid, text, sizeof(text)))
		return NULL;
	return strdup(text);
}

/* The tracker before knew its command, which came through no pipe. */
static void name_maker(struct process *process)
{
	struct registration *one;
	if (!process->command)
		process->command = command_of(process->watched.pid);
	LIST_FOREACH(one, &process->registrations, of_process)
		if (one->entry->maker == process->watched.pid && !one->entry->command &&
		    process->command)
			one->entry->command = strdup(process->command);
}

void tracker_watch_all(struct tracker *tracker)
{
	struct process *process;
	LIST_FOREACH(process, &tracker->table.processes, link) {
		watch(tracker, process);
		if (!process->ended)
			name_maker(process);
	}
}

/* Who sent it; null: it does not say, or its PID means nothing here. While a
 * journal is read, the living are told from the dead at its end. */
static struct process *sender(struct tracker *tracker, const struct request *request)
{
	struct table *table = &tracker->table;
	if (!request->pid || request->ns != tracker->namespace)
		return NULL;
	struct process *process = table_find_process(table, request->pid, request->start);
	bool is_new = !process;
	if (is_new)
		process = table_add_process(table, request->pid, request->start);
	if (!process)
		return NULL;
	if (is_new && !tracker->replaying)
		watch(tracker, process);
	if (request->text[0] && !process->command)
		process->command = strdup(request->text);
	return process;
}

/* ---- requests ------------------------------------------------------------------------ */

static void protocol_error(struct tracker *tracker, const char *line, size_t length,
                           const char *why)
{
	tracker->protocol_error = true;
	if (!tracker->quiet)
		complain(line, length, why);
}

static void set_maker(struct tracker *tracker, struct item *entry, const struct request *request,
                      struct process *process)
{
	entry->time = tracker->now;
	entry->maker = request->pid;
	entry->maker_start = process ? request->start : 0;
	if (process && !process->command && !tracker->replaying)
		process->command = command_of(process->watched.pid);
	if (process && process->command)
		entry->command = strdup(process->command);
}

static const char *register_name(struct tracker *tracker, const struct request *request)
{
	struct process *process = sender(tracker, request);
	struct item *entry =
		table_add_entry(&tracker->table, request->type, request->dir, request->name);
	bool is_new = entry && LIST_EMPTY(&entry->registrations);
	if (!entry || !table_register(&tracker->table, entry, process, 1)) {
		if (is_new)
			table_drop_entry(&tracker->table, entry);
		return "no memory";
	}
	if (is_new)
		set_maker(tracker, entry, request, process);
	entry->unregistered = false;
	return NULL;
}

/* A registration of its own that went with the name: see tracker_forgive(). */
static bool take_forgiven(struct tracker *tracker, struct process *process)
{
	unsigned long *forgiven =
		process ? &process->forgiven : &tracker->table.unknown_forgiven;
	if (*forgiven)
		return (*forgiven)--, true;
	return false;
}

/* The own one first. Another's is taken back too: a child may remove what its
 * parent made. */
static const char *unregister_name(struct tracker *tracker, const struct request *request)
{
	struct table *table = &tracker->table;
	struct process *process = sender(tracker, request);
	struct item *entry = table_find_entry(table, request->type, request->dir, request->name);
	struct registration *one = entry ? table_find_registration(entry, process) : NULL;
	if (!one && take_forgiven(tracker, process)) {
		if (entry)
			table_touch(table, entry);
		return NULL;
	}
	if (!entry)
		return "it is not registered";
	if (!one)
		one = table_find_registration(entry, NULL);
	if (!one)
		one = LIST_FIRST(&entry->registrations);
	entry->unregistered = true;
	if (one && --one->count == 0)
		table_drop_registration(table, one);
	if (LIST_EMPTY(&entry->registrations))
		table_drop_entry(table, entry);
	else
		table_touch(table, entry);
	return NULL;
}

/* The dead are among the others until they are buried. */
static bool has_others(const struct registration *registration)
{
	const struct registration *one;
	LIST_FOREACH(one, &registration->entry->registrations, of_entry)
		if (one != registration &&
		    (!one->process || watch_is_alive(&one->process->watched)))
			return true;
	return false;
}

/* What others have too is theirs; what it has alone is for whoever comes. */
static const char *leave(struct tracker *tracker, const struct request *request)
{
	struct table *table = &tracker->table;
	struct process *process = sender(tracker, request);
	struct registration *one;
	while (process && (one = LIST_FIRST(&process->registrations))) {
		if (!has_others(one) && !table_register(table, one->entry, NULL, one->count))
			return "no memory";
		table_drop_registration(table, one);
	}
	if (process) {
		table->unknown_forgiven += process->forgiven;
		process->forgiven = 0;
	}
	return NULL;
}

static const char *apply(struct tracker *tracker, const struct request *request)
{
	switch (request->command) {
	case COMMAND_REGISTER:
		return register_name(tracker, request);
	case COMMAND_UNREGISTER:
		return unregister_name(tracker, request);
	case COMMAND_LEAVE:
		return leave(tracker, request);
	case COMMAND_PROBE:
		sender(tracker, request);
		return NULL;
	}
	return "it cannot be";
}

static void take_line(void *arg, const char *line, size_t length)
{
	struct tracker *tracker = arg;
	static struct request request;
	char why[WHY_SIZE] = "it is longer than 512 bytes";
	const char *wrong = why;
	if (line && line_parse(line, length, &request, why) == 0)
		wrong = apply(tracker, &request);
	if (wrong)
		protocol_error(tracker, line, length, wrong);
}

void tracker_bytes(struct tracker *tracker, const char *bytes, size_t length)
{
	split(&tracker->splitter, bytes, length, take_line, tracker);
}

/* ---- deaths ---------------------------------------------------------------------------- */

/* Those that are left with nobody are looked at by tracker_settle(). */
static void drop_all(struct tracker *tracker, struct registrations *registrations)
{
	struct registration *one;
	while ((one = LIST_FIRST(registrations))) {
		struct item *entry = one->entry;
		table_drop_registration(&tracker->table, one);
		if (LIST_EMPTY(&entry->registrations))
			table_touch(&tracker->table, entry);
	}
}

void tracker_forget(struct tracker *tracker, struct process *process)
{
	watch_forget(&process->watched);
	drop_all(tracker, &process->registrations);
	table_drop_process(&tracker->table, process);
}

/* The note comes last: killed before it, this is all done once more. */
void tracker_bury(struct tracker *tracker)
{
	struct process *process, *next;
	LIST_FOREACH(process, &tracker->table.processes, link)
		if (process->ended)
			drop_all(tracker, &process->registrations);
	tracker_settle(tracker);
	for (process = LIST_FIRST(&tracker->table.processes); process; process = next) {
		next = LIST_NEXT(process, link);
		if (!process->ended)
			continue;
		note_died(tracker, process);
		tracker_forget(tracker, process);
	}
	tracker->any_ended = false;
}

void tracker_end_of_input(struct tracker *tracker)
{
	split_end(&tracker->splitter, take_line, tracker);
	tracker->input_ended = true;
	drop_all(tracker, &tracker->table.unknown);
}

/* ---- settling ---------------------------------------------------------------------------- */

/* The name is gone, and with it the registrations of all others, who may yet say
 * that they are done with it. */
void tracker_forgive(struct tracker *tracker, struct item *entry)
{
	struct registration *one;
	LIST_FOREACH(one, &entry->registrations, of_entry)
		*(one->process ? &one->process->forgiven : &tracker->table.unknown_forgiven) +=
			one->count;
	table_drop_entry(&tracker->table, entry);
}

static void look_at(struct tracker *tracker, struct item *entry)
{
	table_untouch(&tracker->table, entry);
	if (!entry->unregistered || resource_exists(entry->type, entry->dir, entry->name))
		return;
	note_gone(tracker, entry);
	tracker_forgive(tracker, entry);
}

void tracker_settle(struct tracker *tracker)
{
	struct item *entry, *next;
	bool any_left = false;
	for (entry = TAILQ_FIRST(&tracker->table.touched); entry; entry = next) {
		next = TAILQ_NEXT(entry, touched_link);
		if (LIST_EMPTY(&entry->registrations))
			any_left = true;
		else
			look_at(tracker, entry);
	}
	if (any_left)
		remove_touched(tracker);
}
