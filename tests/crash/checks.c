/* SPDX-License-Identifier: Apache-2.0 */
/* What has to hold after the victim was struck. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash.h"

#define FILE_BYTES_MAX (3 * 4096) /* of memory; the rest is holes */

static bool is_signal(const struct trial *t)
{
	return t->op->kind == SEMUNDO_SIGNAL;
}

/* ---- the waiter ------------------------------------------------------------- */

/* Units that nobody alive holds. */
static int64_t units_free(struct trial *t)
{
	struct view v;
	int64_t value = 0;
	pid_t victim = t->actor[VICTIM].pid;
	if (is_signal(t)) {
		semundo_value(t->sem, &value);
		return value;
	}
	look(t, victim, &v);
	return (int64_t)v.capacity - t->kept - (victim ? v.held : 0);
}

static bool can_go_on(struct trial *t)
{
	struct view v;
	look(t, 0, &v);
	if (t->op->wanted == FOR_IDLE)
		return units_free(t) == v.capacity;
	return units_free(t) >= t->op->wanted;
}

/* What it cannot do by itself. */
static bool help_waiter(struct trial *t)
{
	int r = 0;
	if (is_signal(t)) {
		r = semundo_release(t->sem, (unsigned)t->op->wanted);
		t->posted += t->op->wanted;
	} else if (t->kept) {
		r = semundo_release(t->sem, t->kept);
		t->kept = 0;
	}
	if (r < 0)
		return fail(t, "the keeper cannot release: %s", semundo_error());
	if (!can_go_on(t) && t->actor[VICTIM].pid) {
		t->deaths += held_by_pid(t, t->actor[VICTIM].pid) > 0;
		stop_actor(t, VICTIM);
	}
	return true;
}

static bool check_waiter(struct trial *t)
{
	struct actor *a = &t->actor[WAITER];
	if (!a->pid)
		return true;
	uint64_t start = now_ns();
	if (!__atomic_load_n(&a->stage, __ATOMIC_SEQ_CST) && !can_go_on(t) && !help_waiter(t))
		return false;
	if (!await_stage(t, WAITER, 1))
		return false;
	t->outcome->waited = now_ns() - start;
	if (a->result < 0)
		return fail(t, "the waiter got %d", a->result);
	if (!adds_up(t, "when the waiter went on"))
		return false;
	t->taken += is_signal(t) ? t->op->wanted : 0;
	give_order(a);
	if (!await_stage(t, WAITER, 2))
		return false;
	return a->result < 0 ? fail(t, "the waiter cannot release: %d", a->result) : true;
}

static void dismiss_waiter(struct trial *t)
{
	struct actor *a = &t->actor[WAITER];
	if (!a->pid)
		return;
	give_order(a);
	reap(a->pid);
	a->pid = 0;
}

/* ---- the newcomer --------------------------------------------------------------- */

/* Takes all there is, then gives it back; another semaphore if the name leads
 * to another. */
static void be_newcomer(struct trial *t, struct actor *a)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	struct semundo_info info = { .size = sizeof(info) };
	semundo_t *sem;
	o.kind = t->op->kind;
	o.capacity = t->op->capacity;
	if (t->sem)
		semundo_close(t->sem); /* its own way in, not the inherited one */
	int r = semundo_open(&sem, "s", SEMUNDO_CREATE, &o);
	if (!r)
		r = semundo_info(sem, &info);
	unsigned n = is_signal(t) ? 1 : info.capacity;
	if (!r && is_signal(t))
		r = semundo_release(sem, n);
	if (!r)
		r = semundo_try_acquire(sem, n);
	a->told += r == 1;
	if (r < 0)
		snprintf(t->outcome->failure, sizeof(t->outcome->failure), "the newcomer: %s",
		         semundo_error());
	report(a, r);
	await_order(a, 1);
	if (r >= 0 && !is_signal(t))
		r = semundo_release(sem, n);
	semundo_close(sem);
	report(a, r);
}

static bool check_newcomer(struct trial *t, bool same)
{
	struct actor *a = &t->actor[NEWCOMER];
	start_actor(t, NEWCOMER, be_newcomer);
	if (!await_stage(t, NEWCOMER, 1))
		return false;
	if (a->result < 0)
		return fail(t, "it got %d", a->result);
	if (same && !is_signal(t)) {
		int r = semundo_try_acquire(t->sem, 1);
		if (r != -EAGAIN)
			return fail(t, "a unit more than the capacity could be acquired (%d)", r);
	}
	give_order(a);
	if (!await_stage(t, NEWCOMER, 2))
		return false;
	if (a->result < 0)
		return fail(t, "the newcomer cannot release: %d", a->result);
	reap(a->pid);
	a->pid = 0;
	return true;
}

/* ---- the end ------------------------------------------------------------------------ */

