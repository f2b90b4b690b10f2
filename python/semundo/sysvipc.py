# SPDX-License-Identifier: Apache-2.0
"""System V IPC as the kernel has it: its calls, its constants, OSErrors.

    sem = sysvipc.semget(sysvipc.IPC_PRIVATE, 1, 0o600)
    sysvipc.semop(sem, [(0, 1, sysvipc.SEM_UNDO)])    # killed from here on: undone
    sysvipc.semop(sem, [(0, -1, sysvipc.SEM_UNDO)])
    sysvipc.semctl(sem, 0, sysvipc.IPC_RMID)

The functions have the names and arguments of the manual pages. They return what
the calls return, or what the calls write to: msgrcv() a type and bytes, shmat() a
memoryview, IPC_STAT a tuple with the names of the struct. Waits let other threads
run, and handlers of signals; an exception of a handler ends them.
"""
from ._raw import (GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_CREAT, IPC_EXCL, IPC_INFO,
                   IPC_NOWAIT, IPC_PRIVATE, IPC_RMID, IPC_SET, IPC_STAT, MSG_COPY, MSG_EXCEPT,
                   MSG_INFO, MSG_NOERROR, MSG_STAT, MSG_STAT_ANY, SEM_INFO, SEM_STAT,
                   SEM_STAT_ANY, SEM_UNDO, SEMVMX, SETALL, SETVAL, SHM_DEST, SHM_EXEC,
                   SHM_HUGETLB, SHM_INFO, SHM_LOCK, SHM_LOCKED, SHM_NORESERVE, SHM_R, SHM_RDONLY,
                   SHM_REMAP, SHM_RND, SHM_STAT, SHM_STAT_ANY, SHM_UNLOCK, SHM_W, SHMLBA, ftok,
                   ipc_perm, msgctl, msgget, msgrcv, msgsnd, msqid_ds, semctl, semget, semid_ds,
                   semop, semtimedop, shmat, shmctl, shmdt, shmget, shmid_ds)

__all__ = [
    "GETALL", "GETNCNT", "GETPID", "GETVAL", "GETZCNT", "IPC_CREAT", "IPC_EXCL", "IPC_INFO",
    "IPC_NOWAIT", "IPC_PRIVATE", "IPC_RMID", "IPC_SET", "IPC_STAT", "MSG_COPY", "MSG_EXCEPT",
    "MSG_INFO", "MSG_NOERROR", "MSG_STAT", "MSG_STAT_ANY", "SEMVMX", "SEM_INFO", "SEM_STAT",
    "SEM_STAT_ANY", "SEM_UNDO", "SETALL", "SETVAL", "SHMLBA", "SHM_DEST", "SHM_EXEC",
    "SHM_HUGETLB", "SHM_INFO", "SHM_LOCK", "SHM_LOCKED", "SHM_NORESERVE", "SHM_R", "SHM_RDONLY",
    "SHM_REMAP", "SHM_RND", "SHM_STAT", "SHM_STAT_ANY", "SHM_UNLOCK", "SHM_W", "ftok", "ipc_perm",
    "msgctl", "msgget", "msgrcv", "msgsnd", "msqid_ds", "semctl", "semget", "semid_ds", "semop",
    "semtimedop", "shmat", "shmctl", "shmdt", "shmget", "shmid_ds",
]
