/* SPDX-License-Identifier: Apache-2.0 */
/* What kills or stops processes in real life, one at a time or by hundreds. */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- memory cgroups ---- */

#define MEGABYTE (1024 * 1024)
#define MEMORY_LIMIT "33554432"

static char group[256];

static bool put(const char *file, const char *text)
{
	char path[400];
	snprintf(path, sizeof(path), "%s/%s", group, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static bool make_group(const char *root, const char *limit)
{
	snprintf(group, sizeof(group), "%s", root);
	put("cgroup.subtree_control", "+memory"); /* version 2 */
	snprintf(group, sizeof(group), "%s/semundo-test.%d", root, (int)getpid());
	if (mkdir(group, 0755) < 0)
		return false;
	if (put(limit, MEMORY_LIMIT))
		return true;
	rmdir(group);
	return false;
}

static bool mount_and_make_group(void)
{
	char root[512];
	snprintf(root, sizeof(root), "%s", in_directory("cgroup"));
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(root, 0700) < 0)
		return false;
	if (mount("none", root, "cgroup2", 0, NULL) == 0) {
		if (make_group(root, "memory.max"))
			return true;
		umount(root);
	}
	return mount("none", root, "cgroup", 0, "memory") == 0 &&
	       make_group(root, "memory.limit_in_bytes");
}

static void need_group(void)
{
	need_root();
	if (!make_group("/sys/fs/cgroup", "memory.max") &&
	    !make_group("/sys/fs/cgroup/memory", "memory.limit_in_bytes") &&
	    !mount_and_make_group())
		skip("needs a memory cgroup that can be made");
}

static int enter_group(long unused)
{
	(void)unused;
	if (!put("cgroup.procs", "0"))
		return -errno;
	if (!put("memory.swap.max", "0"))
		put("memory.memsw.limit_in_bytes", MEMORY_LIMIT);
	return 0;
}

static int eat_memory(long megabytes)
{
	for (long i = 0; i < megabytes; i++) {
		void *more = mmap(NULL, MEGABYTE, PROT_READ | PROT_WRITE,
		                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (more == MAP_FAILED)
			return -errno;
		memset(more, 1, MEGABYTE);
	}
	return 0;
}

static bool was_oom_kill(void)
{
	static const char *const files[] = { "memory.events", "memory.oom_control" };
	bool found = false;
	for (int i = 0; i < 2; i++) {
		char path[400], line[100];
		snprintf(path, sizeof(path), "%s/%s", group, files[i]);
		FILE *file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			found |= strncmp(line, "oom_kill 1", 10) == 0;
		if (file)
			fclose(file);
	}
	return found;
}

START_TEST(out_of_memory)
{
	struct child holder, waiter;
	make(SEMUNDO_PERMITS, 2);
	need_group();
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, enter_group, 0), 0);
	ck_assert_int_eq(child_does(&holder, do_acquire, 2), 0);
	waiter_start(&waiter, 2);
	child_order(&holder, eat_memory, 256);
	int r = child_result(&waiter);
	int status = child_end(&holder);
	bool oom = was_oom_kill();
	rmdir(group);
	ck_assert_int_eq(r, 1);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && oom);
	child_kill(&waiter);
}
END_TEST

/* ---- stopped, and going on ---- */

#define THOROUGH_LOOK (1200 * (int64_t)MSEC) /* everybody is asked about once a second */

START_TEST(stopped_holder)
{
	struct child holder, waiter;
	make(_i ? SEMUNDO_LOCK : SEMUNDO_PERMITS, 1);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	waiter_start(&waiter, 1);
	child_stop(&holder);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(semundo_acquire_timed(sem, 1, THOROUGH_LOOK), -ETIMEDOUT);
	ck_assert(child_is_busy(&waiter));
	child_continue(&holder);
	ck_assert_int_eq(child_does(&holder, do_held, 0), 1);
	ck_assert_int_eq(child_does(&holder, do_release, 1), 0);
	ck_assert_int_eq(child_result(&waiter), 0);
	child_kill(&holder);
	child_kill(&waiter);
}
END_TEST

START_TEST(stopped_holder_is_killed)
{
	struct child holder, waiter;
	make(SEMUNDO_PERMITS, 1);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	waiter_start(&waiter, 1);
	child_stop(&holder);
	expect_death_told(&holder, &waiter, "killed while stopped");
	child_kill(&waiter);
}
END_TEST

/* The kernel may wake the stopped one, which does nothing with it. */
START_TEST(stopped_waiter)
{
	struct child waiters[2];
	make(_i / 2 ? SEMUNDO_LOCK : SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	waiter_start(&waiters[0], 1);
	waiter_start(&waiters[1], 1);
	struct child *stopped = &waiters[_i % 2], *other = &waiters[1 - _i % 2];
	child_stop(stopped);
	uint64_t since = now_ns();
	ck_assert_int_eq(semundo_release(sem, 1), 0);
	ck_assert_int_eq(child_result(other), 0);
	note("the other waiter got it after %.1f ms", (double)(now_ns() - since) / 1e6);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(child_does(other, do_release, 1), 0);
	child_continue(stopped);
	ck_assert_int_eq(child_result(stopped), 0);
	child_kill(stopped);
	child_kill(other);
}
END_TEST

/* ---- crowds ---- */

#define CROWD 300
#define TURNS 5
#define HERD 500

struct crowd {
	unsigned ready;
	unsigned turns[CROWD];
	uint64_t longest[CROWD];
};
static struct crowd *crowd;

/* fork() whose child dies with its parent. */
static pid_t fork_child(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(2);
	}
	return pid;
}

