/* SPDX-License-Identifier: Apache-2.0 */
/* Named semaphores of <semundo/semaphore.h>: which native one, at which address. */
#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <string.h>

#include "error.h"
#include "native_binary.h"
#include "platform/wait.h"
#include "semaphore_h.h"

union named_entry semundo__named[NAMED_MAX]; /* touched where used */
_Static_assert(sizeof(union named_entry) == 32, "a sem_t of 32 bytes");

static void *tree;             /* entries by handle: tsearch(3) */
static uint32_t used;          /* entries that were ever in use */
static uint32_t free_entries;  /* index + 1 of the first free one below that */

/* ---- the lock of the table ---------------------------------------------------
 *
 * Taken before the big lock, and held over fork like it. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_table(void)
{
	pthread_mutex_lock(&table_lock);
}

static void unlock_table(void)
{
	pthread_mutex_unlock(&table_lock);
}

/* After the constructor of the big lock: handlers run in reverse before fork. */
static void watch_forks(void)
{
	pthread_atfork(lock_table, unlock_table, unlock_table);
}

static void begin(int *ret_cancel_state)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch_forks);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, ret_cancel_state);
	lock_table();
}

static void end(int cancel_state)
{
	unlock_table();
	pthread_setcancelstate(cancel_state, NULL);
}

/* ---- names ------------------------------------------------------------------- */

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != 0x7f && c != ':' && c != '%';
}

/* See the header. ret has SEMUNDO_NAME_MAX + 1 bytes. */
static int native_name(char *ret, const char *name)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;
	while (*name == '/')
		name++;
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;
		size_t length = is_plain(c) ? 1 : 3;
		if (c == '/')
			return semundo__fail(-EINVAL, "the name of a semaphore has a '/' in it, other "
			                              "than the first");
		if (n + length > SEMUNDO_NAME_MAX)
			return semundo__fail(-ENAMETOOLONG, "the name of a semaphore is longer than %d "
			                                    "bytes", SEMUNDO_NAME_MAX);
		if (length == 3) {
			ret[n++] = '%';
			ret[n++] = digits[c >> 4];
			c = (unsigned char)digits[c & 15];
		}
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	/* Files of that name are the sysv engine's. */
	if (n >= 5 && strcmp(ret + n - 5, ".sysv") == 0) {
		if (n + 2 > SEMUNDO_NAME_MAX)
			return semundo__fail(-ENAMETOOLONG, "the name of a semaphore is longer than %d "
			                                    "bytes", SEMUNDO_NAME_MAX);
		memcpy(ret + n - 5, "%2Esysv", sizeof("%2Esysv"));
	}
	return n ? 0 : semundo__fail(-EINVAL, "the name of a semaphore is empty");
}

/* ---- the table ------------------------------------------------------------------ */

static int compare(const void *pa, const void *pb)
{
	const union named_entry *a = pa, *b = pb;
	uintptr_t x = (uintptr_t)a->named.sem, y = (uintptr_t)b->named.sem;
	return (x > y) - (x < y);
}

static union named_entry *take_entry(void)
{
	uint32_t index = free_entries ? free_entries - 1 : used;
	if (index == NAMED_MAX)
		return NULL;
	if (free_entries)
		free_entries = semundo__named[index].named.next_free;
	else
		used++;
	return &semundo__named[index];
}

static void free_entry(union named_entry *entry)
{
	store_release(&entry->named.sem, NULL);
	entry->named.next_free = free_entries;
	free_entries = (uint32_t)(entry - semundo__named) + 1;
}

/* The handle's entry, with one more open; takes over the reference. */
static int enter(semundo_sem_t **ret, semundo_t *sem)
{
	const union named_entry key = { .named = { .sem = sem } };
	union named_entry *const *found = tfind(&key, &tree, compare);
	union named_entry *entry = found ? *found : take_entry();
	if (!entry)
		return semundo__fail(-EMFILE, "this process has too many semaphores open (%u)",
		                     NAMED_MAX);
	if (!found) {
		entry->named.opens = 0;
		entry->named.sem = sem;
		if (!tsearch(entry, &tree, compare)) {
			free_entry(entry);
			return semundo__fail(-ENOMEM, "no memory for a semaphore");
		}
	}
	entry->named.opens++;
	*ret = &entry->face;
	return 0;
}

