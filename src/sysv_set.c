/* SPDX-License-Identifier: Apache-2.0 */
/* A System V set: making, checking, coming and leaving. */
#include "sysv.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/wait.h"

#define DIGIT_BITS 15 /* of one semaphore, whose value is at most 32767 */
#define DIGIT_MASK 0x7fffu
#define TOKEN_DIGITS (SYSV_DIRECTORY - SYSV_TOKEN)
#define DIRECTORY_DIGITS (SYSV_COUNT - SYSV_DIRECTORY)

static int operate(int id, struct sembuf *operations, size_t count)
{
	int r;
	do
		r = semundo__sysv_operate(id, operations, count, NEVER);
	while (r == -EINTR);
	return r;
}

/* ---- what is written into a set --------------------------------------------- */

static void put_digits(unsigned short *to, unsigned count, uint64_t number)
{
	for (unsigned i = 0; i < count; i++)
		to[i] = (unsigned short)(number >> (i * DIGIT_BITS) & DIGIT_MASK);
}

static bool has_digits(const unsigned short *at, unsigned count, uint64_t number)
{
	for (unsigned i = 0; i < count; i++)
		if (at[i] != (number >> (i * DIGIT_BITS) & DIGIT_MASK))
			return false;
	return true;
}

/* Tells sets of one directory from those of others; 45 bits of it are kept. */
static uint64_t directory_number(const struct directory *dir)
{
	struct stat st;
	if (stat(dir->path, &st) < 0)
		return 0;
	uint64_t x = ((uint64_t)st.st_ino ^ (uint64_t)st.st_dev << 32) + UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

bool semundo__sysv_has_token(const unsigned short *values, uint64_t token)
{
	return values[SYSV_MAGIC] == SYSV_MAGIC_VALUE &&
	       has_digits(values + SYSV_TOKEN, TOKEN_DIGITS, token);
}

bool semundo__sysv_is_of(const unsigned short *values, const struct directory *dir)
{
	return values[SYSV_MAGIC] == SYSV_MAGIC_VALUE &&
	       has_digits(values + SYSV_DIRECTORY, DIRECTORY_DIGITS, directory_number(dir));
}

static void fill(unsigned short *values, const struct sysv_file *file, const struct directory *dir,
                 uint32_t first)
{
	memset(values, 0, SYSV_COUNT * sizeof(*values));
	values[SYSV_VALUE] = (unsigned short)first;
	values[SYSV_NAMED] = 1;
	values[SYSV_ROOM] = (unsigned short)(file->capacity - first);
	values[SYSV_MAGIC] = SYSV_MAGIC_VALUE;
	values[SYSV_KIND] = (unsigned short)file->kind;
	values[SYSV_CAPACITY] = (unsigned short)file->capacity;
	put_digits(values + SYSV_TOKEN, TOKEN_DIGITS, file->token);
	put_digits(values + SYSV_DIRECTORY, DIRECTORY_DIGITS, directory_number(dir));
}

/*
 * Two states only: all zeroes, or complete, since SETALL is one call. Killed
 * in here: nobody has heard of the set, and its key is in the file without a
 * name that the creator had locked, from which semundo_gc() finds it.
 */
int semundo__sysv_make(const struct sysv_file *file, const struct sysv_request *q, int *ret_id)
{
	unsigned short values[SYSV_COUNT];
	union semun u = { .array = values };
	bool is_signal = file->kind == SEMUNDO_SIGNAL;
	fill(values, file, q->dir, is_signal ? q->options->value : file->capacity);
	int id = semget((key_t)file->key, SYSV_COUNT,
	                IPC_CREAT | IPC_EXCL | (int)(q->options->mode | 0600));
	if (id < 0)
		return -errno;
	POINT("sysv:made");
	int r = semctl(id, 0, SETALL, u) < 0 ? -errno : 0;
	POINT("sysv:filled");
	if (!r)
		r = semundo__sysv_attach(id, true);
	if (r) {
		semctl(id, 0, IPC_RMID);
		return r;
	}
	POINT("sysv:attached");
	*ret_id = id;
	return 0;
}

/* ---- checking --------------------------------------------------------------- */

/* The size is asked for first: GETALL writes as many as there are. An id is
 * not given again before all others were. */
int semundo__sysv_values(int id, unsigned short values[SYSV_COUNT], struct semid_ds *ret)
{
	struct semid_ds set = { 0 };
	union semun u = { .buf = &set };
	if (semctl(id, 0, IPC_STAT, u) < 0)
		return errno == EINVAL ? -EIDRM : -errno;
	if (set.sem_nsems != SYSV_COUNT)
		return -EIDRM;
	u.array = values;
	if (semctl(id, 0, GETALL, u) < 0)
		return errno == EINVAL ? -EIDRM : -errno;
	if (ret)
		*ret = set;
	return 0;
}

int semundo__sysv_check(const struct sysv_file *file, const struct stat *st,
                        unsigned short values[SYSV_COUNT])
{
	struct semid_ds set = { 0 };
	int r = semundo__sysv_values(file->id, values, &set);
	if (r)
		return r;
	if (!semundo__sysv_has_token(values, file->token) || set.sem_perm.cuid != st->st_uid)
		return -EIDRM;
	return 0;
}

/* ---- coming and leaving -------------------------------------------------------- */

int semundo__sysv_attach(int id, bool by_name)
{
	struct sembuf operations[] = {
		{ SYSV_NAMED, -1, IPC_NOWAIT },
		{ SYSV_NAMED, 1, 0 },
		{ SYSV_USERS, 1, SEM_UNDO },
	};
	int r = by_name ? operate(id, operations, 3) : operate(id, operations + 2, 1);
	return r == -EINVAL ? -EIDRM : r;
}

/*
 * One of three must be true at any moment, and each of them is tested and
 * acted on in one operation: I am the last one and there is no name, then
 * nobody can come and the set goes; I am not the last; there is a name.
 */
void semundo__sysv_leave(int id)
{
	struct sembuf last[] = {
		{ SYSV_USERS, -1, SEM_UNDO | IPC_NOWAIT },
		{ SYSV_USERS, 0, IPC_NOWAIT },
		{ SYSV_NAMED, 0, IPC_NOWAIT },
	};
	struct sembuf one_of_many[] = {
		{ SYSV_USERS, -1, SEM_UNDO | IPC_NOWAIT },
		{ SYSV_USERS, -1, IPC_NOWAIT },
		{ SYSV_USERS, 1, 0 },
	};
	struct sembuf named[] = {
		{ SYSV_NAMED, -1, IPC_NOWAIT },
		{ SYSV_NAMED, 1, 0 },
		{ SYSV_USERS, -1, SEM_UNDO | IPC_NOWAIT },
	};
	int r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < 1000; i++) {
		r = operate(id, last, 3);
		if (r == 0) {
			POINT("sysv:last");
			semctl(id, 0, IPC_RMID); /* killed before: semundo_gc() */
			return;
		}
		if (r == -EAGAIN)
			r = operate(id, one_of_many, 3);
		if (r == -EAGAIN)
			r = operate(id, named, 3);
	}
}

int semundo__sysv_retire(int id)
{
	struct sembuf operation = { SYSV_NAMED, -1, IPC_NOWAIT };
	int r = operate(id, &operation, 1);
	return r == -EAGAIN || r == -EINVAL || r == -EIDRM ? 0 : r;
}

int semundo__sysv_remove_unused(int id)
{
	struct sembuf operations[] = {
		{ SYSV_USERS, 0, IPC_NOWAIT },
		{ SYSV_NAMED, 0, IPC_NOWAIT },
	};
	int r = operate(id, operations, 2);
	if (r == -EAGAIN)
		return -EBUSY;
	if (r == -EINVAL || r == -EIDRM)
		return 0;
	if (!r && semctl(id, 0, IPC_RMID) < 0 && errno != EINVAL && errno != EIDRM)
		r = -errno;
	return r;
}
