/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behind <semundo/semaphore.h> and the preload library:
 *
 *   semaphore_h.c         the public functions
 *   semaphore_h_named.c   named ones: native semaphores in a table
 *   semaphore_h_memory.c  those in the caller's memory
 *   native_binary.c       the kind that the preload library makes
 *
 * All return 0 or a negative errno.
 */
#ifndef SEMUNDO_SEMAPHORE_H_H
#define SEMUNDO_SEMAPHORE_H_H

#define SEMUNDO_SEM_NO_MACROS
#include <semundo/semaphore.h>

#include "engine.h"

/* Named semaphores are entries of a fixed table, so that nothing in shared
 * memory can pass for one. */
struct named_sem {
	semundo_t *sem; /* null: free */
	uint32_t opens;
	uint32_t next_free;
};

#define NAMED_MAX 65536u
union named_entry {
	semundo_sem_t face;
	struct named_sem named;
};
extern union named_entry semundo__named[NAMED_MAX];

static inline bool is_named(const semundo_sem_t *sem)
{
	return (uintptr_t)sem - (uintptr_t)semundo__named < sizeof(semundo__named);
}

struct named_request {
	const char *name;
	unsigned flags; /* SEMUNDO_CREATE, _EXCL, OPEN_BINARY */
	mode_t mode;    /* umask already taken off */
	unsigned value;
};

int semundo__named_open(semundo_sem_t **ret, const struct named_request *request);
int semundo__named_close(semundo_sem_t *sem);
int semundo__named_unlink(const char *name);

/* This process ends by its own will: what it has of binary semaphores stays
 * taken, as POSIX says. Async-signal-safe. */
void semundo__named_abandon_all(void);

/* ---- in the caller's memory ---- */

int semundo__memory_init(semundo_sem_t *sem, bool shared, unsigned value);
int semundo__memory_destroy(semundo_sem_t *sem);
int semundo__memory_post(semundo_sem_t *sem);
int semundo__memory_value(const semundo_sem_t *sem, int *ret);
/* -EINVAL, -EAGAIN (TRY), -EINTR, -ETIMEDOUT. */
int semundo__memory_wait(semundo_sem_t *sem, const struct wait_how *how);

#endif
