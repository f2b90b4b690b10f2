/* SPDX-License-Identifier: Apache-2.0 */
/* What the survivors can see, while the victim stands still. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash.h"
#include "native.h"

#define PAGE 4096u
#define PEER_BYTES sizeof(struct peer_file)
#define RECORDS_LOOKED_AT 128u /* few processes take the first ones */
#define PEER_LOOKS (offsetof(struct peer_file, record) + 128 * sizeof(struct peer_record))

bool has_flag(const struct trial *t)
{
	return load_acquire(&native(t->sem)->file->state) & FLAGS_WAIT;
}

static uint32_t slots(const struct trial *t)
{
	return semundo__native_slots(native(t->sem));
}

static bool is_slot_of(const struct trial *t, uint32_t slot, pid_t pid)
{
	const struct sem_slot *s = &native(t->sem)->file->slot[slot];
	return load_acquire(&s->owner) != OWNER_FREE && load_acquire(&s->pid) == (uint32_t)pid;
}

unsigned held_by_pid(const struct trial *t, pid_t pid)
{
	uint64_t s = load_acquire(&native(t->sem)->file->state);
	unsigned held = 0;
	for (uint32_t slot = SLOT_FIRST; slot < slots(t); slot++)
		if (is_slot_of(t, slot, pid))
			held += semundo__native_held_by(native(t->sem), slot, s);
	return held;
}

static bool is_attached(const struct trial *t, pid_t pid)
{
	for (uint32_t slot = SLOT_FIRST; slot < slots(t); slot++)
		if (is_slot_of(t, slot, pid))
			return true;
	return false;
}

static uint32_t name_leads_to(const struct trial *t)
{
	char path[256];
	struct stat st;
	snprintf(path, sizeof(path), "%s/semundo.s", t->dir);
	if (stat(path, &st) < 0)
		return 0;
	return !t->sem || (uint64_t)st.st_ino != native(t->sem)->base.inode ? 2 : 1;
}

void look(const struct trial *t, pid_t victim, struct view *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->named = name_leads_to(t);
	if (!t->sem)
		return;
	uint64_t s = load_acquire(&native(t->sem)->file->state);
	ret->capacity = t->op->kind == SEMUNDO_PERMITS ?
		semundo__permits_capacity(native(t->sem), s) : 1;
	ret->held = held_by_pid(t, victim);
	ret->attached = is_attached(t, victim);
	pid_t dead = t->actor[DEAD].pid;
	ret->dead = dead ? 2 * held_by_pid(t, dead) + is_attached(t, dead) : 0;
}

bool same_view(const struct view *a, const struct view *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool adds_up(struct trial *t, const char *when)
{
	struct semundo_info info = { .size = sizeof(info) };
	if (semundo_info(t->sem, &info) < 0)
		return fail(t, "%s: %s", when, semundo_error());
	if (t->op->kind == SEMUNDO_SIGNAL)
		return true;
	if (info.value + (int64_t)info.held != (int64_t)info.capacity)
		return fail(t, "%s: value %lld + held %llu != capacity %u", when,
		            (long long)info.value, (unsigned long long)info.held, info.capacity);
	return true;
}

/* ---- changes ---- */

static int open_peers(const struct trial *t)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/semundo-peers.%u", t->dir, (unsigned)geteuid());
	return open(path, O_RDONLY | O_CLOEXEC);
}

static const void *map_peers(const struct trial *t)
{
	int fd = open_peers(t);
	if (fd < 0)
		return NULL;
	void *map = mmap(NULL, PEER_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static bool differs(void *known, const void *now, size_t size)
{
	if (memcmp(known, now, size) == 0)
		return false;
	memcpy(known, now, size);
	return true;
}

/* What outlives a process, but for files and locks, which need system calls:
 * the two files' memory, and its robust list. */
bool memory_changed(const struct trial *t, pid_t victim)
{
	static char page[PAGE], peers[PEER_LOOKS];
	static uint64_t robust[3];
	static const void *map;
	uint64_t list[3];
	bool changed = t->sem && differs(page, native(t->sem)->file, sizeof(page));
	step_robust_list(victim, list);
	changed |= differs(robust, list, sizeof(robust));
	if (!map)
		map = map_peers(t);
	return (map && differs(peers, map, sizeof(peers))) || changed;
}

int live_records(const struct trial *t)
{
	int fd = open_peers(t);
	int live = 0;
	if (fd < 0)
		return -1;
	for (uint32_t record = 0; record < RECORDS_LOOKED_AT; record++) {
		off_t offset = (off_t)(offsetof(struct peer_file, record) +
		                       record * sizeof(struct peer_record));
		struct flock lock = { .l_type = F_RDLCK, .l_start = offset, .l_len = 1 };
		if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			live++;
	}
	close(fd);
	return live;
}

/* ---- what no public function does alone ---- */

void attach_only(semundo_t *sem)
{
	if (semundo__native_attach(native(sem)) < 0) {
		fprintf(stderr, "%s\n", semundo_error());
		_exit(3);
	}
}

/* As if so many live processes were attached: all of them the keeper. */
void fill_slots(struct trial *t)
{
	struct native_sem *sem = native(t->sem);
	for (uint32_t slot = SLOT_FIRST; slot < slots(t); slot++)
		if (load_relaxed(&sem->file->slot[slot].owner) == OWNER_FREE)
			store_relaxed(&sem->file->slot[slot].owner, sem->att->owner);
}
