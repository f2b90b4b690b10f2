/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHER_UID 64242u
#define FIRST_BYTES 4096u

struct world world;
static char directory[128];

static void fail(const char *what)
{
	perror(what);
	abort();
}

static void path_of(char *ret, size_t size, const char *name)
{
	snprintf(ret, size, "%s/%s", directory, name);
}

/* ---- files ---- */

static void *map(const char *name, size_t size, int *ret_fd)
{
	char path[256];
	path_of(path, sizeof(path), name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	if (ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return p;
}

static struct peer_file *map_peers(uint32_t uid)
{
	char name[64];
	snprintf(name, sizeof(name), "semundo-peers.%u", uid);
	return map(name, sizeof(struct peer_file), NULL);
}

static void fill_head(struct sem_file *f, uint32_t kind, uint32_t capacity)
{
	f->head.magic = SEM_MAGIC;
	f->head.version = LAYOUT_VERSION;
	f->head.fingerprint = LAYOUT_FINGERPRINT;
	f->head.kind = kind;
	f->head.max = capacity;
	f->slots = (FIRST_BYTES - SEM_SLOTS_OFFSET) / sizeof(struct sem_slot);
	f->users[0] = world.user[0];
	f->users[1] = world.user[1];
}

void world_reset(uint32_t kind, uint32_t capacity)
{
	static struct sem_file f; /* all zeroes but for what is written here */
	fill_head(&f, kind, capacity);
	if (kind == SEMUNDO_SIGNAL)
		f.state = signal_make(capacity / 2, 0, 0);
	else
		f.state = state_make((int32_t)capacity, 0, SLOT_NOBODY, 0);
	f.slot[SLOT_CAPACITY].lane = kind == SEMUNDO_PERMITS ? lane_make(capacity, capacity, 0) : 0;
	if (ftruncate(world.fd, 0) || ftruncate(world.fd, (off_t)sizeof(f)) ||
	    pwrite(world.fd, &f, FIRST_BYTES, 0) != (ssize_t)FIRST_BYTES)
		fail("semaphore file");
}

uint8_t *world_bytes(unsigned file, uint32_t *ret_size)
{
	*ret_size = file == FILE_SEM ? sizeof(struct sem_file) : sizeof(struct peer_file);
	if (file == FILE_SEM)
		return (uint8_t *)world.sem;
	return (uint8_t *)(file == FILE_OWN ? world.own : world.other);
}

bool world_is_own_alarm(unsigned file, uint32_t offset, uint32_t size)
{
	uint32_t start = (uint32_t)offsetof(struct peer_file, record) +
		owner_record(world.owner[OWNER_SELF]) * (uint32_t)sizeof(struct peer_record) +
		(uint32_t)offsetof(struct peer_record, alarm);
	return file == FILE_OWN && offset + size > start && offset < start + ALARM_SPACE;
}

/* ---- peers ---- */

static semundo_t *open_template(unsigned flags)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	options.kind = SEMUNDO_PERMITS;
	options.capacity = 100;
	options.mode = 0666;
	if (semundo_open(&sem, "template", flags, &options) < 0 ||
	    semundo_acquire_timed(sem, 1, 0) < 0) {
		fputs(semundo_error(), stderr);
		abort();
	}
	return sem;
}

static void be_peer(uint32_t uid, int ready, bool stays, pid_t parent)
{
	if (uid != (uint32_t)geteuid() && setresuid(uid, uid, uid) < 0)
		fail("setresuid");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	open_template(0);
	if (stays) {
		close(ready);
		for (;;)
			pause();
	}
	_exit(0);
}

/* A process that attaches to the template, and stays or ends. */
static void make_peer(uint32_t uid, bool stays)
{
	int ready[2];
	char nothing;
	pid_t parent = getpid();
	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("pipe");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0)
		be_peer(uid, ready[1], stays, parent);
	close(ready[1]);
	if (read(ready[0], &nothing, 1) != 0)
		abort();
	close(ready[0]);
	if (!stays)
		waitpid(child, NULL, 0);
}

/* Slots are taken in turn, so the n-th peer is in the n-th. */
static void make_peers(void)
{
	uint32_t uid = (uint32_t)geteuid(), other = uid == 0 ? OTHER_UID : uid;
	semundo_t *sem = open_template(SEMUNDO_CREATE);
	make_peer(uid, false);
	make_peer(uid, true);
	make_peer(other, false);
	make_peer(other, true);
	struct sem_file *template = map("semundo.template", sizeof(struct sem_file), NULL);
	if (!template)
		fail("template");
	for (unsigned i = 0; i < OWNERS; i++)
		world.owner[i] = template->slot[SLOT_FIRST + i].owner;
	world.user[0] = template->users[0];
	world.user[1] = template->users[1];
	munmap(template, sizeof(struct sem_file));
	semundo_close(sem);
	world.own = map_peers(uid);
	world.other = other == uid ? NULL : map_peers(other);
	if (!world.own || (other != uid && !world.other))
		fail("peer files");
}

/* Under FUZZ_DIRECTORY, which whoever sets it removes. */
void world_make(void)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	const char *base = getenv("FUZZ_DIRECTORY");
	semundo_t *sem;
	snprintf(directory, sizeof(directory), "%s/world.XXXXXX", base ? base : "/dev/shm");
	if (!mkdtemp(directory) || chmod(directory, 0777) || setenv("SEMUNDO_DIR", directory, 1))
		fail("directory");
	umask(0);
	make_peers();
	umask(022);
	if (semundo_open(&sem, FUZZ_NAME, SEMUNDO_CREATE, &options) < 0)
		abort();
	semundo_close(sem);
	world.sem = map("semundo." FUZZ_NAME, sizeof(struct sem_file), &world.fd);
	if (!world.sem)
		fail("semaphore");
}
