# SPDX-License-Identifier: Apache-2.0
"""SemLock over each engine."""
import _multiprocessing
import os

from helpers import LIMIT, Case
from mp_helpers import RECURSIVE, SEMAPHORE, outcome
from semundo import _ext
from semundo.multiprocessing import SemLock, sem_unlink


class Engines(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(_ext.semlock_engine, _ext.semlock_engine())
        self.name = f"/semundo-test-{os.getpid()}"

    def test_names_of_engines(self):
        self.assertEqual(_ext.semlock_engine(), "native")
        self.assertEqual(_ext.semlock_engine("sysv"), "sysv")
        self.assertRaises(ValueError, _ext.semlock_engine, "auto")
        self.assertEqual(_ext.semlock_engine(None), "sysv")

    def test_basics(self):
        for engine in ("native", "sysv", "posix"):
            with self.subTest(engine=engine):
                _ext.semlock_engine(engine)
                lock = SemLock(SEMAPHORE, 1, 1, self.name, False)
                self.addCleanup(outcome, lambda: sem_unlink(self.name))
                again = SemLock._rebuild(0, SEMAPHORE, 1, self.name)
                self.assertTrue(lock.acquire())
                self.assertFalse(again.acquire(False))
                self.assertFalse(again.acquire(True, 0.01))
                lock.release()
                self.assertRaises(ValueError, lock.release)
                sem_unlink(self.name)
                self.assertRaises(FileNotFoundError, sem_unlink, self.name)
                bounded = SemLock(SEMAPHORE, 2, 2, self.name, True)
                self.assertRaises(ValueError, bounded.release)
                self.assertTrue(bounded.acquire() and bounded.acquire())
                self.assertTrue(bounded._is_zero())
                recursive = SemLock(RECURSIVE, 1, 1, self.name, True)
                self.assertTrue(recursive.acquire() and recursive.acquire())
                recursive.release()
                recursive.release()
                self.assertRaises(AssertionError, recursive.release)
                self.assertRaises(FileNotFoundError, sem_unlink, self.name)

    def test_sysv_holder_is_killed(self):
        _ext.semlock_engine("sysv")
        s = SemLock(SEMAPHORE, 1, 1, self.name, True)
        self.assertEqual(self.fork(lambda: s.acquire() and 0), 0)
        self.assertTrue(s.acquire(True, LIMIT))
        self.assertEqual([death.pid for death in s.recovered], [0])  # somebody

    def test_posix_is_that_of_cpython(self):
        _ext.semlock_engine("posix")
        s = SemLock(SEMAPHORE, 1, 1, self.name, False)
        self.addCleanup(sem_unlink, self.name)
        theirs = _multiprocessing.SemLock._rebuild(0, SEMAPHORE, 1, self.name)
        self.assertTrue(theirs.acquire())
        self.assertFalse(s.acquire(False))
        theirs.release()
        self.assertTrue(s.acquire(False))

    def test_posix_cannot_undo(self):
        _ext.semlock_engine("posix")
        self.assertRaises(NotImplementedError, SemLock, SEMAPHORE, 3, 3, self.name, True, undo=True)
