/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

#define CHECK_EVERY (250 * MSEC)

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = { "?", "LOCK", "PERMITS", "SIGNAL" };
	return names[kind];
}

static void open_new(struct torture *t)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	static unsigned number;
	options.kind = t->plan.kind;
	if (t->plan.kind == SEMUNDO_PERMITS)
		options.capacity = t->plan.capacity;
	if (t->plan.kind == SEMUNDO_SIGNAL)
		options.value = t->plan.capacity;
	snprintf(t->name, sizeof(t->name), "%storture-%u", t->plan.engine, ++number);
	if (semundo_open(&t->sem, t->name, SEMUNDO_CREATE | SEMUNDO_EXCL, &options))
		die("%s", semundo_error());
	t->base_value = t->plan.capacity;
}

static void live(struct torture *t)
{
	uint64_t end = now_ns() + t->plan.length;
	t->check_at = now_ns() + CHECK_EVERY;
	while (!t->failed && now_ns() < end) {
		herd_harass(t);
		herd_resume(t, false);
		herd_reap(t);
		judge_waits(t);
		judge_progress(t);
		if (now_ns() > t->check_at && !t->failed) {
			judge_at_rest(t);
			t->check_at = now_ns() + CHECK_EVERY;
		}
		pause_ns(draw(&t->random, 200) * UINT64_C(1000));
	}
}

static void report(const struct torture *t)
{
	printf("# seed %" PRIu64 ": %" PRIu64 " acquired, %" PRIu64 " killed (%" PRIu64
	       " holding, %" PRIu64 " perhaps), %" PRIu64 " stopped, %" PRIu64 " told, %" PRIu64
	       " checks\n", t->plan.seed, t->acquired, t->starts - t->plan.workers, t->held_deaths,
	       t->maybe_deaths, t->stops, t->told, t->checks);
	printf("# a waiter waited while enough was free: p99 %.3f ms, longest %.3f ms; while "
	       "nobody alive had it: p99 %.3f ms, longest %.3f ms\n",
	       (double)percentile(&t->free_waits, 990) / 1e6, (double)t->free_waits.longest / 1e6,
	       (double)percentile(&t->right_waits, 990) / 1e6,
	       (double)t->right_waits.longest / 1e6);
}

static void run(const struct plan *plan)
{
	struct torture t = { .plan = *plan, .random = plan->seed | 1 };
	t.arena = shared_memory(sizeof(*t.arena));
	open_new(&t);
	herd_start(&t);
	live(&t);
	herd_end(&t);
	judge_end(&t);
	if (!t.failed && plan->kills && t.starts == plan->workers)
		fail(&t, "nobody was killed in %.1f s", (double)plan->length / 1e9);
	report(&t);
	tap_result(!t.failed, t.why, "%s%s capacity %u, %u workers, 1 to %u units, %s%s", plan->engine,
	           kind_name(plan->kind), plan->capacity, plan->workers, plan->most_units,
	           plan->kills ? "killed" : "not killed", plan->stops ? " and stopped" : "");
	semundo_close(t.sem);
	if (semundo_unlink(t.name, NULL))
		die("%s", semundo_error());
}

/* ---- configurations ---- */

static const struct plan usual[] = {
	{ .kind = SEMUNDO_LOCK, .capacity = 1, .workers = 4 },
	{ .kind = SEMUNDO_LOCK, .capacity = 1, .workers = 12 },
	{ .kind = SEMUNDO_PERMITS, .capacity = 1, .workers = 2 },
	{ .kind = SEMUNDO_PERMITS, .capacity = 2, .workers = 5, .most_units = 2 },
	{ .kind = SEMUNDO_PERMITS, .capacity = 3, .workers = 8 },
	{ .kind = SEMUNDO_PERMITS, .capacity = 8, .workers = 12, .most_units = 3 },
	{ .kind = SEMUNDO_SIGNAL, .capacity = 1, .workers = 3 },
	{ .kind = SEMUNDO_SIGNAL, .capacity = 2, .workers = 6 },
	{ .kind = SEMUNDO_SIGNAL, .capacity = 3, .workers = 8, .most_units = 2 },
	{ .kind = SEMUNDO_SIGNAL, .capacity = 8, .workers = 12, .most_units = 3 },
};
#define USUAL (sizeof(usual) / sizeof(usual[0]))

struct choice {
	struct plan plan;      /* 0 in it: as usual, or as chance says */
	double seconds;        /* for all */
	bool long_run;         /* minutes, not the usual ones only once */
};

static bool is_chosen(const struct choice *c, const struct plan *p)
{
	return (!c->plan.kind || c->plan.kind == p->kind) &&
	       (!c->plan.capacity || c->plan.capacity == p->capacity);
}

static uint64_t next_seed(uint64_t seed, uint64_t number)
{
	uint64_t x = seed + number * UINT64_C(0x9e3779b97f4a7c15);
	draw(&x, 0);
	return x | 1;
}

