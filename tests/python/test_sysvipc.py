# SPDX-License-Identifier: Apache-2.0
"""semundo.sysvipc: every call, every command, bad arguments, signals, deaths."""
import contextlib
import errno
import gc
import math
import os
import pickle
import sys
import time
import unittest

from semundo import sysvipc as s
from helpers import Case, until
from storm import fail, storm

NEW = s.IPC_CREAT | 0o600
GONE = errno.EINVAL, errno.EIDRM


class Made(Case):
    """Removes what a test made, if it did not do so itself."""

    def remove(self, control, *args):
        with contextlib.suppress(OSError):
            control(*args, s.IPC_RMID)

    def set(self, *values):
        made = s.semget(s.IPC_PRIVATE, len(values), 0o600)
        self.addCleanup(self.remove, s.semctl, made, 0)
        s.semctl(made, 0, s.SETALL, values)
        return made

    def queue(self):
        made = s.msgget(s.IPC_PRIVATE, 0o600)
        self.addCleanup(self.remove, s.msgctl, made)
        return made

    def segment(self, size=100):
        made = s.shmget(s.IPC_PRIVATE, size, 0o600)
        self.addCleanup(self.remove, s.shmctl, made)
        return made

    def fails(self, codes, function, *args, **options):
        with self.assertRaises(OSError) as caught:
            function(*args, **options)
        self.assertIn(caught.exception.errno, codes if isinstance(codes, tuple) else (codes,))
        self.assertIs(type(caught.exception), type(OSError(caught.exception.errno, "")))
        return caught.exception


