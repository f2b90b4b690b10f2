/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/signals.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

int signals_keep(const sigset_t *set, sigset_t *ret_mask)
{
	return sigprocmask(SIG_BLOCK, set, ret_mask) < 0 ? -errno : 0;
}

static bool is_by_terminal(const siginfo_t *info)
{
	int s = info->si_signo;
	return info->si_code == SI_KERNEL &&
	       (s == SIGINT || s == SIGQUIT || s == SIGTSTP || s == SIGWINCH);
}

int signals_take(const sigset_t *set, bool wait, bool *ret_by_terminal)
{
	const struct timespec now = { 0, 0 };
	siginfo_t info;
	int signal = wait ? sigwaitinfo(set, &info) : sigtimedwait(set, &info, &now);
	if (signal <= 0)
		return 0;
	*ret_by_terminal = is_by_terminal(&info);
	return signal;
}
