/* SPDX-License-Identifier: Apache-2.0 */
#include "edits.h"

#include <string.h>

#include "atomics.h"
#include "world.h"

struct reader {
	const uint8_t *data;
	size_t left;
	struct plan *plan;
	struct edits *to;
	uint64_t state; /* as it will be, and the count of deaths */
	uint64_t deaths;
};

static uint64_t take(struct reader *r, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes && r->left; i++, r->left--)
		value |= (uint64_t)*r->data++ << 8 * i;
	return value;
}

static int8_t take_signed(struct reader *r)
{
	return (int8_t)(uint8_t)take(r, 1);
}

static uint64_t interesting(uint64_t which)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 7, 8, 45, 46, 48, 64, 4095, 4096, 4097, 65535, 65536, 0x3ffffff,
		INT32_MAX, UINT32_MAX, (UINT64_C(1) << 44) - 1, INT64_MAX, UINT64_MAX, SEM_MAGIC,
		PEER_MAGIC, UINT64_C(1) << 31, UINT64_C(1) << 63,
	};
	return numbers[which % (sizeof(numbers) / sizeof(numbers[0]))];
}

static void put(struct reader *r, unsigned file, size_t offset, unsigned size, uint64_t value)
{
	uint32_t bytes;
	offset &= ~(size_t)(size - 1);
	if (!world_bytes(file, &bytes) || offset + size > bytes || r->to->count == EDITS_MAX ||
	    world_is_own_alarm(file, (uint32_t)offset, size))
		return;
	r->to->edit[r->to->count++] =
		(struct edit){ (uint8_t)file, (uint8_t)size, (uint32_t)offset, value };
}

static size_t slot_at(uint64_t slot, size_t field)
{
	return offsetof(struct sem_file, slot) + slot % MAX_SLOTS * sizeof(struct sem_slot) + field;
}

#define PUT_SLOT(r, number, field, size, value) \
	put(r, FILE_SEM, slot_at(number, offsetof(struct sem_slot, field)), size, value)

static size_t record_at(uint64_t who, size_t field)
{
	return offsetof(struct peer_file, record) +
	       owner_record(world.owner[who % OWNERS]) * sizeof(struct peer_record) + field;
}

/* ---- the operations ---- */

static void read_raw(struct reader *r)
{
	unsigned file = (unsigned)take(r, 1) % FILES;
	size_t offset = (size_t)take(r, 2);
	put(r, file, offset, 8, take(r, 8));
}

static void read_word(struct reader *r)
{
	unsigned file = (unsigned)take(r, 1) % FILES;
	size_t word = (size_t)take(r, 2);
	uint64_t which = take(r, 1);
	put(r, file, word * 8, 8, interesting(which) + (uint64_t)(int64_t)take_signed(r));
}

static void read_state(struct reader *r)
{
	int32_t value = (int32_t)((uint32_t)take(r, 3) << 8) >> 8;
	uint32_t slot = (uint32_t)take(r, 2) % MAX_SLOTS;
	uint64_t flags = take(r, 1) & FLAGS;
	uint32_t seq = (uint32_t)interesting(take(r, 1));
	r->state = r->plan->kind == SEMUNDO_SIGNAL ?
		signal_make((uint32_t)value, (uint64_t)seq << 3, flags) :
		state_make(value, flags, slot, seq);
	put(r, FILE_SEM, offsetof(struct sem_file, state), 8, r->state);
}

static void read_owner(struct reader *r)
{
	uint64_t slot = take(r, 2), who = take(r, 1);
	uint64_t condition = take(r, 1);
	uint64_t owner = world.owner[who % OWNERS] & ~OWNER_CONDITION;
	if (who >= 128) /* one that never was, or not yet */
		owner += (who & 64 ? UINT64_C(1) << 20 : UINT64_C(1) << 8);
	PUT_SLOT(r, slot, owner, 8, owner | (condition & OWNER_CONDITION));
}

static void read_lane(struct reader *r)
{
	uint64_t slot = take(r, 2);
	uint32_t before = (uint32_t)take(r, 2), after = (uint32_t)take(r, 2);
	uint32_t seq = state_seq(r->state) + (uint32_t)(int32_t)take_signed(r);
	PUT_SLOT(r, slot, lane, 8, lane_make(before, after, seq));
}

static void read_facts(struct reader *r)
{
	uint64_t slot = take(r, 2);
	uint32_t waiting = (uint32_t)interesting(take(r, 1));
	PUT_SLOT(r, slot, waiting, 4, waiting);
	PUT_SLOT(r, slot, wanted, 4, take(r, 1));
	PUT_SLOT(r, slot, mourned, 4, r->deaths + (uint64_t)(int64_t)take_signed(r));
	PUT_SLOT(r, slot, pid, 4, take(r, 1));
}

/* Its words as they were edited last, over all slots up to another. */
static void read_fill(struct reader *r)
{
	uint64_t from = take(r, 2) % MAX_SLOTS, to = take(r, 1);
	to = to == 255 ? MAX_SLOTS : to;
	const struct edits *edits = r->to;
	uint32_t count = edits->count, first = count > 16 ? count - 16 : 0;
	for (uint32_t i = first; i < count; i++) {
		struct edit e = edits->edit[i];
		if (e.file != FILE_SEM || e.offset < slot_at(from, 0) ||
		    e.offset >= slot_at(from, 0) + sizeof(struct sem_slot))
			continue;
		for (uint64_t slot = from + 1; slot < to; slot++)
			put(r, FILE_SEM, e.offset + (slot - from) * sizeof(struct sem_slot), e.size,
			    e.value);
	}
}

