/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions: arguments are checked here, an engine does the rest. */
#include "semundo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "error.h"
#include "directory.h"
#include "name.h"
#include "platform/sysv.h"
#include "platform/wait.h"

#ifndef SEMUNDO_VERSION
#define SEMUNDO_VERSION "unknown"
#endif

const char *semundo_version(void)
{
	return SEMUNDO_VERSION;
}

const char *semundo__name_of(const semundo_t *sem)
{
	return *sem->name ? sem->name : "(anonymous)";
}

/* ---- life ------------------------------------------------------------------- */

/* All sizes that a caller may have been compiled with. */
static int copy_options(struct semundo_options *to, const struct semundo_options *from)
{
	*to = (struct semundo_options)SEMUNDO_OPTIONS_INIT;
	if (!from)
		return 0;
	if (from->size < offsetof(struct semundo_options, kind))
		return semundo__fail(-EINVAL, "options without a size: start from "
		                              "SEMUNDO_OPTIONS_INIT");
	memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
	to->size = sizeof(*to);
	return 0;
}

static int check_capacity(const struct semundo_options *o, const struct engine *engine)
{
	uint32_t most = o->kind == SEMUNDO_LOCK ? 1 :
		o->kind == SEMUNDO_PERMITS ? engine->permits_max : engine->signal_max;
	if (o->capacity > most)
		return semundo__fail(-EINVAL,
		                     "a capacity of %u is too large: at most %u for this kind%s",
		                     o->capacity, most,
		                     most == SYSV_VALUE_MAX ? " of System V semaphore (SEMVMX, which "
		                                              "cannot be raised)" : "");
	if (o->kind != SEMUNDO_SIGNAL && o->value)
		return semundo__fail(-EINVAL, "only a signal has a first value; give a capacity");
	if (o->kind == SEMUNDO_SIGNAL && o->value > o->capacity)
		return semundo__fail(-EINVAL, "a first value of %u is above the maximum of %u",
		                     o->value, o->capacity);
	return 0;
}

static int complete_for_creation(struct semundo_options *o, const struct engine *engine)
{
	if (!o->kind)
		o->kind = SEMUNDO_PERMITS;
	if (o->kind > SEMUNDO_SIGNAL)
		return semundo__fail(-EINVAL, "%u is not a kind of semaphore", o->kind);
	if (!o->capacity)
		o->capacity = o->kind == SEMUNDO_SIGNAL ? engine->signal_max : 1;
	if (o->mode & ~0777u)
		return semundo__fail(-EINVAL, "mode 0%o has more than permission bits", o->mode);
	if (!o->mode)
		o->mode = 0600;
	return check_capacity(o, engine);
}

static int check_option_flags(const struct semundo_options *o, uint32_t allowed)
{
	if (o->flags & ~allowed)
		return semundo__fail(-EINVAL, "flags 0x%x of the options mean nothing here", o->flags);
	return 0;
}

static int check_flags(unsigned flags)
{
	if (flags & ~(unsigned)(SEMUNDO_CREATE | SEMUNDO_EXCL | SEMUNDO_REPLACE | SEMUNDO_OBSERVE))
		return semundo__fail(-EINVAL, "flags 0x%x have bits that are not known", flags);
	if ((flags & (SEMUNDO_EXCL | SEMUNDO_REPLACE)) && !(flags & SEMUNDO_CREATE))
		return semundo__fail(-EINVAL, "EXCL and REPLACE go with CREATE");
	if ((flags & SEMUNDO_EXCL) && (flags & SEMUNDO_REPLACE))
		return semundo__fail(-EINVAL, "EXCL and REPLACE exclude each other");
	if ((flags & SEMUNDO_OBSERVE) && (flags & SEMUNDO_CREATE))
		return semundo__fail(-EINVAL, "OBSERVE and CREATE exclude each other");
	return 0;
}

int semundo__open_in(const struct engine *engine, semundo_t **ret, const char *name,
                     unsigned flags, const struct semundo_options *options)
{
	struct semundo_options o = *options;
	int r = flags & SEMUNDO_CREATE ? complete_for_creation(&o, engine) : 0;
	return r ? r : engine->open(ret, name, flags, options->kind, &o);
}

