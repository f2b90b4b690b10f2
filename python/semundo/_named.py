# SPDX-License-Identifier: Apache-2.0
"""NamedSemaphore: the interface of the package named-semaphores."""
from __future__ import annotations

import enum
import errno
import math
import numbers
import os
from typing import Any, Callable, Optional, TypeVar, Union

from . import _core, _ext, _raw

_N = TypeVar("_N", bound="NamedSemaphore")
_MAX = _raw._SEM_VALUE_MAX


class Flags(enum.Enum):
    """What to do about a name that is there, or is not."""

    RAISE_IF_EXISTS = 0
    LINK_OR_CREATE = 1
    RAISE_IF_NOT_EXISTS = 2
    UNLINK_AND_CREATE = 3


class _Posix:
    """One of sem_open(3)."""

    def __init__(self, name: str, create: bool, value: int) -> None:
        self._name = name
        self._sem = _raw._PosixSem(name, os.O_CREAT | os.O_EXCL if create else 0, 0o600, value)
        self.close = self._sem.close

    @property
    def value(self) -> int:
        return self._sem.value

    def take(self, timeout: Optional[float]) -> bool:
        return self._sem.wait(timeout, True)

    def give(self, n: int) -> None:
        if n > _MAX - self._sem.value:
            raise OSError(errno.EOVERFLOW, f"cannot release {n} units of '{self._name}': its value "
                          f"would pass {_MAX}")
        for _ in range(n):
            self._sem.post()

    def is_named(self) -> bool:
        return not self._sem.closed and self._sem.is_named(self._name)

    @staticmethod
    def unlink(name: str) -> None:
        _raw._sem_unlink(name)


class _Native:
    """A semundo.Semaphore: what a process holds comes back when it dies."""

    def __init__(self, name: str, create: bool, value: int) -> None:
        self._name = name[1:]
        self._sem = _core.Semaphore(self._name, value if create else None, engine="native",
                                    create=create, exclusive=create)
        self.close = self._sem.close
        self.give = self._sem.release

    @property
    def value(self) -> int:
        return self._sem.value

    def take(self, timeout: Optional[float]) -> bool:
        return self._sem.acquire(timeout=timeout)

    def is_named(self) -> bool:
        if self._sem.closed:
            return False
        inode = self._sem.info()["inode"]
        try:
            there = _core.Semaphore(self._name, engine="native", create=False)
        except _ext.Error:
            return False
        try:
            return bool(there.info()["inode"] == inode)
        finally:
            there.close()

    @staticmethod
    def unlink(name: str) -> None:
        _core.unlink(name[1:], engine="native")


_Engine = Union[_Posix, _Native]
_Flags = Flags  # the class below has an attribute of that name
_ENGINES: dict[str, Any] = {"posix": _Posix, "native": _Native}


def _full_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"the name must be a str, not {name!r}")
    rest = name[1:] if name.startswith("/") else name
    if not rest or not all(c.isalnum() or c in "-_" for c in rest):
        raise ValueError("a name has letters, digits, '-' and '_', after a '/' or without; "
                         f"not {name!r}")
    return "/" + rest


