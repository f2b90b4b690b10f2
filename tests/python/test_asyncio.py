# SPDX-License-Identifier: Apache-2.0
"""Waiting in asyncio: no unit is lost, few threads, in order."""
import asyncio
import gc
import random
import threading
import time

import semundo
from helpers import LIMIT, Case, until
from semundo import _aio


def run(main):
    return asyncio.run(asyncio.wait_for(main, LIMIT))


def wait_threads():
    return sum(thread.name == "semundo-wait" for thread in threading.enumerate())


async def until_waiting(s, count):
    """That many tasks are in the queue of this object."""
    end = time.monotonic() + LIMIT
    while (len(s._queue.waiters) if s._queue else 0) != count:
        assert time.monotonic() < end, f"in vain: {count} waiting tasks"
        await asyncio.sleep(0.001)


class Tasks(Case):
    def test_with(self):
        async def main(s):
            async with s as inside:
                self.assertIs(inside, s)
                self.assertEqual(s.value, 0)
                self.assertIs(await s.acquire_async(timeout=0), False)
                self.assertIs(await s.acquire_async(timeout=0.02), False)
            self.assertIs(await s.acquire_async(timeout=1), True)
            s.release()

        for cls in (semundo.Lock, semundo.Semaphore, semundo.BoundedSemaphore):
            with self.subTest(cls=cls.__name__):
                s = self.open(cls)
                run(main(s))
                until(lambda: s.value == 1, "nobody waits for it any more")

    def test_rlock_is_refused(self):
        async def main():
            async with self.open(semundo.RLock):
                pass

        with self.assertRaises((AttributeError, TypeError)):
            run(main())

    def test_free_one_needs_no_thread(self):
        async def main(s):
            for _ in range(100):
                async with s:
                    pass

        until(lambda: wait_threads() == 0, "earlier threads have ended")
        run(main(self.open(semundo.Lock)))
        self.assertEqual(wait_threads(), 0)

    def test_from_another_process(self):
        """The loop runs while a task waits for another process."""
        process = self.start("""
            import sys
            s = semundo.Semaphore("s", 2)
            s.acquire(n=2)
            print("holds", flush=True)
            sys.stdin.readline()
            s.release(2)
            sys.stdin.read()
        """)
        process.line()
        s = self.open(semundo.Semaphore, "s")

        async def main():
            waiting = [asyncio.ensure_future(s.acquire_async()) for _ in range(2)]
            await until_waiting(s, 2)
            self.assertIs(await s.acquire_async(timeout=0.05), False)
            process.say()
            self.assertEqual(await asyncio.gather(*waiting), [True, True])

        run(main())
        until(lambda: s.value == 0, "all units are where they belong")
        self.assertEqual((s.value, s.held), (0, 2))

    def test_death(self):
        process = self.start("""
            import sys
            s = semundo.Lock("s")
            s.acquire()
            print("holds", flush=True)
            sys.stdin.read()
        """)
        process.line()
        calls = []
        s = self.open(semundo.Lock, "s", on_recover=lambda *args: calls.append(args))

        async def main():
            task = asyncio.ensure_future(s.acquire_async())
            await until_waiting(s, 1)
            process.kill()
            await task
            return s.recovered

        self.assertEqual(run(main())[0].pid, process.pid)
        self.assertEqual(calls[0][0], s)

    def test_order(self):
        s = self.open(semundo.Semaphore)
        order = []

        async def work(number):
            async with s:
                order.append(number)

        async def main():
            async with s:
                tasks = [asyncio.ensure_future(work(number)) for number in range(50)]
                await until_waiting(s, 50)
            await asyncio.gather(*tasks)

        run(main())
        self.assertEqual(order, list(range(50)))

    def test_several_units(self):
        s = self.open(semundo.Semaphore, value=4)

        async def work(n):
            async with s.hold(n, timeout=LIMIT):
                self.assertGreaterEqual(s.value, 0)
                await asyncio.sleep(0)

        async def main():
            await asyncio.gather(*(work(1 + number % 4) for number in range(100)))
            with self.assertRaises(semundo.InvalidError):
                await s.acquire_async(5)
            async with s:
                task = asyncio.ensure_future(s.acquire_async(4))
                await until_waiting(s, 1)
                with self.assertRaises(semundo.InvalidError):
                    await s.acquire_async(5)  # behind another in the queue
            self.assertIs(await task, True)
            with self.assertRaises(semundo.TimeoutError):
                async with s.hold(timeout=0.01):
                    self.fail("there is none")
            s.release(4)

        run(main())
        until(lambda: s.value == 4, "all units are where they belong")
        self.assertEqual(s.value, 4)

    def test_close_ends_waits(self):
        s = semundo.Semaphore()

        async def main():
            s.acquire()
            tasks = [asyncio.ensure_future(s.acquire_async()) for _ in range(3)]
            await until_waiting(s, 3)
            s.close()
            return await asyncio.gather(*tasks, return_exceptions=True)

        for error in run(main()):
            self.assertIsInstance(error, ValueError)
            self.assertIn("closed", str(error))

    def test_two_loops(self):
        s = self.open(semundo.Semaphore, value=2)
        inside, most = [], []

        async def work():
            async with s:
                inside.append(1)
                most.append(len(inside))
                await asyncio.sleep(0)
                inside.pop()

        async def many():
            await asyncio.gather(*(work() for _ in range(100)))

        threads = [self.thread(run, many()) for _ in range(3)]
        for thread in threads:
            self.join(thread)
        until(lambda: s.value == 2, "all units are where they belong")
        self.assertEqual((s.value, len(most)), (2, 300))
        self.assertLessEqual(max(most), 2)

    def test_loop_that_was_closed(self):
        """Its tasks will never run: what they were given goes to others."""
        s = self.open(semundo.Semaphore, "s")
        s.acquire()
        loop = asyncio.new_event_loop()

        async def begin():
            task = asyncio.ensure_future(s.acquire_async())
            await until_waiting(s, 1)
            return task

        task = loop.run_until_complete(begin())
        task._log_destroy_pending = False
        loop.close()
        s.release()
        until(lambda: s.value == 1 and not s._queue.waiters, "the unit is back")
        self.assertIs(s.acquire(timeout=LIMIT), True)
        s.release()
        del task
        gc.collect()
        until(lambda: s.value == 1, "all units are where they belong")
        self.assertEqual((s.value, s.held), (1, 0))

    def test_end_of_the_program(self):
        """Threads wait while the interpreter ends, in every way it can."""
        for ending in ("", "raise SystemExit(0)", "s.close()",
                       "loop.run_until_complete(asyncio.sleep(0)); loop.close()"):
            process = self.start(f"""
                import asyncio, warnings
                warnings.simplefilter("ignore")
                s = semundo.Semaphore("s", 1)
                s.acquire()
                loop = asyncio.new_event_loop()
                task = loop.create_task(s.acquire_async())
                loop.run_until_complete(asyncio.sleep(0.01))
                {ending}
            """)
            before = time.monotonic()
            status, _, errors = process.end()
            with self.subTest(ending=ending, errors=errors):
                self.assertEqual(status, 0)
                self.assertNotIn("Fatal", errors)
                self.assertLess(time.monotonic() - before, 30)


