/* SPDX-License-Identifier: Apache-2.0 */
#include "native.h"

#include "error.h"
#include "platform/liveness.h"

static int possible(const char *dir)
{
	struct directory *found;
	int r = semundo__directory_get(&found, dir);
	if (r)
		return r;
	r = semundo__truth_possible(found->path);
	return r ? semundo__fail(r, "this system does not keep file locks as the native engine needs "
	                            "them") : 0;
}

const struct engine *const semundo__default_engine = &semundo__native;

const struct engine semundo__native = {
	.name = "native",
	.caps = SEMUNDO_CAP_LOCK | SEMUNDO_CAP_PERMITS | SEMUNDO_CAP_SIGNAL | SEMUNDO_CAP_MAXIMUM |
	        SEMUNDO_CAP_MANY | SEMUNDO_CAP_RESIZE | SEMUNDO_CAP_WAITERS | SEMUNDO_CAP_PEERS |
	        SEMUNDO_CAP_ANONYMOUS | SEMUNDO_CAP_HOLD | SEMUNDO_CAP_LOCK_BY_ANY,
	.permits_max = SEMUNDO_PERMITS_MAX,
	.signal_max = SEMUNDO_SIGNAL_MAX,
	.possible = possible,
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
