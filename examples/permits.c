/* SPDX-License-Identifier: Apache-2.0 */
/* At most 3 processes do this at once, and one that dies gives its unit back. */
#include <semundo.h>
#include <stdio.h>

int main(void)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	options.capacity = 3;
	if (semundo_open(&sem, "downloads", SEMUNDO_CREATE, &options) < 0 ||
	    semundo_acquire_timed(sem, 1, 10 * 1000000000LL) < 0) {
		fprintf(stderr, "%s\n", semundo_error());
		return 1;
	}
	puts("working: at most 3 of us at once");
	semundo_release(sem, 1);
	return semundo_close(sem);
}
