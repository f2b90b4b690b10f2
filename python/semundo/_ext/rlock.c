/* SPDX-License-Identifier: Apache-2.0 */
/* _RLock: a lock whose owner, a thread of this process, may acquire it again.
 * How often is counted for the semaphore, not for the object: two objects of
 * one name in a process are the same lock. */
#include "ext.h"

#include <errno.h>
#include <stdlib.h>

struct recursion {
	semundo_t *sem;
	unsigned references;
	unsigned generation; /* ext_forks() when it was acquired */
	unsigned long owner; /* thread, or 0; read by others, hence atomic */
	unsigned long count; /* of the owner only */
	struct recursion *next;
};

/* Of all interpreters: under ext_lock(), as there is no GIL that guards it. */
static struct recursion *first;

struct recursion *recursion_get(semundo_t *sem)
{
	ext_lock();
	struct recursion *r = first;
	while (r && r->sem != sem)
		r = r->next;
	if (!r && (r = calloc(1, sizeof(*r)))) {
		r->sem = sem;
		r->next = first;
		first = r;
	}
	if (r)
		r->references++;
	ext_unlock();
	return r;
}

void recursion_put(struct recursion *recursion)
{
	if (!recursion)
		return;
	ext_lock();
	if (--recursion->references == 0) {
		struct recursion **link = &first;
		while (*link != recursion)
			link = &(*link)->next;
		*link = recursion->next;
		free(recursion);
	}
	ext_unlock();
}

/* ---- who owns it ---- */

static bool is_mine(const struct recursion *r)
{
	return __atomic_load_n(&r->owner, __ATOMIC_RELAXED) == PyThread_get_thread_ident() &&
	       r->generation == ext_forks();
}

static void set_owner(struct recursion *r, unsigned long owner, unsigned long count)
{
	r->count = count;
	r->generation = ext_forks();
	__atomic_store_n(&r->owner, owner, __ATOMIC_RELAXED);
}

static struct recursion *recursion_of(PyObject *self)
{
	struct sem *sem = as_sem(self);
	if (!sem_is_open(self))
		return NULL;
	if (!LIKELY(sem->recursion) && !(sem->recursion = recursion_get(sem->sem)))
		PyErr_NoMemory();
	return sem->recursion;
}

/* Again, by its owner: true. */
static bool again(struct recursion *r)
{
	if (!is_mine(r))
		return false;
	r->count++;
	return true;
}

static int fail_owner(PyObject *self)
{
	PyObject *module = sem_module(self);
	PyObject *text = module ? PyUnicode_FromFormat(
		"cannot release %R: this thread does not own it", self) : NULL;
	PyObject *args = text ? Py_BuildValue("(iO)", EPERM, text) : NULL;
	if (args)
		PyErr_SetObject(ext_state(module)->not_held, args);
	Py_XDECREF(module);
	Py_XDECREF(text);
	Py_XDECREF(args);
	return -1;
}

static int give(PyObject *self)
{
	struct recursion *r = recursion_of(self);
	unsigned held = 0;
	if (!r)
		return -1;
	if (!is_mine(r))
		return fail_owner(self);
	if (r->count > 1) {
		r->count--;
		return 0;
	}
	set_owner(r, 0, 0);
	/* Another process may have released it, as is allowed with a lock. */
	if (semundo_held(as_sem(self)->sem, &held) == 0 && !held)
		return fail_owner(self);
	return sem_give(self, 1);
}

/* The object may have been closed while it waited. */
static int own(PyObject *self)
{
	struct recursion *r = recursion_of(self);
	if (!r)
		return -1;
	set_owner(r, PyThread_get_thread_ident(), 1);
	return 0;
}

/* ---- methods ---- */

static PyObject *rlock_enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	struct recursion *r = recursion_of(self);
	if (!r || (!again(r) && (sem_take(self) < 0 || own(self) < 0)))
		return NULL;
	Py_INCREF(self);
	return self;
}

static PyObject *rlock_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	(void)args;
	(void)nargs;
	if (give(self) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *rlock_release(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (give(self) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *rlock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                               PyObject *names)
{
	struct limits limits = { .n = 1 };
	if ((nargs || names) && ext_limits(&limits, args, nargs, names, true) < 0)
		return NULL;
	if (limits.n != 1) {
		PyErr_SetString(PyExc_ValueError, "an RLock has one unit");
		return NULL;
	}
	struct recursion *r = recursion_of(self);
	if (!r)
		return NULL;
	if (again(r))
		Py_RETURN_TRUE;
	int taken = sem_take_slowly(self, &limits);
	if (taken < 0 || (taken && own(self) < 0))
		return NULL;
	return PyBool_FromLong(taken);
}

static PyObject *rlock_is_owned(PyObject *self, PyObject *unused)
{
	(void)unused;
	struct recursion *r = recursion_of(self);
	return r ? PyBool_FromLong(is_mine(r)) : NULL;
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
	{ "acquire", FAST(rlock_acquire), METH_FASTCALL | METH_KEYWORDS,
	  "acquire(blocking=True, timeout=None)\n--\n\n"
	  "Takes it, or counts one more if this thread owns it. False if not in time." },
	{ "release", rlock_release, METH_NOARGS,
	  "release()\n--\n\nCounts one less, and at 0 gives it back. Only its owner may." },
	{ "__enter__", rlock_enter, METH_NOARGS, "Acquires it." },
	{ "__exit__", FAST(rlock_exit), METH_FASTCALL, "Releases it." },
	{ "_is_owned", rlock_is_owned, METH_NOARGS, "This thread owns it." },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_methods, methods },
	{ Py_tp_doc, "A lock that its owner may acquire again; see semundo.RLock." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "semundo._ext._RLock",
	.basicsize = sizeof(struct sem),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, /* GC as its base */
	.slots = slots,
};

int ext_add_rlock(PyObject *module)
{
	PyObject *type = ext_add_type(module, &spec, ext_state(module)->sem_type);
	Py_XDECREF(type);
	return type ? 0 : -1;
}
