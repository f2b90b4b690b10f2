/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence of the latest failure, per thread. */
#ifndef SEMUNDO_ERROR_H
#define SEMUNDO_ERROR_H

#include "semundo.h"

/* Keeps the sentence and returns result. Not async-signal-safe. */
int semundo__fail(int result, const char *format, ...)
	__attribute__((format(printf, 2, 3), cold));

/*
 * The same for functions that are async-signal-safe: format must be a literal
 * with one %s, for the name. The sentence is written only when it is read,
 * when sem may be gone: then without the name.
 */
int semundo__fail_static(int result, const char *format, const semundo_t *sem);

/* For sentences: the name, or a word for those without. */
const char *semundo__name_of(const semundo_t *sem);

/* Whether a handle is open; writes its name. For semundo__fail_static(). */
int semundo__known_name(const semundo_t *sem, char *ret, size_t size);

/* errno's text, as in strerror(), but of a negative errno. */
const char *semundo__reason(int result);

#endif
