/* SPDX-License-Identifier: Apache-2.0 */
/* semundo-tracker: options, and the loop. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <semundo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "platform/system.h"
#include "report.h"
#include "tracker.h"

#define EXIT_USAGE 64 /* EX_USAGE */
#define ENDED_AT_ONCE 64
#define DYING_MS 2000 /* from closing its descriptors to being dead, on a busy machine */
#define CHUNK JOURNAL_RAW_MOST

struct options {
	const char *directory; /* null: the default */
	int input;
	int ready; /* -1: nobody wants to know */
};

/* ---- reading ------------------------------------------------------------------------ */

static void read_raw(void *arg, const char *bytes, size_t length, int64_t time, bool seen)
{
	struct tracker *tracker = arg;
	(void)seen;
	tracker->now = time;
	tracker_bytes(tracker, bytes, length);
}

/* Without the journal, or where bytes cannot be moved there. */
static ssize_t take_by_reading(struct tracker *tracker, int input)
{
	char bytes[CHUNK];
	ssize_t n = read(input, bytes, sizeof(bytes));
	if (n < 0)
		return -errno;
	read_raw(tracker, bytes, (size_t)n, time(NULL), false);
	int r = n ? journal_raw(&tracker->journal, bytes, (size_t)n) : 0;
	if (r)
		tracker_journal_failed(tracker, r);
	return n;
}

static ssize_t take_once(struct tracker *tracker, int input)
{
	static bool cannot_move, failed;
	const struct journal_reader reader = { read_raw, NULL, tracker };
	if (tracker->journal.fd < 0 || tracker->journal.given_up || cannot_move)
		return take_by_reading(tracker, input);
	ssize_t n = journal_take(&tracker->journal, input, &reader);
	cannot_move = n == -ENOTSUP;
	if (n >= 0 || n == -EAGAIN || cannot_move) {
		failed = false;
		return cannot_move ? -ECANCELED : n;
	}
	if (failed)
		journal_give_up(&tracker->journal);
	else
		tracker_journal_failed(tracker, (int)n);
	failed = true;
	return -ECANCELED; /* and now again, with the journal or without it */
}

/* Nobody can write any more. */
static bool has_hung_up(int input)
{
	struct pollfd polled = { input, POLLIN, 0 };
	return poll(&polled, 1, 0) > 0 && (polled.revents & POLLHUP);
}

/* All that is in the pipe now, and its end, which comes before the death of the
 * last process; not what is added meanwhile, without end perhaps. Does not block:
 * read(2) is called where there is something, or the end. */
static void take(struct tracker *tracker, int input, bool has_input)
{
	int pending = 0;
	ssize_t n = -EAGAIN, taken = 0;
	if (ioctl(input, FIONREAD, &pending) < 0)
		pending = 0;
	if (!pending && !has_input)
		return;
	do {
		n = take_once(tracker, input);
		taken += n > 0 ? n : 0;
	} while ((n > 0 || n == -ECANCELED || n == -EINTR) &&
	         (taken < pending || has_hung_up(input)));
	if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR && n != -ECANCELED)) {
		if (n < 0)
			say("cannot read the input: %s", strerror((int)-n));
		tracker_end_of_input(tracker);
		watch_no_input(input);
	}
}

/* ---- the loop --------------------------------------------------------------------------- */

/* Somebody who has not registered with the program, or no longer has its pipe,
 * uses some names. Who reads standard error must not wait for that. */
static void linger(void)
{
	struct stat st;
	say("some names are still in use; they go when that ends");
	say_the_rest();
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fstat(STDERR_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		dup2(null, STDERR_FILENO);
	if (null >= 0)
		close(null);
}

static void look_for_deaths(struct tracker *tracker, int limit, bool *ret_input)
{
	struct watched *ended[ENDED_AT_ONCE];
	size_t n = watch_wait(limit, ret_input, ended, ENDED_AT_ONCE);
	for (size_t i = 0; i < n; i++)
		tracker_ended(tracker, ended[i]);
}

static void serve(struct tracker *tracker, int input)
{
	bool lingering = false;
	while (!tracker->input_ended || !TAILQ_EMPTY(&tracker->table.entries)) {
		bool has_input = false, dying = tracker->input_ended && !lingering;
		if (!tracker->any_ended)
			look_for_deaths(tracker, dying ? DYING_MS : -1, &has_input);
		if (dying && !tracker->any_ended) {
			lingering = true;
			linger();
		}
		if (!tracker->input_ended && (has_input || tracker->any_ended))
			take(tracker, input, has_input);
		if (tracker->any_ended)
			tracker_bury(tracker);
		tracker_settle(tracker);
		if (journal_is_long(&tracker->journal)) {
			int r = tracker_rewrite(tracker);
			if (r)
				tracker_journal_failed(tracker, r);
		}
	}
}

/* ---- the beginning ------------------------------------------------------------------------ */

static void ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ };
	struct sigaction action = { .sa_handler = SIG_IGN };
	sigset_t none;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		sigaction(ignored[i], &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Nobody waits for the end of what this process has no use for. */
static int leave_descriptors(const struct options *options)
{
	int null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -errno;
	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++)
		if (fd != options->input && fd != options->ready && fd != null)
			dup2(null, fd);
	system_close_others(options->input, options->ready);
	return 0;
}

