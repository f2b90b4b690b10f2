# SPDX-License-Identifier: Apache-2.0
"""No reference, memory or descriptor is lost; several interpreters in a process."""
import asyncio
import gc
import os
import pickle
import sys
import threading
import time
import unittest

import semundo
from helpers import LIMIT, Case, until

try:
    import _interpreters as interpreters  # Python 3.13
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        interpreters = None


def fails(kind, call, *args, **options):
    try:
        call(*args, **options)
    except kind:
        return
    raise AssertionError(f"{call} did not fail")


class Leaks(Case):
    """Each use, many times over: the number of objects stays, and their memory."""

    def setUp(self):
        super().setUp()
        self.named = self.open(semundo.Semaphore, "named", 3)
        self.lock = self.open(semundo.Lock)
        self.rlock = self.open(semundo.RLock)
        self.signal = self.open(semundo.Signal, maximum=2)
        self.busy = self.open(semundo.Semaphore)
        self.busy.acquire()

    def check(self, use, times=300, slack=20, warm=50):
        watched = (None, True, semundo.Lock, semundo.NotHeldError, semundo.Peer, semundo.Death,
                   self.named, self.lock, self.rlock, self.busy, use)
        for _ in range(warm):
            use()
        lowest = None
        for _ in range(8):  # caches of the interpreter may still grow at first
            gc.collect()
            counts, blocks = [sys.getrefcount(x) for x in watched], sys.getallocatedblocks()
            total = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
            for _ in range(times):
                use()
            gc.collect()
            if hasattr(sys, "gettotalrefcount"):
                total = sys.gettotalrefcount() - total
            grown = [sys.getrefcount(x) - c for x, c in zip(watched, counts)]
            grown += [sys.getallocatedblocks() - blocks, total]
            worst = max(grown)
            lowest = worst if lowest is None else min(lowest, worst)
            if lowest < slack:
                return
        self.fail(f"{lowest} more objects in {times} times, at last: {grown}")

    def test_acquire(self):
        def use():
            for s in (self.named, self.lock, self.rlock):
                with s:
                    pass
                s.acquire(True, None)
                s.release()
                s.acquire(timeout=1.5)
                s.release()
            self.signal.release(2)
            self.signal.acquire(n=2)
            self.busy.acquire(False)
            self.busy.acquire(timeout=0)
            self.named.wait_idle(timeout=0)
        self.check(use)

    def test_failures(self):
        def use():
            fails(ValueError, self.named.release)
            fails(ValueError, self.lock.release)
            fails(ValueError, self.rlock.release)
            fails(ValueError, self.signal.release, 3)
            fails(ValueError, self.named.acquire, n=4)
            fails(ValueError, self.named.acquire, n=-4)
            fails(ValueError, self.named.acquire, False, 1)
            fails(TypeError, self.named.acquire, nonsense=1)
            fails(TypeError, self.named.acquire, True, blocking=True)
            fails(TypeError, self.named.acquire, timeout=self)
            fails(TypeError, self.named.release, self)
            fails(TypeError, setattr, self.named, "on_recover", 3)
            fails(RuntimeError, self.named.__init__, "other")
            fails(ValueError, semundo.Lock, "a/b")
            fails(ValueError, semundo.Semaphore, "named", 7)
            fails(OSError, semundo.Lock, "named")
            fails(OSError, semundo.Lock, "none", create=False)
            fails(OSError, semundo.unlink, "none")
            fails(OSError, pickle.dumps, self.lock)
            fails(ValueError, semundo.Lock.__new__(semundo.Lock).acquire)
        self.check(use, 200)

    def test_look(self):
        def use():
            for s in (self.named, self.busy, self.rlock):
                s.holders(), s.waiters(), s.peers(), s.deaths(), s.info(), s.recover()
                s.value, s.capacity, s.held, s.recovered, s.on_recover, s.closed, repr(s)
            semundo.names(), semundo.directory()
            self.named.on_recover = lambda *_: None
            self.named.on_recover = None
            self.named.resize(3)
        self.check(use)

    def test_open(self):
        def use():
            for cls in (semundo.Lock, semundo.RLock, semundo.Semaphore, semundo.Signal):
                s = cls("opened-" + cls.__name__)
                s.close()
                s = cls()
                s.acquire(False)
                s.close()
            s = semundo.Lock("gone", exclusive=True)
            s.unlink()
            s.close()
            pickle.loads(pickle.dumps(self.named)).close()
        self.check(use, 100)

    def test_tasks(self):
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        async def once():
            async with self.named:
                pass
            await self.busy.acquire_async(timeout=0.0005)
            task = asyncio.ensure_future(self.busy.acquire_async())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.check(lambda: loop.run_until_complete(once()), 100, slack=60)

    def test_deaths(self):
        def use():
            pid = os.fork()
            if pid == 0:
                self.named.acquire()
                os._exit(0)
            os.waitpid(pid, 0)
            until(lambda: self.named.recover() or self.named.value == 3, "undone")
            with self.named:
                assert self.named.recovered[0].pid == pid
            with self.named:
                assert not self.named.recovered
        self.named.on_recover = lambda s, deaths: None
        self.check(use, 12, slack=10, warm=4)

    def test_process(self):
        """Memory of C, mappings and descriptors."""
        def facts():
            with open("/proc/self/statm", encoding="ascii") as file:
                pages = int(file.read().split()[1])
            with open("/proc/self/maps", encoding="utf-8") as file:
                maps = sum(1 for _ in file)
            return pages, maps, len(os.listdir("/proc/self/fd"))

        def use():
            for name in ("p", None):
                s, r = semundo.Semaphore(name, 2), semundo.RLock(name and "r")
                with s, r:
                    s.holders()
                s.close()
                r.close()

        for _ in range(200):
            use()
        gc.collect()
        before = facts()
        for _ in range(1000):
            use()
        gc.collect()
        pages, maps, descriptors = (b - a for a, b in zip(before, facts()))
        self.assertLess(pages * os.sysconf("SC_PAGESIZE"), 2 << 20)
        self.assertLess(maps, 20)
        self.assertLessEqual(descriptors, 0)


