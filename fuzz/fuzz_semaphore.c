/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A semaphore's file and peer files of arbitrary contents: opened, attached
 * to, used, listed, undone, resized, closed; also while another thread writes
 * all over them. Nothing may crash, touch memory beside the files, or hang.
 *
 * libFuzzer (https://llvm.org/docs/LibFuzzer.html) calls
 * LLVMFuzzerTestOneInput(); the inputs are described in edits.h. See fuzz/run.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"
#include "edits.h"
#include "test_hooks.h"
#include "world.h"

#define SHORT INT64_C(100000) /* ns */
#define CHILD_SECONDS 60

enum {
	USE_TRY = 1,
	USE_TIMED = 2,
	USE_MANY = 4,
	USE_IDLE = 8,
	USE_RECOVER = 16,
	USE_RESIZE = 32,
	USE_RARE = 64,
	USE_KEEP = 128 /* holds a unit until it is closed */
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	semundo__test.resize_patience = 1000000;
	world_make();
	return 0;
}

/* ---- the uses ---- */

static void look(semundo_t *sem)
{
	struct semundo_info info = { .size = sizeof(info) };
	struct semundo_death deaths[9];
	struct semundo_peer *peers = NULL;
	unsigned held;
	int64_t value;
	semundo_info(sem, &info);
	semundo_value(sem, &value);
	semundo_held(sem, &held);
	if (semundo_deaths(sem, deaths, 9) > 8 || !semundo_error())
		abort();
	if (semundo_peers(sem, &peers) == 0)
		for (struct semundo_peer *p = peers; p; p = p->next)
			if (strlen(p->command) >= sizeof(p->command) || p->alive > SEMUNDO_UNKNOWN)
				abort();
	semundo_peers_free(peers);
}

static void acquire_with(semundo_t *sem, unsigned n, uint32_t flags)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	struct timespec deadline;
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	wait.flags = flags;
	wait.deadline = &deadline; /* which has passed */
	if (semundo_acquire_with(sem, n, &wait) >= 0)
		semundo_release(sem, n);
	semundo_wait_idle(sem, &wait);
}

static int visit(const char *name, void *arg)
{
	(void)arg;
	return strcmp(name, FUZZ_NAME) == 0;
}

static void use_rarely(semundo_t *sem)
{
	semundo_cancel_t *token;
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	semundo_t *again;
	int fd;
	semundo_describe(sem, 7, "described");
	semundo_list(NULL, visit, NULL);
	if (semundo_descriptor(sem, &fd) == 0) {
		if (semundo_open_fd(&again, fd, NULL) == 0)
			semundo_close(again);
		close(fd);
	}
	if (semundo_cancel_new(&token) < 0)
		abort();
	semundo_cancel(token);
	wait.cancel = token;
	if (semundo_acquire_with(sem, 3, &wait) >= 0)
		semundo_release(sem, 3);
	semundo_cancel_free(token);
}

static void use(semundo_t *sem, unsigned uses)
{
	look(sem);
	if ((uses & USE_TRY) && semundo_try_acquire(sem, 1) >= 0)
		semundo_release(sem, 1);
	if ((uses & USE_TIMED) && semundo_acquire_timed(sem, 1, SHORT) >= 0)
		semundo_release(sem, 1);
	if ((uses & USE_MANY) && semundo_acquire_timed(sem, 2, SHORT) >= 0)
		semundo_release(sem, 1);
	if (uses & USE_IDLE)
		acquire_with(sem, 1, uses & USE_TRY ? SEMUNDO_WAIT_TRY : 0);
	if (uses & USE_RECOVER)
		semundo_recover(sem);
	if (uses & USE_RESIZE) {
		semundo_resize(sem, 1);
		semundo_resize(sem, 65535);
	}
	if (uses & USE_RARE)
		use_rarely(sem);
	look(sem);
	if (uses & USE_KEEP)
		semundo_acquire_timed(sem, 1, SHORT);
}

/* ---- the scribbler ---- */

struct scribbler {
	const struct edits *edits;
	uint32_t stop;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	while (!load_acquire(&s->stop)) {
		edits_write(s->edits, NULL);
		sched_yield();
	}
	return NULL;
}

static void use_while_scribbled(semundo_t *sem, const struct plan *plan, struct edits *old)
{
	struct scribbler s = { &plan->phase[2], 0 };
	pthread_t thread;
	edits_write(s.edits, old);
	if (pthread_create(&thread, NULL, scribble, &s))
		abort();
	use(sem, plan->uses);
	semundo_close(sem);
	store_release(&s.stop, 1);
	pthread_join(thread, NULL);
}

/* ---- one input ---- */

static void observe(void)
{
	semundo_t *sem;
	if (semundo_open(&sem, FUZZ_NAME, SEMUNDO_OBSERVE, NULL) < 0)
		return;
	look(sem);
	if (semundo_acquire_timed(sem, 1, 0) >= 0 || semundo_recover(sem) >= 0)
		abort();
	semundo_close(sem);
}

static void run(const struct plan *plan, struct edits *old)
{
	semundo_t *sem;
	edits_write(&plan->phase[0], old);
	if (plan->length >= 0 && ftruncate(world.fd, plan->length))
		abort();
	observe();
	if (semundo_open(&sem, FUZZ_NAME, 0, NULL) < 0)
		return;
	if (semundo_acquire_timed(sem, 1, 0) >= 0 && !(plan->uses & USE_KEEP))
		semundo_release(sem, 1);
	edits_write(&plan->phase[1], old);
	if (plan->phase[2].count) {
		use_while_scribbled(sem, plan, old);
	} else {
		use(sem, plan->uses);
		semundo_close(sem);
	}
}

/* A child is no peer yet: it joins, in the peer file as the input made it. */
static void run_in_child(const struct plan *plan, struct edits *old)
{
	int status;
	for (unsigned i = 0; i < PHASES; i++) /* what the child replaces is lost with it */
		edits_write(&plan->phase[i], old);
	world_reset(plan->kind, plan->capacity);
	pid_t child = fork();
	if (child < 0)
		abort();
	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(CHILD_SECONDS);
		run(plan, NULL);
		_exit(0);
	}
	while (waitpid(child, &status, 0) != child)
		if (errno != EINTR) /* libFuzzer's own timer */
			abort();
	if (status != 0) {
		fprintf(stderr, "the child ended with status 0x%x%s\n", (unsigned)status,
		        WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": hangs" : "");
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct plan plan;
	static struct edits old;
	plan_read(&plan, data, size);
	world_reset(plan.kind, plan.capacity);
	old.count = 0;
	if (plan.in_child)
		run_in_child(&plan, &old);
	else
		run(&plan, &old);
	edits_undo(&old);
	return 0;
}
