/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "look.h"
#include "platform/posix_sem.h"

#define NO_UID UINT32_MAX

static struct {
	bool json;
	const char *root;
	unsigned uid;
} given = { .root = "", .uid = NO_UID };

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'J', "json", NULL, OPTION_FLAG, AT(json), "print JSON" },
	{ 0, "root", "DIRECTORY", OPTION_TEXT, AT(root), "read the settings of the system there" },
	{ 0, "uid", "UID", OPTION_NUMBER, AT(uid), "ask for that user (default: who runs it)" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

/* ---- the report ------------------------------------------------------------------ */

static json_t *number_or_null(int64_t number)
{
	return number < 0 ? json_null() : json_integer((json_int_t)number);
}

void add_limit(struct report *report, const char *engine, const char *name, int64_t used,
               int64_t limit, const char *setting)
{
	json_t *json = json_object();
	int64_t left = used < 0 || limit < 0 ? -1 : limit > used ? limit - used : 0;
	report->failed |= (json_object_set_new(json, "engine", json_string(engine)) |
	                   json_object_set_new(json, "name", json_string(name)) |
	                   json_object_set_new(json, "used", number_or_null(used)) |
	                   json_object_set_new(json, "limit", number_or_null(limit)) |
	                   json_object_set_new(json, "free", number_or_null(left)) |
	                   json_object_set_new(json, "setting",
	                                       setting ? json_text(setting) : json_null()) |
	                   json_array_append_new(report->limits, json)) != 0;
}

void add_warning(struct report *report, const char *todo, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	json_t *json = json_object();
	report->failed |= (json_object_set_new(json, "what", json_text(text)) |
	                   json_object_set_new(json, "todo", json_text(todo)) |
	                   json_array_append_new(report->warnings, json)) != 0;
}

static json_t *caps_of(const char *engine)
{
	static const struct {
		unsigned cap;
		const char *name;
	} names[] = {
		{ SEMUNDO_CAP_LOCK, "lock" },           { SEMUNDO_CAP_PERMITS, "permits" },
		{ SEMUNDO_CAP_SIGNAL, "signal" },       { SEMUNDO_CAP_MAXIMUM, "maximum" },
		{ SEMUNDO_CAP_MANY, "many" },           { SEMUNDO_CAP_RESIZE, "resize" },
		{ SEMUNDO_CAP_WAITERS, "waiters" },     { SEMUNDO_CAP_PEERS, "peers" },
		{ SEMUNDO_CAP_ANONYMOUS, "anonymous" }, { SEMUNDO_CAP_HOLD, "hold" },
		{ SEMUNDO_CAP_LOCK_BY_ANY, "lock-by-any" },
	};
	unsigned caps = 0;
	json_t *array = json_array();
	semundo_engine_caps(engine, &caps);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (caps & names[i].cap)
			json_array_append_new(array, json_string(names[i].name));
	return array;
}

/* ---- engines ------------------------------------------------------------------------ */

/* Nothing tells better whether it works than a semaphore that works. */
static int try_engine(const char *engine, unsigned caps)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	char name[64];
	semundo_t *sem;
	options.kind = caps & SEMUNDO_CAP_PERMITS ? SEMUNDO_PERMITS : SEMUNDO_SIGNAL;
	options.value = options.kind == SEMUNDO_SIGNAL;
	snprintf(name, sizeof(name), "%s:semundo-doctor-%d", engine, (int)getpid());
	int r = semundo_open(&sem, name, SEMUNDO_CREATE | SEMUNDO_REPLACE, &options);
	if (r)
		return r;
	r = semundo_try_acquire(sem, 1);
	if (r >= 0)
		r = semundo_release(sem, 1);
	semundo_unlink(name, NULL);
	semundo_close(sem);
	return r;
}

static void look_at_engine(struct report *report, const char *engine)
{
	unsigned caps = 0;
	semundo_engine_caps(engine, &caps);
	int r = try_engine(engine, caps);
	json_t *json = json_object();
	report->failed |=
		(json_object_set_new(json, "name", json_string(engine)) |
	         json_object_set_new(json, "usable", json_boolean(r >= 0)) |
	         json_object_set_new(json, "why", r < 0 ? json_text(semundo_error()) : json_null()) |
	         json_object_set_new(json, "can", caps_of(engine)) |
	         json_array_append_new(report->engines, json)) != 0;
	if (r < 0 && caps) /* else none of this system's */
		add_warning(report, "see the reason; the other engines may do",
		            "the %s engine does not work here: %s", engine, semundo_error());
}

