# SPDX-License-Identifier: Apache-2.0
"""SemLock: what CPython's own does, it does; and what that does not."""
import _multiprocessing
import os
import pickle
import signal
import threading
import time
import weakref

import semundo
from helpers import LIMIT, Case, until
from mp_helpers import RECURSIVE, SEMAPHORE, outcome
from semundo.multiprocessing import SEM_VALUE_MAX, SemLock, sem_unlink
from storm import fail, storm


class Both(Case):
    """The same is done with CPython's and with this one."""

    def setUp(self):
        super().setUp()
        self.name = f"/semundo-test-{os.getpid()}"

    def same(self, steps):
        """steps(make) yields what is to be the same; make(kind, value, maxvalue)."""
        results = []
        for cls in (_multiprocessing.SemLock, SemLock):
            def make(kind, value, maxvalue, cls=cls):
                return cls(kind, value, maxvalue, self.name, True)
            results.append([outcome(step) for step in steps(make, cls)])
        self.assertEqual(*results)
        self.assertGreater(len(results[0]), 0)

    def test_constructor(self):
        def steps(make, cls):
            yield lambda: make(2, 1, 1)
            yield lambda: make(-1, 1, 1)
            yield lambda: make(SEMAPHORE, -1, 1)
            yield lambda: make(SEMAPHORE, 2**40, 1)
            yield lambda: make(SEMAPHORE, 1.5, 1)
            yield lambda: cls(SEMAPHORE, 1, 1, self.name + "\0x", True)
            yield lambda: cls(SEMAPHORE, 1, 1, None, True)
            yield lambda: cls(SEMAPHORE, 1, 1, self.name)
            yield lambda: cls()
            yield lambda: cls(SEMAPHORE, 1, 1, self.name, True, 1)
            yield lambda: cls(kind=1, value=2, maxvalue=3, name=self.name, unlink=1)._get_value()
            yield lambda: make(SEMAPHORE, 5, 2)._get_value()
            yield lambda: cls.SEM_VALUE_MAX
            yield lambda: make(SEMAPHORE, SEM_VALUE_MAX, SEM_VALUE_MAX)._get_value()
        self.same(steps)

    def test_members(self):
        def steps(make, _):
            s = make(RECURSIVE, 1, 1)
            yield lambda: (s.kind, s.maxvalue, s.name, type(s.handle))
            for name in ("kind", "maxvalue", "name", "handle"):
                yield lambda name=name: setattr(s, name, 1)
            yield lambda: s.__dict__
            yield lambda: weakref.ref(s)
            yield lambda: pickle.dumps(s)
        self.same(steps)

    def test_acquire(self):
        def steps(make, _):
            s = make(SEMAPHORE, 1, 1)
            yield lambda: s.acquire(block=False)
            yield lambda: s.acquire(False)
            yield lambda: s.acquire(0, "no number is needed then")
            yield lambda: s.acquire(True, 0)
            yield lambda: s.acquire(True, -3)
            yield lambda: s.acquire(timeout=0.01)
            yield lambda: s.acquire("yes", 0)
            yield lambda: s.acquire(True, "1")
            yield lambda: s.acquire(True, [])
            yield lambda: s.acquire(True, 1, 2)
            yield lambda: s.acquire(wait=True)
            yield lambda: (s._count(), s._is_mine(), s._get_value(), s._is_zero())
        self.same(steps)

    def test_release(self):
        def steps(make, _):
            s = make(SEMAPHORE, 1, 1)
            yield s.release
            yield lambda: (s.acquire(), s._count(), s.release(), s._count(), s._is_mine())
            yield s.release
            t = make(SEMAPHORE, 0, 2)
            yield lambda: (t.release(), t.release(), t._count(), t._is_mine(), t._get_value())
            yield t.release
            yield lambda: (t.__enter__(), t._count(), t._is_mine())
            yield lambda: (t.__exit__(), t.__exit__, ) and None
            yield lambda: t.__exit__(None, None, None)
            yield lambda: t._get_value()
            for value, maxvalue in ((5, 2), (1, 0), (0, 0), (0, -1), (0, 1), (2, 3)):
                u = make(SEMAPHORE, value, maxvalue)
                yield lambda u=u: u.release()
                yield lambda u=u: u._get_value()
                yield lambda u=u: (u.acquire(False), u.acquire(False), u._get_value())
                yield lambda u=u: u.release()
                yield lambda u=u: u._get_value()
            most = make(SEMAPHORE, SEM_VALUE_MAX, SEM_VALUE_MAX)
            yield most.release
        self.same(steps)

    def test_recursive(self):
        def elsewhere(function):
            found = []
            thread = self.thread(lambda: found.append(outcome(function)))
            self.join(thread)
            return found[0]

        def steps(make, _):
            s = make(RECURSIVE, 1, 1)
            yield s.release
            yield lambda: [s.acquire(), s.acquire(False), s.acquire(True, 1), s.__enter__()]
            yield lambda: (s._count(), s._is_mine(), s._get_value(), s._is_zero())
            yield lambda: elsewhere(s.release)
            yield lambda: elsewhere(s._is_mine)
            yield lambda: elsewhere(s._count)
            yield lambda: elsewhere(lambda: s.acquire(False))
            yield lambda: [s.release() for _ in range(4)]
            yield s.release
            yield lambda: (s._count(), s._is_mine(), s._get_value(), s._is_zero())
            yield lambda: elsewhere(lambda: (s.acquire(), s.release()))
        self.same(steps)

    def test_after_fork(self):
        def steps(make, _):
            for kind in (RECURSIVE, SEMAPHORE):
                s = make(kind, 1, 1)
                s.acquire()
                yield lambda s=s: (s._after_fork(), s._count(), s._is_mine(), s._get_value())
                yield s.release if kind == RECURSIVE else lambda: None
        self.same(steps)

    def test_names(self):
        def steps(make, cls):
            unlink = sem_unlink if cls is SemLock else _multiprocessing.sem_unlink
            yield lambda: unlink(self.name)
            s = cls(SEMAPHORE, 1, 1, self.name, False)
            yield lambda: s.name == self.name
            yield lambda: cls(SEMAPHORE, 1, 1, self.name, False)
            yield lambda: cls(SEMAPHORE, 1, 1, self.name, 0)
            t = cls._rebuild(-1, SEMAPHORE, 1, self.name)
            yield lambda: (t.name == self.name, t.kind, t.maxvalue)
            yield lambda: (s.acquire(), t.acquire(False), t._count(), t.release(), s._count())
            yield lambda: (t.acquire(False), s.release(), t._count())
            yield lambda: unlink(self.name)
            yield lambda: unlink(self.name)
            yield lambda: cls._rebuild(s.handle, SEMAPHORE, 1, self.name)
            yield lambda: (s.acquire(False), t._get_value())
            yield lambda: cls._rebuild(s.handle, SEMAPHORE, 1)
            yield lambda: unlink(1)
        self.same(steps)


