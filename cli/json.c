/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "look.h"
#include "processes.h"

json_t *json_text(const char *text)
{
	json_t *json = json_string(text);
	if (json)
		return json;
	char *visible = malloc(4 * strlen(text) + 1), *end = visible;
	if (!visible)
		return NULL;
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x80)
			*end++ = *p;
		else
			end += sprintf(end, "\\x%02x", (unsigned char)*p);
	*end = '\0';
	json = json_string(visible);
	free(visible);
	return json;
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *seconds(uint64_t nanoseconds)
{
	return json_real((double)nanoseconds / 1e9);
}

static json_t *user(uint32_t uid)
{
	char name[USER_SIZE];
	user_name(uid, name, sizeof(name));
	return json_text(name);
}

json_t *json_facts(const struct semundo_info *info)
{
	char mode[8];
	snprintf(mode, sizeof(mode), "%04o", info->mode);
	json_t *json = json_object();
	bool failed = json_object_set_new(json, "name", json_text(info->name)) |
		json_object_set_new(json, "engine", json_text(info->engine)) |
		json_object_set_new(json, "kind", json_string(kind_name(info->kind))) |
		json_object_set_new(json, "capacity", number(info->capacity)) |
		json_object_set_new(json, "value", json_integer((json_int_t)info->value)) |
		json_object_set_new(json, "held", number(info->held)) |
		json_object_set_new(json, "attached", number(info->peers)) |
		json_object_set_new(json, "waiters", number(info->waiters)) |
		json_object_set_new(json, "dead", number(info->dead)) |
		json_object_set_new(json, "recovered", json_boolean(info->recovered)) |
		json_object_set_new(json, "died", number(info->deaths)) |
		json_object_set_new(json, "owner", user(info->uid)) |
		json_object_set_new(json, "uid", number(info->uid)) |
		json_object_set_new(json, "mode", json_string(mode)) |
		json_object_set_new(json, "inode", number(info->inode)) |
		json_object_set_new(json, "created", seconds(info->created));
	if (!failed)
		return json;
	json_decref(json);
	return NULL;
}

static json_t *json_peer(const struct semundo_peer *peer)
{
	static const char *const alive[] = { "dead", "alive", "unknown" };
	char command[4096];
	double waited = peer->waiting ? seconds_ago(CLOCK_MONOTONIC, peer->waiting_since) : 0;
	peer_command(peer, command, sizeof(command));
	json_t *json = json_object();
	bool failed = json_object_set_new(json, "pid", json_integer(peer->pid)) |
		json_object_set_new(json, "for_pid",
		                    peer->for_pid ? json_integer(peer->for_pid) : json_null()) |
		json_object_set_new(json, "user", user(peer->uid)) |
		json_object_set_new(json, "uid", number(peer->uid)) |
		json_object_set_new(json, "alive", json_string(alive[peer->alive % 3])) |
		json_object_set_new(json, "inherited", json_boolean(is_inherited(peer))) |
		json_object_set_new(json, "held", number(peer->held)) |
		json_object_set_new(json, "waiting", number(peer->waiting)) |
		json_object_set_new(json, "wanted", number(peer->wanted)) |
		json_object_set_new(json, "waiting_seconds",
		                    peer->waiting ? json_real(waited) : json_null()) |
		json_object_set_new(json, "attached_since", seconds(peer->attached_since)) |
		json_object_set_new(json, "start_time", number(peer->start_time)) |
		json_object_set_new(json, "pid_namespace", number(peer->pid_namespace)) |
		json_object_set_new(json, "command", json_text(command));
	if (!failed)
		return json;
	json_decref(json);
	return NULL;
}

json_t *json_peers(const struct semundo_peer *first)
{
	json_t *json = json_array();
	for (const struct semundo_peer *peer = first; peer; peer = peer->next)
		if (json_array_append_new(json, json_peer(peer))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static json_t *json_death(const struct semundo_death *death)
{
	return json_pack("{s:I, s:i, s:I, s:I, s:f}", "number", (json_int_t)death->number, "pid",
	                 (int)death->pid, "uid", (json_int_t)death->uid, "units",
	                 (json_int_t)death->units, "when", (double)death->when / 1e9);
}

json_t *json_deaths(const struct semundo_death *deaths, int count)
{
	json_t *json = json_array();
	for (int i = 0; i < count; i++)
		if (json_array_append_new(json, json_death(&deaths[i]))) {
			json_decref(json);
			return NULL;
		}
	return json;
}

int print_json(json_t *json)
{
	if (!json)
		return fail(STATUS_OS, "no memory for JSON");
	json_dumpf(json, stdout, JSON_INDENT(3));
	json_decref(json);
	putchar('\n');
	return finish_output();
}
