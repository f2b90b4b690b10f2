/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of every_instruction share; every_instruction.c says what it
 * is.
 *
 * Each *trial* is one kill, on a semaphore of its own. Its processes: the
 * *keeper* (it traces, may hold units, acts as the rival of the victim, and
 * checks), the *victim* (it is stepped through the operation and killed), and
 * as the operation wants them a *dead* one (killed before the victim starts, to
 * be recovered), a *waiter* (blocked in an acquire), a second *victim*; at the
 * end always a *newcomer*.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "semundo.h"
#include "step.h"

#define MSEC UINT64_C(1000000)
#define SEC (1000 * MSEC)
#define PATIENCE (10 * SEC) /* until what has to happen counts as lost */
#define FOR_IDLE (-1)      /* what a waiter wants: all units back */
#define TRACE_MAX (1u << 19)
#define NO_STEP UINT32_MAX

enum {
	FRESH = 1 << 0,       /* the directory has no peer file, the keeper is no peer */
	DETACHED = 1 << 1,    /* the victim is a peer, but not attached */
	NOT_JOINED = 1 << 2,  /* the victim is no peer yet */
	STALE_FLAG = 1 << 3,  /* a waiter's flag is up though nobody sleeps */
	GOES_ON = 1 << 4,     /* the victim is not killed there but goes on */
	LATE_WAITER = 1 << 5, /* the waiter comes while the victim stands still */
	UNTIMED = 1 << 6,     /* sleeps have no limit: a lost wake-up hangs; test build */
	FULL = 1 << 7,        /* all slots that are allocated are taken */
	NAMELESS = 1 << 8,    /* the victim makes the semaphore: none is there before */
	MAY_REPLACE = 1 << 9, /* the name may lead to a new semaphore afterwards */
	MAY_UNLINK = 1 << 10, /* ... or to none */
	TWO_VICTIMS = 1 << 11,/* after the victim a second one does the same */
	SIGNALLED = 1 << 12,  /* the event is a signal to the victim */
	FAST = 1 << 13        /* a fast path: no system call, nobody to wake */
};

struct trial;

struct operation {
	const char *name;
	uint32_t kind, capacity, value;
	unsigned flags;
	unsigned kept;       /* units the keeper holds */
	unsigned held;       /* units the victim holds before */
	int wanted;          /* units the waiter waits for; FOR_IDLE; 0: no waiter */
	int (*perform)(struct trial *t);
	int result;          /* what perform() returns undisturbed */
	int gain;            /* units the victim holds more after success; SIGNAL: of the value */
	void (*prepare)(struct trial *t); /* in the victim */
	void (*event)(struct trial *t);   /* so that the sleeping victim goes on */
	void (*rival)(struct trial *t);   /* the keeper's operation, while the victim stands */
	/* The dead one: holds units, then does this until shared memory has
	 * changed so many times; 0: it is killed at rest. */
	unsigned dead_holds;
	int (*dead_does)(struct trial *t);
	unsigned dead_changes;
};

/* A process that is told what to do; in shared memory. */
struct actor {
	pid_t pid;
	uint32_t stage; /* reports so far; a futex */
	uint32_t order; /* orders so far; a futex */
	int result;
	unsigned told;  /* acquires that returned 1 */
};

enum { WAITER, VICTIM, SECOND, DEAD, NEWCOMER, ACTORS };

/* What the survivors can see of what the victim did. */
struct view {
	uint32_t capacity;
	uint32_t held;     /* by the victim */
	uint32_t dead;     /* what the dead one still has */
	uint32_t attached; /* it has a slot */
	uint32_t named;    /* the name leads to: 0 nothing, 1 the first, 2 another */
};

enum effect { BEFORE, BETWEEN, AFTER };

/* What became of a trial; in shared memory. */
struct outcome {
	char failure[400];
	uint64_t pc;    /* where the victim was struck */
	uint64_t waited;/* ns until the waiter went on */
	struct view view;
	uint8_t begun, ran, failed, ended, strayed, came_back, asleep, left_temporary;
	uint8_t effect;
};

/* One executed instruction. */
struct instruction {
	uint64_t pc;
	uint32_t occurrence;/* of that pc, since the start or the last sleep */
	uint8_t slept;      /* it is a system call in which the victim slept */
	uint8_t changed;    /* after it, others could see something else, or might */
};

/* An undisturbed operation, step by step; in shared memory. */
struct trace {
	uint32_t length;
	struct view first, last;
	struct instruction at[TRACE_MAX];
};

