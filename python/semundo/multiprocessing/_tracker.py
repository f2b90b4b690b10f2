# SPDX-License-Identifier: Apache-2.0
"""semundo-tracker in the place of multiprocessing's resource tracker.

use_tracker() puts a Tracker where multiprocessing has its own. All processes of the
program write lines to one pipe, which the process reads that the first of them started.
Each line is one write that no other can cut, so there is no lock where nothing has to be
started.

If the tracker is killed, writing says so. The pipe stays, with what is in it, as long as
somebody has an end of it: who finds it broken opens its other end again through /proc
and starts a tracker that reads there and has the journal of the one before. The others
go on writing and notice nothing.
"""
from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import stat
import threading
import warnings
import weakref
from multiprocessing import resource_tracker, util
from typing import Any, Callable, Dict, List, Set, Tuple

from .. import _ext

__all__ = ["Tracker", "use_tracker"]

LINE_SIZE = 512
DIRECTORY = "SEMUNDO_TRACKER"  # in the environment: where the program's journal is
PROGRAM = "semundo-tracker"
ATTEMPTS = 10

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode("ascii")


def find_program() -> str:
    """The tracker's executable: the one in the package, else one on PATH."""
    own = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), PROGRAM)
    found = own if os.access(own, os.X_OK) else shutil.which(PROGRAM)
    if found is None:
        raise FileNotFoundError(f"there is no {PROGRAM}: neither {own} nor one on PATH")
    return found


def _identity() -> Dict[str, int]:
    """What tells this process from all others; nothing without /proc."""
    try:
        with open("/proc/self/stat", "rb") as file:
            start = int(file.read().rpartition(b")")[2].split()[19])
        return {"pid": os.getpid(), "start": start, "ns": os.stat("/proc/self/ns/pid").st_ino}
    except OSError:
        return {}


def _command() -> bytes:
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return file.read(200).replace(b"\0", b" ").strip()
    except OSError:
        return b""


