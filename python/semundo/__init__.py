# SPDX-License-Identifier: Apache-2.0
"""Semaphores and locks between processes that survive the death of a holder.

    import semundo

    with semundo.Lock("report"):             # one at a time on this host
        ...
    downloads = semundo.Semaphore("downloads", 3)
    if downloads.acquire(timeout=10):        # or: async with downloads: ...
        try:
            ...
        finally:
            downloads.release()

A process that is killed while it holds a unit loses it: the unit comes back,
and the next one to acquire finds in `recovered` who died. The classes have the
interface of their namesakes in threading and multiprocessing:

Lock            one unit, one owner; any process may release it
RLock           a Lock that its owner, a thread, may acquire again
Semaphore       units that a process holds; only a holder may release
BoundedSemaphore   the same
Signal          a plain counter: nothing is held, nothing comes back
NamedSemaphore  that of named-semaphores: by default one of sem_open(3)

Without a name a semaphore is shared with the child processes only.
"""
from ._broken import BrokenQueue
from ._core import BoundedSemaphore, Lock, RLock, Semaphore, Signal, names, unlink
from ._ext import (AccessError, Death, Error, ExistsError, FullError, InvalidError, NotFoundError,
                   NotHeldError, NotSupportedError, Peer, TimeoutError, directory)
from ._ext import library_version as __version__
from ._named import Flags, NamedSemaphore

__all__ = [
    "AccessError",
    "BoundedSemaphore",
    "BrokenQueue",
    "Death",
    "Error",
    "ExistsError",
    "Flags",
    "FullError",
    "InvalidError",
    "Lock",
    "NamedSemaphore",
    "NotFoundError",
    "NotHeldError",
    "NotSupportedError",
    "Peer",
    "RLock",
    "Semaphore",
    "Signal",
    "TimeoutError",
    "__version__",
    "directory",
    "names",
    "unlink",
]
