/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and waiting, as several verbs do it. */
#include <errno.h>

#include "cli.h"

const char *kind_name(unsigned kind)
{
	static const char *const names[] = { "?", "lock", "permits", "signal" };
	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

void prepare_wait(const struct patience *patience, struct semundo_wait *wait,
                  struct timespec *deadline)
{
	if (patience->nonblock || patience->wait == 0) {
		wait->flags |= SEMUNDO_WAIT_TRY;
	} else if (patience->wait > 0) {
		clock_gettime(CLOCK_MONOTONIC, deadline);
		int64_t nanoseconds = deadline->tv_nsec + patience->wait % NSEC_PER_SEC;
		deadline->tv_sec += patience->wait / NSEC_PER_SEC + nanoseconds / NSEC_PER_SEC;
		deadline->tv_nsec = nanoseconds % NSEC_PER_SEC;
		wait->deadline = deadline;
	}
}

int fail_acquire(int result, const struct patience *patience, bool verbose)
{
	if (result != -EAGAIN && result != -ETIMEDOUT)
		return fail_library(result);
	if (verbose)
		note("%s", semundo_error());
	return patience->busy_status;
}

int open_existing(semundo_t **ret, const char *name, unsigned flags, unsigned kind)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.kind = kind;
	int r = semundo_open(ret, name, flags, &options);
	return r ? fail_library(r) : STATUS_OK;
}

int open_or_create(semundo_t **ret, struct semundo_info *ret_info, const char *name,
                   const struct semundo_options *options, unsigned flags)
{
	semundo_t *sem;
	int r = semundo_open(&sem, name, flags | SEMUNDO_CREATE, options);
	if (r)
		return fail_library(r);
	*ret_info = (struct semundo_info){ .size = sizeof(*ret_info) };
	r = semundo_info(sem, ret_info);
	int status = r ? fail_library(r) : STATUS_OK;
	if (!r && options->capacity && options->capacity != ret_info->capacity)
		status = fail(STATUS_DATA,
		              "'%s' is there with capacity %u, not %u: leave --capacity out, or "
		              "change it with 'semundo resize'",
		              name, ret_info->capacity, options->capacity);
	if (status)
		semundo_close(sem);
	else
		*ret = sem;
	return status;
}
