# SPDX-License-Identifier: Apache-2.0
"""The Semaphore of sysv_ipc, with its functions, constants and exceptions.

    from semundo.compat import sysv_ipc
"""
from __future__ import annotations

import errno
import secrets
import warnings
from typing import Any, Callable, NoReturn, Optional, TypeVar, Union

from .. import _raw
from .._raw import IPC_CREAT, IPC_EXCL, IPC_PRIVATE

IPC_CREX = IPC_CREAT | IPC_EXCL
# The module says those of a C long; a key has 32 bits.
KEY_MIN = -0x80000000
KEY_MAX = 0x7FFFFFFF
SEMAPHORE_VALUE_MAX = _raw.SEMVMX
SEMAPHORE_TIMEOUT_SUPPORTED = True

__all__ = [
    "BusyError", "Error", "ExistentialError", "IPC_CREAT", "IPC_CREX", "IPC_EXCL", "IPC_PRIVATE",
    "InternalError", "KEY_MAX", "KEY_MIN", "NotAttachedError", "PermissionsError",
    "SEMAPHORE_TIMEOUT_SUPPORTED", "SEMAPHORE_VALUE_MAX", "Semaphore", "ftok",
    "remove_message_queue", "remove_semaphore", "remove_shared_memory",
]

Timeout = Union[None, int, float]
_S = TypeVar("_S", bound="Semaphore")


class Error(Exception):
    """What went wrong."""


class InternalError(Error):
    """Never raised here."""


class PermissionsError(Error):
    """The mode does not let this user do it."""


class ExistentialError(Error):
    """It is there, or it is not there."""


class BusyError(Error):
    """Not within the timeout, or not without waiting."""


class NotAttachedError(Error):
    """Never raised here: it is of shared memory."""


_CLASSES = {
    errno.ENOENT: ExistentialError, errno.EINVAL: ExistentialError,
    errno.EEXIST: ExistentialError, errno.EIDRM: ExistentialError,
    errno.EACCES: PermissionsError, errno.EPERM: PermissionsError,
    errno.ERANGE: ValueError, errno.EAGAIN: BusyError, errno.ENOMEM: MemoryError,
}


def _fail(error: OSError) -> NoReturn:
    if error.errno == errno.EINTR:
        raise Error("Signaled while waiting") from None
    found = _CLASSES.get(error.errno or 0)
    if found is None:
        raise error
    raise found(error.strerror) from None


