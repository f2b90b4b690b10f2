/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of <semundo/semaphore.h>: each returns null, or what is wrong. */
#ifndef SEMAPHORE_H_CASES_H
#define SEMAPHORE_H_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include <semundo.h>
#include <semundo/semaphore.h>

#define STRINGIFY(x) #x
#define AT(line) STRINGIFY(line)
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			return "line " AT(__LINE__) ": " #condition; \
	} while (0)
/* The call fails with that errno. */
#define FAILS(call, error) \
	do { \
		errno = 0; \
		CHECK((call) == -1 && errno == (error)); \
	} while (0)

#define SKIP "SKIP" /* begins a reason for a skip */

struct posix_case {
	const char *what;
	const char *(*run)(void);
};
extern const struct posix_case named_cases[], wait_cases[]; /* end with null */

/* A semaphore of value 0, named (already unlinked) or in shared memory. */
sem_t *new_named(unsigned value);
sem_t *new_memory(unsigned value);

/* Added to what CLOCK_REALTIME reads, in all processes. */
extern int64_t *clock_offset;

/* Polls until /proc/PID/task/TID/stat says S. */
bool sleeps(int pid, int tid);

#endif
