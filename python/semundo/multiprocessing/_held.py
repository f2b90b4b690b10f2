# SPDX-License-Identifier: Apache-2.0
"""Semaphores as a queue has them, and counts of what each process has in hand."""
from __future__ import annotations

from typing import Dict, List

from .. import _core, _ext

_ALL = 65535  # the most units that the library has for one semaphore
_BASE = 128


class _Quiet(_core._Shared):
    """It goes with the object that has it: nothing to warn of."""

    def _begin(self, capacity: int, forked: bool) -> None:
        """forked: for forked children only, and so it needs no descriptor."""
        self._dir = _ext.directory()
        self._open(None, _ext.NO_DESCRIPTOR if forked else 0, self._default_kind, capacity, 0,
                   0o600, self._dir)

    def __del__(self) -> None:
        self.close()


class Lock(_Quiet, _core.Lock):
    def __init__(self, forked: bool) -> None:
        self._begin(1, forked)


class Semaphore(_Quiet, _core.Semaphore):
    def __init__(self, value: int, forked: bool) -> None:
        self._begin(value, forked)


class Signal(_Quiet, _core.Signal):
    def __init__(self, maximum: int, forked: bool) -> None:
        self._begin(maximum, forked)


class Held:
    """How many of something all processes have in hand. What a process had goes with it.

    A count of one semaphore ends at 65535, so each process has its number in digits, one
    semaphore for each. Whoever changes or reads it excludes the others; what is seen of a
    process that died in between may be any part of what it had, until recover().
    """

    def __init__(self, forked: bool) -> None:
        self._digits: List[Semaphore] = [Semaphore(_ALL, forked) for _ in range(3)]

    def add(self) -> None:
        """This process has one more."""
        for digit in self._digits[:-1]:
            if digit.held < _BASE - 1:
                return self._take(digit, 1)
            digit.release(_BASE - 1)
        self._take(self._digits[-1], 1)

    @staticmethod
    def _take(digit: Semaphore, n: int) -> None:
        if not digit.acquire(False, n=n):
            raise OverflowError("too many processes have too many items in hand")

    def remove(self) -> bool:
        """This process has one less. False if it had none."""
        for i, digit in enumerate(self._digits):
            if digit.held:
                digit.release()
                for lower in self._digits[:i]:
                    self._take(lower, _BASE - 1)
                return True
        return False

    def total(self) -> int:
        """How many all have, dead ones included whose death was not noticed yet."""
        return sum((_ALL - digit.value) * _BASE ** i for i, digit in enumerate(self._digits))

    def recover(self) -> None:
        """Notices deaths now."""
        for digit in self._digits:
            digit.recover()

    def death_numbers(self) -> List[int]:
        """How many processes died that had any, to be compared later."""
        return [digit.info()["deaths"] for digit in self._digits]

    def lost_since(self, numbers: List[int]) -> Dict[int, int]:
        """What processes had in hand that died since. Of the latest 8 only."""
        lost: Dict[int, int] = {}
        for i, digit in enumerate(self._digits):
            for death in reversed(digit.deaths()):
                if death.number > numbers[i]:
                    lost[death.pid] = lost.get(death.pid, 0) + death.units * _BASE ** i
        return lost
