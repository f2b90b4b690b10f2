/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table)
{
	memset(table, 0, sizeof(*table));
	TAILQ_INIT(&table->entries);
	TAILQ_INIT(&table->touched);
	LIST_INIT(&table->processes);
	LIST_INIT(&table->unknown);
}

static int compare_entries(const void *left, const void *right)
{
	const struct item *a = left, *b = right;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	int r = strcmp(a->name, b->name);
	return r ? r : strcmp(a->dir, b->dir);
}

static int compare_processes(const void *left, const void *right)
{
	const struct watched *a = &((const struct process *)left)->watched;
	const struct watched *b = &((const struct process *)right)->watched;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return 0;
}

/* ---- entries ------------------------------------------------------------------- */

/* The key is only read, but the struct that it is compared with has no const. */
static struct item key_of(enum resource_type type, const char *dir, const char *name)
{
	return (struct item) { .type = type, .dir = (char *)dir, .name = (char *)name };
}

struct item *table_find_entry(struct table *table, enum resource_type type, const char *dir,
                               const char *name)
{
	struct item key = key_of(type, dir, name);
	void *found = tfind(&key, &table->entry_tree, compare_entries);
	return found ? *(struct item **)found : NULL;
}

static void free_entry(struct item *entry)
{
	free(entry->dir);
	free(entry->name);
	free(entry->command);
	free(entry->why);
	free(entry);
}

struct item *table_add_entry(struct table *table, enum resource_type type, const char *dir,
                              const char *name)
{
	struct item *entry = table_find_entry(table, type, dir, name);
	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->type = type;
	entry->dir = strdup(dir);
	entry->name = strdup(name);
	LIST_INIT(&entry->registrations);
	if (!entry->dir || !entry->name ||
	    !tsearch(entry, &table->entry_tree, compare_entries)) {
		free_entry(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&table->entries, entry, link);
	return entry;
}

void table_touch(struct table *table, struct item *entry)
{
	if (!entry->touched)
		TAILQ_INSERT_TAIL(&table->touched, entry, touched_link);
	entry->touched = true;
}

void table_untouch(struct table *table, struct item *entry)
{
	if (entry->touched)
		TAILQ_REMOVE(&table->touched, entry, touched_link);
	entry->touched = false;
}

void table_drop_entry(struct table *table, struct item *entry)
{
	struct registration *registration;
	while ((registration = LIST_FIRST(&entry->registrations)))
		table_drop_registration(table, registration);
	table_untouch(table, entry);
	tdelete(entry, &table->entry_tree, compare_entries);
	TAILQ_REMOVE(&table->entries, entry, link);
	free_entry(entry);
}

/* ---- processes ------------------------------------------------------------------- */

struct process *table_find_process(struct table *table, pid_t pid, uint64_t start)
{
	struct process key = { .watched = { .pid = pid, .start = start } };
	void *found = tfind(&key, &table->process_tree, compare_processes);
	return found ? *(struct process **)found : NULL;
}

struct process *table_add_process(struct table *table, pid_t pid, uint64_t start)
{
	struct process *process = table_find_process(table, pid, start);
	if (process)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->watched = (struct watched) { .pid = pid, .start = start, .fd = -1 };
	LIST_INIT(&process->registrations);
	if (!tsearch(process, &table->process_tree, compare_processes)) {
		free(process);
		return NULL;
	}
	LIST_INSERT_HEAD(&table->processes, process, link);
	return process;
}

void table_drop_process(struct table *table, struct process *process)
{
	tdelete(process, &table->process_tree, compare_processes);
	LIST_REMOVE(process, link);
	free(process->command);
	free(process);
}

/* ---- registrations ------------------------------------------------------------------ */

struct registration *table_find_registration(struct item *entry, const struct process *process)
{
	struct registration *registration;
	LIST_FOREACH(registration, &entry->registrations, of_entry)
		if (registration->process == process)
			return registration;
	return NULL;
}

struct registration *table_register(struct table *table, struct item *entry,
                                    struct process *process, unsigned long count)
{
	struct registration *found = table_find_registration(entry, process);
	if (found) {
		found->count += count;
		return found;
	}
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	*found = (struct registration) { .entry = entry, .process = process, .count = count };
	LIST_INSERT_HEAD(&entry->registrations, found, of_entry);
	LIST_INSERT_HEAD(process ? &process->registrations : &table->unknown, found, of_process);
	table->registration_count++;
	return found;
}

void table_drop_registration(struct table *table, struct registration *registration)
{
	LIST_REMOVE(registration, of_entry);
	LIST_REMOVE(registration, of_process);
	table->registration_count--;
	free(registration);
}
