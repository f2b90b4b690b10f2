/* SPDX-License-Identifier: Apache-2.0 */
/* _PosixSem: a semaphore of sem_open(3). */
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct hint hints[] = {
	{ ENOENT, "there is no semaphore of that name" },
	{ EEXIST, "there is a semaphore of that name already" },
	{ EINVAL, "the name or the value cannot be" },
	{ EOVERFLOW, "its value is SEM_VALUE_MAX already" },
	{ EUCLEAN, "what stands there is not a semaphore of this C library and word size" },
	{ ELOOP, "a symbolic link stands there; links are not followed" },
	{ 0, NULL },
};

struct posix_sem {
	PyObject_HEAD
	sem_t *sem;     /* null: closed */
	unsigned users; /* threads that wait in it */
	sem_t *late;    /* closed with users: the last one closes it */
};

static inline struct posix_sem *as_posix(PyObject *object)
{
	return (struct posix_sem *)object;
}

/* ---- opening ---- */

/* glibc opens any file, and the first use of a short one is fatal. Looked at
 * before and after: 0 and the inode, or an errno. */
static int look(const char *name, ino_t *ret)
{
	char path[NAME_MAX + 32];
	struct stat st;
	while (*name == '/')
		name++;
	if (strlen(name) > NAME_MAX)
		return ENAMETOOLONG;
	snprintf(path, sizeof(path), "/dev/shm/sem.%s", name);
	if (lstat(path, &st) < 0)
		return errno;
	if (S_ISLNK(st.st_mode))
		return ELOOP;
	*ret = st.st_ino;
	return S_ISREG(st.st_mode) && st.st_size == (off_t)sizeof(sem_t) ? 0 : EUCLEAN;
}

#define TRIES 100

/* With O_CREAT but without O_EXCL, as often as it takes: of what is there and of
 * what is made each one alone is looked at or known to be good. */
static sem_t *open_checked(const char *name, int flags, mode_t mode, unsigned value)
{
	ino_t before = 0, after = 0;
	for (int i = 0; i < TRIES; i++) {
		if (flags & O_EXCL)
			return sem_open(name, flags, mode, value);
		int r = look(name, &before);
		if (r == ENOENT || r == ENAMETOOLONG) {
			sem_t *made = sem_open(name, flags ? flags | O_EXCL : 0, mode, value);
			if (made != SEM_FAILED && flags)
				return made;
			if (made != SEM_FAILED)
				sem_close(made); /* it came just now */
			else if (errno != EEXIST)
				return made;
			continue;
		}
		if (r) {
			errno = r;
			return SEM_FAILED;
		}
		sem_t *opened = sem_open(name, 0);
		if (opened == SEM_FAILED && (errno != ENOENT || !flags))
			return opened;
		if (opened != SEM_FAILED && look(name, &after) == 0 && before == after)
			return opened;
		if (opened != SEM_FAILED)
			sem_close(opened);
	}
	errno = EBUSY;
	return SEM_FAILED;
}

PyDoc_STRVAR(sem_doc,
"_PosixSem(name, flags, mode, value)\n--\n\n"
"sem_open(3): flags may have O_CREAT and O_EXCL.");

static PyObject *sem_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	PyObject *name;
	int flags;
	unsigned mode, value;
	(void)kwargs;
	if (!PyArg_ParseTuple(args, "O&iII:_PosixSem", PyUnicode_FSConverter, &name, &flags, &mode,
	                      &value))
		return NULL;
	struct posix_sem *self = (struct posix_sem *)type->tp_alloc(type, 0);
	if (self) {
		flags = flags & O_CREAT ? flags & (O_CREAT | O_EXCL) : 0;
		sem_t *sem = open_checked(PyBytes_AS_STRING(name), flags, (mode_t)mode, value);
		if (sem == SEM_FAILED) {
			raw_fail(hints, "sem_open of '%s'", PyBytes_AS_STRING(name));
			Py_CLEAR(self);
		} else {
			self->sem = sem;
		}
	}
	Py_DECREF(name);
	return (PyObject *)self;
}

/* ---- closing: not under the feet of those that wait ---- */

static void close_handle(struct posix_sem *self)
{
	if (self->sem && self->users)
		self->late = self->sem;
	else if (self->sem)
		sem_close(self->sem);
	self->sem = NULL;
}

static void leave(struct posix_sem *self)
{
	if (--self->users == 0 && self->late) {
		sem_close(self->late);
		self->late = NULL;
	}
}

static PyObject *sem_close_method(PyObject *self, PyObject *unused)
{
	(void)unused;
	close_handle(as_posix(self));
	Py_RETURN_NONE;
}

static void sem_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	close_handle(as_posix(self));
	type->tp_free(self);
	Py_DECREF(type);
}

static bool is_open(PyObject *self)
{
	if (!as_posix(self)->sem)
		PyErr_SetString(PyExc_ValueError, "the semaphore is closed");
	return as_posix(self)->sem;
}