int semundo_open(semundo_t **ret_sem, const char *name, unsigned flags,
                 const struct semundo_options *options)
{
	const struct engine *engine;
	struct semundo_options o;
	int r = semundo__parse_name(name, &engine, &name);
	if (!r)
		r = check_flags(flags);
	if (!r)
		r = copy_options(&o, options);
	if (!r)
		r = check_option_flags(&o, 0);
	if (r)
		return r;
	semundo__big_lock();
	if (engine == &semundo__auto)
		r = semundo__auto_open(ret_sem, name, flags, &o);
	else
		r = semundo__open_in(engine, ret_sem, name, flags, &o);
	semundo__big_unlock();
	return r;
}

int semundo_anonymous(semundo_t **ret_sem, const struct semundo_options *options)
{
	struct semundo_options o;
	int r = copy_options(&o, options);
	if (!r)
		r = check_option_flags(&o, SEMUNDO_NO_DESCRIPTOR);
	if (!r)
		r = complete_for_creation(&o, &semundo__native);
	if (r)
		return r;
	semundo__big_lock();
	r = semundo__native.anonymous(ret_sem, &o);
	semundo__big_unlock();
	return r;
}

int semundo_open_fd(semundo_t **ret_sem, int fd, const struct semundo_options *options)
{
	struct semundo_options o;
	int r = copy_options(&o, options);
	if (!r)
		r = check_option_flags(&o, 0);
	if (r)
		return r;
	semundo__big_lock();
	r = semundo__native.open_fd(ret_sem, fd, &o);
	semundo__big_unlock();
	return r;
}

int semundo_descriptor(semundo_t *sem, int *ret_fd)
{
	return sem->ops->descriptor(sem, ret_fd);
}

int semundo_close(semundo_t *sem)
{
	if (!sem)
		return 0;
	semundo__big_lock();
	if (--sem->references == 0)
		sem->ops->destroy(sem);
	semundo__big_unlock();
	return 0;
}

int semundo_unlink(const char *name, const char *dir)
{
	const struct engine *engine;
	int r = semundo__parse_name(name, &engine, &name);
	if (r)
		return r;
	semundo__big_lock();
	r = engine->unlink(name, dir);
	semundo__big_unlock();
	return r;
}

/* ---- acquire and release ------------------------------------------------------- */

static int fail_zero(const semundo_t *sem)
{
	return semundo__fail(-EINVAL, "cannot acquire 0 units of '%s'", semundo__name_of(sem));
}

static int acquire_slowly(semundo_t *sem, unsigned n, const struct wait_how *how)
{
	return n ? sem->ops->acquire(sem, n, how) : fail_zero(sem);
}

__attribute__((cold)) int semundo__acquire_slowly(semundo_t *sem, unsigned n)
{
	static const struct wait_how forever = { NEVER, 0, NULL, 0 };
	return acquire_slowly(sem, n, &forever);
}

int semundo_acquire(semundo_t *sem, unsigned n)
{
	return sem->ops->acquire_forever(sem, n);
}

int semundo_try_acquire(semundo_t *sem, unsigned n)
{
	static const struct wait_how try_only = { NEVER, SEMUNDO_WAIT_TRY, NULL, 0 };
	int r = sem->ops->try_acquire(sem, n);
	return __builtin_expect(r >= 0, 1) ? r : acquire_slowly(sem, n, &try_only);
}

int semundo_acquire_timed(semundo_t *sem, unsigned n, int64_t nanoseconds)
{
	int r = sem->ops->try_acquire(sem, n);
	if (r >= 0)
		return r;
	uint64_t wait = nanoseconds > 0 ? (uint64_t)nanoseconds : 0;
	const struct wait_how how = { semundo__monotonic() + wait, 0, NULL, 0 };
	return acquire_slowly(sem, n, &how);
}

