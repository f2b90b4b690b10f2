/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>

#include "bench.h"

static const char *const names[] = {
	[GLIBC_SEM] = "glibc sem_t",         [SYSV_UNDO] = "semop + SEM_UNDO",
	[ROBUST_MUTEX] = "robust mutex",     [SEMUNDO_LOCKS] = "semundo LOCK",
	[SEMUNDO_PERMIT] = "semundo PERMITS", [SEMUNDO_SIGNALS] = "semundo SIGNAL",
};

const char *candidate_name(enum candidate what)
{
	return names[what];
}

static void make_sem(struct subject *s, unsigned units)
{
	s->shared = shared_memory(sizeof(sem_t));
	if (sem_init(s->shared, 1, units))
		die("sem_init: %s", strerror(errno));
}

static void make_mutex(struct subject *s)
{
	pthread_mutexattr_t attributes;
	s->shared = shared_memory(sizeof(pthread_mutex_t));
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	if (pthread_mutex_init(s->shared, &attributes))
		die("pthread_mutex_init failed");
	pthread_mutexattr_destroy(&attributes);
}

static void make_sysv(struct subject *s, unsigned units)
{
	union {
		int val;
		struct semid_ds *buf;
		unsigned short *array;
	} arg = { .val = (int)units };
	s->sysv = semget(IPC_PRIVATE, 1, 0600);
	if (s->sysv < 0 || semctl(s->sysv, 0, SETVAL, arg) < 0)
		die("System V semaphore: %s", strerror(errno));
}

static void make_semundo(struct subject *s, uint32_t kind, unsigned units)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	static unsigned number;
	char name[32];
	options.kind = kind;
	if (kind == SEMUNDO_PERMITS)
		options.capacity = units;
	if (kind == SEMUNDO_SIGNAL)
		options.value = units;
	snprintf(name, sizeof(name), "bench-%u", ++number);
	if (semundo_open(&s->sem, name, SEMUNDO_CREATE | SEMUNDO_EXCL, &options) ||
	    semundo_unlink(name, NULL))
		die("%s", semundo_error());
}

void subject_make(struct subject *s, enum candidate what, unsigned units)
{
	memset(s, 0, sizeof(*s));
	s->what = what;
	if (what == GLIBC_SEM)
		make_sem(s, units);
	else if (what == SYSV_UNDO)
		make_sysv(s, units);
	else if (what == ROBUST_MUTEX)
		make_mutex(s);
	else
		make_semundo(s, (uint32_t)(what - SEMUNDO_LOCKS) + SEMUNDO_LOCK, units);
}

void subject_drop(struct subject *s)
{
	if (s->what == SYSV_UNDO)
		semctl(s->sysv, 0, IPC_RMID);
	else if (s->what == GLIBC_SEM)
		munmap(s->shared, sizeof(sem_t));
	else if (s->what == ROBUST_MUTEX)
		munmap(s->shared, sizeof(pthread_mutex_t));
	else
		semundo_close(s->sem);
}

static void semop_by(struct subject *s, short by)
{
	struct sembuf op = { 0, by, SEM_UNDO };
	while (semop(s->sysv, &op, 1))
		if (errno != EINTR)
			die("semop: %s", strerror(errno));
}

void subject_acquire(struct subject *s)
{
	if (s->what == GLIBC_SEM)
		while (sem_wait(s->shared))
			;
	else if (s->what == SYSV_UNDO)
		semop_by(s, -1);
	else if (s->what == ROBUST_MUTEX)
		pthread_mutex_lock(s->shared);
	else if (semundo_acquire(s->sem, 1) < 0)
		die("%s", semundo_error());
}

void subject_release(struct subject *s)
{
	if (s->what == GLIBC_SEM)
		sem_post(s->shared);
	else if (s->what == SYSV_UNDO)
		semop_by(s, 1);
	else if (s->what == ROBUST_MUTEX)
		pthread_mutex_unlock(s->shared);
	else if (semundo_release(s->sem, 1))
		die("%s", semundo_error());
}

/* A loop for each: no branch between what is measured. */
double subject_pairs(struct subject *s, unsigned count)
{
	uint64_t start = now_ns();
	if (s->what == GLIBC_SEM)
		for (unsigned i = 0; i < count; i++) {
			sem_wait(s->shared);
			sem_post(s->shared);
		}
	else if (s->what == ROBUST_MUTEX)
		for (unsigned i = 0; i < count; i++) {
			pthread_mutex_lock(s->shared);
			pthread_mutex_unlock(s->shared);
		}
	else if (s->what == SYSV_UNDO)
		for (unsigned i = 0; i < count; i++) {
			semop_by(s, -1);
			semop_by(s, 1);
		}
	else
		for (unsigned i = 0; i < count; i++) {
			semundo_acquire(s->sem, 1);
			semundo_release(s->sem, 1);
		}
	return (double)(now_ns() - start) / count;
}
