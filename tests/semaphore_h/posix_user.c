/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that knows POSIX only. Does what the lines of its input say and
 * answers each with a line: "ok", a number, or the name of an errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef OLD_VERSIONS
/* As programs linked before glibc 2.34 ask for them. */
__asm__(".symver sem_open,sem_open@GLIBC_2.2.5");
__asm__(".symver sem_wait,sem_wait@GLIBC_2.2.5");
__asm__(".symver sem_trywait,sem_trywait@GLIBC_2.2.5");
__asm__(".symver sem_timedwait,sem_timedwait@GLIBC_2.2.5");
__asm__(".symver sem_post,sem_post@GLIBC_2.2.5");
__asm__(".symver sem_getvalue,sem_getvalue@GLIBC_2.2.5");
__asm__(".symver sem_close,sem_close@GLIBC_2.2.5");
__asm__(".symver sem_unlink,sem_unlink@GLIBC_2.2.5");
#endif

static sem_t *sem, memory;

static int result(int r)
{
	puts(r == 0 ? "ok" : strerrorname_np(errno));
	return 0;
}

static int open_one(char *text)
{
	const char *name = strtok(text, " "), *value = strtok(NULL, " ");
	int flags = value ? O_CREAT : 0;
	if (strtok(NULL, " "))
		flags |= O_EXCL;
	sem_t *found = sem_open(name, flags, 0600, value ? (unsigned)atoi(value) : 0);
	if (found == SEM_FAILED)
		return result(-1);
	sem = found;
	return result(0);
}

static int value(void)
{
	int v;
	if (sem_getvalue(sem, &v))
		return result(-1);
	printf("%d\n", v);
	return 0;
}

static int timed_wait(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 60;
	return result(sem_timedwait(sem, &ts));
}

/* In a child: the line that follows. Its end is waited for. */
static int in_child(pid_t pid, int (*what)(sem_t *))
{
	int status;
	if (pid == 0)
		_exit(what(sem) ? 1 : 0);
	waitpid(pid, &status, 0);
	return result(status ? -1 : 0);
}

static int nothing(sem_t *s)
{
	(void)s;
	return 0;
}

static int do_line(char *line)
{
	if (strncmp(line, "open ", 5) == 0)
		return open_one(line + 5);
	if (strncmp(line, "unlink ", 7) == 0)
		return result(sem_unlink(line + 7));
	if (strcmp(line, "wait") == 0)
		return result(sem_wait(sem));
	if (strcmp(line, "timedwait") == 0)
		return timed_wait();
	if (strcmp(line, "trywait") == 0)
		return result(sem_trywait(sem));
	if (strcmp(line, "post") == 0)
		return result(sem_post(sem));
	if (strcmp(line, "close") == 0)
		return result(sem_close(sem));
	if (strcmp(line, "value") == 0)
		return value();
	if (strcmp(line, "init") == 0) {
		sem = &memory;
		return result(sem_init(&memory, 0, 1));
	}
	if (strcmp(line, "vfork") == 0)
		return in_child(vfork(), nothing);
	if (strcmp(line, "fork post") == 0)
		return in_child(fork(), sem_post);
	if (strcmp(line, "fork exit") == 0)
		return in_child(fork(), nothing);
	if (strcmp(line, "_exit") == 0)
		_exit(0);
	exit(strcmp(line, "exit") ? 2 : 0);
}

int main(void)
{
	char line[256];
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		do_line(line);
	}
	return 0;
}
