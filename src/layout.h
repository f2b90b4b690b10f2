/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a native semaphore's file and of a peer file: what processes of
 * different versions, word sizes and C libraries share. Fixed-width fields
 * only, no pointers. Anything read from here is untrusted: every index is
 * bounded where it is used.
 */
#ifndef SEMUNDO_LAYOUT_H
#define SEMUNDO_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"

#define LAYOUT_VERSION 1u
#define SEM_MAGIC UINT64_C(0x316f646e756d6573)  /* "semundo1" */
#define PEER_MAGIC UINT64_C(0x3173726565706d73) /* "smpeers1" */
/* Written as a number, so another byte order or word layout reads otherwise. */
#define LAYOUT_FINGERPRINT UINT32_C(0x01024040)

#define MAX_SLOTS 4096u  /* slot numbers have 12 bits */
#define MAX_USERS 64u    /* user numbers have 6 bits */
#define MAX_RECORDS 4096u/* record numbers have 12 bits */
#define KEPT_DEATHS 8u

#define SLOT_NOBODY 0u   /* "no slot": owns nothing */
#define SLOT_CAPACITY 1u /* holds the capacity of PERMITS in its lane */
#define SLOT_FIRST 2u    /* the first that a process can take */

/* ---- semaphore file ----------------------------------------------------- */

struct sem_slot {
	uint64_t owner;         /* owner word: free, live or recovering */
	uint64_t lane;          /* lane word: what the owner holds, and is doing */
	uint64_t waiting_since; /* CLOCK_MONOTONIC ns; for people */
	uint64_t attached;      /* CLOCK_REALTIME ns; for people */
	uint32_t waiting;       /* threads that wait; for people */
	uint32_t wanted;        /* units the latest of them wants; for people */
	uint32_t pid;           /* for the record of deaths */
	uint32_t mourned;       /* number of the death record of this owner */
	uint32_t uid;           /* for the record of deaths */
	uint32_t unused;
	uint64_t unused2;
} ALIGNED_8;

/* A death record: number (26 bits), units (16) and pid (22) in one word. */
struct sem_death {
	uint64_t key;
	uint64_t when; /* CLOCK_REALTIME ns */
	uint32_t uid;
	uint32_t unused[3];
} ALIGNED_8;

struct sem_head {
	uint64_t magic;
	uint32_t version;
	uint32_t fingerprint;
	uint32_t kind;
	uint32_t max;       /* SIGNAL: its maximum */
	uint64_t created;   /* CLOCK_REALTIME ns */
	uint32_t binary;    /* LOCK: 1 for one that may become a signal (native_binary.c) */
	uint32_t unused;
	uint64_t unused2[3];
} ALIGNED_8;

struct sem_file {
	struct sem_head head;
	/* line 1: what every operation touches */
	uint64_t state;     /* state word */
	uint64_t deaths;    /* holders that died, ever */
	uint32_t slots;     /* slots whose memory is allocated; only grows */
	uint32_t unused2[11];
	uint64_t users[MAX_USERS]; /* user words; set once */
	struct sem_death death[KEPT_DEATHS];
	uint64_t unused3[16];
	struct sem_slot slot[MAX_SLOTS];
} ALIGNED_8;

#define SEM_SLOTS_OFFSET 1024u
_Static_assert(sizeof(struct sem_slot) == 64, "a slot is one cache line");
_Static_assert(offsetof(struct sem_slot, owner) == 0, "owner");
_Static_assert(offsetof(struct sem_slot, lane) == 8, "lane");
_Static_assert(offsetof(struct sem_slot, waiting) == 32, "waiting");
_Static_assert(offsetof(struct sem_slot, mourned) == 44, "mourned");
_Static_assert(sizeof(struct sem_death) == 32, "death");
_Static_assert(offsetof(struct sem_file, head.kind) == 16, "kind");
_Static_assert(offsetof(struct sem_file, head.binary) == 32, "binary");
_Static_assert(offsetof(struct sem_file, state) == 64, "state has its own line");
_Static_assert(offsetof(struct sem_file, slots) == 80, "slots");
_Static_assert(offsetof(struct sem_file, users) == 128, "users");
_Static_assert(offsetof(struct sem_file, death) == 640, "deaths");
_Static_assert(offsetof(struct sem_file, slot) == SEM_SLOTS_OFFSET, "slots");
_Static_assert(sizeof(struct sem_file) == SEM_SLOTS_OFFSET + 64 * MAX_SLOTS, "file");

/* ---- peer file ---------------------------------------------------------- */

#define ALARM_SPACE 128u /* room for a pthread mutex of any C library */

struct peer_record {
	uint64_t generation; /* raised by each process that takes the record */
	uint32_t pid;
	uint32_t for_pid;
	uint64_t start_time;
	uint64_t pid_namespace;
	uint64_t joined;       /* CLOCK_REALTIME ns */
	uint32_t alarm_offset; /* of the futex word in alarm[]; 0xffffffff: none */
	uint32_t unused;
	char command[64];
	uint64_t unused2[2];
	uint64_t alarm[ALARM_SPACE / 8];
} ALIGNED_8;

struct peer_head {
	uint64_t magic;
	uint32_t version;
	uint32_t fingerprint;
	uint32_t uid;
	uint32_t unused;
	uint64_t id; /* random */
} ALIGNED_8;

struct peer_file {
	struct peer_head head;
	uint64_t unused[124];
	struct peer_record record[MAX_RECORDS];
} ALIGNED_8;

