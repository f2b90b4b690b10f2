/* SPDX-License-Identifier: Apache-2.0 */
/*
 * every_instruction: kills a process after each instruction of an operation of
 * the library and looks whether the survivors lost anything.
 *
 * For each operation of the table (operations.c): it is stepped through once
 * (ptrace(2)) and written down. Then for each instruction k, on a fresh
 * semaphore and with live survivors, a new process is stepped through it and
 * gets SIGKILL after k instructions. Then (checks.c)
 *
 *   - the invariant holds, at once (value + held == capacity, while the victim
 *     stands still) and at the end, when all units have to be there again
 *   - the waiter goes on, by itself if it can
 *   - each death with units is recorded once, and an acquirer is told of it
 *   - a new process can open the semaphore, attach and take all units, and no
 *     process more than that
 *   - the name leads to a complete semaphore, no other file is left, and the
 *     victim's record in the peer file is free for others
 *
 * "Overtaken": before the kill another process's operations come between.
 * "Stopped": the victim is not killed there but goes on after the other one's
 * operation. "Recover": one process is dead, in the state named, and the victim
 * is the one who recovers it; so these are two deaths, or three.
 *
 * Two kills leave different things behind only if between them memory that
 * outlives the process changed (the two files, the thread's robust list), or it
 * made a system call: such a stretch is called a state. Operations of up to
 * --all instructions are killed at every one. Of longer ones each state is
 * killed at one instruction, drawn anew in each run, and --more others are
 * drawn; "at" is the number of instructions that were killed at. An instruction
 * in which the process sleeps is killed at before, during and after. The victim's
 * clock stands still and is ahead (clock.c), or its sleeps would be over before
 * they began, so slow is stepping; those of the survivors are right. The victim
 * gets to its instruction at full speed up to a breakpoint near it, then step by
 * step; where it then was not at the recorded address (the number of a process
 * has a digit more, a signal came) that counts as "stray": killed, and checked,
 * but elsewhere.
 *
 *   step.c        stepping          trial.c     one trial
 *   actors.c      processes         checks.c    what has to hold
 *   looking.c     shared memory     report.c    choosing, the table
 *   operations.c  the operations    walk.c      the victim's way through one
 *   clock.c       its clock         scratch.c   directories, shared memory
 */
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "test_hooks.h"

#define JOBS_MAX 64
#define TRIAL_LIMIT 120  /* s */
#define FAILURES_MAX 3   /* then the operation's other trials are left out */
#define FAILURES_SHOWN 3
/* Fixed, and nothing is overwritten at free(): clearing a quarter of a megabyte
 * would be as many instructions. */
#define MMAP_THRESHOLD 65536

struct options {
	uint32_t all, more;
	bool states;
	unsigned jobs;
	uint64_t seed;
	const char *only; /* part of a name */
	bool list, fast, expect_failure;
};

/* All in shared memory. */
struct run {
	const struct operation *op;
	const struct options *options;
	struct trace *trace;
	struct choice *choice;
	struct outcome *outcome;
	uint32_t count, next, failures, failures_max;
	struct actor actor[JOBS_MAX][ACTORS];
};

/* ---- workers ----------------------------------------------------------------- */

static pid_t fork_worker(void)
{
	pid_t pid = fork_child();
	if (pid == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
	}
	return pid;
}

static bool one_trial(struct run *run, unsigned job, struct trial *t)
{
	char path[64];
	bool fresh = run->op->flags & FRESH;
	directory_of(path, sizeof(path), job, fresh);
	t->op = run->op;
	t->trace = run->trace;
	t->dir = path;
	t->actor = run->actor[job];
	alarm(TRIAL_LIMIT);
	if (!fresh)
		return run_trial(t);
	pid_t pid = fork_worker();
	if (pid == 0) {
		alarm(TRIAL_LIMIT);
		run_trial(t);
		_exit(0);
	}
	reap(pid);
	return t->outcome->ran && !t->outcome->failed;
}

/* Trials until there are no more, or one failed: then this process's own state
 * is not to be relied on any more. */