static int deadline_of(const struct timespec *ts, uint64_t *ret)
{
	if (ts->tv_nsec < 0 || ts->tv_nsec >= (long)NSEC_PER_SEC)
		return semundo__fail(-EINVAL, "a deadline has %ld nanoseconds: 0 to 999999999 are valid",
		                     ts->tv_nsec);
	if (ts->tv_sec < 0)
		*ret = 0;
	else if ((uint64_t)ts->tv_sec >= NEVER / NSEC_PER_SEC / 2)
		*ret = NEVER;
	else
		*ret = (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	return 0;
}

int semundo_acquire_until(semundo_t *sem, unsigned n, const struct timespec *deadline)
{
	struct wait_how how = { NEVER, 0, NULL, 0 };
	int r = deadline ? deadline_of(deadline, &how.deadline) :
			   semundo__fail(-EINVAL, "the deadline is missing");
	if (r)
		return r;
	r = sem->ops->try_acquire(sem, n);
	return r >= 0 ? r : acquire_slowly(sem, n, &how);
}

int semundo__how_of(const struct semundo_wait *wait, struct wait_how *ret)
{
	struct semundo_wait w = SEMUNDO_WAIT_INIT;
	if (wait && wait->size < offsetof(struct semundo_wait, deadline))
		return semundo__fail(-EINVAL, "wait options without a size: start from "
		                              "SEMUNDO_WAIT_INIT");
	if (wait)
		memcpy(&w, wait, wait->size < sizeof(w) ? wait->size : sizeof(w));
	if (w.flags & ~(unsigned)(SEMUNDO_WAIT_TRY | SEMUNDO_WAIT_EINTR) || w.reserved)
		return semundo__fail(-EINVAL, "wait flags 0x%x have bits that are not known", w.flags);
	*ret = (struct wait_how){ NEVER, w.flags, w.cancel, w.since };
	return w.deadline ? deadline_of(w.deadline, &ret->deadline) : 0;
}

int semundo_acquire_with(semundo_t *sem, unsigned n, const struct semundo_wait *wait)
{
	struct wait_how how;
	int r = semundo__how_of(wait, &how);
	if (r)
		return r;
	r = sem->ops->try_acquire(sem, n);
	return r >= 0 ? r : acquire_slowly(sem, n, &how);
}

int semundo_release(semundo_t *sem, unsigned n)
{
	if (__builtin_expect(n == 0, 0))
		return semundo__fail_static(-EINVAL, "cannot release 0 units of '%s'", sem);
	return sem->ops->release(sem, n);
}

int semundo_wait_idle(semundo_t *sem, const struct semundo_wait *wait)
{
	struct wait_how how;
	int r = semundo__how_of(wait, &how);
	return r ? r : sem->ops->wait_idle(sem, &how);
}

int semundo_resize(semundo_t *sem, unsigned capacity)
{
	return sem->ops->resize(sem, capacity);
}

/* ---- looking --------------------------------------------------------------------- */

int semundo_value(semundo_t *sem, int64_t *ret_value)
{
	return sem->ops->value(sem, ret_value);
}

int semundo_held(semundo_t *sem, unsigned *ret_units)
{
	return sem->ops->held(sem, ret_units);
}

int semundo_info(semundo_t *sem, struct semundo_info *ret_info)
{
	struct semundo_info info = { .size = sizeof(info) };
	size_t size = ret_info->size;
	if (size < offsetof(struct semundo_info, engine))
		return semundo__fail(-EINVAL, "info without a size: set it to sizeof(struct "
		                              "semundo_info)");
	int r = sem->ops->info(sem, &info);
	if (r)
		return r;
	info.size = size;
	memcpy(ret_info, &info, size < sizeof(info) ? size : sizeof(info));
	return 0;
}

int semundo_peers(semundo_t *sem, struct semundo_peer **ret_first)
{
	return sem->ops->peers(sem, ret_first);
}

void semundo_peers_free(struct semundo_peer *first)
{
	while (first) {
		struct semundo_peer *next = first->next;
		free(first);
		first = next;
	}
}

int semundo_deaths(semundo_t *sem, struct semundo_death *ret_deaths, unsigned max)
{
	return sem->ops->deaths(sem, ret_deaths, max);
}

int semundo_recover(semundo_t *sem)
{
	return sem->ops->recover(sem);
}

int semundo_list(const char *dir, int (*visit)(const char *name, void *arg), void *arg)
{
	return semundo__list_all(dir, visit, arg);
}

int semundo_directory(char **ret_dir)
{
	return semundo__directory_path(ret_dir, NULL);
}

int semundo_hold_descriptor(semundo_t *sem, int *ret_fd)
{
	return sem->ops->hold_descriptor(sem, ret_fd);
}

int semundo_describe(semundo_t *sem, pid_t for_pid, const char *command)
{
	return sem->ops->describe(sem, for_pid, command);
}
