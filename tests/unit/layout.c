/* SPDX-License-Identifier: Apache-2.0 */
/* The packing of words: what goes in comes out, and nothing touches the rest. */
#include "../common/suite.h"
#include "layout.h"
#include "platform/file.h"

static const uint32_t sequences[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, UINT32_MAX };

START_TEST(state_round_trip)
{
	static const int32_t values[] = { 0, 1, -1, 2, 65534, 65535, -65534, -65535 };
	static const uint32_t slots[] = { 0, 1, 2, 45, 4094, MAX_SLOTS - 1 };
	for (unsigned v = 0; v < 8; v++)
		for (unsigned s = 0; s < 6; s++)
			for (unsigned q = 0; q < 6; q++)
				for (uint64_t flags = 0; flags <= FLAGS; flags++) {
					uint64_t state = state_make(values[v], flags, slots[s],
					                            sequences[q]);
					ck_assert_int_eq(state_value(state), values[v]);
					ck_assert_uint_eq(state_slot(state), slots[s]);
					ck_assert_uint_eq(state_seq(state), sequences[q]);
					ck_assert_uint_eq(state & FLAGS, flags);
					ck_assert_uint_eq(state_low(state), (uint32_t)state);
				}
}
END_TEST

/* All of them: the sign is where mistakes hide. */
START_TEST(every_value)
{
	for (int32_t value = -VALUE_MAX; value <= VALUE_MAX; value++) {
		uint64_t state = state_make(value, FLAGS, MAX_SLOTS - 1, UINT32_MAX);
		ck_assert_int_eq(state_value(state), value);
		if (state_slot(state) != MAX_SLOTS - 1 || state_seq(state) != UINT32_MAX)
			ck_abort_msg("value %d runs over", value);
	}
}
END_TEST

START_TEST(sequences_wrap)
{
	uint64_t state = state_make(-3, FLAG_DIRTY, 7, UINT32_MAX);
	uint64_t next = state_make(state_value(state), state & FLAGS, state_slot(state),
	                           state_seq(state) + 1);
	ck_assert_uint_eq(state_seq(next), 0);
	ck_assert_int_eq(state_value(next), -3);
	ck_assert_uint_eq(state_slot(next), 7);
	ck_assert_uint_eq(next & FLAGS, FLAG_DIRTY);
}
END_TEST

START_TEST(signal_round_trip)
{
	static const uint32_t values[] = { 0, 1, 65536, SEMUNDO_SIGNAL_MAX };
	uint64_t state = 0;
	for (unsigned i = 0; i < 4; i++)
		for (uint64_t flags = 0; flags <= FLAGS; flags++) {
			uint64_t next = signal_make(values[i], state, flags);
			ck_assert_uint_eq(signal_value(next), values[i]);
			ck_assert_uint_eq(next & FLAGS, flags);
			/* Sleepers see it, flags apart. */
			ck_assert_uint_ne(next & SIGNAL_SEQ_MASK, state & SIGNAL_SEQ_MASK);
			state = next;
		}
	state = signal_make(5, SIGNAL_SEQ_MASK, 0);
	ck_assert_uint_eq(state & SIGNAL_SEQ_MASK, 0);
	ck_assert_uint_eq(signal_value(state), 5);
}
END_TEST

START_TEST(lane_round_trip)
{
	static const uint32_t units[] = { 0, 1, 2, 32768, 65534, 65535 };
	for (unsigned b = 0; b < 6; b++)
		for (unsigned a = 0; a < 6; a++)
			for (unsigned q = 0; q < 6; q++) {
				uint64_t lane = lane_make(units[b], units[a], sequences[q]);
				ck_assert_uint_eq(lane_before(lane), units[b]);
				ck_assert_uint_eq(lane_after(lane), units[a]);
				ck_assert_uint_eq(lane_seq(lane), sequences[q]);
				ck_assert_int_eq(lane_pending(lane), a != b);
			}
}
END_TEST

