# SPDX-License-Identifier: Apache-2.0
"""How many items a queue has, and how many of its tasks are not done.

Neither is written down anywhere, so no death can make it wrong: it is what the kernel says of
the pipe, and what processes have in hand that are alive. One lock, the gate, is held for moments:
while a place is taken, and while an item goes from hand to pipe.
"""
from __future__ import annotations

import errno
import time
from typing import Dict, List, Optional

from .._broken import BrokenQueue
from ._held import Held, Lock, Semaphore, Signal
from ._messages import Packet, Reader, Received, Writer

UNLIMITED = 0x7FFFFFFF
# Deaths ring no bell here. Who waits for a place, or for the last task, looks this often.
_LOOK = 0.1
_JOINERS = 65535


class Time:
    """What is left of a timeout."""

    def __init__(self, block: bool, timeout: Optional[float]) -> None:
        self._end: Optional[float] = None
        if not block:
            self._end = 0.0
        elif timeout is not None:
            self._end = time.monotonic() + timeout

    def left(self) -> Optional[float]:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def slice(self) -> float:
        left = self.left()
        return _LOOK if left is None else min(left, _LOOK)


def _ring(bell: Signal, times: int = 1) -> None:
    """Raises it to so many: some may be there already."""
    missing = times - bell.value
    if missing > 0:
        try:
            bell.release(missing)
        except ValueError:
            pass  # somebody else rang just now


class Counts:
    """Of a Queue. Its processes share it, or those only that are forked."""

    def __init__(self, reader: Reader, maxsize: int, forked: bool) -> None:
        self._reader = reader
        self._maxsize = maxsize
        self._gate = Lock(forked)
        self._unsent = Held(forked)
        self._room = Signal(1, forked)  # a hint that there is a place

    def attach(self) -> None:
        """Opens now what would be opened sooner or later, so that all children have the same."""
        if self._gate.acquire(False):
            self._gate.release()

    # ---- places

    def admit(self, time: Time) -> bool:
        """Takes a place for an item that this process will send. False if there is none in time."""
        woken = False
        while not self._take_place(woken):
            if time.left() == 0:
                return False
            woken = self._room.acquire(timeout=time.slice())
        return True

    def _take_place(self, woken: bool) -> bool:
        with self._gate:
            places = self._places()
            if places > 0:
                self._unsent.add()
        if woken and places > 1:
            _ring(self._room)  # one hint may stand for several places
        return places > 0

    def _places(self) -> int:
        if self._maxsize == UNLIMITED:
            return 1
        places = self._maxsize - self._count()
        return places if places > 0 else self._maxsize - self._true_count()

    def _count(self) -> int:
        """The number of items, maybe with some of dead processes. The gate is held."""
        return self._unsent.total() + self._reader.count()

    def _true_count(self) -> int:
        self._unsent.recover()
        return self._count()

    def size(self) -> int:
        with self._gate:
            return self._true_count()

    def full(self) -> bool:
        return self._maxsize != UNLIMITED and self.size() >= self._maxsize

    # ---- ways of an item

    def send(self, writer: Writer, packet: Packet) -> None:
        """From hand to pipe: nobody can count it twice, or not at all."""
        if packet.file is not None:
            writer.wait_room()  # what is in files takes no room, but memory
        while not self._try_send(writer, packet):
            writer.wait_room()

    def _try_send(self, writer: Writer, packet: Packet) -> bool:
        with self._gate:
            sent = writer.try_post(packet)
            if sent:
                self._unsent.remove()
        return sent

    def drop(self) -> None:
        """An item cannot be sent."""
        with self._gate:
            self._unsent.remove()
        self.left()

    def left(self) -> None:
        """An item is gone from the queue."""
        if self._maxsize != UNLIMITED:
            _ring(self._room)


class TaskCounts(Counts):
    """Of a JoinableQueue."""

    def __init__(self, reader: Reader, maxsize: int, forked: bool) -> None:
        super().__init__(reader, maxsize, forked)
        self._in_hand = Held(forked)  # taken and not done, by the process that took it
        self._elsewhere = Signal(UNLIMITED, forked)  # done by processes that have none in hand
        self._joiners = Semaphore(_JOINERS, forked)
        self._ended = Signal(_JOINERS, forked)  # a hint for each joiner
        self._told: List[int] = self._in_hand.death_numbers()

    def take(self) -> Optional[Received]:
        """An item, if there is one: from pipe to hand."""
        with self._gate:
            self._settle()
            self._in_hand.add()
            try:
                received = self._reader.try_receive()
            except BaseException:
                self._in_hand.remove()
                raise
            if received is None:
                self._in_hand.remove()
        return received

    def _settle(self) -> None:
        """What was done elsewhere for a process that is no more was not done for others."""
        if self._elsewhere.value:
            self._in_hand.recover()
            while self._elsewhere.value > self._in_hand.total():
                self._elsewhere.acquire(False)

    def _unfinished(self) -> int:
        """The gate is held."""
        self._in_hand.recover()
        self._settle()
        return self._true_count() + self._in_hand.total() - self._elsewhere.value

    def done(self) -> None:
        with self._gate:
            if not self._in_hand.remove():
                if self._unfinished() <= 0:
                    raise ValueError("task_done() called too many times")
                self._elsewhere.release()
        self._tell_joiners()

    def drop(self) -> None:
        super().drop()
        self._tell_joiners()

    def _tell_joiners(self) -> None:
        if self._joiners.value == _JOINERS:
            return
        with self._gate:
            ended = self._unfinished() <= 0
        if ended:
            _ring(self._ended, _JOINERS - self._joiners.value)

    def join(self) -> None:
        with self._joiners:
            while self._go_on():
                self._ended.acquire(timeout=_LOOK)
        self._tell_lost()

    def _go_on(self) -> bool:
        with self._gate:
            return self._unfinished() > 0

    def _tell_lost(self) -> None:
        """Once in a process for each death."""
        lost = self._in_hand.lost_since(self._told)
        self._told = self._in_hand.death_numbers()
        if lost:
            raise BrokenQueue(errno.EOWNERDEAD, "tasks are not done: " + _listed(lost))


def _listed(lost: Dict[int, int]) -> str:
    return ", ".join(f"process {pid} died with {units} in hand" for pid, units in lost.items())
