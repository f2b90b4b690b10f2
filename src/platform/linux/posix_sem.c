/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sem_open(3) on Linux. The C libraries keep a semaphore in a file that is the
 * sem_t: glibc in /dev/shm/sem.NAME, musl in /dev/shm/NAME. Neither looks at the
 * file's size, and the first use of a short one is fatal.
 */
#include "platform/posix_sem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "platform/sanitizer.h"
#include "platform/wait.h"
#include "test_hooks.h"

#define DIRECTORY "/dev/shm"
#if defined(__GLIBC__)
#define PREFIX "sem."
#define HAVE_CLOCKWAIT __GLIBC_PREREQ(2, 30)
#else
#define PREFIX ""
#define HAVE_CLOCKWAIT 0
#endif

const char *semundo__posix_directory(const char **ret_prefix)
{
	*ret_prefix = PREFIX;
	return DIRECTORY;
}

static int open_file(const char *name, int flags)
{
	char path[NAME_MAX + 32];
	if (strlen(name) + sizeof(PREFIX) > NAME_MAX)
		return -ENAMETOOLONG;
	snprintf(path, sizeof(path), DIRECTORY "/" PREFIX "%s", name + 1);
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* glibc's sem_t is a 64-bit word (value in its low half), a word that says
 * shared or not, and zeroes: sysdeps/nptl/internaltypes.h. */
static int check_contents(int fd)
{
	unsigned char bytes[sizeof(sem_t)];
	if (pread(fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EUCLEAN;
#if defined(__GLIBC__) && __SIZEOF_POINTER__ == 8
	uint32_t words[4];
	memcpy(words, bytes, sizeof(words));
	uint32_t value = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? words[0] : words[1];
	if (value > INT_MAX || (words[2] != 0 && words[2] != 128))
		return -EUCLEAN;
	for (size_t i = 16; i < sizeof(bytes); i++)
		if (bytes[i])
			return -EUCLEAN;
#endif
	return 0;
}

int semundo__posix_look(const char *name, struct posix_file *ret)
{
	struct stat st;
	int fd = open_file(name, O_RDONLY);
	if (fd == -ENXIO || fd == -EISDIR)
		return -EUCLEAN;
	if (fd < 0)
		return fd;
	int r = fstat(fd, &st) < 0 ? -errno : 0;
	if (!r && (!S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(sem_t)))
		r = -EUCLEAN;
	if (!r)
		r = check_contents(fd);
	close(fd);
	if (r)
		return r;
	*ret = (struct posix_file){
		.device = (uint64_t)st.st_dev,
		.inode = (uint64_t)st.st_ino,
		.mode = (uint32_t)st.st_mode & 07777,
		.uid = (uint32_t)st.st_uid,
		.created = (uint64_t)st.st_ctim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_ctim.tv_nsec,
	};
	return 0;
}

int semundo__posix_set_mode(const char *name, uint32_t mode)
{
	int fd = open_file(name, O_RDONLY);
	if (fd < 0)
		return fd;
	int r = fchmod(fd, (mode_t)mode) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int semundo__posix_wait(sem_t *sem, uint64_t deadline)
{
#if HAVE_CLOCKWAIT
	struct timespec ts = { (time_t)(deadline / NSEC_PER_SEC), (long)(deadline % NSEC_PER_SEC) };
	if (TEST_SWITCH(no_clockwait))
		return -ENOTSUP;
	if (sem_clockwait(sem, CLOCK_MONOTONIC, &ts) < 0)
		return -errno;
	ordered_after(sem); /* the sanitizer knows sem_post(3), but not this */
	return 0;
#else
	/* sem_timedwait(3) is of no use: it follows the wall clock. */
	(void)sem;
	(void)deadline;
	return -ENOTSUP;
#endif
}

int semundo__posix_value(sem_t *sem, int *ret)
{
	return sem_getvalue(sem, ret) < 0 ? -errno : 0;
}
