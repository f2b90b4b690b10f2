/* SPDX-License-Identifier: Apache-2.0 */
/* Waits: time limits, signals, and who is told of a death. */
#include "ext.h"

#include <errno.h>
#include <math.h>
#include <time.h>

/* ---- arguments ---- */

int ext_units(PyObject *value, unsigned *ret)
{
	PyObject *index = PyNumber_Index(value);
	int overflow = 0;
	long n = index ? PyLong_AsLongAndOverflow(index, &overflow) : -1;
	Py_XDECREF(index);
	if (n == -1 && PyErr_Occurred())
		return -1;
	if (overflow || n < 1 || n > INT32_MAX) {
		PyErr_Format(PyExc_ValueError, "n must be 1 or more units, not %R", value);
		return -1;
	}
	*ret = (unsigned)n;
	return 0;
}

/* More than this many seconds is no limit. */
#define LIMIT_MAX 1e9

static int seconds(PyObject *timeout, double *ret)
{
	*ret = PyFloat_AsDouble(timeout);
	if (*ret == -1.0 && PyErr_Occurred())
		return -1;
	if (!isnan(*ret))
		return 0;
	PyErr_SetString(PyExc_ValueError, "a timeout must be a number, not nan");
	return -1;
}

static void set_deadline(struct limits *limits, double from_now)
{
	struct timespec *t = &limits->deadline;
	double whole = floor(from_now);
	clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_sec += (time_t)whole;
	t->tv_nsec += (long)((from_now - whole) * 1e9);
	if (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
	limits->timed = true;
}

int ext_deadline(struct limits *ret, PyObject *timeout, bool lock)
{
	double s;
	if (timeout == Py_None)
		return 0;
	if (seconds(timeout, &s) < 0)
		return -1;
	if (lock && s < 0) {
		if (s == -1)
			return 0;
		PyErr_SetString(PyExc_ValueError, "a timeout must be 0 or more seconds, or -1 or None");
		return -1;
	}
	if (s < LIMIT_MAX)
		set_deadline(ret, s > 0 ? s : 0);
	return 0;
}

static PyObject **place_of(PyObject *name, PyObject *values[3])
{
	static const char *const names[3] = { "blocking", "timeout", "n" };
	for (int i = 0; i < 3; i++)
		if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0)
			return &values[i];
	PyErr_Format(PyExc_TypeError, "acquire() has no argument %R", name);
	return NULL;
}

static int sort_arguments(PyObject *const *args, Py_ssize_t nargs, PyObject *names,
                          PyObject *values[3])
{
	if (nargs > 2) {
		PyErr_Format(PyExc_TypeError, "acquire() takes 2 positional arguments, not %zd", nargs);
		return -1;
	}
	for (Py_ssize_t i = 0; i < nargs; i++)
		values[i] = args[i];
	for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
		PyObject **place = place_of(PyTuple_GET_ITEM(names, i), values);
		if (!place)
			return -1;
		if (*place) {
			PyErr_Format(PyExc_TypeError, "acquire() got %R twice", PyTuple_GET_ITEM(names, i));
			return -1;
		}
		*place = args[nargs + i];
	}
	return 0;
}

static bool is_limit(PyObject *timeout, bool lock)
{
	if (!timeout || timeout == Py_None)
		return false;
	double s;
	return seconds(timeout, &s) < 0 || !lock || s != -1;
}

int ext_limits(struct limits *ret, PyObject *const *args, Py_ssize_t nargs, PyObject *names,
               bool lock)
{
	PyObject *values[3] = { NULL, NULL, NULL };
	if (sort_arguments(args, nargs, names, values) < 0 ||
	    (values[2] && ext_units(values[2], &ret->n) < 0))
		return -1;
	int blocking = values[0] ? PyObject_IsTrue(values[0]) : 1;
	if (blocking < 0)
		return -1;
	ret->try_only = !blocking;
	if (blocking)
		return values[1] ? ext_deadline(ret, values[1], lock) : 0;
	if (is_limit(values[1], lock)) {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_ValueError,
			                "a timeout has no meaning for a non-blocking acquire");
		return -1;
	}
	return 0;
}

