/* SPDX-License-Identifier: Apache-2.0 */
/* The module semundo._ext, put together from its parts. */
#include "ext.h"

static int (*const parts[])(PyObject *module) = {
	ext_add_errors,
};

static int execute(PyObject *module)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i](module) < 0)
			return -1;
	return PyModule_AddStringConstant(module, "library_version", semundo_version());
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
	struct ext_state *state = ext_state(module);
	if (state) {
		Py_VISIT(state->errors);
		Py_VISIT(state->error);
	}
	return 0;
}

static int clear(PyObject *module)
{
	struct ext_state *state = ext_state(module);
	if (state) {
		Py_CLEAR(state->errors);
		Py_CLEAR(state->error);
	}
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
