/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wakeups.h"

enum { LOCKS = 1, PERMITS = 2, SIGNALS = 4, ALL = 7 };

struct scene {
	const char *title;
	bool (*play)(struct stage *s, const struct scene *scene, enum strike strike);
	const char *point;
	int kinds;
	bool took_effect; /* at that point what the victim does is done */
};

static bool is_signal(const struct stage *s)
{
	return s->kind == SEMUNDO_SIGNAL;
}

/* Somebody has all units. */
static bool hold_all(struct stage *s, struct actor *a)
{
	if (is_signal(s))
		return true;
	actor_does(a, ACQUIRE, s->n);
	return actor_did(s, a, "holder");
}

static bool waits_for_units(struct stage *s, struct actor *a, unsigned units)
{
	actor_does(a, ACQUIRE, units);
	return actor_waits(s, a);
}

static bool gives_back(struct stage *s, struct actor *a)
{
	if (is_signal(s))
		return post(s, s->n);
	actor_does(a, RELEASE, s->n);
	return actor_did(s, a, "releaser");
}

/* ---- scenes ---- */

static bool in_acquire(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *victim = actor_start(s), *waiter = actor_start(s);
	if (is_signal(s) && !post(s, s->n))
		return false;
	actor_strikes(victim, scene->point, strike);
	actor_does(victim, ACQUIRE, s->n);
	if (!actor_struck(s, victim))
		return false;
	if (is_signal(s) && scene->took_effect && !post(s, s->n))
		return false;
	bool is_held = strike == STOP && scene->took_effect && !is_signal(s);
	actor_does(waiter, ACQUIRE, s->waiter_n);
	if (is_held) {
		if (!actor_waits(s, waiter))
			return false;
		actor_resume(victim);
		if (!actor_did(s, victim, "victim"))
			return false;
		actor_does(victim, RELEASE, s->n);
	}
	return actor_did(s, waiter, "waiter");
}

static bool in_release(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *victim = actor_start(s), *waiter = actor_start(s);
	if (!hold_all(s, victim) || !waits_for_units(s, waiter, s->waiter_n))
		return false;
	actor_strikes(victim, scene->point, strike);
	actor_does(victim, strcmp(scene->point, "detach:empty") ? RELEASE : CLOSE, s->n);
	if (!actor_struck(s, victim))
		return false;
	if (strike == STOP && !scene->took_effect) {
		if (!actor_waits(s, waiter))
			return false;
		actor_resume(victim);
	}
	return actor_did(s, waiter, "waiter");
}

/* Before it sleeps: the one who comes later must be woken. */
static bool in_wait(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *holder = actor_start(s), *victim = actor_start(s), *waiter = actor_start(s);
	if (!hold_all(s, holder))
		return false;
	actor_strikes(victim, scene->point, strike);
	actor_does(victim, ACQUIRE, s->n);
	if (!actor_struck(s, victim) || !waits_for_units(s, waiter, s->waiter_n))
		return false;
	return gives_back(s, holder) && actor_did(s, waiter, "waiter");
}

/* It took the wake-up and does nothing with it. */
static bool in_woken(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *holder = actor_start(s), *victim = actor_start(s), *waiter = actor_start(s);
	if (!hold_all(s, holder) || !waits_for_units(s, victim, s->n) ||
	    !waits_for_units(s, waiter, s->waiter_n))
		return false;
	actor_strikes(victim, scene->point, strike);
	return gives_back(s, holder) && actor_struck(s, victim) && actor_did(s, waiter, "waiter");
}

/* Its time is up while others wait. */
static bool in_leave(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *holder = actor_start(s), *victim = actor_start(s), *waiter = actor_start(s);
	if (!hold_all(s, holder))
		return false;
	actor_strikes(victim, scene->point, strike);
	actor_does(victim, ACQUIRE_TIMED, s->n);
	if (!waits_for_units(s, waiter, s->waiter_n) || !actor_struck(s, victim))
		return false;
	return gives_back(s, holder) && actor_did(s, waiter, "waiter");
}

