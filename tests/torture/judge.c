/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true, seen from outside. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "torture.h"

#define NO_PROGRESS (10 * SEC)

/* ---- the report of a failure ---- */

static void show_workers(struct torture *t)
{
	static const char *const phases[] = { "starting", "idle",  "parked",
		                              "wants",    "holds", "gives" };
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		struct place *p = &t->arena->place[i];
		pid_t pid = t->ward[i].pid;
		printf("# worker %u pid %d %s %u round %" PRIu64 " at %s%s%s wchan %s", i, (int)pid,
		       phases[p->phase], p->units, p->round, p->point ? p->point : "-",
		       p->doomed ? " doomed" : "", p->halted ? " halted" : "",
		       proc_line(pid, "wchan"));
		printf(" syscall %s\n", proc_line(pid, "syscall"));
	}
}

/* The file's lines after its header: state and what is next to it. */
static void show_file(struct torture *t)
{
	char path[300];
	uint64_t words[8] = { 0 };
	const char *colon = strchr(t->name, ':');
	snprintf(path, sizeof(path), "%s/semundo.%s", getenv("SEMUNDO_DIR"),
	         colon ? colon + 1 : t->name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (pread(fd, words, sizeof(words), 64) > 0)
		printf("# file at 64: %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", words[0],
		       words[1], words[2]);
	close(fd);
}

void fail(struct torture *t, const char *format, ...)
{
	va_list args;
	if (t->failed)
		return;
	t->failed = true;
	va_start(args, format);
	vsnprintf(t->why, sizeof(t->why), format, args);
	va_end(args);
	printf("# FAILED: %s\n", t->why);
	show_workers(t);
	show_file(t);
	fflush(stdout);
}

/* ---- waits while units were free ---- */

static void add_span(struct torture *t, struct spans *spans, uint64_t *since, uint64_t now)
{
	uint64_t span = *since ? now - *since : 0;
	unsigned power = 0;
	*since = 0;
	if (!span)
		return;
	while (power < SPANS - 1 && span >> (power + 10))
		power++;
	spans->count[power]++;
	if (span > spans->longest)
		spans->longest = span;
	(void)t;
}

uint64_t percentile(const struct spans *spans, unsigned of_1000)
{
	uint64_t all = 0, seen = 0;
	for (unsigned i = 0; i < SPANS; i++)
		all += spans->count[i];
	for (unsigned i = 0; i < SPANS; i++) {
		seen += spans->count[i];
		if (all && seen * 1000 >= all * of_1000) {
			uint64_t limit = UINT64_C(1) << (i + 10);
			return limit < spans->longest ? limit : spans->longest;
		}
	}
	return 0;
}

/* Units that nobody alive can have; below 0: unknown, because one is stopped
 * inside of acquire and may have units, or the undoing of a dead one, in hand. */
static int64_t free_by_right(struct torture *t)
{
	int64_t units = t->plan.capacity;
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		struct place *p = &t->arena->place[i];
		uint32_t phase = p->phase;
		if (p->doomed && !t->ward[i].pid)
			continue;
		if (p->halted && !p->doomed && phase != IDLE && phase != PARKED)
			return -1;
		if (!p->doomed && (phase == HOLDS || phase == GIVES))
			units -= p->units;
	}
	return t->plan.kind == SEMUNDO_SIGNAL ? -1 : units;
}

static void watch(struct torture *t, struct spans *spans, uint64_t *since, bool is_free,
                  uint64_t now, uint32_t i, const char *what)
{
	if (!is_free) {
		add_span(t, spans, since, now);
		return;
	}
	if (!*since)
		*since = now;
	if (now - *since > t->plan.bound)
		fail(t, "worker %u has waited %.3f s for %u units while that many were %s", i,
		     (double)(now - *since) / 1e9, t->arena->place[i].units, what);
}

void judge_waits(struct torture *t)
{
	int64_t value;
	int64_t by_right = free_by_right(t);
	uint64_t now = now_ns();
	if (semundo_value(t->sem, &value))
		fail(t, "the parent cannot read the value: %s", semundo_error());
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		struct place *p = &t->arena->place[i];
		struct ward *w = &t->ward[i];
		bool waits = p->phase == WANTS && !p->doomed && !p->halted;
		if (!waits || p->round != w->round) {
			add_span(t, &t->free_waits, &w->free_since, now);
			add_span(t, &t->right_waits, &w->right_since, now);
			w->round = p->round;
			continue;
		}
		watch(t, &t->free_waits, &w->free_since, value >= p->units, now, i, "free");
		watch(t, &t->right_waits, &w->right_since, by_right >= p->units, now, i,
		      "held by nobody alive");
	}
}

static void count_rounds(struct torture *t)
{
	t->acquired = t->told = 0;
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		t->acquired += t->arena->place[i].acquired;
		t->told += t->arena->place[i].told;
	}
}

void judge_progress(struct torture *t)
{
	uint64_t now = now_ns();
	count_rounds(t);
	if (t->acquired != t->progress || !t->progress_at) {
		t->progress = t->acquired;
		t->progress_at = now;
	}
	if (now - t->progress_at > NO_PROGRESS)
		fail(t, "nobody acquired anything for %.0f s", (double)(now - t->progress_at) / 1e9);
}

/* ---- accounts ---- */

