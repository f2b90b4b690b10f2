/* SPDX-License-Identifier: Apache-2.0 */
/* Looking: value, info, who holds and who waits, who died. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "native_binary.h"
#include "native_lane.h"
#include "observer.h"

int semundo__native_value(semundo_t *base, int64_t *ret)
{
	struct native_sem *sem = native(base);
	*ret = available(sem, load_acquire(&sem->file->state));
	return 0;
}

#define READ_TRIES 1000

/* Units of a slot, read while the state stood still (if it ever does). */
static uint32_t held_by(struct native_sem *sem, uint32_t slot)
{
	uint32_t held = 0;
	for (int i = 0; i < READ_TRIES; i++) {
		uint64_t s = load_acquire(&sem->file->state);
		held = semundo__native_held_by(sem, slot, s);
		if (load_acquire(&sem->file->state) == s)
			break;
	}
	return held;
}

int semundo__native_held(semundo_t *base, unsigned *ret)
{
	struct native_sem *sem = native(base);
	uint32_t slot = load_acquire(&sem->att->slot);
	*ret = slot ? held_by(sem, slot) : 0;
	return 0;
}

/* ---- info -------------------------------------------------------------------------- */

static void count_slot(struct native_sem *sem, uint32_t slot, struct semundo_info *info)
{
	struct sem_slot *s = &sem->file->slot[slot];
	uint64_t owner = load_acquire(&s->owner);
	if (owner == OWNER_FREE)
		return;
	if (semundo__alive(sem->dir, semundo__native_user(sem, owner), owner) == SEMUNDO_DEAD ||
	    (owner & OWNER_CONDITION) == OWNER_RECOVERING)
		info->dead++;
	else
		info->waiters += load_relaxed(&s->waiting);
	info->peers++;
}

/* The file's owner and mode, if its name still leads to it. */
static void file_facts(struct native_sem *sem, struct semundo_info *info)
{
	char path[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof(path), "%s/semundo.%s", sem->dir->path, sem->base.name);
	int r = sem->fd >= 0 ? fstat(sem->fd, &st) : lstat(path, &st);
	if (r < 0 || (uint64_t)st.st_ino != sem->base.inode)
		return;
	info->mode = (uint32_t)st.st_mode & 07777;
	info->uid = (uint32_t)st.st_uid;
}

static void count_units(struct native_sem *sem, struct semundo_info *info)
{
	uint32_t slots = semundo__native_slots(sem);
	for (int i = 0; i < READ_TRIES; i++) {
		uint64_t s = load_acquire(&sem->file->state);
		info->value = available(sem, s);
		info->recovered = (s & FLAG_DIRTY) != 0;
		info->capacity = sem->base.kind == SEMUNDO_LOCK ? 1 :
			sem->base.kind == SEMUNDO_SIGNAL ? load_relaxed(&sem->file->head.max) :
			semundo__permits_capacity(sem, s);
		info->kind = sem->base.kind;
		if (semundo__binary_is_signal(sem, s)) {
			info->kind = SEMUNDO_SIGNAL;
			info->capacity = (uint32_t)VALUE_MAX;
		}
		info->held = 0;
		for (uint32_t slot = SLOT_FIRST; slot < slots; slot++)
			info->held += semundo__native_held_by(sem, slot, s);
		if (load_acquire(&sem->file->state) == s)
			return;
	}
}

int semundo__native_info(semundo_t *base, struct semundo_info *ret)
{
	struct native_sem *sem = native(base);
	struct semundo_info info = { .size = ret->size };
	uint32_t slots = semundo__native_slots(sem);
	memcpy(info.name, base->name, sizeof(info.name));
	snprintf(info.engine, sizeof(info.engine), "%s", base->engine->name);
	info.deaths = load_acquire(&sem->file->deaths);
	info.inode = sem->base.inode;
	info.created = sem->file->head.created;
	count_units(sem, &info);
	for (uint32_t slot = SLOT_FIRST; slot < slots; slot++)
		count_slot(sem, slot, &info);
	file_facts(sem, &info);
	*ret = info;
	return 0;
}

/* ---- peers -------------------------------------------------------------------------- */

static void copy_record(struct semundo_peer *p, const struct peer_record *record)
{
	p->pid = (pid_t)load_relaxed(&record->pid);
	p->for_pid = (pid_t)load_relaxed(&record->for_pid);
	p->start_time = load_relaxed(&record->start_time);
	p->pid_namespace = load_relaxed(&record->pid_namespace);
	memcpy(p->command, record->command, sizeof(p->command));
	p->command[sizeof(p->command) - 1] = '\0';
}