def _value(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MAX:
        raise ValueError(f"the initial value must be from 0 to {_MAX}, not {value!r}")
    return int(value)


def _open(make: Callable[[str, bool, int], _Engine], name: str, value: int,
          how: Flags) -> tuple[_Engine, bool]:
    """It, and whether it was there."""
    if how is Flags.RAISE_IF_EXISTS:
        return make(name, True, value), False
    if how is Flags.RAISE_IF_NOT_EXISTS:
        return make(name, False, value), True
    while True:  # as long as others make and remove it in between
        try:
            if how is Flags.LINK_OR_CREATE:
                return make(name, False, value), True
            make.unlink(name)  # type: ignore[attr-defined]
        except FileNotFoundError:
            pass
        try:
            return make(name, True, value), False
        except FileExistsError:
            pass


class NamedSemaphore:
    """NamedSemaphore(name, initial_value=1, handle_existence=Flags.LINK_OR_CREATE,
    unlink_on_delete=None, *, engine="posix")

    A counter that any process of this host may open by its name, raise and lower.

    handle_existence: RAISE_IF_EXISTS only makes it, RAISE_IF_NOT_EXISTS only opens it,
    LINK_OR_CREATE does either, UNLINK_AND_CREATE puts a new one in the place of the old. One that
    is there keeps its value. unlink_on_delete: remove the name when this object goes; None: if it
    made the semaphore. Only the process that made the object removes the name, and only as long
    as it leads to this semaphore.

    engine: "posix", that of sem_open(3), which programs in any language see; what a process took
    stays taken when it dies. "native": that of semundo.Semaphore, from which it comes back; there
    only a process that holds a unit may release it.
    """

    Flags = Flags

    _engine: Optional[_Engine] = None
    _unlink = False

    def __init__(self, name: str, initial_value: int = 1,
                 handle_existence: _Flags = Flags.LINK_OR_CREATE,
                 unlink_on_delete: Optional[bool] = None, *, engine: str = "posix") -> None:
        self._name = _full_name(name)
        value = _value(initial_value)
        if not isinstance(handle_existence, Flags):
            raise ValueError(f"handle_existence must be of Flags, not {handle_existence!r}")
        if engine not in _ENGINES:
            raise ValueError(f"the engine is one of {', '.join(_ENGINES)}, not {engine!r}")
        self._process = os.getpid()
        try:
            self._engine, self._linked = _open(_ENGINES[engine], self._name, value,
                                               handle_existence)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENAMETOOLONG) and \
                    not isinstance(error, ValueError):
                raise ValueError(error.strerror) from None
            raise
        self._unlink = not self._linked if unlink_on_delete is None else bool(unlink_on_delete)

    def _opened(self) -> _Engine:
        if self._engine is None:
            raise ValueError(f"{self!r} is closed")
        return self._engine

    @property
    def name(self) -> str:
        """Its name, with the '/'."""
        return self._name

    @property
    def value(self) -> int:
        """Its units."""
        return self._opened().value

    @property
    def linked_existing_semaphore(self) -> bool:
        """It was there already."""
        return self._linked

    @property
    def unlink_on_delete(self) -> bool:
        """The name goes with this object."""
        return self._unlink

    def acquire(self, blocking: bool = True, timeout: Optional[float] = None) -> bool:
        """Takes a unit. False: not within the timeout, in seconds, or not at once."""
        if not isinstance(blocking, bool):
            raise ValueError(f"blocking must be True or False, not {blocking!r}")
        if timeout is not None:
            if not blocking:
                raise ValueError("a timeout has no meaning for a non-blocking acquire")
            if not isinstance(timeout, numbers.Real) or math.isnan(timeout) or timeout < 0:
                raise ValueError(f"a timeout must be 0 or more seconds, not {timeout!r}")
            timeout = float(timeout)
        return self._opened().take(timeout if blocking else 0)

    def release(self, n: int = 1) -> None:
        """Adds n units."""
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be 1 or more units, not {n!r}")
        self._opened().give(n)

    def unlink(self) -> None:
        """Removes the name at once. Who has it open goes on using it."""
        _ENGINES["posix" if isinstance(self._opened(), _Posix) else "native"].unlink(self._name)

    def close(self) -> None:
        """What `del` does: lets go of it, and removes the name if unlink_on_delete says so."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            if self._unlink and self._process == os.getpid() and engine.is_named():
                engine.unlink(self._name)
        except FileNotFoundError:
            pass
        finally:
            engine.close()

    def __enter__(self: _N) -> _N:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._engine is None else f"value {self.value}"
        return f"<semundo.NamedSemaphore {self._name!r} {state}>"
