/* SPDX-License-Identifier: Apache-2.0 */
/* SemLock, with the interface of CPython's _multiprocessing.SemLock: acquire,
 * release and what there is to see. semlock_open.c makes them. */
#include "ext.h"

#include <errno.h>

/* ---- who owns it ---- */

/* A forked child owns nothing, whether or not _after_fork() is called. */
static long count_of(struct semlock *self)
{
	if (self->generation != ext_forks()) {
		self->generation = ext_forks();
		self->count = 0;
	}
	return self->count;
}

static bool is_mine(struct semlock *self)
{
	return count_of(self) > 0 && self->owner == PyThread_get_thread_ident();
}

static void own(struct semlock *self)
{
	self->count = count_of(self) + 1;
	self->owner = PyThread_get_thread_ident();
}

/* ---- acquire ---- */

/* 1, 0 (not within the limits), -1 with an exception. First without giving up
 * the GIL. */
static int take(PyObject *object, const struct limits *limits)
{
	struct semlock *self = as_semlock(object);
	if (self->kind == SEMLOCK_RECURSIVE && is_mine(self)) {
		self->count++;
		return 1;
	}
	int r = semundo_try_acquire(self->base.sem, 1);
	if (LIKELY(r >= 0))
		r = sem_told(object, r, 1) < 0 ? -1 : 1;
	else if (r != -EAGAIN)
		r = (sem_raise(object, r), -1);
	else
		r = limits->try_only ? 0 : sem_take_slowly(object, limits);
	if (r > 0)
		own(self);
	return r;
}

/* As the CPython that this is compiled for takes it. */
#if PY_VERSION_HEX >= 0x030C0000
#define BLOCK "p"
#else
#define BLOCK "i"
#endif

static PyObject *semlock_acquire(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "block", "timeout", NULL };
	struct limits limits = { .n = 1 };
	PyObject *timeout = Py_None;
	int block = 1;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|" BLOCK "O:acquire", names, &block,
	                                 &timeout))
		return NULL;
	limits.try_only = !block;
	if (ext_deadline(&limits, timeout, false) < 0)
		return NULL;
	int r = take(self, &limits);
	return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *semlock_enter(PyObject *self, PyObject *unused)
{
	static const struct limits forever = { .n = 1 };
	(void)unused;
	return take(self, &forever) < 0 ? NULL : PyBool_FromLong(1);
}

/* ---- release ---- */

static int fail_too_many(void)
{
	PyErr_SetString(PyExc_ValueError, "semaphore or lock released too many times");
	return -1;
}

/* For an engine that knows no bound: as good as CPython's own check. */
static int check_bound(PyObject *self)
{
	int64_t value;
	int r = semundo_value(as_sem(self)->sem, &value);
	if (r < 0)
		sem_raise(self, r);
	return r < 0 ? -1 : value >= as_semlock(self)->maxvalue ? fail_too_many() : 0;
}

/* The count goes down first: whoever is woken may ask for it. */
static int post(PyObject *object)
{
	struct semlock *self = as_semlock(object);
	self->count--;
	int r = semundo_release(self->base.sem, 1);
	if (LIKELY(r == 0))
		return 0;
	self->count++;
	if (r == -EOVERFLOW)
		return fail_too_many();
	sem_raise(object, r);
	return -1;
}

static int give(PyObject *object)
{
	struct semlock *self = as_semlock(object);
	if (self->kind == SEMLOCK_RECURSIVE) {
		if (!is_mine(self)) {
			PyErr_SetString(PyExc_AssertionError,
			                "attempt to release recursive lock not owned by thread");
			return -1;
		}
		if (self->count > 1) {
			self->count--;
			return 0;
		}
	}
	(void)count_of(self);
	return self->unbound && check_bound(object) < 0 ? -1 : post(object);
}

