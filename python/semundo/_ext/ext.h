/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the extension module share.
 *
 *   module.c     the module, put together from its parts
 *   errors.c     exceptions
 *   sem.c        _Semaphore: opening, closing, acquire and release
 *   wait.c       its waits: time limits, signals, who is told of a death
 *   look.c       its value, its processes, its deaths
 *   rlock.c      _RLock
 *   cancel.c     _Cancel, a cancel token
 *   names.c      functions on names and directories
 *   semlock.c    SemLock, as in _multiprocessing
 *   semlock_open.c   its making and opening, sem_unlink
 *
 * Each part has one function that adds its types and functions to the module.
 * What belongs to one interpreter is in the module's state or in a type, never
 * in a C global, so that subinterpreters work. A type finds its module in its
 * attribute _module: PyType_GetModule() came with CPython 3.9 only.
 */
#ifndef SEMUNDO_EXT_H
#define SEMUNDO_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "semundo.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

struct ext_state {
	PyObject *errors;   /* dict: errno -> exception class */
	PyObject *error;    /* semundo.Error, for all other numbers */
	PyObject *not_held; /* semundo.NotHeldError */
	PyObject *sem_type, *cancel_type, *peer_type, *death_type;
	unsigned engine; /* of SemLocks; see semlock_open.c */
};

static inline struct ext_state *ext_state(PyObject *module)
{
	return (struct ext_state *)PyModule_GetState(module);
}

/* ---- parts; 0, or -1 with an exception ---- */

int ext_add_errors(PyObject *module);
int ext_add_cancel(PyObject *module);
int ext_add_sem(PyObject *module);
int ext_add_rlock(PyObject *module); /* after ext_add_sem() */
int ext_add_names(PyObject *module);
int ext_add_semlock(PyObject *module); /* after ext_add_look() */

/* Makes a type from its description, gives it _module and adds it to the
 * module. base may be null. A new reference, or null. */
PyObject *ext_add_type(PyObject *module, PyType_Spec *spec, PyObject *base);

/* ---- errors.c ---- */

/* Raises the exception for a negative errno of the library, with the sentence
 * of semundo_error() as its message. Returns null. */
PyObject *ext_raise(PyObject *module, int result);

/* ---- sem.c ---- */

/* Recursion of an RLock: one for all objects of a semaphore in a process. */
struct recursion;

struct sem {
	PyObject_HEAD
	semundo_t *sem;         /* null: closed, or never opened */
	uint32_t kind;
	uint32_t users;         /* threads that wait in the library */
	unsigned generation;    /* ext_forks() when users was counted */
	semundo_t *late;        /* closed with users: the last one closes it */
	uint64_t seen;          /* number of the last death that was told */
	struct recursion *recursion;
	PyObject *told;         /* dict: thread -> tuple of deaths; or null */
	PyObject *on_recover;   /* callable or null */
};

static inline struct sem *as_sem(PyObject *object)
{
	return (struct sem *)object;
}

/* A flag of _open(), beside those of semundo_open(). */
#define EXT_NO_DESCRIPTOR 0x100u

/* The module of an object whose type ext_add_type() made, or a failure of this
 * object's. A new reference, or null. */
PyObject *sem_module(PyObject *self);

/* ext_raise() for such an object. */
PyObject *sem_raise(PyObject *self, int result);

/* It is open: true. Else ValueError. */
bool sem_is_open(PyObject *self);

/* Around calls without the GIL, so that close() in another thread waits for
 * them. sem_leave() may close. */
semundo_t *sem_enter_call(struct sem *sem);
void sem_leave_call(struct sem *sem);

/* Gives units back: 0, or -1 with an exception. */
int sem_give(PyObject *self, unsigned n);

/* Forks that this process is away from the one that loaded the module; a
 * thread or a count of threads that is older is not of this process. */
unsigned ext_forks(void);

/* ---- module.c ---- */

/* Around what all interpreters share: for a few instructions, and nothing that
 * takes it again. No fork happens meanwhile. */
void ext_lock(void);
void ext_unlock(void);

/* ---- wait.c ---- */

/* Converts the arguments of acquire(blocking=True, timeout=None, *, n=1).
 * lock: a timeout of -1 means none and others below 0 are refused, as
 * threading.Lock has it; else they mean 0. */
struct limits {
	unsigned n;
	bool try_only, timed;
	struct timespec deadline;
};
int ext_limits(struct limits *ret, PyObject *const *args, Py_ssize_t nargs, PyObject *names,
               bool lock);

/* Seconds from now, or None for no limit. */
int ext_deadline(struct limits *ret, PyObject *timeout, bool lock);

/* A number of units. -1 with an exception. */
int ext_units(PyObject *value, unsigned *ret);

/* Acquires: 1, 0 (not within the limits), -1 with an exception. */
int sem_take_slowly(PyObject *self, const struct limits *limits);

/* After an acquire that returned `result` (0 or 1): keeps who died, calls
 * on_recover. 0, or -1 with an exception, and the units are back. */
int sem_tell(PyObject *self, int result, unsigned n);

/* The quick case of it, for every acquire. */
static inline int sem_told(PyObject *self, int result, unsigned n)
{
	return LIKELY(result == 0 && !as_sem(self)->told) ? 0 : sem_tell(self, result, n);
}

/* Acquires one unit without limit: 0, or -1 with an exception. */
int sem_take(PyObject *self);

extern PyMethodDef sem_wait_methods[];

/* ---- look.c ---- */

int ext_add_look(PyObject *module); /* before ext_add_sem() */

/* The deaths after that number, newest first, as a tuple. */
PyObject *sem_deaths(PyObject *self, uint64_t since);

/* The attribute `recovered`. */
PyObject *sem_get_recovered(PyObject *self, void *unused);

extern PyMethodDef sem_look_methods[];
extern PyGetSetDef sem_getset[];

/* ---- rlock.c ---- */

struct recursion *recursion_get(semundo_t *sem);
void recursion_put(struct recursion *recursion);

/* ---- semlock.c ---- */

enum { SEMLOCK_RECURSIVE = 0, SEMLOCK_SEMAPHORE = 1 };
#define SEMLOCK_MAX 2147483647

struct shared_handle;

/* The waits of wait.c are for it too. It is never closed before it is freed. */
struct semlock {
	struct sem base;
	struct shared_handle *handle;
	PyObject *name;      /* str, or null */
	int kind, maxvalue;
	bool unbound;        /* the library does not know maxvalue */
	long count;          /* acquires less releases of this process */
	unsigned long owner; /* the latest thread that acquired */
	unsigned generation; /* ext_forks() when count was counted */
};

static inline struct semlock *as_semlock(PyObject *object)
{
	return (struct semlock *)object;
}

/* ---- semlock_open.c ---- */

PyObject *semlock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
PyObject *semlock_rebuild(PyObject *type, PyObject *args);
PyObject *semlock_open_fd(PyObject *type, PyObject *args);
void semlock_close(struct semlock *self);
int ext_add_semlock_functions(PyObject *module);

/* ---- cancel.c ---- */

/* The token in a _Cancel; null with an exception if it is none. */
semundo_cancel_t *cancel_token(PyObject *module, PyObject *object);

#endif
