# SPDX-License-Identifier: Apache-2.0
"""Condition and Event, which go on when a process dies that waits.

Who sleeps is counted by units that are held, so the dead are not counted. What was notified is
a counter of its own. A notification that a process took with it when it died may have been
meant for others: they look, now and then, and wake as if they were notified.
"""
from __future__ import annotations

import sys
import time
from multiprocessing import heap
from typing import Any, Callable, Tuple, TypeVar

from .. import _core, _ext
from ._semlock import assert_for_fork

_T = TypeVar("_T")

FIRST, LAST = 0.1, 1.0  # seconds until a waiter looks for deaths, doubled each time
MANY = 65535  # waiters at most


def _make(semaphore: Any, kind: int, capacity: int, ctx: Any) -> None:
    """Without a name; with a descriptor if its context may ask for one."""
    forks = ctx.get_start_method() == "fork"
    semaphore._dir = _ext.directory()
    semaphore._open(None, _ext.NO_DESCRIPTOR if forks else 0, kind, capacity, 0, 0, semaphore._dir)


class Units(_core.Semaphore):
    """Units that come back when their holder dies. As long as its owner, so no warning."""

    def __init__(self, *, ctx: Any) -> None:
        _make(self, _ext.PERMITS, MANY, ctx)

    def __del__(self) -> None:
        self.close()

    def taken(self) -> int:
        return MANY - self.value

    def dead(self) -> int:
        """Number of the last holder that died."""
        self.recover()
        return self.known_dead()

    def known_dead(self) -> int:
        """The same, of those whose death somebody noticed; without a system call."""
        deaths = self.deaths()
        return deaths[0].number if deaths else 0


class Counter(_core.Signal):
    """Nothing comes back."""

    def __init__(self, *, ctx: Any) -> None:
        _make(self, _ext.SIGNAL, 0, ctx)

    def __del__(self) -> None:
        self.close()


class Words:
    """Whole numbers in memory that processes share."""

    def __init__(self, count: int) -> None:
        self.__setstate__((heap.BufferWrapper(8 * count),))
        for i in range(count):
            self[i] = 0

    def __getstate__(self) -> Tuple[Any, ...]:
        return (self._wrapper,)

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self._wrapper, = state
        self._view: Any = self._wrapper.create_memoryview().cast("q")

    def __getitem__(self, i: int) -> int:
        return int(self._view[i])

    def __setitem__(self, i: int, value: int) -> None:
        self._view[i] = value


class Deadline:
    """Of a wait in slices."""

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout
        self._slice = FIRST

    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def slice(self) -> float:
        """Seconds until the next look."""
        left, now = self.left(), self._slice
        self._slice = min(2 * now, LAST)
        return now if left is None else min(left, now)

    def over(self) -> bool:
        return self.left() == 0


class _Number:
    """What looks like a semaphore of multiprocessing's Condition."""

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        return self._value


