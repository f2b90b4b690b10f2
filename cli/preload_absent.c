/* SPDX-License-Identifier: Apache-2.0 */
/* In place of preload.c where there is no preload library. */
#include "cli.h"

static const struct option_row rows[] = {
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int preload(int count, char **operands)
{
	(void)count;
	return fail(STATUS_DATA,
	            "cannot run '%s' with libsemundo-preload.so: it needs the native engine, and "
	            "that needs Linux",
	            operands[0]);
}

const struct verb verb_preload = {
	"preload", "[--] COMMAND [ARGUMENT]...",
	"Run a program whose named POSIX semaphores survive the death of a holder (Linux only)",
	rows, NULL, 1, -1, 1, preload,
};
