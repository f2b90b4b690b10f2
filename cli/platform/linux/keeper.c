/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper is told by KEEPER_SIGNAL with the number of units, sent through a
 * pidfd, and answers with the same signal and a result, or by ending when it
 * holds nothing any more.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"
#include "processes.h"

#define KEEPER_SIGNAL SIGRTMIN
#define KEEPER_NAME "semundo-keeper" /* as in /proc/PID/comm */
#define PIDFD 3
#define ANSWER 4
#define FIRST_OTHER 5
#define TELL_TIMEOUT_MS 10000

/* ---- becoming one ------------------------------------------------------------ */

struct start {
	const struct keeper_task *task;
	int pidfd;  /* of the process it holds for */
	int answer; /* pipe to write the answer to */
	pid_t parent;
};

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
static int leave_descriptors(const struct start *start)
{
	int high_pidfd = fcntl(start->pidfd, F_DUPFD, FIRST_OTHER);
	int high_answer = fcntl(start->answer, F_DUPFD, FIRST_OTHER);
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
static int leave_session(const struct start *start)
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
	if (getppid() != start->parent)
		return -ECANCELED;
	return chdir("/") < 0 ? -errno : leave_descriptors(start);
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

static void prepare_and_acquire(const struct start *start, struct keeper_answer *said)
{
	answer_fd = start->answer;
	said->result = semundo_cancel_new(&token);
	if (!said->result)
		said->result = leave_session(start);
	if (said->result) {
		snprintf(said->sentence, sizeof(said->sentence), "cannot start a keeper: %s",
		         strerror(-said->result));
		return;
	}
	said->result = acquire(start->task);
	if (said->result < 0)
		snprintf(said->sentence, sizeof(said->sentence), "%s", semundo_error());
	if (ended)
		said->result = -ECANCELED;
}

static void run_keeper(const struct start *start) __attribute__((noreturn));

static void run_keeper(const struct start *start)
{
	struct keeper_answer said = { .result = 0 };
	prepare_and_acquire(start, &said);
	ssize_t n = write(answer_fd, &said, sizeof(said));
	close(answer_fd);
	if (n == (ssize_t)sizeof(said) && said.result >= 0)
		keep(start->task->sem);
	semundo_close(start->task->sem);
	_exit(0);
}

static int fork_keeper(struct start *start, pid_t *ret_keeper, int *ret_answer)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(STATUS_OS, "cannot make a pipe: %s", strerror(errno));
	start->answer = ends[1];
	start->parent = getpid();
	pid_t keeper = fork();
	if (keeper == 0)
		run_keeper(start);
	int status = keeper < 0 ?
		fail(STATUS_OS, "cannot start a keeper: %s", strerror(errno)) : STATUS_OK;
	close(ends[1]);
	if (status)
		close(ends[0]);
	*ret_keeper = keeper;
	*ret_answer = ends[0];
	return status;
}

int keeper_start(const struct keeper_task *task, pid_t *ret_keeper, int *ret_answer)
{
	struct start start = { .task = task, .pidfd = pidfd_open(task->for_pid, 0) };
	if (start.pidfd < 0)
		return fail(status_of(-errno), "cannot hold for process %d: %s", (int)task->for_pid,
		            strerror(errno));
	int status = fork_keeper(&start, ret_keeper, ret_answer);
	close(start.pidfd);
	return status;
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