static bool check_signal(struct trial *t)
{
	int64_t value;
	semundo_value(t->sem, &value);
	int64_t its = value - t->op->value - t->posted + t->taken;
	t->outcome->effect = its == 0 ? BEFORE : AFTER;
	if (its != 0 && its != t->op->gain)
		return fail(t, "the victim made the value go by %lld", (long long)its);
	bool done = t->op->flags & GOES_ON ? t->actor[VICTIM].result >= 0 : t->outcome->ended;
	if (done && its != t->op->gain)
		return fail(t, "the victim's operation ended, and had no effect");
	return true;
}

static bool check_quiet(struct trial *t)
{
	struct semundo_info info = { .size = sizeof(info) };
	if (semundo_recover(t->sem) < 0 || semundo_info(t->sem, &info) < 0)
		return fail(t, "%s", semundo_error());
	if (is_signal(t))
		return check_signal(t);
	if (info.value != (int64_t)info.capacity || info.held)
		return fail(t, "at the end value %lld, held %llu, capacity %u", (long long)info.value,
		            (unsigned long long)info.held, info.capacity);
	if (!(t->op->flags & NAMELESS) && info.capacity != t->trace->first.capacity &&
	    info.capacity != t->trace->last.capacity)
		return fail(t, "the capacity is %u", info.capacity);
	if (info.dead)
		return fail(t, "%u dead ones are left", info.dead);
	return true;
}

/* Each death with units is recorded once, and somebody was told. */
static bool check_deaths(struct trial *t, bool same)
{
	struct semundo_info info = { .size = sizeof(info) };
	unsigned told = t->told;
	for (int who = 0; who < ACTORS; who++)
		told += who != NEWCOMER || same ? t->actor[who].told : 0;
	if (semundo_info(t->sem, &info) < 0)
		return fail(t, "%s", semundo_error());
	if (info.deaths != t->deaths)
		return fail(t, "%llu deaths are recorded, not %u", (unsigned long long)info.deaths,
		            t->deaths);
	if (same && (told > t->deaths || (told == 0 && t->deaths)))
		return fail(t, "%u died, %u acquirers were told", t->deaths, told);
	return true;
}

static bool check_file(struct trial *t, const char *name, int dirfd)
{
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(t, "%s is gone", name);
	if (strncmp(name, "semundo-tmp.", 12) == 0 && (t->op->flags & MAY_REPLACE)) {
		t->outcome->left_temporary = 1;
		return true;
	}
	if (strncmp(name, "semundo-peers.", 14) == 0)
		return true;
	if (strcmp(name, "semundo.s") && strcmp(name, "semundo.other"))
		return fail(t, "it left the file %s", name);
	if (st.st_blocks * 512 > FILE_BYTES_MAX)
		return fail(t, "%s takes %lld bytes", name, (long long)st.st_blocks * 512);
	return true;
}

static bool check_files(struct trial *t)
{
	DIR *dir = opendir(t->dir);
	struct dirent *e;
	bool ok = dir != NULL;
	while (ok && (e = readdir(dir)))
		if (*e->d_name != '.')
			ok = check_file(t, e->d_name, dirfd(dir));
	if (dir)
		closedir(dir);
	return ok;
}

/* Records of the dead are free for others: only the living have their locks. */
static bool check_records(struct trial *t)
{
	int expected = 1 + (t->actor[VICTIM].pid > 0);
	int live = live_records(t);
	return live == expected ||
	       fail(t, "%d records of the peer file are taken, not %d", live, expected);
}

static bool open_made(struct trial *t)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	o.kind = t->op->kind;
	o.capacity = t->op->capacity;
	if (semundo_open(&t->sem, "s", SEMUNDO_CREATE, &o) < 0)
		return fail(t, "%s", semundo_error());
	return true;
}

static bool check_name(struct trial *t, bool *ret_same)
{
	struct view v;
	look(t, 0, &v);
	*ret_same = v.named == 1;
	if (v.named == 0 && !(t->op->flags & MAY_UNLINK))
		return fail(t, "the name is gone");
	if (v.named == 2 && !(t->op->flags & MAY_REPLACE))
		return fail(t, "the name leads to another semaphore");
	return true;
}

/* In GOES_ON it is killed only now. */
static void end_victim(struct trial *t)
{
	if (!t->actor[VICTIM].pid)
		return;
	t->deaths += held_by_pid(t, t->actor[VICTIM].pid) > 0;
	stop_actor(t, VICTIM);
}

static bool release_kept(struct trial *t)
{
	if (t->kept && !is_signal(t) && semundo_release(t->sem, t->kept) < 0)
		return fail(t, "the keeper cannot release: %s", semundo_error());
	t->kept = 0;
	return true;
}

void check_survivors(struct trial *t)
{
	bool same = true;
	if (!t->sem && !open_made(t))
		return;
	if (!check_name(t, &same) || !check_waiter(t))
		return;
	end_victim(t);
	if (!release_kept(t) || !check_quiet(t) || !check_newcomer(t, same) ||
	    !check_deaths(t, same))
		return;
	dismiss_waiter(t);
	(void)(check_records(t) && check_files(t));
}
