/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an input says is written where. The first two bytes are the setup, the
 * rest are edits: an operation and its arguments, little-endian, zeroes where
 * the input ends. So mutations of bytes are mutations of owners, lanes and
 * states, and not of a header that is refused.
 *
 *   setup    bits 0-1 kind - 1, 2 capacity of 3 or 60000, 3 in a child (which
 *            joins, with its user's peer file as it is by then)
 *   uses     a bit for each group of calls (fuzz_semaphore.c)
 *
 *   RAW      file, offset (2 bytes), 8 bytes
 *   WORD     file, number of the 8-byte word (2 bytes), which value, argument
 *   STATE    value (3 bytes, signed), slot (2), flags, sequence
 *   SLOTS    count (2 bytes)
 *   OWNER    slot (2), who, condition
 *   LANE     slot (2), before (2), after (2), sequence relative to the state
 *   FACTS    slot (2), waiting, wanted, mourned (signed, from deaths), pid
 *   FILL     slot (2), up to slot (255: all): copies of the slot
 *   USER     number, which user word
 *   DEATHS   count: one of the interesting numbers, plus a signed byte
 *   DEATH    number (signed, from deaths), units, pid
 *   RECORD   file, record of that owner, generation change, alarm offset,
 *            alarm word
 *   HEAD     field, one of the interesting numbers
 *   COMMAND  file, record of that owner: no NUL in it
 *   LENGTH   of the semaphore's file, one of a few (before it is opened only)
 *   PHASE    what follows is written later: first before the file is opened,
 *            then after the process attached, then by another thread all the
 *            time
 */
#ifndef FUZZ_EDITS_H
#define FUZZ_EDITS_H

#include <stddef.h>
#include <stdint.h>

#define PHASES 3u
#define EDITS_MAX 16384u

struct edit {
	uint8_t file;
	uint8_t size; /* 4 or 8 */
	uint32_t offset;
	uint64_t value;
};

struct edits {
	uint32_t count;
	struct edit edit[EDITS_MAX];
};

struct plan {
	uint32_t kind, capacity;
	unsigned uses;
	int in_child;
	int64_t length; /* of the file; negative: as it is */
	struct edits phase[PHASES];
};

void plan_read(struct plan *plan, const uint8_t *data, size_t size);

/* Writes them; old (may be null) gets what was there, for edits_write() in
 * reverse. */
void edits_write(const struct edits *edits, struct edits *old);
void edits_undo(const struct edits *old);

#endif