class Cancel(Case):
    def storm(self, s, capacity, tasks, wanted, seed):
        """That many tasks that are cancelled at random moments."""
        rng = random.Random(seed)
        cancelled = 0

        async def work():
            n = 1 if capacity == 1 or rng.random() < 0.8 else 2
            if rng.random() < 0.2:
                if not await s.acquire_async(n, timeout=rng.random() / 500):
                    return
            else:
                await s.acquire_async(n)
            try:
                if rng.random() < 0.7:
                    await asyncio.sleep(0)
            finally:
                s.release(n)

        async def one_round():
            nonlocal cancelled
            running = [asyncio.ensure_future(work()) for _ in range(tasks)]
            await asyncio.sleep(0)
            for task in rng.sample(running, tasks * 3 // 4):
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.choice((0, 0, 0.0002)))
                if task.cancel():
                    cancelled += 1
            for result in await asyncio.gather(*running, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

        async def main():
            while cancelled < wanted:
                await one_round()

        asyncio.run(asyncio.wait_for(main(), 200))

    def check(self, s, capacity):
        """Everything is there, for this process and for others."""
        until(lambda: s.value == capacity, "all units are back")
        self.assertEqual((s.held, s.capacity), (0, capacity))
        self.assertIs(s.acquire(n=capacity, timeout=LIMIT), True)
        s.release(capacity)

    def test_ten_thousand(self):
        for seed, capacity in enumerate((1, 3)):
            s = self.open(semundo.Semaphore, f"s{capacity}", capacity)
            self.storm(s, capacity, 40, 5000, seed)
            self.check(s, capacity)

    def test_with_another_process(self):
        """Units come and go at moments of their own."""
        s = self.open(semundo.Semaphore, "s", 2)
        process = self.start("""
            import sys, threading
            s = semundo.Semaphore("s")
            print("runs", flush=True)
            over = threading.Event()
            threading.Thread(target=lambda: (sys.stdin.read(), over.set())).start()
            while not over.is_set():
                with s:
                    pass
            print(s.held)
        """)
        process.line()
        self.storm(s, 2, 20, 500, 7)
        self.assertEqual(process.end(), (0, "0\n", ""))
        self.check(s, 2)

    def test_cancelled_when_granted(self):
        """The unit is a task's already when the task is cancelled: it goes on."""
        s = self.open(semundo.Semaphore)

        async def main():
            s.acquire()
            first = asyncio.ensure_future(s.acquire_async())
            second = asyncio.ensure_future(s.acquire_async())
            await until_waiting(s, 2)
            s.release()
            end = time.monotonic() + LIMIT
            while len(s._queue.waiters) == 2:  # no await: the loop does not get to it
                self.assertLess(time.monotonic(), end)
                time.sleep(0.001)
            first.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await first
            self.assertIs(await second, True)
            s.release()

        run(main())
        self.check(s, 1)

    def test_destroyed(self):
        """A coroutine that is thrown away while it waits."""
        s = self.open(semundo.Semaphore)

        async def main():
            s.acquire()
            waiting = s.acquire_async()
            waiting.send(None)
            await until_waiting(s, 1)
            del waiting
            gc.collect()
            await until_waiting(s, 0)
            s.release()

        run(main())
        self.check(s, 1)


class Many(Case):
    def test_five_hundred_tasks(self):
        """One thread waits for all of them."""
        s = self.open(semundo.Semaphore, value=5)
        most = 0

        async def work():
            nonlocal most
            for _ in range(3):
                async with s:
                    most = max(most, wait_threads())
                    await asyncio.sleep(0)

        async def main():
            s.acquire(n=5)
            tasks = [asyncio.ensure_future(work()) for _ in range(500)]
            await until_waiting(s, 500)
            until(lambda: sum(p.waiting for p in s.waiters()) == 1, "one thread waits")
            s.release(5)
            await asyncio.gather(*tasks)

        until(lambda: wait_threads() == 0, "earlier threads have ended")
        run(main())
        until(lambda: s.value == 5, "all units are where they belong")
        self.assertEqual((most, s.value), (1, 5))
        until(lambda: wait_threads() == 0, "it ends when there is nothing to do")

    def test_many_semaphores(self):
        """More of them than threads: the threads go round, and all are served."""
        count = _aio.THREADS_MAX + 20
        semaphores = [self.open(semundo.Signal) for _ in range(count)]

        async def main():
            tasks = [asyncio.ensure_future(s.acquire_async()) for s in semaphores]
            await asyncio.sleep(0.1)
            self.assertLessEqual(wait_threads(), _aio.THREADS_MAX)
            for s in reversed(semaphores):
                s.release()
            self.assertEqual(await asyncio.gather(*tasks), [True] * count)

        run(main())
        self.assertEqual([s.value for s in semaphores], [0] * count)

    def test_import_is_light(self):
        process = self.start("""
            import sys
            print(sorted({"asyncio", "multiprocessing", "threading"} & set(sys.modules)))
        """, "-S")  # without what a site imports at the start
        self.assertEqual(process.end()[1], "[]\n")