#define ALARM_NONE UINT32_MAX
_Static_assert(sizeof(struct peer_record) == 256, "records do not cross pages");
_Static_assert(offsetof(struct peer_record, alarm) == 128, "alarm");
_Static_assert(offsetof(struct peer_record, command) == 48, "command");
_Static_assert(offsetof(struct peer_file, record) == 1024, "records");
_Static_assert(sizeof(struct peer_file) == 1024 + 256 * MAX_RECORDS, "file");

/* ---- state word ---------------------------------------------------------
 *
 * The low half is the futex that waiters sleep on.
 *
 *   LOCK, PERMITS   bits 0-2 flags, 3-14 slot of the last writer, 15-31 value
 *                   (signed), 32-63 sequence
 *   SIGNAL          bits 0-2 flags, 3-31 sequence, 32-63 value
 *
 * The slot: PERMITS, the lane that describes how this state came about.
 * LOCK, the owner while the value is 0; SLOT_NOBODY otherwise; or, in a binary
 * one that has become a signal, SLOT_CAPACITY.
 */
#define FLAG_WAITERS UINT64_C(1)  /* somebody sleeps, or is about to */
#define FLAG_WAKE_ALL UINT64_C(2) /* ... who needs more than one unit */
#define FLAG_DIRTY UINT64_C(4)    /* units came back from the dead; untold */
#define FLAGS UINT64_C(7)
#define FLAGS_WAIT (FLAG_WAITERS | FLAG_WAKE_ALL)

#define VALUE_MAX INT32_C(65535)
#define SIGNAL_SEQ_ONE UINT64_C(8)
#define SIGNAL_SEQ_MASK UINT64_C(0xfffffff8)

static inline uint32_t state_low(uint64_t s)
{
	return (uint32_t)s;
}

static inline uint32_t state_slot(uint64_t s)
{
	return (uint32_t)(s >> 3) & (MAX_SLOTS - 1);
}

static inline int32_t state_value(uint64_t s)
{
	return (int32_t)(uint32_t)s >> 15;
}

static inline uint32_t state_seq(uint64_t s)
{
	return (uint32_t)(s >> 32);
}

static inline uint64_t state_make(int32_t value, uint64_t flags, uint32_t slot, uint32_t seq)
{
	return (uint64_t)seq << 32 | (uint64_t)((uint32_t)value << 15) | (uint64_t)slot << 3 |
	       flags;
}

static inline uint32_t signal_value(uint64_t s)
{
	return (uint32_t)(s >> 32);
}

static inline uint64_t signal_make(uint32_t value, uint64_t old, uint64_t flags)
{
	return (uint64_t)value << 32 | ((old + SIGNAL_SEQ_ONE) & SIGNAL_SEQ_MASK) | flags;
}

/* ---- lane word ----------------------------------------------------------
 *
 * bits 0-15 held after, 16-31 held before, 32-63 sequence. Before and after
 * differ: an operation is pending; it took effect if and only if the state
 * word carries, or carried, this slot and this sequence.
 */
static inline uint64_t lane_make(uint32_t before, uint32_t after, uint32_t seq)
{
	return (uint64_t)seq << 32 | (uint64_t)(before & 0xffff) << 16 | (after & 0xffff);
}

static inline uint32_t lane_after(uint64_t lane)
{
	return (uint32_t)lane & 0xffff;
}

static inline uint32_t lane_before(uint64_t lane)
{
	return (uint32_t)(lane >> 16) & 0xffff;
}

static inline uint32_t lane_seq(uint64_t lane)
{
	return (uint32_t)(lane >> 32);
}

static inline bool lane_pending(uint64_t lane)
{
	return lane_before(lane) != lane_after(lane);
}

/* What is held, where `state` was loaded before the lane and is still current. */
static inline uint32_t lane_held(uint64_t lane, uint32_t slot, uint64_t state)
{
	if (state_slot(state) == slot && state_seq(state) == lane_seq(lane))
		return lane_after(lane);
	return lane_before(lane);
}

/* ---- owner word: identity of a process in this semaphore -------------------
 *
 * bits 0-1 condition, 2-7 user number, 8-19 record, 20-63 generation. A
 * generation of 44 bits does not come round: a record would have to be joined
 * a million times a second for half a year.
 */
#define OWNER_FREE UINT64_C(0)
#define OWNER_LIVE UINT64_C(1)
#define OWNER_RECOVERING UINT64_C(2)
#define OWNER_CONDITION UINT64_C(3)
#define GENERATION_MAX ((UINT64_C(1) << 44) - 1)

static inline uint64_t owner_make(uint64_t condition, uint32_t user, uint32_t record,
                                  uint64_t generation)
{
	return condition | (uint64_t)user << 2 | (uint64_t)record << 8 | generation << 20;
}

static inline uint32_t owner_user(uint64_t owner)
{
	return (uint32_t)(owner >> 2) & (MAX_USERS - 1);
}

static inline uint32_t owner_record(uint64_t owner)
{
	return (uint32_t)(owner >> 8) & (MAX_RECORDS - 1);
}

static inline uint64_t owner_generation(uint64_t owner)
{
	return owner >> 20;
}

/* ---- user word: uid (low half) and tag of that user's peer file (high) ----- */

static inline uint64_t user_make(uint32_t uid, uint32_t tag)
{
	return (uint64_t)tag << 32 | uid;
}

#define DEATH_NUMBER_MASK UINT64_C(0x3ffffff)

static inline uint64_t death_make(uint64_t number, uint32_t units, uint32_t pid)
{
	return (number & DEATH_NUMBER_MASK) << 38 | (uint64_t)(units & 0xffff) << 22 |
	       (pid & 0x3fffff);
}

#endif
