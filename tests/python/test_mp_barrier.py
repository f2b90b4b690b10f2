# SPDX-License-Identifier: Apache-2.0
"""Event and Barrier of multiprocessing: a process is killed at each point of them."""
import os
import signal
import threading

from helpers import LIMIT, until
from mp_helpers import Contexts, die, meet, wait_event
from semundo.multiprocessing import _barrier, get_context


class Events(Contexts):
    def setUp(self):
        super().setUp()
        self.ctx = get_context("fork")
        self.event = self.ctx.Event()
        self.ready, self.woken = self.ctx.Semaphore(0), self.ctx.Semaphore(0)

    def waiter(self):
        process = self.start(self.ctx, wait_event, self.event, self.ready, self.woken)
        self.take(self.ready)
        until(lambda: self.event._cond._sleeping_count.get_value() == 1, "it sleeps")
        return process

    def test_who_sets_it_dies_before_it_wakes_anybody(self):
        def child():
            self.event._cond.notify_all = die
            self.event.set()

        self.waiter()
        self.dies(child)
        self.take(self.woken)
        self.assertTrue(self.event.is_set())

    def test_set_and_clear_wakes_who_waited(self):
        process = self.waiter()
        os.kill(process.pid, signal.SIGSTOP)
        self.event.set()
        self.event.clear()
        os.kill(process.pid, signal.SIGCONT)
        self.take(self.woken)
        self.assertFalse(self.event.wait(0.01))

    def test_who_clears_it_dies(self):
        def child():
            self.event._word.__class__.__setitem__ = lambda *_: die()
            self.event.clear()

        self.event.set()
        self.dies(child)
        self.assertTrue(self.event.wait(0))
        self.event.clear()
        self.assertFalse(self.event.wait(0))


class Barriers(Contexts):
    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, _barrier, "GRACE", _barrier.GRACE)
        _barrier.GRACE = 0.3
        self.ctx = get_context("fork")
        self.ready, self.passed, self.broken = (self.ctx.Semaphore(0) for _ in range(3))

    def party(self, barrier):
        waiting = barrier.n_waiting
        process = self.start(self.ctx, meet, barrier, self.ready, self.passed, self.broken)
        until(lambda: barrier.n_waiting == waiting + 1, "it waits")
        return process

    def last(self, barrier):
        """In a forked child: arrives last."""
        return self.fork(lambda: barrier.wait(LIMIT) and 0)

    def test_one_dies_in_each_round(self):
        barrier = self.ctx.Barrier(2)
        for _ in range(3):
            self.party(barrier)
            barrier.wait(LIMIT)
            self.take(self.passed)
            self.kill(self.party(barrier))
            self.assertRaises(threading.BrokenBarrierError, barrier.wait, LIMIT)
            barrier.reset()

    def elsewhere(self, barrier, leave):
        """One that takes part in a round, and then ends otherwise."""
        def child():
            barrier.wait(LIMIT)
            leave()

        process = self.ctx.Process(target=child)
        process.start()
        barrier.wait(LIMIT)
        process.join(LIMIT)

    def test_one_is_killed_between_rounds(self):
        barrier = self.ctx.Barrier(2)
        for _ in range(2):
            self.elsewhere(barrier, die)
            self.assertRaises(threading.BrokenBarrierError, barrier.wait, LIMIT)
            barrier.reset()

    def test_another_takes_the_place_of_one_who_was_killed(self):
        barrier = self.ctx.Barrier(2)
        self.elsewhere(barrier, die)
        self.party(barrier)
        until(lambda: barrier._members.dead() > barrier._words[4], "its death is known")
        self.assertEqual(barrier.wait(LIMIT), 1)
        self.take(self.passed)

    def test_one_ends_between_rounds(self):
        """A normal end is no death."""
        barrier = self.ctx.Barrier(2)
        self.elsewhere(barrier, lambda: None)
        self.party(barrier)
        self.assertEqual(barrier._members.dead(), 0)
        self.assertFalse(self.broken.acquire(timeout=_barrier.GRACE + 2))
        barrier.wait(LIMIT)
        self.take(self.passed)

    def test_last_one_dies_in_the_action(self):
        barrier = self.ctx.Barrier(2, die)
        self.party(barrier)
        self.assertEqual(self.last(barrier), -signal.SIGKILL)
        self.take(self.broken)

    def test_last_one_dies_before_it_wakes_anybody(self):
        """All had arrived: the others go on."""
        barrier = self.ctx.Barrier(2)
        self.party(barrier)
        barrier._cond.notify_all = die
        self.assertEqual(self.last(barrier), -signal.SIGKILL)
        self.take(self.passed)
        del barrier._cond.notify_all
        self.assertFalse(barrier.broken)
        self.party(barrier)
        self.assertEqual(barrier.wait(LIMIT), 1)
        self.take(self.passed)

    def test_one_dies_on_its_way_out(self):
        """Its round was complete; neither that nor the next is broken."""
        barrier = self.ctx.Barrier(2)
        process = self.party(barrier)
        os.kill(process.pid, signal.SIGSTOP)
        self.assertEqual(barrier.wait(LIMIT), 1)
        self.kill(process)
        for _ in range(3):
            self.party(barrier)
            self.assertEqual(barrier.wait(LIMIT), 1)
            self.take(self.passed)

    def test_reset_while_one_waits(self):
        barrier = self.ctx.Barrier(2)
        self.party(barrier)
        barrier.reset()
        self.take(self.broken)
        self.assertEqual(barrier.n_waiting, 0)

    def test_abort_and_limits(self):
        barrier = self.ctx.Barrier(2, timeout=0.01)
        self.assertRaises(threading.BrokenBarrierError, barrier.wait)
        self.assertTrue(barrier.broken)
        barrier.reset()
        self.assertFalse(barrier.broken)
        barrier.abort()
        self.assertRaises(threading.BrokenBarrierError, barrier.wait)
        self.assertRaises(ValueError, self.ctx.Barrier, 0)

    def test_exception_of_the_action(self):
        barrier = self.ctx.Barrier(1, lambda: 1 / 0)
        self.assertRaises(ZeroDivisionError, barrier.wait)
        self.assertTrue(barrier.broken)
