# SPDX-License-Identifier: Apache-2.0
"""Queues of semundo.multiprocessing: whoever is killed, and when."""
import gc
import multiprocessing.connection
import os
import queue
import random
import resource
import select
import signal
import socket
import threading
import time
import unittest

import mp_programs as programs
import semundo
from helpers import LIMIT, Case, until
from semundo.multiprocessing import _counts, _held, get_context

METHODS = ("fork", "spawn", "forkserver")
KILLS = int(os.environ.get("SEMUNDO_KILLS", "40"))


class QueueCase(Case):
    def setUp(self):
        super().setUp()
        self.ctx = get_context("fork")

    def process(self, target, *args, ctx=None):
        process = (ctx or self.ctx).Process(target=target, args=args, daemon=True)
        process.start()
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        try:
            process.kill()
        except ValueError:
            return  # closed
        process.join(LIMIT)
        process.close()

    def kill(self, process):
        process.kill()
        process.join(LIMIT)
        self.assertEqual(process.exitcode, -signal.SIGKILL)
        process.close()

    def pipe(self):
        ends = os.pipe()
        for end in ends:
            self.addCleanup(os.close, end)
        return ends

    def read(self, fd, count=1):
        """So many bytes, within the limit."""
        self.assertTrue(select.select([fd], [], [], LIMIT)[0], "nobody said anything")
        return os.read(fd, count)

    def no_looks(self):
        """Who waits is woken, or it waits for ever."""
        self.addCleanup(setattr, _counts, "_LOOK", _counts._LOOK)
        _counts._LOOK = 10 * LIMIT

    def shut(self, q):
        """Nothing of this process waits for what is not read."""
        q.close()
        if hasattr(q, "cancel_join_thread"):
            q.cancel_join_thread()


