# SPDX-License-Identifier: Apache-2.0
"""semundo.compat: posix_ipc and sysv_ipc; the latter beside Debian's, where it is."""
import contextlib
import errno
import math
import os
import secrets
import unittest

from semundo import sysvipc
from semundo.compat import posix_ipc, sysv_ipc
from helpers import Case, until
from storm import fail, storm

try:
    import sysv_ipc as original
except ImportError:
    original = None

OPERATIONS = {
    "acquire": lambda s, m: s.acquire(),
    "acquire with a timeout": lambda s, m: s.acquire(0.01),
    "acquire 0": lambda s, m: s.acquire(timeout=0),
    "acquire two": lambda s, m: s.acquire(delta=2),
    "acquire -2": lambda s, m: s.acquire(0, -2),
    "acquire none": lambda s, m: s.acquire(0, 0),
    "acquire too many": lambda s, m: s.acquire(0, 40000),
    "acquire negative time": lambda s, m: s.acquire(-1),
    "acquire text": lambda s, m: s.acquire("x"),
    "release": lambda s, m: s.release(),
    "release two": lambda s, m: s.release(delta=2),
    "release none": lambda s, m: s.release(0),
    "release past the limit": lambda s, m: s.release(32767),
    "P and V": lambda s, m: (s.P(), s.V()),
    "Z": lambda s, m: s.Z(0),
    "Z text": lambda s, m: s.Z("x"),
    "with": lambda s, m: s.__enter__() is s and s.__exit__(None, None, None),
    "value": lambda s, m: s.value,
    "set value": lambda s, m: (setattr(s, "value", 2), s.value),
    "set value -1": lambda s, m: setattr(s, "value", -1),
    "set value text": lambda s, m: setattr(s, "value", "x"),
    "set value 40000": lambda s, m: setattr(s, "value", 40000),
    "mode": lambda s, m: s.mode,
    "set mode": lambda s, m: (setattr(s, "mode", 0o640), s.mode),
    "set mode 1.5": lambda s, m: setattr(s, "mode", 1.5),
    "set uid text": lambda s, m: setattr(s, "uid", "x"),
    "owners": lambda s, m: (s.uid, s.gid, s.cuid, s.cgid),
    "last pid": lambda s, m: s.last_pid,
    "waiting": lambda s, m: (s.waiting_for_nonzero, s.waiting_for_zero),
    "o_time": lambda s, m: type(s.o_time),
    "undo": lambda s, m: (s.undo, setattr(s, "undo", 1), s.undo),
    "block": lambda s, m: (s.block, setattr(s, "block", False), s.block),
    "block beats timeout": lambda s, m: (setattr(s, "block", False), s.acquire(5, 9)),
    "again": lambda s, m: m.Semaphore(s.key).value,
    "again, made": lambda s, m: m.Semaphore(s.key, m.IPC_CREX),
    "key of text": lambda s, m: m.Semaphore("x"),
    "key of 1.0": lambda s, m: m.Semaphore(1.0),
    "no key": lambda s, m: m.Semaphore(None),
    "IPC_EXCL alone": lambda s, m: m.Semaphore(s.key, m.IPC_EXCL),
    "no such id": lambda s, m: m.remove_semaphore(-1),
    "str": lambda s, m: str(s) == f"Key={s.key}, id={s.id}",
    "repr": lambda s, m: repr(s) == f"sysv_ipc.Semaphore({s.key})",
    "read only": lambda s, m: setattr(s, "id", 5),
    "removed": lambda s, m: (s.remove(), s.acquire()),
}


def outcome(operation, module):
    """What an operation does to a new semaphore of 3 units: result or exception, and value."""
    semaphore = module.Semaphore(None, module.IPC_CREX, initial_value=3)
    try:
        try:
            result = operation(semaphore, module)
        except Exception as error:  # whatever it is, it is compared
            result = type(error).__name__
        with contextlib.suppress(module.ExistentialError):
            return result, semaphore.value
        return result, None
    finally:
        with contextlib.suppress(module.ExistentialError):
            semaphore.remove()


