# SPDX-License-Identifier: Apache-2.0
"""A process of multiprocessing is killed: what that means, class by class."""
import gc
import os
import signal
import threading

from helpers import LIMIT, until
from mp_helpers import Contexts, die, hold, hold_value, meet, wait_event, wait_for
from semundo.multiprocessing import _condition, get_context

class EachMethod(Contexts):
    """Killed while holding, or waiting, in each class, in each start method."""

    def test_lock(self):
        for ctx in self.each():
            ready = ctx.Semaphore(0)
            undo = ctx.Semaphore(1, undo=True)
            for lock in (ctx.Lock(), ctx.RLock(), ctx.BoundedSemaphore(1), undo):
                process = self.start(ctx, hold, lock, ready)
                self.take(ready)
                self.assertIs(lock.acquire(False), False)
                self.kill(process)
                self.take(lock)
                self.assertEqual([death.pid for death in lock.recovered], [process.pid])
                lock.release()

    def test_value(self):
        for ctx in self.each():
            value, ready = ctx.Value("i", 3), ctx.Semaphore(0)
            process = self.start(ctx, hold_value, value, ready)
            self.take(ready)
            self.kill(process)
            with value.get_lock():
                self.assertEqual(value.value, 7)
                self.assertEqual(len(value.get_lock().recovered), 1)

    def test_condition(self):
        """The dead is not notified in the place of one who lives."""
        for ctx in self.each():
            cond, ready, woken = ctx.Condition(), ctx.Semaphore(0), ctx.Semaphore(0)
            processes = [self.start(ctx, wait_for, cond, ready, woken) for _ in range(3)]
            self.take(ready, 3)
            until(lambda cond=cond: cond._sleeping_count.get_value() == 3, "all sleep")
            self.kill(processes[0])
            with cond:
                cond.notify()
            self.take(woken)
            with cond:
                cond.notify_all()
            self.take(woken)
            for process in processes[1:]:
                process.join(LIMIT)
                self.assertEqual(process.exitcode, 0)

    def test_event(self):
        for ctx in self.each():
            event, ready, woken = ctx.Event(), ctx.Semaphore(0), ctx.Semaphore(0)
            processes = [self.start(ctx, wait_event, event, ready, woken) for _ in range(2)]
            self.take(ready, 2)
            self.kill(processes[0])
            event.set()
            self.take(woken)
            processes[1].join(LIMIT)
            self.assertEqual(processes[1].exitcode, 0)
            self.assertTrue(event.wait(LIMIT))

    def test_barrier(self):
        for ctx in self.each():
            barrier = ctx.Barrier(3)
            ready, passed, broken = (ctx.Semaphore(0) for _ in range(3))
            processes = [self.start(ctx, meet, barrier, ready, passed, broken) for _ in range(2)]
            until(lambda barrier=barrier: barrier.n_waiting == 2, "both wait")
            self.kill(processes[0])
            self.take(broken)
            self.assertTrue(barrier.broken)
            self.assertRaises(threading.BrokenBarrierError, barrier.wait)
            barrier.reset()
            for _ in range(2):
                self.start(ctx, meet, barrier, ready, passed, broken)
            barrier.wait(LIMIT)
            self.take(passed, 2)
            self.assertFalse(barrier.broken)


