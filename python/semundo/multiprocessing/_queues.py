# SPDX-License-Identifier: Apache-2.0
"""Queue, JoinableQueue and SimpleQueue of multiprocessing, over a pipe of whole messages."""
from __future__ import annotations

import collections
import errno
import os
import sys
import threading
import traceback
import weakref
from multiprocessing import context, queues, reduction, util
from queue import Empty, Full
from typing import TYPE_CHECKING, Any, Callable, Deque, Optional, Tuple

from ._counts import UNLIMITED, Counts, TaskCounts, Time
from ._messages import Bytes, Reader, Writer, pipe
from ._semlock import assert_for_fork

if TYPE_CHECKING:
    _Queue = queues.Queue[Any]
    _JoinableQueue = queues.JoinableQueue[Any]
    _SimpleQueue = queues.SimpleQueue[Any]
else:
    _Queue, _JoinableQueue, _SimpleQueue = queues.Queue, queues.JoinableQueue, queues.SimpleQueue

_dumps = reduction.ForkingPickler.dumps
_loads = reduction.ForkingPickler.loads
_end = object()  # in the buffer: the queue was closed


class _NoLock:
    """In place of the locks of multiprocessing's queues: the kernel makes readers, and writers,
    take turns."""

    def acquire(self, block: bool = True, timeout: Optional[float] = None) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *exception: object) -> None:
        pass


