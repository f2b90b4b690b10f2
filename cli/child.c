/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/signals.h"

/* ---- while it waits for its units ------------------------------------------- */

static const int ending[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
#define ENDING (sizeof(ending) / sizeof(ending[0]))

static struct sigaction inherited[ENDING];
static semundo_cancel_t *cancelled_by_signal;
static volatile sig_atomic_t caught;

static void on_signal(int signal)
{
	caught = signal;
	semundo_cancel(cancelled_by_signal);
}

void catch_signals(semundo_cancel_t *token)
{
	struct sigaction action = { .sa_handler = on_signal };
	cancelled_by_signal = token;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ENDING; i++)
		sigaddset(&action.sa_mask, ending[i]);
	for (size_t i = 0; i < ENDING; i++) {
		sigaction(ending[i], NULL, &inherited[i]);
		if (inherited[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &action, NULL);
	}
}

int release_signals(void)
{
	if (!cancelled_by_signal)
		return 0;
	for (size_t i = 0; i < ENDING; i++)
		sigaction(ending[i], &inherited[i], NULL);
	return caught;
}

void end_by_signal(int signal)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;
	setrlimit(RLIMIT_CORE, &none); /* the command's core is the one to look at */
	sigemptyset(&set);
	sigaddset(&set, signal);
	raise(signal);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- the command --------------------------------------------------------------- */

static const int passed_on[] = {
	SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGTSTP, SIGWINCH,
};

static void signals_to_take(sigset_t *set)
{
	struct sigaction action;
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		if (sigaction(passed_on[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, passed_on[i]);
}

/* vfork(2): a copy of the page tables would cost more than all the rest. The
 * child changes nothing of ours but *ret_error. */
static pid_t start(const struct child *child, char **arguments, volatile int *ret_error)
{
	pid_t pid = vfork();
	if (pid != 0)
		return pid;
	sigaction(SIGCHLD, &child->on_end, NULL);
	sigprocmask(SIG_SETMASK, &child->mask, NULL);
	execvp(arguments[0], arguments);
	*ret_error = errno;
	_exit(127);
}

int child_start(struct child *child, char **arguments)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	volatile int error = 0;
	sigset_t taken;
	signals_to_take(&taken);
	int r = signals_keep(&taken, &child->mask);
	if (r)
		return r;
	sigaction(SIGCHLD, &by_default, &child->on_end); /* ignored: nothing to wait for */
	child->ended_by = 0;
	child->pid = start(child, arguments, &error);
	if (child->pid < 0)
		return -errno;
	if (error)
		waitpid(child->pid, NULL, 0);
	return -error;
}

static void remember(struct child *child, int s)
{
	if (s == SIGINT || s == SIGTERM || s == SIGHUP || s == SIGQUIT)
		child->ended_by = s;
}

/* What the terminal sends goes to the whole foreground process group, to the
 * command too. */
static void pass_on(struct child *child, int signal, bool by_terminal)
{
	remember(child, signal);
	if (!by_terminal)
		kill(child->pid, signal);
}

/* What the terminal sent to both may have ended the command before we looked. */
static void remember_pending(struct child *child, const sigset_t *taken)
{
	bool by_terminal;
	int signal;
	while ((signal = signals_take(taken, false, &by_terminal)) > 0)
		remember(child, signal);
}

/* A stopped command stops us, so that the shell sees its job stopped. SIGCONT
 * to us goes on to the command. */
static bool has_ended(const struct child *child, int *ret_status)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(child->pid, &status, WNOHANG | WUNTRACED)) > 0 ||
	       (pid < 0 && errno == EINTR)) {
		if (pid < 0)
			continue;
		*ret_status = status;
		if (!WIFSTOPPED(status))
			return true;
		raise(SIGSTOP);
	}
	return false;
}

int child_wait(struct child *child)
{
	sigset_t taken;
	bool by_terminal;
	int status = 0;
	signals_to_take(&taken);
	while (!has_ended(child, &status)) {
		int signal = signals_take(&taken, true, &by_terminal);
		if (signal > 0 && signal != SIGCHLD)
			pass_on(child, signal, by_terminal);
	}
	remember_pending(child, &taken);
	return status;
}
