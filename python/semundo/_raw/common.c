/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments, time limits, failures, struct ipc_perm. */
#include "raw.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

/* ---- types ---- */

PyObject *raw_add_type(PyObject *module, const char *name, PyObject *type)
{
	if (type && PyObject_SetAttrString(module, strrchr(name, '.') + 1, type) < 0)
		Py_CLEAR(type);
	return type;
}

PyObject *raw_struct(PyObject *type, PyObject *values)
{
	PyObject *made = values ? PyObject_CallFunctionObjArgs(type, values, NULL) : NULL;
	Py_XDECREF(values);
	return made;
}

/* ---- arguments ---- */

int raw_int(PyObject *value, const char *what, long long min, long long max, long long *ret)
{
	int overflow = 0;
	PyObject *index = PyNumber_Index(value);
	if (!index)
		return -1;
	long long n = PyLong_AsLongLongAndOverflow(index, &overflow);
	Py_DECREF(index);
	if (n == -1 && PyErr_Occurred())
		return -1;
	if (overflow || n < min || n > max) {
		PyErr_Format(PyExc_OverflowError, "%s must be from %lld to %lld, not %R", what, min, max,
		             value);
		return -1;
	}
	*ret = n;
	return 0;
}

int raw_key(PyObject *value, void *ret_key)
{
	long long key;
	if (raw_int(value, "a key", INT32_MIN, UINT32_MAX, &key) < 0)
		return 0;
	*(key_t *)ret_key = (key_t)(int32_t)(uint32_t)key;
	return 1;
}

/* ---- time limits ---- */

/* More than this many seconds is no limit. */
#define LIMIT_MAX 1e9

int raw_limit(struct limit *ret, PyObject *timeout)
{
	*ret = (struct limit){ .timed = false };
	if (timeout == Py_None)
		return 0;
	double s = PyFloat_AsDouble(timeout);
	if (s == -1.0 && PyErr_Occurred())
		return -1;
	if (isnan(s) || s < 0) {
		PyErr_Format(PyExc_ValueError, "a timeout must be None or 0 or more seconds, not %R",
		             timeout);
		return -1;
	}
	if (s >= LIMIT_MAX)
		return 0;
	ret->timed = true;
	clock_gettime(CLOCK_MONOTONIC, &ret->deadline);
	ret->deadline.tv_sec += (time_t)s;
	ret->deadline.tv_nsec += (long)((s - floor(s)) * 1e9);
	if (ret->deadline.tv_nsec >= 1000000000) {
		ret->deadline.tv_nsec -= 1000000000;
		ret->deadline.tv_sec++;
	}
	return 0;
}

const struct timespec *raw_left(const struct limit *limit, struct timespec *left)
{
	struct timespec now;
	if (!limit->timed)
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, &now);
	left->tv_sec = limit->deadline.tv_sec - now.tv_sec;
	left->tv_nsec = limit->deadline.tv_nsec - now.tv_nsec;
	if (left->tv_nsec < 0) {
		left->tv_nsec += 1000000000;
		left->tv_sec--;
	}
	if (left->tv_sec < 0)
		*left = (struct timespec){ 0, 0 };
	return left;
}

/* ---- failures ---- */

static const char *meaning(const struct hint *hints, int code)
{
	for (; hints && hints->code; hints++)
		if (hints->code == code)
			return hints->text;
	return strerror(code);
}

PyObject *raw_fail(const struct hint *hints, const char *format, ...)
{
	int code = errno;
	va_list args;
	va_start(args, format);
	PyObject *tried = PyUnicode_FromFormatV(format, args);
	va_end(args);
	PyObject *text = tried ? PyUnicode_FromFormat("%U: %s", tried, meaning(hints, code)) : NULL;
	/* OSError itself makes the subclass that belongs to the number. */
	PyObject *error = text ? PyObject_CallFunction(PyExc_OSError, "iO", code, text) : NULL;
	if (error)
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_XDECREF(tried);
	Py_XDECREF(text);
	Py_XDECREF(error);
	return NULL;
}

