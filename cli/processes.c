/* SPDX-License-Identifier: Apache-2.0 */
#include "processes.h"

#include <stdio.h>
#include <string.h>

void join_words(char *ret, size_t size, char **words)
{
	size_t used = 0;
	*ret = '\0';
	for (char **word = words; *word && used + 1 < size; word++) {
		int n = snprintf(ret + used, size - used, "%s%s", word == words ? "" : " ", *word);
		used += n > 0 ? (size_t)n : 0;
	}
}

bool is_that_process(const struct semundo_peer *peer)
{
	return is_our_namespace(peer) && peer->start_time &&
	       process_start_time(peer->pid) == peer->start_time;
}

/* Only the beginning is in the record; a process of that PID whose command
 * line begins so is the one. */
static bool whole_command(const struct semundo_peer *peer, char *ret, size_t size)
{
	if (!is_our_namespace(peer) || !process_command(peer->for_pid, ret, size))
		return false;
	return *peer->command && strncmp(ret, peer->command, strlen(peer->command)) == 0;
}

/* `semundo run` that waits has the command at its end: "semundo run N -- CMD". */
static bool own_command(const struct semundo_peer *peer, char *ret, size_t size)
{
	if (!is_that_process(peer) || !process_command(peer->pid, ret, size))
		return false;
	const char *found = *peer->command ? strstr(ret, peer->command) : NULL;
	if (found && found > ret && found[-1] == ' ')
		memmove(ret, found, strlen(found) + 1);
	return true;
}

void peer_command(const struct semundo_peer *peer, char *ret, size_t size)
{
	bool known = peer->for_pid ? whole_command(peer, ret, size) :
				     own_command(peer, ret, size);
	if (!known)
		snprintf(ret, size, "%s", peer->command);
}