class Condition:
    """multiprocessing.Condition. A process may die while it waits: the others are notified as
    before. If it may have taken a notification with it, they wake as if notified; so wait in a
    loop, or use wait_for()."""

    def __init__(self, lock: Any = None, *, ctx: Any) -> None:
        self._lock = lock or ctx.RLock()
        self._is_fork_ctx = ctx.get_start_method() == "fork"
        self._sleepers = Units(ctx=ctx)  # one for each thread that sleeps
        self._roused = Units(ctx=ctx)    # one for each that was notified and does not have the lock yet
        self._tokens = Counter(ctx=ctx)  # notifications that nobody took yet
        self._posted = Words(1)   # how often something was notified; written under the lock
        self._set_up()

    def _set_up(self) -> None:
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __getstate__(self) -> Tuple[Any, ...]:
        assert_for_fork(self, self._is_fork_ctx)
        return self._lock, self._sleepers, self._roused, self._tokens, self._posted

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self._lock, self._sleepers, self._roused, self._tokens, self._posted = state
        self._is_fork_ctx = False
        self._set_up()

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *exception: object) -> None:
        self._lock.__exit__(*exception)

    def __repr__(self) -> str:
        try:
            waiters: Any = self._sleepers.taken()
        except OSError:
            waiters = "unknown"
        return f"<{type(self).__name__}({self._lock}, {waiters})>"

    @property
    def recovered(self) -> Tuple[Any, ...]:
        """That of its lock."""
        found: Tuple[Any, ...] = self._lock.recovered
        return found

    # The numbers that multiprocessing's Condition keeps, for who looks at them.

    @property
    def _sleeping_count(self) -> _Number:
        return _Number(self._sleepers.taken())

    @property
    def _woken_count(self) -> _Number:
        return _Number(0)

    @property
    def _wait_semaphore(self) -> _Number:
        return _Number(min(self._tokens.value, self._sleepers.taken()))

    # ---- waiting

    def wait(self, timeout: float | None = None) -> bool:
        """Gives the lock back, sleeps until notified and takes the lock: True. False after
        `timeout` seconds."""
        if not self._lock._semlock._is_mine():
            raise AssertionError("acquire() the condition before wait()")
        deadline = Deadline(timeout)
        known = self._posted[0], self._sleepers.known_dead() + self._roused.known_dead()
        return self._wait(lambda: self._sleep(deadline, known))

    def _wait_slice(self, deadline: Deadline) -> None:
        """For those who look for themselves what became of it."""
        self._wait(lambda: self._take(deadline.slice()))

    def _wait(self, sleep: Callable[[], bool]) -> bool:
        self._settle()
        if not self._sleepers.acquire(blocking=False):
            raise OverflowError(f"{MANY} threads wait for this condition already")
        times = self._lock._semlock._count()
        for _ in range(times):
            self._lock.release()
        notified = False
        try:
            notified = sleep()
            return notified
        finally:
            self._sleepers.release()
            try:
                for _ in range(times):
                    self._lock.acquire()
            finally:
                if notified:
                    self._roused.release()

    def _take(self, timeout: float) -> bool:
        if not self._tokens.acquire(timeout=timeout):
            return False
        self._roused.acquire()
        return True

    def _settle(self) -> None:
        """Those who were notified are awake before anybody else sleeps: a newcomer would take
        what is not for it. With the lock in hand."""
        pause = 0.001
        while self._tokens.value > 0:
            self._sleepers.recover()
            if not self._sleepers.taken():
                while self._tokens.acquire(blocking=False):
                    pass  # meant for some that timed out or died
                return
            self._sleepers.wait_idle(timeout=pause)
            pause = min(2 * pause, 0.05)

    def _sleep(self, deadline: Deadline, known: Tuple[int, int]) -> bool:
        while not self._take(deadline.slice()):
            known, wake = self._look(known)
            if wake:
                self._roused.acquire()
                return True
            if deadline.over():
                return False
        return True

    def _dead(self) -> int:
        return self._sleepers.dead() + self._roused.dead()

    def _look(self, known: Tuple[int, int]) -> Tuple[Tuple[int, int], bool]:
        """Somebody died, and something was notified that it may have taken."""
        posted, dead = self._posted[0], self._dead()
        if posted == known[0]:
            return (posted, dead), False  # it had nothing to take
        return known, dead != known[1]

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Waits until predicate() is true, or for `timeout` seconds; returns what it says."""
        deadline = Deadline(timeout)
        result = predicate()
        while not result and not deadline.over():
            self.wait(deadline.left())
            result = predicate()
        return result

    # ---- notifying

    def notify(self, n: int = 1) -> None:
        """Wakes n of those who sleep."""
        if not self._lock._semlock._is_mine():
            raise AssertionError("acquire() the condition before notify()")
        wake = min(n, self._sleepers.taken() - self._tokens.value)
        if wake > 0:
            self._posted[0] += 1
            self._tokens.release(wake)

    def notify_all(self) -> None:
        """Wakes all of those who sleep."""
        self.notify(sys.maxsize)


class Event:
    """multiprocessing.Event. Processes may die while they set it, clear it or wait for it."""

    def __init__(self, *, ctx: Any) -> None:
        self._cond = Condition(ctx.Lock(), ctx=ctx)
        self._word = Words(1)  # 2 * number of set()s, + 1 while it is set: one store each

    def is_set(self) -> bool:
        """It is set."""
        return bool(self._word[0] & 1)

    def set(self) -> None:
        """Sets it and wakes all."""
        with self._cond:
            self._word[0] = (self._word[0] | 1) + 2
            self._cond.notify_all()

    def clear(self) -> None:
        """From now on wait() waits."""
        with self._cond:
            self._word[0] &= ~1

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is set: True. False after `timeout` seconds. Whoever sets it may die before
        it wakes anybody, so it is looked at now and then."""
        deadline = Deadline(timeout)
        with self._cond:
            before = self._word[0]
            while not self.is_set() and self._word[0] >> 1 == before >> 1:
                if deadline.over():
                    return False
                self._cond._wait_slice(deadline)
            return True

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} at {id(self):#x} {'set' if self.is_set() else 'unset'}>"