/* ---- waiting ---- */

static int wait_for(sem_t *sem, const struct limit *limit)
{
	return limit->timed ? sem_clockwait(sem, CLOCK_MONOTONIC, &limit->deadline) : sem_wait(sem);
}

/* 1; 0: not in time; -1 with an exception. */
static int wait_slowly(struct posix_sem *self, const struct limit *limit, bool again)
{
	sem_t *sem = self->sem;
	int r, why;
	self->users++;
	do {
		Py_BEGIN_ALLOW_THREADS
		r = wait_for(sem, limit);
		Py_END_ALLOW_THREADS
		why = r < 0 ? raw_interrupted() : 2;
	} while (why == 0 && again);
	bool late = r < 0 && errno == ETIMEDOUT;
	if (r < 0 && why >= 0 && !late)
		raw_fail(hints, "sem_wait");
	leave(self);
	return r == 0 ? 1 : late ? 0 : -1;
}

PyDoc_STRVAR(wait_doc,
"wait(timeout, again)\n--\n\n"
"Takes a unit: True; False if there was none within that many seconds. After a\n"
"signal whose handler returned it waits again, or it is an InterruptedError.");

static PyObject *sem_wait_method(PyObject *self, PyObject *args)
{
	PyObject *timeout;
	struct limit limit;
	int again;
	if (!PyArg_ParseTuple(args, "Op:wait", &timeout, &again) ||
	    raw_limit(&limit, timeout) < 0 || !is_open(self))
		return NULL;
	int r = sem_trywait(as_posix(self)->sem) == 0;
	struct timespec left;
	if (!r && (!raw_left(&limit, &left) || left.tv_sec || left.tv_nsec))
		r = wait_slowly(as_posix(self), &limit, again);
	return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *sem_post_method(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (!is_open(self))
		return NULL;
	if (sem_post(as_posix(self)->sem) < 0)
		return raw_fail(hints, "sem_post");
	Py_RETURN_NONE;
}

static PyObject *get_value(PyObject *self, void *unused)
{
	int value;
	(void)unused;
	if (!is_open(self))
		return NULL;
	return sem_getvalue(as_posix(self)->sem, &value) < 0 ? raw_fail(hints, "sem_getvalue") :
							       PyLong_FromLong(value);
}

static PyObject *get_closed(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(!as_posix(self)->sem);
}

/* glibc has one address for all that open one semaphore. */
static PyObject *sem_is_named(PyObject *self, PyObject *args)
{
	PyObject *name;
	if (!PyArg_ParseTuple(args, "O&:is_named", PyUnicode_FSConverter, &name))
		return NULL;
	sem_t *sem = open_checked(PyBytes_AS_STRING(name), 0, 0, 0);
	Py_DECREF(name);
	if (sem == SEM_FAILED)
		Py_RETURN_FALSE;
	PyObject *result = PyBool_FromLong(sem == as_posix(self)->sem);
	sem_close(sem);
	return result;
}

static PyMethodDef methods[] = {
	{ "wait", sem_wait_method, METH_VARARGS, wait_doc },
	{ "post", sem_post_method, METH_NOARGS, "Adds a unit." },
	{ "is_named", sem_is_named, METH_VARARGS, "Whether that name leads to it now." },
	{ "close", sem_close_method, METH_NOARGS, "Lets go of it. May be called twice." },
	{ NULL, NULL, 0, NULL },
};
static PyGetSetDef getset[] = {
	{ "value", get_value, NULL, "its units", NULL },
	{ "closed", get_closed, NULL, "close() was called", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
static PyType_Slot slots[] = {
	{ Py_tp_new, sem_new },
	{ Py_tp_dealloc, sem_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, getset },
	{ Py_tp_doc, (void *)(uintptr_t)sem_doc },
	{ 0, NULL },
};
static PyType_Spec spec = {
	.name = "semundo._raw._PosixSem",
	.basicsize = sizeof(struct posix_sem),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = slots,
};

static PyObject *raw_unlink(PyObject *module, PyObject *args)
{
	PyObject *name;
	(void)module;
	if (!PyArg_ParseTuple(args, "O&:_sem_unlink", PyUnicode_FSConverter, &name))
		return NULL;
	int r = sem_unlink(PyBytes_AS_STRING(name));
	if (r < 0)
		raw_fail(hints, "sem_unlink of '%s'", PyBytes_AS_STRING(name));
	Py_DECREF(name);
	return r < 0 ? NULL : PyLong_FromLong(0);
}

static PyMethodDef functions[] = {
	{ "_sem_unlink", raw_unlink, METH_VARARGS, "_sem_unlink(name)" },
	{ NULL, NULL, 0, NULL },
};

int raw_add_posix_sem(PyObject *module)
{
	PyObject *type = PyType_FromSpec(&spec);
	raw_state(module)->sem_type = raw_add_type(module, spec.name, type);
	return raw_state(module)->sem_type ? PyModule_AddFunctions(module, functions) : -1;
}
