/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and JSON of `ls` and `show`. */
#ifndef SEMUNDO_CLI_LOOK_H
#define SEMUNDO_CLI_LOOK_H

#include <jansson.h>
#include <semundo.h>
#include <stdbool.h>
#include <stddef.h>

#define USER_SIZE 64
#define TIME_SIZE 32

/* The user's name, or the number where there is none. */
void user_name(uint32_t uid, char *ret, size_t size);

/* "0.4s", "12s", "3m05s", "2h10m", "4d03h". */
void duration(double seconds, char *ret, size_t size);

/* Of CLOCK_REALTIME nanoseconds, in local time. */
void date(uint64_t nanoseconds, char *ret, size_t size);

/* Nanoseconds of that clock until now, in seconds, never below 0. */
double seconds_ago(clockid_t clock, uint64_t nanoseconds);

/* Whether the process that took the units has ended, and what inherited its
 * descriptors holds them. */
bool is_inherited(const struct semundo_peer *peer);

/* ---- tables (libsmartcols) ------------------------------------------------- */

struct table_column {
	const char *name;
	double width; /* hint: a part of the terminal, or characters */
	int flags;    /* SCOLS_FL_... */
};

struct table_style {
	bool raw, no_headings;
};

/* cells: rows * count texts, row by row; null: empty. */
int print_table(const struct table_column *columns, size_t count, char **cells, size_t rows,
                const struct table_style *style);

/* ---- JSON (jansson) ---------------------------------------------------------- */

/* Bytes that are not UTF-8 become \xNN. */
json_t *json_text(const char *text);
json_t *json_facts(const struct semundo_info *info);
json_t *json_peers(const struct semundo_peer *first);
json_t *json_deaths(const struct semundo_death *deaths, int count);

/* Prints and frees it. Null: no memory. Returns a status. */
int print_json(json_t *json);

#endif
