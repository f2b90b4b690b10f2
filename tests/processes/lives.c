/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that come about by fork and its like, and turn into others. */
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

/* ---- fork ---- */

START_TEST(fork_child_holds_nothing)
{
	struct child c, waiter;
	make(SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	child_start(&c);
	ck_assert_int_eq(child_does(&c, do_held, 0), 0);
	ck_assert_int_eq(child_does(&c, do_release, 1), -EPERM);
	ck_assert_int_eq(child_does(&c, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&c, do_held, 0), 1);
	ck_assert_int_eq(do_held(0), 1);
	ck_assert_int_eq((int)info().peers, 2);
	ck_assert_int_eq((int)value(), 0);
	waiter_start(&waiter, 1);
	expect_death_told(&c, &waiter, "killed child");
	ck_assert_int_eq(do_held(0), 1);
	ck_assert_int_eq(semundo_release(sem, 1), 0);
	child_kill(&waiter);
}
END_TEST

/* Whoever lives on in a child must not keep its dead parent alive. */
static int leave_a_child(long unused)
{
	(void)unused;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		for (;;)
			pause();
	}
	return pid;
}

START_TEST(child_does_not_keep_parent_alive)
{
	struct child holder, waiter;
	make(SEMUNDO_LOCK, 1);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	pid_t left = child_does(&holder, leave_a_child, 0);
	ck_assert_int_gt(left, 0);
	waiter_start(&waiter, 1);
	expect_death_told(&holder, &waiter, "parent of a living child");
	ck_assert_int_eq(kill(left, SIGKILL), 0);
	child_kill(&waiter);
}
END_TEST

/* The raw system call: the C library does not know that there was a fork. */
static pid_t raw_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

static int live_as_clone(int ready, int go)
{
	char byte = 0;
	if (do_held(0) != 0)
		return 1;
	if (semundo_release(sem, 1) != -EPERM)
		return 2;
	if (semundo_acquire(sem, 1) != 0 || do_held(0) != 1)
		return 3;
	/* A slow path, where alarms are armed. */
	if (semundo_acquire_timed(sem, 2, 1) != -ETIMEDOUT)
		return 4;
	if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
		return 5;
	return 0;
}

START_TEST(raw_clone_is_its_own_process)
{
	int ready[2], go[2], status;
	char byte;
	make(SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(go), 0);
	pid_t pid = raw_clone();
	if (pid == 0)
		_exit(live_as_clone(ready[1], go[0]));
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1) {
		ck_assert_int_eq(do_held(0), 1);
		ck_assert_int_eq((int)value(), 0);
		ck_assert_int_eq((int)info().peers, 2);
		ck_assert_int_eq(semundo_recover(sem), 0);
		struct child waiter;
		waiter_start(&waiter, 1);
		uint64_t since = now_ns();
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		expect_told(&waiter, since, "killed raw clone");
		child_kill(&waiter);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	} else {
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_abort_msg("the clone ended with wait status 0x%x", status);
	}
	ck_assert_int_eq(do_held(0), 1);
	ck_assert_int_eq(semundo_release(sem, 1), 0);
}
END_TEST

/* ---- other programs ---- */

static int status_of(pid_t pid)
{
	struct child c = { pid, -1 };
	int status = child_end(&c);
	ck_assert_msg(WIFEXITED(status), "wait status 0x%x", (unsigned)status);
	return WEXITSTATUS(status);
}

static pid_t by_vfork(const char *const argv[])
{
	pid_t pid = vfork();
	if (pid == 0) {
		execv(PEER, (char *const *)argv);
		_exit(127);
	}
	return pid;
}

static pid_t by_spawn(const char *const argv[])
{
	pid_t pid;
	ck_assert_int_eq(posix_spawn(&pid, PEER, NULL, NULL, (char *const *)argv, environ), 0);
	return pid;
}

