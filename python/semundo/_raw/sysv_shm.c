/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory of System V. */
#include "raw.h"

#include <errno.h>
#include <sys/shm.h>

static const struct hint hints[] = {
	{ ENOENT, "there is no segment with that key" },
	{ EEXIST, "there is a segment with that key already" },
	{ EINVAL, "there is no segment of that id, its size is below SHMMIN, above SHMMAX or above that "
	          "of the one that is there, or an argument is wrong" },
	{ EIDRM, "the segment was removed" },
	{ ENOSPC, "the system's number of segments or of bytes is used up (SHMMNI, SHMALL; see ipcs "
	          "-lm); no disk is full" },
	{ 0, NULL },
};

PyDoc_STRVAR(shmget_doc,
"shmget(key, size, shmflg=0)\n--\n\n"
"The id of the segment with that key; IPC_CREAT: made if need be, of zeroes.");

static PyObject *raw_shmget(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "key", "size", "shmflg", NULL };
	key_t key;
	Py_ssize_t size;
	int flags = 0;
	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&n|i:shmget", names, raw_key, &key, &size,
	                                 &flags))
		return NULL;
	if (size < 0)
		return PyErr_Format(PyExc_ValueError, "size must be 0 or more bytes, not %zd", size);
	int id = shmget(key, (size_t)size, flags);
	return id < 0 ? raw_fail(hints, "shmget of key %d", (int)key) : PyLong_FromLong(id);
}

/* ---- attached memory ---- */

/* It is attached as long as there are buffers of it. */
struct attachment {
	PyObject_HEAD
	void *memory;
	Py_ssize_t size, buffers;
	bool read_only;
};

static void detach(struct attachment *self)
{
	if (self->memory)
		shmdt(self->memory);
	self->memory = NULL;
}

static int get_buffer(PyObject *object, Py_buffer *view, int flags)
{
	struct attachment *self = (struct attachment *)object;
	if (!self->memory) {
		view->obj = NULL;
		PyErr_SetString(PyExc_BufferError, "the segment is detached");
		return -1;
	}
	int r = PyBuffer_FillInfo(view, object, self->memory, self->size, self->read_only, flags);
	if (r == 0)
		self->buffers++;
	return r;
}

static void release_buffer(PyObject *object, Py_buffer *view)
{
	struct attachment *self = (struct attachment *)object;
	(void)view;
	if (--self->buffers == 0)
		detach(self);
}

static void attachment_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	detach((struct attachment *)self);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *no_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	(void)args;
	(void)kwargs;
	return PyErr_Format(PyExc_TypeError, "only shmat() makes a %s", type->tp_name);
}

static PyType_Slot attachment_slots[] = {
	{ Py_tp_new, no_new },
	{ Py_tp_dealloc, attachment_dealloc },
	{ Py_tp_doc, "A segment of shared memory where it is attached." },
	{ 0, NULL },
};
static PyType_Spec attachment_spec = {
	.name = "semundo._raw._Attachment",
	.basicsize = sizeof(struct attachment),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = attachment_slots,
};

/* CPython has slots for these since 3.9 only. */
static PyObject *attachment_type_new(void)
{
	PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(&attachment_spec);
	if (type) {
		type->tp_as_buffer->bf_getbuffer = get_buffer;
		type->tp_as_buffer->bf_releasebuffer = release_buffer;
	}
	return (PyObject *)type;
}

static PyObject *fail_attach(int id)
{
	return raw_fail(hints, "shmat of segment %d", id);
}

/* Its size is looked at while it is attached, when the id cannot go to another. */
static PyObject *attach(PyObject *module, int id, void *address, int flags)
{
	struct shmid_ds ds;
	PyTypeObject *type = (PyTypeObject *)raw_state(module)->attachment_type;
	struct attachment *self = (struct attachment *)type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	void *memory = shmat(id, address, flags);
	/* shmat(2): what is not an address is -1. */
	if ((intptr_t)memory == -1)
		fail_attach(id);
	else if (self->memory = memory, shmctl(id, IPC_STAT, &ds) < 0)
		fail_attach(id);
	self->read_only = flags & SHM_RDONLY;
	PyObject *view = NULL;
	if (!PyErr_Occurred()) {
		self->size = (Py_ssize_t)ds.shm_segsz;
		view = PyMemoryView_FromObject((PyObject *)self);
	}
	Py_DECREF(self);
	return view;
}

