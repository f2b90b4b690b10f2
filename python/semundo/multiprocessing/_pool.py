# SPDX-License-Identifier: Apache-2.0
"""Pool of multiprocessing, whoever of its processes is killed."""
from __future__ import annotations

import multiprocessing
import os
from multiprocessing import pool, util
from typing import Any, Callable, Iterable, Optional

from ._crew import CLOSE, RUN, TERMINATE, Crew
from ._worker import Plan


def _processors() -> int:
    count: Callable[[], Optional[int]] = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


_Base = pool.Pool


class Pool(_Base):
    """Pool(processes=None, initializer=None, initargs=(), maxtasksperchild=None): that of
    multiprocessing.

    A task whose process dies fails with WorkerDied. The other tasks go on, and another process
    takes the place of the dead one.
    """

    _wrap_exception = True

    def __init__(self, processes: Optional[int] = None,
                 initializer: Optional[Callable[..., object]] = None, initargs: Iterable[Any] = (),
                 maxtasksperchild: Optional[int] = None, context: Optional[Any] = None) -> None:
        if not isinstance(self, Pool):  # a ThreadPool, where this has the name of the other
            _Base.__init__(self, processes, initializer, initargs, maxtasksperchild, context)
            return
        self._pool: Any = []
        self._state = "INIT"  # for __del__(), if this fails
        if processes is None:
            processes = _processors()
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None:
            if not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0:
                raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._ctx = context or multiprocessing.get_context()
        process = self.Process  # type: ignore[attr-defined]
        crew = Crew(Plan(self._ctx, process, initializer, initargs, maxtasksperchild,
                         self._wrap_exception), processes)
        self._processes = processes
        self._pool, self._cache, self._taskqueue = crew.processes, crew.cache, crew.sequences
        self._repopulate_pool = crew.populate
        crew.start()
        self._crew = crew
        self._terminate = util.Finalize(self, crew.terminate, exitpriority=15)
        self._state = RUN

    def close(self) -> None:
        """No more tasks. The processes end when all are done."""
        if self._state == RUN:
            self._state = CLOSE
            self._crew.close()

    def terminate(self) -> None:
        """Ends the processes now."""
        self._state = TERMINATE
        self._terminate()

    def join(self) -> None:
        """Waits until the processes have ended, after close() or terminate()."""
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("In unknown state")
        self._crew.join()
