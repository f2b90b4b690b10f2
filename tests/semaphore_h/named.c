/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, names, values: what is the same semaphore and what is not. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../torture/common.h"
#include "cases.h"

static sem_t *make(const char *name, unsigned value)
{
	return sem_open(name, O_CREAT | O_EXCL, 0600, value);
}

static int value_of(sem_t *sem)
{
	int value = -1;
	return sem_getvalue(sem, &value) < 0 ? -errno : value;
}

static const char *same_address(void)
{
	sem_t *first = make("/same", 1), *again = sem_open("/same", 0);
	CHECK(first != SEM_FAILED && again == first);
	CHECK(sem_open("same", O_CREAT, 0600, 7) == first && value_of(first) == 1);
	CHECK(sem_unlink("/same") == 0);
	sem_t *other = make("/same", 5);
	CHECK(other != SEM_FAILED && other != first && value_of(other) == 5);
	for (int i = 0; i < 3; i++)
		CHECK(value_of(first) == 1 && sem_close(first) == 0);
	FAILS(sem_close(first), EINVAL);
	FAILS(sem_post(first), EINVAL);
	FAILS(sem_wait(first), EINVAL);
	CHECK(value_of(first) == -EINVAL);
	FAILS(sem_close((sem_t *)((char *)other + 8)), EINVAL);
	CHECK(sem_unlink("/same") == 0 && value_of(other) == 5 && sem_close(other) == 0);
	return NULL;
}

static bool open_fails(const char *name, int oflag, unsigned value, int error)
{
	errno = 0;
	return sem_open(name, oflag, 0600, value) == SEM_FAILED && errno == error;
}

static const char *open_errors(void)
{
	struct semundo_options lock = SEMUNDO_OPTIONS_INIT;
	char longest[302];
	semundo_t *native;
	memset(longest, 'n', sizeof(longest));
	longest[301] = '\0';
	sem_t *sem = make("/there", 1);
	CHECK(open_fails("/there", O_CREAT | O_EXCL, 1, EEXIST));
	CHECK(open_fails("/none", 0, 0, ENOENT));
	CHECK(open_fails("/big", O_CREAT, (unsigned)SEM_VALUE_MAX + 1, EINVAL));
	CHECK(open_fails("/", O_CREAT, 1, EINVAL) && open_fails("", O_CREAT, 1, EINVAL));
	CHECK(open_fails("/a/b", O_CREAT, 1, EINVAL));
	CHECK(open_fails(longest, O_CREAT, 1, ENAMETOOLONG));
	longest[201] = '\0';
	CHECK(open_fails(longest, O_CREAT, 1, ENAMETOOLONG));
	longest[200] = '\0';
	sem_t *fits = make(longest, 1);
	CHECK(fits != SEM_FAILED && sem_unlink(longest) == 0 && sem_close(fits) == 0);
	lock.kind = SEMUNDO_LOCK;
	CHECK(semundo_open(&native, "lock", SEMUNDO_CREATE, &lock) == 0);
	CHECK(open_fails("/lock", 0, 0, EINVAL) && open_fails("/lock", O_CREAT, 1, EINVAL));
	CHECK(semundo_close(native) == 0 && semundo_unlink("lock", NULL) == 0);
	FAILS(sem_unlink("/none"), ENOENT);
	FAILS(sem_unlink("/a/b"), ENOENT);
	CHECK(sem_unlink("/there") == 0 && sem_close(sem) == 0);
	return NULL;
}

/* '/x' and the native 'x' are one; all else that could meet does not. */
static const char *names(void)
{
	static const char *const all[] = { "/a:b", "/a%3Ab", "/a%3ab", "/a\nb", "/a%0Ab", "/a%b",
		                           "/a.sysv", "/a%2Esysv", "/a b" };
	enum { COUNT = sizeof(all) / sizeof(all[0]) };
	sem_t *sems[COUNT];
	semundo_t *native;
	int64_t value;
	for (unsigned i = 0; i < COUNT; i++)
		CHECK((sems[i] = make(all[i], i)) != SEM_FAILED);
	for (unsigned i = 0; i < COUNT; i++)
		CHECK(sem_open(all[i], 0) == sems[i] && value_of(sems[i]) == (int)i);
	CHECK(semundo_open(&native, "a%3Ab", 0, NULL) == 0);
	CHECK(semundo_value(native, &value) == 0 && value == 0 && semundo_close(native) == 0);
	CHECK(semundo_open(&native, "a b", 0, NULL) == 0);
	CHECK(semundo_release(native, 1) == 0 && value_of(sems[COUNT - 1]) == COUNT);
	CHECK(semundo_close(native) == 0);
	for (unsigned i = 0; i < COUNT; i++)
		CHECK(sem_close(sems[i]) == 0 && sem_close(sems[i]) == 0 && sem_unlink(all[i]) == 0);
	return NULL;
}

static const char *mode_less_umask(void)
{
	static const struct {
		mode_t mask, mode, wanted;
	} cases[] = { { 027, 0666, 0640 }, { 0, 0666, 0666 }, { 077, 0, 0 } };
	char path[256];
	struct stat st;
	mode_t before = umask(0);
	snprintf(path, sizeof(path), "%s/semundo.mode", getenv("SEMUNDO_DIR"));
	for (unsigned i = 0; i < 3; i++) {
		umask(cases[i].mask);
		sem_t *sem = sem_open("/mode", O_CREAT | O_EXCL, cases[i].mode, 1);
		umask(before);
		CHECK(sem != SEM_FAILED && stat(path, &st) == 0);
		CHECK((st.st_mode & 07777) == cases[i].wanted);
		CHECK(sem_unlink("/mode") == 0 && sem_close(sem) == 0);
	}
	return NULL;
}