class Tracker(resource_tracker.ResourceTracker):
    """The interface of multiprocessing's ResourceTracker, with semundo-tracker behind it.

    What a process registers is removed when the last process that registered it or has
    it mapped was killed; what a process leaves when it ends in order stays until the
    whole program has ended. previous is the tracker that was used before.
    """

    _pid: Any
    _exitcode: Any

    def __init__(self, previous: resource_tracker.ResourceTracker | None = None) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._fd = None
        self._pid = None
        self._exitcode = None
        self._starter: int | None = None      # the thread that is starting one
        self._pending: List[bytes] = []       # of finalizers that ran in that thread
        self._reader: int | None = None       # the pipe's other end, while it is started again
        self._pipe: Tuple[int, int] | None = None  # device and inode of _fd, when it was looked at
        self._is_ours = False                 # a semundo-tracker reads it
        self._identity: Dict[str, int] = {}
        self._introduced = 0                  # PID of the process that told who it is
        self._previous: resource_tracker.ResourceTracker | None = None
        self._mine: Set[Tuple[str, str]] = set()  # not for the previous one
        _all.add(self)
        if previous is not None:
            self._take_over(previous)

    @property
    def _fd(self) -> Any:
        """The pipe. multiprocessing sets it in a child that has it from its parent."""
        return self._number

    @_fd.setter
    def _fd(self, fd: Any) -> None:
        self._number = fd
        self._pipe = None
        self._pid = None  # another process has started what reads it
        self._introduced = 0

    def __del__(self) -> None:
        """The pipe ends with the process; its end is nothing to wait for."""

    def _take_over(self, previous: resource_tracker.ResourceTracker) -> None:
        """The pipe of a parent that uses this class; else what is registered stays there."""
        fd = getattr(previous, "_fd", None)
        if fd is None:
            return
        self._fd = fd
        self._look_at_pipe()
        if not self._is_ours:
            self._fd = None
            self._previous = previous

    # ---- the interface

    def register(self, name: Any, rtype: str) -> None:
        """This process uses the name."""
        if self._previous is not None:
            self._mine.add((name, rtype))
        self._send("REGISTER", name, rtype)

    def unregister(self, name: Any, rtype: str) -> None:
        """It uses it no more, or the name is gone."""
        if self._previous is not None:
            if (name, rtype) not in self._mine:
                self._previous.unregister(name, rtype)
                return
            self._mine.discard((name, rtype))
        self._send("UNREGISTER", name, rtype)

    def getfd(self) -> Any:
        """The pipe, for children to inherit."""
        self.ensure_running()
        return self._fd

    def ensure_running(self) -> None:
        """Starts the tracker where there is none, or where it was killed."""
        if self._starter == threading.get_ident():
            return
        if self._fd is None:
            self._start()
        else:
            self._write(self._probe())

    def _check_alive(self) -> bool:
        """Whether something reads the pipe."""
        try:
            os.write(self._fd, self._probe())
        except OSError:
            return False
        return True

    def _stop(self, use_blocking_lock: bool = True) -> None:
        """Lets it end, if no other process has the pipe, and waits for it."""
        with self._lock:
            if self._fd is None:
                return
            self._leave(os.getpid())
            os.close(self._fd)
            pid, self._fd, self._pid, self._exitcode = self._pid, None, None, None
            if pid is not None:
                try:
                    status = os.waitpid(pid, 0)[1]
                except ChildProcessError:
                    return
                self._exitcode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else \
                    -os.WTERMSIG(status)

    # ---- lines

    def _send(self, cmd: str, name: Any, rtype: str) -> None:
        if self._fd is None and self._starter != threading.get_ident():
            self._start()
        self._look_at_pipe()
        line = self._line(cmd, name, rtype)
        if len(line) > LINE_SIZE:
            raise ValueError(f"msg too long: {len(line)} bytes with the name, of {LINE_SIZE}")
        if self._is_ours and self._introduced != os.getpid():
            self._introduce()
        self._write(line)

    def _line(self, cmd: str, name: Any, rtype: str) -> bytes:
        if not self._is_ours:
            return f"{cmd}:{name}:{rtype}\n".encode("ascii")
        fields: Dict[str, Any] = {"cmd": cmd, "rtype": rtype,
                                  "base64_name": _encoded(os.fsencode(name))}
        if rtype == "semaphore" and ":" in name:
            fields["base64_dir"] = _encoded(os.fsencode(_ext.directory()))
        return self._json(fields)

    def _json(self, fields: Dict[str, Any]) -> bytes:
        """With who sends it."""
        if self._identity.get("pid") != os.getpid():
            self._identity = _identity()
        return (json.dumps({**fields, **self._identity}, separators=(",", ":"))
                + "\n").encode("ascii")

    def _probe(self) -> bytes:
        self._look_at_pipe()
        return b'{"cmd":"PROBE"}\n' if self._is_ours else b"PROBE:0:noop\n"

    def _introduce(self) -> None:
        """What to call this process by, and that it may end in order."""
        pid = self._introduced = os.getpid()
        self._write(self._json({"cmd": "PROBE", "base64_command": _encoded(_command())}))
        # After all finalizers that may still take something back.
        util.Finalize(None, _leave, args=(weakref.ref(self), pid), exitpriority=-1000)

    def _leave(self, pid: int) -> None:
        """A killed tracker is started again for this: nobody else may come after it."""
        if self._introduced == pid == os.getpid() and self._identity and self._fd is not None:
            self._write(self._json({"cmd": "LEAVE"}))

    def _write(self, line: bytes) -> None:
        """Returns when the pipe has it and somebody reads the pipe."""
        if self._starter == threading.get_ident():
            self._pending.append(line)
            return
        died = False
        for _ in range(ATTEMPTS):
            fd = self._fd
            if fd is None:
                self._start()
                continue
            try:
                os.write(fd, line)
                break
            except BrokenPipeError:
                died = True
                self._start_again(fd)
        else:
            raise RuntimeError(f"{PROGRAM} was started {ATTEMPTS} times and ended each time")
        if died:
            warnings.warn("resource_tracker: process died unexpectedly; it was started again "
                          "and has what was registered", stacklevel=2)

    # ---- the pipe

    def _look_at_pipe(self) -> None:
        """A parent may have given one. Or somebody has closed it, and the number is of
        something else: then that is not to be written to, and a new one is made."""
        if self._fd is None:
            return
        try:
            found = os.fstat(self._fd)
        except OSError:
            self._lose_pipe()
            return
        pipe = (found.st_dev, found.st_ino)
        if pipe == self._pipe:
            return
        if self._pipe is not None or not stat.S_ISFIFO(found.st_mode):
            self._lose_pipe()
            return
        self._pipe = pipe
        self._is_ours = os.path.exists(self._journal(found.st_ino))

    def _lose_pipe(self) -> None:
        self._fd = self._pid = None
        self._start()

    @staticmethod
    def _directory() -> str:
        return os.environ.get(DIRECTORY) or _ext.directory()

    def _journal(self, inode: int) -> str:
        return os.path.join(self._directory(), f"semundo-tracker.{os.geteuid()}.{inode}")

    def _start(self) -> None:
        self._in_starter(self._start_first)

    def _start_first(self) -> None:
        if self._fd is not None:
            return
        directory = os.environ[DIRECTORY] = _ext.directory()
        reader, writer = os.pipe()
        try:
            pid = self._spawn(reader, directory)
        except BaseException:
            os.close(writer)
            raise
        finally:
            os.close(reader)
        found = os.fstat(writer)
        self._fd, self._pid, self._exitcode = writer, pid, None
        self._pipe = (found.st_dev, found.st_ino)
        self._is_ours = True

    def _start_again(self, fd: int) -> None:
        self._in_starter(lambda: self._start_other(fd))

    def _start_other(self, fd: int) -> None:
        if self._fd != fd:
            return
        self._reap()
        try:
            if not self._is_ours:
                raise OSError("it is another program's")
            self._reader = os.open(f"/proc/self/fd/{fd}",
                                   os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            os.close(fd)
            self._fd = None
            warnings.warn("resource_tracker: process died unexpectedly; its pipe cannot be "
                          "read again, so what was registered may be left", stacklevel=4)
            return
        try:
            self._pid = self._spawn(self._reader, self._directory())
        finally:
            reader, self._reader = self._reader, None
            os.close(reader)

    def _reap(self) -> None:
        """The one that died, if it was this process's child."""
        if self._pid is not None:
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                pass
        self._pid = None

    def _in_starter(self, function: Callable[[], None]) -> None:
        """One thread at a time. What finalizers say meanwhile is said afterwards."""
        with self._lock:
            self._starter = threading.get_ident()
            try:
                function()
            finally:
                self._starter = None
        while self._pending:
            self._write(self._pending.pop(0))

    def _spawn(self, reader: int, directory: str) -> int | None:
        """Its PID once it reads; None where another process's tracker does."""
        program = find_program()
        told, ready = os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid: int = util.spawnv_passfds(
                os.fsencode(program), [program, "--directory", directory, "--ready", str(ready),
                                       str(reader)], [reader, ready])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(ready)
        with open(told, "rb") as file:
            if file.read(1):
                return pid
        status = os.waitpid(pid, 0)[1]
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
            raise RuntimeError(f"{program} ended with status {os.WEXITSTATUS(status)}")
        return None

    def _after_fork(self) -> None:
        """Another thread of the parent may have been starting one."""
        self._lock = threading.RLock()
        self._starter = None
        self._pending = []
        if self._reader is not None:
            os.close(self._reader)
        self._reader = None


_all: weakref.WeakSet[Tracker] = weakref.WeakSet()


def _leave(tracker: weakref.ref[Tracker], pid: int) -> None:
    found = tracker()
    if found is not None:
        found._leave(pid)


_before_forks = True


def no_tracker_before_forks() -> None:
    """For a fork server."""
    global _before_forks
    _before_forks = False


def _before_fork() -> None:
    """A child that started a tracker of its own would be a program of its own."""
    tracker = getattr(resource_tracker, "_resource_tracker")
    if _before_forks and isinstance(tracker, Tracker) and tracker._fd is None:
        tracker.ensure_running()


def _after_fork() -> None:
    for tracker in list(_all):
        tracker._after_fork()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def use_tracker() -> None:
    """From here on this process and its children use semundo-tracker.

    It is found at once (FileNotFoundError) and started at the first use, or before the
    first fork. What another
    tracker has registered so far stays with that one. Again, it does nothing.
    """
    before = getattr(resource_tracker, "_resource_tracker")
    if isinstance(before, Tracker):
        return
    find_program()
    tracker = Tracker(before)
    setattr(resource_tracker, "ResourceTracker", Tracker)
    setattr(resource_tracker, "_resource_tracker", tracker)
    for name in ("ensure_running", "register", "unregister", "getfd"):
        setattr(resource_tracker, name, getattr(tracker, name))
