/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: System V semaphores, where systems differ about them. */
#ifndef SEMUNDO_PLATFORM_SYSV_H
#define SEMUNDO_PLATFORM_SYSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/types.h>

/* The caller of semctl(2) has to define it, but where <sys/sem.h> does. */
#if defined(__linux__)
union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};
#endif

/* Largest value of a semaphore, which no setting changes. */
#define SYSV_VALUE_MAX 32767

/* What the system allows and what is in use; 0: not known, or no limit. */
struct sysv_limits {
	uint64_t sets_max, sets_used;   /* SEMMNI */
	uint64_t all_max, all_used;     /* SEMMNS */
	uint64_t in_set_max;            /* SEMMSL */
	uint64_t operations_max;        /* SEMOPM */
	uint64_t undo_max;              /* SEMUME */
	const char *setting;            /* how to raise them, in words */
};

/* 0, or -ENOSYS and the like: there are no System V semaphores here. */
int semundo__sysv_limits(struct sysv_limits *ret);

/* Whether semundo__sysv_operate() can wait with a limit. */
bool semundo__sysv_can_time(void);

/*
 * semop(2) that ends after so many nanoseconds (NEVER: not). 0 or a negative
 * errno: -EAGAIN when the time was up too. Never restarted after a signal.
 * Without semundo__sysv_can_time() only NEVER is allowed.
 */
int semundo__sysv_operate(int id, struct sembuf *operations, size_t count, uint64_t nanoseconds);

/* Calls visit for the id of each set of this system (IPC namespace), until it
 * returns other than 0. Sets may come and go meanwhile. -ENOTSUP: no way. */
int semundo__sysv_each(int (*visit)(int id, void *arg), void *arg);

/* A number for the space in which ids mean something; 0: unknown. */
uint64_t semundo__ipc_namespace(void);

#endif
