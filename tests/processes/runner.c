/* SPDX-License-Identifier: Apache-2.0 */
/* Trials, their directories and results. */
#include "common.h"

#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define TRIALS_MAX 64
#define REASON_MAX 200

/* Shared by the runner and the processes that Check runs trials in. */
static struct {
	unsigned current; /* that runs */
	char skipped[TRIALS_MAX][REASON_MAX];
} *board;

char directory[64];
static pid_t runner;

uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

void pause_ns(uint64_t ns)
{
	const struct timespec ts = { (time_t)(ns / SEC), (long)(ns % SEC) };
	nanosleep(&ts, NULL);
}

void *shared_memory(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		abort();
	return map;
}

const char *in_directory(const char *file)
{
	static char path[2][512];
	static unsigned turn;
	char *p = path[turn++ % 2];
	snprintf(p, sizeof(path[0]), "%s/%s", directory, file);
	return p;
}

/* ---- the directory ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void make_directory(void)
{
	board->current++;
	strcpy(directory, "/dev/shm/semundo-processes.XXXXXX");
	if (!mkdtemp(directory))
		abort();
	setenv("SEMUNDO_DIR", directory, 1);
}

static void remove_directory(void)
{
	if (*directory && getpid() == runner)
		nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	*directory = '\0';
}

/* nftw() in a handler is not allowed; in a program that ends it does no harm
 * that matters more than files left behind. */
static void on_end(int number)
{
	remove_directory();
	signal(number, SIG_DFL);
	raise(number);
}

/* Processes end in all ways here, and some where the search for leaks cannot
 * run (PID namespaces). Read by the run-time library of sanitizers only. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- results ---- */

void skip(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(board->skipped[board->current - 1], REASON_MAX, format, args);
	va_end(args);
	_exit(0);
}

void need_root(void)
{
	if (geteuid() != 0)
		skip("needs root");
}

void note(const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDOUT_FILENO, "# %s\n", text);
}

static void print_result(unsigned number, TestResult *result)
{
	const char *skipped = board->skipped[number];
	bool ok = tr_rtype(result) == CK_PASS;
	printf("%sok %u - %s", ok ? "" : "not ", number + 1, tr_tcname(result));
	if (ok && *skipped)
		printf(" # SKIP skipped: %s", skipped);
	putchar('\n');
	if (!ok)
		printf("# %s:%d: %s\n", tr_lfile(result) ? tr_lfile(result) : "?", tr_lno(result),
		       tr_msg(result));
}

static int report(SRunner *runner_of_all)
{
	int ran = srunner_ntests_run(runner_of_all);
	TestResult **results = srunner_results(runner_of_all);
	printf("1..%d\n", ran);
	for (int i = 0; i < ran; i++)
		print_result((unsigned)i, results[i]);
	free(results);
	return srunner_ntests_failed(runner_of_all) != 0 || ran == 0;
}

/* Each has a directory, so each has a test case of Check. */
static void add_trial(Suite *suite, const struct trial *trial, int time)
{
	TCase *one = tcase_create(trial->title);
	tcase_add_unchecked_fixture(one, make_directory, remove_directory);
	tcase_set_timeout(one, 100);
	tcase_add_loop_test(one, *trial->test, time, time + 1);
	suite_add_tcase(suite, one);
}

int run_trials(const char *name, const struct trial *trials, size_t count)
{
	Suite *suite = suite_create(name);
	for (size_t i = 0; i < count; i++)
		for (int time = 0; time < (trials[i].times ? trials[i].times : 1); time++)
			add_trial(suite, &trials[i], time);
	board = shared_memory(sizeof(*board));
	runner = getpid();
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	signal(SIGHUP, on_end);
	SRunner *all = srunner_create(suite);
	srunner_run_all(all, CK_SILENT);
	int status = report(all);
	srunner_free(all);
	return status;
}