/* Of an engine that keeps no record of deaths: those that are certain. */
static void check_deaths(struct torture *t, const struct semundo_info *info)
{
	uint64_t told = t->told - t->told_then, most = t->held_deaths + t->maybe_deaths;
	unsigned caps = 0;
	semundo_engine_caps(info->engine, &caps);
	uint64_t deaths = caps & SEMUNDO_CAP_PEERS ? info->deaths : t->held_deaths;
	if (deaths < t->held_deaths || deaths > most)
		fail(t, "%" PRIu64 " deaths of holders are on record, but %" PRIu64
		     " were killed holding units and %" PRIu64 " perhaps holding units",
		     deaths, t->held_deaths, t->maybe_deaths);
	if (deaths > t->deaths_then && !told && !t->maybe_told && !info->recovered)
		fail(t, "%" PRIu64 " holders died and nobody was told", deaths - t->deaths_then);
	if (t->told > (caps & SEMUNDO_CAP_PEERS ? deaths : most))
		fail(t, "told %" PRIu64 " times of %" PRIu64 " deaths", t->told, deaths);
	t->told_then = t->told;
	t->deaths_then = deaths;
	t->maybe_told = 0;
}

/* All units can be had at once, and whoever has them is told what is untold. */
static void check_all_can_be_had(struct torture *t, const struct semundo_info *info)
{
	int r = semundo_try_acquire(t->sem, t->plan.capacity);
	if (r < 0)
		fail(t, "all units are back but cannot be acquired: %s", semundo_error());
	else if (r != (int)info->recovered)
		fail(t, "acquire returned %d, but info said %u deaths untold", r, info->recovered);
	if (r >= 0 && semundo_release(t->sem, t->plan.capacity))
		fail(t, "the parent cannot release: %s", semundo_error());
}

static void check_units(struct torture *t)
{
	struct semundo_info info = { .size = sizeof(info) };
	int undone = semundo_recover(t->sem);
	int r = semundo_info(t->sem, &info);
	if (undone < 0 || r) {
		fail(t, "recover or info: %s", semundo_error());
		return;
	}
	if (info.value != (int64_t)t->plan.capacity || info.held || info.dead)
		fail(t, "CONSERVATION: capacity %u, but at rest value %" PRId64 ", held %" PRIu64
		     ", dead %u", t->plan.capacity, info.value, info.held, info.dead);
	if (t->failed)
		return;
	check_deaths(t, &info);
	check_all_can_be_had(t, &info);
}

static void close_account(struct torture *t)
{
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		struct place *p = &t->arena->place[i];
		p->waits_begun = p->waits_done = p->posts_begun = p->posts_done = 0;
	}
	t->gone_waits_begun = t->gone_waits_done = t->gone_posts_begun = t->gone_posts_done = 0;
	t->own_posts = 0;
	t->base_value = t->plan.capacity;
}

/* A killed worker's operation in flight was done, or not: hence two bounds. */
static void check_signal(struct torture *t)
{
	int64_t value = 0;
	uint64_t in_least, in_most, out_least, out_most;
	in_least = t->base_value + t->own_posts + t->gone_posts_done;
	in_most = t->base_value + t->own_posts + t->gone_posts_begun;
	out_least = t->gone_waits_done;
	out_most = t->gone_waits_begun;
	for (uint32_t i = 0; i < t->plan.workers; i++) {
		struct place *p = &t->arena->place[i];
		in_least += p->posts_done;
		in_most += p->posts_begun;
		out_least += p->waits_done;
		out_most += p->waits_begun;
	}
	semundo_value(t->sem, &value);
	if (value < (int64_t)(in_least - out_most) || value > (int64_t)(in_most - out_least))
		fail(t, "CONSERVATION: the value is %" PRId64 ", but should be %" PRId64
		     " to %" PRId64, value, (int64_t)(in_least - out_most),
		     (int64_t)(in_most - out_least));
	int64_t surplus = value - (int64_t)t->plan.capacity;
	int r = 0;
	if (surplus > 0)
		r = semundo_try_acquire(t->sem, (unsigned)surplus);
	else if (surplus < 0)
		r = semundo_release(t->sem, (unsigned)-surplus);
	if (r)
		fail(t, "the parent cannot set the value right: %s", semundo_error());
	close_account(t);
}

static void check_account(struct torture *t)
{
	count_rounds(t);
	t->checks++;
	if (t->plan.kind == SEMUNDO_SIGNAL)
		check_signal(t);
	else
		check_units(t);
}

static bool everybody_is_parked(struct torture *t)
{
	for (uint32_t i = 0; i < t->plan.workers; i++)
		if (!t->ward[i].pid || t->arena->place[i].phase != PARKED ||
		    t->arena->place[i].doomed)
			return false;
	return true;
}

void judge_at_rest(struct torture *t)
{
	t->arena->still = 1;
	if (t->plan.kind == SEMUNDO_SIGNAL) { /* nobody may be stuck for want of posts */
		unsigned units = t->plan.workers * t->plan.most_units;
		t->own_posts += units;
		if (semundo_release(t->sem, units))
			fail(t, "the parent cannot release: %s", semundo_error());
	}
	while (!t->failed && !everybody_is_parked(t)) {
		herd_resume(t, true);
		herd_reap(t);
		judge_waits(t);
		judge_progress(t);
		pause_ns(MSEC / 10);
	}
	if (!t->failed)
		check_account(t);
	t->arena->still = 0;
}

void judge_end(struct torture *t)
{
	if (!t->failed)
		check_account(t);
}
