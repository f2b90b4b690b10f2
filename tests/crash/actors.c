/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a trial: started, told what to do, waited for. */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"

#define LOOK_EVERY (1 * MSEC)

uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

bool fail(struct trial *t, const char *format, ...)
{
	struct outcome *o = t->outcome;
	size_t used = strlen(o->failure);
	va_list args;
	va_start(args, format);
	if (used && used + 2 < sizeof(o->failure)) {
		strcpy(o->failure + used, "; ");
		used += 2;
	}
	vsnprintf(o->failure + used, sizeof(o->failure) - used, format, args);
	va_end(args);
	o->failed = 1;
	return false;
}

pid_t fork_child(void)
{
	pid_t parent = getpid();
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		perror("fork");
		_exit(2);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(2);
	}
	return pid;
}

void reap(pid_t pid)
{
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

void start_actor(struct trial *t, int who, void (*body)(struct trial *t, struct actor *a))
{
	struct actor *a = &t->actor[who];
	memset(a, 0, sizeof(*a));
	pid_t pid = fork_child();
	if (pid == 0) {
		body(t, a);
		_exit(0);
	}
	a->pid = pid;
}

void stop_actor(struct trial *t, int who)
{
	struct actor *a = &t->actor[who];
	if (a->pid <= 0)
		return;
	kill(a->pid, SIGKILL);
	reap(a->pid);
	a->pid = 0;
}

static void futex_wait(uint32_t *word, uint32_t expected, uint64_t ns)
{
	const struct timespec ts = { (time_t)(ns / SEC), (long)(ns % SEC) };
	syscall(SYS_futex, word, FUTEX_WAIT, expected, &ts, NULL, 0);
}

static void raise_word(uint32_t *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1000, NULL, NULL, 0);
}

void give_order(struct actor *a)
{
	raise_word(&a->order);
}

void report(struct actor *a, int result)
{
	a->result = result;
	raise_word(&a->stage);
}

void await_order(struct actor *a, uint32_t number)
{
	uint32_t now;
	while ((now = __atomic_load_n(&a->order, __ATOMIC_SEQ_CST)) < number)
		futex_wait(&a->order, now, SEC);
}

static const char *const names[] = { "waiter", "victim", "second victim", "dead one",
	                             "newcomer" };

static bool has_ended(struct trial *t, int who)
{
	int status;
	struct actor *a = &t->actor[who];
	if (waitpid(a->pid, &status, WNOHANG) != a->pid)
		return false;
	a->pid = 0;
	fail(t, "the %s ended with status 0x%x", names[who], (unsigned)status);
	return true;
}

bool await_stage(struct trial *t, int who, uint32_t stage)
{
	struct actor *a = &t->actor[who];
	uint64_t end = now_ns() + PATIENCE;
	for (;;) {
		uint32_t now = __atomic_load_n(&a->stage, __ATOMIC_SEQ_CST);
		if (now >= stage)
			return true;
		if (has_ended(t, who))
			return false;
		if (now_ns() > end)
			return fail(t, "the %s does not go on", names[who]);
		futex_wait(&a->stage, now, LOOK_EVERY);
	}
}

bool await_sleep(struct trial *t, int who)
{
	struct actor *a = &t->actor[who];
	uint64_t end = now_ns() + PATIENCE;
	while (!(has_flag(t) && is_asleep(a->pid))) {
		if (has_ended(t, who))
			return false;
		if (__atomic_load_n(&a->stage, __ATOMIC_SEQ_CST))
			return fail(t, "the %s did not have to wait: it got %d", names[who], a->result);
		if (now_ns() > end)
			return fail(t, "the %s does not go to sleep", names[who]);
		sched_yield();
	}
	return true;
}
