/* SPDX-License-Identifier: Apache-2.0 */
/* _Cancel: a token that ends waits from another thread. */
#include "ext.h"

struct cancel {
	PyObject_HEAD
	semundo_cancel_t *token;
};

static PyObject *cancel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	(void)args;
	(void)kwargs;
	struct cancel *self = (struct cancel *)type->tp_alloc(type, 0);
	if (self && semundo_cancel_new(&self->token) < 0) {
		self->token = NULL;
		Py_DECREF(self);
		return PyErr_NoMemory();
	}
	return (PyObject *)self;
}

static void cancel_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	semundo_cancel_free(((struct cancel *)self)->token);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *cancel_cancel(PyObject *self, PyObject *unused)
{
	(void)unused;
	semundo_cancel(((struct cancel *)self)->token);
	Py_RETURN_NONE;
}

static PyObject *cancel_reset(PyObject *self, PyObject *unused)
{
	(void)unused;
	semundo_cancel_reset(((struct cancel *)self)->token);
	Py_RETURN_NONE;
}

semundo_cancel_t *cancel_token(PyObject *module, PyObject *object)
{
	if (PyObject_TypeCheck(object, (PyTypeObject *)ext_state(module)->cancel_type))
		return ((struct cancel *)object)->token;
	PyErr_SetString(PyExc_TypeError, "a _Cancel is needed");
	return NULL;
}

static PyMethodDef methods[] = {
	{ "cancel", cancel_cancel, METH_NOARGS, "Ends all waits that use it, now and later." },
	{ "reset", cancel_reset, METH_NOARGS, "Waits that begin from now on are not ended." },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, cancel_new },
	{ Py_tp_dealloc, cancel_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_doc, "A token that ends waits of this process." },
	{ 0, NULL },
};

static PyType_Spec spec = {
	.name = "semundo._ext._Cancel",
	.basicsize = sizeof(struct cancel),
	.flags = Py_TPFLAGS_DEFAULT,
	.slots = slots,
};

int ext_add_cancel(PyObject *module)
{
	ext_state(module)->cancel_type = ext_add_type(module, &spec, NULL);
	return ext_state(module)->cancel_type ? 0 : -1;
}