class Ways(QueueCase):
    def test_sizes(self):
        """Short and long messages, in all three start methods."""
        for method in METHODS:
            ctx = get_context(method)
            for make in (ctx.Queue, ctx.JoinableQueue, ctx.SimpleQueue):
                with self.subTest(method=method, make=make.__name__):
                    q = make()
                    process = self.process(programs.put_all, q, programs.SIZES, ctx=ctx)
                    for number, size in enumerate(programs.SIZES):
                        self.assertEqual(q.get(), programs.message(number, size))
                    process.join(LIMIT)
                    self.assertEqual(process.exitcode, 0)
                    self.assertIs(q.empty(), True)

    def test_threads_share_one(self):
        q = self.ctx.Queue()
        numbers, lock = [], threading.Lock()

        def take():
            while True:
                number = q.get(timeout=LIMIT)
                if number is None:
                    return
                with lock:
                    numbers.append(number)

        threads = [self.thread(take) for _ in range(4)]
        for number in range(1000):
            q.put(number)
        for _ in threads:
            q.put(None)
        for thread in threads:
            self.join(thread)
        self.assertEqual(sorted(numbers), list(range(1000)))

    def test_reader_is_a_connection(self):
        q = self.ctx.SimpleQueue()
        self.assertEqual(multiprocessing.connection.wait([q._reader], 0), [])
        for item in ("a", "b", "c"):
            q.put(item)
        self.assertEqual(multiprocessing.connection.wait([q._reader], LIMIT), [q._reader])
        self.assertEqual(q._reader.recv(), "a")
        self.assertGreater(len(q._reader.recv_bytes()), 1)
        with self.assertRaises(OSError):
            q._reader.recv_bytes(1)
        self.assertIs(q._reader.closed, True)
        q._writer.close()

    def test_bytes(self):
        q = self.ctx.SimpleQueue()
        q._writer.send_bytes(b"0123456789", 2, 5)
        q._writer.send_bytes(b"")
        q._writer.send_bytes(b"x" * 100000)
        self.assertEqual(q._reader.recv_bytes(), b"23456")
        self.assertEqual(q._reader.recv_bytes(), b"")
        into = bytearray(100000)
        self.assertEqual(q._reader.recv_bytes_into(into), 100000)
        self.assertEqual(into, b"x" * 100000)

    def test_ends(self):
        q = self.ctx.SimpleQueue()
        q.put(1)
        q._writer.close()
        self.assertEqual(q.get(), 1)
        with self.assertRaises(EOFError):
            q.get()
        q = self.ctx.SimpleQueue()
        q.put(1)
        q._reader.close()
        for _ in range(2):
            with self.assertRaises(BrokenPipeError):
                q.put(2)

    def test_time(self):
        q = self.ctx.Queue()
        for wait in (dict(block=False), dict(timeout=0), dict(timeout=-1), dict(timeout=0.01)):
            with self.assertRaises(queue.Empty):
                q.get(**wait)
        q = self.ctx.Queue(1)
        q.put(0)
        for wait in (dict(block=False), dict(timeout=0), dict(timeout=-1), dict(timeout=0.01)):
            with self.assertRaises(queue.Full):
                q.put(1, **wait)

    def test_sizes_of_the_queue(self):
        q = self.ctx.Queue(3)
        for n in range(3):
            self.assertEqual((q.qsize(), q.full()), (n, False))
            q.put_nowait(n)  # must never be refused while there is a place
        self.assertEqual((q.qsize(), q.full()), (3, True))
        self.assertEqual(q.get(), 0)
        self.assertEqual((q.qsize(), q.full()), (2, False))

    def test_never_refused_while_there_is_a_place(self):
        """Not while an item is on its way from hand to pipe either."""
        q = self.ctx.Queue(1)
        for n in range(3000):
            q.put_nowait(n)
            self.assertEqual(q.get(timeout=LIMIT), n)

    def test_counts_of_what_is_in_hand(self):
        held = _held.Held(True)
        for n in range(1, 20000):
            held.add()
            self.assertEqual(held.total(), n)
        for n in reversed(range(1, 20000)):
            self.assertIs(held.remove(), True)
            self.assertEqual(held.total(), n - 1)
        self.assertIs(held.remove(), False)

    def test_put_waits_for_get(self):
        self.no_looks()
        q = self.ctx.Queue(1)
        q.put(0)
        threads = [self.thread(q.put, n) for n in (1, 1)]
        self.assertEqual([q.get(timeout=LIMIT) for _ in range(3)], [0, 1, 1])
        for thread in threads:
            self.join(thread)

    def test_what_cannot_be_sent(self):
        errors = []

        class Listening(type(self.ctx.Queue(1))):
            @staticmethod
            def _on_queue_feeder_error(error, item):
                errors.append((type(error).__name__, item))

        q = Listening(1, ctx=self.ctx)
        item = lambda: None  # noqa: E731
        q.put(item)
        q.put("after it", timeout=LIMIT)  # the place is free again
        self.assertEqual(q.get(timeout=LIMIT), "after it")
        self.assertEqual([found for _, found in errors], [item])

    def test_descriptors(self):
        """Two for each that only forked children have, and all are closed with it."""
        def count():
            gc.collect()
            return len(os.listdir("/proc/self/fd"))

        def child():  # where no thread of another test closes something
            ctx.JoinableQueue()  # what is opened once
            before = count()
            some = [ctx.JoinableQueue() for _ in range(10)]
            opened = count() - before
            del some
            return opened if count() == before else 255

        for method, most in (("fork", 2), ("spawn", 13)):
            ctx = get_context(method)
            self.assertLessEqual(self.fork(child), 10 * most)

    def test_of_a_fork_context(self):
        """As in multiprocessing, it is for forked children."""
        for make in (self.ctx.Queue, self.ctx.JoinableQueue):
            with self.assertRaisesRegex(RuntimeError, "fork"):
                self.process(print, make(), ctx=get_context("spawn"))

    def test_installed(self):
        """A program that knows nothing of this, and its children."""
        for method in METHODS:
            process = self.start(f"""
                import mp_installed
                if __name__ == "__main__":
                    import semundo.multiprocessing
                    semundo.multiprocessing.install()
                    mp_installed.main({method!r})
                """, PYTHONPATH=os.pathsep.join(
                    [os.path.dirname(os.path.abspath(__file__)), os.environ["PYTHONPATH"]]))
            ours = "semundo.multiprocessing._"
            self.assertEqual(process.end(), (0, "".join(
                f"{who}: {ours}queues {ours}queues {ours}queues {ours}pool\n"
                for who in ("main", "child", "in a pool")), ""))

    def test_nothing_to_warn_of(self):
        for method in METHODS:
            process = self.start(f"""
                import gc, mp_programs
                from semundo.multiprocessing import _counts, _held, get_context
                def main():
                    ctx = get_context({method!r})
                    for make in (ctx.Queue, ctx.JoinableQueue, ctx.SimpleQueue):
                        q = make()
                        child = ctx.Process(target=mp_programs.put_all, args=(q, [10, 10]))
                        child.start()
                        q.get(), q.get()
                        child.join()
                        assert child.exitcode == 0
                        del child, q
                        gc.collect()
                if __name__ == "__main__":
                    main()
                """, "-W", "error", PYTHONPATH=os.pathsep.join(
                    [os.path.dirname(os.path.abspath(__file__)), os.environ["PYTHONPATH"]]))
            self.assertEqual(process.end(), (0, "", ""))


