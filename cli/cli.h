/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of the command share. */
#ifndef SEMUNDO_CLI_H
#define SEMUNDO_CLI_H

#include <semundo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NSEC_PER_SEC 1000000000

/* Every exit status of the command; main.c prints this table with --help. */
enum status {
	STATUS_OK = 0,
	STATUS_BUSY = 1,         /* --nonblock or --wait ran out; -E changes it. doctor:
	                            found something */
	STATUS_USAGE = 64,       /* EX_USAGE */
	STATUS_DATA = 65,        /* EX_DATAERR */
	STATUS_NO_INPUT = 66,    /* EX_NOINPUT */
	STATUS_NOT_HELD = 69,    /* EX_UNAVAILABLE */
	STATUS_SOFTWARE = 70,    /* EX_SOFTWARE */
	STATUS_OS = 71,          /* EX_OSERR */
	STATUS_CANT_CREATE = 73, /* EX_CANTCREAT */
	STATUS_IO = 74,          /* EX_IOERR */
	STATUS_TEMPORARY = 75,   /* EX_TEMPFAIL */
	STATUS_NO_PERMISSION = 77, /* EX_NOPERM */
	STATUS_CANNOT_EXECUTE = 126,
	STATUS_NOT_FOUND = 127,
	STATUS_SIGNAL = 128
};

/* ---- options ------------------------------------------------------------- */

/* How an option's argument is read, and the type that it is stored as. */
enum option_type {
	OPTION_FLAG,    /* none; bool */
	OPTION_COUNT,   /* 1 to 2^31 - 1; unsigned, 0 where not given */
	OPTION_NUMBER,  /* 0 to 2^31 - 1; unsigned */
	OPTION_SECONDS, /* decimals allowed; int64_t in nanoseconds */
	OPTION_STATUS,  /* 0 to 255; int */
	OPTION_PID,     /* int */
	OPTION_KIND,    /* unsigned, enum semundo_kind */
	OPTION_MODE,    /* octal permission bits; unsigned */
	OPTION_TEXT     /* const char * */
};

/* One row makes the parser, the help text and the messages. */
struct option_row {
	char letter;          /* 0: none */
	const char *name;
	const char *argument; /* in the help text; null for a flag */
	enum option_type type;
	size_t offset;        /* in the verb's values */
	const char *help;
};

struct verb {
	const char *name;
	const char *operands;             /* in the help text */
	const char *summary;
	const struct option_row *options; /* ends with a row without a name */
	void *values;                     /* filled by the options */
	int least, most;                  /* operands; most < 0: no limit */
	int command;                      /* the operand that is a command, where options
	                                     end: 1 or 2; 0: none is */
	int (*run)(int count, char **operands);
};

/* Fills verb->values. Returns the operands' number, and moves them to the end
 * of argv, from *ret_operands on; or, after telling why, a negative status
 * (-STATUS_USAGE), or -STATUS_HELPED where help was asked for and given. */
#define STATUS_HELPED 256
int parse_options(const struct verb *verb, int argc, char **argv, char ***ret_operands);

/* ---- messages -------------------------------------------------------------- */

extern const struct verb *current_verb;

/* "semundo VERB: ..." to standard error, control characters made visible.
 * fail() returns the status, so that it can end a function. */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says semundo_error() and returns the status for that result. */
int fail_library(int result);
int status_of(int result);

/* Writes text with control characters (and bytes that are no characters of the
 * locale) as \xNN. */
void put_visible(FILE *to, const char *text);

/* Standard output could be written: STATUS_OK; else says so. */
int finish_output(void);

/* ---- parts ------------------------------------------------------------------- */

const char *kind_name(unsigned kind);

/* How long to wait: what the options --nonblock, --wait and -E give. */
struct patience {
	bool nonblock;
	int64_t wait; /* nanoseconds, below 0: no limit */
	int busy_status;
};
#define PATIENCE_INIT { false, -1, STATUS_BUSY }
#define PATIENCE_ROWS(type, member) \
	{ 'N', "nonblock", NULL, OPTION_FLAG, offsetof(type, member.nonblock), \
	  "do not wait: fail if it is busy" }, \
	{ 'w', "wait", "SECONDS", OPTION_SECONDS, offsetof(type, member.wait), \
	  "wait at most so long (decimals allowed; 0 is --nonblock)" }, \
	{ 'E', "conflict-exit-code", "STATUS", OPTION_STATUS, \
	  offsetof(type, member.busy_status), "exit status if it is busy (default: 1)" }

/* Fills wait; deadline must live as long as it. */
void prepare_wait(const struct patience *patience, struct semundo_wait *wait,
                  struct timespec *deadline);

/* Says why an acquire failed, unless it just was busy and nobody wants to
 * know. Returns the status. */
int fail_acquire(int result, const struct patience *patience, bool verbose);

/* A semaphore that must be there. */
int open_existing(semundo_t **ret, const char *name, unsigned flags, unsigned kind);

/* One that is there or is made; kind and capacity of 0: any. Where it is there
 * with another capacity than the one asked for: told, STATUS_DATA. */
int open_or_create(semundo_t **ret, struct semundo_info *ret_info, const char *name,
                   const struct semundo_options *options, unsigned flags);

extern const struct verb verb_run, verb_acquire, verb_release, verb_create, verb_value, verb_ls,
	verb_show, verb_rm, verb_resize, verb_wait, verb_recover, verb_gc, verb_doctor,
	verb_preload;

#endif
