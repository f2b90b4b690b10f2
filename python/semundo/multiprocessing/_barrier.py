# SPDX-License-Identifier: Apache-2.0
"""Barrier, which breaks when a process dies that waits in it."""
from __future__ import annotations

import threading
import time
from multiprocessing import util
from threading import BrokenBarrierError
from typing import Any, Callable, NamedTuple, Tuple

from ._condition import Condition, Deadline, Units, Words

# Words: the state; a bit for each of the latest generations that failed; the last death that was
# before the present generation, in each of _inside and in _members.
STATE, FAILED, BASE, MEMBERS = 0, 1, 2, 4
OUTCOMES = 62  # generations that FAILED keeps
GRACE = 5.0    # seconds for another process to take the place of a party that was killed


class _State(NamedTuple):
    generation: int
    arrived: int
    broken: bool

    def word(self) -> int:
        return self.generation << 24 | self.arrived << 1 | self.broken


def _leave(members: Units) -> None:
    if not members.closed and members.held:
        members.release()


class Barrier(threading.Barrier):
    """multiprocessing.Barrier. If a process is killed while it waits, the others get
    BrokenBarrierError, as they do after abort(). So they do if one that took part before is
    killed elsewhere, and nobody comes in its place within some seconds."""

    def __init__(self, parties: int, action: Callable[[], object] | None = None,
                 timeout: float | None = None, *, ctx: Any) -> None:
        if not 1 <= parties <= 65535:
            raise ValueError(f"parties must be 1 to 65535, not {parties}")
        inside = Units(ctx=ctx), Units(ctx=ctx)  # of the even and the odd generations: who waits holds one
        members = Units(ctx=ctx)  # a process holds one from its first round until it ends
        self.__setstate__((parties, action, timeout, Condition(ctx=ctx), inside, members, Words(5)))

    def __getstate__(self) -> Tuple[Any, ...]:
        return (self._parties, self._action, self._timeout, self._cond, self._inside,
                self._members, self._words)

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        (self._parties, self._action, self._timeout, self._cond, self._inside, self._members,
         self._words) = state

    def _join(self) -> None:
        """This process is a party; a normal end is no death."""
        if not self._members.held:
            self._members.acquire()
            util.Finalize(self, _leave, (self._members,), exitpriority=0)

    # ---- its state: written with the lock in hand, the word that counts last

    def _load(self) -> _State:
        word = self._words[STATE]
        return _State(word >> 24, word >> 1 & 0x7fffff, bool(word & 1))

    def _fail(self, generation: int, failed: bool) -> None:
        bit = 1 << generation % OUTCOMES
        self._words[FAILED] = self._words[FAILED] & ~bit | (bit if failed else 0)

    def _next(self, generation: int, failed: bool) -> None:
        """Begins the next generation; whoever waits leaves."""
        self._fail(generation, failed)
        parity = (generation + 1) & 1
        self._words[BASE + parity] = self._inside[parity].dead()
        self._words[MEMBERS] = self._members.dead()
        self._words[STATE] = _State(generation + 1, 0, False).word()
        self._cond.notify_all()

    def _break(self) -> None:
        self._words[STATE] = self._load()._replace(broken=True).word()
        self._cond.notify_all()

    def _is_broken(self) -> bool:
        """Breaks it if somebody died in it."""
        state = self._load()
        parity = state.generation & 1
        if not state.broken and self._inside[parity].dead() > self._words[BASE + parity]:
            self._break()
            return True
        return state.broken

    def _is_missing(self, since: float | None) -> float | None:
        """When it was seen first that a party was killed elsewhere; breaks it if that is long
        ago."""
        if self._members.dead() <= self._words[MEMBERS]:
            return None
        now = time.monotonic()
        if since is not None and now - since > GRACE:
            self._break()
        return now if since is None else since

    # ---- what there is to call

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the other parties: 0 to parties - 1, another number for each.
        BrokenBarrierError if it is broken, by abort(), a time limit or a death."""
        deadline = Deadline(self._timeout if timeout is None else timeout)
        with self._cond:
            if self._is_broken():
                raise BrokenBarrierError
            generation, arrived, _ = self._load()
            inside = self._inside[generation & 1]
            inside.acquire()
            try:
                self._join()
                self._words[STATE] = _State(generation, arrived + 1, False).word()
                if arrived + 1 == self._parties:
                    self._go(generation)
                else:
                    self._stay(generation, deadline)
                return int(arrived)
            finally:
                inside.release()

    def _go(self, generation: int) -> None:
        try:
            if self._action:
                self._action()
        except BaseException:
            self._break()
            raise
        self._next(generation, failed=False)

    def _stay(self, generation: int, deadline: Deadline) -> None:
        """In slices: who should have woken us may be dead."""
        missing = None
        while self._load().generation == generation:
            missing = self._is_missing(missing)
            if self._is_broken():
                raise BrokenBarrierError
            if deadline.over():
                self._break()
                raise BrokenBarrierError
            try:
                self._cond._wait_slice(deadline)
            except BaseException:
                self._leave(generation)
                raise
        if self._words[FAILED] >> generation % OUTCOMES & 1:
            raise BrokenBarrierError

    def _leave(self, generation: int) -> None:
        """By an exception, as of Ctrl-C: one less is there."""
        state = self._load()
        if state.generation == generation:
            self._words[STATE] = state._replace(arrived=state.arrived - 1).word()

    def reset(self) -> None:
        """Makes it whole. Who waits gets BrokenBarrierError."""
        with self._cond:
            state = self._load()
            if state.arrived or state.broken or self._is_broken():
                self._next(state.generation, failed=True)

    def abort(self) -> None:
        """Breaks it."""
        with self._cond:
            self._break()

    @property
    def parties(self) -> int:
        """How many it waits for."""
        return int(self._parties)

    @property
    def n_waiting(self) -> int:
        """How many wait in it."""
        state = self._load()
        return 0 if state.broken else state.arrived

    @property
    def broken(self) -> bool:
        """It is broken, until reset()."""
        with self._cond:
            return self._is_broken()
