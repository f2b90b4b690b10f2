/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the journal says beside the bytes that came: JSON objects with a "note".
 *
 *   begin     ns: the PID namespace of PIDs in this journal
 *   died      pid, start, and what the exit status owes to it
 *   gone      a name that is gone, and everybody's registrations with it
 *   uses      a registration: found by looking at who has the file mapped
 *
 * and in one that was written anew (tracker_rewrite()), first of all:
 *
 *   status    protocol, leaked, failed, forgiven
 *   process   pid, start, forgiven, command
 *   entry     a name, with who made it and when; its registrations ("uses") follow
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "tracker.h"

/* ---- writing ------------------------------------------------------------------------- */

static json_t *base64(const char *text)
{
	size_t length = text ? strlen(text) : 0;
	char *encoded = malloc(BASE64_SIZE(length));
	if (!encoded)
		return NULL;
	base64_encode(text ? text : "", length, encoded);
	json_t *json = json_string(encoded);
	free(encoded);
	return json;
}

static int write_note(struct journal *journal, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int r = text ? journal_note(journal, text, strlen(text)) : -ENOMEM;
	free(text);
	json_decref(json);
	return r;
}

static void write_or_fail(struct tracker *tracker, json_t *json)
{
	int r = write_note(&tracker->journal, json);
	if (r)
		tracker_journal_failed(tracker, r);
}

static json_t *begin(const struct tracker *tracker)
{
	return json_pack("{s:s, s:I}", "note", "begin", "ns", (json_int_t)tracker->namespace);
}

void note_begin(struct tracker *tracker)
{
	write_or_fail(tracker, begin(tracker));
}

void note_died(struct tracker *tracker, const struct process *process)
{
	write_or_fail(tracker,
	              json_pack("{s:s, s:I, s:I, s:b, s:b}", "note", "died", "pid",
	                        (json_int_t)process->watched.pid, "start",
	                        (json_int_t)process->watched.start, "leaked", tracker->leaked,
	                        "failed", tracker->failed));
}

static json_t *name_of(const char *note, const struct item *entry)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "note", note, "rtype", resource_text(entry->type),
	                 "name", base64(entry->name), "dir", base64(entry->dir));
}

void note_gone(struct tracker *tracker, const struct item *entry)
{
	write_or_fail(tracker, name_of("gone", entry));
}

static json_t *uses(const struct registration *registration)
{
	const struct process *process = registration->process;
	json_t *json = name_of("uses", registration->entry);
	json_t *who = json_pack("{s:I, s:I, s:I}", "pid",
	                        (json_int_t)(process ? process->watched.pid : 0), "start",
	                        (json_int_t)(process ? process->watched.start : 0), "count",
	                        (json_int_t)registration->count);
	if (!json || !who || json_object_update(json, who) < 0) {
		json_decref(json);
		json = NULL;
	}
	json_decref(who);
	return json;
}

void note_uses(struct tracker *tracker, const struct registration *registration)
{
	write_or_fail(tracker, uses(registration));
}

/* ---- all of it anew ------------------------------------------------------------------- */

static json_t *status(const struct tracker *tracker)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:I}", "note", "status", "protocol",
	                 tracker->protocol_error, "leaked", tracker->leaked, "failed",
	                 tracker->failed, "forgiven", (json_int_t)tracker->table.unknown_forgiven);
}

static json_t *process_note(const struct process *process)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:o}", "note", "process", "pid",
	                 (json_int_t)process->watched.pid, "start",
	                 (json_int_t)process->watched.start, "forgiven",
	                 (json_int_t)process->forgiven, "command", base64(process->command));
}

static json_t *entry_note(const struct item *entry)
{
	json_t *json = name_of("entry", entry);
	json_t *made = json_pack("{s:I, s:I, s:I, s:b, s:o}", "maker", (json_int_t)entry->maker,
	                         "start", (json_int_t)entry->maker_start, "time",
	                         (json_int_t)entry->time, "unregistered", entry->unregistered,
	                         "command", base64(entry->command));
	if (!json || !made || json_object_update(json, made) < 0) {
		json_decref(json);
		json = NULL;
	}
	json_decref(made);
	return json;
}

static int write_entry(struct journal *journal, const struct item *entry)
{
	struct registration *one;
	int r = write_note(journal, entry_note(entry));
	LIST_FOREACH(one, &entry->registrations, of_entry)
		r = r ? r : write_note(journal, uses(one));
	return r;
}

static int write_all(struct tracker *tracker, struct journal *to)
{
	struct process *process;
	struct item *entry;
	int r = write_note(to, begin(tracker));
	if (!r)
		r = write_note(to, status(tracker));
	LIST_FOREACH(process, &tracker->table.processes, link)
		r = r ? r : write_note(to, process_note(process));
	TAILQ_FOREACH(entry, &tracker->table.entries, link)
		r = r ? r : write_entry(to, entry);
	return r;
}

int tracker_rewrite(struct tracker *tracker)
{
	static const char too_long[LINE_SIZE + 1] = { 0 }; /* is so again when it is read */
	const struct splitter *rest = &tracker->splitter;
	struct journal new;
	int r = journal_rewrite_begin(&tracker->journal, &new);
	if (r)
		return r;
	r = write_all(tracker, &new);
	if (r) {
		journal_rewrite_abandon(&tracker->journal, &new);
		return r;
	}
	return journal_rewrite_end(&tracker->journal, &new, rest->too_long ? too_long : rest->text,
	                           rest->too_long ? sizeof(too_long) : rest->used);
}

