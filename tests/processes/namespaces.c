/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that see each other under other numbers, paths or clocks, or not
 * at all, and numbers that are used again. */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int own_pid(long unused)
{
	(void)unused;
	return getpid();
}

/* The child goes on as process 1 of a namespace; what was before waits for it
 * and takes it along when it is killed. */
static int enter_pid_namespace(long unused)
{
	int status;
	(void)unused;
	if (unshare(CLONE_NEWPID) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid > 0) {
		waitpid(pid, &status, 0);
		_exit(0);
	}
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || pid < 0 ? -errno : 0;
}

static void start_inside(struct child *c)
{
	child_start(c);
	int r = child_does(c, enter_pid_namespace, 0);
	if (r == -EPERM)
		skip("needs root");
	if (r == -EINVAL || r == -ENOSYS)
		skip("needs PID namespaces");
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(child_does(c, own_pid, 0), 1);
}

START_TEST(other_pid_namespace)
{
	struct child inside, outside;
	make(SEMUNDO_PERMITS, 1);
	child_start(&outside);
	start_inside(&inside);
	ck_assert_int_eq(child_does(&inside, do_acquire, 1), 0);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(child_does(&outside, do_recover, 0), 0);
	child_order(&outside, do_acquire, 1);
	await_waiters(1);
	expect_death_told(&inside, &outside, "holder in another PID namespace");
	start_inside(&inside);
	child_order(&inside, do_acquire, 1);
	await_waiters(1);
	ck_assert(child_is_busy(&inside));
	expect_death_told(&outside, &inside, "seen from another PID namespace");
	ck_assert_int_eq(child_does(&inside, do_release, 1), 0);
	child_kill(&inside);
}
END_TEST

START_TEST(two_processes_of_one_number)
{
	struct child one, another, waiter;
	make(SEMUNDO_PERMITS, 2);
	start_inside(&one);
	start_inside(&another);
	ck_assert_int_eq(child_does(&one, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&another, do_acquire, 1), 0);
	ck_assert_int_eq((int)info().peers, 2);
	waiter_start(&waiter, 1);
	expect_death_told(&one, &waiter, "one of two processes 1");
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(child_does(&another, do_held, 0), 1);
	ck_assert_int_eq(child_does(&another, do_release, 1), 0);
	ck_assert_int_eq((int)value(), 1);
	child_kill(&waiter);
	child_kill(&another);
}
END_TEST

/* ---- numbers that are used again ---- */

static int set_last_pid(long pid)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld", pid);
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = write(fd, text, (size_t)length) == length ? 0 : -errno;
	close(fd);
	return r;
}

/* From here on children are in a namespace whose process 1 is keeper. */
static void own_pid_namespace(struct child *keeper)
{
	need_root();
	if (unshare(CLONE_NEWPID) < 0)
		skip("needs PID namespaces");
	child_start(keeper);
	ck_assert_int_eq(child_does(keeper, own_pid, 0), 1);
}

static void start_with_pid(struct child *c, struct child *keeper, int pid)
{
	int r = child_does(keeper, set_last_pid, pid - 1);
	if (r == -ENOENT || r == -EACCES || r == -EROFS)
		skip("needs ns_last_pid in /proc/sys/kernel");
	ck_assert_int_eq(r, 0);
	child_start(c);
	ck_assert_int_eq(child_does(c, own_pid, 0), pid);
}

#define PID 777

START_TEST(number_of_a_dead_holder)
{
	struct child keeper, waiter, holder, heir;
	make(SEMUNDO_PERMITS, 1);
	own_pid_namespace(&keeper);
	start_with_pid(&holder, &keeper, PID);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	child_kill(&holder);
	start_with_pid(&heir, &keeper, PID); /* a stranger with the number */
	child_start(&waiter);
	ck_assert_int_eq(child_does(&waiter, do_timed, (long)(LIMIT / MSEC)), 1);
	ck_assert_int_eq(child_does(&heir, do_held, 0), 0);
	ck_assert_int_eq(child_does(&heir, do_release, 1), -EPERM);
	child_kill(&heir);
	child_kill(&waiter);
	child_kill(&keeper);
}
END_TEST

