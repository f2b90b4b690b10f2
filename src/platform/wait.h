/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contract: sleeping on 32-bit words that processes share, and clocks.
 * Everything here is async-signal-safe.
 */
#ifndef SEMUNDO_PLATFORM_WAIT_H
#define SEMUNDO_PLATFORM_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#define NEVER UINT64_MAX
#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)

/* As many words as one sleep can watch. */
#define WAIT_WORDS_MAX 128

struct wait_word {
	const uint32_t *word;
	uint32_t expected;
	bool is_private; /* memory of this process only */
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME, in nanoseconds. */
uint64_t semundo__monotonic(void);
uint64_t semundo__realtime(void);

/*
 * Sleeps while *word == expected, until a wake, a signal handler or the
 * deadline (monotonic ns, or NEVER). Returns 0 (woken, perhaps for no reason),
 * -EAGAIN (the word had another value), -EINTR or -ETIMEDOUT.
 */
int semundo__wait(const uint32_t *word, uint32_t expected, uint64_t deadline);

/* The same on several words; -ENOSYS where the kernel cannot (see below), or
 * -EFAULT and the like where a word's memory is gone. */
int semundo__wait_many(const struct wait_word *words, unsigned count, uint64_t deadline);
bool semundo__can_wait_many(void);

/*
 * Whether a signal handler of this process has SA_RESTART: the kernel then goes
 * on with semundo__wait_many() after it, where semundo__wait() with a deadline
 * returns -EINTR after any handler. Some microseconds.
 */
bool semundo__handlers_restart(void);

/* Wakes at most count sleepers on a shared word; returns how many. */
int semundo__wake(const uint32_t *word, int count);
int semundo__wake_private(const uint32_t *word, int count);

/* Whether another processor can change a word while this one looks at it. */
bool semundo__can_spin(void);

/* Gives the processor away for about so long: 0, or -EINTR when a signal handler
 * ended it earlier. */
int semundo__pause(uint64_t nanoseconds);

#endif
