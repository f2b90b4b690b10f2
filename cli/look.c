/* SPDX-License-Identifier: Apache-2.0 */
#include "look.h"

#include <libsmartcols.h>
#include <pwd.h>
#include <time.h>

#include "cli.h"
#include "processes.h"

void user_name(uint32_t uid, char *ret, size_t size)
{
	const struct passwd *entry = getpwuid(uid);
	if (entry)
		snprintf(ret, size, "%s", entry->pw_name);
	else
		snprintf(ret, size, "%u", uid);
}

void duration(double seconds, char *ret, size_t size)
{
	long s = (long)seconds;
	if (seconds < 10)
		snprintf(ret, size, "%.1fs", seconds);
	else if (s < 60)
		snprintf(ret, size, "%lds", s);
	else if (s < 3600)
		snprintf(ret, size, "%ldm%02lds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(ret, size, "%ldh%02ldm", s / 3600, s / 60 % 60);
	else
		snprintf(ret, size, "%ldd%02ldh", s / 86400, s / 3600 % 24);
}

void date(uint64_t nanoseconds, char *ret, size_t size)
{
	time_t seconds = (time_t)(nanoseconds / NSEC_PER_SEC);
	struct tm tm;
	*ret = '\0';
	if (localtime_r(&seconds, &tm))
		strftime(ret, size, "%Y-%m-%d %H:%M:%S", &tm);
}

double seconds_ago(clockid_t clock, uint64_t nanoseconds)
{
	struct timespec now;
	clock_gettime(clock, &now);
	double seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)nanoseconds / 1e9;
	return seconds > 0 ? seconds : 0;
}

bool is_inherited(const struct semundo_peer *peer)
{
	return peer->alive == SEMUNDO_ALIVE && is_our_namespace(peer) && !is_that_process(peer);
}

/* ---- tables -------------------------------------------------------------------- */

static int fill_table(struct libscols_table *table, const struct table_column *columns,
                      size_t count, char **cells, size_t rows)
{
	for (size_t i = 0; i < count; i++)
		if (!scols_table_new_column(table, columns[i].name, columns[i].width,
		                            columns[i].flags))
			return -1;
	for (size_t row = 0; row < rows; row++) {
		struct libscols_line *line = scols_table_new_line(table, NULL);
		if (!line)
			return -1;
		for (size_t i = 0; i < count; i++)
			if (cells[row * count + i] &&
			    scols_line_set_data(line, i, cells[row * count + i]))
				return -1;
	}
	return 0;
}

int print_table(const struct table_column *columns, size_t count, char **cells, size_t rows,
                const struct table_style *style)
{
	struct libscols_table *table = scols_new_table();
	if (!table)
		return fail(STATUS_OS, "no memory for a table");
	scols_table_enable_raw(table, style->raw);
	scols_table_enable_noheadings(table, style->no_headings);
	int r = fill_table(table, columns, count, cells, rows);
	if (!r)
		r = scols_print_table(table);
	scols_unref_table(table);
	return r ? fail(STATUS_OS, "no memory for a table") : finish_output();
}
