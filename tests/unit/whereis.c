/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the directory in which this program would look for semaphores. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "semundo.h"

int main(void)
{
	char *dir;
	if (semundo_directory(&dir)) {
		puts(semundo_error());
		return 1;
	}
	puts(dir);
	fflush(stdout);
	free(dir);
	_exit(0); /* LeakSanitizer cannot look into a set-user-ID program */
}
