/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, killing, stopping, reaping and replacing the workers. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "torture.h"

#define FUSE_TIME (20 * MSEC)
#define STOP_LONGEST_MS 40u

static void start(struct torture *t, uint32_t i)
{
	struct place *me = &t->arena->place[i];
	struct ward *ward = &t->ward[i];
	me->life++;
	me->phase = STARTING;
	me->units = 0;
	me->doomed = me->halted = me->fuse = 0;
	me->point = NULL;
	memset(ward, 0, sizeof(*ward));
	uint64_t random = (uint64_t)draw(&t->random, UINT32_MAX) << 20 | i;
	ward->pid = fork_child();
	if (ward->pid == 0)
		work(t->arena, me, t->name, t->sem, &t->plan, random);
	t->starts++;
}

void herd_start(struct torture *t)
{
	for (uint32_t i = 0; i < t->plan.workers; i++)
		start(t, i);
}

/* ---- burying ---- */

static void count_death(struct torture *t, const struct place *dead)
{
	if (dead->phase == HOLDS)
		t->held_deaths++;
	else if (dead->phase == WANTS || dead->phase == GIVES)
		t->maybe_deaths++;
	if (dead->phase == WANTS)
		t->maybe_told++;
}

/* SIGNAL: what the dead one took, or may have taken, and did not send again is
 * sent in its stead, so that the others can go on. */
static void settle_signal(struct torture *t, struct place *dead)
{
	uint64_t missing = dead->waits_begun - dead->posts_done;
	t->gone_waits_begun += dead->waits_begun;
	t->gone_waits_done += dead->waits_done;
	t->gone_posts_begun += dead->posts_begun;
	t->gone_posts_done += dead->posts_done;
	dead->waits_begun = dead->waits_done = dead->posts_begun = dead->posts_done = 0;
	if (t->plan.kind != SEMUNDO_SIGNAL || !missing)
		return;
	t->own_posts += missing;
	if (semundo_release(t->sem, (unsigned)missing))
		fail(t, "the parent cannot release %u: %s", (unsigned)missing, semundo_error());
}

static void free_cells(struct torture *t, uint32_t i)
{
	for (uint32_t c = 0; c < t->plan.capacity; c++) {
		uint64_t stamp = t->arena->cell[c];
		if (stamp && stamp_place(stamp) == i)
			t->arena->cell[c] = 0;
	}
}

static void bury(struct torture *t, uint32_t i, int status)
{
	struct place *dead = &t->arena->place[i];
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || !dead->doomed)
		fail(t, "worker %u (%d) ended by itself, status 0x%x: %s", i, (int)t->ward[i].pid,
		     (unsigned)status, dead->complaint);
	free_cells(t, i);
	count_death(t, dead);
	settle_signal(t, dead);
	t->ward[i].pid = 0;
}

void herd_reap(struct torture *t)
{
	for (uint32_t i = 0; i < t->plan.workers && !t->failed; i++) {
		int status;
		pid_t pid = t->ward[i].pid;
		if (!pid || waitpid(pid, &status, WNOHANG) != pid)
			continue;
		bury(t, i, status);
		if (!t->failed)
			start(t, i);
	}
}

void herd_end(struct torture *t)
{
	for (uint32_t i = 0; i < t->plan.workers; i++)
		if (t->ward[i].pid) {
			t->arena->place[i].doomed = 1;
			kill(t->ward[i].pid, SIGKILL);
		}
	for (uint32_t i = 0; i < t->plan.workers; i++)
		if (t->ward[i].pid) {
			int status;
			reap(t->ward[i].pid, &status);
			bury(t, i, status);
		}
}

/* ---- killing and stopping ---- */

