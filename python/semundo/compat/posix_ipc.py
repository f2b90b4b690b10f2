# SPDX-License-Identifier: Apache-2.0
"""The Semaphore of posix_ipc, with its functions, constants and exceptions.

    from semundo.compat import posix_ipc
"""
from __future__ import annotations

import errno
import os
import secrets
import string
from os import O_CREAT, O_EXCL
from typing import Any, Callable, NoReturn, TypeVar, Union

from .. import _raw

O_CREX = O_CREAT | O_EXCL
SEMAPHORE_VALUE_MAX = _raw._SEM_VALUE_MAX
SEMAPHORE_TIMEOUT_SUPPORTED = True
SEMAPHORE_VALUE_SUPPORTED = True
MESSAGE_QUEUES_SUPPORTED = False  # not here

__all__ = [
    "BusyError", "Error", "ExistentialError", "MESSAGE_QUEUES_SUPPORTED", "O_CREAT", "O_CREX",
    "O_EXCL", "PermissionsError", "SEMAPHORE_TIMEOUT_SUPPORTED", "SEMAPHORE_VALUE_MAX",
    "SEMAPHORE_VALUE_SUPPORTED", "Semaphore", "SignalError", "unlink_semaphore",
]

Timeout = Union[None, int, float]
_S = TypeVar("_S", bound="Semaphore")


class Error(Exception):
    """What went wrong."""


class SignalError(Error):
    """A signal came while it waited, and its handler returned."""


class PermissionsError(Error):
    """The mode does not let this user do it."""


class ExistentialError(Error):
    """It is there, or it is not there, or it is closed."""


class BusyError(Error):
    """Not within the timeout."""


_CLASSES = {
    errno.EACCES: PermissionsError, errno.EEXIST: ExistentialError,
    errno.ENOENT: ExistentialError, errno.EINVAL: ValueError, errno.ENAMETOOLONG: ValueError,
    errno.ENOMEM: MemoryError, errno.EINTR: SignalError,
}


def _fail(error: OSError) -> NoReturn:
    found = _CLASSES.get(error.errno or 0)
    if found is None:
        raise error
    raise found(error.strerror) from None


def _call(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except OSError as error:
        _fail(error)


def _int(value: Any, what: str, most: int) -> int:
    if not isinstance(value, int):
        raise TypeError(f"The {what} must be an integer, not {value!r}")
    if not 0 <= value <= most:
        raise ValueError(f"The {what} must be between 0 and {most}, not {value}")
    return value


def _open_random(flags: int, mode: int, value: int) -> tuple[str, _raw._PosixSem]:
    while True:
        name = "/" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(12))
        try:
            return name, _raw._PosixSem(name, flags, mode, value)
        except FileExistsError:
            pass


class Semaphore:
    """Semaphore(name, flags=0, mode=0o600, initial_value=0)

    name: a str or bytes; or None, with O_CREX: a random one that is free. flags: 0, O_CREAT or
    O_CREX. One that is there keeps its mode and its value.
    """

    def __init__(self, name: Union[None, str, bytes], flags: int = 0, mode: int = 0o600,
                 initial_value: int = 0) -> None:
        if not (name is None or isinstance(name, (str, bytes))):
            raise TypeError("Name must be None or a string")
        flags = _int(flags, "flags", 0x7FFFFFFF)
        if flags & O_EXCL and not flags & O_CREAT:
            raise ValueError("O_EXCL must be combined with O_CREAT")
        if name is None and not flags & O_EXCL:
            raise ValueError("Name can only be None if O_EXCL is set")
        self._mode = _int(mode, "mode", 0o7777)
        value = _int(initial_value, "initial value", SEMAPHORE_VALUE_MAX)
        if name is None:
            self._name, self._sem = _call(_open_random, flags, mode, value)
        else:
            self._sem = _call(_raw._PosixSem, name, flags, mode, value)
            self._name = os.fsdecode(name)

    def _open(self) -> _raw._PosixSem:
        sem: _raw._PosixSem = self._sem
        if sem.closed:
            raise ExistentialError("The semaphore has been closed")
        return sem

    def acquire(self, timeout: Timeout = None) -> None:
        """Takes a unit; waits for it. BusyError: not in time. SignalError: a signal came, whose
        handler returned; an exception of the handler comes through."""
        if timeout is not None and not (isinstance(timeout, (int, float)) and timeout >= 0):
            raise TypeError("The timeout must be None or a non-negative number")
        if not _call(self._open().wait, timeout, False):
            raise BusyError("Semaphore is busy")

    def release(self) -> None:
        """Adds a unit."""
        _call(self._open().post)

    def close(self) -> None:
        """Lets go of it in this process. unlink() may follow."""
        self._open().close()

    def unlink(self) -> None:
        """Removes its name. Who has it open goes on using it."""
        unlink_semaphore(self._name)

    def __enter__(self: _S) -> _S:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    @property
    def name(self) -> str:
        """The name it was opened with."""
        return str(self._name)

    @property
    def mode(self) -> int:
        """The mode that was asked for."""
        return self._mode

    @property
    def value(self) -> int:
        """Its units."""
        return self._open().value

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f'posix_ipc.Semaphore("{self._name}", mode={self._mode:04o})'


def unlink_semaphore(name: Union[str, bytes]) -> None:
    """Removes the name of a semaphore. Who has it open goes on using it."""
    _call(_raw._sem_unlink, name)
