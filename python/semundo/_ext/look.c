/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to see of a semaphore: its value, its processes, its deaths. */
#include "ext.h"

#include <errno.h>

/* ---- numbers ---- */

static PyObject *get_value(PyObject *self, void *unused)
{
	(void)unused;
	int64_t value;
	if (!sem_is_open(self))
		return NULL;
	int r = semundo_value(as_sem(self)->sem, &value);
	return r < 0 ? sem_raise(self, r) : PyLong_FromLongLong(value);
}

static PyObject *get_held(PyObject *self, void *unused)
{
	(void)unused;
	unsigned held;
	if (!sem_is_open(self))
		return NULL;
	int r = semundo_held(as_sem(self)->sem, &held);
	return r < 0 ? sem_raise(self, r) : PyLong_FromUnsignedLong(held);
}

static bool get_info(PyObject *self, struct semundo_info *ret)
{
	*ret = (struct semundo_info){ .size = sizeof(*ret) };
	if (!sem_is_open(self))
		return false;
	int r = semundo_info(as_sem(self)->sem, ret);
	if (r < 0)
		sem_raise(self, r);
	return r == 0;
}

static PyObject *get_capacity(PyObject *self, void *unused)
{
	(void)unused;
	struct semundo_info info;
	return get_info(self, &info) ? PyLong_FromUnsignedLong(info.capacity) : NULL;
}

PyDoc_STRVAR(info_doc,
"info()\n--\n\n"
"A dict of what is known of it: name, engine, kind, capacity, value, held, peers,\n"
"waiters, dead, recovered, deaths, mode, uid, inode, created.");

static PyObject *sem_info(PyObject *self, PyObject *unused)
{
	(void)unused;
	struct semundo_info i;
	if (!get_info(self, &i))
		return NULL;
	PyObject *name = PyUnicode_DecodeFSDefault(i.name);
	return !name ? NULL : Py_BuildValue(
		"{s:N,s:s,s:I,s:I,s:L,s:K,s:I,s:I,s:I,s:O,s:K,s:I,s:I,s:K,s:d}",
		"name", name, "engine", i.engine, "kind", (unsigned)i.kind,
		"capacity", (unsigned)i.capacity, "value", (long long)i.value,
		"held", (unsigned long long)i.held, "peers", (unsigned)i.peers,
		"waiters", (unsigned)i.waiters, "dead", (unsigned)i.dead,
		"recovered", i.recovered ? Py_True : Py_False,
		"deaths", (unsigned long long)i.deaths, "mode", (unsigned)i.mode,
		"uid", (unsigned)i.uid, "inode", (unsigned long long)i.inode,
		"created", (double)i.created / 1e9);
}

/* ---- tuples with names ---- */

static PyStructSequence_Field peer_fields[] = {
	{ "pid", "number of the process, in its own PID namespace" },
	{ "uid", "its user" },
	{ "command", "a short name" },
	{ "alive", "True, False, or None: it cannot be known, and counts as alive" },
	{ "held", "units it holds" },
	{ "waiting", "threads of it that wait" },
	{ "wanted", "units that its latest waiter wants" },
	{ "waiting_since", "time.monotonic() of the oldest wait, or None" },
	{ "attached_since", "time.time() of its first acquire" },
	{ "is_self", "it is this process" },
	{ "for_pid", "the process for which it holds, or None" },
	{ "start_time", "as field 22 of /proc/PID/stat" },
	{ "pid_namespace", "inode of its PID namespace, or None" },
	{ NULL, NULL },
};
static PyStructSequence_Desc peer_desc = {
	"semundo.Peer", "A process that uses a semaphore.", peer_fields, 13,
};

static PyStructSequence_Field death_fields[] = {
	{ "pid", "number of the process" },
	{ "uid", "its user" },
	{ "units", "what it held" },
	{ "when", "time.time() of the moment they came back" },
	{ "number", "1, 2, ... for each semaphore" },
	{ NULL, NULL },
};
static PyStructSequence_Desc death_desc = {
	"semundo.Death", "A holder that died and whose units came back.", death_fields, 5,
};

