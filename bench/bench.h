/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmarks: every candidate does the same in the same run, in turns, so
 * that what disturbs one disturbs all; ratios of medians count.
 *
 *   bench.c      which, in what order, and the table
 *   candidates.c the semaphores that are compared, behind one face
 *   pairs.c      acquire and release: alone, with a thread, in two processes
 *   handover.c   ping-pong between two processes
 *   death.c      a holder is killed until the next waiter runs
 *   names.c      open, close, create, unlink; memory
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "semundo.h"

#define ROUNDS_MAX 4000

enum candidate {
	GLIBC_SEM,    /* sem_t, process-shared */
	SYSV_UNDO,    /* semop() with SEM_UNDO */
	ROBUST_MUTEX, /* pthread_mutex_t, process-shared and robust */
	SEMUNDO_LOCKS,
	SEMUNDO_PERMIT,
	SEMUNDO_SIGNALS,
	CANDIDATES
};

struct subject {
	enum candidate what;
	void *shared;      /* for sem_t and the mutex */
	int sysv;          /* a set's id */
	semundo_t *sem;
};

/* With so many units, which may be 0 at first for a SIGNAL. */
void subject_make(struct subject *s, enum candidate what, unsigned units);
void subject_drop(struct subject *s);
void subject_acquire(struct subject *s);
void subject_release(struct subject *s);
/* So many pairs; ns for one. */
double subject_pairs(struct subject *s, unsigned count);
const char *candidate_name(enum candidate what);

struct series {
	unsigned count;
	double value[ROUNDS_MAX];
};

void series_add(struct series *s, double value);
double series_at(struct series *s, double part); /* 0: least, 0.5: median */

/* One line of the table, against an optional promise: at most limit times. */
void table_head(const char *title, const char *unit);
void table_line(const char *what, struct series *s);
/* ours / theirs at that part of each (0.5: medians), and what is promised; the
 * run fails where least / least is above what is required (0: no such). */
void table_ratio(const char *what, struct series *ours, struct series *theirs, double part,
                 double promise, double required);
/* At least so many times faster. */
void table_faster(const char *what, double slow, double fast, double promise);
void table_fact(const char *what, double measured, const char *unit, double limit);

uint64_t now_ns(void);
void *shared_memory(size_t size);
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);
pid_t fork_child(void);
void reap(pid_t pid);
void run_on(int cpu); /* below 0: anywhere */

void bench_pairs(double scale);
void bench_handover(double scale);
void bench_death(double scale);
void bench_names(double scale);

#endif
