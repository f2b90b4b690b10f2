/* SPDX-License-Identifier: Apache-2.0 */
/* Semaphores of System V, and ftok(). */
#include "raw.h"

#include <errno.h>
#include <limits.h>
#include <sys/sem.h>

/* What semctl() takes. */
union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static const struct hint hints[] = {
	{ EINVAL, "there is no set of that id, it has no semaphore of that number, or an argument is "
	          "wrong" },
	{ EIDRM, "the set was removed" },
	{ EAGAIN, "not now" },
	{ ERANGE, "a value must stay between 0 and SEMVMX (32767), and so must what is to be undone" },
	{ EFBIG, "the set has no semaphore of that number" },
	{ E2BIG, "too many operations at once (SEMOPM; see ipcs -ls)" },
	{ 0, NULL },
};

/* ---- semget ---- */

static const struct hint get_hints[] = {
	{ ENOENT, "there is no set with that key" },
	{ EEXIST, "there is a set with that key already" },
	{ EINVAL, "so many semaphores are not in the set that is there, or more than SEMMSL" },
	{ ENOSPC, "the system's number of sets or semaphores is used up (SEMMNI, SEMMNS; see "
	          "ipcs -ls); no disk is full" },
	{ 0, NULL },
};

PyDoc_STRVAR(semget_doc,
"semget(key, nsems, semflg=0)\n--\n\n"
"The id of the set of semaphores with that key; IPC_CREAT: made if need be, each 0.");

static PyObject *raw_semget(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "key", "nsems", "semflg", NULL };
	key_t key;
	int nsems, flags = 0;
	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&i|i:semget", names, raw_key, &key, &nsems,
	                                 &flags))
		return NULL;
	int id = semget(key, nsems, flags);
	return id < 0 ? raw_fail(get_hints, "semget of key %d", (int)key) : PyLong_FromLong(id);
}

/* ---- semop ---- */

/* One (number, operation) or (number, operation, flags). */
static int parse_operation(PyObject *item, struct sembuf *ret)
{
	long long n[3] = { 0, 0, 0 };
	PyObject *tuple = PySequence_Tuple(item);
	if (!tuple)
		return -1;
	Py_ssize_t count = PyTuple_GET_SIZE(tuple);
	int r = count == 2 || count == 3 ? 0 : -1;
	if (r < 0)
		PyErr_Format(PyExc_ValueError, "an operation is (number, value, flags), not %R", item);
	if (!r)
		r = raw_int(PyTuple_GET_ITEM(tuple, 0), "the number of a semaphore", 0, USHRT_MAX, &n[0]);
	if (!r)
		r = raw_int(PyTuple_GET_ITEM(tuple, 1), "the value of an operation", SHRT_MIN, SHRT_MAX,
		            &n[1]);
	if (!r && count == 3)
		r = raw_int(PyTuple_GET_ITEM(tuple, 2), "the flags of an operation", SHRT_MIN, SHRT_MAX,
		            &n[2]);
	Py_DECREF(tuple);
	*ret = (struct sembuf){ (unsigned short)n[0], (short)n[1], (short)n[2] };
	return r;
}

/* Of PyMem_Free(); null with an exception. */
static struct sembuf *parse_operations(PyObject *list, size_t *ret_count)
{
	/* A tuple of our own: a number's __index__ may change the list. */
	PyObject *tuple = PySequence_Tuple(list);
	if (!tuple)
		return NULL;
	Py_ssize_t count = PyTuple_GET_SIZE(tuple);
	struct sembuf *operations = PyMem_New(struct sembuf, (size_t)count + 1);
	if (!operations)
		PyErr_NoMemory();
	for (Py_ssize_t i = 0; operations && i < count; i++)
		if (parse_operation(PyTuple_GET_ITEM(tuple, i), &operations[i]) < 0) {
			PyMem_Free(operations);
			operations = NULL;
		}
	Py_DECREF(tuple);
	*ret_count = (size_t)count;
	return operations;
}

/* The kernel never restarts it; this does (again), once the handlers are done,
 * and the deadline stays where it is. */
static PyObject *operate(int id, struct sembuf *operations, size_t count,
                         const struct limit *limit, bool again)
{
	struct timespec left;
	int r, why;
	do {
		const struct timespec *timeout = raw_left(limit, &left);
		Py_BEGIN_ALLOW_THREADS
		r = semtimedop(id, operations, count, timeout);
		Py_END_ALLOW_THREADS
		why = r < 0 ? raw_interrupted() : 2;
	} while (why == 0 && again);
	if (why < 0)
		return NULL;
	return r < 0 ? raw_fail(hints, "semop on set %d", id) : PyLong_FromLong(0);
}

static PyObject *parse_and_operate(int id, PyObject *list, PyObject *timeout, bool again)
{
	struct limit limit;
	size_t count;
	if (raw_limit(&limit, timeout) < 0)
		return NULL;
	struct sembuf *operations = parse_operations(list, &count);
	PyObject *result = operations ? operate(id, operations, count, &limit, again) :
					NULL;
	PyMem_Free(operations);
	return result;
}

