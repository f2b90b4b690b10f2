/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic operations with their memory order in their name. All are the GNU
 * builtins, which work on plain integers in shared memory whatever compiler
 * and language the other side has.
 */
#ifndef SEMUNDO_ATOMICS_H
#define SEMUNDO_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

/* On 32-bit x86 the type of a uint64_t promises no alignment to 8, and clang
 * would then call a function whose lock is of this process only. So what they
 * are fields of promises it, and so does a pointer to one. */
#define ALIGNED_8 __attribute__((aligned(8)))
typedef uint64_t aligned_uint64_t ALIGNED_8;
#ifndef __i386__
#define ALIGNED(p) (p)
#else
#define ALIGNED(p) \
	_Generic((p), uint64_t *: (aligned_uint64_t *)(p), \
	         const uint64_t *: (const aligned_uint64_t *)(p), default: (p))
#endif

#define load_relaxed(p) __atomic_load_n(ALIGNED(p), __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n(ALIGNED(p), __ATOMIC_ACQUIRE)
#define load_seq_cst(p) __atomic_load_n(ALIGNED(p), __ATOMIC_SEQ_CST)
#define store_relaxed(p, v) __atomic_store_n(ALIGNED(p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n(ALIGNED(p), (v), __ATOMIC_RELEASE)
#define add_relaxed(p, v) __atomic_fetch_add(ALIGNED(p), (v), __ATOMIC_RELAXED)
#define sub_relaxed(p, v) __atomic_fetch_sub(ALIGNED(p), (v), __ATOMIC_RELAXED)
#define add_acq_rel(p, v) __atomic_fetch_add(ALIGNED(p), (v), __ATOMIC_ACQ_REL)
#define or_acq_rel(p, v) __atomic_fetch_or(ALIGNED(p), (v), __ATOMIC_ACQ_REL)
#define exchange_acquire(p, v) __atomic_exchange_n(ALIGNED(p), (v), __ATOMIC_ACQUIRE)

/* Compare and swap; on failure *expected becomes what was found. */
#define cas_acq_rel(p, expected, desired) \
	__atomic_compare_exchange_n(ALIGNED(p), (expected), (desired), false, __ATOMIC_ACQ_REL, \
	                            __ATOMIC_ACQUIRE)
#define cas_relaxed(p, expected, desired) \
	__atomic_compare_exchange_n(ALIGNED(p), (expected), (desired), false, __ATOMIC_RELAXED, \
	                            __ATOMIC_RELAXED)

/* Order against a signal handler of the same thread only. */
#define signal_fence() __atomic_signal_fence(__ATOMIC_SEQ_CST)

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#else
	signal_fence();
#endif
}

#endif
