# SPDX-License-Identifier: Apache-2.0
import os
from typing import (Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, SupportsFloat,
                    SupportsIndex, Tuple, Union)

IPC_PRIVATE: int
IPC_CREAT: int
IPC_EXCL: int
IPC_NOWAIT: int
IPC_RMID: int
IPC_SET: int
IPC_STAT: int
IPC_INFO: int
SEM_UNDO: int
GETPID: int
GETVAL: int
GETALL: int
GETNCNT: int
GETZCNT: int
SETVAL: int
SETALL: int
SEM_STAT: int
SEM_INFO: int
SEM_STAT_ANY: int
SEMVMX: int
MSG_NOERROR: int
MSG_EXCEPT: int
MSG_COPY: int
MSG_STAT: int
MSG_INFO: int
MSG_STAT_ANY: int
SHM_R: int
SHM_W: int
SHM_RDONLY: int
SHM_RND: int
SHM_REMAP: int
SHM_EXEC: int
SHM_HUGETLB: int
SHM_NORESERVE: int
SHM_LOCK: int
SHM_UNLOCK: int
SHM_STAT: int
SHM_INFO: int
SHM_STAT_ANY: int
SHM_DEST: int
SHM_LOCKED: int
SHMLBA: int
_SEM_VALUE_MAX: int

class ipc_perm(NamedTuple):
    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    seq: int

class semid_ds(NamedTuple):
    sem_perm: ipc_perm
    sem_otime: int
    sem_ctime: int
    sem_nsems: int

class msqid_ds(NamedTuple):
    msg_perm: ipc_perm
    msg_stime: int
    msg_rtime: int
    msg_ctime: int
    msg_cbytes: int
    msg_qnum: int
    msg_qbytes: int
    msg_lspid: int
    msg_lrpid: int

class shmid_ds(NamedTuple):
    shm_perm: ipc_perm
    shm_segsz: int
    shm_atime: int
    shm_dtime: int
    shm_ctime: int
    shm_cpid: int
    shm_lpid: int
    shm_nattch: int

def semget(key: SupportsIndex, nsems: int, semflg: int = ...) -> int: ...
def semop(semid: int, sops: Iterable[Sequence[SupportsIndex]]) -> int: ...
def semtimedop(
    semid: int, sops: Iterable[Sequence[SupportsIndex]], timeout: Optional[SupportsFloat] = ...
) -> int: ...
def _semtimedop_once(
    semid: int, sops: Iterable[Sequence[SupportsIndex]], timeout: Optional[SupportsFloat] = ...
) -> int: ...

# A number, a list, a semid_ds, a dict: by its op.
def semctl(
    semid: int,
    semnum: int,
    op: int,
    arg: Union[None, SupportsIndex, Iterable[SupportsIndex], semid_ds, Dict[str, int]] = ...,
) -> Any: ...
def ftok(
    path: Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"], proj_id: SupportsIndex
) -> int: ...
def msgget(key: SupportsIndex, msgflg: int = ...) -> int: ...
def msgsnd(
    msqid: int, mtype: int, mtext: Union[bytes, bytearray, memoryview], msgflg: int = ...
) -> int: ...
def msgrcv(msqid: int, msgsz: int, msgtyp: int = ..., msgflg: int = ...) -> Tuple[int, bytes]: ...
def msgctl(msqid: int, op: int, arg: Union[None, msqid_ds, Dict[str, int]] = ...) -> Any: ...
def shmget(key: SupportsIndex, size: int, shmflg: int = ...) -> int: ...
def shmat(shmid: int, shmaddr: Optional[int] = ..., shmflg: int = ...) -> memoryview: ...
def shmdt(view: memoryview) -> int: ...
def shmctl(shmid: int, op: int, arg: Union[None, shmid_ds, Dict[str, int]] = ...) -> Any: ...

class _Attachment: ...

class _PosixSem:
    def __new__(
        cls, name: Union[str, bytes], flags: int, mode: int, value: int, /
    ) -> "_PosixSem": ...
    @property
    def value(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def wait(self, timeout: Optional[SupportsFloat], again: bool, /) -> bool: ...
    def post(self) -> None: ...
    def is_named(self, name: Union[str, bytes], /) -> bool: ...
    def close(self) -> None: ...

def _sem_unlink(name: Union[str, bytes], /) -> int: ...
