/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in a semaphore's file with which somebody means harm: whatever they
 * are, each call comes back, and soon. One case for each weakness that was
 * found by reading or by fuzzing (fuzz/).
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomics.h"
#include "test_hooks.h"
#include "victim.h"

#define SOON 20.0 /* seconds; most take a millisecond, but on loaded machines */
#define MSEC INT64_C(1000000)

static struct victim v;

static void fill_with(uint32_t slots, uint64_t owner)
{
	for (uint32_t slot = SLOT_FIRST; slot < slots; slot++)
		victim_forge(&v, slot, owner, 0);
}

/* ---- the count of slots ---- */

/* Seen large, then made small, all slots taken: growing changed nothing, and
 * attaching tried again for ever. */
START_TEST(slots_shrink_after_they_were_seen)
{
	struct semundo_info info = { .size = sizeof(info) };
	victim_make(&v, SEMUNDO_PERMITS, 2);
	fill_with(v.file->slots, victim_unknown_owner(&v));
	ck_assert_int_eq(semundo_info(v.sem, &info), 0);
	v.file->slots = 0;
	ck_assert_int_eq(semundo_acquire_timed(v.sem, 1, 0), 0);
	ck_assert_uint_gt(v.file->slots, 48); /* and made good */
	victim_remove(&v);
}
END_TEST

START_TEST(slots_of_no_number)
{
	static const uint32_t counts[] = { 0, 1, 2, 3, 4095, 4096, 4097, UINT32_MAX };
	victim_make(&v, SEMUNDO_PERMITS, 2);
	v.file->slots = counts[_i];
	ck_assert_int_eq(semundo_acquire_timed(v.sem, 1, 0), 0);
	ck_assert_int_ge(semundo_recover(v.sem), 0);
	ck_assert_int_eq(semundo_release(v.sem, 1), 0);
	victim_remove(&v);
}
END_TEST

static void scribble_dead_owners(struct victim *victim)
{
	for (uint32_t slot = SLOT_CAPACITY; slot < 46; slot++)
		store_relaxed(&victim->file->slot[slot].owner, victim->dead);
}

static void scribble_dead_and_few(struct victim *victim)
{
	scribble_dead_owners(victim);
	store_relaxed(&victim->file->slots, 46);
}

/* The dead are undone, and are there again, for ever. */
START_TEST(slots_that_die_again_and_again)
{
	victim_make(&v, SEMUNDO_PERMITS, 2);
	scribble_dead_owners(&v);
	struct scribbler *s = scribbler_start(&v, scribble_dead_and_few);
	double start = seconds_now();
	int r = semundo_acquire_timed(v.sem, 1, 10 * MSEC);
	ck_assert_msg(r >= 0 || r == -EUSERS || r == -ETIMEDOUT || r == -EUCLEAN, "%d", r);
	ck_assert_double_lt(seconds_now() - start, SOON);
	scribbler_stop(s);
	victim_remove(&v);
}
END_TEST

static void free_at_the_last_moment(const char *where)
{
	if (strcmp(where, "recover:dead") == 0)
		v.file->slot[5].owner = OWNER_FREE;
}

/* Another one is there when the dead is to be undone. */
START_TEST(slots_that_change_hands)
{
	victim_make(&v, SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), 0);
	victim_forge(&v, 5, v.dead, 1);
	semundo__test_point = free_at_the_last_moment;
	ck_assert_int_eq(semundo_recover(v.sem), 0);
	semundo__test_point = NULL;
	ck_assert_uint_eq(v.file->deaths, 0);
	victim_remove(&v);
}
END_TEST

/* ---- the own lane ---- */

/* Units are free, and the lane is full: neither blocked nor acquired. */
START_TEST(own_lane_is_full)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	victim_make(&v, SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), 0);
	v.file->slot[SLOT_FIRST].lane = lane_make(65535, 65535, 7);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(semundo_error(), "damaged"));
	wait.flags = SEMUNDO_WAIT_TRY;
	ck_assert_int_eq(semundo_acquire_with(v.sem, 1, &wait), -EUCLEAN);
	ck_assert_int_eq(semundo_release(v.sem, 65535), -EUCLEAN);
	victim_remove(&v);
}
END_TEST

