/* SPDX-License-Identifier: Apache-2.0 */
/* In place of the native engine where the system has not what it needs. */
#include <errno.h>

#include "engine.h"
#include "error.h"

static int absent(void)
{
	return semundo__fail(-ENOTSUP, "the native engine needs Linux (its futexes and file locks); "
	                               "use the engine sysv, which is the default here");
}

static int possible(const char *dir)
{
	(void)dir;
	return absent();
}

static int open_named(semundo_t **ret, const char *name, unsigned flags, uint32_t kind,
                      const struct semundo_options *options)
{
	(void)ret;
	(void)name;
	(void)flags;
	(void)kind;
	(void)options;
	return absent();
}

static int anonymous(semundo_t **ret, const struct semundo_options *options)
{
	(void)ret;
	(void)options;
	return absent();
}

static int open_fd(semundo_t **ret, int fd, const struct semundo_options *options)
{
	(void)ret;
	(void)fd;
	(void)options;
	return absent();
}

static int unlink_named(const char *name, const char *dir)
{
	(void)name;
	(void)dir;
	return absent();
}

/* There are none. */
static int list(const char *dir, int (*visit)(const char *name, void *arg), void *arg)
{
	(void)dir;
	(void)visit;
	(void)arg;
	return 0;
}

const struct engine semundo__native = {
	.name = "native",
	.permits_max = SEMUNDO_PERMITS_MAX,
	.signal_max = SEMUNDO_SIGNAL_MAX,
	.possible = possible,
	.open = open_named,
	.anonymous = anonymous,
	.open_fd = open_fd,
	.unlink = unlink_named,
	.list = list,
};

const struct engine *const semundo__default_engine = &semundo__sysv;
