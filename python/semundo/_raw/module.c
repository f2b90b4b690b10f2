/* SPDX-License-Identifier: Apache-2.0 */
/* The module semundo._raw, put together from its parts. */
#include "raw.h"

static int (*const parts[])(PyObject *module) = {
	raw_add_common,
	raw_add_constants,
	raw_add_sysv_sem,
	raw_add_sysv_msg,
	raw_add_sysv_shm,
	raw_add_posix_sem,
};

static int execute(PyObject *module)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i](module) < 0)
			return -1;
	return 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
	struct raw_state *state = raw_state(module);
	if (!state)
		return 0;
	Py_VISIT(state->perm_type);
	Py_VISIT(state->semid_type);
	Py_VISIT(state->msqid_type);
	Py_VISIT(state->shmid_type);
	Py_VISIT(state->attachment_type);
	Py_VISIT(state->sem_type);
	return 0;
}

static int clear(PyObject *module)
{
	struct raw_state *state = raw_state(module);
	if (!state)
		return 0;
	Py_CLEAR(state->perm_type);
	Py_CLEAR(state->semid_type);
	Py_CLEAR(state->msqid_type);
	Py_CLEAR(state->shmid_type);
	Py_CLEAR(state->attachment_type);
	Py_CLEAR(state->sem_type);
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
	.m_name = "semundo._raw",
	.m_size = sizeof(struct raw_state),
	.m_slots = slots,
	.m_traverse = traverse,
	.m_clear = clear,
	.m_free = free_module,
};

/* PyMODINIT_FUNC says so itself since 3.9. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__raw(void)
{
	return PyModuleDef_Init(&definition);
}