class Writers(QueueCase):
    def test_killed(self):
        """At random moments, with messages of all sizes."""
        for make in (self.ctx.SimpleQueue, self.ctx.Queue, lambda: self.ctx.Queue(2)):
            q = make()
            for _ in range(KILLS // 3):
                writer = self.process(programs.put_for_ever, q)
                last = -1
                for _ in range(random.randrange(1, 30)):
                    found = q.get()
                    self.assertTrue(programs.is_whole(found))
                    self.assertEqual(found[0], last + 1)
                    last += 1
                time.sleep(random.random() / 500)
                self.kill(writer)
                while not q.empty():  # what it had sent before
                    found = q.get()
                    self.assertTrue(programs.is_whole(found))
                    self.assertEqual(found[0], last + 1)
                    last += 1
                q.put(programs.message(7, 7))
                self.assertEqual(q.get(), programs.message(7, 7))
            self.shut(q)

    def test_stopped(self):
        """Nobody waits for one that is stopped somewhere."""
        q = self.ctx.SimpleQueue()
        writer = self.process(programs.put_for_ever, q, [300000])
        self.assertTrue(programs.is_whole(q.get()))
        os.kill(writer.pid, signal.SIGSTOP)
        until(lambda: os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOHANG), "it is stopped")
        while not q.empty():
            self.assertTrue(programs.is_whole(q.get()))
        q.put("from here")
        self.assertEqual(q.get(), "from here")

    def test_unsent_item_frees_its_place(self):
        q = self.ctx.Queue(1)
        said, say = self.pipe()
        writer = self.process(programs.put_stuck, q, say)
        self.assertEqual({self.read(said), self.read(said)}, {b"x", b"y"})
        self.assertEqual((q.qsize(), q.full(), q.empty()), (1, True, True))
        with self.assertRaises(queue.Full):
            q.put_nowait("mine")
        thread = self.thread(q.put, "mine")
        self.kill(writer)
        self.assertEqual(q.get(timeout=LIMIT), "mine")
        self.join(thread)
        until(lambda: q.qsize() == 0, "no item is left")

    def test_put_nowait_after_a_death(self):
        """The place of the dead is found by him who asks, at once."""
        q = self.ctx.Queue(1)
        said, say = self.pipe()
        writer = self.process(programs.put_stuck, q, say)
        self.assertEqual({self.read(said), self.read(said)}, {b"x", b"y"})
        self.kill(writer)
        q.put_nowait("mine")
        self.assertEqual(q.get(timeout=LIMIT), "mine")

    def test_more_items_than_a_semaphore_has_units(self):
        q = self.ctx.Queue()
        said, say = self.pipe()
        writer = self.process(programs.put_stuck, q, say, 70000)
        self.assertEqual({self.read(said), self.read(said)}, {b"x", b"y"})
        self.assertEqual(q.qsize(), 70001)
        self.kill(writer)
        self.assertEqual(q.qsize(), 0)


