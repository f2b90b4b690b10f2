/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory with one semaphore's file that is made anew for each input, and
 * peers of two users, living and dead, as whom the input's owners can pose.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "semundo.h"

#define FUZZ_NAME "fuzz"

enum {
	OWNER_SELF,        /* this process */
	OWNER_DEAD,
	OWNER_ALIVE,
	OWNER_DEAD_OTHER,  /* another user's, where we are root: else as above */
	OWNER_ALIVE_OTHER,
	OWNERS
};

enum { FILE_SEM, FILE_OWN, FILE_OTHER, FILES };

struct world {
	struct sem_file *sem;      /* mapped for writing, all three */
	struct peer_file *own;
	struct peer_file *other;   /* null: we are not root */
	uint64_t owner[OWNERS];
	uint64_t user[2];          /* user words: own, other */
	int fd;                    /* of the semaphore's file */
};
extern struct world world;

/* Once; ends the process where it fails. */
void world_make(void);

/* A sound semaphore of that kind, nobody attached; both users in its table. */
void world_reset(uint32_t kind, uint32_t capacity);

/* Bytes of one of the files, and how many there are. Null: no such file. */
uint8_t *world_bytes(unsigned file, uint32_t *ret_size);

/* Whether a write there would hit the memory of this process's own mutex,
 * which only its own user can do, to himself. */
bool world_is_own_alarm(unsigned file, uint32_t offset, uint32_t size);

#endif
