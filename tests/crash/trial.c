/* SPDX-License-Identifier: Apache-2.0 */
/* One trial: its processes are set up, the victim is brought to its instruction
 * (walk.c) and killed (or stopped for a moment), and the survivors are looked at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"
#include "test_hooks.h"

/* ---- actors' lives --------------------------------------------------------- */

static void wait_for_death(void)
{
	for (;;)
		pause();
}

static void must(int result, int wanted, const char *what)
{
	if (result == wanted || (wanted == 0 && result == 1))
		return;
	fprintf(stderr, "%s: %d, %s\n", what, result, semundo_error());
	_exit(3);
}

static void take(struct trial *t, unsigned n)
{
	if (n)
		must(semundo_acquire_timed(t->sem, n, (int64_t)PATIENCE), 0, "cannot prepare");
}

static void be_victim(struct trial *t, struct actor *a)
{
	unsigned flags = t->op->flags;
	if (flags & DETACHED)
		attach_only(t->other);
	else if (!(flags & (NOT_JOINED | FRESH | NAMELESS)) && t->op->kind != SEMUNDO_SIGNAL)
		attach_only(t->sem);
	take(t, t->op->held);
	if (t->op->prepare)
		t->op->prepare(t);
	stop_clock();
	step_me();
	BREAKPOINT();
	int r = t->op->perform(t);
	operation_ended();
	report(a, r);
	wait_for_death();
}

static void be_dead(struct trial *t, struct actor *a)
{
	attach_only(t->sem);
	take(t, t->op->dead_holds);
	if (t->op->dead_does) {
		stop_clock();
		step_me();
		BREAKPOINT();
		t->op->dead_does(t);
		operation_ended();
	}
	report(a, 0);
	wait_for_death();
}

static void be_waiter(struct trial *t, struct actor *a)
{
	const struct operation *op = t->op;
#if SEMUNDO_TEST
	if (op->flags & UNTIMED)
		semundo__test.no_timed_wait = 1;
#endif
	int r = op->wanted == FOR_IDLE ? semundo_wait_idle(t->sem, NULL) :
					 semundo_acquire(t->sem, (unsigned)op->wanted);
	a->told += r == 1;
	report(a, r);
	await_order(a, 1);
	if (op->wanted > 0 && op->kind != SEMUNDO_SIGNAL)
		r = semundo_release(t->sem, (unsigned)op->wanted);
	report(a, r);
	await_order(a, 2);
	semundo_close(t->sem);
}

/* ---- setting up ---------------------------------------------------------------- */

/* All but peer files: the keeper is in one. */
static void clean(const char *path, bool peers_too)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	while (dir && (e = readdir(dir)))
		if (*e->d_name != '.' && (peers_too || strncmp(e->d_name, "semundo-peers", 13)))
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

static int open_new(struct trial *t, const char *name, semundo_t **ret)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	o.kind = t->op->kind;
	o.capacity = t->op->capacity;
	o.value = t->op->value;
	return semundo_open(ret, name, SEMUNDO_CREATE | SEMUNDO_EXCL, &o);
}

static bool set_up_keeper(struct trial *t)
{
	unsigned flags = t->op->flags;
	if (flags & NAMELESS)
		return true;
	if (open_new(t, "s", &t->sem) < 0 ||
	    ((flags & DETACHED) && open_new(t, "other", &t->other) < 0))
		return fail(t, "%s", semundo_error());
	if (!(flags & FRESH))
		attach_only(t->sem);
	if (t->op->kept && semundo_acquire_timed(t->sem, t->op->kept, (int64_t)PATIENCE) < 0)
		return fail(t, "the keeper: %s", semundo_error());
	t->kept = t->op->kept;
	if (flags & FULL)
		fill_slots(t);
	return true;
}

static bool set_up_waiter(struct trial *t)
{
	if (!t->op->wanted || t->actor[WAITER].pid)
		return true;
	start_actor(t, WAITER, be_waiter);
	return await_sleep(t, WAITER);
}

/* The dead one dies in the state that the operation says; the waiter, which
 * would undo it, stands still until the victim is struck. */
static bool set_up_dead(struct trial *t)
{
	const struct operation *op = t->op;
	struct actor *a = &t->actor[DEAD];
	bool is_call;
	if (!op->dead_holds && !op->dead_does)
		return true;
	start_actor(t, DEAD, be_dead);
	if (op->dead_does ? !step_begin(a->pid) : !await_stage(t, DEAD, 1))
		return fail(t, "the dead one cannot prepare");
	if (!set_up_waiter(t))
		return false;
	if (t->actor[WAITER].pid)
		kill(t->actor[WAITER].pid, SIGSTOP);
	memory_changed(t, a->pid);
	for (unsigned n = 0; n < op->dead_changes;) {
		if (is_at_end(a->pid) || step_one(a->pid, &is_call) != STEPPED)
			return fail(t, "the dead one changes memory %u times only", n);
		n += memory_changed(t, a->pid);
	}
	unsigned held = held_by_pid(t, a->pid);
	t->deaths += held > 0;
	kill(a->pid, SIGKILL);
	reap(a->pid);
	return true;
}

