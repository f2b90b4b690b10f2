/* SPDX-License-Identifier: Apache-2.0 */
/* The tracker: what it does with a request, with a death and at the end. */
#ifndef SEMUNDO_TRACKER_TRACKER_H
#define SEMUNDO_TRACKER_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "journal.h"
#include "line.h"
#include "table.h"

struct tracker {
	struct table table;
	struct journal journal;
	struct splitter splitter;
	uint64_t namespace; /* in which PIDs mean something here */
	int64_t now;        /* when the bytes came that are looked at */
	uint64_t journal_namespace; /* and in its journal */
	bool replaying;     /* what is in the journal is looked at */
	bool quiet;         /* and another tracker has complained of it */
	bool restored;      /* there was a tracker before this one */
	bool any_ended;     /* bury() has work */
	bool input_ended;
	bool protocol_error, leaked, failed; /* what the exit status says */
};

void tracker_init(struct tracker *tracker);

/* As multiprocessing's: 0; 1: something was left; 2: it could not be removed;
 * 3: a line made no sense. */
int tracker_status(const struct tracker *tracker);

/* Bytes of the input. */
void tracker_bytes(struct tracker *tracker, const char *bytes, size_t length);

/* A watched process has ended. Its last words may still be in the pipe. */
void tracker_ended(struct tracker *tracker, struct watched *watched);

/* The last words have been read: what those that ended had is theirs no more. */
void tracker_bury(struct tracker *tracker);

/* Nobody has the input open: those that did not say who they were are gone. */
void tracker_end_of_input(struct tracker *tracker);

/* Between two reads: removes what nobody uses now, and says so. */
void tracker_settle(struct tracker *tracker);

/* After a replay. */
void tracker_watch_all(struct tracker *tracker);

/* ---- notes.c: what the journal says beside the bytes -------------------------- */

void note_begin(struct tracker *tracker);
void note_died(struct tracker *tracker, const struct process *process);
void note_gone(struct tracker *tracker, const struct item *entry);
void note_uses(struct tracker *tracker, const struct registration *registration);

/* Fills the tracker from its journal, which is open. */
void tracker_replay(struct tracker *tracker);

/* Writes the journal anew, with what is true now. 0 or a negative errno. */
int tracker_rewrite(struct tracker *tracker);

/* What became of the journal (0 or a negative errno): tries to write it anew, and
 * gives it up where that fails too. */
void tracker_journal_failed(struct tracker *tracker, int result);

/* What both DIED and a name that is gone do to the table. */
void tracker_forgive(struct tracker *tracker, struct item *entry);
void tracker_forget(struct tracker *tracker, struct process *process);

/* ---- removal.c ------------------------------------------------------------------ */

/* Removes the entries on table.touched, which nobody has registered. */
void remove_touched(struct tracker *tracker);

/* ---- orphans.c ------------------------------------------------------------------ */

/* Ends the work of trackers of this directory that were killed, where their
 * programs have ended too. */
void adopt_orphans(const char *directory, const char *own_path, uint64_t namespace);

#endif
