# SPDX-License-Identifier: Apache-2.0
"""What cannot be put right after a death is told with these."""
from __future__ import annotations

import signal as _signal
from typing import Any

from ._ext import Error


class BrokenQueue(Error):
    """Something of a queue is lost: a message that nobody can have any more, or tasks of a
    JoinableQueue that died with the process that had taken them. The queue itself goes on.
    """

    __module__ = "semundo"


class WorkerDied(RuntimeError):
    """WorkerDied(pid, exitcode, what)

    A process of a Pool is no more, and so this task has no result. It may have been done in part.

    pid       the process
    exitcode  its exit status, or minus the number of the signal that ended it
    signal    that number, or None
    """

    __module__ = "semundo.multiprocessing"

    def __init__(self, pid: int, exitcode: int | None, what: str) -> None:
        super().__init__(pid, exitcode, what)
        self.pid = pid
        self.exitcode = exitcode
        self._what = what

    @property
    def signal(self) -> int | None:
        return -self.exitcode if self.exitcode is not None and self.exitcode < 0 else None

    def _end(self) -> str:
        if self.signal is None:
            return f"ended with status {self.exitcode}"
        try:
            return f"was killed by {_signal.Signals(self.signal).name}"
        except ValueError:
            return f"was killed by signal {self.signal}"

    def __str__(self) -> str:
        return f"process {self.pid} {self._end()}: {self._what}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args