static int gate[2]; /* a pipe whose end begins it */

static void be_ready(void)
{
	char byte;
	close(gate[1]);
	__atomic_fetch_add(&crowd->ready, 1, __ATOMIC_RELEASE);
	if (read(gate[0], &byte, 1) != 0)
		_exit(3);
}

/* Every seventh ends with the unit in its hands. */
__attribute__((noreturn)) static void take_turns(unsigned number)
{
	be_ready();
	for (unsigned i = 0; i < TURNS; i++) {
		uint64_t started = now_ns();
		if (semundo_acquire(sem, 1) < 0)
			_exit(1);
		uint64_t took = now_ns() - started;
		if (took > crowd->longest[number])
			crowd->longest[number] = took;
		crowd->turns[number]++;
		if (i == TURNS - 1 && number % 7 == 0)
			_exit(0);
		if (semundo_release(sem, 1) < 0)
			_exit(2);
	}
	_exit(0);
}

START_TEST(three_hundred_at_once)
{
	struct child all[CROWD];
	uint64_t longest = 0;
	crowd = shared_memory(sizeof(*crowd));
	make(SEMUNDO_PERMITS, 3);
	ck_assert_int_eq(pipe(gate), 0);
	for (unsigned i = 0; i < CROWD; i++) {
		all[i] = (struct child){ fork_child(), -1 };
		if (all[i].pid == 0)
			take_turns(i);
	}
	AWAIT(__atomic_load_n(&crowd->ready, __ATOMIC_ACQUIRE) == CROWD);
	uint64_t started = now_ns();
	close(gate[1]);
	for (unsigned i = 0; i < CROWD; i++) {
		int status = child_end(&all[i]);
		ck_assert_msg(status == 0, "process %u ended with 0x%x", i, (unsigned)status);
		ck_assert_int_eq((int)crowd->turns[i], TURNS);
		if (crowd->longest[i] > longest)
			longest = crowd->longest[i];
	}
	note("%d processes, %d turns each at capacity 3: %.0f ms, the longest wait %.0f ms", CROWD,
	     TURNS, (double)(now_ns() - started) / 1e6, (double)longest / 1e6);
	ck_assert_int_ge(semundo_recover(sem), 0);
	ck_assert_int_eq((int)value(), 3);
	ck_assert_int_eq((int)info().deaths, (CROWD + 6) / 7);
}
END_TEST

__attribute__((noreturn)) static void hold_one(void)
{
	if (semundo_acquire(sem, 1) < 0)
		_exit(1);
	for (;;)
		pause();
}

static void kill_all(const pid_t *pids)
{
	for (int i = 0; i < HERD; i++)
		ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
	for (int i = 0; i < HERD; i++)
		ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
}

static uint64_t *acquired_at;

static int acquire_and_look_at_the_clock(long n)
{
	int r = semundo_acquire(sem, (unsigned)n);
	*acquired_at = now_ns();
	return r;
}

START_TEST(five_hundred_killed)
{
	static pid_t pids[HERD];
	struct child waiter;
	acquired_at = shared_memory(sizeof(*acquired_at));
	make(SEMUNDO_PERMITS, HERD);
	for (int i = 0; i < HERD; i++) {
		pids[i] = fork_child();
		if (pids[i] == 0)
			hold_one();
	}
	AWAIT(value() == 0);
	child_start(&waiter);
	child_order(&waiter, acquire_and_look_at_the_clock, HERD);
	await_waiters(1);
	uint64_t started = now_ns();
	kill_all(pids);
	uint64_t dead = now_ns();
	ck_assert_int_eq(child_result(&waiter), 1);
	double late = ((double)*acquired_at - (double)dead) / 1e6;
	note("%d holders died within %.1f ms; all units were had %.1f ms after the last", HERD,
	     (double)(dead - started) / 1e6, late);
	ck_assert(late < 5000); /* promised are 100 ms, on an idle machine */
	ck_assert_int_eq((int)info().deaths, HERD);
	child_kill(&waiter);
	ck_assert_int_eq(semundo_acquire_timed(sem, HERD, (int64_t)LIMIT), 1);
}
END_TEST

static const struct trial trials[] = {
	{ "out of memory in a cgroup", &out_of_memory, 0 },
	{ "a stopped holder is alive", &stopped_holder, 2 },
	{ "a stopped holder is killed", &stopped_holder_is_killed, 0 },
	{ "a stopped waiter does not keep a wake-up", &stopped_waiter, 4 },
	{ "300 processes at once", &three_hundred_at_once, 0 },
	{ "500 holders killed at once", &five_hundred_killed, 0 },
};

int main(void)
{
	return RUN("killers", trials);
}
