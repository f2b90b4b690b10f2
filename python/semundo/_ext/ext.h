/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the extension module share.
 *
 * Each part has one function that adds its types and functions to the module;
 * module.c calls them. Nothing is kept in C globals: what belongs to one
 * interpreter is in the module's state, so that subinterpreters work.
 */
#ifndef SEMUNDO_EXT_H
#define SEMUNDO_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "semundo.h"

struct ext_state {
	PyObject *errors; /* dict: errno -> exception class of this package */
	PyObject *error;  /* semundo.Error */
};

static inline struct ext_state *ext_state(PyObject *module)
{
	return (struct ext_state *)PyModule_GetState(module);
}

/* ---- parts; 0, or -1 with an exception ---- */

int ext_add_errors(PyObject *module);

/* ---- errors.c ---- */

/* Raises the exception for a negative errno of the library, with its sentence
 * as the message. Returns null. */
PyObject *ext_raise(PyObject *module, int result);

#endif