class Sets(Made):
    def test_model_program(self):
        process = self.start("""
            import atexit, sys
            from semundo import sysvipc
            sem = sysvipc.semget(sysvipc.IPC_PRIVATE, 1, 0o600)
            atexit.register(lambda: sysvipc.semctl(sem, 0, sysvipc.IPC_RMID))
            print(sem, flush=True)
            curval = sysvipc.semctl(sem, 0, sysvipc.GETVAL)
            assert curval == 0
            sys.stdin.readline()
        """)
        sem = int(process.line())
        worker = self.start(f"""
            import sys
            from semundo import sysvipc
            sem = {sem}
            sysvipc.semop(sem, [(0, 1, sysvipc.SEM_UNDO)])
            sysvipc.semop(sem, [(0, -1, sysvipc.SEM_UNDO)])
            sysvipc.semop(sem, [(0, 1, sysvipc.SEM_UNDO)])
            print("busy", flush=True)
            sys.stdin.readline()
        """)
        worker.line()
        self.assertEqual(s.semctl(sem, 0, s.GETVAL), 1)
        self.assertEqual(s.semctl(sem, 0, s.GETPID), worker.pid)
        worker.kill()
        worker.end()
        self.assertEqual(s.semctl(sem, 0, s.GETVAL), 0)
        self.assertEqual(process.end()[0], 0)
        self.fails(GONE, s.semctl, sem, 0, s.GETVAL)

    def test_values(self):
        sem = self.set(1, 2, 3)
        self.assertEqual(s.semctl(sem, 0, s.GETALL), [1, 2, 3])
        self.assertEqual(s.semctl(sem, 1, s.SETVAL, 7), 0)
        self.assertEqual(s.semctl(sem, 1, s.GETVAL), 7)
        self.assertEqual(s.semctl(semid=sem, semnum=0, op=s.SETALL, arg=(4, 5, s.SEMVMX)), 0)
        self.assertEqual(s.semctl(sem, 99, s.GETALL), [4, 5, s.SEMVMX])
        self.assertEqual(s.semop(sem, [(0, -4), (1, 1, 0)]), 0)
        self.assertEqual(s.semctl(sem, 0, s.GETALL), [0, 6, s.SEMVMX])
        self.assertEqual(s.semctl(sem, 1, s.GETPID), os.getpid())
        self.assertEqual(s.semctl(sem, 0, s.GETNCNT), 0)
        self.assertEqual(s.semctl(sem, 0, s.GETZCNT), 0)

    def test_any_sequence_will_do(self):
        sem = self.set(0)
        s.semop(semid=sem, sops=((0, 1, 0), [0, 1]))
        s.semop(sem, ([0, n, s.SEM_UNDO] for n in (1, 2)))
        self.assertEqual(s.semctl(sem, 0, s.GETVAL), 5)

    def test_all_or_nothing(self):
        sem = self.set(1, 0)
        self.fails(errno.EAGAIN, s.semop, sem, [(0, -1, 0), (1, -1, s.IPC_NOWAIT)])
        self.assertEqual(s.semctl(sem, 0, s.GETALL), [1, 0])

    def test_status(self):
        key = s.ftok(self.directory, 7)
        before = int(time.time())
        sem = s.semget(key, 2, NEW | s.IPC_EXCL)
        self.addCleanup(self.remove, s.semctl, sem, 0)
        ds = s.semctl(sem, 0, s.IPC_STAT)
        self.assertIsInstance(ds, s.semid_ds)
        self.assertIsInstance(ds.sem_perm, s.ipc_perm)
        self.assertEqual((ds.sem_nsems, ds.sem_otime), (2, 0))
        self.assertGreaterEqual(ds.sem_ctime, before - 1)
        self.assertEqual((ds.sem_perm.key, ds.sem_perm.uid, ds.sem_perm.cuid, ds.sem_perm.mode),
                         (key, os.geteuid(), os.geteuid(), 0o600))
        self.assertEqual(s.semctl(sem, 0, s.IPC_SET, {"mode": 0o640}), 0)
        self.assertEqual(s.semctl(sem, 0, s.IPC_STAT).sem_perm.mode, 0o640)
        s.semctl(sem, 0, s.IPC_SET, ds)
        self.assertEqual(s.semctl(sem, 0, s.IPC_STAT).sem_perm.mode, 0o600)
        s.semop(sem, [(0, 1)])
        self.assertGreaterEqual(s.semctl(sem, 0, s.IPC_STAT).sem_otime, before - 1)

    def test_limits_and_index(self):
        sem = self.set(1, 1)
        info = s.semctl(0, 0, s.IPC_INFO)
        self.assertEqual(info["semvmx"], s.SEMVMX)
        used = s.semctl(0, 0, s.SEM_INFO)
        self.assertGreaterEqual(used["semaem"], 2)  # of the system: semaphores
        found = {}
        for op in s.SEM_STAT, s.SEM_STAT_ANY:
            for index in range(used["index"] + 1):
                with contextlib.suppress(OSError):
                    identifier, ds = s.semctl(index, 0, op)
                    found[identifier] = ds.sem_nsems
            self.assertEqual(found.pop(sem), 2)

    def test_keys(self):
        key = s.ftok(path=self.directory, proj_id=1)
        self.assertEqual(key, s.ftok(os.fsencode(self.directory), 1))
        self.assertNotEqual(key, s.ftok(self.directory, 2))
        self.fails(errno.ENOENT, s.semget, key, 1)
        sem = s.semget(key=key, nsems=1, semflg=NEW)
        self.addCleanup(self.remove, s.semctl, sem, 0)
        self.assertEqual(s.semget(key, 1), sem)
        self.assertEqual(s.semget(key & 0xFFFFFFFF, 0), sem)
        self.fails(errno.EEXIST, s.semget, key, 1, NEW | s.IPC_EXCL)
        self.fails(errno.EINVAL, s.semget, key, 2)
        self.fails(errno.ENOENT, s.ftok, self.directory + "/none", 1)

    def test_removed_while_it_waits(self):
        sem = self.set(0)
        caught = []

        def wait():
            with self.assertRaises(OSError) as context:
                s.semop(sem, [(0, -1)])
            caught.append(context.exception.errno)

        thread = self.thread(wait)
        until(lambda: s.semctl(sem, 0, s.GETNCNT) == 1, "it waits")
        s.semctl(sem, 0, s.IPC_RMID)
        self.join(thread)
        self.assertEqual(caught, [errno.EIDRM])
        for call in (lambda: s.semop(sem, [(0, 1)]), lambda: s.semctl(sem, 0, s.IPC_STAT),
                     lambda: s.semctl(sem, 0, s.GETALL), lambda: s.semctl(sem, 0, s.SETALL, [1]),
                     lambda: s.semctl(sem, 0, s.SETVAL, 1), lambda: s.semctl(sem, 0, s.IPC_RMID),
                     lambda: s.semctl(sem, 0, s.IPC_SET, {"mode": 0o600})):
            self.fails(GONE, call)

    def test_wait_for_zero(self):
        sem = self.set(1)
        thread = self.thread(s.semop, sem, [(0, 0)])
        until(lambda: s.semctl(sem, 0, s.GETZCNT) == 1, "it waits")
        s.semop(sem, [(0, -1)])
        self.join(thread)

    def test_time_limits(self):
        sem = self.set(0)
        before = time.monotonic()
        self.fails(errno.EAGAIN, s.semtimedop, sem, [(0, -1)], 0.2)
        self.assertGreaterEqual(time.monotonic() - before, 0.2)
        self.fails(errno.EAGAIN, s.semtimedop, sem, [(0, -1)], timeout=0)
        s.semop(sem, [(0, 2)])
        self.assertEqual(s.semtimedop(sem, [(0, -1)], 0), 0)
        self.assertEqual(s.semtimedop(semid=sem, sops=[(0, -1)], timeout=math.inf), 0)
        for wrong in -1, -1e-9, math.nan, -math.inf:
            with self.assertRaises(ValueError):
                s.semtimedop(sem, [(0, 1)], wrong)
        with self.assertRaises(TypeError):
            s.semtimedop(sem, [(0, 1)], "1")
        self.assertEqual(s.semctl(sem, 0, s.GETVAL), 0)


