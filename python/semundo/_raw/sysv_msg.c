/* SPDX-License-Identifier: Apache-2.0 */
/* Message queues of System V. */
#include "raw.h"

#include <errno.h>
#include <string.h>
#include <sys/msg.h>

static const struct hint hints[] = {
	{ ENOENT, "there is no queue with that key" },
	{ EEXIST, "there is a queue with that key already" },
	{ EINVAL, "there is no queue of that id, the message is longer than MSGMAX, its type is below "
	          "1, or an argument is wrong" },
	{ EIDRM, "the queue was removed" },
	{ EAGAIN, "not now" },
	{ ENOMSG, "there is no such message" },
	{ E2BIG, "the message is longer than msgsz; it stays (MSG_NOERROR cuts it)" },
	{ ENOSPC, "the system's number of queues is used up (MSGMNI; see ipcs -lq); no disk is full" },
	{ 0, NULL },
};

struct message {
	long type;
	char text[];
};

static struct message *message_new(Py_ssize_t size)
{
	struct message *message = PyMem_Malloc(sizeof(*message) + (size_t)size);
	if (!message)
		PyErr_NoMemory();
	return message;
}

PyDoc_STRVAR(msgget_doc,
"msgget(key, msgflg=0)\n--\n\n"
"The id of the queue with that key; IPC_CREAT: made if need be.");

static PyObject *raw_msgget(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "key", "msgflg", NULL };
	key_t key;
	int flags = 0;
	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|i:msgget", names, raw_key, &key, &flags))
		return NULL;
	int id = msgget(key, flags);
	return id < 0 ? raw_fail(hints, "msgget of key %d", (int)key) : PyLong_FromLong(id);
}

/* ---- sending and receiving ---- */

static PyObject *send_message(int id, const struct message *message, size_t size, int flags)
{
	int r, why;
	do {
		Py_BEGIN_ALLOW_THREADS
		r = msgsnd(id, message, size, flags);
		Py_END_ALLOW_THREADS
		why = r < 0 ? raw_interrupted() : 2;
	} while (why == 0);
	if (why < 0)
		return NULL;
	return r < 0 ? raw_fail(hints, "msgsnd to queue %d", id) : PyLong_FromLong(0);
}

PyDoc_STRVAR(msgsnd_doc,
"msgsnd(msqid, mtype, mtext, msgflg=0)\n--\n\n"
"Sends bytes as a message of type mtype, 1 or more. Waits while the queue is full.");

static PyObject *raw_msgsnd(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "msqid", "mtype", "mtext", "msgflg", NULL };
	int id, flags = 0;
	long type;
	Py_buffer text;
	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ily*|i:msgsnd", names, &id, &type, &text,
	                                 &flags))
		return NULL;
	PyObject *result = NULL;
	struct message *message = message_new(text.len);
	if (message) {
		message->type = type;
		memcpy(message->text, text.buf, (size_t)text.len);
		result = send_message(id, message, (size_t)text.len, flags);
	}
	PyMem_Free(message);
	PyBuffer_Release(&text);
	return result;
}

static PyObject *receive(int id, struct message *message, size_t size, long type, int flags)
{
	ssize_t r;
	int why;
	do {
		Py_BEGIN_ALLOW_THREADS
		r = msgrcv(id, message, size, type, flags);
		Py_END_ALLOW_THREADS
		why = r < 0 ? raw_interrupted() : 2;
	} while (why == 0);
	if (why < 0)
		return NULL;
	if (r < 0)
		return raw_fail(hints, "msgrcv from queue %d", id);
	return Py_BuildValue("(ly#)", message->type, message->text, (Py_ssize_t)r);
}

PyDoc_STRVAR(msgrcv_doc,
"msgrcv(msqid, msgsz, msgtyp=0, msgflg=0)\n--\n\n"
"(mtype, bytes) of the first message; of type msgtyp, if it is above 0; of the\n"
"lowest type up to -msgtyp, if it is below. Waits until there is one.");

static PyObject *raw_msgrcv(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "msqid", "msgsz", "msgtyp", "msgflg", NULL };
	int id, flags = 0;
	Py_ssize_t size;
	long type = 0;
	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "in|li:msgrcv", names, &id, &size, &type,
	                                 &flags))
		return NULL;
	if (size < 0 || size > PY_SSIZE_T_MAX / 2)
		return PyErr_Format(PyExc_ValueError, "msgsz must be 0 or more bytes, not %zd", size);
	struct message *message = message_new(size);
	PyObject *result = message ? receive(id, message, (size_t)size, type, flags) : NULL;
	PyMem_Free(message);
	return result;
}

/* ---- msgctl ---- */