class Conditions(Contexts):
    """With forked children, which are quick to make."""

    def setUp(self):
        super().setUp()
        self.ctx = get_context("fork")
        self.cond = self.ctx.Condition()
        self.ready, self.woken = self.ctx.Semaphore(0), self.ctx.Semaphore(0)

    def sleepers(self, count):
        processes = [self.start(self.ctx, wait_for, self.cond, self.ready, self.woken)
                     for _ in range(count)]
        self.take(self.ready, count)
        until(lambda: self.cond._sleeping_count.get_value() == count, "all sleep")
        return processes

    def test_notification_of_the_dead_is_passed_on(self):
        """It took the notification, and is killed while it waits for the lock."""
        first, second = self.sleepers(2)
        with self.cond:
            self.cond.notify()
            until(lambda: self.cond._roused.taken() == 1, "one was notified")
            pid = next(peer.pid for peer in self.cond._roused.holders())
            self.kill(first if first.pid == pid else second)
        self.take(self.woken)

    def test_dead_sleeper_wakes_nobody(self):
        first, _ = self.sleepers(2)
        self.kill(first)
        self.assertFalse(self.woken.acquire(timeout=2 * _condition.LAST))
        with self.cond:
            self.cond.notify_all()
        self.take(self.woken)

    def test_newcomer_takes_nothing_from_those_before(self):
        """A notification is for who slept then, also if that one is stopped a while."""
        process, = self.sleepers(1)
        os.kill(process.pid, signal.SIGSTOP)
        with self.cond:
            self.cond.notify()
        early = []
        thread = self.thread(lambda: self.newcomer(early))
        until(lambda: self.cond._lock.acquire(False) is False or self.cond.release(),
              "the newcomer has the lock and waits until all are awake")
        os.kill(process.pid, signal.SIGCONT)
        self.take(self.woken)
        until(lambda: self.cond._sleeping_count.get_value() == 1, "the newcomer sleeps")
        with self.cond:
            self.cond.notify()
        self.join(thread)
        self.assertEqual(early, [True])

    def newcomer(self, results):
        with self.cond:
            results.append(self.cond.wait(LIMIT))

    def test_notified_who_is_dead_by_then(self):
        """Nobody is left to take what was notified; the next one sleeps all the same."""
        process, = self.sleepers(1)
        os.kill(process.pid, signal.SIGSTOP)
        with self.cond:
            self.cond.notify_all()
        self.kill(process)
        with self.cond:
            self.assertFalse(self.cond.wait(0.05))
            self.assertEqual(self.cond._wait_semaphore.get_value(), 0)

    def test_notifier_dies(self):
        """Anywhere in notify(), with the lock in hand."""
        def child(cls, name):
            setattr(cls, name, lambda *_: die())
            with self.cond:
                self.cond.notify()

        self.sleepers(1)
        self.dies(child, _condition.Words, "__setitem__")
        self.dies(child, _condition.Counter, "release")
        with self.cond:
            self.assertTrue(self.cond.recovered)
            self.cond.notify()
        self.take(self.woken)

    def test_waiter_dies_anywhere(self):
        def child(cls, name):
            setattr(cls, name, lambda *_, **__: die())
            with self.cond:
                self.cond.wait(0.01)

        self.sleepers(1)
        for cls, name in ((_condition.Condition, "_settle"), (_condition.Condition, "_sleep"),
                          (_condition.Units, "acquire"), (_condition.Units, "release")):
            self.dies(child, cls, name)
        with self.cond:
            self.cond.notify()
        self.take(self.woken)

    def test_must_own_the_lock(self):
        self.assertRaises(AssertionError, self.cond.wait)
        self.assertRaises(AssertionError, self.cond.notify)
        self.cond.acquire()
        self.assertEqual(self.fork(lambda: self.owned_in_child()), 0)
        self.cond.release()

    def owned_in_child(self):
        try:
            self.cond.notify()
        except AssertionError:
            return 0
        return 1

    def test_recursion(self):
        with self.cond, self.cond:
            self.assertFalse(self.cond.wait(0.01))
            self.assertEqual(self.cond._lock._semlock._count(), 2)
        self.assertFalse(self.cond._lock.locked())

    def test_wait_for(self):
        with self.cond:
            self.assertEqual(self.cond.wait_for(lambda: 0, 0.01), 0)
            self.assertEqual(self.cond.wait_for(lambda: "yes"), "yes")


class Limits(Contexts):
    def test_fork_context_goes_to_forked_children(self):
        fork, spawn = get_context("fork"), get_context("spawn")
        for made in (fork.Lock(), fork.Condition(), fork.Event(), fork.Barrier(2)):
            process = spawn.Process(target=hold, args=(made, made))
            self.assertRaises(RuntimeError, process.start)

    def test_a_fork_context_takes_no_descriptors(self):
        ctx = get_context("fork")
        self.kept = [ctx.Event(), ctx.Barrier(2), ctx.Value("i")]  # and shared memory
        self.kept[0].set()  # the directory has one
        gc.collect()  # those of other tests
        before = len(os.listdir("/proc/self/fd"))
        made = [(ctx.Lock(), ctx.Semaphore(3), ctx.Condition(), ctx.Event(), ctx.Barrier(2))
                for _ in range(50)]
        for lock, *_ in made:
            lock.acquire()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_no_pickle_but_for_children(self):
        import pickle
        for made in (get_context("spawn").Lock(), get_context("fork").Lock()):
            self.assertRaises(RuntimeError, pickle.dumps, made)

    def test_repr(self):
        ctx = get_context("fork")
        lock, rlock = ctx.Lock(), ctx.RLock()
        self.assertEqual((repr(lock), repr(rlock)), ("<Lock(owner=None)>", "<RLock(None, 0)>"))
        with lock, rlock:
            self.assertEqual((repr(lock), repr(rlock)),
                             ("<Lock(owner=MainProcess)>", "<RLock(MainProcess, 1)>"))
            self.assertEqual(self.fork(lambda: repr(lock) != "<Lock(owner=SomeOtherProcess)>"), 0)
        self.assertEqual(repr(ctx.BoundedSemaphore(2)),
                         "<BoundedSemaphore(value=2, maxvalue=2)>")

    def test_context(self):
        ctx = get_context("spawn")
        self.assertIs(ctx.get_context(), ctx)
        self.assertIs(ctx.get_context("fork"), get_context("fork"))
        self.assertEqual(ctx.get_start_method(), "spawn")
        self.assertRaises(ValueError, get_context, "thread")

    def test_manager(self):
        with get_context("fork").Manager() as manager:
            self.assertTrue(manager.Lock().acquire())
