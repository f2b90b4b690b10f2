/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "look.h"

static struct {
	bool dry_run, json, verbose;
} given;

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'n', "dry-run", NULL, OPTION_FLAG, AT(dry_run), "tell what is there, remove nothing" },
	{ 'v', "verbose", NULL, OPTION_FLAG, AT(verbose), "tell what is removed" },
	{ 'J', "json", NULL, OPTION_FLAG, AT(json), "print JSON" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

struct finds {
	json_t *array;
	int status;
};

static const char *kind_of(const struct semundo_garbage *g)
{
	switch (g->kind) {
	case SEMUNDO_GARBAGE_SET:
		return "set";
	case SEMUNDO_GARBAGE_NAME:
		return "name";
	default:
		return "file";
	}
}

static void describe(const struct semundo_garbage *g, char *ret, size_t size)
{
	switch (g->kind) {
	case SEMUNDO_GARBAGE_SET:
		snprintf(ret, size, "System V set %" PRId32 ", which has no name and no user", g->id);
		break;
	case SEMUNDO_GARBAGE_NAME:
		snprintf(ret, size, "name 'sysv:%s', of which the set is gone", g->name);
		break;
	default:
		snprintf(ret, size, "file '%s' of a creation that was not finished", g->name);
	}
}

static int add_json(struct finds *finds, const struct semundo_garbage *g)
{
	json_t *json = json_object();
	bool failed = json_object_set_new(json, "kind", json_string(kind_of(g))) |
		json_object_set_new(json, "name", *g->name ? json_text(g->name) : json_null()) |
		json_object_set_new(json, "id", g->id >= 0 ? json_integer(g->id) : json_null()) |
		json_object_set_new(json, "uid", json_integer(g->uid)) |
		json_object_set_new(json, "removed", json_boolean(!given.dry_run && !g->result)) |
		json_object_set_new(json, "error", g->result ? json_string(strerror(-g->result)) :
			                                       json_null());
	return json_array_append_new(finds->array, json) || failed ? -1 : 0;
}

static int visit(const struct semundo_garbage *g, void *argument)
{
	struct finds *finds = argument;
	char text[320];
	describe(g, text, sizeof(text));
	if (g->result && !finds->status)
		finds->status = status_of(g->result);
	if (given.json)
		return add_json(finds, g);
	if (g->result)
		note("cannot remove %s: %s", text, strerror(-g->result));
	else if (given.dry_run || given.verbose)
		printf("%s%s\n", given.dry_run ? "" : "removed ", text);
	return 0;
}

static int gc(int count, char **operands)
{
	struct finds finds = { json_array(), STATUS_OK };
	(void)count;
	(void)operands;
	int r = semundo_gc(NULL, given.dry_run ? SEMUNDO_GC_DRY_RUN : 0, visit, &finds);
	int status = r == -1 ? fail(STATUS_OS, "no memory for JSON") :
		     r < 0   ? fail_library(r) : finds.status;
	if (given.json && r >= 0) {
		int printed = print_json(json_pack("{s:O}", "garbage", finds.array));
		status = status ? status : printed;
	}
	json_decref(finds.array);
	return status ? status : finish_output();
}

const struct verb verb_gc = {
	"gc", "", "Remove what killed processes left behind and nobody uses", rows, &given, 0, 0,
	0, gc,
};
