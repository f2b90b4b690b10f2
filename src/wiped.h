/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks of one cache line that a forked child sees as zeroes: what says who
 * this process is. Under semundo__big_lock().
 */
#ifndef SEMUNDO_WIPED_H
#define SEMUNDO_WIPED_H

#define WIPED_CHUNK 64u

void *semundo__wiped_new(void); /* zeroed; null: no memory */
void semundo__wiped_free(void *chunk);

#endif