class BadArguments(Made):
    def test_operations(self):
        sem = self.set(0)
        for wrong in ([(0, 40000, 0)], [(0, -32769, 0)], [(65536, 1, 0)], [(-1, 1, 0)],
                      [(0, 1, 1 << 15)], [(0, 10 ** 30, 0)], [(0, 1, 0), (0, 1 << 63, 0)]):
            with self.assertRaises(OverflowError, msg=wrong):
                s.semop(sem, wrong)
        for wrong in ([(0,)], [()], [(0, 1, 0, 0)], [(0, 1, 0), (1,)]):
            with self.assertRaises(ValueError, msg=wrong):
                s.semop(sem, wrong)
        for wrong in (None, 1, [1], [None], [("0", 1, 0)], [(0, 1.0, 0)], ["abc"], [(0, None, 0)]):
            with self.assertRaises(TypeError, msg=wrong):
                s.semop(sem, wrong)
        self.fails(errno.EINVAL, s.semop, sem, [])
        self.fails(errno.EFBIG, s.semop, sem, [(1, 1, 0)])
        self.fails(errno.E2BIG, s.semop, sem, [(0, 1)] * 100000)
        self.fails(errno.ERANGE, s.semop, sem, [(0, 32767), (0, 1)])
        self.assertEqual(s.semctl(sem, 0, s.GETVAL), 0)

    def test_list_that_changes(self):
        sem = self.set(0)
        operations = []

        class Number:
            def __index__(self):
                operations.clear()
                return 1

        operations += [(0, Number()) for _ in range(100)]
        s.semop(sem, operations)
        self.assertEqual(s.semctl(sem, 0, s.GETVAL), 100)

    def test_values(self):
        sem = self.set(5, 5)
        self.fails(errno.ERANGE, s.semctl, sem, 0, s.SETVAL, -1)
        self.fails(errno.ERANGE, s.semctl, sem, 0, s.SETVAL, s.SEMVMX + 1)
        self.fails(errno.ERANGE, s.semctl, sem, 0, s.SETALL, [1, s.SEMVMX + 1])
        for wrong in ([1], [1, 2, 3], []):
            with self.assertRaises(ValueError):
                s.semctl(sem, 0, s.SETALL, wrong)
        for op, wrong in ((s.SETVAL, 1 << 32), (s.SETALL, [1, 65536]), (s.SETALL, [1, -1]),
                          (s.IPC_SET, {"mode": 1 << 20}), (s.IPC_SET, {"uid": -1})):
            with self.assertRaises(OverflowError):
                s.semctl(sem, 0, op, wrong)
        for op, wrong in ((s.SETVAL, None), (s.SETVAL, 1.5), (s.SETALL, 3), (s.SETALL, [1, "2"]),
                          (s.IPC_SET, None), (s.IPC_SET, 5), (s.IPC_SET, {"modus": 1})):
            with self.assertRaises(TypeError):
                s.semctl(sem, 0, op, wrong)
        self.assertEqual(s.semctl(sem, 0, s.GETALL), [5, 5])
        for number in 2, -1:
            self.fails(errno.EINVAL, s.semctl, sem, number, s.GETVAL)
        self.fails(errno.EINVAL, s.semctl, sem, 0, 999)

    def test_keys_and_sizes(self):
        for wrong in 1 << 32, -(1 << 31) - 1, 1 << 80:
            for call in (lambda: s.semget(wrong, 1), lambda: s.msgget(wrong),
                         lambda: s.shmget(wrong, 1)):
                with self.assertRaises(OverflowError):
                    call()
        for wrong in None, "1", 1.0:
            with self.assertRaises(TypeError):
                s.semget(wrong, 1, 0o600)
        self.fails(errno.EINVAL, s.semget, s.IPC_PRIVATE, 0, 0o600)
        self.fails(errno.EINVAL, s.semget, s.IPC_PRIVATE, -1, 0o600)
        self.fails(errno.EINVAL, s.semget, s.IPC_PRIVATE, 1 << 30, 0o600)
        self.fails(errno.EINVAL, s.shmget, s.IPC_PRIVATE, 0, 0o600)
        with self.assertRaises(ValueError):
            s.shmget(s.IPC_PRIVATE, -1, 0o600)
        for wrong in 256, -1, 1 << 40:
            with self.assertRaises(OverflowError):
                s.ftok(self.directory, wrong)
        with self.assertRaises(ValueError):
            s.ftok("a\0b", 1)
        with self.assertRaises(TypeError):
            s.semget(s.IPC_PRIVATE, 1, semflags=0)

    def test_ids(self):
        for call in (lambda: s.semop(-1, [(0, 1)]), lambda: s.semctl(-1, 0, s.GETALL),
                     lambda: s.msgsnd(-1, 1, b""), lambda: s.msgrcv(-1, 10),
                     lambda: s.shmat(-1), lambda: s.shmctl(-1, s.IPC_STAT),
                     lambda: s.msgctl(-1, s.IPC_RMID), lambda: s.shmctl(-1, s.IPC_SET, {})):
            self.fails(errno.EINVAL, call)
        with self.assertRaises(OverflowError):
            s.semop(1 << 31, [(0, 1)])

    def test_words(self):
        error = self.fails(errno.ENOENT, s.semget, s.ftok(self.directory, 9), 1)
        self.assertIn("no set with that key", error.strerror)
        self.assertIsInstance(error, FileNotFoundError)


