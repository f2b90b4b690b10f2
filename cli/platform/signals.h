/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: signals that are taken one by one instead of acting. */
#ifndef SEMUNDO_CLI_PLATFORM_SIGNALS_H
#define SEMUNDO_CLI_PLATFORM_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* From now on those of the set are blocked, and kept for signals_take(). Once in
 * a process. Returns 0 or a negative errno. */
int signals_keep(const sigset_t *set, sigset_t *ret_mask);

/* The next one of that set, if need be waiting for it; whether the terminal sent
 * it, to its whole foreground process group. 0: there is none (yet). */
int signals_take(const sigset_t *set, bool wait, bool *ret_by_terminal);

#endif
