/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: what the C library and the kernel know of threads. */
#ifndef SEMUNDO_PLATFORM_THREADS_H
#define SEMUNDO_PLATFORM_THREADS_H

#include <stdbool.h>
#include <sys/types.h> /* defines __GLIBC__ */

#if defined(__GLIBC__) && !defined(SEMUNDO_TEST_THREADED)
#include <sys/single_threaded.h>

/* True only while no other thread can run. */
static inline bool is_single_threaded(void)
{
	return __libc_single_threaded != 0;
}

#else

static inline bool is_single_threaded(void)
{
	return false;
}

#endif

/*
 * Whether semundo__fence_threads() can be had in this process. Only a process
 * that asked while it had one thread can: later, the kernel takes 10 ms to set
 * it up. Whatever the answer is, a forked child has it too.
 */
bool semundo__can_fence_threads(void);

/* Every thread of this process passes a full memory barrier. */
void semundo__fence_threads(void);

#endif
