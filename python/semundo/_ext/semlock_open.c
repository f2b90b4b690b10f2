/* SPDX-License-Identifier: Apache-2.0 */
/* SemLocks are made, opened by name, descriptor or handle, and closed. */
#include "ext.h"

#include <errno.h>
#include <stdlib.h>

/* ---- handles: those that SemLocks of this process have open ---- */

/* SemLocks of one handle share it. Only a handle that is in the list is ever
 * followed: numbers come from outside. */
struct shared_handle {
	semundo_t *sem;
	unsigned references;
	struct shared_handle *next;
};

/* Of all interpreters: under ext_lock(), as there is no GIL that guards it. */
static struct shared_handle *first;

static struct shared_handle *handle_new(semundo_t *sem)
{
	struct shared_handle *handle = calloc(1, sizeof(*handle));
	if (!handle)
		return NULL;
	*handle = (struct shared_handle){ .sem = sem, .references = 1 };
	ext_lock();
	handle->next = first;
	first = handle;
	ext_unlock();
	return handle;
}

static struct shared_handle *handle_get(const void *sem)
{
	ext_lock();
	struct shared_handle *handle = first;
	while (handle && handle->sem != sem)
		handle = handle->next;
	if (handle)
		handle->references++;
	ext_unlock();
	return handle;
}

static void handle_put(struct shared_handle *handle)
{
	ext_lock();
	bool last = --handle->references == 0;
	struct shared_handle **link = &first;
	while (last && *link != handle)
		link = &(*link)->next;
	if (last)
		*link = handle->next;
	ext_unlock();
	if (!last)
		return;
	semundo_close(handle->sem);
	free(handle);
}

void semlock_close(struct semlock *self)
{
	if (self->handle)
		handle_put(self->handle);
	self->handle = NULL;
	self->base.sem = NULL;
}

/* ---- the object ---- */

static PyObject *allocate(PyTypeObject *type, int kind, int maxvalue)
{
	PyObject *self = type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	as_semlock(self)->kind = kind;
	as_semlock(self)->maxvalue = maxvalue;
	as_semlock(self)->generation = ext_forks();
	return self;
}

/* Keeps what was opened, and what never changes of it. */
static PyObject *adopt(PyObject *object, struct shared_handle *handle)
{
	struct semlock *self = as_semlock(object);
	struct semundo_info info = { .size = sizeof(info) };
	self->handle = handle;
	self->base.sem = handle->sem;
	int r = semundo_info(handle->sem, &info);
	if (r < 0) {
		sem_raise(object, r);
		Py_DECREF(object);
		return NULL;
	}
	self->base.kind = info.kind;
	self->base.seen = info.recovered && info.deaths ? info.deaths - 1 : info.deaths;
	self->unbound = info.kind == SEMUNDO_SIGNAL && self->maxvalue != SEMLOCK_MAX &&
	                (int64_t)info.capacity != self->maxvalue;
	return object;
}

/* A process that is given a SemLock joins its directory at once, so that it has as
 * many descriptors as its siblings, whoever of them is the first to acquire. Where
 * that fails, the first acquire says so. */
static void join(semundo_t *sem, int result)
{
	if (result == 0)
		semundo_describe(sem, 0, NULL);
}

/* What opened it says `result`. Takes both over. */
static PyObject *finish(PyObject *self, semundo_t *sem, int result)
{
	struct shared_handle *handle = result < 0 ? NULL : handle_new(sem);
	if (handle)
		return adopt(self, handle);
	if (result < 0) {
		sem_raise(self, result);
	} else {
		semundo_close(sem);
		PyErr_NoMemory();
	}
	Py_DECREF(self);
	return NULL;
}

/* ---- names ---- */

static const char *const engines[] = { "native", "sysv", "posix" };

/* "engine:name", for PyMem_Free(). Names of sem_open() begin with a slash. */
static char *full_name(const char *engine, const char *name)
{
	if (*name == '/')
		name++;
	size_t size = strlen(engine) + strlen(name) + 2;
	char *full = PyMem_Malloc(size);
	if (full)
		PyOS_snprintf(full, size, "%s:%s", engine, name);
	else
		PyErr_NoMemory();
	return full;
}

