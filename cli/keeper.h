/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contract: a keeper holds units for another process, usually a shell, until
 * that one ends, or until it is told to give them back. Without the native
 * engine there are none (keeper_absent.c).
 */
#ifndef SEMUNDO_CLI_KEEPER_H
#define SEMUNDO_CLI_KEEPER_H

#include <semundo.h>
#include <sys/types.h>

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
};

/* Starts one, which acquires the units, writes its answer to the pipe and goes
 * on if it has them. Returns a status; tells what failed. */
int keeper_start(const struct keeper_task *task, pid_t *ret_keeper, int *ret_answer);

/* A descriptor of a keeper of ours that holds for that process, or -1 if the peer
 * is none. */
int keeper_find(const struct semundo_peer *peer, pid_t for_pid);

/* Tells it, and waits until it has done so. 0 or a negative errno:
 * -ETIMEDOUT if it does not answer. */
int keeper_tell(int keeper, unsigned units);

#endif