/* False: another tracker reads this pipe. Without a journal it goes on, and says so. */
static bool open_journal(struct tracker *tracker, const char *directory, const struct stat *input)
{
	char path[JOURNAL_PATH], why[256] = "";
	if (!S_ISFIFO(input->st_mode))
		return true;
	journal_path(path, directory, (uint64_t)input->st_ino);
	int r = journal_open(&tracker->journal, path, true, why, sizeof(why));
	if (r == -EBUSY)
		return false;
	if (r)
		say("cannot use '%s' (%s): should this process be killed, all that is registered is "
		    "forgotten",
		    path, why);
	else if (tracker->journal.fresh)
		note_begin(tracker);
	else
		tracker_replay(tracker);
	return true;
}

static void tell_ready(int ready)
{
	if (ready < 0)
		return;
	if (write(ready, "1", 1) < 0)
		say("cannot tell that this process is ready: %s", strerror(errno));
	close(ready);
}

static int track(const struct options *options)
{
	static struct tracker tracker;
	struct stat input;
	char *directory = options->directory ? strdup(options->directory) : NULL;
	if (fstat(options->input, &input) < 0 || (!directory && semundo_directory(&directory))) {
		say("cannot use descriptor %d: %s", options->input, strerror(errno));
		return EXIT_USAGE;
	}
	tracker_init(&tracker);
	int r = watch_input(options->input);
	if (r) {
		say("cannot wait for descriptor %d: %s", options->input, strerror(-r));
		return EXIT_USAGE;
	}
	if (!open_journal(&tracker, directory, &input)) {
		free(directory);
		return EXIT_SUCCESS;
	}
	tell_ready(options->ready);
	tracker_watch_all(&tracker);
	if (tracker.journal.fd >= 0 && tracker.journal.fresh)
		adopt_orphans(directory, tracker.journal.path, tracker.namespace);
	serve(&tracker, options->input);
	say_the_rest();
	journal_remove(&tracker.journal);
	free(directory);
	return tracker_status(&tracker);
}

/* ---- options ------------------------------------------------------------------------------- */

static const char usage[] =
	"usage: semundo-tracker [options] DESCRIPTOR\n"
	"\n"
	"Reads from DESCRIPTOR which names a program and its child processes use, and\n"
	"removes those that nobody uses any more. Programs start it; see\n"
	"semundo-tracker(1).\n"
	"\n"
	"  -d, --directory DIR      where its journal is (default: $SEMUNDO_DIR, /dev/shm)\n"
	"  -r, --ready DESCRIPTOR   gets a byte when what is written is kept\n"
	"  -h, --help               this text\n"
	"  -V, --version            the version\n";

static bool parse_descriptor(const char *text, int *ret)
{
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (errno || *end || end == text || number < 0 || number > 1 << 20 ||
	    fcntl((int)number, F_GETFD) < 0) {
		say("'%s' is no open descriptor", text);
		return false;
	}
	*ret = (int)number;
	return true;
}

/* 0; else the exit status plus 1. */
static int parse(int argc, char **argv, struct options *ret)
{
	static const struct option longer[] = {
		{ "directory", required_argument, NULL, 'd' },
		{ "ready", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	for (int c; (c = getopt_long(argc, argv, "d:r:hV", longer, NULL)) != -1;)
		switch (c) {
		case 'd':
			ret->directory = optarg;
			break;
		case 'r':
			if (!parse_descriptor(optarg, &ret->ready))
				return EXIT_USAGE + 1;
			break;
		case 'h':
			return fputs(usage, stdout) < 0 ? EXIT_FAILURE + 1 : EXIT_SUCCESS + 1;
		case 'V':
			return printf("semundo-tracker %s\n", semundo_version()) < 0 ?
				       EXIT_FAILURE + 1 : EXIT_SUCCESS + 1;
		default:
			return EXIT_USAGE + 1;
		}
	if (optind + 1 == argc && parse_descriptor(argv[optind], &ret->input))
		return 0;
	if (optind + 1 != argc)
		say("one descriptor is needed; see --help");
	return EXIT_USAGE + 1;
}

int main(int argc, char **argv)
{
	struct options options = { .directory = NULL, .input = -1, .ready = -1 };
	int r = parse(argc, argv, &options);
	if (r)
		return r - 1;
	ignore_signals();
	system_leave_semaphores();
	r = leave_descriptors(&options);
	if (r) {
		say("cannot open /dev/null: %s", strerror(-r));
		return EXIT_USAGE;
	}
	return track(&options);
}