PyDoc_STRVAR(semop_doc,
"semop(semid, sops)\n--\n\n"
"Does all operations, each (number of the semaphore, value, flags), at once or\n"
"waits until it can. BlockingIOError with IPC_NOWAIT. A handler of a signal runs\n"
"while it waits; if it raises, nothing was done.");

static PyObject *raw_semop(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "semid", "sops", NULL };
	PyObject *list;
	int id;
	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iO:semop", names, &id, &list))
		return NULL;
	return parse_and_operate(id, list, Py_None, true);
}

PyDoc_STRVAR(semtimedop_doc,
"semtimedop(semid, sops, timeout=None)\n--\n\n"
"As semop(), but BlockingIOError after that many seconds.");

static PyObject *timed(PyObject *args, PyObject *kwargs, bool again)
{
	static char *names[] = { "semid", "sops", "timeout", NULL };
	PyObject *list, *timeout = Py_None;
	int id;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iO|O:semtimedop", names, &id, &list,
	                                 &timeout))
		return NULL;
	return parse_and_operate(id, list, timeout, again);
}

static PyObject *raw_semtimedop(PyObject *module, PyObject *args, PyObject *kwargs)
{
	(void)module;
	return timed(args, kwargs, true);
}

static PyObject *raw_semtimedop_once(PyObject *module, PyObject *args, PyObject *kwargs)
{
	(void)module;
	return timed(args, kwargs, false);
}

/* ---- semctl ---- */

static PyStructSequence_Field semid_fields[] = {
	{ "sem_perm", "owner and permissions" },
	{ "sem_otime", "time.time() of the last semop, or 0" },
	{ "sem_ctime", "time.time() of the last change by semctl" },
	{ "sem_nsems", "number of semaphores" },
	{ NULL, NULL },
};
static PyStructSequence_Desc semid_desc = {
	"semundo.sysvipc.semid_ds", "What IPC_STAT tells of a set of semaphores.", semid_fields, 4,
};

static PyObject *fail_control(int id)
{
	return raw_fail(hints, "semctl on set %d", id);
}

static PyObject *status(PyObject *module, const struct semid_ds *ds)
{
	PyObject *perm = raw_perm(module, &ds->sem_perm);
	return !perm ? NULL : raw_struct(raw_state(module)->semid_type,
	                                 Py_BuildValue("(NLLK)", perm, (long long)ds->sem_otime,
	                                               (long long)ds->sem_ctime,
	                                               (unsigned long long)ds->sem_nsems));
}

static PyObject *get_status(PyObject *module, int id, int op)
{
	struct semid_ds ds;
	int r = semctl(id, 0, op, (union semun){ .buf = &ds });
	if (r < 0)
		return fail_control(id);
	PyObject *made = status(module, &ds);
	return op == IPC_STAT || !made ? made : Py_BuildValue("(iN)", r, made);
}

static PyObject *set_status(int id, PyObject *arg)
{
	struct semid_ds ds = { .sem_otime = 0 };
	bool known = semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) == 0;
	if (!known && errno != EACCES)
		return fail_control(id);
	if (raw_set(arg, known, "sem_perm", &ds.sem_perm, NULL, NULL) < 0)
		return NULL;
	int r = semctl(id, 0, IPC_SET, (union semun){ .buf = &ds });
	return r < 0 ? fail_control(id) : PyLong_FromLong(r);
}

static PyObject *get_info(int op)
{
	struct seminfo i;
	int r = semctl(0, 0, op, (union semun){ .info = &i });
	if (r < 0)
		return raw_fail(NULL, "semctl for limits");
	return Py_BuildValue("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "index", r,
	                     "semmap", i.semmap, "semmni", i.semmni, "semmns", i.semmns,
	                     "semmnu", i.semmnu, "semmsl", i.semmsl, "semopm", i.semopm,
	                     "semume", i.semume, "semusz", i.semusz, "semvmx", i.semvmx,
	                     "semaem", i.semaem);
}

/* Room for the largest set that there can be: the set of an id may be another
 * one, and larger, than it was when its size was looked at. Of PyMem_Free(). */
static unsigned short *values_new(int id, size_t *ret_count)
{
	struct semid_ds ds;
	struct seminfo limits;
	if (semctl(0, 0, IPC_INFO, (union semun){ .info = &limits }) < 0 ||
	    semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) < 0) {
		fail_control(id);
		return NULL;
	}
	size_t room = limits.semmsl > USHRT_MAX ? (size_t)limits.semmsl : USHRT_MAX + 1;
	*ret_count = ds.sem_nsems;
	if (room < *ret_count)
		room = *ret_count;
	unsigned short *values = PyMem_New(unsigned short, room);
	if (!values)
		PyErr_NoMemory();
	return values;
}

static PyObject *get_all(int id)
{
	size_t count;
	unsigned short *values = values_new(id, &count);
	if (!values)
		return NULL;
	int r = semctl(id, 0, GETALL, (union semun){ .array = values });
	PyObject *list = r < 0 ? fail_control(id) : PyList_New((Py_ssize_t)count);
	for (size_t i = 0; list && i < count; i++) {
		PyObject *value = PyLong_FromLong(values[i]);
		if (value)
			PyList_SET_ITEM(list, (Py_ssize_t)i, value);
		else
			Py_CLEAR(list);
	}
	PyMem_Free(values);
	return list;
}

