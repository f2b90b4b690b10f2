/* SPDX-License-Identifier: Apache-2.0 */
/* Where the test build can be killed: see crash.c. The shipped one has none of it. */
#ifndef SEMUNDO_TRACKER_CRASH_H
#define SEMUNDO_TRACKER_CRASH_H

#if defined(SEMUNDO_TEST) && SEMUNDO_TEST
void crash_point(void);
#define CRASH_POINT() crash_point()
#else
#define CRASH_POINT() ((void)0)
#endif

#endif
