/* SPDX-License-Identifier: Apache-2.0 */
/* Directories on macOS. (Files that only the native engine has are not here.) */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/param.h>

/* Not /tmp, where files that were not used for three days are removed. */
const char *semundo__default_directory(void)
{
	return "/private/var/tmp";
}

int semundo__open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* macOS says itself which filesystems are of this machine. */
int semundo__check_local(int dirfd, uint64_t *ret_type)
{
	struct statfs fs;
	if (fstatfs(dirfd, &fs) < 0)
		return -errno;
	*ret_type = fs.f_type;
	return fs.f_flags & MNT_LOCAL ? 0 : -ENOTSUP;
}
