/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "look.h"

static struct {
	const char *columns;
	bool json, raw, no_headings;
} given;

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'J', "json", NULL, OPTION_FLAG, AT(json), "print JSON, with all facts" },
	{ 'r', "raw", NULL, OPTION_FLAG, AT(raw), "one space between columns, blanks as \\x20" },
	{ 'o', "output", "COLUMN,...", OPTION_TEXT, AT(columns),
	  "these columns; with a + before it: these too" },
	{ 'n', "noheadings", NULL, OPTION_FLAG, AT(no_headings), "no line of column names" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

struct entry {
	char *name;
	char *why; /* it cannot be read; else null, and info is right */
	struct semundo_info info;
};

struct list {
	struct entry *entries;
	size_t count, space;
};

/* ---- columns -------------------------------------------------------------------- */

enum column {
	NAME, KIND, CAPACITY, VALUE, HELD, WAITERS, DEAD, OWNER, MODE, NOTE,
	ATTACHED, DIED, RECOVERED, CREATED, INODE, ENGINE, COLUMNS
};
#define DEFAULT_COLUMNS NOTE /* those before it; NOTE where there is one */

static const struct table_column all_columns[COLUMNS] = {
	[NAME] = { "NAME", 1, 0 },
	[KIND] = { "KIND", 1, 0 },
	[CAPACITY] = { "CAPACITY", 1, SCOLS_FL_RIGHT },
	[VALUE] = { "VALUE", 1, SCOLS_FL_RIGHT },
	[HELD] = { "HELD", 1, SCOLS_FL_RIGHT },
	[WAITERS] = { "WAITERS", 1, SCOLS_FL_RIGHT },
	[DEAD] = { "DEAD", 1, SCOLS_FL_RIGHT },
	[OWNER] = { "OWNER", 1, 0 },
	[MODE] = { "MODE", 1, 0 },
	[NOTE] = { "NOTE", 1, 0 },
	[ATTACHED] = { "ATTACHED", 1, SCOLS_FL_RIGHT },
	[DIED] = { "DIED", 1, SCOLS_FL_RIGHT },
	[RECOVERED] = { "RECOVERED", 1, 0 },
	[CREATED] = { "CREATED", 1, 0 },
	[INODE] = { "INODE", 1, SCOLS_FL_RIGHT },
	[ENGINE] = { "ENGINE", 1, 0 },
};

struct chosen {
	enum column ids[4 * COLUMNS];
	size_t count;
};

static void choose_default(struct chosen *chosen, const struct list *list)
{
	for (int id = NAME; id < DEFAULT_COLUMNS; id++)
		chosen->ids[chosen->count++] = (enum column)id;
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].why) {
			chosen->ids[chosen->count++] = NOTE;
			return;
		}
}

static int find_column(const char *name, size_t length)
{
	for (int id = NAME; id < COLUMNS; id++)
		if (strlen(all_columns[id].name) == length &&
		    strncasecmp(all_columns[id].name, name, length) == 0)
			return id;
	return -1;
}

static int fail_column(const char *name, size_t length)
{
	char known[256] = "";
	for (size_t id = 0; id < COLUMNS; id++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
		         id ? ", " : "", all_columns[id].name);
	return fail(STATUS_USAGE, "--output: there is no column '%.*s'; there are %s", (int)length,
	            name, known);
}

static int choose(struct chosen *chosen, const struct list *list)
{
	const char *text = given.columns;
	if (!text || *text == '+')
		choose_default(chosen, list);
	if (!text)
		return STATUS_OK;
	for (text += *text == '+';; text++) {
		size_t length = strcspn(text, ",");
		int id = find_column(text, length);
		if (id < 0)
			return fail_column(text, length);
		if (chosen->count == sizeof(chosen->ids) / sizeof(chosen->ids[0]))
			return fail(STATUS_USAGE, "--output: too many columns");
		chosen->ids[chosen->count++] = (enum column)id;
		text += length;
		if (!*text)
			return STATUS_OK;
	}
}

static void print_number(char *ret, size_t size, const struct semundo_info *info, enum column id)
{
	const uint64_t numbers[COLUMNS] = {
		[CAPACITY] = info->capacity, [HELD] = info->held,     [WAITERS] = info->waiters,
		[DEAD] = info->dead,         [ATTACHED] = info->peers, [DIED] = info->deaths,
		[INODE] = info->inode,
	};
	snprintf(ret, size, "%" PRIu64, numbers[id]);
}