/* A waiter that leaves when its time is up leaves its flag behind. */
static bool leave_flag(struct trial *t)
{
	for (int i = 0; i < 100 && !has_flag(t); i++)
		if (semundo_acquire_timed(t->sem, t->op->capacity, (int64_t)MSEC) != -ETIMEDOUT)
			return fail(t, "the keeper did not have to wait");
	return has_flag(t) || fail(t, "no flag was left");
}

static bool set_up(struct trial *t)
{
	const struct operation *op = t->op;
	if (!set_up_keeper(t) || !set_up_dead(t))
		return false;
	start_actor(t, VICTIM, be_victim);
	if (!step_begin(t->actor[VICTIM].pid)) {
		t->actor[VICTIM].pid = 0;
		return fail(t, "the victim cannot prepare");
	}
	if ((op->flags & STALE_FLAG) && !leave_flag(t))
		return false;
	return op->flags & LATE_WAITER ? true : set_up_waiter(t);
}

/* ---- striking -------------------------------------------------------------------- */

static void classify(struct trial *t, pid_t pid)
{
	struct outcome *o = t->outcome;
	look(t, pid, &o->view);
	if (same_view(&o->view, &t->trace->first))
		o->effect = BEFORE;
	else
		o->effect = same_view(&o->view, &t->trace->last) ? AFTER : BETWEEN;
	o->came_back = o->view.held > 0;
}

static void kill_victim(struct trial *t, int who)
{
	pid_t pid = t->actor[who].pid;
	if (t->sem)
		t->deaths += held_by_pid(t, pid) > 0;
	stop_actor(t, who);
}

/* Stopped, it was overtaken; now it ends its operation. */
static bool goes_on(struct trial *t)
{
	const struct operation *op = t->op;
	struct actor *a = &t->actor[VICTIM];
	if ((op->flags & LATE_WAITER) && t->op->wanted) {
		start_actor(t, WAITER, be_waiter);
		if (!await_sleep(t, WAITER) && !t->actor[WAITER].stage)
			return false;
	}
	/* A stray may be past its end already, and not traced to a stop. */
	bool stopped = start_clock(a->pid) && step_release(a->pid);
	if (!stopped && !t->outcome->strayed)
		return fail(t, "the victim cannot go on");
	if (!await_stage(t, VICTIM, 1))
		return false;
	if (a->result != op->result && a->result != 0 && a->result != 1 && a->result != -EAGAIN)
		return fail(t, "the victim's operation returned %d", a->result);
	unsigned held = held_by_pid(t, a->pid);
	unsigned right = op->held + (unsigned)(a->result >= 0 ? op->gain : 0);
	a->told += op->gain > 0 && a->result == 1;
	if (op->kind != SEMUNDO_SIGNAL && held != right)
		return fail(t, "the victim holds %u, not %u", held, right);
	return adds_up(t, "after it went on");
}

static bool strike_second(struct trial *t)
{
	uint64_t seed = t->seed;
	uint32_t at = draw(&seed, t->trace->length);
	start_actor(t, SECOND, be_victim);
	if (!step_begin(t->actor[SECOND].pid))
		return fail(t, "the second victim cannot prepare");
	walk_to(t, t->actor[SECOND].pid, at);
	kill_victim(t, SECOND);
	return true;
}

static bool strike(struct trial *t)
{
	const struct operation *op = t->op;
	pid_t pid = t->actor[VICTIM].pid;
	if (t->kill_after == NO_STEP)
		return walk_and_record(t, pid);
	walk_to_place(t, pid);
	classify(t, pid);
	if (op->rival)
		op->rival(t);
	if (t->sem && !adds_up(t, "while it stood still"))
		return false;
	if ((op->flags & GOES_ON))
		return goes_on(t);
	kill_victim(t, VICTIM);
	return !(op->flags & TWO_VICTIMS) || strike_second(t);
}

static void tear_down(struct trial *t)
{
	t->actor[DEAD].pid = 0; /* reaped */
	for (int who = 0; who < ACTORS; who++)
		stop_actor(t, who);
	if (t->sem)
		semundo_close(t->sem);
	if (t->other)
		semundo_close(t->other);
	t->sem = t->other = NULL;
}

bool run_trial(struct trial *t)
{
	struct outcome *o = t->outcome;
	setenv("SEMUNDO_DIR", t->dir, 1);
	memset(o, 0, sizeof(*o));
	memset(t->actor, 0, ACTORS * sizeof(*t->actor));
	t->kept = t->told = t->deaths = 0;
	t->posted = t->taken = 0;
	t->event_done = 0;
	clean(t->dir, t->op->flags & FRESH);
	bool ok = set_up(t) && strike(t);
	if (t->actor[DEAD].pid && t->actor[WAITER].pid)
		kill(t->actor[WAITER].pid, SIGCONT);
	if (ok && t->kill_after != NO_STEP)
		check_survivors(t);
	tear_down(t);
	o->ran = 1;
	return !o->failed;
}
