/* SPDX-License-Identifier: Apache-2.0 */
/* How processes end, what becomes of the library in them, and two of it. */
#include "common.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- ends ---- */

static int end_quickly(long unused)
{
	(void)unused;
	_exit(0);
}

static int end_by_abort(long unused)
{
	const struct rlimit none = { 0, 0 };
	(void)unused;
	setrlimit(RLIMIT_CORE, &none);
	abort();
}

static int end_by_fault(long address)
{
	const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSEGV, SIG_DFL);
	*(volatile char *)address = 1;
	return 0;
}

static int end_by_kill(long unused)
{
	(void)unused;
	raise(SIGKILL);
	return 0;
}

static const struct {
	const char *what;
	act *end;
	long argument;
} ends[] = {
	{ "exit", do_exit, 0 },       { "exit with status 3", do_exit, 3 },
	{ "_exit", end_quickly, 0 },  { "abort", end_by_abort, 0 },
	{ "SIGSEGV", end_by_fault, 8 }, { "SIGKILL", end_by_kill, 0 },
};
#define ENDS ((int)(sizeof(ends) / sizeof(ends[0])))

static void expect_death_record(pid_t pid, uint32_t units)
{
	struct semundo_death death;
	ck_assert_int_eq(semundo_deaths(sem, &death, 1), 1);
	ck_assert_int_eq(death.pid, pid);
	ck_assert_int_eq((int)death.units, (int)units);
	ck_assert_int_eq((int)info().deaths, 1);
}

static void end_with(uint32_t kind, unsigned units, int which)
{
	struct child holder, waiter;
	make(kind, units);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, do_acquire, units), 0);
	waiter_start(&waiter, units);
	uint64_t since = now_ns();
	child_order(&holder, ends[which].end, ends[which].argument);
	expect_told(&waiter, since, ends[which].what);
	expect_death_record(holder.pid, units);
	child_end(&holder);
	ck_assert_int_eq(child_does(&waiter, do_release, units), 0);
	ck_assert_int_eq((int)value(), (int)units);
	child_kill(&waiter);
}

START_TEST(end_with_permits)
{
	end_with(SEMUNDO_PERMITS, 2, _i);
}
END_TEST

START_TEST(end_with_a_lock)
{
	end_with(SEMUNDO_LOCK, 1, _i);
}
END_TEST

/* ---- the library by dlopen ---- */

/* The functions of one copy. */
struct copy {
	void *handle;
	semundo_t *sem;
	int (*open)(semundo_t **, const char *, unsigned, const struct semundo_options *);
	int (*acquire)(semundo_t *, unsigned);
	int (*timed)(semundo_t *, unsigned, int64_t);
	int (*release)(semundo_t *, unsigned);
	int (*held)(semundo_t *, unsigned *);
	int (*recover)(semundo_t *);
};

static int copy_find(struct copy *c)
{
	const struct {
		const char *name;
		void **to;
	} functions[] = {
		{ "semundo_open", (void **)&c->open },
		{ "semundo_acquire", (void **)&c->acquire },
		{ "semundo_acquire_timed", (void **)&c->timed },
		{ "semundo_release", (void **)&c->release },
		{ "semundo_held", (void **)&c->held },
		{ "semundo_recover", (void **)&c->recover },
	};
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		*functions[i].to = dlsym(c->handle, functions[i].name);
		if (!*functions[i].to)
			return -ENOSYS;
	}
	return c->open(&c->sem, NAME, 0, NULL);
}

static int copy_load(struct copy *c)
{
	c->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	return c->handle ? copy_find(c) : -ENOENT;
}

static void *ends_at_once(void *unused)
{
	return unused;
}

static int hold_and_unload(long unused)
{
	static struct copy c;
	pthread_t thread;
	(void)unused;
	int r = copy_load(&c);
	if (!r)
		r = c.acquire(c.sem, 2);
	if (r || dlclose(c.handle))
		return r ? r : -EBUSY;
	if (!dlopen(LIBRARY, RTLD_NOW | RTLD_NOLOAD))
		return -ENODATA; /* it is gone */
	/* What the C library and the kernel call of it is still there. */
	pthread_create(&thread, NULL, ends_at_once, NULL);
	pthread_join(thread, NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return waitpid(pid, &r, 0) == pid ? r : -ECHILD;
}

static int unload_in_thread_that_armed(long unused)
{
	pthread_t thread;
	void *result;
	(void)unused;
	pthread_create(&thread, NULL, (void *(*)(void *))(uintptr_t)hold_and_unload, NULL);
	pthread_join(thread, &result);
	return (int)(intptr_t)result;
}

static void unloaded_holder_ends(act *hold, const char *what)
{
	struct child holder, waiter;
	make(SEMUNDO_PERMITS, 2);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, hold, 0), 0);
	ck_assert_int_eq(semundo_recover(sem), 0);
	waiter_start(&waiter, 1);
	uint64_t since = now_ns();
	child_order(&holder, do_exit, 0);
	expect_told(&waiter, since, what);
	ck_assert_int_eq(child_end(&holder), 0);
	child_kill(&waiter);
}

START_TEST(unloaded_library)
{
	unloaded_holder_ends(hold_and_unload, "exit after dlclose");
}
END_TEST

START_TEST(unloaded_library_in_a_thread)
{
	unloaded_holder_ends(unload_in_thread_that_armed, "exit after dlclose and thread end");
}
END_TEST

/* ---- two copies in one process: the linked one, and a loaded one ---- */

