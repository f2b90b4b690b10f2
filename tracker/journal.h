/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: what came through the pipe and what the tracker did about it, so
 * that one that is started after another was killed goes on where that one was.
 *
 * A file for each pipe, named by its inode number: who has the pipe knows the
 * name. Frames of 16 bytes and their contents, one after the other, each on a
 * multiple of 16:
 *
 *   RAW    bytes of the pipe, as they came
 *   NOTE   what the tracker did: a line of its own
 *   0      the last one: bytes of the pipe from here to the end of the file, which
 *          were moved here (system_move()) and perhaps not looked at yet
 *
 * Its lock says that a tracker reads the pipe. It is the kind that goes before
 * the descriptors of a process that ends do: who sees the pipe broken finds it free.
 */
#ifndef SEMUNDO_TRACKER_JOURNAL_H
#define SEMUNDO_TRACKER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_PREFIX "semundo-tracker."
#define JOURNAL_PATH 4096

struct journal {
	int fd;              /* -1: there is none */
	char path[JOURNAL_PATH];
	uint64_t end;        /* the next frame is there */
	uint64_t rewritten;  /* its size when it was written anew */
	bool fresh;          /* it was not there */
	bool given_up;       /* it could not be written: locked, but empty */
	char *buffer;        /* while it is written anew */
	size_t buffered;
};
#define JOURNAL_INIT { .fd = -1 }

/* What a journal tells, in its order. time: of the frame, seconds. seen: the
 * tracker before has looked at these bytes. */
struct journal_reader {
	void (*raw)(void *arg, const char *bytes, size_t length, int64_t time, bool seen);
	void (*note)(void *arg, const char *text, size_t length);
	void *arg;
};

/* "DIRECTORY/semundo-tracker.UID.INODE" */
void journal_path(char *ret, const char *directory, uint64_t inode);

/*
 * Opens it, or makes it, and takes its lock. 0; -EBUSY: another process has the
 * lock; -ENOENT: it is not there (and is not made, with create false); or another
 * negative errno, with a sentence in ret_why (size bytes).
 */
int journal_open(struct journal *journal, const char *path, bool create, char *ret_why,
                 size_t size);

/* 0, or -EUCLEAN: it is none, or is damaged; then as much as can be read was. */
int journal_replay(struct journal *journal, const struct journal_reader *reader);

/* Moves bytes of the pipe into it and gives them to raw. Returns their number, 0
 * at the end of the input, -EAGAIN where there is none, or another negative errno:
 * it cannot be written, or not this way. */
ssize_t journal_take(struct journal *journal, int pipe, const struct journal_reader *reader);

/* 0 or a negative errno. Does nothing where there is no journal. */
int journal_note(struct journal *journal, const char *text, size_t length);

/* Bytes that were read and given to raw already, where journal_take() cannot:
 * at most JOURNAL_RAW_MOST. */
#define JOURNAL_RAW_MOST 8192
int journal_raw(struct journal *journal, const char *bytes, size_t length);

/* It cannot be written any more: from here on it tells nothing, which is better
 * than what was true once. */
void journal_give_up(struct journal *journal);

/* Between these two, notes go to a new one, which then replaces the old one as a
 * whole. rest: what came of a line that is not complete yet. */
int journal_rewrite_begin(struct journal *journal, struct journal *ret_new);
int journal_rewrite_end(struct journal *journal, struct journal *new, const char *rest,
                        size_t length);
void journal_rewrite_abandon(struct journal *journal, struct journal *new);

/* Whether that is worth it. */
bool journal_is_long(const struct journal *journal);

/* Without it from here on. */
void journal_remove(struct journal *journal);
void journal_close(struct journal *journal);

#endif
