# SPDX-License-Identifier: Apache-2.0
"""The classes. What is called often is in C; this opens, names and pickles."""
from __future__ import annotations

import errno
import operator
import os
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple, TypeVar, Union

from . import _ext

if TYPE_CHECKING:
    from ._aio import Queue

OnRecover = Optional[Callable[[Any, Tuple[_ext.Death, ...]], object]]
Directory = Union[None, str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
_S = TypeVar("_S", bound="_Shared")
_A = TypeVar("_A", bound="_Async")


def _number(value: Any, least: int, what: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, not {value!r}") from None
    if not least <= number <= 0x7FFFFFFF:
        raise _ext.InvalidError(errno.EINVAL, f"{what} must be {least} or more, not {number}"
                                if number < least else f"{what} of {number} is too large")
    return number


def _path(dir: Directory) -> str | None:
    return None if dir is None else os.path.abspath(os.fsdecode(dir))


def _full_name(name: str | None, engine: str | None) -> str | None:
    """"engine:name" for the library, or None for one without a name."""
    if name is None:
        if engine not in (None, "native", "auto"):
            raise _ext.NotSupportedError(errno.ENOTSUP, "a semaphore without a name is of engine "
                                         f"'native', not {engine!r}")
        return None
    if not isinstance(name, str):
        raise TypeError(f"the name must be a str or None, not {name!r}; the number of units comes "
                        "second: value=...")
    return name if engine is None else f"{engine}:{name}"


class _Hold:
    """What hold() returns: n units, within a time."""

    def __init__(self, semaphore: Any, n: int, timeout: float | None) -> None:
        self._semaphore = semaphore
        self._n = n
        self._timeout = timeout

    def _late(self) -> _ext.TimeoutError:
        return _ext.TimeoutError(errno.ETIMEDOUT, f"cannot acquire {self._semaphore!r}: others "
                                 f"still held it after {self._timeout} s")

    def __enter__(self) -> Any:
        if not self._semaphore.acquire(timeout=self._timeout, n=self._n):
            raise self._late()
        return self._semaphore

    def __exit__(self, *exception: object) -> None:
        self._semaphore.release(self._n)

    async def __aenter__(self) -> Any:
        if not await self._semaphore.acquire_async(self._n, timeout=self._timeout):
            raise self._late()
        return self._semaphore

    async def __aexit__(self, *exception: object) -> None:
        self._semaphore.release(self._n)


class _Shared(_ext._Semaphore):
    """What all have: a name, an engine, a directory, and the way into a pickle."""

    _default_kind = 0
    _full: str | None = None     # name with engine
    _dir: str | None = None      # directory, as an absolute path
    _child_fd: int | None = None # of one without a name, to be passed to children

    def _make(self, name: str | None, engine: str | None, capacity: int, value: int, create: bool,
              exclusive: bool, replace: bool, mode: int, dir: Directory,
              on_recover: OnRecover) -> int:
        """Opens or makes it; returns its capacity."""
        flags = (_ext.CREATE if create or exclusive or replace else 0) \
            | (_ext.EXCL if exclusive else 0) | (_ext.REPLACE if replace else 0)
        full = _full_name(name, engine)
        path = _path(dir)
        self.on_recover = on_recover
        found, _ = self._open(full, flags, self._default_kind, capacity, value,
                              _number(mode, 0, "a mode"), path)
        self._full = full
        if path is None and not (full or "").startswith("posix:"):
            path = _ext.directory()
        self._dir = path
        return found

    def _must_have(self, wanted: int | None, found: int, what: str) -> None:
        if wanted is not None and wanted != found:
            name = self._full
            self.close()
            raise _ext.InvalidError(
                errno.EPROTOTYPE,
                f"'{name}' is there with {what} {found}, not {wanted}: leave the number out to "
                "take it as it is, or see resize()")

    def hold(self, n: int = 1, *, timeout: float | None = None) -> _Hold:
        """n units for a with or async with block. TimeoutError if they are not free in time."""
        return _Hold(self, n, timeout)

    # ---- names

    @property
    def name(self) -> str | None:
        """Its name, without the engine; None if it has none."""
        return None if self._full is None else self._full.rpartition(":")[2]

    @property
    def engine(self) -> str:
        """What it works with: "native", "posix", "sysv"."""
        return str(self.info()["engine"])

    def unlink(self) -> None:
        """Removes the name at once. Who has it open goes on using it."""
        if self._full is None:
            raise _ext.NotFoundError(errno.ENOENT, f"cannot unlink {self!r}: it has no name")
        _ext._unlink(self._full, self._dir)

    # ---- looking

    def locked(self) -> bool:
        """True if an acquire would have to wait now."""
        return self.value <= 0

    def __repr__(self) -> str:
        cls = type(self)
        name = "anonymous" if self._full is None else repr(self._full)
        if self.closed:
            return f"<{cls.__module__.partition('.')[0]}.{cls.__qualname__} {name} closed>"
        return f"<{cls.__module__.partition('.')[0]}.{cls.__qualname__} {name} {self._state()}>"

    def _state(self) -> str:
        try:
            if self._kind == _ext.SIGNAL:
                return f"value {self.value}"
            return f"value {self.value} of {self.capacity}"
        except OSError as error:
            return f"({error.strerror})"

    # ---- closing and pickling

    def close(self) -> None:
        if self._child_fd is not None:
            os.close(self._child_fd)
            self._child_fd = None
        super().close()

    close.__doc__ = _ext._Semaphore.close.__doc__

    def _descriptor_for_child(self) -> Any:
        from multiprocessing import context, reduction
        if context.get_spawning_popen() is None:
            raise _ext.NotSupportedError(
                errno.ENOTSUP, f"cannot pickle {self!r}: it has no name to find it by. Give it a "
                "name, or pass it to a process as an argument of multiprocessing.Process")
        if self._child_fd is None:
            self._child_fd = self._descriptor()  # open until the child has it
        return reduction.DupFd(self._child_fd)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.closed:
            raise ValueError(f"cannot pickle {self!r}: it is closed")
        found: Any = self._descriptor_for_child() if self._full is None else self._full
        return _rebuild, (type(self), found, self._kind, self._dir)


def _rebuild(cls: type[_S], found: Any, kind: int, dir: str | None) -> _S:
    """From a pickle: it must be there still. on_recover is not in a pickle."""
    self = cls.__new__(cls)
    self._dir = dir
    if isinstance(found, str):
        self._open(found, 0, kind, 0, 0, 0, dir)
        self._full = found
        return self
    descriptor = found.detach()
    try:
        self._open_fd(descriptor, kind, dir)
    finally:
        os.close(descriptor)
    return self


class _Async(_Shared):
    """Waiting in asyncio (see _aio)."""

    _queue: Queue | None = None  # of tasks that wait

    async def acquire_async(self, n: int = 1, *, timeout: float | None = None) -> bool:
        """acquire() for asyncio. A task that is cancelled while it waits has nothing."""
        from . import _aio
        return await _aio.acquire(self, n, timeout)

    async def __aenter__(self: _A) -> _A:
        from . import _aio
        await _aio.acquire(self, 1, None)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.release()

    def close(self) -> None:
        queue = self._queue
        super().close()
        if queue is not None:
            queue.closed()

    close.__doc__ = _ext._Semaphore.close.__doc__


class Lock(_Async):
    """Lock(name=None, *, engine=None, create=True, exclusive=False, replace=False, mode=0o600,
    dir=None, on_recover=None)

    One unit. While it is out, one process owns it: if that dies, the unit comes back and the next
    acquire is told. Two threads of a process exclude each other too. Any thread and any process
    may release it.

    name: None for one without, shared with child processes. With a name it is opened, or made
    where it is not there; create=False only opens it, exclusive=True only makes it, replace=True
    puts a new one in the place of the old.
    """

    _default_kind = _ext.LOCK

    def __init__(self, name: str | None = None, *, engine: str | None = None, create: bool = True,
                 exclusive: bool = False, replace: bool = False, mode: int = 0o600,
                 dir: Directory = None, on_recover: OnRecover = None) -> None:
        self._make(name, engine, 1, 0, create, exclusive, replace, mode, dir, on_recover)


class RLock(_Shared, _ext._RLock):
    """RLock(name=None, *, engine=None, create=True, exclusive=False, replace=False, mode=0o600,
    dir=None, on_recover=None)

    A Lock whose owner, one thread of one process, may acquire it again; it is free when it was
    released as often. A child made by fork does not own it. Not for asyncio, where tasks share a
    thread. The arguments are those of Lock.
    """

    _default_kind = _ext.LOCK

    def __init__(self, name: str | None = None, *, engine: str | None = None, create: bool = True,
                 exclusive: bool = False, replace: bool = False, mode: int = 0o600,
                 dir: Directory = None, on_recover: OnRecover = None) -> None:
        self._make(name, engine, 1, 0, create, exclusive, replace, mode, dir, on_recover)

    # What threading.Condition asks of a lock that is owned more than once.

    def _release_save(self) -> int:
        count = 0
        while self._is_owned():
            self.release()
            count += 1
        return count

    def _acquire_restore(self, count: int) -> None:
        for _ in range(count):
            self.acquire()


class Semaphore(_Async):
    """Semaphore(name=None, value=None, *, engine=None, create=True, exclusive=False,
    replace=False, mode=0o600, dir=None, on_recover=None)

    As many units as `value` says (1 where it is left out). A process holds what it acquired: if it
    dies, that comes back, and the next acquire is told. Only a process that holds units may
    release them; for one that acquires here and releases there see Signal.

    One that is there must have that many units, if `value` is given. The other arguments are those
    of Lock.
    """

    _default_kind = _ext.PERMITS

    def __init__(self, name: str | None = None, value: int | None = None, *,
                 engine: str | None = None, create: bool = True,
                 exclusive: bool = False, replace: bool = False, mode: int = 0o600,
                 dir: Directory = None, on_recover: OnRecover = None) -> None:
        capacity = None if value is None else _number(
            value, 1, "the number of units (for one that starts at 0 see Signal)")
        found = self._make(name, engine, capacity or 0, 0, create, exclusive, replace, mode, dir,
                           on_recover)
        self._must_have(capacity, found, "capacity")


class BoundedSemaphore(Semaphore):
    """A Semaphore. That never has more units than it began with, too."""


class Signal(_Async):
    """Signal(name=None, value=0, *, maximum=None, engine=None, create=True, exclusive=False,
    replace=False, mode=0o600, dir=None, on_recover=None)

    A counter that anybody may raise (release) and lower (acquire, which waits while it is 0).
    Nothing is held, so nothing comes back when a process dies: what was sent stays sent.

    `value` is what a new one starts with. One that is there must have that `maximum`, if it is
    given. The other arguments are those of Lock.
    """

    _default_kind = _ext.SIGNAL

    def __init__(self, name: str | None = None, value: int = 0, *, maximum: int | None = None,
                 engine: str | None = None, create: bool = True,
                 exclusive: bool = False, replace: bool = False, mode: int = 0o600,
                 dir: Directory = None, on_recover: OnRecover = None) -> None:
        first = _number(value, 0, "the first value")
        most = None if maximum is None else _number(maximum, 1, "the maximum")
        found = self._make(name, engine, most or 0, first, create, exclusive, replace, mode, dir,
                           on_recover)
        self._must_have(most, found, "maximum")


def unlink(name: str, *, engine: str | None = None, dir: Directory = None) -> None:
    """Removes the name of a semaphore at once. Who has it open goes on using it."""
    full = _full_name(name, engine)
    if full is None:
        raise TypeError("a name is needed")
    _ext._unlink(full, _path(dir))


def names(dir: Directory = None) -> list[str]:
    """The names of the semaphores in a directory, sorted."""
    return sorted(_ext._names(_path(dir)))
