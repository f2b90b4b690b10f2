/* SPDX-License-Identifier: Apache-2.0 */
/* What is said on standard error. A reader that does not read never stops the
 * tracker: what does not fit is left out, and counted. */
#ifndef SEMUNDO_TRACKER_REPORT_H
#define SEMUNDO_TRACKER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "semundo-tracker: ..." and a newline; control characters are made visible. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same without the beginning. */
void say_bare(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that was ignored (null: too long), and why. After a hundred it is only
 * counted. */
void complain(const char *line, size_t length, const char *why);

/* What was left out so far, if any; waits for the reader, for a second. */
void say_the_rest(void);

/* "2026-01-31 23:59:59", local time. */
#define TIME_SIZE 32
void time_text(int64_t seconds, char *ret);

#endif
