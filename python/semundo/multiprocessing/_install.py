# SPDX-License-Identifier: Apache-2.0
"""install(): a whole program and its children use the classes of this package.

The modules of multiprocessing are given other classes. Forked children have them; to those that
are spawned, and to the fork server, the list sys_path of the data that a child is prepared with
carries an expression that installs them before anything else of the program is loaded.
"""
from __future__ import annotations

import importlib
import os
from multiprocessing import spawn
from typing import Any, Callable, Dict, List, Tuple

from .. import _ext
from . import _barrier, _condition, _pool, _queues, _semlock
from ._tracker import no_tracker_before_forks, use_tracker

_CLASSES: Dict[str, Tuple[type, ...]] = {
    "multiprocessing.synchronize": (
        _semlock.SemLock, _semlock.Lock, _semlock.RLock, _semlock.Semaphore,
        _semlock.BoundedSemaphore, _condition.Condition, _condition.Event, _barrier.Barrier),
    "multiprocessing.queues": (_queues.Queue, _queues.JoinableQueue, _queues.SimpleQueue),
    "multiprocessing.pool": (_pool.Pool,),
}

# What is above semundo's directory, from which a child imports it before it has sys.path.
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_CODE = """
import sys
sys.path.insert(0, {home!r})
try:
    from semundo.multiprocessing import _install
finally:
    sys.path.remove({home!r})
_install.install({engine!r})
"""
# A fork server's children have their tracker from the program: it needs none of its own.
_SERVER_CODE = _CODE + "_install.no_tracker_before_forks()\n"


class _SysPath(List[str]):
    """A sys.path that installs where it arrives, by pickle or by repr()."""

    def _expression(self, template: str) -> str:
        code = template.format(home=_HOME, engine=_ext.semlock_engine())
        return f"[exec({code!r}, {{}}), {list(self)!r}][1]"

    def __repr__(self) -> str:
        """In the command of the fork server."""
        return self._expression(_SERVER_CODE)

    def __reduce__(self) -> Tuple[Any, ...]:
        return eval, (self._expression(_CODE), {})


class _Preparation:
    """In the place of multiprocessing.spawn.get_preparation_data."""

    def __init__(self, original: Callable[[str], Dict[str, Any]]) -> None:
        self.original = original

    def __call__(self, name: str) -> Dict[str, Any]:
        data = self.original(name)
        data["sys_path"] = _SysPath(data["sys_path"])
        return data


def _prepare_children() -> None:
    if not isinstance(spawn.get_preparation_data, _Preparation):
        setattr(spawn, "get_preparation_data", _Preparation(spawn.get_preparation_data))


def _replace_semlock() -> None:
    module = importlib.import_module("_multiprocessing")
    setattr(module, "SemLock", _ext.SemLock)
    setattr(module, "sem_unlink", _ext.sem_unlink)


def install(engine: str | None = None) -> None:
    """This program and its children, however they are started, use the classes of this package
    where they use those of multiprocessing. May be called again. What was made before, and
    classes that were imported by name before, stay what they are. semundo-tracker takes the place
    of the resource tracker (FileNotFoundError if it is not installed).

    engine: of locks and semaphores: native (the default), sysv or posix; None leaves it.
    """
    _ext.semlock_engine(engine)
    use_tracker()
    _replace_semlock()
    for name, classes in _CLASSES.items():
        module = importlib.import_module(name)
        for cls in classes:
            setattr(module, cls.__name__, cls)
    setattr(importlib.import_module("multiprocessing.synchronize"), "sem_unlink", _ext.sem_unlink)
    _prepare_children()