static PyObject *semlock_release(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (give(self) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *semlock_exit(PyObject *self, PyObject *args)
{
	PyObject *type, *value, *traceback;
	if (!PyArg_UnpackTuple(args, "__exit__", 0, 3, &type, &value, &traceback))
		return NULL;
	return semlock_release(self, NULL);
}

/* ---- looking ---- */

static PyObject *semlock_count(PyObject *self, PyObject *unused)
{
	(void)unused;
	return PyLong_FromLong(count_of(as_semlock(self)));
}

static PyObject *semlock_is_mine(PyObject *self, PyObject *unused)
{
	(void)unused;
	return PyBool_FromLong(is_mine(as_semlock(self)));
}

static int get_value(PyObject *self, int64_t *ret)
{
	int r = semundo_value(as_sem(self)->sem, ret);
	if (r < 0)
		sem_raise(self, r);
	return r;
}

static PyObject *semlock_get_value(PyObject *self, PyObject *unused)
{
	int64_t value;
	(void)unused;
	if (get_value(self, &value) < 0)
		return NULL;
	return PyLong_FromLongLong(value < 0 ? 0 : value);
}

static PyObject *semlock_is_zero(PyObject *self, PyObject *unused)
{
	int64_t value;
	(void)unused;
	return get_value(self, &value) < 0 ? NULL : PyBool_FromLong(value <= 0);
}

static PyObject *semlock_after_fork(PyObject *self, PyObject *unused)
{
	(void)unused;
	as_semlock(self)->count = 0;
	Py_CLEAR(as_sem(self)->told);
	Py_RETURN_NONE;
}

static PyObject *semlock_descriptor(PyObject *self, PyObject *unused)
{
	int fd;
	(void)unused;
	int r = semundo_descriptor(as_sem(self)->sem, &fd);
	return r < 0 ? sem_raise(self, r) : PyLong_FromLong(fd);
}

static PyObject *get_handle(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromVoidPtr(as_sem(self)->sem);
}

static PyObject *get_kind(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromLong(as_semlock(self)->kind);
}

static PyObject *get_maxvalue(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromLong(as_semlock(self)->maxvalue);
}

static PyObject *get_name(PyObject *self, void *unused)
{
	(void)unused;
	PyObject *name = as_semlock(self)->name ? as_semlock(self)->name : Py_None;
	Py_INCREF(name);
	return name;
}

/* ---- the type ---- */

static void semlock_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	semlock_close(as_semlock(self));
	Py_CLEAR(as_sem(self)->told);
	Py_CLEAR(as_semlock(self)->name);
	type->tp_free(self);
	Py_DECREF(type);
}

PyDoc_STRVAR(acquire_doc,
"acquire(block=True, timeout=None)\n--\n\n"
"Takes it: True, or False if not within the timeout, in seconds.");
PyDoc_STRVAR(release_doc,
"release()\n--\n\n"
"Gives it back. ValueError if that is once too often. A recursive one only by\n"
"the thread that owns it: AssertionError.");

static PyMethodDef methods[] = {
	{ "acquire", (PyCFunction)(void (*)(void))semlock_acquire, METH_VARARGS | METH_KEYWORDS,
	  acquire_doc },
	{ "release", semlock_release, METH_NOARGS, release_doc },
	{ "__enter__", semlock_enter, METH_NOARGS, "__enter__()\n--\n\nTakes it: True." },
	{ "__exit__", semlock_exit, METH_VARARGS,
	  "__exit__(exc_type=None, exc_value=None, exc_tb=None, /)\n--\n\nGives it back." },
	{ "_count", semlock_count, METH_NOARGS,
	  "_count()\n--\n\nHow often this process took it, less how often it gave it back." },
	{ "_is_mine", semlock_is_mine, METH_NOARGS, "_is_mine()\n--\n\nThis thread owns it." },
	{ "_get_value", semlock_get_value, METH_NOARGS, "_get_value()\n--\n\nIts value." },
	{ "_is_zero", semlock_is_zero, METH_NOARGS, "_is_zero()\n--\n\nIts value is 0." },
	{ "_after_fork", semlock_after_fork, METH_NOARGS,
	  "_after_fork()\n--\n\nFor a child: it owns nothing." },
	{ "_descriptor", semlock_descriptor, METH_NOARGS,
	  "_descriptor()\n--\n\nA new descriptor of it, the caller's, for _open_fd()." },
	{ "_rebuild", semlock_rebuild, METH_VARARGS | METH_CLASS,
	  "_rebuild(handle, kind, maxvalue, name, /)\n--\n\n"
	  "Opens it by its name; without one by the handle that this process or its\n"
	  "parent, before the fork, has open." },
	{ "_open_fd", semlock_open_fd, METH_VARARGS | METH_CLASS,
	  "_open_fd(descriptor, kind, maxvalue, dir, /)\n--\n\n"
	  "Opens it by a descriptor of _descriptor(), which stays the caller's." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef getset[] = {
	{ "handle", get_handle, NULL, "A number for it in this process and its forked children.",
	  NULL },
	{ "kind", get_kind, NULL, "0: recursive, 1: not.", NULL },
	{ "maxvalue", get_maxvalue, NULL, "The most that its value can be.", NULL },
	{ "name", get_name, NULL, "Its name, or None.", NULL },
	{ "recovered", sem_get_recovered, NULL,
	  "The deaths that this thread's latest acquire was told of: a tuple of Death, newest first,\n"
	  "and empty if nobody died. What the lock protects may be half done.",
	  NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, semlock_new },
	{ Py_tp_dealloc, semlock_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, getset },
	{ Py_tp_doc,
	  "SemLock(kind, value, maxvalue, name, unlink, *, undo=False, descriptor=False)\n--\n\n"
	  "What multiprocessing makes its locks and semaphores of. One that begins with 1\n"
	  "and has that as its maximum, and a recursive one, comes back when a process dies\n"
	  "that holds it. Others are counters; with undo=True what a process took of them\n"
	  "comes back too, and only that process may give it back. With unlink it has no\n"
	  "name, and is for this process and forked children; with descriptor=True too it\n"
	  "keeps one, for _descriptor()." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "semundo._ext.SemLock",
	.basicsize = sizeof(struct semlock),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.slots = slots,
};

int ext_add_semlock(PyObject *module)
{
	PyObject *type = ext_add_type(module, &spec, NULL);
	PyObject *most = type ? PyLong_FromLong(SEMLOCK_MAX) : NULL;
	int r = most ? PyObject_SetAttrString(type, "SEM_VALUE_MAX", most) : -1;
	Py_XDECREF(most);
	Py_XDECREF(type);
	return r < 0 ? -1 : ext_add_semlock_functions(module);
}