START_TEST(what_a_lane_holds)
{
	uint64_t lane = lane_make(2, 5, 77);
	ck_assert_uint_eq(lane_held(lane, 9, state_make(0, 0, 9, 77)), 5);
	ck_assert_uint_eq(lane_held(lane, 9, state_make(0, FLAGS, 9, 77)), 5);
	ck_assert_uint_eq(lane_held(lane, 9, state_make(0, 0, 9, 76)), 2);
	ck_assert_uint_eq(lane_held(lane, 9, state_make(0, 0, 8, 77)), 2);
	lane = lane_make(5, 5, 77);
	ck_assert_uint_eq(lane_held(lane, 9, state_make(0, 0, 8, 1)), 5);
}
END_TEST

START_TEST(owner_round_trip)
{
	static const uint64_t generations[] = { 1, 2, UINT64_C(1) << 32, GENERATION_MAX };
	static const uint32_t users[] = { 0, 1, MAX_USERS - 1 };
	static const uint32_t records[] = { 0, 1, 2048, MAX_RECORDS - 1 };
	for (uint64_t condition = 0; condition <= OWNER_CONDITION; condition++)
		for (unsigned u = 0; u < 3; u++)
			for (unsigned r = 0; r < 4; r++)
				for (unsigned g = 0; g < 4; g++) {
					uint64_t o = owner_make(condition, users[u], records[r],
					                        generations[g]);
					ck_assert_uint_eq(o & OWNER_CONDITION, condition);
					ck_assert_uint_eq(owner_user(o), users[u]);
					ck_assert_uint_eq(owner_record(o), records[r]);
					ck_assert_uint_eq(owner_generation(o), generations[g]);
				}
}
END_TEST

/* A generation is never 0, so no live owner's word looks free. */
START_TEST(no_owner_looks_free)
{
	ck_assert_uint_ne(owner_make(OWNER_LIVE, 0, 0, 1), OWNER_FREE);
	ck_assert_uint_ne(owner_make(OWNER_RECOVERING, 0, 0, 1), OWNER_FREE);
}
END_TEST

START_TEST(users_and_deaths)
{
	uint64_t user = user_make(UINT32_MAX, 1);
	ck_assert_uint_eq((uint32_t)user, UINT32_MAX);
	ck_assert_uint_eq(user >> 32, 1);
	ck_assert_uint_ne(user_make(0, 1), 0);
	uint64_t death = death_make(0x3ffffff, 65535, 0x3fffff);
	ck_assert_uint_eq(death, UINT64_MAX);
	death = death_make(5, 0, 0x3fffff);
	ck_assert_uint_eq(death >> 38, 5);
	ck_assert_uint_eq(death & 0x3fffff, 0x3fffff);
	ck_assert_uint_eq((death >> 22) & 0xffff, 0);
	death = death_make(UINT64_C(0x4000001), 7, 1);
	ck_assert_uint_eq(death >> 38, 1);
	ck_assert_uint_eq((death >> 22) & 0xffff, 7);
}
END_TEST

START_TEST(filesystems_by_type)
{
	static const uint64_t remote[] = { 0x6969, 0x517B, 0xFE534D42, 0xFF534D42, 0x65735546,
		                           0x01021997, 0x00C36400, 0x5346414F };
	static const uint64_t local[] = { 0x01021994, 0xEF53, 0x9123683E, 0x58465342, 0x858458f6,
		                          0x794c7630 };
	for (unsigned i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		ck_assert_msg(!semundo__is_local_type(remote[i]), "0x%x", (unsigned)remote[i]);
	for (unsigned i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		ck_assert_msg(semundo__is_local_type(local[i]), "0x%x", (unsigned)local[i]);
	/* A long of 32 bits, sign-extended. */
	ck_assert(!semundo__is_local_type(UINT64_C(0xffffffffff534d42)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("layout");
	TCase *t = suite_case(suite, "words");
	tcase_add_test(t, state_round_trip);
	tcase_add_test(t, every_value);
	tcase_add_test(t, sequences_wrap);
	tcase_add_test(t, signal_round_trip);
	tcase_add_test(t, lane_round_trip);
	tcase_add_test(t, what_a_lane_holds);
	tcase_add_test(t, owner_round_trip);
	tcase_add_test(t, no_owner_looks_free);
	tcase_add_test(t, users_and_deaths);
	tcase_add_test(t, filesystems_by_type);
	return suite_run(suite);
}
