# SPDX-License-Identifier: Apache-2.0
"""Pickles: to processes of multiprocessing, however started, and to strangers."""
import copy
import multiprocessing
import pickle

import semundo
from helpers import Case

ALL = [semundo.Lock, semundo.RLock, semundo.Semaphore, semundo.BoundedSemaphore, semundo.Signal]


def use(semaphores, answers):
    """In a child: takes the second unit of each."""
    try:
        answers.put([(type(s).__name__, s.name, s.value, s.acquire(timeout=60), s.held)
                     for s in semaphores])
        answers.close()
        answers.join_thread()
    finally:
        for s in semaphores:
            s.close()


class Pickle(Case):
    def test_by_name(self):
        for cls in ALL:
            with self.subTest(cls=cls.__name__):
                s = self.open(cls, "p-" + cls.__name__)
                again = pickle.loads(pickle.dumps(s))
                self.addCleanup(again.close)
                self.assertIs(type(again), cls)
                self.assertEqual((again.name, again.info()["inode"]),
                                 (s.name, s.info()["inode"]))
                twin = self.open(lambda s=s: copy.copy(s))
                self.assertEqual(twin.name, s.name)
                s.unlink()
                self.assertRaises(semundo.NotFoundError, pickle.loads, pickle.dumps(s))

    def test_subclass(self):
        s = self.open(Mine, "mine", 2)
        again = self.open(lambda: pickle.loads(pickle.dumps(s)))
        self.assertIsInstance(again, Mine)
        self.assertEqual(again.capacity, 2)

    def test_stranger(self):
        """Another program, with another SEMUNDO_DIR."""
        s = self.open(semundo.Semaphore, "p", 2)
        process = self.start("""
            import pickle, sys
            s = pickle.loads(bytes.fromhex(sys.stdin.readline()))
            s.acquire()
            print(s.held, flush=True)
            sys.stdin.read()
        """, SEMUNDO_DIR="/dev/shm")
        process.say(pickle.dumps(s).hex())
        self.assertEqual(process.line(), "1")
        self.assertEqual([p.pid for p in s.holders()], [process.pid])

    def test_nameless(self):
        s = self.open(semundo.Lock)
        with self.assertRaisesRegex(semundo.NotSupportedError, "no name"):
            pickle.dumps(s)

    def test_closed(self):
        s = semundo.Lock("c")
        s.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            pickle.dumps(s)

    def child(self, method):
        context = multiprocessing.get_context(method)
        semaphores = [cls(name, **({} if "Lock" in cls.__name__ else {"value": 2}))
                      for cls in ALL for name in (None, "c-" + cls.__name__)]
        for s in semaphores:
            self.addCleanup(s.close)
            if "Lock" not in type(s).__name__:
                s.acquire()
        answers = context.Queue()
        worker = context.Process(target=use, args=(semaphores, answers))
        worker.start()
        found = answers.get(timeout=60)
        worker.join(60)
        answers.close()
        answers.join_thread()
        self.assertEqual(worker.exitcode, 0)
        self.assertEqual(found, [(type(s).__name__, s.name, 1, True,
                                  0 if isinstance(s, semundo.Signal) else 1)
                                 for s in semaphores])
        for s in semaphores:
            self.assertEqual((type(s).__name__, s.value),
                             (type(s).__name__, 0 if isinstance(s, semundo.Signal) else 1))
            self.assertEqual(s.deaths(), ())  # closed is not dead

    def test_spawn(self):
        self.child("spawn")

    def test_forkserver(self):
        self.child("forkserver")


class Mine(semundo.Semaphore):
    pass