static void look_for_garbage(struct report *report)
{
	int found = semundo_gc(NULL, SEMUNDO_GC_DRY_RUN, NULL, NULL);
	if (found > 0)
		add_warning(report, "semundo gc removes it", "killed processes left %d thing%s behind",
		            found, found == 1 ? "" : "s");
}

static int examine(struct report *report)
{
	const char *prefix, *posix = semundo__posix_directory(&prefix);
	char *directory;
	int r = semundo_directory(&directory);
	if (r)
		return fail_library(r);
	look_at_engine(report, "native");
	look_at_engine(report, "sysv");
	look_at_engine(report, "posix");
	look_at_directory(report, "native", directory);
	if (posix && strcmp(directory, posix) != 0)
		look_at_directory(report, "posix", posix);
	free(directory);
	look_at_sysv(report);
	look_at_logind(report, given.root, given.uid == NO_UID ? (uint32_t)geteuid() : given.uid);
	look_for_garbage(report);
	return STATUS_OK;
}

/* ---- output ----------------------------------------------------------------------------- */

static const char *text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));
	return text ? text : "";
}

static void print_engines(const struct report *report)
{
	size_t i, k;
	json_t *engine, *cap;
	json_array_foreach(report->engines, i, engine) {
		printf("%-8s", text_of(engine, "name"));
		put_visible(stdout, json_is_true(json_object_get(engine, "usable")) ?
			                    "works:" : text_of(engine, "why"));
		if (json_is_true(json_object_get(engine, "usable")))
			json_array_foreach(json_object_get(engine, "can"), k, cap)
				printf(" %s", json_string_value(cap));
		putchar('\n');
	}
}

static char *number_cell(const json_t *json, const char *key)
{
	char text[32] = "-";
	const json_t *number = json_object_get(json, key);
	if (json_is_integer(number))
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(number));
	return strdup(text);
}

static int print_limits(const struct report *report)
{
	static const struct table_column columns[] = {
		{ "ENGINE", 1, 0 },             { "LIMIT", 1, 0 },
		{ "USED", 1, SCOLS_FL_RIGHT },  { "OF", 1, SCOLS_FL_RIGHT },
		{ "FREE", 1, SCOLS_FL_RIGHT },  { "SETTING", 0.3, SCOLS_FL_TRUNC },
	};
	const struct table_style style = { false, false };
	size_t rows_count = json_array_size(report->limits), i;
	json_t *limit;
	char **cells = calloc(6 * rows_count + 1, sizeof(*cells));
	if (!cells)
		return fail(STATUS_OS, "no memory for a table");
	json_array_foreach(report->limits, i, limit) {
		char **row = cells + 6 * i;
		row[0] = strdup(text_of(limit, "engine"));
		row[1] = strdup(text_of(limit, "name"));
		row[2] = number_cell(limit, "used");
		row[3] = number_cell(limit, "limit");
		row[4] = number_cell(limit, "free");
		row[5] = strdup(text_of(limit, "setting"));
	}
	putchar('\n');
	int status = print_table(columns, 6, cells, rows_count, &style);
	for (i = 0; i < 6 * rows_count; i++)
		free(cells[i]);
	free(cells);
	return status;
}

static int print_report(const struct report *report)
{
	size_t i;
	json_t *warning;
	print_engines(report);
	int status = print_limits(report);
	json_array_foreach(report->warnings, i, warning) {
		printf("%swarning: ", i ? "" : "\n");
		put_visible(stdout, text_of(warning, "what"));
		printf("\n         ");
		put_visible(stdout, text_of(warning, "todo"));
		putchar('\n');
	}
	return status ? status : finish_output();
}

static int doctor(int count, char **operands)
{
	struct report report = { json_array(), json_array(), json_array(), false };
	(void)count;
	(void)operands;
	int status = examine(&report);
	if (!status && report.failed)
		status = fail(STATUS_OS, "no memory for the report");
	if (!status && given.json)
		status = print_json(json_pack("{s:O, s:O, s:O}", "engines", report.engines, "limits",
		                              report.limits, "warnings", report.warnings));
	else if (!status)
		status = print_report(&report);
	if (!status && json_array_size(report.warnings))
		status = STATUS_BUSY; /* found something */
	json_decref(report.limits);
	json_decref(report.engines);
	json_decref(report.warnings);
	return status;
}

const struct verb verb_doctor = {
	"doctor", "", "Show what engines, limits and settings there are, and what is wrong", rows,
	&given, 0, 0, 0, doctor,
};