class Signals(Made):
    def setUp(self):
        super().setUp()
        self.sem = self.set(0)

    def test_exception_of_a_handler(self):
        queue = self.queue()
        for wait in (lambda: s.semop(self.sem, [(0, -1, s.SEM_UNDO)]),
                     lambda: s.semtimedop(self.sem, [(0, -1, 0)], 100),
                     lambda: s.msgrcv(queue, 10)):
            with self.assertRaisesRegex(KeyError, "handler"), storm(self, fail):
                wait()
        self.assertEqual(s.semctl(self.sem, 0, s.GETALL), [0])
        self.assertEqual(s.semctl(self.sem, 0, s.GETNCNT), 0)

    def test_goes_on_and_keeps_its_deadline(self):
        count = 0

        def handler(*_):
            nonlocal count
            count += 1
            if count == 20:
                s.semop(self.sem, [(0, 1)])

        with storm(self, handler):
            self.assertEqual(s.semop(self.sem, [(0, -1)]), 0)
            self.assertGreaterEqual(count, 20)
            before = time.monotonic()
            self.fails(errno.EAGAIN, s.semtimedop, self.sem, [(0, -1)], 0.3)
            took = time.monotonic() - before
        self.assertGreaterEqual(took, 0.3)
        self.assertLess(took, 20)

    def test_full_queue(self):
        queue = self.queue()
        with contextlib.suppress(BlockingIOError):
            while True:
                s.msgsnd(queue, 1, bytes(4000), s.IPC_NOWAIT)
        received = []
        with storm(self, lambda *_: received or received.append(s.msgrcv(queue, 4000))):
            self.assertEqual(s.msgsnd(queue, 2, bytes(4000)), 0)
        self.assertEqual(len(received), 1)
        self.assertEqual(s.msgrcv(queue, 4000, 2), (2, bytes(4000)))