# Without threading: importing that in another thread than the one that ends the
# interpreter makes CPython 3.11 wait for ever.
SCRIPT = """
import semundo
s = semundo.Semaphore("i", 4)
with s, semundo.RLock("r") as lock:
    assert lock.acquire(False)
    lock.release()
    assert s.held >= 1
try:
    semundo.Lock("none", create=False)
except semundo.NotFoundError as error:
    assert "none" in str(error), error
lock.close()
s.close()
"""


@unittest.skipIf(interpreters is None, "this Python has no module for subinterpreters")
class Subinterpreters(Case):
    def run_in(self, number, script):
        run = getattr(interpreters, "exec", None) or interpreters.run_string
        failed = run(number, script)
        self.assertIsNone(failed, failed)

    def test_one_after_the_other(self):
        s = self.open(semundo.Semaphore, "i", 4)
        for _ in range(3):
            number = interpreters.create()
            self.run_in(number, SCRIPT)
            interpreters.destroy(number)
            with s:
                pass
        self.assertEqual((s.value, s.held), (4, 0))

    def test_at_once(self):
        """Also where each has a GIL of its own (3.12 and later)."""
        s = self.open(semundo.Semaphore, "i", 4)
        numbers = [interpreters.create() for _ in range(3)]
        errors = []

        def run(number):
            try:
                self.run_in(number, SCRIPT + "for _ in range(200):\n with semundo.Lock('l') as l:\n"
                                             "  pass\n l.close()\n")
            except BaseException as error:
                errors.append(error)

        threads = [self.thread(run, number) for number in numbers]
        for thread in threads:
            self.join(thread)
        for number in numbers:
            interpreters.destroy(number)
        self.assertEqual(errors, [])
        self.assertEqual(s.value, 4)

    def test_one_that_forgets(self):
        """What an interpreter leaves open goes with it."""
        s = self.open(semundo.Semaphore, "i", 4)
        number = interpreters.create()
        self.run_in(number, "import semundo\ns = semundo.Semaphore('j', 2)\ns.acquire()\n")
        interpreters.destroy(number)
        until(lambda: self.open(semundo.Semaphore, "j").value == 2, "closed with its interpreter")
        with s:
            pass
