# SPDX-License-Identifier: Apache-2.0
"""A holder is killed: the unit comes back, and the next one is told who it was."""
import os
import threading
import time

import semundo
from helpers import Case, until

HOLD = """
    import sys
    s = getattr(semundo, sys.stdin.readline().strip())("d", create=False)
    s.acquire()
    print("holds", flush=True)
    sys.stdin.read()
"""


class Deaths(Case):
    def holder(self, cls):
        process = self.start(HOLD)
        process.say(cls.__name__)
        self.assertEqual(process.line(), "holds")
        return process

    def test_sysv_does_not_say_who(self):
        s = self.open(semundo.Lock, "d", engine="sysv")
        self.addCleanup(s.unlink)
        self.assertEqual(self.fork(lambda: s.acquire() and 0), 0)
        self.assertIs(s.acquire(timeout=60), True)
        self.assertEqual([death.pid for death in s.recovered], [0])
        s.release()
        self.assertIs(s.acquire(), True)
        self.assertEqual(s.recovered, ())

    def test_unit_comes_back(self):
        for cls in (semundo.Lock, semundo.RLock, semundo.Semaphore):
            with self.subTest(cls=cls.__name__):
                s = self.open(cls, "d", replace=True)
                process = self.holder(cls)
                self.assertEqual([p.pid for p in s.holders()], [process.pid])
                self.assertIs(s.acquire(False), False)
                process.kill()
                before = time.time()
                self.assertIs(s.acquire(timeout=60), True)
                death, = s.recovered
                self.assertEqual((death.pid, death.units, death.uid, death.number),
                                 (process.pid, 1, os.getuid(), 1))
                self.assertLess(abs(death.when - before), 60)
                self.assertEqual(s.deaths(), (death,))
                s.release()
                self.assertEqual(s.recovered, (death,))
                s.acquire()
                self.assertEqual(s.recovered, ())
                s.release()

    def test_while_one_sleeps(self):
        s = self.open(semundo.Semaphore, "d")
        process = self.holder(semundo.Semaphore)
        told = []

        def work():
            with s:
                told.extend(s.recovered)

        thread = self.thread(work)
        self.until_waiting(s)
        process.kill()
        self.join(thread)
        self.assertEqual([death.pid for death in told], [process.pid])
        self.assertEqual(s.recovered, ())  # another thread was told

    def test_signal_stays_sent(self):
        s = self.open(semundo.Signal, "d", 1)
        process = self.holder(semundo.Signal)
        process.kill()
        process.popen.wait(60)
        self.assertEqual((s.value, s.recover(), s.deaths()), (0, 0, ()))

    def test_recover(self):
        s = self.open(semundo.Semaphore, "d", 2)
        process = self.holder(semundo.Semaphore)
        process.kill()
        until(s.recover, "somebody was undone")
        self.assertEqual(s.value, 2)
        self.assertIs(s.info()["recovered"], True)

    def test_one_opened_after_the_death(self):
        s = self.open(semundo.Semaphore, "d", 2)
        process = self.holder(semundo.Semaphore)
        process.kill()
        until(s.recover, "somebody was undone")
        late = self.open(semundo.Semaphore, "d")
        with late:
            self.assertEqual([death.pid for death in late.recovered], [process.pid])

    def test_callback(self):
        calls = []
        s = self.open(semundo.Lock, "d", on_recover=lambda *args: calls.append((*args, s.value)))
        process = self.holder(semundo.Lock)
        with_nobody_dead = self.open(semundo.Lock, on_recover=lambda *args: calls.append(args))
        with with_nobody_dead:
            pass
        process.kill()
        with s:
            pass
        (who, deaths, value), = calls
        self.assertIs(who, s)
        self.assertEqual(([d.pid for d in deaths], value), ([process.pid], 0))
        with s:
            pass
        self.assertEqual(len(calls), 1)

    def test_callback_raises(self):
        def refuse(*_):
            raise KeyError("no")

        for cls, way in ((semundo.Semaphore, "acquire"), (semundo.Lock, "with"),
                         (semundo.RLock, "with")):
            with self.subTest(cls=cls.__name__, way=way):
                s = self.open(cls, "d", replace=True, on_recover=refuse)
                process = self.holder(cls)
                process.kill()
                process.popen.wait(60)
                until(s.recover, "somebody was undone")
                with self.assertRaises(KeyError):
                    if way == "acquire":
                        s.acquire()
                    with s:
                        self.fail("it was refused")
                self.assertEqual(s.value, 1)
                s.on_recover = None
                with s:
                    pass

    def test_callback_closes(self):
        s = self.open(semundo.Lock, "d", on_recover=lambda s, deaths: s.close())
        other = self.open(semundo.Lock, "d")
        process = self.holder(semundo.Lock)
        process.kill()
        s.acquire()
        self.assertIs(s.closed, True)
        self.assertEqual(other.value, 0)  # it is this process's, through the other
        other.release()

    def test_callback_must_be_callable(self):
        s = self.open(semundo.Lock, "d")
        with self.assertRaises(TypeError):
            s.on_recover = 3
        self.assertIsNone(s.on_recover)
        s.on_recover = print
        self.assertIs(s.on_recover, print)
        del s.on_recover
        self.assertIsNone(s.on_recover)


class Ends(Case):
    """A process that ends without a word leaves nothing held."""

    def ends(self, code, status=0):
        s = self.open(semundo.Semaphore, "e", 2)
        process = self.start(code)
        found, output, errors = process.end()
        self.assertEqual((found, output, errors), (status, "", ""))
        self.assertEqual(until(lambda: s.recover() or s.value == 2, "all back"), True)

    def test_with_units(self):
        self.ends("semundo.Semaphore('e').acquire(n=2)", 0)

    def test_daemon_threads_that_wait(self):
        """Blocked threads meet the end of the interpreter."""
        self.ends("""
            import threading, time
            s = semundo.Semaphore("e")
            lock = semundo.RLock("l")
            s.acquire(n=2), lock.acquire()
            for wait in [s.acquire, s.__enter__, lock.acquire, s.wait_idle] * 3:
                threading.Thread(target=wait, daemon=True).start()
            while sum(p.waiting for x in (s, lock) for p in x.waiters()) < 12:
                time.sleep(0.002)
        """)

    def test_use_at_exit(self):
        """In atexit functions, and in a finalizer as late as they come."""
        self.ends("""
            import atexit
            class Late:
                def __init__(self):
                    self.s = semundo.Semaphore("e")
                def __del__(self):
                    self.s.acquire()
                    self.s.release()
                    self.s.close()
            late = Late()
            atexit.register(late.s.acquire)
        """)


class Concurrent(Case):
    def test_told_by_thread(self):
        """What one thread was told does not vanish when another acquires."""
        s = self.open(semundo.Semaphore, "d", 3)
        process = self.start(HOLD)
        process.say("Semaphore")
        process.line()
        process.kill()
        until(s.recover, "somebody was undone")
        s.acquire()
        other = threading.Thread(target=lambda: (s.acquire(), s.release()))
        other.start()
        other.join()
        self.assertEqual([death.pid for death in s.recovered], [process.pid])
        s.release()
