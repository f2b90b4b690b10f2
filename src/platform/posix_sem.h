/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: semaphores of sem_open(3), where systems differ about them. */
#ifndef SEMUNDO_PLATFORM_POSIX_SEM_H
#define SEMUNDO_PLATFORM_POSIX_SEM_H

#include <semaphore.h>
#include <stdint.h>
#include <sys/types.h>

/* What stands for a semaphore in the system. */
struct posix_file {
	uint64_t device, inode; /* 0, 0: there is no file to look at */
	uint32_t mode, uid;
	uint64_t created;       /* CLOCK_REALTIME ns of its file's latest change */
};

/*
 * Looks whether sem_open(3) of that name ("/NAME") may be called: 0, -ENOENT,
 * -EACCES, -EUCLEAN (what stands there is not a semaphore of this C library and
 * word size: it may be short, and using it fatal), -ELOOP, -ENAMETOOLONG.
 */
int semundo__posix_look(const char *name, struct posix_file *ret);

/* Sets the permission bits of one that was made just now. */
int semundo__posix_set_mode(const char *name, uint32_t mode);

/*
 * Waits for a unit until the deadline (monotonic ns; NEVER: not allowed).
 * 0, -EINTR, -ETIMEDOUT; -ENOTSUP where the system has no such wait.
 */
int semundo__posix_wait(sem_t *sem, uint64_t deadline);

/* 0, or -ENOTSUP. */
int semundo__posix_value(sem_t *sem, int *ret);

/* The directory of their files, in which a name without its '/' has this
 * prefix; null: there is none. */
const char *semundo__posix_directory(const char **ret_prefix);

#endif