static char *cell(const struct entry *entry, enum column id)
{
	char text[256];
	const struct semundo_info *info = &entry->info;
	if (id == NAME)
		return strdup(entry->name);
	if (id == NOTE)
		return entry->why ? strdup(entry->why) : NULL;
	if (entry->why)
		return strdup("-");
	if (id == KIND)
		return strdup(kind_name(info->kind));
	if (id == ENGINE)
		return strdup(info->engine);
	if (id == RECOVERED)
		return strdup(info->recovered ? "yes" : "no");
	if (id == OWNER)
		user_name(info->uid, text, sizeof(text));
	else if (id == CREATED)
		date(info->created, text, sizeof(text));
	else if (id == MODE)
		snprintf(text, sizeof(text), "%04o", info->mode);
	else if (id == VALUE)
		snprintf(text, sizeof(text), "%" PRId64, info->value);
	else
		print_number(text, sizeof(text), info, id);
	return strdup(text);
}

/* ---- the directory ----------------------------------------------------------------- */

static int add_name(const char *name, void *argument)
{
	struct list *list = argument;
	if (list->count == list->space) {
		size_t space = list->space ? 2 * list->space : 64;
		void *entries = realloc(list->entries, space * sizeof(*list->entries));
		if (!entries)
			return -ENOMEM;
		list->entries = entries;
		list->space = space;
	}
	struct entry *entry = &list->entries[list->count];
	*entry = (struct entry){ .name = strdup(name) };
	if (!entry->name)
		return -ENOMEM;
	list->count++;
	return 0;
}

/* Without the part that says on which name, which is in the row already. */
static const char *reason(void)
{
	const char *sentence = semundo_error(), *colon = strstr(sentence, "': ");
	return colon ? colon + 3 : sentence;
}

/* Removed since it was listed: false. */
static bool look_at(struct entry *entry)
{
	semundo_t *sem;
	entry->info.size = sizeof(entry->info);
	int r = semundo_open(&sem, entry->name, SEMUNDO_OBSERVE, NULL);
	if (!r) {
		r = semundo_info(sem, &entry->info);
		semundo_close(sem);
	}
	if (r && r != -ENOENT)
		entry->why = strdup(reason());
	return r != -ENOENT;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int fill(struct list *list)
{
	int r = semundo_list(NULL, add_name, list);
	if (r == -ENOMEM)
		return fail(STATUS_OS, "no memory for the list");
	if (r)
		return fail_library(r);
	size_t there = 0;
	for (size_t i = 0; i < list->count; i++)
		if (look_at(&list->entries[i]))
			list->entries[there++] = list->entries[i];
		else
			free(list->entries[i].name);
	list->count = there;
	if (there)
		qsort(list->entries, there, sizeof(*list->entries), compare);
	return STATUS_OK;
}

static void empty(struct list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->entries[i].name);
		free(list->entries[i].why);
	}
	free(list->entries);
}

/* ---- output --------------------------------------------------------------------------- */

static int print_as_json(const struct list *list)
{
	json_t *json = json_object(), *array = json_array();
	bool failed = json_object_set_new(json, "semaphores", array);
	for (size_t i = 0; i < list->count && !failed; i++) {
		const struct entry *entry = &list->entries[i];
		json_t *facts = entry->why ? json_object() : json_facts(&entry->info);
		if (entry->why)
			failed = json_object_set_new(facts, "name", json_text(entry->name)) |
				json_object_set_new(facts, "error", json_text(entry->why));
		failed |= json_array_append_new(array, facts) != 0;
	}
	if (!failed)
		return print_json(json);
	json_decref(json);
	return print_json(NULL);
}

static int print_as_table(const struct list *list)
{
	struct chosen chosen = { .count = 0 };
	struct table_column columns[4 * COLUMNS];
	const struct table_style style = { given.raw, given.no_headings };
	int status = choose(&chosen, list);
	if (status)
		return status;
	for (size_t i = 0; i < chosen.count; i++)
		columns[i] = all_columns[chosen.ids[i]];
	size_t cells_count = list->count * chosen.count;
	char **cells = calloc(cells_count + 1, sizeof(*cells));
	if (!cells)
		return fail(STATUS_OS, "no memory for a table");
	for (size_t i = 0; i < cells_count; i++)
		cells[i] = cell(&list->entries[i / chosen.count], chosen.ids[i % chosen.count]);
	status = print_table(columns, chosen.count, cells, list->count, &style);
	for (size_t i = 0; i < cells_count; i++)
		free(cells[i]);
	free(cells);
	return status;
}

static int ls(int count, char **operands)
{
	struct list list = { NULL, 0, 0 };
	(void)count;
	(void)operands;
	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	if (given.json && (given.raw || given.no_headings || given.columns))
		return fail(STATUS_USAGE, "--json goes without --raw, --output and --noheadings");
	int status = fill(&list);
	if (!status)
		status = given.json ? print_as_json(&list) : print_as_table(&list);
	empty(&list);
	return status;
}

const struct verb verb_ls = {
	"ls", "", "List the semaphores of the directory", rows, &given, 0, 0, 0, ls,
};
