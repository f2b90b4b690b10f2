/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contract: what the thread sanitizer is told, because it does not see it.
 * ordered_before(): all that this thread did so far comes before what another
 * does after its ordered_after() of the same address.
 */
#ifndef SEMUNDO_PLATFORM_SANITIZER_H
#define SEMUNDO_PLATFORM_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SEMUNDO_TSAN 1 /* as clang says it */
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define SEMUNDO_TSAN 1 /* as gcc does */
#endif

#ifdef SEMUNDO_TSAN

void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define ordered_before(address) __tsan_release(address)
#define ordered_after(address) __tsan_acquire(address)

#else

#define ordered_before(address) ((void)(address))
#define ordered_after(address) ((void)(address))

#endif

#endif
