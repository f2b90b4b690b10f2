/* SPDX-License-Identifier: Apache-2.0 */
/* Exceptions: OSError of the fitting kind, with the library's sentence. */
#include "ext.h"

PyObject *ext_raise(PyObject *module, int result)
{
	(void)module;
	PyObject *args = Py_BuildValue("(is)", -result, semundo_error());
	if (args)
		PyErr_SetObject(PyExc_OSError, args);
	Py_XDECREF(args);
	return NULL;
}

int ext_add_errors(PyObject *module)
{
	(void)module;
	return 0;
}
