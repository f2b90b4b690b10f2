# SPDX-License-Identifier: Apache-2.0
"""Pool of semundo.multiprocessing: whoever of its processes is killed, and when."""
import concurrent.futures
import gc
import multiprocessing
import multiprocessing.pool
import os
import random
import select
import signal
import sys
import threading
import time
import unittest
import weakref
from concurrent.futures.process import BrokenProcessPool

import mp_programs as programs
from helpers import LIMIT, Case, until
from semundo.multiprocessing import WorkerDied, get_context

METHODS = ("fork", "spawn", "forkserver")
KILLS = int(os.environ.get("SEMUNDO_KILLS", "40"))


class PoolCase(Case):
    def setUp(self):
        super().setUp()
        self.ctx = get_context("fork")

    def pool(self, *args, ctx=None, **options):
        pool = (ctx or self.ctx).Pool(*args, **options)
        self.addCleanup(self.stop, pool)
        return pool

    def stop(self, pool):
        pool.terminate()
        self.in_time(pool.join)

    def in_time(self, target):
        """What must not hang."""
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        thread.join(LIMIT)
        self.assertFalse(thread.is_alive(), f"{target} hangs")

    def died(self, result, pid=None, number=signal.SIGKILL):
        with self.assertRaises(WorkerDied) as caught:
            result.get(LIMIT)
        error = caught.exception
        self.assertEqual((error.signal, error.exitcode), (number, -number))
        if pid is not None:
            self.assertEqual(error.pid, pid)
        return error

    def read(self, fd, count):
        self.assertTrue(select.select([fd], [], [], LIMIT)[0], "nobody said anything")
        return os.read(fd, count)


class Ways(PoolCase):
    def test_results(self):
        for method in METHODS:
            with self.subTest(method=method), get_context(method).Pool(2) as pool:
                self.assertEqual(pool.map(programs.double, range(100)), list(range(0, 200, 2)))
                self.assertEqual(pool.apply(programs.double, (b"x" * 100000,)), b"x" * 200000)
                self.assertEqual(list(pool.imap(programs.double, range(20), 3)),
                                 list(range(0, 40, 2)))
                self.assertEqual(sorted(pool.imap_unordered(programs.double, range(20))),
                                 list(range(0, 40, 2)))
                self.assertEqual(pool.starmap(pow, [(2, 3), (3, 2)]), [8, 9])
                with self.assertRaises(ZeroDivisionError):
                    pool.apply(divmod, (1, 0))
                pool.close()
                self.in_time(pool.join)

    def test_lives(self):
        pool = self.pool(2, maxtasksperchild=3)
        pids = [pid for pid, _ in pool.map(programs.name_and_double, range(30), 1)]
        self.assertGreaterEqual(len(set(pids)), 10)
        self.assertLessEqual(max(pids.count(pid) for pid in pids), 3)

    def test_what_cannot_be_pickled(self):
        pool = self.pool(1)
        with self.assertRaises(Exception) as caught:
            pool.apply(lambda: None)
        self.assertIn("ickl", str(caught.exception))
        with self.assertRaises(multiprocessing.pool.MaybeEncodingError):
            pool.apply(eval, ("lambda: None",))
        self.assertEqual(pool.apply(programs.double, (2,)), 4)

    def test_what_cannot_be_made_from_its_pickle(self):
        """multiprocessing's hangs, and is of no use afterwards."""
        pool = self.pool(1)
        with self.assertRaises(TypeError):
            pool.apply_async(programs.raise_unpicklable).get(LIMIT)
        self.assertEqual(pool.apply(programs.double, (2,)), 4)

    def test_callback_raises(self):
        def refuse(value):
            raise KeyError(value)

        pool = self.pool(1)
        with Silence():
            pool.apply_async(programs.double, (1,), callback=refuse).wait(LIMIT)
            pool.map_async(programs.double, [1, 2], callback=refuse).wait(LIMIT)
        self.assertEqual(pool.apply(programs.double, (2,)), 4)
        pool.close()
        self.in_time(pool.join)

    def test_dropped(self):
        pool = self.ctx.Pool(1)
        processes = list(pool._pool)
        gone = weakref.ref(pool)
        with self.assertWarns(ResourceWarning):
            del pool
            gc.collect()
        self.assertIsNone(gone())
        for process in processes:
            process.join(LIMIT)
            self.assertIsNotNone(process.exitcode)

    def test_pool_of_threads_stays(self):
        before = multiprocessing.pool.Pool
        multiprocessing.pool.Pool = type(self.pool(1))
        try:
            with multiprocessing.pool.ThreadPool(2) as pool:
                self.assertEqual(pool.map(len, ["a", "bb"]), [1, 2])
        finally:
            multiprocessing.pool.Pool = before