/* The engine of this interpreter's new and named SemLocks. */
static const char *engine_of(PyTypeObject *type)
{
	PyObject *module = PyObject_GetAttrString((PyObject *)type, "_module");
	const char *engine = module ? engines[ext_state(module)->engine] : NULL;
	Py_XDECREF(module);
	return engine;
}

/* ---- making ---- */

struct wanted {
	int kind, value, maxvalue, undo, descriptor;
	const char *engine, *name;
	int unlink;
};

static bool is_lock(const struct wanted *w)
{
	return w->value == 1 && (w->kind == SEMLOCK_RECURSIVE || w->maxvalue == 1);
}

/* A bound that the engine does not keep is looked at in release(). */
static uint32_t bound_of(const struct wanted *w, unsigned caps)
{
	bool can = (caps & SEMUNDO_CAP_MAXIMUM) && w->maxvalue != SEMLOCK_MAX;
	return can && w->maxvalue > 0 && w->maxvalue >= w->value ? (uint32_t)w->maxvalue : 0;
}

static void set_options(struct semundo_options *o, const struct wanted *w)
{
	unsigned caps = 0;
	semundo_engine_caps(w->engine, &caps);
	if (is_lock(w) && (caps & SEMUNDO_CAP_LOCK)) {
		o->kind = SEMUNDO_LOCK;
	} else if (w->undo) {
		o->kind = SEMUNDO_PERMITS;
		o->capacity = (uint32_t)w->value;
	} else {
		o->kind = SEMUNDO_SIGNAL;
		o->capacity = bound_of(w, caps);
		o->value = (uint32_t)w->value;
	}
}

/* One that is to have no name is made without, where the engine can. */
static int make(semundo_t **ret, const struct wanted *w, const char *full)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	int r;
	set_options(&options, w);
	Py_BEGIN_ALLOW_THREADS
	if (w->unlink && w->engine == engines[0]) {
		options.flags = w->descriptor ? 0 : SEMUNDO_NO_DESCRIPTOR;
		r = semundo_anonymous(ret, &options);
	} else {
		r = semundo_open(ret, full, SEMUNDO_CREATE | SEMUNDO_EXCL, &options);
		if (r == 0 && w->unlink && (r = semundo_unlink(full, NULL)) < 0)
			semundo_close(*ret);
	}
	Py_END_ALLOW_THREADS
	return r;
}

static bool is_valid(const struct wanted *w)
{
	if (w->kind != SEMLOCK_RECURSIVE && w->kind != SEMLOCK_SEMAPHORE) {
		PyErr_SetString(PyExc_ValueError, "unrecognized kind");
		return false;
	}
	if (w->value < 0 || (w->undo && w->value < 1)) {
		errno = EINVAL;
		PyErr_SetFromErrno(PyExc_OSError);
		return false;
	}
	return true;
}

static PyObject *new_named(PyTypeObject *type, const struct wanted *w)
{
	PyObject *self = allocate(type, w->kind, w->maxvalue);
	if (self && !w->unlink && !(as_semlock(self)->name = PyUnicode_FromString(w->name)))
		Py_CLEAR(self);
	char *full = self ? full_name(w->engine, w->name) : NULL;
	if (!full) {
		Py_XDECREF(self);
		return NULL;
	}
	semundo_t *sem = NULL;
	int r = make(&sem, w, full);
	PyMem_Free(full);
	return finish(self, sem, r);
}

PyObject *semlock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "kind", "value", "maxvalue", "name", "unlink", "undo",
		                 "descriptor", NULL };
	struct wanted w = { .undo = 0, .descriptor = 0 };
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iiisp|$pp:SemLock", names, &w.kind, &w.value,
	                                 &w.maxvalue, &w.name, &w.unlink, &w.undo,
	                                 &w.descriptor) ||
	    !is_valid(&w) || !(w.engine = engine_of(type)))
		return NULL;
	return new_named(type, &w);
}

/* ---- opening ---- */