/* Woken and cancelled at once: it has the units, or the wake-up goes on. */
static bool in_cancel(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *holder = actor_start(s), *victim = actor_start(s), *waiter = actor_start(s);
	(void)strike;
	if (!hold_all(s, holder))
		return false;
	actor_strikes(victim, scene->point, CANCEL);
	actor_does(victim, ACQUIRE, s->n);
	actor_does(waiter, ACQUIRE, s->waiter_n);
	if (!actor_waits(s, waiter) || !gives_back(s, holder))
		return false;
	uint64_t give_up = now_ns() + LIMIT;
	while (victim->done != victim->asked && waiter->done != waiter->asked &&
	       now_ns() < give_up)
		pause_ns(MSEC / 10);
	if (victim->done == victim->asked && victim->result >= 0) {
		actor_does(victim, RELEASE, s->n);
		if (!actor_did(s, victim, "victim"))
			return false;
	}
	return actor_did(s, waiter, "waiter");
}

/* The dead holder's recoverer dies, or stands still and dies with one waiting. */
static bool in_recovery(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *dead = actor_start(s), *victim = actor_start(s), *waiter = actor_start(s);
	actor_does(dead, ACQUIRE, s->n);
	if (is_signal(s) ? !actor_waits(s, dead) : !actor_did(s, dead, "holder"))
		return false;
	actor_kill(s, dead);
	actor_strikes(victim, scene->point, strike);
	actor_does(victim, RECOVER, 0);
	if (!actor_struck(s, victim))
		return false;
	actor_does(waiter, ACQUIRE, s->waiter_n);
	if (is_signal(s))
		return post(s, s->n) && actor_did(s, waiter, "waiter");
	if (strike == STOP && !scene->took_effect) {
		if (!actor_waits(s, waiter))
			return false;
		actor_kill(s, victim);
	}
	return actor_did(s, waiter, "waiter");
}

static bool in_resize(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *holder = actor_start(s), *victim = actor_start(s), *waiter = actor_start(s);
	struct actor *other = actor_start(s);
	if (!hold_all(s, holder) || !waits_for_units(s, waiter, s->waiter_n))
		return false;
	actor_strikes(victim, scene->point, strike);
	actor_does(victim, RESIZE, 2 * s->n);
	if (!actor_struck(s, victim))
		return false;
	if (strike == STOP && !scene->took_effect) {
		actor_resume(victim);
	} else if (!scene->took_effect) {
		actor_does(other, RESIZE, 2 * s->n);
		if (!actor_did(s, other, "second to resize"))
			return false;
	}
	return actor_did(s, waiter, "waiter");
}

/* A flag is up though nobody sleeps. On a busy machine the passer's time may be up
 * before it raises the flag: then it tries again. */
static bool leaves_flag(struct stage *s, struct actor *passer)
{
	uint64_t give_up = now_ns() + LIMIT;
	while (!passer->struck && now_ns() < give_up) {
		actor_strikes(passer, "wait:before-sleep", STOP);
		actor_does(passer, ACQUIRE_TIMED, s->n);
		while (!passer->struck && passer->done != passer->asked)
			pause_ns(MSEC / 20);
	}
	if (!actor_struck(s, passer))
		return false;
	actor_resume(passer);
	return actor_did(s, passer, "passer");
}

/* The releaser finds nobody to wake, and takes the flag back while another
 * goes to sleep: see take_flags_back(). */
static bool in_flags(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *victim = actor_start(s), *passer = actor_start(s);
	struct actor *second = actor_start(s), *waiter = actor_start(s);
	if (!hold_all(s, victim))
		return false;
	if (!leaves_flag(s, passer))
		return false;
	actor_strikes(victim, "release:woke", STOP);
	actor_does(victim, RELEASE, s->n);
	if (!actor_struck(s, victim))
		return false;
	actor_does(second, ACQUIRE, s->n);
	if (!actor_did(s, second, "second holder") || !waits_for_units(s, waiter, s->waiter_n))
		return false;
	victim->struck = 0;
	actor_strikes(victim, scene->point, strike);
	actor_resume(victim);
	if (!actor_struck(s, victim))
		return false;
	return gives_back(s, second) && actor_did(s, waiter, "waiter");
}

