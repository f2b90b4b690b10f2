/* SPDX-License-Identifier: Apache-2.0 */
/* Where numbers come round: a file is set to just before that, then used, with
 * a holder killed on each side. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "../torture/common.h"
#include "native.h"

static struct native_sem *make(uint32_t kind, unsigned capacity)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	options.kind = kind;
	options.capacity = capacity;
	if (semundo_open(&sem, "wrap", SEMUNDO_CREATE | SEMUNDO_EXCL, &options))
		die("%s", semundo_error());
	return native(sem);
}

static void drop(struct native_sem *sem)
{
	semundo_close(&sem->base);
	semundo_unlink("wrap", NULL);
}

/* A process that is killed while it holds so many units. Its slot is the one
 * after ours. */
static void die_holding(struct native_sem *sem, unsigned units)
{
	int ready[2], status;
	char byte;
	if (pipe(ready))
		die("pipe");
	pid_t pid = fork_child();
	if (pid == 0) {
		if (semundo_acquire(&sem->base, units) < 0)
			_exit(1);
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 0)
		die("read");
	close(ready[0]);
	kill(pid, SIGKILL);
	reap(pid, &status);
}

/* Each round passes one number; a death in each. */
static void check_sequence(uint32_t kind, const char *title)
{
	struct native_sem *sem = make(kind, kind == SEMUNDO_LOCK ? 1 : 3);
	unsigned all = kind == SEMUNDO_LOCK ? 1 : 3;
	char why[100] = "";
	int r = semundo_acquire(&sem->base, 1);
	semundo_release(&sem->base, 1);
	uint64_t low = state_low(sem->file->state);
	sem->file->state = UINT64_C(0xfffffff0) << 32 | low;
	for (unsigned i = 0; i < 16 && r >= 0; i++) {
		die_holding(sem, all);
		r = semundo_acquire(&sem->base, all);
		if (r != 1 || semundo_release(&sem->base, all))
			snprintf(why, sizeof(why), "round %u: %d, %s", i, r, semundo_error());
	}
	if (sem->file->deaths != 16)
		snprintf(why, sizeof(why), "%" PRIu64 " deaths of 16", sem->file->deaths);
	if (state_seq(sem->file->state) > 0xfffffff0)
		snprintf(why, sizeof(why), "the sequence did not come round");
	tap_result(!*why, why, "%s", title);
	drop(sem);
}

static void check_signal(void)
{
	struct native_sem *sem = make(SEMUNDO_SIGNAL, 0);
	int64_t value = -1;
	int r = 0;
	sem->file->state = signal_make(0, SIGNAL_SEQ_MASK - 4 * SIGNAL_SEQ_ONE, 0);
	for (unsigned i = 0; i < 8 && !r; i++)
		r = semundo_release(&sem->base, 2) || semundo_acquire(&sem->base, 1);
	semundo_value(&sem->base, &value);
	tap_result(!r && value == 8 && (sem->file->state & SIGNAL_SEQ_MASK) < 100 * SIGNAL_SEQ_ONE,
	           "the value is wrong", "SIGNAL: the sequence of 29 bits");
	drop(sem);
}

/*
 * A recoverer wrote the record of death 2^32 - 1 and was killed; another, with
 * another death, counted it, and itself. Who takes over counts nothing.
 */
static void check_deaths(void)
{
	struct native_sem *sem = make(SEMUNDO_PERMITS, 1);
	uint32_t number = UINT32_MAX;
	char why[100] = "";
	die_holding(sem, 1);
	struct sem_slot *slot = &sem->file->slot[SLOT_FIRST];
	slot->mourned = number;
	sem->file->death[number % KEPT_DEATHS].key = death_make(number, 1, slot->pid);
	sem->file->deaths = (uint64_t)number + 1;
	int r = semundo_acquire(&sem->base, 1);
	if (r != 1 || sem->file->deaths != (uint64_t)number + 1)
		snprintf(why, sizeof(why), "%d; %" PRIu64 " deaths instead of %" PRIu64, r,
		         sem->file->deaths, (uint64_t)number + 1);
	tap_result(!*why, why, "the number of a death, taken over");
	drop(sem);
}

int main(void)
{
	own_directory();
	tap_plan(4);
	check_sequence(SEMUNDO_PERMITS, "PERMITS: the sequence of state and lanes");
	check_sequence(SEMUNDO_LOCK, "LOCK: the sequence of the state");
	check_signal();
	check_deaths();
	return tap_status();
}