static void run_one(const struct choice *c, const struct plan *from, uint64_t number)
{
	struct plan p = *from;
	p.seed = number ? next_seed(c->plan.seed, number) : c->plan.seed;
	uint64_t random = p.seed;
	p.kills = c->plan.kills;
	p.stops = c->plan.stops;
	p.bound = c->plan.bound;
	p.engine = c->plan.engine;
	p.length = c->plan.length;
	if (c->long_run) {
		p.workers = 2 + draw(&random, WORKERS_MAX - 1);
		p.most_units = 1 + draw(&random, p.capacity < 3 ? p.capacity : 3);
		p.stops = c->plan.stops ? c->plan.stops : draw(&random, 2) * 50;
	}
	if (c->plan.workers)
		p.workers = c->plan.workers;
	if (c->plan.most_units)
		p.most_units = c->plan.most_units;
	if (!p.most_units)
		p.most_units = 1;
	if (p.most_units > p.capacity)
		p.most_units = p.capacity;
	run(&p);
}

static int run_all(struct choice *c)
{
	uint64_t chosen = 0, number = 0;
	for (size_t i = 0; i < USUAL; i++)
		chosen += is_chosen(c, &usual[i]);
	if (!chosen)
		die("no configuration has that kind and capacity");
	uint64_t rounds = 1;
	c->plan.length = (uint64_t)(c->seconds * 1e9) / chosen;
	if (c->long_run) {
		rounds = (uint64_t)(c->seconds / (double)chosen / 3) + 1;
		c->plan.length /= rounds;
	}
	tap_plan((unsigned)(rounds * chosen));
	for (uint64_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < USUAL; i++)
			if (is_chosen(c, &usual[i]))
				run_one(c, &usual[i], number++);
	return tap_status();
}

/* ---- options ---- */

static const char usage[] =
	"usage: torture [options]\n"
	"Kills and stops processes that use a semaphore, and checks that it stays right.\n"
	"  -s, --seconds S      how long, for all configurations together (10)\n"
	"  -m, --minutes M      the same in minutes; workers, units and stops as chance says\n"
	"  -k, --kind KIND      lock, permits or signal only\n"
	"  -c, --capacity C     1, 2, 3 or 8 only\n"
	"  -w, --workers N      2 to 12 processes\n"
	"  -u, --units N        acquire 1 to N units at a time\n"
	"      --kills N        so many a second (150)\n"
	"      --stops N        so many a second (0)\n"
	"      --bound SECONDS  a waiter may wait so long for what is free (1)\n"
	"      --seed N         begin with this one\n"
	"      --engine PREFIX  of the semaphores' names, as \"native:\"\n";

static uint32_t kind_of(const char *text)
{
	if (strcasecmp(text, "lock") == 0)
		return SEMUNDO_LOCK;
	if (strcasecmp(text, "permits") == 0)
		return SEMUNDO_PERMITS;
	if (strcasecmp(text, "signal") == 0)
		return SEMUNDO_SIGNAL;
	die("no such kind: %s (lock, permits, signal)", text);
}

static double number_of(const char *text, double least, double most)
{
	char *end;
	double number = strtod(text, &end);
	if (end == text || *end || number < least || number > most)
		die("not a number from %g to %g: %s", least, most, text);
	return number;
}

static const struct option options[] = {
	{ "seconds", required_argument, NULL, 's' },
	{ "minutes", required_argument, NULL, 'm' },
	{ "kind", required_argument, NULL, 'k' },
	{ "capacity", required_argument, NULL, 'c' },
	{ "workers", required_argument, NULL, 'w' },
	{ "units", required_argument, NULL, 'u' },
	{ "kills", required_argument, NULL, 'K' },
	{ "stops", required_argument, NULL, 'S' },
	{ "bound", required_argument, NULL, 'B' },
	{ "seed", required_argument, NULL, 'r' },
	{ "engine", required_argument, NULL, 'e' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void take_option(struct choice *c, int option)
{
	switch (option) {
	case 's':
	case 'm':
		c->long_run = option == 'm';
		c->seconds = number_of(optarg, 0.001, 1e6) * (option == 'm' ? 60 : 1);
		break;
	case 'k':
		c->plan.kind = kind_of(optarg);
		break;
	case 'c':
		c->plan.capacity = (uint32_t)number_of(optarg, 1, CELLS_MAX);
		break;
	case 'w':
		c->plan.workers = (uint32_t)number_of(optarg, 2, WORKERS_MAX);
		break;
	case 'u':
		c->plan.most_units = (uint32_t)number_of(optarg, 1, CELLS_MAX);
		break;
	case 'K':
		c->plan.kills = (uint32_t)number_of(optarg, 0, 5000);
		break;
	case 'S':
		c->plan.stops = (uint32_t)number_of(optarg, 0, 5000);
		break;
	case 'B':
		c->plan.bound = (uint64_t)(number_of(optarg, 0.001, 1000) * 1e9);
		break;
	case 'r':
		c->plan.seed = strtoull(optarg, NULL, 0);
		break;
	case 'e':
		c->plan.engine = optarg;
		break;
	default:
		fputs(usage, option == 'h' ? stdout : stderr);
		exit(option == 'h' ? 0 : 2);
	}
}

int main(int argc, char **argv)
{
	struct choice c = { .seconds = 10, .plan = { .kills = 150, .bound = SEC, .engine = "" } };
	int option;
	c.plan.seed = ((uint64_t)time(NULL) << 16 ^ (uint64_t)getpid()) & 0xffffffffff;
	while ((option = getopt_long(argc, argv, "s:m:k:c:w:u:h", options, NULL)) != -1)
		take_option(&c, option);
	own_directory();
	return run_all(&c);
}
