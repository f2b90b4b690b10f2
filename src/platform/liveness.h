/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contract: the truth (a lock that the kernel drops when a process ends, and
 * only then) and the alarm (a word that the kernel rings at death).
 */
#ifndef SEMUNDO_PLATFORM_LIVENESS_H
#define SEMUNDO_PLATFORM_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Locks one byte of the file for as long as fd's open file description lives.
 * 0, -EAGAIN (another has it), or another negative errno.
 */
int semundo__truth_lock(int fd, uint64_t offset);

/* Whether somebody has the byte locked: 1, 0, or a negative errno. Never
 * through a description that holds a lock itself. */
int semundo__truth_probe(int fd, uint64_t offset);

/* Whether the system has such locks: 0, or -ENOTSUP. */
int semundo__truth_possible(const char *directory);

/*
 * Maps length bytes at a page-aligned offset, writable and shared, in a way
 * that keeps fd's open file description alive until this process (its memory)
 * ends, and not in children made by fork. The caller may close fd.
 */
int semundo__truth_keep(void **ret_map, int fd, uint64_t offset, size_t length);

/* ---- alarm: memory of ALARM_SPACE bytes in the process's own record ---- */

/* Offset of the futex word in an alarm, found by trying; negative: there is
 * no way to have an alarm here. */
int semundo__alarm_word_offset(void);

/* Makes and takes the alarm for the calling thread. 0 or a negative errno. */
int semundo__alarm_arm(void *alarm);

/* Gives it up; only by the thread that armed it. */
void semundo__alarm_disarm(void *alarm);

/* What an alarm's word says. */
bool semundo__alarm_rang(uint32_t word);
bool semundo__alarm_is_armed(uint32_t word);

#endif
