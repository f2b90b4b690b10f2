/* SPDX-License-Identifier: Apache-2.0 */
#include "native.h"

const struct engine semundo__native = {
	.name = "native",
	.caps = ENGINE_LOCK | ENGINE_PERMITS | ENGINE_SIGNAL | ENGINE_RESIZE | ENGINE_PEERS |
	        ENGINE_ANONYMOUS | ENGINE_LOCK_BY_ANY,
	.open = semundo__native_open,
	.anonymous = semundo__native_anonymous,
	.open_fd = semundo__native_open_fd,
	.unlink = semundo__native_unlink,
	.list = semundo__native_list,
};

#if defined(SEMUNDO_TEST) && SEMUNDO_TEST
struct semundo__test semundo__test;
void (*semundo__test_point)(const char *where);
#endif
