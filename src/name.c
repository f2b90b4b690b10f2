/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "error.h"

const struct engine *const semundo__engines[] = {
	&semundo__native, &semundo__sysv, &semundo__posix, NULL,
};

static const struct engine *find_engine(const char *text, size_t length)
{
	for (size_t i = 0; semundo__engines[i]; i++)
		if (strlen(semundo__engines[i]->name) == length &&
		    strncmp(semundo__engines[i]->name, text, length) == 0)
			return semundo__engines[i];
	return strlen(semundo__auto.name) == length &&
			       strncmp(semundo__auto.name, text, length) == 0 ?
		       &semundo__auto : NULL;
}

int semundo_engine_caps(const char *engine, unsigned *ret_caps)
{
	const struct engine *found = engine ? find_engine(engine, strlen(engine)) : NULL;
	if (!found || found == &semundo__auto)
		return semundo__fail(-EINVAL, "'%.64s' is no engine (there are: native, sysv, posix)",
		                     engine ? engine : "");
	*ret_caps = found->caps;
	return 0;
}

static int bad(int result, const char *text, const char *why)
{
	return semundo__fail(result, "'%.*s' is not a name for a semaphore: %s", 250, text, why);
}

static int check(const char *text, const char *name)
{
	if (*name == '\0')
		return bad(-EINVAL, text, "it is empty");
	if (strlen(name) > SEMUNDO_NAME_MAX)
		return bad(-ENAMETOOLONG, text, "it is longer than 200 bytes");
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (*p == '/')
			return bad(-EINVAL, text, "it has a '/' in it (a directory is given otherwise)");
		if (*p == ':')
			return bad(-EINVAL, text, "it has a ':' in it");
		if (*p < 0x20 || *p == 0x7f)
			return semundo__fail(-EINVAL,
			                     "the name of a semaphore has a control character (0x%02x) "
			                     "in it, at byte %td",
			                     *p, p - (const unsigned char *)name + 1);
	}
	return 0;
}

/* Files of that name are the sysv engine's. */
static bool is_kept(const struct engine *engine, const char *name)
{
	size_t length = strlen(name);
	return (engine == &semundo__native || engine == &semundo__auto) && length >= 5 &&
	       strcmp(name + length - 5, ".sysv") == 0;
}

int semundo__parse_name(const char *text, const struct engine **ret_engine, const char **ret_name)
{
	if (!text)
		return semundo__fail(-EINVAL, "the name of the semaphore is missing");
	const char *colon = strchr(text, ':');
	const struct engine *engine = semundo__default_engine;
	const char *name = text;
	if (colon) {
		engine = find_engine(text, (size_t)(colon - text));
		name = colon + 1;
		if (!engine)
			return bad(-EINVAL, text,
			           "what stands before its ':' is no engine (there are: native, sysv, "
			           "posix, auto)");
	}
	if (engine == &semundo__posix && *name == '/')
		name++;
	int r = check(text, name);
	if (!r && is_kept(engine, name))
		r = bad(-EINVAL, text, "it ends in '.sysv', which is kept for the sysv engine");
	if (r)
		return r;
	*ret_engine = engine;
	*ret_name = name;
	return 0;
}
