/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: what the tracker asks of the system besides watching. */
#ifndef SEMUNDO_TRACKER_SYSTEM_H
#define SEMUNDO_TRACKER_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "resource.h"

/* Moves up to `most` bytes from a pipe to a file, from offset on: each byte is in
 * one of the two, at whatever moment this process is killed. Returns their number,
 * 0 at the end of the input, or a negative errno: -EAGAIN where there is nothing,
 * -ENOTSUP where the system cannot do it. */
ssize_t system_move(int pipe, int file, off_t offset, size_t most);

/* The PID namespace; 0: unknown, or there are none. */
uint64_t system_namespace(void);

/* A program keeps what the process before it had taken of System V semaphores with
 * SEM_UNDO. The tracker is started by those who use them, and would count as one
 * more user for as long as it runs: it gives that back. */
void system_leave_semaphores(void);

/* Closes all descriptors but standard error and those two (either may be -1). */
void system_close_others(int first, int second);

/* Whether a process has ended though its PID is still taken. */
bool system_is_zombie(pid_t pid);

/* Where sem_open(3) and shm_open(3) keep the object; false: no such place. */
bool system_object_path(bool semaphore, const char *name, char *ret, size_t size);

/* Whether the file surely was made after that process had started (start as
 * process_start_time()). */
bool system_is_younger(const char *path, uint64_t start);

/* False only where it surely is not there. */
bool system_semaphore_exists(const char *name);

/* Calls found for each process, other than this one, that has one of these
 * files mapped, as far as they may be looked at. */
typedef void user_function(void *arg, size_t file, pid_t pid);
void system_users(const struct file_id *files, size_t count, user_function *found, void *arg);

/* Whether some process has this pipe open: 1 yes, 0 no, negative: not known. */
int system_pipe_is_open(uint64_t inode);

#endif
