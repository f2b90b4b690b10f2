/* SPDX-License-Identifier: Apache-2.0 */
/* Other users: friends, strangers and enemies. */
#include "common.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "layout.h"

#define ALICE 64001
#define BOB 64002
#define EVE 64003 /* not in the group */
#define GROUP 64010
#define OTHERS 64011

static int become(long uid)
{
	const gid_t group = uid == EVE ? OTHERS : GROUP;
	if (setgroups(1, &group) < 0 || setresgid(group, group, group) < 0 ||
	    setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0)
		return -errno;
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0; /* was cleared */
}

static int create_with_mode(long mode)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.capacity = 1;
	options.mode = (uint32_t)mode;
	return semundo_open(&sem, NAME, SEMUNDO_CREATE | SEMUNDO_EXCL, &options);
}

static void start_user(struct child *c, long uid)
{
	child_start(c);
	ck_assert_int_eq(child_does(c, become, uid), 0);
}

static void open_directory_to_all(void)
{
	need_root();
	ck_assert_int_eq(chmod(directory, 01777), 0);
}

/* Alice's semaphore, which we watch. */
static void alice_creates(struct child *alice, long mode)
{
	start_user(alice, ALICE);
	ck_assert_int_eq(child_does(alice, create_with_mode, mode), 0);
	ck_assert_int_eq(do_open(SEMUNDO_OBSERVE), 0);
}

/* ---- friends ---- */

START_TEST(shared_by_a_group)
{
	struct child alice, bob;
	open_directory_to_all();
	alice_creates(&alice, 0660);
	ck_assert_int_eq(child_does(&alice, do_acquire, 1), 0);
	start_user(&bob, BOB);
	ck_assert_int_eq(child_does(&bob, do_open, 0), 0);
	ck_assert_int_eq(child_does(&bob, do_try, 1), -EAGAIN);
	ck_assert_int_eq(child_does(&bob, do_recover, 0), 0);
	child_order(&bob, do_acquire, 1);
	await_waiters(1);
	ck_assert_int_eq(child_does(&alice, do_release, 1), 0);
	ck_assert_int_eq(child_result(&bob), 0);
	child_order(&alice, do_acquire, 1);
	await_waiters(1);
	expect_death_told(&bob, &alice, "another user's holder, by the owner");
	start_user(&bob, BOB);
	ck_assert_int_eq(child_does(&bob, do_open, 0), 0);
	child_order(&bob, do_acquire, 1);
	await_waiters(1);
	expect_death_told(&alice, &bob, "the owner, by another user");
	ck_assert_int_eq(child_does(&bob, do_release, 1), 0);
	ck_assert_int_eq((int)value(), 1);
	child_kill(&bob);
}
END_TEST

/* ---- strangers ---- */

static int is_refused(long flags)
{
	semundo_t *none;
	int r = semundo_open(&none, NAME, (unsigned)flags, NULL);
	return r == -EACCES && strstr(semundo_error(), "no permission") != NULL;
}

static const struct {
	long mode, uid;
} strangers[] = { { 0600, BOB }, { 0600, EVE }, { 0660, EVE } };

START_TEST(refused)
{
	struct child alice, stranger;
	open_directory_to_all();
	alice_creates(&alice, strangers[_i].mode);
	start_user(&stranger, strangers[_i].uid);
	ck_assert_int_eq(child_does(&stranger, is_refused, 0), 1);
	ck_assert_int_eq(child_does(&stranger, is_refused, SEMUNDO_CREATE), 1);
	ck_assert_int_eq(child_does(&stranger, is_refused, SEMUNDO_OBSERVE), 1);
	child_kill(&stranger);
	child_kill(&alice);
}
END_TEST

/* ---- enemies ----
 *
 * Eve holds a unit, root waits for it. Root maps her peer file for reading
 * only, from a descriptor for reading only, so nothing in it can be a mutex
 * that root locks or a list that root's C library or kernel walks: a robust
 * list begins in the thread's own memory and leads to what the thread locked.
 * The only mutex functions are called on the process's own record, in a file
 * that belongs to its effective user and that others may not write; a file
 * that Eve puts in root's place is refused. What is read of hers are numbers:
 * a generation, an offset that is bounded, a futex word that is slept on
 * (futex(2) with FUTEX_WAIT does not write). The trial fills her mutex with
 * poison and sees that root lives, that the file is as she left it, and that
 * root has no writable mapping of it.
 */

