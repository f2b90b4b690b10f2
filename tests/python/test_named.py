# SPDX-License-Identifier: Apache-2.0
"""NamedSemaphore: the examples of named-semaphores, and what is promised beyond."""
import contextlib
import gc
import math
import os
import secrets
import struct
import subprocess
import sys
import time
import unittest

import semundo
from semundo import Flags, NamedSemaphore
from semundo.compat import posix_ipc
from helpers import Case, until
from storm import fail, storm

ENGINES = "posix", "native"


class Named(Case):
    def setUp(self):
        super().setUp()
        self.name = f"semundo-test-{os.getpid()}-{secrets.token_hex(4)}"
        self.addCleanup(self.clean)

    def clean(self):
        gc.collect()
        left = self.exists("posix")
        for remove in (lambda: posix_ipc.unlink_semaphore(self.name),
                       lambda: semundo.unlink(self.name)):
            with contextlib.suppress(posix_ipc.ExistentialError, FileNotFoundError):
                remove()
        self.assertFalse(left, "a name is left")

    def exists(self, engine):
        if engine == "native":
            return self.name in semundo.names()
        return os.path.exists(f"/dev/shm/sem.{self.name}")

    def each(self):
        """The rest of a test, for each engine."""
        for engine in ENGINES:
            with self.subTest(engine=engine):
                yield engine

    def program(self, engine):
        """Another process, that has it open and does what it reads."""
        process = self.start(f"""
            import sys
            from semundo import NamedSemaphore
            sem = NamedSemaphore({self.name!r}, engine={engine!r})
            print(sem.linked_existing_semaphore, flush=True)
            for line in sys.stdin:
                print(eval(line), flush=True)
        """)
        self.assertEqual(process.line(), "True")
        return process


class Examples(Named):
    """Those of the README of named-semaphores, in its order."""

    def test_create_with_defaults(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)
            self.assertEqual((sem.name, sem.value), ("/" + self.name, 1))
            self.assertIs(sem.linked_existing_semaphore, False)
            self.assertIs(sem.unlink_on_delete, True)

    def test_create_with_initial_value(self):
        for engine in self.each():
            sem = NamedSemaphore("/" + self.name, initial_value=3, engine=engine)
            self.assertEqual(sem.value, 3)

    def test_try_finally(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)
            sem.acquire()
            try:
                self.assertEqual(sem.value, 0)
            finally:
                sem.release()
            self.assertEqual(sem.value, 1)

    def test_timeout(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)
            self.assertIs(sem.acquire(timeout=5), True)
            before = time.monotonic()
            self.assertIs(sem.acquire(timeout=0.2), False)
            self.assertGreaterEqual(time.monotonic() - before, 0.2)
            self.assertIs(sem.acquire(blocking=False), False)
            self.assertIs(sem.acquire(timeout=0), False)
            sem.release()

    def test_with(self):
        for engine in self.each():
            with NamedSemaphore(self.name, initial_value=2, engine=engine) as sem:
                self.assertIsInstance(sem, NamedSemaphore)
                self.assertEqual(sem.value, 1)
            self.assertEqual(sem.value, 2)

    def test_del_of_the_creating_handle_only(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)
            linked = NamedSemaphore(self.name, engine=engine)
            self.assertIs(linked.linked_existing_semaphore, True)
            self.assertIs(linked.unlink_on_delete, False)
            del linked
            self.assertTrue(self.exists(engine))
            self.assertIs(sem.acquire(timeout=5), True)
            sem.release()
            del sem
            self.assertFalse(self.exists(engine))

    def test_unlink_on_delete(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, unlink_on_delete=False, engine=engine)
            del sem
            self.assertTrue(self.exists(engine))
            sem = NamedSemaphore(self.name, engine=engine)
            sem.unlink()
            self.assertFalse(self.exists(engine))
            with self.assertRaises(FileNotFoundError):
                sem.unlink()
            del sem
            sem = NamedSemaphore(self.name, unlink_on_delete=False, engine=engine)
            linked = NamedSemaphore(self.name, unlink_on_delete=True, engine=engine)
            self.assertIs(linked.unlink_on_delete, True)
            del linked
            self.assertFalse(self.exists(engine))

    def test_flags(self):
        self.assertIs(NamedSemaphore.Flags, Flags)
        self.assertEqual({f.name: f.value for f in Flags},
                         {"RAISE_IF_EXISTS": 0, "LINK_OR_CREATE": 1, "RAISE_IF_NOT_EXISTS": 2,
                          "UNLINK_AND_CREATE": 3})
        for engine in self.each():
            with self.assertRaises(FileNotFoundError):
                NamedSemaphore(self.name, handle_existence=Flags.RAISE_IF_NOT_EXISTS, engine=engine)
            sem = NamedSemaphore(self.name, 2, Flags.RAISE_IF_EXISTS, engine=engine)
            sem.acquire()
            with self.assertRaises(FileExistsError):
                NamedSemaphore(self.name, 2, Flags.RAISE_IF_EXISTS, engine=engine)
            for how in Flags.LINK_OR_CREATE, Flags.RAISE_IF_NOT_EXISTS:
                linked = NamedSemaphore(self.name, 5, handle_existence=how, engine=engine)
                self.assertEqual(linked.value, 1)
            new = NamedSemaphore(self.name, 5, Flags.UNLINK_AND_CREATE, engine=engine)
            self.assertEqual((new.value, sem.value), (5, 1))
            self.assertIs(new.linked_existing_semaphore, False)
            sem.release()
            del sem  # it is not that which the name leads to now
            self.assertTrue(self.exists(engine))
            del new, linked


