/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions: an OSError each, and what the same mistake is elsewhere. */
#include "ext.h"

#include <errno.h>

static const struct {
	const char *name, *doc;
	PyObject **bases[3];
	int codes[4];
} classes[] = {
	{ "semundo.NotFoundError", "There is no semaphore of that name.",
	  { &PyExc_FileNotFoundError }, { ENOENT } },
	{ "semundo.ExistsError", "A semaphore of that name is there already.",
	  { &PyExc_FileExistsError }, { EEXIST } },
	{ "semundo.AccessError", "The semaphore's mode does not let this user use it.",
	  { &PyExc_PermissionError }, { EACCES } },
	{ "semundo.TimeoutError", "The units were not free within the time.",
	  { &PyExc_TimeoutError }, { ETIMEDOUT } },
	{ "semundo.InvalidError", "A name or a number that cannot be, or another kind of semaphore.",
	  { &PyExc_ValueError }, { EINVAL, ENAMETOOLONG, ERANGE, EPROTOTYPE } },
	{ "semundo.NotHeldError", "Released what this process does not hold.",
	  { &PyExc_PermissionError, &PyExc_ValueError, &PyExc_RuntimeError }, { EPERM } },
	{ "semundo.FullError", "The signal would pass its maximum.",
	  { &PyExc_ValueError }, { EOVERFLOW } },
	{ "semundo.NotSupportedError", "This engine or kind of semaphore cannot do that.",
	  { &PyExc_NotImplementedError }, { ENOTSUP } },
};

static PyObject *class_of(struct ext_state *state, int code)
{
	PyObject *number = PyLong_FromLong(code);
	PyObject *class = number ? PyDict_GetItemWithError(state->errors, number) : NULL;
	Py_XDECREF(number);
	return class ? class : PyErr_Occurred() ? NULL : state->error;
}

PyObject *ext_raise(PyObject *module, int result)
{
	PyObject *class = class_of(ext_state(module), -result);
	PyObject *message = PyUnicode_DecodeFSDefault(semundo_error());
	PyObject *args = message ? Py_BuildValue("(iO)", -result, message) : NULL;
	if (class && args)
		PyErr_SetObject(class, args);
	Py_XDECREF(message);
	Py_XDECREF(args);
	return NULL;
}

static int add(PyObject *module, const char *name, PyObject *object)
{
	return PyObject_SetAttrString(module, strrchr(name, '.') + 1, object);
}

static PyObject *bases_of(struct ext_state *state, PyObject **const *bases)
{
	PyObject *list = Py_BuildValue("[O]", state->error);
	for (int i = 0; list && i < 3 && bases[i]; i++)
		if (PyList_Append(list, *bases[i]) < 0)
			Py_CLEAR(list);
	PyObject *tuple = list ? PyList_AsTuple(list) : NULL;
	Py_XDECREF(list);
	return tuple;
}

static int know(struct ext_state *state, const int *codes, PyObject *class)
{
	for (int i = 0; i < 4 && codes[i]; i++) {
		PyObject *number = PyLong_FromLong(codes[i]);
		int r = number ? PyDict_SetItem(state->errors, number, class) : -1;
		Py_XDECREF(number);
		if (r < 0)
			return -1;
	}
	return 0;
}

static int add_class(PyObject *module, size_t i)
{
	struct ext_state *state = ext_state(module);
	PyObject *bases = bases_of(state, classes[i].bases);
	PyObject *class = bases ? PyErr_NewExceptionWithDoc(classes[i].name, classes[i].doc, bases,
	                                                    NULL) : NULL;
	Py_XDECREF(bases);
	if (!class)
		return -1;
	int r = add(module, classes[i].name, class);
	if (!r)
		r = know(state, classes[i].codes, class);
	if (!r && classes[i].codes[0] == EPERM)
		state->not_held = class;
	else
		Py_DECREF(class);
	return r;
}

int ext_add_errors(PyObject *module)
{
	struct ext_state *state = ext_state(module);
	state->errors = PyDict_New();
	state->error = PyErr_NewExceptionWithDoc("semundo.Error", "What went wrong with a semaphore.",
	                                         PyExc_OSError, NULL);
	if (!state->errors || !state->error || add(module, "semundo.Error", state->error) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (add_class(module, i) < 0)
			return -1;
	return 0;
}