static bool in_create(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *victim = actor_start(s), *other = actor_start(s);
	char name[80];
	actor_strikes(victim, scene->point, strike);
	actor_does(victim, OPEN_NEW, 1);
	if (!actor_struck(s, victim))
		return false;
	actor_does(other, OPEN_NEW, 1);
	bool ok = actor_did(s, other, "other creator");
	snprintf(name, sizeof(name), "%s-new", s->name);
	semundo_unlink(name, NULL);
	return ok;
}

/* So many processes that the file has to grow. */
#define CROWD 50
static bool in_growth(struct stage *s, const struct scene *scene, enum strike strike)
{
	struct actor *waiter = actor_start(s);
	for (unsigned i = 0; i < CROWD; i++) {
		struct actor *a = actor_start(s);
		actor_strikes(a, scene->point, strike);
		actor_does(a, ACQUIRE_TIMED, s->n);
		while (!a->struck && a->done != a->asked)
			pause_ns(MSEC / 20);
		if (!a->struck) {
			actor_does(a, RELEASE, s->n);
			while (a->done != a->asked)
				pause_ns(MSEC / 20);
			continue;
		}
		if (!actor_struck(s, a))
			return false;
		actor_does(waiter, ACQUIRE, s->waiter_n);
		return actor_did(s, waiter, "waiter");
	}
	snprintf(s->why, sizeof(s->why), "the file did not grow for %d processes", CROWD);
	return false;
}

static const struct scene scenes[] = {
	{ "acquire", in_acquire, "join:locked", LOCKS | PERMITS, false },
	{ "acquire", in_acquire, "join:claimed", LOCKS | PERMITS, false },
	{ "acquire", in_acquire, "join:armed", LOCKS | PERMITS, false },
	{ "acquire", in_acquire, "attach:claimed", LOCKS | PERMITS, false },
	{ "acquire", in_acquire, "attach:done", LOCKS | PERMITS, false },
	{ "acquire", in_acquire, "lane:pending", PERMITS, false },
	{ "acquire", in_acquire, "state:changed", PERMITS, true },
	{ "acquire", in_acquire, "lane:idle", PERMITS, true },
	{ "acquire", in_acquire, "lock:changed", LOCKS, true },
	{ "acquire", in_acquire, "signal:changed", SIGNALS, true },
	{ "release", in_release, "lane:pending", PERMITS, false },
	{ "release", in_release, "state:changed", PERMITS, true },
	{ "release", in_release, "lane:idle", PERMITS, true },
	{ "release", in_release, "lock:changed", LOCKS, true },
	{ "release", in_release, "signal:changed", SIGNALS, true },
	{ "release", in_release, "release:before-wake", ALL, true },
	{ "release", in_release, "release:woke", ALL, true },
	{ "close", in_release, "detach:empty", LOCKS | PERMITS, true },
	{ "waiting", in_wait, "wait:announced", ALL, false },
	{ "waiting", in_wait, "wait:flagged", ALL, false },
	{ "waiting", in_wait, "wait:before-sleep", ALL, false },
	{ "woken", in_woken, "wait:woken", ALL, false },
	{ "time is up", in_leave, "wait:leave", ALL, false },
	{ "cancelled", in_cancel, "wait:woken", ALL, false },
	{ "cancelled", in_cancel, "wait:before-sleep", ALL, false },
	{ "recovery", in_recovery, "recover:claimed", ALL, false },
	{ "recovery", in_recovery, "recover:settled", PERMITS, false },
	{ "recovery", in_recovery, "recover:mourned", LOCKS | PERMITS, false },
	{ "recovery", in_recovery, "lane:pending", PERMITS, false },
	{ "recovery", in_recovery, "state:changed", PERMITS, true },
	{ "recovery", in_recovery, "lane:idle", PERMITS, true },
	{ "recovery", in_recovery, "lock:changed", LOCKS, true },
	{ "recovery", in_recovery, "recover:given-back", ALL, true },
	{ "recovery", in_recovery, "recover:woken", ALL, true },
	{ "recovery", in_recovery, "recover:freed", ALL, true },
	{ "resize", in_resize, "resize:claimed", PERMITS, false },
	{ "resize", in_resize, "lane:pending", PERMITS, false },
	{ "resize", in_resize, "state:changed", PERMITS, true },
	{ "resize", in_resize, "lane:idle", PERMITS, true },
	{ "flags taken back", in_flags, "release:flag-cleared", ALL, true },
	{ "create", in_create, "create:written", PERMITS, false },
	{ "create", in_create, "create:linked", PERMITS, false },
	{ "growth", in_growth, "grow:allocated", PERMITS, false },
};
#define SCENES (sizeof(scenes) / sizeof(scenes[0]))