/* ---- who is told ---- */

static int forget(struct sem *sem, PyObject *thread)
{
	if (PyDict_GetItemWithError(sem->told, thread) && PyDict_DelItem(sem->told, thread) < 0)
		return -1;
	if (PyErr_Occurred())
		return -1;
	if (PyDict_GET_SIZE(sem->told) == 0)
		Py_CLEAR(sem->told);
	return 0;
}

static int call_back(PyObject *self, PyObject *deaths)
{
	PyObject *callback = as_sem(self)->on_recover;
	if (!callback)
		return 0;
	Py_INCREF(callback);
	PyObject *result = PyObject_CallFunctionObjArgs(callback, self, deaths, NULL);
	Py_DECREF(callback);
	Py_XDECREF(result);
	return result ? 0 : -1;
}

static int keep(PyObject *self, PyObject *thread)
{
	struct sem *sem = as_sem(self);
	PyObject *deaths = sem_deaths(self, sem->seen);
	if (!deaths)
		return -1;
	int r = sem->told || (sem->told = PyDict_New()) ? PyDict_SetItem(sem->told, thread, deaths) :
							  -1;
	if (!r)
		r = call_back(self, deaths);
	Py_DECREF(deaths);
	return r;
}

/* The exception that is set stays the one that is raised. */
static void give_back(PyObject *self, unsigned n)
{
	PyObject *type, *value, *traceback;
	PyErr_Fetch(&type, &value, &traceback);
	if (!as_sem(self)->sem || sem_give(self, n) < 0)
		PyErr_Clear();
	PyErr_Restore(type, value, traceback);
}

int sem_tell(PyObject *self, int result, unsigned n)
{
	PyObject *thread = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
	int r = !thread ? -1 : result ? keep(self, thread) : forget(as_sem(self), thread);
	Py_XDECREF(thread);
	if (r < 0)
		give_back(self, n);
	return r;
}

/* ---- waits ---- */

/* One wait in the library, without the GIL. */
static int wait_once(struct sem *sem, unsigned n, const struct semundo_wait *wait)
{
	semundo_t *handle = sem_enter_call(sem);
	int r;
	Py_BEGIN_ALLOW_THREADS
	r = n ? semundo_acquire_with(handle, n, wait) : semundo_wait_idle(handle, wait);
	Py_END_ALLOW_THREADS
	if (r >= 0 && n && !sem->sem) {
		semundo_release(handle, n); /* it was closed meanwhile */
		r = -EBADF;
	}
	sem_leave_call(sem);
	return r;
}

/* So long a wait goes on without a look for signals: one whose handler ran in another
 * thread, or between two sleeps of the library, does not end a sleep. */
#define SLICE_SECONDS 1

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* One slice. -EINTR: look for signals, and go on. */
static int wait_slice(PyObject *self, unsigned n, const struct limits *limits,
                      struct semundo_wait *wait)
{
	struct timespec end;
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (!wait->since)
		wait->since = (uint64_t)end.tv_sec * 1000000000u + (uint64_t)end.tv_nsec;
	end.tv_sec += SLICE_SECONDS;
	bool last = limits->try_only || (limits->timed && is_before(&limits->deadline, &end));
	wait->deadline = !last ? &end : limits->timed ? &limits->deadline : NULL;
	int r = wait_once(as_sem(self), n, wait);
	return r == -ETIMEDOUT && !last ? -EINTR : r;
}

/* n units, or with 0 all of them to be back. As sem_take_slowly(), but 2 for an
 * acquire that was told. The deadline stays where it is whatever comes. */
static int wait_on(PyObject *self, unsigned n, const struct limits *limits)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	int r;
	wait.flags = limits->try_only ? SEMUNDO_WAIT_TRY : SEMUNDO_WAIT_EINTR;
	do {
		if (!sem_is_open(self))
			return -1;
		r = wait_slice(self, n, limits, &wait);
		if (r == -EINTR && PyErr_CheckSignals() < 0)
			return -1;
	} while (r == -EINTR);
	if (r >= 0)
		return r + 1;
	if (r == -ETIMEDOUT || r == -EAGAIN)
		return 0;
	if (r != -EBADF || sem_is_open(self))
		sem_raise(self, r);
	return -1;
}

