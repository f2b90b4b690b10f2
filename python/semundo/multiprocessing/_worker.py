# SPDX-License-Identifier: Apache-2.0
"""A process of a Pool: what runs in it, and what the pool knows of it."""
from __future__ import annotations

import os
from multiprocessing import pool, reduction, util
from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Tuple

from ._messages import Bytes, Packet, Reader, Writer, pipe

_dumps = reduction.ForkingPickler.dumps
_loads = reduction.ForkingPickler.loads

Outcome = Tuple[bool, Any]


# ---- in the process

def work(tasks: Reader, results: Writer, initializer: Optional[Callable[..., object]],
         initargs: Iterable[Any], most: Optional[int], wrap: bool) -> None:
    """Says that it begins, does tasks, and ends when it is told to or when the pool is gone."""
    if initializer is not None:
        initializer(*initargs)
    try:
        results.send_bytes(b"")
        done = 0
        while most is None or done < most:
            task = tasks.take()
            if not task:
                return
            _answer(results, _outcome(task, wrap))
            done += 1
    except (EOFError, BrokenPipeError):
        util.debug("the pool of this process is gone")


def _outcome(task: Bytes, wrap: bool) -> Outcome:
    func = None
    try:
        func, args, kwds = _loads(task)
        return True, func(*args, **kwds)
    except Exception as error:
        if wrap and func is not pool._helper_reraises_exception:  # type: ignore[attr-defined]
            return False, pool.ExceptionWithTraceback(  # type: ignore[attr-defined]
                error, error.__traceback__)
        return False, error


def _answer(results: Writer, outcome: Outcome) -> None:
    try:
        results.send_bytes(_dumps(outcome))
    except BrokenPipeError:
        raise
    except Exception as error:
        wrapped = pool.MaybeEncodingError(error, outcome[1])  # type: ignore[attr-defined]
        results.send_bytes(_dumps((False, wrapped)))


# ---- in the pool

class Plan(NamedTuple):
    """How to make a process."""

    ctx: Any
    process: Callable[..., Any]
    initializer: Optional[Callable[..., object]]
    initargs: Iterable[Any]
    most: Optional[int]  # tasks in its life
    wrap: bool


class Task(NamedTuple):
    job: int
    number: int
    packet: Packet


def packed(func: Any, args: Any, kwds: Any) -> Packet:
    return Packet(_dumps((func, args, kwds)), False)


def _duplicate(end: Reader) -> Reader:
    return Reader(os.dup(end.fileno()), False)


def _pidfd(process: Any) -> Optional[int]:
    """Readable when the process is dead, also if a child of it has all it had open."""
    pidfd_open: Optional[Callable[[int], int]] = getattr(os, "pidfd_open", None)  # from 3.9 on
    try:
        return None if pidfd_open is None else pidfd_open(process.pid)
    except (AttributeError, OSError):  # a process without a number; a kernel before 5.3
        return None


class Worker:
    """A process, the pipes to and from it, and the task that it has."""

    def __init__(self, plan: Plan, place: int) -> None:
        self.place = place
        reader, self._tasks = pipe()
        self.results, writer = pipe()
        self._unread = _duplicate(reader)  # to see, after its death, whether it took its task
        for end in (self._tasks, self._unread, self.results):
            util.register_after_fork(end, _close)  # no other process keeps it from its end
        self.task: Optional[Tuple[int, int]] = None  # its job and number
        self.ready = False  # it has begun
        self.dead = False
        self.left = plan.most
        self.watched: List[Any] = []  # of the selector
        self.process = plan.process(
            plan.ctx, target=work, args=(reader, writer, plan.initializer, plan.initargs,
                                         plan.most, plan.wrap))
        self.process.name = self.process.name.replace("Process", "PoolWorker")
        self.process.daemon = True
        try:
            self.process.start()
        finally:
            reader.close()
            writer.close()
        self.pidfd = _pidfd(self.process)

    def give(self, task: Task) -> None:
        self.task = task.job, task.number
        self._tasks.post(task.packet)

    def end(self) -> None:
        """Tells it to end when it has done what it has."""
        try:
            self._tasks.send_bytes(b"")
        except OSError:
            pass  # it has ended

    def took_back(self) -> Optional[Task]:
        """After its death: the task that it had been given but not begun with."""
        try:
            received = self._unread.try_receive()
            if received is None or self.task is None:
                return None
            packet = Packet(received.open(), False)
        except OSError:  # no descriptor or memory for it: as if it had begun
            return None
        (job, number), self.task = self.task, None
        return Task(job, number, packet)

    def outcome(self) -> Optional[Bytes]:
        """What it said, if it said something. EOFError if it cannot say more."""
        return self.results.try_take()

    def close(self) -> None:
        for end in (self._tasks, self._unread, self.results):
            end.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None


def _close(end: Any) -> None:
    end.close()


def unpacked(data: Bytes) -> Outcome:
    try:
        done, value = _loads(data)
        return bool(done), value
    except Exception as error:  # of a class in the result
        return False, error