/* ---- open, close, unlink ------------------------------------------------------- */

static int open_native(semundo_t **ret, const char *name, const struct named_request *q)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	bool binary = (q->flags & OPEN_BINARY) && q->value == 1;
	o.kind = binary ? SEMUNDO_LOCK : SEMUNDO_SIGNAL;
	o.capacity = binary ? 1 : SEMUNDO_SIGNAL_MAX;
	o.value = binary ? 0 : q->value;
	o.mode = q->mode;
	unsigned flags = binary ? q->flags : q->flags & ~OPEN_BINARY;
	semundo__big_lock();
	int r = semundo__native.open(ret, name, flags, 0, &o);
	semundo__big_unlock();
	if (!r && (*ret)->kind != SEMUNDO_SIGNAL && !semundo__is_binary(*ret)) {
		semundo_close(*ret);
		r = semundo__fail(-EINVAL,
		                  "cannot open semaphore '%s' with sem_open: it is there, as a lock or "
		                  "permits", name);
	}
	return r;
}

/* What has that name is nothing that sem_open(3) could open. */
static int as_posix(int r)
{
	return r == -EUCLEAN || r == -ENOEXEC || r == -ENOTSUP ? -EINVAL : r;
}

int semundo__named_open(semundo_sem_t **ret, const struct named_request *q)
{
	char name[SEMUNDO_NAME_MAX + 1];
	semundo_t *sem;
	int state;
	int r = native_name(name, q->name);
	if (r)
		return r;
	begin(&state);
	r = open_native(&sem, name, q);
	if (!r) {
		r = enter(ret, sem);
		if (r)
			semundo_close(sem);
	}
	end(state);
	return as_posix(r);
}

static int close_entry(union named_entry *entry)
{
	semundo_t *sem = entry->named.sem;
	if (!sem || (uintptr_t)entry % sizeof(*entry) != (uintptr_t)semundo__named % sizeof(*entry))
		return semundo__fail(-EINVAL, "that is no open semaphore");
	if (--entry->named.opens == 0) {
		if (semundo__is_binary(sem))
			semundo__binary_abandon(sem);
		tdelete(entry, &tree, compare);
		free_entry(entry);
	}
	return semundo_close(sem);
}

int semundo__named_close(semundo_sem_t *face)
{
	int state;
	begin(&state);
	int r = close_entry((union named_entry *)face);
	end(state);
	return r;
}

int semundo__named_unlink(const char *posix_name)
{
	char name[SEMUNDO_NAME_MAX + 1];
	int r = native_name(name, posix_name);
	if (r)
		return r == -EINVAL ? -ENOENT : r; /* there cannot be one */
	semundo__big_lock();
	r = semundo__native.unlink(name, NULL);
	semundo__big_unlock();
	if (r == -EPERM)
		return -EACCES; /* a sticky directory */
	return as_posix(r);
}

/* ---- the end of the process -------------------------------------------------------- */

#define LOCK_TRIES 50

/* Another thread has the lock for moments only. If this thread has it, and is
 * in a signal handler, we end as if killed. */
static bool try_lock_table(void)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (pthread_mutex_trylock(&table_lock) == 0)
			return true;
		semundo__pause(NSEC_PER_MSEC);
	}
	return false;
}

void semundo__named_abandon_all(void)
{
	if (load_relaxed(&used) == 0 || !try_lock_table())
		return;
	for (uint32_t i = 0; i < used; i++) {
		semundo_t *sem = semundo__named[i].named.sem;
		if (sem && semundo__is_binary(sem))
			semundo__binary_abandon(sem);
	}
	unlock_table();
}
