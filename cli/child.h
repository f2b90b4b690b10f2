/* SPDX-License-Identifier: Apache-2.0 */
/* The command of `semundo run`: signals before, while and after it runs. */
#ifndef SEMUNDO_CLI_CHILD_H
#define SEMUNDO_CLI_CHILD_H

#include <semundo.h>
#include <signal.h>
#include <sys/types.h>

/* From here on TERM, INT, HUP and QUIT (unless they are ignored) cancel the
 * token instead of ending the process. The token must stay. */
void catch_signals(semundo_cancel_t *token);

/* The way back. Returns the signal that was caught, or 0. */
int release_signals(void);

struct child {
	pid_t pid;
	sigset_t mask;           /* as it was inherited */
	struct sigaction on_end; /* SIGCHLD's disposition, as it was inherited */
	int ended_by;            /* signal that ended semundo's wait or was passed on */
};

/* Blocks the signals that are passed on, and starts the command with the mask
 * and the dispositions that this process inherited. Returns 0 or a negative
 * errno. */
int child_start(struct child *child, char **arguments);

/* Passes signals on until the command has ended. Returns its wait status. */
int child_wait(struct child *child);

/* Ends this process by a signal, as if it had not been caught. Returns only if
 * the signal is ignored or blocked. */
void end_by_signal(int signal);

#endif
