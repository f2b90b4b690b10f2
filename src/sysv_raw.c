/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A semaphore in a set that other programs made and know by its key:
 * "sysv:0x1234", or "sysv:0x1234.2" for number 2 of the set. It is opened, never
 * created or removed, and used as those programs do: plain semop(2) on it, with
 * SEM_UNDO where it is opened as PERMITS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "registry.h"
#include "sysv.h"
#include "wiped.h"

static bool parse(const char *name, uint32_t *ret_key, unsigned short *ret_number)
{
	char *end;
	size_t digits = strncmp(name, "0x", 2) == 0 ? strspn(name + 2, "0123456789abcdefABCDEF") : 0;
	if (digits < 1 || digits > 8)
		return false;
	*ret_key = (uint32_t)strtoul(name + 2, &end, 16);
	*ret_number = 0;
	if (*end == '\0')
		return true;
	size_t more = strspn(end + 1, "0123456789");
	if (*end != '.' || more < 1 || more > 5 || end[1 + more])
		return false;
	unsigned long number = strtoul(end + 1, NULL, 10);
	*ret_number = (unsigned short)number;
	return number <= UINT16_MAX;
}

bool semundo__sysv_is_raw(const char *name)
{
	uint32_t key;
	unsigned short number;
	return parse(name, &key, &number);
}

static int fail(const char *name, int r, const char *what)
{
	return semundo__fail(r, "cannot open System V semaphore '%s': %s", name, what);
}

static int check(const struct sysv_request *q, uint32_t key)
{
	if (q->flags & SEMUNDO_CREATE)
		return fail(q->name, -ENOTSUP, "sets of other programs are opened, not created; "
		                               "'ipcmk -S 1' makes one, or use a name");
	if (q->kind == SEMUNDO_LOCK)
		return fail(q->name, -ENOTSUP,
		            "what other programs do with it is not known: open it as a signal, or "
		            "as permits for SEM_UNDO");
	if (key == 0)
		return fail(q->name, -EINVAL, "the key 0 stands for private sets, which have none");
	return 0;
}

static int find_set(const struct sysv_request *q, uint32_t key, unsigned short number, int *ret_id)
{
	struct semid_ds set = { 0 };
	union semun u = { .buf = &set };
	int id = semget((key_t)key, 0, 0);
	if (id < 0 || semctl(id, 0, IPC_STAT, u) < 0)
		return fail(q->name, -errno, errno == ENOENT ? "no set has this key (see ipcs -s)" :
			                                       semundo__reason(-errno));
	if (number >= set.sem_nsems)
		return fail(q->name, -ENOENT, "the set has fewer semaphores (they count from 0)");
	*ret_id = id;
	return 0;
}

int semundo__sysv_open_raw(semundo_t **ret, const struct sysv_request *q)
{
	uint32_t key = 0;
	unsigned short number = 0;
	int id = -1, r;
	bool read_only = q->flags & SEMUNDO_OBSERVE, undo = q->kind == SEMUNDO_PERMITS;
	parse(q->name, &key, &number);
	r = check(q, key);
	if (!r)
		r = find_set(q, key, number, &id);
	if (r)
		return r;
	/* Never 0, which stands for sets with a name. */
	uint64_t device = UINT64_C(1) << 32 | (uint64_t)undo << 16 | number;
	semundo_t *there = semundo__registry_find(&semundo__sysv, device, (uint32_t)id, read_only);
	if (there) {
		there->references++;
		*ret = there;
		return 0;
	}
	struct sysv_sem *sem = semundo__sysv_handle(
		q->name, undo ? SEMUNDO_PERMITS : SEMUNDO_SIGNAL, read_only);
	if (!sem)
		return fail(q->name, -ENOMEM, "no memory");
	sem->id = id;
	sem->capacity = SYSV_VALUE_MAX;
	sem->raw = true;
	sem->raw_undo = undo;
	sem->number = number;
	sem->base.device = device;
	sem->base.inode = (uint32_t)id;
	if (semundo__registry_add(&sem->base) < 0) {
		semundo__wiped_free(sem->user);
		free(sem);
		return fail(q->name, -ENOMEM, "no memory");
	}
	*ret = &sem->base;
	return 0;
}