/* Of the fields' values, which it takes over; null if one of them is. */
static PyObject *sequence(PyObject *type, PyObject **values, int count)
{
	PyObject *tuple = PyStructSequence_New((PyTypeObject *)type);
	for (int i = 0; i < count; i++) {
		if (tuple && values[i])
			PyStructSequence_SetItem(tuple, i, values[i]);
		else
			Py_XDECREF(values[i]);
		if (!values[i])
			Py_CLEAR(tuple);
	}
	return tuple;
}

static PyObject *known(bool is_known, PyObject *value)
{
	if (is_known)
		return value;
	Py_XDECREF(value);
	Py_RETURN_NONE;
}

static PyObject *peer_tuple(PyObject *type, const struct semundo_peer *p)
{
	PyObject *values[] = {
		PyLong_FromLong(p->pid),
		PyLong_FromUnsignedLong(p->uid),
		PyUnicode_DecodeFSDefault(p->command),
		known(p->alive != SEMUNDO_UNKNOWN, PyBool_FromLong(p->alive == SEMUNDO_ALIVE)),
		PyLong_FromUnsignedLong(p->held),
		PyLong_FromUnsignedLong(p->waiting),
		PyLong_FromUnsignedLong(p->wanted),
		known(p->waiting_since, PyFloat_FromDouble((double)p->waiting_since / 1e9)),
		PyFloat_FromDouble((double)p->attached_since / 1e9),
		PyBool_FromLong(p->is_self),
		known(p->for_pid, PyLong_FromLong(p->for_pid)),
		PyLong_FromUnsignedLongLong(p->start_time),
		known(p->pid_namespace, PyLong_FromUnsignedLongLong(p->pid_namespace)),
	};
	return sequence(type, values, sizeof(values) / sizeof(values[0]));
}

static PyObject *death_tuple(PyObject *type, const struct semundo_death *d)
{
	PyObject *values[] = {
		PyLong_FromLong(d->pid),
		PyLong_FromUnsignedLong(d->uid),
		PyLong_FromUnsignedLong(d->units),
		PyFloat_FromDouble((double)d->when / 1e9),
		PyLong_FromUnsignedLongLong(d->number),
	};
	return sequence(type, values, sizeof(values) / sizeof(values[0]));
}

/* ---- processes ---- */

typedef bool (*choice)(const struct semundo_peer *peer);

static bool is_any(const struct semundo_peer *peer)
{
	(void)peer;
	return true;
}

static bool is_holder(const struct semundo_peer *peer)
{
	return peer->held > 0;
}

static bool is_waiter(const struct semundo_peer *peer)
{
	return peer->waiting > 0;
}

static PyObject *list_of(PyObject *type, const struct semundo_peer *first, choice chosen)
{
	PyObject *list = PyList_New(0);
	for (const struct semundo_peer *p = first; list && p; p = p->next) {
		PyObject *tuple = chosen(p) ? peer_tuple(type, p) : NULL;
		if (chosen(p) && (!tuple || PyList_Append(list, tuple) < 0))
			Py_CLEAR(list);
		Py_XDECREF(tuple);
	}
	return list;
}

static PyObject *list_peers(PyObject *self, choice chosen)
{
	struct semundo_peer *first = NULL;
	if (!sem_is_open(self))
		return NULL;
	int r = semundo_peers(as_sem(self)->sem, &first);
	if (r < 0)
		return sem_raise(self, r);
	PyObject *module = sem_module(self);
	PyObject *list = module ? list_of(ext_state(module)->peer_type, first, chosen) : NULL;
	Py_XDECREF(module);
	semundo_peers_free(first);
	return list;
}

