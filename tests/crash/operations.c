/* SPDX-License-Identifier: Apache-2.0 */
/* The operations, and the situations in which they are interrupted. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "crash.h"

#define L SEMUNDO_LOCK
#define P SEMUNDO_PERMITS
#define S SEMUNDO_SIGNAL

/* ---- what the victim does ----------------------------------------------------- */

/* clang-format off */
static int acquire_1(struct trial *t) { return semundo_acquire(t->sem, 1); }
static int acquire_2(struct trial *t) { return semundo_acquire(t->sem, 2); }
static int acquire_3(struct trial *t) { return semundo_acquire(t->sem, 3); }
static int try_1(struct trial *t) { return semundo_try_acquire(t->sem, 1); }
static int timed_0(struct trial *t) { return semundo_acquire_timed(t->sem, 1, 0); }
static int release_1(struct trial *t) { return semundo_release(t->sem, 1); }
static int release_3(struct trial *t) { return semundo_release(t->sem, 3); }
static int idle(struct trial *t) { return semundo_wait_idle(t->sem, NULL); }
static int resize_2(struct trial *t) { return semundo_resize(t->sem, 2); }
static int closing(struct trial *t) { return semundo_close(t->sem); }
static int unlinking(struct trial *t) { (void)t; return semundo_unlink("s", NULL); }
static int recover(struct trial *t) { return semundo_recover(t->sem); }
/* clang-format on */

static int acquire_cancelled(struct trial *t)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	wait.cancel = t->cancel;
	return semundo_acquire_with(t->sem, 1, &wait);
}

static int open_with(struct trial *t, unsigned flags)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	o.kind = t->op->kind;
	o.capacity = t->op->capacity;
	return semundo_open(&sem, "s", flags, &o);
}

static int opening(struct trial *t)
{
	return open_with(t, 0);
}

static int creating(struct trial *t)
{
	return open_with(t, SEMUNDO_CREATE);
}

static int creating_excl(struct trial *t)
{
	return open_with(t, SEMUNDO_CREATE | SEMUNDO_EXCL);
}

static int replacing(struct trial *t)
{
	return open_with(t, SEMUNDO_CREATE | SEMUNDO_REPLACE);
}

static int anonymous(struct trial *t)
{
	struct semundo_options o = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	o.kind = t->op->kind;
	return semundo_anonymous(&sem, &o);
}

/* ---- what it does before -------------------------------------------------------- */

static void close_inherited(struct trial *t)
{
	semundo_close(t->sem);
}

static void *attach_and_end(void *arg)
{
	attach_only(arg);
	return NULL;
}

/* The alarm is the thread's, which ends. */
static void join_by_thread(struct trial *t)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, attach_and_end, t->sem) || pthread_join(thread, NULL))
		_exit(3);
}

static semundo_cancel_t *token;

static void on_signal(int number)
{
	(void)number;
	semundo_cancel(token);
}

static void make_token(struct trial *t)
{
	if (semundo_cancel_new(&t->cancel) < 0)
		_exit(3);
	token = t->cancel;
	signal(SIGUSR1, on_signal);
}

static void make_cancelled_token(struct trial *t)
{
	make_token(t);
	semundo_cancel(t->cancel);
}

/* ---- what the keeper does meanwhile ------------------------------------------------ */

static void post(struct trial *t)
{
	semundo_release(t->sem, 2);
	t->posted += 2;
}

static void takes(struct trial *t)
{
	int r = semundo_try_acquire(t->sem, 1);
	t->kept += r >= 0 && t->op->kind != SEMUNDO_SIGNAL;
	t->taken += r >= 0 && t->op->kind == SEMUNDO_SIGNAL;
	t->told += r == 1;
}

static void gives(struct trial *t)
{
	if (semundo_release(t->sem, 1) == 0)
		t->kept--;
}

/* Overwrites the state twice. */
static void takes_and_gives(struct trial *t)
{
	unsigned before = t->kept;
	takes(t);
	if (t->kept > before)
		gives(t);
}

static void gives_and_takes(struct trial *t)
{
	gives(t);
	takes(t);
}

static void recovers(struct trial *t)
{
	semundo_recover(t->sem);
}

/* ---- the table ---------------------------------------------------------------------- */

