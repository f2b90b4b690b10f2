/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included first where analyzers look at one file at a time (scripts/analyze):
 * tells them that errno is not 0 after a failure, and that semundo__fail(),
 * which they do not see, returns the failure it was given. Else they follow
 * paths on which a failure is a success.
 */
#include <errno.h>
#undef errno
static inline int *analyzed_errno(void)
{
	int *p = __errno_location();
	if (*p <= 0)
		__builtin_unreachable();
	return p;
}
#define errno (*analyzed_errno())

#include "error.h"
static inline int analyzed_failure(int result)
{
	if (result >= 0)
		__builtin_unreachable();
	return result;
}
#define semundo__fail(result, ...) \
	((semundo__fail)(result, __VA_ARGS__), analyzed_failure(result))