static PyObject *sem_peers(PyObject *self, PyObject *unused)
{
	(void)unused;
	return list_peers(self, is_any);
}

static PyObject *sem_holders(PyObject *self, PyObject *unused)
{
	(void)unused;
	return list_peers(self, is_holder);
}

static PyObject *sem_waiters(PyObject *self, PyObject *unused)
{
	(void)unused;
	return list_peers(self, is_waiter);
}

/* ---- deaths ---- */

#define DEATHS_MAX 8

static PyObject *deaths_tuple(PyObject *type, const struct semundo_death *deaths, int count)
{
	PyObject *tuple = PyTuple_New(count);
	for (int i = 0; tuple && i < count; i++) {
		PyObject *death = death_tuple(type, &deaths[i]);
		if (death)
			PyTuple_SET_ITEM(tuple, i, death);
		else
			Py_CLEAR(tuple);
	}
	return tuple;
}

/* Never empty, since a death was told: the newest was perhaps told to another
 * object of this process before. */
PyObject *sem_deaths(PyObject *self, uint64_t since)
{
	struct sem *sem = as_sem(self);
	struct semundo_death deaths[DEATHS_MAX] = { { .number = 0 } };
	int count = semundo_deaths(sem->sem, deaths, DEATHS_MAX);
	if (count == -ENOTSUP)
		count = 0; /* the engine knows that somebody died, not who */
	if (count < 0)
		return sem_raise(self, count);
	int fresh = 0;
	while (fresh < count && deaths[fresh].number > since)
		fresh++;
	if (fresh == 0)
		fresh = 1; /* also if none can be read: nobody known, pid 0 */
	sem->seen = deaths[0].number;
	PyObject *module = sem_module(self);
	PyObject *tuple = module ? deaths_tuple(ext_state(module)->death_type, deaths, fresh) : NULL;
	Py_XDECREF(module);
	return tuple;
}

static PyObject *sem_all_deaths(PyObject *self, PyObject *unused)
{
	(void)unused;
	struct semundo_death deaths[DEATHS_MAX];
	if (!sem_is_open(self))
		return NULL;
	int count = semundo_deaths(as_sem(self)->sem, deaths, DEATHS_MAX);
	if (count < 0)
		return sem_raise(self, count);
	PyObject *module = sem_module(self);
	PyObject *tuple = module ? deaths_tuple(ext_state(module)->death_type, deaths, count) : NULL;
	Py_XDECREF(module);
	return tuple;
}

PyObject *sem_get_recovered(PyObject *self, void *unused)
{
	(void)unused;
	struct sem *sem = as_sem(self);
	PyObject *deaths = NULL;
	if (sem->told) {
		PyObject *thread = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
		deaths = thread ? PyDict_GetItemWithError(sem->told, thread) : NULL;
		Py_XDECREF(thread);
		if (PyErr_Occurred())
			return NULL;
	}
	Py_XINCREF(deaths);
	return deaths ? deaths : PyTuple_New(0);
}

/* ---- the rest ---- */

static PyObject *sem_recover(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (!sem_is_open(self))
		return NULL;
	int r = semundo_recover(as_sem(self)->sem);
	return r < 0 ? sem_raise(self, r) : PyLong_FromLong(r);
}

static PyObject *sem_resize(PyObject *self, PyObject *capacity)
{
	unsigned n;
	int r;
	if (ext_units(capacity, &n) < 0 || !sem_is_open(self))
		return NULL;
	semundo_t *handle = sem_enter_call(as_sem(self));
	Py_BEGIN_ALLOW_THREADS
	r = semundo_resize(handle, n);
	Py_END_ALLOW_THREADS
	sem_leave_call(as_sem(self));
	if (r < 0)
		return sem_raise(self, r);
	Py_RETURN_NONE;
}

static PyObject *sem_descriptor(PyObject *self, PyObject *unused)
{
	(void)unused;
	int fd;
	if (!sem_is_open(self))
		return NULL;
	int r = semundo_descriptor(as_sem(self)->sem, &fd);
	return r < 0 ? sem_raise(self, r) : PyLong_FromLong(fd);
}

