/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines that clients send, in both forms of multiprocessing's resource
 * tracker, and with what clients of this project add:
 *
 *   REGISTER:NAME:RTYPE     also UNREGISTER, PROBE
 *   {"cmd": "REGISTER", "rtype": RTYPE, "base64_name": NAME}
 *
 * "pid", "start", "ns"   who sends it: its PID, field 22 of /proc/PID/stat, and
 *                        the inode of /proc/PID/ns/pid
 * "base64_command"       with PROBE: its command line, to be named by
 * "base64_dir"           the directory of a semaphore of an engine
 * "cmd": "LEAVE"         it ends in order: what it leaves stays for the others
 *                        until the end of the program
 *
 * The encoding is the URL-safe one. Nothing here has a state or does anything.
 */
#ifndef SEMUNDO_TRACKER_LINE_H
#define SEMUNDO_TRACKER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "resource.h"

/* Longest line with its newline: no pipe mixes two writes of this size. */
#define LINE_SIZE 512
#define WHY_SIZE 256

enum command { COMMAND_REGISTER, COMMAND_UNREGISTER, COMMAND_PROBE, COMMAND_LEAVE };

struct request {
	enum command command;
	enum resource_type type;
	pid_t pid; /* 0: it does not say */
	uint64_t start, ns;
	char name[LINE_SIZE], dir[LINE_SIZE], text[LINE_SIZE]; /* "": not given */
};

/* A line without its newline. 0, or -EBADMSG with a sentence in ret_why, which
 * has WHY_SIZE bytes. */
int line_parse(const char *line, size_t length, struct request *ret, char *ret_why);

/* Decodes text into ret, of size bytes with a NUL at the end; false: it is not
 * what it should be, has a NUL in it or is too long. */
bool base64_decode(const char *text, char *ret, size_t size);

/* ret: of BASE64_SIZE(length) bytes. */
#define BASE64_SIZE(length) (((length) + 2) / 3 * 4 + 1)
void base64_encode(const char *bytes, size_t length, char *ret);

/* ---- lines out of bytes ---------------------------------------------------- */

/* line is null for one that is too long. */
typedef void line_function(void *arg, const char *line, size_t length);

struct splitter {
	size_t used;
	bool too_long;
	char text[LINE_SIZE];
};

void split(struct splitter *splitter, const char *bytes, size_t length, line_function *function,
           void *arg);

/* The bytes end here: what is left is a line too. */
void split_end(struct splitter *splitter, line_function *function, void *arg);

#endif
