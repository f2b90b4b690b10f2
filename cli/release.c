/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "keeper.h"
#include "processes.h"

static struct {
	unsigned units;
	int for_pid;
	bool force;
} given = { .units = 1 };

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'n', "units", "UNITS", OPTION_COUNT, AT(units), "how many (default: 1)" },
	{ 0, "for", "PID", OPTION_PID, AT(for_pid),
	  "what was acquired for that process (default: the one that runs semundo)" },
	{ 'f', "force", NULL, OPTION_FLAG, AT(force), "release a lock, whoever holds it" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

struct keepers {
	const struct semundo_peer *peer; /* the newest that was not told yet */
	int pidfd;
	uint64_t held; /* by all of them */
};

/* ---- keepers -------------------------------------------------------------------- */

/* Attached before `before`, the newest of them; and what all of them hold. */
static struct keepers find_keepers(const struct semundo_peer *first, pid_t for_pid,
                                   uint64_t before)
{
	struct keepers found = { NULL, -1, 0 };
	for (const struct semundo_peer *p = first; p; p = p->next) {
		int pidfd = p->attached_since < before ? keeper_find(p, for_pid) : -1;
		if (pidfd < 0)
			continue;
		found.held += p->held;
		if (found.peer && found.peer->attached_since >= p->attached_since) {
			close(pidfd);
			continue;
		}
		if (found.peer)
			close(found.pidfd);
		found.peer = p;
		found.pidfd = pidfd;
	}
	return found;
}

static int fail_tell(const struct semundo_peer *peer, int r)
{
	if (r == -ETIMEDOUT)
		return fail(STATUS_TEMPORARY, "keeper process %d does not answer: is it stopped?",
		            (int)peer->pid);
	return fail(status_of(r), "keeper process %d could not release: %s", (int)peer->pid,
	            strerror(-r));
}

/* Newest first, until all units are back. */
static int tell_keepers(const struct semundo_peer *first, pid_t for_pid)
{
	unsigned left = given.units;
	uint64_t before = UINT64_MAX;
	while (left) {
		struct keepers found = find_keepers(first, for_pid, before);
		if (!found.peer)
			return fail(STATUS_NOT_HELD, "%u unit%s could not be found any more", left,
			            left == 1 ? "" : "s");
		unsigned units = found.peer->held < left ? found.peer->held : left;
		int r = keeper_tell(found.pidfd, units);
		close(found.pidfd);
		if (r)
			return fail_tell(found.peer, r);
		left -= units;
		before = found.peer->attached_since;
	}
	return STATUS_OK;
}

/* ---- who else -------------------------------------------------------------------- */

static void describe_holder(const struct semundo_peer *first, char *ret, size_t size)
{
	char command[256];
	for (const struct semundo_peer *p = first; p; p = p->next) {
		if (!p->held)
			continue;
		peer_command(p, command, sizeof(command));
		snprintf(ret, size, "; process %d holds it (%s)%s",
		         (int)(p->for_pid ? p->for_pid : p->pid), command,
		         p->alive == SEMUNDO_DEAD ? ", which is dead: semundo recover" : "");
		return;
	}
}

static int fail_not_held(const struct semundo_info *info, const struct semundo_peer *first,
                         pid_t for_pid, uint64_t held)
{
	char holder[400] = "";
	if (info->kind == SEMUNDO_LOCK) {
		describe_holder(first, holder, sizeof(holder));
		return fail(STATUS_NOT_HELD, "'%s' is not held for process %d by 'semundo acquire'%s%s",
		            info->name, (int)for_pid, holder,
		            *holder ? "; --force releases it all the same" : "");
	}
	return fail(STATUS_NOT_HELD,
	            "cannot release %u of '%s': 'semundo acquire' holds %u for process %d",
	            given.units, info->name, (unsigned)held, (int)for_pid);
}

/* ---- the verb -------------------------------------------------------------------- */

static int release_here(semundo_t *sem)
{
	int r = semundo_release(sem, given.units);
	return r ? fail(r == -EPERM ? STATUS_USAGE : status_of(r), "%s", semundo_error()) : STATUS_OK;
}

static int release_kept(semundo_t *sem, const struct semundo_info *info)
{
	struct semundo_peer *first;
	pid_t for_pid = given.for_pid ? given.for_pid : getppid();
	int r = semundo_peers(sem, &first);
	if (r)
		return fail_library(r);
	struct keepers found = find_keepers(first, for_pid, UINT64_MAX);
	if (found.peer)
		close(found.pidfd);
	int status = found.held < given.units ? fail_not_held(info, first, for_pid, found.held) :
						tell_keepers(first, for_pid);
	semundo_peers_free(first);
	return status;
}

static int release_by_kind(semundo_t *sem)
{
	struct semundo_info info = { .size = sizeof(info) };
	int r = semundo_info(sem, &info);
	if (r)
		return fail_library(r);
	if (given.force && info.kind == SEMUNDO_PERMITS)
		return fail(STATUS_DATA, "'%s' is permits: only who holds them can release them",
		            info.name);
	if (info.kind == SEMUNDO_LOCK && given.units > 1)
		return fail(STATUS_USAGE, "'%s' is a lock and has one unit only", info.name);
	if (given.force || info.kind == SEMUNDO_SIGNAL)
		return release_here(sem);
	return release_kept(sem, &info);
}

static int release(int count, char **names)
{
	semundo_t *sem;
	(void)count;
	int status = open_existing(&sem, names[0], 0, 0);
	if (status)
		return status;
	status = release_by_kind(sem);
	semundo_close(sem);
	return status;
}

const struct verb verb_release = {
	"release", "NAME", "Give back what 'semundo acquire' holds, or add to a signal", rows,
	&given, 1, 1, 0, release,
};
