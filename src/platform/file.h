/* SPDX-License-Identifier: Apache-2.0 */
/* Contract: files that appear complete, and memory that is there when used. */
#ifndef SEMUNDO_PLATFORM_FILE_H
#define SEMUNDO_PLATFORM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where semaphores live unless somebody says otherwise. */
const char *semundo__default_directory(void);

/* A descriptor of a directory, for semundo__check_local() and names in it; or
 * a negative errno. */
int semundo__open_directory(const char *path);

/* Of temporary names; 16 hexadecimal digits follow. */
#define TEMPORARY_PREFIX "semundo-tmp."

/*
 * A new file of size bytes in directory dirfd, without a name, of which the
 * first `allocated` bytes have memory. ret_name (at least 64 bytes) becomes ""
 * or, where files without a name are not to be had, a temporary name. The
 * descriptor has the file's flock(2), from which semundo_gc() sees that a
 * temporary name is in use: killed before the name is gone, nobody has it.
 */
int semundo__file_new(int *ret_fd, char *ret_name, int dirfd, uint64_t size, uint64_t allocated,
                      uint32_t mode);

/* Gives the file the name; -EEXIST where the name is taken, unless replace. */
int semundo__file_publish(int fd, const char *temporary, int dirfd, const char *name,
                          bool replace);

/* Removes a temporary name, if there is one. */
void semundo__file_abandon(const char *temporary, int dirfd);

/* Allocates part of a file: 0, -ENOSPC, ... */
int semundo__file_allocate(int fd, uint64_t offset, uint64_t length);

/*
 * Makes sure that touching this mapped memory cannot fault: 0, or -ENOSPC.
 * Any address and length; whole pages are taken.
 */
int semundo__populate(const void *memory, size_t length, bool for_writing);

/* 0, or -ENOTSUP for a filesystem whose memory or locks are not of this
 * machine alone; ret_type gets its type number. */
int semundo__check_local(int dirfd, uint64_t *ret_type);
bool semundo__is_local_type(uint64_t type);

#endif
