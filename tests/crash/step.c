/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define VDSO_BYTES 0x8000u

/* ---- this machine ------------------------------------------------------- */

#if defined(__x86_64__)

#define SYSCALL_INSTRUCTION 0x050f
#define REGISTER(name) offsetof(struct user, regs.name)
#define BREAKPOINT_BYTES 1u /* by which int3 moves the counter */

uint64_t step_pc(pid_t pid)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, REGISTER(rip), 0);
}

static void set_pc(pid_t pid, uint64_t pc)
{
	ptrace(PTRACE_POKEUSER, pid, REGISTER(rip), pc);
}

static bool at_call(uint64_t pc)
{
	uint16_t code;
	memcpy(&code, (const void *)(uintptr_t)pc, sizeof(code));
	return code == SYSCALL_INSTRUCTION;
}

static bool call_may_sleep(pid_t pid)
{
	long number = ptrace(PTRACE_PEEKUSER, pid, REGISTER(rax), 0);
	return number == SYS_futex || number == SYS_futex_waitv || number == SYS_clock_nanosleep;
}

static long with_breakpoint(long code)
{
	return (code & ~0xffL) | 0xcc;
}

#elif defined(__aarch64__)

#define BREAKPOINT_BYTES 0u /* brk leaves the counter where it is */

static struct user_regs_struct registers(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };
	ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov);
	return regs;
}

uint64_t step_pc(pid_t pid)
{
	return registers(pid).pc;
}

static void set_pc(pid_t pid, uint64_t pc)
{
	(void)pid;
	(void)pc;
}

static bool at_call(uint64_t pc)
{
	uint32_t code;
	memcpy(&code, (const void *)(uintptr_t)pc, sizeof(code));
	return code == 0xd4000001;
}

static bool call_may_sleep(pid_t pid)
{
	uint64_t number = registers(pid).regs[8];
	return number == SYS_futex || number == SYS_futex_waitv || number == SYS_clock_nanosleep;
}

static long with_breakpoint(long code)
{
	return (code & ~0xffffffffL) | 0xd4200000L;
}

#else
#error "say here what a system call and a breakpoint look like"
#endif

/* ---- stops ---------------------------------------------------------------- */

void step_me(void)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
}

bool step_begin(pid_t pid)
{
	int status;
	if (waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status))
		return false;
	return ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL) == 0;
}

bool is_asleep(pid_t pid)
{
	char path[64], text[256];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *p = strrchr(text, ')');
	return p && p[1] && p[2] == 'S';
}

#define YIELDS 8 /* between two looks at whether it sleeps */

/* The next stop, or that there is none because it sleeps. */
static enum stepped next_stop(pid_t pid, bool may_sleep, int *ret_status)
{
	for (unsigned i = 1;; i++) {
		pid_t r = waitpid(pid, ret_status, __WALL | (may_sleep ? WNOHANG : 0));
		if (r == pid)
			return WIFSTOPPED(*ret_status) ? STEPPED : OVER;
		if (r < 0 && errno != EINTR)
			return OVER;
		if (i % YIELDS == 0 && is_asleep(pid))
			return SLEEPS;
		sched_yield();
	}
}

/* A stop for another signal than ours: the process gets it, and goes on. */
static enum stepped settle(pid_t pid, enum stepped s, int status)
{
	while (s == STEPPED && WSTOPSIG(status) != SIGTRAP) {
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, WSTOPSIG(status)) < 0)
			return OVER;
		s = next_stop(pid, false, &status);
	}
	return s;
}

enum stepped step_one(pid_t pid, bool *ret_is_call)
{
	int status = 0;
	bool is_call = at_call(step_pc(pid));
	bool may_sleep = is_call && call_may_sleep(pid);
	*ret_is_call = is_call;
	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
		return OVER;
	enum stepped s = next_stop(pid, may_sleep, &status);
	return settle(pid, s, status);
}

enum stepped step_wake(pid_t pid)
{
	int status = 0;
	enum stepped s = next_stop(pid, false, &status);
	return settle(pid, s, status);
}

/* ---- running to an address --------------------------------------------------
 *
 * By a breakpoint instruction in the process's own copy of the page: debug
 * registers are accepted, and then ignored, on some virtual machines.
 */

bool step_can_stop_at(uint64_t pc)
{
	uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
	return pc < vdso || pc >= vdso + VDSO_BYTES;
}

static enum stepped run_to_breakpoint(pid_t pid, uint64_t pc)
{
	int status;
	if (ptrace(PTRACE_CONT, pid, 0, 0) < 0)
		return OVER;
	enum stepped s = next_stop(pid, true, &status);
	if (s != STEPPED)
		return s;
	if (WSTOPSIG(status) != SIGTRAP || step_pc(pid) != pc + BREAKPOINT_BYTES)
		return OVER;
	set_pc(pid, pc);
	return STEPPED;
}

enum stepped step_run_to(pid_t pid, uint64_t pc, unsigned hits)
{
	bool is_call;
	errno = 0;
	long code = ptrace(PTRACE_PEEKTEXT, pid, pc, 0);
	enum stepped s = errno ? OVER : STEPPED;
	for (unsigned i = 0; i < hits && s == STEPPED; i++) {
		if (i > 0)
			s = step_one(pid, &is_call);
		if (s == STEPPED && ptrace(PTRACE_POKETEXT, pid, pc, with_breakpoint(code)) < 0)
			s = OVER;
		if (s == STEPPED)
			s = run_to_breakpoint(pid, pc);
		ptrace(PTRACE_POKETEXT, pid, pc, code);
	}
	return s;
}

bool step_release(pid_t pid)
{
	return ptrace(PTRACE_DETACH, pid, 0, 0) == 0;
}

void step_robust_list(pid_t pid, uint64_t ret[3])
{
	void *head = NULL;
	size_t length = 0;
	memset(ret, 0, 3 * sizeof(*ret));
	if (syscall(SYS_get_robust_list, pid, &head, &length) < 0 || !head)
		return;
	for (int i = 0; i < 3; i++)
		ret[i] = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (char *)head + 8 * i, 0);
}
