/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of this folder share: a directory of their own, shared
 * memory, time, randomness, and results as TAP. */
#ifndef TORTURE_COMMON_H
#define TORTURE_COMMON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "semundo.h"

#define MSEC UINT64_C(1000000)
#define SEC UINT64_C(1000000000)

uint64_t now_ns(void);
void pause_ns(uint64_t ns);

/* xorshift; any state but 0. */
uint32_t draw(uint64_t *state, uint32_t below);

/* Prints and ends the program with status 2: the test itself is at its end. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

/* Zeroed memory that forked children share. */
void *shared_memory(size_t size);

/* A directory in /dev/shm for SEMUNDO_DIR, which is set to it; removed when the
 * calling process exits or is asked to end. */
void own_directory(void);

/* fork() whose child dies with its parent. */
pid_t fork_child(void);
void reap(pid_t pid, int *ret_status);

/* First line of /proc/PID/FILE, or "-". */
const char *proc_line(pid_t pid, const char *file);

void tap_plan(unsigned count);
/* One test case; why is shown when it failed. Returns ok. */
__attribute__((format(printf, 3, 4))) bool tap_result(bool ok, const char *why,
                                                      const char *format, ...);
/* Exit status for the whole run. */
int tap_status(void);

#endif