class _Outlet:
    """The side of a Queue that its thread has: it must not keep the queue itself alive."""

    def __init__(self, reader: Reader, writer: Writer, counts: Counts) -> None:
        self._reader = reader
        self._writer = writer
        self._counts = counts
        self.buffer: Deque[Any] = collections.deque()
        self.notempty = threading.Condition(threading.Lock())
        self.starting = threading.Lock()

    def append(self, item: Any) -> None:
        with self.notempty:
            self.buffer.append(item)
            self.notempty.notify()

    def next(self) -> Any:
        with self.notempty:
            while not self.buffer:
                self.notempty.wait()
            return self.buffer.popleft()

    def send(self, item: Any) -> None:
        packet = self._writer.pack(_dumps(item))
        try:
            self._counts.send(self._writer, packet)
        finally:
            packet.close()

    def drop(self) -> None:
        self._counts.drop()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class Queue(_Queue):
    """Queue(maxsize=0): that of multiprocessing, whoever is killed. See doc/multiprocessing.md."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        self._maxsize = maxsize if 0 < maxsize < UNLIMITED else UNLIMITED
        self._reader, self._writer = pipe(counted=True)
        self._is_fork_ctx = ctx.get_start_method() == "fork"
        self._counts = self._new_counts()
        self._opid = os.getpid()
        self._ignore_epipe = False  # concurrent.futures sets it
        self._begin()

    def _new_counts(self) -> Counts:
        return Counts(self._reader, self._maxsize, self._is_fork_ctx)

    # ---- to and from other processes

    def __getstate__(self) -> Tuple[Any, ...]:
        assert_for_fork(self, self._is_fork_ctx)
        return (self._ignore_epipe, self._maxsize, self._reader, self._writer, self._counts,
                self._opid)

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        (self._ignore_epipe, self._maxsize, self._reader, self._writer, self._counts,
         self._opid) = state
        self._is_fork_ctx = False
        self._counts.attach()
        self._begin()

    def _begin(self) -> None:
        self._reset()
        util.register_after_fork(self, Queue._after_fork)

    def _after_fork(self) -> None:
        self._reset()

    def _reset(self, after_fork: bool = False) -> None:
        """As it is in a process that put nothing yet."""
        self._rlock = self._wlock = _NoLock()
        self._outlet = _Outlet(self._reader, self._writer, self._counts)
        self._buffer = self._outlet.buffer
        self._notempty = self._outlet.notempty
        self._thread: Optional[threading.Thread] = None
        self._jointhread: Optional[Any] = None
        self._joincancelled = False
        self._closed = False
        self._close: Optional[Callable[[], object]] = None
        self._poll = self._reader.poll

    # ---- putting

    def put(self, obj: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        self._check_open()
        if not self._counts.admit(Time(block, timeout)):
            raise Full
        try:
            if self._thread is None:
                self._start_thread()
            self._outlet.append(obj)
        except BaseException:
            self._outlet.drop()
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")

    # ---- getting

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        self._check_open()
        data = self._receive(block, timeout)
        if data is None:
            raise Empty
        self._counts.left()
        return _loads(data)

    def _receive(self, block: bool, timeout: Optional[float]) -> Optional[Bytes]:
        if not block:
            return self._reader.try_take()
        if timeout is None:
            return self._reader.take()
        return self._reader.take_within(timeout)

    # ---- looking

    def qsize(self) -> int:
        return self._counts.size()

    def full(self) -> bool:
        return self._counts.full()

    def empty(self) -> bool:
        return not self._poll()

    # ---- the thread that sends

    def _start_thread(self) -> None:
        with self._outlet.starting:
            if self._thread is None:
                thread = threading.Thread(
                    target=_feed, name="QueueFeederThread", daemon=True,
                    args=(self._outlet, self._ignore_epipe, self._on_queue_feeder_error))
                thread.start()
                self._thread = thread
                self._at_exit(thread)

    def _at_exit(self, thread: threading.Thread) -> None:
        if not self._joincancelled:
            self._jointhread = util.Finalize(thread, _join, [weakref.ref(thread)], exitpriority=-5)
        self._close = util.Finalize(self, _Outlet.append, [self._outlet, _end], exitpriority=10)

    @staticmethod
    def _on_queue_feeder_error(error: Exception, obj: Any) -> None:
        """For subclasses: an item could not be sent."""
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)

    # ---- closing

    def close(self) -> None:
        self._closed = True
        close = self._close
        if close is not None:
            self._close = None
            close()

    def join_thread(self) -> None:
        assert self._closed, f"Queue {self!r} not closed"
        if self._jointhread is not None:
            self._jointhread()

    def cancel_join_thread(self) -> None:
        self._joincancelled = True
        if self._jointhread is not None:
            self._jointhread.cancel()

    def _terminate_broken(self) -> None:
        """For concurrent.futures: nobody reads any more."""
        self._reader.close()
        self.close()
        self.join_thread()


def _join(reference: Any) -> None:
    thread = reference()
    if thread is not None:
        thread.join()


def _feed(outlet: _Outlet, ignore_epipe: bool,
          on_error: Callable[[Exception, Any], object]) -> None:
    while True:
        item = outlet.next()
        if item is _end:
            outlet.close()
            return
        try:
            outlet.send(item)
        except Exception as error:
            if ignore_epipe and getattr(error, "errno", 0) == errno.EPIPE:
                return
            if util.is_exiting():  # what this thread needs may be gone already
                util.info("error in queue thread: %s", error)
                return
            outlet.drop()
            on_error(error, item)
        item = None


class JoinableQueue(Queue, _JoinableQueue):
    """JoinableQueue(maxsize=0): that of multiprocessing, whoever is killed.

    A task whose process died with it does not keep join() waiting for ever: when the others are
    done join() raises BrokenQueue, once in each process.
    """

    _counts: TaskCounts

    def _new_counts(self) -> TaskCounts:
        return TaskCounts(self._reader, self._maxsize, self._is_fork_ctx)

    def _receive(self, block: bool, timeout: Optional[float]) -> Optional[Bytes]:
        time = Time(block, timeout)
        while True:
            received = self._counts.take()
            if received is not None:
                return received.open()
            left = time.left()
            if left == 0 or not self._reader.poll(left):
                return None

    def task_done(self) -> None:
        self._counts.done()

    def join(self) -> None:
        self._counts.join()


class SimpleQueue(_SimpleQueue):
    """SimpleQueue(): that of multiprocessing, whoever is killed."""

    def __init__(self, *, ctx: Any) -> None:
        self.__setstate__((*pipe(), _NoLock(), _NoLock()))

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def empty(self) -> bool:
        return not self._poll()

    def __getstate__(self) -> Tuple[Any, ...]:
        context.assert_spawning(self)
        return self._reader, self._writer, self._rlock, self._wlock

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self._reader, self._writer, self._rlock, self._wlock = state
        self._poll = self._reader.poll

    def get(self) -> Any:
        return _loads(self._reader.take())

    def put(self, obj: Any) -> None:
        self._writer.send_bytes(_dumps(obj))
