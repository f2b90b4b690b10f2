/* SPDX-License-Identifier: Apache-2.0 */
/* _Semaphore, the base of the package's classes: opening, closing, acquire and
 * release. The quick ways take no lock and allocate nothing. */
#include "ext.h"

#include <errno.h>
#include <structmember.h>

/* ---- failures ---- */

PyObject *sem_module(PyObject *self)
{
	return PyObject_GetAttrString((PyObject *)Py_TYPE(self), "_module");
}

PyObject *sem_raise(PyObject *self, int result)
{
	PyObject *module = sem_module(self);
	if (module)
		ext_raise(module, result);
	Py_XDECREF(module);
	return NULL;
}

bool sem_is_open(PyObject *self)
{
	if (LIKELY(as_sem(self)->sem))
		return true;
	PyErr_Format(PyExc_ValueError, "cannot use %R: it is closed", self);
	return false;
}

/* ---- opening and closing ---- */

semundo_t *sem_enter_call(struct sem *sem)
{
	if (sem->generation != ext_forks()) {
		sem->users = 0; /* those were threads of a parent */
		sem->generation = ext_forks();
	}
	sem->users++;
	return sem->sem;
}

void sem_leave_call(struct sem *sem)
{
	if (--sem->users || !sem->late)
		return;
	semundo_close(sem->late);
	sem->late = NULL;
}

static void close_handle(struct sem *sem)
{
	semundo_t *handle = sem->sem;
	sem->sem = NULL;
	recursion_put(sem->recursion);
	sem->recursion = NULL;
	if (sem->users && sem->generation == ext_forks())
		sem->late = handle;
	else
		semundo_close(handle);
}

static PyObject *sem_close(PyObject *self, PyObject *unused)
{
	(void)unused;
	close_handle(as_sem(self));
	Py_RETURN_NONE;
}

/* Keeps the handle that was opened, and what never changes of it. */
static PyObject *adopt(PyObject *self, semundo_t *handle)
{
	struct sem *sem = as_sem(self);
	struct semundo_info info = { .size = sizeof(info) };
	int r = semundo_info(handle, &info);
	if (r < 0) {
		semundo_close(handle);
		return sem_raise(self, r);
	}
	if (sem->sem) { /* another thread was quicker */
		semundo_close(handle);
		PyErr_SetString(PyExc_RuntimeError, "opened twice");
		return NULL;
	}
	sem->sem = handle;
	sem->kind = info.kind;
	sem->seen = info.recovered && info.deaths ? info.deaths - 1 : info.deaths;
	return Py_BuildValue("kL", (unsigned long)info.capacity, (long long)info.value);
}

static bool is_unused(PyObject *self)
{
	if (!as_sem(self)->sem)
		return true;
	PyErr_Format(PyExc_RuntimeError, "cannot open %R: it is open", self);
	return false;
}

PyDoc_STRVAR(open_doc, "_open(name, flags, kind, capacity, value, mode, dir)\n"
                       "Opens or makes it; without a name (None) makes it, with\n"
                       "NO_DESCRIPTOR in the flags for forked children only.\n"
                       "Returns its capacity and value.");

static PyObject *sem_open(PyObject *self, PyObject *args)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	unsigned flags;
	const char *name;
	semundo_t *handle = NULL;
	int r;
	if (!PyArg_ParseTuple(args, "zIIIIIz:_open", &name, &flags, &options.kind,
	                      &options.capacity, &options.value, &options.mode, &options.dir) ||
	    !is_unused(self))
		return NULL;
	if (flags & EXT_NO_DESCRIPTOR)
		options.flags = SEMUNDO_NO_DESCRIPTOR;
	flags &= ~EXT_NO_DESCRIPTOR;
	Py_BEGIN_ALLOW_THREADS
	r = name ? semundo_open(&handle, name, flags, &options) :
		   semundo_anonymous(&handle, &options);
	Py_END_ALLOW_THREADS
	return r < 0 ? sem_raise(self, r) : adopt(self, handle);
}

PyDoc_STRVAR(open_fd_doc, "_open_fd(descriptor, kind, dir)\n"
                          "Opens it by a descriptor of _descriptor(), which stays the caller's.");

static PyObject *sem_open_fd(PyObject *self, PyObject *args)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	semundo_t *handle = NULL;
	int fd, r;
	if (!PyArg_ParseTuple(args, "iIz:_open_fd", &fd, &options.kind, &options.dir) ||
	    !is_unused(self))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = semundo_open_fd(&handle, fd, &options);
	Py_END_ALLOW_THREADS
	return r < 0 ? sem_raise(self, r) : adopt(self, handle);
}

/* ---- release ---- */

static int fail_release(PyObject *self, int result)
{
	PyObject *module = sem_module(self);
	if (!module)
		return -1;
	ext_raise(module, as_sem(self)->kind == SEMUNDO_LOCK && result == -EOVERFLOW ? -EPERM : result);
	Py_DECREF(module);
	return -1;
}

int sem_give(PyObject *self, unsigned n)
{
	if (!sem_is_open(self))
		return -1;
	int r = semundo_release(as_sem(self)->sem, n);
	return LIKELY(r == 0) ? 0 : fail_release(self, r);
}

static int parse_release(PyObject *const *args, Py_ssize_t nargs, PyObject *names, unsigned *ret)
{
	Py_ssize_t count = nargs + (names ? PyTuple_GET_SIZE(names) : 0);
	if (count > 1 || (names && PyTuple_GET_SIZE(names) &&
	                  PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "n") != 0)) {
		PyErr_SetString(PyExc_TypeError, "release() takes one argument at most, n");
		return -1;
	}
	return count ? ext_units(args[0], ret) : 0;
}