class Queues(Made):
    def test_messages(self):
        queue = self.queue()
        self.assertEqual(s.msgsnd(queue, 5, b"five"), 0)
        self.assertEqual(s.msgsnd(msqid=queue, mtype=3, mtext=bytearray(b"th\0ree"), msgflg=0), 0)
        s.msgsnd(queue, 9, b"")
        self.assertEqual(s.msgrcv(queue, 100, 3), (3, b"th\0ree"))
        self.assertEqual(s.msgrcv(queue, 100, -8), (5, b"five"))
        self.assertEqual(s.msgrcv(msqid=queue, msgsz=0, msgtyp=0, msgflg=s.IPC_NOWAIT), (9, b""))
        self.fails(errno.ENOMSG, s.msgrcv, queue, 100, 0, s.IPC_NOWAIT)
        s.msgsnd(queue, 1, b"long one")
        self.fails(errno.E2BIG, s.msgrcv, queue, 4)
        self.assertEqual(s.msgrcv(queue, 4, 0, s.MSG_NOERROR), (1, b"long"))

    def test_bad_arguments(self):
        queue = self.queue()
        for wrong in 0, -1:
            self.fails(errno.EINVAL, s.msgsnd, queue, wrong, b"x")
        self.fails(errno.EINVAL, s.msgsnd, queue, 1, bytes(1 << 20))
        with self.assertRaises(TypeError):
            s.msgsnd(queue, 1, "text")
        with self.assertRaises(ValueError):
            s.msgrcv(queue, -1)
        with self.assertRaises((ValueError, MemoryError)):
            s.msgrcv(queue, sys.maxsize)
        with self.assertRaises(OverflowError):
            s.msgsnd(queue, 1 << 64, b"x")

    def test_control(self):
        key = s.ftok(self.directory, 1)
        queue = s.msgget(key=key, msgflg=NEW | s.IPC_EXCL)
        self.addCleanup(self.remove, s.msgctl, queue)
        self.assertEqual(s.msgget(key), queue)
        self.fails(errno.EEXIST, s.msgget, key, NEW | s.IPC_EXCL)
        s.msgsnd(queue, 1, b"12345")
        ds = s.msgctl(queue, s.IPC_STAT)
        self.assertIsInstance(ds, s.msqid_ds)
        self.assertEqual((ds.msg_qnum, ds.msg_cbytes, ds.msg_lspid, ds.msg_perm.key),
                         (1, 5, os.getpid(), key))
        s.msgctl(queue, s.IPC_SET, {"msg_qbytes": 100, "mode": 0o640})
        now = s.msgctl(queue, s.IPC_STAT)
        self.assertEqual((now.msg_qbytes, now.msg_perm.mode), (100, 0o640))
        self.fails(errno.EAGAIN, s.msgsnd, queue, 1, bytes(96), s.IPC_NOWAIT)
        s.msgctl(queue, s.IPC_SET, ds)
        self.assertEqual(s.msgctl(queue, s.IPC_STAT).msg_qbytes, ds.msg_qbytes)
        self.assertGreater(s.msgctl(0, s.IPC_INFO)["msgmnb"], 0)
        used = s.msgctl(0, s.MSG_INFO)
        self.assertGreaterEqual(used["msgpool"], 1)
        found = set()
        for index in range(used["index"] + 1):
            with contextlib.suppress(OSError):
                found.add(s.msgctl(index, s.MSG_STAT)[0])
        self.assertIn(queue, found)
        self.assertEqual(s.msgctl(queue, s.IPC_RMID), 0)
        self.fails(GONE, s.msgrcv, queue, 10)
        self.fails(errno.EINVAL, s.msgctl, 0, 999)