static const char *counts(sem_t *sem)
{
	CHECK(value_of(sem) == 2);
	CHECK(sem_wait(sem) == 0 && sem_trywait(sem) == 0 && value_of(sem) == 0);
	FAILS(sem_trywait(sem), EAGAIN);
	CHECK(sem_post(sem) == 0 && sem_post(sem) == 0 && sem_post(sem) == 0 && value_of(sem) == 3);
	return NULL;
}

static const char *named_counts(void)
{
	sem_t *sem = new_named(2);
	const char *why = counts(sem);
	CHECK(sem_close(sem) == 0);
	return why;
}

static const char *memory_counts(void)
{
	const char *why = counts(new_memory(2));
	return why ? why : counts(new_memory(2));
}

static const char *overflow(void)
{
	sem_t *named = new_named(SEM_VALUE_MAX), *memory = new_memory(SEM_VALUE_MAX), local;
	FAILS(sem_post(named), EOVERFLOW);
	FAILS(sem_post(memory), EOVERFLOW);
	CHECK(value_of(named) == SEM_VALUE_MAX && value_of(memory) == SEM_VALUE_MAX);
	FAILS(sem_init(&local, 0, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
	return NULL;
}

static const char *not_initialised(void)
{
	sem_t zero, *named = new_named(1);
	memset(&zero, 0, sizeof(zero));
	FAILS(sem_wait(&zero), EINVAL);
	FAILS(sem_post(&zero), EINVAL);
	FAILS(sem_destroy(&zero), EINVAL);
	FAILS(sem_close(&zero), EINVAL);
	FAILS(sem_destroy(named), EINVAL);
	CHECK(sem_init(&zero, 0, 0) == 0 && sem_destroy(&zero) == 0);
	FAILS(sem_post(&zero), EINVAL);
	return NULL;
}

/* A child answers; nothing is undone when it dies. */
static const char *with_a_child(sem_t *there, sem_t *back)
{
	int status;
	pid_t pid = fork_child();
	if (pid == 0) {
		sem_wait(there);
		sem_post(back);
		sem_post(back);
		_exit(0);
	}
	CHECK(sem_post(there) == 0 && sem_wait(back) == 0);
	reap(pid, &status);
	CHECK(status == 0 && sem_wait(back) == 0);
	CHECK(value_of(there) == 0 && value_of(back) == 0);
	return NULL;
}

static const char *named_with_a_child(void)
{
	return with_a_child(new_named(0), new_named(0));
}

static const char *memory_with_a_child(void)
{
	return with_a_child(new_memory(0), new_memory(0));
}

static const char *signals_are_not_undone(void)
{
	sem_t *sem = new_named(1);
	int status;
	pid_t pid = fork_child();
	if (pid == 0) {
		sem_wait(sem);
		raise(SIGKILL);
	}
	reap(pid, &status);
	CHECK(WIFSIGNALED(status) && value_of(sem) == 0);
	FAILS(sem_trywait(sem), EAGAIN);
	return NULL;
}

/* The parent's robust list has its alarm; the child's has not. */
static const char *robust_mutex_in_a_child(void)
{
	struct semundo_options lock = SEMUNDO_OPTIONS_INIT;
	pthread_mutexattr_t attributes;
	pthread_mutex_t mutex;
	semundo_t *sem;
	int status;
	lock.kind = SEMUNDO_LOCK;
	CHECK(semundo_anonymous(&sem, &lock) == 0 && semundo_acquire(sem, 1) == 0);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	CHECK(pthread_mutex_init(&mutex, &attributes) == 0);
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(pthread_mutex_lock(&mutex) || pthread_mutex_unlock(&mutex) ||
		      semundo_try_acquire(sem, 1) != -EAGAIN || semundo_release(sem, 1) ||
		      semundo_acquire(sem, 1));
	reap(pid, &status);
	CHECK(status == 0 && semundo_acquire(sem, 1) == 1);
	return semundo_close(sem) ? "close" : NULL;
}

/* More open ones than a process may have descriptors. */
static const char *many(void)
{
	enum { COUNT = 3000 };
	static sem_t *sems[COUNT];
	char name[32];
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "/many.%d", i);
		sems[i] = make(name, (unsigned)i);
		CHECK(sems[i] != SEM_FAILED && sem_unlink(name) == 0);
	}
	for (int i = 0; i < COUNT; i++)
		CHECK(value_of(sems[i]) == i && sem_close(sems[i]) == 0);
	sem_t *next = new_named(0);
	CHECK(next == sems[COUNT - 1]); /* places are used again */
	return NULL;
}

const struct posix_case named_cases[] = {
	{ "one semaphore has one address in a process", same_address },
	{ "sem_open and sem_unlink fail as POSIX says", open_errors },
	{ "names that differ never meet", names },
	{ "the mode is the one given less the umask", mode_less_umask },
	{ "a named one counts", named_counts },
	{ "one in memory counts", memory_counts },
	{ "a value does not pass SEM_VALUE_MAX", overflow },
	{ "what is no semaphore is EINVAL", not_initialised },
	{ "parent and child share a named one", named_with_a_child },
	{ "parent and child share one in memory", memory_with_a_child },
	{ "a signal is not undone", signals_are_not_undone },
	{ "3000 are open at once", many },
	{ "a child of an attached process locks a robust mutex", robust_mutex_in_a_child },
	{ NULL, NULL },
};
