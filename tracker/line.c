/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int bad(char *ret_why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int bad(char *ret_why, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(ret_why, WHY_SIZE, format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

static int find_command(const char *text, size_t length, enum command *ret, char *why)
{
	static const char *const names[] = { "REGISTER", "UNREGISTER", "PROBE", "LEAVE" };
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) {
			*ret = (enum command)i;
			return 0;
		}
	return bad(why, "unrecognized command '%.*s' (known: REGISTER, UNREGISTER, PROBE)",
	           (int)(length < 40 ? length : 40), text);
}

static int find_type(const char *text, size_t length, const char *name, enum resource_type *ret,
                     char *why)
{
	if (resource_find(text, length, ret))
		return 0;
	return bad(why, "cannot track '%.80s': unknown resource type '%.*s' (known: %s)", name,
	           (int)(length < 40 ? length : 40), text, resource_known());
}

static int check_name(const struct request *request, char *why)
{
	bool named = request->command == COMMAND_REGISTER || request->command == COMMAND_UNREGISTER;
	if (named && request->name[0] == '\0')
		return bad(why, "the name is empty");
	if (named && strchr(request->name, ':') &&
	    !(request->type == RESOURCE_SEMAPHORE && resource_has_engine(request->name)))
		return bad(why, "the name '%.80s' has a ':' in it, but no engine before that",
		           request->name);
	return 0;
}

/* ---- CMD:NAME:RTYPE --------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int check_bytes(const char *line, size_t length, char *why)
{
	for (size_t i = 0; i < length; i++) {
		if (line[i] == '\0')
			return bad(why, "there is a NUL in it, at byte %zu", i + 1);
		if ((unsigned char)line[i] >= 0x80)
			return bad(why, "byte %zu (0x%02x) is not ASCII", i + 1, (unsigned char)line[i]);
	}
	return 0;
}

static int parse_plain(const char *line, size_t length, struct request *ret, char *why)
{
	int r = check_bytes(line, length, why);
	if (r)
		return r;
	const char *end = line + length;
	const char *first = memchr(line, ':', length), *last = first;
	for (const char *p = first; p && p < end; p++)
		if (*p == ':')
			last = p;
	if (!first || first == last)
		return bad(why, "it is not of the form CMD:NAME:RTYPE");
	memcpy(ret->name, first + 1, (size_t)(last - first - 1));
	r = find_type(last + 1, (size_t)(end - last - 1), ret->name, &ret->type, why);
	if (!r)
		r = find_command(line, (size_t)(first - line), &ret->command, why);
	if (!r && ret->command == COMMAND_LEAVE)
		r = bad(why, "LEAVE needs the JSON form");
	return r ? r : check_name(ret, why);
}

/* ---- JSON -------------------------------------------------------------------- */

/* Of size LINE_SIZE. A missing one is "". */
static int get_base64(json_t *json, const char *key, char *ret, char *why)
{
	json_t *value = json_object_get(json, key);
	if (!value)
		return 0;
	if (!json_is_string(value) || !base64_decode(json_string_value(value), ret, LINE_SIZE))
		return bad(why, "\"%s\" is not base64 (URL-safe) of a text without NUL", key);
	return 0;
}

static int get_number(json_t *json, const char *key, uint64_t most, uint64_t *ret, char *why)
{
	json_t *value = json_object_get(json, key);
	if (!value)
		return 0;
	json_int_t number = json_integer_value(value);
	if (!json_is_integer(value) || number < 0 || (uint64_t)number > most)
		return bad(why, "\"%s\" is not a number from 0 to %llu", key, (unsigned long long)most);
	*ret = (uint64_t)number;
	return 0;
}

static int get_sender(json_t *json, struct request *ret, char *why)
{
	uint64_t pid = 0;
	int r = get_number(json, "pid", INT32_MAX, &pid, why);
	if (!r)
		r = get_number(json, "start", INT64_MAX, &ret->start, why);
	if (!r)
		r = get_number(json, "ns", INT64_MAX, &ret->ns, why);
	if (!r && pid && (!ret->start || !ret->ns))
		r = bad(why, "\"pid\" needs \"start\" and \"ns\"");
	if (!r && !pid && ret->command == COMMAND_LEAVE)
		r = bad(why, "LEAVE needs \"pid\"");
	ret->pid = (pid_t)pid;
	return r;
}

static int get_type(json_t *json, struct request *ret, char *why)
{
	json_t *type = json_object_get(json, "rtype");
	ret->type = RESOURCE_NOOP;
	if (!type && (ret->command == COMMAND_PROBE || ret->command == COMMAND_LEAVE))
		return 0;
	if (!json_is_string(type))
		return bad(why, "\"rtype\" is missing or no text");
	return find_type(json_string_value(type), json_string_length(type), ret->name, &ret->type,
	                 why);
}

static int parse_object(json_t *json, struct request *ret, char *why)
{
	json_t *command = json_object_get(json, "cmd");
	if (!json_is_string(command))
		return bad(why, "\"cmd\" is missing or no text");
	int r = find_command(json_string_value(command), json_string_length(command), &ret->command,
	                     why);
	if (!r)
		r = get_base64(json, "base64_name", ret->name, why);
	if (!r)
		r = get_base64(json, "base64_dir", ret->dir, why);
	if (!r)
		r = get_base64(json, "base64_command", ret->text, why);
	if (!r)
		r = get_sender(json, ret, why);
	if (!r)
		r = get_type(json, ret, why);
	return r ? r : check_name(ret, why);
}

static int parse_json(const char *line, size_t length, struct request *ret, char *why)
{
	json_error_t error;
	json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return bad(why, "it is not JSON: %.120s", error.text);
	int r = json_is_object(json) ? parse_object(json, ret, why) :
				       bad(why, "it is not a JSON object");
	json_decref(json);
	return r;
}

int line_parse(const char *line, size_t length, struct request *ret, char *ret_why)
{
	memset(ret, 0, sizeof(*ret));
	while (length && is_space(line[length - 1]))
		length--;
	while (length && is_space(*line)) {
		line++;
		length--;
	}
	if (length >= LINE_SIZE)
		return bad(ret_why, "it is longer than %d bytes", LINE_SIZE);
	if (length && *line == '{')
		return parse_json(line, length, ret, ret_why);
	return parse_plain(line, length, ret, ret_why);
}
