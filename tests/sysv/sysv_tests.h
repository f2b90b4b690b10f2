/* SPDX-License-Identifier: Apache-2.0 */
/* What only System V semaphores have: sets, limits, keys. In an IPC namespace of
 * the program's own where that is to be had, so that sets can be counted. */
#ifndef TESTS_SYSV_H
#define TESTS_SYSV_H

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/suite.h"
#include "../common/worker.h"
#include "sysv.h"

/* Whether this program has an IPC namespace of its own: limits can be set, and
 * all sets in it are the test's. */
extern bool alone;

/* How many sets there are; only where alone. */
int sets(void);

semundo_t *create(const char *name, uint32_t kind, uint32_t units);
int64_t value_of(semundo_t *sem);
struct semundo_info info_of(semundo_t *sem);

/* Acts of workers. */
int open_too(semundo_t *sem, unsigned n); /* nothing but being opened */

/* Waits for a child; its status. */
int ended(pid_t pid);

void add_names(Suite *suite);
void add_creation(Suite *suite);
void add_limits(Suite *suite);
void add_raw(Suite *suite);
void add_lost(Suite *suite);
void add_polling(Suite *suite);

#endif
