/* SPDX-License-Identifier: Apache-2.0 */
#include "sysv.h"

#include <errno.h>

#include "error.h"

static int possible(const char *dir)
{
	struct sysv_limits limits;
	struct directory *unused;
	if (TEST_SWITCH(no_sysv) || semundo__sysv_limits(&limits) < 0)
		return semundo__fail(-ENOTSUP, "this system has no System V semaphores");
	return semundo__directory_get(&unused, dir);
}

static int no_anonymous(semundo_t **ret, const struct semundo_options *options)
{
	(void)ret;
	(void)options;
	return semundo__fail(-ENOTSUP, "System V semaphores have a name or a key");
}

static int no_descriptor(semundo_t **ret, int fd, const struct semundo_options *options)
{
	(void)fd;
	return no_anonymous(ret, options);
}

const struct engine semundo__sysv = {
	.name = "sysv",
	.caps = SEMUNDO_CAP_LOCK | SEMUNDO_CAP_PERMITS | SEMUNDO_CAP_SIGNAL | SEMUNDO_CAP_MAXIMUM |
	        SEMUNDO_CAP_MANY | SEMUNDO_CAP_WAITERS,
	.permits_max = SYSV_VALUE_MAX,
	.signal_max = SYSV_VALUE_MAX,
	.possible = possible,
	.open = semundo__sysv_open,
	.anonymous = no_anonymous,
	.open_fd = no_descriptor,
	.acquire_all = semundo__sysv_acquire_all,
	.unlink = semundo__sysv_unlink,
	.list = semundo__sysv_list,
};
