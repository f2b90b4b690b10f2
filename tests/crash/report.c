/* SPDX-License-Identifier: Apache-2.0 */
/* Which instructions are killed at, and the table of what came of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"

/* xorshift; any seed but 0. */
uint32_t draw(uint64_t *seed, uint32_t below)
{
	uint64_t x = *seed;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*seed = x;
	return below ? (uint32_t)(x >> 32) % below : 0;
}

/* ---- the trace -------------------------------------------------------------- */

static const struct trace *sorted; /* by compare() only */

static int compare(const void *a, const void *b)
{
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	uint64_t x = sorted->at[i].pc, y = sorted->at[j].pc;
	if (x != y)
		return x < y ? -1 : 1;
	return i < j ? -1 : i > j;
}

static void number_stretch(struct trace *trace, uint32_t *index, uint32_t from, uint32_t to)
{
	uint32_t count = to - from;
	for (uint32_t i = 0; i < count; i++)
		index[i] = from + i;
	sorted = trace;
	qsort(index, count, sizeof(*index), compare);
	for (uint32_t i = 0; i < count; i++) {
		bool again = i > 0 && trace->at[index[i]].pc == trace->at[index[i - 1]].pc;
		trace->at[index[i]].occurrence = again ? trace->at[index[i - 1]].occurrence + 1 : 1;
	}
}

void number_occurrences(struct trace *trace)
{
	uint32_t *index = calloc(trace->length + 1, sizeof(*index));
	uint32_t from = 0;
	for (uint32_t i = 0; index && i < trace->length; i++)
		if (trace->at[i].slept || i + 1 == trace->length) {
			number_stretch(trace, index, from, i + 1);
			from = i + 1;
		}
	free(index);
}

/* ---- choosing ------------------------------------------------------------------ */

struct chosen {
	struct choice *list;
	uint32_t count, max;
};

static void add(struct chosen *c, uint32_t step, bool asleep)
{
	if (c->count < c->max)
		c->list[c->count++] = (struct choice){ step, asleep };
}

/* A state lasts from one change to the next; killed anywhere in it, the victim
 * leaves the same behind. */
static uint32_t state_end(const struct trace *trace, uint32_t from)
{
	while (from < trace->length && !trace->at[from].changed)
		from++;
	return from;
}

static void add_states(struct chosen *c, const struct trace *trace, uint64_t *seed)
{
	for (uint32_t from = 0; from <= trace->length;) {
		uint32_t end = state_end(trace, from);
		add(c, from + draw(seed, end - from + 1), false);
		from = end + 1;
	}
}

static void add_sleeps(struct chosen *c, const struct trace *trace)
{
	for (uint32_t i = 0; i < trace->length; i++)
		if (trace->at[i].slept)
			add(c, i, true);
}

uint32_t choose(const struct trace *trace, struct choice *ret, uint32_t max, uint32_t all,
                bool states, uint32_t more, uint64_t *seed)
{
	struct chosen c = { ret, 0, max };
	if (trace->length <= all) {
		for (uint32_t k = 0; k <= trace->length; k++)
			add(&c, k, false);
		add_sleeps(&c, trace);
		return c.count;
	}
	if (states) {
		add_states(&c, trace, seed);
		add_sleeps(&c, trace);
	}
	for (uint32_t i = 0; i < more; i++)
		add(&c, draw(seed, trace->length + 1), false);
	return c.count;
}

/* ---- the table --------------------------------------------------------------------- */

static uint32_t count_states(const struct trace *trace)
{
	uint32_t states = 1;
	for (uint32_t i = 0; i < trace->length; i++)
		states += trace->at[i].changed + trace->at[i].slept;
	return states;
}

static uint32_t count_steps(const struct trace *trace, const struct choice *choice, uint32_t n)
{
	uint32_t steps = 0;
	char *seen = calloc(trace->length + 1, 1);
	for (uint32_t i = 0; seen && i < n; i++) {
		steps += !seen[choice[i].step];
		seen[choice[i].step] = 1;
	}
	free(seen);
	return steps;
}

void summarize(const struct trace *trace, const struct choice *choice,
               const struct outcome *outcome, struct summary *s)
{
	s->steps = trace->length;
	s->states = count_states(trace);
	s->killed_at = count_steps(trace, choice, s->chosen);
	for (uint32_t i = 0; i < s->chosen; i++) {
		const struct outcome *o = &outcome[i];
		s->ran += o->ran;
		s->failed += o->failed;
		s->before += o->ran && !o->asleep && o->effect == BEFORE;
		s->between += o->ran && !o->asleep && o->effect == BETWEEN;
		s->after += o->ran && !o->asleep && o->effect == AFTER;
		s->asleep += o->asleep;
		s->recovered += o->came_back;
		s->strayed += o->strayed;
		s->temporary += o->left_temporary;
		if (o->waited > s->waited_max)
			s->waited_max = o->waited;
	}
}

void print_head(void)
{
	printf("# %-32s %6s %6s %6s %6s | %6s %6s %6s %6s | %6s %6s %6s | %6s %7s\n", "operation",
	       "instr.", "states", "at", "trials", "before", "betw.", "after", "asleep", "undone",
	       "stray", "failed", "s", "wait ms");
}

void print_row(const char *name, const struct summary *s)
{
	printf("# %-32s %6u %6u %6u %6u | %6u %6u %6u %6u | %6u %6u %6u | %6.1f %7.1f\n", name,
	       s->steps, s->states, s->killed_at, s->ran, s->before, s->between, s->after, s->asleep,
	       s->recovered, s->strayed, s->failed, s->seconds, (double)s->waited_max / 1e6);
	if (s->temporary)
		printf("#   %u left a file of a temporary name behind\n", s->temporary);
}