PyDoc_STRVAR(shmat_doc,
"shmat(shmid, shmaddr=None, shmflg=0)\n--\n\n"
"Attaches a segment: a memoryview of it, writable but for SHM_RDONLY. It stays\n"
"attached until shmdt(), or until the last view of it goes.");

static PyObject *raw_shmat(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "shmid", "shmaddr", "shmflg", NULL };
	PyObject *address = Py_None;
	void *pointer = NULL;
	int id, flags = 0;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|Oi:shmat", names, &id, &address, &flags))
		return NULL;
	if (flags & SHM_REMAP)
		return PyErr_Format(PyExc_ValueError,
		                    "SHM_REMAP would replace memory that this program uses");
	if (address != Py_None) {
		pointer = PyLong_AsVoidPtr(address);
		if (PyErr_Occurred())
			return NULL;
	}
	return attach(module, id, pointer, flags);
}

PyDoc_STRVAR(shmdt_doc,
"shmdt(view)\n--\n\n"
"Releases what shmat() gave. The segment is detached then, or, if slices of the\n"
"view are about, when the last of them goes. BufferError if another object uses the\n"
"memory of the view.");

static PyObject *raw_shmdt(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "view", NULL };
	PyObject *view;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!:shmdt", names, &PyMemoryView_Type, &view))
		return NULL;
	PyObject *base = PyObject_GetAttrString(view, "obj"); /* ValueError: it is released */
	if (!base)
		return NULL;
	PyObject *result = NULL, *type = raw_state(module)->attachment_type;
	if (!PyObject_TypeCheck(base, (PyTypeObject *)type))
		PyErr_SetString(PyExc_ValueError, "shmdt() takes a memoryview that shmat() gave");
	else
		result = PyObject_CallMethod(view, "release", NULL);
	Py_DECREF(base);
	if (!result)
		return NULL;
	Py_DECREF(result);
	return PyLong_FromLong(0);
}

/* ---- shmctl ---- */

static PyStructSequence_Field shmid_fields[] = {
	{ "shm_perm", "owner and permissions, with SHM_DEST and SHM_LOCKED in its mode" },
	{ "shm_segsz", "bytes" },
	{ "shm_atime", "time.time() of the last shmat, or 0" },
	{ "shm_dtime", "time.time() of the last shmdt, or 0" },
	{ "shm_ctime", "time.time() of the last change by shmctl" },
	{ "shm_cpid", "process that made it" },
	{ "shm_lpid", "process of the last shmat or shmdt" },
	{ "shm_nattch", "how often it is attached" },
	{ NULL, NULL },
};
static PyStructSequence_Desc shmid_desc = {
	"semundo.sysvipc.shmid_ds", "What IPC_STAT tells of a segment.", shmid_fields, 8,
};

static PyObject *fail_control(int id)
{
	return raw_fail(hints, "shmctl on segment %d", id);
}

static PyObject *status(PyObject *module, const struct shmid_ds *ds)
{
	PyObject *perm = raw_perm(module, &ds->shm_perm);
	if (!perm)
		return NULL;
	PyObject *values = Py_BuildValue(
		"(NKLLLiiK)", perm, (unsigned long long)ds->shm_segsz, (long long)ds->shm_atime,
		(long long)ds->shm_dtime, (long long)ds->shm_ctime, (int)ds->shm_cpid,
		(int)ds->shm_lpid, (unsigned long long)ds->shm_nattch);
	return raw_struct(raw_state(module)->shmid_type, values);
}

static PyObject *get_status(PyObject *module, int id, int op)
{
	struct shmid_ds ds;
	int r = shmctl(id, op, &ds);
	if (r < 0)
		return fail_control(id);
	PyObject *made = status(module, &ds);
	return op == IPC_STAT || !made ? made : Py_BuildValue("(iN)", r, made);
}

