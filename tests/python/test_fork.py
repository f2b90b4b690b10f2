# SPDX-License-Identifier: Apache-2.0
"""Children made by fork: of one thread, of many, and in the middle of waits."""
import asyncio
import multiprocessing
import os
import threading
import time
import warnings

import semundo
from helpers import Case


def setUpModule():
    # Python 3.12 warns of fork with threads; that is what is tested.
    warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)


class Fork(Case):
    def test_child_holds_nothing(self):
        for cls in (semundo.Lock, semundo.Semaphore, semundo.RLock):
            with self.subTest(cls=cls.__name__):
                s = self.open(cls)
                s.acquire()

                def child(s=s):
                    if s.held or s.acquire(timeout=0.01):
                        return 1
                    try:
                        if not isinstance(s, semundo.Lock):
                            s.release()
                            return 2
                    except semundo.NotHeldError:
                        pass
                    return 0

                self.assertEqual(self.fork(child), 0)
                self.assertEqual((s.value, s.held), (0, 1))
                s.release()

    def test_child_uses_it(self):
        for cls in (semundo.Lock, semundo.Semaphore, semundo.RLock):
            with self.subTest(cls=cls.__name__):
                s = self.open(cls)

                def child(s=s):
                    with s:
                        return 0 if s.held == 1 else 1

                self.assertEqual(self.fork(child), 0)
                self.assertEqual(s.value, 1)

    def test_child_waits_for_the_parent(self):
        lock = self.open(semundo.RLock)
        lock.acquire()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if lock.acquire(timeout=60) and lock.held else 1)
        self.until_waiting(lock)
        lock.release()
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertIs(lock.acquire(timeout=60), True)  # it ended while it held it
        self.assertEqual([death.pid for death in lock.recovered], [pid])

    def test_in_the_middle_of_waits(self):
        """Threads are inside the library while others fork."""
        s = self.open(semundo.Semaphore, "s")
        s.acquire()

        def work():
            with s:
                pass

        threads = [self.thread(work) for _ in range(3)]
        self.until_waiting(s, 3)

        def child():
            other = semundo.Lock("l")
            with other:
                pass
            if s.acquire(timeout=0.01):
                return 1
            s.close()
            other.close()
            return 0

        for _ in range(5):
            self.assertEqual(self.fork(child), 0)
        s.release()
        for thread in threads:
            self.join(thread)
        self.assertEqual(s.value, 1)

    def test_while_others_open_and_close(self):
        over = threading.Event()

        def work(number):
            while not over.is_set():
                s = semundo.Semaphore(f"n{number}", 2)
                with s:
                    pass
                s.close()

        for number in range(3):
            self.thread(work, number)

        def child():
            s = semundo.Semaphore("n0", 2)
            with s:
                pass
            s.close()

        try:
            for _ in range(8):
                self.assertEqual(self.fork(child), 0)
        finally:
            over.set()

    def test_multiprocessing(self):
        s = self.open(semundo.Semaphore, value=2)
        context = multiprocessing.get_context("fork")
        total = context.Value("i", 0, lock=False)
        lock = self.open(semundo.Lock)
        workers = [context.Process(target=add, args=(s, lock, total, 200)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        self.assertEqual([worker.exitcode for worker in workers], [0] * 4)
        self.assertEqual((total.value, s.value), (800, 2))

    def test_tasks_of_the_parent(self):
        """The child of a program with waiting tasks has a loop of its own."""
        s = self.open(semundo.Semaphore)

        async def parent():
            s.acquire()
            task = asyncio.ensure_future(s.acquire_async())
            while not s.waiters():
                await asyncio.sleep(0.001)
            status = self.fork(child)
            s.release()
            await task
            s.release()
            return status

        def child():
            # As a program does that starts over: nothing of the parent's loop.
            asyncio._set_running_loop(None)

            async def main():
                if await s.acquire_async(timeout=0.01):
                    return 1
                other = semundo.Semaphore("child")
                other.acquire()
                waiting = asyncio.ensure_future(other.acquire_async(timeout=60))
                while not other.waiters():
                    await asyncio.sleep(0.001)
                other.release()
                return 0 if await waiting else 2

            loop = asyncio.new_event_loop()
            return loop.run_until_complete(asyncio.wait_for(main(), 60))

        self.assertEqual(asyncio.run(parent()), 0)
        self.assertEqual(s.value, 1)


def add(s, lock, total, times):
    for _ in range(times):
        with s, lock:
            before = total.value
            if before % 20 == 0:
                time.sleep(0)
            total.value = before + 1