static void program_is_another(pid_t (*start)(const char *const argv[]))
{
	static const char *const tries[] = { PEER, "open " NAME, "try 1", NULL };
	static const char *const takes[] = { PEER, "open " NAME, "acquire 1", NULL };
	make(SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	ck_assert_int_eq(status_of(start(tries)), EAGAIN);
	ck_assert_int_eq(do_held(0), 1);
	ck_assert_int_eq(semundo_release(sem, 1), 0);
	ck_assert_int_eq(status_of(start(takes)), 0);
	ck_assert_int_eq(semundo_acquire_timed(sem, 1, SEC), 1);
}

START_TEST(vfork_and_exec)
{
	program_is_another(by_vfork);
}
END_TEST

START_TEST(spawned)
{
	program_is_another(by_spawn);
}
END_TEST

static int do_exec(long fd)
{
	static const char *const idle[] = { PEER, NULL };
	dup2((int)fd, 0);
	execv(PEER, (char *const *)idle);
	return -errno;
}

static int hold_over_exec(long fd)
{
	int hold, late;
	int r = semundo_hold_descriptor(sem, &hold);
	if (!r)
		r = semundo_acquire(sem, 1);
	if (!r && fcntl(hold, F_SETFD, 0) < 0)
		r = -errno;
	if (!r && semundo_hold_descriptor(sem, &late) == 0)
		close(late);
	return r ? r : do_exec(fd);
}

static bool runs_peer(pid_t pid)
{
	char path[64], text[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	FILE *file = fopen(path, "re");
	bool ok = file && fgets(text, sizeof(text), file) && text[0] == 'p' && text[1] == 'e';
	if (file)
		fclose(file);
	return ok;
}

START_TEST(exec_ends_holds)
{
	struct child holder, waiter;
	int idle[2];
	make(SEMUNDO_LOCK, 1);
	ck_assert_int_eq(pipe(idle), 0);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	waiter_start(&waiter, 1);
	uint64_t since = now_ns();
	child_order(&holder, do_exec, idle[0]);
	expect_told(&waiter, since, "exec");
	AWAIT(runs_peer(holder.pid)); /* and is alive */
	child_kill(&holder);
	child_kill(&waiter);
}
END_TEST

START_TEST(descriptor_holds_over_exec)
{
	struct child holder, waiter;
	int idle[2];
	make(SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(pipe(idle), 0);
	child_start(&holder);
	child_order(&holder, hold_over_exec, idle[0]);
	AWAIT(runs_peer(holder.pid));
	ck_assert_int_eq((int)value(), 0);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(semundo_try_acquire(sem, 1), -EAGAIN);
	waiter_start(&waiter, 1);
	expect_death_told(&holder, &waiter, "program that inherited a hold");
	child_kill(&waiter);
}
END_TEST

START_TEST(descriptor_comes_before_the_first_acquire)
{
	int fd;
	make(SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	ck_assert_int_eq(semundo_hold_descriptor(sem, &fd), -EBUSY);
	ck_assert_int_gt((int)strlen(semundo_error()), 20);
}
END_TEST

/* ---- daemons ---- */

static struct {
	pid_t pid;
	int result, order, done;
} *daemon_board;

/* As a program that turns itself into a daemon, with the unit in its hands. */
__attribute__((noreturn)) static void be_a_daemon(void)
{
	setsid();
	daemon_board->result = semundo_acquire(sem, 1);
	closefrom(3);
	for (int i = 0; i < 10; i++) /* others' numbers are now something else */
		if (open("/dev/null", O_RDWR) < 0)
			_exit(3);
	__atomic_store_n(&daemon_board->pid, getpid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&daemon_board->order, __ATOMIC_ACQUIRE))
		pause_ns(MSEC);
	/* It still sees who lives and who does not. */
	daemon_board->result = semundo_release(sem, 1);
	if (!daemon_board->result)
		daemon_board->result = semundo_acquire(sem, 2);
	__atomic_store_n(&daemon_board->done, 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static int become_daemon(long unused)
{
	(void)unused;
	if (fork() == 0)
		be_a_daemon();
	return 0;
}

START_TEST(daemon_stays_alive)
{
	struct child starter, other;
	make(SEMUNDO_PERMITS, 2);
	daemon_board = shared_memory(sizeof(*daemon_board));
	child_start(&starter);
	ck_assert_int_eq(child_does(&starter, become_daemon, 0), 0);
	child_kill(&starter);
	AWAIT(__atomic_load_n(&daemon_board->pid, __ATOMIC_ACQUIRE));
	ck_assert_int_eq(daemon_board->result, 0);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(semundo_try_acquire(sem, 2), -EAGAIN);
	child_start(&other);
	ck_assert_int_eq(child_does(&other, do_acquire, 1), 0);
	__atomic_store_n(&daemon_board->order, 1, __ATOMIC_RELEASE);
	await_waiters(1);
	child_kill(&other);
	AWAIT(__atomic_load_n(&daemon_board->done, __ATOMIC_ACQUIRE));
	ck_assert_int_eq(daemon_board->result, 1);
	ck_assert_int_eq(kill(daemon_board->pid, SIGKILL), 0);
	ck_assert_int_eq(semundo_acquire_timed(sem, 2, (int64_t)LIMIT), 1);
}
END_TEST

static const struct trial trials[] = {
	{ "a forked child holds nothing of its parent's", &fork_child_holds_nothing, 0 },
	{ "a living child does not keep its dead parent's units", &child_does_not_keep_parent_alive, 0 },
	{ "a raw clone is a process of its own", &raw_clone_is_its_own_process, 0 },
	{ "vfork and exec", &vfork_and_exec, 0 },
	{ "posix_spawn", &spawned, 0 },
	{ "exec ends holds", &exec_ends_holds, 0 },
	{ "a hold descriptor keeps holds over exec", &descriptor_holds_over_exec, 0 },
	{ "a hold descriptor after the first acquire is refused",
	  &descriptor_comes_before_the_first_acquire, 0 },
	{ "a daemon that closed its descriptors is alive", &daemon_stays_alive, 0 },
};

int main(void)
{
	return RUN("lives", trials);
}
