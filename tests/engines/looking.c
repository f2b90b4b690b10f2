/* SPDX-License-Identifier: Apache-2.0 */
/* Info, peers, waiters, the list of names, the directory. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "engines.h"

static uint64_t realtime(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

START_TEST(info_says_what_it_is)
{
	uint64_t before = realtime();
	semundo_t *sem = make("s", _i, 4);
	if (!sem)
		return;
	struct semundo_info info = info_of(sem);
	unsigned capacity = _i == SEMUNDO_PERMITS ? 4 : most_of(_i);
	ck_assert_uint_eq(info.size, sizeof(info));
	ck_assert_str_eq(info.name, "s");
	ck_assert_str_eq(info.engine, the->prefix);
	ck_assert_uint_eq(info.kind, (unsigned)_i);
	ck_assert_uint_eq(info.capacity, capacity);
	ck_assert_int_eq((int)info.value, _i == SEMUNDO_LOCK ? 1 : 4);
	ck_assert_uint_eq(info.held + info.waiters + info.dead, 0);
	/* Who has it open counts where the engine cannot tell them apart. */
	ck_assert_uint_le(info.peers, can(SEMUNDO_CAP_PEERS) ? 0 : 1);
	ck_assert_uint_eq(info.recovered + info.deaths, 0);
	ck_assert_uint_eq(info.mode, 0600);
	ck_assert_uint_eq(info.uid, geteuid());
	ck_assert_uint_ge(info.created, before);
	ck_assert_uint_le(info.created, realtime());
	ck_assert_uint_ne(info.inode, 0);
	must(semundo_close(sem));
}
END_TEST

START_TEST(info_of_other_sizes)
{
	struct semundo_info info = { .size = 8 }, sane;
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 4);
	if (!sem)
		return;
	must_fail(semundo_info(sem, &info), EINVAL, "size");
	ck_assert_uint_eq(info.size, 8);
	memset(&info, 'x', sizeof(info));
	info.size = offsetof(struct semundo_info, value);
	must(semundo_info(sem, &info));
	sane = info_of(sem);
	ck_assert_uint_eq(info.capacity, sane.capacity);
	ck_assert_int_eq(*(const char *)&info.value, 'x');
	ck_assert_uint_eq(info.size, offsetof(struct semundo_info, value));
	must(semundo_close(sem));
}
END_TEST

START_TEST(info_counts_holders_waiters_and_dead)
{
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 3);
	if (!sem || !can(SEMUNDO_CAP_PEERS)) {
		semundo_close(sem);
		return;
	}
	struct worker *a = worker_open(named("s")), *b = worker_open(named("s"));
	worker_must(a, semundo_acquire, 2);
	must_be(semundo_acquire(sem, 1), 0);
	worker_start(b, semundo_acquire, 1);
	until(info_of(sem).waiters == 1);
	struct semundo_info info = info_of(sem);
	ck_assert_int_eq((int)info.value, 0);
	ck_assert_uint_eq(info.held, 3);
	ck_assert_uint_eq(info.peers, 3);
	ck_assert_uint_eq(info.dead, 0);
	must(semundo_release(sem, 1));
	worker_result_must_be(b, 0);
	ck_assert_uint_eq(info_of(sem).waiters, 0);
	worker_kill(a);
	info = info_of(sem);
	ck_assert_uint_eq(info.held, 3);
	ck_assert_uint_eq(info.peers, 3);
	ck_assert_uint_eq(info.dead, 1);
	ck_assert_uint_eq(info.deaths + info.recovered, 0);
	must_be(semundo_recover(sem), 1);
	must_be(semundo_recover(sem), 0);
	info = info_of(sem);
	ck_assert_uint_eq(info.held, 1);
	ck_assert_uint_eq(info.peers, 2);
	ck_assert_uint_eq(info.dead, 0);
	ck_assert_uint_eq(info.deaths, 1);
	ck_assert_uint_eq(info.recovered, 1);
	ck_assert_int_eq((int)info.value, 2);
	must(semundo_close(sem));
}
END_TEST

static struct semundo_peer peer_of(semundo_t *sem, pid_t pid)
{
	struct semundo_peer *first, found = { .pid = 0 };
	must(semundo_peers(sem, &first));
	for (struct semundo_peer *p = first; p; p = p->next)
		if (p->pid == pid)
			found = *p;
	semundo_peers_free(first);
	ck_assert_msg(found.pid == pid, "%d is not in the list", (int)pid);
	return found;
}

