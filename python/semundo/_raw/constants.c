/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers with a name. */
#include "raw.h"

#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define NUMBER(name) { #name, name }

static const struct {
	const char *name;
	long value;
} numbers[] = {
	NUMBER(IPC_PRIVATE), NUMBER(IPC_CREAT), NUMBER(IPC_EXCL), NUMBER(IPC_NOWAIT),
	NUMBER(IPC_RMID), NUMBER(IPC_SET), NUMBER(IPC_STAT), NUMBER(IPC_INFO),

	NUMBER(SEM_UNDO), NUMBER(GETPID), NUMBER(GETVAL), NUMBER(GETALL), NUMBER(GETNCNT),
	NUMBER(GETZCNT), NUMBER(SETVAL), NUMBER(SETALL), NUMBER(SEM_STAT), NUMBER(SEM_INFO),
	NUMBER(SEM_STAT_ANY),
	{ "SEMVMX", 32767 }, /* fixed in Linux, and in no header of the C library */

	NUMBER(MSG_NOERROR), NUMBER(MSG_EXCEPT), NUMBER(MSG_COPY), NUMBER(MSG_STAT),
	NUMBER(MSG_INFO), NUMBER(MSG_STAT_ANY),

	NUMBER(SHM_R), NUMBER(SHM_W), NUMBER(SHM_RDONLY), NUMBER(SHM_RND), NUMBER(SHM_REMAP),
	NUMBER(SHM_EXEC), NUMBER(SHM_HUGETLB), NUMBER(SHM_NORESERVE), NUMBER(SHM_LOCK),
	NUMBER(SHM_UNLOCK), NUMBER(SHM_STAT), NUMBER(SHM_INFO), NUMBER(SHM_STAT_ANY),
	NUMBER(SHM_DEST), NUMBER(SHM_LOCKED),

	{ "_SEM_VALUE_MAX", SEM_VALUE_MAX },
};

int raw_add_constants(PyObject *module)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (PyModule_AddIntConstant(module, numbers[i].name, numbers[i].value) < 0)
			return -1;
	return PyModule_AddIntConstant(module, "SHMLBA", (long)SHMLBA);
}