static PyObject *set_status(int id, PyObject *arg)
{
	struct shmid_ds ds = { .shm_segsz = 0 };
	bool known = shmctl(id, IPC_STAT, &ds) == 0;
	if (!known && errno != EACCES)
		return fail_control(id);
	ds.shm_perm.mode &= 0777;
	if (raw_set(arg, known, "shm_perm", &ds.shm_perm, NULL, NULL) < 0)
		return NULL;
	int r = shmctl(id, IPC_SET, &ds);
	return r < 0 ? fail_control(id) : PyLong_FromLong(r);
}

static PyObject *get_limits(void)
{
	struct shminfo i;
	int r = shmctl(0, IPC_INFO, (struct shmid_ds *)&i);
	if (r < 0)
		return raw_fail(NULL, "shmctl for limits");
	return Py_BuildValue("{s:i,s:K,s:K,s:K,s:K,s:K}", "index", r,
	                     "shmmax", (unsigned long long)i.shmmax,
	                     "shmmin", (unsigned long long)i.shmmin,
	                     "shmmni", (unsigned long long)i.shmmni,
	                     "shmseg", (unsigned long long)i.shmseg,
	                     "shmall", (unsigned long long)i.shmall);
}

static PyObject *get_use(void)
{
	struct shm_info i;
	int r = shmctl(0, SHM_INFO, (struct shmid_ds *)&i);
	if (r < 0)
		return raw_fail(NULL, "shmctl for what is used");
	return Py_BuildValue("{s:i,s:i,s:K,s:K,s:K}", "index", r, "used_ids", i.used_ids,
	                     "shm_tot", (unsigned long long)i.shm_tot,
	                     "shm_rss", (unsigned long long)i.shm_rss,
	                     "shm_swp", (unsigned long long)i.shm_swp);
}

PyDoc_STRVAR(shmctl_doc,
"shmctl(shmid, op, arg=None)\n--\n\n"
"IPC_STAT: a shmid_ds; IPC_SET: arg is one, or a dict with some of uid, gid, mode.\n"
"IPC_RMID: it goes when it is attached nowhere. SHM_LOCK, SHM_UNLOCK. IPC_INFO,\n"
"SHM_INFO: a dict. SHM_STAT, SHM_STAT_ANY: shmid is an index; (id, shmid_ds).");

static PyObject *raw_shmctl(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "shmid", "op", "arg", NULL };
	PyObject *arg = Py_None;
	int id, op, r;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ii|O:shmctl", names, &id, &op, &arg))
		return NULL;
	switch (op) {
	case IPC_STAT: case SHM_STAT: case SHM_STAT_ANY:
		return get_status(module, id, op);
	case IPC_SET:
		return set_status(id, arg);
	case IPC_INFO:
		return get_limits();
	case SHM_INFO:
		return get_use();
	case IPC_RMID: case SHM_LOCK: case SHM_UNLOCK:
		r = shmctl(id, op, NULL);
		return r < 0 ? fail_control(id) : PyLong_FromLong(r);
	default:
		errno = EINVAL;
		return raw_fail(NULL, "shmctl has no op %d", op);
	}
}

static PyMethodDef functions[] = {
	{ "shmget", KEYWORDS(raw_shmget), shmget_doc },
	{ "shmat", KEYWORDS(raw_shmat), shmat_doc },
	{ "shmdt", KEYWORDS(raw_shmdt), shmdt_doc },
	{ "shmctl", KEYWORDS(raw_shmctl), shmctl_doc },
	{ NULL, NULL, 0, NULL },
};

int raw_add_sysv_shm(PyObject *module)
{
	struct raw_state *state = raw_state(module);
	PyObject *type = (PyObject *)PyStructSequence_NewType(&shmid_desc);
	state->shmid_type = raw_add_type(module, shmid_desc.name, type);
	if (!state->shmid_type)
		return -1;
	state->attachment_type = raw_add_type(module, attachment_spec.name, attachment_type_new());
	return state->attachment_type ? PyModule_AddFunctions(module, functions) : -1;
}
