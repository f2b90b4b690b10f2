/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The truth on Linux: open file description locks (fcntl(2), F_OFD_SETLK).
 * The lock belongs to the open file description, which lives as long as any
 * descriptor or mapping refers to it. So that neither closefrom(3) drops it
 * nor a forked child keeps it, a mapping with MADV_DONTFORK keeps it.
 */
#include "platform/liveness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_hooks.h"

static int ofd_lock(int fd, int command, short type, uint64_t offset, struct flock *ret)
{
	*ret = (struct flock){ .l_type = type,
		               .l_whence = SEEK_SET,
		               .l_start = (off_t)offset,
		               .l_len = 1 };
	int r;
	do
		r = fcntl(fd, command, ret);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int semundo__truth_lock(int fd, uint64_t offset)
{
	struct flock lock;
	int r = ofd_lock(fd, F_OFD_SETLK, F_WRLCK, offset, &lock);
	return r == -EACCES ? -EAGAIN : r;
}

int semundo__truth_probe(int fd, uint64_t offset)
{
	struct flock lock;
	/* A read lock is what we ask for: others' read locks do not count. */
	int r = ofd_lock(fd, F_OFD_GETLK, F_RDLCK, offset, &lock);
	return r < 0 ? r : lock.l_type != F_UNLCK;
}

int semundo__truth_possible(const char *directory)
{
	struct flock lock;
	int fd = TEST_SWITCH(no_file_locks) ? -1 : open(directory, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return TEST_SWITCH(no_file_locks) ? -ENOTSUP : -errno;
	/* An old or other kernel does not know the command. */
	int r = ofd_lock(fd, F_OFD_GETLK, F_RDLCK, 0, &lock);
	close(fd);
	return r == -EINVAL || r == -ENOSYS ? -ENOTSUP : 0;
}

int semundo__truth_keep(void **ret_map, int fd, uint64_t offset, size_t length)
{
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (map == MAP_FAILED)
		return -errno;
	if (madvise(map, length, MADV_DONTFORK) < 0) {
		int r = -errno;
		munmap(map, length);
		return r;
	}
	*ret_map = map;
	return 0;
}