class SysvSemaphore(Case):
    def made(self, value=0, **options):
        semaphore = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=value, **options)
        self.addCleanup(self.remove, semaphore)
        return semaphore

    @staticmethod
    def remove(semaphore):
        with contextlib.suppress(sysv_ipc.ExistentialError):
            semaphore.remove()

    @unittest.skipIf(original is None, "this interpreter has no sysv_ipc (python3-sysv-ipc)")
    def test_beside_the_original(self):
        for what, operation in OPERATIONS.items():
            with self.subTest(what):
                self.assertEqual(outcome(operation, sysv_ipc), outcome(operation, original))

    @unittest.skipIf(original is None, "this interpreter has no sysv_ipc (python3-sysv-ipc)")
    def test_with_the_original(self):
        """One semaphore through both modules."""
        ours = self.made(2)
        theirs = original.Semaphore(ours.key)
        theirs.acquire()
        self.assertEqual((ours.value, ours.last_pid, ours.id), (1, os.getpid(), theirs.id))
        ours.release(2)
        self.assertEqual(theirs.value, 3)
        for name in ("IPC_CREAT", "IPC_EXCL", "IPC_CREX", "IPC_PRIVATE", "SEMAPHORE_VALUE_MAX",
                     "SEMAPHORE_TIMEOUT_SUPPORTED"):
            self.assertEqual(getattr(sysv_ipc, name), getattr(original, name), name)
        for name in ("Error", "InternalError", "PermissionsError", "ExistentialError", "BusyError",
                     "NotAttachedError"):
            self.assertTrue(issubclass(getattr(sysv_ipc, name), sysv_ipc.Error))
            self.assertTrue(issubclass(getattr(original, name), original.Error))

    def test_existing_one_keeps_its_value(self):
        ours = self.made(2)
        holder = self.start(f"""
            import sys
            from semundo.compat import sysv_ipc
            s = sysv_ipc.Semaphore({ours.key})
            s.undo = True
            s.acquire()
            print("holds", flush=True)
            sys.stdin.readline()
        """)
        holder.line()
        for options in ({}, {"initial_value": 7}):
            again = sysv_ipc.Semaphore(ours.key, sysv_ipc.IPC_CREAT, **options)
            self.assertEqual((again.value, again.id), (1, ours.id))
        holder.kill()
        holder.end()
        self.assertEqual(ours.value, 2)  # its undo was not wiped either

    def test_create_or_open(self):
        key = sysvipc.ftok(self.directory, 1)
        with self.assertRaises(sysv_ipc.ExistentialError):
            sysv_ipc.Semaphore(key)
        made = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREAT, 0o640, 5)
        self.addCleanup(self.remove, made)
        self.assertEqual((made.value, made.mode, made.key), (5, 0o640, key))
        with self.assertRaises(sysv_ipc.ExistentialError):
            sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX)
        private = [sysv_ipc.Semaphore(sysv_ipc.IPC_PRIVATE, sysv_ipc.IPC_CREX) for _ in range(2)]
        for semaphore in private:
            self.addCleanup(self.remove, semaphore)
        self.assertNotEqual(private[0].id, private[1].id)

    def test_faults_that_are_not_kept(self):
        ours = self.made(2)
        for name in "undo", "block", "value", "mode":
            with self.assertRaises(AttributeError):
                delattr(ours, name)
        with self.assertRaises(ValueError):
            ours.release(-32768)
        for key in 1 << 32, sysv_ipc.KEY_MAX + 1, sysv_ipc.KEY_MIN - 1:
            with self.assertRaises(ValueError):
                sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREAT)
        with self.assertRaises(ValueError):
            ours.value = 2 ** 32 + 2
        with self.assertRaises(TypeError):
            ours.acquire(math.nan)
        ours.acquire(math.inf)
        self.assertEqual(ours.value, 1)

    def test_signals(self):
        """A handler's exception comes through; after one that returns: Error."""
        ours = self.made()
        for handler, expected in ((fail, (KeyError, "handler")),
                                  (lambda *_: None, (sysv_ipc.Error, "Signaled while waiting"))):
            with self.assertRaisesRegex(*expected), storm(self, handler):
                ours.acquire()

    def test_waiting(self):
        ours = self.made()
        thread = self.thread(ours.acquire, 60)
        until(lambda: ours.waiting_for_nonzero == 1, "it waits")
        ours.release()
        self.join(thread)
        ours.release()
        thread = self.thread(ours.Z)
        until(lambda: ours.waiting_for_zero == 1, "it waits")
        ours.acquire()
        self.join(thread)

    def test_functions(self):
        key = sysvipc.ftok(self.directory, 5)
        with self.assertWarns(Warning):
            self.assertEqual(sysv_ipc.ftok(self.directory, 5), key)
        self.assertEqual(sysv_ipc.ftok(self.directory, 5, silence_warning=True), key)
        with self.assertRaises(OSError):
            sysv_ipc.ftok(self.directory + "/none", 5, True)
        queue = sysvipc.msgget(sysvipc.IPC_PRIVATE, 0o600)
        segment = sysvipc.shmget(sysvipc.IPC_PRIVATE, 1, 0o600)
        sysv_ipc.remove_message_queue(queue)
        sysv_ipc.remove_shared_memory(segment)
        for remove, number in ((sysv_ipc.remove_message_queue, queue),
                               (sysv_ipc.remove_shared_memory, segment)):
            with self.assertRaises(sysv_ipc.ExistentialError):
                remove(number)


