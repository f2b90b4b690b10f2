/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wake-ups: at each crash point of each scenario the victim is killed or
 * stopped, with a live waiter in another process, which must go on.
 *
 *   wakeups.c       the table of cases, and what is asked of the waiter
 *   actors.c        victim, waiter and helpers as processes that report
 */
#ifndef WAKEUPS_H
#define WAKEUPS_H

#include "common.h"
#include "test_hooks.h"

#define ACTORS_MAX 64
#define LIMIT SEC /* a waiter goes on within this */

enum strike { KILL, STOP, CANCEL };
enum act { ACQUIRE, ACQUIRE_TIMED, RELEASE, RECOVER, RESIZE, CLOSE, OPEN_NEW };

/* One other process: what it shall do goes in, what happened comes out. */
struct actor {
	_Atomic uint32_t asked;      /* steps that it may do, */
	_Atomic uint32_t done;       /* and has done */
	_Atomic uint32_t act;        /* the step */
	_Atomic uint32_t units;      /* for it */
	_Atomic int result;          /* of the latest step */
	_Atomic uint32_t struck;     /* times that it came to its point */
	_Atomic uint32_t strike;     /* what happens to it there */
	const char *_Atomic point;   /* null: nowhere */
	semundo_cancel_t *cancel;
	char error[160];
	pid_t pid;
};

/* Made for each case. */
struct stage {
	uint32_t kind;
	unsigned n;        /* units of an acquire of the victim, and the capacity */
	unsigned waiter_n; /* units that the waiter wants */
	char name[64];
	semundo_t *sem;    /* the parent's: it only looks, until the end */
	struct actor *actor[ACTORS_MAX];
	unsigned actors;
	char why[400];
};

/* A process of its own, which does nothing yet. */
struct actor *actor_start(struct stage *s);
void actor_strikes(struct actor *a, const char *point, enum strike strike);
void actor_does(struct actor *a, enum act act, unsigned units);
void actor_kill(struct stage *s, struct actor *a);
void actor_resume(struct actor *a);

/* Each says what is wrong in s->why where it is false. */
bool actor_did(struct stage *s, struct actor *a, const char *who); /* within LIMIT */
bool actor_struck(struct stage *s, struct actor *a);
bool actor_waits(struct stage *s, struct actor *a); /* it shows as waiting, asleep */

/* The parent sends units of a SIGNAL. */
bool post(struct stage *s, unsigned units);

#endif
