/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has registered what. An entry is a name of a type; a registration is that
 * one process has registered it so many times. Those who do not say who they are
 * count as one process, of which nobody sees the death: a null pointer.
 *
 * Only memory limits the numbers. Functions that add return null without it.
 */
#ifndef SEMUNDO_TRACKER_TABLE_H
#define SEMUNDO_TRACKER_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "platform/watch.h"
#include "resource.h"

struct registration {
	LIST_ENTRY(registration) of_entry, of_process;
	struct item *entry;
	struct process *process; /* null: unknown */
	unsigned long count;
};
LIST_HEAD(registrations, registration);

struct process {
	LIST_ENTRY(process) link;
	struct registrations registrations;
	struct watched watched; /* its PID and start time */
	char *command;          /* null: not known */
	bool ended;
	unsigned long forgiven; /* registrations that went with their name: it may still
	                           take them back */
};
LIST_HEAD(processes, process);

struct item {
	TAILQ_ENTRY(item) link;
	TAILQ_ENTRY(item) touched_link;
	struct registrations registrations;
	enum resource_type type;
	bool touched;      /* in table.touched */
	bool unregistered; /* somebody took it back: that it is gone is no surprise */
	pid_t maker;       /* who registered it first; 0: unknown */
	uint64_t maker_start; /* 0: unknown, or of another namespace */
	char *command;     /* the maker's; null: unknown */
	int64_t time;      /* when; seconds, CLOCK_REALTIME */
	char *dir, *name;
	bool left;         /* while it is removed: nobody took it back */
	char *why;         /* and why that failed */
};
TAILQ_HEAD(entries, item);

struct table {
	void *entry_tree, *process_tree; /* of tsearch(3) */
	struct entries entries, touched;
	struct processes processes;
	struct registrations unknown; /* those without a process */
	unsigned long unknown_forgiven;
	size_t registration_count;
};

void table_init(struct table *table);

struct item *table_find_entry(struct table *table, enum resource_type type, const char *dir,
                               const char *name);
struct item *table_add_entry(struct table *table, enum resource_type type, const char *dir,
                              const char *name);

struct process *table_find_process(struct table *table, pid_t pid, uint64_t start);
struct process *table_add_process(struct table *table, pid_t pid, uint64_t start);

/* One that is there already gets the count too. */
struct registration *table_register(struct table *table, struct item *entry,
                                    struct process *process, unsigned long count);
struct registration *table_find_registration(struct item *entry, const struct process *process);

/* The entry stays, though nobody may have it registered now. */
void table_drop_registration(struct table *table, struct registration *registration);

/* With its registrations. */
void table_drop_entry(struct table *table, struct item *entry);

/* Must have no registrations. */
void table_drop_process(struct table *table, struct process *process);

/* Puts it on the list of those to be looked at. */
void table_touch(struct table *table, struct item *entry);
void table_untouch(struct table *table, struct item *entry);

#endif
