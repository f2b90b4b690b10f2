/* SPDX-License-Identifier: Apache-2.0 */
/* From a verb's table of options: getopt_long(3)'s tables, and the help. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define OPTIONS_MAX 16
#define KEY_FIRST 256 /* of options without a letter */
#define KEY_HELP 'h'
#define SECONDS_MAX 1e9

/* ---- help ------------------------------------------------------------------ */

static void print_row(const struct option_row *row)
{
	char text[48];
	snprintf(text, sizeof(text), "%s%s%s", row->name, row->argument ? "=" : "",
	         row->argument ? row->argument : "");
	if (row->letter)
		printf("  -%c, --%-28s %s\n", row->letter, text, row->help);
	else
		printf("      --%-28s %s\n", text, row->help);
}

static void print_help(const struct verb *verb)
{
	static const struct option_row help = { 'h', "help", NULL, OPTION_FLAG, 0, "this text" };
	printf("Usage: semundo %s [OPTION]... %s\n%s.\n\nOptions:\n", verb->name, verb->operands,
	       verb->summary);
	for (const struct option_row *row = verb->options; row->name; row++)
		print_row(row);
	print_row(&help);
	printf("\nExit statuses: semundo --help. More: semundo(1).\n");
}

/* ---- arguments --------------------------------------------------------------- */

static int bad_argument(const struct option_row *row, const char *text, const char *wanted)
{
	const char *hint = strcmp(row->name, "units") == 0 ? "; not to wait is --nonblock (-N)" : "";
	return fail(STATUS_USAGE, "--%s: '%s' is not %s%s", row->name, text, wanted, hint);
}

static bool whole_number(const char *text, int base, unsigned long least, unsigned long most,
                         unsigned long *ret)
{
	char *end;
	errno = 0;
	if (!isdigit((unsigned char)*text))
		return false;
	*ret = strtoul(text, &end, base);
	return !errno && !*end && *ret >= least && *ret <= most;
}

static bool seconds(const char *text, int64_t *ret)
{
	char *end;
	if (!isdigit((unsigned char)*text) && *text != '.')
		return false;
	if (strspn(text, "0123456789.") != strlen(text))
		return false;
	double value = strtod(text, &end);
	if (end == text || *end || !isfinite(value) || value > SECONDS_MAX)
		return false;
	*ret = (int64_t)(value * NSEC_PER_SEC);
	return true;
}

static unsigned kind_of(const char *text)
{
	for (unsigned kind = SEMUNDO_LOCK; kind <= SEMUNDO_SIGNAL; kind++)
		if (strcmp(text, kind_name(kind)) == 0)
			return kind;
	return 0;
}

static int take_number(const struct option_row *row, const char *text, void *into)
{
	unsigned long number = 0;
	switch (row->type) {
	case OPTION_STATUS:
		if (!whole_number(text, 10, 0, 255, &number))
			return bad_argument(row, text, "an exit status (0 to 255)");
		*(int *)into = (int)number;
		return 0;
	case OPTION_PID:
		if (!whole_number(text, 10, 1, INT_MAX, &number))
			return bad_argument(row, text, "a process ID");
		*(int *)into = (int)number;
		return 0;
	case OPTION_MODE:
		if (!whole_number(text, 8, 0, 0777, &number) || number == 0)
			return bad_argument(row, text, "a mode (octal permission bits, such as 0660)");
		break;
	case OPTION_NUMBER:
		if (!whole_number(text, 10, 0, INT_MAX, &number))
			return bad_argument(row, text, "a number from 0 on");
		break;
	default:
		if (!whole_number(text, 10, 1, INT_MAX, &number))
			return bad_argument(row, text, "a number from 1 on");
	}
	*(unsigned *)into = (unsigned)number;
	return 0;
}

static int take(const struct verb *verb, const struct option_row *row, const char *text)
{
	void *into = (char *)verb->values + row->offset;
	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)into = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)into = text;
		return 0;
	case OPTION_SECONDS:
		return seconds(text, into) ? 0 :
			bad_argument(row, text, "a number of seconds (such as 1.5, at most 1e9)");
	case OPTION_KIND:
		*(unsigned *)into = kind_of(text);
		return *(unsigned *)into ? 0 :
			bad_argument(row, text, "a kind (lock, permits or signal)");
	default:
		return take_number(row, text, into);
	}
}