class Own(Case):
    def make(self, kind=SEMAPHORE, value=1, maxvalue=1, **options):
        return SemLock(kind, value, maxvalue, "/x", True, **options)

    def test_subclass(self):
        class Mine(SemLock):
            more = 3
        s = Mine(SEMAPHORE, 1, 1, "/x", True)
        s.text = "x"
        self.assertEqual((s.acquire(), s.more, s.text, s._count()), (True, 3, "x", 1))
        self.assertIsInstance(Mine._rebuild(s.handle, SEMAPHORE, 1, None), Mine)

    def test_no_name_is_left(self):
        self.make()
        self.assertEqual(semundo.names(), [])

    def test_forked_child_owns_nothing(self):
        """Whether it calls _after_fork() or not."""
        for kind in (RECURSIVE, SEMAPHORE):
            s = self.make(kind)
            self.assertTrue(s.acquire())

            def child(s=s, kind=kind):
                if s._count() or s._is_mine() or s._get_value():
                    return 1
                if kind == RECURSIVE and outcome(s.release)[0] != "AssertionError":
                    return 2
                if s.acquire(False):
                    return 3
                s._after_fork()
                return 4 if s._count() or s.acquire(True, 0.01) else 0

            self.assertEqual(self.fork(child), 0)
            self.assertTrue(s._is_mine())
            s.release()
            self.assertEqual(s._get_value(), 1)

    def test_holder_is_killed(self):
        for kind in (RECURSIVE, SEMAPHORE):
            s = self.make(kind)
            pid = os.fork()
            if pid == 0:
                try:
                    s.acquire()
                    os.kill(os.getpid(), signal.SIGKILL)
                finally:
                    os._exit(1)
            self.assertEqual(os.waitpid(pid, 0)[1], signal.SIGKILL)
            self.assertTrue(s.acquire(True, LIMIT))
            self.assertEqual([death.pid for death in s.recovered], [pid])
            self.assertEqual(self.fork(lambda s=s: s._after_fork() or len(s.recovered)), 0)
            s.release()
            self.assertTrue(s.acquire())
            self.assertEqual(s.recovered, ())

    def test_waiter_goes_on_when_the_holder_is_killed(self):
        s = self.make()
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                s.acquire()
                os.write(ready[1], b"x")
                os.read(go[0], 1)
                os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(1)
        os.read(ready[0], 1)
        self.assertFalse(s.acquire(True, 0.01))
        got = []
        thread = self.thread(lambda: got.append((s.acquire(True, LIMIT), s.recovered[0].pid)))
        os.write(go[1], b"x")
        self.join(thread)
        self.assertEqual(os.waitpid(pid, 0)[1], signal.SIGKILL)
        self.assertEqual(got, [(True, pid)])
        for fd in ready + go:
            os.close(fd)

    def test_released_elsewhere(self):
        s = self.make()
        s.acquire()
        self.join(self.thread(s.release))
        self.assertTrue(s.acquire(False))
        self.assertEqual(self.fork(s.release), 0)
        self.assertEqual(s._get_value(), 1)
        self.assertRaises(ValueError, s.release)

    def test_bound_is_exact(self):
        """Some raise it all the time and one lowers it: it is never above its bound."""
        s = self.make(SEMAPHORE, 1, 2)

        def child(step):
            for _ in range(20000):
                outcome(step)
                if s._get_value() > 2:
                    return 1
            return 0

        pids = []
        for step in (s.release, s.release, s.release, lambda: s.acquire(False)):
            pid = os.fork()
            if pid == 0:
                status = 2
                try:
                    status = child(step)
                finally:
                    os._exit(status)
            pids.append(pid)
        self.assertEqual([os.waitpid(pid, 0)[1] >> 8 for pid in pids], [0] * 4)

    def test_bound_is_the_library_s(self):
        """So that there is no time between a check and the release."""
        s = SemLock(SEMAPHORE, 1, 2, "/bounded", False)
        other = self.open(semundo.Signal, "bounded", create=False)
        self.assertEqual(other.capacity, 2)
        other.release()
        self.assertRaises(semundo.FullError, other.release)
        self.assertRaises(ValueError, s.release)
        sem_unlink("/bounded")

    def test_signals_do_not_move_the_deadline(self):
        s = self.make(SEMAPHORE, 0, 5)
        with storm(self):
            begin = time.monotonic()
            self.assertIs(s.acquire(True, 0.3), False)
            self.assertGreaterEqual(time.monotonic() - begin, 0.3)

    def test_exception_of_a_handler(self):
        for s in (self.make(SEMAPHORE, 0, 5), self.make(RECURSIVE, 0, 1)):
            with storm(self, fail):
                self.assertRaises(KeyError, s.acquire)
            self.assertEqual((s._count(), s._is_mine()), (0, False))

    def test_others_run_while_it_waits(self):
        s = self.make(SEMAPHORE, 0, 5)
        thread = self.thread(s.acquire)
        time.sleep(0)
        s.release()
        self.join(thread)

    def test_by_handle(self):
        s = self.make()
        s.acquire()
        t = SemLock._rebuild(s.handle, SEMAPHORE, 1, None)
        self.assertEqual((t.handle, t._get_value(), t._count()), (s.handle, 0, 0))
        del s
        t.release()
        self.assertTrue(t.acquire(False))
        handle = t.handle
        del t
        for unknown in (0, 1, -1, handle):
            self.assertRaises(ValueError, SemLock._rebuild, unknown, SEMAPHORE, 1, None)
        self.assertRaises(TypeError, SemLock._rebuild, "x", SEMAPHORE, 1, None)

    def test_by_descriptor(self):
        self.assertRaises(FileNotFoundError, self.make()._descriptor)
        s = self.make(descriptor=True)
        fd = s._descriptor()
        t = SemLock._open_fd(fd, SEMAPHORE, 1, self.directory)
        os.close(fd)
        s.acquire()
        self.assertFalse(t.acquire(False))
        self.assertRaises(OSError, SemLock._open_fd, fd, SEMAPHORE, 1, self.directory)
        with open("/dev/null", "rb") as other:
            self.assertRaises(OSError, SemLock._open_fd, other.fileno(), SEMAPHORE, 1, None)

    def test_no_descriptor_is_left(self):
        def made():
            return self.make(), self.make(descriptor=True), self.make(SEMAPHORE, 3, 5)

        kept = made()
        for s in kept:
            s.acquire()
        before = len(os.listdir("/proc/self/fd"))  # the directory's own stay
        for s in made():
            s.acquire()
        del s
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_undo(self):
        s = self.make(SEMAPHORE, 3, 3, undo=True)
        self.assertEqual(self.fork(lambda: s.acquire() and 0), 0)  # dies with it
        for _ in range(3):
            self.assertTrue(s.acquire(True, LIMIT))
        self.assertTrue(s.recovered)
        for _ in range(3):
            s.release()
        self.assertRaises(ValueError, s.release)
        self.assertRaises(OSError, self.make, SEMAPHORE, 0, 3, undo=True)

    def test_foreign_process(self):
        """By name, from a program that was not forked."""
        s = SemLock(SEMAPHORE, 1, 1, "/mine", False)
        process = self.start("""
            from semundo.multiprocessing import SemLock
            s = SemLock._rebuild(0, 1, 1, "/mine")
            print(s.acquire(), flush=True)
            input()
        """)
        self.assertEqual(process.line(), "True")
        self.assertFalse(s.acquire(True, 0.01))
        process.kill()
        self.assertTrue(s.acquire(True, LIMIT))
        self.assertEqual([death.pid for death in s.recovered], [process.pid])
        sem_unlink("/mine")


class Threads(Case):
    def test_count_of_threads(self):
        """What one acquires and another releases."""
        s = SemLock(SEMAPHORE, 1, 1, "/x", True)
        s.acquire()
        self.join(self.thread(s.release))
        self.assertEqual((s._count(), s._is_mine()), (0, False))
        seen = []
        threading.Thread(target=lambda: seen.append((s.acquire(), s._is_mine()))).start()
        until(lambda: seen, "the thread has it")
        self.assertEqual((seen, s._is_mine(), s._count()), ([(True, True)], False, 1))