int sem_take_slowly(PyObject *self, const struct limits *limits)
{
	int r = wait_on(self, limits->n, limits);
	if (r <= 0)
		return r;
	return sem_told(self, r - 1, limits->n) < 0 ? -1 : 1;
}

int sem_take(PyObject *self)
{
	static const struct limits forever = { .n = 1 };
	if (!sem_is_open(self))
		return -1;
	int r = semundo_try_acquire(as_sem(self)->sem, 1);
	if (LIKELY(r >= 0))
		return sem_told(self, r, 1);
	if (r == -EAGAIN)
		return sem_take_slowly(self, &forever) < 0 ? -1 : 0;
	sem_raise(self, r);
	return -1;
}

static PyObject *sem_wait_idle(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "timeout", NULL };
	struct limits limits = { .n = 0 };
	PyObject *timeout = Py_None;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:wait_idle", names, &timeout) ||
	    ext_deadline(&limits, timeout, false) < 0)
		return NULL;
	int r = wait_on(self, 0, &limits);
	return r < 0 ? NULL : PyBool_FromLong(r);
}

/* For the threads that wait for tasks of asyncio. */
static PyObject *sem_wait(PyObject *self, PyObject *args)
{
	struct semundo_wait wait = SEMUNDO_WAIT_INIT;
	struct limits limits = { .n = 1 };
	PyObject *token, *timeout = Py_None;
	if (!PyArg_ParseTuple(args, "IO|O:_wait", &limits.n, &token, &timeout) ||
	    !sem_is_open(self) || ext_deadline(&limits, timeout, false) < 0)
		return NULL;
	PyObject *module = sem_module(self);
	wait.cancel = module ? cancel_token(module, token) : NULL;
	Py_XDECREF(module);
	if (!wait.cancel)
		return NULL;
	if (limits.timed)
		wait.deadline = &limits.deadline;
	int r = wait_once(as_sem(self), limits.n, &wait);
	if (r >= 0)
		return PyLong_FromLong(r);
	if (r == -ECANCELED || r == -ETIMEDOUT)
		Py_RETURN_NONE;
	return r != -EBADF || sem_is_open(self) ? sem_raise(self, r) : NULL;
}

/* Without waiting, and without telling anybody. */
static PyObject *sem_try(PyObject *self, PyObject *units)
{
	unsigned n;
	if (ext_units(units, &n) < 0 || !sem_is_open(self))
		return NULL;
	int r = semundo_try_acquire(as_sem(self)->sem, n);
	if (r == -EAGAIN)
		Py_RETURN_NONE;
	return r < 0 ? sem_raise(self, r) : PyLong_FromLong(r);
}

static PyObject *sem_tell_method(PyObject *self, PyObject *args)
{
	int result;
	unsigned n;
	if (!PyArg_ParseTuple(args, "iI:_tell", &result, &n) || sem_told(self, result, n) < 0)
		return NULL;
	Py_RETURN_NONE;
}

PyDoc_STRVAR(wait_idle_doc,
"wait_idle(timeout=None)\n--\n\n"
"Waits until all units are back. False if they were not within the timeout, in\n"
"seconds.");

PyMethodDef sem_wait_methods[] = {
	{ "wait_idle", (PyCFunction)(void (*)(void))sem_wait_idle, METH_VARARGS | METH_KEYWORDS,
	  wait_idle_doc },
	{ "_wait", sem_wait, METH_VARARGS,
	  "_wait(n, cancel, timeout=None): 0 or 1 (see _tell), or None: cancelled, too late." },
	{ "_try", sem_try, METH_O, "_try(n): 0 or 1 (see _tell), or None: not now." },
	{ "_tell", sem_tell_method, METH_VARARGS,
	  "_tell(result, n): what _wait or _try returned becomes what `recovered` says in this\n"
	  "thread. If on_recover raises, the units are given back." },
	{ NULL, NULL, 0, NULL },
};