class Silence:
    """No standard error for what is expected to be said there."""

    def __enter__(self):
        self.before, sys.stderr = sys.stderr, open(os.devnull, "w")

    def __exit__(self, *_):
        sys.stderr.close()
        sys.stderr = self.before


class Deaths(PoolCase):
    def test_task_in_hand(self):
        for method in METHODS:
            with self.subTest(method=method):
                pool = self.pool(2, ctx=get_context(method))
                error = self.died(pool.apply_async(programs.kill_self))
                self.assertIn(f"process {error.pid} was killed by SIGKILL", str(error))
                self.died(pool.map_async(programs.kill_self, [1, 2, 3], 1))
                self.assertEqual(pool.map(programs.double, range(9)), list(range(0, 18, 2)))
                pool.close()
                self.in_time(pool.join)

    def test_other_tasks_go_on(self):
        pool = self.pool(2)
        found, died = [], 0
        items = pool.imap(Fatal(4), range(10))
        while True:
            try:
                found.append(items.next(LIMIT))
            except StopIteration:
                break
            except WorkerDied:
                died += 1
        self.assertEqual((found, died), ([0, 1, 2, 3, 5, 6, 7, 8, 9], 1))

    def test_error_callback(self):
        told = []
        pool = self.pool(1)
        pool.apply_async(programs.kill_self, error_callback=told.append).wait(LIMIT)
        self.assertEqual([type(error) for error in told], [WorkerDied])

    def test_leaves_without_a_word(self):
        pool = self.pool(1)
        for function, status in ((os._exit, 3), (sys.exit, 4)):
            with self.assertRaises(WorkerDied) as caught:
                pool.apply_async(function, (status,)).get(LIMIT)
            self.assertEqual((caught.exception.exitcode, caught.exception.signal), (status, None))
            self.assertIn(f"ended with status {status}", str(caught.exception))

    def test_idle_ones(self):
        """Nothing is lost with those that had nothing."""
        pool = self.pool(3)
        for _ in range(5):
            self.assertEqual(pool.map(programs.double, range(9)), list(range(0, 18, 2)))
            for process in list(pool._pool):
                process.kill()
                process.join(LIMIT)
            self.assertEqual(pool.map_async(programs.double, range(9), 1).get(LIMIT),
                             list(range(0, 18, 2)))

    def test_one_that_did_not_begin(self):
        """A task that it was given but did not take goes to another."""
        pool = self.pool(1)
        for size in (1, 100000):
            self.assertEqual(pool.apply(programs.double, (2,)), 4)
            worker, = pool._crew._workers
            os.kill(worker.process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, worker.process.pid, os.WSTOPPED)
            result = pool.apply_async(programs.double, (b"x" * size,))
            until(lambda: worker.task is not None, "it is given the task")
            os.kill(worker.process.pid, signal.SIGKILL)
            self.assertEqual(result.get(LIMIT), b"x" * 2 * size)

    def test_what_it_said_before(self):
        """A result that was sent counts, also where the death is seen first."""
        pool = self.pool(2, maxtasksperchild=1)
        entered, go = threading.Event(), threading.Event()

        def hold_up(_):
            entered.set()
            go.wait(LIMIT)
            pool._crew._alarm = True  # it looks for deaths before it listens

        until(lambda: len(pool._crew._idle) == 2, "both wait for work")
        processes = list(pool._pool)
        pool.apply_async(programs.double, (1,), callback=hold_up)
        entered.wait(LIMIT)
        result = pool.apply_async(programs.double, (2,))
        for process in processes:
            process.join(LIMIT)
        go.set()
        self.assertEqual(result.get(LIMIT), 4)

    def test_child_of_the_dead_lives(self):
        """It has the pipes and all, but it is not the worker."""
        said, say = os.pipe()
        pool = self.pool(1)
        result = pool.apply_async(programs.hold_child, (say,))
        child = int.from_bytes(self.read(said, 4), "little")
        try:
            self.died(result)
            self.assertEqual(pool.apply_async(programs.double, (2,)).get(LIMIT), 4)
        finally:
            os.kill(child, signal.SIGKILL)
            os.close(said)
            os.close(say)

    def test_while_it_closes(self):
        for end in ("close", "terminate"):
            pool = self.pool(2)
            results = [pool.apply_async(time.sleep, (1000,)) for _ in range(2)]
            until(lambda: not pool._crew._idle and all(w.task for w in pool._crew._workers),
                  "both are at work")
            getattr(pool, end)()
            if end == "close":
                for process in list(pool._pool):
                    process.kill()
                for result in results:
                    self.died(result)
            self.in_time(pool.join)

    def test_processes_that_cannot_begin(self):
        with Silence():
            pool = self.pool(2, initializer=programs.fail_to_begin)
            with self.assertRaises(WorkerDied) as caught:
                pool.apply_async(programs.double, (1,)).get(LIMIT)
            self.assertEqual(caught.exception.exitcode, 7)
            pool.terminate()
            self.in_time(pool.join)

    def test_parent_dies(self):
        """Its workers end: nobody else keeps their pipes open."""
        for method in METHODS:
            process = self.start(f"""
                import os, signal
                from semundo.multiprocessing import get_context
                if __name__ == "__main__":
                    pool = get_context({method!r}).Pool(3)
                    pool.map(abs, range(30))
                    print(*(process.pid for process in pool._pool), flush=True)
                    signal.pause()
                """)
            pids = [int(word) for word in process.line().split()]
            process.kill()
            for pid in pids:
                until(lambda: not alive(pid), f"worker {pid} ends")

    def test_pickle_of_the_error(self):
        import pickle
        error = pickle.loads(pickle.dumps(WorkerDied(5, -9, "why")))
        self.assertEqual((error.pid, error.exitcode, error.signal, str(error)),
                         (5, -9, 9, "process 5 was killed by SIGKILL: why"))