void tracker_journal_failed(struct tracker *tracker, int result)
{
	int r = tracker_rewrite(tracker);
	if (r == 0)
		return;
	say("cannot write '%s' (%s): should this process be killed, all that is registered is "
	    "forgotten",
	    tracker->journal.path, strerror(-result));
	journal_give_up(&tracker->journal);
}

/* ---- reading -------------------------------------------------------------------------- */

static uint64_t number(json_t *note, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(note, key));
}

static bool is_true(json_t *note, const char *key)
{
	return json_is_true(json_object_get(note, key));
}

static bool text(json_t *note, const char *key, char *ret)
{
	const char *value = json_string_value(json_object_get(note, key));
	return value && base64_decode(value, ret, LINE_SIZE);
}

static struct item *find_entry(struct tracker *tracker, json_t *note, bool add)
{
	char name[LINE_SIZE], dir[LINE_SIZE];
	enum resource_type type;
	const char *rtype = json_string_value(json_object_get(note, "rtype"));
	if (!rtype || !resource_find(rtype, strlen(rtype), &type) || !text(note, "name", name) ||
	    !text(note, "dir", dir))
		return NULL;
	return add ? table_add_entry(&tracker->table, type, dir, name) :
		     table_find_entry(&tracker->table, type, dir, name);
}

static struct process *find_process(struct tracker *tracker, json_t *note, bool add)
{
	pid_t pid = (pid_t)number(note, "pid");
	uint64_t start = number(note, "start");
	if (!pid)
		return NULL;
	return add ? table_add_process(&tracker->table, pid, start) :
		     table_find_process(&tracker->table, pid, start);
}

static void read_status(struct tracker *tracker, json_t *note)
{
	tracker->protocol_error |= is_true(note, "protocol");
	tracker->leaked |= is_true(note, "leaked");
	tracker->failed |= is_true(note, "failed");
}

static void read_process(struct tracker *tracker, json_t *note)
{
	char command[LINE_SIZE];
	struct process *process = find_process(tracker, note, true);
	if (!process)
		return;
	process->forgiven = number(note, "forgiven");
	if (!process->command && text(note, "command", command) && *command)
		process->command = strdup(command);
}

static void read_entry(struct tracker *tracker, json_t *note)
{
	char command[LINE_SIZE];
	struct item *entry = find_entry(tracker, note, true);
	if (!entry)
		return;
	entry->maker = (pid_t)number(note, "maker");
	entry->maker_start = number(note, "start");
	entry->time = (int64_t)number(note, "time");
	entry->unregistered = is_true(note, "unregistered");
	if (!entry->command && text(note, "command", command) && *command)
		entry->command = strdup(command);
}

static void read_uses(struct tracker *tracker, json_t *note)
{
	struct item *entry = find_entry(tracker, note, false);
	if (entry && number(note, "count"))
		table_register(&tracker->table, entry, find_process(tracker, note, true),
		               number(note, "count"));
}

static void read_died(struct tracker *tracker, json_t *note)
{
	struct process *process = find_process(tracker, note, false);
	struct item *entry;
	read_status(tracker, note);
	if (process)
		tracker_forget(tracker, process);
	while ((entry = TAILQ_FIRST(&tracker->table.touched)))
		if (LIST_EMPTY(&entry->registrations))
			table_drop_entry(&tracker->table, entry);
		else
			table_untouch(&tracker->table, entry);
}

static void read_gone(struct tracker *tracker, json_t *note)
{
	struct item *entry = find_entry(tracker, note, false);
	if (entry)
		tracker_forgive(tracker, entry);
}

static void read_note(void *arg, const char *line, size_t length)
{
	struct tracker *tracker = arg;
	json_t *json = json_loadb(line, length, 0, NULL);
	const char *note = json_string_value(json_object_get(json, "note"));
	if (!note)
		note = "";
	if (strcmp(note, "begin") == 0)
		tracker->journal_namespace = number(json, "ns");
	else if (strcmp(note, "status") == 0) {
		read_status(tracker, json);
		tracker->table.unknown_forgiven = number(json, "forgiven");
	} else if (strcmp(note, "process") == 0)
		read_process(tracker, json);
	else if (strcmp(note, "entry") == 0)
		read_entry(tracker, json);
	else if (strcmp(note, "uses") == 0)
		read_uses(tracker, json);
	else if (strcmp(note, "died") == 0)
		read_died(tracker, json);
	else if (strcmp(note, "gone") == 0)
		read_gone(tracker, json);
	json_decref(json);
}

static void read_raw(void *arg, const char *bytes, size_t length, int64_t time, bool seen)
{
	struct tracker *tracker = arg;
	tracker->now = time;
	tracker->quiet = seen;
	tracker_bytes(tracker, bytes, length);
	tracker->quiet = false;
}

void tracker_replay(struct tracker *tracker)
{
	const struct journal_reader reader = { read_raw, read_note, tracker };
	struct item *entry, *next;
	tracker->replaying = tracker->restored = true;
	int r = journal_replay(&tracker->journal, &reader);
	tracker->replaying = false;
	if (r)
		say("'%s' is damaged (%s): what is registered may be forgotten",
		    tracker->journal.path, strerror(-r));
	for (entry = TAILQ_FIRST(&tracker->table.entries); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (LIST_EMPTY(&entry->registrations))
			table_drop_entry(&tracker->table, entry);
		else if (entry->unregistered)
			table_touch(&tracker->table, entry);
	}
}