class PosixSemaphore(Case):
    def setUp(self):
        super().setUp()
        self.name = f"/semundo-test-{os.getpid()}-{secrets.token_hex(4)}"

    def made(self, value=0, name=None, **options):
        semaphore = posix_ipc.Semaphore(name or self.name, posix_ipc.O_CREX, initial_value=value,
                                        **options)
        self.addCleanup(self.remove, semaphore)
        return semaphore

    @staticmethod
    def remove(semaphore):
        with contextlib.suppress(posix_ipc.ExistentialError):
            semaphore.unlink()

    def test_attributes(self):
        s = self.made(3, mode=0o640)
        self.assertEqual((s.name, s.mode, s.value), (self.name, 0o640, 3))
        self.assertEqual(str(s), self.name)
        self.assertEqual(repr(s), f'posix_ipc.Semaphore("{self.name}", mode=0640)')
        for name in "name", "mode", "value":
            with self.assertRaises(AttributeError):
                setattr(s, name, 1)
        self.assertEqual(posix_ipc.Semaphore(self.name.encode()).name, self.name)

    def test_acquire_and_release(self):
        s = self.made(1)
        self.assertIsNone(s.acquire())
        for timeout in 0, 0.05, 0.0:
            with self.assertRaises(posix_ipc.BusyError):
                s.acquire(timeout)
        self.assertIsNone(s.release())
        with s as entered:
            self.assertIs(entered, s)
            self.assertEqual(s.value, 0)
        self.assertEqual(s.value, 1)
        s.acquire(timeout=math.inf)
        for wrong in -1, "1", math.nan, [1]:
            with self.assertRaisesRegex(TypeError, "None or a non-negative number"):
                s.acquire(wrong)
        full = posix_ipc.Semaphore(None, posix_ipc.O_CREX,
                                   initial_value=posix_ipc.SEMAPHORE_VALUE_MAX)
        self.addCleanup(self.remove, full)
        with self.assertRaises(OSError) as caught:
            full.release()
        self.assertEqual(caught.exception.errno, errno.EOVERFLOW)

    def test_opening(self):
        with self.assertRaises(posix_ipc.ExistentialError):
            posix_ipc.Semaphore(self.name)
        made = self.made(4)
        with self.assertRaises(posix_ipc.ExistentialError):
            posix_ipc.Semaphore(self.name, posix_ipc.O_CREX)
        self.assertEqual(posix_ipc.Semaphore(self.name, posix_ipc.O_CREAT, 0o600, 9).value, 4)
        made.unlink()
        self.assertEqual(posix_ipc.Semaphore(self.name, flags=posix_ipc.O_CREAT,
                                             initial_value=9).value, 9)
        random = [posix_ipc.Semaphore(None, posix_ipc.O_CREX) for _ in range(2)]
        for semaphore in random:
            self.addCleanup(self.remove, semaphore)
            self.assertRegex(semaphore.name, "^/[a-z]{5,12}$")
        self.assertNotEqual(random[0].name, random[1].name)

    def test_bad_arguments(self):
        for wrong in 5, 1.0, ["x"]:
            with self.assertRaisesRegex(TypeError, "Name must be None or a string"):
                posix_ipc.Semaphore(wrong)
        for args in ((None,), (None, posix_ipc.O_CREAT), (self.name, posix_ipc.O_EXCL),
                     ("/" + 300 * "x", posix_ipc.O_CREAT), ("/a/b", posix_ipc.O_CREAT),
                     ("/a\0b", posix_ipc.O_CREAT), ("", posix_ipc.O_CREAT),
                     (self.name, posix_ipc.O_CREX, 0o600, 2 ** 32 + 3),
                     (self.name, posix_ipc.O_CREX, 0o600, -1)):
            with self.assertRaises(ValueError, msg=args):
                posix_ipc.Semaphore(*args)
        with self.assertRaises(ValueError):
            posix_ipc.unlink_semaphore("/a\0b")
        with self.assertRaises(posix_ipc.ExistentialError):
            posix_ipc.unlink_semaphore(self.name)

    def test_after_close(self):
        s = self.made(1)
        s.close()
        for call in s.acquire, s.release, s.close, lambda: s.value:
            with self.assertRaisesRegex(posix_ipc.ExistentialError, "has been closed"):
                call()
        s.unlink()  # as documented
        with self.assertRaises(posix_ipc.ExistentialError):
            s.unlink()

    def test_signals(self):
        s = self.made()
        for timeout in None, 100:
            with self.assertRaisesRegex(KeyError, "handler"), storm(self, fail):
                s.acquire(timeout)
            with self.assertRaises(posix_ipc.SignalError), storm(self):
                s.acquire(timeout)

    def test_exceptions(self):
        for cls in (posix_ipc.SignalError, posix_ipc.PermissionsError, posix_ipc.ExistentialError,
                    posix_ipc.BusyError):
            self.assertTrue(issubclass(cls, posix_ipc.Error))
            self.assertFalse(issubclass(cls, OSError))
