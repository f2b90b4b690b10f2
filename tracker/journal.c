/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: reading and writing. The file itself is in journal_file.c. */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "journal_file.h"
#include "platform/system.h"

#define TAKE_MOST 65536ul /* bytes of the pipe at once */
#define CHUNK 16384
#define NOTE_MOST 8192

enum { FRAME_OPEN = 0, FRAME_RAW = 0x57415201, FRAME_NOTE = 0x4f4e0102 };

struct frame {
	uint32_t kind, length;
	int64_t time;
};
_Static_assert(sizeof(struct frame) == 16, "frames do not cross pages");

static uint64_t aligned(uint64_t offset)
{
	return (offset + sizeof(struct frame) - 1) & ~(uint64_t)(sizeof(struct frame) - 1);
}

static int write_at(int fd, const void *bytes, size_t length, uint64_t offset)
{
	const char *p = bytes;
	while (length) {
		ssize_t n = pwrite(fd, p, length, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

static int read_at(int fd, void *ret, size_t length, uint64_t offset)
{
	char *p = ret;
	while (length) {
		ssize_t n = pread(fd, p, length, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EUCLEAN;
		p += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

/* ---- reading ----------------------------------------------------------------------- */

static int read_raw(int fd, uint64_t offset, uint64_t length, int64_t when, bool seen,
                    const struct journal_reader *reader)
{
	char bytes[CHUNK];
	while (length) {
		size_t part = length < sizeof(bytes) ? (size_t)length : sizeof(bytes);
		int r = read_at(fd, bytes, part, offset);
		if (r)
			return r;
		reader->raw(reader->arg, bytes, part, when, seen);
		offset += part;
		length -= part;
	}
	return 0;
}

static int read_note(int fd, uint64_t offset, uint32_t length, const struct journal_reader *reader)
{
	char text[NOTE_MOST];
	if (length > sizeof(text))
		return -EUCLEAN;
	int r = read_at(fd, text, length, offset);
	if (!r)
		reader->note(reader->arg, text, length);
	return r;
}

/* The process was killed between moving bytes here and closing the frame. */
static int read_open_frame(struct journal *journal, uint64_t size,
                           const struct journal_reader *reader)
{
	uint64_t begin = journal->end + sizeof(struct frame);
	struct frame frame = { FRAME_RAW, (uint32_t)(size - begin), time(NULL) };
	if (size - begin > 2 * TAKE_MOST)
		return -EUCLEAN;
	int r = read_raw(journal->fd, begin, size - begin, frame.time, false, reader);
	CRASH_POINT();
	if (!r)
		r = write_at(journal->fd, &frame, sizeof(frame), journal->end);
	journal->end = aligned(size);
	return r;
}

/* The last note of a process that was killed while it wrote it is left out. */
static int replay_frame(struct journal *journal, const struct frame *frame, uint64_t size,
                        const struct journal_reader *reader, bool *ret_torn)
{
	uint64_t begin = journal->end + sizeof(*frame), left = size - begin;
	int r = -EUCLEAN;
	*ret_torn = frame->kind == FRAME_NOTE && frame->length > left;
	if (*ret_torn)
		return 0;
	if (frame->kind == FRAME_RAW && frame->length <= left)
		r = read_raw(journal->fd, begin, frame->length, frame->time, true, reader);
	else if (frame->kind == FRAME_NOTE)
		r = read_note(journal->fd, begin, frame->length, reader);
	if (!r)
		journal->end = aligned(begin + frame->length);
	return r;
}

int journal_replay(struct journal *journal, const struct journal_reader *reader)
{
	uint64_t size;
	struct frame frame;
	bool torn = false;
	int r = journal_size(journal->fd, &size);
	journal->end = 0;
	while (!r && !torn && journal->end + sizeof(frame) < size) {
		r = read_at(journal->fd, &frame, sizeof(frame), journal->end);
		if (!r && frame.kind == FRAME_OPEN) {
			r = read_open_frame(journal, size, reader);
			break;
		}
		if (!r)
			r = replay_frame(journal, &frame, size, reader, &torn);
	}
	/* Nothing of a torn frame may be taken for bytes of the pipe. */
	if ((torn || r) && ftruncate(journal->fd, (off_t)journal->end) < 0 && !r)
		r = -errno;
	return r;
}

/* ---- writing ------------------------------------------------------------------------- */

ssize_t journal_take(struct journal *journal, int pipe, const struct journal_reader *reader)
{
	uint64_t begin = journal->end + sizeof(struct frame);
	ssize_t n = system_move(pipe, journal->fd, (off_t)begin, TAKE_MOST);
	if (n <= 0)
		return n;
	CRASH_POINT();
	struct frame frame = { FRAME_RAW, (uint32_t)n, time(NULL) };
	int r = read_raw(journal->fd, begin, (uint64_t)n, frame.time, false, reader);
	CRASH_POINT();
	if (!r)
		r = write_at(journal->fd, &frame, sizeof(frame), journal->end);
	CRASH_POINT();
	journal->end = aligned(begin + (uint64_t)n);
	return r ? r : n;
}

static int flush(struct journal *journal)
{
	int r = write_at(journal->fd, journal->buffer, journal->buffered,
	                 journal->end - journal->buffered);
	journal->buffered = 0;
	return r;
}

static int append(struct journal *journal, uint32_t kind, const char *text, size_t length)
{
	char bytes[sizeof(struct frame) + NOTE_MOST] = { 0 };
	struct frame frame = { kind, (uint32_t)length, time(NULL) };
	size_t whole = (size_t)aligned(sizeof(frame) + length);
	memcpy(bytes, &frame, sizeof(frame));
	memcpy(bytes + sizeof(frame), text, length);
	journal->end += whole;
	if (!journal->buffer)
		return write_at(journal->fd, bytes, whole, journal->end - whole);
	memcpy(journal->buffer + journal->buffered, bytes, whole);
	journal->buffered += whole;
	return journal->buffered > CHUNK ? flush(journal) : 0;
}

int journal_raw(struct journal *journal, const char *bytes, size_t length)
{
	return journal->fd < 0 || journal->given_up ? 0 : append(journal, FRAME_RAW, bytes, length);
}

void journal_give_up(struct journal *journal)
{
	journal->given_up = true;
	journal->end = 0;
	if (ftruncate(journal->fd, 0) < 0)
		unlink(journal->path);
}

int journal_note(struct journal *journal, const char *text, size_t length)
{
	if (journal->fd < 0 || journal->given_up)
		return 0;
	if (length > NOTE_MOST)
		return -EMSGSIZE;
	if (journal->buffer)
		return append(journal, FRAME_NOTE, text, length);
	CRASH_POINT();
	int r = append(journal, FRAME_NOTE, text, length);
	CRASH_POINT();
	return r;
}

bool journal_is_long(const struct journal *journal)
{
	return journal->fd >= 0 && !journal->given_up && journal->end > JOURNAL_LONG &&
	       journal->end > 4 * journal->rewritten;
}

int journal_rewrite_begin(struct journal *journal, struct journal *ret_new)
{
	*ret_new = (struct journal) JOURNAL_INIT;
	ret_new->buffer = malloc(CHUNK + sizeof(struct frame) + NOTE_MOST);
	if (!ret_new->buffer)
		return -ENOMEM;
	int r = journal_make_new(journal, ret_new);
	if (r)
		journal_close(ret_new);
	return r;
}

void journal_rewrite_abandon(struct journal *journal, struct journal *new)
{
	journal_discard_new(journal);
	journal_close(new);
}

int journal_rewrite_end(struct journal *journal, struct journal *new, const char *rest,
                        size_t length)
{
	int r = length ? append(new, FRAME_RAW, rest, length) : 0;
	if (!r)
		r = flush(new);
	CRASH_POINT();
	if (!r)
		r = journal_replace(journal, new);
	if (r) {
		journal_rewrite_abandon(journal, new);
		return r;
	}
	free(new->buffer);
	new->buffer = NULL;
	new->rewritten = new->end;
	new->fresh = journal->fresh;
	*journal = *new;
	CRASH_POINT();
	return 0;
}
