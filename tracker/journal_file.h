/* SPDX-License-Identifier: Apache-2.0 */
/* The journal as a file: its name, its lock, and what is checked before it is believed. */
#ifndef SEMUNDO_TRACKER_JOURNAL_FILE_H
#define SEMUNDO_TRACKER_JOURNAL_FILE_H

#include "journal.h"

/* It is written anew when it is longer than this, and 4 times what that left. */
#ifndef JOURNAL_LONG
#define JOURNAL_LONG 262144
#endif

int journal_size(int fd, uint64_t *ret);

/* A file beside it, locked, which is to take its place. */
int journal_make_new(const struct journal *journal, struct journal *ret_new);
int journal_replace(struct journal *journal, struct journal *new);
void journal_discard_new(const struct journal *journal);

#endif
