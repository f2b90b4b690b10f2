/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences for the System V engine: which limit was met, and what to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "error.h"
#include "sysv.h"

int semundo__sysv_fail_open(const struct sysv_request *q, int r, const char *what)
{
	return semundo__fail(r, "cannot open System V semaphore '%s' in '%s': %s", q->name,
	                     q->dir->path, what);
}

/* ENOSPC of semget(2) has nothing to do with a disk. */
static void explain_space(char *ret, size_t size)
{
	struct sysv_limits l;
	if (semundo__sysv_limits(&l) < 0)
		snprintf(ret, size, "the limits of System V semaphores (SEMMNI, SEMMNS) are reached");
	else if (l.sets_used >= l.sets_max)
		snprintf(ret, size,
		         "there are %" PRIu64 " System V semaphore sets, and SEMMNI allows %" PRIu64
		         "; remove some (semundo gc, ipcs -s) or raise it (%s)",
		         l.sets_used, l.sets_max, l.setting);
	else
		snprintf(ret, size,
		         "there are %" PRIu64 " System V semaphores in all, %d more are needed, and "
		         "SEMMNS allows %" PRIu64 "; remove some (semundo gc, ipcs -s) or raise it (%s)",
		         l.all_used, SYSV_COUNT, l.all_max, l.setting);
}

static void explain_set_size(char *ret, size_t size)
{
	struct sysv_limits l = { .setting = "the system's settings" };
	semundo__sysv_limits(&l);
	snprintf(ret, size, "a set needs %d semaphores, and SEMMSL allows %" PRIu64 "; raise it (%s)",
	         SYSV_COUNT, l.in_set_max, l.setting);
}

int semundo__sysv_fail_create(const struct sysv_request *q, int r)
{
	char text[320];
	const char *what = semundo__reason(r);
	struct sysv_limits l;
	if (r == -ENOSPC && semundo__sysv_limits(&l) == 0 &&
	    (l.sets_used >= l.sets_max || l.all_used + SYSV_COUNT > l.all_max)) {
		explain_space(text, sizeof(text));
		what = text;
	} else if (r == -ENOSPC) {
		what = "its filesystem is full; free some space or set SEMUNDO_DIR to another directory";
	} else if (r == -EINVAL) {
		explain_set_size(text, sizeof(text));
		what = text;
		r = -ENOSPC;
	} else if (r == -EACCES || r == -EROFS) {
		what = "no permission to create files there";
	} else if (r == -EEXIST) {
		what = "there is one of that name";
	} else if (r == -EUCLEAN) {
		what = "what stands there is not a file of semundo; remove it, or take another name";
	} else if (r == -ELOOP) {
		what = "a symbolic link stands there; remove it, or take another name";
		r = -EUCLEAN;
	} else if (r == -ENOSYS) {
		what = "this system has no System V semaphores";
		r = -ENOTSUP;
	}
	return semundo__fail(r, "cannot create System V semaphore '%s' in '%s': %s", q->name,
	                     q->dir->path, what);
}

static int fail_limit(const char *name, int r)
{
	struct sysv_limits l = { .setting = "the system's settings" };
	semundo__sysv_limits(&l);
	if (r == -E2BIG)
		return semundo__fail(-ENOSPC,
		                     "cannot use '%s': one step takes up to 4 operations at once, and "
		                     "SEMOPM allows %" PRIu64 "; raise it (%s)",
		                     name, l.operations_max, l.setting);
	if (r == -ENOSPC)
		return semundo__fail(r,
		                     "cannot use '%s': the system keeps undo for no more processes or "
		                     "semaphores (SEMMNU, SEMUME%s); close some, or raise it (%s)",
		                     name, l.undo_max ? ", which is low" : "", l.setting);
	return semundo__fail(-EOVERFLOW,
	                     "cannot use '%s': System V semaphores and what is undone of them count "
	                     "to 32767 at most (SEMVMX, SEMAEM; they cannot be raised)",
	                     name);
}

int semundo__sysv_fail(const struct sysv_sem *sem, int r)
{
	const char *name = semundo__name_of(&sem->base);
	if (r == -EIDRM || r == -EINVAL)
		return semundo__fail(-EIDRM,
		                     "'%s' is gone: its System V set was removed while it was open "
		                     "(ipcrm, or RemoveIPC=yes at the end of its user's session); open "
		                     "it anew",
		                     name);
	if (r == -E2BIG || r == -ENOSPC || r == -ERANGE)
		return fail_limit(name, r);
	if (r == -EACCES)
		return semundo__fail(r, "no permission for '%s' (see its owner and mode)", name);
	return semundo__fail(r, "cannot use '%s': %s", name, semundo__reason(r));
}
