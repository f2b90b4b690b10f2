/* SPDX-License-Identifier: Apache-2.0 */
/* The victim's way through its operation: recorded, and gone again. */
#include <signal.h>

#include "crash.h"

#define WINDOW 4000u  /* how far back a place to run to is looked for */
#define HIT_COST 3u   /* stopping at a breakpoint, in single steps */

__attribute__((noinline)) void operation_ended(void)
{
	__asm__ __volatile__("" ::: "memory");
}

bool is_at_end(pid_t pid)
{
	return step_pc(pid) == (uint64_t)(uintptr_t)operation_ended;
}

static void let_sleeper_go_on(struct trial *t, pid_t pid)
{
	if (t->event_done)
		return;
	t->event_done = 1;
	if (t->op->flags & SIGNALLED) {
		kill(pid, SIGUSR1);
	} else if (t->op->event) {
		t->op->event(t);
	} else if (t->kept) {
		semundo_release(t->sem, t->kept);
		t->kept = 0;
	}
}

static enum stepped step_over(struct trial *t, pid_t pid, bool *ret_slept, bool *ret_is_call)
{
	enum stepped s = step_one(pid, ret_is_call);
	*ret_slept = s == SLEEPS;
	if (s != SLEEPS)
		return s;
	let_sleeper_go_on(t, pid);
	return step_wake(pid);
}

bool walk_and_record(struct trial *t, pid_t pid)
{
	struct trace *trace = t->trace;
	uint32_t n = 0;
	look(t, pid, &trace->first);
	memory_changed(t, pid);
	while (!is_at_end(pid)) {
		struct instruction *i = &trace->at[n];
		bool slept, is_call;
		if (n == TRACE_MAX)
			return fail(t, "more than %u instructions", TRACE_MAX);
		i->pc = step_pc(pid);
		if (step_over(t, pid, &slept, &is_call) != STEPPED)
			return fail(t, "it ended after %u instructions", n);
		i->slept = slept;
		i->changed = memory_changed(t, pid) || is_call;
		n++;
	}
	look(t, pid, &trace->last);
	trace->length = n;
	return true;
}

/* The cheapest way from one step of the trace to another, without a sleep in
 * between: full speed to an address that occurs seldom, then step by step. */
static uint32_t run_near(struct trial *t, pid_t pid, uint32_t from, uint32_t to)
{
	const struct instruction *at = t->trace->at;
	uint32_t lowest = to - from > WINDOW ? to - WINDOW : from + 1;
	uint32_t best = from, cost = to - from;
	for (uint32_t j = lowest; j <= to && j < t->trace->length; j++) {
		uint32_t its = at[j].occurrence * HIT_COST + (to - j);
		if (its < cost && step_can_stop_at(at[j].pc)) {
			cost = its;
			best = j;
		}
	}
	if (best != from && step_run_to(pid, at[best].pc, at[best].occurrence) != STEPPED)
		return NO_STEP;
	return best;
}

/* False: it went another way than the recorded one. */
static bool step_between(struct trial *t, pid_t pid, uint32_t from, uint32_t to)
{
	bool slept, is_call;
	uint32_t at = run_near(t, pid, from, to);
	if (at == NO_STEP)
		return false;
	for (; at < to && !is_at_end(pid); at++)
		if (step_over(t, pid, &slept, &is_call) != STEPPED)
			return false;
	return at == to;
}

bool walk_to(struct trial *t, pid_t pid, uint32_t to)
{
	uint32_t from = 0;
	bool slept, is_call;
	for (uint32_t i = 0; i < to; i++) {
		if (!t->trace->at[i].slept)
			continue;
		if (!step_between(t, pid, from, i) || step_over(t, pid, &slept, &is_call) != STEPPED)
			return false;
		from = i + 1;
	}
	if (!step_between(t, pid, from, to))
		return false;
	return to == t->trace->length ? is_at_end(pid) : step_pc(pid) == t->trace->at[to].pc;
}

void walk_to_place(struct trial *t, pid_t pid)
{
	bool is_call;
	bool there = walk_to(t, pid, t->kill_after);
	if (there && t->kill_asleep) {
		there = step_one(pid, &is_call) == SLEEPS;
		t->outcome->asleep = there;
	}
	t->outcome->strayed = !there;
	t->outcome->ended = is_at_end(pid);
	t->outcome->pc = step_pc(pid);
}
