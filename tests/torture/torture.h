/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The torture: workers that acquire and release while the parent kills and
 * stops them, and judges.
 *
 *   torture.c   options, configurations, report
 *   herd.c      the parent's hand: start, kill, stop, reap, replace
 *   judge.c     the parent's eye: waits, conservation, deaths told
 *   worker.c    what each worker does; exclusion by stamps
 */
#ifndef TORTURE_H
#define TORTURE_H

#include "common.h"

#define WORKERS_MAX 12u
#define CELLS_MAX 64u

enum phase {
	STARTING, /* nothing begun */
	IDLE,     /* between two rounds */
	PARKED,   /* was asked to keep still */
	WANTS,    /* inside acquire: may hold `units`, or not yet */
	HOLDS,    /* holds `units` for sure */
	GIVES     /* inside release: may hold `units`, or no more */
};

/* One worker's place; survives the processes that are in it in turn. */
struct place {
	_Atomic uint32_t life;      /* raised with each process that takes the place */
	_Atomic uint32_t phase;
	_Atomic uint32_t units;     /* wanted or held in this round */
	_Atomic uint32_t doomed;    /* SIGKILL was sent, or is about to be */
	_Atomic uint32_t halted;    /* SIGSTOP was sent, or is about to be */
	_Atomic uint64_t round;     /* number of acquires begun */
	_Atomic uint64_t acquired;  /* ... that succeeded */
	_Atomic uint64_t told;      /* ... that returned 1 */
	/* Units of SIGNAL: an operation in flight is begun and not done. */
	_Atomic uint64_t waits_begun, waits_done, posts_begun, posts_done;
	/* The next matching crash point raises this signal. */
	_Atomic uint32_t fuse;      /* how many matches are left; 0: none */
	_Atomic uint32_t fuse_signal;
	const char *_Atomic fuse_at;/* points that start so */
	const char *_Atomic point;  /* the latest crash point */
	char complaint[200];        /* why the worker ended */
};

struct arena {
	_Atomic uint32_t still;        /* workers are asked to park */
	_Atomic uint64_t cell[CELLS_MAX]; /* stamps of those inside */
	struct place place[WORKERS_MAX];
};

struct plan {
	uint32_t kind;
	uint32_t capacity;
	uint32_t workers;
	uint32_t most_units;  /* an acquire asks for 1 to so many */
	uint32_t kills;       /* a second; 0: none */
	uint32_t stops;       /* a second; 0: none */
	uint64_t seed;
	uint64_t length;      /* ns */
	uint64_t bound;       /* ns that a waiter may wait for what is free */
	const char *engine;   /* prefix of names, or "" */
};

#define SPANS 40
struct spans {             /* waits while units were free, by powers of 2 us */
	uint64_t count[SPANS];
	uint64_t longest;
};

/* What the parent knows of one worker. */
struct ward {
	pid_t pid;
	uint64_t resume_at;    /* when to continue it; 0: it is not stopped */
	uint64_t fuse_until;   /* when to take the fuse back; 0: none */
	uint64_t round;        /* the wait that is watched, */
	uint64_t free_since;   /* for what value says, */
	uint64_t right_since;  /* and for what nobody alive holds */
};

struct torture {
	struct plan plan;
	struct arena *arena;
	semundo_t *sem;
	char name[64];
	uint64_t random;
	struct ward ward[WORKERS_MAX];
	struct spans free_waits, right_waits;
	uint64_t kills, stops, acquired, told, starts;
	uint64_t held_deaths;   /* killed while holding for sure */
	uint64_t maybe_deaths;  /* killed while perhaps holding */
	uint64_t checks;        /* of conservation */
	/* since the last check */
	uint64_t told_then, deaths_then, maybe_told;
	uint64_t base_value;    /* SIGNAL: where the account begins */
	uint64_t gone_waits_begun, gone_waits_done, gone_posts_begun, gone_posts_done;
	uint64_t own_posts;
	uint64_t progress_at, progress;
	uint64_t look_for_stopped, check_at;
	bool failed;
	char why[512];
};

/* worker.c: never returns. */
__attribute__((noreturn)) void work(struct arena *arena, struct place *me, const char *name,
                                    semundo_t *inherited, const struct plan *plan,
                                    uint64_t random);
uint64_t stamp_place(uint64_t stamp);

/* herd.c */
void herd_start(struct torture *t);
void herd_reap(struct torture *t);      /* buries the dead, starts others in their place */
void herd_harass(struct torture *t);    /* kills and stops whom chance says */
void herd_resume(struct torture *t, bool all);
void herd_end(struct torture *t);       /* kills all, buries them */

/* judge.c */
void judge_waits(struct torture *t);
void judge_progress(struct torture *t);
void judge_at_rest(struct torture *t);  /* parks everybody and counts */
void judge_end(struct torture *t);      /* after all are dead */
__attribute__((format(printf, 2, 3))) void fail(struct torture *t, const char *format, ...);
uint64_t percentile(const struct spans *spans, unsigned of_1000);

#endif
