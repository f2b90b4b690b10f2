/* SPDX-License-Identifier: Apache-2.0 */
/* Holds a unit, dies with another, and is told: as an installed user would. */
#include <errno.h>
#include <semundo.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int check(const char *what, int got, int wanted)
{
	if (got == wanted)
		return 0;
	fprintf(stderr, "%s: %d instead of %d: %s\n", what, got, wanted, semundo_error());
	return 1;
}

/* Ends with a unit in hand. */
static int child(semundo_t *sem)
{
	_exit(semundo_acquire(sem, 1) == 0 ? 0 : 1);
}

static int use(semundo_t *sem)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		child(sem);
	if (waitpid(pid, &status, 0) != pid || check("the child", status, 0))
		return 1;
	if (check("acquire after a death", semundo_acquire(sem, 2), 1))
		return 1;
	if (check("acquire of too many", semundo_try_acquire(sem, 1), -EAGAIN))
		return 1;
	return check("release", semundo_release(sem, 2), 0);
}

int main(void)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *sem = NULL;
	options.capacity = 2;
	if (check("open", semundo_open(&sem, "installed", SEMUNDO_CREATE, &options), 0))
		return 1;
	if (use(sem) || check("unlink", semundo_unlink("installed", NULL), 0))
		return 1;
	semundo_close(sem);
	printf("semundo %s\n", semundo_version());
	return 0;
}
