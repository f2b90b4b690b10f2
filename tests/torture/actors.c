/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "wakeups.h"

#define POLL_PAUSE (50 * UINT64_C(1000))
#define SHORT_WAIT ((int64_t)(15 * MSEC))

static struct actor *self;

static void on_point(const char *where)
{
	const char *point = self->point;
	if (!point || strcmp(where, point) != 0)
		return;
	self->point = NULL;
	self->struck++;
	if (self->strike == CANCEL)
		semundo_cancel(self->cancel);
	else
		raise(self->strike == KILL ? SIGKILL : SIGSTOP);
}

static int open_new(const char *name)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	char other[80];
	semundo_t *sem;
	snprintf(other, sizeof(other), "%s-new", name);
	int r = semundo_open(&sem, other, SEMUNDO_CREATE, &options);
	if (!r)
		r = semundo_acquire(sem, 1);
	if (!r)
		r = semundo_release(sem, 1);
	return r;
}

static int perform(struct stage *s, struct actor *a)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	unsigned n = a->units;
	switch ((enum act)a->act) {
	case ACQUIRE:
		wait.cancel = a->cancel;
		return a->cancel ? semundo_acquire_with(s->sem, n, &wait) :
				   semundo_acquire(s->sem, n);
	case ACQUIRE_TIMED:
		return semundo_acquire_timed(s->sem, n, SHORT_WAIT);
	case RELEASE:
		return semundo_release(s->sem, n);
	case RECOVER:
		return semundo_recover(s->sem);
	case RESIZE:
		return semundo_resize(s->sem, n);
	case CLOSE:
		return semundo_close(s->sem);
	case OPEN_NEW:
		return open_new(s->name);
	}
	return -EINVAL;
}

static void play(struct stage *s, struct actor *a)
{
	self = a;
	semundo__test_point = on_point;
	for (;;) {
		while (a->asked == a->done)
			pause_ns(POLL_PAUSE);
		if (a->point && a->strike == CANCEL && semundo_cancel_new(&a->cancel))
			_exit(1);
		a->result = perform(s, a);
		if (a->result < 0)
			snprintf(a->error, sizeof(a->error), "%s", semundo_error());
		a->done++;
	}
}

struct actor *actor_start(struct stage *s)
{
	static struct actor *pool;
	if (!pool)
		pool = shared_memory(ACTORS_MAX * sizeof(*pool));
	struct actor *a = &pool[s->actors];
	memset(a, 0, sizeof(*a));
	s->actor[s->actors++] = a;
	a->pid = fork_child();
	if (a->pid == 0) {
		a->pid = getpid();
		play(s, a);
	}
	return a;
}

void actor_strikes(struct actor *a, const char *point, enum strike strike)
{
	a->strike = strike;
	a->point = point;
}

void actor_does(struct actor *a, enum act act, unsigned units)
{
	a->act = act;
	a->units = units;
	a->asked++;
}

void actor_kill(struct stage *s, struct actor *a)
{
	int status;
	(void)s;
	if (!a->pid)
		return;
	kill(a->pid, SIGKILL);
	reap(a->pid, &status);
	a->pid = 0;
}

void actor_resume(struct actor *a)
{
	/* It says that it is struck before it stops: not until it stands. */
	uint64_t give_up = now_ns() + LIMIT;
	for (;;) {
		const char *stat = strrchr(proc_line(a->pid, "stat"), ')');
		if ((stat && stat[2] == 'T') || now_ns() > give_up)
			break;
		pause_ns(POLL_PAUSE);
	}
	kill(a->pid, SIGCONT);
}

/* ---- what is seen of them ---- */

bool actor_did(struct stage *s, struct actor *a, const char *who)
{
	uint64_t give_up = now_ns() + LIMIT;
	while (a->done != a->asked) {
		if (now_ns() > give_up) {
			int64_t value = -1;
			semundo_value(s->sem, &value);
			snprintf(s->why, sizeof(s->why),
			         "the %s has not gone on for %.1f s (value %d, wchan %s)", who,
			         (double)LIMIT / 1e9, (int)value, proc_line(a->pid, "wchan"));
			return false;
		}
		pause_ns(POLL_PAUSE);
	}
	if (a->result < 0 && a->act != ACQUIRE_TIMED)
		snprintf(s->why, sizeof(s->why), "the %s failed: %s", who, a->error);
	return a->result >= 0 || a->act == ACQUIRE_TIMED;
}

bool actor_struck(struct stage *s, struct actor *a)
{
	uint64_t give_up = now_ns() + LIMIT;
	while (!a->struck) {
		if (now_ns() > give_up) {
			snprintf(s->why, sizeof(s->why), "the victim never came to its point%s",
			         a->done == a->asked ? ", though it is done" : "");
			return false;
		}
		pause_ns(POLL_PAUSE);
	}
	if (a->strike == KILL) {
		int status;
		reap(a->pid, &status);
		a->pid = 0;
	}
	return true;
}

static bool shows_as_waiting(struct stage *s, pid_t pid)
{
	struct semundo_peer *first;
	bool waits = false;
	if (semundo_peers(s->sem, &first))
		return false;
	for (struct semundo_peer *p = first; p; p = p->next)
		waits = waits || (p->pid == pid && p->waiting);
	semundo_peers_free(first);
	return waits;
}

bool actor_waits(struct stage *s, struct actor *a)
{
	uint64_t give_up = now_ns() + LIMIT;
	for (;;) {
		const char *stat = strrchr(proc_line(a->pid, "stat"), ')');
		if (a->done != a->asked && stat && stat[2] == 'S' && shows_as_waiting(s, a->pid))
			return true;
		if (a->done == a->asked || now_ns() > give_up)
			break;
		pause_ns(POLL_PAUSE);
	}
	snprintf(s->why, sizeof(s->why), "a process that has to wait does not: %s",
	         a->done == a->asked ? "it went on" : "it does not show as waiting");
	return false;
}

bool post(struct stage *s, unsigned units)
{
	if (semundo_release(s->sem, units) == 0)
		return true;
	snprintf(s->why, sizeof(s->why), "the parent cannot post: %s", semundo_error());
	return false;
}
