/* SPDX-License-Identifier: Apache-2.0 */
/* Binary semaphores: a LOCK until used as a signal (see native_binary.c). */
#ifndef SEMUNDO_NATIVE_BINARY_H
#define SEMUNDO_NATIVE_BINARY_H

#include "native.h"

/* With SEMUNDO_CREATE, for the engine only: a new LOCK is a binary semaphore. */
#define OPEN_BINARY (1u << 16)

extern const struct sem_ops semundo__binary_ops;

bool semundo__is_binary(const semundo_t *sem);

/* Whether it has become a signal. */
bool semundo__binary_is_signal(const struct native_sem *sem, uint64_t state);

/* If this process has it, it stays taken, by nobody. Async-signal-safe. */
void semundo__binary_abandon(semundo_t *sem);

/* As sem_getvalue(3) would have it: 0 until somebody takes the unit that came
 * back from a dead owner. (A post then is the dead one's, and who checks the
 * value before it posts must find room for it.) */
int64_t semundo__binary_value(semundo_t *sem);

#endif
