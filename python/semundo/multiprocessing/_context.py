# SPDX-License-Identifier: Apache-2.0
"""The three contexts: those of multiprocessing with the classes of this package."""
from __future__ import annotations

import multiprocessing
from multiprocessing import context
from typing import Any, Callable, Dict, Iterable

from ._barrier import Barrier
from ._condition import Condition, Event
from ._pool import Pool
from ._queues import JoinableQueue, Queue, SimpleQueue
from ._semlock import BoundedSemaphore, Lock, RLock, Semaphore


class _Ours:
    """The methods in which a context of this package differs from multiprocessing's."""

    _name: str

    def get_context(self, method: str | None = None) -> Any:
        """This context, or that of another start method."""
        return self if method is None else get_context(method)

    def Lock(self) -> Any:
        """A lock that comes back when the process that holds it dies."""
        return Lock(ctx=self)

    def RLock(self) -> Any:
        """The same, for a thread that may acquire it again."""
        return RLock(ctx=self)

    def Semaphore(self, value: int = 1, *, undo: bool = False) -> Any:
        """A counter. undo: what a process took of it comes back when it dies."""
        return Semaphore(value, ctx=self, undo=undo)

    def BoundedSemaphore(self, value: int = 1, *, undo: bool = False) -> Any:
        """A counter that does not get above its first value."""
        return BoundedSemaphore(value, ctx=self, undo=undo)

    def Condition(self, lock: Any = None) -> Any:
        """A condition whose waiters may die."""
        return Condition(lock, ctx=self)

    def Event(self) -> Any:
        """An event."""
        return Event(ctx=self)

    def Barrier(self, parties: int, action: Callable[[], object] | None = None,
                timeout: float | None = None) -> Any:
        """A barrier that breaks when a process dies that waits in it."""
        return Barrier(parties, action, timeout, ctx=self)

    def Queue(self, maxsize: int = 0) -> Any:
        """A queue that no death leaves in pieces, stuck or full."""
        return Queue(maxsize, ctx=self)

    def JoinableQueue(self, maxsize: int = 0) -> Any:
        """The same with join(), which raises BrokenQueue when a task died with its process."""
        return JoinableQueue(maxsize, ctx=self)

    def SimpleQueue(self) -> Any:
        """A pipe of objects for many."""
        return SimpleQueue(ctx=self)

    def Pool(self, processes: int | None = None,
             initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = (),
             maxtasksperchild: int | None = None) -> Any:
        """A pool in which a task fails with WorkerDied when its process dies."""
        return Pool(processes, initializer, initargs, maxtasksperchild, context=self)


class ForkContext(_Ours, context.ForkContext):
    """multiprocessing's context "fork" with the classes of this package."""


class SpawnContext(_Ours, context.SpawnContext):
    """multiprocessing's context "spawn" with the classes of this package."""


class ForkServerContext(_Ours, context.ForkServerContext):
    """multiprocessing's context "forkserver" with the classes of this package."""


_contexts: Dict[str, Any] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}


def get_context(method: str | None = None) -> Any:
    """The context of a start method; without one that of multiprocessing's default."""
    if method is None:
        method = multiprocessing.get_start_method()
    try:
        return _contexts[method]
    except KeyError:
        raise ValueError(f"there is no start method {method!r}: only fork, spawn and "
                         "forkserver") from None
