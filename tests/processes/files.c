/* SPDX-License-Identifier: Apache-2.0 */
/* Files that go away, are replaced or planted; memory and descriptors that
 * run out. */
#include "common.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *peers_path(void)
{
	char name[64];
	snprintf(name, sizeof(name), "semundo-peers.%u", (unsigned)geteuid());
	return in_directory(name);
}

static const char *sem_path(void)
{
	return in_directory("semundo." NAME);
}

/* ---- the peer file in use ---- */

static void remove_peers(void)
{
	ck_assert_int_eq(unlink(peers_path()), 0);
}

/* A copy, as a backup that is restored. */
static void replace_peers(void)
{
	char command[1200];
	snprintf(command, sizeof(command), "cp -p %s %s.copy && mv %s.copy %s", peers_path(),
	         peers_path(), peers_path(), peers_path());
	ck_assert_int_eq(system(command), 0);
}

/* Another one, made by programs that use other semaphores. */
static void renew_peers(void)
{
	static const char *const other[] = { PEER, "create other", "acquire 1", NULL };
	struct child c;
	remove_peers();
	program_start(&c, other);
	ck_assert_int_eq(child_end(&c), 0);
}

static void (*const losses[])(void) = { remove_peers, replace_peers, renew_peers };

static void expect_newcomers_refused(void)
{
	static const char *const newcomer[] = { PEER, "open " NAME, "-", NULL };
	const char *sentence;
	struct child c;
	program_start(&c, newcomer);
	for (int i = 0; i < 2; i++) {
		program_order(&c, "try 1");
		ck_assert_int_eq(program_result(&c, &sentence), -ESTALE);
		ck_assert_msg(strstr(sentence, "was removed or replaced") &&
		                      strstr(sentence, "semundo-peers."),
		              "%s", sentence);
	}
	child_kill(&c);
}

START_TEST(peer_file_lost)
{
	struct child holder, waiter, other;
	make(SEMUNDO_PERMITS, 2);
	child_start(&holder);
	child_start(&other);
	ck_assert_int_eq(child_does(&other, do_acquire, 1), 0);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	ck_assert_int_eq(semundo_recover(sem), 0); /* we are attached, too */
	waiter_start(&waiter, 1);
	losses[_i]();
	expect_newcomers_refused();
	ck_assert_int_eq(semundo_recover(sem), 0);
	ck_assert_int_eq(semundo_acquire_timed(sem, 1, 30 * (int64_t)MSEC), -ETIMEDOUT);
	ck_assert(child_is_busy(&waiter));
	/* Those who are in go on, in life and death. */
	ck_assert_int_eq(child_does(&other, do_release, 1), 0);
	ck_assert_int_eq(child_result(&waiter), 0);
	ck_assert_int_eq(child_does(&waiter, do_release, 1), 0);
	ck_assert_int_eq(child_does(&waiter, do_acquire, 1), 0);
	child_order(&waiter, do_acquire, 1);
	await_waiters(1);
	expect_death_told(&holder, &waiter, "holder of before");
	ck_assert_int_eq(child_does(&waiter, do_release, 2), 0);
	ck_assert_int_eq((int)value(), 2);
	child_kill(&waiter);
	child_kill(&other);
}
END_TEST

/* ---- the semaphore's file in use ---- */

static void unlink_by_name(void)
{
	ck_assert_int_eq(semundo_unlink(NAME, NULL), 0);
}

static void unlink_file(void)
{
	ck_assert_int_eq(unlink(sem_path()), 0);
}

static void (*const removals[])(void) = { unlink_by_name, unlink_file };

START_TEST(semaphore_file_lost)
{
	static const char *const again[] = { PEER, "create " NAME " 5", "acquire 1", "value", NULL };
	struct child holder, waiter, newcomer;
	make(SEMUNDO_PERMITS, 1);
	child_start(&holder);
	ck_assert_int_eq(child_does(&holder, do_acquire, 1), 0);
	waiter_start(&waiter, 1);
	removals[_i]();
	program_start(&newcomer, again);
	ck_assert_int_eq(WEXITSTATUS(child_end(&newcomer)), 4);
	ck_assert(child_is_busy(&waiter));
	ck_assert_int_eq(child_does(&holder, do_release, 1), 0);
	ck_assert_int_eq(child_result(&waiter), 0);
	child_order(&holder, do_acquire, 1);
	await_waiters(1);
	expect_death_told(&waiter, &holder, "holder of a removed semaphore");
	child_kill(&holder);
}
END_TEST

