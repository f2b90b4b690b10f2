/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A semaphore in a directory of its own, its file mapped a second time for the
 * attacker, and owner words that an attacker can forge.
 */
#ifndef VICTIM_H
#define VICTIM_H

#include <stdint.h>

#include "layout.h"
#include "semundo.h"

struct victim {
	semundo_t *sem;
	struct sem_file *file;   /* the attacker's mapping */
	uint64_t dead;           /* owner word of a process that has ended */
	char directory[64];
	char path[96];           /* of the semaphore's file */
};

/* All end the test where they fail. */
void victim_make(struct victim *v, uint32_t kind, uint32_t capacity);
void victim_remove(struct victim *v);

/* Slot number `slot` is owned by `owner`, and holds that many units. */
void victim_forge(struct victim *v, uint32_t slot, uint64_t owner, uint32_t held);

/* An owner word whose user's peer file is not to be had: counts as alive. */
uint64_t victim_unknown_owner(struct victim *v);

/* A thread that calls `scribble` all the time until it is stopped. */
struct scribbler;
struct scribbler *scribbler_start(struct victim *v, void (*scribble)(struct victim *v));
void scribbler_stop(struct scribbler *s);

double seconds_now(void);

#endif
