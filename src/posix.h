/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The POSIX engine: semaphores of sem_open(3), shared with any other program.
 *
 *   posix.c       the engine's table, names
 *   posix_wait.c  acquire, release, value
 */
#ifndef SEMUNDO_POSIX_H
#define SEMUNDO_POSIX_H

#include <limits.h>
#include <semaphore.h>
#include <stdbool.h>

#include "engine.h"
#include "platform/posix_sem.h"

struct posix_sem {
	struct semundo base;
	sem_t *sem;
	struct posix_file file;
};

static inline struct posix_sem *posix(semundo_t *sem)
{
	return (struct posix_sem *)sem;
}

extern const struct sem_ops semundo__posix_ops, semundo__posix_observer_ops;

void semundo__posix_destroy(semundo_t *sem);

#endif