class Readers(QueueCase):
    def test_killed(self):
        """A message goes to one reader, and at most one is lost with each."""
        for make in (self.ctx.SimpleQueue, self.ctx.Queue, lambda: self.ctx.Queue(2),
                     self.ctx.JoinableQueue):
            q = make()
            writer = self.process(programs.put_for_ever, q)
            last = -1
            for _ in range(KILLS // 4):
                said, say = os.pipe()
                reader = self.process(programs.get_for_ever, q, say)
                os.close(say)
                last = self.numbers(said, random.randrange(1, 30), last)
                self.kill(reader)
                last = self.numbers(said, 1 << 30, last, gap=1)
                os.close(said)
                found = q.get()
                self.assertTrue(programs.is_whole(found))
                self.assertIn(found[0], (last + 1, last + 2))
                last = found[0]
            self.kill(writer)
            self.shut(q)

    def numbers(self, said, count, last, gap=0):
        """Reads what it acknowledged: one after the other."""
        for _ in range(count):
            word = self.read(said, 8)
            if not word:
                break
            number = int.from_bytes(word, "little")
            self.assertEqual(number, last + 1)
            last = number
        return last


class Places(QueueCase):
    """maxsize is right however many have died, wherever they were."""

    def test_killed(self):
        for size in (1, 3):
            q = self.ctx.Queue(size)
            ends = self.pipe()
            for _ in range(KILLS // 4):
                processes = [self.process(programs.put_for_ever, q, [10]),
                             self.process(programs.put_for_ever, q, [70000]),
                             self.process(programs.get_for_ever, q, ends[1])]
                for _ in range(random.randrange(1, 20)):
                    self.read(ends[0], 8)
                random.shuffle(processes)
                for process in processes:
                    self.kill(process)
                while select.select([ends[0]], [], [], 0)[0]:
                    os.read(ends[0], 4096)
                self.empty(q)
                self.exact(q, size)
            self.shut(q)

    def empty(self, q):
        while True:
            try:
                self.assertTrue(programs.is_whole(q.get_nowait()))
            except queue.Empty:
                return

    def exact(self, q, size):
        self.assertEqual(q.qsize(), 0)
        for n in range(size):
            q.put_nowait(n)
        with self.assertRaises(queue.Full):
            q.put_nowait("too many")
        self.assertEqual(q.qsize(), size)
        self.assertEqual([q.get(timeout=LIMIT) for _ in range(size)], list(range(size)))


class Joins(QueueCase):
    def joiner(self, q):
        """A thread in join(), and the list of what it raised."""
        raised = []

        def wait():
            try:
                q.join()
            except semundo.BrokenQueue as error:
                raised.append(error)

        return self.thread(wait), raised

    def test_join_waits_for_all(self):
        self.no_looks()
        for method in METHODS:
            ctx = get_context(method)
            q = ctx.JoinableQueue()
            for n in range(3):
                q.put(n)
            thread, raised = self.joiner(q)
            for _ in range(3):
                q.get()
                self.assertTrue(thread.is_alive())
                q.task_done()
            self.join(thread)
            self.assertEqual(raised, [])
            with self.assertRaises(ValueError):
                q.task_done()

    def test_taker_dies(self):
        q = self.ctx.JoinableQueue()
        said, say = self.pipe()
        for n in range(3):
            q.put(n)
        taker = self.process(programs.get_and_hold, q, say, 2)
        self.read(said)
        thread, raised = self.joiner(q)
        self.assertEqual(q.get(), 2)
        pid = taker.pid
        self.kill(taker)
        self.assertTrue(thread.is_alive())  # one is in hand here
        q.task_done()
        self.join(thread)
        self.assertIn(f"process {pid} died with 2 in hand", str(raised[0]))
        q.join()  # it was told

    def test_taker_ends(self):
        """Without task_done(): as well."""
        q = self.ctx.JoinableQueue()
        q.put(None)
        taker = self.process(programs.get_end, q)
        taker.join(LIMIT)
        self.assertEqual(taker.exitcode, 0)
        with self.assertRaises(semundo.BrokenQueue):
            q.join()

    def test_idle_taker_dies(self):
        """With nothing in hand: nothing is lost."""
        q = self.ctx.JoinableQueue()
        said, say = self.pipe()
        taker = self.process(programs.do_for_ever, q, say)
        for n in range(3):
            q.put(n)
        self.assertEqual([self.read(said) for _ in range(3)], [b"x"] * 3)
        q.join()
        self.kill(taker)
        q.put(3)
        q.get()
        q.task_done()
        q.join()

    def test_putter_dies(self):
        """What it could not send is nobody's task."""
        q = self.ctx.JoinableQueue()
        said, say = self.pipe()
        putter = self.process(programs.put_stuck, q, say)
        self.assertEqual({self.read(said), self.read(said)}, {b"x", b"y"})
        thread, raised = self.joiner(q)
        self.until_waiting(q._counts._ended)
        self.assertTrue(thread.is_alive())
        self.kill(putter)
        self.join(thread)
        self.assertEqual(raised, [])

    def test_done_by_another(self):
        q = self.ctx.JoinableQueue()
        said, say = self.pipe()
        for n in range(2):
            q.put(n)
        taker = self.process(programs.get_and_hold, q, say)
        self.read(said)
        q.task_done()  # for the taker
        q.get()
        thread, raised = self.joiner(q)
        self.until_waiting(q._counts._ended)
        q.task_done()
        self.join(thread)
        self.assertEqual(raised, [])
        with self.assertRaises(ValueError):
            q.task_done()
        self.kill(taker)
        q.put(3)
        q.get()
        thread, raised = self.joiner(q)
        self.until_waiting(q._counts._ended)
        self.assertTrue(thread.is_alive())  # what was done for the dead was not done for this
        q.task_done()
        self.join(thread)

    def test_what_cannot_be_sent_is_done(self):
        class Silent(type(self.ctx.JoinableQueue())):
            @staticmethod
            def _on_queue_feeder_error(error, item):
                pass

        self.no_looks()
        q = Silent(ctx=self.ctx)
        q.put(lambda: None)
        q.join()


class Broken(QueueCase):
    """What cannot be had any more is said, and the next message is good."""

    def test_not_a_message(self):
        q = self.ctx.SimpleQueue()
        whole = q._writer.pack(b"abc").parts
        bad = [b"x", b"x" * 100, b"\0" * 16, whole[0], b"".join(whole)[:-1],
               whole[0][:4] + b"\1\0\0\0" + whole[0][8:] + b"abc",
               whole[0][:8] + (1 << 40).to_bytes(8, "little") + b"abc"]
        for packet in bad:
            q._writer._socket.send(packet)
            q.put("good")
            with self.assertRaises(semundo.BrokenQueue):
                q.get()
            self.assertEqual(q.get(), "good")

    def test_file_of_another_size(self):
        q = self.ctx.SimpleQueue()
        for size in (0, 10, 1 << 40):
            packet = q._writer.pack(b"x" * 100000)
            os.ftruncate(packet.file, size)
            q._writer.post(packet)
            packet.close()
            with self.assertRaises(semundo.BrokenQueue):
                q.get()

    def test_no_descriptor_left(self):
        def child():
            q = self.ctx.SimpleQueue()
            q.put(b"x" * 100000)
            q.put("good")
            used = os.dup(0)
            os.close(used)
            resource.setrlimit(resource.RLIMIT_NOFILE,
                               (used, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            try:
                q.get()
            except semundo.BrokenQueue as error:
                return 0 if "descriptor" in str(error) and q.get() == "good" else 2
            return 1

        self.assertEqual(self.fork(child), 0)

    def test_descriptors_that_nobody_asked_for(self):
        q = self.ctx.SimpleQueue()
        before = os.listdir("/proc/self/fd")
        q._writer._socket.sendmsg([b"".join(q._writer.pack(b"abc").parts)],
                                  [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                    (0).to_bytes(4, "little"))])
        with self.assertRaises(semundo.BrokenQueue):
            q.get()
        self.assertEqual(os.listdir("/proc/self/fd"), before)


if __name__ == "__main__":
    unittest.main()