static void light_fuse(struct torture *t, uint32_t i, int number)
{
	static const char *const points[] = {
		"recover:",      "recover:claimed",     "recover:mourned", "wait:woken",
		"lane:pending",  "state:changed",       "lock:changed",    "signal:changed",
		"attach:",       "release:before-wake", "release:",        "wait:",
		"recover:freed", "recover:given-back",  "lane:idle",       "join:",
	};
	struct place *me = &t->arena->place[i];
	me->fuse_at = points[draw(&t->random, sizeof(points) / sizeof(points[0]))];
	me->fuse_signal = (uint32_t)number;
	me->fuse = 1 + draw(&t->random, 3);
	t->ward[i].fuse_until = now_ns() + FUSE_TIME;
}

static void kill_now(struct torture *t, uint32_t i)
{
	t->arena->place[i].doomed = 1;
	kill(t->ward[i].pid, SIGKILL);
}

/* A fuse burns in the worker, at a crash point; without it the parent watches
 * for the phase and strikes then. */
static void kill_one(struct torture *t, uint32_t i)
{
	struct place *me = &t->arena->place[i];
	uint32_t how = draw(&t->random, 8);
	if (me->doomed || !t->ward[i].pid || me->phase == PARKED)
		return;
	t->kills++;
	if (SEMUNDO_TEST && how < 4) {
		light_fuse(t, i, SIGKILL);
		return;
	}
	uint32_t phase = WANTS + draw(&t->random, 3);
	uint64_t give_up = now_ns() + MSEC / 2;
	while (how < 6 && me->phase != phase && now_ns() < give_up)
		;
	kill_now(t, i);
}

static void stop_one(struct torture *t, uint32_t i)
{
	struct place *me = &t->arena->place[i];
	if (me->doomed || me->halted || !t->ward[i].pid)
		return;
	t->stops++;
	if (SEMUNDO_TEST && draw(&t->random, 2)) {
		light_fuse(t, i, SIGSTOP);
		return;
	}
	me->halted = 1;
	kill(t->ward[i].pid, SIGSTOP);
}

/* One that stopped itself after it was told to go on stands unseen. */
static void find_stopped(struct torture *t)
{
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		const char *stat = strrchr(proc_line(t->ward[i].pid, "stat"), ')');
		if (stat && strncmp(stat, ") T", 3) == 0)
			t->arena->place[i].halted = 1;
	}
}

/* Whoever stands still gets a time at which it goes on. */
void herd_resume(struct torture *t, bool all)
{
	uint64_t now = now_ns();
	if (now > t->look_for_stopped && t->plan.stops) {
		find_stopped(t);
		t->look_for_stopped = now + 50 * MSEC;
	}
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		struct place *me = &t->arena->place[i];
		struct ward *ward = &t->ward[i];
		if (ward->fuse_until && (all || now > ward->fuse_until)) {
			me->fuse = 0;
			ward->fuse_until = 0;
		}
		if (!ward->pid || !me->halted)
			continue;
		if (!ward->resume_at)
			ward->resume_at = now + draw(&t->random, STOP_LONGEST_MS * 1000) * 1000ull;
		if (!all && now < ward->resume_at)
			continue;
		kill(ward->pid, SIGCONT);
		/* It may be on its way to stop itself: only a running one is done with. */
		const char *stat = strrchr(proc_line(ward->pid, "stat"), ')');
		if (stat && strncmp(stat, ") T", 3) != 0) {
			ward->resume_at = 0;
			me->halted = 0;
		}
	}
}

static bool is_due(struct torture *t, uint32_t a_second, uint64_t elapsed)
{
	uint64_t chance = (uint64_t)a_second * elapsed / 1000; /* of a million */
	return draw(&t->random, 1000000) < chance;
}

void herd_harass(struct torture *t)
{
	static uint64_t last;
	uint64_t now = now_ns();
	uint64_t elapsed = now - last < 10 * MSEC ? now - last : MSEC;
	last = now;
	if (is_due(t, t->plan.kills, elapsed))
		kill_one(t, draw(&t->random, t->plan.workers));
	if (is_due(t, t->plan.stops, elapsed))
		stop_one(t, draw(&t->random, t->plan.workers));
}
