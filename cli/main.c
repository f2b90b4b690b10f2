/* SPDX-License-Identifier: Apache-2.0 */
/* semundo: finds the verb, and says what there is. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct verb *const verbs[] = {
	&verb_run, &verb_acquire, &verb_release, &verb_create, &verb_value, &verb_ls,
	&verb_show, &verb_rm, &verb_resize, &verb_wait, &verb_recover, &verb_gc, &verb_doctor,
	&verb_preload,
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const char exit_statuses[] =
	"Exit status:\n"
	"    0  success; `run` passes its command's status on\n"
	"    1  busy: --nonblock, or --wait ran out (-E changes it); `doctor`: a warning\n"
	"   64  wrong usage: an option, a name, a number\n"
	"   65  the semaphore is of another kind or capacity, or its file is damaged\n"
	"   66  no such semaphore, directory or process\n"
	"   69  not held by the one for whom it was to be released\n"
	"   70  internal error\n"
	"   71  the system refused: memory, processes, descriptors\n"
	"   73  it cannot be created: it exists, or the filesystem is full\n"
	"   74  the output cannot be written\n"
	"   75  not now: too many users, or what is needed was replaced in use\n"
	"   77  no permission\n"
	"  126  the command cannot be executed; 127: it was not found\n"
	"  128+N  the command, or semundo, was ended by signal N\n";

static int print_help(void)
{
	printf("Usage: semundo VERB [OPTION]... [OPERAND]...\n"
	       "Semaphores and locks that survive the death of the process that holds them.\n\n"
	       "Verbs:\n");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-8s  %s\n", verbs[i]->name, verbs[i]->summary);
	printf("\n  -h, --help     this text; semundo VERB --help: the verb's\n"
	       "  -V, --version  the version\n\n%s\n"
	       "SEMUNDO_DIR is the directory of the semaphores (default: /dev/shm).\n"
	       "See semundo(1).\n",
	       exit_statuses);
	return finish_output();
}

static int print_version(void)
{
	printf("semundo %s\n", semundo_version());
	return finish_output();
}

static bool is_one_of(const char *text, const char *brief, const char *full)
{
	return strcmp(text, brief) == 0 || strcmp(text, full) == 0;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	char **operands;
	current_verb = verb;
	int count = parse_options(verb, argc, argv, &operands);
	if (count == -STATUS_HELPED)
		return finish_output();
	return count < 0 ? -count : verb->run(count, operands);
}

static int run_help(int argc, char **argv)
{
	const struct verb *verb = argc > 2 ? find_verb(argv[2]) : NULL;
	char help[] = "--help", *arguments[] = { argv[2], help, NULL };
	return verb ? run_verb(verb, 2, arguments) : print_help();
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return fail(STATUS_USAGE, "a verb is missing, try 'semundo --help'");
	if (is_one_of(argv[1], "-h", "--help"))
		return print_help();
	if (is_one_of(argv[1], "-V", "--version"))
		return print_version();
	if (strcmp(argv[1], "help") == 0)
		return run_help(argc, argv);
	const struct verb *verb = find_verb(argv[1]);
	if (!verb)
		return fail(STATUS_USAGE, "unknown %s '%s', try 'semundo --help'",
		            *argv[1] == '-' ? "option" : "verb", argv[1]);
	return run_verb(verb, argc - 1, argv + 1);
}