/* ---- planted files ---- */

static void plant_link(const char *path)
{
	ck_assert_int_eq(symlink(in_directory("precious"), path), 0);
}

static void plant_dangling_link(const char *path)
{
	ck_assert_int_eq(symlink(in_directory("nothing"), path), 0);
}

static void plant_text(const char *path)
{
	ck_assert_int_eq(link(in_directory("precious"), path), 0);
}

static void plant_directory(const char *path)
{
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void plant_fifo(const char *path)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static const struct {
	const char *what;
	void (*plant)(const char *path);
	int expected;
} planted[] = {
	{ "a symbolic link", plant_link, -ELOOP },
	{ "a dangling symbolic link", plant_dangling_link, -ELOOP },
	{ "a text", plant_text, -EUCLEAN },
	{ "a directory", plant_directory, -EUCLEAN },
	{ "a fifo", plant_fifo, -EUCLEAN },
};
#define PLANTED ((int)(sizeof(planted) / sizeof(planted[0])))

#define PRECIOUS "do not touch\n"

static void write_precious(void)
{
	FILE *file = fopen(in_directory("precious"), "we");
	ck_assert(file && fputs(PRECIOUS, file) >= 0 && fclose(file) == 0);
}

static void expect_precious(void)
{
	char text[64] = "";
	struct stat st;
	FILE *file = fopen(in_directory("precious"), "re");
	ck_assert(file && fgets(text, sizeof(text), file));
	fclose(file);
	ck_assert_str_eq(text, PRECIOUS);
	ck_assert(stat(in_directory("precious"), &st) == 0 && st.st_size == sizeof(PRECIOUS) - 1);
	ck_assert_int_ne(access(in_directory("nothing"), F_OK), 0);
}

START_TEST(planted_at_a_name)
{
	static const unsigned ways[] = { 0, SEMUNDO_CREATE, SEMUNDO_OBSERVE };
	write_precious();
	planted[_i].plant(sem_path());
	for (int way = 0; way < 3; way++) {
		int r = semundo_open(&sem, NAME, ways[way], NULL);
		ck_assert_msg(r == planted[_i].expected, "%s: %s", planted[_i].what,
		              r ? semundo_error() : "opened");
		ck_assert_msg(strstr(semundo_error(), NAME) != NULL, "%s", semundo_error());
	}
	ck_assert_int_eq(semundo_open(&sem, NAME, SEMUNDO_CREATE | SEMUNDO_EXCL, NULL), -EEXIST);
	ck_assert_int_eq(semundo_unlink(NAME, NULL), -EUCLEAN);
	expect_precious();
}
END_TEST

START_TEST(planted_for_peers)
{
	write_precious();
	planted[_i].plant(peers_path());
	make(SEMUNDO_PERMITS, 1);
	int r = semundo_try_acquire(sem, 1);
	ck_assert_msg(r < 0 && r != -EAGAIN, "%s: %d", planted[_i].what, r);
	ck_assert_msg(strstr(semundo_error(), "semundo-peers.") != NULL, "%s", semundo_error());
	note("%s: %s", planted[_i].what, semundo_error());
	ck_assert_int_eq((int)value(), 1);
	expect_precious();
}
END_TEST

/* ---- a full filesystem ---- */

/* Enough for a peer file with all its records, and a little. */
static void mount_small(void)
{
	need_root();
	if (unshare(CLONE_NEWNS) < 0)
		skip("needs mount namespaces");
	(void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL); /* in a chroot it is none */
	ck_assert_int_eq(mount(NULL, "/dev/shm", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("none", directory, "tmpfs", 0, "size=2m,mode=1777"), 0);
}

static void fill_up(void)
{
	static char block[4096];
	int fd = open(in_directory("filler"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	memset(block, 'x', sizeof(block));
	ck_assert_int_ge(fd, 0);
	while (write(fd, block, sizeof(block)) == sizeof(block))
		;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}

#define CROWD 60 /* more than one page of slots, and of records */

static int join_by_another(long unused)
{
	semundo_t *other;
	(void)unused;
	int r = semundo_open(&other, "other", SEMUNDO_CREATE, NULL);
	if (!r)
		r = semundo_try_acquire(other, 1);
	return r == -EAGAIN ? 0 : r;
}

static int refused_as_full(long unused)
{
	(void)unused;
	return semundo_try_acquire(sem, 1) == -ENOSPC && strstr(semundo_error(), "full") != NULL;
}

static int crowd_enters(struct child *crowd, int from)
{
	for (int i = from; i < CROWD; i++) {
		int r = child_does(&crowd[i], do_acquire, 1);
		ck_assert_msg(r == 0 || r == -ENOSPC, "process %d: %d", i, r);
		if (r)
			return i;
	}
	return CROWD;
}

/* _i 0: the peer file has to grow first; 1: it is large enough already. */
START_TEST(full_while_growing)
{
	struct child crowd[CROWD];
	mount_small();
	make(SEMUNDO_PERMITS, CROWD);
	for (int i = 0; i < CROWD; i++)
		child_start(&crowd[i]);
	for (int i = 0; _i && i < CROWD; i++)
		ck_assert_int_eq(child_does(&crowd[i], join_by_another, 0), 0);
	ck_assert_int_eq(child_does(&crowd[0], do_acquire, 1), 0);
	fill_up();
	int refused = crowd_enters(crowd, 1);
	note("in what there was were places for %d processes", refused);
	ck_assert_int_lt(refused, CROWD);
	ck_assert_int_eq((int)value(), CROWD - refused);
	ck_assert_int_eq(child_does(&crowd[refused], refused_as_full, 0), 1);
	semundo_t *more;
	ck_assert_int_eq(semundo_open(&more, "more", SEMUNDO_CREATE, NULL), -ENOSPC);
	ck_assert_msg(strstr(semundo_error(), "full") != NULL, "%s", semundo_error());
	/* Those who are in go on; and all, when there is room again. */
	ck_assert_int_eq(child_does(&crowd[0], do_release, 1), 0);
	ck_assert_int_eq(child_does(&crowd[0], do_acquire, 1), 0);
	ck_assert_int_eq(unlink(in_directory("filler")), 0);
	ck_assert_int_eq(crowd_enters(crowd, refused), CROWD);
	ck_assert_int_eq((int)value(), 0);
	for (int i = 0; i < CROWD; i++)
		child_kill(&crowd[i]);
	ck_assert_int_eq(semundo_acquire_timed(sem, CROWD, (int64_t)LIMIT), 1);
}
END_TEST

/* The names of a directory on a full filesystem can still be removed. */
START_TEST(full_while_creating)
{
	semundo_t *other;
	mount_small();
	make(SEMUNDO_LOCK, 1);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	fill_up();
	int before = (int)info().inode;
	ck_assert_int_eq(semundo_open(&other, NAME, SEMUNDO_CREATE | SEMUNDO_REPLACE, NULL),
	                 -ENOSPC);
	ck_assert_int_eq((int)info().inode, before);
	ck_assert_int_eq(semundo_release(sem, 1), 0);
	ck_assert_int_eq(semundo_unlink(NAME, NULL), 0);
}
END_TEST

/* ---- limits of the process ---- */

/* The type of a resource is another in each C library. */
#define limit(resource, current) \
	do { \
		struct rlimit r_; \
		ck_assert_int_eq(getrlimit(resource, &r_), 0); \
		r_.rlim_cur = (current); \
		ck_assert_int_eq(setrlimit(resource, &r_), 0); \
	} while (0)

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 3; /* ".", ".." and that of the directory */
}

/* Takes all descriptors but a few. */
static void leave_descriptors(unsigned count)
{
	int fd;
	limit(RLIMIT_NOFILE, 64);
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		;
	ck_assert_int_eq(errno, EMFILE);
	for (unsigned i = 0; i < count; i++)
		close(63 - (int)i);
}

START_TEST(no_descriptors)
{
	semundo_t *other;
	make(SEMUNDO_PERMITS, 1);
	leave_descriptors(0);
	ck_assert_int_eq(semundo_open(&other, "other", SEMUNDO_CREATE, NULL), -EMFILE);
	note("open: %s", semundo_error());
	for (unsigned left = 0; left < 2; left++) {
		leave_descriptors(left);
		ck_assert_int_eq(semundo_acquire(sem, 1), -EMFILE);
		note("acquire with %u left: %s", left, semundo_error());
		ck_assert_int_gt((int)strlen(semundo_error()), 20);
		ck_assert_int_eq((int)value(), 1);
	}
	leave_descriptors(3);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	leave_descriptors(0); /* once in, none is needed */
	ck_assert_int_eq(semundo_acquire_timed(sem, 1, 1), -ETIMEDOUT);
	ck_assert_int_eq(semundo_release(sem, 1), 0);
}
END_TEST

static rlim_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	ck_assert(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

START_TEST(no_address_space)
{
	semundo_t *other;
	struct rlimit before;
	make(SEMUNDO_PERMITS, 1);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
	unsigned descriptors = open_descriptors();
	limit(RLIMIT_AS, address_space() + 65536);
	int opened = semundo_open(&other, "other", SEMUNDO_CREATE, NULL);
	char sentence[400];
	snprintf(sentence, sizeof(sentence), "%s", semundo_error());
	int acquired = semundo_acquire(sem, 1);
	limit(RLIMIT_AS, before.rlim_cur);
	ck_assert_int_eq(opened, -ENOMEM);
	ck_assert_msg(strstr(sentence, "other") != NULL, "%s", sentence);
	ck_assert_int_eq(acquired, -ENOMEM);
	note("acquire: %s", semundo_error());
	ck_assert_int_eq((int)open_descriptors(), (int)descriptors);
	ck_assert_int_eq((int)value(), 1);
	ck_assert_int_eq(semundo_acquire(sem, 1), 0);
	ck_assert_int_eq(semundo_open(&other, "other", SEMUNDO_CREATE, NULL), 0);
	semundo_close(other);
}
END_TEST

#define MANY 10000

static int hold_many(long unused)
{
	(void)unused;
	for (int i = 0; i < MANY; i++) {
		char name[32];
		semundo_t *one;
		snprintf(name, sizeof(name), "many%d", i);
		int r = semundo_open(&one, name, SEMUNDO_CREATE, NULL);
		if (!r)
			r = semundo_acquire(one, 1);
		if (r)
			return r;
	}
	return (int)open_descriptors();
}

START_TEST(ten_thousand_semaphores)
{
	static const int samples[] = { 0, MANY / 2, MANY - 1 };
	struct child c;
	limit(RLIMIT_NOFILE, 1024);
	uint64_t started = now_ns();
	child_start(&c);
	int descriptors = child_does(&c, hold_many, 0);
	ck_assert_int_gt(descriptors, 0);
	ck_assert_int_lt(descriptors, 20);
	note("%d semaphores created and acquired in %.2f s with %d descriptors", MANY,
	     (double)(now_ns() - started) / 1e9, descriptors);
	child_kill(&c);
	for (int i = 0; i < 3; i++) {
		char name[32];
		semundo_t *one;
		snprintf(name, sizeof(name), "many%d", samples[i]);
		ck_assert_int_eq(semundo_open(&one, name, 0, NULL), 0);
		ck_assert_int_eq(semundo_try_acquire(one, 1), 1);
		semundo_close(one);
	}
}
END_TEST

static const struct trial trials[] = {
	{ "peer file removed or replaced in use", &peer_file_lost, 3 },
	{ "semaphore file removed in use", &semaphore_file_lost, 2 },
	{ "something else stands at the name", &planted_at_a_name, PLANTED },
	{ "something else stands at the peer file's name", &planted_for_peers, PLANTED },
	{ "filesystem full while slots are needed", &full_while_growing, 2 },
	{ "filesystem full at creation", &full_while_creating, 0 },
	{ "no descriptors left", &no_descriptors, 0 },
	{ "no address space left", &no_address_space, 0 },
	{ "10,000 semaphores at 1024 descriptors", &ten_thousand_semaphores, 0 },
};

int main(void)
{
	return RUN("files", trials);
}
