/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The semaphores that this process has open: opening one twice gives the same
 * handle. Under semundo__big_lock().
 */
#ifndef SEMUNDO_REGISTRY_H
#define SEMUNDO_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"

/* A handle by what its engine knows the semaphore by; null: none. */
semundo_t *semundo__registry_find(const struct engine *engine, uint64_t device, uint64_t inode,
                                  bool read_only);
int semundo__registry_add(semundo_t *sem); /* 0 or -1: no memory */
void semundo__registry_remove(semundo_t *sem);

#endif