def _call(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except OSError as error:
        _fail(error)


def _key(key: Any) -> int:
    if not isinstance(key, int):
        raise TypeError("Key must be an integer or None")
    if not KEY_MIN <= key <= KEY_MAX:
        raise ValueError(f"Key must be between {KEY_MIN} (KEY_MIN) and {KEY_MAX} (KEY_MAX)")
    return key


def _int(value: Any, what: str) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{what} must be an integer, not {value!r}")
    return value


def _timeout(timeout: Any) -> Timeout:
    if timeout is None or (isinstance(timeout, (int, float)) and timeout >= 0):
        return timeout
    raise TypeError("The timeout must be None or a non-negative number")


def _delta(delta: Any) -> int:
    size = abs(_int(delta, "The delta"))
    if size > 0x8000:
        raise OverflowError(f"The delta must be at most {SEMAPHORE_VALUE_MAX}, not {delta}")
    if not 1 <= size <= SEMAPHORE_VALUE_MAX:
        raise ValueError(f"The delta must be non-zero and at most {SEMAPHORE_VALUE_MAX}")
    return size


def _create(key: int, mode: int, value: int) -> int:
    identifier = int(_raw.semget(key, 1, IPC_CREX | mode))
    try:
        # Added, not set: what another process released meanwhile stays.
        if value:
            _raw.semop(identifier, [(0, value, 0)])
    except BaseException:
        _raw.semctl(identifier, 0, _raw.IPC_RMID)
        raise
    return identifier


def _create_random(mode: int, value: int) -> tuple[int, int]:
    while True:
        key = secrets.randbelow(KEY_MAX) + 1
        try:
            return key, _create(key, mode, value)
        except FileExistsError:
            pass


def _open(key: int, flags: int, mode: int, value: int) -> int:
    while True:
        if not flags & IPC_EXCL and key != IPC_PRIVATE:
            try:
                return _raw.semget(key, 0, mode)  # refused if its mode gives less
            except FileNotFoundError:
                if not flags:
                    raise
        try:
            return _create(key, mode, value)
        except FileExistsError:
            if flags & IPC_EXCL:
                raise


class Semaphore:
    """Semaphore(key, flags=0, mode=0o600, initial_value=0)

    key: a number; IPC_PRIVATE; or None, with IPC_CREX: a random one that is free. flags: 0,
    IPC_CREAT or IPC_CREX. One that is there keeps its value whatever initial_value says.
    """

    _key: int
    _id: int

    def __init__(self, key: Optional[int], flags: int = 0, mode: int = 0o600,
                 initial_value: int = 0) -> None:
        flags = _int(flags, "The flags") & IPC_CREX
        mode = _int(mode, "The mode") & 0o777
        if not 0 <= _int(initial_value, "The initial value") <= SEMAPHORE_VALUE_MAX:
            raise ValueError(f"The initial value must be between 0 and {SEMAPHORE_VALUE_MAX}")
        if flags == IPC_EXCL:
            raise ValueError("IPC_EXCL must be combined with IPC_CREAT")
        self._undo = False
        self._block = True
        if key is None:
            if not flags & IPC_EXCL:
                raise ValueError("Key can only be None if IPC_EXCL is set")
            self._key, self._id = _call(_create_random, mode, initial_value)
        else:
            self._key = _key(key)
            self._id = _call(_open, self._key, flags, mode, initial_value)

    def _operate(self, value: int, timeout: Timeout) -> None:
        flags = (_raw.SEM_UNDO if self._undo else 0) | (0 if self._block else _raw.IPC_NOWAIT)
        _call(_raw._semtimedop_once, self._id, [(0, value, flags)], timeout)

    def acquire(self, timeout: Timeout = None, delta: int = 1) -> None:
        """Takes delta units; waits for them, unless block is False. BusyError: not in time."""
        self._operate(-_delta(delta), _timeout(timeout))

    def release(self, delta: int = 1) -> None:
        """Adds delta units."""
        self._operate(_delta(delta), None)

    P = acquire
    V = release

    def Z(self, timeout: Timeout = None) -> None:
        """Waits until the value is 0."""
        self._operate(0, _timeout(timeout))

    def remove(self) -> None:
        """Removes it from the system at once. Who waits for it has an ExistentialError."""
        remove_semaphore(self._id)

    def __enter__(self: _S) -> _S:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    # ---- attributes

    def _control(self, op: int, arg: Any = None) -> Any:
        return _call(_raw.semctl, self._id, 0, op, arg)

    @property
    def id(self) -> int:
        """The number of the set in the system."""
        return self._id

    @property
    def key(self) -> int:
        """The key it was opened with."""
        return self._key

    @property
    def value(self) -> int:
        """Its units. Setting it clears what every process has to undo."""
        return int(self._control(_raw.GETVAL))

    @value.setter
    def value(self, value: int) -> None:
        if not 0 <= _int(value, "The value") <= SEMAPHORE_VALUE_MAX:
            raise ValueError(f"The value must be between 0 and {SEMAPHORE_VALUE_MAX}")
        self._control(_raw.SETVAL, value)

    @property
    def undo(self) -> bool:
        """True: the kernel undoes what this process does from now on when it ends."""
        return self._undo

    @undo.setter
    def undo(self, value: bool) -> None:
        self._undo = bool(value)

    @property
    def block(self) -> bool:
        """False: no call waits, whatever its timeout."""
        return self._block

    @block.setter
    def block(self, value: bool) -> None:
        self._block = bool(value)

    def _perm(self) -> _raw.ipc_perm:
        perm: _raw.ipc_perm = self._control(_raw.IPC_STAT).sem_perm
        return perm

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            if not isinstance(value, int):
                raise TypeError(f"attribute '{name}' must be an integer")
            if not 0 <= value <= (0o777 if name == "mode" else 0xFFFFFFFF):
                raise ValueError(f"attribute '{name}' cannot be {value}")
        self._control(_raw.IPC_SET, values)

    @property
    def mode(self) -> int:
        """Its permissions."""
        return self._perm().mode

    @mode.setter
    def mode(self, value: int) -> None:
        self._set(mode=value)

    @property
    def uid(self) -> int:
        """Its owner."""
        return self._perm().uid

    @uid.setter
    def uid(self, value: int) -> None:
        self._set(uid=value)

    @property
    def gid(self) -> int:
        """Its owner's group."""
        return self._perm().gid

    @gid.setter
    def gid(self, value: int) -> None:
        self._set(gid=value)

    @property
    def cuid(self) -> int:
        """Who made it."""
        return self._perm().cuid

    @property
    def cgid(self) -> int:
        """The group of who made it."""
        return self._perm().cgid

    @property
    def last_pid(self) -> int:
        """The process that changed it last."""
        return int(self._control(_raw.GETPID))

    @property
    def waiting_for_nonzero(self) -> int:
        """Threads of all processes that wait in acquire()."""
        return int(self._control(_raw.GETNCNT))

    @property
    def waiting_for_zero(self) -> int:
        """Threads of all processes that wait in Z()."""
        return int(self._control(_raw.GETZCNT))

    @property
    def o_time(self) -> int:
        """time.time() of the last acquire, release or Z; 0: there was none."""
        return int(self._control(_raw.IPC_STAT).sem_otime)

    def __str__(self) -> str:
        return f"Key={self._key}, id={self._id}"

    def __repr__(self) -> str:
        return f"sysv_ipc.Semaphore({self._key})"


def ftok(path: Union[str, bytes], id: int, silence_warning: bool = False) -> int:
    """A key made of a file's numbers and of the low 8 bits of id."""
    if not silence_warning:
        warnings.warn("Use of ftok() is not recommended; see sysv_ipc documentation", Warning,
                      stacklevel=2)
    return _raw.ftok(path, id & 0xFF)


def remove_semaphore(id: int) -> None:
    """Removes the set of semaphores with that id."""
    _call(_raw.semctl, id, 0, _raw.IPC_RMID)


def remove_shared_memory(id: int) -> None:
    """Removes the segment with that id, once it is attached nowhere."""
    _call(_raw.shmctl, id, _raw.IPC_RMID)


def remove_message_queue(id: int) -> None:
    """Removes the message queue with that id."""
    _call(_raw.msgctl, id, _raw.IPC_RMID)
