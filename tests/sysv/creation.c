/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process is killed at each of its system calls while it creates, opens,
 * replaces, removes or closes a semaphore: before the call, and after it. The
 * next one finds a semaphore or makes one, with the right value, and afterwards
 * semundo_gc() leaves nothing.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/ptrace.h>

#include "sysv_tests.h"

#define CALLS_MAX 2000

/* What is done by the one that is killed. */
static void creates(void)
{
	semundo_t *sem;
	semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, NULL);
}

static void replaces(void)
{
	semundo_t *sem;
	semundo_open(&sem, "sysv:s", SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL);
}

static void removes(void)
{
	semundo_unlink("sysv:s", NULL);
}

static void opens_and_closes(void)
{
	semundo_t *sem;
	if (semundo_open(&sem, "sysv:s", 0, NULL) == 0)
		semundo_close(sem);
}

static void is_the_last_one_out(void)
{
	semundo_t *sem;
	if (semundo_open(&sem, "sysv:s", 0, NULL) == 0 && semundo_unlink("sysv:s", NULL) == 0)
		semundo_close(sem);
}

static void holds_and_gives_back(void)
{
	semundo_t *sem;
	if (semundo_open(&sem, "sysv:s", 0, NULL) == 0 && semundo_acquire(sem, 1) >= 0 &&
	    semundo_release(sem, 1) == 0)
		semundo_close(sem);
}

static const struct deed {
	void (*what)(void);
	bool needs_one; /* there is one before */
} deeds[] = {
	{ creates, false },         { replaces, true },            { removes, true },
	{ opens_and_closes, true }, { is_the_last_one_out, true }, { holds_and_gives_back, true },
};
#define DEEDS ((int)(sizeof(deeds) / sizeof(deeds[0])))

/* Runs it until the call of that number begins (even) or has ended (odd), and
 * kills it there. False: it was done before. */
static bool killed_at(void (*what)(void), int stop)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		what();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	for (int i = 0; i <= stop; i++) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid)
			ck_abort_msg("cannot trace: %s", strerror(errno));
		if (WIFEXITED(status) || WIFSIGNALED(status))
			return false;
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status))
		;
	return true;
}

static int files(void)
{
	DIR *d = opendir(getenv("SEMUNDO_DIR"));
	int count = 0;
	for (const struct dirent *e; (e = readdir(d));)
		count += *e->d_name != '.';
	closedir(d);
	return count;
}

/* Whoever comes now is served, and told where a holder died. */
static void it_works(void)
{
	semundo_t *sem;
	must(semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, NULL));
	ck_assert_int_eq((int)value_of(sem), 1);
	ck_assert_uint_eq(info_of(sem).peers, 1);
	ck_assert_int_ge(semundo_try_acquire(sem, 1), 0);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	must(semundo_release(sem, 1));
	must_be(semundo_try_acquire(sem, 1), 0);
	must(semundo_close(sem));
}

START_TEST(killed_at_each_system_call)
{
	const struct deed *deed = &deeds[_i];
	semundo_t *sem;
	int stop = 0;
	for (bool go_on = true; go_on && stop < CALLS_MAX; stop++) {
		if (deed->needs_one) {
			sem = create("sysv:s", SEMUNDO_PERMITS, 1);
			must(semundo_close(sem));
		}
		go_on = killed_at(deed->what, stop);
		it_works();
		must(semundo_unlink("sysv:s", NULL));
		ck_assert_int_ge(semundo_gc(NULL, 0, NULL, NULL), 0);
		must_be(semundo_gc(NULL, 0, NULL, NULL), 0);
		ck_assert_int_eq(files(), 0);
		if (alone)
			ck_assert_int_eq(sets(), 0);
	}
	ck_assert_int_gt(stop, 8);
	ck_assert_int_lt(stop, CALLS_MAX);
}
END_TEST

/* Ten processes create and use the same name at once, again and again. */
START_TEST(many_create_one)
{
	for (int round = 0; round < 20; round++) {
		pid_t pids[10];
		for (int i = 0; i < 10; i++)
			if ((pids[i] = fork_child()) == 0) {
				semundo_t *sem;
				int r = semundo_open(&sem, "sysv:s", SEMUNDO_CREATE, NULL);
				if (r == 0)
					r = semundo_acquire(sem, 1);
				if (r == 0)
					r = semundo_release(sem, 1);
				if (r == 0 && i % 3 == 0)
					semundo_unlink("sysv:s", NULL);
				if (r == 0)
					r = semundo_close(sem);
				_exit(-r);
			}
		for (int i = 0; i < 10; i++)
			ck_assert_int_eq(ended(pids[i]), 0);
		it_works();
		must(semundo_unlink("sysv:s", NULL));
		if (alone)
			ck_assert_int_eq(sets(), 0);
	}
}
END_TEST

void add_creation(Suite *suite)
{
	TCase *t = suite_case(suite, "creation");
	tcase_add_loop_test(t, killed_at_each_system_call, 0, DEEDS);
	tcase_add_test(t, many_create_one);
	if (!alone)
		suite_skip("counting sets", "no IPC namespace of its own (needs root)");
}
