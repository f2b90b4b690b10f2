/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test build kills itself at the Nth crash point it comes to, where
 * TRACKER_CRASH is "N FILE": once, by the one that removes FILE. TRACKER_POINTS
 * names a file that gets a byte for each point, to count them.
 */
#include "crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void count_it(void)
{
	const char *path = getenv("TRACKER_POINTS");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	if (fd >= 0 && write(fd, ".", 1) < 0)
		abort();
	if (fd >= 0)
		close(fd);
}

void crash_point(void)
{
	static long points;
	const char *how = getenv("TRACKER_CRASH");
	char *file;
	count_it();
	if (how && strtol(how, &file, 10) == ++points && unlink(file + 1) == 0)
		raise(SIGKILL);
}