START_TEST(living_holder_with_the_number)
{
	struct child keeper, holder, heir;
	make(SEMUNDO_PERMITS, 2);
	own_pid_namespace(&keeper);
	start_with_pid(&holder, &keeper, PID);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	child_kill(&holder);
	start_with_pid(&heir, &keeper, PID);
	ck_assert_int_ge(child_does(&heir, do_acquire, 1), 0);
	ck_assert_int_eq((int)info().dead, 1);
	ck_assert_int_eq(semundo_recover(sem), 1); /* the one and not the other */
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq((int)value(), 1);
	ck_assert_int_eq(child_does(&heir, do_held, 0), 1);
	ck_assert_int_eq(child_does(&heir, do_release, 1), 0);
	ck_assert_int_eq((int)value(), 2);
	child_kill(&heir);
	child_kill(&keeper);
}
END_TEST

/* ---- other mount, IPC and time namespaces ---- */

static void probe_unshare(const char *option)
{
	char command[128];
	need_root();
	snprintf(command, sizeof(command), "unshare %s true 2>/dev/null", option);
	if (system(command) != 0)
		skip("needs unshare %s", option);
}

/* The directory at another path, bound there in a namespace. */
START_TEST(other_mount_namespace)
{
	static const char command[] = "mount --bind \"$SEMUNDO_DIR\" \"$SEMUNDO_DIR/view\" && "
				      "SEMUNDO_DIR=$SEMUNDO_DIR/view exec " PEER;
	static const char *const argv[] = { "unshare", "-m", "-i", "sh", "-c", command, NULL };
	struct child inside, outside;
	probe_unshare("-m -i");
	make(SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(mkdir(in_directory("view"), 0700), 0);
	program_start(&inside, argv);
	ck_assert_int_eq(program_does(&inside, "open " NAME), 0);
	ck_assert_int_eq(program_does(&inside, "acquire 1"), 0);
	ck_assert_int_eq(semundo_recover(sem), 0);
	waiter_start(&outside, 1);
	expect_death_told(&inside, &outside, "holder in another mount namespace");
	program_start(&inside, argv);
	ck_assert_int_eq(program_does(&inside, "open " NAME), 0);
	program_order(&inside, "acquire 1");
	await_waiters(1);
	child_kill(&outside);
	ck_assert_int_eq(program_result(&inside, NULL), 1);
	child_kill(&inside);
}
END_TEST

/* Its monotonic clock is a day ahead. */
START_TEST(other_time_namespace)
{
	static const char *const argv[] = { "unshare", "-T", "--monotonic", "86400", "--kill-child",
		                            PEER, NULL };
	struct child inside;
	probe_unshare("-T --monotonic 86400 --fork");
	make(SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	program_start(&inside, argv);
	ck_assert_int_eq(program_does(&inside, "open " NAME), 0);
	uint64_t started = now_ns();
	ck_assert_int_eq(program_does(&inside, "timed 200"), -ETIMEDOUT);
	uint64_t took = now_ns() - started;
	ck_assert(took >= 200 * MSEC && took < 3 * SEC);
	program_order(&inside, "timed 20000");
	await_waiters(1);
	ck_assert_int_eq(semundo_release(sem, 1), 0);
	ck_assert_int_eq(program_result(&inside, NULL), 0);
	child_kill(&inside);
}
END_TEST

static const struct trial trials[] = {
	{ "holders and waiters in another PID namespace", &other_pid_namespace, 0 },
	{ "two holders with the same PID", &two_processes_of_one_number, 0 },
	{ "a stranger with a dead holder's PID", &number_of_a_dead_holder, 0 },
	{ "a holder with a dead holder's PID", &living_holder_with_the_number, 0 },
	{ "another mount and IPC namespace", &other_mount_namespace, 0 },
	{ "another time namespace", &other_time_namespace, 0 },
};

int main(void)
{
	return RUN("namespaces", trials);
}
