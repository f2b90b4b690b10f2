/* SPDX-License-Identifier: Apache-2.0 */
#include "victim.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"

#define UNKNOWN_USER 63u

double seconds_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct sem_file *map(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	void *p = mmap(NULL, sizeof(struct sem_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(p, MAP_FAILED);
	close(fd);
	return p;
}

/* A child attaches and ends; its slot is emptied for the test to fill. */
static void bury(struct victim *v)
{
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		semundo_recover(v->sem);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	v->dead = v->file->slot[SLOT_FIRST].owner;
	ck_assert_uint_ne(v->dead, OWNER_FREE);
	memset(&v->file->slot[SLOT_FIRST], 0, sizeof(struct sem_slot));
}

void victim_make(struct victim *v, uint32_t kind, uint32_t capacity)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.kind = kind;
	options.capacity = capacity;
	strcpy(v->directory, "/dev/shm/semundo-hostile.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(v->directory));
	options.dir = v->directory;
	snprintf(v->path, sizeof(v->path), "%s/semundo.victim", v->directory);
	ck_assert_int_eq(semundo_open(&v->sem, "victim", SEMUNDO_CREATE, &options), 0);
	v->file = map(v->path);
	bury(v);
}

void victim_remove(struct victim *v)
{
	semundo_close(v->sem);
	munmap(v->file, sizeof(struct sem_file));
	DIR *dir = opendir(v->directory);
	ck_assert_ptr_nonnull(dir);
	for (struct dirent *e; (e = readdir(dir));)
		unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	rmdir(v->directory);
}

void victim_forge(struct victim *v, uint32_t slot, uint64_t owner, uint32_t held)
{
	store_relaxed(&v->file->slot[slot].lane, lane_make(held, held, 0));
	store_relaxed(&v->file->slot[slot].owner, owner);
}

uint64_t victim_unknown_owner(struct victim *v)
{
	v->file->users[UNKNOWN_USER] = user_make((uint32_t)geteuid(), 1);
	return owner_make(OWNER_LIVE, UNKNOWN_USER, 5, 1);
}

/* ---- scribblers ---- */

struct scribbler {
	struct victim *victim;
	void (*scribble)(struct victim *v);
	pthread_t thread;
	uint32_t stop;
};

static void *run(void *arg)
{
	struct scribbler *s = arg;
	while (!load_acquire(&s->stop))
		s->scribble(s->victim);
	return NULL;
}

struct scribbler *scribbler_start(struct victim *v, void (*scribble)(struct victim *v))
{
	struct scribbler *s = calloc(1, sizeof(*s));
	ck_assert_ptr_nonnull(s);
	s->victim = v;
	s->scribble = scribble;
	ck_assert_int_eq(pthread_create(&s->thread, NULL, run, s), 0);
	return s;
}

void scribbler_stop(struct scribbler *s)
{
	store_release(&s->stop, 1);
	pthread_join(s->thread, NULL);
	free(s);
}