/* ---- stages ---- */

static const struct {
	const char *title;
	int kind_bit;
	uint32_t kind;
	unsigned n, waiter_n;
} casts[] = {
	{ "LOCK", LOCKS, SEMUNDO_LOCK, 1, 1 },
	{ "PERMITS", PERMITS, SEMUNDO_PERMITS, 1, 1 },
	{ "PERMITS, both want 2", PERMITS, SEMUNDO_PERMITS, 2, 2 },
	{ "PERMITS, the victim wants 2", PERMITS, SEMUNDO_PERMITS, 2, 1 },
	{ "SIGNAL", SIGNALS, SEMUNDO_SIGNAL, 1, 1 },
	{ "SIGNAL, the victim wants 2", SIGNALS, SEMUNDO_SIGNAL, 2, 1 },
};
#define CASTS (sizeof(casts) / sizeof(casts[0]))

static void set_up(struct stage *s, size_t cast)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	static unsigned number;
	memset(s, 0, sizeof(*s));
	s->kind = options.kind = casts[cast].kind;
	s->n = casts[cast].n;
	s->waiter_n = casts[cast].waiter_n;
	if (s->kind == SEMUNDO_PERMITS)
		options.capacity = s->n;
	snprintf(s->name, sizeof(s->name), "wake-%u", ++number);
	if (semundo_open(&s->sem, s->name, SEMUNDO_CREATE | SEMUNDO_EXCL, &options))
		die("%s", semundo_error());
}

/* Everybody dies; all units come back. */
static bool tear_down(struct stage *s, bool ok)
{
	struct semundo_info info = { .size = sizeof(info) };
	for (unsigned i = 0; i < s->actors; i++)
		actor_kill(s, s->actor[i]);
	if (semundo_recover(s->sem) < 0 || semundo_info(s->sem, &info))
		die("%s", semundo_error());
	if (ok && !is_signal(s) &&
	    (info.value != (int64_t)info.capacity || info.held || info.dead)) {
		snprintf(s->why, sizeof(s->why),
		         "at the end the value is %" PRId64 " of %u, held %" PRIu64 ", dead %u",
		         info.value, info.capacity, info.held, info.dead);
		ok = false;
	}
	semundo_close(s->sem);
	if (semundo_unlink(s->name, NULL))
		die("%s", semundo_error());
	return ok;
}

static void run(const struct scene *scene, size_t cast, enum strike strike)
{
	static const char *const words[] = { "killed", "stopped", "cancelled" };
	struct stage s;
	set_up(&s, cast);
	bool ok = tear_down(&s, scene->play(&s, scene, strike));
	tap_result(ok, s.why, "%s: %s at %s (%s)", scene->title, words[strike], scene->point,
	           casts[cast].title);
}

static unsigned go_through(bool only_count)
{
	unsigned count = 0;
	for (size_t i = 0; i < SCENES; i++)
		for (size_t cast = 0; cast < CASTS; cast++)
			for (enum strike strike = KILL; strike <= CANCEL; strike++) {
				bool cancels = scenes[i].play == in_cancel;
				if (!(scenes[i].kinds & casts[cast].kind_bit) ||
				    cancels != (strike == CANCEL))
					continue;
				count++;
				if (!only_count)
					run(&scenes[i], cast, strike);
			}
	return count;
}

int main(void)
{
	own_directory();
	tap_plan(go_through(true));
	go_through(false);
	return tap_status();
}
