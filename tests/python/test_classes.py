# SPDX-License-Identifier: Apache-2.0
"""Every class, in one process."""
import errno
import gc
import inspect
import os
import pathlib
import stat
import threading
import time
import unittest
import warnings
import weakref

import semundo
from helpers import Case

ALL = [semundo.Lock, semundo.RLock, semundo.Semaphore, semundo.BoundedSemaphore, semundo.Signal]


def first_of(cls):
    """Arguments for one that can be acquired once."""
    return {"value": 1} if cls is semundo.Signal else {}


class Every(Case):
    def test_once(self):
        for cls in ALL:
            for name in ("x-" + cls.__name__, None):
                with self.subTest(cls=cls.__name__, name=name):
                    s = self.open(cls, name, **first_of(cls))
                    self.assertEqual((s.name, s.value, s.engine), (name, 1, "native"))
                    self.assertIs(s.acquire(), True)
                    self.assertEqual(s.value, 0)
                    self.assertIs(s.locked(), True)
                    self.assertIsNone(s.release())
                    self.assertIs(s.locked(), False)

    def test_with(self):
        for cls in ALL:
            with self.subTest(cls=cls.__name__):
                s = self.open(cls, **first_of(cls))
                with s as inside:
                    self.assertIs(inside, s)
                    self.assertEqual(s.value, 0)
                self.assertEqual(s.value, 1)
                with self.assertRaises(KeyError), s:
                    raise KeyError
                self.assertEqual(s.value, 1)

    def test_timeout(self):
        for cls in (semundo.Lock, semundo.Semaphore, semundo.Signal):
            with self.subTest(cls=cls.__name__):
                s = self.open(cls, **first_of(cls))
                s.acquire()
                before = time.monotonic()
                self.assertIs(s.acquire(timeout=0.05), False)
                self.assertGreaterEqual(time.monotonic() - before, 0.05)
                self.assertIs(s.acquire(True, 0), False)
                self.assertIs(s.acquire(False), False)
                self.assertIs(s.acquire(blocking=False), False)
                s.release()
                self.assertIs(s.acquire(timeout=1e300), True)
                self.assertIs(s.acquire(timeout=0.01), False)

    def test_arguments(self):
        for cls in ALL:
            with self.subTest(cls=cls.__name__):
                s = self.open(cls, **first_of(cls))
                for bad in ({"timeout": "1"}, {"tiemout": 1}, {"n": 1.0}, {"n": "1"}):
                    self.assertRaises(TypeError, s.acquire, **bad)
                self.assertRaises(TypeError, s.acquire, True, None, 1)
                self.assertRaises(TypeError, s.acquire, True, blocking=True)
                self.assertRaises(ValueError, s.acquire, False, 1)
                self.assertRaises(ValueError, s.acquire, timeout=float("nan"))
                for n in (0, -1, 2**31, 2**32 + 1, 2**64 + 1):
                    self.assertRaises(ValueError, s.acquire, n=n)
                    if cls is not semundo.RLock:
                        self.assertRaises(ValueError, s.release, n)
                self.assertRaises(TypeError, s.release, m=1)
                self.assertRaises(TypeError, s.release, 1, 1)
                self.assertEqual(s.value, 1)

    def test_below_zero(self):
        lock = self.open(semundo.Lock)
        self.assertIs(lock.acquire(timeout=-1), True)  # no limit, as threading.Lock has it
        lock.release()
        self.assertIs(lock.acquire(False, -1), True)
        self.assertRaises(ValueError, lock.acquire, timeout=-2)
        semaphore = self.open(semundo.Semaphore)
        semaphore.acquire()
        self.assertIs(semaphore.acquire(timeout=-1), False)

    def test_closed(self):
        for cls in ALL:
            with self.subTest(cls=cls.__name__):
                s = cls("closed-" + cls.__name__, **first_of(cls))
                s.close()
                s.close()
                self.assertIs(s.closed, True)
                self.assertIn("closed", repr(s))
                for use in (s.acquire, s.release, s.__enter__, s.holders, s.wait_idle, s.recover,
                            lambda s=s: s.value, lambda s=s: s.capacity, s.info, s.deaths):
                    self.assertRaisesRegex(ValueError, "closed", use)
                s.unlink()  # needs the name only

    def test_repr(self):
        s = self.open(semundo.Semaphore, "r", 3)
        self.assertEqual(repr(s), "<semundo.Semaphore 'r' value 3 of 3>")
        self.assertEqual(repr(self.open(semundo.Lock)), "<semundo.Lock anonymous value 1 of 1>")
        self.assertEqual(repr(self.open(semundo.Signal, "native:s", 2)),
                         "<semundo.Signal 'native:s' value 2>")
        self.assertIn("RLock", repr(semundo.RLock.__new__(semundo.RLock)))

    def test_warns_when_dropped(self):
        for cls in ALL:
            with self.subTest(cls=cls.__name__), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                s = cls("dropped-" + cls.__name__)
                del s
                gc.collect()
                self.assertEqual([w.category for w in caught], [ResourceWarning])
                self.assertIn(f"unclosed <semundo.{cls.__name__} 'dropped-", str(caught[0].message))
                del caught[:]
                cls().close()
                gc.collect()
                self.assertEqual(caught, [])

    def test_dropped_is_not_leaked(self):
        other = self.open(semundo.Semaphore, "kept", 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(3):
                s = semundo.Semaphore("kept")
                self.assertEqual(s.held, 0)
                del s
                gc.collect()
            s = semundo.Semaphore("dropped", 2)
            s.acquire()
            del s
            gc.collect()
        self.assertEqual(other.value, 2)
        self.assertEqual(self.open(semundo.Semaphore, "dropped").value, 2)

    def test_weakref_and_attributes(self):
        for cls in ALL:
            s = cls()
            s.note = "mine"
            reference = weakref.ref(s)
            s.close()
            del s
            gc.collect()
            self.assertIsNone(reference())

    def test_cycle_is_collected(self):
        s = semundo.Lock()
        s.on_recover = lambda *_: s
        reference = weakref.ref(s)
        s.close()
        del s
        gc.collect()
        self.assertIsNone(reference())

    def test_documented(self):
        for name in semundo.__all__:
            thing = getattr(semundo, name)
            if name != "__version__":
                self.assertTrue(inspect.getdoc(thing), name)
            for member in dir(thing) if inspect.isclass(thing) else ():
                if not member.startswith("_") and issubclass(thing, semundo.Lock.__mro__[-2]):
                    self.assertTrue(inspect.getdoc(getattr(thing, member)), f"{name}.{member}")
        self.assertRegex(semundo.__version__, r"^\d+\.\d+\.\d+$")

    def test_never_opened(self):
        for cls in ALL:
            s = cls.__new__(cls)
            self.assertRaises(ValueError, s.acquire)
            self.assertRaises(ValueError, s.release)
            s.close()

    def test_opened_twice(self):
        s = self.open(semundo.Semaphore, "one", 2)
        with self.assertRaisesRegex(RuntimeError, "open"):
            s.__init__("two")
        self.assertEqual((s.name, s.capacity), ("one", 2))


class Names(Case):
    def test_life(self):
        self.assertRaises(semundo.NotFoundError, semundo.Lock, "n", create=False)
        first = self.open(semundo.Lock, "n", exclusive=True)
        self.assertRaises(semundo.ExistsError, semundo.Lock, "n", exclusive=True)
        second = self.open(semundo.Lock, "n", create=False)
        first.acquire()
        self.assertIs(second.acquire(False), False)
        third = self.open(semundo.Lock, "n", replace=True)
        self.assertIs(third.acquire(False), True)
        self.assertEqual(semundo.names(), ["n"])
        third.unlink()
        self.assertEqual(semundo.names(), [])
        self.assertRaises(semundo.NotFoundError, third.unlink)
        self.assertRaises(semundo.NotFoundError, semundo.unlink, "n")
        self.assertRaises(semundo.NotFoundError, self.open(semundo.Lock).unlink)

    def test_directory(self):
        self.assertEqual(semundo.directory(), self.directory)
        other = pathlib.Path(self.directory, "other")
        other.mkdir()
        s = self.open(semundo.Semaphore, "there", 2, dir=other)
        self.assertEqual((semundo.names(), semundo.names(other)), ([], ["there"]))
        s.unlink()
        self.open(semundo.Semaphore, "again", dir=str(other))
        semundo.unlink("again", dir=os.fsencode(str(other)))
        self.assertEqual(semundo.names(dir=other), [])

    def test_mode(self):
        for mode in (0o600, 0o640, 0o666):
            self.open(semundo.Signal, f"m{mode:o}", mode=mode)
            found = os.stat(os.path.join(self.directory, f"semundo.m{mode:o}")).st_mode
            self.assertEqual(stat.S_IMODE(found), mode)

    def test_engine_is_the_prefix(self):
        self.assertEqual(self.open(semundo.Lock, "e", engine="native").value, 1)
        self.assertEqual(self.open(semundo.Lock, "native:e", create=False).name, "e")
        with self.assertRaisesRegex(semundo.Error, "nosuch"):
            semundo.Lock("e", engine="nosuch")
        self.assertRaises(semundo.NotSupportedError, semundo.Lock, engine="posix")
        semundo.unlink("e", engine="native")

    def test_bad_names(self):
        for name in ("", "a/b", "a:b:c", "x" * 201, "a\nb"):
            with self.subTest(name=name):
                self.assertRaises(ValueError, semundo.Lock, name)
        self.assertRaises(ValueError, semundo.Lock, "a\0b")
        for name in (3, b"x", 1.5):
            with self.assertRaisesRegex(TypeError, "value="):
                semundo.Semaphore(name)
        self.assertRaises(TypeError, semundo.unlink, None)

    def test_another_kind(self):
        self.open(semundo.Lock, "k")
        self.assertRaises(semundo.InvalidError, semundo.Semaphore, "k")
        self.assertRaises(ValueError, semundo.Signal, "k")

    def test_another_size(self):
        self.open(semundo.Semaphore, "s", 3)
        self.assertEqual(self.open(semundo.Semaphore, "s").capacity, 3)
        with self.assertRaisesRegex(ValueError, "capacity 3, not 2"):
            semundo.Semaphore("s", 2)
        self.open(semundo.Signal, "g", 1, maximum=5)
        self.assertEqual(self.open(semundo.Signal, "g", 4).value, 1)
        with self.assertRaisesRegex(ValueError, "maximum 5, not 6"):
            semundo.Signal("g", maximum=6)

    def test_numbers(self):
        for value in (0, -1, 65536, 2**31, 2**32 + 3, 2**70):
            with self.subTest(value=value):
                self.assertRaises(ValueError, semundo.Semaphore, value=value)
        for value in ("3", 1.0, [1]):
            self.assertRaises(TypeError, semundo.Semaphore, value=value)
        self.assertRaises(ValueError, semundo.Signal, value=-1)
        self.assertRaises(ValueError, semundo.Signal, value=2**32)
        self.assertRaises(ValueError, semundo.Signal, value=3, maximum=2)
        self.assertRaises(ValueError, semundo.Lock, "mode", mode=0o10000)
        self.assertRaises(ValueError, semundo.Lock, "mode", mode=2**32 + 0o600)


class Kinds(Case):
    def test_units(self):
        s = self.open(semundo.Semaphore, "u", 5)
        self.assertIs(s.acquire(n=3), True)
        self.assertEqual((s.value, s.held, s.capacity), (2, 3, 5))
        self.assertIs(s.acquire(n=3, timeout=0.01), False)
        with s.hold(2):
            self.assertEqual(s.value, 0)
            with self.assertRaises(semundo.TimeoutError) as caught, s.hold(timeout=0.01):
                self.fail("there is none")
            self.assertIsInstance(caught.exception, TimeoutError)
        s.release(3)
        self.assertEqual((s.value, s.held), (5, 0))
        self.assertRaises(semundo.InvalidError, s.acquire, n=6)
        s.resize(7)
        self.assertEqual((s.value, s.capacity), (7, 7))

    def test_bound(self):
        for cls in (semundo.Semaphore, semundo.BoundedSemaphore):
            s = self.open(cls, value=2)
            s.acquire()
            s.release()
            with self.assertRaises(ValueError) as caught:
                s.release()
            self.assertIsInstance(caught.exception, semundo.NotHeldError)
            self.assertEqual(caught.exception.errno, errno.EPERM)
            self.assertIn("does not hold", caught.exception.strerror)
            self.assertEqual(s.value, 2)

    def test_lock_free(self):
        lock = self.open(semundo.Lock, "l")
        self.assertRaises(RuntimeError, lock.release)   # as threading.Lock
        self.assertRaises(ValueError, lock.release)     # as multiprocessing.Lock
        self.assertRaises(OSError, lock.release)
        lock.acquire()
        self.assertRaises(semundo.NotHeldError, lock.release, 2)

    def test_signal(self):
        s = self.open(semundo.Signal, "g", maximum=3)
        self.assertIs(s.acquire(False), False)
        s.release(3)
        self.assertRaises(semundo.FullError, s.release)
        self.assertEqual((s.value, s.held, s.holders()), (3, 0, []))
        self.assertRaises(semundo.NotSupportedError, s.wait_idle)

    def test_idle(self):
        s = self.open(semundo.Semaphore, "i", 2)
        self.assertIs(s.wait_idle(), True)
        s.acquire()
        self.assertIs(s.wait_idle(timeout=0.01), False)
        ended = []
        thread = self.thread(lambda: ended.append(s.wait_idle(timeout=60)))
        self.until_waiting(s)
        s.release()
        self.join(thread)
        self.assertEqual(ended, [True])

    def test_who(self):
        s = self.open(semundo.Semaphore, "w", 3)
        self.assertEqual((s.holders(), s.waiters()), ([], []))
        s.acquire(n=2)
        holder, = s.holders()
        self.assertEqual((holder.pid, holder.held, holder.is_self, holder.alive, holder.uid),
                         (os.getpid(), 2, True, True, os.getuid()))
        self.assertIsNone(holder.for_pid)
        self.assertLess(abs(holder.attached_since - time.time()), 60)
        thread = self.thread(lambda: s.acquire(n=2))
        self.until_waiting(s)
        waiter, = s.waiters()
        self.assertEqual((waiter.waiting, waiter.wanted, waiter.held), (1, 2, 2))
        self.assertLess(abs(waiter.waiting_since - time.monotonic()), 60)
        self.assertEqual([p.pid for p in s.peers()], [os.getpid()])
        s.release(2)
        self.join(thread)

    def test_info(self):
        info = self.open(semundo.Semaphore, "f", 3, mode=0o644).info()
        self.assertEqual((info["name"], info["capacity"], info["mode"], info["kind"]),
                         ("f", 3, 0o644, 2))


class Recursive(Case):
    def test_again(self):
        lock = self.open(semundo.RLock, "r")
        with lock, lock:
            self.assertIs(lock.acquire(False), True)
            lock.release()
            self.assertEqual(lock.value, 0)
        self.assertEqual(lock.value, 1)
        self.assertRaises(RuntimeError, lock.release)
        self.assertRaises(semundo.NotHeldError, lock.release)

    def test_two_objects_are_one_lock(self):
        one, two = self.open(semundo.RLock, "r"), self.open(semundo.RLock, "r")
        with one:
            self.assertIs(two.acquire(timeout=60), True)
            one.release()
            self.assertEqual(one.value, 0)
            one.acquire()
            two.release()
            self.assertEqual(one.value, 0)
        self.assertEqual(one.value, 1)

    def test_another_thread(self):
        lock = self.open(semundo.RLock, "r")
        seen = []

        def other():
            seen.append(lock.acquire(timeout=0.01))
            try:
                lock.release()
            except RuntimeError as error:
                seen.append(type(error))

        with lock:
            self.join(self.thread(other))
        self.assertEqual(seen, [False, semundo.NotHeldError])

    def test_released_by_another(self):
        """A lock's unit may be given back by anybody; the owner finds out."""
        lock, plain = self.open(semundo.RLock, "r"), self.open(semundo.Lock, "r")
        lock.acquire()
        plain.release()
        self.assertRaises(semundo.NotHeldError, lock.release)
        self.assertEqual(lock.value, 1)
        with lock:
            pass

    def test_condition(self):
        lock = self.open(semundo.RLock)
        condition = threading.Condition(lock)
        done = []

        def consumer():
            with lock, condition:  # twice
                done.append("waits")
                condition.wait(60)
                done.append("goes on")

        thread = self.thread(consumer)
        while not done:
            time.sleep(0.001)
        with condition:
            condition.notify()
        self.join(thread)
        self.assertEqual(done, ["waits", "goes on"])


class Threads(Case):
    def test_exclusion(self):
        """Threads of one process exclude each other, and nobody is forgotten."""
        for cls in (semundo.Lock, semundo.RLock, semundo.Semaphore):
            with self.subTest(cls=cls.__name__):
                s = self.open(cls)
                inside, most, count = 0, 0, 0

                def work(s=s):
                    nonlocal inside, most, count
                    for _ in range(300):
                        with s:
                            inside += 1
                            most = max(most, inside)
                            if count % 50 == 0:
                                time.sleep(0)
                            count += 1
                            inside -= 1

                threads = [self.thread(work) for _ in range(6)]
                for thread in threads:
                    self.join(thread)
                self.assertEqual((most, count, s.value), (1, 1800, 1))

    def test_others_run_while_one_waits(self):
        """The GIL is free in a wait: this thread runs, and releases."""
        for cls in (semundo.Lock, semundo.RLock, semundo.Semaphore, semundo.Signal):
            with self.subTest(cls=cls.__name__):
                s = self.open(cls, "g-" + cls.__name__, **first_of(cls))
                s.acquire()
                got = []
                wait = (lambda s=s: s.__enter__()) if cls is not semundo.Signal else s.acquire
                thread = self.thread(lambda wait=wait, got=got: got.append(bool(wait())))
                self.until_waiting(s)
                self.assertEqual(got, [])
                s.release()
                self.join(thread)
                self.assertEqual(got, [True])

    def test_close_while_another_waits(self):
        s = semundo.Semaphore("c", 1)
        other = self.open(semundo.Semaphore, "c")
        s.acquire()
        seen = []

        def wait():
            try:
                s.acquire()
            except ValueError as error:
                seen.append(str(error))

        thread = self.thread(wait)
        self.until_waiting(other)
        s.close()
        other.release()  # the process still holds it, through `other`
        self.join(thread)
        self.assertIn("closed", seen[0])
        self.assertEqual(other.value, 1)


class Exceptions(unittest.TestCase):
    def test_families(self):
        for name, bases in {
                "NotFoundError": (FileNotFoundError,), "ExistsError": (FileExistsError,),
                "AccessError": (PermissionError,), "TimeoutError": (TimeoutError,),
                "InvalidError": (ValueError,), "FullError": (ValueError,),
                "NotHeldError": (PermissionError, ValueError, RuntimeError),
                "NotSupportedError": (NotImplementedError,)}.items():
            for base in (*bases, semundo.Error, OSError):
                self.assertTrue(issubclass(getattr(semundo, name), base), (name, base))