static uint64_t start_time_of(pid_t pid)
{
	uint64_t start = 0;
	const char *p = strrchr(proc_line(pid, "stat"), ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		start = strtoull(p + 1, NULL, 10);
	return start;
}

START_TEST(peers_are_who_and_what)
{
	uint64_t before = realtime(), mono = now_ns();
	semundo_t *sem = make("s", SEMUNDO_PERMITS, 3);
	struct semundo_peer *none = NULL;
	struct stat st;
	if (!sem || !can(SEMUNDO_CAP_PEERS)) {
		if (sem)
			must_fail(semundo_peers(sem, &none), ENOTSUP, "'s'");
		semundo_close(sem);
		return;
	}
	must(semundo_peers(sem, &none));
	ck_assert_ptr_null(none);
	struct worker *w = worker_open(named("s"));
	must_be(semundo_acquire(sem, 2), 0);
	worker_start(w, semundo_acquire, 2);
	until(info_of(sem).waiters == 1);
	struct semundo_peer self = peer_of(sem, getpid()), other = peer_of(sem, w->pid);
	ck_assert_uint_eq(self.is_self, 1);
	ck_assert_uint_eq(self.held, 2);
	ck_assert_uint_eq(self.waiting + self.wanted + self.waiting_since, 0);
	ck_assert_uint_eq(self.alive, SEMUNDO_ALIVE);
	ck_assert_str_eq(self.command, proc_line(getpid(), "comm"));
	ck_assert_int_eq(stat("/proc/self/ns/pid", &st), 0);
	ck_assert_uint_eq(self.pid_namespace, st.st_ino);
	ck_assert_uint_eq(other.is_self, 0);
	ck_assert_uint_eq(other.held, 0);
	ck_assert_uint_eq(other.waiting, 1);
	ck_assert_uint_eq(other.wanted, 2);
	ck_assert_uint_ge(other.waiting_since, mono);
	ck_assert_uint_le(other.waiting_since, now_ns());
	ck_assert_uint_ge(other.attached_since, before);
	ck_assert_uint_le(other.attached_since, realtime());
	ck_assert_uint_eq(other.start_time, start_time_of(w->pid));
	ck_assert_uint_eq(other.uid, geteuid());
	ck_assert_int_eq(other.for_pid, 0);
	must(semundo_describe(sem, 4711, "for somebody"));
	self = peer_of(sem, getpid());
	ck_assert_int_eq(self.for_pid, 4711);
	ck_assert_str_eq(self.command, "for somebody");
	must(semundo_describe(sem, 0, NULL));
	self = peer_of(sem, getpid());
	ck_assert_int_eq(self.for_pid, 0);
	ck_assert_str_eq(self.command, "for somebody");
	must(semundo_release(sem, 2));
	worker_result_must_be(w, 0);
	other = peer_of(sem, w->pid);
	ck_assert_uint_eq(other.held, 2);
	ck_assert_uint_eq(other.waiting + other.wanted + other.waiting_since, 0);
	worker_kill(w);
	ck_assert_uint_eq(peer_of(sem, other.pid).alive, SEMUNDO_DEAD);
	must(semundo_close(sem));
}
END_TEST

START_TEST(the_owner_of_a_lock_is_seen)
{
	struct worker *w = worker_open(named("s"));
	semundo_t *sem = make("s", SEMUNDO_LOCK, 1);
	if (!sem || !can(SEMUNDO_CAP_PEERS)) {
		semundo_close(sem);
		return;
	}
	worker_must(w, semundo_acquire, 1);
	must_fail(semundo_try_acquire(sem, 1), EAGAIN, "'s'");
	ck_assert_uint_eq(peer_of(sem, w->pid).held, 1);
	ck_assert_uint_eq(peer_of(sem, getpid()).held, 0);
	worker_must(w, semundo_release, 1);
	ck_assert_uint_eq(peer_of(sem, w->pid).held, 0);
	/* Whoever closed it is no peer any more. */
	worker_must(w, close_it, 0);
	ck_assert_uint_eq(info_of(sem).peers, 1);
	must(semundo_close(sem));
	worker_kill(w);
}
END_TEST

static int collect(const char *name, void *arg)
{
	char *text = arg;
	size_t length = strlen(name);
	if (length >= 4 && strcmp(name + length - 4, "stop") == 0)
		return 77;
	ck_assert_uint_lt(strlen(text) + strlen(name) + 2, 128);
	strcat(text, name);
	strcat(text, ";");
	return 0;
}

START_TEST(names_are_listed)
{
	char names[128] = "", dir[4096];
	semundo_t *sem = make("one", SEMUNDO_SIGNAL, 1), *two;
	if (!sem)
		return;
	if (the->engine == &semundo__posix)
		setenv("SEMUNDO_DIR", "/dev/shm", 1); /* whatever the directory was */
	must(semundo_list(NULL, collect, names));
	ck_assert_ptr_nonnull(strstr(names, "one;"));
	ck_assert_ptr_null(strstr(names, "two;"));
	two = make("two", SEMUNDO_SIGNAL, 1);
	must(semundo_unlink(named("one"), NULL));
	*names = '\0';
	must(semundo_list(getenv("SEMUNDO_DIR"), collect, names));
	ck_assert_ptr_nonnull(strstr(names, "two;"));
	ck_assert_ptr_null(strstr(names, "one;"));
	must(semundo_close(two));
	two = make("stop", SEMUNDO_SIGNAL, 1);
	must_be(semundo_list(NULL, collect, names), 77);
	must(semundo_close(two));
	must(semundo_close(sem));
	strcpy(dir, in_dir("none"));
	must_fail(semundo_list(dir, collect, names), ENOENT, dir);
}
END_TEST

START_TEST(the_directory_is_told)
{
	char *dir = NULL;
	must(semundo_directory(&dir));
	ck_assert_str_eq(dir, getenv("SEMUNDO_DIR"));
	free(dir);
	unsetenv("SEMUNDO_DIR");
	must(semundo_directory(&dir));
	ck_assert_str_eq(dir, "/dev/shm");
	free(dir);
}
END_TEST

void add_looking(Suite *suite)
{
	TCase *t = suite_case(suite, "looking");
	add_all_kinds(t, info_says_what_it_is);
	tcase_add_test(t, info_of_other_sizes);
	tcase_add_test(t, info_counts_holders_waiters_and_dead);
	tcase_add_test(t, peers_are_who_and_what);
	tcase_add_test(t, the_owner_of_a_lock_is_seen);
	tcase_add_test(t, names_are_listed);
	tcase_add_test(t, the_directory_is_told);
}
