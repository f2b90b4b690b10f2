/* SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- directories ---- */

static char top[] = "/dev/shm/semundo-test.XXXXXX";
static pid_t top_owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

/* System V sets do not go with the files that lead to them. */
static int unlink_one(const char *name, void *dir)
{
	semundo_unlink(name, dir);
	return 0;
}

static int remove_sets(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char dir[PATH_MAX];
	(void)st;
	(void)ftw;
	snprintf(dir, sizeof(dir), "%s", path);
	if (type == FTW_D) {
		semundo_list(dir, unlink_one, dir);
		semundo_gc(dir, 0, NULL, NULL);
	}
	return 0;
}

/* Those that a test's end killed come to this process. Until they are dead, they use
 * sets that would be left. */
static void reap_orphans(void)
{
	uint64_t end = now_ns() + 10 * SEC;
	pid_t pid;
	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && now_ns() < end)
		if (pid == 0)
			pause_ns(1000000);
}

static void remove_top(void)
{
	if (getpid() != top_owner)
		return;
	reap_orphans();
	nftw(top, remove_sets, 16, FTW_PHYS);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_end(int number)
{
	remove_top();
	signal(number, SIG_DFL);
	raise(number);
}

static void make_top(void)
{
	if (!mkdtemp(top))
		die("mkdtemp %s: %s", top, strerror(errno));
	top_owner = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* for reap_orphans() */
	/* Tests with another user's rights go through it. */
	if (chmod(top, 0711) < 0)
		die("chmod %s: %s", top, strerror(errno));
	atexit(remove_top);
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	signal(SIGHUP, on_end);
}

void (*suite_before_each)(void);

static void fresh_directory(void)
{
	char path[PATH_MAX];
	if (suite_before_each)
		suite_before_each();
	snprintf(path, sizeof(path), "%s/XXXXXX", top);
	ck_assert_ptr_nonnull(mkdtemp(path));
	setenv("SEMUNDO_DIR", path, 1);
}

const char *in_dir(const char *file)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, PATH_MAX, "%s/%s", getenv("SEMUNDO_DIR"), file);
	return path;
}

/* ---- pictures ---- */

static uint64_t hash_file(const char *path)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a, a word at a time */
	uint64_t words[8192];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t got;
	memset(words, 0, sizeof(words));
	while (fd >= 0 && (got = read(fd, words, sizeof(words))) > 0)
		for (size_t i = 0; i < ((size_t)got + 7) / 8; i++)
			hash = (hash ^ words[i]) * UINT64_C(0x100000001b3);
	if (fd >= 0)
		close(fd);
	return hash;
}

static void draw_file(FILE *to, const char *path, const char *name)
{
	char target[PATH_MAX] = "";
	struct stat st;
	ck_assert_int_eq(lstat(path, &st), 0);
	if (S_ISLNK(st.st_mode))
		ck_assert_int_ge((int)readlink(path, target, sizeof(target) - 1), 0);
	fprintf(to, "%s %o %u %ju %ju %" PRIx64 " %s\n", name, st.st_mode, st.st_uid,
	        (uintmax_t)st.st_ino, (uintmax_t)st.st_size,
	        S_ISREG(st.st_mode) ? hash_file(path) : 0, target);
}

char *picture(const char *dir)
{
	struct dirent **entries;
	char *text = NULL, path[PATH_MAX];
	size_t size;
	FILE *to = open_memstream(&text, &size);
	int count = scandir(dir, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
			draw_file(to, path, entries[i]->d_name);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	fclose(to);
	return text;
}

/* ---- children ---- */

int child_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s (%s)\n", file, line, condition, semundo_error());
	return line < 255 ? line : 255;
}

int in_child(int (*function)(void))
{
	int status;
	pid_t pid = fork_child();
	if (pid == 0)
		_exit(function());
	reap(pid, &status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- running ---- */

static struct {
	const char *test, *why;
} skipped[32];
static unsigned skips;

void suite_skip(const char *test, const char *why)
{
	if (skips == sizeof(skipped) / sizeof(skipped[0]))
		die("more tests are skipped than there is room for");
	skipped[skips].test = test;
	skipped[skips++].why = why;
}

TCase *suite_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);
	tcase_set_timeout(tcase, 2 * LIMIT_SECONDS);
	tcase_add_checked_fixture(tcase, fresh_directory, NULL);
	suite_add_tcase(suite, tcase);
	return tcase;
}

/* Check's own lines, then the tests that were skipped, then the plan. */
static void print_results(FILE *tap)
{
	char line[4096];
	unsigned count = 0;
	rewind(tap);
	while (fgets(line, sizeof(line), tap)) {
		if (strncmp(line, "1..", 3) == 0)
			continue;
		count += strncmp(line, "ok ", 3) == 0 || strncmp(line, "not ok ", 7) == 0;
		fputs(line, stdout);
	}
	for (unsigned i = 0; i < skips; i++)
		printf("ok %u - %s # SKIP %s\n", ++count, skipped[i].test, skipped[i].why);
	printf("1..%u\n", count);
}

int suite_run(Suite *suite)
{
	char path[64];
	SRunner *runner = srunner_create(suite);
	int fd = memfd_create("tap", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	make_top();
	srunner_set_tap(runner, path);
	srunner_run_all(runner, CK_SILENT);
	FILE *tap = fopen(path, "r");
	if (!tap)
		die("the results cannot be read: %s", strerror(errno));
	print_results(tap);
	fclose(tap);
	close(fd);
	int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
	srunner_free(runner);
	return failed || !run;
}