static void describe_slot(struct native_sem *sem, uint32_t slot, uint64_t owner,
                          struct semundo_peer *p)
{
	const struct sem_slot *s = &sem->file->slot[slot];
	uint64_t user = semundo__native_user(sem, owner);
	bool recovering = (owner & OWNER_CONDITION) == OWNER_RECOVERING;
	const struct peer_record *record =
		recovering ? NULL : semundo__record(sem->dir, user, owner);
	p->pid = (pid_t)load_relaxed(&s->pid);
	p->uid = load_relaxed(&s->uid);
	p->alive = recovering ? SEMUNDO_DEAD : (uint32_t)semundo__alive(sem->dir, user, owner);
	p->is_self = slot == load_relaxed(&sem->att->slot);
	p->held = held_by(sem, slot);
	p->waiting = load_relaxed(&s->waiting);
	p->wanted = p->waiting ? load_relaxed(&s->wanted) : 0;
	p->waiting_since = p->waiting ? load_relaxed(&s->waiting_since) : 0;
	p->attached_since = load_relaxed(&s->attached);
	if (record)
		copy_record(p, record);
}

int semundo__native_peers(semundo_t *base, struct semundo_peer **ret)
{
	struct native_sem *sem = native(base);
	struct semundo_peer *first = NULL, **end = &first;
	uint32_t slots = semundo__native_slots(sem);
	for (uint32_t slot = SLOT_FIRST; slot < slots; slot++) {
		uint64_t owner = load_acquire(&sem->file->slot[slot].owner);
		if (owner == OWNER_FREE)
			continue;
		struct semundo_peer *p = calloc(1, sizeof(*p));
		if (!p) {
			semundo_peers_free(first);
			return semundo__fail(-ENOMEM, "cannot list the peers of '%s': no memory",
			                     semundo__name_of(base));
		}
		describe_slot(sem, slot, owner, p);
		*end = p;
		end = &p->next;
	}
	*ret = first;
	return 0;
}

/* ---- deaths -------------------------------------------------------------------------- */

int semundo__native_deaths(semundo_t *base, struct semundo_death *ret, unsigned max)
{
	struct native_sem *sem = native(base);
	uint64_t last = load_acquire(&sem->file->deaths);
	unsigned count = 0;
	for (unsigned back = 0; back < KEPT_DEATHS && back < last && count < max; back++) {
		uint64_t number = last - back;
		const struct sem_death *d = &sem->file->death[number % KEPT_DEATHS];
		uint64_t key = load_acquire(&d->key);
		if (key >> 38 != (number & DEATH_NUMBER_MASK))
			continue;
		ret[count++] = (struct semundo_death){
			.number = number,
			.pid = (pid_t)(key & 0x3fffff),
			.uid = load_relaxed(&d->uid),
			.units = (uint32_t)(key >> 22) & 0xffff,
			.when = load_relaxed(&d->when),
		};
	}
	return (int)count;
}

/* ---- this process ---------------------------------------------------------------------- */

/* The lock's own description, kept since joining; a copy of its descriptor
 * keeps the lock. */
int semundo__native_hold_descriptor(semundo_t *base, int *ret_fd)
{
	struct native_sem *sem = native(base);
	struct membership *m = sem->dir->member;
	semundo__big_lock();
	int r = semundo__join(sem->dir, true);
	if (!r && !m->lock_fd)
		r = semundo__fail(-EBUSY,
		                  "cannot hold '%s' beyond this process: it has joined '%s' already; "
		                  "ask before its first acquire",
		                  semundo__name_of(base), sem->dir->path);
	int fd = r ? -1 : fcntl(m->lock_fd, F_DUPFD_CLOEXEC, 3);
	if (!r && fd < 0)
		r = semundo__fail(-errno, "cannot copy the hold descriptor of '%s': %s",
		                  semundo__name_of(base), strerror(errno));
	semundo__big_unlock();
	if (!r)
		*ret_fd = fd;
	return r;
}

int semundo__native_describe(semundo_t *base, pid_t for_pid, const char *command)
{
	struct native_sem *sem = native(base);
	semundo__big_lock();
	int r = semundo__join(sem->dir, false);
	if (!r) {
		struct peer_record *own = sem->dir->member->own;
		store_relaxed(&own->for_pid, (uint32_t)for_pid);
		if (command)
			snprintf(own->command, sizeof(own->command), "%s", command);
	}
	semundo__big_unlock();
	return r;
}

/* ---- who may only look ------------------------------------------------------------------ */

const struct sem_ops semundo__observer_ops = {
	.acquire_forever = semundo__acquire_slowly,
	.try_acquire = semundo__observer_try,
	.acquire = semundo__observer_acquire,
	.release = semundo__observer_number,
	.wait_idle = semundo__observer_wait_idle,
	.resize = semundo__observer_number,
	.value = semundo__native_value,
	.held = semundo__native_held,
	.info = semundo__native_info,
	.peers = semundo__native_peers,
	.deaths = semundo__native_deaths,
	.recover = semundo__observer_recover,
	.descriptor = semundo__native_descriptor,
	.hold_descriptor = semundo__observer_descriptor,
	.describe = semundo__observer_describe,
	.destroy = semundo__native_destroy,
};
