/* SPDX-License-Identifier: Apache-2.0 */
/* This process as a peer: its record, its lock (the truth) and its alarm. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomics.h"
#include "directory.h"
#include "engine.h"
#include "error.h"
#include "platform/file.h"
#include "platform/liveness.h"
#include "platform/process.h"
#include "platform/threads.h"
#include "platform/tls.h"
#include "platform/wait.h"
#include "test_hooks.h"

/* ---- the alarm's thread ------------------------------------------------- */

static pthread_key_t thread_end_key;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;
static FAST_THREAD_LOCAL bool thread_is_ending;

/* The alarm's mutex belongs to a thread. When that one ends it gives the mutex
 * up, and semundo__rearm() in another thread takes it again. */
static void on_thread_end(void *unused)
{
	(void)unused;
	thread_is_ending = true;
	semundo__big_lock();
	for (struct directory *d = semundo__directories(); d; d = d->next) {
		struct membership *m = d->member;
		if (load_acquire(&m->armed) && m->armed_by == semundo__thread_id()) {
			semundo__alarm_disarm(m->own->alarm);
			store_release(&m->armed, 0); /* pairs with semundo__rearm() */
		}
	}
	semundo__big_unlock();
}

static void make_key(void)
{
	pthread_key_create(&thread_end_key, on_thread_end);
}

static void arm(struct membership *m)
{
	if (TEST_SWITCH(no_alarm) || thread_is_ending)
		return;
	int offset = semundo__alarm_word_offset();
	if (offset < 0)
		return;
	pthread_once(&thread_end_once, make_key);
	if (pthread_setspecific(thread_end_key, m) || semundo__alarm_arm(m->own->alarm))
		return;
	m->armed_by = semundo__thread_id();
	store_relaxed(&m->own->alarm_offset, (uint32_t)offset);
	store_release(&m->armed, 1);
}

/* Rung though we live: its thread ended without its destructors. */
static bool rang(const struct membership *m)
{
	const uint32_t *word = semundo__alarm_word(m->own);
	return word && semundo__alarm_rang(load_relaxed(word));
}

void semundo__rearm(struct directory *dir)
{
	struct membership *m = dir->member;
	if (!load_acquire(&m->generation) || (load_acquire(&m->armed) && !rang(m)))
		return;
	semundo__big_lock();
	if (!load_acquire(&m->armed) || rang(m))
		arm(m);
	semundo__big_unlock();
}

/* ---- the record --------------------------------------------------------- */

bool semundo__is_member(const struct directory *dir)
{
	return load_acquire(&dir->member->generation) != 0;
}

static uint64_t record_offset(uint32_t record)
{
	return offsetof(struct peer_file, record) + (uint64_t)record * sizeof(struct peer_record);
}

/*
 * Locks a free record. A few tries in small windows, so that few processes use
 * few pages, then all in turn.
 */
static int lock_record(int fd, uint32_t *ret_record)
{
	uint32_t limit = TEST_LIMIT(max_records, MAX_RECORDS);
	uint32_t start = semundo__process_id() * UINT32_C(0x9e3779b1) >> 16;
	for (uint32_t window = 16; window < limit; window *= 8)
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t record = (start + i) % window;
			int r = semundo__truth_lock(fd, record_offset(record));
			if (r != -EAGAIN) {
				*ret_record = record;
				return r;
			}
		}
	for (uint32_t record = 0; record < limit; record++) {
		int r = semundo__truth_lock(fd, record_offset(record));
		if (r != -EAGAIN) {
			*ret_record = record;
			return r;
		}
	}
	return -EUSERS;
}

/* Maps the pages of the record so that the mapping keeps the lock. */
static int keep_record(int fd, uint32_t record, struct peer_record **ret)
{
	uint64_t offset = record_offset(record);
	size_t page = semundo__page_size();
	uint64_t first = offset & ~(uint64_t)(page - 1);
	int r = semundo__file_allocate(fd, offset, sizeof(struct peer_record));
	void *map;
	if (!r)
		r = semundo__truth_keep(&map, fd, first, page);
	if (!r)
		*ret = (struct peer_record *)((char *)map + (offset - first));
	return r;
}

