# SPDX-License-Identifier: Apache-2.0
"""Waiting in asyncio.

A task that finds a unit free takes it at once. Else it joins the queue of its
semaphore, and a thread acquires for it: one thread for a semaphore that tasks
wait for, however many they are, and THREADS_MAX at most in a process. Where
more semaphores than that are waited for, the threads go round, SLICE seconds
each.

A waiter is WAITING, and then, once and for all, GRANTED (the units are its own)
or GONE (it has left, with nothing). The queue's lock makes that one step, so a
task that is cancelled knows which it is: GRANTED units go to the next in the
queue that wants as many, or back. So they do if the task's loop was closed.
"""
from __future__ import annotations

import asyncio
import atexit
import collections
import os
import threading
import time
from typing import TYPE_CHECKING, Deque, Iterable

from . import _ext

if TYPE_CHECKING:
    from ._core import _Async

THREADS_MAX = 32
SLICE = 0.005
IDLE = 1.0  # a thread without work ends after that many seconds
WAITING, GRANTED, GONE = range(3)


class Waiter:
    __slots__ = ("n", "loop", "future", "state", "told", "error")

    def __init__(self, n: int, loop: asyncio.AbstractEventLoop) -> None:
        self.n = n
        self.loop = loop
        self.future: asyncio.Future[bool] = loop.create_future()
        self.state = WAITING
        self.told = 0
        self.error: Exception | None = None

    def resolve(self) -> None:
        """In its loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.state == GRANTED)


def resolve_all(waiters: Iterable[Waiter]) -> None:
    for waiter in waiters:
        waiter.resolve()


class Queue:
    """The tasks that wait for one semaphore, in their order."""

    def __init__(self, semaphore: _Async, pool: Pool) -> None:
        self.semaphore = semaphore
        self.pool = pool
        self.lock = threading.Lock()
        self.waiters: Deque[Waiter] = collections.deque()
        self.cancel = _ext._Cancel()
        self.is_served = False  # a thread has it, or it is in the pool's list

    # ---- by tasks

    def add(self, waiter: Waiter) -> None:
        with self.lock:
            self.waiters.append(waiter)
            ask = not self.is_served
            self.is_served = True
        if ask:
            self.pool.serve(self)

    def withdraw(self, waiter: Waiter) -> None:
        """The task does not want it any more."""
        if self.pool is not _pool:
            return  # a parent's; its lock may never be free again
        with self.lock:
            if waiter.state == WAITING:
                self._leave(waiter)
                return
            granted = waiter.state == GRANTED
            waiter.state = GONE
        if granted:
            self.grant(waiter.n, waiter.told)

    def expire(self, waiter: Waiter) -> None:
        """Its time is up."""
        if self.pool is not _pool:
            return
        with self.lock:
            if waiter.state != WAITING:
                return
            self._leave(waiter)
        waiter.resolve()

    def _leave(self, waiter: Waiter) -> None:
        waiter.state = GONE
        was_first = self.waiters[0] is waiter
        try:
            self.waiters.remove(waiter)
        except ValueError:
            return
        if was_first:  # for whom the thread waits
            self.cancel.cancel()

    def closed(self) -> None:
        self.cancel.cancel()

    # ---- by whoever has units in hand, or an error

    def _next(self, n: int | None) -> Waiter | None:
        """Under the lock: the first in the queue, if it wants n units (None: whatever)."""
        if self.waiters and n in (None, self.waiters[0].n):
            return self.waiters.popleft()
        return None

    def grant(self, n: int, told: int | None) -> None:
        """Hands n units on, or gives them back; and then what else is free."""
        granted: dict[asyncio.AbstractEventLoop, list[Waiter]] = {}
        while told is not None:
            with self.lock:
                waiter = self._next(n)
                if waiter is not None:
                    waiter.state = GRANTED
                    waiter.told = told
            if waiter is None:
                self._give_back(n)
                break
            granted.setdefault(waiter.loop, []).append(waiter)
            n, told = self._take_more()
        for loop, waiters in granted.items():
            self._tell_loop(loop, waiters)

    def _take_more(self) -> tuple[int, int | None]:
        with self.lock:
            n = self.waiters[0].n if self.waiters else 0
        try:
            return n, self.semaphore._try(n) if n else None
        except (OSError, ValueError):  # the thread's wait will say so too
            return n, None

    def _give_back(self, n: int) -> None:
        try:
            self.semaphore.release(n)
        except ValueError:  # closed: it went back then
            pass

    def _tell_loop(self, loop: asyncio.AbstractEventLoop, waiters: list[Waiter]) -> None:
        try:
            loop.call_soon_threadsafe(resolve_all, waiters)
        except RuntimeError:  # the loop is closed, its tasks will never run
            for waiter in waiters:
                self.withdraw(waiter)

    def fail(self, error: Exception) -> None:
        with self.lock:
            waiter = self._next(None)
            if waiter is not None:
                waiter.state = GONE
                waiter.error = error
        if waiter is not None:
            self._tell_loop(waiter.loop, [waiter])

    # ---- by a thread of the pool

    def serve(self) -> bool:
        """Until nobody waits: True. Or for a slice, if others want the thread."""
        while True:
            with self.lock:
                self.cancel.reset()
                if not self.waiters or self.pool.stopping:
                    self.is_served = False
                    return True
                n = self.waiters[0].n
            limit = SLICE if self.pool.is_crowded() else None
            try:
                told = self.semaphore._wait(n, self.cancel, limit)
            except (OSError, ValueError, MemoryError) as error:
                self.fail(error)
                continue
            self.grant(n, told)
            if limit is not None:
                return False


class Pool:
    """The threads of this process that wait for tasks."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.ready: Deque[Queue] = collections.deque()  # queues that want a thread
        self.busy: set[Queue] = set()  # queues that have one
        self.threads: set[threading.Thread] = set()
        self.idle = 0
        self.stopping = False
        self.registered = False

    def is_crowded(self) -> bool:
        return bool(self.ready) and not self.idle

    def serve(self, queue: Queue) -> None:
        with self.condition:
            self.ready.append(queue)
            if len(self.ready) <= self.idle:
                self.condition.notify()
                return
            if len(self.threads) < THREADS_MAX and self._start():
                return
            for other in self.busy:  # they begin to go round
                other.cancel.cancel()

    def _start(self) -> bool:
        if not self.registered:
            self.registered = True
            atexit.register(self.stop)
        try:
            thread = threading.Thread(target=self._run, name="semundo-wait", daemon=True)
        except RuntimeError:  # some subinterpreters have no daemon threads
            thread = threading.Thread(target=self._run, name="semundo-wait")
        try:
            thread.start()
        except RuntimeError:  # no more threads; those that are here do it
            if self.threads:
                return False
            raise
        self.threads.add(thread)
        return True

    def _take(self) -> Queue | None:
        """The next queue, or None after a while without one."""
        end = time.monotonic() + IDLE
        with self.condition:
            self.idle += 1
            while not self.ready and not self.stopping:
                if not self.condition.wait(end - time.monotonic()) and not self.ready:
                    break
            self.idle -= 1
            if not self.ready or self.stopping:
                self.threads.discard(threading.current_thread())
                return None
            queue = self.ready.popleft()
            self.busy.add(queue)
            return queue

    def _run(self) -> None:
        while True:
            queue = self._take()
            if queue is None:
                return
            done = queue.serve()
            with self.condition:
                self.busy.discard(queue)
                if not done:
                    self.ready.append(queue)
            del queue

    def stop(self) -> None:
        """At the end of the interpreter: no thread is left inside the library."""
        with self.condition:
            self.stopping = True
            self.condition.notify_all()
            threads = list(self.threads)
            for queue in self.busy:
                queue.cancel.cancel()
        for thread in threads:
            thread.join(5)


