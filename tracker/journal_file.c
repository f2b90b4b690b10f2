/* SPDX-License-Identifier: Apache-2.0 */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 100

void journal_path(char *ret, const char *directory, uint64_t inode)
{
	snprintf(ret, JOURNAL_PATH, "%s/" JOURNAL_PREFIX "%u.%" PRIu64, directory,
	         (unsigned)geteuid(), inode);
}

int journal_size(int fd, uint64_t *ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* The lock of a process, not of a description: see journal.h. */
static int lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (fcntl(fd, F_SETLK, &whole) == 0)
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

static int check(int fd, char *ret_why, size_t size)
{
	struct stat st;
	const char *wrong = NULL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		wrong = "it is no regular file";
	else if (st.st_uid != geteuid())
		wrong = "it is another user's";
	else if (st.st_mode & 077)
		wrong = "others may read or write it";
	else if (st.st_nlink > 1)
		wrong = "it has another name too";
	if (!wrong)
		return 0;
	snprintf(ret_why, size, "%s", wrong);
	return -EPERM;
}

/* Its name may have been taken away, or given to another, before it was locked. */
static bool has_name(int fd, const char *path)
{
	struct stat st, named;
	return fstat(fd, &st) == 0 && lstat(path, &named) == 0 && st.st_ino == named.st_ino &&
	       st.st_dev == named.st_dev;
}

static int open_once(const char *path, bool create, bool *ret_made)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags);
	*ret_made = fd < 0 && errno == ENOENT && create;
	if (*ret_made)
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	return fd < 0 ? -errno : fd;
}

static int open_checked(struct journal *journal, bool create, char *ret_why, size_t size)
{
	int fd = open_once(journal->path, create, &journal->fresh);
	if (fd < 0) {
		snprintf(ret_why, size, "%s", strerror(-fd));
		return fd == -EEXIST ? -EAGAIN : fd;
	}
	int r = check(fd, ret_why, size);
	if (!r)
		r = lock(fd);
	if (!r && !has_name(fd, journal->path))
		r = -EAGAIN;
	if (r)
		close(fd);
	journal->fd = r ? -1 : fd;
	return r;
}

int journal_open(struct journal *journal, const char *path, bool create, char *ret_why,
                 size_t size)
{
	*journal = (struct journal) JOURNAL_INIT;
	snprintf(journal->path, sizeof(journal->path), "%s", path);
	snprintf(ret_why, size, "it is replaced again and again");
	int r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = open_checked(journal, create, ret_why, size);
	return r;
}

/* ---- another in its place ------------------------------------------------------------- */

static void new_path(const struct journal *journal, char *ret)
{
	snprintf(ret, JOURNAL_PATH, "%.*s.new", JOURNAL_PATH - 5, journal->path);
}

/* One that is there is what a killed tracker left: who has the lock writes it. */
int journal_make_new(const struct journal *journal, struct journal *ret_new)
{
	char path[JOURNAL_PATH];
	new_path(journal, path);
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	ret_new->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_CREAT | O_EXCL, 0600);
	if (ret_new->fd < 0)
		return -errno;
	snprintf(ret_new->path, sizeof(ret_new->path), "%s", journal->path);
	int r = lock(ret_new->fd);
	if (r)
		unlink(path);
	return r;
}

int journal_replace(struct journal *journal, struct journal *new)
{
	char path[JOURNAL_PATH];
	new_path(journal, path);
	if (rename(path, new->path) < 0)
		return -errno;
	close(journal->fd);
	return 0;
}

void journal_discard_new(const struct journal *journal)
{
	char path[JOURNAL_PATH];
	new_path(journal, path);
	unlink(path);
}

void journal_close(struct journal *journal)
{
	free(journal->buffer);
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = -1;
	journal->buffer = NULL;
}

void journal_remove(struct journal *journal)
{
	if (journal->fd < 0)
		return;
	journal_discard_new(journal);
	unlink(journal->path);
	journal_close(journal);
}
