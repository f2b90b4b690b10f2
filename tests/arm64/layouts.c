/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of both files, as numbers that are the same on every machine, and
 * what the functions of layout.h make of words. Without a test framework, so
 * that it runs on any processor for which there is a C library.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "common.h"
#include "native.h"
#include "platform/liveness.h"
#include "platform/wait.h"

struct offset {
	const char *what;
	size_t is, must;
};

#define OFFSET(type, field, must) { #type "." #field, offsetof(struct type, field), must }

static const struct offset offsets[] = {
	OFFSET(sem_head, version, 8),      OFFSET(sem_head, fingerprint, 12),
	OFFSET(sem_head, kind, 16),        OFFSET(sem_head, max, 20),
	OFFSET(sem_head, created, 24),     OFFSET(sem_file, state, 64),
	OFFSET(sem_file, deaths, 72),      OFFSET(sem_file, slots, 80),
	OFFSET(sem_file, users, 128),      OFFSET(sem_file, death, 640),
	OFFSET(sem_file, slot, 1024),      OFFSET(sem_slot, lane, 8),
	OFFSET(sem_slot, waiting_since, 16), OFFSET(sem_slot, attached, 24),
	OFFSET(sem_slot, waiting, 32),     OFFSET(sem_slot, wanted, 36),
	OFFSET(sem_slot, pid, 40),         OFFSET(sem_slot, mourned, 44),
	OFFSET(sem_slot, uid, 48),         OFFSET(sem_death, when, 8),
	OFFSET(sem_death, uid, 16),        OFFSET(peer_record, pid, 8),
	OFFSET(peer_record, start_time, 16), OFFSET(peer_record, joined, 32),
	OFFSET(peer_record, alarm_offset, 40), OFFSET(peer_record, command, 48),
	OFFSET(peer_record, alarm, 128),   OFFSET(peer_file, record, 1024),
	{ "size of a slot", sizeof(struct sem_slot), 64 },
	{ "size of a death", sizeof(struct sem_death), 32 },
	{ "size of a record", sizeof(struct peer_record), 256 },
	{ "size of a semaphore file", sizeof(struct sem_file), 263168 },
	{ "size of a peer file", sizeof(struct peer_file), 1049600 },
};

static void check_offsets(void)
{
	char why[120] = "";
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		if (offsets[i].is != offsets[i].must)
			snprintf(why, sizeof(why), "%s: %zu instead of %zu", offsets[i].what,
			         offsets[i].is, offsets[i].must);
	tap_result(!*why, why, "offsets and sizes");
}

/* The same words, bit by bit, whatever shifts of signed numbers do here. */
static void check_state(void)
{
	uint64_t s = state_make(-3, FLAG_DIRTY, 4095, 0xfffffffe);
	bool ok = s == UINT64_C(0xfffffffefffefffc) && state_value(s) == -3 &&
		state_slot(s) == 4095 && state_seq(s) == 0xfffffffe && (s & FLAGS) == FLAG_DIRTY;
	for (int32_t value = -VALUE_MAX; value <= VALUE_MAX; value++)
		ok = ok && state_value(state_make(value, FLAGS, 7, 9)) == value;
	tap_result(ok, "a word reads otherwise than it was written", "state words");
}

static void check_signal(void)
{
	uint64_t s = signal_make(5, SIGNAL_SEQ_MASK, FLAG_WAITERS);
	tap_result(s == UINT64_C(0x500000001) && signal_value(s) == 5, "the sequence came round wrongly",
	           "signal words, where the sequence comes round");
}

static void check_lane(void)
{
	uint64_t l = lane_make(1, 65535, 7);
	bool ok = l == UINT64_C(0x70001ffff) && lane_before(l) == 1 && lane_after(l) == 65535 &&
		lane_seq(l) == 7 && lane_pending(l);
	ok = ok && lane_held(l, 3, state_make(0, 0, 3, 7)) == 65535;
	ok = ok && lane_held(l, 3, state_make(0, 0, 3, 6)) == 1;
	ok = ok && lane_held(l, 3, state_make(0, 0, 4, 7)) == 1;
	ok = ok && !lane_pending(lane_make(2, 2, 7));
	tap_result(ok, "a word reads otherwise than it was written", "lane words");
}

static void check_owner(void)
{
	uint64_t o = owner_make(OWNER_RECOVERING, 63, 4095, GENERATION_MAX);
	bool ok = o == ~UINT64_C(1) && owner_user(o) == 63 && owner_record(o) == 4095 &&
		owner_generation(o) == GENERATION_MAX;
	ok = ok && death_make(DEATH_NUMBER_MASK + 2, 3, 5) == (UINT64_C(1) << 38 | 3 << 22 | 5);
	tap_result(ok, "a word reads otherwise than it was written", "owner words and deaths");
}

/* The futex is the half with flags, value and slot. */
static void check_low_half(void)
{
	static struct sem_file file;
	const struct native_sem sem = { .file = &file };
	file.state = state_make(1, FLAG_WAITERS, 2, 0x77);
	tap_result(*state_word(&sem) == state_low(file.state) && *state_word(&sem) != 0x77,
	           "waiters would sleep on the sequence", "the half that is slept on");
}

static void check_alarm(void)
{
	int offset = semundo__alarm_word_offset();
	tap_result(offset >= 0 && offset % 4 == 0 && (unsigned)offset < ALARM_SPACE,
	           "no lock word was found in a mutex", "the alarm's word, at byte %d", offset);
}

static void check_use(void)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem;
	int64_t value = -1;
	unsigned held = 0;
	options.capacity = 3;
	int r = semundo_open(&sem, "layouts", SEMUNDO_CREATE | SEMUNDO_EXCL, &options);
	if (r)
		die("%s", semundo_error());
	r = semundo_acquire(sem, 2);
	semundo_value(sem, &value);
	semundo_held(sem, &held);
	bool ok = r == 0 && value == 1 && held == 2 && semundo_try_acquire(sem, 2) == -EAGAIN &&
		semundo_acquire_timed(sem, 2, 1000000) == -ETIMEDOUT &&
		semundo_release(sem, 2) == 0 && semundo_resize(sem, 1) == 0 &&
		semundo_try_acquire(sem, 1) == 0;
	tap_result(ok, semundo_error(), "open, acquire, time out, release, resize");
	semundo_close(sem);
	semundo_unlink("layouts", NULL);
}

int main(void)
{
	own_directory();
	tap_plan(8);
	check_offsets();
	check_state();
	check_signal();
	check_lane();
	check_owner();
	check_low_half();
	check_alarm();
	check_use();
	return tap_status();
}