class Segments(Made):
    def attached(self, segment):
        return s.shmctl(segment, s.IPC_STAT).shm_nattch

    def test_memory(self):
        segment = self.segment(100)
        a, b = s.shmat(segment), s.shmat(shmid=segment, shmaddr=None, shmflg=s.SHM_RDONLY)
        self.assertIsInstance(a, memoryview)
        self.assertEqual((len(a), a.readonly, b.readonly, a.format), (100, False, True, "B"))
        a[:5] = b"hello"
        self.assertEqual(bytes(b[:6]), b"hello\0")
        with self.assertRaises(TypeError):
            b[0] = 1
        with self.assertRaises(IndexError):
            a[100] = 1
        self.assertEqual(self.attached(segment), 2)
        self.assertEqual(s.shmdt(a), 0)
        self.assertEqual(s.shmdt(view=b), 0)
        self.assertEqual(self.attached(segment), 0)
        with self.assertRaises(ValueError):
            a[0]
        with self.assertRaises(ValueError):
            s.shmdt(a)

    def test_stays_as_long_as_it_is_used(self):
        segment = self.segment()
        view = s.shmat(segment)
        part = view[10:20]
        array = (part.cast("B"), memoryview(part))
        s.shmdt(view)
        self.assertEqual(self.attached(segment), 1)
        part[0] = 7
        self.assertEqual(array[1][0], 7)
        s.shmctl(segment, s.IPC_RMID)
        part[9] = 9
        del part, array
        gc.collect()
        self.fails(GONE, s.shmctl, segment, s.IPC_STAT)

    def test_in_use_by_another_object(self):
        import ctypes
        segment = self.segment()
        view = s.shmat(segment)
        user = pickle.PickleBuffer(view)
        with self.assertRaises(BufferError):
            s.shmdt(view)
        user.release()
        array = (ctypes.c_char * 100).from_buffer(view)
        s.shmdt(view)
        array[0] = b"x"
        self.assertEqual(array[0], b"x")
        del array
        gc.collect()
        self.assertEqual(self.attached(segment), 0)

    def test_dropped_views_are_detached(self):
        segment = self.segment()
        for _ in range(50):
            s.shmat(segment)[0] = 1
        self.assertEqual(self.attached(segment), 0)
        view = s.shmat(segment)
        owner = view.obj
        view.release()
        with self.assertRaises(BufferError):
            memoryview(owner)
        with self.assertRaises(TypeError):
            type(owner)()

    def test_bad_arguments(self):
        segment = self.segment()
        for wrong in (bytearray(3), None, 0):
            with self.assertRaises(TypeError):
                s.shmdt(wrong)
        with self.assertRaises(ValueError):
            s.shmdt(memoryview(b"other"))
        with self.assertRaises(ValueError):
            s.shmat(segment, None, s.SHM_REMAP)
        self.fails(errno.EINVAL, s.shmat, segment, 12345)
        with self.assertRaises(TypeError):
            s.shmat(segment, "here")
        with self.assertRaises(OverflowError):
            s.shmat(segment, 1 << 70)
        self.assertEqual(self.attached(segment), 0)

    def test_control(self):
        key = s.ftok(self.directory, 1)
        segment = s.shmget(key=key, size=5000, shmflg=NEW | s.IPC_EXCL)
        self.addCleanup(self.remove, s.shmctl, segment)
        self.assertEqual(s.shmget(key, 0), segment)
        self.fails(errno.EEXIST, s.shmget, key, 1, NEW | s.IPC_EXCL)
        self.fails(errno.EINVAL, s.shmget, key, 5001)
        ds = s.shmctl(segment, s.IPC_STAT)
        self.assertIsInstance(ds, s.shmid_ds)
        self.assertEqual((ds.shm_segsz, ds.shm_cpid, ds.shm_nattch), (5000, os.getpid(), 0))
        s.shmctl(segment, s.IPC_SET, {"mode": 0o400})
        self.assertEqual(s.shmctl(segment, s.IPC_STAT).shm_perm.mode & 0o777, 0o400)
        s.shmctl(segment, s.IPC_SET, ds)
        self.assertEqual(s.shmctl(segment, s.IPC_STAT).shm_perm.mode & 0o777, 0o600)
        self.assertGreater(s.shmctl(0, s.IPC_INFO)["shmmax"], 0)
        used = s.shmctl(0, s.SHM_INFO)
        self.assertGreaterEqual(used["used_ids"], 1)
        found = set()
        for index in range(used["index"] + 1):
            with contextlib.suppress(OSError):
                found.add(s.shmctl(index, s.SHM_STAT)[0])
        self.assertIn(segment, found)
        view = s.shmat(segment)
        s.shmctl(segment, s.IPC_RMID)
        self.assertTrue(s.shmctl(segment, s.IPC_STAT).shm_perm.mode & s.SHM_DEST)
        s.shmdt(view)
        self.fails(GONE, s.shmat, segment)
        self.fails(errno.EINVAL, s.shmctl, 0, 999)

    def test_fork(self):
        """A child's view is its own; what the child drops stays with the parent."""
        segment = self.segment()
        view = s.shmat(segment)

        def child():
            view[0] = 42
            s.shmdt(view)
            return 7

        self.assertEqual(self.fork(child), 7)
        self.assertEqual((view[0], self.attached(segment)), (42, 1))
        s.shmdt(view)


class Names(unittest.TestCase):
    def test_all_is_typed(self):
        """The stub has each name of the module, and no other."""
        import ast
        import semundo._raw
        stub = os.path.join(os.path.dirname(semundo.__file__), "_raw.pyi")
        with open(stub, encoding="utf-8") as file:
            body = ast.parse(file.read()).body
        named = {n.target.id for n in body if isinstance(n, ast.AnnAssign)}
        named |= {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        here = {n for n in vars(semundo._raw) if not n.startswith("__")}
        self.assertEqual(named - {"_T"}, here)
        self.assertEqual(sorted(s.__all__), sorted(n for n in here if not n.startswith("_")))