_pool = Pool()


def _forget() -> None:
    """A child made by fork has none of its parent's threads and tasks."""
    global _pool
    _pool = Pool()


os.register_at_fork(after_in_child=_forget)


def _queue_of(semaphore: _Async) -> Queue:
    queue = semaphore._queue
    if queue is None or queue.pool is not _pool:
        queue = semaphore._queue = Queue(semaphore, _pool)
    return queue


async def acquire(semaphore: _Async, n: int, timeout: float | None) -> bool:
    queue = semaphore._queue
    alone = queue is None or not queue.waiters or queue.pool is not _pool
    if alone or (n > 1 and n > semaphore.capacity):  # which is an error, now
        told = semaphore._try(n)
        if told is not None:
            semaphore._tell(told, n)
            return True
    if timeout is not None and timeout <= 0:
        return False
    queue = _queue_of(semaphore)
    loop = asyncio.get_running_loop()
    waiter = Waiter(n, loop)
    timer = None if timeout is None else loop.call_later(timeout, queue.expire, waiter)
    queue.add(waiter)
    try:
        got = await waiter.future
    except BaseException:
        queue.withdraw(waiter)
        raise
    finally:
        if timer is not None:
            timer.cancel()
    if got:
        semaphore._tell(waiter.told, n)
    return got