static struct copy second;

static int load_second(long unused)
{
	(void)unused;
	return copy_load(&second);
}

static int second_acquires(long n)
{
	return second.acquire(second.sem, (unsigned)n);
}

static int second_times_out(long milliseconds)
{
	return second.timed(second.sem, 1, milliseconds * (int64_t)MSEC);
}

static int second_releases(long n)
{
	return second.release(second.sem, (unsigned)n);
}

static int second_recovers(long unused)
{
	(void)unused;
	return second.recover(second.sem);
}

START_TEST(two_copies_are_two_peers)
{
	struct child both, waiter;
	make(SEMUNDO_PERMITS, 3);
	child_start(&both);
	ck_assert_int_eq(child_does(&both, load_second, 0), 0);
	ck_assert_int_eq(child_does(&both, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&both, second_acquires, 1), 0);
	ck_assert_int_eq(child_does(&both, second_releases, 2), -EPERM);
	ck_assert_int_eq((int)info().peers, 2);
	ck_assert_int_eq((int)value(), 1);
	ck_assert_int_eq(child_does(&both, do_recover, 0), 0);
	ck_assert_int_eq(child_does(&both, second_recovers, 0), 0);
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(child_does(&both, second_releases, 1), 0);
	ck_assert_int_eq(child_does(&both, second_acquires, 2), 0);
	waiter_start(&waiter, 3);
	expect_death_told(&both, &waiter, "process with two copies");
	child_kill(&waiter);
	ck_assert_int_eq(semundo_acquire_timed(sem, 3, (int64_t)LIMIT), 1);
}
END_TEST

static int64_t second_value(void)
{
	int64_t v = -1;
	semundo_value(sem, &v);
	return v;
}

static void *second_waits(void *ret)
{
	*(int *)ret = second_acquires(1);
	return NULL;
}

/* One copy waits for what the other holds, and is woken by its release. */
static int hand_over_inside(long unused)
{
	struct semundo_info i = { .size = sizeof(i) };
	pthread_t thread;
	int result = -EPROTO;
	(void)unused;
	int r = do_acquire(1);
	if (!r && second_times_out(20) != -ETIMEDOUT)
		r = -EPROTO;
	if (r || pthread_create(&thread, NULL, second_waits, &result))
		return r ? r : -EAGAIN;
	while (semundo_info(sem, &i) == 0 && !i.waiters)
		pause_ns(MSEC / 5);
	r = do_release(1);
	pthread_join(thread, NULL);
	if (!r)
		r = result ? result : second_value() != 0;
	return r ? r : second_releases(1);
}

/* Both copies have handlers that run at fork. */
static int fork_with_both(long unused)
{
	int status;
	(void)unused;
	pid_t pid = fork();
	if (pid == 0) {
		int r = do_acquire(1);
		if (!r && second_times_out(5) != -ETIMEDOUT)
			r = 1;
		if (!r)
			r = do_release(1);
		if (!r)
			r = second_acquires(1);
		_exit(r != 0);
	}
	return waitpid(pid, &status, 0) == pid ? status : -ECHILD;
}

START_TEST(two_copies_share_a_lock)
{
	struct child both;
	make(SEMUNDO_LOCK, 1);
	child_start(&both);
	ck_assert_int_eq(child_does(&both, load_second, 0), 0);
	ck_assert_int_eq(child_does(&both, hand_over_inside, 0), 0);
	ck_assert_int_eq(child_does(&both, fork_with_both, 0), 0);
	ck_assert_int_eq(child_does(&both, do_timed, 1000), 1); /* the child ended with it */
	ck_assert_int_eq(child_does(&both, do_release, 1), 0);
	ck_assert_int_eq((int)value(), 1);
	child_kill(&both);
}
END_TEST

/* A namespace of the dynamic linker, with a C library of its own. */
static int load_apart(long unused)
{
	(void)unused;
	second.handle = dlmopen(LM_ID_NEWLM, LIBRARY, RTLD_NOW);
	return second.handle ? copy_find(&second) : -ENOTSUP;
}

START_TEST(copy_in_its_own_namespace)
{
	struct child both, waiter;
	if (SANITIZED)
		skip("needs a build without sanitizers");
	make(SEMUNDO_PERMITS, 2);
	child_start(&both);
	int r = child_does(&both, load_apart, 0);
	if (r == -ENOTSUP)
		skip("needs dlmopen that loads a C library");
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(child_does(&both, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&both, second_acquires, 1), 0);
	ck_assert_int_eq(child_does(&both, second_times_out, 20), -ETIMEDOUT);
	ck_assert_int_eq((int)info().peers, 2);
	ck_assert_int_eq(semundo_recover(sem), 0);
	waiter_start(&waiter, 2);
	expect_death_told(&both, &waiter, "process with two C libraries");
	child_kill(&waiter);
}
END_TEST

static const struct trial trials[] = {
	{ "ends with permits held", &end_with_permits, ENDS },
	{ "ends with a lock held", &end_with_a_lock, ENDS },
	{ "dlclose with units held", &unloaded_library, 0 },
	{ "dlclose in a thread that then ends", &unloaded_library_in_a_thread, 0 },
	{ "two copies in a process are two peers", &two_copies_are_two_peers, 0 },
	{ "two copies in a process share a lock", &two_copies_share_a_lock, 0 },
	{ "a copy in another linker namespace", &copy_in_its_own_namespace, 0 },
};

int main(void)
{
	return RUN("ends", trials);
}
