/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The semaphores that this process has open: opening one twice gives the same
 * handle. Under semundo__big_lock().
 */
#ifndef SEMUNDO_REGISTRY_H
#define SEMUNDO_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

struct native_sem;

struct native_sem *semundo__registry_find(uint64_t device, uint64_t inode, bool read_only);
int semundo__registry_add(struct native_sem *sem); /* 0 or -1: no memory */
void semundo__registry_remove(struct native_sem *sem);

#endif
