/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper holds units for another process, usually a shell: until that one
 * ends, or until it is told to give them back. It is told by KEEPER_SIGNAL with
 * the number of units, sent through a pidfd, and answers with the same signal
 * and a result, or by ending when it holds nothing any more.
 */
#ifndef SEMUNDO_CLI_KEEPER_H
#define SEMUNDO_CLI_KEEPER_H

#include <semundo.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#define KEEPER_SIGNAL SIGRTMIN
#define KEEPER_NAME "semundo-keeper" /* as in /proc/PID/comm */

/* What it answers to `semundo acquire`. */
struct keeper_answer {
	int result; /* of semundo_acquire_with() */
	char sentence[640];
};

struct keeper_task {
	semundo_t *sem;
	unsigned units;
	const struct semundo_wait *wait;
	pid_t for_pid;
	int pidfd;  /* of for_pid */
	int answer; /* pipe to write the answer to */
	pid_t parent;
};

/* Runs in the forked child; does not return. */
void keeper_main(struct keeper_task *task) __attribute__((noreturn));

/* A pidfd of a keeper of ours that holds for that process, or -1 if the peer is
 * none. */
int keeper_find(const struct semundo_peer *peer, pid_t for_pid);

/* Tells it, and waits until it has done so. 0 or a negative errno:
 * -ETIMEDOUT if it does not answer. */
int keeper_tell(int pidfd, unsigned units);

#endif
