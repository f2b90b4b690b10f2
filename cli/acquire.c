/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "keeper.h"

static struct {
	unsigned units;
	struct patience patience;
	int for_pid;
	bool verbose;
} given = { .units = 1, .patience = PATIENCE_INIT };

#define AT(member) offsetof(__typeof__(given), member)
static const struct option_row rows[] = {
	{ 'n', "units", "UNITS", OPTION_COUNT, AT(units), "how many (default: 1)" },
	PATIENCE_ROWS(__typeof__(given), patience),
	{ 0, "for", "PID", OPTION_PID, AT(for_pid),
	  "hold until that process ends (default: the one that runs semundo)" },
	{ 'v', "verbose", NULL, OPTION_FLAG, AT(verbose), "tell about failures and deaths" },
	{ 0, NULL, NULL, OPTION_FLAG, 0, NULL },
};

static int finish(int r)
{
	if (r < 0)
		return fail_acquire(r, &given.patience, given.verbose);
	if (r > 0 && given.verbose)
		note("a holder died; what it worked on may be half done");
	return STATUS_OK;
}

/* Of a signal nothing is held. */
static int take_signal(semundo_t *sem, const struct semundo_wait *wait)
{
	return finish(semundo_acquire_with(sem, given.units, wait));
}

static int read_answer(int fd, pid_t keeper)
{
	struct keeper_answer said = { .result = -EIO };
	ssize_t n;
	do
		n = read(fd, &said, sizeof(said));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(said))
		return fail(STATUS_TEMPORARY, "keeper process %d ended while it waited", (int)keeper);
	if (said.result >= 0)
		return finish(said.result);
	if (said.result != -EAGAIN && said.result != -ETIMEDOUT)
		return fail(status_of(said.result), "%s", said.sentence);
	if (given.verbose)
		note("%s", said.sentence);
	return given.patience.busy_status;
}

static int hold(semundo_t *sem, const struct semundo_wait *wait)
{
	struct keeper_task task = { .sem = sem, .units = given.units, .wait = wait };
	pid_t keeper;
	int answer;
	task.for_pid = given.for_pid ? given.for_pid : getppid();
	int status = keeper_start(&task, &keeper, &answer);
	if (status)
		return status;
	status = read_answer(answer, keeper);
	close(answer);
	if (status)
		waitpid(keeper, NULL, 0);
	return status;
}

/* A signal, or another kind. Nothing is asked that opens further files: the
 * keeper closes all it inherits. */
static int open_kind(semundo_t **ret, const char *name, bool *ret_is_signal)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	options.kind = SEMUNDO_SIGNAL;
	int r = semundo_open(ret, name, 0, &options);
	*ret_is_signal = r == 0;
	if (r == -EPROTOTYPE)
		return open_existing(ret, name, 0, 0);
	return r ? fail_library(r) : STATUS_OK;
}

static int acquire(int count, char **names)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	struct timespec deadline;
	semundo_t *sem;
	bool is_signal;
	(void)count;
	int status = open_kind(&sem, names[0], &is_signal);
	if (status)
		return status;
	prepare_wait(&given.patience, &wait, &deadline);
	status = is_signal ? take_signal(sem, &wait) : hold(sem, &wait);
	semundo_close(sem);
	return status;
}

const struct verb verb_acquire = {
	"acquire", "NAME", "Acquire units for the calling shell, until it ends or releases them",
	rows, &given, 1, 1, 0, acquire,
};