static const char *peers_of(unsigned uid)
{
	char name[64];
	snprintf(name, sizeof(name), "semundo-peers.%u", uid);
	return in_directory(name);
}

static struct peer_file *map_peers(unsigned uid, int access)
{
	int fd = open(peers_of(uid), access | O_CLOEXEC);
	void *map = mmap(NULL, sizeof(struct peer_file),
	                 PROT_READ | (access == O_RDWR ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static pid_t victim; /* root's process, which Eve knows of */

static void poison_pointers(struct peer_record *r)
{
	memset(r->alarm, 0xee, sizeof(r->alarm));
}

static void poison_owner_is_root(struct peer_record *r)
{
	uint32_t *word = (uint32_t *)((char *)r->alarm + r->alarm_offset % 64);
	memset(r->alarm, 0xee, sizeof(r->alarm));
	*word = (uint32_t)victim | FUTEX_WAITERS;
}

static void poison_rings(struct peer_record *r)
{
	for (size_t i = 0; i < sizeof(r->alarm) / 8; i++)
		r->alarm[i] = UINT64_C(0x4000000040000000) | UINT64_C(0x8000000080000000);
}

static void poison_offset(struct peer_record *r)
{
	poison_pointers(r);
	r->alarm_offset = ALARM_SPACE;
}

static void poison_far_offset(struct peer_record *r)
{
	poison_pointers(r);
	r->alarm_offset = UINT32_MAX - 7;
}

static void poison_odd_offset(struct peer_record *r)
{
	poison_pointers(r);
	r->alarm_offset = 13;
}

static void poison_facts(struct peer_record *r)
{
	poison_pointers(r);
	memset(r->command, 'x', sizeof(r->command));
	r->pid = 1;
	r->pid_namespace = r->start_time = UINT64_MAX;
}

static void (*const poisons[])(struct peer_record *) = {
	poison_pointers,   poison_owner_is_root, poison_rings, poison_offset,
	poison_far_offset, poison_odd_offset,    poison_facts,
};
#define POISONS ((int)(sizeof(poisons) / sizeof(poisons[0])))

static int poison_own_record(long which)
{
	struct peer_file *file = map_peers(EVE, O_RDWR);
	if (!file)
		return -errno;
	for (unsigned i = 0; i < MAX_RECORDS; i++)
		if (file->record[i].pid == (uint32_t)getpid()) {
			poisons[which](&file->record[i]);
			return 0;
		}
	return -ENOENT;
}

static bool maps_writable(unsigned uid)
{
	char line[600], name[64];
	bool found = false, writable = false;
	snprintf(name, sizeof(name), "semundo-peers.%u", uid);
	FILE *maps = fopen("/proc/self/maps", "re");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, name)) {
			found = true;
			writable |= strstr(line, " r--s ") == NULL;
		}
	fclose(maps);
	ck_assert(found);
	return writable;
}

static void look_at_everything(void)
{
	struct semundo_peer *list;
	ck_assert_int_eq(semundo_peers(sem, &list), 0);
	for (struct semundo_peer *p = list; p; p = p->next)
		ck_assert_int_lt((int)strnlen(p->command, sizeof(p->command)),
		                 (int)sizeof(p->command));
	semundo_peers_free(list);
	ck_assert_int_eq((int)info().held, 1);
}

START_TEST(hostile_peer_file)
{
	static struct peer_file before, after;
	struct child eve;
	open_directory_to_all();
	victim = getpid();
	start_user(&eve, EVE);
	ck_assert_int_eq(child_does(&eve, create_with_mode, 0666), 0);
	ck_assert_int_eq(child_does(&eve, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&eve, poison_own_record, _i), 0);
	struct peer_file *hers = map_peers(EVE, O_RDONLY);
	ck_assert_ptr_nonnull(hers);
	memcpy(&before, hers, sizeof(before));
	munmap(hers, sizeof(*hers));
	ck_assert_int_eq(do_open(0), 0);
	ck_assert_int_eq(semundo_acquire_timed(sem, 1, 1200 * (int64_t)MSEC), -ETIMEDOUT);
	ck_assert_int_eq(semundo_recover(sem), 0);
	look_at_everything();
	ck_assert(!maps_writable(EVE));
	hers = map_peers(EVE, O_RDONLY);
	memcpy(&after, hers, sizeof(after));
	ck_assert_int_eq(memcmp(&before, &after, sizeof(before)), 0);
	child_kill(&eve);
	ck_assert_int_eq(semundo_acquire_timed(sem, 1, (int64_t)LIMIT), 1);
}
END_TEST

/* A file of Eve's in the place of root's. */
static int plant_peers_of_root(long unused)
{
	(void)unused;
	int fd = open(peers_of(EVE), O_RDONLY | O_CLOEXEC);
	int to = open(peers_of(0), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct peer_head head;
	if (fd < 0 || to < 0 || read(fd, &head, sizeof(head)) != sizeof(head))
		return -errno;
	head.uid = 0;
	if (write(to, &head, sizeof(head)) != sizeof(head) ||
	    ftruncate(to, sizeof(struct peer_file)) < 0)
		return -errno;
	return close(fd) | close(to);
}

START_TEST(peer_file_of_another)
{
	struct child eve;
	open_directory_to_all();
	start_user(&eve, EVE);
	ck_assert_int_eq(child_does(&eve, create_with_mode, 0666), 0);
	ck_assert_int_eq(child_does(&eve, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&eve, plant_peers_of_root, 0), 0);
	ck_assert_int_eq(do_open(0), 0);
	ck_assert_int_eq(semundo_try_acquire(sem, 1), -EPERM);
	ck_assert_msg(strstr(semundo_error(), "another user") != NULL, "%s", semundo_error());
	child_kill(&eve);
}
END_TEST

/* ---- set-user-ID programs ---- */

static void copy_program(const char *to, uid_t owner, mode_t mode)
{
	char command[1200];
	snprintf(command, sizeof(command), "cp " PEER " %s", to);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(chown(to, owner, GROUP), 0);
	ck_assert_int_eq(chmod(to, mode), 0);
}

static void expect_directory(const char *program, const char *expected)
{
	const char *const argv[] = { program, "directory", NULL };
	const char *rest;
	struct child c;
	program_start(&c, argv);
	program_result(&c, &rest);
	ck_assert_str_eq(rest, expected + 1); /* without its '/' */
	ck_assert_int_eq(child_end(&c), 0);
}

START_TEST(set_user_id)
{
	char plain[600], raised[600];
	need_root();
	if (unshare(CLONE_NEWNS) < 0)
		skip("needs mount namespaces");
	(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL); /* in a chroot it is none */
	ck_assert_int_eq(mount(NULL, "/dev/shm", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("none", directory, "tmpfs", 0, "mode=755"), 0);
	snprintf(plain, sizeof(plain), "%s", in_directory("plain"));
	snprintf(raised, sizeof(raised), "%s", in_directory("raised"));
	copy_program(plain, ALICE, 0755);
	copy_program(raised, ALICE, 04755);
	ck_assert_int_eq(setenv("SEMUNDO_DIR", "/of/the/environment", 1), 0);
	ck_assert_int_eq(become(BOB), 0);
	expect_directory(plain, "/of/the/environment");
	expect_directory(raised, "/dev/shm");
}
END_TEST

static const struct trial trials[] = {
	{ "two users share one of mode 0660", &shared_by_a_group, 0 },
	{ "strangers are refused", &refused, 3 },
	{ "root and a hostile peer file", &hostile_peer_file, POISONS },
	{ "another user's file in place of the own peer file", &peer_file_of_another, 0 },
	{ "set-user-ID programs ignore the environment", &set_user_id, 0 },
};

int main(void)
{
	return RUN("users", trials);
}