static PyObject *sem_release(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *names)
{
	unsigned n = 1;
	if ((nargs || names) && parse_release(args, nargs, names, &n) < 0)
		return NULL;
	if (sem_give(self, n) < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* ---- with ---- */

static PyObject *sem_enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (sem_take(self) < 0)
		return NULL;
	Py_INCREF(self);
	return self;
}

static PyObject *sem_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	(void)args;
	(void)nargs;
	if (sem_give(self, 1) < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* ---- acquire ---- */

static PyObject *sem_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *names)
{
	struct limits limits = { .n = 1 };
	if ((nargs || names) &&
	    ext_limits(&limits, args, nargs, names, as_sem(self)->kind == SEMUNDO_LOCK) < 0)
		return NULL;
	if (!sem_is_open(self))
		return NULL;
	int r = semundo_try_acquire(as_sem(self)->sem, limits.n);
	if (!LIKELY(r >= 0)) {
		if (r != -EAGAIN)
			return sem_raise(self, r);
		r = limits.try_only ? 0 : sem_take_slowly(self, &limits);
		return r < 0 ? NULL : PyBool_FromLong(r);
	}
	if (sem_told(self, r, limits.n) < 0)
		return NULL;
	Py_RETURN_TRUE;
}

/* ---- the type ---- */

static bool is_finalizing(void)
{
#if PY_VERSION_HEX >= 0x030D0000
	return Py_IsFinalizing();
#else
	return _Py_IsFinalizing();
#endif
}

/* As an open file: dropped without close() it warns. What lives until the end
 * of the interpreter does not. */
static void sem_finalize(PyObject *self)
{
	PyObject *type, *value, *traceback;
	if (!as_sem(self)->sem || is_finalizing())
		return;
	PyErr_Fetch(&type, &value, &traceback);
	if (PyErr_ResourceWarning(self, 1, "unclosed %R", self) < 0)
		PyErr_WriteUnraisable(self);
	PyErr_Restore(type, value, traceback);
}

static int sem_traverse(PyObject *self, visitproc visit, void *arg)
{
#if PY_VERSION_HEX >= 0x03090000
	Py_VISIT(Py_TYPE(self));
#endif
	Py_VISIT(as_sem(self)->told);
	Py_VISIT(as_sem(self)->on_recover);
	return 0;
}

static int sem_clear(PyObject *self)
{
	Py_CLEAR(as_sem(self)->told);
	Py_CLEAR(as_sem(self)->on_recover);
	return 0;
}

static void sem_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	/* A subclass has its finalizer called before it comes here. */
	if (type->tp_dealloc == sem_dealloc && PyObject_CallFinalizerFromDealloc(self) < 0)
		return;
	PyObject_GC_UnTrack(self);
	close_handle(as_sem(self));
	sem_clear(self);
	type->tp_free(self);
	Py_DECREF(type);
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

PyDoc_STRVAR(acquire_doc,
"acquire(blocking=True, timeout=None, *, n=1)\n--\n\n"
"Takes n units. True if it got them; False if not within the timeout, in\n"
"seconds, or not at once with blocking=False.");
PyDoc_STRVAR(release_doc,
"release(n=1)\n--\n\n"
"Gives n units back. Never waits. NotHeldError, a ValueError and a RuntimeError,\n"
"if this process does not hold them (a Signal may be released by anybody).");
PyDoc_STRVAR(close_doc,
"close()\n--\n\n"
"Lets go of it. If no other object of this process has the same semaphore open,\n"
"what the process still holds of it goes back. May be called twice.");

static PyMethodDef sem_methods[] = {
	{ "acquire", FAST(sem_acquire), METH_FASTCALL | METH_KEYWORDS, acquire_doc },
	{ "release", FAST(sem_release), METH_FASTCALL | METH_KEYWORDS, release_doc },
	{ "__enter__", sem_enter, METH_NOARGS, "Acquires one unit." },
	{ "__exit__", FAST(sem_exit), METH_FASTCALL, "Releases one unit." },
	{ "close", sem_close, METH_NOARGS, close_doc },
	{ "_open", sem_open, METH_VARARGS, open_doc },
	{ "_open_fd", sem_open_fd, METH_VARARGS, open_fd_doc },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, PyType_GenericNew },
	{ Py_tp_dealloc, sem_dealloc },
	{ Py_tp_finalize, sem_finalize },
	{ Py_tp_traverse, sem_traverse },
	{ Py_tp_clear, sem_clear },
	{ Py_tp_methods, sem_methods },
	{ Py_tp_getset, sem_getset },
	{ Py_tp_doc, "A semaphore; see semundo.Semaphore, Lock and Signal." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "semundo._ext._Semaphore",
	.basicsize = sizeof(struct sem),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.slots = slots,
};

/* The methods of the other files join those that the type has. */
static int add_methods(PyObject *type, PyMethodDef *methods)
{
	for (PyMethodDef *m = methods; m->ml_name; m++) {
		PyObject *method = PyDescr_NewMethod((PyTypeObject *)type, m);
		int r = method ? PyObject_SetAttrString(type, m->ml_name, method) : -1;
		Py_XDECREF(method);
		if (r < 0)
			return -1;
	}
	return 0;
}

int ext_add_sem(PyObject *module)
{
	PyObject *type = ext_add_type(module, &spec, NULL);
	ext_state(module)->sem_type = type;
	if (!type || add_methods(type, sem_look_methods) < 0)
		return -1;
	return add_methods(type, sem_wait_methods);
}
