/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs of this folder share: a table of trials that Check runs,
 * each with a directory of its own, results as TAP (with skips, which Check
 * does not know), and other processes that do as they are told.
 */
#ifndef PROCESSES_COMMON_H
#define PROCESSES_COMMON_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "semundo.h"

#define MSEC UINT64_C(1000000)
#define SEC UINT64_C(1000000000)
#define LIMIT (30 * SEC) /* what does not happen in that time does not happen */
/* A death is promised to be noticed within 12 ms; here other work goes on. Less
 * than the second after which everybody is asked, alarm or not. */
#define SOON (900 * MSEC)

/* ---- trials ---- */

struct trial {
	const char *title;
	const TTest *const *test;
	int times; /* run so often, with _i from 0; 0: once */
};

/* main() of a program: runs them, prints TAP, returns the exit status. */
int run_trials(const char *suite, const struct trial *trials, size_t count);
#define RUN(suite, trials) run_trials(suite, trials, sizeof(trials) / sizeof((trials)[0]))

/* Ends the trial as skipped: "skipped: needs ..." */
__attribute__((format(printf, 1, 2), noreturn)) void skip(const char *format, ...);
void need_root(void);

/* A line for people. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);

/* SEMUNDO_DIR of this trial; removed after it. */
extern char directory[];
const char *in_directory(const char *file);

uint64_t now_ns(void);
void pause_ns(uint64_t ns);
void *shared_memory(size_t size);

/* Polls until it is true, or fails the trial. */
#define AWAIT(condition) \
	do { \
		uint64_t give_up_ = now_ns() + LIMIT; \
		while (!(condition)) { \
			if (now_ns() > give_up_) \
				ck_abort_msg("waited in vain for: %s", #condition); \
			pause_ns(MSEC / 5); \
		} \
	} while (0)

/* ---- the semaphore of the trial ---- */

#define NAME "s"
extern semundo_t *sem; /* this process's handle; forked children inherit it */

void make(uint32_t kind, unsigned capacity);
void make_with_mode(uint32_t kind, unsigned capacity, uint32_t mode);
int64_t value(void);
struct semundo_info info(void);
void await_waiters(unsigned count);

/* ---- other processes ---- */

struct child {
	pid_t pid;
	int fd; /* orders out, results in */
};
typedef int act(long argument);

/* A forked child that obeys orders until its socket closes. */
void child_start(struct child *c);
void child_order(struct child *c, act *what, long argument);
int child_result(struct child *c); /* of an order; fails after LIMIT */
int child_does(struct child *c, act *what, long argument);
bool child_is_busy(struct child *c); /* no result yet */
void child_kill(struct child *c);    /* SIGKILL, and reaped */
int child_end(struct child *c);      /* its wait status, within LIMIT */
void child_stop(struct child *c);    /* SIGSTOP, and stopped */
void child_continue(struct child *c);

/* Orders. */
int do_acquire(long n);
int do_try(long n);
int do_timed(long milliseconds); /* one unit */
int do_release(long n);
int do_held(long unused);
int do_recover(long unused);
int do_exit(long status);  /* exit(3) */
int do_open(long flags);   /* the semaphore by its name */

/* Somebody waits for n units: started, and seen waiting. */
void waiter_start(struct child *c, long n);
/* Until a result can be read: the time that it may take, SOON and more where this
 * process itself was kept waiting for a processor meanwhile. */
uint64_t time_allowed(struct child *c);
/* The waiter was told of a death, soon after `since`. */
void expect_told(struct child *c, uint64_t since, const char *what);
/* kill() of a holder, then expect_told(). */
void expect_death_told(struct child *holder, struct child *waiter, const char *what);

/* Another program, peer.c: lines in, lines out. argv[0] is its path. */
void program_start(struct child *c, const char *const argv[]);
void program_order(struct child *c, const char *line);
int program_result(struct child *c, const char **ret_sentence); /* null: not wanted */
int program_does(struct child *c, const char *line);

#endif