int raw_interrupted(void)
{
	return errno != EINTR ? 1 : PyErr_CheckSignals() < 0 ? -1 : 0;
}

/* ---- struct ipc_perm ---- */

static PyStructSequence_Field perm_fields[] = {
	{ "key", "the key it was made with" },
	{ "uid", "owner" },
	{ "gid", "group of the owner" },
	{ "cuid", "who made it" },
	{ "cgid", "group of who made it" },
	{ "mode", "permissions" },
	{ "seq", "how often the slot was used" },
	{ NULL, NULL },
};
static PyStructSequence_Desc perm_desc = {
	"semundo.sysvipc.ipc_perm", "Owner and permissions.", perm_fields, 7,
};

PyObject *raw_perm(PyObject *module, const struct ipc_perm *p)
{
	return raw_struct(raw_state(module)->perm_type,
	                  Py_BuildValue("(iIIIIII)", p->__key, p->uid, p->gid, p->cuid, p->cgid,
	                                (unsigned)p->mode, (unsigned)p->__seq));
}

/* A borrowed or no reference to one field of the argument; see raw_set(). */
static PyObject *field(PyObject *arg, const char *name)
{
	if (!PyDict_Check(arg))
		return PyObject_GetAttrString(arg, name);
	PyObject *value = PyDict_GetItemString(arg, name);
	Py_XINCREF(value);
	return value;
}

/* 1: it was given, 0: it was not, -1: an exception. */
static int take(PyObject *arg, const char *name, long long max, long long *ret)
{
	PyObject *value = field(arg, name);
	if (!value)
		return PyErr_Occurred() ? -1 : 0;
	int r = raw_int(value, name, 0, max, ret);
	Py_DECREF(value);
	return r < 0 ? -1 : 1;
}

static int take_all(PyObject *arg, PyObject *perm, bool known, struct ipc_perm *ret,
                    const char *extra, unsigned long *ret_extra)
{
	long long n[4] = { ret->uid, ret->gid, ret->mode, 0 };
	const char *names[4] = { "uid", "gid", "mode", extra };
	Py_ssize_t given = 0;
	for (int i = 0; i < 4 && names[i]; i++) {
		int r = take(i < 3 ? perm : arg, names[i], i < 2 ? UINT32_MAX : i < 3 ? 0777 : LONG_MAX,
		             &n[i]);
		if (r < 0)
			return -1;
		if (i == 3 && r)
			*ret_extra = (unsigned long)n[3];
		given += r;
		if (!r && !known) {
			PyErr_Format(PyExc_ValueError, "IPC_SET needs %s here, for it cannot be read",
			             names[i]);
			return -1;
		}
	}
	if (PyDict_Check(arg) && given != PyDict_Size(arg)) {
		PyErr_Format(PyExc_TypeError, "IPC_SET takes uid, gid, mode%s%s, not %R",
		             extra ? ", " : "", extra ? extra : "", arg);
		return -1;
	}
	ret->uid = (uid_t)n[0];
	ret->gid = (gid_t)n[1];
	ret->mode = (unsigned short)n[2];
	return 0;
}

int raw_set(PyObject *arg, bool known, const char *perm, struct ipc_perm *ret,
            const char *extra, unsigned long *ret_extra)
{
	if (PyDict_Check(arg))
		return take_all(arg, arg, known, ret, extra, ret_extra);
	PyObject *inner = PyObject_GetAttrString(arg, perm);
	if (!inner) {
		PyErr_Format(PyExc_TypeError, "IPC_SET takes a dict, or what IPC_STAT gives, not %R", arg);
		return -1;
	}
	int r = take_all(arg, inner, known, ret, extra, ret_extra);
	Py_DECREF(inner);
	return r;
}

int raw_add_common(PyObject *module)
{
	PyObject *type = (PyObject *)PyStructSequence_NewType(&perm_desc);
	raw_state(module)->perm_type = raw_add_type(module, perm_desc.name, type);
	return raw_state(module)->perm_type ? 0 : -1;
}