/* ---- parsing ------------------------------------------------------------------ */

struct tables {
	struct option longs[OPTIONS_MAX + 2];
	char shorts[2 * OPTIONS_MAX + 8];
};

/* "+": the operands of the command are not ours. ":": we tell what is missing. */
static void make_tables(const struct verb *verb, struct tables *t)
{
	char *s = t->shorts;
	int i = 0;
	if (verb->command)
		*s++ = '+';
	*s++ = ':';
	*s++ = KEY_HELP;
	for (const struct option_row *row = verb->options; row->name; row++, i++) {
		int has = row->argument ? required_argument : no_argument;
		t->longs[i] = (struct option){ row->name, has, NULL, KEY_FIRST + i };
		if (!row->letter)
			continue;
		*s++ = row->letter;
		if (row->argument)
			*s++ = ':';
	}
	*s = '\0';
	t->longs[i] = (struct option){ "help", no_argument, NULL, KEY_HELP };
	t->longs[i + 1] = (struct option){ NULL, 0, NULL, 0 };
}

static const struct option_row *find_row(const struct verb *verb, int key)
{
	int i = 0;
	for (const struct option_row *row = verb->options; row->name; row++, i++)
		if (key == KEY_FIRST + i || (row->letter && key == row->letter))
			return row;
	return NULL;
}

static int try_help(const char *what, const char *option)
{
	return fail(STATUS_USAGE, "%s '%s', try 'semundo %s --help'", what, option,
	            current_verb->name);
}

static int bad_option(int key, char **argv)
{
	char letter[] = { '-', (char)optopt, '\0' };
	bool is_short = optopt > 0 && optopt < KEY_FIRST && strncmp(argv[optind - 1], "--", 2);
	const char *option = is_short ? letter : argv[optind - 1];
	if (key == ':')
		return try_help("an argument is missing after", option);
	if (optopt >= KEY_FIRST || (optopt == KEY_HELP && !is_short))
		return try_help("no argument belongs to", option);
	return try_help("unknown or ambiguous option", option);
}

static int take_options(const struct verb *verb, int argc, char **argv, const struct tables *t)
{
	int key;
	while ((key = getopt_long(argc, argv, t->shorts, t->longs, NULL)) != -1) {
		if (key == '?' || key == ':')
			return bad_option(key, argv);
		if (key == KEY_HELP) {
			print_help(verb);
			return STATUS_HELPED;
		}
		int status = take(verb, find_row(verb, key), optarg);
		if (status)
			return status;
	}
	return STATUS_OK;
}

static int check_count(const struct verb *verb, int count)
{
	if (count < verb->least)
		return fail(STATUS_USAGE, "%s, try 'semundo %s --help'",
		            count == 0 && verb->command != 1 ? "the name of a semaphore is missing" :
		            verb->command ? "the command is missing" : "an operand is missing",
		            verb->name);
	if (verb->most >= 0 && count > verb->most)
		return fail(STATUS_USAGE, "too many operands, try 'semundo %s --help'", verb->name);
	return STATUS_OK;
}

/* NAME OPTION... COMMAND...: what follows the name may still be ours. */
static int take_around_name(const struct verb *verb, int argc, char **argv,
                            const struct tables *t)
{
	int status = take_options(verb, argc, argv, t);
	if (status || optind >= argc)
		return status;
	int skipped = optind;
	char *name = argv[skipped];
	optind = 0; /* from its beginning: it remembers a "--" */
	status = take_options(verb, argc - skipped, argv + skipped, t);
	optind += skipped - 1;
	argv[optind] = name;
	return status;
}

int parse_options(const struct verb *verb, int argc, char **argv, char ***ret_operands)
{
	struct tables t;
	make_tables(verb, &t);
	opterr = 0;
	int status = verb->command == 2 ? take_around_name(verb, argc, argv, &t) :
				     take_options(verb, argc, argv, &t);
	if (!status)
		status = check_count(verb, argc - optind);
	if (status)
		return -status;
	*ret_operands = argv + optind;
	return argc - optind;
}