const struct operation operations[] = {
	/* PERMITS. The waiter wants more than there is, until the keeper gives. */
	{ "acquire", P, 3, .flags = FAST, .kept = 1, .wanted = 3, .perform = acquire_1, .gain = 1 },
	{ "acquire the last unit", P, 2, .kept = 1, .wanted = 2, .perform = acquire_1,
	  .gain = 1 },
	{ "acquire 3", P, 5, .kept = 1, .wanted = 5, .perform = acquire_3, .gain = 3 },
	{ "acquire, waiting", P, 2, .kept = 2, .wanted = 1, .perform = acquire_1, .gain = 1 },
	{ "acquire 2, waiting", P, 4, .kept = 4, .wanted = 1, .perform = acquire_2, .gain = 2 },
	{ "try, failing", P, 1, .kept = 1, .wanted = 1, .perform = try_1, .result = -EAGAIN },
	{ "acquire, out of time", P, 1, .kept = 1, .wanted = 1, .perform = timed_0,
	  .result = -ETIMEDOUT },
	{ "release", P, 2, .flags = FAST, .kept = 1, .held = 1, .perform = release_1, .gain = -1 },
	{ "release 1 of 2, wanted", P, 3, .kept = 1, .held = 2, .wanted = 3, .perform = release_1,
	  .gain = -1 },
	{ "release, wanted", P, 1, .held = 1, .wanted = 1, .perform = release_1, .gain = -1 },
	{ "release 3, wanted", P, 3, .held = 3, .wanted = 2, .perform = release_3, .gain = -3 },
	{ "release, flag left behind", P, 1, .flags = STALE_FLAG, .held = 1, .perform = release_1,
	  .gain = -1 },
	{ "wait idle", P, 2, .kept = 1, .wanted = FOR_IDLE, .perform = idle },
	{ "resize 1 to 2", P, 1, .kept = 1, .wanted = 1, .perform = resize_2 },
	{ "resize 3 to 2", P, 3, .kept = 1, .wanted = FOR_IDLE, .perform = resize_2 },
	{ "close, holding", P, 2, .kept = 1, .held = 1, .wanted = 2, .perform = closing,
	  .gain = -1 },
	{ "close", P, 1, .kept = 1, .wanted = 1, .perform = closing },
	/* LOCK. */
	{ "lock", L, 1, .flags = FAST, .perform = acquire_1, .gain = 1 },
	{ "lock, waiting", L, 1, .kept = 1, .perform = acquire_1, .gain = 1 },
	{ "lock, try, failing", L, 1, .kept = 1, .wanted = 1, .perform = try_1,
	  .result = -EAGAIN },
	{ "unlock", L, 1, .flags = FAST, .held = 1, .perform = release_1, .gain = -1 },
	{ "unlock, wanted", L, 1, .held = 1, .wanted = 1, .perform = release_1, .gain = -1 },
	{ "unlock, flag left behind", L, 1, .flags = STALE_FLAG, .held = 1, .perform = release_1,
	  .gain = -1 },
	{ "lock: wait idle", L, 1, .kept = 1, .perform = idle },
	{ "lock: close, holding", L, 1, .held = 1, .wanted = 1, .perform = closing, .gain = -1 },
	/* SIGNAL. Nothing is given back. */
	{ "signal: post", S, 100, .flags = FAST, .perform = release_1, .gain = 1 },
	{ "signal: post, wanted", S, 100, .wanted = 1, .perform = release_1, .gain = 1 },
	{ "signal: take", S, 100, 2, .flags = FAST, .wanted = 3, .perform = acquire_1, .gain = -1 },
	{ "signal: take the last", S, 100, 1, .wanted = 2, .perform = acquire_1,
	  .gain = -1 },
	{ "signal: take, waiting", S, 100, .wanted = 1, .perform = acquire_1, .gain = -1,
	  .event = post },
	{ "signal: try, failing", S, 100, .wanted = 1, .perform = try_1, .result = -EAGAIN },
	/* Becoming and being a peer. */
	{ "attach", P, 2, .flags = DETACHED, .kept = 1, .wanted = 2, .perform = try_1,
	  .gain = 1 },
	{ "attach, all slots taken", P, 2, .flags = DETACHED | FULL, .kept = 1, .perform = try_1,
	  .gain = 1 },
	{ "lock: attach", L, 1, .flags = DETACHED, .perform = try_1, .gain = 1 },
	{ "join", P, 2, .flags = NOT_JOINED, .kept = 1, .wanted = 2, .perform = try_1,
	  .gain = 1 },
	{ "join, the first", P, 1, .flags = FRESH | NOT_JOINED, .perform = try_1, .gain = 1 },
	{ "alarm armed again", P, 1, .flags = NOT_JOINED, .kept = 1, .wanted = 1,
	  .prepare = join_by_thread, .perform = try_1, .result = -EAGAIN },
	{ "cancel", P, 1, .flags = SIGNALLED, .kept = 1, .wanted = 1, .prepare = make_token,
	  .perform = acquire_cancelled, .result = -ECANCELED },
	{ "cancelled before", P, 1, .kept = 1, .wanted = 1, .prepare = make_cancelled_token,
	  .perform = acquire_cancelled, .result = -ECANCELED },
	/* Files. */
	{ "open", P, 2, .flags = NOT_JOINED, .kept = 1, .wanted = 2, .prepare = close_inherited,
	  .perform = opening },
	{ "create", P, 2, .flags = NAMELESS, .perform = creating },
	{ "create, exclusively", P, 2, .flags = NAMELESS, .perform = creating_excl },
	{ "create, name taken", P, 2, .flags = NOT_JOINED, .kept = 1, .wanted = 2,
	  .prepare = close_inherited, .perform = creating_excl, .result = -EEXIST },
	{ "replace", P, 2, .flags = NOT_JOINED | MAY_REPLACE, .kept = 1, .wanted = 2,
	  .prepare = close_inherited, .perform = replacing },
	{ "create, no name", P, 2, .flags = NAMELESS, .perform = anonymous },
	{ "unlink", P, 2, .flags = MAY_UNLINK | MAY_REPLACE, .kept = 1, .wanted = 2,
	  .perform = unlinking },
	/* Two deaths: one dies as the last columns say, then the one who recovers it. */
	{ "recover holder", P, 2, .kept = 1, .wanted = 1, .perform = recover, .result = 1,
	  .dead_holds = 1 },
	{ "recover acquirer, lane pending", P, 3, .kept = 1, .wanted = 2, .perform = recover,
	  .result = 1, .dead_holds = 1, .dead_does = acquire_1, .dead_changes = 1 },
	{ "recover acquirer, state changed", P, 3, .kept = 1, .wanted = 2, .perform = recover,
	  .result = 1, .dead_holds = 1, .dead_does = acquire_1, .dead_changes = 2 },
	{ "recover acquirer, lane idle", P, 3, .kept = 1, .wanted = 2, .perform = recover,
	  .result = 1, .dead_holds = 1, .dead_does = acquire_1, .dead_changes = 3 },
	{ "recover releaser, lane pending", P, 2, .kept = 1, .wanted = 1, .perform = recover,
	  .result = 1, .dead_holds = 1, .dead_does = release_1, .dead_changes = 1 },
	{ "recover releaser, state changed", P, 2, .kept = 1, .wanted = 2, .perform = recover,
	  .result = 1, .dead_holds = 1, .dead_does = release_1, .dead_changes = 2 },
	{ "recover resizer, slot claimed", P, 1, .kept = 1, .wanted = 1, .perform = recover,
	  .result = 2, .dead_does = resize_2, .dead_changes = 1 },
	{ "recover resizer, lane pending", P, 1, .kept = 1, .wanted = 1, .perform = recover,
	  .result = 2, .dead_does = resize_2, .dead_changes = 2 },
	{ "recover resizer, state changed", P, 1, .kept = 1, .wanted = 1, .perform = recover,
	  .result = 2, .dead_does = resize_2, .dead_changes = 3 },
	{ "recover lock's owner", L, 1, .wanted = 1, .perform = recover, .result = 1,
	  .dead_holds = 1 },
	{ "recover, to acquire", P, 1, .wanted = 1, .perform = acquire_1, .result = 1, .gain = 1,
	  .dead_holds = 1 },
	{ "lock: recover, to acquire", L, 1, .wanted = 1, .perform = acquire_1, .result = 1,
	  .gain = 1, .dead_holds = 1 },
	{ "recover, to resize", P, 1, .kept = 1, .wanted = 1, .perform = resize_2,
	  .dead_does = resize_2, .dead_changes = 2 },
	/* ... and the one who recovers that one. */
	{ "recover holder, second victim", P, 2, .flags = TWO_VICTIMS, .kept = 1, .wanted = 1,
	  .perform = recover, .result = 1, .dead_holds = 1 },
	{ "recover acquirer, second victim", P, 3, .flags = TWO_VICTIMS, .kept = 1, .wanted = 2,
	  .perform = recover, .result = 1, .dead_holds = 1, .dead_does = acquire_1,
	  .dead_changes = 2 },
	{ "recover owner, second victim", L, 1, .flags = TWO_VICTIMS, .wanted = 1,
	  .perform = recover, .result = 1, .dead_holds = 1 },
	/* Overtaken: another one's operations come between, then the kill. */
	{ "acquire, overtaken", P, 3, .kept = 1, .perform = acquire_1, .gain = 1,
	  .rival = takes_and_gives },
	{ "acquire 3, overtaken", P, 5, .kept = 1, .wanted = 5, .perform = acquire_3, .gain = 3,
	  .rival = gives_and_takes },
	{ "release, overtaken", P, 3, .kept = 1, .held = 1, .perform = release_1,
	  .gain = -1,
	  .rival = takes_and_gives },
	{ "resize, overtaken", P, 3, .kept = 1, .perform = resize_2, .rival = takes_and_gives },
	{ "close, overtaken", P, 3, .kept = 1, .held = 1, .perform = closing, .gain = -1,
	  .rival = takes_and_gives },
	{ "recover, overtaken", P, 3, .kept = 1, .perform = recover, .result = 1,
	  .rival = takes_and_gives, .dead_holds = 1 },
	{ "recover acquirer, overtaken", P, 4, .kept = 1, .perform = recover, .result = 1,
	  .rival = takes_and_gives, .dead_holds = 1, .dead_does = acquire_1, .dead_changes = 2 },
	/* Stopped: another one's operation comes between, then it goes on. */
	{ "stopped: acquire the last unit", P, 1, .flags = GOES_ON, .perform = try_1, .gain = 1,
	  .rival = takes },
	{ "stopped: acquire", P, 3, .flags = GOES_ON, .kept = 1, .perform = try_1, .gain = 1,
	  .rival = takes_and_gives },
	{ "stopped: release", P, 2, .flags = GOES_ON, .kept = 1, .held = 1, .perform = release_1,
	  .gain = -1, .rival = gives_and_takes },
	{ "stopped: release, wanted", P, 1, .flags = GOES_ON, .held = 1, .wanted = 1,
	  .perform = release_1, .gain = -1 },
	{ "stopped: resize", P, 1, .flags = GOES_ON, .kept = 1, .perform = resize_2,
	  .rival = gives_and_takes },
	{ "stopped: lock", L, 1, .flags = GOES_ON, .perform = try_1, .gain = 1,
	  .rival = takes },
	{ "stopped: unlock", L, 1, .flags = GOES_ON, .held = 1, .perform = release_1,
	  .gain = -1,
	  .rival = takes },
	{ "stopped: signal: take", S, 100, 1, .flags = GOES_ON, .perform = try_1, .gain = -1,
	  .rival = takes },
	{ "stopped: signal: post", S, 100, 1, .flags = GOES_ON, .perform = release_1, .gain = 1,
	  .rival = takes },
	{ "stopped: recover", P, 2, .flags = GOES_ON, .kept = 1, .perform = recover, .result = 1,
	  .rival = recovers, .dead_holds = 1 },
	{ "stopped: attach", P, 2, .flags = GOES_ON | DETACHED, .kept = 1, .perform = try_1,
	  .gain = 1, .rival = takes_and_gives },
	/* Test build: no sleep has a limit, so a lost wake-up hangs. */
	{ "stopped: release, a waiter comes", P, 1,
	  .flags = GOES_ON | UNTIMED | LATE_WAITER | STALE_FLAG, .held = 1, .wanted = 1,
	  .perform = release_1, .gain = -1, .rival = takes },
	{ "stopped: unlock, a waiter comes", L, 1,
	  .flags = GOES_ON | UNTIMED | LATE_WAITER | STALE_FLAG, .held = 1, .wanted = 1,
	  .perform = release_1, .gain = -1, .rival = takes },
};

const unsigned operation_count = sizeof(operations) / sizeof(operations[0]);
