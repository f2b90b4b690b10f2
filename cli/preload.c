/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an unmodified program with libsemundo-preload.so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static struct {
	const char *undo, *path;
} given = { .undo = "binary", .path = PRELOAD_LIBRARY };

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'u', "undo", "POLICY", OPTION_TEXT, AT(undo),
	  "binary (default): those that begin with 1 are locks until they are used as signals; "
	  "none" },
	{ 0, "library", "FILE", OPTION_TEXT, AT(path), "the library to preload" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int check(const char *library)
{
	if (strcmp(given.undo, "binary") != 0 && strcmp(given.undo, "none") != 0)
		return fail(STATUS_USAGE, "--undo: '%s' is not binary or none", given.undo);
	if (given.path[strcspn(given.path, ": \t\n")] || (library && strpbrk(library, ": \t\n")))
		return fail(STATUS_USAGE,
		            "cannot preload '%s': ld.so(8) takes no path with a blank or a ':' in it",
		            given.path);
	if (!library || access(library, R_OK) < 0)
		return fail(STATUS_NO_INPUT,
		            "cannot preload '%s': %s; give the path with --library=FILE",
		            given.path, strerror(errno));
	return STATUS_OK;
}

/* Before what is preloaded already. */
static int set_environment(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *all = NULL;
	if (others && *others && asprintf(&all, "%s:%s", library, others) < 0)
		return fail(STATUS_OS, "no memory");
	int r = setenv("LD_PRELOAD", all ? all : library, 1);
	if (!r)
		r = setenv("SEMUNDO_PRELOAD_UNDO", given.undo, 1);
	free(all);
	return r ? fail(STATUS_OS, "cannot set the environment: %s", strerror(errno)) : STATUS_OK;
}

static int preload(int count, char **operands)
{
	(void)count;
	/* The program may change its directory. */
	char *library = realpath(given.path, NULL);
	int status = check(library);
	if (!status)
		status = set_environment(library);
	free(library);
	if (status)
		return status;
	execvp(operands[0], operands);
	return fail(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE,
	            "cannot execute '%s': %s", operands[0], strerror(errno));
}

const struct verb verb_preload = {
	"preload", "[--] COMMAND [ARGUMENT]...",
	"Run a program whose named POSIX semaphores survive the death of a holder", rows, &given,
	1, -1, 1, preload,
};
