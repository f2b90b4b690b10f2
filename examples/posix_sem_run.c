/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: posix_sem_run NAME UNITS COMMAND...
 *        posix_sem_run --value NAME
 *        posix_sem_run --unlink NAME
 * What `semundo run` does, with a POSIX semaphore: takes a unit, runs the
 * command, gives the unit back, exits as the command did. It is here to show
 * the problem: killed by SIGKILL it gives nothing back, and nobody can know.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what, const char *name)
{
	fprintf(stderr, "posix_sem_run: %s '%s': %s\n", what, name, strerror(errno));
	return 125;
}

static int run(char **command)
{
	int status;
	pid_t pid = fork();
	if (pid < 0)
		return fail("cannot start", command[0]);
	if (pid == 0) {
		execvp(command[0], command);
		_exit(errno == ENOENT ? 127 : 126);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("cannot wait for", command[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int hold_and_run(const char *name, unsigned units, char **command)
{
	sem_t *sem = sem_open(name, O_CREAT, 0600, units);
	if (sem == SEM_FAILED)
		return fail("cannot open", name);
	while (sem_wait(sem) < 0)
		if (errno != EINTR)
			return fail("cannot wait for", name);
	int status = run(command); /* SIGKILL here: sem_post never happens */
	sem_post(sem);
	sem_close(sem);
	return status;
}

static int print_value(const char *name)
{
	int value;
	sem_t *sem = sem_open(name, 0);
	if (sem == SEM_FAILED)
		return fail("cannot open", name);
	sem_getvalue(sem, &value);
	printf("%d\n", value);
	sem_close(sem);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--value"))
		return print_value(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--unlink"))
		return sem_unlink(argv[2]) < 0 ? fail("cannot remove", argv[2]) : 0;
	if (argc >= 4)
		return hold_and_run(argv[1], (unsigned)strtoul(argv[2], NULL, 10), argv + 3);
	fprintf(stderr, "usage: posix_sem_run NAME UNITS COMMAND...\n");
	return 125;
}
