/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is run instruction by instruction. A system call is one
 * instruction, each round of a repeated string instruction is one. The process
 * and its tracer are forked from one program, so an address means the same in
 * both.
 */
#ifndef CRASH_STEP_H
#define CRASH_STEP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The calling process asks to be traced; then it stops at a BREAKPOINT(). */
void step_me(void);

#if defined(__x86_64__)
#define BREAKPOINT() __asm__ __volatile__("int3" ::: "memory")
#else
#define BREAKPOINT() raise(SIGTRAP)
#endif

/* Waits for that stop; false: the process ended before it. */
bool step_begin(pid_t pid);

uint64_t step_pc(pid_t pid);

enum stepped { STEPPED, SLEEPS, OVER };

/* Executes one instruction. SLEEPS: it is a system call in which the process
 * sleeps; step_wake() waits for its end. OVER: the process has ended. */
enum stepped step_one(pid_t pid, bool *ret_is_call);
enum stepped step_wake(pid_t pid);

/* Runs at full speed to the address, which it is to reach `hits` times (now
 * counts, if it is there). OVER: it ended or did something else. SLEEPS: it
 * sleeps before that. */
enum stepped step_run_to(pid_t pid, uint64_t pc, unsigned hits);

/* Whether step_run_to() can stop at that address. */
bool step_can_stop_at(uint64_t pc);

/* Lets it go on, untraced. */
bool step_release(pid_t pid);

/* Whether the process sleeps in a system call. */
bool is_asleep(pid_t pid);

/* The three words of its robust list (get_robust_list(2)), through which its
 * death rings the alarm. */
void step_robust_list(pid_t pid, uint64_t ret[3]);

#endif