struct trial {
	const struct operation *op;
	struct trace *trace;
	const char *dir;
	uint64_t seed;
	uint32_t kill_after;  /* instructions; NO_STEP: let it end, and record */
	bool kill_asleep;     /* in the next one, while it sleeps there */
	struct outcome *outcome;
	struct actor *actor;
	semundo_t *sem, *other;
	semundo_cancel_t *cancel;
	int event_done;
	unsigned kept;     /* by the keeper, now */
	unsigned told;     /* the keeper */
	unsigned deaths;   /* with units, that have to be recorded */
	int64_t posted;    /* SIGNAL: by the keeper */
	int64_t taken;     /* SIGNAL: by the waiter and others */
};

/* ---- operations.c ---- */
extern const struct operation operations[];
extern const unsigned operation_count;

/* ---- actors.c ---- */
uint64_t now_ns(void);
__attribute__((format(printf, 2, 3))) bool fail(struct trial *t, const char *format, ...);
/* fork(); the child dies with its parent. */
pid_t fork_child(void);
void reap(pid_t pid);
void start_actor(struct trial *t, int who, void (*body)(struct trial *t, struct actor *a));
void stop_actor(struct trial *t, int who);
void give_order(struct actor *a);
void await_order(struct actor *a, uint32_t number);
void report(struct actor *a, int result);
/* Whether that many reports came in time. */
bool await_stage(struct trial *t, int who, uint32_t stage);
/* Whether it sleeps in a wait of the library. */
bool await_sleep(struct trial *t, int who);

/* ---- clock.c ---- */
/* The calling process's clocks stand still from now on, an hour ahead. */
void stop_clock(void);
/* Those of a process that is traced go on. */
bool start_clock(pid_t pid);

/* ---- walk.c ---- */
/* The victim calls it when its operation is over. */
void operation_ended(void);
bool is_at_end(pid_t pid);
/* To the end, undisturbed; written down in the trace. */
bool walk_and_record(struct trial *t, pid_t pid);
/* As in the trace, up to that instruction; false: elsewhere, but stopped. */
bool walk_to(struct trial *t, pid_t pid, uint32_t to);
/* To where the trial wants it, noting in the outcome where it came to. */
void walk_to_place(struct trial *t, pid_t pid);

/* ---- scratch.c: what is the whole program's ---- */
/* A directory for semaphores for each job, removed at the end. */
void make_directories(unsigned jobs);
void directory_of(char *ret, size_t size, unsigned job, bool fresh);
/* Zeroed memory that forked children share. */
void *shared(size_t size);

/* ---- trial.c ---- */
/* In a process that has done nothing with the library but trials. False: it
 * failed, and this process is to end. */
bool run_trial(struct trial *t);

/* ---- looking.c: what survivors can see, while the victim stands still ---- */
bool has_flag(const struct trial *t);
void look(const struct trial *t, pid_t victim, struct view *ret);
bool same_view(const struct view *a, const struct view *b);
/* value + the sum of all held == capacity, exactly now. */
bool adds_up(struct trial *t, const char *when);
unsigned held_by_pid(const struct trial *t, pid_t pid);
/* Whether anything that outlives the victim changed since the last call. */
bool memory_changed(const struct trial *t, pid_t victim);
/* Locks on records of the peer file, that is live peers; -1: no such file. */
int live_records(const struct trial *t);
void fill_slots(struct trial *t);
void attach_only(semundo_t *sem);

/* ---- checks.c ---- */
void check_survivors(struct trial *t);

/* ---- report.c: choosing what to kill at, and telling what came of it ---- */
struct choice {
	uint32_t step;
	bool asleep;
};
struct summary {
	uint32_t steps, states, killed_at, chosen, ran, failed;
	uint32_t before, between, after, asleep, recovered, strayed, temporary;
	uint64_t waited_max;
	double seconds;
};
void number_occurrences(struct trace *trace);
/* All instructions where the operation has at most `all` of them; otherwise one
 * of each state that others can tell apart, and `more` others. 0 for `states`:
 * at most `more` in all. */
uint32_t choose(const struct trace *trace, struct choice *ret, uint32_t max, uint32_t all,
                bool states, uint32_t more, uint64_t *seed);
uint32_t draw(uint64_t *seed, uint32_t below);
void summarize(const struct trace *trace, const struct choice *choice,
               const struct outcome *outcome, struct summary *s);
void print_head(void);
void print_row(const char *name, const struct summary *s);

#endif
