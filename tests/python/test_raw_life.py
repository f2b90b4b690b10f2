# SPDX-License-Identifier: Apache-2.0
"""semundo._raw loses no reference and no mapping, and is loaded by several interpreters."""
import gc
import os
import secrets
import sys
import unittest

import semundo
from semundo import _raw, sysvipc as s
from semundo.compat import posix_ipc, sysv_ipc
from helpers import Case

try:
    import _interpreters as interpreters  # Python 3.13
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None


def fails(kind, call, *args):
    try:
        call(*args)
    except kind:
        return
    raise AssertionError(f"{call} did not fail")


def facts():
    with open("/proc/self/maps", encoding="utf-8") as file:
        maps = sum(1 for _ in file)
    watched = (None, True, _raw.semid_ds, _raw.msqid_ds, _raw.shmid_ds, _raw.ipc_perm,
               _raw._PosixSem, _raw._Attachment, BlockingIOError, OSError)
    return [sys.getrefcount(x) for x in watched] + [maps, len(os.listdir("/proc/self/fd")),
                                                    sys.getallocatedblocks()]


class Leaks(Case):
    def check(self, use, times=200):
        for _ in range(30):
            use()
        grown = []
        for _ in range(8):  # caches of the interpreter may still grow at first
            gc.collect()
            before = facts()
            for _ in range(times):
                use()
            gc.collect()
            grown = [b - a for a, b in zip(before, facts())]
            if max(grown) < 20:
                return
        self.fail(f"more after {times} times: {grown}")

    def test_sets(self):
        sem = s.semget(s.IPC_PRIVATE, 2, 0o600)
        self.addCleanup(s.semctl, sem, 0, s.IPC_RMID)

        def use():
            s.semctl(sem, 0, s.SETALL, [1, 2])
            s.semop(sem, [(0, 1, s.SEM_UNDO), (1, -1)])
            s.semop(sem, ((0, -1, s.SEM_UNDO), [1, 1]))
            s.semctl(sem, 0, s.GETALL), s.semctl(sem, 0, s.SEM_INFO)
            s.semctl(sem, 0, s.IPC_SET, s.semctl(sem, 0, s.IPC_STAT))
            s.semctl(sem, 0, s.IPC_SET, {"mode": 0o600})
            fails(OSError, s.semtimedop, sem, [(0, -9)], 0)
            fails(OverflowError, s.semop, sem, [(0, 1), (0, 99999)])
            fails(ValueError, s.semop, sem, [(0, 1), (0,)])
            fails(TypeError, s.semop, sem, [(0, 1), (0, "1")])
            fails(ValueError, s.semctl, sem, 0, s.SETALL, [1])
            fails(OverflowError, s.semctl, sem, 0, s.SETALL, [1, 1 << 20])
            fails(TypeError, s.semctl, sem, 0, s.IPC_SET, {"mode": 0o600, "x": 1})
            fails(TypeError, s.semctl, sem, 0, s.IPC_SET, self)
            fails(OSError, s.ftok, self.directory + "/none", 1)
            fails(OverflowError, s.ftok, self.directory, 1 << 70)

        self.check(use)

    def test_queues(self):
        queue = s.msgget(s.IPC_PRIVATE, 0o600)
        self.addCleanup(s.msgctl, queue, s.IPC_RMID)

        def use():
            s.msgsnd(queue, 1, b"x" * 300)
            fails(OSError, s.msgrcv, queue, 10)
            s.msgrcv(queue, 1000), s.msgctl(queue, s.IPC_STAT), s.msgctl(queue, s.MSG_INFO)
            s.msgctl(queue, s.IPC_SET, {"msg_qbytes": 1000})
            fails(OSError, s.msgsnd, queue, 0, bytearray(9))
            fails(TypeError, s.msgsnd, queue, 1, "x")
            fails(OSError, s.msgrcv, queue, 100, 0, s.IPC_NOWAIT)

        self.check(use)

    def test_segments(self):
        segment = s.shmget(s.IPC_PRIVATE, 100, 0o600)
        self.addCleanup(s.shmctl, segment, s.IPC_RMID)

        def use():
            view = s.shmat(segment)
            part = view[1:2]
            s.shmdt(view)
            part[0] = 1
            s.shmat(segment, None, s.SHM_RDONLY)
            fails(OSError, s.shmat, segment, 12345)
            fails(ValueError, s.shmdt, memoryview(b"x"))
            s.shmctl(segment, s.IPC_STAT), s.shmctl(segment, s.SHM_INFO)

        self.check(use)
        self.assertEqual(s.shmctl(segment, s.IPC_STAT).shm_nattch, 0)

    def test_classes(self):
        name = f"semundo-test-{os.getpid()}-{secrets.token_hex(4)}"

        def use():
            with semundo.NamedSemaphore(name) as named:
                fails(FileExistsError, semundo.NamedSemaphore, name, 1,
                      semundo.Flags.RAISE_IF_EXISTS)
                named.acquire(timeout=0)
            del named
            semaphore = posix_ipc.Semaphore(name, posix_ipc.O_CREX)
            fails(posix_ipc.BusyError, semaphore.acquire, 0)
            semaphore.unlink()
            semaphore.close()
            other = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX)
            try:
                fails(sysv_ipc.BusyError, other.acquire, 0)
            finally:
                other.remove()
            fails(sysv_ipc.ExistentialError, other.release)

        self.check(use, 60)


SCRIPT = """
from semundo import sysvipc as s
sem = s.semget(s.IPC_PRIVATE, 1, 0o600)
try:
    s.semop(sem, [(0, 1)])
    assert s.semctl(sem, 0, s.IPC_STAT).sem_nsems == 1
    try:
        s.semtimedop(sem, [(0, -2)], 0)
    except BlockingIOError:
        pass
finally:
    s.semctl(sem, 0, s.IPC_RMID)
segment = s.shmget(s.IPC_PRIVATE, 10, 0o600)
view = s.shmat(segment)
s.shmctl(segment, s.IPC_RMID)
view[0] = 1
"""


@unittest.skipIf(interpreters is None, "this Python has no module for subinterpreters")
class Subinterpreters(Case):
    def test_several(self):
        numbers = [interpreters.create() for _ in range(2)]
        for number in numbers:
            run = getattr(interpreters, "exec", None) or interpreters.run_string
            self.assertIsNone(run(number, SCRIPT))
        for number in numbers:
            interpreters.destroy(number)
