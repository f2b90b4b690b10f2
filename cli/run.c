/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "child.h"
#include "cli.h"
#include "processes.h"

static struct {
	unsigned kind, capacity, units;
	struct patience patience;
	bool close, verbose;
} given = { .units = 1, .patience = PATIENCE_INIT };

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'k', "kind", "KIND", OPTION_KIND, AT(kind),
	  "lock or permits (default), where it is to be made" },
	{ 'c', "capacity", "UNITS", OPTION_COUNT, AT(capacity),
	  "how many there are in all (default: 1, or what is there)" },
	{ 'n', "units", "UNITS", OPTION_COUNT, AT(units), "how many to hold (default: 1)" },
	PATIENCE_ROWS(__typeof__(given), patience),
	{ 'o', "close", NULL, OPTION_FLAG, AT(close),
	  "do not let the command inherit the hold" },
	{ 'v', "verbose", NULL, OPTION_FLAG, AT(verbose), "tell about waits, failures and deaths" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static double seconds_since(const struct timespec *start)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* ---- acquiring ---------------------------------------------------------------- */

static int open_holding(semundo_t **ret, const char *name)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	struct semundo_info info;
	options.kind = given.kind;
	options.capacity = given.capacity;
	if (given.kind == SEMUNDO_SIGNAL)
		return fail(STATUS_USAGE, "a signal cannot be held: --kind is lock or permits");
	int status = open_or_create(ret, &info, name, &options, 0);
	if (status || info.kind != SEMUNDO_SIGNAL)
		return status;
	semundo_close(*ret);
	return fail(STATUS_DATA, "'%s' is a signal: nothing of it can be held", name);
}

/* The descriptor that keeps the hold alive in the command, and in all that
 * inherits it, should this process be killed. */
static int prepare_hold(semundo_t *sem, char **arguments)
{
	char text[64];
	int fd, r = 0;
	join_words(text, sizeof(text), arguments);
	if (!given.close) {
		r = semundo_hold_descriptor(sem, &fd);
		if (r == -ENOTSUP)
			return fail(status_of(r),
			            "%s, so the command cannot go on holding it if semundo is killed; "
			            "with --close (-o) it is held by semundo alone",
			            semundo_error());
		if (!r && fcntl(fd, F_SETFD, 0) < 0)
			return fail(STATUS_OS, "cannot prepare a descriptor: %s", strerror(errno));
	}
	if (!r)
		r = semundo_describe(sem, 0, text);
	if (r == -ENOTSUP && given.close)
		r = 0; /* an engine that shows nobody */
	return r ? fail_library(r) : STATUS_OK;
}

static int wait_for_units(semundo_t *sem, struct semundo_wait *wait)
{
	semundo_cancel_t *token;
	int r = semundo_cancel_new(&token);
	if (r)
		return r;
	catch_signals(token);
	wait->cancel = token;
	return semundo_acquire_with(sem, given.units, wait);
}

/* Returns what semundo_acquire_with() does. */
static int acquire(semundo_t *sem)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	struct timespec deadline, start;
	prepare_wait(&given.patience, &wait, &deadline);
	if (given.verbose)
		clock_gettime(CLOCK_MONOTONIC, &start);
	int r = semundo_try_acquire(sem, given.units);
	if (r == -EAGAIN && !(wait.flags & SEMUNDO_WAIT_TRY))
		r = wait_for_units(sem, &wait);
	if (given.verbose && r >= 0)
		note("acquired after %.6f seconds", seconds_since(&start));
	return r;
}

/* ---- the command ----------------------------------------------------------------- */

static void tell_of_death(semundo_t *sem)
{
	struct semundo_death death;
	if (semundo_deaths(sem, &death, 1) == 1)
		note("a holder died: process %d, with %u unit%s; what it worked on may be half done",
		     (int)death.pid, death.units, death.units == 1 ? "" : "s");
	else
		note("a holder died; what it worked on may be half done");
}

static int set_environment(const char *name, bool recovered)
{
	int r = setenv("SEMUNDO_NAME", name, 1);
	if (!r)
		r = recovered ? setenv("SEMUNDO_RECOVERED", "1", 1) : unsetenv("SEMUNDO_RECOVERED");
	return r ? fail(STATUS_OS, "cannot set the environment: %s", strerror(errno)) : STATUS_OK;
}

static int fail_start(int error, const char *command)
{
	if (error == -ENOENT)
		return fail(STATUS_NOT_FOUND, "cannot execute '%s': %s", command, strerror(-error));
	if (error == -EAGAIN || error == -ENOMEM)
		return fail(STATUS_OS, "cannot start '%s': %s", command, strerror(-error));
	return fail(STATUS_CANNOT_EXECUTE, "cannot execute '%s': %s", command, strerror(-error));
}

static int status_of_end(const struct child *child, int status, int *ret_signal)
{
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	if (child->ended_by == WTERMSIG(status))
		*ret_signal = child->ended_by;
	return STATUS_SIGNAL + WTERMSIG(status);
}

static int run_command(semundo_t *sem, char **arguments, int *ret_signal)
{
	struct child child;
	int r = child_start(&child, arguments);
	if (r)
		return fail_start(r, arguments[0]);
	semundo_describe(sem, child.pid, NULL);
	return status_of_end(&child, child_wait(&child), ret_signal);
}

static int acquire_and_run(semundo_t *sem, char **operands, int *ret_signal)
{
	int r = acquire(sem);
	*ret_signal = release_signals();
	if (*ret_signal)
		return STATUS_SIGNAL + *ret_signal;
	if (r < 0)
		return fail_acquire(r, &given.patience, given.verbose);
	if (r > 0 && given.verbose)
		tell_of_death(sem);
	int status = set_environment(operands[0], r > 0);
	return status ? status : run_command(sem, operands + 1, ret_signal);
}

static int run(int count, char **operands)
{
	semundo_t *sem;
	int by_signal = 0;
	(void)count;
	int status = open_holding(&sem, operands[0]);
	if (status)
		return status;
	status = prepare_hold(sem, operands + 1);
	if (!status)
		status = acquire_and_run(sem, operands, &by_signal);
	semundo_close(sem);
	if (by_signal)
		end_by_signal(by_signal);
	return status;
}

const struct verb verb_run = {
	"run", "NAME [--] COMMAND [ARGUMENT]...", "Run a command while holding units", rows, &given,
	2, -1, 2, run,
};
