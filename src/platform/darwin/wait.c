/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and pauses on macOS. There is no sleeping on words that processes
 * share (not before macOS 14.4, and not documented before): no native engine.
 * The other engines poll their cancel words.
 */
#include "platform/wait.h"

#include <errno.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t semundo__monotonic(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t semundo__realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* Nobody sleeps on a word here. */
int semundo__wake_private(const uint32_t *word, int count)
{
	(void)word;
	(void)count;
	return 0;
}

int semundo__pause(uint64_t nanoseconds)
{
	struct timespec ts = { (time_t)(nanoseconds / NSEC_PER_SEC),
		               (long)(nanoseconds % NSEC_PER_SEC) };
	return nanosleep(&ts, NULL) < 0 ? -errno : 0;
}
