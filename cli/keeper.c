/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "processes.h"

#define PIDFD 3
#define ANSWER 4
#define FIRST_OTHER 5
#define TELL_TIMEOUT_MS 10000

/* ---- becoming one ------------------------------------------------------------ */

static semundo_cancel_t *token;
static volatile sig_atomic_t ended;
static int answer_fd;

static void on_term(int signal)
{
	(void)signal;
	ended = 1;
	semundo_cancel(token);
}

/* Nothing of the shell's stays open here: a reader of its pipes would wait. */
static int leave_descriptors(const struct keeper_task *task)
{
	int high_pidfd = fcntl(task->pidfd, F_DUPFD, FIRST_OTHER);
	int high_answer = fcntl(task->answer, F_DUPFD, FIRST_OTHER);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (high_pidfd < 0 || high_answer < 0 || null < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	if (dup2(high_pidfd, PIDFD) < 0 || dup2(high_answer, ANSWER) < 0)
		return -errno;
	answer_fd = ANSWER;
	closefrom(FIRST_OTHER);
	return 0;
}

/* Its wait ends with the one that waits for its answer; SIGTERM ends it any
 * time. All else is as in a fresh process. */
static int leave_session(const struct keeper_task *task)
{
	struct sigaction action = { .sa_handler = on_term }, ignore = { .sa_handler = SIG_IGN };
	sigset_t told;
	setsid();
	prctl(PR_SET_NAME, KEEPER_NAME);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&told);
	sigaddset(&told, KEEPER_SIGNAL);
	sigprocmask(SIG_SETMASK, &told, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return -errno;
	if (getppid() != task->parent)
		return -ECANCELED;
	return chdir("/") < 0 ? -errno : leave_descriptors(task);
}

/* ---- keeping ------------------------------------------------------------------ */

static void answer(int to, int result)
{
	union sigval value = { .sival_int = result };
	sigqueue(to, KEEPER_SIGNAL, value);
}

/* False: it holds nothing any more. */
static bool give_back(semundo_t *sem, const struct signalfd_siginfo *told)
{
	unsigned held = 0;
	int r = semundo_release(sem, (unsigned)told->ssi_int);
	semundo_held(sem, &held);
	if (held == 0)
		return false;
	answer((int)told->ssi_pid, r);
	return true;
}

static void keep(semundo_t *sem)
{
	struct signalfd_siginfo info;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, KEEPER_SIGNAL);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	struct pollfd polled[] = { { PIDFD, POLLIN, 0 }, { fd, POLLIN, 0 } };
	while (fd >= 0 && !ended) {
		if (poll(polled, 2, -1) < 0)
			continue;
		if (polled[0].revents)
			return;
		if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo == SIGTERM || !give_back(sem, &info))
			return;
	}
}

static int acquire(const struct keeper_task *task)
{
	struct semundo_wait wait = *task->wait;
	char command[64] = "";
	if (!process_command(task->for_pid, command, sizeof(command)))
		process_name(task->for_pid, command, sizeof(command));
	int r = semundo_describe(task->sem, task->for_pid, command);
	wait.cancel = token;
	if (!r)
		r = semundo_acquire_with(task->sem, task->units, &wait);
	prctl(PR_SET_PDEATHSIG, 0);
	return r;
}

static void prepare_and_acquire(const struct keeper_task *task, struct keeper_answer *said)
{
	answer_fd = task->answer;
	said->result = semundo_cancel_new(&token);
	if (!said->result)
		said->result = leave_session(task);
	if (said->result) {
		snprintf(said->sentence, sizeof(said->sentence), "cannot start a keeper: %s",
		         strerror(-said->result));
		return;
	}
	said->result = acquire(task);
	if (said->result < 0)
		snprintf(said->sentence, sizeof(said->sentence), "%s", semundo_error());
	if (ended)
		said->result = -ECANCELED;
}

void keeper_main(struct keeper_task *task)
{
	struct keeper_answer said = { .result = 0 };
	prepare_and_acquire(task, &said);
	ssize_t n = write(answer_fd, &said, sizeof(said));
	close(answer_fd);
	if (n == (ssize_t)sizeof(said) && said.result >= 0)
		keep(task->sem);
	semundo_close(task->sem);
	_exit(0);
}

/* ---- telling -------------------------------------------------------------------- */

int keeper_find(const struct semundo_peer *peer, pid_t for_pid)
{
	char name[32];
	if (!peer->held || peer->for_pid != for_pid || peer->uid != (uint32_t)geteuid() ||
	    peer->alive != SEMUNDO_ALIVE)
		return -1;
	int pidfd = pidfd_open(peer->pid, 0);
	if (pidfd < 0)
		return -1;
	if (is_that_process(peer) && process_name(peer->pid, name, sizeof(name)) &&
	    strcmp(name, KEEPER_NAME) == 0)
		return pidfd;
	close(pidfd);
	return -1;
}

/* Its answer, or 0 when it has ended: then it has given all back. */
static int await_answer(int pidfd, int signals)
{
	struct pollfd polled[] = { { signals, POLLIN, 0 }, { pidfd, POLLIN, 0 } };
	struct signalfd_siginfo info;
	int n;
	do
		n = poll(polled, 2, TELL_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		return info.ssi_int;
	return 0;
}

int keeper_tell(int pidfd, unsigned units)
{
	siginfo_t info;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, KEEPER_SIGNAL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return -errno;
	memset(&info, 0, sizeof(info));
	info.si_signo = KEEPER_SIGNAL;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = (int)units;
	int r = pidfd_send_signal(pidfd, KEEPER_SIGNAL, &info, 0) < 0 ? -errno : 0;
	if (!r)
		r = await_answer(pidfd, signals);
	else if (r == -ESRCH)
		r = 0;
	close(signals);
	return r;
}
