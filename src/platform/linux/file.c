/* SPDX-License-Identifier: Apache-2.0 */
/* Files on Linux: O_TMPFILE and linkat(2); MADV_POPULATE_WRITE and _READ. */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/process.h"
#include "test_hooks.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define TEMPORARY_TRIES 16

const char *semundo__default_directory(void)
{
	return "/dev/shm";
}

int semundo__open_directory(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int temporary_name(char *ret)
{
	uint64_t random;
	int r = semundo__random(&random, sizeof(random));
	if (r == 0)
		snprintf(ret, 64, TEMPORARY_PREFIX "%016" PRIx64, random);
	return r;
}

/* Where there is no O_TMPFILE, or no /proc to link its file from. */
static int open_temporary(int *ret_fd, char *ret_name, int dirfd)
{
	for (int i = 0; i < TEMPORARY_TRIES; i++) {
		int r = temporary_name(ret_name);
		if (r)
			return r;
		int fd = openat(dirfd, ret_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		                0600);
		if (fd >= 0) {
			*ret_fd = fd;
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int open_new(int *ret_fd, char *ret_name, int dirfd)
{
	int fd = -1;
	*ret_name = '\0';
	if (access("/proc/self/fd", X_OK) == 0)
		fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
		return -errno;
	return open_temporary(ret_fd, ret_name, dirfd);
}

int semundo__file_allocate(int fd, uint64_t offset, uint64_t length)
{
	int r;
	do
		r = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int semundo__file_new(int *ret_fd, char *ret_name, int dirfd, uint64_t size, uint64_t allocated,
                      uint32_t mode)
{
	int fd = -1;
	int r = open_new(&fd, ret_name, dirfd);
	if (r)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, (off_t)size) < 0)
		r = -errno;
	if (!r)
		r = semundo__file_allocate(fd, 0, allocated);
	if (!r && fchmod(fd, (mode_t)mode) < 0)
		r = -errno;
	if (r) {
		semundo__file_abandon(ret_name, dirfd);
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int link_unnamed(int fd, int dirfd, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int link_as(int fd, const char *temporary, int dirfd, const char *name)
{
	if (*temporary)
		return linkat(dirfd, temporary, dirfd, name, 0) < 0 ? -errno : 0;
	return link_unnamed(fd, dirfd, name);
}

static int replace_name(int fd, const char *temporary, int dirfd, const char *name)
{
	char other[64];
	int r = 0;
	if (!*temporary) {
		r = temporary_name(other);
		if (!r)
			r = link_unnamed(fd, dirfd, other);
		temporary = other;
	}
	POINT("create:temporary");
	if (!r && renameat(dirfd, temporary, dirfd, name) < 0) {
		r = -errno;
		unlinkat(dirfd, temporary, 0);
	}
	return r;
}

int semundo__file_publish(int fd, const char *temporary, int dirfd, const char *name,
                          bool replace)
{
	if (replace)
		return replace_name(fd, temporary, dirfd, name);
	int r = link_as(fd, temporary, dirfd, name);
	if (r == 0)
		semundo__file_abandon(temporary, dirfd);
	return r;
}

void semundo__file_abandon(const char *temporary, int dirfd)
{
	if (*temporary)
		unlinkat(dirfd, temporary, 0);
}

/* Before Linux 5.14: mlock(2) brings the pages in and fails where it cannot. */
static int populate_by_lock(void *memory, size_t length)
{
	if (mlock(memory, length) < 0)
		return errno == ENOMEM || errno == EAGAIN ? -ENOSPC : -errno;
	munlock(memory, length);
	return 0;
}

int semundo__populate(const void *memory, size_t length, bool for_writing)
{
	size_t page = semundo__page_size();
	uintptr_t first = (uintptr_t)memory & ~(page - 1);
	uintptr_t end = ((uintptr_t)memory + length + page - 1) & ~(page - 1);
	int r;
	do
		r = madvise((void *)first, end - first,
		            for_writing ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (r == 0)
		return 0;
	if (errno == EINVAL)
		return populate_by_lock((void *)first, end - first);
	return errno == EFAULT ? -ENOSPC : -errno;
}

#define NFS 0x6969u
#define SMB 0x517Bu
#define SMB2 0xFE534D42u
#define CIFS 0xFF534D42u
#define FUSE 0x65735546u
#define CEPH 0x00C36400u
#define AFS 0x5346414Fu
#define KAFS 0x6B414653u
#define CODA 0x73757245u
#define P9 0x01021997u
#define OCFS2 0x7461636fu
#define GFS2 0x01161970u
#define LUSTRE 0x0BD00BD0u
#define VMHGFS 0xBACBACBCu
#define VBOXSF 0x786F4256u

bool semundo__is_local_type(uint64_t type)
{
	static const uint32_t remote[] = { NFS,  SMB, SMB2,  CIFS, FUSE,   CEPH,   AFS,   KAFS,
		                           CODA, P9,  OCFS2, GFS2, LUSTRE, VMHGFS, VBOXSF };
	for (unsigned i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if ((uint32_t)type == remote[i])
			return false;
	return true;
}

int semundo__check_local(int dirfd, uint64_t *ret_type)
{
	struct statfs fs;
	if (fstatfs(dirfd, &fs) < 0)
		return -errno;
	*ret_type = TEST_SWITCH(refuse_filesystem) ? NFS : (uint32_t)fs.f_type;
	return semundo__is_local_type(*ret_type) ? 0 : -ENOTSUP;
}