static PyObject *by_handle(PyTypeObject *type, int kind, int maxvalue, void *sem)
{
	struct shared_handle *handle = handle_get(sem);
	if (!handle) {
		PyErr_SetString(PyExc_ValueError, "this process has no SemLock of that handle open");
		return NULL;
	}
	PyObject *self = allocate(type, kind, maxvalue);
	if (!self) {
		handle_put(handle);
		return NULL;
	}
	return adopt(self, handle);
}

static PyObject *by_name(PyTypeObject *type, int kind, int maxvalue, const char *name)
{
	const char *engine = engine_of(type);
	PyObject *self = engine ? allocate(type, kind, maxvalue) : NULL;
	if (self && !(as_semlock(self)->name = PyUnicode_FromString(name)))
		Py_CLEAR(self);
	char *full = self ? full_name(engine, name) : NULL;
	if (!full) {
		Py_XDECREF(self);
		return NULL;
	}
	semundo_t *sem = NULL;
	int r;
	Py_BEGIN_ALLOW_THREADS
	r = semundo_open(&sem, full, 0, NULL);
	join(sem, r);
	Py_END_ALLOW_THREADS
	PyMem_Free(full);
	return finish(self, sem, r);
}

PyObject *semlock_rebuild(PyObject *type, PyObject *args)
{
	PyObject *handle;
	int kind, maxvalue;
	const char *name;
	if (!PyArg_ParseTuple(args, "Oiiz:_rebuild", &handle, &kind, &maxvalue, &name))
		return NULL;
	if (name)
		return by_name((PyTypeObject *)type, kind, maxvalue, name);
	void *sem = PyLong_AsVoidPtr(handle);
	return PyErr_Occurred() ? NULL : by_handle((PyTypeObject *)type, kind, maxvalue, sem);
}

PyObject *semlock_open_fd(PyObject *type, PyObject *args)
{
	struct semundo_options options = SEMUNDO_OPTIONS_INIT;
	int fd, kind, maxvalue, r;
	semundo_t *sem = NULL;
	if (!PyArg_ParseTuple(args, "iiiz:_open_fd", &fd, &kind, &maxvalue, &options.dir))
		return NULL;
	PyObject *self = allocate((PyTypeObject *)type, kind, maxvalue);
	if (!self)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = semundo_open_fd(&sem, fd, &options);
	join(sem, r);
	Py_END_ALLOW_THREADS
	return finish(self, sem, r);
}

/* ---- functions of the module ---- */

static PyObject *sem_unlink(PyObject *module, PyObject *args)
{
	const char *name;
	if (!PyArg_ParseTuple(args, "s:sem_unlink", &name))
		return NULL;
	char *full = full_name(engines[ext_state(module)->engine], name);
	if (!full)
		return NULL;
	int r;
	Py_BEGIN_ALLOW_THREADS
	r = semundo_unlink(full, NULL);
	Py_END_ALLOW_THREADS
	PyMem_Free(full);
	if (r < 0)
		return ext_raise(module, r);
	Py_RETURN_NONE;
}

static PyObject *semlock_engine(PyObject *module, PyObject *args)
{
	const char *name = NULL;
	const size_t count = sizeof(engines) / sizeof(engines[0]);
	size_t i = 0;
	if (!PyArg_ParseTuple(args, "|z:semlock_engine", &name))
		return NULL;
	while (name && i < count && strcmp(name, engines[i]) != 0)
		i++;
	if (i == count) {
		PyErr_Format(PyExc_ValueError, "there is no engine '%s' for SemLocks: only native, sysv "
		             "and posix", name);
		return NULL;
	}
	if (name)
		ext_state(module)->engine = (unsigned)i;
	return PyUnicode_FromString(engines[ext_state(module)->engine]);
}

static PyMethodDef functions[] = {
	{ "sem_unlink", sem_unlink, METH_VARARGS,
	  "sem_unlink(name, /)\n--\n\nRemoves the name of a SemLock." },
	{ "semlock_engine", semlock_engine, METH_VARARGS,
	  "semlock_engine(engine=None, /)\n--\n\nThe engine of SemLocks that are made or opened by\n"
	  "name in this interpreter from now on: native, sysv or posix." },
	{ NULL, NULL, 0, NULL },
};

int ext_add_semlock_functions(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
