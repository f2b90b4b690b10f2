/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that use a semaphore on demand: each is told what to do and says
 * what came of it, over a socket. They die with the test.
 */
#ifndef TESTS_WORKER_H
#define TESTS_WORKER_H

#include "suite.h"

/* semundo_acquire(), semundo_release() and all others of that form, or one of
 * the test's own. */
typedef int act(semundo_t *sem, unsigned n);

struct worker {
	pid_t pid;
	int fd;
	uint32_t *busy; /* shared with it: it is in the act */
	char error[256];/* the sentence of its latest failure */
};

/* One that opens the semaphore of that name itself, when it is first told to
 * do something with it. (If it is forked while the caller has it open, that is
 * one more reference to the handle that it inherits.) */
struct worker *worker_open(const char *name);

/* One that opens it by a descriptor, received over a socket; it is forked
 * before *sem is made, so it inherits nothing of it. See worker_give(). */
struct worker *worker_stranger(void);
void worker_give(struct worker *w, int fd);

/* One that uses the handle that it inherits. */
struct worker *worker_fork(semundo_t *sem);

/* Tells it; it does it while the caller goes on. */
void worker_start(struct worker *w, act *what, unsigned n);
/* What came of it; the test fails if nothing does. */
int worker_result(struct worker *w);
int worker_does(struct worker *w, act *what, unsigned n);
/* Whether it is done, now. */
bool worker_is_done(struct worker *w);
/* Until it sleeps in what it was told to do; fails if it is done instead. */
void worker_sleeps(struct worker *w);

void worker_signal(struct worker *w, int number);
void worker_kill(struct worker *w);
/* Lets it close the semaphore and end. */
void worker_end(struct worker *w);

#define worker_must(w, what, n) worker_must_be(w, what, n, 0)
#define worker_must_be(w, what, n, wanted) \
	do { \
		int done_ = worker_does(w, what, n); \
		ck_assert_msg(done_ == (wanted), "%s(%u) of a worker is %d, not %d (%s)", #what, \
		              (unsigned)(n), done_, (int)(wanted), done_ < 0 ? (w)->error : ""); \
	} while (0)
#define worker_result_must_be(w, wanted) \
	do { \
		int got_ = worker_result(w); \
		ck_assert_msg(got_ == (wanted), "a worker's result is %d, not %d (%s)", got_, \
		              (int)(wanted), got_ < 0 ? (w)->error : ""); \
	} while (0)

#endif
