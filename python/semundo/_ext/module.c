/* SPDX-License-Identifier: Apache-2.0 */
/* The module semundo._ext, put together from its parts. */
#include "ext.h"

#include <pthread.h>

static int (*const parts[])(PyObject *module) = {
	ext_add_errors,
	ext_add_cancel,
	ext_add_look,
	ext_add_sem,
	ext_add_rlock,
	ext_add_names,
	ext_add_semlock,
};

/* ---- forks: of the process, not of an interpreter ---- */

static unsigned forks;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void ext_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void ext_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

static void begin_child(void)
{
	forks++;
	ext_unlock();
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(ext_lock, ext_unlock, begin_child);
}

unsigned ext_forks(void)
{
	return forks;
}

/* ---- types ---- */

PyObject *ext_add_type(PyObject *module, PyType_Spec *spec, PyObject *base)
{
	PyObject *bases = base ? PyTuple_Pack(1, base) : NULL;
	if (base && !bases)
		return NULL;
	PyObject *type = PyType_FromSpecWithBases(spec, bases);
	Py_XDECREF(bases);
	if (type && (PyObject_SetAttrString(type, "_module", module) < 0 ||
	             PyObject_SetAttrString(module, strrchr(spec->name, '.') + 1, type) < 0))
		Py_CLEAR(type);
	return type;
}

/* ---- the module ---- */

static int execute(PyObject *module)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i](module) < 0)
			return -1;
	if (PyModule_AddIntConstant(module, "LOCK", SEMUNDO_LOCK) < 0 ||
	    PyModule_AddIntConstant(module, "PERMITS", SEMUNDO_PERMITS) < 0 ||
	    PyModule_AddIntConstant(module, "SIGNAL", SEMUNDO_SIGNAL) < 0 ||
	    PyModule_AddIntConstant(module, "NO_DESCRIPTOR", EXT_NO_DESCRIPTOR) < 0 ||
	    PyModule_AddIntConstant(module, "CREATE", SEMUNDO_CREATE) < 0 ||
	    PyModule_AddIntConstant(module, "EXCL", SEMUNDO_EXCL) < 0 ||
	    PyModule_AddIntConstant(module, "REPLACE", SEMUNDO_REPLACE) < 0 ||
	    PyModule_AddIntConstant(module, "OBSERVE", SEMUNDO_OBSERVE) < 0)
		return -1;
	return PyModule_AddStringConstant(module, "library_version", semundo_version());
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
	struct ext_state *state = ext_state(module);
	if (!state)
		return 0;
	Py_VISIT(state->errors);
	Py_VISIT(state->error);
	Py_VISIT(state->not_held);
	Py_VISIT(state->sem_type);
	Py_VISIT(state->cancel_type);
	Py_VISIT(state->peer_type);
	Py_VISIT(state->death_type);
	return 0;
}

static int clear(PyObject *module)
{
	struct ext_state *state = ext_state(module);
	if (!state)
		return 0;
	Py_CLEAR(state->errors);
	Py_CLEAR(state->error);
	Py_CLEAR(state->not_held);
	Py_CLEAR(state->sem_type);
	Py_CLEAR(state->cancel_type);
	Py_CLEAR(state->peer_type);
	Py_CLEAR(state->death_type);
	return 0;
}

static void free_module(void *module)
{
	clear(module);
}

static PyModuleDef_Slot slots[] = {
	{ Py_mod_exec, execute },
#ifdef Py_mod_multiple_interpreters
	{ Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED },
#endif
	{ 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "semundo._ext",
	.m_size = sizeof(struct ext_state),
	.m_slots = slots,
	.m_traverse = traverse,
	.m_clear = clear,
	.m_free = free_module,
};

/* PyMODINIT_FUNC says so itself since 3.9. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__ext(void)
{
	return PyModuleDef_Init(&definition);
}