class Fatal:
    def __init__(self, at):
        self.at = at

    def __call__(self, x):
        return programs.kill_self_at(x, self.at)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class AtRandom(PoolCase):
    """Kills at any moment: each task has its result or WorkerDied, and nothing hangs."""

    def test_map_and_all(self):
        for method, kills in (("fork", KILLS), ("forkserver", KILLS // 8), ("spawn", KILLS // 8)):
            with self.subTest(method=method):
                self.rounds(get_context(method), kills)

    def rounds(self, ctx, kills):
        pool = ctx.Pool(4)
        killed = 0
        while killed < kills:
            results = [pool.apply_async(programs.work_a_little, (n,)) for n in range(50)]
            items = pool.imap_unordered(programs.work_a_little, range(50))
            killed += self.kill_some(pool, results[-1])
            self.check_all(results)
            self.check_items(items)
        final = pool.map_async(programs.double, range(20), 1)
        self.assertEqual(final.get(LIMIT), list(range(0, 40, 2)))
        pool.close()
        self.in_time(pool.join)

    @staticmethod
    def kill_some(pool, last):
        killed = 0
        while not last.ready() and killed < 3:
            time.sleep(random.random() / 100)
            processes = [p for p in list(pool._pool) if p.exitcode is None]
            if processes:
                random.choice(processes).kill()
                killed += 1
        return killed

    def check_all(self, results):
        for n, result in enumerate(results):
            try:
                self.assertEqual(result.get(LIMIT), n * n)
            except WorkerDied as error:
                self.assertEqual(error.signal, signal.SIGKILL)

    def check_items(self, items):
        found = died = 0
        while True:
            try:
                items.next(LIMIT)
                found += 1
            except StopIteration:
                break
            except WorkerDied:
                died += 1
        self.assertEqual(found + died, 50)

    def test_terminate(self):
        for _ in range(KILLS // 4):
            pool = self.ctx.Pool(3)
            result = pool.map_async(programs.work_a_little, range(1000), 1)
            self.kill_some(pool, result)
            pool.terminate()
            self.in_time(pool.join)


class Executor(PoolCase):
    """concurrent.futures says at once that its pool is broken."""

    def test_broken(self):
        for method in METHODS:
            with self.subTest(method=method):
                executor = concurrent.futures.ProcessPoolExecutor(
                    2, mp_context=get_context(method))
                with executor:
                    self.assertEqual(executor.submit(programs.double, 2).result(LIMIT), 4)
                    self.assertEqual(list(executor.map(programs.double, range(9), timeout=LIMIT)),
                                     list(range(0, 18, 2)))
                    future = executor.submit(programs.kill_self)
                    with self.assertRaises(BrokenProcessPool):
                        future.result(LIMIT)
                    with self.assertRaises(BrokenProcessPool):
                        executor.submit(programs.double, 2).result(LIMIT)


if __name__ == "__main__":
    unittest.main()