/* ---- the record of deaths ---- */

/* A death that says it is recorded with a number far ahead of the count, for
 * each of 4094 slots: the count was raised in ones, a million for each. */
START_TEST(deaths_far_ahead)
{
	const uint32_t number = UINT32_MAX;
	victim_make(&v, SEMUNDO_PERMITS, 60000);
	v.file->slots = MAX_SLOTS;
	v.file->death[number % KEPT_DEATHS].key = death_make(number, 1, 77);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), 0);
	for (uint32_t slot = SLOT_FIRST + 1; slot < MAX_SLOTS; slot++) {
		v.file->slot[slot].pid = 77;
		v.file->slot[slot].mourned = number;
		victim_forge(&v, slot, v.dead, 1);
	}
	double start = seconds_now();
	ck_assert_int_eq(semundo_recover(v.sem), (int)(MAX_SLOTS - SLOT_FIRST - 1));
	ck_assert_double_lt(seconds_now() - start, SOON);
	ck_assert_uint_lt(v.file->deaths, MAX_SLOTS);
	victim_remove(&v);
}
END_TEST

START_TEST(deaths_of_no_number)
{
	static const uint64_t counts[] = { UINT64_MAX, UINT64_MAX - 1, UINT32_MAX, 0,
		                           (UINT64_C(1) << 26) - 1 };
	struct semundo_death deaths[8];
	victim_make(&v, SEMUNDO_PERMITS, 5);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), 0);
	for (uint64_t i = 0; i < KEPT_DEATHS; i++) /* all numbers are taken already */
		v.file->death[(counts[_i] + 1 + i) % KEPT_DEATHS].key =
			death_make(counts[_i] + 1 + i, 1, 1);
	v.file->deaths = counts[_i];
	victim_forge(&v, SLOT_FIRST + 1, v.dead, 2);
	ck_assert_int_eq(semundo_recover(v.sem), 1);
	ck_assert_int_le(semundo_deaths(v.sem, deaths, 8), 8);
	int64_t value;
	ck_assert_int_eq(semundo_value(v.sem, &value), 0);
	ck_assert_int_eq(value, 6); /* the forged units are free now */
	victim_remove(&v);
}
END_TEST

/* ---- the capacity's slot ---- */

static void scribble_capacity_owner(struct victim *victim)
{
	store_relaxed(&victim->file->slot[SLOT_CAPACITY].owner, victim->dead);
}

/* Its claimant is undone, and dead again, for ever. */
START_TEST(capacity_that_dies_again_and_again)
{
	victim_make(&v, SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), 0);
	semundo__test.resize_patience = UINT64_C(100000000);
	scribble_capacity_owner(&v);
	struct scribbler *s = scribbler_start(&v, scribble_capacity_owner);
	double start = seconds_now();
	for (int i = 0; i < 20; i++) {
		int r = semundo_resize(v.sem, 3 + (unsigned)i % 2);
		ck_assert_msg(r == 0 || r == -EBUSY, "%d", r);
	}
	ck_assert_double_lt(seconds_now() - start, SOON);
	scribbler_stop(s);
	victim_remove(&v);
}
END_TEST

/* ---- the table of users ---- */

START_TEST(users_all_taken)
{
	victim_make(&v, SEMUNDO_PERMITS, 2);
	for (uint32_t i = 0; i < MAX_USERS; i++)
		v.file->users[i] = user_make(1000000 + i, 1);
	ck_assert_int_eq(semundo_acquire_timed(v.sem, 1, 0), -EUSERS);
	victim_remove(&v);
}
END_TEST

static void forget_users(const char *where)
{
	if (strcmp(where, "recover:claimed") == 0)
		memset(v.file->users, 0, sizeof(v.file->users));
}

/* Our own user word goes while we undo the dead to have a slot: without an
 * identity of ours there is no further undoing, but the slot that we made. */
