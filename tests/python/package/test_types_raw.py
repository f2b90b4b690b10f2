# SPDX-License-Identifier: Apache-2.0
"""The types of sysvipc, NamedSemaphore and compat, for mypy."""
from test_package import Temporary, run


class Types(Temporary):
    def mypy(self, program, status=0):
        return run("mypy", "--strict", "--cache-dir", self.directory / "cache", program,
                   status=status)

    def test_as_they_are_used(self):
        self.mypy(self.write("good.py", """
            from semundo import Flags, NamedSemaphore, sysvipc
            from semundo.compat import posix_ipc, sysv_ipc

            sem: int = sysvipc.semget(sysvipc.IPC_PRIVATE, 1, 0o600)
            sysvipc.semop(sem, [(0, 1, sysvipc.SEM_UNDO)])
            sysvipc.semtimedop(sem, ((0, -1),), 1.5)
            value: int = sysvipc.semctl(sem, 0, sysvipc.GETVAL)
            sysvipc.semctl(sem, 0, sysvipc.SETALL, [1])
            ds: sysvipc.semid_ds = sysvipc.semctl(sem, 0, sysvipc.IPC_STAT)
            sysvipc.semctl(sem, 0, sysvipc.IPC_SET, ds)
            owner: int = ds.sem_perm.uid
            kind, text = sysvipc.msgrcv(0, 10)
            view: memoryview = sysvipc.shmat(0)
            with NamedSemaphore("x", 3, Flags.UNLINK_AND_CREATE) as named:
                got: bool = named.acquire(timeout=1)
            with posix_ipc.Semaphore("/x", posix_ipc.O_CREAT) as posix:
                posix.acquire(1.5)
            with sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX) as sysv:
                sysv.undo = True
        """))

    def test_mistakes_are_found(self):
        errors = self.mypy(self.write("bad.py", """
            from semundo import NamedSemaphore, sysvipc
            sysvipc.semget("key", 1)
            sysvipc.semop(0, [1])
            sysvipc.shmdt(b"")
            NamedSemaphore("x").acquire(timeout="1")
        """), status=1)
        lines = [line.split(":")[1] for line in errors.splitlines() if ": error:" in line]
        self.assertEqual(lines, ["3", "4", "5", "6"])
