/* SPDX-License-Identifier: Apache-2.0 */
/* For the tables of handles that were opened with SEMUNDO_OBSERVE: what changes
 * a semaphore is -EBADF, in all engines. Async-signal-safe. */
#ifndef SEMUNDO_OBSERVER_H
#define SEMUNDO_OBSERVER_H

#include "engine.h"

int semundo__observer_recover(semundo_t *sem);
int semundo__observer_try(semundo_t *sem, unsigned n); /* -EAGAIN: no sentence */
int semundo__observer_acquire(semundo_t *sem, unsigned n, const struct wait_how *how);
int semundo__observer_number(semundo_t *sem, unsigned n); /* release, resize */
int semundo__observer_wait_idle(semundo_t *sem, const struct wait_how *how);
int semundo__observer_descriptor(semundo_t *sem, int *ret_fd);
int semundo__observer_describe(semundo_t *sem, pid_t for_pid, const char *command);

#endif
