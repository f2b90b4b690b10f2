/* SPDX-License-Identifier: Apache-2.0 */
/* What the system says of processes (platform/), and what follows from it. */
#ifndef SEMUNDO_CLI_PROCESSES_H
#define SEMUNDO_CLI_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <semundo.h>

/* Words with a space between, cut to size. */
void join_words(char *ret, size_t size, char **words);

/* As in the record of a peer; 0: it is not there. */
uint64_t process_start_time(pid_t pid);

/* The short name ("comm"). */
bool process_name(pid_t pid, char *ret, size_t size);

/* The command line, words joined by a space; cut to size. */
bool process_command(pid_t pid, char *ret, size_t size);

/* Whether PIDs in the record are PIDs here. */
bool is_our_namespace(const struct semundo_peer *peer);

/* Whether the PID in the record is that process, as seen from here. */
bool is_that_process(const struct semundo_peer *peer);

/* The command that holds or waits: of the process on whose behalf the peer
 * holds, or its own; in full where the system surely speaks of the same. */
void peer_command(const struct semundo_peer *peer, char *ret, size_t size);

#endif
