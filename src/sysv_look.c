/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at System V semaphores, and who may only look. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "observer.h"
#include "sysv.h"

int semundo__sysv_count(const struct sysv_sem *sem, int command, unsigned short number)
{
	int r = semctl(sem->id, number, command);
	return r < 0 ? -errno : r;
}

static unsigned short value_number(const struct sysv_sem *sem)
{
	return sem->raw ? sem->number : SYSV_VALUE;
}

int semundo__sysv_value(semundo_t *base, int64_t *ret)
{
	struct sysv_sem *sem = sysv(base);
	int r = semundo__sysv_count(sem, GETVAL, value_number(sem));
	if (r < 0)
		return semundo__sysv_fail(sem, r);
	*ret = r;
	return 0;
}

static int held(semundo_t *base, unsigned *ret)
{
	*ret = load_acquire(&sysv(base)->user->held);
	return 0;
}

/* ---- info --------------------------------------------------------------------------- */

static void copy_permissions(struct semundo_info *info, const struct semid_ds *set)
{
	info->mode = (uint32_t)set->sem_perm.mode & 0777;
	info->uid = (uint32_t)set->sem_perm.uid;
}

static int own_info(const struct sysv_sem *sem, struct semundo_info *info)
{
	unsigned short values[SYSV_COUNT];
	struct semid_ds set;
	int r = semundo__sysv_values(sem->id, values, &set);
	if (r)
		return r;
	bool has_undo = sysv_has_undo(sem);
	info->value = values[SYSV_VALUE];
	info->capacity = sem->capacity;
	if (has_undo && sem->capacity > values[SYSV_VALUE])
		info->held = sem->capacity - values[SYSV_VALUE];
	info->peers = values[SYSV_USERS];
	info->recovered = has_undo && values[SYSV_LOST] > 0;
	info->created = sem->created;
	copy_permissions(info, &set);
	return 0;
}

static int raw_info(const struct sysv_sem *sem, struct semundo_info *info)
{
	struct semid_ds set = { 0 };
	union semun u = { .buf = &set };
	if (semctl(sem->id, 0, IPC_STAT, u) < 0)
		return -errno;
	int value = semundo__sysv_count(sem, GETVAL, sem->number);
	info->value = value;
	info->capacity = SYSV_VALUE_MAX;
	copy_permissions(info, &set);
	return value < 0 ? value : 0;
}

static int look(semundo_t *base, struct semundo_info *ret)
{
	struct sysv_sem *sem = sysv(base);
	struct semundo_info info = { .size = ret->size };
	int r = sem->raw ? raw_info(sem, &info) : own_info(sem, &info);
	int waiters = r ? r : semundo__sysv_count(sem, GETNCNT, value_number(sem));
	if (waiters < 0)
		return semundo__sysv_fail(sem, waiters);
	memcpy(info.name, base->name, sizeof(info.name));
	snprintf(info.engine, sizeof(info.engine), "%s", base->engine->name);
	info.kind = base->kind;
	info.waiters = (uint32_t)waiters;
	info.inode = (uint64_t)(uint32_t)sem->id;
	*ret = info;
	return 0;
}

/* ---- what the kernel does not tell or do ------------------------------------------------ */

static int lacks(const semundo_t *base, const char *what)
{
	return semundo__fail(-ENOTSUP, "'%s' is a System V semaphore, %s", semundo__name_of(base),
	                     what);
}

static int peers(semundo_t *base, struct semundo_peer **ret)
{
	(void)ret;
	return lacks(base, "of which the kernel does not tell who holds it and who waits");
}

static int deaths(semundo_t *base, struct semundo_death *ret, unsigned max)
{
	(void)ret;
	(void)max;
	return lacks(base, "of which the kernel does not tell who died");
}

static int resize(semundo_t *base, unsigned capacity)
{
	(void)capacity;
	return lacks(base, "which keeps the capacity that it was made with");
}

/* The kernel has undone all the dead at their deaths. */
static int recover(semundo_t *base)
{
	(void)base;
	return 0;
}

static int descriptor(semundo_t *base, int *ret_fd)
{
	(void)ret_fd;
	return lacks(base, "which has no descriptor");
}

static int describe(semundo_t *base, pid_t for_pid, const char *command)
{
	(void)for_pid;
	(void)command;
	return lacks(base, "which does not show who holds it");
}

const struct sem_ops semundo__sysv_ops = {
	.acquire_forever = semundo__acquire_slowly,
	.try_acquire = semundo__sysv_try,
	.acquire = semundo__sysv_acquire,
	.release = semundo__sysv_release,
	.wait_idle = semundo__sysv_wait_idle,
	.resize = resize,
	.value = semundo__sysv_value,
	.held = held,
	.info = look,
	.peers = peers,
	.deaths = deaths,
	.recover = recover,
	.descriptor = descriptor,
	.hold_descriptor = descriptor,
	.describe = describe,
	.destroy = semundo__sysv_destroy,
	.tell_again = semundo__sysv_tell_again,
	.forked = semundo__sysv_forked,
};

/* ---- who may only look ---------------------------------------------------------------- */

const struct sem_ops semundo__sysv_observer_ops = {
	.acquire_forever = semundo__acquire_slowly,
	.try_acquire = semundo__observer_try,
	.acquire = semundo__observer_acquire,
	.release = semundo__observer_number,
	.wait_idle = semundo__observer_wait_idle,
	.resize = semundo__observer_number,
	.value = semundo__sysv_value,
	.held = held,
	.info = look,
	.peers = peers,
	.deaths = deaths,
	.recover = semundo__observer_recover,
	.descriptor = descriptor,
	.hold_descriptor = semundo__observer_descriptor,
	.describe = semundo__observer_describe,
	.destroy = semundo__sysv_destroy,
};
