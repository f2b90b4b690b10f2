/* SPDX-License-Identifier: Apache-2.0 */
/* Other processes: forked ones that obey orders, and programs. */
#include "common.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

semundo_t *sem;

/* ---- the semaphore ---- */

void make_with_mode(uint32_t kind, unsigned capacity, uint32_t mode)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.kind = kind;
	options.capacity = capacity;
	options.mode = mode;
	int r = semundo_open(&sem, NAME, SEMUNDO_CREATE | SEMUNDO_EXCL, &options);
	ck_assert_msg(r == 0, "%s", semundo_error());
}

void make(uint32_t kind, unsigned capacity)
{
	make_with_mode(kind, capacity, 0600);
}

int64_t value(void)
{
	int64_t v;
	ck_assert_int_eq(semundo_value(sem, &v), 0);
	return v;
}

struct semundo_info info(void)
{
	struct semundo_info i = { .size = sizeof(i) };
	ck_assert_int_eq(semundo_info(sem, &i), 0);
	return i;
}

void await_waiters(unsigned count)
{
	AWAIT(info().waiters >= count);
}

/* ---- forked children ---- */

struct order {
	act *what;
	long argument;
};

__attribute__((noreturn)) static void obey(int fd)
{
	struct order order;
	while (recv(fd, &order, sizeof(order), 0) == sizeof(order)) {
		int r = order.what(order.argument);
		if (send(fd, &r, sizeof(r), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

void child_start(struct child *c)
{
	int pair[2];
	pid_t parent = getpid();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	c->pid = fork();
	ck_assert_int_ge(c->pid, 0);
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent && getppid() != 0) /* 0: another PID namespace */
			_exit(2);
		close(pair[0]);
		obey(pair[1]);
	}
	close(pair[1]);
	c->fd = pair[0];
}

void child_order(struct child *c, act *what, long argument)
{
	const struct order order = { what, argument };
	ck_assert_int_eq(send(c->fd, &order, sizeof(order), MSG_NOSIGNAL), sizeof(order));
}

static bool readable(int fd, uint64_t ns)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int r;
	do
		r = poll(&p, 1, (int)(ns / MSEC));
	while (r < 0 && errno == EINTR);
	return r > 0;
}

int child_result(struct child *c)
{
	int result;
	ck_assert_msg(readable(c->fd, LIMIT), "process %d does not come to an end with it",
	              (int)c->pid);
	ssize_t got = recv(c->fd, &result, sizeof(result), 0);
	ck_assert_msg(got == sizeof(result), "process %d has ended", (int)c->pid);
	return result;
}

int child_does(struct child *c, act *what, long argument)
{
	child_order(c, what, argument);
	return child_result(c);
}

bool child_is_busy(struct child *c)
{
	return !readable(c->fd, 0);
}

int child_end(struct child *c)
{
	int status;
	int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_msg(readable(fd, LIMIT), "process %d does not end", (int)c->pid);
	close(fd);
	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	close(c->fd);
	return status;
}

void child_kill(struct child *c)
{
	ck_assert_int_eq(kill(c->pid, SIGKILL), 0);
	child_end(c);
}

void child_stop(struct child *c)
{
	int status;
	ck_assert_int_eq(kill(c->pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(c->pid, &status, WUNTRACED), c->pid);
	ck_assert(WIFSTOPPED(status));
}

void child_continue(struct child *c)
{
	ck_assert_int_eq(kill(c->pid, SIGCONT), 0);
}

/* ---- orders ---- */

int do_acquire(long n)
{
	return semundo_acquire(sem, (unsigned)n);
}

int do_try(long n)
{
	return semundo_try_acquire(sem, (unsigned)n);
}

int do_timed(long milliseconds)
{
	return semundo_acquire_timed(sem, 1, milliseconds * (int64_t)MSEC);
}

int do_release(long n)
{
	return semundo_release(sem, (unsigned)n);
}

int do_held(long unused)
{
	unsigned held;
	(void)unused;
	int r = semundo_held(sem, &held);
	return r < 0 ? r : (int)held;
}

int do_recover(long unused)
{
	(void)unused;
	return semundo_recover(sem);
}

int do_exit(long status)
{
	exit((int)status);
}

int do_open(long flags)
{
	return semundo_open(&sem, NAME, (unsigned)flags, NULL);
}

void waiter_start(struct child *c, long n)
{
	unsigned before = info().waiters;
	child_start(c);
	child_order(c, do_acquire, n);
	await_waiters(before + 1);
}

#define STALLS 20 /* so often a stall may hit the dying, the kernel and the waiter */

uint64_t time_allowed(struct child *c)
{
	uint64_t started = now_ns(), before = started, longest = 0;
	while (!readable(c->fd, MSEC) && before - started < LIMIT) {
		uint64_t now = now_ns(), gap = now - before;
		longest = gap > longest ? gap : longest;
		before = now;
	}
	return SOON + STALLS * (longest > 20 * MSEC ? longest : 0);
}

void expect_told(struct child *c, uint64_t since, const char *what)
{
	uint64_t allowed = time_allowed(c);
	uint64_t took = now_ns() - since;
	int r = child_result(c);
	ck_assert_msg(r == 1, "%s: the waiter got %d", what, r);
	ck_assert_msg(took < allowed, "%s: noticed only after %.1f ms", what, (double)took / 1e6);
	note("%s: noticed after %.1f ms", what, (double)took / 1e6);
}

void expect_death_told(struct child *holder, struct child *waiter, const char *what)
{
	uint64_t since = now_ns();
	ck_assert_int_eq(kill(holder->pid, SIGKILL), 0);
	expect_told(waiter, since, what);
	child_end(holder);
}

/* ---- programs ---- */

void program_start(struct child *c, const char *const argv[])
{
	int pair[2];
	pid_t parent = getpid();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	c->pid = fork();
	ck_assert_int_ge(c->pid, 0);
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || dup2(pair[1], 0) < 0 || dup2(pair[1], 1) < 0)
			_exit(2);
		if (strchr(argv[0], '/')) /* execvp() would try it as a script, too */
			execv(argv[0], (char *const *)argv);
		else
			execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(pair[1]);
	c->fd = pair[0];
}

void program_order(struct child *c, const char *line)
{
	char text[128];
	int length = snprintf(text, sizeof(text), "%s\n", line);
	ck_assert_int_eq(send(c->fd, text, (size_t)length, MSG_NOSIGNAL), length);
}

int program_result(struct child *c, const char **ret_sentence)
{
	static char line[1024];
	size_t length = 0;
	while (length < sizeof(line) - 1 && (!length || line[length - 1] != '\n')) {
		ck_assert_msg(readable(c->fd, LIMIT), "program %d does not answer", (int)c->pid);
		ck_assert_msg(read(c->fd, line + length, 1) == 1, "program %d has ended",
		              (int)c->pid);
		length++;
	}
	line[length ? length - 1 : 0] = '\0';
	char *end;
	long r = strtol(line, &end, 10);
	if (ret_sentence)
		*ret_sentence = *end ? end + 1 : end;
	return (int)r;
}

int program_does(struct child *c, const char *line)
{
	program_order(c, line);
	return program_result(c, NULL);
}