static void work(struct run *run, unsigned job)
{
	struct trial t = { 0 };
	for (;;) {
		uint32_t i = __atomic_fetch_add(&run->next, 1, __ATOMIC_RELAXED);
		if (i >= run->count ||
		    __atomic_load_n(&run->failures, __ATOMIC_RELAXED) >= run->failures_max)
			_exit(0);
		t.outcome = &run->outcome[i];
		t.kill_after = run->choice[i].step;
		t.kill_asleep = run->choice[i].asleep;
		t.seed = run->options->seed + i + 1;
		t.outcome->begun = 1;
		if (!one_trial(run, job, &t)) {
			__atomic_fetch_add(&run->failures, 1, __ATOMIC_RELAXED);
			_exit(1);
		}
	}
}

static void work_all(struct run *run)
{
	pid_t worker[JOBS_MAX] = { 0 };
	for (unsigned job = 0; job < run->options->jobs; job++)
		if ((worker[job] = fork_worker()) == 0)
			work(run, job);
	for (unsigned job = 0; job < run->options->jobs;) {
		int status;
		waitpid(worker[job], &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			job++;
		else if ((worker[job] = fork_worker()) == 0)
			work(run, job);
	}
	for (uint32_t i = 0; i < run->count; i++) {
		struct outcome *o = &run->outcome[i];
		if (o->begun && !o->ran) {
			o->failed = 1;
			snprintf(o->failure, sizeof(o->failure), "the trial took more than %d s",
			         TRIAL_LIMIT);
		}
	}
}

static bool record(struct run *run, struct outcome *outcome)
{
	struct trial t = { .outcome = outcome, .kill_after = NO_STEP };
	memset(outcome, 0, sizeof(*outcome));
	run->trace->length = 0;
	pid_t pid = fork_worker();
	if (pid == 0) {
		one_trial(run, 0, &t);
		_exit(0);
	}
	reap(pid);
	if (!outcome->ran && !outcome->failed)
		snprintf(outcome->failure, sizeof(outcome->failure), "it does not end");
	number_occurrences(run->trace);
	return outcome->ran && !outcome->failed;
}

/* ---- one operation -------------------------------------------------------------- */

static void show_failures(const struct run *run)
{
	unsigned shown = 0;
	for (uint32_t i = 0; i < run->count && shown < FAILURES_SHOWN; i++) {
		const struct outcome *o = &run->outcome[i];
		if (!o->failed)
			continue;
		shown++;
		printf("#   after %u instructions%s, at 0x%" PRIx64 "%s: %s\n", run->choice[i].step,
		       o->asleep ? ", asleep" : "", o->pc, o->strayed ? " (stray)" : "",
		       o->failure);
	}
}

static bool run_operation(struct run *run, const struct operation *op, uint64_t *seed,
                          struct summary *s)
{
	uint64_t start = now_ns();
	run->op = op;
	run->count = run->next = run->failures = 0;
	madvise(run->outcome, (TRACE_MAX + 1) * sizeof(*run->outcome), MADV_REMOVE);
	if (!record(run, &run->outcome[0])) {
		printf("#   %s, undisturbed: %s\n", op->name, run->outcome[0].failure);
		s->failed = 1;
		return false;
	}
	memset(&run->outcome[0], 0, sizeof(run->outcome[0]));
	run->count = choose(run->trace, run->choice, TRACE_MAX + 1, run->options->all,
	                    run->options->states, run->options->more, seed);
	s->chosen = run->count;
	work_all(run);
	summarize(run->trace, run->choice, run->outcome, s);
	s->seconds = (double)(now_ns() - start) / 1e9;
	return s->failed == 0 && s->ran == run->count;
}

static bool is_wanted(const struct options *o, const struct operation *op)
{
	if (!SEMUNDO_TEST && (op->flags & UNTIMED))
		return false;
	if (o->fast && !(op->flags & FAST))
		return false;
	return !o->only || strstr(op->name, o->only);
}

static int run_all(const struct options *o)
{
	struct run *run = shared(sizeof(*run));
	uint64_t seed = o->seed, start = now_ns();
	unsigned count = 0, bad = 0;
	uint32_t trials = 0;
	run->options = o;
	run->failures_max = o->expect_failure ? 1 : FAILURES_MAX;
	run->trace = shared(sizeof(*run->trace));
	run->choice = calloc(TRACE_MAX + 1, sizeof(*run->choice));
	run->outcome = shared((TRACE_MAX + 1) * sizeof(*run->outcome));
	printf("# seed %" PRIu64 ", %u at once\n", o->seed, o->jobs);
	print_head();
	for (unsigned i = 0; i < operation_count; i++) {
		struct summary s = { 0 };
		if (!is_wanted(o, &operations[i]))
			continue;
		bool ok = run_operation(run, &operations[i], &seed, &s);
		print_row(operations[i].name, &s);
		show_failures(run);
		if (o->expect_failure)
			ok = !ok && s.ran; /* found, and not for want of any trial */
		printf("%sok %u - %s\n", ok ? "" : "not ", ++count, operations[i].name);
		fflush(stdout);
		bad += !ok;
		trials += s.ran;
	}
	printf("1..%u\n# %u trials in %.1f s\n", count, trials, (double)(now_ns() - start) / 1e9);
	return bad || !count;
}

/* ---- the command line -------------------------------------------------------------- */

static void usage(void)
{
	puts("usage: every-instruction [options]\n"
	     "  -a, --all N     kill at all instructions of operations of at most N (default all)\n"
	     "  -m, --more N    in longer ones, so many at random (default 0)\n"
	     "  -n, --no-states in longer ones, only those at random, not one for each state\n"
	     "  -f, --fast      the fast paths only\n"
	     "  -o, --only TEXT operations whose name has TEXT in it\n"
	     "  -j, --jobs N    trials at once (default: processors)\n"
	     "  -s, --seed N    (default: random)\n"
	     "  -x, --expect-failure   an operation is ok only if something is found\n"
	     "  -l, --list      names of the operations");
}

static void list(void)
{
	for (unsigned i = 0; i < operation_count; i++)
		puts(operations[i].name);
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "all", 1, 0, 'a' },  { "more", 1, 0, 'm' }, { "no-states", 0, 0, 'n' },
		{ "only", 1, 0, 'o' }, { "jobs", 1, 0, 'j' }, { "seed", 1, 0, 's' },
		{ "fast", 0, 0, 'f' }, { "list", 0, 0, 'l' },   { "help", 0, 0, 'h' },
		{ "expect-failure", 0, 0, 'x' },
		{ 0 },
	};
	int c;
	while ((c = getopt_long(argc, argv, "a:m:no:j:s:flhx", longs, NULL)) >= 0)
		switch (c) {
		case 'a': o->all = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 'm': o->more = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 'n': o->states = false; break;
		case 'o': o->only = optarg; break;
		case 'j': o->jobs = (unsigned)strtoul(optarg, NULL, 0); break;
		case 's': o->seed = strtoull(optarg, NULL, 0); break;
		case 'x': o->expect_failure = true; break;
		case 'f': o->fast = true; break;
		case 'l': o->list = true; break;
		default: return false;
		}
	return optind == argc && o->seed && o->jobs >= 1 && o->jobs <= JOBS_MAX;
}

/* Not in some containers, nor under strace or a debugger. */
static bool may_trace(void)
{
	pid_t pid = fork_child();
	if (pid == 0) {
		step_me();
		BREAKPOINT();
		_exit(0);
	}
	bool may = step_begin(pid);
	kill(pid, SIGKILL);
	reap(pid);
	return may;
}

int main(int argc, char **argv)
{
	struct options o = { .all = TRACE_MAX, .states = true };
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	o.jobs = processors < 1 ? 1 : processors > JOBS_MAX ? JOBS_MAX : (unsigned)processors;
	if (getrandom(&o.seed, 4, 0) != 4 || !o.seed)
		o.seed = 1;
	if (!parse(argc, argv, &o)) {
		usage();
		return 2;
	}
	if (o.list) {
		list();
		return 0;
	}
	if (!may_trace()) {
		puts("1..0 # SKIP ptrace(2) is not permitted here");
		return 0;
	}
	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	mallopt(M_PERTURB, 0);
	make_directories(o.jobs);
	return run_all(&o);
}
