/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: facts about processes, and memory that fork wipes. */
#ifndef SEMUNDO_PLATFORM_PROCESS_H
#define SEMUNDO_PLATFORM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_facts {
	uint32_t pid;
	uint64_t start_time;    /* 0: unknown */
	uint64_t pid_namespace; /* 0: unknown */
	char command[64];
};

void semundo__process_facts(struct process_facts *ret);

uint32_t semundo__process_id(void);
uint32_t semundo__thread_id(void);

/* Whether this program runs with more rights than its caller has. */
bool semundo__is_privileged(void);

/* Whole pages of zeroes that a child sees as zeroes again, however it was
 * made (unless it shares the memory). Null: no memory. */
void *semundo__wiped_pages(size_t bytes);

/* In a forked child, before it uses such pages: wipes them where the system does
 * not by itself. */
void semundo__wipe_after_fork(void);

size_t semundo__page_size(void);

/* The file mode creation mask, read without changing it where that is
 * possible. */
uint32_t semundo__umask(void);

/* Random bytes; 0 or a negative errno. */
int semundo__random(void *ret, size_t bytes);

#endif