static PyObject *get_closed(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(!as_sem(self)->sem);
}

static PyObject *get_kind(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(as_sem(self)->kind);
}

static PyObject *get_on_recover(PyObject *self, void *unused)
{
	(void)unused;
	PyObject *callback = as_sem(self)->on_recover ? as_sem(self)->on_recover : Py_None;
	Py_INCREF(callback);
	return callback;
}

static int set_on_recover(PyObject *self, PyObject *value, void *unused)
{
	(void)unused;
	if (value && value != Py_None && !PyCallable_Check(value)) {
		PyErr_Format(PyExc_TypeError, "on_recover must be callable or None, not %R", value);
		return -1;
	}
	PyObject *old = as_sem(self)->on_recover;
	as_sem(self)->on_recover = value == Py_None ? NULL : value;
	Py_XINCREF(as_sem(self)->on_recover);
	Py_XDECREF(old);
	return 0;
}

PyMethodDef sem_look_methods[] = {
	{ "info", sem_info, METH_NOARGS, info_doc },
	{ "peers", sem_peers, METH_NOARGS,
	  "peers()\n--\n\nThe processes that use it, as a list of Peer." },
	{ "holders", sem_holders, METH_NOARGS,
	  "holders()\n--\n\nThe processes that hold units of it, as a list of Peer." },
	{ "waiters", sem_waiters, METH_NOARGS,
	  "waiters()\n--\n\nThe processes that wait for it, as a list of Peer." },
	{ "deaths", sem_all_deaths, METH_NOARGS,
	  "deaths()\n--\n\nThe latest holders that died (8 at most), newest first, as a tuple of\n"
	  "Death." },
	{ "recover", sem_recover, METH_NOARGS,
	  "recover()\n--\n\nGives the units of dead holders back now, and says how many holders\n"
	  "that were. Whoever has to wait does so too." },
	{ "resize", sem_resize, METH_O,
	  "resize(capacity)\n--\n\nAnother capacity, from now on. The value of a smaller one may be\n"
	  "below 0 until units come back." },
	{ "_descriptor", sem_descriptor, METH_NOARGS, "A new descriptor, the caller's." },
	{ NULL, NULL, 0, NULL },
};

PyGetSetDef sem_getset[] = {
	{ "value", get_value, NULL, "Units that can be acquired now.", NULL },
	{ "capacity", get_capacity, NULL, "All units; of a Signal its maximum.", NULL },
	{ "held", get_held, NULL, "Units that this process holds.", NULL },
	{ "recovered", sem_get_recovered, NULL,
	  "The deaths that this thread's latest acquire through this object was told of: a tuple of\n"
	  "Death, newest first, and empty if nobody died. What the units protect may be half done.",
	  NULL },
	{ "on_recover", get_on_recover, set_on_recover,
	  "None, or a function of (semaphore, deaths) that an acquire calls which is told of deaths,\n"
	  "with the units in hand. If it raises, the units go back and the acquire raises that.",
	  NULL },
	{ "closed", get_closed, NULL, "close() was called.", NULL },
	{ "_kind", get_kind, NULL, "LOCK, PERMITS or SIGNAL.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyObject *add_sequence(PyObject *module, PyStructSequence_Desc *desc)
{
	PyObject *type = (PyObject *)PyStructSequence_NewType(desc);
	if (type && PyObject_SetAttrString(module, strrchr(desc->name, '.') + 1, type) < 0)
		Py_CLEAR(type);
	return type;
}

int ext_add_look(PyObject *module)
{
	struct ext_state *state = ext_state(module);
	state->peer_type = add_sequence(module, &peer_desc);
	state->death_type = add_sequence(module, &death_desc);
	return state->peer_type && state->death_type ? 0 : -1;
}
