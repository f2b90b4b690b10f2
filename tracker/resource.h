/* SPDX-License-Identifier: Apache-2.0 */
/* What is tracked: the types of resources, and how each is looked at and removed. */
#ifndef SEMUNDO_TRACKER_RESOURCE_H
#define SEMUNDO_TRACKER_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum resource_type {
	RESOURCE_SEMAPHORE,     /* of sem_open(3); "ENGINE:NAME": of that engine */
	RESOURCE_SHARED_MEMORY, /* of shm_open(3) */
	RESOURCE_NOOP,          /* for PROBE; cannot be removed */
	RESOURCE_DUMMY          /* nothing to remove, and no word about it */
};

bool resource_find(const char *text, size_t length, enum resource_type *ret);
const char *resource_text(enum resource_type type);
const char *resource_known(void); /* all of them, for a sentence */

/* "native:NAME" and the like. */
bool resource_has_engine(const char *name);

/* dir is "" for the default. False only where it surely is not there. */
bool resource_exists(enum resource_type type, const char *dir, const char *name);

/* 0 or a negative errno, with a sentence in ret_why (size bytes). */
int resource_remove(enum resource_type type, const char *dir, const char *name, char *ret_why,
                    size_t size);

/* The file that its users have mapped; false: not known. */
struct file_id {
	uint64_t device, inode;
};
bool resource_file(enum resource_type type, const char *dir, const char *name,
                   struct file_id *ret);


/* Whether it surely was made after that process had started. */
bool resource_is_younger(enum resource_type type, const char *name, uint64_t start);

#endif