static void read_user(struct reader *r)
{
	uint64_t number = take(r, 1), which = take(r, 1);
	uint64_t word = world.user[which & 1];
	if (which & 2)
		word += UINT64_C(1) << 32; /* another peer file of the same user */
	if (which & 4)
		word += which >> 3; /* another user */
	if (which == 255)
		word = 0;
	put(r, FILE_SEM, offsetof(struct sem_file, users) + number % MAX_USERS * 8, 8, word);
}

static void read_deaths(struct reader *r)
{
	uint64_t which = take(r, 1);
	r->deaths = interesting(which) + (uint64_t)(int64_t)take_signed(r);
	put(r, FILE_SEM, offsetof(struct sem_file, deaths), 8, r->deaths);
}

static void read_death(struct reader *r)
{
	uint64_t number = r->deaths + (uint64_t)(int64_t)take_signed(r);
	uint32_t units = (uint32_t)take(r, 1);
	uint64_t key = death_make(number, units, (uint32_t)take(r, 1));
	put(r, FILE_SEM, offsetof(struct sem_file, death) + number % KEPT_DEATHS * sizeof(struct sem_death),
	    8, key);
}

static void read_record(struct reader *r)
{
	unsigned file = FILE_OWN + (unsigned)take(r, 1) % 2;
	uint64_t who = take(r, 1);
	uint64_t generation = owner_generation(world.owner[who % OWNERS]);
	size_t alarm = record_at(who, offsetof(struct peer_record, alarm));
	uint64_t change = (uint64_t)(int64_t)take_signed(r);
	uint64_t offset = take(r, 1);
	put(r, file, record_at(who, offsetof(struct peer_record, generation)), 8, generation + change);
	put(r, file, record_at(who, offsetof(struct peer_record, alarm_offset)), 4,
	    offset < 200 ? offset : interesting(offset));
	put(r, file, alarm + (offset & 124), 4, take(r, 4));
}

static void read_head(struct reader *r)
{
	static const size_t fields[] = { offsetof(struct sem_file, head.magic),
		                         offsetof(struct sem_file, head.version),
		                         offsetof(struct sem_file, head.fingerprint),
		                         offsetof(struct sem_file, head.kind),
		                         offsetof(struct sem_file, head.max) };
	uint64_t field = take(r, 1) % 5;
	put(r, FILE_SEM, fields[field], field ? 4 : 8, interesting(take(r, 1)));
}

static void read_command(struct reader *r)
{
	unsigned file = FILE_OWN + (unsigned)take(r, 1) % 2;
	size_t at = record_at(take(r, 1), offsetof(struct peer_record, command));
	for (size_t i = 0; i < 64; i += 8)
		put(r, file, at + i, 8, UINT64_C(0x1b5b324a41ff8041));
}

static void read_length(struct reader *r)
{
	static const int64_t lengths[] = { 0, 1, 63, 1024, 4096, sizeof(struct sem_file) - 1,
		                           sizeof(struct sem_file) + 1, 8 << 20 };
	r->plan->length = lengths[take(r, 1) % 8];
}

static void read_slots(struct reader *r)
{
	uint64_t count = take(r, 2);
	put(r, FILE_SEM, offsetof(struct sem_file, slots), 4,
	    count < 5000 ? count : interesting(count));
}

static void next_phase(struct reader *r)
{
	if (r->to < &r->plan->phase[PHASES - 1])
		r->to++;
}

void plan_read(struct plan *plan, const uint8_t *data, size_t size)
{
	static void (*const operations[])(struct reader *) = {
		read_raw,  read_word, read_state, read_slots,  read_owner, read_lane,
		read_facts, read_fill, read_user, read_deaths, read_death, read_record,
		read_head, read_command, read_length, next_phase,
	};
	struct reader r = { data, size, plan, plan->phase, 0, 0 };
	uint64_t setup = take(&r, 1);
	for (unsigned i = 0; i < PHASES; i++)
		plan->phase[i].count = 0;
	plan->length = -1;
	plan->kind = SEMUNDO_LOCK + (uint32_t)(setup & 3) % 3;
	plan->capacity = plan->kind == SEMUNDO_LOCK ? 1 : setup & 4 ? 60000 : 3;
	plan->in_child = (setup & 0xf8) == 0xf8;
	plan->uses = (unsigned)take(&r, 1);
	r.state = state_make((int32_t)plan->capacity, 0, 0, 0);
	while (r.left)
		operations[take(&r, 1) % (sizeof(operations) / sizeof(operations[0]))](&r);
}

/* ---- writing ---- */

static uint64_t swap(const struct edit *e)
{
	uint32_t size;
	uint8_t *at = world_bytes(e->file, &size) + e->offset;
	if (e->size == 4)
		return __atomic_exchange_n((uint32_t *)at, (uint32_t)e->value, __ATOMIC_RELAXED);
	return __atomic_exchange_n((uint64_t *)at, e->value, __ATOMIC_RELAXED);
}

void edits_write(const struct edits *edits, struct edits *old)
{
	for (uint32_t i = 0; i < edits->count; i++) {
		struct edit e = edits->edit[i];
		e.value = swap(&e);
		if (old && e.file != FILE_SEM && old->count < EDITS_MAX)
			old->edit[old->count++] = e;
	}
}

void edits_undo(const struct edits *old)
{
	for (uint32_t i = old->count; i > 0; i--)
		swap(&old->edit[i - 1]);
}
