/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of struct wait_how beside SEMUNDO_WAIT_...: those of the sem_ functions. */
#ifndef SEMUNDO_WAIT_HOW_H
#define SEMUNDO_WAIT_HOW_H

#include "engine.h"
#include "platform/wait.h"

/* The deadline is CLOCK_REALTIME, and follows when that clock is set. */
#define WAIT_REALTIME (1u << 16)
/* With SEMUNDO_WAIT_EINTR: a handler with SA_RESTART does not end the wait
 * (where the system has semundo__wait_many()). */
#define WAIT_RESTARTS (1u << 17)
/* The sleep is a cancellation point (pthread_cancel). */
#define WAIT_CANCELS (1u << 18)

/*
 * How long the sem_ functions sleep for a signal. A handler that runs between
 * two sleeps ends neither, and on a busy machine a thread may be between them
 * for long; and each new sleep is behind those of the same priority. Hence few
 * sleeps. Not without end: a poster may be killed before its wake-up call, or a
 * waiter after it was woken.
 */
#define LONG_SLEEP (10 * NSEC_PER_SEC)

/* Deadlines on CLOCK_REALTIME are looked at again this often. */
#define REALTIME_SLEEP (50 * NSEC_PER_MSEC)

/* The deadline in monotonic ns, as the clocks stand now. */
static inline uint64_t monotonic_deadline(const struct wait_how *how)
{
	if (how->deadline == NEVER || !(how->flags & WAIT_REALTIME))
		return how->deadline;
	uint64_t real = semundo__realtime();
	uint64_t left = how->deadline > real ? how->deadline - real : 0;
	uint64_t now = semundo__monotonic();
	return left < NEVER - now ? now + left : NEVER - 1;
}

/* Runs `call` as a cancellation point if the flags and the caller's
 * cancellation state want it; cancellation is disabled around it. */
#define CANCELLABLY(flags, state, call) \
	do { \
		int cancel_type = 0; \
		if ((flags) & WAIT_CANCELS) { \
			pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &cancel_type); \
			pthread_setcancelstate((state), NULL); \
		} \
		call; \
		if ((flags) & WAIT_CANCELS) { \
			pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); \
			pthread_setcanceltype(cancel_type, NULL); \
		} \
	} while (0)

#endif
