/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: sleeping until there is input, or a watched process has ended. */
#ifndef SEMUNDO_TRACKER_WATCH_H
#define SEMUNDO_TRACKER_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct watched {
	LIST_ENTRY(watched) polled; /* where the system does not tell of its end */
	pid_t pid;
	uint64_t start; /* as process_start_time() */
	int fd;         /* -1: none */
	bool is_polled;
};

/* Once, before the others. 0 or a negative errno. */
int watch_input(int input);

/* The input has ended: deaths only, from now on. */
void watch_no_input(int input);

/* False: it has ended already. */
bool watch_process(struct watched *watched);
void watch_forget(struct watched *watched);

/* Asks now. In doubt it is. */
bool watch_is_alive(const struct watched *watched);

/* Sleeps, at most so many milliseconds (below 0: without a limit); then says whether
 * there may be input, and fills in those that have ended, at most `most`. Returns
 * their number. */
size_t watch_wait(int limit, bool *ret_input, struct watched **ret_ended, size_t most);

#endif
