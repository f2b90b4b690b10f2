# SPDX-License-Identifier: Apache-2.0
"""Lock, RLock, Semaphore and BoundedSemaphore: multiprocessing's interface over SemLock.

They have no name, so that nothing is left behind whoever is killed when. A child that is not
forked gets a descriptor, so that nothing can be gone when the child looks for it; those of a
fork context keep none. With the
engines sysv and posix, which have names only, they do as multiprocessing's own do.
"""
from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing import context, process, reduction, resource_tracker, util
from typing import Any, Tuple

from .. import _ext
from ._tracker import use_tracker

RECURSIVE_MUTEX, SEMAPHORE = 0, 1
SEM_VALUE_MAX = _ext.SemLock.SEM_VALUE_MAX


class Descriptor:
    """A descriptor that is closed with this object."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self, close: Any = os.close) -> None:
        close(self.number)


def assert_for_fork(obj: object, is_fork_ctx: bool) -> None:
    """What a fork context made goes to forked children only, as in multiprocessing."""
    context.assert_spawning(obj)
    if is_fork_ctx:
        raise RuntimeError(f"A SemLock created in a fork context cannot be passed to a process "
                           f"that is not forked: make the {type(obj).__name__} with the context "
                           "that makes the process")


class SemLock:
    """What the classes share: a _semlock, and the way to children."""

    _child_fd: Descriptor | None = None  # for children; open as long as this object is

    def __init__(self, kind: int, value: int, maxvalue: int, *, ctx: Any,
                 undo: bool = False) -> None:
        if ctx is None:
            ctx = multiprocessing.get_context()
        self._is_fork_ctx = ctx.get_start_method() == "fork"
        self._engine = _ext.semlock_engine()
        self._dir = _ext.directory()
        unlink = self._is_fork_ctx or self._engine == "native"
        self._semlock = self._create((kind, value, maxvalue), unlink, undo)
        self._set_up()
        if self._semlock.name is not None:
            self._track(self._semlock.name)

    def _track(self, name: str) -> None:
        """The name goes with this object, or with its last user if there is no time for that."""
        full = f"{self._engine}:{name.lstrip('/')}"
        known_as = full
        if self._engine == "posix":
            known_as = name  # as to Python's own tracker
        else:
            use_tracker()    # Python's cannot remove it
        resource_tracker.register(known_as, "semaphore")
        util.Finalize(self, _unlink, (full, known_as, self._dir), exitpriority=0)

    def _create(self, numbers: Tuple[int, int, int], unlink: bool, undo: bool) -> _ext.SemLock:
        for _ in range(100):
            try:
                return _ext.SemLock(*numbers, _random_name(), unlink, undo=undo,
                                    descriptor=not self._is_fork_ctx)
            except FileExistsError:
                pass
        raise FileExistsError("no name for a semaphore was free in 100 attempts")

    def _set_up(self) -> None:
        self.acquire = self._semlock.acquire
        self.release = self._semlock.release
        util.register_after_fork(self, _after_fork)

    def __enter__(self) -> bool:
        return self._semlock.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._semlock.__exit__(*exception)

    def locked(self) -> bool:
        """An acquire would have to wait now."""
        return self._semlock._is_zero()

    @property
    def recovered(self) -> Tuple[_ext.Death, ...]:
        """Who died holding it, if this thread's latest acquire was told: a tuple of Death."""
        return self._semlock.recovered

    # ---- to children

    def _for_child(self) -> Any:
        if self._semlock.name is not None:
            return self._semlock.name
        if self._child_fd is None:
            self._child_fd = Descriptor(self._semlock._descriptor())
        return reduction.DupFd(self._child_fd.number)

    def __getstate__(self) -> Tuple[Any, ...]:
        assert_for_fork(self, self._is_fork_ctx)
        sl = self._semlock
        return self._for_child(), sl.kind, sl.maxvalue, self._engine, self._dir

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        found, kind, maxvalue, self._engine, self._dir = state
        self._is_fork_ctx = False
        if isinstance(found, str):
            self._semlock = _by_name(found, kind, maxvalue, self._engine)
        else:
            received = Descriptor(found.detach())
            self._semlock = _ext.SemLock._open_fd(received.number, kind, maxvalue, self._dir)
        self._set_up()

    def _owner(self) -> str:
        """For people: who has it."""
        if self._semlock._is_mine():
            thread = threading.current_thread().name
            name = process.current_process().name
            return name if thread == "MainThread" else f"{name}|{thread}"
        if self._semlock._get_value() == 1:
            return "None"
        return "SomeOtherThread" if self._semlock._count() > 0 else "SomeOtherProcess"


def _random_name() -> str:
    config: Any = getattr(process.current_process(), "_config")
    return f"{config['semprefix']}-{os.urandom(6).hex()}"


def _after_fork(obj: SemLock) -> None:
    obj._semlock._after_fork()


def _unlink(full: str, known_as: str, directory: str) -> None:
    _ext._unlink(full, directory)
    resource_tracker.unregister(known_as, "semaphore")


def _by_name(name: str, kind: int, maxvalue: int, engine: str) -> _ext.SemLock:
    before = _ext.semlock_engine()
    _ext.semlock_engine(engine)
    try:
        return _ext.SemLock._rebuild(0, kind, maxvalue, name)
    finally:
        _ext.semlock_engine(before)


class Lock(SemLock):
    """multiprocessing.Lock that comes back when the process that holds it dies; `recovered`
    tells the next owner."""

    def __init__(self, *, ctx: Any) -> None:
        super().__init__(SEMAPHORE, 1, 1, ctx=ctx)

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__}(owner={self._owner()})>"
        except OSError:
            return f"<{type(self).__name__}(owner=unknown)>"


class RLock(SemLock):
    """multiprocessing.RLock that comes back when the process that owns it dies."""

    def __init__(self, *, ctx: Any) -> None:
        super().__init__(RECURSIVE_MUTEX, 1, 1, ctx=ctx)

    def __repr__(self) -> str:
        try:
            owner = self._owner()
        except OSError:
            return f"<{type(self).__name__}(unknown, unknown)>"
        mine = self._semlock._is_mine()
        times = self._semlock._count() if mine else 0 if owner == "None" else "nonzero"
        return f"<{type(self).__name__}({owner}, {times})>"


class Semaphore(SemLock):
    """multiprocessing.Semaphore, a counter that anybody may raise. With undo=True what a process
    took comes back when it dies, and nobody else may give it back."""

    def __init__(self, value: int = 1, *, ctx: Any, undo: bool = False) -> None:
        super().__init__(SEMAPHORE, value, SEM_VALUE_MAX, ctx=ctx, undo=undo)

    def get_value(self) -> int:
        """Its value now."""
        return self._semlock._get_value()

    def _value(self) -> Any:
        try:
            return self._semlock._get_value()
        except OSError:
            return "unknown"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self._value()})>"


class BoundedSemaphore(Semaphore):
    """A Semaphore that refuses to be raised above its first value, however many try at once."""

    def __init__(self, value: int = 1, *, ctx: Any, undo: bool = False) -> None:
        SemLock.__init__(self, SEMAPHORE, value, value, ctx=ctx, undo=undo)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self._value()}, maxvalue={self._semlock.maxvalue})>"
