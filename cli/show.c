/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "look.h"
#include "processes.h"

#define DEATHS_MAX 8

static struct {
	bool json;
} given;

static const struct option_row rows[] = {
	{ 'J', "json", NULL, OPTION_FLAG, offsetof(__typeof__(given), json), "print JSON" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

/* ---- facts ----------------------------------------------------------------------- */

static void print_fact(const char *what, const char *text)
{
	printf("%-10s", what);
	put_visible(stdout, text);
	putchar('\n');
}

static void print_deaths(const struct semundo_info *info, const struct semundo_death *deaths,
                         int count)
{
	char when[TIME_SIZE];
	if (count < 0)
		printf("%-10snot known to this engine", "died");
	else
		printf("%-10s%" PRIu64, "died", info->deaths);
	if (count > 0) {
		date(deaths[0].when, when, sizeof(when));
		printf(" (the last: process %d with %u, %s)", (int)deaths[0].pid, deaths[0].units,
		       when);
	}
	printf("%s\n", info->recovered ? "; the next acquirer will be told" : "");
}

static void print_facts(const struct semundo_info *info, const struct semundo_death *deaths,
                        int count)
{
	char text[TIME_SIZE];
	print_fact("name", info->name);
	print_fact("engine", info->engine);
	printf("%-10s%s\n", "kind", kind_name(info->kind));
	printf("%-10s%u\n%-10s%" PRId64 "\n", "capacity", info->capacity, "value", info->value);
	printf("%-10s%" PRIu64 "\n%-10s%u\n", "held", info->held, "waiters", info->waiters);
	if (info->dead)
		printf("%-10s%u (to be undone by the next acquirer)\n", "dead", info->dead);
	print_deaths(info, deaths, count);
	char owner[USER_SIZE];
	user_name(info->uid, owner, sizeof(owner));
	printf("%-10s%s, mode %04o\n", "owner", owner, info->mode);
	date(info->created, text, sizeof(text));
	printf("%-10s%s\n", "created", text);
}

/* ---- peers ------------------------------------------------------------------------- */

static const struct table_column columns[] = {
	{ "PID", 1, SCOLS_FL_RIGHT },   { "FOR", 1, SCOLS_FL_RIGHT },  { "USER", 1, 0 },
	{ "STATE", 1, 0 },              { "UNITS", 1, SCOLS_FL_RIGHT }, { "TIME", 1, SCOLS_FL_RIGHT },
	{ "COMMAND", 0.3, SCOLS_FL_TRUNC },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define CELL_SIZE 4096

static char *cell(const char *text)
{
	return *text ? strdup(text) : NULL;
}

static char *number_cell(long number)
{
	char text[24] = "";
	if (number)
		snprintf(text, sizeof(text), "%ld", number);
	return cell(text);
}

static char *time_cell(clockid_t clock, uint64_t since)
{
	char text[TIME_SIZE];
	duration(seconds_ago(clock, since), text, sizeof(text));
	return cell(text);
}

static const char *state_of(const struct semundo_peer *peer, bool waits)
{
	if (peer->alive == SEMUNDO_DEAD)
		return "dead";
	if (peer->alive == SEMUNDO_UNKNOWN)
		return waits ? "waits?" : "holds?";
	if (is_inherited(peer))
		return "inherited";
	return waits ? "waits" : "holds";
}

static void fill_row(char **row, const struct semundo_peer *peer, bool waits)
{
	char text[CELL_SIZE];
	row[0] = number_cell(peer->pid);
	row[1] = number_cell(peer->for_pid);
	user_name(peer->uid, text, sizeof(text));
	row[2] = cell(text);
	row[3] = cell(state_of(peer, waits));
	row[4] = number_cell(waits ? peer->wanted : peer->held);
	row[5] = waits ? time_cell(CLOCK_MONOTONIC, peer->waiting_since) :
			 time_cell(CLOCK_REALTIME, peer->attached_since);
	peer_command(peer, text, sizeof(text));
	row[6] = cell(text);
}

/* Holders first, then waiters; who holds and waits is in both parts. */
static size_t fill_rows(char **cells, const struct semundo_peer *first)
{
	size_t count = 0;
	for (const struct semundo_peer *p = first; p; p = p->next)
		if (p->held || p->alive == SEMUNDO_DEAD)
			fill_row(cells + COLUMNS * count++, p, false);
	for (const struct semundo_peer *p = first; p; p = p->next)
		if (p->waiting && p->alive != SEMUNDO_DEAD)
			fill_row(cells + COLUMNS * count++, p, true);
	return count;
}

static int print_peers(const struct semundo_peer *first)
{
	size_t peers = 0;
	for (const struct semundo_peer *p = first; p; p = p->next)
		peers++;
	char **cells = calloc(2 * COLUMNS * peers + 1, sizeof(*cells));
	if (!cells)
		return fail(STATUS_OS, "no memory for a table");
	size_t count = fill_rows(cells, first);
	int status = STATUS_OK;
	if (count) {
		const struct table_style style = { false, false };
		putchar('\n');
		status = print_table(columns, COLUMNS, cells, count, &style);
	}
	for (size_t i = 0; i < COLUMNS * count; i++)
		free(cells[i]);
	free(cells);
	return status;
}

/* ---- the verb ------------------------------------------------------------------------ */

static int print_all_json(const struct semundo_info *info, const struct semundo_peer *first,
                          const struct semundo_death *deaths, int count)
{
	json_t *json = json_facts(info);
	bool known = count >= 0;
	if (json &&
	    (json_object_set_new(json, "peers", known ? json_peers(first) : json_null()) ||
	     json_object_set_new(json, "deaths", known ? json_deaths(deaths, count) : json_null()))) {
		json_decref(json);
		json = NULL;
	}
	return print_json(json);
}

/* What an engine does not know is said, and null in JSON. */
static int get_peers(semundo_t *sem, struct semundo_peer **ret, bool *ret_known)
{
	int r = semundo_peers(sem, ret);
	*ret_known = r != -ENOTSUP;
	return *ret_known ? r : 0;
}

static int print_all(semundo_t *sem)
{
	bool known;
	struct semundo_info info = { .size = sizeof(info) };
	struct semundo_death deaths[DEATHS_MAX];
	struct semundo_peer *first = NULL;
	int r = semundo_info(sem, &info);
	if (!r)
		r = get_peers(sem, &first, &known);
	if (r)
		return fail_library(r);
	int status = STATUS_OK, count = known ? semundo_deaths(sem, deaths, DEATHS_MAX) : -1;
	if (given.json) {
		status = print_all_json(&info, first, deaths, count);
	} else {
		print_facts(&info, deaths, count);
		if (!known)
			printf("%-10snot known to this engine\n", "holders");
		status = print_peers(first);
	}
	semundo_peers_free(first);
	return status ? status : finish_output();
}

static int show(int count, char **names)
{
	semundo_t *sem;
	(void)count;
	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	int status = open_existing(&sem, names[0], SEMUNDO_OBSERVE, 0);
	if (status)
		return status;
	status = print_all(sem);
	semundo_close(sem);
	return status;
}

const struct verb verb_show = {
	"show", "NAME", "Show a semaphore, who holds it and who waits for it", rows, &given, 1, 1,
	0, show,
};
