# SPDX-License-Identifier: Apache-2.0
"""multiprocessing that does not hang when a process is killed that holds a lock.

    from semundo.multiprocessing import get_context

    ctx = get_context("spawn")
    lock = ctx.Lock()                        # and the other classes, as in multiprocessing

or, for a whole program and its children:

    import semundo.multiprocessing
    semundo.multiprocessing.install()

or without a change: python -m semundo.multiprocessing program.py

What the death of a process means for each class is said in doc/multiprocessing.md.
"""
from .._broken import BrokenQueue, WorkerDied
from .._ext import SemLock, sem_unlink
from ._barrier import Barrier
from ._condition import Condition, Event
from ._context import get_context
from ._install import install
from ._pool import Pool
from ._queues import JoinableQueue, Queue, SimpleQueue
from ._semlock import BoundedSemaphore, Lock, RLock, Semaphore

SEM_VALUE_MAX = SemLock.SEM_VALUE_MAX

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "BrokenQueue",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Pool",
    "Queue",
    "RLock",
    "SEM_VALUE_MAX",
    "SemLock",
    "Semaphore",
    "SimpleQueue",
    "WorkerDied",
    "get_context",
    "install",
    "sem_unlink",
]
