/* SPDX-License-Identifier: Apache-2.0 */
/* Functions on names: they need no semaphore that is open. */
#include "ext.h"

#include <stdlib.h>

static PyObject *ext_unlink(PyObject *module, PyObject *args)
{
	const char *name, *dir;
	int r;
	if (!PyArg_ParseTuple(args, "sz:_unlink", &name, &dir))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = semundo_unlink(name, dir);
	Py_END_ALLOW_THREADS
	if (r < 0)
		return ext_raise(module, r);
	Py_RETURN_NONE;
}

static int visit(const char *name, void *list)
{
	PyObject *text = PyUnicode_DecodeFSDefault(name);
	int r = text ? PyList_Append(list, text) : -1;
	Py_XDECREF(text);
	return r < 0;
}

static PyObject *ext_names(PyObject *module, PyObject *args)
{
	const char *dir;
	if (!PyArg_ParseTuple(args, "z:_names", &dir))
		return NULL;
	PyObject *list = PyList_New(0);
	int r = list ? semundo_list(dir, visit, list) : 1;
	if (r == 0)
		return list;
	Py_XDECREF(list);
	return r < 0 ? ext_raise(module, r) : NULL;
}

static PyObject *ext_directory(PyObject *module, PyObject *unused)
{
	char *dir;
	(void)unused;
	int r = semundo_directory(&dir);
	if (r < 0)
		return ext_raise(module, r);
	PyObject *text = PyUnicode_DecodeFSDefault(dir);
	free(dir);
	return text;
}

static PyMethodDef functions[] = {
	{ "_unlink", ext_unlink, METH_VARARGS, "_unlink(name, dir)" },
	{ "_names", ext_names, METH_VARARGS, "_names(dir): a list" },
	{ "directory", ext_directory, METH_NOARGS,
	  "directory()\n--\n\nWhere semaphores live if no directory is given: $SEMUNDO_DIR, else\n"
	  "/dev/shm." },
	{ NULL, NULL, 0, NULL },
};

int ext_add_names(PyObject *module)
{
	return PyModule_AddFunctions(module, functions);
}
