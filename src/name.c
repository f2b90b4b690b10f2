/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "error.h"

static const struct engine *const engines[] = { &semundo__native };

static const struct engine *find_engine(const char *text, size_t length)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (strlen(engines[i]->name) == length &&
		    strncmp(engines[i]->name, text, length) == 0)
			return engines[i];
	return NULL;
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

int semundo__parse_name(const char *text, const struct engine **ret_engine, const char **ret_name)
{
	if (!text)
		return semundo__fail(-EINVAL, "the name of the semaphore is missing");
	const char *colon = strchr(text, ':');
	const struct engine *engine = &semundo__native;
	const char *name = text;
	if (colon) {
		engine = find_engine(text, (size_t)(colon - text));
		name = colon + 1;
		if (!engine)
			return bad(-EINVAL, text,
			           "what stands before its ':' is no engine (there is: native)");
	}
	int r = check(text, name);
	if (r)
		return r;
	*ret_engine = engine;
	*ret_name = name;
	return 0;
}
