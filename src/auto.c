/* SPDX-License-Identifier: Apache-2.0 */
/* "auto:NAME": which engine, and names of all engines. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "directory.h"
#include "engine.h"
#include "error.h"

static const unsigned cap_of_kind[] = {
	SEMUNDO_CAP_PERMITS, SEMUNDO_CAP_LOCK, SEMUNDO_CAP_PERMITS, SEMUNDO_CAP_SIGNAL,
};

/* Whether what is asked for is there; kind 0 is PERMITS where it is made. */
static bool can(const struct engine *engine, const struct semundo_options *o)
{
	unsigned wanted = cap_of_kind[o->kind];
	if (o->kind == SEMUNDO_SIGNAL && o->capacity)
		wanted |= SEMUNDO_CAP_MAXIMUM;
	if (o->capacity > (o->kind == SEMUNDO_SIGNAL ? engine->signal_max : engine->permits_max))
		return false;
	return (engine->caps & wanted) == wanted;
}

/* One that is there. A kind that is asked for and not there is an error that is
 * not to be hidden by looking on. */
static int open_existing(semundo_t **ret, const char *name, unsigned flags,
                         const struct semundo_options *o)
{
	for (const struct engine *const *e = semundo__engines; *e; e++) {
		if (o->kind && !((*e)->caps & cap_of_kind[o->kind]))
			continue;
		int r = semundo__open_in(*e, ret, name, flags & SEMUNDO_OBSERVE, o);
		if (r != -ENOENT && r != -ENOTSUP)
			return r;
	}
	return semundo__fail(-ENOENT, "cannot open semaphore 'auto:%s': there is none of that name "
	                              "in any engine (semundo ls shows what there is)", name);
}

static int create(semundo_t **ret, const char *name, unsigned flags,
                  const struct semundo_options *o)
{
	int first = 0;
	for (const struct engine *const *e = semundo__engines; *e; e++) {
		if (!can(*e, o))
			continue;
		int r = (*e)->possible(o->dir);
		if (!r)
			return semundo__open_in(*e, ret, name, flags, o);
		if (!first)
			first = r;
		if (r != -ENOTSUP && r != -ENOSYS)
			return r; /* no such directory, and the like: not the engine's fault */
	}
	return semundo__fail(first ? first : -ENOTSUP,
	                     "cannot create semaphore 'auto:%s': no engine that works on this "
	                     "machine can do what is asked for (semundo doctor tells why)", name);
}

/* Between the look and the creation another process may create it in the same
 * engine, which open_in() sees; another engine it does not choose here. */
int semundo__auto_open(semundo_t **ret, const char *name, unsigned flags,
                       const struct semundo_options *o)
{
	if (o->kind > SEMUNDO_SIGNAL)
		return semundo__fail(-EINVAL, "%u is not a kind of semaphore", o->kind);
	semundo_t *there;
	int r = open_existing(&there, name, flags, o);
	if (!r && !(flags & (SEMUNDO_EXCL | SEMUNDO_REPLACE))) {
		*ret = there;
		return 0;
	}
	if (!r && --there->references == 0)
		there->ops->destroy(there);
	if (!r && (flags & SEMUNDO_EXCL))
		return semundo__fail(-EEXIST, "cannot create semaphore 'auto:%s': there is one of that "
		                              "name", name);
	if (r == -ENOENT && !(flags & SEMUNDO_CREATE))
		return r;
	if (r && r != -ENOENT)
		return r;
	return create(ret, name, flags, o);
}

static int unlink_first(const char *name, const char *dir)
{
	for (const struct engine *const *e = semundo__engines; *e; e++) {
		int r = (*e)->unlink(name, dir);
		if (r != -ENOENT && r != -ENOTSUP)
			return r;
	}
	return semundo__fail(-ENOENT, "cannot remove semaphore 'auto:%s': there is none of that name "
	                              "in any engine", name);
}

/* Everything but opening and removing is a matter of the engine it led to. */
const struct engine semundo__auto = {
	.name = "auto",
	.unlink = unlink_first,
};

/* ---- all names -------------------------------------------------------------------- */

struct visitor {
	const struct engine *engine;
	int (*visit)(const char *name, void *arg);
	void *arg;
};

static int with_prefix(const char *name, void *arg)
{
	const struct visitor *v = arg;
	char text[SEMUNDO_NAME_MAX + 32];
	if (v->engine == semundo__default_engine)
		return v->visit(name, v->arg);
	snprintf(text, sizeof(text), "%s:%s", v->engine->name, name);
	return v->visit(text, v->arg);
}

int semundo__list_all(const char *dir, int (*visit)(const char *name, void *arg), void *arg)
{
	char *path;
	int r = semundo__directory_path(&path, dir);
	if (r)
		return r;
	for (const struct engine *const *e = semundo__engines; *e && !r; e++) {
		struct visitor v = { *e, visit, arg };
		r = (*e)->list(path, with_prefix, &v);
	}
	free(path);
	return r;
}