static void write_facts(struct peer_record *own)
{
	struct process_facts facts;
	semundo__process_facts(&facts);
	store_relaxed(&own->alarm_offset, ALARM_NONE);
	store_relaxed(&own->pid, facts.pid);
	store_relaxed(&own->for_pid, 0);
	store_relaxed(&own->start_time, facts.start_time);
	store_relaxed(&own->pid_namespace, facts.pid_namespace);
	store_relaxed(&own->joined, semundo__realtime());
	memcpy(own->command, facts.command, sizeof(own->command));
}

/* Another description of the same file: the one that asks holds no lock. */
static int open_for_lock(const struct directory *dir, const struct peers *p, int *ret)
{
	char path[PATH_MAX], name[64];
	struct stat st;
	semundo__peers_name(name, (uint32_t)p->user);
	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_dev != p->device ||
	    (uint64_t)st.st_ino != p->inode) {
		close(fd);
		return -ESTALE;
	}
	*ret = fd;
	return 0;
}

static int fail_join(const struct directory *dir, int r)
{
	const char *what = semundo__reason(r);
	if (r == -EUSERS)
		what = "too many processes of this user use semaphores there";
	else if (r == -ENOSPC)
		what = "its filesystem is full; free some space or use another directory";
	else if (r == -ESTALE)
		what = "its peer file was replaced this moment; try again";
	else if (r == -ENOLCK)
		what = "this kernel does not keep file locks as this library needs them";
	return semundo__fail(r, "cannot join semaphore directory '%s': %s", dir->path, what);
}

/* The lock must outlive its descriptor; ask through the other description. */
static int check_kept(struct directory *dir, const struct peers *p, uint32_t record, int fd,
                      bool keep_lock)
{
	(void)dir;
	if (!keep_lock)
		close(fd);
	int r = semundo__truth_probe(p->fd, record_offset(record));
	if (r > 0)
		return 0;
	if (keep_lock)
		close(fd);
	return r < 0 ? r : -ENOLCK;
}

/* Records are reused: the next generation of it is us. Killed here: the lock
 * is gone with us, and whoever was here before is dead twice. */
static uint64_t claim(struct peer_record *own)
{
	uint64_t generation = (load_relaxed(&own->generation) + 1) & GENERATION_MAX;
	if (generation == 0)
		generation = 1;
	POINT("join:locked");
	store_release(&own->generation, generation); /* pairs with semundo__alive() */
	write_facts(own);
	POINT("join:claimed");
	return generation;
}

static int high_descriptor(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int r = high < 0 ? -errno : high;
	close(fd);
	return r;
}

int semundo__join(struct directory *dir, bool keep_lock)
{
	struct membership *m = dir->member;
	struct peers *p;
	struct peer_record *own;
	uint32_t record;
	int fd = -1;
	if (semundo__is_member(dir))
		return 0;
	int r = semundo__peers_own(dir, &p);
	if (r)
		return r;
	r = open_for_lock(dir, p, &fd);
	if (r)
		return fail_join(dir, r);
	r = lock_record(fd, &record);
	if (!r)
		r = keep_record(fd, record, &own);
	if (r) {
		close(fd);
		return fail_join(dir, r);
	}
	if (keep_lock && fd < 3)
		fd = r = high_descriptor(fd);
	if (r >= 0)
		r = check_kept(dir, p, record, fd, keep_lock);
	if (r < 0) {
		munmap((void *)((uintptr_t)own & ~(semundo__page_size() - 1)), semundo__page_size());
		return fail_join(dir, r);
	}
	uint64_t generation = claim(own);
	m->own = own;
	m->user = p->user;
	m->record = record;
	m->lock_fd = keep_lock ? fd : 0;
	arm(m);
	POINT("join:armed");
	store_release(&m->generation, generation); /* pairs with semundo__is_member() */
	return 0;
}
