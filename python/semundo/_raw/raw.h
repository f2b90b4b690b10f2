/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the extension module semundo._raw share: the system's own
 * calls, as they are.
 *
 *   module.c      the module, put together from its parts
 *   constants.c   the numbers with a name
 *   common.c      arguments, time limits, failures, struct ipc_perm
 *   sysv_sem.c    semget, semop, semtimedop, semctl, ftok
 *   sysv_msg.c    msgget, msgsnd, msgrcv, msgctl
 *   sysv_shm.c    shmget, shmat, shmdt, shmctl
 *   posix_sem.c   _PosixSem: sem_open and what belongs to it
 *
 * It needs nothing of libsemundo. What belongs to one interpreter is in the
 * module's state, never in a C global, so that subinterpreters work.
 */
#ifndef SEMUNDO_RAW_H
#define SEMUNDO_RAW_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <time.h>

struct raw_state {
	PyObject *perm_type, *semid_type, *msqid_type, *shmid_type; /* tuples with names */
	PyObject *attachment_type, *sem_type;
};

static inline struct raw_state *raw_state(PyObject *module)
{
	return (struct raw_state *)PyModule_GetState(module);
}

/* A method that takes keyword arguments. */
#define KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

/* ---- parts; 0, or -1 with an exception ---- */

int raw_add_common(PyObject *module);
int raw_add_constants(PyObject *module);
int raw_add_sysv_sem(PyObject *module);
int raw_add_sysv_msg(PyObject *module);
int raw_add_sysv_shm(PyObject *module);
int raw_add_posix_sem(PyObject *module);

/* ---- types ---- */

/* Adds a type to the module under the last word of its name. A new reference,
 * or null: type may be null with an exception. */
PyObject *raw_add_type(PyObject *module, const char *name, PyObject *type);

/* One of a type with named fields; takes over the tuple, which may be null. */
PyObject *raw_struct(PyObject *type, PyObject *values);

/* ---- arguments ---- */

/* A whole number from min to max. OverflowError, TypeError: -1. */
int raw_int(PyObject *value, const char *what, long long min, long long max, long long *ret);

/* A converter ("O&") for keys: the 32 bits, with or without their sign. */
int raw_key(PyObject *value, void *ret_key);

/* ---- time limits ---- */

struct limit {
	bool timed;
	struct timespec deadline; /* CLOCK_MONOTONIC */
};

/* Seconds from now; None: no limit. ValueError (negative, nan), TypeError: -1. */
int raw_limit(struct limit *ret, PyObject *timeout);

/* The time that is left, 0 or more; null: no limit. */
const struct timespec *raw_left(const struct limit *limit, struct timespec *left);

/* ---- failures ---- */

struct hint {
	int code;         /* errno; 0 ends a list */
	const char *text; /* what it means here */
};

/* Raises the OSError for errno: what was tried (a format), and the hint for it,
 * else the system's word. Returns null. */
PyObject *raw_fail(const struct hint *hints, const char *format, ...);

/* A wait that returned -1: 0 if it was a signal whose handlers are done, so that
 * the wait goes on; -1 with an exception of a handler; 1: another errno. */
int raw_interrupted(void);

/* ---- struct ipc_perm ---- */

PyObject *raw_perm(PyObject *module, const struct ipc_perm *perm);

/*
 * The argument of IPC_SET: a dict with some of uid, gid, mode (and extra, if it
 * is not null), or what IPC_STAT gives: an object with the attribute `perm`
 * that has all three, and extra. known: *ret is how they are now; else all must
 * be given. 0, or -1 with an exception.
 */
int raw_set(PyObject *arg, bool known, const char *perm, struct ipc_perm *ret,
            const char *extra, unsigned long *ret_extra);

#endif