START_TEST(users_forgotten)
{
	victim_make(&v, SEMUNDO_PERMITS, 2);
	fill_with(v.file->slots, v.dead);
	semundo__test_point = forget_users;
	ck_assert_int_eq(semundo_acquire_timed(v.sem, 1, 0), 0);
	semundo__test_point = NULL;
	ck_assert_uint_ne(v.file->slot[SLOT_FIRST].owner, v.dead);
	ck_assert_uint_eq(v.file->slot[SLOT_FIRST + 1].owner, v.dead);
	victim_remove(&v);
}
END_TEST

/* Nobody can say whether they live: so they do, all 4094, and at each look
 * their peer file is asked for. */
START_TEST(users_unknown_everywhere)
{
	victim_make(&v, SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), 0);
	uint64_t owner = victim_unknown_owner(&v);
	v.file->slots = MAX_SLOTS;
	for (uint32_t slot = SLOT_FIRST + 1; slot < MAX_SLOTS; slot++)
		victim_forge(&v, slot, owner, 1);
	double start = seconds_now();
	ck_assert_int_eq(semundo_acquire_timed(v.sem, 2, 10 * MSEC), -ETIMEDOUT);
	ck_assert_int_eq(semundo_recover(v.sem), 0);
	ck_assert_double_lt(seconds_now() - start, SOON);
	victim_remove(&v);
}
END_TEST

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* A user that replaces its peer file all the time, and writes each into the
 * table: each took a descriptor of those who looked. */
START_TEST(users_replace_their_peer_file)
{
	char peers[128], copy[128];
	victim_make(&v, SEMUNDO_PERMITS, 2);
	ck_assert_int_eq(semundo_acquire(v.sem, 1), 0);
	snprintf(peers, sizeof(peers), "%s/semundo-peers.%u", v.directory, (unsigned)geteuid());
	snprintf(copy, sizeof(copy), "%s/copy", v.directory);
	unsigned before = open_descriptors();
	for (unsigned i = 0; i < 600; i++) {
		struct peer_head head = { PEER_MAGIC, LAYOUT_VERSION, LAYOUT_FINGERPRINT,
			                  (uint32_t)geteuid(), 0, (uint64_t)i << 32 };
		FILE *file = fopen(copy, "w");
		ck_assert_ptr_nonnull(file);
		ck_assert_uint_eq(fwrite(&head, sizeof(head), 1, file), 1);
		fclose(file);
		ck_assert_int_eq(chmod(copy, 0644), 0);
		ck_assert_int_eq(truncate(copy, (off_t)sizeof(struct peer_file)), 0);
		ck_assert_int_eq(rename(copy, peers), 0);
		victim_forge(&v, SLOT_FIRST + 1, victim_unknown_owner(&v), 1);
		ck_assert_int_eq(semundo_recover(v.sem), 0);
	}
	ck_assert_uint_lt(open_descriptors(), before + 300);
	victim_remove(&v);
}
END_TEST

static Suite *hostile_suite(void)
{
	Suite *suite = suite_create("hostile");
	TCase *slots = tcase_create("slots"), *lane = tcase_create("lane");
	TCase *deaths = tcase_create("deaths"), *users = tcase_create("users");
	tcase_add_test(slots, slots_shrink_after_they_were_seen);
	tcase_add_loop_test(slots, slots_of_no_number, 0, 8);
	tcase_add_test(slots, slots_that_die_again_and_again);
	tcase_add_test(slots, slots_that_change_hands);
	tcase_add_test(lane, own_lane_is_full);
	tcase_add_test(lane, capacity_that_dies_again_and_again);
	tcase_add_test(deaths, deaths_far_ahead);
	tcase_add_loop_test(deaths, deaths_of_no_number, 0, 5);
	tcase_add_test(users, users_all_taken);
	tcase_add_test(users, users_forgotten);
	tcase_add_test(users, users_unknown_everywhere);
	tcase_add_test(users, users_replace_their_peer_file);
	TCase *const cases[] = { slots, lane, deaths, users };
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(suite, cases[i]);
	}
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(hostile_suite());
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