static int parse_values(PyObject *tuple, unsigned short *values, size_t count)
{
	if ((size_t)PyTuple_GET_SIZE(tuple) != count) {
		PyErr_Format(PyExc_ValueError, "the set has %zu semaphores, SETALL got %zd values", count,
		             PyTuple_GET_SIZE(tuple));
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		long long n;
		if (raw_int(PyTuple_GET_ITEM(tuple, i), "a value", 0, USHRT_MAX, &n) < 0)
			return -1;
		values[i] = (unsigned short)n;
	}
	return 0;
}

static PyObject *set_all(int id, PyObject *arg)
{
	size_t count;
	PyObject *result = NULL, *tuple = PySequence_Tuple(arg);
	if (!tuple)
		return NULL;
	unsigned short *values = values_new(id, &count);
	if (values && parse_values(tuple, values, count) == 0) {
		int r = semctl(id, 0, SETALL, (union semun){ .array = values });
		result = r < 0 ? fail_control(id) : PyLong_FromLong(r);
	}
	PyMem_Free(values);
	Py_DECREF(tuple);
	return result;
}

static PyObject *plain(int id, int number, int op, PyObject *arg)
{
	long long value = 0;
	if (op == SETVAL && raw_int(arg, "a value", INT_MIN, INT_MAX, &value) < 0)
		return NULL;
	int r = semctl(id, number, op, (union semun){ .val = (int)value });
	return r < 0 ? fail_control(id) : PyLong_FromLong(r);
}

PyDoc_STRVAR(semctl_doc,
"semctl(semid, semnum, op, arg=None)\n--\n\n"
"GETVAL, GETPID, GETNCNT, GETZCNT: a number. SETVAL: arg is the value.\n"
"GETALL: a list; SETALL: arg is one. IPC_STAT: a semid_ds; IPC_SET: arg is one, or\n"
"a dict with some of uid, gid, mode. IPC_RMID. SEM_INFO, IPC_INFO: a dict.\n"
"SEM_STAT, SEM_STAT_ANY: semid is an index; (id, semid_ds).");

static PyObject *raw_semctl(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "semid", "semnum", "op", "arg", NULL };
	PyObject *arg = Py_None;
	int id, number, op;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iii|O:semctl", names, &id, &number, &op, &arg))
		return NULL;
	if (arg == Py_None && (op == SETVAL || op == SETALL || op == IPC_SET))
		return PyErr_Format(PyExc_TypeError, "this op of semctl() needs its argument arg");
	switch (op) {
	case GETVAL: case GETPID: case GETNCNT: case GETZCNT: case SETVAL: case IPC_RMID:
		return plain(id, number, op, arg);
	case GETALL:
		return get_all(id);
	case SETALL:
		return set_all(id, arg);
	case IPC_STAT: case SEM_STAT: case SEM_STAT_ANY:
		return get_status(module, id, op);
	case IPC_SET:
		return set_status(id, arg);
	case IPC_INFO: case SEM_INFO:
		return get_info(op);
	default:
		errno = EINVAL;
		return raw_fail(NULL, "semctl has no op %d", op);
	}
}

/* ---- ftok ---- */

PyDoc_STRVAR(ftok_doc,
"ftok(path, proj_id)\n--\n\n"
"A key made of a file's numbers and of proj_id, 1 to 255. Two files may have the\n"
"same one.");

static PyObject *raw_ftok(PyObject *module, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "path", "proj_id", NULL };
	PyObject *path, *number;
	long long project;
	(void)module;
	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&O:ftok", names, PyUnicode_FSConverter, &path,
	                                 &number))
		return NULL;
	PyObject *result = NULL;
	if (raw_int(number, "proj_id", 0, 255, &project) == 0) {
		key_t key = ftok(PyBytes_AS_STRING(path), (int)project);
		result = key == -1 ? raw_fail(NULL, "ftok of '%s'", PyBytes_AS_STRING(path)) :
				     PyLong_FromLong(key);
	}
	Py_DECREF(path);
	return result;
}

static PyMethodDef functions[] = {
	{ "semget", KEYWORDS(raw_semget), semget_doc },
	{ "semop", KEYWORDS(raw_semop), semop_doc },
	{ "semtimedop", KEYWORDS(raw_semtimedop), semtimedop_doc },
	{ "_semtimedop_once", KEYWORDS(raw_semtimedop_once),
	  "As semtimedop(), but InterruptedError after a signal whose handler returned." },
	{ "semctl", KEYWORDS(raw_semctl), semctl_doc },
	{ "ftok", KEYWORDS(raw_ftok), ftok_doc },
	{ NULL, NULL, 0, NULL },
};

int raw_add_sysv_sem(PyObject *module)
{
	PyObject *type = (PyObject *)PyStructSequence_NewType(&semid_desc);
	raw_state(module)->semid_type = raw_add_type(module, semid_desc.name, type);
	return raw_state(module)->semid_type ? PyModule_AddFunctions(module, functions) : -1;
}
