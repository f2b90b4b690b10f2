/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: what the C library knows of threads. */
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

#endif
