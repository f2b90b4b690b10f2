# SPDX-License-Identifier: Apache-2.0
"""The three contexts: those of multiprocessing with the classes of this package."""
from __future__ import annotations

import multiprocessing
from multiprocessing import context
from typing import Dict


class _Ours:
    """The methods in which a context of this package differs from multiprocessing's."""


class ForkContext(_Ours, context.ForkContext):
    """multiprocessing's context "fork" with the classes of this package."""


class SpawnContext(_Ours, context.SpawnContext):
    """multiprocessing's context "spawn" with the classes of this package."""


class ForkServerContext(_Ours, context.ForkServerContext):
    """multiprocessing's context "forkserver" with the classes of this package."""


_contexts: Dict[str, context.BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}


def get_context(method: str | None = None) -> context.BaseContext:
    """The context of a start method; without one that of multiprocessing's default."""
    if method is None:
        method = multiprocessing.get_start_method()
    try:
        return _contexts[method]
    except KeyError:
        raise ValueError(f"there is no start method {method!r}: only fork, spawn and "
                         "forkserver") from None