static PyStructSequence_Field msqid_fields[] = {
	{ "msg_perm", "owner and permissions" },
	{ "msg_stime", "time.time() of the last msgsnd, or 0" },
	{ "msg_rtime", "time.time() of the last msgrcv, or 0" },
	{ "msg_ctime", "time.time() of the last change by msgctl" },
	{ "msg_cbytes", "bytes in it" },
	{ "msg_qnum", "messages in it" },
	{ "msg_qbytes", "bytes that may be in it" },
	{ "msg_lspid", "process of the last msgsnd" },
	{ "msg_lrpid", "process of the last msgrcv" },
	{ NULL, NULL },
};
static PyStructSequence_Desc msqid_desc = {
	"semundo.sysvipc.msqid_ds", "What IPC_STAT tells of a message queue.", msqid_fields, 9,
};

static PyObject *fail_control(int id)
{
	return raw_fail(hints, "msgctl on queue %d", id);
}

static PyObject *status(PyObject *module, const struct msqid_ds *ds)
{
	PyObject *perm = raw_perm(module, &ds->msg_perm);
	if (!perm)
		return NULL;
	PyObject *values = Py_BuildValue(
		"(NLLLkKKii)", perm, (long long)ds->msg_stime, (long long)ds->msg_rtime,
		(long long)ds->msg_ctime, (unsigned long)ds->__msg_cbytes,
		(unsigned long long)ds->msg_qnum, (unsigned long long)ds->msg_qbytes,
		(int)ds->msg_lspid, (int)ds->msg_lrpid);
	return raw_struct(raw_state(module)->msqid_type, values);
}

static PyObject *get_status(PyObject *module, int id, int op)
{
	struct msqid_ds ds;
	int r = msgctl(id, op, &ds);
	if (r < 0)
		return fail_control(id);
	PyObject *made = status(module, &ds);
	return op == IPC_STAT || !made ? made : Py_BuildValue("(iN)", r, made);
}

static PyObject *set_status(int id, PyObject *arg)
{
	struct msqid_ds ds = { .msg_qbytes = 0 };
	bool known = msgctl(id, IPC_STAT, &ds) == 0;
	unsigned long bytes = ds.msg_qbytes;
	if (!known && errno != EACCES)
		return fail_control(id);
	if (raw_set(arg, known, "msg_perm", &ds.msg_perm, "msg_qbytes", &bytes) < 0)
		return NULL;
	ds.msg_qbytes = bytes;
	int r = msgctl(id, IPC_SET, &ds);
	return r < 0 ? fail_control(id) : PyLong_FromLong(r);
}

static PyObject *get_info(int op)
{
	struct msginfo i;
	int r = msgctl(0, op, (struct msqid_ds *)&i);
	if (r < 0)
		return raw_fail(NULL, "msgctl for limits");
	return Py_BuildValue("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "index", r,
	                     "msgpool", i.msgpool, "msgmap", i.msgmap, "msgmax", i.msgmax,
	                     "msgmnb", i.msgmnb, "msgmni", i.msgmni, "msgssz", i.msgssz,
	                     "msgtql", i.msgtql, "msgseg", (int)i.msgseg);
}

PyDoc_STRVAR(msgctl_doc,
"msgctl(msqid, op, arg=None)\n--\n\n"
"IPC_STAT: an msqid_ds; IPC_SET: arg is one, or a dict with some of uid, gid, mode,\n"
"msg_qbytes. IPC_RMID. MSG_INFO, IPC_INFO: a dict. MSG_STAT, MSG_STAT_ANY: msqid\n"
"is an index; (id, msqid_ds).");

static PyObject *raw_msgctl(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "msqid", "op", "arg", NULL };
	PyObject *arg = Py_None;
	int id, op, r;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ii|O:msgctl", names, &id, &op, &arg))
		return NULL;
	switch (op) {
	case IPC_STAT: case MSG_STAT: case MSG_STAT_ANY:
		return get_status(module, id, op);
	case IPC_SET:
		return set_status(id, arg);
	case IPC_INFO: case MSG_INFO:
		return get_info(op);
	case IPC_RMID:
		r = msgctl(id, op, NULL);
		return r < 0 ? fail_control(id) : PyLong_FromLong(r);
	default:
		errno = EINVAL;
		return raw_fail(NULL, "msgctl has no op %d", op);
	}
}

static PyMethodDef functions[] = {
	{ "msgget", KEYWORDS(raw_msgget), msgget_doc },
	{ "msgsnd", KEYWORDS(raw_msgsnd), msgsnd_doc },
	{ "msgrcv", KEYWORDS(raw_msgrcv), msgrcv_doc },
	{ "msgctl", KEYWORDS(raw_msgctl), msgctl_doc },
	{ NULL, NULL, 0, NULL },
};

int raw_add_sysv_msg(PyObject *module)
{
	PyObject *type = (PyObject *)PyStructSequence_NewType(&msqid_desc);
	raw_state(module)->msqid_type = raw_add_type(module, msqid_desc.name, type);
	return raw_state(module)->msqid_type ? PyModule_AddFunctions(module, functions) : -1;
}