class Promises(Named):
    def test_other_programs_see_the_same(self):
        sem = NamedSemaphore(self.name)
        other = self.start(f"""
            import ctypes, sys
            libc = ctypes.CDLL(None, use_errno=True)
            libc.sem_open.restype = ctypes.c_void_p
            sem = libc.sem_open(b"/{self.name}", 0)
            assert sem
            print(libc.sem_trywait(ctypes.c_void_p(sem)), flush=True)
            sys.stdin.readline()
            print(libc.sem_post(ctypes.c_void_p(sem)), flush=True)
        """)
        self.assertEqual(other.line(), "0")
        self.assertEqual(sem.value, 0)
        other.say()
        self.assertIs(sem.acquire(timeout=60), True)
        self.assertEqual(other.end()[0], 0)
        sem.release()

    def test_between_processes(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)
            other = self.program(engine)
            other.say("sem.acquire(timeout=60)")
            self.assertEqual(other.line(), "True")
            self.assertEqual(sem.value, 0)
            other.say("sem.release()")
            self.assertIs(sem.acquire(timeout=60), True)
            self.assertEqual(other.end()[0], 0)
            self.assertTrue(self.exists(engine))
            sem.release()

    def test_death_of_a_holder(self):
        """native: it comes back. posix: it is lost, as sem_open(3) has it."""
        for engine, comes_back in (("native", True), ("posix", False)):
            sem = NamedSemaphore(self.name, engine=engine)
            other = self.program(engine)
            other.say("sem.acquire()")
            other.line()
            other.kill()
            other.end()
            self.assertIs(sem.acquire(timeout=60 if comes_back else 0.2), comes_back)

    def test_forked_child_leaves_the_name(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)

            def child():
                nonlocal sem
                sem = None
                gc.collect()
                return 3

            self.assertEqual(self.fork(child), 3)
            self.assertTrue(self.exists(engine))
            self.assertIs(sem.acquire(timeout=60), True)
            sem.release()
            del sem
            self.assertFalse(self.exists(engine))

    def test_exit_removes_the_name(self):
        for engine in self.each():
            for held in ("sem = made", "made.acquire(); sem = made"):
                process = self.start(f"""
                    made = semundo.NamedSemaphore({self.name!r}, engine={engine!r})
                    {held}
                """)
                self.assertEqual(process.end(), (0, "", ""))
                self.assertFalse(self.exists(engine))

    def test_exception_of_a_handler(self):
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)
            sem.acquire()
            for wait in sem.acquire, lambda: sem.acquire(timeout=100):
                with self.assertRaisesRegex(KeyError, "handler"), storm(self, fail):
                    wait()
            self.assertEqual(sem.value, 0)
            sem.release()

    def test_deadline_stays(self):
        """Handlers that return make a timeout neither longer nor shorter."""
        count = 0

        def handler(*_):
            nonlocal count
            count += 1

        sem = NamedSemaphore(self.name, 0)
        with storm(self, handler):
            before = time.monotonic()
            got = sem.acquire(timeout=0.4)
            took = time.monotonic() - before
        self.assertIs(got, False)
        self.assertGreater(count, 10)
        self.assertGreaterEqual(took, 0.4)
        self.assertLess(took, 20)

    @unittest.skipIf(struct.calcsize("P") != 8, "only there does a sem_t tell who waits")
    def test_close_under_a_wait(self):
        """Memory that a thread waits in is not unmapped."""
        sem = NamedSemaphore(self.name, 0, unlink_on_delete=False)
        got = []
        thread = self.thread(lambda: got.append(sem.acquire(timeout=60)))
        until(lambda: self.waiters() == 1, "it waits")
        sem.close()
        sem.close()
        with self.assertRaises(ValueError):
            sem.acquire()
        other = NamedSemaphore(self.name, unlink_on_delete=True)
        other.release()
        self.join(thread)
        self.assertEqual((got, other.value), ([True], 0))

    def waiters(self):
        """The high half of the word that glibc begins a sem_t with."""
        with open(f"/dev/shm/sem.{self.name}", "rb") as file:
            return struct.unpack("=Q", file.read(8))[0] >> 32

    def test_bad_arguments(self):
        for name in ("", "/", "a/b", "a b", "//a", "a\0b", "x.y", None, 5, b"x"):
            with self.assertRaises(ValueError, msg=repr(name)):
                NamedSemaphore(name)
        for engine in self.each():
            with self.assertRaises(ValueError):
                NamedSemaphore("x" * 300, engine=engine)
        for value in (-1, 1 << 31, 1.0, "1", None):
            with self.assertRaises(ValueError):
                NamedSemaphore(self.name, value)
        for wrong in (1, None, "LINK_OR_CREATE", True):
            with self.assertRaises(ValueError):
                NamedSemaphore(self.name, handle_existence=wrong)
        with self.assertRaises(ValueError):
            NamedSemaphore(self.name, engine="other")
        for engine in self.each():
            sem = NamedSemaphore(self.name, engine=engine)
            for options in ({"blocking": 1}, {"blocking": None}, {"timeout": -1}, {"timeout": "1"},
                            {"timeout": math.nan}, {"blocking": False, "timeout": 1}):
                with self.assertRaises(ValueError, msg=options):
                    sem.acquire(**options)
            for n in (0, -1, 1.0, "1", None):
                with self.assertRaises(ValueError, msg=repr(n)):
                    sem.release(n)
            self.assertEqual(sem.value, 1)

    def test_release_of_many(self):
        sem = NamedSemaphore(self.name)
        sem.release(3)
        self.assertEqual(sem.value, 4)
        with self.assertRaises(OSError):
            sem.release((1 << 31) - 4)
        self.assertEqual(sem.value, 4)
        sem = NamedSemaphore(self.name, 2, engine="native")
        sem.acquire()
        sem.acquire(timeout=math.inf)
        sem.release(n=2)
        with self.assertRaises(semundo.NotHeldError):
            sem.release()

    def test_what_is_not_a_semaphore(self):
        """glibc opens any file, and dies of SIGBUS."""
        path = f"/dev/shm/sem.{self.name}"
        with open(path, "wb"):
            pass
        with self.assertRaises(OSError):
            NamedSemaphore(self.name)
        os.unlink(path)
        os.symlink("/etc/passwd", path)
        with self.assertRaises(OSError):
            NamedSemaphore(self.name)
        os.unlink(path)

    def test_race_to_create(self):
        """Many at once: one makes it, and all see the same."""
        code = ("import sys, semundo\n"
                f"s = semundo.NamedSemaphore({self.name!r}, 0, unlink_on_delete=False)\n"
                "s.release()\nprint(s.linked_existing_semaphore)\n")
        processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
                     for _ in range(6)]
        outputs = sorted(p.communicate(timeout=60)[0] for p in processes)
        sem = NamedSemaphore(self.name, unlink_on_delete=True)
        self.assertEqual(outputs, [b"False\n"] + 5 * [b"True\n"])
        self.assertEqual(sem.value, 6)

    def test_repr(self):
        sem = NamedSemaphore(self.name)
        self.assertEqual(repr(sem), f"<semundo.NamedSemaphore '/{self.name}' value 1>")
        sem.close()
        self.assertIn("closed", repr(sem))
