/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By kqueue(2), which tells of signals that are blocked, and of those that are
 * ignored unless there is a handler (SIGCHLD, SIGCONT, SIGWINCH), on which
 * sigwait(2) would wait for ever. There is no sigwaitinfo(2).
 */
#include "platform/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

static int queue = -1;

static int add_to_queue(int signal)
{
	struct kevent change;
	EV_SET(&change, (uintptr_t)signal, EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
	return kevent(queue, &change, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

/* The queue comes first: it does not know what came before it. */
int signals_keep(const sigset_t *set, sigset_t *ret_mask)
{
	queue = kqueue();
	if (queue < 0 || fcntl(queue, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	for (int signal = 1; signal < NSIG; signal++) {
		int r = sigismember(set, signal) == 1 ? add_to_queue(signal) : 0;
		if (r)
			return r;
	}
	return sigprocmask(SIG_BLOCK, set, ret_mask) < 0 ? -errno : 0;
}

/* Nothing says who sent a signal: the terminal, if this process is in its
 * foreground. What another process sends to this one alone is then not known
 * from it. */
static bool may_be_by_terminal(int signal)
{
	if (signal != SIGINT && signal != SIGQUIT && signal != SIGTSTP && signal != SIGWINCH)
		return false;
	int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		return false;
	bool foreground = tcgetpgrp(terminal) == getpgrp();
	close(terminal);
	return foreground;
}

int signals_take(const sigset_t *set, bool wait, bool *ret_by_terminal)
{
	const struct timespec now = { 0, 0 };
	struct kevent event;
	(void)set; /* all that are in the queue */
	if (kevent(queue, NULL, 0, &event, 1, wait ? NULL : &now) <= 0)
		return 0;
	int signal = (int)event.ident;
	*ret_by_terminal = may_be_by_terminal(signal);
	return signal;
}
